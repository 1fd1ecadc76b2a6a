"""What can be done with z: walks, means, sums and directions (paper sections 6.1 and 6.3.2).

Latents are tensors (N, latent_dim) on the CPU. Nothing here trains, and nothing is random without a seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from torch import Tensor

from . import checks, models
from .checks import choose

KINDS = ("linear", "spherical")


def _floats(value, what: str, ndim: int) -> Tensor:
    """`value` as floats; TypeError unless it is a tensor, ValueError unless it has `ndim` axes and finite numbers."""
    shape = {1: "(latent_dim,)", 2: "(n, latent_dim)"}[ndim]
    if not isinstance(value, Tensor):
        raise TypeError(f"expected {what} as a tensor {shape}, got {type(value).__name__}")
    if value.ndim != ndim or value.is_complex() or not value.numel():
        raise ValueError(f"expected {what} {shape}, got {tuple(value.shape)} of {value.dtype}")
    value = value if value.is_floating_point() else value.float()
    if not torch.isfinite(value).all():
        raise ValueError(f"{what} {shape} must be finite, got NaN or infinite numbers")
    return value


def _concepts(value, what: str) -> list[Tensor]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"expected `{what}` as a list of exemplars (n, latent_dim), got {type(value).__name__}")
    return [_floats(item, "the exemplars of a concept", 2).mean(0) for item in value]


def interpolate(points: Tensor, steps: int = 9, kind: str = "linear") -> Tensor:
    """A walk through all points (K, latent_dim), with `steps` latents from each to the next, both ends counted.

    Returns ((K - 1) * (steps - 1) + 1, latent_dim). "linear" is the paper's; "spherical" turns at a constant angle and
    lets the length go evenly from one point's to the next's, so that a normal prior's walk does not pass near 0, where
    it has hardly any mass (White, 2016). Whole numbers become floats.
    Raises TypeError for what is no tensor, ValueError for fewer than 2 points or steps, NaN, or an unknown kind.
    """
    choose(kind, KINDS, "kind of interpolation")
    points, steps = _floats(points, "the points of a walk", 2), checks.whole(steps, "steps", 2)
    if len(points) < 2:
        raise ValueError(f"expected the points of a walk (2 or more, latent_dim), got {tuple(points.shape)}")
    t = torch.linspace(0, 1, steps, dtype=points.dtype)[1:-1, None]  # between the ends, which are the points themselves
    segments = [points[:1]]
    for a, b in pairwise(points):
        segments += [a + t * (b - a) if kind == "linear" else _turn_by_angle(a, b, t), b[None]]
    return torch.cat(segments)


def _turn_by_angle(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    a64, b64 = a.double(), b.double()
    product = a64.norm() * b64.norm()
    cosine = (a64 @ b64 / product).clamp(-1, 1) if product > 0 else torch.ones(())
    angle = torch.arccos(cosine)
    if torch.sin(angle) < 1e-3:  # one direction, opposite ones, or none: they fix no plane to turn in
        return a + t * (b - a)
    lengths = (1 - t) * a64.norm() + t * b64.norm()
    turned = torch.sin((1 - t) * angle) * a64 / a64.norm() + torch.sin(t * angle) * b64 / b64.norm()
    return (lengths * turned / torch.sin(angle)).to(a.dtype)


def arithmetic(plus: list[Tensor], minus: list[Tensor]) -> Tensor:
    """Sum of the means of `plus` less the means of `minus`, (latent_dim,).

    Each item is (n, latent_dim), the exemplars of one concept: the paper took the mean of three, since single ones were
    unstable. `arithmetic([smiling_woman, neutral_man], [neutral_woman])` should be a smiling man.
    Raises TypeError or ValueError for an empty `plus` and for exemplars that are empty, of several widths or with NaN.
    """
    added, taken = _concepts(plus, "plus"), _concepts(minus, "minus")
    if not added or len({len(mean) for mean in added + taken}) != 1:
        widths = [len(mean) for mean in added + taken]
        raise ValueError(f"expected one concept or more to add, all (n, latent_dim) of one width, got widths {widths}")
    return sum(added) - sum(taken, torch.zeros_like(added[0]))


def neighbours(latent: Tensor, n: int = 8, scale: float = 0.25, seed: int = 0) -> Tensor:
    """n latents around one (latent_dim,), with noise uniform in ±scale in every coordinate: the paper's grid of 8."""
    latent, scale = _floats(latent, "one latent", 1), checks.number(scale, "scale", 0)
    rng = torch.Generator().manual_seed(checks.whole(seed, "seed", 0, 2**64 - 1))
    return latent + scale * (2 * torch.rand(checks.whole(n, "n", 1), len(latent), generator=rng) - 1)


