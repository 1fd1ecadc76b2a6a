"""Sets of pictures with one known fault, mild or grave: what a measure should see, and how much of it.

`controls` are what no rule may let pass; these go there by degrees. A mode is dropped by leaving out its pictures, and
a training set is copied by taking its pictures: that needs no function.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from ..checks import number, whole


def noisy(images: np.ndarray, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Pictures, uint8 (N, H, W, 1 or 3), with normal noise of `sd` grey levels on each value, kept from 0 to 255.

    Raises ValueError for other arrays or an sd below 0.
    """
    noise = rng.normal(0, number(sd, "sd", 0), uint8_pictures(images).shape)
    return (images + noise).round().clip(0, 255).astype(np.uint8)


def blurred(images: np.ndarray, sd: float) -> np.ndarray:
    """Pictures, uint8 (N, H, W, 1 or 3), behind a Gaussian of `sd` pixels. Raises ValueError as `noisy`."""
    sides = (0, number(sd, "sd", 0), sd, 0)
    return gaussian_filter(uint8_pictures(images).astype(np.float32), sides, mode="nearest").round().astype(np.uint8)


def repeated(images: np.ndarray, distinct: int) -> np.ndarray:
    """The first `distinct` pictures (N, …) over and over, N in all.

    Raises ValueError where `distinct` is not from 1 to N.
    """
    return images[np.arange(len(images)) % whole(distinct, "distinct", 1, len(images))]


def uint8_pictures(images: np.ndarray) -> np.ndarray:
    """The same array. Raises ValueError unless it is uint8 (N, H, W, 1 or 3)."""
    right = isinstance(images, np.ndarray) and images.dtype == np.uint8 and images.ndim == 4
    if not right or images.shape[3] not in (1, 3):
        got = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"expected uint8 (N, H, W, 1 or 3), got {got}")
    return images
