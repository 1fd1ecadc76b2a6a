"""`dcgan train | sample | features | export | info | data`: the library's functions on the command line."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import warnings
from pathlib import Path

EXAMPLES = """\
examples:
  dcgan train --arch tiny32 --data digits --steps 2000 --out runs/first    a first minutes' run, nothing to download
  dcgan train --arch tutorial64 --data my/pictures --epochs 50 --out runs/mine
  dcgan sample faces --n 64 --out faces.png                                our trained faces
  dcgan features imagenet32 --data cifar10 --out runs/cifar10_features    the paper's section 5 on CIFAR-10
  dcgan export lab runs/mine --out my_lab                                  sliders for any browser
  dcgan info paper64                                                       shapes and parameters
  dcgan data                                                               the data sets, with licences
"""


def parser() -> argparse.ArgumentParser:
    from . import models

    top = argparse.ArgumentParser(
        prog="dcgan",
        description="DCGAN, reproduced: train, sample and look inside.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(
        dest="command", required=True, metavar="train | sample | features | export | info | data"
    )

    train = commands.add_parser(
        "train",
        help="train a DCGAN, or go on where the same call stopped",
        description="Train a generator and a discriminator on a data set or on pictures of your own. The same call "
        "goes on after any interruption; on a CPU in float32 with the same bits as if there had been none.",
        epilog="In --out: weights.safetensors (at the end), state.safetensors (the checkpoint), stats.jsonl (losses, "
        "D(x), D(G(z)) …), samples/ (the same latents over time), run.json (settings, fingerprint of the data). "
        "Look at samples/ while it runs: losses do not say whether pictures are good. "
        "On several GPUs or machines: torchrun --nproc-per-node 8 -m dcgan_lib train …",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    required = train.add_argument_group("what to train")
    required.add_argument("--arch", required=True, help=f"architecture: {', '.join(models.ARCHITECTURES)}")
    required.add_argument("--data", required=True, help="a name (see `dcgan data`), or a folder, .zip or .npz of yours")
    required.add_argument("--out", required=True, type=Path, help="the run's folder")
    length = train.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="minibatches")
    length.add_argument(
        "--epochs", type=float, help="passes through the data; 25 when neither is given (the released faces)"
    )
    option = train.add_argument
    option("--limit", type=int, help="the first so many pictures of the data alone")
    option("--batch-size", type=int, default=128, help="pictures a minibatch, of all processes (paper: 128)")
    option("--seed", type=int, default=0, help="of the weights, the data's order and the latents")
    option("--device", default="auto", help="auto (cuda, else mps, else cpu), cpu, cuda, mps")
    option(
        "--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="auto: bfloat16 where it is fast"
    )
    option(
        "--schedule",
        choices=("simultaneous", "alternate"),
        default="simultaneous",
        help="both networks each minibatch, or as released: minibatches alternate, each feeds one",
    )
    option("--learning-rate", type=float, default=2e-4, help="Adam's (paper: 0.0002)")
    option("--beta1", type=float, default=0.5, help="Adam's first momentum (paper: 0.5)")
    option("--weight-decay", type=float, default=1e-5, help="L2 in the gradient (released: 1e-5 faces, 2.5e-5 MNIST)")
    option("--ema-decay", type=float, help="keep a moving average of G with this decay, e.g. 0.999 (the paper: none)")
    option("--image-size", type=int, help="another size, 16 to 256: adds or drops layers")
    option(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change a field of the architecture, e.g. latent_dim=10, prior=normal, dense_units=1024, norm=none",
    )
    option("--log-every", type=int, default=10, help="steps between lines of stats.jsonl")
    option("--sample-every", type=int, help="steps between picture grids; 24 grids in a run unless given")
    option("--checkpoint-seconds", type=float, default=30.0, help="at most this much work is lost when killed")
    option("--extend", action="store_true", help="let the folder's run go on for more steps than it was started with")
    option("--quiet", action="store_true", help="no progress bar")
    train.set_defaults(run=_train)

    sample = commands.add_parser("sample", help="draw pictures from a trained generator")
    sample.add_argument("weights", help="a pretrained name, a run's folder, a .safetensors file or a Hugging Face id")
    sample.add_argument("--n", type=int, default=64, help="how many (default 64)")
    sample.add_argument("--seed", type=int, default=0, help="of the latents: the same seed, the same pictures")
    sample.add_argument("--columns", type=int, default=8, help="of the sheet (default 8)")
    sample.add_argument(
        "--statistics",
        choices=("running", "batch"),
        default="running",
        help="batch norm by running averages (default: a picture depends on its z alone) or by the batch, as released",
    )
    sample.add_argument(
        "--out", type=Path, default=Path("samples.png"), help="a .png sheet, or a folder: a file a picture"
    )
    sample.add_argument("--device", default="auto")
    sample.set_defaults(run=_sample)

    feature = commands.add_parser(
        "features",
        help="a discriminator's features of a labelled set, and a linear SVM on them",
        description="Section 5 of the paper: every convolution of D max-pooled to 4x4, then an L2-SVM whose C is "
        "chosen on a part of the training pictures and which is fitted anew on all of them. The test pictures "
        "are used once, at the end. Finished features in --out are used again.",
        epilog="In --out: train.npy and test.npy (float32 features), labels of both, report.json (accuracy with a "
        "95 % interval, the C tried, per-class figures, confusion matrix).",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    feature.add_argument("weights", help="a pretrained name, a run's folder, a file, a Hugging Face id, or random:ARCH")
    feature.add_argument("--data", required=True, help="a name (see `dcgan data`) or an .npz of yours, with labels")
    feature.add_argument("--out", required=True, type=Path, help="a folder for features and report")
    feature.add_argument("--limit", type=int, help="use only this many training pictures, drawn at random")
    feature.add_argument("--validation", type=float, default=0.2, help="part of the training pictures that chooses C")
    feature.add_argument("--C", type=float, nargs="+", default=[1e-6, 1e-5, 1e-4, 1e-3, 1e-2], help="candidates")
    feature.add_argument("--flip", action="store_true", help="mean over each picture and its mirror image")
    feature.add_argument("--statistics", choices=("calibrated", "running"), default="calibrated", help="of batch norm")
    feature.add_argument(
        "--storage", choices=("auto", "float32", "bfloat16"), default="auto", help="of features in the SVM"
    )
    feature.add_argument("--seed", type=int, default=0, help="of the shuffle, and of random:ARCH")
    feature.add_argument("--device", default="auto")
    feature.set_defaults(run=_features)

    export = commands.add_parser(
        "export",
        help="a generator for a browser (lab) or for any runtime (onnx)",
        description="lab: a folder with a page of sliders that runs the generator in the browser, from a server or "
        "from the disk. onnx: one file, opset 18: latent (N, latent_dim) to images (N, C, H, W) in [-1, 1], any N.",
    )
    export.add_argument("format", choices=("lab", "onnx"))
    export.add_argument("weights", help="a pretrained name, a run's folder, a file or a Hugging Face id")
    export.add_argument("--out", required=True, type=Path, help="a folder (lab) or a file (onnx)")
    export.add_argument("--title", default="A generator in your browser", help="of the lab's page")
    export.set_defaults(run=_export)

    info = commands.add_parser("info", help="an architecture's or a checkpoint's layers, shapes, parameters and origin")
    info.add_argument("name", help="an architecture, a pretrained name, a run's folder, a file or a Hugging Face id")
    info.set_defaults(run=_info)

    data = commands.add_parser("data", help="list the data sets, or load one and say what it holds")
    data.add_argument("name", nargs="?", help="a name, or a folder, .zip or .npz of yours; none: list")
    data.add_argument("--image-size", type=int, help="decode to this size")
    data.add_argument("--split", default="train")
    data.add_argument("--limit", type=int, help="the first so many pictures alone")
    data.add_argument("--preview", type=Path, help="write a sheet of the first 64 pictures here (.png)")
    data.set_defaults(run=_data)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a command; errors that the user can mend are one message on stderr and exit status 2."""
    try:
        args = parser().parse_args(arguments)
    except KeyboardInterrupt:  # PyTorch is still being imported
        return 130
    warnings.showwarning = lambda message, *_, **__: print(f"\nwarning: {message}", file=sys.stderr)
    try:
        args.run(args)
    except KeyboardInterrupt as stop:
        print(f"\n{stop}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `dcgan info x | head` has seen enough
        sys.stderr.close()
        return 0
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        print(f"dcgan {args.command}: {error}", file=sys.stderr)
        return 2
    return 0


def changes(pairs: list[str]) -> dict:
    """['latent_dim=10', 'norm=none'] → fields of Architecture with values of their types.

    Values are JSON where they parse (10, true, [64, 128], null), also with Python's True, False and None.
    """
    from .architecture import Architecture
    from .checks import choose

    out = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        choose(name, {f.name for f in dataclasses.fields(Architecture)}, "architecture field")
        if not equals:
            raise ValueError(f"expected --set FIELD=VALUE, got {pair!r}")
        try:
            value = json.loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
        except json.JSONDecodeError:
            value = None if name in ("dense_units", "strides") and text == "none" else text
        out[name] = tuple(value) if isinstance(value, list) else value
    return out


def _train(args: argparse.Namespace) -> None:
    from . import models, training

    wanted = changes(args.set) | ({} if args.image_size is None else {"image_size": args.image_size})
    if "channels" in wanted:
        raise ValueError("channels follow the data: leave channels out of --set")
    names = {f.name for f in dataclasses.fields(training.TrainConfig)} - {"arch"}
    given = {k: v for k, v in vars(args).items() if k in names}
    if args.steps is None and args.epochs is None:
        given["epochs"] = 25.0
    arch = models.architecture(args.arch, **wanted)
    run = training.train(training.TrainConfig(arch=arch, progress=not args.quiet, **given), extend=args.extend)
    if int(os.environ.get("RANK", "0")):  # of several processes the first one speaks
        return
    if run.stats:
        print(f"{run.out}: {run.stats[-1]['step']} steps, {run.stats[-1]['epoch']:.1f} epochs")
    print(f"weights in {run.out / 'weights.safetensors'}")
    print(f"next: dcgan sample {run.out} --out {run.out / 'sheet.png'}")


def _sample(args: argparse.Namespace) -> None:
    from PIL import Image

    from . import checkpoints, data, models, sheets
    from .device import pick_device

    if args.n < 1:
        raise ValueError(f"--n must be at least 1, got {args.n}")
    generator, _ = checkpoints.load(args.weights, pick_device(args.device))
    if generator is None:
        raise ValueError(f"{args.weights} holds a discriminator alone: there is no generator to sample from")
    images = models.sample(generator, models.sample_latent(args.n, generator.arch, args.seed), args.statistics)
    if args.out.suffix.lower() in Image.registered_extensions():
        args.out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheets.tile(images, max(1, min(args.columns, args.n)))).save(args.out)
    else:
        args.out.mkdir(parents=True, exist_ok=True)
        for i, pixels in enumerate(data.to_uint8(images)):
            Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(args.out / f"{i:06d}.png")
    print(f"{args.n} pictures of {generator.arch.image_size}x{generator.arch.image_size} in {args.out}")


