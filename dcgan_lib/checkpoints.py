"""Weights in files: safetensors with the architecture in the header, written whole or not at all.

No pickle is read or written, and no memory is taken for what a file only claims to hold. `load` takes a name of ours, a
file, a run's folder or a Hugging Face id; what a run needs to go on (optimisers and all) is a second kind of file, by
`save_state` and `load_state`, which only `training` uses.
"""

from __future__ import annotations

import difflib
import errno
import hashlib
import json
import os
import re
import struct
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn

from .architecture import ARCHITECTURES, Architecture
from .checks import choose, whole
from .device import pick_device
from .models import Discriminator, Generator, calibrate, classifier, sample_latent

HERE = Path(__file__).parent / "weights"
FILE = "weights.safetensors"  # in a run's folder and in a Hugging Face repository
MAX_HEADER = 2**22  # bytes; that of a run's state with 64 convolutions has some 160,000
KINDS = {"weights": "weights", "classifier": "a classifier", "state": "a run's state"}
UNSTEPPED = "unstepped"  # in a run's state, for an optimiser without moments
KEY = "dcgan"  # one metadata key: safetensors orders several at random, and equal runs must give equal bytes

AUTHORS = {  # networks in Newmu/dcgan_code, models/: epoch in the files' names, arrays of G and of D
    "svhn32": ("200", 10, 8),
    "imagenet32": ("30", 19, 17),
}


HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)  # owner/name


class CheckpointError(ValueError):
    """A file that is cut, foreign or of another architecture; the message names it and says what to do."""


def pretrained() -> dict[str, Path]:
    """Names that `load` knows → the files shipped with the package."""
    return {path.stem: path for path in sorted(HERE.glob("*.safetensors"))}


