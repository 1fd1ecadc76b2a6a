"""Where pictures come from: a reader's own folder, zip or .npz, torchvision's classes, the Hugging Face hub.

Each function returns a `Source` whose key names the content and whose `read` does the slow part only when needed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import threading
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from . import cifar
from .cache import Contents, ReadFault, Source, files_key, guard, remembered
from .cards import Card
from .decoding import FORMATS, GREY_MODES, NOT_READ, machine_fault, open_picture, printable
from .npz import NotHere, bomb, npz, open_zip  # noqa: F401

EXPECTED = ", ".join(sorted(FORMATS))
SAMPLES = re.compile(r"step_\d{7,}\.png")  # what a run writes into its samples/
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}  # folders that are parts, not classes


def digits() -> Source:
    """scikit-learn's 1,797 digits of 8x8 with values 0 … 16: real, and there without a download."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images * (255 / 16)).round().astype(np.uint8)
    key = hashlib.sha256(images.tobytes()).hexdigest()
    contents = Contents(images, extras={"labels": bunch.target}, notes={"class_names": list("0123456789")})
    return Source("digits", key, lambda: contents)


def folder(path: Path, name: str | None = None) -> Source:
    """A folder of pictures; class subfolders, where there are any, become labels in alphabetical order.

    Hidden files and folders are no pictures, nor are a run's own (samples/step_….png and sheet.png beside a run.json).
    Folders that are links are not followed. What is left out otherwise is counted in the source's notices.
    """
    files, left_out, others, notices = _walk(path)
    names = [p.relative_to(path).as_posix() for p in files]
    _some(names, path, left_out + others, notices)
    notices = [*_left_out(path, left_out), *notices, *_splits(names, path), *_beside(names, path)]
    tree = _tree(files, path)
    number = {p: i for i, p in enumerate(files)}
    readable = [number[p] for p in tree.files]
    return Source(
        name or printable(path.resolve().name) or "folder",
        tree.key,
        lambda: _listed(tree.files, names, readable),
        _channels(tree.files, tree.key),
        tree.unchanged,
        tree.denied,
        notices,
    )


def _walk(path: Path) -> tuple[list[Path], Counter, Counter, list[str]]:
    """The pictures below a folder, sorted; counts of those left out and of other files by suffix; and notices."""
    files, left_out, others, closed, links, runs = [], Counter(), Counter(), [], [], set()

    def failed(error: OSError) -> None:
        if not isinstance(error, PermissionError):  # the folder went away while it was read
            raise ReadFault(f"{printable(str(error.filename))} could not be read ({error.strerror}): load again")
        closed.append(Path(error.filename))

    for here, folders, found in os.walk(path, onerror=failed):
        here, own = Path(here), "run.json" in found
        runs |= {here / "samples"} if own else set()
        folders[:] = [f for f in folders if not f.startswith(".")]
        links += [here / f for f in folders if (here / f).is_symlink()]
        for name in found:
            suffix = Path(name).suffix.lower()
            if name.startswith(".") or (own and name == "sheet.png") or (here in runs and SAMPLES.fullmatch(name)):
                continue
            if suffix in NOT_READ:
                left_out[suffix] += 1
            elif suffix in FORMATS:
                if (here / name).is_file():
                    files.append(here / name)
                else:
                    left_out["a link to nothing or no file"] += 1
            else:
                others[suffix or "no suffix"] += 1
    if path in closed:
        raise ReadFault(f"no permission to read the folder {printable(str(path))}")
    notices = []
    for places, why in ((links, "folders are links, which are not followed"), (closed, "folders may not be read")):
        if places:
            some = ", ".join(printable(p.relative_to(path).as_posix()) for p in sorted(places)[:5])
            more = " …" if len(places) > 5 else ""
            notices.append(f"{printable(str(path))}: {len(places)} {why}, their pictures are left out: {some}{more}")
    return sorted(files), left_out, others, notices


def _left_out(path: Path, kinds: Counter) -> list[str]:
    """A notice of what was left out, where something was."""
    return [f"{printable(str(path))}: left out {_counted(kinds)}: expected {EXPECTED}"] if kinds else []


def _counted(kinds: Counter) -> str:
    named = sorted(kinds.most_common(12))
    return ", ".join(f"{n} ({printable(kind)})" for kind, n in named) + " …" * (len(kinds) > 12)