def turn(left: Tensor, right: Tensor) -> Tensor:
    """The paper's 'turn' vector, (latent_dim,): from the mean of samples that look left to the mean of those that
    look right."""
    return arithmetic([right], [left])


def exemplars(
    probabilities: np.ndarray, names: list[str], wanted: dict[str, bool], n: int, seed: int | None = None
) -> np.ndarray:
    """Indices (n,) of samples that a classifier is sure have what is `wanted`.

    `probabilities` (N, A) belong to the attributes `names`; {"Smiling": True, "Male": False} asks for smiling women.
    A sample is as sure as its least sure attribute. Without a seed the n surest, surest first: look at their
    probabilities before you trust the last ones. With a seed n drawn from all that are at least 0.9 sure, which are
    less extreme in everything else. (The paper's authors picked theirs by eye.)
    Raises ValueError for an unknown attribute, for what is no probability, or where there are fewer than n.
    """
    probabilities, names = np.asarray(probabilities), list(names)
    if probabilities.ndim != 2 or probabilities.shape[1] != len(names) or probabilities.dtype.kind != "f":
        got = f"{probabilities.dtype} {probabilities.shape}"
        raise ValueError(f"expected float probabilities (N, {len(names)}), one for each name, got {got}")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():  # NaN is neither
        raise ValueError("expected probabilities from 0 to 1, got others or NaN: a classifier's sigmoid gives them")
    if not isinstance(wanted, dict) or not all(isinstance(yes, (bool, np.bool_)) for yes in wanted.values()):
        raise TypeError(f"expected what is wanted as {{attribute: True or False}}, got {wanted!r}")
    checks.whole(n, "n", 1)
    if not wanted or n > len(probabilities):
        raise ValueError(f"expected attributes to look for and n from 1 to {len(probabilities)}, got {wanted}, {n}")
    for name in wanted:
        choose(name, names, "attribute")
    columns = {name: probabilities[:, names.index(name)] for name in wanted}
    sure = np.min([columns[name] if yes else 1 - columns[name] for name, yes in wanted.items()], axis=0)
    if seed is None:
        return np.argsort(-sure, kind="stable")[:n]
    enough = np.flatnonzero(sure >= 0.9)
    if len(enough) < n:
        raise ValueError(f"only {len(enough)} samples are 0.9 sure to have {wanted}, expected {n}: take more samples")
    return np.random.default_rng(seed).choice(enough, n, replace=False)


@dataclass(frozen=True)
class Direction:
    """A way to go in latent space: a unit `vector` (latent_dim,), and how well it tells yes from no (0.5 is chance)."""

    vector: Tensor
    accuracy: float


