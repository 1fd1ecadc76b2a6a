"""What every measure of two sets of features asks of them."""

from __future__ import annotations

import numpy as np


def feature_pair(real, generated, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays (N, F) and (M, F) of one length F.

    Raises ValueError for other shapes, fewer than `least` vectors in a set, or values that are not finite.
    """
    real, generated = np.asarray(real), np.asarray(generated)
    shapes = f"got {real.shape} and {generated.shape}"
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1] or not real.shape[1]:
        raise ValueError(f"expected features (N, F) and (M, F) of one length F, at least {least} each, {shapes}")
    if min(len(real), len(generated)) < least:
        raise ValueError(f"expected features (N, F) and (M, F), at least {least} each, {shapes}")
    for name, features in (("real", real), ("generated", generated)):
        if not np.isfinite(features).all():
            raise ValueError(f"the {name} features hold values that are not finite: were the pictures?")
    return real, generated
