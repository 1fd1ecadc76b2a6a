"""D's architecture trained on labels only.

With classes and a random search it is the control of the paper's section 5.2; with a face's attributes, several of
which may hold at once, it is the independent eye that looks at generated faces.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from .. import data, models
from ..checks import whole
from ..device import memory_format, pick_device, pick_precision
from .extraction import check_pictures

Classifier = models.Discriminator  # D's layers, but a logit for each class, (N, K), instead of real or fake


@dataclass(frozen=True)
class Settings:
    """What the random search varies; the ranges are `random_settings`."""

    learning_rate: float = 1e-3
    beta1: float = 0.9
    weight_decay: float = 1e-4  # decoupled (AdamW)
    dropout: float = 0.0  # before the last layer
    batch_size: int = 64
    epochs: int = 30
    mirror: bool = False  # half of the pictures are mirrored, drawn anew each time


def random_settings(rng: np.random.Generator) -> Settings:
    """One trial: rates log-uniform, the rest from short lists."""
    return Settings(
        learning_rate=float(10 ** rng.uniform(-3.7, -2.3)),
        beta1=float(rng.choice([0.5, 0.9])),
        weight_decay=float(10 ** rng.uniform(-5, -0.5)),
        dropout=float(rng.choice([0.0, 0.25, 0.5])),
        batch_size=int(rng.choice([32, 64, 128])),
        epochs=int(rng.choice([10, 20, 40])),
    )


@torch.random.fork_rng()  # the caller's own random numbers stay as they are
def train_classifier(
    arch, images: np.ndarray, labels: np.ndarray, settings: Settings, seed: int = 0, device="auto", precision="auto",
    progress: bool = False,
) -> Classifier:  # fmt: skip
    """Train on uint8 (N, H, W, C) and labels; the network in eval mode. The rate falls to 0 by a cosine.

    Labels (N,) of 0 … K-1 take cross-entropy; attributes (N, A) of 0 and 1 take a binary cross-entropy each. The last
    batch of an epoch is dropped when it is short (batch norm). Raises ValueError for other labels.
    """
    labels = np.asarray(labels)
    several = labels.ndim == 2
    right = np.isin(labels, (0, 1)).all() if several else labels.ndim == 1 and labels.dtype.kind in "iu"
    if not right or not len(labels) or len(labels) != len(images) or (not several and labels.min() < 0):
        raise ValueError(
            f"expected a class, or attributes of 0 and 1, for each of {len(images)} pictures: {labels.shape}"
        )
    device = pick_device(device)
    half = pick_precision(precision, device) == "bfloat16"
    torch.manual_seed(seed)  # dropout's masks
    arch = models.architecture(arch, image_size=images.shape[1], channels=images.shape[-1])
    outputs = labels.shape[1] if several else int(labels.max()) + 1
    layout = memory_format(device)
    network = models.classifier(arch, outputs, settings.dropout, seed).to(device, memory_format=layout).train()
    optimiser = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, (settings.beta1, 0.999), weight_decay=settings.weight_decay
    )
    size = min(settings.batch_size, len(images))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs * (len(images) // size))
    rng, targets = np.random.default_rng(seed), torch.from_numpy(labels.astype(np.float32 if several else np.int64))
    epochs = tqdm(range(settings.epochs), "classifier", unit="epoch", **({} if progress else {"disable": True}))
    for _ in epochs:
        order = rng.permutation(len(images))
        for start in range(0, len(images) - size + 1, size):
            rows = order[start : start + size]
            batch = images[rows]
            if settings.mirror:
                batch = np.where(rng.random((size, 1, 1, 1)) < 0.5, batch[:, :, ::-1], batch)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                logits = network(data.to_float(batch).to(device).contiguous(memory_format=layout))
            loss = F.binary_cross_entropy_with_logits if several else F.cross_entropy
            loss = loss(logits.float(), targets[rows].to(device))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def predict(network: nn.Module, images: np.ndarray | Tensor, batch_size: int = 256) -> np.ndarray:
    """The likeliest classes (N,)."""
    return _logits(network, images, batch_size).argmax(1).numpy()


def attribute_probabilities(network: nn.Module, images: np.ndarray | Tensor, batch_size: int = 256) -> np.ndarray:
    """How likely each attribute is, float32 (N, A), for uint8 (N, H, W, C) or float (N, C, H, W) pictures."""
    return _logits(network, images, batch_size).sigmoid().numpy()


@torch.no_grad()
def _logits(network: nn.Module, images: np.ndarray | Tensor, batch_size: int) -> Tensor:
    check_pictures(images, "images")
    device = next(network.parameters()).device
    with models.mode(network, training=False):
        return torch.cat([network(part).float().cpu() for part in data.batches(images, batch_size, device)])


@torch.no_grad()
def deep_features(network: Classifier, images: np.ndarray | Tensor, batch_size: int = 256) -> np.ndarray:
    """Means over the last convolution's maps, float32 (N, widths[-1]): what a distance between sets of faces uses."""
    if not network.arch.widths:
        raise ValueError("a network without convolutions has no maps to take means over")
    device, last = next(network.parameters()).device, len(network.arch.widths) - 1
    check_pictures(images, "images")
    with models.mode(network, training=False):
        maps = (network.feature_maps(part)[last] for part in data.batches(images, batch_size, device))
        return np.concatenate([m.mean((2, 3)).float().cpu().numpy() for m in maps])


def search_settings(trials: int, seed: int = 0) -> list[Settings]:
    """What a random search tries: Settings() first, then random ones. A longer search begins with a shorter one's."""
    rng = np.random.default_rng(seed)
    return [Settings(), *(random_settings(rng) for _ in range(whole(trials, "trials", 1) - 1))]


def trial(arch, train, validation, settings: Settings, seed: int = 0, **run) -> dict:
    """One network trained on `train`, (images, labels): its settings, seed and `validation_error` from 0 to 1."""
    network = train_classifier(arch, *train, settings, seed, **run)
    error = float((predict(network, validation[0]) != validation[1]).mean())
    return {"settings": asdict(settings), "seed": seed, "validation_error": error}


def random_search(arch, train, validation, trials: int, seed: int = 0, progress: bool = True, **run) -> list[dict]:
    """Train `trials` networks on `train`, (images, labels), one with Settings() and the others with random settings.

    Rows of settings, seed and `validation_error`, the best first; those that diverge sink.
    """
    bar = tqdm(search_settings(trials, seed), "random search", delay=2, **({} if progress else {"disable": True}))
    rows = [trial(arch, train, validation, settings, seed + i, **run) for i, settings in enumerate(bar)]
    return sorted(rows, key=lambda row: row["validation_error"])
