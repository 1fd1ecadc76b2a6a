"""What each command of `dcgan` does: read the call, refuse early, call the room whose business it is, and tell.

Modules that need PyTorch are imported by the command that needs them, after what can be refused without them.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from .architecture import ARCHITECTURES, Architecture, architecture
from .checks import choose, shortened
from .config import TrainConfig
from .options import changes, fields_of

EPOCHS = 25.0  # of the released faces, where neither steps nor epochs are given
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
WALK = {"n": 16, "points": 4, "steps": 12, "kind": "spherical", "seed": 0}  # of `animate`, unless given
LAB = {"title": "A generator in your browser", "first": 7}  # of `export lab`, unless given


def plain(text) -> str:
    """Text with what a terminal would obey (escapes, bells, returns) as backslashes."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(text))


def say(text) -> None:
    """Print what may hold names from files."""
    print(plain(text))


def train(args: argparse.Namespace) -> None:
    wanted = changes(args.set)
    if args.image_size is not None:
        if "image_size" in wanted:
            raise ValueError("image_size is given twice: by --image-size and by --set")
        wanted["image_size"] = args.image_size
    if "channels" in wanted:
        raise ValueError("channels follow the data: leave channels out of --set")
    given = {name: value for name, value in vars(args).items() if name in fields_of(TrainConfig)}
    if "steps" not in given and "epochs" not in given:
        given["epochs"] = EPOCHS
    arch = architecture(given.pop("arch", TrainConfig.arch), **wanted)
    config = TrainConfig(arch=arch, **given)
    _folder_to_write(args.out, "--out")

    from . import training

    _trained(training.train(config, extend=args.extend, switch=args.switch))


def finish(args: argparse.Namespace) -> None:
    from . import training

    _trained(training.finish(args.folder, progress=not args.quiet))


def _trained(run) -> None:
    if int(os.environ.get("RANK", "0")):  # of several processes the first one speaks
        return
    from . import checkpoints

    # Not from the last line of statistics, which may be of an earlier step.
    about = checkpoints.info(run.out / checkpoints.FILE)["about"]
    epochs = about["step"] * about["config"]["batch_size"] / about["pictures"]["images"]
    say(f"{run.out}: {about['step']} steps, {epochs:.1f} epochs")
    say(f"weights in {run.out / 'weights.safetensors'}")
    say(f"next: dcgan sample {shlex.quote(str(run.out))} --out {shlex.quote(str(run.out / 'sheet.png'))}")


def sample(args: argparse.Namespace) -> None:
    sheet = _is_sheet(args.out)
    (_file_to_write if sheet else _folder_to_write)(args.out, "--out")
    there = {file.name for file in args.out.iterdir()} if args.out.is_dir() else set()
    if taken := [name for name in map(_single, range(args.n)) if name in there]:
        raise ValueError(
            f"{args.out / taken[0]} is there already{f', and {len(taken) - 1:,} more' * (len(taken) > 1)}: no picture "
            "is replaced, name another folder"
        )

    from . import data, models, sheets

    generator = _generator(args.weights, "sample from", args.device)
    latent = models.sample_latent(args.n, generator.arch, args.seed)
    images = models.sample(generator, latent, args.statistics, labels=_labels(args, generator.arch))
    others = ""
    if sheet:
        sheets.save(args.out, sheets.tile(images, min(args.columns, args.n)))
    else:
        for i, pixels in enumerate(data.to_uint8(images)):
            sheets.save(args.out / _single(i), pixels)
        if more := sum(file.suffix.lower() in PICTURES for file in args.out.iterdir()) - args.n:
            others = f", beside {more:,} that were there"
    side = generator.arch.image_size
    say(f"{args.n:,} picture{'s' * (args.n > 1)} of {side}x{side} written to {args.out}{others}")


def _single(i: int) -> str:
    """The file of picture i where each has its own."""
    return f"{i:06d}.png"


def _given(args: argparse.Namespace, names: Iterable[str]) -> dict:
    """Those of the options that the call names, of options without a default: {name: value}."""
    values = {name: getattr(args, name) for name in names}
    return {name: value for name, value in values.items() if value is not None and value is not False and value != []}


