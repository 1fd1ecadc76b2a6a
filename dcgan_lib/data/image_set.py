"""A loaded set of pictures and how to choose among them."""

from __future__ import annotations

import hashlib
import numbers
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ..checks import whole
from .cards import CARDS, Card


@dataclass(frozen=True, repr=False, eq=False)
class ImageSet:
    """A loaded set. `images` is uint8 (N, size, size, channels), read-only, memory-mapped where it is from the cache.

    `labels` (N,), `attributes` (N, A) of 0/1 and the names are None where the set has none. `fingerprint` is the
    SHA-256 of the decoded pixels: two runs with the same one saw the same pictures. `damaged` names pictures left out.
    `files` (N,) are the pictures' names below their folder or in their zip; None where they have none (.npz, arrays).

    `images[i]` with a number is one picture, uint8 (H, W, C); with a slice it is the ImageSet of those pictures.
    """

    name: str
    split: str
    images: np.ndarray
    fingerprint: str
    labels: np.ndarray | None = None
    attributes: np.ndarray | None = None
    class_names: list[str] | None = None
    attribute_names: list[str] | None = None
    extras: dict[str, np.ndarray] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()
    files: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        height, width, channels = self.images.shape[1:]
        also = (
            f", {len(self.class_names)} classes" if self.class_names else ", labels" if self.labels is not None else ""
        )
        also += f", {self.attributes.shape[1]} attributes" if self.attributes is not None else ""
        return f"<ImageSet {self.name} ({self.split}): {len(self):,} of {height}x{width}x{channels}{also}>"

    def __getitem__(self, index: int | slice) -> np.ndarray | ImageSet:
        if isinstance(index, slice):
            return self.select(index)
        if isinstance(index, bool) or not isinstance(index, numbers.Integral):
            raise TypeError(f"expected a number or a slice, got {index!r}: lists of numbers go to select()")
        return self.images[index]  # numpy's IndexError names index and size

    @property
    def image_size(self) -> int:
        return self.images.shape[1]

    @property
    def channels(self) -> int:
        return self.images.shape[3]

    @property
    def classes(self) -> int:
        """How many classes the labels tell apart: those with a name, else the largest label and 1; 0 without labels."""
        if self.labels is None:
            return 0
        return len(self.class_names) if self.class_names is not None else int(self.labels.max()) + 1

    @property
    def card(self) -> Card | None:
        return CARDS.get(self.name)

    def tensor(self, indices=slice(None)) -> Tensor:
        """The chosen pictures as float32 (n, C, H, W) in [-1, 1]."""
        return to_float(self.images[indices])

    def select(self, indices) -> ImageSet:
        """The pictures with these numbers, in this order, with their labels, attributes, files' names and extras.

        `indices` are whole numbers from 0 (a list, range, array or slice), not truth values. Nothing goes to the disk:
        a slice or range stays a view of the memory map, others are copied into memory. The fingerprint is that of the
        chosen pixels. Raises TypeError for other kinds, ValueError for none at all, IndexError beyond the set.
        """
        if isinstance(indices, range):
            if len(indices) and not 0 <= min(indices) <= max(indices) < len(self):
                raise IndexError(f"{indices} reaches beyond the {len(self):,} pictures of {self.name}")
            last = indices[-1] + (1 if indices.step > 0 else -1) if len(indices) else 0
            where = slice(indices.start, last if last >= 0 else None, indices.step) if len(indices) else slice(0, 0)
        elif isinstance(indices, slice):
            where = indices
        else:
            where = np.asarray(indices)
            if where.ndim != 1 or (where.size and where.dtype.kind not in "iu"):
                raise TypeError(
                    f"expected whole numbers as a list, range, array or slice, got {where.dtype} {where.shape}"
                )
            if where.size and not 0 <= where.min() <= where.max() < len(self):
                raise IndexError(
                    f"indices from {where.min()} to {where.max()}: {self.name} has pictures 0 to {len(self) - 1:,}"
                )
            where = where.astype(np.int64)
        images = self.images[where]
        if not len(images):
            raise ValueError(f"no pictures chosen of the {len(self):,} of {self.name}")
        images.flags.writeable = False
        rows = {
            k: None if v is None else v[where] for k, v in (("labels", self.labels), ("attributes", self.attributes))
        }
        return replace(
            self,
            images=images,
            fingerprint=fingerprint(images),
            extras={k: v[where] for k, v in self.extras.items()},
            files=None if self.files is None else tuple(np.array(self.files, object)[where]),
            **rows,
        )

    def take(self, n: int, seed: int = 0, by_class: bool = False) -> ImageSet:
        """`n` pictures drawn at random by `seed`, none twice, in the order drawn: a smaller n is the start of a larger.

        `by_class` draws as many of each class: n must be a multiple of their number; pictures without a label are left
        out. Raises TypeError for an n or a seed that is no whole number, ValueError when n is not from 1 to what there
        is, or where `by_class` finds no labels or too few of a class.
        """
        whole(n, "n", 1)
        rng = np.random.default_rng(whole(seed, "seed", 0))
        if not by_class:
            if n > len(self):
                raise ValueError(f"{n:,} pictures asked for, {self.name} ({self.split}) has {len(self):,}")
            return self.select(rng.permutation(len(self))[:n])
        if self.labels is None:
            raise ValueError(f"{self.name} ({self.split}) has no labels: by_class cannot draw by class")
        classes = [int(c) for c in np.unique(self.labels) if c >= 0]
        if self.class_names is not None:
            classes = [c for c in classes if c < len(self.class_names)]  # others have none: 255
        if not classes or n % len(classes):
            raise ValueError(f"n must be a multiple of the {len(classes)} classes of {self.name}, got {n:,}")
        drawn = []
        for c in classes:
            members = rng.permutation(np.flatnonzero(self.labels == c))
            if len(members) < n // len(classes):
                raise ValueError(f"{n // len(classes):,} pictures of each class: class {c} has {len(members):,}")
            drawn.append(members[: n // len(classes)])
        return self.select(np.stack(drawn, 1).ravel())  # one of each class in turn


def fingerprint(images: np.ndarray) -> str:
    """SHA-256 of the pixels in order, read a few at a time."""
    digest = hashlib.sha256()
    for start in range(0, len(images), 256):
        digest.update(np.ascontiguousarray(images[start : start + 256]))
    return digest.hexdigest()


def to_float(images) -> Tensor:
    """uint8 (N, H, W, C) → float32 (N, C, H, W) in [-1, 1] = x / 127.5 - 1 (section 4), channels_last in memory."""
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(np.ascontiguousarray(images) if images.flags.writeable else np.array(images))
    if not isinstance(images, Tensor):
        raise TypeError(f"expected pictures as a uint8 array or tensor, got {type(images).__name__}")
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(f"expected uint8 (N, H, W, 1 or 3), got {images.dtype} {tuple(images.shape)}")
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def batches(images: np.ndarray | Tensor, size: int, device: str | torch.device = "cpu") -> Iterator[Tensor]:
    """uint8 (N, H, W, C) or float (N, C, H, W) pictures as float32 batches (size, C, H, W) in [-1, 1] on `device`.

    Raises as `to_float`, and ValueError for floats of another shape. Warns of many floats without one below 0: from 0
    to 1 is another library's range.
    """
    whole(size, "batch size", 1)
    floats = isinstance(images, Tensor) and images.is_floating_point()
    if floats and len(float_pictures(images)) >= 8 and 0 <= images.detach().min() < images.detach().max() <= 1:
        warnings.warn("pictures from 0 to 1: this library's are from -1 to 1, 2 * images - 1", stacklevel=2)
    for start in range(0, len(images), size):
        part = images[start : start + size]
        yield (part.float() if floats else to_float(part)).to(device)


def float_pictures(images: Tensor) -> Tensor:
    """The same tensor. Raises TypeError or ValueError unless it is float (N, 1 or 3, H, W)."""
    if not isinstance(images, Tensor):
        raise TypeError(f"expected pictures as a float tensor, got {type(images).__name__}")
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
        raise ValueError(f"expected float images (N, 1 or 3, H, W), got {images.dtype} {tuple(images.shape)}")
    return images


def to_uint8(images: Tensor) -> np.ndarray:
    """float (N, C, H, W) in [-1, 1] → uint8 (N, H, W, C), rounded and clipped.

    Raises TypeError or ValueError for what is no such tensor or holds NaN. Warns of values far outside the range: from
    0 to 255 is the usual slip.
    """
    images = float_pictures(images).detach().float()
    low, high = images.aminmax() if images.numel() else (torch.tensor(0.0), torch.tensor(0.0))
    if torch.isnan(high):
        raise ValueError("the pictures hold NaN")
    if max(-low, high) > 10:  # an output without bounds may go a little further than 1
        warnings.warn(f"pictures from {low:.3g} to {high:.3g} are clipped: expected -1 to 1", stacklevel=2)
    pixels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).cpu().numpy()
