"""A trained generator outside PyTorch: ONNX for any runtime, and the lab, a page that runs it in a reader's browser.

For the lab batch norm is folded into the weights, these are rounded to 9 bits or more with a scale for each output
channel and compressed, and dcgan_lib/lab/ (a kernel of two functions in SIMD WebAssembly, a script, a style sheet)
draws pictures.
"""

from __future__ import annotations

import base64
import copy
import gzip
import html
import json
import re
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import checkpoints, results
from .checks import shortened, whole
from .latent import principal_axes
from .models import Generator, parameter_count, sample_latent

LAB = Path(__file__).parent / "lab"
OPSET = 18
NET = b"window.DCGAN_NET = "  # what a lab's weights.js begins with


def onnx(generator: Generator, path: str | Path) -> Path:
    """Write the generator as ONNX, opset 18: input `latent` (N, latent_dim), output `images` (N, C, H, W) in [-1, 1].

    N is dynamic; numbers are float32; batch norm uses running statistics. With classes a second input, `labels` (N,),
    int64, of which those outside the classes are not refused there. Checked against onnxruntime in the tests (extra
    'onnx').
    Raises ImportError, naming the extra, where the package onnx is missing; TypeError for what is no generator,
    CheckpointError for one with NaN, ValueError for a path that does not end in .onnx.
    """
    network = _copy(generator)
    if Path(path).suffix.lower() != ".onnx":
        raise ValueError(f"expected a file that ends in .onnx, got {shortened(str(path))}")
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError("ONNX needs the extra: pip install 'dcgan_lib[onnx]'") from error
    inputs = {"latent": torch.zeros(2, network.arch.latent_dim)}
    if network.arch.classes:
        inputs["labels"] = torch.zeros(2, dtype=torch.int64)
    n = torch.export.Dim("N")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*axis name: N will not be used")  # torch's, of the second input's N
        file = Path(folder) / "generator.onnx"
        torch.onnx.export(
            network,
            tuple(inputs.values()),
            str(file),
            input_names=list(inputs),
            output_names=["images"],
            opset_version=OPSET,
            dynamic_shapes=tuple({0: n} for _ in inputs),
            external_data=False,
            dynamo=True,
            verbose=False,
        )
        return checkpoints.write_bytes(path, file.read_bytes())


def _copy(generator: Generator) -> Generator:
    """A copy for export, whatever type the generator's numbers have: checked, float32, on the CPU, in eval mode."""
    if not isinstance(generator, Generator):
        raise TypeError(
            f"expected a Generator to export, got {type(generator).__name__}: checkpoints.load(…)[0] is one"
        )
    network = copy.deepcopy(generator).cpu().float().eval()
    checkpoints.check_state(network, network.state_dict(), "the generator")
    return network


def folded(generator: Generator) -> list[dict]:
    """The generator as layers of plain arrays, batch norm folded in, pictures channels-last.

    A layer is {"weight": float32 (taps, inputs, outputs), "bias": (outputs,), …}: first the dense ones (one tap), the
    last of which gives (grid, grid, width); then transposed convolutions with `size`, `out`, `kernel`, `stride`, `pad`.
    ReLU follows each, tanh the last. With classes the label's one-hot follows the latent as inputs of the first layer.
    For the next layers' labels each of the others has `classes` more outputs behind every `width`, without weights:
    who draws sets their bias to the one-hot.
    Raises ValueError for an architecture with other parts or dropped maps, CheckpointError for NaN.
    """
    network = _copy(generator)
    checkpoints.refuse_dropped(generator)
    arch = generator.arch
    parts = {"generator_activation": "relu", "output_activation": "tanh", "upsample": "stride", "unit_range": False}
    if arch.unit_range:  # 2 sigmoid(x) - 1 = tanh(x / 2)
        parts |= {"output_activation": "sigmoid", "unit_range": True}
    for field, value in parts.items():
        if getattr(arch, field) != value:
            raise ValueError(f"the lab knows only generators with {field} {value!r}, got {getattr(arch, field)!r}")
    if not arch.widths or arch.dense_layers > 1:
        raise ValueError(
            f"the lab knows only generators with convolutions and at most one dense hidden layer, got widths "
            f"{arch.widths} and dense_layers {arch.dense_layers}"
        )
    layers = []
    if arch.dense_units:
        scale, shift = _affine(network.dense[1], arch.dense_units)
        layers.append({"weight": (network.dense[0].weight * scale[:, None]).T[None], "bias": shift})
    width, grid = arch.widths[-1], arch.sizes[-1]
    scale, shift = _affine(network.project_norm, width if arch.dense_norm == "channel" else width * grid**2)
    if arch.dense_norm == "channel":
        scale, shift = (v.repeat_interleave(grid**2) for v in (scale, shift))
    order = torch.arange(width * grid**2).view(width, grid, grid).permute(1, 2, 0).flatten()  # (c, y, x) → (y, x, c)
    weight = (network.project.weight * scale[:, None])[order]
    layers.append({"weight": weight.T[None], "bias": shift[order]})
    for i, block in zip(reversed(range(len(arch.widths))), network.blocks, strict=True):
        convolution = block[0]  # weight (in, out, k, k)
        normed = i or arch.norm == "everywhere"  # else the output's activation follows at once
        scale, shift = _affine(block[1] if normed else nn.Identity(), convolution.out_channels)
        if arch.unit_range and not i:
            scale, shift = scale / 2, shift / 2
        weight = convolution.weight * scale[:, None, None]
        layers.append(
            {
                "weight": weight.permute(2, 3, 0, 1).flatten(0, 1),  # (k * k, in, out)
                "bias": shift,
                "size": arch.sizes[i + 1],
                "out": arch.sizes[i],
                "kernel": arch.kernel_size,
                "stride": arch.layer_strides[i],
                "pad": arch.padding,
            }
        )
    if arch.classes:
        widths = [arch.dense_units] if arch.dense_units else []
        widths += reversed(arch.widths)
        layers = [*(_with_labels(layer, w, arch.classes) for layer, w in zip(layers, widths, strict=False)), layers[-1]]
    return [{k: v.detach().numpy() if isinstance(v, Tensor) else v for k, v in layer.items()} for layer in layers]