def _export(args: argparse.Namespace) -> None:
    from . import checkpoints, export

    generator, _ = checkpoints.load(args.weights)
    if generator is None:
        raise ValueError(f"{args.weights} holds a discriminator alone: there is no generator to export")
    if args.format == "onnx":
        print(export.onnx(generator, args.out))
        return
    directions, presets = export.known_directions(generator)
    if directions is None:
        print("no named directions are known for this generator: the sliders are its principal axes")
    about = f"{args.weights}: {generator.arch.image_size}×{generator.arch.image_size}, nothing leaves this page."
    print(export.lab(generator, args.out, directions, presets, args.title, about))


def _features(args: argparse.Namespace) -> None:
    import numpy as np
    from sklearn.metrics import classification_report, confusion_matrix

    from . import checkpoints, data, features, models
    from .device import pick_device

    if not 0 < args.validation < 1:
        raise ValueError(f"--validation must be a part between 0 and 1, got {args.validation}")
    device = pick_device(args.device)
    name, _, arch = args.weights.partition(":")
    discriminator = models.build(arch, seed=args.seed)[1] if arch and name == "random" else None
    if discriminator is None:
        discriminator = checkpoints.load(args.weights)[1]
    if discriminator is None:
        raise ValueError(f"{args.weights} holds a generator alone: there is no discriminator to take features of")
    size, channels = discriminator.arch.image_size, discriminator.arch.channels
    train = data.load(args.data, size, channels)
    rng = np.random.default_rng(args.seed)
    order = rng.permutation(len(train))
    held_out = "the test part"
    if _has_test(args.data):
        test = data.load(args.data, size, channels, "test")
    else:
        cut = len(order) // 5
        order, aside = order[cut:], order[:cut]
        test = dataclasses.replace(train, images=train.images[aside], labels=_labels(train)[aside])
        held_out = "a random fifth of the training part"
        print(f"{args.data} has no test part: {held_out} is held out for it")
    order = order[: args.limit]
    sets = {"train": (train.images[order], _labels(train)[order]), "test": (test.images, _labels(test))}

    args.out.mkdir(parents=True, exist_ok=True)
    settings = {k: str(v) for k, v in vars(args).items() if k in ("weights", "limit", "flip", "statistics", "seed")}
    settings |= {"train": train.fingerprint, "test": test.fingerprint, "held_out": held_out}
    settings["digest"] = checkpoints.digest(discriminator)
    made = args.out / "features.json"
    if not made.exists() or json.loads(made.read_text()) != settings:
        made.unlink(missing_ok=True)
        for part, (images, labels) in sets.items():
            features.discriminator_features(
                discriminator.to(device), images, sets["train"][0], args.statistics, args.flip, "auto",
                out=args.out / f"{part}.npy",
            )  # fmt: skip
            np.save(args.out / f"{part}_labels.npy", labels)
        checkpoints.write_bytes(made, json.dumps(settings, indent=1).encode())
    F, F_test = (np.load(args.out / f"{part}.npy", mmap_mode="r") for part in sets)
    y, y_test = (labels for _, labels in sets.values())
    print(f"{len(F):,} training and {len(F_test):,} test pictures, {F.shape[1]:,} features each")

    cut = len(F) - max(1, round(args.validation * len(F)))
    storage = args.storage if args.storage != "auto" else device.pick_precision("auto", device)
    # Apple's GPUs have no float64, which the SVM needs for a moment: the CPU fits there.
    options = {"storage": storage, "device": "cpu" if device.type == "mps" else str(device), "progress": True}
    model, tried = features.choose_C(F[:cut], y[:cut], F[cut:], y[cut:], args.C, **options)
    for C, accuracy in tried.items():
        print(f"  C {C:g}: {accuracy:.2%} of {len(F) - cut:,} validation pictures")
    guess = model.fit(F, y).predict(F_test)
    low, high = features.interval(guess == y_test)
    classes = np.unique(np.concatenate([y, y_test]))
    names = {"target_names": [train.class_names[c] for c in classes]} if train.class_names else {}
    print(classification_report(y_test, guess, digits=3, zero_division=0, labels=classes, **names))
    print(f"test accuracy {(guess == y_test).mean():.2%} (95 % interval {low:.2%} to {high:.2%}), C {model.C:g}")
    report = settings | {
        "validation_part": args.validation,
        "storage": storage,
        "C": model.C,
        "validation": {f"{C:g}": a for C, a in tried.items()},
        "test_accuracy": float((guess == y_test).mean()),
        "interval": [low, high],
        "relative_gradient": float(model.relative_gradient_.max()),
        "report": classification_report(y_test, guess, output_dict=True, zero_division=0),
        "confusion": confusion_matrix(y_test, guess, labels=classes).tolist(),
        "versions": device.versions(),
    }
    checkpoints.write_bytes(args.out / "report.json", json.dumps(report, indent=1).encode())
    print(f"all of it in {args.out / 'report.json'}")


