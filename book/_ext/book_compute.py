"""What small compute costs: each training of ours beside the paper's, with its data, steps and multiplications.

Ours come from results/training_*.json and from the architectures; the paper's data and networks from book/compute.yml.
Nothing here knows Sphinx.
"""

from __future__ import annotations

from functools import cache

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from dcgan_lib import models
from dcgan_lib.architecture import ARCHITECTURES, Architecture, architecture

BATCH = 2  # of the counted step: batch norm needs two


@cache
def multiplications(arch: Architecture) -> float:
    """Of one training step, a picture: both networks, forward and backward, counted without computing anything."""
    with torch.device("meta"):
        generator, discriminator = models.Generator(arch), models.Discriminator(arch)
        real = torch.empty(BATCH, arch.channels, arch.image_size, arch.image_size)
        z = torch.empty(BATCH, arch.latent_dim)
        labels = torch.zeros(BATCH, dtype=torch.int64) if arch.classes else None
        with FlopCounterMode(display=False) as counter:
            fake = generator(z, labels)
            on_real, on_fake = discriminator(real, labels), discriminator(fake.detach(), labels)
            (F.softplus(-on_real).mean() + F.softplus(on_fake).mean()).backward()
            discriminator.requires_grad_(False)
            F.softplus(-discriminator(fake, labels)).mean().backward()
    return counter.get_total_flops() / 2 / BATCH


def parameters(arch: Architecture) -> int:
    with torch.device("meta"):
        return sum(map(models.parameter_count, (models.Generator(arch), models.Discriminator(arch))))


def of_paper(entry: dict) -> dict:
    """One pass through the paper's data, since it does not say how many it made."""
    arch = architecture(entry["arch"])
    return {
        "data": entry["data"],
        "seen": "one pass" if entry.get("pictures") else "not said",
        "batch": entry["batch"],
        "network": entry["arch"],
        "parameters": parameters(arch),
        "multiplications": entry["pictures"] * multiplications(arch) if entry.get("pictures") else None,
    }


def of_ours(record: dict) -> dict:
    """All of one recorded training. `time` by the median rate of the steps, without measuring and checkpoints."""
    settings, measured = record["settings"], record["measured"]
    arch = Architecture.from_dict(settings["architecture"])
    seen = measured["steps"] * settings["batch_size"]
    return {
        "data": f"{record['data']['images']:,} pictures of {record['data']['name']}",
        "seen": f"{measured['steps']:,} steps, {seen / record['data']['images']:.3g} passes",
        "batch": settings["batch_size"],
        "network": next(
            (n for n, a in ARCHITECTURES.items() if a == arch), f"widths {', '.join(map(str, arch.widths))}"
        ),
        "parameters": parameters(arch),
        "multiplications": seen * multiplications(arch),
        "time": duration(seen / measured["images_per_second_median"]),
        "device": record["device"],
    }


def duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"


def in_words(count: float) -> str:
    """1.23e15 → '1.2 × 10¹⁵'."""
    mantissa, exponent = f"{count:.1e}".split("e")
    return f"{mantissa} × 10" + str(int(exponent)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