def _labels(args: argparse.Namespace, arch: Architecture):
    """Of a conditional generator: --class for all pictures, or the classes in turn. None for any other."""
    import torch

    if args.label is None:
        return torch.arange(args.n) % arch.classes if arch.classes else None
    names = _class_names(args.weights, arch)
    number = int(args.label) if args.label.isdecimal() and len(args.label) < 10 else arch.classes
    if number >= arch.classes and args.label in names:
        number = names.index(args.label)
    if number >= arch.classes:
        named = f" ({', '.join(names[:12])}{' …' * (len(names) > 12)})" if names else ""
        there = f"has the classes 0 to {arch.classes - 1}{named}" if arch.classes else "was trained without classes"
        raise ValueError(f"--class {args.label}: {args.weights} {there}")
    return torch.full((args.n,), number)


def _class_names(weights: str, arch: Architecture) -> list[str]:
    """What the classes were called where the file says so; none for a generator that is told no class."""
    from . import checkpoints

    names = checkpoints.info(weights)["about"].get("class_names")
    return list(map(str, names))[: arch.classes] if isinstance(names, list) else []


def _is_sheet(out: Path) -> bool:
    """Whether a path is a sheet's, not a folder's. Raises ValueError for the suffix of another kind of file."""
    suffix = out.suffix.lower()
    if suffix in PICTURES:
        return True
    if suffix[1:].isalpha() and not out.is_dir():
        raise ValueError(
            f"--out must be a sheet (.png, .jpg, .webp, .gif, .tif) or a folder, got {shortened(str(out))}"
        )
    return False


def animate(args: argparse.Namespace) -> None:
    from . import sheets

    sheets.check_film(args.out)
    _file_to_write(args.out, "--out")
    run = Path(args.weights).expanduser()
    given = _given(args, WALK)
    if not args.walk and (run / "run.json").is_file():
        if given:
            raise ValueError(f"--{next(iter(given))} is for a walk; a run's folder is shown as it trained: add --walk")
        frames, generator, last = sheets.run_frames(run), None, 8
        columns = args.columns or sheets.run_columns(run)
    else:
        generator = _generator(args.weights, "walk with", "auto")
        given = WALK | given
        frames = walk(generator.arch, given["n"], given["points"], given["steps"], given["kind"], given["seed"])
        columns, last = args.columns or round(given["n"] ** 0.5), 1  # the last frame leads to the first: no halt
    say(sheets.animation(frames, args.out, generator, columns, args.milliseconds, last=last))


def walk(arch: Architecture, pictures: int, points: int, steps: int, kind: str, seed: int):
    """Latents (points * steps, pictures, latent_dim): each picture walks through `points` of its own and back.

    `steps` frames lead from a point to the next; the last frame is the one before the first, so that a loop goes on.
    """
    import torch

    from . import latent, models

    corners = models.sample_latent(pictures * points, arch, seed).view(pictures, points, -1)
    return torch.stack([latent.interpolate(torch.cat([z, z[:1]]), steps + 1, kind)[:-1] for z in corners], 1)


def _generator(weights: str, purpose: str, device: str):
    from . import checkpoints
    from .device import pick_device

    generator, _ = checkpoints.load(weights, pick_device(device))
    if generator is None:
        raise ValueError(f"{weights} holds only a discriminator: there is no generator to {purpose}")
    return generator


def export(args: argparse.Namespace) -> None:
    if args.format == "lab" and args.out.suffix.lower() in (".html", ".htm", ".js"):
        raise ValueError(
            f"--out must be a folder, in which the lab's index.html will lie, got {shortened(str(args.out))}"
        )
    given = _given(args, LAB)
    if args.format == "onnx" and (of_lab := [*given, *_given(args, ["also"])]):
        raise ValueError(f"--{of_lab[0]} is for the lab: an ONNX file holds one generator and no page")
    (_file_to_write if args.format == "onnx" else _folder_to_write)(args.out, "--out")
    if args.format == "onnx" and args.out.suffix.lower() != ".onnx":  # above all no weights, which it would replace
        raise ValueError(f"--out must be an .onnx, got {shortened(str(args.out))}")

    from . import export

    if args.format == "lab":
        export.check_lab(args.out)

    generator = _generator(args.weights, "export", "cpu")
    if args.format == "onnx":
        say(export.onnx(generator, args.out))
        return
    places = map(os.path.abspath, (args.weights, *args.also))  # "." has a name, too
    name, *more = map(_named, map(Path, places))
    if len({name, *more}) <= len(more):
        raise ValueError(f"two generators have the same name, by which a reader chooses: {', '.join([name, *more])}")
    also = {label: _generator(weights, "export", "cpu") for label, weights in zip(more, args.also, strict=True)}
    shown = zip([name, *more], [args.weights, *args.also], [generator, *also.values()], strict=True)
    class_names = {label: _class_names(weights, network.arch) for label, weights, network in shown}
    directions, presets = export.known_directions(generator)
    if directions is None:
        say("no named directions are known for this generator: the sliders are its principal axes")
    about = f"{plain(args.weights)}: {generator.arch.image_size}×{generator.arch.image_size}, nothing leaves this page."
    settings = {"about": about, "name": name, "also": also, "class_names": class_names} | LAB | given
    say(export.lab(generator, args.out, directions, presets, **settings))


