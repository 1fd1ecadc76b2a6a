"""Pictures: `load(name_or_path)` gives uint8 (N, H, W, C), memory-mapped, with a fingerprint (paper section 4).

Named sets are looked for in `DCGAN_DATA` first, then fetched by torchvision or from the Hugging Face hub. `cards` says
what each set is, `sources` where pictures come from, `cache` decodes them once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..models import choose
from . import sources
from .cache import Source, cache_root, cached
from .cards import CARDS, Card

__all__ = ["CARDS", "Card", "ImageSet", "NotAvailable", "batches", "load", "to_float", "to_uint8"]


class NotAvailable(RuntimeError):
    """A named set could not be had here; the message says what was tried and which other ways there are."""


@dataclass(frozen=True)
class ImageSet:
    """A loaded set. `images` is uint8 (N, size, size, channels), read-only and memory-mapped.

    `labels` (N,), `attributes` (N, A) of 0/1 and the names are None where the set has none. `fingerprint` is the
    SHA-256 of the decoded pixels: two runs with the same one saw the same pictures. `damaged` names pictures left out.
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

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_size(self) -> int:
        return self.images.shape[1]

    @property
    def channels(self) -> int:
        return self.images.shape[3]

    @property
    def card(self) -> Card | None:
        return CARDS.get(self.name)

    def tensor(self, indices=slice(None)) -> Tensor:
        """The chosen pictures as float32 (n, C, H, W) in [-1, 1]."""
        return to_float(self.images[indices])


def to_float(images) -> Tensor:
    """uint8 (N, H, W, C) → float32 (N, C, H, W) in [-1, 1] = x / 127.5 - 1 (section 4), channels_last in memory."""
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(np.ascontiguousarray(images) if images.flags.writeable else np.array(images))
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(f"expected uint8 (N, H, W, 1 or 3), got {images.dtype} {tuple(images.shape)}")
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def batches(images: np.ndarray | Tensor, size: int, device: str | torch.device = "cpu") -> Iterator[Tensor]:
    """uint8 (N, H, W, C) or float (N, C, H, W) pictures as float batches (size, C, H, W) in [-1, 1] on `device`."""
    for start in range(0, len(images), size):
        part = images[start : start + size]
        yield (part if isinstance(part, Tensor) and part.is_floating_point() else to_float(part)).to(device)


def to_uint8(images: Tensor) -> np.ndarray:
    """float (N, C, H, W) in [-1, 1] → uint8 (N, H, W, C), rounded and clipped."""
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
        raise ValueError(f"expected float images (N, 1 or 3, H, W), got {images.dtype} {tuple(images.shape)}")
    pixels = ((images.detach().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).cpu().numpy()


def data_root() -> Path:
    """Where named sets are looked for and downloaded to: `DCGAN_DATA`, else data/ in the cache folder."""
    return Path(os.environ.get("DCGAN_DATA", cache_root() / "data")).expanduser()


def load(
    name_or_path: str | Path,
    image_size: int | None = None,
    channels: int | None = None,
    split: str = "train",
    root: str | Path | None = None,
    download: bool = True,
    limit: int | None = None,
) -> ImageSet:
    """Load a named set (see CARDS) or a folder, .zip or .npz of one's own.

    `image_size` (default: the set's own; 64 for one's own pictures) is reached by a centre crop and an antialiased
    resize, `channels` (default: the set's own; 1 when all of one's own are grey) by conversion. `root` replaces
    DCGAN_DATA; `limit` takes the first so many pictures alone.
    Raises ValueError for an unknown name or split, NotAvailable when a set cannot be had, FileNotFoundError
    for a path that is not there.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    if image_size is not None and not 1 <= image_size <= 4096:
        raise ValueError(f"image_size must be from 1 to 4096, got {image_size}")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels}")
    path = Path(name_or_path).expanduser()
    a_path = isinstance(name_or_path, Path) or path.suffix.lower() in (".npz", ".zip") or os.sep in str(name_or_path)
    if a_path or (name_or_path not in CARDS and path.is_dir()):
        source = _own(path, split)
        return _assemble(source, source.name, split, image_size or 64, channels or source.channels, limit)
    name = choose(str(name_or_path), CARDS, "data set", " (no folder of that name is here either)")
    card = CARDS[name]
    choose(split, card.splits, f"split of {name}")
    root = Path(root).expanduser() if root else data_root()
    source = _named(name, card, split, root, download, image_size or card.image_size)
    return _assemble(source, name, split, image_size or card.image_size, channels or card.channels, limit)


def _own(path: Path, split: str) -> Source:
    if not path.exists():
        raise FileNotFoundError(f"no folder, .zip or .npz at {path}")
    if path.suffix.lower() == ".npz":
        return sources.npz(path, split)
    if split != "train":
        raise ValueError(f"a folder or a zip has one split, 'train', got {split!r}")
    if path.is_dir():
        return sources.folder(path)
    if path.suffix.lower() == ".zip":
        return sources.archive(path)
    raise ValueError(f"expected a folder, a .zip or an .npz, got {path}")


def _named(name: str, card: Card, split: str, root: Path, download: bool, image_size: int) -> Source:
    """The first way that leads to the set: prepared .npz, unpacked tree, torchvision, hub. Else NotAvailable."""
    if name == "digits":
        return sources.digits()
    tried = []
    for stem in dict.fromkeys(
        (name, f"{name}{image_size}", f"{name}{card.image_size}")
    ):  # tinyimagenet32.npz or 64, too
        if (root / f"{stem}.npz").exists():
            try:
                return sources.npz(root / f"{stem}.npz", split, name)
            except ValueError as error:
                tried.append(str(error))
    if name == "tinyimagenet":
        tree = root / "tiny-imagenet-200"
        if (tree / "wnids.txt").exists():
            return sources.tinyimagenet_tree(tree, split)
        tried.append(f"{tree} does not exist")
    if (root / name).is_dir() and not card.torchvision and split == "train":
        try:
            return sources.folder(root / name, name)
        except ValueError as error:
            tried.append(str(error))
    if card.torchvision:
        try:
            if name == "celeba":
                return sources.celeba_tree(root, split, download)
            if card.torchvision == "LSUN":
                return sources.lsun_lmdb(name, split, root)
            return sources.torchvision_set(name, card, split, root, download)
        except sources.NotHere as error:
            tried.append(str(error))
    if card.hub and download:
        try:
            return sources.hub(name, card, split)
        except sources.NotHere as error:
            tried.append(str(error))
    raise NotAvailable(
        f"{card.title} ({name!r}, split {split!r}) could not be had.\nTried:\n"
        + "".join(f"  - {t}\n" for t in tried)
        + "Three other ways:\n"
        f"  1. put {name}.npz (uint8 x_train, y_train, x_test, y_test, or images) into {root}, or set DCGAN_DATA to a "
        "folder that holds it\n"
        f"  2. get the files yourself from {card.source} and load the folder or zip: data.load('path/to/pictures')\n"
        "  3. go on without it: data.load('digits') needs no download"
    )


def _assemble(source: Source, name: str, split: str, image_size: int, channels: int, limit: int | None) -> ImageSet:
    images, extras, notes = cached(source, image_size, channels, limit)
    named = {k: extras.pop(k, None) for k in ("labels", "attributes")}
    return ImageSet(
        name=name,
        split=split,
        images=images,
        fingerprint=notes["sha256"],
        class_names=notes.get("class_names"),
        attribute_names=notes.get("attribute_names"),
        extras=extras,
        damaged=tuple(notes["damaged"]),
        **named,
    )
