"""The feature vector of the paper's section 5: every convolution of D, max-pooled to 4x4."""

from __future__ import annotations

import contextlib
import copy
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from .. import data, models
from ..checks import choose
from ..device import memory_format, pick_precision

BATCH = 128  # of the released script's batch-norm statistics
LARGE = 1e9  # bytes: from here on it is said beforehand how many


def discriminator_features(
    discriminator: models.Discriminator,
    images: np.ndarray | Tensor,
    calibrate_on: np.ndarray | Tensor | None = None,
    statistics: str = "calibrated",
    flip: bool = False,
    precision: str = "float32",
    batch_size: int = BATCH,
    out: str | Path | None = None,
    progress: bool = True,
) -> np.ndarray:
    """Every convolution's activations max-pooled to 4x4, flattened and joined: float32 (N, arch.feature_count).

    `images` are uint8 (N, H, W, C) or float (N, C, H, W) in [-1, 1]. Batch norm uses, with `statistics`
    "calibrated", means over batches of 128 of `calibrate_on` (None: of `images` themselves), as the released SVHN
    script does with its training set, or with "running" the averages that the discriminator holds. The discriminator
    is left as it was. `flip` takes the mean of the features of each picture and of its mirror image (the paper: no).
    `precision` "bfloat16" runs the convolutions in half precision, "auto" where the device is fast at it. The result
    is written to `out` (.npy) as a memory map, which replaces what was there when it is whole, or to a temporary one
    when it would take more than half of the free memory; with `progress`, more than 1 GB is announced.
    Raises TypeError for what is no discriminator or no array of pictures; ValueError for a discriminator that is told
    the class, pictures of another shape, none, a batch_size below 1, an unknown `statistics` or `precision`, weights or
    features that are not finite;
    OSError where the features do not fit on the disk.
    Source: paper section 5.1; svhn/svhn_semisup_analysis.py.
    """
    choose(statistics, ("calibrated", "running"), "statistics")
    check_pictures(images, "images")
    if isinstance(batch_size, bool) or not isinstance(batch_size, Integral) or batch_size < 1:
        raise ValueError(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
    if statistics == "calibrated":
        network = calibrated(discriminator, images if calibrate_on is None else calibrate_on, precision, progress)
    else:
        network = _copy(discriminator, running=True)
    device = next(network.parameters()).device
    path = None if out is None else Path(out).expanduser()
    with replaced(path) as part:
        features, start = _array((len(images), network.arch.feature_count), part, progress), 0
        with torch.no_grad(), _autocast(precision, device):
            for batch in _bar(data.batches(images, batch_size, device), len(images), batch_size, "features", progress):
                vectors = _vectors(network, batch)
                if flip:
                    vectors = (vectors + _vectors(network, batch.flip(3))) / 2
                features[start : start + len(batch)] = vectors = vectors.cpu().numpy()
                if not np.isfinite(vectors).all():
                    raise ValueError(
                        f"features from picture {start} on are not finite: are the pictures NaN or very large?"
                    )
                start += len(batch)
        if path is None:
            return features
        features.flush()
        del features  # Windows renames no file that is open
    return np.load(path, mmap_mode="r+")


@contextlib.contextmanager
def replaced(path: Path | None) -> Iterator[Path | None]:
    """Where to write a file that takes the place of `path` once it is whole, and is gone where it never is.

    For what is too large for `checkpoints.write_bytes`. Arrays mapped from the earlier file keep their numbers.
    """
    if path is None:
        yield None
        return
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def calibrated(
    discriminator: models.Discriminator,
    images: np.ndarray | Tensor,
    precision: str = "float32",
    progress: bool = True,
) -> models.Discriminator:
    """A copy in eval mode whose batch norm uses means over batches of 128 of `images`: one pass over all of them.

    A rest of fewer than 64 is left out, since it would count as much as a whole batch.
    For several sets of features by one calibration: `discriminator_features(copy, …, statistics="running")`.
    Raises as `discriminator_features` does.
    """
    network = _copy(discriminator)
    device = next(network.parameters()).device
    check_pictures(images, "calibrate_on")
    if len(images) == 1 and any(isinstance(m, torch.nn.BatchNorm1d) for m in network.modules()):
        raise ValueError(
            "one picture has no batch statistics: take more, calibrate_on other pictures, or statistics='running'"
        )
    if (rest := len(images) % BATCH) < min(BATCH // 2, len(images)):
        images = images[: len(images) - rest]
    with _autocast(precision, device):
        models.calibrate(
            network, _bar(data.batches(images, BATCH, device), len(images), BATCH, "calibrating batch norm", progress)
        )
    return network


def check_room(place: Path, size: int) -> None:
    """Raises OSError where `size` bytes do not fit on the disk of a folder.

    A full disk under a memory map kills the process without a word.
    """
    if shutil.disk_usage(place).free < size:
        raise OSError(f"{size / 1e9:.1f} GB of features do not fit on the disk of {place}: make room, or give out=…")


def _copy(discriminator: models.Discriminator, running: bool = False) -> models.Discriminator:
    if not isinstance(discriminator, models.Discriminator):
        raise TypeError(f"expected a models.Discriminator, got {type(discriminator).__name__}")
    if discriminator.arch.classes:
        raise ValueError(
            "features of a discriminator that is told the class say nothing about what it found: take one "
            "trained without classes"
        )
    if not discriminator.arch.widths:
        raise ValueError("a discriminator without convolutions has none of the features of section 5.1")
    used = discriminator.state_dict() if running else dict(discriminator.named_parameters())
    for name, value in used.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(f"the discriminator's {name} holds NaN or infinity: did its training diverge?")
    network = copy.deepcopy(discriminator).eval()
    return network.to(memory_format=memory_format(next(network.parameters()).device))


def check_pictures(images, name: str) -> None:
    """Raises TypeError for what is no array, ValueError for one that holds no pictures."""
    if not isinstance(images, (np.ndarray, Tensor)):
        raise TypeError(f"{name} must be an array or a tensor of pictures, got {type(images).__name__}")
    if images.ndim != 4 or not len(images):
        raise ValueError(
            f"no pictures in {name}: expected (N, H, W, C) uint8 or (N, C, H, W) float with N of at least 1, "
            f"got shape {tuple(images.shape)}"
        )


def _autocast(precision: str, device: torch.device) -> torch.autocast:
    half = pick_precision(precision, device) == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


def _bar(batches, n: int, size: int, what: str, progress: bool) -> tqdm:
    return tqdm(batches, total=-(-n // size), desc=what, delay=2, **({} if progress else {"disable": True}))


def _vectors(network: models.Discriminator, batch: Tensor) -> Tensor:
    """(n, C, H, W) → float32 (n, arch.feature_count)."""
    maps = [m for m in network.feature_maps(batch) if m.ndim == 4]  # of convolutions only
    if batch.device.type == "mps":  # whose pooling is wrong where 4 does not divide the side
        maps = [m if m.shape[-1] % 4 == 0 else m.cpu() for m in maps]
    pooled = [F.adaptive_max_pool2d(m, 4).flatten(1).to(batch.device) for m in maps]  # (n, 16 * width) each
    return torch.cat(pooled, 1).float()


def _array(shape: tuple[int, int], out: Path | None, progress: bool) -> np.ndarray:
    size = 4 * shape[0] * shape[1]
    in_memory = out is None and size <= _free_memory() / 2
    place = out.parent if out else Path(tempfile.gettempdir())
    if progress and size > LARGE:
        where = "of memory" if in_memory else f"on the disk, in {place}"
        tqdm.write(f"features: {shape[0]:,} x {shape[1]:,} in float32, {size / 1e9:.1f} GB {where}", file=sys.stderr)
    if in_memory:
        return np.empty(shape, np.float32)
    place.mkdir(parents=True, exist_ok=True)
    check_room(place, size)
    if out:
        return np.lib.format.open_memmap(out, "w+", np.float32, shape)
    return np.memmap(tempfile.TemporaryFile(), np.float32, "w+", shape=shape)  # gone with the array


def _free_memory() -> int:
    """Bytes; where the system does not say, as much as anyone could want."""
    try:
        return 1024 * int(re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())[1])
    except (OSError, TypeError):
        return 2**62
