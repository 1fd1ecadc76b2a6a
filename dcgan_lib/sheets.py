"""Pixels: pictures side by side, cut out of a sheet again, or one after the other. `plots` draws figures with axes.

Files are written whole or not at all, and their folders are made.

Pictures are float (N, C, H, W) in [-1, 1] or uint8 (N, H, W, C).
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from . import checkpoints, models
from .checks import whole
from .data import to_uint8

Images = Tensor | np.ndarray
FILMS = (".gif", ".mp4")
SHORTEST, LONGEST = 20, 655_350  # milliseconds of a frame: browsers slow what is shorter down, a .gif holds no longer
# Pictures of 32 pixels keep their colours to the pixel: JPEG's own halves their resolution.
WRITTEN = {"JPEG": {"quality": 90, "subsampling": 0}}


def pixels(images: Images) -> np.ndarray:
    """uint8 (N, H, W, C) of either kind of pictures. Raises ValueError for anything else."""
    if isinstance(images, Tensor):
        return to_uint8(images)
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(f"expected uint8 (N, H, W, 1 or 3) or a float tensor, got {images.dtype} {images.shape}")
    return images


def tile(images: Images, columns: int = 8, gap: int = 2) -> np.ndarray:
    """Pictures side by side on white: uint8 (H', W', 3)."""
    drawn, columns = pixels(images), whole(columns, "columns", 1)
    n, height, width = drawn.shape[:3]
    if not n:
        raise ValueError("expected at least one picture, got none")
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, picture in enumerate(drawn):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture  # one channel spreads over three
    return sheet


def untile(sheet: str | Path | np.ndarray, size: int) -> np.ndarray:
    """The pictures (N, size, size, 3) of a sheet or of its file, row by row: the inverse of `tile` with gap=0."""
    if not isinstance(sheet, np.ndarray):
        with Image.open(sheet) as picture:
            sheet = np.asarray(picture.convert("RGB"))
    whole(size, "size", 1, min(sheet.shape[:2]))
    rows, columns = (side // size for side in sheet.shape[:2])
    cells = sheet[: rows * size, : columns * size].reshape(rows, size, columns, size, 3).swapaxes(1, 2)
    return cells.reshape(-1, size, size, 3)


def coarse(images: Images, blocks: int = 8) -> np.ndarray:
    """Pictures as `blocks` x `blocks` even squares: uint8 (N, H, W, C), colours without a face that could be known.

    For figures of pictures that their owner does not let publish. Raises ValueError for sides that are no multiple of
    `blocks`.
    """
    drawn, blocks = pixels(images), whole(blocks, "blocks", 1)
    n, height, width, channels = drawn.shape
    if height % blocks or width % blocks:
        raise ValueError(f"expected sides that are multiples of blocks, {blocks}, got {height} x {width}")
    squares = drawn.reshape(n, blocks, height // blocks, blocks, width // blocks, channels).mean((2, 4))
    return squares.round().astype(np.uint8).repeat(height // blocks, 1).repeat(width // blocks, 2)


def save(path: str | Path, sheet: np.ndarray) -> Path:
    """Write a sheet (H, W, 3) or a picture (H, W) or (H, W, 1), uint8, as .png, .jpg, .webp, .gif, .bmp or .tif.

    Raises ValueError for another array, and for a suffix that names no kind of picture.
    """
    sheet = np.asarray(sheet)
    if sheet.ndim == 3 and sheet.shape[2] == 1:
        sheet = sheet[..., 0]
    if (
        sheet.dtype != np.uint8
        or not sheet.size
        or sheet.ndim not in (2, 3)
        or (sheet.ndim == 3 and sheet.shape[2] != 3)
    ):
        raise ValueError(f"expected one picture, uint8 (H, W) or (H, W, 3), got {sheet.dtype} {sheet.shape}: see tile")
    path = Path(path)
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        raise ValueError(f"{path} names no kind of picture that can be written: take .png, .jpg, .webp, .gif or .tif")
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, kind, **WRITTEN.get(kind, {}))
    return checkpoints.write_bytes(path, file.getvalue())


def animation(
    frames: Sequence[Images] | Images | str | Path,
    path: str | Path,
    generator: models.Generator | None = None,
    columns: int | None = None,
    milliseconds: int = 250,
    magnify: int = 1,
    last: int = 8,
) -> Path:
    """Write a film as .gif, which loops, or as .mp4, which needs ffmpeg.

    `frames` are one of: a sequence of frames, each some pictures; pictures, one a frame; latents for `generator`, as
    `latent.interpolate` gives them, (n, latent_dim) or several walks side by side (n, N, latent_dim); a run's folder,
    whose samples/ are shown in the order of its steps. Each frame has up to `columns` pictures in a row (None: a
    run's as its own sheets have, others eight), every pixel `magnify` pixels wide, and stays for so many
    `milliseconds`, in a .gif rounded to hundredths of a second; the last one `last` times as long.
    Raises ValueError for no frames, frames of several sizes, latents without a generator or of another width, another
    suffix, times that a .gif cannot hold; FileNotFoundError for a folder without samples; ImportError where there is no
    ffmpeg.
    """
    path = check_film(path)  # before the work
    last, magnify = whole(last, "last", 1, LONGEST // SHORTEST), whole(magnify, "magnify", 1)
    milliseconds = whole(milliseconds, "milliseconds", SHORTEST, LONGEST // last)
    if isinstance(frames, (str, Path)):
        run, frames = frames, run_frames(frames)
        columns = run_columns(run) if columns is None else columns
    elif isinstance(frames, Tensor) and frames.ndim in (2, 3):
        frames = _drawn(frames, generator)
    elif isinstance(frames, (Tensor, np.ndarray)) and frames.ndim == 4:  # (n, …) pictures, one a frame
        frames = pixels(frames)[:, None]
    frames = [pixels(frame) for frame in frames]
    columns = 8 if columns is None else whole(columns, "columns", 1)
    columns = min(columns, max([1, *map(len, frames)]))  # no column is empty in all frames
    drawn = [tile(frame, columns).repeat(magnify, 0).repeat(magnify, 1) for frame in frames]
    if not drawn:
        raise ValueError("expected at least one frame, got none")
    if len(sizes := {sheet.shape for sheet in drawn}) > 1:
        raise ValueError(f"expected frames of one size, got {', '.join(f'{w}×{h}' for h, w, _ in sorted(sizes))}")
    if path.suffix.lower() == ".mp4":
        return checkpoints.write_bytes(path, _mp4([*drawn, *drawn[-1:] * (last - 1)], 1000 / milliseconds))
    first, *others = map(Image.fromarray, drawn)
    file = io.BytesIO()
    times = [milliseconds] * len(others) + [last * milliseconds]
    times = [(time + 5) // 10 * 10 for time in times]  # Pillow rounds down
    first.save(file, "GIF", save_all=True, append_images=others, duration=times, loop=0)
    return checkpoints.write_bytes(path, file.getvalue())


def check_film(path: str | Path) -> Path:
    """The path, unless `animation` could not write such a file: ValueError for its suffix, ImportError for ffmpeg."""
    path = Path(path).expanduser()
    if path.suffix.lower() not in FILMS:
        raise ValueError(f"{path} names no kind of film that can be written: take .gif or .mp4")
    if path.suffix.lower() == ".mp4":
        _ffmpeg()
    return path


def run_sheets(run: str | Path) -> list[Path]:
    """The files samples/step_….png of a run, oldest first. Raises FileNotFoundError where there are none."""
    files = sorted((Path(run).expanduser() / "samples").glob("step_*.png"), key=checkpoints.step_of)
    if not files:
        raise FileNotFoundError(f"no samples/step_….png in {run}: it is no run's folder, or one that has not begun")
    return files


def run_frames(run: str | Path) -> list[np.ndarray]:
    """The grids of a run's samples/, oldest first, each as pictures uint8 (N, H, W, 3), row by row.

    Raises FileNotFoundError where there are none.
    """
    frames, size = [], picture_side(run)
    for file in run_sheets(run):
        with Image.open(file, formats=["PNG"]) as sheet:
            grid = np.asarray(sheet.convert("RGB"))
        frames.append(untile(grid, size or grid.shape[1] // 8))
    return frames


def run_columns(run: str | Path) -> int:
    """Pictures a row of a run's sheets: eight, or as many as there are classes."""
    file = run_sheets(run)[0]
    with Image.open(file, formats=["PNG"]) as sheet:
        return sheet.width // (picture_side(run) or sheet.width // 8)


def picture_side(run: str | Path) -> int | None:
    """Side of a run's pictures in its sheets, which have no gaps; None where its run.json does not say."""
    try:
        return json.loads((Path(run).expanduser() / "run.json").read_text())["architecture"]["image_size"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _drawn(latents: Tensor, generator: models.Generator | None) -> list[Tensor]:
    """Pictures of a walk (n, latent_dim) or of several at once (n, N, latent_dim), a batch (N, C, H, W) a frame."""
    if generator is None:
        raise ValueError(f"latents {tuple(latents.shape)} become pictures by a generator: animation(…, generator=G)")
    if latents.shape[-1] != (wide := generator.arch.latent_dim):
        raise ValueError(f"expected latents of width {wide} for this generator, got {tuple(latents.shape)}")
    if not len(latents):
        return []
    flat, labels = latents.reshape(-1, wide), None
    if generator.arch.classes:  # in turn, and the same all along a walk
        labels = (torch.arange(len(flat) // len(latents)) % generator.arch.classes).repeat(len(latents))
    return list(models.sample(generator, flat, labels=labels).unflatten(0, (len(latents), -1)))


def _ffmpeg() -> str:
    """The program that writes .mp4: the system's, else that of the package imageio-ffmpeg."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:  # not installed, or without its binary
        raise ImportError("an .mp4 needs ffmpeg: pip install imageio-ffmpeg, or write a .gif") from error


def _mp4(frames: list[np.ndarray], rate: float) -> bytes:
    """H.264 of frames (H, W, 3), `rate` of them a second."""
    frames = [_even(frame) for frame in frames]
    height, width = frames[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.mp4"
        call = [_ffmpeg(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
        call += ["-r", f"{rate:g}", "-i", "-", "-an", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-y", str(file)]
        done = subprocess.run(call, input=b"".join(frame.tobytes() for frame in frames), capture_output=True)
        if done.returncode or not file.is_file():
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["without a word"]
            raise OSError(f"ffmpeg wrote no film: {said[-1]}")
        return file.read_bytes()


def _even(frame: np.ndarray) -> np.ndarray:
    """With a white row or column more where a side is odd: H.264 stores colour at half the size."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), constant_values=255)
