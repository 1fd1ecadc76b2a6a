"""How sure a measure is, and how many samples it needs. A measure is f(real (N, F), generated (M, F)) → float."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..checks import whole
from .pairs import feature_pair

Measure = Callable[[np.ndarray, np.ndarray], float]


def with_interval(
    measure: Measure, real: np.ndarray, generated: np.ndarray, draws: int = 20, seed: int = 0
) -> dict[str, float]:
    """`value` of the measure on all features, its standard error `sd`, and a 95 % interval from `low` to `high`.

    The standard error is the spread over random halves of both sets, drawn without repeats: half of a set varies
    around the set as the set does around the pictures that it was drawn from (Shao and Wu, A general theory for
    jackknife variance estimation, 1989). A bootstrap would repeat vectors, and a repeated vector is its own nearest
    neighbour. It is careful: right for what behaves like a mean, up to √3 too wide for distances of sets that hardly
    differ. It speaks of the chance in sampling, not of the bias of few samples (`samples_needed`), nor of other
    trainings; an interval of a share or a distance may reach below 0.
    Raises ValueError for fewer than 4 vectors in a set or fewer than 2 draws, and as the measure does.
    """
    real, generated = feature_pair(real, generated, 4)
    rng, value = np.random.default_rng(seed), float(measure(real, generated))
    halves = [
        measure(*(v[rng.choice(len(v), len(v) // 2, replace=False)] for v in (real, generated)))
        for _ in range(whole(draws, "draws", 2))
    ]
    sd = float(np.std(halves, ddof=1))
    return {"value": value, "sd": sd, "low": value - 1.96 * sd, "high": value + 1.96 * sd}


def samples_needed(
    measure: Measure, real: np.ndarray, generated: np.ndarray, sizes: Sequence[int], draws: int = 10, seed: int = 0
) -> list[dict[str, float]]:
    """A row of `n`, `mean` and `sd` for each size: the measure on `n` of each set, drawn anew `draws` times.

    The mean shows the bias of few samples, sd the spread of independent samples of n: draws from one set overlap, which
    is corrected for (by 1 - n / the smaller set: exact for sets of one size, careful for others).
    Raises ValueError for a size below 2 or above half of the smaller set, fewer than 2 draws, and as the measure does.
    """
    real, generated = feature_pair(real, generated, 4)
    smaller, rng = min(len(real), len(generated)), np.random.default_rng(seed)
    whole(draws, "draws", 2)
    rows = []
    for n in [whole(n, "a size", 2, smaller // 2) for n in sizes]:
        values = [measure(*(v[rng.choice(len(v), n, replace=False)] for v in (real, generated))) for _ in range(draws)]
        sd = float(np.std(values, ddof=1) / np.sqrt(1 - n / smaller))
        rows.append({"n": n, "mean": float(np.mean(values)), "sd": sd})
    return rows
