"""Weights in files: safetensors with the architecture in the header, written whole or not at all.

No pickle is read or written. `load` takes a name of ours, a file, a run's folder or a Hugging Face id; what a run needs
to go on (optimisers and all) is a second kind of file, by `save_state` and `load_state`, used by `training` alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse
from safetensors.torch import save as serialise
from torch import Tensor, nn

from .models import (
    ARCHITECTURES,
    Architecture,
    Discriminator,
    Generator,
    calibrate,
    choose,
    classifier,
    sample_latent,
)

HERE = Path(__file__).parent / "weights"
FILE = "weights.safetensors"  # in a run's folder and in a Hugging Face repository
KEY = "dcgan"  # one metadata key: safetensors orders several at random, and equal runs must give equal bytes

AUTHORS = {  # networks in Newmu/dcgan_code, models/: epoch in the files' names, arrays of G and of D
    "svhn32": ("200", 10, 8),
    "imagenet32": ("30", 19, 17),
}


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

    `about` (JSON) says where they come from. `dtype` torch.float16 halves the file; vectors (batch norm) stay float32.
    """
    tensors = {}
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        tensors |= _weights(network, f"{name}.", dtype) if network else {}
    arch = (generator or discriminator).arch
    return _write(path, tensors, {"kind": "weights", "architecture": arch.to_dict(), "about": about or {}})


def load(name_or_path: str | Path, device: str | torch.device = "cpu") -> tuple[Generator | None, Discriminator | None]:
    """`(generator, discriminator)` in eval mode, float32, on `device`; None for one that the file was saved without.

    `name_or_path` is a pretrained name ("faces"), a .safetensors file, a run's folder, or a Hugging Face id
    ("owner/name", read from its weights.safetensors; extra 'hub').
    Raises CheckpointError for a cut or foreign file, ValueError for an unknown name, FileNotFoundError.
    """
    path = locate(name_or_path)
    header, tensors = _read(path, "weights")
    try:
        arch = Architecture.from_dict(header["architecture"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} describes an architecture that this version does not know: {error}") from error
    networks = []
    for name, kind in (("generator", Generator), ("discriminator", Discriminator)):
        part = {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}
        if not part:
            networks.append(None)
            continue
        part = {k: v.float() if v.is_floating_point() else v for k, v in part.items()}
        network = kind(arch)
        try:
            network.load_state_dict(part)
        except RuntimeError as error:
            raise CheckpointError(f"the weights in {path} do not fit its architecture: {error}") from error
        networks.append(network.eval().to(device))
    if networks == [None, None]:
        raise CheckpointError(f"{path} holds neither a generator's nor a discriminator's weights")
    return tuple(networks)


def save_classifier(path: str | Path, network: Discriminator, about: dict, dtype: torch.dtype | None = None) -> Path:
    """Write a network of `models.classifier`, atomically. `about["names"]` lists what its outputs mean."""
    header = {"kind": "classifier", "architecture": network.arch.to_dict(), "about": about}
    return _write(path, _weights(network, "", dtype), header)


def load_classifier(
    name_or_path: str | Path = "face_attributes", device: str | torch.device = "cpu"
) -> tuple[Discriminator, dict]:
    """`(network, about)` of a name in weights/classifiers or of a file; in eval mode, float32. Errors as `load`."""
    known = {path.stem: path for path in (HERE / "classifiers").glob("*.safetensors")}
    path = Path(name_or_path).expanduser()
    if not path.is_file():
        if path.suffix == ".safetensors":
            raise FileNotFoundError(f"no weights at {path}")
        path = known[choose(str(name_or_path), known, "classifier", " (no file of that name is here either)")]
    header, tensors = _read(path, "classifier")
    try:
        network = classifier(Architecture.from_dict(header["architecture"]), len(tensors["head.1.bias"]))
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} describes a classifier that this version does not know: {error}") from error
    return network.eval().to(device), header["about"]


def info(name_or_path: str | Path) -> dict:
    """What a file says of itself: kind, architecture, and where it comes from."""
    return _read(locate(name_or_path))[0]


def locate(name_or_path: str | Path) -> Path:
    """The file that `load` would read for a name, a file, a run's folder or a Hugging Face id."""
    path, name = Path(name_or_path).expanduser(), str(name_or_path)
    if path.is_file():
        return path
    if name in pretrained() and not (path / FILE).is_file():
        return pretrained()[name]
    if path.is_dir():
        if (path / FILE).is_file():
            return path / FILE
        raise FileNotFoundError(f"no {FILE} in {path}: is the run finished? `dcgan train` writes it at the end")
    if path.suffix in (".safetensors", ".pt", ".pth") or path.is_absolute():
        raise FileNotFoundError(f"no weights at {path}")
    if name.count("/") == 1:
        return _from_hub(name)
    choose(name, pretrained(), "pretrained model", " (no file or folder of that name is here either)")
    raise AssertionError("choose raises for an unknown name")


