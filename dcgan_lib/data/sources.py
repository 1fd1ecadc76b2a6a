"""Where pictures come from: a reader's own folder, zip or .npz, torchvision's classes, the Hugging Face hub.

Each function returns a `Source` whose key names the content and whose `read` does the slow part only when needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from .cache import Contents, Source, encoded, files_key
from .cards import Card

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
IMAGE_KEYS = ("images", "x", "arr_0")  # what a reader's own .npz may call its pictures


class NotHere(Exception):
    """This way of getting a set does not lead to it; the message says why."""


def digits() -> Source:
    """scikit-learn's 1,797 digits of 8x8 with values 0 … 16: real, and there without a download."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images * (255 / 16)).round().astype(np.uint8)
    key = hashlib.sha256(images.tobytes()).hexdigest()
    contents = Contents(images, extras={"labels": bunch.target}, notes={"class_names": list("0123456789")})
    return Source("digits", key, lambda: contents)


def folder(path: Path, name: str | None = None) -> Source:
    """A folder of pictures; class subfolders, where there are any, become labels in alphabetical order."""
    runs = [p.parent for p in path.rglob("run.json")]  # a run's own samples are no data
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    files = [p for p in files if not any(p.is_relative_to(run) for run in runs)]
    names = [p.relative_to(path).as_posix() for p in files]
    _some(names, path)
    key = files_key(files, path)
    return Source(name or path.name or "folder", key, lambda: _listed(files, names), _channels(files))


def archive(path: Path, name: str | None = None) -> Source:
    """A .zip of pictures, read without unpacking. Its table of checksums names the content."""
    with _zip(path) as z:
        rows = sorted((i.filename, i.CRC, i.file_size) for i in z.infolist() if not i.is_dir())
    names = [n for n, _, _ in rows if Path(n).suffix.lower() in SUFFIXES and "__MACOSX" not in n]
    _some(names, path)
    key = hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    members = _Members(path, names)
    return Source(name or path.stem, key, lambda: _listed(members, names), _channels(members))


class _Members:
    """The members of a zip as a sequence of bytes; a handle a thread, since a handle serves one at a time."""

    def __init__(self, path: Path, names: list[str]):
        self.path, self.names, self.own = path, names, threading.local()

    def __len__(self):
        return len(self.names)

    def __getitem__(self, i: int) -> bytes:
        if not hasattr(self.own, "file"):
            self.own.file = zipfile.ZipFile(self.path)
        return self.own.file.read(self.names[i])


def _channels(pictures) -> int:
    """1 when all pictures are grey in their files, else 3; only headers are read, up to the first colour."""
    seen = False
    for i in range(len(pictures)):
        with contextlib.suppress(Exception), Image.open(encoded(pictures[i])) as picture:  # damaged ones come later
            if picture.mode not in ("1", "L", "LA", "I;16"):
                return 3
            seen = True
    return 1 if seen else 3


def _zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not a whole zip file ({error}): download or copy it again") from error


def _some(names: list[str], path: Path) -> None:
    if not names:
        raise ValueError(f"no pictures in {path}: expected {', '.join(sorted(SUFFIXES))}, at any depth")


def _listed(pictures, names: list[str]) -> Contents:
    """Labels from the names' folders, where every picture lies in one of several."""
    parts = [n.split("/")[:-1] for n in names]
    while all(parts) and len({p[0] for p in parts}) == 1:  # a common outer folder tells nothing
        parts = [p[1:] for p in parts]
    if not all(parts):
        return Contents(pictures, names)
    classes = sorted({p[0] for p in parts})
    labels = np.array([classes.index(p[0]) for p in parts])
    return Contents(pictures, names, {"labels": labels}, {"class_names": classes})


