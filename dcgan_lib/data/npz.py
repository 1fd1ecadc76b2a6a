"""A .npz of pictures: its headers are judged before a byte is unpacked, its arrays before one is used."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .cache import Contents, Source, guard
from .decoding import printable

IMAGE_KEYS = ("images", "x", "arr_0")  # what a reader's own .npz may call its pictures
UNLABELLED = 255  # the label of pictures without one, where class_names name the others
# A member that is larger than this and shrinks more than this is a bomb: pictures do not shrink a hundredfold.
BOMB_BYTES, BOMB_RATIO = 2**28, 200


class NotHere(ValueError):
    """This way of getting a set does not lead to it; the message says why."""


@dataclass(frozen=True)
class Header:
    shape: tuple[int, ...]
    dtype: np.dtype


def open_zip(path: Path) -> zipfile.ZipFile:
    """The zip with its table read. Raises ValueError when it is cut, damaged or encrypted."""
    try:
        opened = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a whole zip file ({error}): download or copy it again") from error
    if any(i.flag_bits & 1 for i in opened.infolist()):
        opened.close()
        raise ValueError(f"{path} is encrypted: unpack it and load the folder")
    return opened


def bomb(info: zipfile.ZipInfo) -> str | None:
    """What is wrong with a member that would unpack to an absurd size, else None."""
    if info.file_size > BOMB_BYTES and info.file_size > BOMB_RATIO * info.compress_size:
        return f"{info.compress_size:,} bytes would unpack to {info.file_size:,}"
    return None


def npz(path: Path, split: str, name: str | None = None) -> Source:
    """Arrays: x_train, y_train, x_test, y_test; or images with labels, attributes, attribute_names, class_names.

    Pictures are uint8 (N, H, W) or (N, H, W, C) with 1 or 3 channels, labels whole numbers (N,) from 0 (255: none,
    where class_names name the classes), attributes (N, A) of 0 and 1, the names strings. Other arrays (N, …) become
    extras. A file without splits is all 'train'. Raises NotHere, a ValueError, where the file lacks the split, and
    ValueError that names file and key for anything else.
    """
    unchanged = guard([path])
    with open_zip(path) as z:
        x_key, infos = _pictures_in(z, path, split)
        key = hashlib.sha256(json.dumps(sorted((i.filename, i.CRC, i.file_size) for i in z.infolist())).encode())
        key.update(split.encode())
        wanted = [k for k in infos if k == x_key or k in (f"y_{split}", "y") or not k.startswith(("x_", "y_"))]
        headers = {k: _header(z, infos[k], f"{path}: {printable(k)}") for k in wanted}
    y_key, rows = _plan(path, x_key, split, headers)

    def read() -> Contents:
        held = {}
        with np.load(path, allow_pickle=False) as arrays:
            for k in rows:
                try:
                    held[k] = arrays[k]
                except Exception as error:  # zipfile, zlib and numpy each raise their own kinds for damage
                    if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
                        raise
                    raise ValueError(f"{path} is damaged: {k} ({error}): download or copy it again") from error
        x = held.pop(x_key)
        notes = {k: list(map(printable, held.pop(k).tolist())) for k in ("class_names", "attribute_names") if k in held}
        extras = {"labels" if k == y_key else k: v for k, v in held.items()}
        _check_values(path, y_key, extras, notes)
        return Contents(x, extras=extras, notes=notes)

    channels = 3 if headers[x_key].shape[3:] == (3,) else 1
    return Source(name or printable(path.stem), key.hexdigest(), read, channels, unchanged)


def shape_of(path: Path, split: str = "train") -> tuple[int, ...]:
    """(N, H, W) or (N, H, W, C) of the pictures in an .npz, of which nothing but a header is read. Errors as `npz`."""
    with open_zip(path) as z:
        key, infos = _pictures_in(z, path, split)
        return _header(z, infos[key], f"{path}: {printable(key)}").shape


def _pictures_in(z: zipfile.ZipFile, path: Path, split: str) -> tuple[str, dict[str, zipfile.ZipInfo]]:
    """The key of a split's pictures, and every key with its member. Raises NotHere where the file lacks the split."""
    infos = {i.filename.removesuffix(".npy"): i for i in z.infolist()}
    x_key = next((k for k in (f"x_{split}", *(IMAGE_KEYS if split == "train" else ())) if k in infos), None)
    if x_key is None:
        found = ", ".join(map(printable, infos)) or "nothing"
        raise NotHere(f"{path} has no {split!r} pictures: expected x_{split} or images, found {found}")
    return x_key, infos


