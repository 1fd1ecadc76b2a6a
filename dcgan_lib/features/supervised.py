"""The supervised control of the paper's section 5.2: D's architecture trained on the labels alone, by random search."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from .. import data, models, training


@dataclass(frozen=True)
class Settings:
    """What the random search varies; the ranges are `random_settings`."""

    learning_rate: float = 1e-3
    beta1: float = 0.9
    weight_decay: float = 1e-4  # decoupled (AdamW)
    dropout: float = 0.0  # before the last layer
    batch_size: int = 64
    epochs: int = 30


def classifier(arch: str | models.Architecture, classes: int, dropout: float = 0.0, seed: int = 0) -> nn.Module:
    """D with a linear layer to the classes in place of the one to 'real': images (N, C, H, W) → logits (N, classes)."""
    _, network = models.build(arch, seed=seed)
    network.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(network.head.in_features, classes))
    models.initialise(network.head, torch.Generator().manual_seed(seed))
    nn.init.zeros_(network.head[1].bias)
    return network


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


def train_classifier(
    arch, images: np.ndarray, labels: np.ndarray, settings: Settings, seed: int = 0, device="auto", precision="auto"
) -> nn.Module:
    """Train on uint8 (N, H, W, C) and labels 0 … K-1 with cross-entropy; in eval mode. The rate falls to 0 by a cosine.

    The last batch of an epoch is dropped when it is short (batch norm).
    """
    device = training.pick_device(device)
    half = training.pick_precision(precision, device) == "bfloat16"
    torch.manual_seed(seed)  # dropout's masks
    arch = models.architecture(arch, image_size=images.shape[1], channels=images.shape[-1])
    network = classifier(arch, int(labels.max()) + 1, settings.dropout, seed).to(device)
    if device.type != "mps":
        network.to(memory_format=torch.channels_last)
    network.train()
    optimiser = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, (settings.beta1, 0.999), weight_decay=settings.weight_decay
    )
    size = min(settings.batch_size, len(images))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs * (len(images) // size))
    rng, targets = np.random.default_rng(seed), torch.from_numpy(labels.astype(np.int64))
    for _ in range(settings.epochs):
        order = rng.permutation(len(images))
        for start in range(0, len(images) - size + 1, size):
            rows = order[start : start + size]
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                logits = network(data.to_float(images[rows]).to(device))
            loss = F.cross_entropy(logits.float(), targets[rows].to(device))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def predict(network: nn.Module, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """uint8 (N, H, W, C) → the likeliest classes (N,)."""
    device = next(network.parameters()).device
    parts = (data.to_float(images[s : s + batch_size]).to(device) for s in range(0, len(images), batch_size))
    return torch.cat([network(part).argmax(1) for part in parts]).cpu().numpy()


def random_search(arch, train, validation, trials: int, seed: int = 0, progress: bool = True, **run) -> list[dict]:
    """Train `trials` networks on `train`, (images, labels), one with Settings() and the others with random settings.

    Rows of settings, seed and `validation_error`, the best first; those that diverge sink.
    """
    rng, rows = np.random.default_rng(seed), []
    chosen = [Settings(), *(random_settings(rng) for _ in range(trials - 1))]
    for i, settings in enumerate(tqdm(chosen, "random search", delay=2, **({} if progress else {"disable": True}))):
        network = train_classifier(arch, *train, settings, seed + i, **run)
        error = float((predict(network, validation[0]) != validation[1]).mean())
        rows.append({"settings": asdict(settings), "seed": seed + i, "validation_error": error})
    return sorted(rows, key=lambda row: row["validation_error"])
