"""How sure a share of right answers is: intervals, paired tests, and what smaller test sets would have said."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from scipy import stats

from ..checks import choose


def proportion_interval(successes: int, n: int, method: str = "wilson") -> tuple[float, float]:
    """The 95 % interval of a share, `successes` of `n` independent pictures; it has a width at none and at all, too.

    By Wilson, which is about right on average, or "exact" (Clopper and Pearson), which is never too narrow.
    Raises ValueError unless 0 <= successes <= n and n >= 1, and for another method.
    Source: Wilson (1927); Brown, Cai and DasGupta, Interval Estimation for a Binomial Proportion (2001).
    """
    choose(method, ("wilson", "exact"), "method")
    if not (_count(successes) and _count(n) and n >= 1 and successes <= n):
        raise ValueError(f"expected whole numbers, 0 <= successes <= n and n of at least 1, got {successes!r} of {n!r}")
    found = stats.binomtest(int(successes), int(n)).proportion_ci(method=method)
    return float(found.low), float(found.high)


def interval(correct, groups=None, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """A 95 % bootstrap interval of a mean, from (N,) of 0/1 or of any score per picture.

    With `groups` (N,), whole groups are drawn: neighbouring digits of one house number are not independent. For
    independent right and wrong answers `proportion_interval` is the better one: where all are right, this one has no
    width. Raises ValueError for no scores, scores that are not finite, groups of another length, or draws below 1.
    """
    correct = _scores(correct, "correct")
    if not _count(draws) or draws < 1:
        raise ValueError(f"draws must be a whole number of at least 1, got {draws!r}")
    groups = np.arange(len(correct)) if groups is None else np.asarray(groups)
    if groups.shape != correct.shape:
        raise ValueError(f"expected a group for each of {len(correct)} scores, got shape {groups.shape}")
    groups, rng = np.unique(groups, return_inverse=True)[1], np.random.default_rng(seed)
    right, size = np.bincount(groups, correct), np.bincount(groups)
    means = []
    for _ in range(draws):
        chosen = rng.integers(0, len(size), len(size))
        means.append(right[chosen].sum() / size[chosen].sum())
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def mcnemar(a_only: int, b_only: int) -> float:
    """Exact two-sided p of McNemar's test: how often chance would share out the pictures so unevenly.

    `a_only` pictures were right with A and wrong with B, `b_only` the other way round; those on which both agree say
    nothing. Raises ValueError for anything but whole numbers of at least 0.
    """
    if not (_count(a_only) and _count(b_only)):
        raise ValueError(f"expected two whole numbers of at least 0, got {a_only!r} and {b_only!r}")
    n = int(a_only) + int(b_only)
    return float(stats.binomtest(int(a_only), n, 0.5).pvalue) if n else 1.0


def paired_difference(a, b, groups=None, draws: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """Mean of a - b and its 95 % bootstrap interval, for two (N,) of 0/1 or of scores on the same N pictures.

    Narrower than two intervals side by side would let one think, since hard pictures are hard for both. `groups` as in
    `interval`. Raises ValueError where the lengths differ, and as `interval` does.
    """
    a, b = _scores(a, "a"), _scores(b, "b")
    if len(a) != len(b):
        raise ValueError(f"expected scores on the same pictures, got {len(a)} and {len(b)}")
    return float((a - b).mean()), *interval(a - b, groups, draws, seed)


def subset_accuracies(correct, size: int = 1000, draws: int = 10_000, seed: int = 0) -> np.ndarray:
    """Accuracies (draws,) on random test sets of `size` of the pictures, from (N,) of 0/1.

    What a report on so small a test set could have said by luck. A set without repeats has a hypergeometric number of
    right answers, which is what is drawn. Raises ValueError unless 1 <= size <= N and `correct` is 0 and 1.
    """
    correct = _scores(correct, "correct")
    if not np.isin(correct, (0, 1)).all():
        raise ValueError("correct must be 0 or 1 for each picture")
    if not (_count(size) and 1 <= size <= len(correct) and _count(draws) and draws >= 1):
        raise ValueError(f"expected size from 1 to {len(correct)} and draws of at least 1, got {size!r} and {draws!r}")
    right = int(correct.sum())
    return np.random.default_rng(seed).hypergeometric(right, len(correct) - right, size, draws) / size


def _scores(values, name: str) -> np.ndarray:
    try:
        values = np.asarray(values, float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be numbers, one a picture") from None
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite numbers (N,), N of at least 1, got shape {values.shape}")
    return values


def _count(value) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= 0