def save(
    path: str | Path,
    generator: Generator | None,
    discriminator: Discriminator | None,
    about: dict | None = None,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write the networks' weights and batch-norm statistics, atomically; None leaves one of them out.

    `about`, a dict that JSON can hold, says where they come from. `dtype` torch.float16 halves the file; vectors (batch
    norm) stay float32. Raises TypeError for what is no network or no such dict, ValueError for two of different
    architectures, a classifier (`save_classifier`), a generator of `inspection.without_maps`, whose maps would come
    back, weights with NaN, and numbers that `dtype` cannot hold.
    """
    tensors, kinds = {}, {"generator": Generator, "discriminator": Discriminator}
    networks = dict(zip(kinds, (generator, discriminator), strict=True))
    for name, network in networks.items():
        if network is None:
            continue
        if not isinstance(network, kinds[name]):
            raise TypeError(f"expected a {kinds[name].__name__} or None, got {type(network).__name__}")
        if name == "discriminator" and isinstance(network.head, nn.Sequential):
            raise ValueError("a classifier is no discriminator: write it with save_classifier")
        tensors |= _weights(network, f"{name}.", dtype)
    archs = [network.arch for network in networks.values() if network is not None]
    if not archs or archs[0] != archs[-1]:
        raise ValueError(f"expected a generator, a discriminator or both, of one architecture, got {len(archs)}")
    return _write(path, tensors, {"kind": "weights", "architecture": archs[0].to_dict(), "about": checked_about(about)})


def checked_about(about: dict | None) -> dict:
    """What a file says of itself. Raises TypeError unless it is a dict that JSON can hold."""
    about = {} if about is None else about
    try:
        if isinstance(about, dict):
            json.dumps(about)
            return about
    except (TypeError, ValueError) as error:
        raise TypeError(f"`about` must be a dict that JSON can hold: {error}") from None
    raise TypeError(f"`about` must be a dict that JSON can hold, got {type(about).__name__}")


def load(name_or_path: str | Path, device: str | torch.device = "cpu") -> tuple[Generator | None, Discriminator | None]:
    """`(generator, discriminator)` in eval mode, float32, on `device`; None for one that the file was saved without.

    `name_or_path` is a pretrained name ("faces"), a .safetensors file, a run's folder, or a Hugging Face id with the
    prefix "hf:" ("hf:owner/name", read from its weights.safetensors; extra 'hub'). A run that goes on has weights from
    its first checkpoint on; `info(…)["about"]["step"]` says of which step they are.
    Raises CheckpointError for a cut or foreign file and for weights with NaN, ValueError for an unknown name or device,
    FileNotFoundError.
    """
    device, path = pick_device(device), locate(name_or_path)
    header, tensors = _read(path, "weights")
    arch, networks = _architecture(header, path), []
    for name, kind in (("generator", Generator), ("discriminator", Discriminator)):
        part = {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}
        networks.append(_built(lambda kind=kind: kind(arch), part, path).to(device) if part else None)
    if networks == [None, None]:
        raise CheckpointError(f"{path} holds neither a generator's nor a discriminator's weights")
    return tuple(networks)


def _architecture(header: dict, path: Path) -> Architecture:
    try:
        return Architecture.from_dict(header["architecture"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CheckpointError(f"{path} describes an architecture that this version does not know: {error}") from error


def _built(build, tensors: dict[str, Tensor], path: Path) -> nn.Module:
    """The network that `build` makes, with these weights, in eval mode and float32 on the CPU.

    It is built without memory first, so that what the header claims is held against what the file has.
    """
    try:
        with torch.device("meta"):
            network = build()
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        first = str(error).splitlines()[0][:200]
        raise CheckpointError(f"{path} describes a network that cannot be built: {first}") from error
    check_state(network, tensors, str(path))
    network.to_empty(device="cpu").load_state_dict(tensors)
    return network.eval()


def check_state(network: nn.Module, tensors: dict[str, Tensor], where: str) -> None:
    """Whether `network.load_state_dict(tensors)` will do: the same names and shapes, float weights, no NaN or infinity.

    Raises one CheckpointError that begins with `where` (the file's path).
    """
    expected = network.state_dict()
    wrong = [f"lacks {name}" for name in expected if name not in tensors]
    wrong += [f"has {name}, which is not in it" for name in tensors if name not in expected]
    for name in (name for name in expected if name in tensors):
        there, here = expected[name], tensors[name]
        if there.shape != here.shape or there.is_floating_point() != here.is_floating_point():
            kinds = [f"{tuple(v.shape)} of {str(v.dtype).removeprefix('torch.')}" for v in (there, here)]
            wrong.append(f"{name}: expected {kinds[0]}, got {kinds[1]}")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CheckpointError(f"the weights in {where} do not fit its architecture: {'; '.join(wrong[:3])}{more}")
    broken = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if broken:
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        raise CheckpointError(
            f"{where} holds NaN or infinite numbers ({', '.join(broken[:3])}{more}): its training diverged or the file "
            "is damaged; take an earlier one"
        )


def save_classifier(path: str | Path, network: Discriminator, about: dict, dtype: torch.dtype | None = None) -> Path:
    """Write a network of `models.classifier`, atomically. `about["names"]` lists what its outputs mean.

    Raises as `save` does, and ValueError for another number of names than of outputs.
    """
    if not isinstance(network, Discriminator) or not isinstance(network.head, nn.Sequential):
        raise TypeError(f"expected a network of models.classifier, got {type(network).__name__}")
    about, outputs = checked_about(about), network.head[1].out_features
    names = about.get("names")
    if names is not None and (not isinstance(names, (list, tuple)) or len(names) != outputs):
        raise ValueError(f"expected a list of names, one for each of {outputs} outputs, got {names!r:.80}")
    header = {"kind": "classifier", "architecture": network.arch.to_dict(), "about": about}
    return _write(path, _weights(network, "", dtype), header)


def load_classifier(
    name_or_path: str | Path = "face_attributes", device: str | torch.device = "cpu"
) -> tuple[Discriminator, dict]:
    """`(network, about)` of a name in weights/classifiers or of a file; in eval mode, float32. Errors as `load`."""
    known = {path.stem: path for path in (HERE / "classifiers").glob("*.safetensors")}
    device, path = pick_device(device), _path(name_or_path)
    if not path.is_file():
        if path.suffix == ".safetensors":
            raise FileNotFoundError(f"no weights at {path}")
        path = known[choose(str(name_or_path), known, "classifier", " (no file of that name is here either)")]
    header, tensors = _read(path, "classifier")
    arch, outputs = _architecture(header, path), tensors.get("head.1.bias", torch.empty(0)).numel()
    names = header["about"].get("names")
    listed = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if names is not None and not listed:
        raise CheckpointError(f"{path}: expected a list of names for its outputs, got {names!r:.80}")
    if not outputs or (names is not None and len(names) != outputs):
        raise CheckpointError(f"{path} has {outputs} outputs and {len(names or ())} names for them")

    return _built(lambda: classifier(arch, outputs, seed=0), tensors, path).to(device), header["about"]


def info(name_or_path: str | Path) -> dict:
    """What a file says of itself: kind, architecture, and where it comes from. Only its header is read."""
    return _header(locate(name_or_path))


def trained_on(about: dict) -> str | None:
    """The name of the training pictures in what a file says of itself: older ones have it in their configuration."""
    return about.get("data") or about.get("config", {}).get("data")


def locate(name_or_path: str | Path) -> Path:
    """The file that `load` would read for a name, a file, a run's folder or a Hugging Face id (hf:owner/name).

    Nothing but "hf:" asks the network.
    """
    path, name = _path(name_or_path), str(name_or_path)
    if name.startswith("hf:"):
        return from_hub(name.removeprefix("hf:"))
    if path.is_file():
        return path
    if name in pretrained() and not (path / FILE).is_file():
        return pretrained()[name]
    if path.is_dir():
        if (path / FILE).is_file():
            return path / FILE
        if (path / "run.json").is_file():
            raise FileNotFoundError(f"no weights in {path} yet: the first checkpoint of its training writes {FILE}")
        raise FileNotFoundError(f"no {FILE} in {path}: it is no folder of a run that has made a checkpoint")
    if path.suffix in (".safetensors", ".pt", ".pth") or len(path.parts) > 1:
        there = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
        near = [str(path.parent / found) for found in difflib.get_close_matches(path.name, there)]
        hint = f": did you mean {' or '.join(near)}?" if near else ""
        if not path.parent.is_dir() and HUB_ID.fullmatch(name):
            hint = f": no file and no folder is there; on the Hugging Face hub it would be hf:{name}"
        raise FileNotFoundError(f"no weights at {path}{hint}")
    known = pretrained()
    here = {p.name for p in Path().absolute().iterdir() if (p / FILE).is_file()}
    if near := difflib.get_close_matches(name, here, 1):
        raise FileNotFoundError(f"no weights at {path}: did you mean the run {near[0]}?")
    return known[choose(name, known, "pretrained model", " (no file or folder of that name is here either)")]


def _path(name_or_path: str | Path) -> Path:
    if not isinstance(name_or_path, (str, Path)):
        raise TypeError(f"expected a name or a path, got {type(name_or_path).__name__}")
    name = str(name_or_path)
    if not name or "\0" in name or len(name) > 4096 or any(len(part) > 255 for part in Path(name).parts):
        raise ValueError(f"expected a name or a path, got {name!r:.80}")
    return Path(name).expanduser()


def from_hub(repository: str, **options) -> Path:
    """The weights of owner/name, downloaded once; `options` are those of hf_hub_download (revision, token …).

    Raises ValueError for what is no such name, ImportError without the extra 'hub', FileNotFoundError where nothing
    can be had.
    """
    if not HUB_ID.fullmatch(repository):
        raise ValueError(f"expected hf:owner/name, got 'hf:{repository}'")
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise ImportError("weights from the Hugging Face hub need the extra: pip install 'dcgan_lib[hub]'") from error
    try:
        return Path(hf_hub_download(repository, FILE, **options))
    except Exception as error:  # connection, permission, missing repository or file: each its own class
        raise FileNotFoundError(f"no {FILE} from Hugging Face {repository}: {error}") from error


def load_authors(folder: str | Path, partial: bool = False) -> tuple[Generator | None, Discriminator]:
    """The authors' released weights as `(generator, discriminator)` in eval mode, float32 on the CPU.

    `folder` is models/svhn_… or models/imagenet_… of Newmu/dcgan_code with its .npy files (200_gen_params.jl_01.npy …).
    Theano's convolutions are true ones, so kernels are flipped. The release has no batch-norm averages: G's are set
    over ten batches of 128 latents, D's over ten batches of G's pictures. `features.discriminator_features` sets D's
    anew, as section 5 needs; for its logits on pictures of yours call `models.calibrate`.

    `partial` goes on where files are missing (`missing_authors` names them), as the largest are in some copies. G is
    then None unless it is whole. Of D come the convolutions before the first that is missing, since those behind it
    have no input: a discriminator of that many `arch.widths`, as `first_convolutions` gives. For ImageNet without the
    files of 4.7 and 9.4 MB these are four, 12,288 features of 28,672. Where there is no G to draw pictures, D's
    averages are NaN until they are set.
    Raises FileNotFoundError that names the missing files (with `partial` only where D's first convolution is missing),
    CheckpointError for an array of another shape, of another kind, or with NaN.
    """
    folder = _path(folder)
    name, files = _authors_files(folder)
    missing = missing_authors(folder)
    if missing and not partial:
        total = sum(map(len, files))
        raise FileNotFoundError(f"{folder} lacks {len(missing)} of {total} files: {', '.join(missing)}")
    arch = ARCHITECTURES[name]
    generator, discriminator = Generator(arch), Discriminator(arch)
    weights = discriminator
    if any(path.name in missing for path in files[1]):
        # D's arrays: the first convolution, three for each of the others (with gain and bias), the dense layer.
        layers = [files[1][:1], *(files[1][i : i + 3] for i in range(1, len(files[1]) - 1, 3))]
        n = next((i for i, paths in enumerate(layers) if any(p.name in missing for p in paths)), len(layers))
        if not n:
            raise FileNotFoundError(f"{folder} lacks D's first convolution, {files[1][0].name}: none can be used")
        discriminator = first_convolutions(discriminator, n)
        files[1] = [path for paths in layers[:n] for path in paths]
        weights = discriminator.blocks
    if any(path.name in missing for path in files[0]):
        generator, files[0] = None, []
    for network, paths in zip((generator, weights), files, strict=True):
        # Both sides list weights in the order of the layers, each followed by its batch norm's gain and bias.
        for parameter, path in zip(network.parameters() if network else (), paths, strict=True):
            parameter.data.copy_(_authors_array(path, tuple(parameter.shape)))
    if generator is not None:
        calibrate(generator, (sample_latent(128, arch, seed) for seed in range(10)))
        calibrate(discriminator, (generator.eval()(sample_latent(128, arch, 10 + seed)) for seed in range(10)))
    else:
        for buffer in discriminator.buffers():
            if buffer.is_floating_point():
                buffer.fill_(torch.nan)  # not 0 and 1, with which wrong features would look right
    return generator.eval() if generator else None, discriminator.eval()


def missing_authors(folder: str | Path) -> list[str]:
    """Names of the files of a release (see `load_authors`) that `folder` lacks, G's first."""
    return [path.name for row in _authors_files(_path(folder))[1] for path in row if not path.is_file()]


def _authors_files(folder: Path) -> tuple[str, list[list[Path]]]:
    """Which architecture a folder's arrays are of, and the paths of G's and of D's, there or not."""
    name = next((n for n, (epoch, *_) in AUTHORS.items() if list(folder.glob(f"{epoch}_*_params.jl*"))), None)
    if name is None:
        raise FileNotFoundError(f"no 200_gen_params.jl_01.npy (SVHN) or 30_gen_params.jl_01.npy (ImageNet) in {folder}")
    epoch, *counts = AUTHORS[name]
    return name, [
        [folder / f"{epoch}_{part}_params.jl_{i:02d}.npy" for i in range(1, count + 1)]
        for part, count in zip(("gen", "discrim"), counts, strict=True)
    ]


def _authors_array(path: Path, shape: tuple[int, ...]) -> Tensor:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped: a header that claims more takes no memory
    except (ValueError, EOFError, OverflowError) as error:
        raise CheckpointError(f"{path} is cut short or no .npy file ({error}): copy or download it again") from error
    if array.ndim == 4:
        array = array[:, :, ::-1, ::-1]  # (out, in, k, k) of D; (in, out, k, k) of G: PyTorch's orders too
    elif array.ndim == 2:
        array = array.T  # (inputs, outputs) → (outputs, inputs)
    if array.shape != shape or array.dtype.kind != "f":
        raise CheckpointError(f"{path}: expected an array that becomes float {shape}, got {array.dtype} {array.shape}")
    if not np.isfinite(array).all():
        raise CheckpointError(f"{path} holds NaN or infinite numbers: copy or download it again")
    return torch.from_numpy(np.array(array, np.float32, order="C"))


def first_convolutions(discriminator: Discriminator, n: int) -> Discriminator:
    """D's first n convolutions as a discriminator by itself, with the same feature maps, in the same mode.

    Its dense layer is 0, so that its logits mean nothing.
    """
    arch = discriminator.arch
    n = whole(n, "the number of convolutions", 1, len(arch.widths))
    strides = arch.strides and arch.strides[:n]
    with torch.random.fork_rng(devices=[]):
        network = Discriminator(replace(arch, widths=arch.widths[:n], strides=strides, dense_units=None))
    network.blocks.load_state_dict(discriminator.blocks[:n].state_dict())
    nn.init.zeros_(network.head.weight)
    return network.to(discriminator.head.weight.device).train(discriminator.training)


def save_state(path: str | Path, tensors: dict[str, Tensor], about: dict) -> Path:
    """Write everything that a run's next step depends on, atomically."""
    return _write(path, tensors, {"kind": "state", "about": about})


def load_state(path: str | Path) -> tuple[dict, dict[str, Tensor]]:
    """What `save_state` wrote: (about, tensors). Raises CheckpointError for a cut file and for another kind."""
    header, tensors = _read(_path(path), "state")
    return header["about"], tensors


def state_about(path: str | Path) -> dict:
    """What a checkpoint says of itself; no tensor is read. Errors as `load_state`."""
    return _header(_path(path), "state")["about"]


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's moments and step counts under flat names; of one that has not stepped yet, that it has not."""
    state = optimiser.state_dict()["state"]
    flat = {f"{i}.{name}": torch.as_tensor(value) for i, row in state.items() for name, value in row.items()}
    return flat or {UNSTEPPED: torch.ones(1)}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` gave of an Adam; learning rates and the like stay the optimiser's own.

    Raises CheckpointError unless every parameter's moments and step count are there, and nothing else.
    """
    if tensors.keys() == {UNSTEPPED}:
        return
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    expected = {f"{i}.{name}" for i in range(len(parameters)) for name in ("exp_avg", "exp_avg_sq", "step")}
    differ = sorted(expected ^ tensors.keys())
    if differ:
        lacking = len(expected - tensors.keys())
        raise CheckpointError(
            f"the state lacks {lacking} of {len(expected)} numbers of an optimiser ({', '.join(differ[:3])} …): it is "
            "of another version or architecture; start the run anew in another folder"
        )
    state = {}
    for key, value in tensors.items():
        i, name = key.split(".", 1)
        # A fused step reads weights and moments side by side, so they must lie in memory in the same order.
        like = parameters[int(i)]
        if value.shape != (torch.Size() if name == "step" else like.shape) or not torch.isfinite(value).all():
            raise CheckpointError(f"the state's {name} of parameter {i} has another shape, NaN or infinite numbers")
        state.setdefault(int(i), {})[name] = torch.empty_like(like).copy_(value) if value.ndim else value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def step_of(path: Path) -> int:
    """The step of a run's samples/step_….png or kept/step_….safetensors: names sort as text, steps as numbers."""
    return int(path.stem.split("_")[1])


HALF_WRITTEN = ".dcgan-*.part"  # what `write_bytes` leaves where its process is killed


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write a file whole or not at all: beside its place, flushed to disk, then renamed. Its folder is made.

    On a full disk the earlier file stays and OSError says what to do.
    """
    path = _path(path)
    part = None
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder has that name")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(prefix=".dcgan-", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(part, 0o644)
        os.replace(part, path)
    except OSError as error:
        kept = "the earlier one is untouched" if path.is_file() else "none was there before"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = f"{error.strerror}; {len(data) / 2**20:.1f} MB"
        raise OSError(
            error.errno,
            f"{path} could not be written ({what}); {kept}: {'make room' if full else 'choose another place'}",
        ) from error
    finally:
        if part:
            Path(part).unlink(missing_ok=True)
    return path


def refuse_dropped(network: nn.Module) -> None:
    """Raises ValueError for a network whose maps `inspection.without_maps` drops: its weights do not say so."""
    if getattr(network, "drops_maps", False):
        raise ValueError("a generator of inspection.without_maps drops maps by a hook, which no file of weights holds")


def _weights(network: nn.Module, prefix: str, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Matrices and kernels in `dtype`; vectors (batch norm, biases) stay float32."""
    if dtype not in (None, torch.float32, torch.float16, torch.bfloat16):
        raise ValueError(f"expected dtype None, torch.float32, torch.float16 or torch.bfloat16, got {dtype!r}")
    refuse_dropped(network)
    state = network.state_dict()
    small = {k for k, v in state.items() if dtype and v.is_floating_point() and v.ndim > 1}
    out = {prefix + k: v.to(dtype) if k in small else v for k, v in state.items()}
    for name, value in out.items():
        if not torch.isfinite(value).all():
            raise ValueError(
                f"{name} holds NaN or infinite numbers{f' in {dtype}' if dtype else ''}: it is not written"
            )
    return out


def _write(path: str | Path, tensors: dict[str, Tensor], header: dict) -> Path:
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    return write_bytes(path, serialise(tensors, {KEY: json.dumps({"format": 1, **header}, sort_keys=True)}))


def _header(path: Path, kind: str | None = None) -> dict:
    """What is said of the tensors in a file of ours; no tensor is read."""
    size = path.stat().st_size
    try:
        with path.open("rb") as f:
            (length,) = struct.unpack("<Q", f.read(8))
            if length > min(size - 8, MAX_HEADER):
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            entries = json.loads(f.read(length))
        metadata = entries.pop("__metadata__", {})
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
        if size != 8 + length + end:
            raise ValueError(f"{size} bytes, {8 + length + end} expected")
    except (struct.error, ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is cut short or no safetensors file ({error}): copy or download it again; pickled .pt and .pth "
            "files are not read, since loading one runs code"
        ) from error
    if not isinstance(metadata, dict) or KEY not in metadata:
        raise CheckpointError(f"{path} is a safetensors file, but not of dcgan_lib: its header lacks {KEY!r}")
    try:
        header = json.loads(metadata[KEY])
        found, about = header["kind"], header["about"]
        if not isinstance(about, dict) or found not in KINDS:
            raise ValueError(f"kind {found!r}")
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} has a header that this version does not know: {error!r}") from error
    if kind and found != kind:
        beside = f": take {FILE} beside it" if found == "state" else ""
        raise CheckpointError(f"{path} holds {KINDS[found]}, expected {KINDS[kind]}{beside}")
    return header


def _read(path: Path, kind: str) -> tuple[dict, dict[str, Tensor]]:
    """A file's header and tensors, floats as float32 where they are weights."""
    header = _header(path, kind)
    try:
        tensors = parse(path.read_bytes())
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} is cut short or no safetensors file ({error}): download it again") from error
    if kind != "state":
        tensors = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    return header, tensors


def digest(network: nn.Module) -> str:
    """SHA-256 of a network's weights and statistics, shortened: which one a file of features was made with."""
    total = hashlib.sha256()
    for key, value in network.state_dict().items():
        total.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()[:16]


def parameters_finite(*networks: nn.Module) -> bool:
    """Whether no weight and no batch-norm average is NaN or infinite."""
    return all(bool(torch.isfinite(v).all()) for network in networks for v in network.state_dict().values())
