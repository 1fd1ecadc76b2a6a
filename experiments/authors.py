"""The authors' released discriminators, where DCGAN_AUTHORS names the folder models/ of Newmu/dcgan_code."""

from __future__ import annotations

import os
from pathlib import Path

from dcgan_lib import checkpoints, data, models

HOW = "git clone --depth 1 https://github.com/Newmu/dcgan_code, then DCGAN_AUTHORS=dcgan_code/models"
FOLDERS = {
    "svhn": "svhn_unsup_all_conv_dcgan_100z_gaussian_lr_0.0005_64mb",
    "imagenet": "imagenet_gan_pretrain_128f_relu_lrelu_7l_3x3_256z",
}
FIRST = 4  # convolutions of the ImageNet D whose files are small enough for every copy of the repository
LACKING = f"DCGAN_AUTHORS is not set: {HOW}"


def discriminator(name: str, partial: bool = False) -> models.Discriminator:
    """D of "svhn" or "imagenet"; `partial` as in `checkpoints.load_authors`. Raises NotAvailable and says how."""
    if not (folder := os.environ.get("DCGAN_AUTHORS")):
        raise data.NotAvailable(LACKING)
    return checkpoints.load_authors(Path(folder) / FOLDERS[name], partial)[1]