def _named(place: Path) -> str:
    """What the lab calls weights: the file's name, or the run's folder, whose file has the name of all."""
    return place.parent.name if place.name == "weights.safetensors" else place.name.removesuffix(".safetensors")


def features(args: argparse.Namespace) -> None:
    _folder_to_write(args.out, "--out")

    from . import features
    from .device import pick_device

    discriminator = _discriminator(args).to(pick_device(args.device))
    train, test, held_out = _parts(args, discriminator.arch)
    told = sys.stderr if args.json else sys.stdout
    print(plain(f"{len(train):,} training and {len(test):,} test pictures ({held_out})"), file=told)
    about = {
        "weights": args.weights,
        "train": {"name": train.name, "images": len(train), "fingerprint": train.fingerprint},
        "test": {"images": len(test), "fingerprint": test.fingerprint, "from": held_out},
        "statistics": args.statistics,
    }
    found = features.evaluate(
        discriminator, train, test, validation=args.validation, candidates=args.C, flip=args.flip,
        statistics=args.statistics, precision=args.precision, seed=args.seed, storage=args.storage, out=args.out,
        about=about,
    )  # fmt: skip
    if args.json:
        say((args.out / "report.json").read_text())
        return
    for C, accuracy in found["validation"].items():
        say(f"  C {C}: {accuracy:.2%} of {found.validation_size:,} validation pictures")
    say(_by_class(found, train.class_names))
    low, high = found["interval"]
    accuracy = f"test accuracy {found['test_accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%})"
    say(f"{accuracy}, C {found['C']:g}, {found['features']:,} features each")
    say(f"all of it in {args.out / 'report.json'}")


def _discriminator(args: argparse.Namespace):
    from . import checkpoints, models

    name, _, arch = args.weights.partition(":")
    if name == "random":
        return models.build(choose(arch, ARCHITECTURES, "architecture"), seed=args.seed)[1]
    discriminator = checkpoints.load(args.weights)[1]
    if discriminator is None:
        raise ValueError(f"{args.weights} holds only a generator: there is no discriminator to take features of")
    return discriminator


def _parts(args: argparse.Namespace, arch: Architecture) -> tuple:
    """Training and test pictures, and where the test ones are from."""
    import numpy as np

    from . import data

    train = data.load(args.data, arch.image_size, arch.channels)
    if train.labels is None:
        raise ValueError(
            f"{train.name} ({train.split}) has no labels: features are judged by classifying; take a labelled "
            "set, or a folder with a subfolder a class and no picture beside these"
        )
    if _has_test(args.data):
        test, held_out = data.load(args.data, arch.image_size, arch.channels, "test"), "the test part"
    else:
        order, cut = np.random.default_rng(args.seed).permutation(len(train)), len(train) // 5
        test, train = train.select(order[:cut]), train.select(order[cut:])
        held_out = "a random fifth of the training part, since there is no test part"
    return train if args.limit is None else train.take(args.limit, args.seed), test, held_out


def _has_test(name: str) -> bool:
    """Whether a named set, or an .npz of the user's, has a part 'test'."""
    import zipfile

    from . import data

    if Path(name).suffix.lower() == ".npz":
        with zipfile.ZipFile(Path(name).expanduser()) as z:
            return "x_test.npy" in z.namelist()
    return name in data.CARDS and "test" in data.CARDS[name].splits


