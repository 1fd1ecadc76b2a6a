"""Decode once: pictures of any kind to one memory-mapped uint8 file (N, size, size, channels).

A cache folder is written beside its place and renamed into it whole, so it is there or it is not; a lock lets a second
process wait for the first one's work. Its name is a hash of the pictures' content and of the size asked for.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image, ImageOps
from tqdm import tqdm

VERSION = 1  # raise when the same pictures would decode to other bytes


@dataclass
class Source:
    """Pictures before decoding. `key` names their content; `read` is only called when no cache has it yet."""

    name: str
    key: str
    read: Callable[[], Contents]
    channels: int = 3  # as the pictures have them: 1 when all are grey


@dataclass
class Contents:
    """`pictures` are uint8 arrays (H, W) or (H, W, C), PIL images, encoded bytes or paths; one `extras` row each."""

    pictures: Sequence
    names: Sequence[str] | None = None  # to name the damaged ones
    extras: dict[str, np.ndarray] = field(default_factory=dict)  # per picture: labels, attributes, …
    notes: dict = field(default_factory=dict)  # per set: class_names, …


def cache_root() -> Path:
    """`DCGAN_CACHE`, else dcgan/ in the user's cache folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("DCGAN_CACHE", base / "dcgan")).expanduser()


def files_key(files: Iterable[Path], root: Path) -> str:
    """Hash of the files' names and bytes; unchanged files (size and time) are not read a second time."""
    files = sorted(files)
    stats = [(f.relative_to(root).as_posix(), f.stat()) for f in files]
    listing = json.dumps([str(root.resolve()), [(n, s.st_size, s.st_mtime_ns, s.st_ino) for n, s in stats]])
    memo = cache_root() / "keys" / hashlib.sha256(listing.encode()).hexdigest()
    if memo.exists() and len(key := memo.read_text()) == 64:
        return key
    total = hashlib.sha256()
    for path in tqdm(files, desc=f"fingerprinting {root.name}", unit="file", delay=2, leave=False):
        with path.open("rb") as f:
            digest = hashlib.file_digest(f, "sha256").hexdigest()
        total.update(f"{path.relative_to(root).as_posix()}\0{digest}\0".encode())
    memo.parent.mkdir(parents=True, exist_ok=True)
    part = memo.with_name(f"{memo.name}.{os.getpid()}")
    part.write_text(total.hexdigest())
    part.replace(memo)
    return total.hexdigest()


def encoded(picture: bytes | Path) -> io.BytesIO | Path:
    """What PIL opens."""
    return io.BytesIO(picture) if isinstance(picture, bytes) else picture


def decode(picture, size: int, channels: int) -> np.ndarray:
    """One picture to uint8 (size, size, channels): upright, on white where transparent, centre square, Lanczos."""
    if isinstance(picture, (bytes, Path)):
        picture = Image.open(encoded(picture))
        picture.load()
    elif isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture.squeeze(-1) if picture.shape[-1:] == (1,) else picture)
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):  # 16-bit grey: keep the high byte
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {picture.mode}: expected 8 or 16 bits a channel")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("L" if channels == 1 else "RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    if side != size:
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)  # antialiased when it shrinks
    return np.asarray(picture).reshape(size, size, channels)


def cached(
    source: Source, size: int, channels: int, limit: int | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray], dict]:
    """The source's first `limit` pictures as a read-only memory map (N, size, size, channels), extras and notes.

    Builds the cache when there is none or when what is there was cut short. Raises ValueError when no picture at all
    can be read, OSError (with the space needed) when the disk is full.
    """
    key = hashlib.sha256(f"{VERSION} {source.key} {size} {channels} {limit}".encode()).hexdigest()[:24]
    folder = cache_root() / "images" / f"{source.name}-{size}x{size}x{channels}-{key}"
    if not _whole(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(folder.name + ".lock")):
            if not _whole(folder):  # nobody built it while we waited
                if folder.exists():
                    warnings.warn(f"the cache {folder} is incomplete (cut short?): building it again", stacklevel=3)
                    shutil.rmtree(folder)
                for stale in folder.parent.glob(f"{folder.name}.part-*"):  # of a process that was killed
                    shutil.rmtree(stale, ignore_errors=True)
                _build(source, size, channels, limit, folder)
    about = json.loads((folder / "about.json").read_text())
    images = np.memmap(folder / "images.uint8", np.uint8, "r", shape=tuple(about["shape"]))
    with np.load(folder / "extras.npz", allow_pickle=False) as stored:
        extras = {k: stored[k] for k in stored.files}
    if about["damaged"]:
        some = "; ".join(about["damaged"][:5]) + (" …" if len(about["damaged"]) > 5 else "")
        total = len(images) + len(about["damaged"])
        warnings.warn(f"{len(about['damaged'])} of {total} pictures could not be read: {some}", stacklevel=3)
    return images, extras, {**about["notes"], "damaged": about["damaged"], "sha256": about["sha256"]}


def _whole(folder: Path) -> bool:
    """Whether the folder holds files of just the sizes that were written (about.json is written last)."""
    try:
        sizes = json.loads((folder / "about.json").read_text())["sizes"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _build(source: Source, size: int, channels: int, limit: int | None, folder: Path) -> None:
    contents = source.read()
    total, damaged, kept = min(len(contents.pictures), limit or len(contents.pictures)), [], []
    digest = hashlib.sha256()

    def attempt(i: int):
        try:
            return decode(contents.pictures[i], size, channels)
        except Exception as error:  # a damaged picture must not cost the other million
            return re.sub(r" <.* at 0x[0-9a-f]+>", "", f"{type(error).__name__}: {error}")

    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
    part.chmod(0o755)  # a cache may be shared
    try:
        with (
            (part / "images.uint8").open("wb") as out,
            ThreadPoolExecutor(os.cpu_count()) as pool,
            tqdm(total=total, desc=f"decoding {source.name} to {size}x{size}", unit="image", delay=1) as bar,
        ):
            for start in range(0, total, 256):  # a block at a time: memory stays small
                indices = range(start, min(start + 256, total))
                for i, result in zip(indices, pool.map(attempt, indices), strict=True):
                    if isinstance(result, str):
                        name = contents.names[i] if contents.names is not None else f"number {i}"
                        damaged.append(f"{name} ({result})")
                        continue
                    kept.append(i)
                    raw = result.tobytes()
                    digest.update(raw)
                    out.write(raw)
                bar.update(len(indices))
        if not kept:
            raise ValueError(f"none of the {total} pictures of {source.name} could be read: {'; '.join(damaged[:3])}")
        np.savez(part / "extras.npz", **{k: v[kept] for k, v in contents.extras.items()})
        about = {
            "shape": [len(kept), size, size, channels],
            "sha256": digest.hexdigest(),
            "damaged": damaged,
            "notes": contents.notes,
            "sizes": {name: (part / name).stat().st_size for name in ("images.uint8", "extras.npz")},
        }
        (part / "about.json").write_text(json.dumps(about))
        part.rename(folder)
    except OSError as error:
        need = total * size * size * channels / 2**20
        raise OSError(
            error.errno,
            f"the image cache could not be written ({error.strerror}): it needs {need:,.0f} MB in {folder.parent}; "
            "make room or set DCGAN_CACHE to another disk",
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
