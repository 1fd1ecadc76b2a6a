"""Both networks, their optimisers and one step of either schedule (paper section 4). No files, no loop."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import checkpoints, data, device, distributed, models
from ..architecture import Architecture
from ..config import TrainConfig
from . import streams
from .capture import Captured
from .minibatches import Minibatches, check_labels

FIXED = 64  # latents that are drawn again and again while training goes on
COLUMNS = 8  # of their sheet
CALIBRATION_BATCHES = 10


def initial_networks(arch: Architecture, seed: int) -> tuple[models.Generator, models.Discriminator]:
    """G and D as a training with this seed begins with them."""
    return models.build(arch, seed=streams.generator(seed, streams.WEIGHTS, 0).initial_seed())


class Trainer:
    """G and D with their Adams; `step(k)` trains on minibatch k. The loop of `train`, benchmarks and students call it.

    >>> trainer = Trainer(config, arch, images)  # images: uint8 (N, H, W, C)
    >>> for k in range(1000):
    ...     losses = trainer.step(k)
    >>> generator, discriminator = trainer.finished()

    `arch.classes` decides whether both networks are told the labels, which `images` then must have (ImageSet).
    On one NVIDIA GPU a step is recorded as a CUDA graph at its fourth call and replayed from then on: what changes it
    in Python (layers that are frozen, hooks, a learning rate) comes before that, or after `trainer.captures = False`.
    Raises ValueError where the batch does not divide into equal parts of the processes, `config.start` holds networks
    of another architecture, or the labels do not fit.
    """

    def __init__(self, config: TrainConfig, arch: Architecture, images: np.ndarray | data.ImageSet):
        self.config, self.arch = config, arch
        self.device = device.pick_device(config.device)
        self.precision = device.pick_precision(config.precision, self.device)
        if config.batch_size % distributed.world_size():
            raise ValueError(
                f"batch_size {config.batch_size} does not divide into {distributed.world_size()} equal parts"
            )
        if arch.classes:
            check_labels(images, arch.classes)
        if self.device.type == "cpu":
            device.keep_freed_memory()
        labels = images.labels if isinstance(images, data.ImageSet) else None
        pixels = images.images if isinstance(images, data.ImageSet) else images
        stride = 2 if config.schedule == "alternate" else 1  # then D sees every second minibatch
        self.batches = Minibatches(pixels, config.batch_size, config.seed, self.device, labels, stride)
        self.length = config.length(len(pixels))
        self.generator, self.discriminator = initial_networks(arch, config.seed)
        if config.start is not None:
            self._start_from(config.start)
        layout = device.memory_format(self.device)
        for network in (self.generator, self.discriminator):
            network.to(self.device, memory_format=layout).train()
        self.average = copy.deepcopy(self.generator).requires_grad_(False) if config.ema_decay else None
        if distributed.world_size() > 1:
            self.generator, self.discriminator = map(distributed.synchronise, (self.generator, self.discriminator))
        self.captures = self.device.type == "cuda" and torch.version.cuda is not None and distributed.world_size() == 1
        self.recorded: dict[str, Captured] = {}  # by the part of a step
        self.optimisers = [self._adam(self.generator), self._adam(self.discriminator)]
        self.fixed = models.sample_latent(FIXED, arch, streams.generator(config.seed, streams.FIXED_NOISE, 0))
        self.columns, self.fixed_labels = COLUMNS, None  # of the sheet of fixed latents: 8, or one a class
        if arch.classes:
            self.columns = arch.classes if 2 <= arch.classes <= FIXED // 2 else COLUMNS
            self.fixed = self.fixed[: FIXED // self.columns * self.columns]  # whole rows
            self.fixed_labels = torch.arange(len(self.fixed)) % arch.classes

    def _start_from(self, name) -> None:
        """The weights of a file in place of random ones; a network that it lacks starts anew."""
        for network, there in zip((self.generator, self.discriminator), checkpoints.load(name), strict=True):
            if there is not None and there.arch != self.arch:
                changed = there.arch.differences(self.arch)
                raise ValueError(f"start={str(name)!r} holds networks of another architecture: there {changed}")
            if there is not None:
                network.load_state_dict(there.state_dict())

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        c, rate = self.config, self.config.learning_rate
        if self.captures and c.decay_after is not None:
            rate = torch.tensor(rate, device=self.device)  # a number would stay as it was recorded
        return torch.optim.Adam(
            network.parameters(),
            rate,
            (c.beta1, 0.999),
            weight_decay=c.weight_decay,
            fused=self.device.type != "mps",
            capturable=self.captures,
        )

    def autocast(self) -> torch.autocast:
        """bfloat16 for convolutions and products where the precision says so."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def latent(self, k: int, stream: int = streams.LATENT) -> Tensor:
        """This process's part of minibatch k's latents, (batch_size / processes, latent_dim)."""
        z = models.sample_latent(self.config.batch_size, self.arch, streams.generator(self.config.seed, stream, k))
        return self.batches.sent(z[self.batches.part])

    def labels(self, k: int) -> Tensor | None:
        """This process's part of minibatch k's labels, (batch_size / processes,); None without classes.

        As released, its latents take them too: G draws what the real pictures beside its own show.
        """
        return self.batches.labels(k) if self.arch.classes else None

    def step(self, k: int, log: bool = False) -> dict[str, Tensor]:
        """Train on minibatch k, counted from 0. Returns the losses and, with `log`, what `stats.jsonl` holds."""
        if self.config.decay_after is not None:
            rate = self.config.rate(k, self.length)
            for group in (group for optimiser in self.optimisers for group in optimiser.param_groups):
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate
        latent, labels = self.latent(k), self.labels(k)
        if self.config.schedule != "alternate":
            return self._run(self._train_both, log, self.batches[k], latent, labels)
        # As released: each minibatch feeds one network only, the generator first; of G's, the pictures go unused.
        if k % 2 == 0:
            return self._run(self._train_generator, log, latent, labels)
        return self._run(self._train_discriminator, log, self.batches[k], latent, labels)

    def _run(self, part, log: bool, *inputs: Tensor | None) -> dict[str, Tensor]:
        """One of the three below, as a CUDA graph where there is one."""
        if not self.captures:
            return part(*inputs, log=log)
        if part.__name__ not in self.recorded:
            self.recorded[part.__name__] = Captured(self.device)
        # What is logged is in the graph at every step: a second graph without it would hold all activations once more.
        found = self.recorded[part.__name__](partial(part, log=True), *inputs)
        return {name: value for name, value in found.items() if log or name.startswith("loss")}

    def _train_both(self, real: Tensor, latent: Tensor, labels: Tensor | None, log: bool) -> dict[str, Tensor]:
        """The usual port: one minibatch feeds both, and the pictures are drawn once.

        D learns from G's pictures without a gradient to G, then G learns from the D that this step has already changed.
        """
        with self.autocast():
            fake = self.generator(latent, labels)
        d = self._discriminator_step(real, fake.detach(), labels, log)
        return d | self._generator_step(fake, labels, log)

    def _train_generator(self, latent: Tensor, labels: Tensor | None, log: bool) -> dict[str, Tensor]:
        with self.autocast():
            fake = self.generator(latent, labels)
        return self._generator_step(fake, labels, log)

    def _train_discriminator(self, real: Tensor, latent: Tensor, labels: Tensor | None, log: bool) -> dict[str, Tensor]:
        with torch.no_grad(), self.autocast():
            fake = self.generator(latent, labels)
        return self._discriminator_step(real, fake, labels, log)

    def _discriminator_step(self, real: Tensor, fake: Tensor, labels: Tensor | None, log: bool) -> dict[str, Tensor]:
        optimiser = self.optimisers[1]
        optimiser.zero_grad(set_to_none=True)
        with self.autocast():  # two passes: real and generated pictures have batch statistics of their own
            on_real, on_fake = self.discriminator(real, labels), self.discriminator(fake, labels)
        on_real, on_fake = on_real.float(), on_fake.float()
        # -log D(x) - log(1 - D(G(z))) on logits. The sum of the two parts, not their mean, as released.
        loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        loss.backward()
        distributed.average_gradients(self.discriminator)
        optimiser.step()
        out = {"loss_d": loss.detach()}
        if log:
            out |= {
                "d_real": on_real.detach().sigmoid().mean(),
                "d_fake": on_fake.detach().sigmoid().mean(),
                "accuracy_d": torch.cat([on_real > 0, on_fake < 0]).float().mean(),
                "gradient_norm_d": _gradient_norm(self.discriminator),
            }
        return out

    def _generator_step(self, fake: Tensor, labels: Tensor | None, log: bool) -> dict[str, Tensor]:
        optimiser = self.optimisers[0]
        optimiser.zero_grad(set_to_none=True)
        self.discriminator.requires_grad_(False)  # its gradients would be thrown away
        with self.autocast():
            on_fake = self.discriminator(fake, labels)
        loss = F.softplus(-on_fake.float()).mean()  # non-saturating: -log D(G(z))
        loss.backward()
        self.discriminator.requires_grad_(True)
        distributed.average_gradients(self.generator)
        optimiser.step()
        if self.average is not None:
            self._update_average()
        out = {"loss_g": loss.detach()}
        if log:
            out |= {
                "d_fake_after": on_fake.detach().float().sigmoid().mean(),
                "gradient_norm_g": _gradient_norm(self.generator),
            }
        return out

    @torch.no_grad()
    def _update_average(self) -> None:
        """G's moving average of weights; its batch-norm statistics are set anew where it is used."""
        for mean, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(now, 1 - self.config.ema_decay)

    def tensors(self) -> dict[str, Tensor]:
        """All that the next step depends on, under flat names."""
        networks = {"generator": self.generator, "discriminator": self.discriminator, "ema": self.average}
        out = {f"{n}.{k}": v for n, net in networks.items() if net is not None for k, v in net.state_dict().items()}
        for name, optimiser in zip(("adam_g", "adam_d"), self.optimisers, strict=True):
            out |= {f"{name}.{k}": v for k, v in checkpoints.optimiser_tensors(optimiser).items()}
        return out

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `tensors` gave. Raises ValueError that names what is missing or does not fit."""

        def part(name: str) -> dict[str, Tensor]:
            return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}

        networks = {"generator": self.generator, "discriminator": self.discriminator}
        networks |= {} if self.average is None else {"ema": self.average}
        optimisers = dict(zip(("adam_g", "adam_d"), self.optimisers, strict=True))
        if missing := [name for name in networks | optimisers if not part(name)]:
            raise ValueError(f"the checkpoint lacks {', '.join(missing)}")
        for name, network in networks.items():
            checkpoints.check_state(network, part(name), f"the checkpoint's {name}")
            network.load_state_dict(part(name))
        for name, optimiser in optimisers.items():
            checkpoints.restore_optimiser(optimiser, part(name))
        self.recorded = {}  # graphs know the moments by their place in memory

    def local(self, network: nn.Module) -> nn.Module:
        """A copy whose batch norm asks no other process; that of the moving average can be trained, too."""
        if distributed.world_size() == 1 or network is self.average:
            return copy.deepcopy(network).requires_grad_(True)
        out = type(network)(self.arch).to(self.device)
        out.load_state_dict(network.state_dict())
        return out.train(network.training)

    def draw_fixed(self) -> Tensor:
        """Pictures (64, C, H, W) of the fixed latents with batch statistics, as the released code samples.

        With classes, one a column of the sheet, of as many as make whole rows.
        """
        with self.autocast():
            generator = self.local(self.average or self.generator)
            return models.sample(generator, self.fixed, "batch", FIXED, self.fixed_labels)

    @torch.no_grad()
    def snapshot(self) -> tuple[models.Generator, models.Discriminator]:
        """Networks to sample from in the middle of a run: as `finished`, with batch norm's running averages.

        They trail the weights a little, and cost nothing.
        """
        generator, discriminator = self.local(self.average or self.generator), self.local(self.discriminator)
        for buffer, now in zip(generator.buffers(), self.generator.buffers(), strict=True):
            buffer.copy_(now)
        return generator.cpu().eval(), discriminator.cpu().eval()

    def finished(self) -> tuple[models.Generator, models.Discriminator]:
        """Networks to sample from, in eval mode on the CPU: G's moving average where there is one.

        Batch norm's statistics are means over ten batches, since those kept while training trail the weights. The
        trainer's own networks stay as they are.
        """
        generator, discriminator = self.local(self.average or self.generator), self.local(self.discriminator)
        part, ahead = self.batches.part, self.batches.ahead
        self.batches.whole()
        try:
            with self.autocast():
                batches = range(CALIBRATION_BATCHES)
                models.calibrate(generator, ((self.latent(i, streams.CALIBRATION), self.labels(i)) for i in batches))
                models.calibrate(discriminator, ((self.batches[i], self.labels(i)) for i in batches))
        finally:
            self.batches.part, self.batches.ahead = part, ahead
        return generator.cpu().eval(), discriminator.cpu().eval()


def _gradient_norm(network: nn.Module) -> Tensor:
    return torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None]))