def _from_hub(repository: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise ImportError("weights from the Hugging Face hub need the extra: pip install 'dcgan_lib[hub]'") from error
    try:
        return Path(hf_hub_download(repository, FILE))
    except Exception as error:  # connection, permission, missing repository or file: each its own class
        raise FileNotFoundError(
            f"no {FILE} from Hugging Face {repository}, nor a folder of that name: {error}"
        ) from error


def load_authors(folder: str | Path) -> tuple[Generator, Discriminator]:
    """The authors' released weights as `(generator, discriminator)` in eval mode, float32 on the CPU.

    `folder` is models/svhn_… or models/imagenet_… of Newmu/dcgan_code with its .npy files (200_gen_params.jl_01.npy …).
    Theano's convolutions are true ones, so kernels are flipped. The release has no batch-norm averages: G's are set
    over ten batches of 128 latents, D's over ten batches of G's pictures. `features.discriminator_features` sets D's
    anew, as section 5 needs; for its logits on pictures of yours call `models.calibrate`.
    Raises FileNotFoundError that names the missing files, CheckpointError for an array of another shape.
    """
    folder = Path(folder).expanduser()
    name = next((n for n, (epoch, *_) in AUTHORS.items() if list(folder.glob(f"{epoch}_*_params.jl*"))), None)
    if name is None:
        raise FileNotFoundError(f"no 200_gen_params.jl_01.npy (SVHN) or 30_gen_params.jl_01.npy (ImageNet) in {folder}")
    epoch, *counts = AUTHORS[name]
    files = [
        [folder / f"{epoch}_{part}_params.jl_{i:02d}.npy" for i in range(1, count + 1)]
        for part, count in zip(("gen", "discrim"), counts, strict=True)
    ]
    missing = [path.name for row in files for path in row if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} lacks {len(missing)} of {sum(counts)} files: {', '.join(missing)}")
    arch = ARCHITECTURES[name]
    networks = Generator(arch), Discriminator(arch)
    for network, paths in zip(networks, files, strict=True):
        # Both sides list weights in the order of the layers, each followed by its batch norm's gain and bias.
        for parameter, path in zip(network.parameters(), paths, strict=True):
            array = np.load(path, allow_pickle=False)
            if array.ndim == 4:
                array = array[:, :, ::-1, ::-1]  # (out, in, k, k) of D; (in, out, k, k) of G: PyTorch's orders too
            elif array.ndim == 2:
                array = array.T  # (inputs, outputs) → (outputs, inputs)
            if array.shape != tuple(parameter.shape):
                raise CheckpointError(
                    f"{path}: expected an array that becomes {tuple(parameter.shape)}, got {array.shape}"
                )
            parameter.data.copy_(torch.from_numpy(np.ascontiguousarray(array)))
    generator, discriminator = networks
    calibrate(generator, (sample_latent(128, arch, seed) for seed in range(10)))
    with torch.no_grad():
        calibrate(discriminator, (generator.eval()(sample_latent(128, arch, 10 + seed)) for seed in range(10)))
    return generator.eval(), discriminator.eval()


def save_state(path: str | Path, tensors: dict[str, Tensor], about: dict) -> Path:
    """Write everything that a run's next step depends on, atomically."""
    return _write(path, tensors, {"kind": "state", "about": about})


def load_state(path: str | Path) -> tuple[dict, dict[str, Tensor]]:
    """What `save_state` wrote: (about, tensors)."""
    header, tensors = _read(Path(path), "state")
    return header["about"], tensors


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's moments and step counts under flat names."""
    state = optimiser.state_dict()["state"]
    return {f"{i}.{name}": torch.as_tensor(value) for i, row in state.items() for name, value in row.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` gave; learning rates and the like stay the optimiser's own."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    state = {}
    for key, value in tensors.items():
        i, name = key.split(".", 1)
        # A fused step reads weights and moments side by side, so they must lie in memory in the same order.
        like = parameters[int(i)]
        state.setdefault(int(i), {})[name] = torch.empty_like(like).copy_(value) if value.ndim else value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write a file whole or not at all: beside its place, flushed to disk, then renamed.

    On a full disk the earlier file stays and OSError says what to do.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(part, 0o644)
        os.replace(part, path)
    except OSError as error:
        kept = "the earlier one is untouched" if path.exists() else "none was there before"
        raise OSError(
            error.errno,
            f"{path} could not be written ({error.strerror}; {len(data) / 2**20:.1f} MB); {kept}: make room",
        ) from error
    finally:
        Path(part).unlink(missing_ok=True)
    return path


def _weights(network: nn.Module, prefix: str, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Matrices and kernels in `dtype`; vectors (batch norm, biases) stay float32."""
    small = {k for k, v in network.state_dict().items() if dtype and v.is_floating_point() and v.ndim > 1}
    return {prefix + k: v.to(dtype) if k in small else v for k, v in network.state_dict().items()}


def _write(path: str | Path, tensors: dict[str, Tensor], header: dict) -> Path:
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    return write_bytes(path, serialise(tensors, {KEY: json.dumps({"format": 1, **header}, sort_keys=True)}))


def _read(path: Path, kind: str | None = None) -> tuple[dict, dict[str, Tensor]]:
    data = path.read_bytes()
    try:
        tensors = parse(data)
        (length,) = struct.unpack("<Q", data[:8])
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    except (SafetensorError, struct.error, ValueError) as error:
        raise CheckpointError(
            f"{path} is cut short or no safetensors file ({error}): copy or download it again; pickled .pt and .pth "
            "files are not read, since loading one runs code"
        ) from error
    if KEY not in metadata:
        raise CheckpointError(f"{path} is a safetensors file, but not of dcgan_lib: its header lacks {KEY!r}")
    header = json.loads(metadata[KEY])
    if kind and header["kind"] != kind:
        beside = f": take {FILE} beside it" if header["kind"] == "state" else ""
        raise CheckpointError(f"{path} holds a run's {header['kind']}, expected {kind}{beside}")
    return header, tensors


def digest(network: nn.Module) -> str:
    """SHA-256 of a network's weights and statistics, shortened: which one a file of features was made with."""
    total = hashlib.sha256()
    for key, value in network.state_dict().items():
        total.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()[:16]


def parameters_finite(*networks: nn.Module) -> bool:
    """Whether no weight is NaN or infinite."""
    return all(bool(torch.isfinite(p).all()) for network in networks for p in network.parameters())
