"""Exact nearest neighbours on a stream, for the paper's 1-NN test of conditional samples, and deformed digits.

`NearestNeighbour` keeps of each test picture the nearest sample so far, so ten million samples never lie in memory:
time is linear in them, memory constant, and a stopped run goes on from its state. `deform` makes more digits of real
ones, as InfiMNIST does (Loosli, Canu and Bottou, 2007): the control that knows how digits vary.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 512  # samples compared with all queries at a time
ROUNDING = 2.0**-24  # the largest relative error of one float32 operation


class NearestNeighbour:
    """1-NN classifier (Euclidean) of the `queries` (Q, ...), fitted by any number of `partial_fit`.

    uint8 or float, compared as float32 numbers without loss. Products in float32 find the few samples that could be
    nearest within their rounding error, and differences in float64 decide, so the neighbours are exact; of equally near
    samples the earliest counts. Of the nearest: `squared` distances, `labels` and `indices` in the stream, (Q,) each;
    `count` samples were seen.
    """

    def __init__(self, queries: np.ndarray | Tensor, device: str | torch.device = "cpu", block: int = BLOCK):
        self.device, self.block = torch.device(device), block
        self._rows = _rows(queries, "queries")
        self._queries = self._rows.to(self.device)
        norms = self._rows.double().square().sum(1)
        self._lengths = norms.numpy()
        self._norms = norms.sqrt()
        self.squared = np.full(len(self._rows), np.inf)
        self.labels = np.full(len(self._rows), -1, np.int64)
        self.indices = np.full(len(self._rows), -1, np.int64)
        self.count = 0

    @property
    def distances(self) -> np.ndarray:
        """(Q,) to the nearest samples; infinite before the first."""
        return np.sqrt(self.squared)

    def partial_fit(self, samples: np.ndarray | Tensor, labels: np.ndarray | Tensor) -> NearestNeighbour:
        """More samples (N, ...) with whole-number labels (N,). Raises ValueError for another number of pixels."""
        samples = _rows(samples, "samples")
        labels = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
        if samples.shape[1] != self._rows.shape[1]:
            raise ValueError(
                f"expected samples of {self._rows.shape[1]} pixels as the queries', got {samples.shape[1]}"
            )
        if labels.shape != (len(samples),) or labels.dtype.kind not in "iu":
            raise ValueError(f"expected {len(samples)} whole-number labels, got {labels.dtype} {labels.shape}")
        for start in range(0, len(samples), self.block):
            part = slice(start, start + self.block)
            self._block(samples[part], labels[part].astype(np.int64))
        return self

    def predict(self) -> np.ndarray:
        """(Q,) labels of the nearest samples. Raises ValueError before the first sample."""
        if not self.count:
            raise ValueError("no samples yet: call partial_fit first")
        return self.labels.copy()

    def state_dict(self) -> dict[str, np.ndarray]:
        """All that goes on depends on, as arrays, for np.savez or safetensors; with a digest of the queries."""
        return {
            "squared": self.squared.copy(),
            "labels": self.labels.copy(),
            "indices": self.indices.copy(),
            "count": np.array(self.count),
            "queries": self._digest(),
        }

    def load_state_dict(self, state: dict[str, np.ndarray]) -> NearestNeighbour:
        """Go on where `state_dict` was taken. Raises ValueError when it belongs to other queries."""
        if not np.array_equal(state["queries"], self._digest()):
            raise ValueError("this state belongs to other queries: load it with those, or begin anew")
        self.squared, self.labels, self.indices = (state[k].copy() for k in ("squared", "labels", "indices"))
        self.count = int(state["count"])
        return self

    def _digest(self) -> np.ndarray:
        return np.frombuffer(hashlib.sha256(self._rows.numpy().tobytes()).digest(), np.uint8)

    def _block(self, samples: Tensor, labels: np.ndarray) -> None:
        norms = samples.double().square().sum(1)
        x = samples.to(self.device)
        with _full_products():  # |x|² - 2 q·x, the squared distance without |q|²
            scores = torch.addmm(norms.float().to(self.device), self._queries, x.T, alpha=-2)  # (Q, block)
        least = scores.min(1).values
        # Rounding of a product of F terms is at most F roundings of |q| |x|; the sum with |x|² adds a few.
        longest = norms.max().sqrt()
        slack = ROUNDING * (2 * (x.shape[1] + 4) * self._norms * longest + 4 * longest**2)
        bound = torch.from_numpy(self.squared - self._lengths)
        open_ = torch.nonzero(least.cpu().double() - slack <= bound).squeeze(1)  # queries that this block may serve
        if len(open_):
            rows = open_.to(self.device)
            limit = torch.minimum(least.cpu().double() + slack, bound)[open_] + slack[open_]
            limit = torch.nextafter(limit.float(), torch.tensor(torch.inf)).to(self.device)
            row, column = torch.nonzero(scores[rows] <= limit[:, None]).cpu().T
            self._decide(open_[row].numpy(), column.numpy(), samples, labels)
        self.count += len(samples)

    def _decide(self, query: np.ndarray, sample: np.ndarray, samples: Tensor, labels: np.ndarray) -> None:
        exact = np.empty(len(query))
        for start in range(0, len(query), 4096):
            part = slice(start, start + 4096)
            difference = self._rows[query[part]].double() - samples[sample[part]].double()
            exact[part] = np.square(difference.numpy()).sum(1)
        order = np.lexsort((sample, exact, query))  # the nearest of each query first, the earliest among equals
        query, first = np.unique(query[order], return_index=True)
        sample, exact = sample[order][first], exact[order][first]
        nearer = exact < self.squared[query]
        query, sample = query[nearer], sample[nearer]
        self.squared[query] = exact[nearer]
        self.labels[query] = labels[sample]
        self.indices[query] = self.count + sample


@contextmanager
def _full_products():
    """float32 products with all their digits, whatever is set (TF32 or bfloat16 would void the bound)."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _rows(values: np.ndarray | Tensor, what: str) -> Tensor:
    """(N, ...) uint8 or float → float32 (N, F) on the CPU."""
    if isinstance(values, np.ndarray) and not values.flags.writeable:  # memory-mapped
        values = values.copy()
    values = torch.as_tensor(values)
    if values.ndim < 2 or not len(values) or values.dtype not in (torch.uint8, torch.float32, torch.float16):
        raise ValueError(f"expected {what} (N, ...), uint8 or float32, got {values.dtype} {tuple(values.shape)}")
    rows = values.detach().flatten(1).cpu().float().contiguous()
    if not rows.isfinite().all():
        raise ValueError(f"{what} must be finite numbers")
    return rows