def archive(path: Path) -> Source:
    """A .zip of pictures, read without unpacking. Its table of checksums names the content."""
    unchanged = guard([path])
    with open_zip(path) as z:
        infos = sorted((i for i in z.infolist() if not i.is_dir()), key=lambda i: (i.filename, i.CRC, i.file_size))
    key = hashlib.sha256(json.dumps([(i.filename, i.CRC, i.file_size) for i in infos]).encode()).hexdigest()
    shown = [i for i in infos if not any(map(_hidden, PurePosixPath(i.filename).parts))]
    chosen = [i for i in shown if Path(i.filename).suffix.lower() in FORMATS]
    suffixes = Counter(Path(i.filename).suffix.lower() for i in shown)
    left_out = Counter({s: n for s, n in suffixes.items() if s in NOT_READ})
    names = [i.filename for i in chosen]
    _some(names, path, Counter({s or "no suffix": n for s, n in suffixes.items()}))
    notices = [*_left_out(path, left_out), *_splits(names, path), *_beside(names, path)]
    members = _Members(path, chosen)
    return Source(
        printable(path.stem),
        key,
        lambda: _listed(members, names),
        _channels(members, key),
        unchanged,
        notices=notices,
    )


def _hidden(part: str) -> bool:
    return part.startswith((".", "__MACOSX")) and part != ".."


class _Members:
    """The members of a zip as a sequence of bytes; a handle a thread, since a handle serves one at a time."""

    def __init__(self, path: Path, infos: list[zipfile.ZipInfo]):
        self.path, self.infos, self.own = path, infos, threading.local()

    def __len__(self):
        return len(self.infos)

    def __getitem__(self, i: int) -> bytes:
        if problem := bomb(self.infos[i]):
            raise ValueError(problem)
        if not hasattr(self.own, "file"):
            self.own.file = zipfile.ZipFile(self.path)
        return self.own.file.read(self.infos[i])


def _channels(pictures, key: str) -> int:
    """1 when all pictures are grey in their files, else 3: read up to the first colour, once for a `key` of content."""
    return int(remembered("channels", key, lambda: str(_channels_read(pictures)), "[13]"))


def _channels_read(pictures) -> int:
    seen = False
    for i in range(len(pictures)):
        try:
            with open_picture(pictures[i]) as picture:
                if picture.mode not in GREY_MODES:
                    return 3
                seen = True
        except Exception as error:  # damaged ones are named later
            if machine_fault(error):
                raise ReadFault(f"picture {i} could not be read ({printable(str(error))}): load again") from error
    return 1 if seen else 3


def _some(names: list[str], path: Path, seen: Counter | None = None, notices: list[str] = ()) -> None:
    """Raises ValueError, with what there is instead, where there are no pictures."""
    if not names:
        found = f"; there are {_counted(seen)}" if seen else ""
        found += ": unpack a .zip, or load it by itself" if seen and ".zip" in seen else ""
        more = "".join(f". {n}" for n in notices)
        raise ValueError(f"no pictures in {path}: expected {EXPECTED}, at any depth{found}{more}")


def _folders(names: list[str]) -> list[list[str]]:
    """The folders of each name, outermost first, without those that are common to all: they tell nothing."""
    parts = [n.split("/")[:-1] for n in names]
    while all(parts) and len({p[0] for p in parts}) == 1:
        parts = [p[1:] for p in parts]
    return parts


def _splits(names: list[str], path: Path) -> list[str]:
    """A notice where what would be classes has the names of a set's parts, so that test pictures lie among the rest."""
    parts = _folders(names)
    found = sorted({p[0] for p in parts}) if all(parts) else []
    if not found or {part.lower() for part in found} - SPLITS:
        return []
    first = next((part for part in found if part.lower().startswith("train")), found[-1])
    common = names[0].split("/")[: -len(parts[0]) - 1]  # the folders that all have
    where = path.joinpath(*common, first) if path.is_dir() else PurePosixPath(*common, first)
    return [
        f"{printable(str(path))}: {' and '.join(found)} are taken for classes, and look like parts of a set: "
        f"{'' if path.is_dir() else 'unpack it and '}load one of them by itself, such as {printable(str(where))}"
    ]