def _by_class(found, class_names: list[str] | None) -> str:
    import numpy as np
    from sklearn.metrics import classification_report

    classes = np.union1d(found.train[1], found.test[1])
    names = {"target_names": [class_names[c] for c in classes]} if class_names else {}
    return classification_report(found.test[1], found.predictions, digits=3, zero_division=0, labels=classes, **names)


def dedup(args: argparse.Namespace) -> None:
    if args.out.suffix.lower() != ".csv":  # above all no .zip, .npz or picture, which may be the reader's own
        raise ValueError(f"--out must be a .csv, got {shortened(str(args.out))}")
    _file_to_write(args.out, "--out")

    from . import data, deduplication
    from .device import pick_device

    images = data.load(args.data, deduplication.SIZE)
    if len(images) < 2:
        raise ValueError(f"{args.data} holds one picture: near duplicates are looked for among at least 2 pictures")
    found = deduplication.find_duplicates(
        images, radius=args.radius, tolerance=args.tolerance, mirrored=args.mirrored, steps=args.steps, seed=args.seed,
        device=pick_device(args.device), progress=not args.quiet,
    )  # fmt: skip
    deduplication.write_csv(found, args.out, images.files)
    clusters = int(found.clusters.max(initial=-1)) + 1
    say(f"{len(images):,} pictures: {len(found.pairs):,} pairs of near duplicates in {clusters:,} clusters")
    say(f"one picture of each cluster kept, {len(found.redundant):,} could go; nothing was deleted")
    say(f"the list is {args.out}; look at pairs of a large distance before you believe them")


def models(args: argparse.Namespace) -> None:
    from . import checkpoints

    rows = []
    for name, file in checkpoints.pretrained().items():
        generator, discriminator = checkpoints.load(file)  # not by name: a folder here may have that one
        header = checkpoints.info(file)
        about = header["about"]
        arch, changed = described(Architecture.from_dict(header["architecture"]))
        rows.append(
            {
                "name": name,
                "holds": [kind for kind, network in (("G", generator), ("D", discriminator)) if network is not None],
                "architecture": arch,
                "changed": changed,
                "trained_on": checkpoints.trained_on(about),
                "pictures": about.get("pictures", {}).get("images"),
                "steps": about.get("step"),
                "bytes": file.stat().st_size,
                "results": about.get("result"),
            }
        )
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        changed = "".join(f", {k} {v}" for k, v in row["changed"].items())
        held = f"{' and '.join(row['holds'])}, {row['bytes'] / 1e6:.1f} MB"
        say(f"{row['name']:20} {held}: {row['architecture']}{changed}")
        if row["trained_on"]:
            say(f"{'':20} trained on {row['pictures']:,} pictures of {row['trained_on']}, {row['steps']:,} steps")
        if row["results"]:
            say(f"{'':20} measured in {row['results']}")


def described(arch: Architecture) -> tuple[str, dict]:
    """The nearest of ARCHITECTURES and the fields in which this one differs from it."""
    differ = {name: arch.differences(known) for name, known in ARCHITECTURES.items()}
    return min(differ.items(), key=lambda item: len(item[1]))


def info(args: argparse.Namespace) -> None:
    from . import checkpoints, models

    about = None
    path = Path(args.name).expanduser()
    weights = path.is_file() or (path / checkpoints.FILE).is_file()  # they come before a name, as in checkpoints.locate
    if args.name in ARCHITECTURES and args.name not in checkpoints.pretrained() and not weights:
        networks = models.build(args.name, seed=0)
    else:
        if not path.exists() and "/" not in args.name and ":" not in args.name:
            choose(args.name, {*ARCHITECTURES, *checkpoints.pretrained()}, "architecture or pretrained model")
        networks = checkpoints.load(args.name)
        about = checkpoints.info(args.name)["about"]
    arch = next(network for network in networks if network is not None).arch
    found = {}
    for name, network in zip(("generator", "discriminator"), networks, strict=True):
        if network is None:
            found[name] = None
            continue
        layers = [
            dict(zip(("name", "kind", "shape", "parameters"), row, strict=True)) for row in models.shapes(network)
        ]
        found[name] = {"parameters": models.parameter_count(network), "layers": layers}
    origin = {"architecture": arch.to_dict()} | ({"about": about} if about else {})
    if args.json:
        print(json.dumps(found | {"features": arch.feature_count} | origin, indent=1))
        return
    for name, network in found.items():
        if network is None:
            print(f"{name}: not in this file")
            continue
        print(f"{name}: {network['parameters']:,} trainable parameters")
        for layer in network["layers"]:
            shape, count = "×".join(map(str, layer["shape"])), layer["parameters"]
            print(f"  {layer['name']:24} {layer['kind']:18} {shape:>14} {f'{count:,}' if count else '':>12}")
    print(f"features of the paper's section 5 (4x4 of every convolution): {arch.feature_count:,}")
    print(json.dumps(origin, indent=1))


