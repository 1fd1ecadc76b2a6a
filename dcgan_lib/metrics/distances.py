"""Distances between two sets of feature vectors: Fréchet and kernel."""

from __future__ import annotations

import numpy as np
import torch

from ..checks import whole
from .pairs import feature_pair


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Fréchet distance between Gaussians fitted to two sets of feature vectors (N, F) and (M, F); 0 for equal ones.

    |mean difference|² + trace(A + B - 2 sqrt(AB)) of the covariances A and B. With Inception's features this is FID
    (Heusel et al., 2017); with others only values in the same features compare. Fewer vectors give larger values.
    Raises ValueError for fewer than 2 vectors, features of different lengths or values that are not finite.
    """
    real, generated = (features.astype(np.float64) for features in feature_pair(real, generated))
    apart = ((real.mean(0) - generated.mean(0)) ** 2).sum()
    # Covariances are a.T a and b.T b.
    a, b = ((features - features.mean(0)) / np.sqrt(len(features) - 1) for features in (real, generated))
    if len(a) * len(b) < a.shape[1] ** 2:
        # trace sqrt(a.T a b.T b) is the sum of the singular values of a b.T: fewer numbers where vectors are long.
        cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    else:
        # The eigenvalues of AB are those of the symmetric sqrt(A) B sqrt(A), so no complex square root is needed.
        values, vectors = np.linalg.eigh(a.T @ a)
        root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
        cross = np.sqrt(np.linalg.eigvalsh(root @ (b.T @ b) @ root).clip(0)).sum()
    return max(float(apart + (a**2).sum() + (b**2).sum() - 2 * cross), 0.0)  # rounding may go below


def kernel_distance(
    real: np.ndarray, generated: np.ndarray, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> float:
    """Mean over subsets of the unbiased squared maximum mean discrepancy of features (N, F) and (M, F).

    Its kernel is (x·y / F + 1)³; with Inception's features this is KID (Bińkowski et al., Demystifying MMD GANs, 2018).
    Around 0 (and below it by chance) for two samples of the same pictures, however few. Subsets are drawn without
    repeats, each of `subset_size` vectors or of all where a set has fewer.
    Raises ValueError as `frechet_distance` does and for subsets or a subset_size that are too small.
    """
    real, generated = (features.astype(np.float64) for features in feature_pair(real, generated))
    whole(subsets, "subsets", 1)
    size, rng = min(whole(subset_size, "subset_size", 2), len(real), len(generated)), np.random.default_rng(seed)
    if size == len(real) == len(generated):  # every subset is the whole set
        return _squared_discrepancy(real, generated)
    draws = ([v[rng.choice(len(v), size, replace=False)] for v in (real, generated)] for _ in range(subsets))
    return float(np.mean([_squared_discrepancy(*pair) for pair in draws]))


def _squared_discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    n, length = x.shape

    def kernel(a, b):
        return (a @ b.T / length + 1) ** 3  # all in double precision: the terms nearly cancel

    among = sum(k.sum() - k.trace() for k in (kernel(x, x), kernel(y, y)))  # a vector is not compared with itself
    return float(among / (n * (n - 1)) - 2 * kernel(x, y).mean())