def _beside(names: list[str], path: Path) -> list[str]:
    """A notice where a few pictures lie beside several folders of more, which would be classes without them."""
    parts = _folders(names)
    loose = [name for name, part in zip(names, parts, strict=True) if not part]
    found = sorted({p[0] for p in parts if p})
    if len(found) < 2 or not 0 < len(loose) < len(names) / 2:
        return []
    lie = "1 picture lies" if len(loose) == 1 else f"{len(loose):,} pictures lie"
    some = ", ".join(found[:5]) + " …" * (len(found) > 5)
    return [
        f"{printable(str(path))}: {lie} beside the class folders ({printable(some)}), so there are no classes: "
        f"{printable(loose[0])}{' …' if len(loose) > 1 else ''}"
    ]


def _listed(pictures, names: list[str], readable: list[int] | None = None) -> Contents:
    """Labels from the names' folders, where every picture lies in one of several.

    `pictures` are those of the numbers `readable` among `names` (default: all): a class keeps its number when none of
    its pictures can be read.
    """
    readable = range(len(names)) if readable is None else readable
    listed = [names[i] for i in readable]
    parts = _folders(names)
    if not all(parts):
        return Contents(pictures, listed)
    classes = sorted({p[0] for p in parts})
    number = {c: k for k, c in enumerate(classes)}
    labels = np.array([number[parts[i][0]] for i in readable])
    return Contents(pictures, listed, {"labels": labels}, {"class_names": list(map(printable, classes))})


def torchvision_set(name: str, card: Card, split: str, root: Path, download: bool) -> Source:
    """torchvision's own class for the set, in the layout that it downloads to. Raises NotHere with the reason.

    Files that are not the official ones to the byte are read all the same, with a warning. CIFAR's pickles are read by
    `cifar`, which runs nothing.
    """
    from torchvision import datasets
    from torchvision.datasets.utils import check_integrity

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

    def read_cifar() -> Contents:
        listed = [*(cls.train_list if split == "train" else cls.test_list), [cls.meta["filename"], cls.meta["md5"]]]
        paths = [where / file for file, _ in listed]
        try:
            contents = cifar.contents(paths[:-1], paths[-1], cls.meta["key"])
        except ValueError as error:
            if not download:
                raise ValueError(f"{where} is incomplete or damaged: delete it and load again. {error}") from error
            try:  # an earlier download was cut, perhaps
                fetch()
            except NotHere as again:
                raise ValueError(
                    f"{where} is incomplete or damaged: delete it and load again. {error}; {again}"
                ) from error
            contents = cifar.contents(paths[:-1], paths[-1], cls.meta["key"])
        if not all(check_integrity(p, md5) for p, (_, md5) in zip(paths, listed, strict=True)):
            warnings.warn(f"{where} does not hold the official files to the byte; read as they are", stacklevel=2)
        return contents

    def read() -> Contents:
        kinds = [cls]
        if hasattr(cls, "_check_integrity"):
            # Another selection of the pictures in the official format: torchvision compares checksums, we go on.
            kinds.append(type(cls.__name__, (cls,), {"_check_integrity": lambda self: True}))
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
    key, unchanged = files_key(files, where.parent)
    key = hashlib.sha256(f"{key} {split}".encode()).hexdigest()
    return Source(name, key, read_cifar if hasattr(cls, "meta") else read, unchanged=unchanged)


def lsun_lmdb(name: str, split: str, root: Path) -> Source:
    """LSUN's own database of encoded pictures, <room>_<split>_lmdb in lsun/ or in the root itself (extra 'lsun').

    A room's held-out pictures are its "val" database; LSUN's "test" has no rooms.
    """
    folder_ = f"{name.removeprefix('lsun_')}_{'val' if split == 'test' else split}_lmdb"
    where = next((p for p in (root / "lsun" / folder_, root / folder_) if p.exists()), root / "lsun" / folder_)
    if not where.exists():
        raise NotHere(f"{where} does not exist")
    try:
        import lmdb
    except ImportError as error:
        raise NotHere("LSUN's databases need the extra: pip install 'dcgan_lib[lsun]'") from error

    def read() -> Contents:
        damaged = f"{where} is damaged or was cut short: copy it again"
        try:
            database = lmdb.open(str(where), readonly=True, lock=False, readahead=False)
            # It is mapped into memory: to touch a page beyond the file's end would kill the process without a word.
            needed = (database.info()["last_pgno"] + 1) * database.stat()["psize"]
            held = (where / "data.mdb").stat().st_size
            if held < needed:
                raise ValueError(f"{damaged} ({held:,} of {needed:,} bytes)")
            with database.begin() as transaction:
                keys = list(transaction.cursor().iternext(keys=True, values=False))
        except lmdb.Error as error:
            raise ValueError(f"{damaged} ({error})") from error
        return Contents(_Database(database, keys, lmdb.Error), [k.decode(errors="backslashreplace") for k in keys])

    files = [p for p in where.iterdir() if p.is_file() and p.name != "lock.mdb"] if where.is_dir() else []
    if not any(p.name == "data.mdb" for p in files):
        raise NotHere(f"{where} holds no data.mdb")
    key, unchanged = files_key(files, where.parent)
    return Source(name, key, read, unchanged=unchanged)