def deform(images: np.ndarray, rng: np.random.Generator, **strengths: float) -> np.ndarray:
    """Slightly deformed pictures, uint8 (N, H, W, C) of the same shape: what leaves the frame is lost, black enters.

    `strengths` are those of `displacements`. Bilinear interpolation; one draw of `rng` a picture.
    """
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(f"expected uint8 (N, H, W, C), got {images.dtype} {images.shape}")
    n, height, width, _ = images.shape
    moved = displacements(n, height, width, rng, **strengths)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    # To grid_sample -1 and 1 are the centres of the outer pixels (align_corners).
    grid = np.stack(
        [2 * (columns + moved[..., 1]) / (width - 1) - 1, 2 * (rows + moved[..., 0]) / (height - 1) - 1], -1
    )
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()  # a copy: images may be read-only
    x = F.grid_sample(x, torch.from_numpy(grid), align_corners=True)
    return x.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def displacements(
    n: int,
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    rotation: float = 10,
    scaling: float = 0.1,
    shear: float = 0.1,
    shift: float = 1,
    elastic: float = 0.7,
    smoothness: float = 4,
) -> np.ndarray:
    """From where each pixel of n pictures is taken: float32 (n, H, W, 2), rows and columns to go down and right.

    About the centre: rotation by up to `rotation` degrees, scaling of each side by up to the part `scaling`, a shear of
    up to `shear`, a shift of up to `shift` pixels, all uniform; and a smooth random field of deviation `elastic` pixels
    whose neighbours agree over some `smoothness` pixels.
    """
    angle, sheared = (rng.uniform(-most, most, n) for most in (np.radians(rotation), shear))
    scale, offset = (rng.uniform(-most, most, (n, 2)) for most in (scaling, shift))
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1).reshape(n, 2, 2)
    slant = np.broadcast_to(np.eye(2), (n, 2, 2)).copy()
    slant[:, 1, 0] = sheared
    matrix = turn @ slant * (1 + scale)[:, None, :]
    places = np.stack(np.mgrid[:height, :width], -1).reshape(-1, 2) - np.array([height - 1, width - 1]) / 2
    affine = places @ (matrix - np.eye(2)).transpose(0, 2, 1) + offset[:, None]
    # Noise smoothed by Gaussian weights along rows and columns; each field pixel has deviation 1 before `elastic`.
    down, right = (_smoothing(length, smoothness) for length in (height, width))
    field = np.einsum("ij,njkc,lk->nilc", down, rng.standard_normal((n, height, width, 2)), right, optimize=True)
    return (affine.reshape(n, height, width, 2) + elastic * field).astype(np.float32)


def _smoothing(length: int, deviation: float) -> np.ndarray:
    apart = np.subtract.outer(np.arange(length), np.arange(length))
    weights = np.exp(-0.5 * (apart / deviation) ** 2)
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)
