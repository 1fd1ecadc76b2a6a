"""The command `dcgan`: its options, and the way from a call to an exit status. What the commands do is in `commands`.

Options come from the dataclasses that they fill (`options`). Nothing here imports PyTorch, so `--help` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import textwrap
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from . import commands
from .architecture import ARCHITECTURES, Architecture
from .checks import Choice, Number
from .commands import EPOCHS, plain
from .config import PRECISIONS, TrainConfig
from .options import (
    Mistake,
    Parser,
    add,
    add_field,
    architecture_name,
    field_list,
    fields_of,
    named,
    parse,
    path,
    reader,
    subparsers,
)

EXAMPLES = """\
examples:
  dcgan train --arch tiny32 --data digits --steps 2000 --out runs/first    a first minutes' run, nothing to download
  dcgan train --arch tutorial64 --data my/pictures --epochs 50 --out runs/mine
  dcgan sample faces --n 64 --out faces.png                                our trained faces
  dcgan animate runs/mine --out film.gif                                   how its pictures became what they are
  dcgan features imagenet32 --data cifar10 --out runs/cifar10_features     the paper's section 5 on CIFAR-10
  dcgan dedup my/pictures --out list.csv                                   near duplicates, before you train on them
  dcgan export lab runs/mine --out my_lab                                  sliders for any browser
  dcgan models                                                             the weights that come with the package
  dcgan info paper64                                                       shapes and parameters
  dcgan data                                                               the data sets, with licences