def _with_labels(layer: dict, width: int, classes: int) -> dict:
    """The layer with room for the labels' `classes` channels behind each position's `width`."""
    weight, bias = (
        F.pad(v.unflatten(-1, (-1, width)), (0, classes)).flatten(-2) for v in (layer["weight"], layer["bias"])
    )
    return layer | {"weight": weight, "bias": bias, "width": width}


def _affine(norm: nn.Module, width: int) -> tuple[Tensor, Tensor]:
    """Batch norm with running statistics as y = scale x + shift, each (width,)."""
    if isinstance(norm, nn.Identity):
        return torch.ones(width), torch.zeros(width)
    scale = (norm.running_var + norm.eps).rsqrt() * (1 if norm.weight is None else norm.weight)
    return scale, (0 if norm.bias is None else norm.bias) - norm.running_mean * scale


def quantised(layers: list[dict]) -> list[dict]:
    """The layers with `weight` as int16 and a `scale` (outputs,): weight * scale differs by half a step at most.

    A channel has 511 levels: 8 bits left single pixels off by 0.04 of the range of 2, twice what the lab allows itself.
    The nearer a layer is to the picture, the smaller it is and the more its errors show: the last but two has 1,023
    levels, the last two have 8,191.
    """
    out = []
    for i, layer in enumerate(layers):
        levels = {1: 4095, 2: 4095, 3: 511}.get(len(layers) - i, 255)
        scale = np.abs(layer["weight"]).max((0, 1)) / levels
        scale = np.where(scale > 0, scale, 1).astype(np.float32)
        out.append(layer | {"weight": np.rint(layer["weight"] / scale).astype(np.int16), "scale": scale})
    return out


def _packed(layers: list[dict]) -> dict[str, str | int]:
    """The quantised layers' arrays as text: floats as they are, weights in two planes of bytes through gzip.

    Small magnitudes come first (0, -1, 1, -2, …), so that the plane of high bytes is nearly empty.
    """
    floats = np.concatenate([layer[k].astype("<f4").ravel() for layer in layers for k in ("scale", "bias")])
    q = np.concatenate([layer["weight"].ravel() for layer in layers]).astype(np.int32)
    q = np.where(q < 0, -2 * q - 1, 2 * q).astype(np.uint16)
    planes = np.concatenate([q & 255, q >> 8]).astype(np.uint8).tobytes()
    packed = gzip.compress(planes, 6, mtime=0)  # 9 takes ten times as long for a hundredth fewer bytes
    return {"floats": _base85(floats.tobytes()), "weights": _base85(packed), "bytes": len(packed)}


def _base85(data: bytes) -> str:
    return base64.b85encode(data + bytes(-len(data) % 4)).decode()  # a quarter longer, base64 a third


