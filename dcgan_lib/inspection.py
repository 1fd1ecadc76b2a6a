"""Looking inside: filters, what excites a map, guided backpropagation, and maps switched off (paper 6.2 and 6.3.1).

A map is one channel of a layer's output; a unit is a map at one position. Layers count from 0 in the order in which a
network computes them: D's from the picture inwards, as `Discriminator.feature_maps` lists them, G's from z outwards, as
`generator_layers` does. So G's layer i has as many maps, of the same side, as D's layer len(widths) - 1 - i. There are
no negative numbers.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from tqdm import tqdm

from . import checks, data, models


def filters(discriminator: models.Discriminator) -> Tensor:
    """The first convolution's kernels as pictures (width, channels, k, k), each scaled to [-1, 1] by its largest."""
    _check_discriminator(discriminator)
    kernels = discriminator.blocks[0][0].weight.detach().cpu().clone()
    return kernels / kernels.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)


def _check_discriminator(network: nn.Module) -> None:
    if not isinstance(network, models.Discriminator):
        raise TypeError(f"expected a Discriminator, got {type(network).__name__}")
    if not network.arch.widths:
        raise ValueError("a discriminator without convolutions has no filters and no maps")


def _indices(values, what: str, count: int) -> np.ndarray:
    """`values` as indices (n,); TypeError unless they are whole numbers, ValueError unless from 0 to count - 1."""
    values = values.cpu() if isinstance(values, Tensor) else values
    array = np.asarray(values) if len(values) else np.zeros(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":  # of True and False np.flatnonzero makes indices
        raise TypeError(f"{what} must be a list of whole numbers, got {array.dtype} {array.shape}")
    if ((array < 0) | (array >= count)).any():
        raise ValueError(f"{what} must be from 0 to {count - 1}, got {sorted({*array.tolist()} - {*range(count)})}")
    return array.astype(np.int64)


@dataclass(frozen=True)
class Field:
    """The receptive field of a layer: unit (y, x) sees `side` pixels from `start + step * y` and `start + step * x`."""

    side: int
    step: int
    start: int


def receptive_field(arch: models.Architecture, layer: int) -> Field:
    """Of the discriminator's layer; `start` is below 0 where the padding is seen. ValueError for no such layer."""
    checks.whole(layer, "layer", 0, len(arch.widths) - 1)
    start, step = 0, 1
    for i, stride in enumerate(arch.layer_strides[: layer + 1]):
        start -= arch.padding * step
        if i < layer:
            step *= stride
    pooled = arch.layer_strides[layer] == 2 and arch.downsample != "stride"  # maps are taken before the pool
    return Field(models.receptive_fields(arch)[layer], step * (1 if pooled else arch.layer_strides[layer]), start)


@dataclass(frozen=True)
class Excitation:
    """The pictures that excite each of M maps most, strongest first, at the position where they do; a picture once.

    `values`, `pictures` (indices) and `positions` (y, x) are (M, k), (M, k) and (M, k, 2).
    """

    layer: int
    maps: tuple[int, ...]
    values: np.ndarray
    pictures: np.ndarray
    positions: np.ndarray


@torch.no_grad()
def maximal_activations(
    discriminator: models.Discriminator,
    images: np.ndarray | Tensor,
    layer: int,
    maps: Sequence[int] | None = None,
    k: int = 10,
    batch_size: int = 256,
    progress: bool = True,
) -> Excitation:
    """Which pictures excite the maps of a layer most, and where (paper section 6.2).

    `images` are uint8 (N, H, W, C) or float (N, C, H, W) in [-1, 1]; `maps` None takes all of the layer's. Batch norm
    uses running statistics. Raises TypeError or ValueError for a layer or map that is not there, k above N, or
    activations that are NaN.
    """
    _check_discriminator(discriminator)
    arch = discriminator.arch
    if arch.classes:
        raise ValueError("a discriminator that is told the class has other maps for each: take one without classes")
    if not len(images):
        raise ValueError("expected pictures, got none")
    checks.whole(layer, "layer", 0, len(arch.widths) - 1)
    maps = tuple(_indices(range(arch.widths[layer]) if maps is None else maps, "maps", arch.widths[layer]).tolist())
    if not maps:
        raise ValueError("expected one map or more, got none")
    checks.whole(k, "k", 1, len(images))
    checks.whole(batch_size, "batch_size", 1)
    network, device = copy.deepcopy(discriminator).eval(), next(discriminator.parameters()).device
    best, start = None, 0
    parts = data.batches(images, batch_size, device)
    total = -(-len(images) // batch_size)
    for batch in tqdm(parts, "activations", total, delay=2, **({} if progress else {"disable": True})):
        found = network.feature_maps(batch)[layer][:, list(maps)]  # (n, M, h, w)
        width = found.shape[3]
        values, at = found.flatten(2).max(2)  # (n, M) each: a picture counts once a map
        pictures = torch.arange(start, start + len(batch), device=device)[:, None].expand_as(at)
        row = [values, pictures, at]
        if best is not None:
            row = [torch.cat(pair) for pair in zip(best, row, strict=True)]
        order = row[0].argsort(dim=0, descending=True, stable=True)[:k]
        best = [v.gather(0, order) for v in row]  # (k, M) each
        start += len(batch)
    values, pictures, at = (v.T.cpu().numpy() for v in best)
    if not np.isfinite(values).all():
        raise ValueError(
            "activations are NaN or infinite: so are weights or batch-norm averages; calibrate or reload D"
        )
    return Excitation(layer, maps, values, pictures, np.stack([at // width, at % width], -1))


def crops(images: np.ndarray, arch: models.Architecture, found: Excitation) -> np.ndarray:
    """What the units of an Excitation saw, uint8 (M, k, side, side, C), cut from uint8 (N, H, W, C) pictures.

    Where a field reaches over the edge it saw padding: grey, the 0 of [-1, 1]. Raises ValueError for other pictures.
    """
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        got = f"{images.dtype} {tuple(images.shape)}" if hasattr(images, "shape") else type(images).__name__
        raise ValueError(f"expected pictures uint8 (N, H, W, C), got {got}")
    if found.pictures.max() >= len(images):
        raise ValueError(f"the units' pictures go up to number {found.pictures.max()}, got {len(images)} pictures")
    field = receptive_field(arch, found.layer)
    border = field.side
    shape = (*found.pictures.shape, field.side, field.side, images.shape[3])
    out = np.empty(shape, np.uint8)
    for m, j in np.ndindex(*found.pictures.shape):
        picture = np.pad(
            images[found.pictures[m, j]], ((border, border), (border, border), (0, 0)), constant_values=128
        )
        top, left = field.start + field.step * found.positions[m, j] + border
        out[m, j] = picture[top : top + field.side, left : left + field.side]
    return out


def unit(layer: int, maps, positions=None) -> Callable[[nn.Module, Tensor], Tensor]:
    """A score for `guided_backpropagation` and `optimised_input`: (N,) activations of a discriminator's units.

    `maps` is one map or (N,), one a picture; `positions` (N, 2) or (2,); None takes the whole map's largest activation.
    The score raises ValueError where the network has no such layer, map or position, and for a dense layer.
    """
    checks.whole(layer, "layer", 0)
    number = np.atleast_1d(maps.cpu() if isinstance(maps, Tensor) else maps)

    def score(network: nn.Module, images: Tensor) -> Tensor:
        every = network.feature_maps(images)
        found = every[checks.whole(layer, "layer", 0, len(every) - 1)]  # (N, C, h, w)
        if found.ndim != 4:
            raise ValueError(f"layer {layer} is dense: it has no maps, take a convolution's")
        _indices(number, "maps", found.shape[1])
        if len(number) not in (1, len(images)):
            raise ValueError(f"expected one map, or {len(images)}, one a picture, got {len(number)}")
        n = torch.arange(len(images), device=images.device)
        chosen = found[n, torch.as_tensor(maps, device=images.device).expand(len(images))]  # (N, h, w)
        if positions is None:
            return chosen.flatten(1).amax(1)
        at, side = np.asarray(positions), found.shape[2:]
        if at.shape not in ((2,), (1, 2), (len(images), 2)):
            raise ValueError(f"positions must be (y, x), or ({len(images)}, 2), one a picture, got {at.shape}")
        if at.dtype.kind not in "iu" or (at < 0).any() or (at >= side).any():
            raise ValueError(f"positions must be whole numbers (y, x) from 0 below {tuple(side)}, got {at.tolist()}")
        y, x = torch.as_tensor(at, device=images.device).expand(len(images), 2).T
        return chosen[n, y, x]

    return score


def guided_backpropagation(network: nn.Module, images: Tensor, score: Callable) -> Tensor:
    """The gradient of score(network, images) (N,) to the pixels, with negative gradients stopped at every rectifier.

    Springenberg et al., 2015: a ReLU lets a gradient through where its input was positive *and* the gradient is. They
    say nothing of LeakyReLU, nor does the DCGAN paper; the rule for it is ours: the usual gradient (slope 1 or 0.2),
    its negative part set to 0. Works for any network whose rectifiers are modules nn.ReLU or nn.LeakyReLU; others are
    passed as usual. Runs in eval mode, so that pictures do not mix; returns (N, C, H, W) like `images`.
    Raises ValueError when the network has no such module, or the score is not (N,). A warning from Adebayo et al.,
    2018: the result looks much like the picture's edges for random weights too; compare with those.
    """
    network = copy.deepcopy(network).eval().requires_grad_(False)
    rectifiers = [m for m in network.modules() if isinstance(m, (nn.ReLU, nn.LeakyReLU))]
    if not rectifiers:
        raise ValueError("guided backpropagation needs rectifiers: no nn.ReLU or nn.LeakyReLU in this network")
    for module in rectifiers:
        module.inplace = False
        module.register_full_backward_hook(lambda _, gradients, __: tuple(g.clamp_min(0) for g in gradients))
    images = images.detach().clone().requires_grad_()
    scores = score(network, images)
    if tuple(scores.shape) != (len(images),):
        raise ValueError(f"expected a score ({len(images)},), one a picture, got {tuple(scores.shape)}")
    scores.sum().backward()
    return images.grad


def optimised_input(
    network: nn.Module, shape: tuple[int, ...], score: Callable, steps: int = 200, rate: float = 0.05,
    smoothness: float = 0.02, seed: int = 0,
) -> Tensor:  # fmt: skip
    """Pictures (N, C, H, W) in [-1, 1] that raise the score, by Adam from faint noise.

    `smoothness` weighs the total variation, the sum of differences of neighbouring pixels: without it the result is
    high-frequency noise.
    """
    checks.whole(steps, "steps", 1)
    checks.number(rate, "rate", 0, above=True)
    checks.number(smoothness, "smoothness", 0)
    network = copy.deepcopy(network).eval().requires_grad_(False)
    start = 0.01 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    inner = start.to(next(network.parameters()).device).requires_grad_()
    optimiser = torch.optim.Adam([inner], rate)
    for _ in range(steps):
        images = inner.tanh()
        rough = images.diff(dim=2).abs().sum((1, 2, 3)) + images.diff(dim=3).abs().sum((1, 2, 3))
        loss = (smoothness * rough - score(network, images)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return inner.detach().tanh().cpu()


def class_entropy(pictures: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How mixed the classes are of the pictures that excite each map most, (M,) in bits: 0 when they are of one.

    `pictures` (M, top) are those of an `Excitation`; `labels` (N,) belong to all pictures that were looked at.
    """
    labels, out = np.asarray(labels), []
    if labels.ndim != 1 or len(labels) <= pictures.max():
        raise ValueError(f"expected labels (N,) of all {pictures.max() + 1} pictures or more, got {labels.shape}")
    for row in pictures:
        p = np.unique(labels[row], return_counts=True)[1] / len(row)
        out.append(-(p * np.log2(p)).sum())
    return np.array(out) + 0.0  # no -0


# ---- switching maps of the generator off -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """One of a generator's layers whose maps can be switched off: `width` maps of `side` by `side` positions."""

    index: int
    side: int
    width: int


def generator_layers(arch: models.Architecture) -> list[Layer]:
    """The layers of a generator that `generator_maps` and `without_maps` take, from z outwards.

    Layer 0 is the projected z, which the paper's figure 1 draws as the first grid; each of the others is an
    up-convolution behind its ReLU. The last up-convolution is left out: its output is the picture. For `paper64`: 4x4
    with 1,024 maps, 8x8 with 512, 16x16 with 256, 32x32 with 128.
    The paper dropped 200 maps of the 'second highest convolution layer' (6.3.1) and does not say from which end it
    counts. Next to the picture that layer has 128 maps, too few; next to z it has 512. Measure every layer.
    """
    sides, widths = reversed(arch.sizes[1:]), reversed(arch.widths)
    return [Layer(i, side, width) for i, (side, width) in enumerate(zip(sides, widths, strict=True))]


def _generator_layer(generator: models.Generator, layer: int) -> tuple[Layer, nn.Module]:
    """The layer's sizes and the module behind which its maps are."""
    if not isinstance(generator, models.Generator):
        raise TypeError(f"expected a Generator, got {type(generator).__name__}")
    rows = generator_layers(generator.arch)
    row = rows[checks.whole(layer, "a generator's layer", 0, len(rows) - 1)]
    return row, generator.blocks[layer - 1] if layer else generator.project_activation


@torch.no_grad()
def generator_maps(
    generator: models.Generator, latent: Tensor, layer: int, batch_size: int = 128, labels: Tensor | None = None
) -> Tensor:
    """Activations of one of a generator's layers (N, width, side, side), after its ReLU, on the CPU.

    `layer` is an index of `generator_layers`; `labels` (N,) belong to a generator with classes. Raises ValueError for a
    layer that is not there, else as `models.sample`.
    """
    _, module = _generator_layer(generator, layer)
    caught = []
    handle = module.register_forward_hook(lambda _, __, output: caught.append(output.float().cpu()))
    try:
        models.sample(generator, latent, batch_size=batch_size, labels=labels)
    finally:
        handle.remove()
    return torch.cat(caught)


def box_masks(path: str | Path, side: int, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """What `widgets.BoxLabeller` saved: indices (N,) of the pictures looked at, and masks (N, side, side).

    A cell of the map counts when its centre lies in a box; of a box smaller than the cells, the one around its middle.
    Raises ValueError, naming the file, for one that holds something else or boxes outside the picture.
    """
    checks.whole(image_size, "image_size", 1)
    checks.whole(side, "side", 1, image_size)
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
        boxes = {int(k): [tuple(map(float, box)) for box in found] for k, found in json.loads(text)["boxes"].items()}
        inside = all(
            0 <= top < bottom <= image_size and 0 <= left < right <= image_size
            for found in boxes.values()
            for top, bottom, left, right in found
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} holds no boxes of widgets.BoxLabeller ({error!r})") from error
    if not inside or any(k < 0 for k in boxes):
        raise ValueError(f"{path} holds boxes that do not lie in pictures of {image_size} pixels")
    step = image_size / side
    centres = (np.arange(side) + 0.5) * step

    def cells(low: float, high: float) -> np.ndarray:
        inside = (centres >= low) & (centres < high)
        return inside if inside.any() else np.arange(side) == int((low + high) / 2 / step)

    masks = np.zeros((len(boxes), side, side), bool)
    for mask, found in zip(masks, boxes.values(), strict=True):
        for top, bottom, left, right in found:
            mask |= cells(top, bottom)[:, None] & cells(left, right)
    return np.array(list(boxes), int), masks


def map_weights(maps: Tensor, where: np.ndarray | Tensor, seed: int = 0, C: float = 1.0) -> np.ndarray:
    """Weights (width,) of a logistic regression that tells from a position's activations whether the object is there.

    `maps` (N, width, side, side) belong to generated samples. `where` is boolean: masks (N, side, side), of which as
    many positions without as with the object are drawn from the same samples (the paper's way), or (N,), whether the
    sample has the object at all; then each map counts by its mean over positions. Activations are divided by their
    deviation, which leaves signs as they are.
    Raises TypeError or ValueError for other shapes, NaN, or when only one class is there.
    """
    if not isinstance(maps, Tensor) or maps.ndim != 4 or not maps.is_floating_point():
        got = tuple(maps.shape) if hasattr(maps, "shape") else type(maps).__name__
        raise TypeError(f"expected maps as a float tensor (N, width, side, side), got {got}")
    if not torch.isfinite(maps).all():
        raise ValueError("the maps hold NaN or infinite numbers")
    maps = maps.float()  # of half precision: sums of squares would overflow
    where, rng = np.asarray(where), np.random.default_rng(checks.whole(seed, "seed", 0))
    if where.dtype != bool:
        raise TypeError(
            f"expected `where` as True and False, got {where.dtype}: compare probabilities with a threshold"
        )
    C = checks.number(C, "C", 0, above=True)
    if where.shape not in ((len(maps),), (len(maps), *maps.shape[2:])):
        raise ValueError(
            f"expected masks ({len(maps)}, {maps.shape[2]}, {maps.shape[3]}) or ({len(maps)},), got {where.shape}"
        )
    if not 0 < where.mean() < 1:
        raise ValueError("the object must be in some places and absent in others")
    if where.ndim == 1:
        X, y = maps.mean((2, 3)).numpy(), where
    else:
        rows = maps.permute(0, 2, 3, 1).numpy()  # (N, side, side, width)
        inside = rows[where]
        mixed = where.any((1, 2))  # negatives from the samples that show the object
        outside = rows[mixed][~where[mixed]] if (~where[mixed]).any() else rows[~where]
        chosen = rng.choice(len(outside), min(len(inside), len(outside)), replace=False)
        X, y = np.concatenate([inside, outside[chosen]]), np.repeat([True, False], [len(inside), len(chosen)])
    model = LogisticRegression(C=C, max_iter=1000, class_weight="balanced").fit(X / (X.std(0) + 1e-6), y)
    return model.coef_[0]


def without_maps(generator: models.Generator, maps: Sequence[int] | np.ndarray, layer: int) -> models.Generator:
    """A copy of the generator whose layer gives 0 in these maps at every position.

    `layer` is an index of `generator_layers`. The copy draws and goes to ONNX; a file of weights would not know of the
    maps, so `checkpoints.save` refuses it. Raises TypeError or ValueError for a layer or map that is not there.
    """
    network = copy.deepcopy(generator)
    row, module = _generator_layer(network, layer)
    index = torch.from_numpy(_indices(maps, "maps", row.width))

    def drop(_, __, output: Tensor) -> Tensor:
        return output.index_fill(1, index.to(output.device), 0.0)

    module.register_forward_hook(drop)
    network.drops_maps = True
    return network
