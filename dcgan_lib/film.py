"""Films of walks through latent space that lead back to where they began."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import latent, models, sheets


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
    """Write frames (n pictures each) as a loop without a halt; errors as `sheets.animation`."""
    return sheets.animation(frames, path, columns=columns, milliseconds=milliseconds, last=1)
