"""Numbers about pictures. These functions know arrays and tensors, not models."""

from __future__ import annotations

import numpy as np
from torch import Tensor


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
    """Standard deviation over the pictures (N, C, H, W), averaged over pixels: near 0 when all are alike."""
    return float(images.std(0).mean()) if len(images) > 1 else 0.0
