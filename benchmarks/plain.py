"""The loop that tutorials teach, written plainly: what a reader would run instead of `dcgan_lib.training`.

Eager float32 in the default memory layout; a folder of JPEGs, decoded, resized and normalised by a DataLoader's workers
for every epoch; sigmoid and BCELoss; D's gradients computed (and thrown away) in G's step; both losses read every step.
The networks are the library's, so that both loops do the same arithmetic.
"""

from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.io import ImageReadMode, decode_image

from dcgan_lib import models


class Folder(Dataset):
    """JPEGs of a folder as float (C, size, size) in [-1, 1]."""

    def __init__(self, folder: Path, size: int):
        self.files = sorted(Path(folder).glob("*.jpg"))
        self.change = transforms.Compose(
            [
                transforms.Resize(size, antialias=True),
                transforms.CenterCrop(size),
                transforms.ConvertImageDtype(torch.float32),
                transforms.Normalize([0.5] * 3, [0.5] * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.change(decode_image(str(self.files[i]), ImageReadMode.RGB))


class Loop:
    """One step a call; both networks a minibatch. `batches` are float (N, C, H, W)."""

    def __init__(self, arch: models.Architecture, batches, device: torch.device, seed: int):
        self.generator, self.discriminator = (n.to(device).train() for n in models.build(arch, seed=seed))
        self.batches, self.device, self.latent_dim = batches, device, arch.latent_dim
        settings = {"lr": 2e-4, "betas": (0.5, 0.999)}
        self.optimiser_d = torch.optim.Adam(self.discriminator.parameters(), **settings)
        self.optimiser_g = torch.optim.Adam(self.generator.parameters(), **settings)
        self.loss = nn.BCELoss()

    def latent(self, n: int) -> torch.Tensor:
        return torch.rand(n, self.latent_dim, device=self.device) * 2 - 1

    def step(self) -> tuple[float, float]:
        real = next(self.batches).to(self.device)
        ones = torch.ones(len(real), device=self.device)
        zeros = torch.zeros(len(real), device=self.device)
        self.discriminator.zero_grad()
        loss_real = self.loss(torch.sigmoid(self.discriminator(real)).view(-1), ones)
        loss_real.backward()
        fake = self.generator(self.latent(len(real)))
        loss_fake = self.loss(torch.sigmoid(self.discriminator(fake.detach())).view(-1), zeros)
        loss_fake.backward()
        self.optimiser_d.step()
        self.generator.zero_grad()
        loss_g = self.loss(torch.sigmoid(self.discriminator(fake)).view(-1), ones)
        loss_g.backward()
        self.optimiser_g.step()
        return loss_real.item() + loss_fake.item(), loss_g.item()


def forever(folder: Path, size: int, batch_size: int, workers: int):
    """Minibatches of a folder, epoch after epoch."""
    loader = DataLoader(
        Folder(folder, size), batch_size, shuffle=True, num_workers=workers, drop_last=True,
        persistent_workers=workers > 0,
    )  # fmt: skip
    while True:
        yield from loader
