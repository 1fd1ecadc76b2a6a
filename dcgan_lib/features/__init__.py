"""What the discriminator knows: its features, as the paper's section 5 takes them, and the linear SVM on them."""

from __future__ import annotations

import copy
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from .. import data, models
from ..checks import choose
from ..device import pick_precision
from .kmeans import KMeansFeatures
from .protocol import RELEASED_C, Part, choose_C, draw_labels, few_labels, interval, svhn_parts
from .supervised import attribute_probabilities, deep_features
from .svm import L2SVM

__all__ = [
    "L2SVM",
    "RELEASED_C",
    "KMeansFeatures",
    "Part",
    "attribute_probabilities",
    "choose_C",
    "deep_features",
    "discriminator_features",
    "draw_labels",
    "few_labels",
    "interval",
    "svhn_parts",
]

BATCH = 128  # of the released script's batch-norm statistics


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
    is written to `out` (.npy) as a memory map, or to a temporary one when it would take more than half of the free
    memory.
    Raises ValueError for pictures of another shape, an unknown `statistics` or `precision`.
    Source: paper section 5.1; svhn/svhn_semisup_analysis.py.
    """
    choose(statistics, ("calibrated", "running"), "statistics")
    choose(precision, ("auto", "float32", "bfloat16"), "precision")
    if not len(images):
        raise ValueError("no pictures to take features of: expected N of at least 1")
    network = copy.deepcopy(discriminator).eval()
    device = next(network.parameters()).device
    if device.type != "mps":
        network.to(memory_format=torch.channels_last)
    half = pick_precision(precision, device) == "bfloat16"
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=half)
    if statistics == "calibrated":
        with autocast:
            models.calibrate(network, _calibration(images if calibrate_on is None else calibrate_on, network, device))
    shape = (len(images), network.arch.feature_count)
    features = _array(shape, out)
    start = 0
    with torch.no_grad(), autocast:
        parts = tqdm(
            data.batches(images, batch_size, device),
            total=-(-len(images) // batch_size),
            desc="features",
            delay=2,
            **({} if progress else {"disable": True}),
        )
        for batch in parts:
            vectors = _vectors(network, batch)
            if flip:
                vectors = (vectors + _vectors(network, batch.flip(3))) / 2
            features[start : start + len(batch)] = vectors.cpu().numpy()
            start += len(batch)
    return features


def _vectors(network: models.Discriminator, batch: Tensor) -> Tensor:
    """(n, C, H, W) → float32 (n, arch.feature_count)."""
    maps = [m for m in network.feature_maps(batch) if m.ndim == 4]  # convolutions alone
    pooled = [F.adaptive_max_pool2d(m, 4).flatten(1) for m in maps]  # (n, 16 * width) each
    return torch.cat(pooled, 1).float()


def _calibration(images: np.ndarray | Tensor, network: models.Discriminator, device: torch.device) -> Iterator[Tensor]:
    """Batches of 128; a last one of one picture is left out, since it has no variance behind a dense layer."""
    if len(images) == 1 and network.arch.dense_units:
        raise ValueError(
            "one picture has no batch statistics: take more, calibrate_on other pictures, or statistics='running'"
        )
    return data.batches(images[:-1] if len(images) > 1 and len(images) % BATCH == 1 else images, BATCH, device)


def _array(shape: tuple[int, int], out: str | Path | None) -> np.ndarray:
    size = 4 * shape[0] * shape[1]
    if out is None and size <= _free_memory() / 2:
        return np.empty(shape, np.float32)
    place = Path(out).parent if out else Path(tempfile.gettempdir())
    if shutil.disk_usage(place).free < size:  # a full disk under a memory map kills the process without a word
        raise OSError(f"{size / 1e9:.1f} GB of features do not fit on the disk of {place}: make room, or give out=…")
    if out:
        return np.lib.format.open_memmap(out, "w+", np.float32, shape)
    return np.memmap(tempfile.TemporaryFile(), np.float32, "w+", shape=shape)  # gone with the array


def _free_memory() -> int:
    """Bytes; where the system does not say, as much as anyone could want."""
    try:
        return 1024 * int(re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())[1])
    except (OSError, TypeError):
        return 2**62
