"""Films: how a run's pictures became what they are, or a walk through latent space, as .gif or .mp4."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import checkpoints, latent, models, sheets

SUFFIXES = (".gif", ".mp4")


def run_frames(run: str | Path) -> list[np.ndarray]:
    """The grids of a run's samples/, oldest first, each as pictures uint8 (64, H, W, 3).

    Raises FileNotFoundError where there are none.
    """
    files = sorted((Path(run).expanduser() / "samples").glob("step_*.png"))
    if not files:
        raise FileNotFoundError(f"no samples/step_….png in {run}: it is no run's folder, or one that has not begun")
    return [sheets.untile(file, size=_side(file)) for file in files]


def _side(file: Path) -> int:
    from PIL import Image

    with Image.open(file, formats=["PNG"]) as sheet:
        return sheet.width // 8  # training draws eight a row, without a gap


def walk_frames(
    generator: models.Generator, pictures: int = 16, points: int = 4, steps: int = 12, kind: str = "spherical",
    seed: int = 0,
) -> list[Tensor]:  # fmt: skip
    """Frames (pictures, C, H, W) in [-1, 1]: each picture walks through `points` latents of its own and back.

    `steps` frames lead from a point to the next; the last frame is the one before the first, so that a loop has no
    halt. Raises ValueError as `latent.interpolate` does.
    """
    corners = models.sample_latent(pictures * points, generator.arch, seed).view(pictures, points, -1)
    walks = [latent.interpolate(torch.cat([own, own[:1]]), steps + 1, kind)[:-1] for own in corners]
    return [models.sample(generator, z) for z in torch.stack(walks, 1)]


def save(frames: Sequence[Tensor | np.ndarray], path: str | Path, columns: int = 8, milliseconds: int = 250) -> Path:
    """Write frames (n pictures each) as .gif, which loops, or as .mp4, which needs ffmpeg.

    Raises ValueError for another suffix, ImportError where an .mp4 is asked for and no ffmpeg is here.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() == ".gif":
        path.parent.mkdir(parents=True, exist_ok=True)
        return sheets.animation(frames, path, columns, milliseconds)
    check(path)
    return mp4((sheets.tile(frame, columns) for frame in frames), path, 1000 / milliseconds)


def check(path: str | Path) -> None:
    """What `save` would refuse, before the frames are drawn."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"a film is a .gif or an .mp4, got {str(path)!r}")
    if suffix == ".mp4":
        ffmpeg()


def ffmpeg() -> str:
    """The program that writes .mp4: from the system or from the package imageio-ffmpeg. Raises ImportError."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError as error:
        raise ImportError("an .mp4 needs ffmpeg: pip install imageio-ffmpeg, or write a .gif") from error
    return get_ffmpeg_exe()


def mp4(frames: Iterable[np.ndarray], path: str | Path, rate: float) -> Path:
    """Write frames uint8 (H, W, 3), all of one size, as H.264, whole or not at all; `rate` frames a second.

    Raises ImportError without ffmpeg, OSError with its last line where it fails.
    """
    frames = [_even(frame) for frame in frames]
    height, width = frames[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.mp4"
        call = [ffmpeg(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
        call += ["-r", f"{rate:g}", "-i", "-", "-an", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-y", str(file)]
        done = subprocess.run(call, input=b"".join(frame.tobytes() for frame in frames), capture_output=True)
        if done.returncode or not file.is_file():
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["without a word"]
            raise OSError(f"ffmpeg could not write {path}: {said[-1]}")
        return checkpoints.write_bytes(path, file.read_bytes())


def _even(frame: np.ndarray) -> np.ndarray:
    """With a white row or column more where a side is odd: H.264 stores colour at half the size."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), constant_values=255)