def npz(path: Path, split: str, name: str | None = None) -> Source:
    """Arrays: x_train, y_train, x_test, y_test; or images with labels, attributes, attribute_names, class_names.

    Pictures are uint8 (N, H, W) or (N, H, W, C) with 1 or 3 channels. A file without splits is all 'train'.
    Raises ValueError that lists what the file holds.
    """
    with _zip(path) as z:
        key = hashlib.sha256(json.dumps(sorted((i.filename, i.CRC, i.file_size) for i in z.infolist())).encode())
        keys = [Path(n).stem for n in z.namelist()]
    images = next((k for k in (f"x_{split}", *(IMAGE_KEYS if split == "train" else ())) if k in keys), None)
    if images is None:
        raise ValueError(f"{path} has no {split!r} pictures: expected x_{split} or images, found {', '.join(keys)}")
    shape = _shape(path, images)

    def read() -> Contents:
        own = {f"y_{split}": "labels"} if images == f"x_{split}" else {"labels": "labels", "y": "labels"}
        rows = [k for k in keys if k in own or not (k == images or k.startswith(("x_", "y_")))]
        try:
            with np.load(path, allow_pickle=False) as arrays:  # each access reads and checks an array anew
                x, held = arrays[images], {k: arrays[k] for k in rows}
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise ValueError(f"{path} is damaged ({error}): download or copy it again") from error
        if x.dtype != np.uint8 or x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[-1] not in (1, 3)):
            raise ValueError(
                f"{path}: expected {images} as uint8 (N, H, W) or (N, H, W, 1 or 3), got {x.dtype} {x.shape}"
            )
        notes = {k: held.pop(k).tolist() for k in ("class_names", "attribute_names") if k in held}
        extras = {own.get(k, k): v for k, v in held.items() if v.ndim and len(v) == len(x)}
        return Contents(x, extras=extras, notes=notes)

    key.update(split.encode())
    return Source(name or path.stem, key.hexdigest(), read, 3 if shape[3:] == (3,) else 1)


def _shape(path: Path, name: str) -> tuple[int, ...]:
    """An array's shape from its header alone."""
    with zipfile.ZipFile(path) as z, z.open(f"{name}.npy") as f:
        major, _ = np.lib.format.read_magic(f)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        return read(f)[0]


def torchvision_set(name: str, card: Card, split: str, root: Path, download: bool) -> Source:
    """torchvision's own class for the set, in the layout that it downloads to. Raises NotHere with the reason.

    Files that are not the official ones to the byte are read all the same, with a warning.
    """
    from torchvision import datasets

    cls, place = getattr(datasets, card.torchvision), root
    if card.torchvision in ("MNIST", "FashionMNIST"):
        where, kwargs = root / card.torchvision, {"train": split == "train"}
    elif card.torchvision in ("CIFAR10", "CIFAR100"):
        where, kwargs = root / cls.base_folder, {"train": split == "train"}
    elif card.torchvision == "SVHN":
        place = root / "svhn"
        where, kwargs = place / f"{split}_32x32.mat", {"split": split}
    elif card.torchvision == "STL10":
        where, kwargs = root / cls.base_folder, {"split": split}

    def open_set(kind=cls, **more):
        try:
            return kind(str(place), **kwargs, **more)
        except Exception as error:  # torchvision, urllib and the file readers each raise their own kinds
            raise NotHere(f"torchvision: {type(error).__name__}: {error}") from error

    def fetch():
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotHere(f"{place} cannot be made: {error}") from error
        return open_set(download=True)

    if not any(p.is_file() for p in where.rglob("*")) and not where.is_file():
        if not download:
            raise NotHere(f"{where} does not exist")
        fetch()

    def read() -> Contents:
        kinds = [cls]
        if hasattr(cls, "_check_integrity"):
            # Another selection of the pictures in the official format: torchvision compares checksums, we go on.
            names = {"_check_integrity": lambda self: True}
            if hasattr(cls, "meta"):
                names["meta"] = {**cls.meta, "md5": None}
            kinds.append(type(cls.__name__, (cls,), names))
        reasons = []
        for kind in kinds:
            try:
                contents = _torchvision_contents(open_set(kind))
            except NotHere as error:
                reasons.append(str(error))
                continue
            if kind is not cls:
                warnings.warn(f"{where} does not hold the official files to the byte; read as they are", stacklevel=2)
            return contents
        if download:  # an earlier download was cut, perhaps
            try:
                return _torchvision_contents(fetch())
            except NotHere as error:
                reasons.append(str(error))
        raise ValueError(f"{where} is incomplete or damaged: delete it and load again. {'; '.join(reasons)}")

    files = [where] if where.is_file() else [p for p in where.rglob("*") if p.is_file()]
    key = hashlib.sha256(f"{files_key(files, where.parent)} {split}".encode()).hexdigest()
    return Source(name, key, read)