"""
WEIGHTS = "a pretrained name (see `dcgan models`), a run's folder, a .safetensors file, or hf:owner/name from the hub"
DATA = "a name (see `dcgan data`), or a folder, .zip or .npz of yours"
COUNT = Number(int, low=1, high=10**6)
SEED = fields_of(TrainConfig)["seed"].metadata["rule"]


# ---- the parser ------------------------------------------------------------------------------------------------------


def parser() -> Parser:
    """All commands and their options. Nothing here imports PyTorch."""
    top = Parser(
        prog="dcgan",
        description="DCGAN, reproduced: train, sample and look inside.",
        epilog=EXAMPLES + "\n`dcgan COMMAND --help` explains one; `--debug` shows where an error comes from.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the library's version and leave")
    add(top, "--debug", action="store_true", help="show every error with its traceback")
    subs = top.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for options in (
        _train_options,
        _finish_options,
        _sample_options,
        _animate_options,
        _features_options,
        _dedup_options,
        _export_options,
        _models_options,
        _info_options,
        _data_options,
        _completion_options,
    ):
        options(subs)
    return top


class _Version(argparse.Action):
    def __call__(self, parser, *_):
        from . import __version__

        print(f"dcgan_lib {__version__}")
        parser.exit()


def _command(subs, name: str, run, help: str, description: str = "", epilog: str = "", raw: str = "") -> Parser:
    """A command's parser; `raw` ends its --help as it stands."""
    out = subs.add_parser(
        name,
        help=help,
        description=textwrap.fill(description or help[0].upper() + help[1:] + ".", 100),
        epilog=textwrap.fill(epilog, 100) + (f"\n\n{raw}" if raw else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add(out, "--debug", action="store_true", default=argparse.SUPPRESS, help="show every error with its traceback")
    out.set_defaults(run=run)
    return out


def _train_options(subs) -> None:
    train = _command(
        subs,
        "train",
        commands.train,
        "train a DCGAN, or go on where the same call stopped",
        "Train a generator and a discriminator on a data set or on pictures of your own. The same call goes on after "
        "any interruption; on a CPU in float32 with the same bits as if there had been none.",
        "In --out: weights.safetensors (from the first checkpoint on), state.safetensors (the checkpoint), stats.jsonl "
        "(losses, D(x), D(G(z)) …), samples/ (the same latents over time), run.json (settings, fingerprint of the "
        "data). Look at samples/ while it runs: losses do not say whether pictures are good. On several GPUs or "
        "machines: torchrun --nproc-per-node 8 -m dcgan_lib train …",
        f"fields of --set (their defaults are those of --arch, see `dcgan info {TrainConfig.arch}`):\n"
        + field_list(Architecture),
    )
    fields = fields_of(TrainConfig)
    what = train.add_argument_group("what to train")
    add_field(what, fields.pop("data"), names="data")
    add_field(what, fields.pop("out"), type=path("--out"))
    more = f": {', '.join(ARCHITECTURES)}"
    add_field(what, fields.pop("arch"), after=more, type=architecture_name, names="architectures")
    add_field(
        what, fields_of(Architecture)["image_size"], after="; another size than --arch has adds or drops layers",
        default=None,
    )  # fmt: skip
    add(
        what, "--set", action="append", default=[], metavar="FIELD=VALUE",
        help="change a field of the architecture, e.g. latent_dim=10, norm=none, widths=[64,128]; the fields are below",
    )  # fmt: skip
    long = train.add_argument_group("for how long").add_mutually_exclusive_group()
    add_field(long, fields.pop("steps"))
    add_field(long, fields.pop("epochs"), after=f"; {EPOCHS:g} when neither is given (the released faces)")
    how = train.add_argument_group("how")
    for name, field in fields.items():
        flags = {"progress": ["--quiet"]}.get(name, [])
        add_field(how, field, *flags, names={"start": "weights"}.get(name))
    add(how, "--extend", action="store_true", help="let the folder's run go on for more steps than it was started with")
    add(
        how, "--switch", action="store_true",
        help="let it go on in another precision or on another kind of device, which run.json will say",
    )  # fmt: skip


def _finish_options(subs) -> None:
    finish = _command(
        subs,
        "finish",
        commands.finish,
        "end a stopped run where it stands",
        "End a stopped run at its last checkpoint, as if it had been started with that many steps: the weights are "
        "calibrated and marked as finished.",
    )
    add(finish, "folder", type=path("the run"), metavar="RUN", help="the run's folder")
    add(finish, "--quiet", action="store_true", help="without a progress bar")


def _sample_options(subs) -> None:
    sample = _command(subs, "sample", commands.sample, "draw pictures from a trained generator")
    _weights(sample)
    add(sample, "--n", type=reader(COUNT, "--n"), default=64, metavar="N", help="how many pictures (default: 64)")
    add(
        sample, "--seed", type=reader(SEED, "--seed"), default=0, metavar="N",
        help="of the latents: the same seed, the same pictures (default: 0)",
    )  # fmt: skip
    add(
        sample, "--class", dest="label", type=named("--class"), metavar="CLASS",
        help="of a conditional generator: this class only, by its number or, where the weights know it, its name; all "
        "in turn unless given",
    )  # fmt: skip
    add(sample, "--columns", type=reader(COUNT, "--columns"), default=8, metavar="N", help="of the sheet (default: 8)")
    _choice(
        sample, "--statistics", ("running", "batch"), "running",
        "batch norm by running averages, where a picture depends only on its z, or by the batch, as released",
    )  # fmt: skip
    add(
        sample, "--out", type=path("--out"), default=Path("samples.png"),
        help="a sheet (.png, .jpg, .webp …), or a folder: a file a picture (default: samples.png)",
    )  # fmt: skip
    _device(sample)


def _animate_options(subs) -> None:
    animate = _command(
        subs,
        "animate",
        commands.animate,
        "a film of a run's pictures, or of a walk through latent space",
        "Of a run's folder: the pictures of the same latents while it trained. Of anything else, or with --walk: "
        "pictures whose latents walk from point to point and back to the first.",
    )
    _weights(animate)
    add(animate, "--out", type=path("--out"), required=True, help="a .gif, or an .mp4, which needs ffmpeg")
    add(animate, "--walk", action="store_true", help="a latent walk, also of a run's folder")
    count, kinds = Number(int, low=1, high=10_000), ("spherical", "linear")
    for flag, rule, default, help in (
        ("--columns", count, None, "of a frame; 8 for a run, a square for a walk"),
        ("--milliseconds", Number(int, low=20, high=10_000), 120, "that a frame stays (default: 120)"),
    ):
        add(animate, flag, type=reader(rule, flag), default=default, metavar="N", help=help)
    walk = animate.add_argument_group("of a walk")  # None unless given: a run's pictures have none of them
    for name, rule, help in (
        ("n", count, "pictures that walk at the same time"),
        ("points", count, "latents that each of them visits"),
        ("steps", count, "frames from one to the next"),
        ("kind", Choice(kinds), "of the way between two latents"),
        ("seed", SEED, "of the latents"),
    ):
        form = {"choices": kinds} if name == "kind" else {"metavar": "N"}
        said = f"{help} (default: {commands.WALK[name]})"
        add(walk, f"--{name}", type=reader(rule, f"--{name}"), help=said, **form)


def _features_options(subs) -> None:
    features = _command(
        subs,
        "features",
        commands.features,
        "a discriminator's features of a labelled set, and a linear SVM on them",
        "Section 5 of the paper: every convolution of D max-pooled to 4x4, then an L2-SVM whose C is chosen on a part "
        "of the training pictures and which is fitted anew on all of them. The test pictures are used once, at the "
        "end. Finished features in --out are used again.",
        "In --out: train.npy and test.npy (float32 features), labels of both, report.json (accuracy with a 95 % "
        "interval, the C tried, figures by class, confusion matrix).",
    )
    _weights(features, "; or random:ARCH, an untrained network to compare with")
    add(features, "--data", required=True, type=named("--data"), names="data", help=f"{DATA}, with labels")
    add(features, "--out", required=True, type=path("--out"), help="a folder for features and report")
    add(
        features, "--limit", type=reader(Number(int, low=2), "--limit"), metavar="N",
        help="use only this many training pictures, drawn at random",
    )  # fmt: skip
    add(
        features, "--validation", type=reader(Number(above=0, below=1), "--validation"), default=0.2, metavar="X",
        help="part of the training pictures that chooses C (default: 0.2)",
    )  # fmt: skip
    add(
        features, "--C", type=reader(Number(above=0, high=1e9), "--C"), nargs="+", metavar="X",
        default=[1e-6, 1e-5, 1e-4, 1e-3, 1e-2],
        help="candidates (default: 1e-6 1e-5 1e-4 1e-3 1e-2); beyond the largest, three times as large each while that "
        "is the best",
    )  # fmt: skip
    add(features, "--flip", action="store_true", help="mean over each picture and its mirror image")
    _choice(
        features, "--statistics", ("calibrated", "running"), "calibrated",
        "batch norm by the training pictures' means, or by the averages that the discriminator holds",
    )  # fmt: skip
    _choice(features, "--precision", PRECISIONS, "auto", "of the convolutions; auto: bfloat16 where it is faster")
    _choice(features, "--storage", PRECISIONS, "auto", "of the features in the SVM; auto: bfloat16 where it is faster")
    add(
        features, "--seed", type=reader(SEED, "--seed"), default=0, metavar="N",
        help="of the shuffle, of what is drawn, and of random:ARCH (default: 0)",
    )  # fmt: skip
    _device(features)
    _json(features, "the report")


def _dedup_options(subs) -> None:
    dedup = _command(
        subs,
        "dedup",
        commands.dedup,
        "list near duplicates among pictures; nothing is deleted",
        "Section 4.1.1 of the paper: an autoencoder learns to redraw 32x32 centre crops, and which of the 128 units of "
        "its code are on is a picture's hash. The paper takes pictures of equal hash for duplicates. Here hashes may "
        "differ in --radius bits, and pairs must also be near in their details (--tolerance). However many "
        "pairs there are, time and memory stay linear in the number of pictures.",
        "In --out: a line a pair, with its cluster (pictures that hang together by pairs), both files' names (indices "
        "where there are none: an .npz), the bits in which the hashes differ, and the distance (0: equal; unrelated "
        "pictures: about 1.4).",
    )
    dedup.tail = _what_dedup_finds
    add(dedup, "data", type=named("data"), names="data", help=DATA)
    add(dedup, "--out", required=True, type=path("--out"), help="the list, a .csv")
    add(
        dedup, "--radius", type=reader(Number(int, low=0, high=15), "--radius"), default=7, metavar="N",
        help="bits of 128 in which two hashes may differ (default: 7; the paper: 0)",
    )  # fmt: skip
    add(
        dedup, "--tolerance", type=reader(Number(low=0, high=100), "--tolerance"), default=0.5, metavar="X",
        help="largest distance of a pair (default: 0.5); with 100 hashes alone decide, as in the paper",
    )  # fmt: skip
    add(dedup, "--mirrored", action="store_true", help="take a picture and its mirror image for duplicates, too")
    add(
        dedup, "--steps", type=reader(Number(int, low=1, high=10**7), "--steps"), default=2_000, metavar="N",
        help="minibatches of 128 that the autoencoder learns from (default: 2000)",
    )  # fmt: skip
    add(
        dedup, "--seed", type=reader(SEED, "--seed"), default=0, metavar="N",
        help="of the autoencoder (default: 0)",
    )  # fmt: skip
    _device(dedup)
    add(dedup, "--quiet", action="store_true", help="without progress bars")


def _what_dedup_finds() -> str:
    """What results/near_duplicates.json says, read without PyTorch (which `results` needs); "" where it says less."""
    try:
        return _found_of_copies()
    except (KeyError, IndexError):  # a file of another version must not stop every command
        return ""


def _found_of_copies() -> str:
    here = Path(__file__).parent
    places = (folder / "near_duplicates.json" for folder in (here / "_results", here.parent / "results"))
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        return ""
    measured = json.loads(file.read_text())["measured"]
    methods = {
        "as it is": "code, up to 7 bits, compared",
        "with --mirrored": "mirrored code, up to 7 bits, compared",
        "with --radius 0 --tolerance 100": "code, equal (the paper)",
    }
    lines = [
        f"what it finds of {measured['planted']:,} copies of each kind among {measured['pictures']:,} pictures of Tiny "
        "ImageNet:"
    ]
    for how, method in methods.items():
        shares = {kind: row["recall"] for kind, row in measured["methods"][method]["planted"].items()}
        lines.append(f"  {how}:\n    " + ", ".join(f"{kind} {share:.1%}" for kind, share in shares.items()))
    eye = measured["methods"][methods["as it is"]]["real"]["by_eye"]
    largest = measured["cost"]["sizes"][-1]
    times = 1e6 / largest["pictures"]
    linear = measured["cost"]["fit_cpu_seconds"] + times * largest["cpu_seconds"]["encode"]
    # Pairs of alike hashes grow with the square until the window of `candidates` is full.
    least, most = (linear + power * largest["cpu_seconds"]["compare_7"] for power in (times, times**2))
    lines += [
        "  (resized to 60 to 90 % and back; JPEG of quality 40 to 90; shifted by 1 or 2 of 32 parts; up to a fifth",
        "  brighter or darker)",
        f"false: {round(eye['false'] * eye['labelled'])} of the {eye['labelled']} pairs of real pictures, by eye; "
        "turned, cut and retouched copies were not tried",
        f"a million pictures: from {largest['pictures']:,} measured ones, {least / 60:.0f} to {most / 60:.0f} minutes "
        "on one CPU core, and once the time to decode them",
    ]
    return "\n".join(lines)


def _export_options(subs) -> None:
    export = _command(
        subs,
        "export",
        commands.export,
        "a generator for a browser (lab) or for any runtime (onnx)",
        "lab: a folder with a page of sliders that runs the generator in the browser, from a server or from the disk. "
        "onnx: one file, opset 18: latent (N, latent_dim) to images (N, C, H, W) in [-1, 1], any N.",
    )
    formats = ("lab", "onnx")
    add(export, "format", choices=formats, type=reader(Choice(formats), "format"), help="lab or onnx")
    _weights(export)
    add(export, "--out", required=True, type=path("--out"), help="a folder (lab) or a file (onnx)")
    add(
        export, "--also", nargs="+", default=[], type=named("--also"), names="weights", metavar="WEIGHTS",
        help="more generators for the lab, which a reader loads by choosing them",
    )  # fmt: skip
    add(export, "--title", help="of the lab's page")
    add(
        export, "--first", type=reader(Number(int, low=0, high=999_999), "--first"), metavar="N",
        help="number of the picture that the lab opens with, 0 to 999999 (default: 7)",
    )  # fmt: skip


def _models_options(subs) -> None:
    models = _command(
        subs, "models", commands.models, "the weights that come with the package: what they hold and were trained on"
    )
    _json(models, "the list")


def _info_options(subs) -> None:
    info = _command(
        subs, "info", commands.info, "layers, shapes, parameters and origin of an architecture or of weights"
    )
    add(info, "name", type=named("name"), names="anything", help=f"an architecture, {WEIGHTS}")
    _json(info, "all of it")


def _data_options(subs) -> None:
    data = _command(subs, "data", commands.data, "list the data sets, or load one and say what it holds")
    add(data, "name", nargs="?", type=named("name"), names="data", help=f"{DATA}; none: list the sets that have names")
    size, limit = fields_of(Architecture)["image_size"], fields_of(TrainConfig)["limit"].metadata["rule"]
    add_field(
        data,
        size,
        after="; the set's own unless given",
        default=None,
        type=reader(Number(int, 1, 4096), "--image-size"),
    )
    add(data, "--split", type=named("--split"), help="the set's part (default: train)")
    add(data, "--limit", type=reader(limit, "--limit"), metavar="N", help="only this many pictures, drawn at random")
    add(data, "--seed", type=reader(SEED, "--seed"), metavar="N", help="of what --limit draws (default: 0)")
    add(data, "--preview", type=path("--preview"), help="write a sheet of the first 64 pictures here (.png)")
    add(
        data, "--verify", action="store_true",
        help="read all pixels and compare them with their SHA-256; loading looks at a few",
    )  # fmt: skip
    _json(data, "what it says")


def _completion_options(subs) -> None:
    completion = _command(
        subs,
        "completion",
        _completion,
        "print a script that completes commands and options in a shell",
        "The script's first lines say where it goes. To try it in bash: source <(dcgan completion bash)",
    )
    shells = ("bash", "zsh", "fish")
    add(completion, "shell", choices=shells, type=reader(Choice(shells), "shell"), help="bash, zsh or fish")


def _completion(args: argparse.Namespace) -> None:
    from . import completion
    from .data.cards import CARDS

    weights = sorted(file.stem for file in (Path(__file__).parent / "weights").glob("*.safetensors"))
    names = {"architectures": [*ARCHITECTURES], "weights": weights, "data": [*CARDS]}
    print(completion.script(args.shell, parser(), names | {"anything": [*ARCHITECTURES, *weights]}), end="")


def _weights(command, after: str = "") -> None:
    add(command, "weights", type=named("weights"), names="weights", help=WEIGHTS + after)


def _choice(command, flag: str, known: tuple[str, ...], default: str, help: str) -> None:
    rule = reader(Choice(known), flag)
    add(command, flag, choices=known, type=rule, default=default, help=f"{help} (default: {default})")


def _device(command) -> None:
    field = fields_of(TrainConfig)["device"]
    add_field(command, field, default=field.default)


def _json(command, what: str) -> None:
    add(command, "--json", action="store_true", help=f"print {what} as JSON")


# ---- from the call to the exit status --------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Run a command; errors that the user can mend are one message on stderr and exit status 2.

    Others keep their traceback, as all do with --debug.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file's name may hold what the terminal's alphabet lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings(), heard_while_importing():
            warnings.showwarning = lambda message, *_, **__: print(f"\nwarning: {plain(message)}", file=sys.stderr)
            args = parse(parser(), arguments)
            args.run(args)
            sys.stdout.flush()
    except KeyboardInterrupt as stop:
        print(f"\n{plain(stop) or 'stopped'}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `dcgan info x | head` has seen enough
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor does Python's end find it broken
        return 0
    except Exception as error:
        if "--debug" in arguments or not can_be_mended(error):
            raise
        command = next((f" {a}" for a in arguments[:1] if a in subparsers(parser())), "")
        print(f"dcgan{command}: {plain(words(error))}", file=sys.stderr)
        return 2
    return 0


@contextlib.contextmanager
def heard_while_importing() -> Iterator[None]:
    """Ctrl-C ends the process at once while PyTorch is imported, whose own code may swallow a KeyboardInterrupt.

    Nothing has been written by then. At any other time it is the usual exception.
    """

    def stop(*_) -> None:
        ours = [
            module for name, module in list(sys.modules.items()) if name.partition(".")[0] in ("dcgan_lib", "torch")
        ]
        if any(getattr(getattr(module, "__spec__", None), "_initializing", False) for module in ours):
            print("\nstopped", file=sys.stderr, flush=True)
            os._exit(130)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread may catch signals
        yield
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def can_be_mended(error: Exception) -> bool:
    """Whether the user can do something about it: the call, a file, the disk, the memory, a missing extra."""
    if isinstance(error, ImportError):
        return "pip install" in str(error)
    kinds = [Mistake, ValueError, OSError, MemoryError]
    for module, name in (
        ("dcgan_lib.data", "NotAvailable"),
        ("dcgan_lib.training", "TrainingDiverged"),
        ("dcgan_lib.distributed", "PeerFailed"),
    ):
        if module in sys.modules:  # what is not imported was not raised
            kinds.append(getattr(sys.modules[module], name))
    return isinstance(error, tuple(kinds)) or out_of_memory(error)


def out_of_memory(error: Exception) -> bool:
    """PyTorch has a class for a GPU's memory and only words for the processor's."""
    text = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )


def words(error: Exception) -> str:
    """An error's message, each line shortened; of the machine's own errors without their number."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror + (f": {error.filename}" if error.filename is not None else "")
    if out_of_memory(error):
        text = f"out of memory ({text.splitlines()[0] if text else 'no more to be had'}). Take a smaller --batch-size, "
        text += "--limit, --n or --image-size, or end other programs"
    lines = (text or type(error).__name__).split("\n")  # splitlines would also drop what plain() shows
    return "\n".join(line if len(line) <= 800 else f"{line[:798]} …" for line in lines)
