"""The paper's baseline: one layer of K-means on whitened patches (Coates, Lee and Ng 2011; Coates and Ng 2012)."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm


class KMeansFeatures(TransformerMixin, BaseEstimator):
    """Pictures → how near each of their patches is to each of K centroids, summed over four quadrants: (N, 4 K).

    Patches of `patch` x `patch` pixels at every position lose their mean, are divided by their deviation (variance +
    10, in grey levels of 255) and are whitened (ZCA, 0.1 added to the eigenvalues), all as published. The triangle
    activation of centroid k is max(0, mean distance - distance to k). Coates and Ng fit 1,600 or 4,800 centroids with
    plain K-means; here scikit-learn's MiniBatchKMeans does `epochs` passes over `n_patches` random patches. Their SVM
    is fitted on standardised features: put sklearn's StandardScaler behind this.

    Images are uint8 (N, H, W, C). `device` and `batch_size` are for `transform` (few pictures stay in a CPU's cache;
    take hundreds on a GPU). After `fit`: centroids_ (K, D), whitening_ (D, D) and mean_ (D,), D = patch * patch * C.
    """

    def __init__(
        self,
        n_centroids=1600,
        patch=6,
        n_patches=400_000,
        epochs=10,
        seed=0,
        device="cpu",
        batch_size=4,
        progress=True,
    ):
        self.n_centroids, self.patch, self.n_patches, self.epochs = n_centroids, patch, n_patches, epochs
        self.seed, self.device, self.batch_size, self.progress = seed, device, batch_size, progress

    def fit(self, images, y=None):
        """Learn whitening and centroids. Raises ValueError for pictures smaller than a patch or too few patches."""
        images = self._checked(images)
        if self.n_patches < self.n_centroids:
            raise ValueError(f"{self.n_centroids} centroids need as many patches at least, got {self.n_patches}")
        n, height, width = images.shape[:3]
        rng = np.random.default_rng(self.seed)
        which = np.sort(rng.integers(0, n, self.n_patches))
        top = rng.integers(0, height - self.patch + 1, self.n_patches)
        left = rng.integers(0, width - self.patch + 1, self.n_patches)
        steps = np.arange(self.patch)
        rows, columns = top[:, None, None] + steps[:, None], left[:, None, None] + steps
        patches = images[which[:, None, None], rows, columns]  # (P, patch, patch, C)
        # In the order of F.unfold: channel, row, column.
        patches = _normalised(torch.from_numpy(patches.transpose(0, 3, 1, 2).reshape(len(patches), -1)).float())
        self.mean_ = patches.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov(patches.T).double())
        self.whitening_ = (vectors * (values + 0.1).rsqrt() @ vectors.T).float()  # (D, D), symmetric
        white = ((patches - self.mean_) @ self.whitening_).numpy()
        model = MiniBatchKMeans(
            self.n_centroids,
            init="random",
            n_init=1,
            max_iter=self.epochs,
            batch_size=min(10_000, len(white)),
            random_state=self.seed,
            max_no_improvement=None,
        ).fit(white)
        self.centroids_ = torch.from_numpy(model.cluster_centers_.astype(np.float32))
        return self

    @torch.no_grad()
    def transform(self, images):
        """uint8 (N, H, W, C) → float32 (N, 4 K)."""
        check_is_fitted(self)
        images = self._checked(images)
        if images.shape[-1] * self.patch**2 != len(self.mean_):
            raise ValueError(f"fitted on patches of {len(self.mean_)} numbers, got {images.shape[-1]} channels")
        out = np.empty((len(images), 4 * len(self.centroids_)), np.float32)
        # |white - c|^2 = |white|^2 - 2 white c + |c|^2 with white = (x - mean) Z: one product with x gives the middle.
        kernel = (self.whitening_ @ self.centroids_.T).to(self.device)  # (D, K)
        whitening, mean = self.whitening_.to(self.device), self.mean_.to(self.device)
        norms = self.centroids_.square().sum(1).to(self.device)
        bar = tqdm(total=len(images), desc="K-means features", unit=" pictures", delay=2)
        bar.disable = bar.disable or not self.progress
        for start in range(0, len(images), self.batch_size):
            pixels = images[start : start + self.batch_size]
            x = torch.from_numpy(np.array(pixels)).to(self.device).permute(0, 3, 1, 2).float()
            x = _normalised(F.unfold(x, self.patch)).transpose(1, 2) - mean  # (n, positions, D)
            x = x.unflatten(1, (images.shape[1] - self.patch + 1, -1))  # (n, rows, columns, D)
            sums = []
            for part in _quadrants(x):  # one at a time: what it takes stays in a CPU's cache
                squares = (part @ whitening).square().sum(2, keepdim=True)
                distances = torch.baddbmm(norms.expand(1, 1, -1), part, kernel.expand(len(x), -1, -1), alpha=-2)
                distances = distances.add_(squares).clamp_min_(0).sqrt_()  # (n, positions, K)
                near = distances.sub_(distances.mean(2, keepdim=True)).neg_().clamp_min_(0)
                sums.append(near.sum(1))
            out[start : start + len(x)] = torch.cat(sums, 1).cpu().numpy()
            bar.update(len(x))
        bar.close()
        return out

    def _checked(self, images) -> np.ndarray:
        """The pictures as an array, once they and every parameter have been found to be in their ranges."""
        for name in ("n_centroids", "patch", "n_patches", "epochs", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        try:
            torch.device(self.device)
        except (RuntimeError, TypeError):
            raise ValueError(f"device must be one of PyTorch's, got {self.device!r}") from None
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
            raise ValueError(f"expected uint8 pictures (N, H, W, 1 or 3), got {images.dtype} {images.shape}")
        if not len(images):
            raise ValueError("no pictures: expected N of at least 1")
        if self.patch**2 * images.shape[-1] < 2:
            raise ValueError("patches of one number have no deviation: take patch=2 or more")
        if min(images.shape[1:3]) <= self.patch:
            raise ValueError(f"pictures of {images.shape[1:3]} pixels have no two patches of {self.patch} a side")
        return images


def _normalised(patches: Tensor) -> Tensor:
    """Each patch (n, D) or (n, D, positions) without its mean, over sqrt(variance + 10), in grey levels of 255."""
    return (patches - patches.mean(1, keepdim=True)) / (patches.var(1, keepdim=True) + 10).sqrt()


def _quadrants(x: Tensor) -> list[Tensor]:
    """(n, rows, columns, D) → the four quadrants, (n, positions, D) each; an odd middle goes to the first half."""
    h, w = (x.shape[1] + 1) // 2, (x.shape[2] + 1) // 2
    return [
        x[:, a, b].flatten(1, 2) for a in (slice(None, h), slice(h, None)) for b in (slice(None, w), slice(w, None))
    ]
