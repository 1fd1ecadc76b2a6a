"""CIFAR's pickles, read without running what they hold.

pickle may call anything that a file names. These files need dicts, lists, strings, numbers and arrays of bytes: the
names of numpy's functions lead to the small stand-ins below, every other name ends the reading.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from .cache import Contents, ReadFault
from .decoding import printable
from .npz import check_labels


class _Kind:
    """A dtype as the file describes it."""

    def __init__(self, name, *_):
        self.name = name

    def __setstate__(self, state):
        pass


class _Array:
    """An array of bytes as the file describes it: shape, kind, order, bytes."""

    def __init__(self, *_):
        self.values = None

    def __setstate__(self, state):
        _, shape, kind, fortran, raw = state
        self.values = _bytes(raw, kind, shape, "F" if fortran else "C")


def _bytes(raw, kind, shape, order="C", *_):
    if not isinstance(kind, _Kind) or kind.name not in ("u1", "uint8", b"u1"):
        raise pickle.UnpicklingError("an array of something else than bytes")
    raw = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)  # Python 2 wrote strings
    return np.frombuffer(raw, np.uint8).reshape(shape, order=order)


def _encode(text, encoding):
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in {encoding!r}")
    return text.encode("latin1")


_KNOWN = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _encode,  # how protocols 0 to 2 write bytes
}
for _core in ("numpy.core", "numpy._core"):  # before and since numpy 2
    _KNOWN |= {(f"{_core}.multiarray", "_reconstruct"): _Array, (f"{_core}.numeric", "_frombuffer"): _bytes}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not run")
        return _KNOWN[module, name]


def unpickle(path: Path) -> dict:
    """The file's dict with strings as keys and numpy arrays as uint8. Raises ValueError that names the file."""
    try:
        with path.open("rb") as f:
            held = _Unpickler(f, encoding="latin1").load()
    except OSError as error:
        raise ReadFault(f"{path} could not be read ({error.strerror})") from error
    except MemoryError as error:
        raise ValueError(f"{path} says that it needs more memory than there is: it is damaged") from error
    except Exception as error:  # a damaged pickle may raise any kind
        raise ValueError(f"{path} cannot be read: {printable(str(error))}") from error
    if not isinstance(held, dict):
        raise ValueError(f"{path}: expected a dict, got {type(held).__name__}")
    return {k: v.values if isinstance(v, _Array) else v for k, v in held.items()}


def contents(files: list[Path], meta: Path, names_key: str) -> Contents:
    """Pictures (N, 32, 32, 3) and labels of the batches, class names of `meta`. Raises ValueError naming the file."""
    pictures, labels = [], []
    names = unpickle(meta).get(names_key)
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError(f"{meta}: expected a list of strings as {names_key!r}")
    for path in files:
        batch = unpickle(path)
        rows, marks = batch.get("data"), batch.get("labels", batch.get("fine_labels"))
        if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != 3072:
            raise ValueError(
                f"{path}: expected data as uint8 (N, 3072), got {getattr(rows, 'shape', type(rows).__name__)}"
            )
        if not isinstance(marks, list) or not all(type(m) is int for m in marks) or len(marks) != len(rows):
            raise ValueError(f"{path}: expected a list of {len(rows):,} whole numbers as labels")
        pictures.append(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))  # planes red, green, blue in a row
        labels += marks
    y = np.array(labels, np.int64)
    if not len(y):
        raise ValueError(f"{files[0].parent} holds no pictures")
    names = list(map(printable, names))
    check_labels(y, names, str(files[0].parent))
    return Contents(np.concatenate(pictures), extras={"labels": y}, notes={"class_names": names})
