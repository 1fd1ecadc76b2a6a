"""Decode once: pictures of any kind to one memory-mapped uint8 file (N, size, size, channels).

A cache folder is written beside its place and renamed into it whole, so it is there or it is not; a lock lets a second
process wait for the first one's work. Its name is a hash of the pictures' content and of the size asked for.

What is kept for good is only what the files themselves say. A picture that cannot be decoded is damaged: named, left
out and remembered. A picture that the system does not let us open (permission) is named and left out too, but its name
goes into the key: it is tried again at each load, and once it can be read the set has another key. Any other fault of
the machine (a disk that is gone, memory) or a file that changes meanwhile ends the build: nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from .decoding import decode, machine_fault, printable

VERSION = 4  # raise when the same pictures would decode to other bytes, or when the folder is laid out anew
BLOCK = 2**22  # bytes: each block of the pixels has a SHA-256 of its own, so that a few can be checked at each load
SAMPLED = 4


class ReadFault(OSError):
    """The machine failed while pictures were read: what was read so far says nothing about them and is thrown away."""


@dataclass
class Source:
    """Pictures before decoding. `key` names their content; `read` is only called when no cache has it yet.

    `unchanged` raises ReadFault when the files are no longer what they were when `key` was made. `unreadable` names
    pictures that cannot be opened now, `notices` say what else was left out and why.
    """

    name: str
    key: str
    read: Callable[[], Contents]
    channels: int = 3  # as the pictures have them: 1 when all are grey
    unchanged: Callable[[], None] = lambda: None
    unreadable: Sequence[str] = ()
    notices: Sequence[str] = ()


@dataclass
class Contents:
    """`pictures` are uint8 arrays (H, W) or (H, W, C), PIL images, encoded bytes or paths; one `extras` row each."""

    pictures: Sequence
    names: Sequence[str] | None = None  # of the files, to name the damaged ones and the duplicates
    extras: dict[str, np.ndarray] = field(default_factory=dict)  # per picture: labels, attributes, …
    notes: dict = field(default_factory=dict)  # per set: class_names, …


def cache_root() -> Path:
    """`DCGAN_CACHE`, else dcgan/ in the user's cache folder. An empty variable counts as none."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("DCGAN_CACHE") or base / "dcgan").expanduser()


def file_states(files: Iterable[Path]) -> list[tuple[int, ...] | None]:
    """What tells that a file was written meanwhile; None where there is none or the system does not say."""
    states = []
    for f in files:
        try:
            s = f.stat()
        except OSError:
            states.append(None)
        else:
            states.append((s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino))
    return states


def guard(files: Sequence[Path], states: list | None = None) -> Callable[[], None]:
    """A function that raises ReadFault when one of the files is no longer what it is now (or was at `states`)."""
    before = file_states(files) if states is None else states

    def unchanged() -> None:
        for path, old, new in zip(files, before, file_states(files), strict=True):
            if old != new:
                raise ReadFault(f"{printable(str(path))} changed or went away while it was read: load again")

    return unchanged


def files_key(
    files: Iterable[Path], root: Path, unreadable: list[Path] | None = None
) -> tuple[str, Callable[[], None]]:
    """Hash of the files' names and bytes, and a function that raises ReadFault once they are no longer so.

    Unchanged files (size, times, inode) are not read a second time. Those that the system does not let us open are
    appended to `unreadable`, and only their names go into the hash; without that list they raise ReadFault.
    """
    files = sorted(files)
    names = [f.relative_to(root).as_posix() for f in files]
    states = file_states(files)
    unchanged = guard(files, states)
    listing = json.dumps([str(root.resolve()), list(zip(names, states, strict=True))])
    memo = cache_root() / "keys" / hashlib.sha256(listing.encode()).hexdigest()
    if key := _noted(memo, "[0-9a-f]{64}"):
        return key, unchanged
    total, whole = hashlib.sha256(), True
    progress = tqdm(files, f"fingerprinting {printable(root.name)}", unit="file", delay=2, leave=False)
    for path, name in zip(progress, names, strict=True):
        try:
            with path.open("rb") as f:
                digest = hashlib.file_digest(f, "sha256").hexdigest()
        except OSError as error:
            if unreadable is None or not isinstance(error, PermissionError):
                raise ReadFault(f"{printable(str(path))} could not be read ({error.strerror}): load again") from error
            unreadable.append(path)
            digest, whole = "unreadable", False
        total.update(os.fsencode(name) + f"\0{digest}\0".encode())
    unchanged()
    # A file written again within the clock's tick would look the same: only what has been at rest is remembered.
    newest = max((max(s[1:3]) for s in states if s), default=0)
    if whole and time.time_ns() - newest > 2e9:
        _note(memo, total.hexdigest())
    return total.hexdigest(), unchanged