def direction(latent: Tensor, labels, C: float = 0.01) -> Direction:
    """The direction in which an attribute grows: logistic regression from latents (N, latent_dim) to labels 0 or 1.

    Classes weigh the same, however rare one is; `accuracy` is balanced, by five-fold cross-validation.
    Raises TypeError or ValueError for what is neither, NaN, a class with fewer than 10 latents, or latents that do not
    differ between the two.
    """
    C = checks.number(C, "C", 0, above=True)
    z, labels = _floats(latent, "latents", 2).detach().float().numpy(), np.asarray(labels)
    if labels.shape != (len(z),) or not np.isin(labels, (0, 1)).all():
        raise ValueError(f"expected a label, 0 or 1, for each of the {len(z)} latents, got {labels.shape}")
    labels = labels.astype(int)
    counts = np.bincount(labels, minlength=2)
    if counts.min() < 10:
        raise ValueError(
            f"an attribute needs at least 10 latents with it and 10 without, got {counts[1]} and {counts[0]}"
        )
    model = LogisticRegression(C=C, class_weight="balanced", max_iter=1000)
    accuracy = cross_val_score(model, z, labels, cv=5, scoring="balanced_accuracy").mean()
    vector = torch.from_numpy(model.fit(z, labels).coef_[0].astype(np.float32))
    if not vector.norm() > 0:
        raise ValueError("latents with the attribute do not differ from those without: there is no direction")
    return Direction(vector / vector.norm(), float(accuracy))


def principal_axes(
    generator: models.Generator, n_axes: int | None = None, samples: int = 1024, seed: int = 0
) -> Tensor:
    """The unit directions (n_axes, latent_dim) that move the picture most, strongest first, orthogonal.

    `n_axes` unless given is 6, or latent_dim where z has fewer.

    Pictures of `samples` latents are regressed on their latents, and the regression's singular vectors are taken: the
    principal components of the generator's linear response. A sign has no meaning; the largest entry is made positive.
    With classes there are as many samples of each, and what differs between the classes' means does not count.
    Raises ValueError for more axes than z or the coarse picture has, or fewer samples than that regression needs.
    """
    if not isinstance(generator, models.Generator):
        raise TypeError(f"expected a Generator, got {type(generator).__name__}")
    most = generator.arch.latent_dim
    n_axes = min(6, most) if n_axes is None else n_axes
    checks.whole(n_axes, "n_axes", 1, min(most, generator.arch.channels * 16 * 16))
    classes = generator.arch.classes
    given = f"samples for {most} axes" + (f" and {classes} classes" if classes else "")
    checks.whole(samples, given, most + 1 + max(1, classes))  # each mean that is taken off costs one
    z = models.sample_latent(samples, generator.arch, seed)
    labels = torch.arange(samples) % classes if classes else None
    images = models.sample(generator, z, labels=labels)
    size = min(16, images.shape[-1])
    pixels = torch.nn.functional.adaptive_avg_pool2d(images, size).flatten(1)  # (N, C * 16 * 16): coarse is enough
    for of_class in (slice(label, None, classes) for label in range(min(classes, samples))):
        z[of_class] -= z[of_class].mean(0)
        pixels[of_class] -= pixels[of_class].mean(0)
    response = torch.linalg.lstsq(z - z.mean(0), pixels - pixels.mean(0)).solution  # (latent_dim, C * 16 * 16)
    axes = torch.linalg.svd(response, full_matrices=False).U.T[:n_axes]
    return axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()


def path_report(vectors: np.ndarray) -> dict[str, float]:
    """How smooth a walk is, from the features (n, F) of its pictures in an independent network.

    `length` is the sum of the steps' Euclidean lengths and `detour` that over the straight line between the ends (1 is
    straight). `largest_step` is the longest step over the mean one: 1 for an even walk, n - 1 for a cut from one
    picture to another. Raises ValueError for fewer than 3 pictures, another shape, or NaN.
    """
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or len(vectors) < 3 or not np.isfinite(vectors).all():
        raise ValueError(f"expected finite features (3 or more pictures, F), got {vectors.shape}")
    steps = np.linalg.norm(np.diff(vectors, axis=0), axis=1)
    chord = np.linalg.norm(vectors[-1] - vectors[0])
    length = float(steps.sum())
    return {
        "length": length,
        "detour": float(length / chord) if chord else float("inf"),
        "largest_step": float(steps.max() / steps.mean()) if length else 1.0,
    }
