"""Pictures: `load(name_or_path)` gives uint8 (N, H, W, C), memory-mapped, with a fingerprint (paper section 4).

Named sets are looked for in `DCGAN_DATA` first, then fetched by torchvision or from the Hugging Face hub. `cards` says
what each set is, `sources` where pictures come from, `cache` decodes them once.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import torch

from ..checks import choose, whole
from . import sources
from .cache import Source, cache_root, cached, one_at_a_time, verify_folder
from .cards import CARDS, Card
from .decoding import printable
from .image_set import ImageSet, batches, fingerprint, to_float, to_uint8
from .memory import from_array, from_dataset

__all__ = [
    "CARDS",
    "Card",
    "ImageSet",
    "NotAvailable",
    "batches",
    "from_array",
    "from_dataset",
    "load",
    "to_float",
    "to_uint8",
    "verify",
]


class NotAvailable(RuntimeError):
    """A named set could not be had here; the message says what was tried and which other ways there are."""


def data_root() -> Path:
    """Where named sets are looked for and downloaded to: `DCGAN_DATA`, else data/ in the cache folder."""
    return Path(os.environ.get("DCGAN_DATA") or cache_root() / "data").expanduser()


def load(
    name_or_path: str | Path | ImageSet | np.ndarray | torch.Tensor,
    image_size: int | None = None,
    channels: int | None = None,
    split: str = "train",
    root: str | Path | None = None,
    download: bool = True,
    limit: int | None = None,
    seed: int = 0,
) -> ImageSet:
    """Load a named set (see CARDS), a folder, .zip or .npz of one's own, or what a program holds.

    `image_size` (default: the set's own; 64 for one's own pictures) is reached by a centre crop and an antialiased
    resize, `channels` (default: the set's own; 1 when all of one's own are grey) by conversion. `root` replaces
    DCGAN_DATA; `limit` draws so many pictures at random by `seed`, as `take` does.
    An ImageSet is given back as it is; an array goes through `from_array`, a torchvision-like data set through
    `from_dataset`.
    Raises ValueError for an unknown name, split or number (TypeError for what is no whole number), NotAvailable when
    a set cannot be had, FileNotFoundError for a path that is not there, OSError when the disk or the cache fails. A
    warning names damaged pictures: they are left out.
    """
    if limit is not None:
        whole(limit, "limit", 1)
    whole(seed, "seed", 0)
    if image_size is not None:
        whole(image_size, "image_size", 1, 4096)
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels!r}")
    if isinstance(name_or_path, (str, Path)):
        images = _find(name_or_path, image_size, channels, split, root, download)
    else:
        images = _held(name_or_path, image_size, channels)
    return images if limit is None else images.take(limit, seed)


def verify(images: ImageSet | str | Path) -> str:
    """Read a set's pixels whole, or a folder of the cache, and compare them with their SHA-256, which is returned.

    `load` itself checks a few blocks each time. Raises ValueError where they differ, with what to delete.
    """
    if not isinstance(images, ImageSet):
        return verify_folder(Path(images).expanduser())
    file = getattr(images.images, "filename", None)
    where = f" in {Path(file).parent}: delete this folder and load the set again" if file else ""
    if fingerprint(images.images) != images.fingerprint:
        raise ValueError(f"the pixels of {images.name} are not those of the fingerprint{where}")
    if file and (Path(file).parent / "about.json").exists():  # labels and names, too
        verify_folder(Path(file).parent)
    return images.fingerprint


def _held(images, image_size: int | None, channels: int | None) -> ImageSet:
    """Pictures that a program holds as an ImageSet of the size and channels asked for."""
    if isinstance(images, (np.ndarray, torch.Tensor)):
        images = from_array(images, image_size=image_size)
    elif not isinstance(images, ImageSet):
        return from_dataset(images, image_size, channels)
    for what, wanted in (("image_size", image_size), ("channels", channels)):
        if wanted is not None and getattr(images, what) != wanted:
            raise ValueError(f"{images!r}: {what} {wanted} asked for: give pictures of that kind")
    return images


def _find(name_or_path, image_size, channels, split, root, download) -> ImageSet:
    text = str(name_or_path)
    if not text or "\0" in text:
        raise ValueError(f"expected a data set's name or a path, got {text!r}")
    if not isinstance(split, str):
        raise ValueError(f"expected a split's name, got {split!r}")
    try:
        path = Path(name_or_path).expanduser()
    except RuntimeError as error:  # ~nobody
        raise ValueError(f"{text!r}: {error}") from error
    a_path = isinstance(name_or_path, Path) or path.suffix.lower() in (".npz", ".zip") or os.sep in text
    if a_path or (name_or_path not in CARDS and _is_folder(path)):
        source = _own(path, split)
        return _assemble(source, source.name, split, image_size or 64, channels or source.channels)
    name = choose(text, CARDS, "data set", " (no folder of that name is here either)")
    if _is_folder(path) and path.resolve().parent != data_root().resolve():
        warnings.warn(
            f"{text!r} is taken for the set of that name, not for the folder, which is ./{text}", stacklevel=3
        )
    card = CARDS[name]
    choose(split, card.splits, f"split of {name}")
    root = Path(root).expanduser() if root else data_root()
    source = _named(name, card, split, root, download, image_size or card.image_size)
    return _assemble(source, name, split, image_size or card.image_size, channels or card.channels)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long to be one
        return False


def _own(path: Path, split: str) -> Source:
    if not path.exists():
        raise FileNotFoundError(f"no folder, .zip or .npz at {printable(str(path))}")
    if not path.is_dir() and not path.is_file():
        raise ValueError(f"expected a folder, a .zip or an .npz, got a device or a pipe: {path}")
    if path.is_file() and path.suffix.lower() == ".npz":
        return sources.npz(path, split)
    if split != "train":
        raise ValueError(f"a folder or a zip has one split, 'train', got {split!r}")
    if path.is_dir():
        return sources.folder(path)
    if path.suffix.lower() == ".zip":
        return sources.archive(path)
    raise ValueError(f"expected a folder, a .zip or an .npz, got {printable(str(path))}")


def _named(name: str, card: Card, split: str, root: Path, download: bool, image_size: int) -> Source:
    """The first way that leads to the set: prepared .npz, unpacked tree, torchvision, hub. Else NotAvailable."""
    if name == "digits":
        return sources.digits()
    tried = []
    stems = list(dict.fromkeys((name, f"{name}{image_size}", f"{name}{card.image_size}")))  # tinyimagenet32, too
    for stem in stems:
        if (root / f"{stem}.npz").exists():
            try:
                return sources.npz(root / f"{stem}.npz", split, name)
            except sources.NotHere as error:  # it lacks the split; a damaged file is an error
                tried.append(str(error))
    tried = tried or [f"{root / stems[0]}.npz does not exist"]
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
            with one_at_a_time(f"{root.resolve()} {name}"):  # of several processes one downloads
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


def _assemble(source: Source, name: str, split: str, image_size: int, channels: int) -> ImageSet:
    images, extras, notes = cached(source, image_size, channels)
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
        files=None if notes["files"] is None else tuple(notes["files"]),
        **named,
    )
