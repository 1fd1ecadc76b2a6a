"""Nearest neighbours, and the measures that take a set for the balls around its members.

A ball reaches from a member to its k-th nearest fellow. Fidelity (precision, density) asks whether generated pictures
lie in the balls of real ones; diversity (recall, coverage) whether real ones are reached.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..checks import number, whole
from .pairs import feature_pair

SPARE = 4  # candidates beside the k nearest
BLOCK = 512  # rows compared at a time: memory is BLOCK times the other set


def nearest(queries: np.ndarray, references: np.ndarray, k: int = 1, chunk: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """For each query (N, F) the k nearest of the references (M, F): indices (N, k) and Euclidean distances (N, k).

    Nearest first. Compares in chunks of queries, so that memory stays at chunk times M and a copy of the references.
    Raises ValueError when k is not between 1 and M, for vectors of different lengths and for NaN.
    """
    queries, references = (np.ascontiguousarray(v, np.float32) for v in (queries, references))
    for what, vectors in (("queries", queries), ("references", references)):
        if vectors.ndim != 2 or vectors.shape[1] != references.shape[1]:
            raise ValueError(f"expected {what} (N, F) of one length, got {queries.shape} and {references.shape}")
        if not np.isfinite(vectors).all():
            raise ValueError(f"the {what} hold NaN or infinite numbers")
    if whole(k, "k", 1) > len(references):
        raise ValueError(f"k must be from 1 to the {len(references)} references, got {k}")
    chunk = whole(chunk, "chunk", 1)
    queries, references = torch.from_numpy(queries), torch.from_numpy(references)
    # cdist takes the difference of squares for long vectors, which rounds, the more the farther they lie from 0: so
    # they are centred, and exact distances decide among a few more.
    few = min(k + SPARE, len(references))
    centre = references.mean(0, dtype=torch.float64).float()
    centred = references - centre
    rows = []
    for part in queries.split(chunk):
        near = torch.cdist(part - centre, centred).topk(few, largest=False).indices  # (chunk, few)
        exact = torch.stack([(part - references[near[:, j]]).norm(dim=1) for j in range(few)], 1)
        exact, order = exact.sort(dim=1, stable=True)
        rows.append((near.gather(1, order)[:, :k], exact[:, :k]))
    indices, distances = (torch.cat(found).numpy() for found in zip(*rows, strict=True))
    return indices, distances


def usual_distances(asked: np.ndarray, known: np.ndarray, fellows: bool) -> np.ndarray:
    """How far vectors (A, F) lie from their nearest known one (N, F), as a scale: (A,), or fewer.

    `fellows`: they are known ones themselves, each asked for its nearest other. Exact repeats, no scale, are left out.
    Raises ValueError for fewer than two known fellows, or where all that are asked are repeats.
    """
    if fellows and len(known) < 2:
        raise ValueError(f"expected at least two known vectors, got {len(known)}")
    away = nearest(asked, known, 2 if fellows else 1)[1][:, -1]  # of fellows the nearest is itself
    away = away[away > 0]
    if not len(away):
        raise ValueError("expected known vectors that differ: every one that was asked has an exact repeat")
    return away


def copied(generated: np.ndarray, known: np.ndarray, within: float = 0.5) -> float:
    """The part of the generated vectors (M, F) that lie nearer to a known one (N, F) than `within` of the usual.

    The usual is the median of `usual_distances` of fellows, asked of at most 1,000 of them. The vectors may be
    features, or the pixels of training pictures (`images.tensor().flatten(1)`): pixels find copies in place, not
    shifted or mirrored ones. Errors as `usual_distances`.
    """
    within = number(within, "within", 0, above=True)
    asked = known[:: max(1, -(-len(known) // 1000))]
    usual = np.median(usual_distances(asked, known, fellows=True))
    return float((nearest(generated, known)[1][:, 0] < within * usual).mean())


def precision(real: np.ndarray, generated: np.ndarray, k: int = 3) -> float:
    """The part of the generated features (M, F) that lies in a ball of the real ones (N, F).

    Improved precision of Kynkäänniemi et al. (2019), k = 3 as theirs. One outlier among the real pictures has a large
    ball: `density` gives it no more weight than others.
    Raises ValueError for features of different lengths, not finite, or no more than k of them in a set.
    """
    real, generated = _pair(real, generated, k)
    return _share_inside(generated, real, k)


def recall(real: np.ndarray, generated: np.ndarray, k: int = 3) -> float:
    """The part of the real features (N, F) that lies in a ball of the generated ones (M, F): precision, the other way.

    Improved recall of Kynkäänniemi et al. (2019). Noise has large balls, so that a bad generator may have a high
    recall: `coverage` cannot be had so. Errors as `precision`.
    """
    real, generated = _pair(real, generated, k)
    return _share_inside(real, generated, k)


def density(real: np.ndarray, generated: np.ndarray, k: int = 5) -> float:
    """In how many balls of real features (N, F) a generated one (M, F) lies, over the k expected; it may exceed 1.

    Naeem et al., Reliable fidelity and diversity metrics for generative models (2020), k = 5 as theirs.
    Errors as `precision`.
    """
    real, generated = _pair(real, generated, k)
    return float(sum(int(inside.sum()) for inside in _inside(generated, real, k)) / (k * len(generated)))


def coverage(real: np.ndarray, generated: np.ndarray, k: int = 5) -> float:
    """The part of the real features (N, F) whose ball holds a generated one (M, F).

    Naeem et al. (2020). For two samples of the same pictures, as many of each, about 1 - 1 / 2^k. Fewer generated
    pictures reach fewer balls: compare equal numbers. Errors as `precision`.
    """
    real, generated = _pair(real, generated, k)
    reached = torch.zeros(len(real), dtype=torch.bool)
    for inside in _inside(generated, real, k):
        reached |= inside.any(0)
    return float(reached.double().mean())


def _pair(real: np.ndarray, generated: np.ndarray, k: int) -> tuple[Tensor, Tensor]:
    real, generated = feature_pair(real, generated, whole(k, "k", 1) + 1)
    real, generated = (torch.from_numpy(np.array(features, np.float64)) for features in (real, generated))
    centre = real.mean(0)  # distances stay, and the rounding of the products below shrinks
    return real - centre, generated - centre


def _share_inside(queries: Tensor, centres: Tensor, k: int) -> float:
    return float(torch.cat([inside.any(1) for inside in _inside(queries, centres, k)]).double().mean())


def _inside(queries: Tensor, centres: Tensor, k: int) -> Iterator[Tensor]:
    """Which queries lie in the ball around which centre, bool (BLOCK, centres) a time."""
    kth = [squared.topk(k + 1, largest=False).values[:, -1] for squared in _squared(centres, centres)]  # itself is one
    radius = torch.cat(kth)
    # A ball's surface belongs to it (there lies its own k-th neighbour, and a copy's copy): rounding must not decide.
    slack = 1e-12 * centres.square().sum(1)
    for squared, part in zip(_squared(queries, centres), queries.split(BLOCK), strict=True):
        yield squared <= radius + slack + 1e-12 * part.square().sum(1, keepdim=True)


def _squared(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    """Squared distances of the rows of a to all of b, BLOCK rows a time."""
    norms = b.square().sum(1)
    for part in a.split(BLOCK):
        yield torch.addmm(norms[None], part, b.T, alpha=-2).add_(part.square().sum(1, keepdim=True)).clamp_(min=0)