class _Database:
    """The encoded pictures of an lmdb as a sequence."""

    def __init__(self, database, keys: list[bytes], fault: type[Exception]):
        self.database, self.keys, self.fault = database, keys, fault

    def __len__(self):
        return len(self.keys)

    def __getitem__(self, i: int) -> bytes:
        try:
            with self.database.begin() as transaction:
                return transaction.get(self.keys[i])
        except self.fault as error:
            raise ReadFault(errno.EIO, f"the database is damaged or was cut short: {error}") from error


def _torchvision_contents(dataset) -> Contents:
    labels = next((getattr(dataset, k) for k in ("targets", "labels") if hasattr(dataset, k)), None)
    extras = {} if labels is None else {"labels": np.atleast_1d(np.asarray(labels))}
    kind = type(dataset).__name__
    data = np.asarray(dataset.data)
    if kind in ("SVHN", "STL10"):
        data = data.transpose(0, 2, 3, 1)  # (N, C, H, W) → (N, H, W, C)
    if data.dtype != np.uint8 or data.ndim not in (3, 4) or not len(data):
        raise NotHere(f"{kind}: expected pictures as uint8, got {data.dtype} {data.shape}")
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
    lines = table.read_text(errors="backslashreplace").splitlines()
    names = lines[1].split() if len(lines) > 1 else []
    rows = {r[0]: r[1:] for r in (line.split() for line in lines[2:]) if len(r) == len(names) + 1}
    if not rows or not all(v in ("1", "-1", "0") for r in rows.values() for v in r):
        raise ValueError(f"{table}: expected a count, a line of names, then a picture and 1 or -1 for each name a line")
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
    tree = _tree([*files, table], images.parent)
    listed = [f.name for f in tree.files if f != table]
    attributes = np.array([[int(v) > 0 for v in rows[n]] for n in listed], np.uint8)
    contents = Contents(
        [images / n for n in listed],
        listed,
        {"attributes": attributes},
        {"attribute_names": list(map(printable, names))},
    )
    key = hashlib.sha256(tree.key.encode() + attributes.tobytes()).hexdigest()
    notices = _missing(len(chosen & rows.keys()) - len(files), f"pictures that {table.name} lists", images)
    return Source("celeba", key, lambda: contents, unchanged=tree.unchanged, unreadable=tree.denied, notices=notices)


def _missing(n: int, what: str, where: Path) -> list[str]:
    """A notice where a set's own list has more than there is, as after a download that was cut short."""
    return [f"{printable(str(where))} lacks {n:,} of the {what}"] if n > 0 else []


def tinyimagenet_tree(root: Path, split: str) -> Source:
    """The unpacked tiny-imagenet-200 as published: train/<wnid>/images, val/images with val_annotations.txt.

    Raises ValueError for a picture whose class the lists do not have.
    """
    wnids = sorted((root / "wnids.txt").read_text(errors="backslashreplace").split())
    words = root / "words.txt"
    lines = words.read_text(errors="backslashreplace").splitlines() if words.is_file() else []
    named = dict(line.split("\t", 1) for line in lines if "\t" in line)
    if split == "train":
        files = sorted((root / "train").glob("*/images/*.JPEG"))
        of = {f: f.parts[-3] for f in files}
        lacking = {*wnids} - {*of.values()}
        notices = _missing(len(lacking), "classes that wnids.txt lists", root / "train")
    else:
        table = root / "val" / "val_annotations.txt"
        lines = table.read_text(errors="backslashreplace").splitlines() if table.is_file() else []
        listed = dict(line.split("\t")[:2] for line in lines if "\t" in line)
        files = sorted((root / "val" / "images").glob("*.JPEG"))
        of = {f: listed.get(f.name) for f in files}
        lacking = listed.keys() - {f.name for f in files}
        notices = _missing(len(lacking), f"pictures that {table.name} lists", root / "val")
    _some([f.name for f in files], root)
    number = {w: i for i, w in enumerate(wnids)}
    for f in files:
        if of[f] not in number:
            raise ValueError(f"{root}: {f.relative_to(root)} has the class {of[f]!r}, which wnids.txt does not list")
    tree = _tree(files, root)
    names = [f.relative_to(root).as_posix() for f in tree.files]
    labels = np.array([number[of[f]] for f in tree.files])
    key = hashlib.sha256(tree.key.encode() + labels.tobytes()).hexdigest()
    contents = Contents(
        tree.files, names, {"labels": labels}, {"class_names": [printable(named.get(w, w)) for w in wnids]}
    )
    return Source(
        "tinyimagenet", key, lambda: contents, unchanged=tree.unchanged, unreadable=tree.denied, notices=notices
    )


