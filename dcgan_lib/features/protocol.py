"""How features are judged: C on validation pictures, few labels drawn many times (paper section 5)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from torch import Tensor
from tqdm import tqdm

from ..checks import whole
from ..data import ImageSet
from .svm import L2SVM

RELEASED_C = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2)  # svhn/svhn_semisup_analysis.py
SVHN_TRAIN, SVHN_VALIDATION = 73_257, 10_000
NEIGHBOURS = 10  # pictures that may show digits of one house number, for bootstrap intervals


def choose_C(X, y, X_validation, y_validation, candidates=(1e-6, 1e-5, 1e-4, 1e-3), **svm) -> tuple[L2SVM, dict]:
    """The SVM whose C does best on the validation pictures, and {C: accuracy} of the candidates tried.

    Goes from small C to large, each fit from the last one's solution. Stops when accuracy has fallen twice in a row,
    and goes on beyond the largest candidate, three times as large each up to 1000, while that is the best. Of equals
    the smaller C wins. `svm` are parameters of L2SVM; the model keeps warm_start, so that a later `fit` on all pictures
    starts from here. Test pictures have no place in this.
    Raises ValueError for candidates that are no numbers above 0, a part without a label for each picture, validation
    labels of which none is a training label, and as L2SVM does.
    """
    candidates = positive(candidates)
    y, y_validation = labels_of(X, y, "training"), labels_of(X_validation, y_validation, "validation")
    if not np.isin(y_validation, y).any():
        raise ValueError(
            f"no validation label is among the training labels ({y_validation[:3]} against {y[:3]}, …): each class "
            f"needs several pictures, and {len(y):,} training pictures are of {len(np.unique(y)):,} classes"
        )
    model, scores, best = L2SVM(**svm | {"warm_start": True}), {}, None
    for C in candidates:
        model.set_params(C=C).fit(X, y)
        scores[C] = float((model.predict(X_validation) == y_validation).mean())
        if best is None or scores[C] > scores[best.C]:
            best = copy.copy(model)
        last = list(scores.values())[-3:]
        if len(last) == 3 and last[0] > last[1] > last[2]:
            break
        if C == candidates[-1] == best.C and C < 1e3:
            candidates.append(3 * C)  # the loop goes on with it
    return best, scores


def labels_of(X, y, part: str) -> np.ndarray:
    """Labels (N,), one for each row of X, as an array. Raises ValueError for others: a column would be broadcast."""
    labels = y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
    if labels.ndim != 1 or not len(labels) or len(X) != len(labels):
        said = f"{len(labels)} labels" if labels.ndim == 1 else f"labels {labels.shape}"
        raise ValueError(f"{part} needs a label for each picture, at least one: {len(X)} pictures, {said}")
    return labels


def labelled(**parts) -> list[tuple]:
    """Pairs (X, y) by their names, with labels as `labels_of` gives them."""
    return [(X, labels_of(X, y, name)) for name, (X, y) in parts.items()]


def positive(candidates) -> list[float]:
    """Values of C to try, sorted. Raises ValueError for none, and for what is no finite number above 0."""
    try:
        values = sorted(float(C) for C in candidates)
    except (TypeError, ValueError):
        raise ValueError(f"candidates must be numbers, values of C, got {candidates!r}") from None
    if not values or not all(0 < C < np.inf for C in values):
        raise ValueError(f"candidates must be finite numbers above 0, at least one, got {candidates!r}")
    return values


def draw_labels(y, per_class: int, seed: int) -> np.ndarray:
    """Indices of `per_class` random pictures of each class, class by class.

    Raises ValueError where there are fewer, for no labels, and for a `per_class` below 1.
    """
    if isinstance(per_class, bool) or not isinstance(per_class, Integral) or per_class < 1:
        raise ValueError(f"per_class must be a whole number of at least 1, got {per_class!r}")
    if np.ndim(y) != 1 or not len(y):
        raise ValueError(f"expected labels (N,), N of at least 1, got shape {np.shape(y)}")
    y, rng = np.asarray(y), np.random.default_rng(seed)
    short = {c.item(): int(n) for c, n in zip(*np.unique(y, return_counts=True), strict=True) if n < per_class}
    if short:
        raise ValueError(f"{per_class} labels per class are more than there are: {short} (class: pictures)")
    return np.concatenate([rng.choice(np.flatnonzero(y == c), per_class, replace=False) for c in np.unique(y)])


def few_labels(
    pool, validation, test, per_class: int = 100, candidates=RELEASED_C, draws: tuple[int, int] = (10, 100), seed=0,
    progress: bool = True, **svm,
) -> dict:  # fmt: skip
    """The released SVHN protocol: class-balanced label draws from a pool, C by mean validation error, then the test.

    (The script draws anew for each C; here the same draws serve all, so that only C differs.)
    `pool`, `validation` and `test` are pairs (X, y). `draws` are how many label sets choose C and how many the error is
    averaged over. Returns C, `validation` {C: mean error}, `errors` of the test, one a draw, their `mean`, their
    standard `deviation` and `spread`, 1.96 of these, which the script prints: how far single draws lie apart, not how
    sure their mean is. All errors are from 0 to 1. `correct` (draws, N_test) says which test pictures each draw's
    classifier gets right.
    Raises TypeError or ValueError for a part without a label for each picture, bad candidates, or draws below 1.
    """
    errors = {C: [] for C in positive(candidates)}
    pool, validation, test = labelled(pool=pool, validation=validation, test=test)
    if not isinstance(draws, (tuple, list)) or len(draws) != 2:
        raise TypeError(f"draws must be a pair, how many choose C and how many the error is a mean of, got {draws!r}")
    draws = [whole(n, "draws", 1) for n in draws]
    svm = {"progress": False} | svm | {"warm_start": True}
    bar = tqdm(total=sum(draws), desc="label draws", delay=2, **({} if progress else {"disable": True}))
    for i in range(draws[0]):
        rows, model = draw_labels(pool[1], per_class, seed + i), L2SVM(**svm)
        for C in errors:  # a path, each from the last one's solution
            model.set_params(C=C).fit(pool[0][rows], pool[1][rows])
            errors[C].append(float((model.predict(validation[0]) != validation[1]).mean()))
        bar.update()
    mean = {C: float(np.mean(e)) for C, e in errors.items()}
    best = min(mean, key=mean.get)
    right = []
    for i in range(draws[1]):
        rows = draw_labels(pool[1], per_class, seed + 1000 + i)
        model = L2SVM(**svm | {"C": best}).fit(pool[0][rows], pool[1][rows])
        right.append(model.predict(test[0]) == test[1])
        bar.update()
    bar.close()
    right = np.array(right)  # (draws, N_test)
    wrong = 1 - right.mean(1)
    return {
        "C": best,
        "validation": mean,
        "errors": wrong.tolist(),
        "mean": float(wrong.mean()),
        "deviation": float(wrong.std()),
        "spread": float(1.96 * wrong.std()),
        "correct": right,
    }


@dataclass(frozen=True)
class Part:
    """Some pictures of SVHN: uint8 (N, 32, 32, 3), labels (N,), and groups (N,): neighbours in the file share one."""

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray


def svhn_parts(train: ImageSet, test: ImageSet, seed: int = 0) -> tuple[dict[str, Part], str]:
    """`{"pool": …, "validation": …, "test": …}` and a sentence that says what they are.

    With all of SVHN, as the paper: 10,000 random pictures of the training set choose C, labels are drawn from the rest,
    the test set is the test set. A partial SVHN (fewer than 73,257 training pictures) is put together, training
    pictures first, and cut anew into 45, 15 and 40 %, in the order of the files: digits of one house number are
    neighbours there, and so lie on one side of a cut, but for at most one number a cut.
    Raises ValueError for sets without labels.
    """
    for part in (train, test):
        if part.labels is None:
            raise ValueError(f"{part.name} ({part.split}) has no labels: SVHN's protocol asks for them")
    rng = np.random.default_rng(seed)
    if len(train) >= SVHN_TRAIN:
        order = rng.permutation(len(train))
        rows = {"pool": np.sort(order[SVHN_VALIDATION:]), "validation": np.sort(order[:SVHN_VALIDATION])}
        parts = {k: Part(train.images[r], train.labels[r], r // NEIGHBOURS) for k, r in rows.items()}
        parts["test"] = Part(test.images, test.labels, np.arange(len(test)) // NEIGHBOURS)
        return parts, f"all of SVHN: {len(train):,} training and {len(test):,} test pictures, as in the paper"
    images = np.concatenate([train.images, test.images])
    labels = np.concatenate([train.labels, test.labels])
    ends = [0, round(0.45 * len(images)), round(0.6 * len(images)), len(images)]
    parts = {
        name: Part(images[start:end], labels[start:end], np.arange(end - start) // NEIGHBOURS)
        for name, start, end in zip(("pool", "validation", "test"), ends, ends[1:], strict=False)
    }
    sizes = ", ".join(f"{len(p.labels):,} {name}" for name, p in parts.items())
    return parts, (
        f"a part of SVHN, {len(images):,} of its {SVHN_TRAIN + 26_032:,} pictures, cut anew in the order of the files: "
        f"{sizes}"
    )
