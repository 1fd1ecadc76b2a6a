"""The linear classifier of the paper's section 5: a one-against-all squared-hinge SVM, for wide dense features."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from numbers import Integral, Real

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
from ..device import pick_precision

STORAGE = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ROWS = 1024  # of X whose directions precondition the conjugate gradients
RANK = 512
BLOCK = 512  # rows that are converted, or scored, at a time
COLUMNS = 4096  # of X in float64 at a time
EXACT_ROWS = 1024  # up to so many rows, or
EXACT_FEATURES = 256  # so many features, Newton steps are exact
STIFF = 10.0  # from this curvature on, against the 1 of |w|^2 / 2, conjugate gradients are slow
MEMORY = 2**25  # numbers of X that may be copied to float64: 0.3 GB


class L2SVM(ClassifierMixin, BaseEstimator):
    """One-against-all linear SVM with squared hinge loss: `LinearSVC`'s objective, for wide dense features.

    Each class minimises |w|^2 / 2 + C sum max(0, 1 - y (w x + b))^2, where b is one more weight, on a constant feature
    of 1, as LinearSVC has it. Newton's method: the loss is piecewise quadratic, and the step's length comes from an
    exact line search. Up to 1,024 rows or 256 features (more where C is large) the Newton steps are exact, class by
    class, by Cholesky factors in float64. Otherwise they come from preconditioned conjugate gradients, two passes over
    X for all classes at once. Stops when every class's |gradient| / sqrt(2 objective) is at most `tol`: the objective
    curves at least like |w|^2 / 2, so it is then within a part tol^2 of its minimum (1 in 40,000). A large C on many
    rows takes many passes: `max_passes` ends it with a ConvergenceWarning.

    Parameters: C; tol; max_iter, Newton steps; max_passes over X, of steps that are not exact; device ("auto": CUDA
    where it is, else the CPU); storage of X, "float32" (on a CPU: X itself, no copy) or "bfloat16" (X rounded to 8
    bits: half the memory, and half the time where the processor multiplies bfloat16; problems that are solved exactly
    stay float32); warm_start, begin at the last solution (as along a path of C); progress, a bar where a fit takes more
    than two seconds. Attributes after `fit`: classes_, coef_ (K, F), intercept_ (K,), objective_ (K,),
    relative_gradient_ (K,), n_iter_ (of the slowest class), n_passes_ (over X); K is 1 for two classes.
    """

    def __init__(
        self, C=1.0, tol=5e-3, max_iter=100, max_passes=2000, device="auto", storage="float32", warm_start=False,
        progress=True,
    ):  # fmt: skip
        self.C, self.tol, self.max_iter, self.max_passes = C, tol, max_iter, max_passes
        self.device, self.storage, self.warm_start, self.progress = device, storage, warm_start, progress

    def fit(self, X, y):
        """X (N, F), y (N,) of labels. Raises ValueError for bad input, as scikit-learn's estimators do.

        Warns ConvergenceWarning where max_iter or max_passes end it above `tol`.
        """
        X, y = validate_data(self, X, y, dtype=np.float32, order="C", accept_large_sparse=False)
        check_classification_targets(y)
        device = self._checked()
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}: at least 2 are needed")
        # One problem a class, theirs +1 and all others -1; of two classes one problem says it all.
        positive = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        signs = torch.from_numpy(np.where(y[:, None] == positive, 1, -1).astype(np.float32)).to(device)  # (N, K)
        start = None
        if self.warm_start and hasattr(self, "coef_") and self.coef_.shape == (signs.shape[1], X.shape[1]):
            start = torch.from_numpy(np.column_stack([self.coef_, self.intercept_]).astype(np.float32)).to(device)
        with tqdm(desc="L2SVM", unit=" Newton steps", delay=2, **({} if self.progress else {"disable": True})) as bar:
            weights, about = _solve(_tensor(X), signs, self, start, bar)
        weights = weights.cpu().numpy()
        self.coef_, self.intercept_ = weights[:, :-1], weights[:, -1]
        self.objective_, self.relative_gradient_, self.n_iter_, self.n_passes_ = about
        if not self.relative_gradient_.max() <= self.tol:
            warnings.warn(
                f"L2SVM with C={self.C:g} stopped after {self.n_iter_} Newton steps and {self.n_passes_} passes at a "
                f"relative gradient of {self.relative_gradient_.max():.2g}, above tol={self.tol}: take a smaller C, "
                "raise tol, max_iter or max_passes, or scale X",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _checked(self) -> torch.device:
        """The device to fit on, once every parameter has been found to be in its range."""
        choose(self.storage, STORAGE, "storage")
        for name in ("C", "tol"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < np.inf:
                raise ValueError(f"{name} must be a finite number above 0, got {value!r}")
        for name in ("max_iter", "max_passes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            return torch.device(self.device)
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"device must be 'auto' or one of PyTorch's, got {self.device!r}: {error}") from None

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


def _narrow(X: Tensor, most: int) -> bool:
    return X.shape[1] <= most and X.numel() <= MEMORY


def _tensor(X: np.ndarray) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable.*")  # a read-only memory map: we only read
        return torch.from_numpy(X)


class _Features:
    """X (N, F) with a constant feature 1 behind it, and its two products with skinny matrices."""

    def __init__(self, X: Tensor, dtype: torch.dtype, device: torch.device):
        self.passes, self.shape = 0, (len(X), X.shape[1] + 1)
        # Where a processor does not multiply bfloat16 itself, X' R in it takes a hundred times as long as in float32.
        self.slow = dtype == torch.bfloat16 and device.type == "cpu" and pick_precision("auto", device) != "bfloat16"
        if dtype == X.dtype:
            self.X = X.to(device)  # not copied on a CPU
        else:
            self.X = torch.empty(X.shape, dtype=dtype, device=device)
            for start in range(0, len(X), BLOCK):  # no second copy in float32
                self.X[start : start + BLOCK] = X[start : start + BLOCK].to(device)

    def scores(self, W: Tensor) -> Tensor:
        """W (K, F + 1) → X W' (N, K)."""
        self.passes += 1
        if self.slow:
            return torch.cat([rows @ W[:, :-1].T for _, rows in self._blocks()]) + W[:, -1]
        return self._times(W[:, :-1], self.X.T).T + W[:, -1]

    def back(self, R: Tensor) -> Tensor:
        """R (N, K) → R' X (K, F + 1); the skinny matrix on the left is several times faster."""
        self.passes += 1
        if self.slow:
            total = sum(R[part].T.contiguous() @ rows for part, rows in self._blocks())
        else:
            total = self._times(R.T.contiguous(), self.X)
        return torch.cat([total, R.sum(0)[:, None]], 1)

    def hinge(self, W: Tensor, signs: Tensor) -> tuple[Tensor, Tensor]:
        """gap = 1 - signs * X W' (N, K) and (signs * max(0, gap))' X (K, F + 1), in float32 whatever X is stored in."""
        self.passes += 2
        gap, total = torch.empty_like(signs), torch.zeros_like(W)
        for part, rows in self._blocks():
            gap[part] = block = 1 - signs[part] * (rows @ W[:, :-1].T + W[:, -1])
            signed = signs[part] * block.clamp_min(0)
            total[:, :-1] += signed.T.contiguous() @ rows
            total[:, -1] += signed.sum(0)
        return gap, total

    def _blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Which rows, and they in float32, (BLOCK, F) a time; the next block takes the same memory."""
        room = None if self.X.dtype == torch.float32 else self.X.new_empty(BLOCK, self.X.shape[1], dtype=torch.float32)
        for start in range(0, self.shape[0], BLOCK):
            part = slice(start, start + BLOCK)
            rows = self.X[part]
            yield part, rows if room is None else room[: len(rows)].copy_(rows)

    def rows(self, n: int) -> Tensor:
        """n evenly spaced rows, float32 (n, F + 1)."""
        chosen = torch.linspace(0, self.shape[0] - 1, min(n, self.shape[0])).long().tolist()
        out = torch.ones(len(chosen), self.shape[1], device=self.X.device)
        for row, at in zip(out, chosen, strict=True):  # no second copy
            row[:-1] = self.X[at]
        return out

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
        rows = X.rows(ROWS)  # (m, F + 1)
        scale = X.shape[0] / len(rows)
        values, vectors = torch.linalg.eigh((rows @ rows.T * scale).cpu().double())  # no float64 on Apple GPUs
        kept = max(1, min(RANK, len(rows) // 2, int((values > 1e-6 * values[-1]).sum()) - 1))
        values, vectors = (a.float().to(rows.device) for a in (values.flip(0), vectors.flip(1)))
        self.values, self.floor = values[:kept], values[min(kept, len(values) - 1)].clamp_min(0)
        vectors = vectors[:, :kept] * (scale**0.5 / self.values.sqrt())
        self.directions = rows.T @ vectors  # (F + 1, r), orthonormal

    def __call__(self, gradient: Tensor, curvature: Tensor) -> Tensor:
        """`curvature` (K, 1) is 2C times the part of the rows that is active."""
        ratio = (1 + curvature * self.floor) / (1 + curvature * self.values)  # (K, r)
        ratio = ratio.clamp_min(1e-4)  # or what float32 leaves of the largest directions would be noise
        return gradient + ((gradient @ self.directions) * (ratio - 1)) @ self.directions.T


@torch.no_grad()
def _solve(X: Tensor, signs: Tensor, model: L2SVM, start: Tensor | None, bar: tqdm):
    """Weights (K, F + 1) with the intercept last, and (objective, relative gradient, Newton steps, passes over X)."""
    C, tol, max_iter = float(model.C), float(model.tol), int(model.max_iter)
    # Few rows or few features: exact Newton steps cost less than many passes over X.
    if len(X) <= EXACT_ROWS or _narrow(X, EXACT_FEATURES):
        return _exact(X, signs, C, tol, max_iter, start, bar)
    features = _Features(X, STORAGE[model.storage], signs.device)
    precondition = _Preconditioner(features)
    # Where the loss curves much more than |w|^2 / 2 in most directions, conjugate gradients take many passes: there
    # exact steps pay for larger problems too.
    stiffness = float(2 * C * precondition.floor)
    times = 1 if stiffness <= 1 else 2 if stiffness <= 1000 else 4
    if len(X) <= times * EXACT_ROWS or _narrow(X, times * EXACT_FEATURES):
        return _exact(X, signs, C, tol, max_iter, start, bar)
    steps, path = 0, [C]
    if start is None:
        start = torch.zeros(signs.shape[1], X.shape[1] + 1, device=signs.device)
        # There too a step from 0 changes which rows are active all over, and only a small part of it helps. So come
        # from smaller C, roughly solved.
        while 2 * path[0] * precondition.floor > STIFF:
            path.insert(0, path[0] / 3)
    for now in path:
        goal = tol if now == C else max(tol, 0.1)
        start, objective, relative, taken = _newton(
            features, signs, now, goal, max_iter - steps, model.max_passes, start, precondition, bar
        )
        steps += taken
    return start, (objective.cpu().numpy(), relative.cpu().numpy(), steps, features.passes)


def _newton(X, signs, C, tol, max_iter, max_passes, W, precondition, bar):
    """From W: weights, objective and relative gradient of each class (K,), and the steps taken."""
    steps = 0
    while True:
        # A row counts where its margin is below 1 (gap above 0): the gradient and the objective come from these.
        gap, back = X.hinge(W, signs)  # (N, K), (K, F + 1)
        gradient = W - 2 * C * back
        objective = 0.5 * _dot(W, W)[:, 0] + C * gap.clamp_min(0).square().sum(0)
        relative = gradient.norm(dim=1) / (2 * objective).sqrt()
        bar.set_postfix_str(f"C {C:.1e}, relative gradient {relative.max():.1e}", refresh=False)
        if steps >= max_iter or X.passes >= max_passes or bool((relative <= tol).all()):
            return W, objective, relative, steps
        # As long as the same rows count, the loss is a quadratic with this curvature, and Newton's step leads to its
        # minimum.
        active = (gap > 0).float()
        curvature = 2 * C * active.mean(0)[:, None]
        # Conjugate gradients for (I + 2C X' A X) d = -gradient, all classes at once. Each class stops when it is good
        # enough: rough far from the minimum, where other rows will count after the step, and finer near it.
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
            if not going.any() or X.passes >= max_passes:
                break
            p = z + torch.where(going, new / rz.clamp_min(1e-30), 0.0) * p
            rz = new
        # On the way there rows come and go: go as far as the true objective falls.
        W = W + _line_search(_dot(W, d), _dot(d, d), gap, signs * d_out, C) * d
        steps += 1
        bar.update()


class _Kernel:
    """Few pictures: weights are sums of the rows of Z = [X, 1], Z'u, and all products come from ZZ' (N, N), made once.

    Chapelle, Training a Support Vector Machine in the Primal (2007): a Newton step solves for the active rows only.
    """

    C: float  # set by who solves

    def __init__(self, X: Tensor, device: torch.device):
        self.X, self.whole, self.passes = X, {}, 1
        self.products = torch.ones(len(X), len(X), dtype=torch.float64, device=device)  # of the constant feature
        for columns in X.split(COLUMNS, 1):
            columns = columns.to(device).double()
            self.products.addmm_(columns, columns.T)
        self.length = self.products.diagonal().mean()  # the mean |row|^2

    def scores(self, u: Tensor) -> Tensor:
        return self.products @ u

    def gradient(self, u: Tensor, signed: Tensor) -> Tensor:
        return u - 2 * self.C * signed

    def dot(self, u: Tensor, v: Tensor) -> Tensor:
        return u @ (self.products @ v)

    def minimum(self, active: Tensor, sign: Tensor) -> Tensor:
        """Of the quadratic piece: u is 0 but for the active rows, (ZZ' + I / 2C) u = sign there."""
        out = torch.zeros_like(sign)
        if active.all():  # where every class begins
            if self.C not in self.whole:
                self.whole[self.C] = _cholesky(self.products, 1 / (2 * self.C))
            out[:] = torch.cholesky_solve(sign[:, None], self.whole[self.C])[:, 0]
        else:
            rows = active.nonzero()[:, 0]
            factor = _cholesky(self.products[rows][:, rows], 1 / (2 * self.C))
            out[rows] = torch.cholesky_solve(sign[rows, None], factor)[:, 0]
        return out

    def weights(self, u: Tensor) -> Tensor:
        """u (K, N) → (K, F + 1)."""
        self.passes += 1
        parts = [u @ columns.to(u.device).double() for columns in self.X.split(COLUMNS, 1)]
        return torch.cat([*parts, u.sum(1, keepdim=True)], 1)


class _Narrow:
    """Few features: weights (F + 1,) as they are; Z'AZ (F + 1, F + 1) follows the rows that come and go."""

    C: float  # set by who solves

    def __init__(self, X: Tensor, device: torch.device):
        self.passes = 1
        self.Z = F.pad(X.to(device).double(), (0, 1), value=1.0)
        self.whole = self.Z.T @ self.Z
        self.length = self.whole.trace() / len(X)
        self.active = self.products = None

    def scores(self, v: Tensor) -> Tensor:
        self.passes += 1
        return self.Z @ v

    def gradient(self, v: Tensor, signed: Tensor) -> Tensor:
        self.passes += 1
        return v - 2 * self.C * (signed @ self.Z)

    def dot(self, u: Tensor, v: Tensor) -> Tensor:
        return u @ v

    def minimum(self, active: Tensor, sign: Tensor) -> Tensor:
        """Of the quadratic piece: (I + 2C Z'AZ) v = 2C Z'A sign."""
        if self.active is None or (active != self.active).sum() > (~active).sum():
            self.active, self.products = torch.ones_like(active), self.whole.clone()
        changed = (active != self.active).nonzero()[:, 0]
        rows = self.Z[changed]
        self.products += (rows * torch.where(active[changed], 1.0, -1.0)[:, None].to(rows)).T @ rows
        self.active = active
        factor = _cholesky(self.products, 1 / (2 * self.C))
        return torch.cholesky_solve((active * sign @ self.Z)[:, None], factor)[:, 0]

    def weights(self, v: Tensor) -> Tensor:
        return v


def _cholesky(A: Tensor, ridge: float) -> Tensor:
    """The factor of A + ridge I. Where rounding has left A no longer positive, as much is added to its diagonal."""
    A = A.clone()
    A.diagonal().add_(min(ridge, 1e200))  # a smaller C leaves weights of 0 just so
    more = 1e-14 * float(A.diagonal().mean())
    for _ in range(12):
        factor, failed = torch.linalg.cholesky_ex(A)
        if not failed:
            break
        A.diagonal().add_(more)
        more *= 10
    return factor


def _exact(X: Tensor, signs: Tensor, C: float, tol: float, max_iter: int, start: Tensor | None, bar: tqdm):
    """As `_solve`, class by class in float64, each Newton step from a Cholesky factor."""
    device = signs.device if signs.device.type != "mps" else torch.device("cpu")  # Apple's GPUs have no float64
    problem = (_Kernel if len(X) <= 2 * X.shape[1] else _Narrow)(X, device)
    path = [C]  # at a large C most steps go into finding which rows are active: so come from smaller C, roughly solved
    while 2 * path[0] * problem.length > STIFF:
        path.insert(0, path[0] / 100)
    if start is None:
        active = torch.ones(signs.shape, dtype=torch.bool, device=device)
    else:
        active, path = ((X.to(start.device) @ start[:, :-1].T + start[:, -1]) * signs < 1).to(device), [C]
    found, objectives, gradients, most = [], [], [], 0
    for k, sign in enumerate(signs.T.to(device).double()):
        now, steps = active[:, k], 0
        for problem.C in path:
            # The minimum of the piece where the last value of C, or the last fit, ended.
            if steps < max_iter:
                w, steps = problem.minimum(now, sign), steps + 1
                scores = problem.scores(w)
            before = np.inf
            while True:
                gap = 1 - sign * scores  # (N,)
                slack, now = gap.clamp_min(0), gap > 0
                gradient = problem.gradient(w, sign * slack)
                objective = float(0.5 * problem.dot(w, w) + problem.C * slack.square().sum())
                relative = max(0.0, float(problem.dot(gradient, gradient))) ** 0.5 / (2 * objective) ** 0.5
                # Where the objective falls no more, float64 is at its end.
                goal = tol if problem.C == C else max(tol, 0.3)
                if relative <= goal or steps >= max_iter or objective >= before:
                    break
                before = objective
                # Newton's step leads to the minimum of this piece; other rows come and go on the way there, so go as
                # far as the objective falls.
                d = problem.minimum(now, sign) - w
                d_scores = problem.scores(d)
                along, squared = problem.dot(w, d).view(1, 1), problem.dot(d, d).view(1, 1)
                step = float(_line_search(along, squared, gap[:, None], (sign * d_scores)[:, None], problem.C))
                w, scores, steps = w + step * d, scores + step * d_scores, steps + 1
                bar.set_postfix_str(f"class {k + 1} of {signs.shape[1]}, C {problem.C:.1e}", refresh=False)
                bar.update()
        found.append(w)
        objectives.append(objective)
        gradients.append(relative)
        most = max(most, steps)
    weights = problem.weights(torch.stack(found)).float()
    return weights, (np.array(objectives), np.array(gradients), most, problem.passes)


def _line_search(along: Tensor, squared: Tensor, gap: Tensor, closing: Tensor, C: float) -> Tensor:
    """The step (K, 1) that minimises each class's objective along d, where a step t leaves gap - t closing (N, K).

    `along` is w d and `squared` is d d, (K, 1) each. The step is the root of a rising slope, found by bisection.
    """

    def slope(t: Tensor) -> Tensor:
        slack = (gap - t.T * closing).clamp_min(0)
        return along + t * squared - 2 * C * (slack * closing).sum(0)[:, None]

    low, high = torch.zeros_like(along), torch.full_like(along, 2.0)
    for _ in range(20):  # to a millionth
        middle = (low + high) / 2
        rising = slope(middle) > 0
        low, high = torch.where(rising, low, middle), torch.where(rising, middle, high)
    return (low + high) / 2