@dataclass(frozen=True)
class _Tree:
    """The files of a tree that can be read, their key, and those that may not be read by name."""

    files: list[Path]
    key: str
    unchanged: Callable[[], None]
    denied: tuple[str, ...]


def _tree(files: list[Path], root: Path) -> _Tree:
    unreadable: list[Path] = []
    key, unchanged = files_key(files, root, unreadable)
    lost = set(unreadable)
    readable = [f for f in files if f not in lost]
    denied = tuple(f"{printable(p.relative_to(root).as_posix())} (no permission to read it)" for p in unreadable)
    if not readable:
        raise ValueError(f"none of the {len(files)} pictures in {root} could be read: {'; '.join(denied[:3])}")
    return _Tree(readable, key, unchanged, denied)


def hub(name: str, card: Card, split: str) -> Source:
    """The set from the Hugging Face hub, by the `datasets` library (extra 'hub'). Raises NotHere with the reason."""
    about = card.hub
    if split not in about.splits:
        raise NotHere(f"{about.repository} has no split {split!r}: {', '.join(about.splits)}")
    try:
        import datasets
    except ImportError as error:
        raise NotHere("the Hugging Face hub needs the extra: pip install 'dcgan_lib[hub]'") from error
    # Before version 4 a repository could bring a script that builds the set: it is never run.
    scripts = {"trust_remote_code": False} if int(datasets.__version__.split(".")[0]) < 4 else {}
    try:
        rows = datasets.load_dataset(about.repository, about.config, split=about.splits[split], **scripts)
    except Exception as error:  # requests, huggingface_hub and datasets each raise their own kinds
        gate = f"; {about.gated}" if about.gated else ""
        raise NotHere(f"Hugging Face {about.repository}: {type(error).__name__}: {error}{gate}") from error

    def read() -> Contents:
        extras, notes = {}, {}
        if about.label:
            labels = extras["labels"] = np.asarray(rows[about.label][:])
            if labels.dtype.kind not in "iu":
                raise ValueError(
                    f"Hugging Face {about.repository}: {about.label} holds {labels.dtype}, not class numbers"
                )
            feature = rows.features[about.label]
            notes = {"class_names": feature.names} if hasattr(feature, "names") else {}
        if about.attributes:
            names = [n for n, f in rows.features.items() if getattr(f, "dtype", "") == "bool"]
            extras["attributes"] = np.stack([np.asarray(rows[n][:]) for n in names], 1).astype(np.uint8)
            notes["attribute_names"] = names
        undecoded = rows.cast_column(about.image, datasets.Image(decode=False)).select_columns([about.image])
        return Contents(_Encoded(undecoded, about.image), extras=extras, notes=notes)

    files = sorted({Path(f["filename"]) for f in rows.cache_files})
    if files:
        key, unchanged = files_key(files, Path(os.path.commonpath([f.parent for f in files])))
    else:
        key, unchanged = rows._fingerprint, lambda: None
    return Source(name, hashlib.sha256(f"{key} {split}".encode()).hexdigest(), read, unchanged=unchanged)


class _Encoded:
    """Encoded bytes of a hub set's image column, so that one damaged picture is one damaged picture."""

    def __init__(self, rows, column: str):
        self.rows, self.column = rows, column

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i: int) -> bytes | Path:
        cell = self.rows[int(i)][self.column]
        return cell["bytes"] if cell["bytes"] is not None else Path(cell["path"])