def data(args: argparse.Namespace) -> None:
    from . import data, sheets

    if args.name is None:
        if given := _given(args, ("image_size", "split", "limit", "seed", "preview", "verify")):
            name = next(iter(given)).replace("_", "-")
            raise ValueError(f"--{name} needs a data set: its name (see `dcgan data`) or a path")
        if args.json:
            print(json.dumps({name: asdict(card) for name, card in data.CARDS.items()}, indent=1))
            return
        for name, card in data.CARDS.items():
            print(f"{name:20} {card.title}: {card.size}\n{'':20} licence: {card.licence}\n{'':20} {card.used_for}")
        return
    if args.seed is not None and args.limit is None:
        raise ValueError("--seed draws the pictures of --limit: give that, too")
    if args.preview:
        _preview(args.preview, args.name)
    images = data.load(args.name, args.image_size, split=args.split or "train")
    if args.verify:
        data.verify(images)
    if args.limit is not None:
        images = images.take(args.limit, args.seed or 0)
    if args.json:
        print(json.dumps(_said_of(images) | ({"verified": True} if args.verify else {}), indent=1))
    else:
        say("\n".join(_lines_of(images)))
        if args.verify:
            say("verified: all pixels are those of the fingerprint")
    if args.preview:
        sheets.save(args.preview, sheets.tile(images.images[:64]))
        if not args.json:
            say(f"the first ones are in {args.preview}")


def _preview(preview: Path, name: str) -> None:
    if preview.suffix.lower() not in PICTURES:
        raise ValueError(f"--preview must be a picture ({', '.join(PICTURES)}), got {shortened(str(preview))}")
    _file_to_write(preview, "--preview")
    folder = Path(name).expanduser()
    if folder.is_dir() and preview.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"--preview {preview} lies among the pictures of {folder}, of which it would become one")


def _said_of(images) -> dict:
    card = images.card
    return {
        "name": images.name,
        "split": images.split,
        "images": len(images),
        "image_size": images.image_size,
        "channels": images.channels,
        "fingerprint": images.fingerprint,
        "damaged": list(images.damaged),
        "class_names": images.class_names,
        "attribute_names": images.attribute_names,
        "card": None if card is None else {k: getattr(card, k) for k in ("title", "size", "licence", "source")},
    }


def _lines_of(images) -> Iterator[str]:
    if images.card:
        yield f"{images.card.title}: {images.card.size}"
        yield f"licence: {images.card.licence}"
        yield f"source: {images.card.source}"
    yield f"loaded {len(images):,} pictures {images.image_size}x{images.image_size}x{images.channels} ({images.split})"
    yield f"fingerprint (SHA-256 of the pixels): {images.fingerprint}"
    if images.damaged:
        yield f"left out {len(images.damaged)} damaged ones: {', '.join(images.damaged[:20])}"
    if images.class_names:
        names = images.class_names[:12] + ["…"] * (len(images.class_names) > 12)
        yield f"{len(images.class_names)} classes: {', '.join(names)}"


def _folder_to_write(folder: Path, option: str) -> None:
    """Raises ValueError or OSError before anything is computed for a folder that can be none."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{option} must be a folder, {folder} is a file")
    _parent_to_write(folder, option)


def _file_to_write(file: Path, option: str) -> None:
    if file.is_dir():
        raise ValueError(f"{option} must be a file, {file} is a folder")
    _parent_to_write(file, option)


def _parent_to_write(place: Path, option: str) -> None:
    parents = [place, *place.absolute().parents] if place.is_dir() else [*place.absolute().parents]
    nearest = next(parent for parent in parents if os.path.lexists(parent))
    if not nearest.is_dir():
        raise ValueError(f"{option} {shortened(str(place))}: {nearest} is a file, no folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(f"{option} {shortened(str(place))}: no permission to write in {nearest}")