def remembered(kind: str, key: str, find: Callable[[], str], form: str) -> str:
    """`find()`, asked once for a `key`, which names all that the answer depends on; `form` is a pattern of answers."""
    memo = cache_root() / kind / key
    if (found := _noted(memo, form)) is None:
        _note(memo, found := find())
    return found


def _noted(memo: Path, form: str) -> str | None:
    with contextlib.suppress(OSError, ValueError):
        if re.fullmatch(form, text := memo.read_text()):
            return text
    return None


def _note(memo: Path, text: str) -> None:
    with contextlib.suppress(OSError):  # it only saves time
        memo.parent.mkdir(parents=True, exist_ok=True)
        part = memo.with_name(f"{memo.name}.{os.getpid()}")
        part.write_text(text)
        part.replace(memo)


@contextlib.contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Processes of this machine that ask for the same wait for each other; not where the cache cannot be written."""
    lock = FileLock(cache_root() / "locks" / f"{hashlib.sha256(what.encode()).hexdigest()[:24]}.lock")
    with contextlib.suppress(OSError):
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def cached(source: Source, size: int, channels: int) -> tuple[np.ndarray, dict[str, np.ndarray], dict]:
    """The source's pictures as a read-only memory map (N, size, size, channels), extras and notes.

    Builds the cache when there is none or when what is there was cut short or is damaged (a few blocks of the pixels
    are checked at each load; `verify` checks all). Raises ValueError when no picture at all can be read, ReadFault
    when the machine failed meanwhile, OSError (with the space needed and DCGAN_CACHE) when the cache cannot be written.
    """
    key = hashlib.sha256(f"{VERSION} {source.key} {size} {channels}".encode()).hexdigest()[:24]
    short = re.sub(r"[^\w.-]+", "_", source.name)[:40]
    folder = cache_root() / "images" / f"{short}-{size}x{size}x{channels}-{key}"
    with _cache_errors(folder):
        found = _stored(folder)
        if found is None:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_name(folder.name + ".lock")):
                found = _stored(folder)
                if found is None:  # nobody built it while we waited
                    if folder.exists():
                        warnings.warn(f"the cache {folder} is incomplete or damaged: building it again", stacklevel=5)
                        shutil.rmtree(folder)
                    for stale in folder.parent.glob(f"{folder.name}.part-*"):  # of a killed process
                        shutil.rmtree(stale, ignore_errors=True)
                    _build(source, size, channels, folder)
                    found = _stored(folder)
        if found is None:
            raise OSError(5, "what was written does not read back the same")
    about, extras = found
    images = np.memmap(folder / "images.uint8", np.uint8, "r", shape=tuple(about["shape"]))
    damaged = [*about["damaged"], *source.unreadable]
    if damaged:
        some = "; ".join(damaged[:5]) + (" …" if len(damaged) > 5 else "")
        warnings.warn(
            f"{len(damaged)} of {len(images) + len(damaged)} pictures could not be read: {some}", stacklevel=5
        )
    for notice in (*source.notices, *about.get("notices", ())):
        warnings.warn(notice, stacklevel=5)
    return images, extras, {**about["notes"], "damaged": damaged, "sha256": about["sha256"], "files": about["files"]}


def verify_folder(folder: Path) -> str:
    """Read a cache folder whole and compare it with what was written; its pixels' SHA-256.

    Raises FileNotFoundError for what is no cache folder, ValueError where it differs.
    """
    if not (folder / "about.json").is_file():
        raise FileNotFoundError(f"no cache of pictures at {folder}: expected a folder with about.json")
    found = _stored(folder, sampled=None)
    if found is None:
        raise ValueError(f"the cache {folder} is damaged: delete this folder and load the set again")
    return found[0]["sha256"]


@contextlib.contextmanager
def _cache_errors(folder: Path) -> Iterator[None]:
    """Say of an error of the cache's disk that it is one and which variable moves the cache."""
    try:
        yield
    except ReadFault:
        raise
    except OSError as error:
        raise OSError(
            error.errno,
            f"the image cache {folder.parent} could not be used ({error.strerror or error}): set DCGAN_CACHE to a "
            "folder on a disk with room where you may write",
        ) from error


