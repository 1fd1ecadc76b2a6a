"""The linear classifier of the paper's section 5: a one-against-all squared-hinge SVM, for wide dense features."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from ..checks import choose

STORAGE = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ROWS = 1024  # of X whose directions precondition the conjugate gradients
RANK = 512
BLOCK = 512  # rows that are converted, or scored, at a time


class L2SVM(ClassifierMixin, BaseEstimator):
    """One-against-all linear SVM with squared hinge loss: `LinearSVC`'s objective, for wide dense features.

    Each class minimises |w|^2 / 2 + C sum max(0, 1 - y (w x + b))^2, where b is one more weight, on a constant feature
    of 1, as LinearSVC has it. All classes are solved together by Newton's method: the loss is piecewise quadratic, its
    Newton step comes from preconditioned conjugate gradients (two passes over X for all classes at once), and the
    step's length from an exact line search. Stops when every class's |gradient| / sqrt(2 objective) is at most `tol`:
    the objective curves at least like |w|^2 / 2, so it is then within a part tol^2 of its minimum (1 in 40,000).

    Parameters: C; tol; max_iter, Newton steps; device ("auto": CUDA where it is, else the CPU); storage of X,
    "float32" (on a CPU: X itself, no copy) or "bfloat16" (X rounded to 8 bits: half the memory, and half the time where
    the processor multiplies bfloat16; X of up to 1,024 rows is turned into fewer dimensions and stays float32);
    warm_start, begin at the last solution (as along a path of C); progress, a bar. Attributes after `fit`: classes_,
    coef_ (K, F), intercept_ (K,), objective_ (K,), relative_gradient_ (K,), n_iter_, n_passes_ (over X); K is 1 for
    two classes.
    """

    def __init__(
        self, C=1.0, tol=5e-3, max_iter=100, device="auto", storage="float32", warm_start=False, progress=False
    ):
        self.C, self.tol, self.max_iter = C, tol, max_iter
        self.device, self.storage, self.warm_start, self.progress = device, storage, warm_start, progress

    def fit(self, X, y):
        """X (N, F), y (N,) of labels. Raises ValueError for bad input, as scikit-learn's estimators do."""
        X, y = validate_data(self, X, y, dtype=np.float32, order="C", accept_large_sparse=False)
        check_classification_targets(y)
        choose(self.storage, STORAGE, "storage")
        if not self.C > 0:
            raise ValueError(f"C must be above 0, got {self.C}")
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}: at least 2 are needed")
        positive = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        signs = torch.from_numpy(np.where(y[:, None] == positive, 1, -1).astype(np.float32)).to(device)  # (N, K)
        start = None
        if self.warm_start and hasattr(self, "coef_") and self.coef_.shape == (signs.shape[1], X.shape[1]):
            start = torch.from_numpy(np.column_stack([self.coef_, self.intercept_]).astype(np.float32)).to(device)
        X = _tensor(X)
        X, turn = _turned(X) if len(X) <= ROWS < X.shape[1] else (X, None)
        storage = STORAGE[self.storage] if turn is None else torch.float32  # it is small now
        features = _Features(X, storage, torch.device(device), turned=turn is not None)
        if turn is not None and start is not None:
            start = torch.cat([start[:, :-1] @ turn.to(device), start[:, -1:]], 1)
        weights, about = _solve(features, signs, float(self.C), self.tol, self.max_iter, start, self.progress)
        weights = weights.cpu()
        if turn is not None:
            weights = torch.cat([weights[:, :-1] @ turn.T, weights[:, -1:]], 1)
        weights = weights.numpy()
        self.coef_, self.intercept_ = weights[:, :-1], weights[:, -1]
        self.objective_, self.relative_gradient_, self.n_iter_ = about
        self.n_passes_ = features.passes
        if self.relative_gradient_.max() > self.tol:
            warnings.warn(
                f"L2SVM stopped after {self.n_iter_} Newton steps at a relative gradient of "
                f"{self.relative_gradient_.max():.2g}, above tol={self.tol}: raise max_iter or tol, or scale X",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def decision_function(self, X):
        """Distances (N, K), or (N,) for two classes."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        scores = X @ self.coef_.T + self.intercept_
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X):
        """The class with the largest distance, (N,)."""
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)]


def _tensor(X: np.ndarray) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable.*")  # a read-only memory map: we only read
        return torch.from_numpy(X)


def _turned(X: Tensor) -> tuple[Tensor, Tensor]:
    """Few pictures span few directions: X in axes of its own, (N, r), and these axes (F, r), orthonormal.

    The weights of the minimum lie in that span, so the problem stays the same, and each pass costs N^2 instead of N F.
    """
    X = X.double()
    values, vectors = torch.linalg.eigh(X @ X.T)
    kept = values > 1e-12 * values[-1].clamp_min(1e-300)
    sizes, vectors = values[kept].sqrt(), vectors[:, kept]
    return (vectors * sizes).float(), (X.T @ (vectors / sizes)).float()


class _Features:
    """X (N, F) with a constant feature 1 behind it, and its two products with skinny matrices."""

    def __init__(self, X: Tensor, dtype: torch.dtype, device: torch.device, turned: bool = False):
        self.passes, self.shape, self.turned = 0, (len(X), X.shape[1] + 1), turned
        if dtype == X.dtype:
            self.X = X.to(device)  # not copied on a CPU
        else:
            self.X = torch.empty(X.shape, dtype=dtype, device=device)
            for start in range(0, len(X), BLOCK):  # no second copy in float32
                self.X[start : start + BLOCK] = X[start : start + BLOCK].to(device)

    def scores(self, W: Tensor) -> Tensor:
        """W (K, F + 1) → X W' (N, K)."""
        self.passes += 1
        return self._times(W[:, :-1], self.X.T).T + W[:, -1]

    def back(self, R: Tensor) -> Tensor:
        """R (N, K) → R' X (K, F + 1); the skinny matrix on the left is several times faster."""
        self.passes += 1
        return torch.cat([self._times(R.T.contiguous(), self.X), R.sum(0)[:, None]], 1)

    def hinge(self, W: Tensor, signs: Tensor) -> tuple[Tensor, Tensor]:
        """gap = 1 - signs * X W' (N, K) and (signs * max(0, gap))' X (K, F + 1), in float32 whatever X is stored in."""
        self.passes += 2
        gap, total = torch.empty_like(signs), torch.zeros_like(W)
        for start in range(0, self.shape[0], BLOCK):
            part, sign = self.X[start : start + BLOCK].float(), signs[start : start + BLOCK]
            gap[start : start + BLOCK] = block = 1 - sign * (part @ W[:, :-1].T + W[:, -1])
            signed = sign * block.clamp_min(0)
            total[:, :-1] += signed.T.contiguous() @ part
            total[:, -1] += signed.sum(0)
        return gap, total

    def rows(self, n: int) -> Tensor:
        """n evenly spaced rows, float32 (n, F + 1)."""
        chosen = torch.linspace(0, self.shape[0] - 1, min(n, self.shape[0]), device=self.X.device).long()
        return F.pad(self.X[chosen].float(), (0, 1), value=1.0)

    def _times(self, skinny: Tensor, wide: Tensor) -> Tensor:
        if wide.dtype == torch.float32:
            return skinny @ wide
        high = skinny.to(wide.dtype)  # what rounding drops goes along as more rows: the product is limited by memory
        low = (skinny - high.float()).to(wide.dtype)
        return (torch.cat([high, low]) @ wide).float().unflatten(0, (2, -1)).sum(0)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Class by class: (K, F) → (K, 1)."""
    return (a * b).sum(1, keepdim=True)


class _Preconditioner:
    """An approximate inverse of I + 2C X'AX from the leading directions of some rows of X.

    Discriminator features are mostly positive, so X'X has one enormous eigenvalue and a long tail: plain conjugate
    gradients need two to three times the passes. After Frangella, Tropp and Udell, Randomized Nyström Preconditioning
    (2023), with rows of X for random directions: one product of the rows with themselves instead of a pass.
    """

    def __init__(self, X: _Features):
        if X.turned:  # the axes of X are the directions already
            values = F.pad(X.X.float().square().sum(0), (0, 1), value=1.0)
            self.floor, self.directions = values.median(), None
            self.values = values.clamp_min(self.floor)
            return
        rows = X.rows(ROWS)  # (m, F + 1)
        scale = X.shape[0] / len(rows)
        values, vectors = torch.linalg.eigh((rows @ rows.T * scale).cpu().double())  # no float64 on Apple GPUs
        kept = max(1, min(RANK, len(rows) // 2, int((values > 1e-6 * values[-1]).sum()) - 1))
        values, vectors = (a.float().to(rows.device) for a in (values.flip(0), vectors.flip(1)))
        self.values, self.floor = values[:kept], values[min(kept, len(values) - 1)].clamp_min(0)
        self.directions = rows.T @ vectors[:, :kept] * (scale**0.5 / self.values.sqrt())  # (F + 1, r), orthonormal

    def __call__(self, gradient: Tensor, curvature: Tensor) -> Tensor:
        """`curvature` (K, 1) is 2C times the part of the rows that is active."""
        ratio = (1 + curvature * self.floor) / (1 + curvature * self.values)  # (K, r)
        ratio = ratio.clamp_min(1e-4)  # or what float32 leaves of the largest directions would be noise
        if self.directions is None:
            return gradient * ratio
        return gradient + ((gradient @ self.directions) * (ratio - 1)) @ self.directions.T


@torch.no_grad()
def _solve(X: _Features, signs: Tensor, C: float, tol: float, max_iter: int, start: Tensor | None, progress: bool):
    """Weights (K, F + 1) with the intercept last, and (objective, relative gradient, Newton steps)."""
    precondition = _Preconditioner(X)
    steps, path = 0, [C]
    if start is None:
        start = torch.zeros(signs.shape[1], X.shape[1], device=signs.device)
        # Where the loss curves much more than |w|^2 / 2 in most directions, a step from 0 changes which rows are
        # active all over, and only a small part of it helps. So come from smaller C, roughly solved.
        while 2 * path[0] * precondition.floor > 10:
            path.insert(0, path[0] / 3)
    with tqdm(desc="L2SVM", unit=" Newton steps", delay=2, **({} if progress else {"disable": True})) as bar:
        for now in path:
            goal = tol if now == C else max(tol, 0.1)
            start, objective, relative, more = _newton(X, signs, now, goal, max_iter - steps, start, precondition, bar)
            steps += more
    return start, (objective.cpu().numpy(), relative.cpu().numpy(), steps)


def _newton(X, signs, C, tol, max_iter, W, precondition, bar):
    """From W: weights, objective and relative gradient of each class (K,), and the steps taken."""
    steps = 0
    while True:
        gap, back = X.hinge(W, signs)  # (N, K), (K, F + 1)
        gradient = W - 2 * C * back
        objective = 0.5 * _dot(W, W)[:, 0] + C * gap.clamp_min(0).square().sum(0)
        relative = gradient.norm(dim=1) / (2 * objective).sqrt()
        bar.set_postfix_str(f"C {C:.1e}, relative gradient {relative.max():.1e}", refresh=False)
        if steps == max_iter or bool((relative <= tol).all()):
            return W, objective, relative, steps
        active = (gap > 0).float()  # the pieces where the loss is quadratic
        curvature = 2 * C * active.mean(0)[:, None]
        # Conjugate gradients for (I + 2C X' A X) d = -gradient, all classes at once, each until it is good enough.
        d, d_out, residual = torch.zeros_like(W), torch.zeros_like(gap), -gradient
        p = z = precondition(residual, curvature)
        rz = _dot(residual, z)
        rz_goal, rr_goal = 0.09 * rz, _dot(residual, residual) * relative.sqrt().clamp_max(0.3)[:, None] ** 2
        going = (relative > tol)[:, None]
        for _ in range(50):
            p_out = X.scores(p)
            Hp = p + 2 * C * X.back(active * p_out)
            alpha = torch.where(going, rz / _dot(p, Hp).clamp_min(1e-30), 0.0)  # (K, 1)
            d += alpha * p
            d_out += alpha.T * p_out
            residual -= alpha * Hp
            z = precondition(residual, curvature)
            new = _dot(residual, z)
            going &= (new > rz_goal) | (_dot(residual, residual) > rr_goal)
            if not going.any():
                break
            p = z + torch.where(going, new / rz.clamp_min(1e-30), 0.0) * p
            rz = new
        W = W + _line_search(W, d, gap, signs * d_out, C) * d
        steps += 1
        bar.update()


def _line_search(W: Tensor, d: Tensor, gap: Tensor, closing: Tensor, C: float) -> Tensor:
    """The step (K, 1) that minimises each class's objective along d, where a step t leaves gap - t closing (N, K).

    It is the root of a rising slope, found by bisection.
    """

    def slope(t: Tensor) -> Tensor:
        slack = (gap - t.T * closing).clamp_min(0)
        return _dot(W + t * d, d) - 2 * C * (slack * closing).sum(0)[:, None]

    low, high = torch.zeros(len(W), 1, device=W.device), torch.full((len(W), 1), 2.0, device=W.device)
    for _ in range(20):  # to a millionth
        middle = (low + high) / 2
        rising = slope(middle) > 0
        low, high = torch.where(rising, low, middle), torch.where(rising, middle, high)
    return (low + high) / 2