def lsun_lmdb(name: str, split: str, root: Path) -> Source:
    """LSUN's own database of encoded pictures, <room>_<split>_lmdb in lsun/ or in the root itself (extra 'lsun')."""
    folder_ = f"{name.removeprefix('lsun_')}_{split}_lmdb"
    where = next((p for p in (root / "lsun" / folder_, root / folder_) if p.exists()), root / "lsun" / folder_)
    if not where.exists():
        raise NotHere(f"{where} does not exist")
    try:
        import lmdb
    except ImportError as error:
        raise NotHere("LSUN's databases need the extra: pip install 'dcgan_lib[lsun]'") from error

    def read() -> Contents:
        database = lmdb.open(str(where), readonly=True, lock=False, readahead=False)
        with database.begin() as transaction:
            keys = list(transaction.cursor().iternext(keys=True, values=False))
        return Contents(_Database(database, keys), [k.decode() for k in keys])

    files = [p for p in where.iterdir() if p.is_file() and p.name != "lock.mdb"]
    return Source(name, files_key(files, where.parent), read)


class _Database:
    """The encoded pictures of an lmdb as a sequence."""

    def __init__(self, database, keys: list[bytes]):
        self.database, self.keys = database, keys

    def __len__(self):
        return len(self.keys)

    def __getitem__(self, i: int) -> bytes:
        with self.database.begin() as transaction:
            return transaction.get(self.keys[i])


def _torchvision_contents(dataset) -> Contents:
    labels = next((getattr(dataset, k) for k in ("targets", "labels") if hasattr(dataset, k)), None)
    extras = {} if labels is None else {"labels": np.asarray(labels)}
    kind = type(dataset).__name__
    data = np.asarray(dataset.data)
    if kind in ("SVHN", "STL10"):
        data = data.transpose(0, 2, 3, 1)  # (N, C, H, W) → (N, H, W, C)
    names = list(dataset.classes) if hasattr(dataset, "classes") else None
    return Contents(data, extras=extras, notes={"class_names": names} if names else {})


def celeba_tree(root: Path, split: str, download: bool) -> Source:
    """CelebA as published: celeba/img_align_celeba and list_attr_celeba.txt; torchvision downloads it where it can.

    The official parts come from list_eval_partition.txt; without that file all pictures are 'train'.
    """
    folder_ = root / "celeba"
    images, table = folder_ / "img_align_celeba", folder_ / "list_attr_celeba.txt"
    if not (images.is_dir() and table.is_file()) and download:
        from torchvision import datasets

        try:
            folder_.mkdir(parents=True, exist_ok=True)
            datasets.CelebA(str(root), split, download=True)
        except Exception as error:  # gdown, urllib, zipfile and torchvision each raise their own kinds
            raise NotHere(f"torchvision: {type(error).__name__}: {error}") from error
    if not (images.is_dir() and table.is_file()):
        raise NotHere(f"{images} with {table.name} beside it does not exist")
    lines = table.read_text().splitlines()
    names = lines[1].split()
    rows = {r[0]: r[1:] for r in (line.split() for line in lines[2:]) if len(r) == len(names) + 1}
    part = folder_ / "list_eval_partition.txt"
    if part.is_file():
        code = {"train": "0", "valid": "1", "test": "2"}[split]
        chosen = {line.split()[0] for line in part.read_text().splitlines() if line.split()[1:] == [code]}
    elif split == "train":
        chosen = set(rows)
    else:
        raise NotHere(f"{part} does not exist: without it there is no {split!r} part")
    files = sorted(p for p in images.glob("*.jpg") if p.name in chosen and p.name in rows)
    if not files:
        raise NotHere(f"{images} holds none of the pictures that {table.name} lists for {split!r}")
    listed = [f.name for f in files]
    attributes = np.array([[int(v) > 0 for v in rows[n]] for n in listed], np.uint8)
    contents = Contents(files, listed, {"attributes": attributes}, {"attribute_names": names})
    key = hashlib.sha256(files_key([*files, table], folder_).encode() + attributes.tobytes()).hexdigest()
    return Source("celeba", key, lambda: contents)