def _has_test(name: str) -> bool:
    """Whether a named set, or an .npz of the user's, has a part 'test'."""
    import zipfile

    from . import data

    if Path(name).suffix.lower() == ".npz":
        with zipfile.ZipFile(name) as z:
            return "x_test.npy" in z.namelist()
    return name in data.CARDS and "test" in data.CARDS[name].splits


def _labels(images):
    if images.labels is None:
        raise ValueError(f"{images.name} ({images.split}) has no labels: features are judged by classifying")
    return images.labels


def _info(args: argparse.Namespace) -> None:
    from . import checkpoints, models
    from .checks import choose

    about = None
    if args.name in models.ARCHITECTURES and args.name not in checkpoints.pretrained():
        networks = models.build(args.name, seed=0)
    else:
        if not Path(args.name).exists() and "/" not in args.name:
            choose(args.name, {*models.ARCHITECTURES, *checkpoints.pretrained()}, "architecture or pretrained model")
        networks = checkpoints.load(args.name)
        about = checkpoints.info(args.name)["about"]
    for name, network in zip(("generator", "discriminator"), networks, strict=True):
        if network is None:
            print(f"{name}: not in this file")
            continue
        print(f"{name}: {models.parameter_count(network):,} trainable parameters")
        for layer, kind, shape, count in models.shapes(network):
            print(f"  {layer:24} {kind:18} {'×'.join(map(str, shape)):>14} {f'{count:,}' if count else '':>12}")
    arch = (networks[0] or networks[1]).arch
    print(f"features of the paper's section 5 (4x4 of every convolution): {arch.feature_count:,}")
    print(json.dumps({"architecture": arch.to_dict()} | ({"about": about} if about else {}), indent=1))


def _data(args: argparse.Namespace) -> None:
    from PIL import Image

    from . import data, sheets

    if args.name is None:
        for name, card in data.CARDS.items():
            print(f"{name:20} {card.title}: {card.size}\n{'':20} licence: {card.licence}\n{'':20} {card.used_for}")
        return
    images = data.load(args.name, image_size=args.image_size, split=args.split, limit=args.limit)
    if images.card:
        print(f"{images.card.title}: {images.card.size}\nlicence: {images.card.licence}\nsource: {images.card.source}")
    print(f"loaded {len(images):,} pictures {images.image_size}x{images.image_size}x{images.channels} ({images.split})")
    print(f"fingerprint (SHA-256 of the pixels): {images.fingerprint}")
    if images.damaged:
        print(f"left out {len(images.damaged)} damaged ones: {', '.join(images.damaged[:20])}")
    if images.class_names:
        names = images.class_names[:12] + ["…"] * (len(images.class_names) > 12)
        print(f"{len(images.class_names)} classes: {', '.join(names)}")
    if args.preview:
        args.preview.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheets.tile(images.images[:64])).save(args.preview)
        print(f"the first ones are in {args.preview}")


if __name__ == "__main__":
    sys.exit(main())
