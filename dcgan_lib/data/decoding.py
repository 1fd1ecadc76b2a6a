"""One picture's bytes to uint8 pixels, and nothing but a picture: only the formats below are tried."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# What is read, by the files' names. PIL knows more formats; some of them start other programs (PostScript).
FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".ppm": "PPM",
    ".pgm": "PPM",
}
# Pictures too, but not read here: they are counted, so that nobody misses them unawares.
NOT_READ = {".avif", ".heic", ".heif", ".jp2", ".jxl", ".psd", ".svg", ".tga", ".dng", ".cr2", ".nef"}
GREY_MODES = ("1", "L", "LA", "I;16", "I")


def printable(text: str) -> str:
    """`text` with what a terminal would obey or could not show (escapes, line ends, broken names) as backslashes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def open_picture(picture: bytes | Path) -> Image.Image:
    """The picture with its header read. Its content, not its name, decides which of FORMATS it is."""
    file = io.BytesIO(picture) if isinstance(picture, bytes) else picture
    return Image.open(file, formats=sorted(set(FORMATS.values())))


def machine_fault(error: BaseException) -> bool:
    """Whether the machine failed, not the picture: PIL's own OSErrors ('truncated', …) have no errno.

    A damaged TIFF may send its reader to a place before the file's beginning, which is EINVAL.
    """
    return isinstance(error, MemoryError) or getattr(error, "errno", None) not in (None, errno.EINVAL)


def decode(picture, size: int, channels: int, peaks: list[int] | None = None) -> np.ndarray:
    """One picture to uint8 (size, size, channels): upright, on white where transparent, centre square, Lanczos.

    `picture` is uint8 (H, W) or (H, W, C), a PIL image or encoded bytes. Of 16-bit grey the high byte is kept, so that
    one which uses fewer bits becomes dark; its largest value is appended to `peaks`. Raises what PIL raises for damaged
    ones, ValueError for more than 8 or 16 bits a channel.
    """
    if isinstance(picture, bytes):
        picture = open_picture(picture)
        picture.load()
    elif isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture.squeeze(-1) if picture.shape[-1:] == (1,) else picture)
    in_32_bits = picture.mode == "I" and picture.format in ("PPM", "PNG")  # so Pillow holds their 16 bits
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16") or in_32_bits:  # 16-bit grey: keep the high byte
        values = np.asarray(picture)
        if peaks is not None:
            peaks.append(int(values.max()))
        picture = Image.fromarray((values >> 8).clip(0, 255).astype(np.uint8))
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
