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

from .checks import whole
from .device import pick_device

BLOCK, QUERIES = 512, 2048  # samples and queries compared at a time: their scores stay in a processor's cache
BLOCK_GPU, QUERIES_GPU = 8192, 32768  # a GPU waits for each block's few calls: fewer of them, a gigabyte of scores
PAIRS = 2**25  # of queries and samples that are gone through at a time, where a look leaves them open
ROUNDING = 2.0**-24  # the largest relative error of one float32 operation
REST = 0.1  # of the queries' variance that the few directions of the first look may leave out
MANY = 0.005  # of a block's pairs: so many differences cost as much as the second look
LARGEST = 1e15  # of a value: sums of squares stay float32 numbers


class NearestNeighbour:
    """1-NN classifier (Euclidean) of the `queries` (Q, ...), fitted by any number of `partial_fit`.

    uint8 or float, compared as float32 numbers without loss. A look along the few directions in which queries vary
    (lower bounds of distances, see `_Look`) rules out nearly all samples, one along all pixels is taken where it does
    not (on a CUDA device at once), and differences in float64 decide, so the neighbours are exact; of equally near
    samples the earliest counts. Of the nearest: `squared` distances, `labels` and `indices` in the stream, (Q,) each;
    `count` samples were seen.
    """

    def __init__(self, queries: np.ndarray | Tensor, device: str | torch.device = "cpu", block: int | None = None):
        self.device = pick_device(device)
        on_gpu = self.device.type == "cuda"
        self.block = whole((BLOCK_GPU if on_gpu else BLOCK) if block is None else block, "block", 1)
        self._queries = QUERIES_GPU if on_gpu else QUERIES
        self._exact = self.device if on_gpu else torch.device("cpu")  # where float64 is: Apple's GPUs have none
        self._rows = _rows(queries, "queries")
        self._centre = self._rows.double().mean(0)
        away = self._rows.double() - self._centre
        self._lengths = away.square().sum(1)
        self._looks = [_Look(away, None, self.device)]
        if not on_gpu:  # which takes all pixels faster than it could rule samples out
            directions = _directions(away)
            if directions.shape[1] + 1 < away.shape[1]:
                self._looks.insert(0, _Look(away, directions, self.device))
        self._centre = self._centre.to(self._exact)
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
        away = samples.to(self._exact).double() - self._centre
        squares = away.square().sum(1)
        parts = [slice(start, start + self._queries) for start in range(0, len(self._rows), self._queries)]
        for look in self._looks:
            if parts:
                most = 1 if look is self._looks[-1] else MANY
                seen = look.seen(away).T.to(self.device)
                parts = [part for part in parts if not self._serve(part, look, seen, squares, most, samples, labels)]
        self.count += len(samples)

    def _serve(self, part: slice, look: _Look, seen: Tensor, squares: Tensor, most: float, samples, labels) -> bool:
        """Find the nearest of some queries in a block; False where a look leaves more than `most` of the pairs open."""
        scores, slack = look.scores(part, seen, squares, self._lengths)  # (q, block), (q,)
        least, likeliest = scores.min(1)
        open_ = torch.nonzero(least <= self._bound(part, slack)).squeeze(1)  # queries that the block may serve
        if not len(open_):
            return True
        # The likeliest sample's own distance first: it rules out most others.
        self._decide(part.start + open_.cpu().numpy(), likeliest[open_].cpu().numpy(), samples, labels)
        for some in open_.split(max(1, PAIRS // scores.shape[1])):
            row, column = torch.nonzero(scores[some] <= self._bound(part, slack)[some, None]).T
            if len(row) > most * scores.numel():
                return False
            self._decide(part.start + some[row].cpu().numpy(), column.cpu().numpy(), samples, labels)
        return True

    def _bound(self, part: slice, slack: Tensor) -> Tensor:
        """(q,) what a sample's score may be at most where it is to be nearer than the nearest so far, or as near."""
        bound = torch.from_numpy(self.squared[part]) - self._lengths[part] + slack
        return torch.nextafter(bound.float(), torch.tensor(torch.inf)).to(self.device)

    def _decide(self, query: np.ndarray, sample: np.ndarray, samples: Tensor, labels: np.ndarray) -> None:
        exact = np.empty(len(query))
        for start in range(0, len(query), 4096):
            part = slice(start, start + 4096)
            difference = self._rows[query[part]].double() - samples[sample[part]].double()
            exact[part] = np.square(difference.numpy()).sum(1)
        order = np.lexsort((sample, exact, query))  # the nearest of each query first, the earliest among equals
        query, first = np.unique(query[order], return_index=True)
        sample, exact = sample[order][first], exact[order][first]
        before = self.squared[query]
        nearer = (exact < before) | ((exact == before) & (self.count + sample < self.indices[query]))
        query, sample = query[nearer], sample[nearer]
        self.squared[query] = exact[nearer]
        self.labels[query] = labels[sample]
        self.indices[query] = self.count + sample


def _directions(away: Tensor) -> Tensor:
    """The principal directions of rows (N, F) that leave out REST of their variance at most: float64 (F, k)."""
    variance, directions = torch.linalg.eigh(away.T @ away)  # the smallest first
    left_out = variance.clamp(min=0).cumsum(0)
    return directions[:, int((left_out <= REST * left_out[-1]).sum()) :]


class _Look:
    """What queries and samples (N, F), float64 from one centre, are along some orthonormal `directions`, or as a whole.

    A row is split into its part along the directions and the length of the rest. Two rests are nowhere less apart than
    their lengths are, so that |q|² + |x|² - 2 (along·along + rest rest) is at most the squared distance of q and x.
    """

    def __init__(self, queries: Tensor, directions: Tensor | None, device: torch.device):
        self.directions, self.device = directions, device
        self.queries = self.seen(queries).to(device)

    def seen(self, away: Tensor) -> Tensor:
        """float32 (N, F), or (N, k + 1) along k directions."""
        if self.directions is None:
            return away.float()
        along, squares = away @ self.directions, away.square().sum(1)  # (N, k), (N,)
        rest = (squares - along.square().sum(1)).clamp(min=0) + 1e-12 * squares  # for all rounding not too small
        return torch.cat([along, rest.sqrt()[:, None]], 1).float()

    def scores(self, part: slice, seen: Tensor, squares: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """|x|² - 2 (…) in float32, (q, block), for some queries, and how much rounding may have added to it, (q,).

        `seen` are the samples as columns, `squares` their |x|², `lengths` all queries' |q|².
        """
        with _full_products():
            scores = torch.addmm(squares.float().to(self.device), self.queries[part], seen, alpha=-2)
        # Both rows were rounded, and a product of F terms by F roundings of |q| |x|; the sum with |x|² adds a few.
        longest = squares.max().sqrt().item()
        slack = 2 * (len(seen) + 8) * lengths[part].sqrt() * longest + 4 * longest**2
        return scores, ROUNDING * slack + (len(seen) + 8) * 2.0**-125  # terms too small for float32 become 0


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
    if isinstance(values, np.ndarray):
        values = np.ascontiguousarray(values) if values.flags.writeable else values.copy()  # mirrored, memory-mapped
    values = torch.as_tensor(values)
    if values.ndim < 2 or not len(values) or values.dtype not in (torch.uint8, torch.float32, torch.float16):
        raise ValueError(f"expected {what} (N, ...), uint8 or float32, got {values.dtype} {tuple(values.shape)}")
    rows = values.detach().flatten(1).cpu().float().contiguous()
    if not (rows.abs() <= LARGEST).all():  # NaN is not
        raise ValueError(f"{what} must be finite numbers from -{LARGEST:g} to {LARGEST:g}: scale both sets down")
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
    # To grid_sample -1 and 1 are the centres of the outer pixels (align_corners); of one pixel all is its centre.
    across, down = max(width - 1, 1), max(height - 1, 1)
    grid = np.stack([2 * (columns + moved[..., 1]) / across - 1, 2 * (rows + moved[..., 0]) / down - 1], -1)
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
