"""Pictures that no rule for good samples may let pass."""

from __future__ import annotations

import numpy as np
from torch.nn import functional as F

from ..checks import whole
from ..data import to_float, to_uint8
from .faults import uint8_pictures


def controls(real: np.ndarray, rng: np.random.Generator, few: int = 10) -> dict[str, np.ndarray]:
    """Bad stand-ins for real pictures, each uint8 (N, H, W, C) as `real`, whose sides are multiples of 4, at least 8.

    noise: every pixel at random, evenly from 0 to 255.
    blurred: each picture shrunk eightfold and enlarged again: what was learnt without any detail.
    shuffled: the 4 x 4 tiles of each picture in a random order: detail without composition.
    mean: the mean picture, N times: no diversity.
    few: `few` pictures of the real ones, over and over: perfect quality, no diversity beyond them.
    Raises ValueError for other arrays or fewer pictures than `few`.
    """
    n, height, width, _ = uint8_pictures(real).shape
    if height % 4 or width % 4 or min(height, width) < 8:
        raise ValueError(f"expected sides that are multiples of 4, at least 8, got {height} x {width}")
    whole(few, "few", 1, n)
    chosen = rng.choice(n, few, replace=False)
    return {
        "noise": rng.integers(0, 256, real.shape, np.uint8),
        "blurred": np.concatenate([_blurred(real[i : i + 500]) for i in range(0, n, 500)]),
        "shuffled": _shuffled(real, rng),
        "mean": np.repeat(real.mean(0, keepdims=True).round().astype(np.uint8), n, 0),
        "few": np.array(real[chosen[np.arange(n) % few]]),
    }


def _blurred(images: np.ndarray) -> np.ndarray:
    height, width = images.shape[1:3]
    small = F.interpolate(to_float(images), (height // 8, width // 8), mode="area")
    return to_uint8(F.interpolate(small, (height, width), mode="bicubic"))


def _shuffled(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n, height, width, channels = images.shape
    tiles = images.reshape(n, 4, height // 4, 4, width // 4, channels).swapaxes(2, 3)
    tiles = tiles.reshape(n, 16, height // 4, width // 4, channels)  # (N, tile, h, w, C)
    order = rng.permuted(np.tile(np.arange(16), (n, 1)), axis=1)
    tiles = np.take_along_axis(tiles, order[:, :, None, None, None], 1).reshape(
        n, 4, 4, height // 4, width // 4, channels
    )
    return tiles.swapaxes(2, 3).reshape(images.shape)