def tinyimagenet_tree(root: Path, split: str) -> Source:
    """The unpacked tiny-imagenet-200 as published: train/<wnid>/images, val/images with val_annotations.txt."""
    wnids = sorted((root / "wnids.txt").read_text().split())
    words = dict(line.split("\t", 1) for line in (root / "words.txt").read_text().splitlines() if "\t" in line)
    if split == "train":
        files = sorted((root / "train").glob("*/images/*.JPEG"))
        labels = [wnids.index(f.parts[-3]) for f in files]
    else:
        lines = (root / "val" / "val_annotations.txt").read_text().splitlines()
        of = dict(line.split("\t")[:2] for line in lines)
        files = sorted((root / "val" / "images").glob("*.JPEG"))
        labels = [wnids.index(of[f.name]) for f in files]
    names = [f.relative_to(root).as_posix() for f in files]
    _some(names, root)
    notes = {"class_names": [words.get(w, w) for w in wnids]}
    return Source(
        "tinyimagenet",
        files_key(files, root),
        lambda: Contents(files, names, {"labels": np.array(labels)}, notes),
    )


def hub(name: str, card: Card, split: str) -> Source:
    """The set from the Hugging Face hub, by the `datasets` library (extra 'hub'). Raises NotHere with the reason."""
    about = card.hub
    if split not in about.splits:
        raise NotHere(f"{about.repository} has no split {split!r}: {', '.join(about.splits)}")
    try:
        import datasets
    except ImportError as error:
        raise NotHere("the Hugging Face hub needs the extra: pip install 'dcgan_lib[hub]'") from error
    try:
        rows = datasets.load_dataset(about.repository, about.config, split=about.splits[split])
    except Exception as error:  # requests, huggingface_hub and datasets each raise their own kinds
        raise NotHere(f"Hugging Face {about.repository}: {type(error).__name__}: {error}") from error

    def read() -> Contents:
        extras, notes = {}, {}
        if about.label:
            extras["labels"] = np.asarray(rows[about.label])
            feature = rows.features[about.label]
            notes = {"class_names": feature.names} if hasattr(feature, "names") else {}
        if about.attributes:
            names = [n for n, f in rows.features.items() if getattr(f, "dtype", "") == "bool"]
            extras["attributes"] = np.stack([np.asarray(rows[n]) for n in names], 1).astype(np.uint8)
            notes["attribute_names"] = names
        undecoded = rows.cast_column(about.image, datasets.Image(decode=False)).select_columns([about.image])
        return Contents(_Encoded(undecoded, about.image), extras=extras, notes=notes)

    files = sorted({Path(f["filename"]) for f in rows.cache_files})
    key = files_key(files, Path(os.path.commonpath([f.parent for f in files]))) if files else rows._fingerprint
    return Source(name, hashlib.sha256(f"{key} {split}".encode()).hexdigest(), read)


class _Encoded:
    """Encoded bytes of a hub set's image column, so that one damaged picture is one damaged picture."""

    def __init__(self, rows, column: str):
        self.rows, self.column = rows, column

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i: int) -> bytes | Path:
        cell = self.rows[int(i)][self.column]
        return cell["bytes"] if cell["bytes"] is not None else Path(cell["path"])
