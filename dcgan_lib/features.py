"""What the discriminator knows: its features, as the paper's section 5 takes them, and the linear SVM on them."""

from __future__ import annotations

import copy
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from . import data, models

BATCH = 128  # of the released script's batch-norm statistics


def discriminator_features(
    discriminator: models.Discriminator,
    images: np.ndarray | Tensor,
    calibrate_on: np.ndarray | Tensor | None = None,
    statistics: str = "calibrated",
    batch_size: int = BATCH,
    out: str | Path | None = None,
    progress: bool = True,
) -> np.ndarray:
    """Every convolution's activations max-pooled to 4x4, flattened and joined: float32 (N, arch.feature_count).

    `images` are uint8 (N, H, W, C) or float (N, C, H, W) in [-1, 1]. Batch norm uses, with `statistics`
    "calibrated", means over batches of 128 of `calibrate_on` (None: of `images` themselves), as the released SVHN
    script does with its training set, or with "running" the averages that the discriminator holds. The discriminator
    is left as it was. The result is written to `out` (.npy) as a memory map, or to a temporary one when it would take
    more than half of the free memory.
    Raises ValueError for pictures of another shape or an unknown `statistics`.
    Source: paper section 5.1; svhn/svhn_semisup_analysis.py.
    """
    models.choose(statistics, ("calibrated", "running"), "statistics")
    if not len(images):
        raise ValueError("no pictures to take features of: expected N of at least 1")
    network = copy.deepcopy(discriminator).eval()
    device = next(network.parameters()).device
    if statistics == "calibrated":
        models.calibrate(network, _batches(images if calibrate_on is None else calibrate_on, BATCH, device))
    shape = (len(images), network.arch.feature_count)
    features = _array(shape, out)
    start = 0
    with torch.no_grad():
        parts = tqdm(
            _batches(images, batch_size, device),
            total=-(-len(images) // batch_size),
            desc="features",
            delay=2,
            disable=not progress,
        )
        for batch in parts:
            maps = [m for m in network.feature_maps(batch) if m.ndim == 4]  # convolutions alone
            pooled = [F.adaptive_max_pool2d(m, 4).flatten(1) for m in maps]  # (n, 16 * width) each
            features[start : start + len(batch)] = torch.cat(pooled, 1).float().cpu().numpy()
            start += len(batch)
    return features


def _batches(images: np.ndarray | Tensor, size: int, device: torch.device) -> Iterator[Tensor]:
    for start in range(0, len(images), size):
        part = images[start : start + size]
        yield (part if isinstance(part, Tensor) and part.is_floating_point() else data.to_float(part)).to(device)


def _array(shape: tuple[int, int], out: str | Path | None) -> np.ndarray:
    size = 4 * shape[0] * shape[1]
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 2**62
    if out is None and size <= free / 2:
        return np.empty(shape, np.float32)
    if out is None:
        out = Path(tempfile.mkdtemp(prefix="dcgan-features-")) / "features.npy"
    return np.lib.format.open_memmap(out, "w+", np.float32, shape)


class L2SVM(ClassifierMixin, BaseEstimator):
    """One-against-all linear SVM with squared hinge loss: `LinearSVC`'s objective, for wide dense features.

    Each class minimises |w|^2 / 2 + C sum max(0, 1 - y (w x + b))^2, where b is one more weight, on a constant feature
    of 1, as LinearSVC has it. All classes are solved together by Newton's method: the loss is piecewise quadratic, its
    Newton step comes from conjugate gradients (two passes over X for all classes at once), and the step's length from
    an exact line search. Stops when every class's |gradient| / sqrt(2 objective) is at most `tol`: the objective curves
    at least like |w|^2 / 2, so it is then within a part tol^2 of its minimum (0.0001 by default).

    Parameters: C; tol; max_iter, Newton steps; device ("auto": CUDA where it is, else the CPU); warm_start, begin at
    the last solution (as along a path of C); progress, a bar. Attributes after `fit`: classes_, coef_ (K, F),
    intercept_ (K,), objective_ (K,), relative_gradient_ (K,), n_iter_, n_passes_ (over X); K is 1 for two classes.
    """

    def __init__(self, C=1.0, tol=1e-2, max_iter=100, device="auto", warm_start=False, progress=False):
        self.C, self.tol, self.max_iter = C, tol, max_iter
        self.device, self.warm_start, self.progress = device, warm_start, progress

    def fit(self, X, y):
        """X (N, F), y (N,) of labels. Raises ValueError for bad input, as scikit-learn's estimators do."""
        X, y = validate_data(self, X, y, dtype=np.float32, order="C", accept_large_sparse=False)
        check_classification_targets(y)
        if not self.C > 0:
            raise ValueError(f"C must be above 0, got {self.C}")
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y has one class, {self.classes_[0]!r}: at least 2 are needed")
        positive = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        device = torch.device(
            "cuda"
            if self.device == "auto" and torch.cuda.is_available()
            else "cpu"
            if self.device == "auto"
            else self.device
        )
        features = _readable(X).to(device)  # (N, F), not copied on a CPU
        signs = torch.from_numpy(np.where(y[:, None] == positive, 1, -1).astype(np.float32)).to(device)  # (N, K)
        start = None
        if self.warm_start and hasattr(self, "coef_") and self.coef_.shape == (signs.shape[1], X.shape[1]):
            start = torch.from_numpy(np.column_stack([self.coef_, self.intercept_]).astype(np.float32)).to(device)
        weights, about = _newton(features, signs, float(self.C), self.tol, self.max_iter, start, self.progress)
        weights = weights.cpu().numpy()
        self.coef_, self.intercept_ = weights[:, :-1], weights[:, -1]
        self.objective_, self.relative_gradient_, self.n_iter_, self.n_passes_ = about
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


def _readable(X: np.ndarray) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable.*")  # a read-only memory map: we only read
        return torch.from_numpy(X)


@torch.no_grad()
def _newton(X: Tensor, signs: Tensor, C: float, tol: float, max_iter: int, start: Tensor | None, progress: bool):
    """Weights (K, F + 1) with the intercept last, and (objective, relative gradient, Newton steps, passes over X)."""

    passes = 0

    def scores(W: Tensor) -> Tensor:  # (K, F + 1) → (N, K)
        nonlocal passes
        passes += 1
        return X @ W[:, :-1].T + W[:, -1]

    def back(R: Tensor) -> Tensor:  # (N, K) → (K, F + 1); the skinny matrix on the left is several times faster
        nonlocal passes
        passes += 1
        return torch.cat([R.T.contiguous() @ X, R.sum(0)[:, None]], 1)

    def dot(a: Tensor, b: Tensor) -> Tensor:  # class by class
        return (a * b).sum(1, keepdim=True)

    W = torch.zeros(signs.shape[1], X.shape[1] + 1, device=X.device) if start is None else start.clone()
    out = torch.zeros_like(signs) if start is None else scores(W)
    steps = 0
    bar = tqdm(desc="L2SVM", unit=" Newton steps", delay=2, disable=not progress)
    while True:
        slack = (1 - signs * out).clamp_min(0)  # (N, K)
        gradient = W - 2 * C * back(signs * slack)
        objective = 0.5 * dot(W, W)[:, 0] + C * slack.square().sum(0)
        relative = gradient.norm(dim=1) / (2 * objective).sqrt()
        bar.set_postfix_str(f"relative gradient {relative.max():.1e}", refresh=False)
        if steps == max_iter or bool((relative <= tol).all()):
            break
        active = (slack > 0).float()  # the pieces where the loss is quadratic
        # Conjugate gradients for (I + 2C X' A X) d = -gradient, all classes at once, each until it is good enough.
        d, residual = torch.zeros_like(W), -gradient
        d_out, p = torch.zeros_like(out), residual.clone()
        rr = dot(residual, residual)
        goal = rr * relative.sqrt().clamp_max(0.1)[:, None] ** 2
        going = (relative > tol)[:, None]
        for _ in range(50):
            p_out = scores(p)
            Hp = p + 2 * C * back(active * p_out)
            alpha = torch.where(going, rr / dot(p, Hp).clamp_min(1e-30), 0.0)  # (K, 1)
            d += alpha * p
            d_out += alpha.T * p_out
            residual -= alpha * Hp
            new = dot(residual, residual)
            going &= new > goal
            if not going.any():
                break
            p = residual + torch.where(going, new / rr.clamp_min(1e-30), 0.0) * p
            rr = new
        length = _line_search(W, d, out, d_out, signs, C)
        W += length * d
        out += length.T * d_out
        steps += 1
        bar.update()
    bar.close()
    return W, (objective.cpu().numpy(), relative.cpu().numpy(), steps, passes)


def _line_search(W: Tensor, d: Tensor, out: Tensor, d_out: Tensor, signs: Tensor, C: float) -> Tensor:
    """The step (K, 1) that minimises each class's objective along d: the root of a rising slope, by bisection."""

    def slope(t: Tensor) -> Tensor:
        slack = (1 - signs * (out + t.T * d_out)).clamp_min(0)
        return ((W + t * d) * d).sum(1, keepdim=True) - 2 * C * (slack * signs * d_out).sum(0)[:, None]

    low, high = torch.zeros(len(W), 1, device=W.device), torch.full((len(W), 1), 2.0, device=W.device)
    for _ in range(20):  # to a millionth
        middle = (low + high) / 2
        rising = slope(middle) > 0
        low, high = torch.where(rising, low, middle), torch.where(rising, middle, high)
    return (low + high) / 2
