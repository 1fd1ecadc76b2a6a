"""Numbers about pictures themselves and about what a classifier says of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..checks import whole
from ..data import to_uint8
from ..data.image_set import float_pictures


def class_report(probabilities: np.ndarray, confident: float = 0.9) -> dict:
    """How a classifier trained on real pictures sees generated ones, from its probabilities (N, classes).

    Returns `shares`, the part of the pictures in each class; `classes`, how many have at least a fifth of an even
    share; `perplexity` of the shares (as many as there are classes when even); `confident`, the part whose likeliest
    class has at least that probability. Raises ValueError for another shape or rows that do not sum to 1.
    """
    p = np.asarray(probabilities)
    if p.ndim != 2 or not len(p) or not np.allclose(p.sum(1), 1, atol=1e-3):
        raise ValueError(f"expected probabilities (N, classes) with rows that sum to 1, got shape {p.shape}")
    shares = np.bincount(p.argmax(1), minlength=p.shape[1]) / len(p)
    seen = shares[shares > 0]
    return {
        "shares": shares.round(4).tolist(),
        "classes": int((shares >= 0.2 / p.shape[1]).sum()),
        "perplexity": float(np.exp(-(seen * np.log(seen)).sum())),
        "confident": float((p.max(1) >= confident).mean()),
    }


def spread(images: Tensor) -> float:
    """Standard deviation over the pictures, float (N, C, H, W), averaged over pixels: near 0 when all are alike.

    Raises TypeError or ValueError for other pictures.
    """
    images = float_pictures(images).float()
    return float(images.std(0).mean()) if len(images) > 1 else 0.0


def colour_spread(images: Tensor) -> float:
    """Standard deviation over the pictures, float (N, C, H, W), of their mean colours, averaged over channels.

    Near 0 when all have one tint, whatever their shapes: what `spread` may not see. Errors as there.
    """
    images = float_pictures(images).float()
    return float(images.mean((2, 3)).std(0).mean()) if len(images) > 1 else 0.0


def checkerboard(images: Tensor, period: int = 2) -> float:
    """How far a grid of `period` pixels stands out in pictures (N, C, H, W): about 1 where there is none.

    The power of the frequencies that a grid of this period has, over that of their neighbours (at two bins' distance),
    in the pictures' mean power spectrum behind a Hann window. Transposed convolutions whose kernels overlap unevenly
    leave such grids (Odena, Dumoulin and Olah, 2016), of the strides' product behind them. Sharp or noisy pictures have
    more power at all high frequencies, and no larger ratio; the neighbours have at least the power of rounding to 255
    levels. Sides are cut to a multiple of the period.

    Raises ValueError for a period below 2, for no pictures, and for pictures that are not at least eight periods wide.
    """
    period = whole(period, "period", 2)
    if images.ndim != 4 or not len(images) or min(images.shape[2:]) < 8 * period:
        raise ValueError(f"expected pictures (N, C, H, W) of at least {8 * period} pixels, got {tuple(images.shape)}")
    side = min(images.shape[2:]) // period * period
    images = images[..., :side, :side].float()
    window = torch.hann_window(side, dtype=images.dtype, device=images.device)
    flat = images - images.mean((2, 3), keepdim=True)
    power = torch.fft.fft2(flat * window * window[:, None]).abs().square().mean((0, 1))  # (side, side)
    grid, near = [], []
    steps = range(0, side, side // period)
    for u, v in ((u, v) for u in steps for v in steps if (u, v) != (0, 0)):
        around = [power[(u + i) % side, (v + j) % side] for i in range(-2, 3) for j in range(-2, 3)]
        grid.append(around[12])
        near += [value for k, value in enumerate(around) if k // 5 in (0, 4) or k % 5 in (0, 4)]
    rounding = (2 / 255) ** 2 / 12 * window.square().sum() ** 2
    return float(torch.stack(grid).mean() / torch.stack(near).mean().clamp_min(rounding))


def head_turn(images: Tensor | np.ndarray) -> np.ndarray:
    """Which way heads look in CelebA-aligned faces (N, 3, H, W) in [-1, 1] or uint8 (N, H, W, 3): (N,) in [-1, 1].

    Positive looks to the picture's right, 0 straight ahead. Eyes stand at fixed places in aligned faces, so a turned
    head reaches further to one side of them: the cue is the centre of what has the skin's colour (that of the nose and
    cheeks) between eyes and mouth. A mirrored face has the opposite value. Its limits: hands, microphones and light
    backgrounds of the skin's colour, and faces in half shadow. Raises ValueError for other pictures, and for none.
    """
    if isinstance(images, Tensor):
        images = to_uint8(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or not len(images):
        raise ValueError(f"expected a float tensor or uint8 (N, H, W, 3), got {images.dtype} {images.shape}")
    return np.concatenate([_head_turn(images[start : start + 1000]) for start in range(0, len(images), 1000)])


def _head_turn(images: np.ndarray) -> np.ndarray:
    n, height, width, _ = images.shape

    def part(top, bottom, left, right):  # in parts of the picture, to [-1, 1]
        rows, columns = (
            slice(round(top * height), round(bottom * height)),
            slice(round(left * width), round(right * width)),
        )
        return images[:, rows, columns].astype(np.float64) / 127.5 - 1

    skin = part(38 / 64, 48 / 64, 27 / 64, 37 / 64).reshape(n, -1, 3)  # nose and cheeks
    mean = skin.mean(1)
    away = skin - mean[:, None]
    covariance = np.einsum("nij,nik->njk", away, away) / away.shape[1] + 0.01 * np.eye(3)
    away = part(36 / 64, 52 / 64, 0, 1) - mean[:, None, None]  # (N, h, W, 3)
    distance = np.einsum("nhwi,nij,nhwj->nhw", away, np.linalg.inv(covariance), away)  # squared, in deviations
    weight = np.exp(-distance / 8).mean(1)  # (N, W)
    return -(weight * np.linspace(-1, 1, width)).sum(1) / weight.sum(1)