def _stored(folder: Path, sampled: int | None = SAMPLED) -> tuple[dict, dict[str, np.ndarray]] | None:
    """about.json and the extras, or None where the folder is not as written; `sampled` blocks are read (None: all)."""
    try:
        held = json.loads((folder / "about.json").read_text())
        about = held["about"]
        if _digest(json.dumps(about).encode()) != held["sha256"]:
            return None
        raw = (folder / "extras.npz").read_bytes()
        path, count = folder / "images.uint8", len(about["blocks"])
        if _digest(raw) != about["extras"] or path.stat().st_size != int(np.prod(about["shape"], dtype=object)):
            return None
        chosen = range(count)
        if sampled is not None and count > sampled:  # the ends, and others each time
            chosen = {0, count - 1, *random.Random().sample(chosen, sampled - 2)}
        with path.open("rb") as f:
            for i in chosen:
                f.seek(i * BLOCK)
                if _digest(f.read(BLOCK)) != about["blocks"][i]:
                    return None
        with np.load(io.BytesIO(raw), allow_pickle=False) as stored:
            return about, {k: stored[k] for k in stored.files}
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, KeyError, TypeError):
        return None


def _dark(peaks: list[int], name: str) -> list[str]:
    """A notice where 16-bit pictures, of which the high byte is kept, fill a sixteenth of their range at most."""
    if not 0 < max(peaks, default=0) < 4096:
        return []
    used = f"{max(peaks).bit_length()} of 16 bits"
    return [f"{name}: the 16-bit pictures ({len(peaks):,}) use {used} and become nearly black: stretch them first"]


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _build(source: Source, size: int, channels: int, folder: Path) -> None:
    try:
        contents = source.read()
    except (OSError, MemoryError) as error:
        raise ReadFault(f"{source.name} could not be read ({type(error).__name__}: {error})") from error
    total, damaged, kept, peaks = len(contents.pictures), [], [], []  # peaks: of 16-bit pictures
    for key, rows in contents.extras.items():
        if len(rows) != total:
            raise ValueError(f"{source.name}: {len(rows):,} {key} for {total:,} pictures")

    def name(i: int) -> str:
        return printable(contents.names[i]) if contents.names is not None else f"number {i}"

    def attempt(i: int) -> np.ndarray | Exception:
        try:
            picture = contents.pictures[i]
            return decode(picture.read_bytes() if isinstance(picture, Path) else picture, size, channels, peaks)
        except Exception as error:  # a damaged picture must not cost the other million
            return error

    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
    part.chmod(0o755)  # a cache may be shared
    try:
        digest, blocks = hashlib.sha256(), []
        with (
            (part / "images.uint8").open("wb") as out,
            ThreadPoolExecutor(os.cpu_count()) as pool,
            tqdm(total=total, desc=f"decoding {source.name} to {size}x{size}", unit="image", delay=1) as bar,
        ):
            for start in range(0, total, 256):  # a few at a time: memory stays small
                indices = range(start, min(start + 256, total))
                for i, result in zip(indices, pool.map(attempt, indices), strict=True):
                    if isinstance(result, np.ndarray):
                        kept.append(i)
                        out.write(result.tobytes())
                        continue
                    why = printable(re.sub(r" <.* at 0x[0-9a-f]+>", "", f"{type(result).__name__}: {result}"))
                    if machine_fault(result):
                        raise ReadFault(f"{name(i)} of {source.name} could not be read ({why}): load again") from result
                    damaged.append(f"{name(i)} ({why})")
                bar.update(len(indices))
        source.unchanged()
        if not kept:
            raise ValueError(f"none of the {total} pictures of {source.name} could be read: {'; '.join(damaged[:3])}")
        with (part / "images.uint8").open("rb") as written:
            while block := written.read(BLOCK):
                digest.update(block)
                blocks.append(_digest(block))
        np.savez(part / "extras.npz", **{k: v[kept] for k, v in contents.extras.items()})
        about = {
            "shape": [len(kept), size, size, channels],
            "sha256": digest.hexdigest(),
            "damaged": damaged,
            "notes": contents.notes,
            "notices": _dark(peaks, source.name),
            "files": None if contents.names is None else [contents.names[i] for i in kept],
            "extras": _digest((part / "extras.npz").read_bytes()),
            "blocks": blocks,
        }
        text = json.dumps(about)
        (part / "about.json").write_text(f'{{"sha256": "{_digest(text.encode())}", "about": {text}}}')
        part.rename(folder)
    except ReadFault:
        raise
    except OSError as error:
        need = total * size * size * channels / 2**20
        raise OSError(error.errno, f"{error.strerror or error}; it needs {need:,.0f} MB") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
