"""Pixels: pictures side by side, cut out of a sheet again, or one after the other. `plots` draws figures with axes.

Pictures are float (N, C, H, W) in [-1, 1] or uint8 (N, H, W, C).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from . import checkpoints
from .data import to_uint8

Images = Tensor | np.ndarray


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
    drawn = pixels(images)
    n, height, width = drawn.shape[:3]
    if not n:
        raise ValueError("expected at least one picture, got none")
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, picture in enumerate(drawn):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture  # one channel spreads over three
    return sheet


def untile(sheet: str | Path | np.ndarray, size: int, gap: int = 0) -> np.ndarray:
    """The pictures (N, size, size, 3) of a sheet or of its file, row by row: the inverse of `tile`."""
    if not isinstance(sheet, np.ndarray):
        with Image.open(sheet) as picture:
            sheet = np.asarray(picture.convert("RGB"))
    rows, columns = ((side + gap) // (size + gap) for side in sheet.shape[:2])
    step = size + gap
    cells = [sheet[r * step : r * step + size, c * step : c * step + size] for r in range(rows) for c in range(columns)]
    return np.stack(cells)


def save(path: str | Path, sheet: np.ndarray) -> Path:
    """Write a sheet (H, W, 3) or a picture (H, W) as .png, .jpg, .webp …, whole or not at all; folders are made.

    Raises ValueError for a suffix that names no kind of picture.
    """
    path = Path(path)
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        raise ValueError(f"{path} names no kind of picture that can be written: take .png, .jpg, .webp, .gif or .tif")
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, kind)
    return checkpoints.write_bytes(path, file.getvalue())


def animation(frames: Sequence[Images], path: str | Path, columns: int = 8, milliseconds: int = 250) -> Path:
    """Write a looping GIF, a sheet of pictures a frame; the last one stays longer."""
    sheets = [Image.fromarray(tile(frame, columns)) for frame in frames]
    if not sheets:
        raise ValueError("expected at least one frame, got none")
    times = [milliseconds] * (len(sheets) - 1) + [8 * milliseconds]
    sheets[0].save(path, save_all=True, append_images=sheets[1:], duration=times, loop=0)
    return Path(path)