def lab(
    generator: Generator,
    out: str | Path,
    directions: dict[str, Tensor] | None = None,
    presets: list[dict] | None = None,
    first: int = 7,
    title: str = "a generator in your browser",
    about: str = "",
    name: str = "the first",
    also: dict[str, Generator] | None = None,
    class_names: dict[str, list[str]] | None = None,
) -> Path:
    """Write the lab into the folder `out`: index.html and what it loads; it runs from http and from file://.

    `title` and `about` are plain text. `directions` are unit vectors (latent_dim,) by the name that their slider bears;
    none: the generator's principal axes. `presets` fill the arithmetic's A - B + C: {"name", "plus": [A, C], "minus":
    [B]}, each a (name, exemplars (n, latent_dim)); a "note" is shown beside the sum. `first` is the number of the
    picture that the page opens with. `also` are more generators by the name that a menu shows, beside `name` for the
    first: each is a file of its own that a reader loads by choosing it, and opens with the same number; such files of
    an earlier lab in `out` that this one does not have are removed. `class_names` are, by the generator's name, what
    its menu of classes shows in the place of numbers. Returns the path of index.html.
    Raises ValueError for a generator that the lab's kernel cannot run, for directions, presets and class names that do
    not fit it or hold NaN, for directions of another length than 1, for two of the same name, for a text that UTF-8
    cannot hold, for an `out` that is a file, and for one with an index.html or the like that is no lab's.
    """
    out = check_lab(out)
    if not isinstance(title, str) or not isinstance(about, str):
        raise TypeError(f"expected title and about as text, got {type(title).__name__} and {type(about).__name__}")
    if not isinstance(also or {}, dict):
        raise TypeError(f"expected also as {{name: generator}}, got {type(also).__name__}")
    if name in (also or {}):
        raise ValueError(f"two generators are called {name!r}: a reader chooses by the name")
    generator, also = _copy(generator), {label: _copy(other) for label, other in (also or {}).items()}
    names = _class_names({name: generator, **also}, class_names)
    first = whole(first, "first, the number of a picture,", 0, 999_999)
    texts = {"{title}": html.escape(title), "{about}": html.escape(about)}
    # In one pass, so that a title which reads '{about}' stays what it is.
    page = re.sub("{title}|{about}", lambda found: texts[found[0]], (LAB / "index.html").read_text(encoding="utf-8"))
    try:
        page = page.encode()
    except UnicodeEncodeError as error:
        got = f"{shortened(title)} and {shortened(about)}"
        raise ValueError(f"title and about must be text that UTF-8 can hold, got {got}: write them in UTF-8") from error
    net, more = _net(generator, directions, presets, first, name, names[name]), []
    for i, (label, other) in enumerate(also.items(), 2):
        script = _weights_file(_net(other, *known_directions(other), first, label, names[label]))
        file = checkpoints.write_bytes(out / f"weights{i}.js", script)
        more.append({"name": label, "file": file.name, "bytes": len(script)})
    checkpoints.write_bytes(out / "weights.js", _weights_file(net | {"also": more}))
    for file in ("lab.js", "lab.css"):
        checkpoints.write_bytes(out / file, (LAB / file).read_bytes())
    for file in out.iterdir():  # weights2.js, weights3.js, … of an earlier lab
        number = re.fullmatch("weights([2-9]|[1-9][0-9]+)[.]js", file.name)
        if number and int(number[1]) > len(also) + 1:
            file.unlink()
    return checkpoints.write_bytes(out / "index.html", page)


def check_lab(out: str | Path) -> Path:
    """The folder, unless `lab` could not write there or would replace what is no lab's: ValueError."""
    out = Path(out).expanduser()
    if out.is_file() or out.suffix.lower() in (".html", ".htm", ".js"):
        raise ValueError(f"the lab is a folder with index.html in it: name the folder, got {out}")
    weights = out / "weights.js"
    if weights.is_file():
        with weights.open("rb") as file:
            ours = file.read(len(NET)) == NET
    else:
        ours = False
    names = ("index.html", "lab.js", "lab.css", "weights.js")
    if not ours and (there := next((name for name in names if (out / name).exists()), None)):
        raise ValueError(f"{out} is no lab and holds {there}, which the lab would replace: name another folder")
    return out


def _class_names(generators: dict[str, Generator], given: dict[str, list[str]] | None) -> dict[str, list[str]]:
    """Each generator's, none where none are given."""
    if not isinstance(given or {}, dict):
        raise TypeError(f"expected class_names as {{generator's name: names}}, got {type(given).__name__}")
    for label, names in (given or {}).items():
        if label not in generators:
            raise ValueError(f"class_names are of {label!r}, the lab's generators are {', '.join(generators)}")
        if len(names) > (classes := generators[label].arch.classes):
            raise ValueError(f"class_names of {label!r}: {len(names)} names, and it has {classes} classes")
    return {label: list(map(str, (given or {}).get(label, []))) for label in generators}