def _header(z: zipfile.ZipFile, info: zipfile.ZipInfo, what: str) -> Header:
    """An array's shape and type. Raises ValueError unless the member holds an array of just that many bytes."""
    if problem := bomb(info):
        raise ValueError(f"{what}: {problem}: not unpacked")
    try:
        with z.open(info) as f:
            major, _ = np.lib.format.read_magic(f)
            read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(f)
            start = f.tell()
    except Exception as error:  # the header is parsed as Python: anything may come of a damaged one
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            raise
        raise ValueError(f"{what} is no whole numpy array ({printable(str(error))})") from error
    if dtype.hasobject:
        raise ValueError(f"{what} holds Python objects: they are not read, save it as numbers or strings")
    if min(shape, default=0) < 0 or start + math.prod(shape) * dtype.itemsize != info.file_size:
        raise ValueError(f"{what} says that it is {dtype} {shape} but holds {info.file_size - start:,} bytes")
    return Header(shape, dtype)


def _plan(path: Path, x_key: str, split: str, headers: dict[str, Header]) -> tuple[str | None, list[str]]:
    """Which key has the labels and which keys are read. Raises ValueError where shapes do not fit."""
    x = headers[x_key]
    if x.dtype != np.uint8 or len(x.shape) not in (3, 4) or x.shape[3:] not in ((), (1,), (3,)):
        raise ValueError(f"{path}: expected {x_key} as uint8 (N, H, W) or (N, H, W, 1 or 3), got {x.dtype} {x.shape}")
    if 0 in x.shape:
        raise ValueError(f"{path}: {x_key} {x.shape} holds no pictures")
    n = x.shape[0]
    y_key = next((k for k in ([f"y_{split}"] if x_key == f"x_{split}" else []) + ["labels", "y"] if k in headers), None)
    rows = [x_key]
    for k, header in headers.items():
        what, got = f"{path}: {printable(k)}", f"got {header.dtype} {header.shape}"
        if k == y_key:
            if header.dtype.kind not in "iu" or header.shape != (n,):
                raise ValueError(f"{what}: expected a whole number for each of the {n:,} pictures of {x_key}, {got}")
        elif k in ("class_names", "attribute_names"):
            if header.dtype.kind != "U" or len(header.shape) != 1:
                raise ValueError(f"{what}: expected strings (A,), {got}")
        elif k == "attributes":
            if header.dtype.kind not in "iub" or len(header.shape) != 2 or header.shape[0] != n:
                raise ValueError(f"{what}: expected 0 or 1 as ({n:,}, A), a row for each picture of {x_key}, {got}")
        elif k == x_key or k in ("labels", "y") or header.shape[:1] != (n,):
            continue  # something else's: another name for the labels, an array that is not one row a picture
        rows.append(k)
    if "attribute_names" in headers and "attributes" in headers:
        names, columns = headers["attribute_names"].shape[0], headers["attributes"].shape[1]
        if names != columns:
            raise ValueError(f"{path}: attribute_names has {names} names for {columns} columns of attributes")
    return y_key, rows


def _check_values(path: Path, y_key: str | None, extras: dict[str, np.ndarray], notes: dict) -> None:
    if y_key:
        check_labels(extras["labels"], notes.get("class_names"), f"{path}: {y_key}")
    if "attributes" in extras and not np.isin(extras["attributes"], (0, 1)).all():
        raise ValueError(f"{path}: attributes: expected 0 or 1, found others")


def check_labels(labels: np.ndarray, class_names: list[str] | None, what: str) -> None:
    """Raise ValueError unless labels are from 0 and, with class names, below their number (or UNLABELLED)."""
    if labels.min() < 0:
        raise ValueError(f"{what}: expected labels from 0, found {labels.min()}")
    named = labels if class_names is None else labels[labels != UNLABELLED]
    if class_names is not None and len(named) and named.max() >= len(class_names):
        raise ValueError(f"{what}: label {named.max()} has no name: class_names has {len(class_names)}")
    if len(named) and named.max() >= 2**31:
        raise ValueError(f"{what}: label {named.max()} is absurd: expected classes counted from 0")