def _net(
    generator: Generator,
    directions: dict[str, Tensor] | None,
    presets: list[dict] | None,
    first: int,
    name: str,
    class_names: list[str],
) -> dict:
    """What the page knows of a generator."""
    layers, arch = quantised(folded(generator)), generator.arch
    if directions is None:
        directions = {f"axis {i + 1}": axis for i, axis in enumerate(principal_axes(generator))}
    if not isinstance(directions, dict):
        raise TypeError(f"expected directions as {{name: ({arch.latent_dim},)}}, got {type(directions).__name__}")
    for label, vector in directions.items():
        _check_latent(f"direction {label!r}", vector, (arch.latent_dim,))
        if abs((length := float(vector.float().norm())) - 1) > 0.01:
            raise ValueError(f"direction {label!r}: expected length 1, got {length:.3g}: divide it by its norm")
    for preset in presets or []:
        _check_preset(preset, arch.latent_dim)
    return {
        "name": name,
        "latentDim": arch.latent_dim,
        "classes": arch.classes,
        "classNames": class_names,
        "parameters": parameter_count(generator, frozen=True),
        "prior": arch.prior,
        "size": arch.image_size,
        "channels": arch.channels,
        "layers": [
            {k: v for k, v in layer.items() if not isinstance(v, np.ndarray)}
            | dict(zip(("taps", "inputs", "outputs"), layer["weight"].shape, strict=True))
            for layer in layers
        ],
        "first": first,
        "directions": [{"name": label, "vector": _short(v)} for label, v in directions.items()],
        "presets": [
            {
                "name": preset["name"],
                "note": str(preset.get("note", "")),
                **{
                    side: [{"name": label, "latent": _short(z.mean(0))} for label, z in preset[side]]
                    for side in ("plus", "minus")
                },
            }
            for preset in presets or []
        ],
        "digest": checkpoints.digest(generator),
        **_packed(layers),
        "kernel": base64.b64encode((LAB / "kernel.wasm").read_bytes()).decode(),
    }


def _weights_file(net: dict) -> bytes:
    """A classic script, which loads from file:// too; of several the page takes each as it comes."""
    return NET + f"{json.dumps(net)};\n".encode()


def _check_latent(what: str, value: Tensor, shape: tuple) -> None:
    """`shape` as it should be; a -1 in it is any number above 0."""
    found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
    fits = isinstance(value, Tensor) and len(found) == len(shape)
    if not fits or not all(n == m or (m == -1 and n > 0) for n, m in zip(found, shape, strict=True)):
        wanted = f"({', '.join('n' if n == -1 else str(n) for n in shape)}{',' if len(shape) == 1 else ''})"
        raise ValueError(f"{what}: expected {wanted}, got {found}")
    if not torch.isfinite(value).all():
        raise ValueError(f"{what} holds NaN or infinite numbers")


def _check_preset(preset: dict, latent_dim: int) -> None:
    try:
        name, plus, minus = preset["name"], list(preset["plus"]), list(preset["minus"])
        terms = [(label, latent) for label, latent in [*plus, *minus]]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"a preset is {{'name', 'plus': [A, C], 'minus': [B]}} of (name, exemplars (n, {latent_dim})), got "
            f"{preset!r:.80}"
        ) from error
    if (len(plus), len(minus)) != (2, 1):
        raise ValueError(f"preset {name!r}: expected A and C in plus, B in minus, got {len(plus)} and {len(minus)}")
    for label, latent in terms:
        _check_latent(f"preset {name!r}, {label!r}", latent, (-1, latent_dim))


def known_directions(generator: Generator) -> tuple[dict[str, Tensor] | None, list[dict] | None]:
    """Named directions and sums of the generator, where results/latent_faces.json was measured on it; else None, None.

    Attributes that a line in latent space tells apart too badly (balanced accuracy below 0.7) are left out.
    """
    try:
        measured = results.load("latent_faces")["measured"]
    except ValueError:
        return None, None
    if measured["digest"] != checkpoints.digest(_copy(generator)):
        return None, None
    named = {d["name"]: torch.tensor(d["vector"]) for d in measured["directions"].values() if d["accuracy"] >= 0.7}
    turn = torch.tensor(measured["pose"]["vector"])
    named["turn the head"] = turn / turn.norm()
    named |= {f"axis {i + 1}": axis for i, axis in enumerate(principal_axes(generator, 2))}
    pool = sample_latent(measured["pool"], generator.arch, measured["pool_seed"])
    presets = []
    for result, task in measured["sums"].items():
        sides = {side: [(name, pool[task["terms"][name][0]]) for name in task[side]] for side in ("plus", "minus")}
        counts = np.sum([seed["sums"][result]["typical"] for seed in measured["seeds"]], 0)  # seen, tried
        note = f"the classifier sees it in {counts[0] / counts[1]:.0%} of {counts[1]} such sums"
        presets.append({"name": f"→ {result}", "note": note, **sides})
    return named, presets


def _short(vector: Tensor) -> list[float]:
    return [float(f"{v:.5g}") for v in vector.tolist()]
