"""The training loop of the paper (section 4) and of its released code; it resumes bit for bit.

What a step sees is a function of the seed and of the step's number alone: data order and latents are not drawn from a
stream that would have to be saved. So a checkpoint is weights, optimisers and a step number.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import functools
import json
import os
import platform
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.utils import make_grid
from tqdm import tqdm

from . import checkpoints, data, distributed, metrics, models
from .models import Architecture

FIXED = 64  # pictures of fixed noise
PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "matplotlib", "safetensors")
OPERATIONAL = ("checkpoint_seconds", "progress")  # these may differ when a run goes on: they change no number


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, how.

    Optimiser, batch and weights default to the paper's (section 4), weight decay to the released code's; network and
    schedule default to the usual port's, since they are what a reader of today's code expects.
    """

    data: str | Path  # a name of data.CARDS, or a folder, .zip or .npz
    out: str | Path  # the run's folder; the same call again goes on
    arch: str | Architecture = "tutorial64"  # its channels follow the data
    limit: int | None = None  # the first so many pictures alone
    steps: int | None = None  # minibatches; give steps or epochs
    epochs: float | None = None
    batch_size: int = 128  # of all processes together
    schedule: str = "simultaneous"  # both networks each minibatch; 'alternate': each minibatch feeds one, G first
    learning_rate: float = 2e-4
    beta1: float = 0.5
    weight_decay: float = 1e-5  # L2 in the gradient, of every parameter, as released for faces (MNIST: 2.5e-5)
    ema_decay: float | None = None  # e.g. 0.999: the weights file holds G's moving average instead
    seed: int = 0
    device: str = "auto"  # cuda, else mps, else cpu
    precision: str = "auto"  # bfloat16 (autocast) where the device has it, else float32
    log_every: int = 10  # steps between lines of stats.jsonl
    sample_every: int | None = None  # steps between fixed-noise grids; None: 24 in a run
    checkpoint_seconds: float = 30.0
    progress: bool = True

    def __post_init__(self):
        models.choose(self.schedule, ("simultaneous", "alternate"), "schedule")
        models.choose(self.precision, ("auto", "float32", "bfloat16"), "precision")
        if (self.steps is None) == (self.epochs is None):
            raise ValueError(f"give steps or epochs, one of the two; got steps={self.steps}, epochs={self.epochs}")
        positive = ("steps", "epochs", "batch_size", "learning_rate", "log_every", "sample_every")
        for name in positive:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        if self.batch_size < 2:
            raise ValueError("batch_size must be at least 2: batch norm needs neighbours")
        if not 0 <= self.beta1 < 1:
            raise ValueError(f"beta1 must be in [0, 1), got {self.beta1}")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay must be between 0 and 1, got {self.ema_decay}")


@dataclass(frozen=True)
class Run:
    """What a run left: the networks of weights.safetensors (eval mode, on the CPU) and what was measured on the way."""

    generator: models.Generator
    discriminator: models.Discriminator
    stats: list[dict]
    out: Path


class TrainingDiverged(RuntimeError):
    """A loss or a weight became NaN or infinite; the last checkpoint is from before."""


def pick_device(name: str = "auto") -> torch.device:
    """'auto': cuda, else mps, else cpu. Raises ValueError for a device that this machine lacks."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"unknown device {name!r}: expected auto, cpu, cuda, cuda:0 … or mps")
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}.get(device.type, lambda: True)
    if not there():
        raise ValueError(f"this machine has no {device.type} device: take device='cpu' or 'auto'")
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:  # one GPU a process
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


def pick_precision(name: str, device: torch.device) -> str:
    """'auto': bfloat16 where the hardware multiplies it (recent NVIDIA; CPUs with AVX512-BF16 or AMX), else float32."""
    if name != "auto":
        return name
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        fast = device.type == "cpu" and getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return "bfloat16" if fast else "float32"


def device_name(device: torch.device) -> str:
    """'NVIDIA …', or the processor's name and the threads in use."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {torch.get_num_threads()} threads"


def versions() -> dict[str, str]:
    """Of Python and of the packages that numbers depend on."""
    return {"python": platform.python_version(), **{p: metadata.version(p) for p in PACKAGES}}


def _rng(seed: int, stream: int, index: int) -> torch.Generator:
    """A generator for one purpose at one index: nothing to save, nothing to restore."""
    state = np.random.SeedSequence([seed, stream, index]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


WEIGHTS, ORDER, LATENT, FIXED_NOISE, CALIBRATION = range(5)  # streams


@functools.cache
def _keep_freed_memory() -> None:
    """Lets the C library keep large blocks that are freed; what was freed stays with the process until it ends.

    Otherwise glibc hands each activation back to Linux, which clears every page anew when the next step asks for it:
    8 % of a step of the tutorial's network. Elsewhere nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):  # no glibc
        change = ctypes.CDLL("libc.so.6").mallopt
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            change(option, value)


class _Batches:
    """Minibatch k of an endless row of shuffles of the data: every picture once an epoch, every batch full.

    Of several processes each takes its part of every minibatch. On a GPU the pictures lie in its memory as uint8 where
    half of what is free holds them; else a thread reads the next minibatch while this one is trained on.
    """

    stride = 1  # the next minibatch asked for is k + stride

    def __init__(self, images: np.ndarray, batch_size: int, seed: int, device: torch.device | None = None):
        self.images, self.batch_size, self.seed, self.device = images, batch_size, seed, device or torch.device("cpu")
        self.part = slice(distributed.rank(), None, distributed.size())  # of every minibatch
        self.orders: dict[int, Tensor] = {}
        gpu = self.device.type == "cuda"
        self.resident = (
            self._resident() if gpu and images.nbytes < torch.cuda.mem_get_info(self.device)[0] / 2 else None
        )
        self.reader = ThreadPoolExecutor(1) if gpu and self.resident is None else None
        self.ahead = (-1, None)  # the minibatch that the thread reads, and its promise

    def __getitem__(self, k: int) -> Tensor:
        """float32 (batch_size / processes, C, H, W) in [-1, 1] on the device."""
        if self.resident is not None:
            pixels = self.resident[self.indices(k).to(self.device, non_blocking=True)]
        elif self.reader is not None:
            pixels = self.ahead[1].result() if self.ahead[0] == k else self._read(k)
            self.ahead = (k + self.stride, self.reader.submit(self._read, k + self.stride))
        else:
            pixels = self._read(k)
        return data.to_float(pixels.to(self.device, non_blocking=True))  # a quarter of the bytes travels

    def indices(self, k: int) -> Tensor:
        """Which pictures this process sees in minibatch k."""
        n, at, parts = len(self.images), k * self.batch_size, []
        end = at + self.batch_size
        while at < end:
            epoch, offset = divmod(at, n)
            parts.append(self._order(epoch)[offset : offset + end - at])
            at += len(parts[-1])
        return torch.cat(parts)[self.part]

    def _read(self, k: int) -> Tensor:
        pixels = torch.from_numpy(self.images[self.indices(k).numpy()])  # a copy: (n, H, W, C) uint8
        return pixels.pin_memory() if self.device.type == "cuda" else pixels

    def _resident(self) -> Tensor:
        out = torch.empty(self.images.shape, dtype=torch.uint8, device=self.device)
        for start in range(0, len(out), 8192):  # the memory map is never in main memory as a whole
            out[start : start + 8192] = torch.from_numpy(np.array(self.images[start : start + 8192]))
        return out

    def _order(self, epoch: int) -> Tensor:
        orders = self.orders  # the thread that reads ahead may replace it
        if epoch not in orders:
            orders = {e: o for e, o in orders.items() if e == epoch - 1}
            orders[epoch] = torch.randperm(len(self.images), generator=_rng(self.seed, ORDER, epoch))
            self.orders = orders
        return orders[epoch]


class _Trainer:
    """Both networks, their optimisers and one step of either schedule."""

    def __init__(self, config: TrainConfig, arch: Architecture, images: np.ndarray):
        self.config, self.arch = config, arch
        self.device = pick_device(config.device)
        self.precision = pick_precision(config.precision, self.device)
        if config.batch_size % distributed.size():
            raise ValueError(f"batch_size {config.batch_size} does not divide into {distributed.size()} equal parts")
        if self.device.type == "cpu":
            _keep_freed_memory()
        self.batches = _Batches(images, config.batch_size, config.seed, self.device)
        if config.schedule == "alternate":  # D sees every second one
            self.batches.stride = 2
        weights_seed = _rng(config.seed, WEIGHTS, 0).initial_seed()
        self.generator, self.discriminator = models.build(arch, seed=weights_seed)
        layout = torch.preserve_format if self.device.type == "mps" else torch.channels_last
        for network in (self.generator, self.discriminator):
            network.to(self.device, memory_format=layout).train()
        self.ema = copy.deepcopy(self.generator).requires_grad_(False) if config.ema_decay else None
        if distributed.size() > 1:
            self.generator, self.discriminator = map(distributed.synchronise, (self.generator, self.discriminator))
        self.optimisers = [self._adam(self.generator), self._adam(self.discriminator)]
        self.fixed = models.sample_latent(FIXED, arch, _rng(config.seed, FIXED_NOISE, 0))

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        c = self.config
        return torch.optim.Adam(
            network.parameters(),
            c.learning_rate,
            (c.beta1, 0.999),
            weight_decay=c.weight_decay,
            fused=self.device.type != "mps",
        )

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def latent(self, k: int, stream: int = LATENT) -> Tensor:
        z = models.sample_latent(self.config.batch_size, self.arch, _rng(self.config.seed, stream, k))
        return z[self.batches.part].to(self.device, non_blocking=True)

    def step(self, k: int, log: bool) -> dict[str, Tensor]:
        """Minibatch k, counted from 0. Returns the losses and, where asked for, what `stats.jsonl` holds."""
        if self.config.schedule == "alternate":
            # As released: each minibatch feeds one network only, the generator first; G's minibatch goes unused.
            if k % 2 == 0:
                with self.autocast():
                    fake = self.generator(self.latent(k))
                return self._generator_step(fake, log)
            with torch.no_grad(), self.autocast():
                fake = self.generator(self.latent(k))
            return self._discriminator_step(self.batches[k], fake, log)
        with self.autocast():
            fake = self.generator(self.latent(k))
        d = self._discriminator_step(self.batches[k], fake.detach(), log)
        return d | self._generator_step(fake, log)

    def _discriminator_step(self, real: Tensor, fake: Tensor, log: bool) -> dict[str, Tensor]:
        optimiser = self.optimisers[1]
        optimiser.zero_grad(set_to_none=True)
        with self.autocast():  # two passes: real and generated pictures have batch statistics of their own
            on_real, on_fake = self.discriminator(real), self.discriminator(fake)
        on_real, on_fake = on_real.float(), on_fake.float()
        # The sum of the two parts, not their mean, as released.
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

    def _generator_step(self, fake: Tensor, log: bool) -> dict[str, Tensor]:
        optimiser = self.optimisers[0]
        optimiser.zero_grad(set_to_none=True)
        self.discriminator.requires_grad_(False)  # its gradients would be thrown away
        with self.autocast():
            on_fake = self.discriminator(fake)
        loss = F.softplus(-on_fake.float()).mean()  # non-saturating: -log D(G(z))
        loss.backward()
        self.discriminator.requires_grad_(True)
        distributed.average_gradients(self.generator)
        optimiser.step()
        if self.ema is not None:
            self._average()
        out = {"loss_g": loss.detach()}
        if log:
            out |= {
                "d_fake_after": on_fake.detach().float().sigmoid().mean(),
                "gradient_norm_g": _gradient_norm(self.generator),
            }
        return out

    @torch.no_grad()
    def _average(self) -> None:
        for mean, now in zip(self.ema.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(now, 1 - self.config.ema_decay)
        for mean, now in zip(self.ema.buffers(), self.generator.buffers(), strict=True):
            mean.copy_(now)

    def tensors(self) -> dict[str, Tensor]:
        """All that the next step depends on, under flat names."""
        networks = {"generator": self.generator, "discriminator": self.discriminator, "ema": self.ema}
        out = {f"{n}.{k}": v for n, net in networks.items() if net is not None for k, v in net.state_dict().items()}
        for name, optimiser in zip(("adam_g", "adam_d"), self.optimisers, strict=True):
            out |= {f"{name}.{k}": v for k, v in checkpoints.optimiser_tensors(optimiser).items()}
        return out

    def restore(self, tensors: dict[str, Tensor]) -> None:
        def part(name: str) -> dict[str, Tensor]:
            return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}

        self.generator.load_state_dict(part("generator"))
        self.discriminator.load_state_dict(part("discriminator"))
        if self.ema is not None:
            self.ema.load_state_dict(part("ema"))
        for name, optimiser in zip(("adam_g", "adam_d"), self.optimisers, strict=True):
            checkpoints.restore_optimiser(optimiser, part(name))

    def alone(self, network: nn.Module) -> nn.Module:
        """A copy whose batch norm asks no other process."""
        if distributed.size() == 1 or network is self.ema:
            return copy.deepcopy(network)
        out = type(network)(self.arch).to(self.device)
        out.load_state_dict(network.state_dict())
        return out.train(network.training)

    def final(self) -> tuple[models.Generator, models.Discriminator]:
        """Copies for sampling: the moving average where there is one, batch-norm statistics of ten fresh batches."""
        generator, discriminator = self.alone(self.ema or self.generator), self.alone(self.discriminator)
        self.batches.part, self.batches.ahead = slice(None), (-1, None)  # whole minibatches
        with self.autocast():
            models.calibrate(generator, (self.latent(i, CALIBRATION) for i in range(10)))
            models.calibrate(discriminator, (self.batches[i] for i in range(10)))
        return generator.cpu().eval(), discriminator.cpu().eval()


def _gradient_norm(network: nn.Module) -> Tensor:
    return torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None]))


def train(config: TrainConfig, extend: bool = False) -> Run:
    """Train, or go on where the same call stopped; return the networks and the statistics.

    Writes under `config.out`: run.json (settings, data fingerprint, versions), stats.jsonl, samples/step_*.png (the
    same 64 latents each time), state.safetensors (the checkpoint) and, at the end, weights.safetensors.
    Started by torchrun or accelerate, each process takes its part of every minibatch; process 0 alone writes, and a run
    may go on with another number of processes. The folder must be one that all of them see.
    On a CPU the process keeps large blocks of memory that it frees, which is faster, until it ends.
    On a CPU in float32 a run that was killed at any moment and started again ends with the same bits as one that was
    not (same machine and threads). `extend` allows more steps than the folder's run was started with.

    Raises ValueError when the folder holds a run with other settings or other pictures (naming what differs), or when
    another process trains there; TrainingDiverged when numbers become NaN; OSError when the disk is full, with the
    earlier checkpoint kept. Warns in words when training looks collapsed.
    """
    out = Path(config.out).expanduser()
    arch = models.architecture(config.arch)
    images = data.load(config.data, image_size=arch.image_size, limit=config.limit)
    arch = models.architecture(arch, channels=images.channels)
    steps = config.steps or max(1, round(config.epochs * len(images) / config.batch_size))
    out.mkdir(parents=True, exist_ok=True)
    try:
        with (
            distributed.group(pick_device(config.device)),
            FileLock(out / f".lock{distributed.rank() or ''}", timeout=0),
        ):
            return _train(config, arch, images, steps, out, extend)
    except Timeout:
        raise ValueError(f"another process is training in {out}: wait for it or choose another folder") from None


def _train(config, arch, images: data.ImageSet, steps: int, out: Path, extend: bool) -> Run:
    trainer = _Trainer(config, arch, images.images)
    settings = _settings(config, arch, images, steps)
    device, writer = trainer.device, distributed.rank() == 0
    distributed.agree(int(images.fingerprint[:15], 16), "pictures (the start of their fingerprint)", device)
    state, weights = out / "state.safetensors", out / checkpoints.FILE
    _check_same(out / "run.json", settings, extend)  # every process sees the same file
    distributed.wait()  # and has read it before it is written
    if writer:
        resolved = {"precision": trainer.precision, "device": device_name(trainer.device), "versions": versions()}
        resolved |= {"processes": distributed.size()}
        for stale in out.glob(".*.part"):  # of a process that was killed while writing
            stale.unlink()
        checkpoints.write_bytes(out / "run.json", json.dumps(settings | {"resolved": resolved}, indent=1).encode())
    finished = weights.exists() and checkpoints.info(weights)["about"].get("step") == steps
    distributed.agree(int(finished), "whether the run is finished (0 or 1)", device)
    if finished:
        stats = out / "stats.jsonl"
        return Run(*checkpoints.load(weights), read_stats(stats) if stats.exists() else [], out)
    progress = config.progress and writer
    if progress:
        what = f"{images.name}: {len(images):,} pictures; {trainer.precision} on {device_name(trainer.device)}"
        tqdm.write(what, file=sys.stderr)
    done = 0
    if state.exists():
        about, tensors = checkpoints.load_state(state)
        trainer.restore(tensors)
        done = about["step"]
    distributed.agree(done, "the checkpoint's step", device)
    stats = _keep_until(out / "stats.jsonl", done) if writer else []

    def save(step: int) -> None:
        if not checkpoints.parameters_finite(trainer.generator, trainer.discriminator):
            raise _diverged(step, out)
        checkpoints.save_state(state, trainer.tensors(), {"step": step})

    sample_every = config.sample_every or max(1, steps // 24)
    watch = _Watch(images, stats)
    if done == 0 and writer:
        _grid(trainer, 0, out)
    saved = logged = time.monotonic()
    quiet = {} if progress else {"disable": True}  # else TQDM_DISABLE decides
    bar = tqdm(total=steps, initial=done, desc=f"training on {images.name}", unit="step", **quiet)
    with bar, _finish_step_first() as stop, open(out / "stats.jsonl" if writer else os.devnull, "a") as lines:
        for k in range(done, steps):
            # 'alternate' logs a pair of steps, one of each network
            log = (k // 2 if config.schedule == "alternate" else k) % config.log_every == 0 or k == steps - 1
            values = trainer.step(k, log)
            step = k + 1
            bar.update()
            if log:
                found = distributed.mean(torch.stack([v.float() for v in values.values()])).tolist()
                row = {n: float(f"{v:.6g}") for n, v in zip(values, found, strict=True)}
                if not all(np.isfinite(v) for v in row.values()):
                    raise _diverged(step, out)
                now = time.monotonic()
                since = step - (stats[-1]["step"] if stats and stats[-1]["step"] > done else done)
                rate = round(since * config.batch_size / max(now - logged, 1e-9), 1)
                logged = now
                epoch = round(step * config.batch_size / len(images), 4)
                row = {"step": step, "epoch": epoch, **row, "images_per_second": rate}
                stats.append(row)
                lines.write(json.dumps(row) + "\n")
                lines.flush()
                bar.set_postfix({n: f"{row[n]:.2f}" for n in ("loss_d", "loss_g") if n in row}, refresh=False)
                if writer:
                    watch.statistics(stats)
            if writer and (step % sample_every == 0 or step == steps):
                watch.samples(_grid(trainer, step, out), step)
            # processes must stop at the same step, so they ask each other, where they wait for the device anyway
            stopping = distributed.anyone(stop.is_set(), device) if log or distributed.size() == 1 else False
            if writer and (stopping or step == steps or time.monotonic() - saved > config.checkpoint_seconds):
                save(step)
                saved = time.monotonic()
            if stopping:
                distributed.wait()  # nobody leaves before the checkpoint is there
                raise KeyboardInterrupt(f"stopped after step {step} of {steps}; the same call goes on from there")
    if writer:
        generator, discriminator = trainer.final()
        about = {k: settings[k] for k in ("config", "pictures")} | {"step": steps}
        checkpoints.save(weights, generator, discriminator, about)
    distributed.wait()  # nobody goes on before the weights are there
    if not writer:
        generator, discriminator = checkpoints.load(weights)
    return Run(generator, discriminator, stats, out)


def _settings(config: TrainConfig, arch: Architecture, images: data.ImageSet, steps: int) -> dict:
    values = {k: v for k, v in asdict(config).items() if k not in (*OPERATIONAL, "arch", "out")}
    values |= {"data": images.name, "steps": steps}  # by name and fingerprint: a folder may be moved
    return {
        "config": values,
        "architecture": arch.to_dict(),
        "pictures": {"images": len(images), "fingerprint": images.fingerprint},
    }


def _check_same(path: Path, settings: dict, extend: bool) -> None:
    """Refuse to go on with other settings than those that started the run, and say which differ."""
    if not path.exists():
        return
    try:
        there = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged ({error}): move its folder away and start again") from error
    differ = []
    for part, now in settings.items():
        before = there.get(part, {})
        differ += [(k, before.get(k), now.get(k)) for k in {**before, **now} if before.get(k) != now.get(k)]
    if extend and settings["config"]["steps"] >= there["config"]["steps"]:
        differ = [row for row in differ if row[0] not in ("steps", "epochs")]
    if differ:
        listed = "\n".join(f"  {k}: {before!r} there, {now!r} now" for k, before, now in differ)
        more = (
            "; to train it for longer, add extend (--extend)" if {r[0] for r in differ} <= {"steps", "epochs"} else ""
        )
        raise ValueError(
            f"{path.parent} holds a run with other settings:\n{listed}\n"
            f"Choose another folder, or give the settings that it was started with{more}."
        )


def _keep_until(path: Path, step: int) -> list[dict]:
    """The lines up to the checkpoint's step; later or torn ones are dropped, since those steps come again."""
    rows = [row for row in read_stats(path) if row["step"] <= step] if path.exists() else []
    checkpoints.write_bytes(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
    return rows


def read_stats(path: str | Path) -> list[dict]:
    """The whole lines of a stats.jsonl, also of one that is being written."""
    rows = []
    for line in Path(path).read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows


def _grid(trainer: _Trainer, step: int, out: Path) -> Tensor:
    """Draw the fixed latents with batch statistics, as the released code samples; write and return the pictures."""
    if not checkpoints.parameters_finite(trainer.generator):
        raise _diverged(step, out)
    with trainer.autocast():
        images = models.sample(trainer.alone(trainer.ema or trainer.generator), trainer.fixed, "batch", FIXED)
    grid = data.to_uint8(make_grid(images, nrow=8, padding=0)[None])[0]
    (out / "samples").mkdir(exist_ok=True)
    Image.fromarray(grid).save(out / "samples" / f"step_{step:07d}.png")
    return images


def _diverged(step: int, out: Path) -> TrainingDiverged:
    return TrainingDiverged(
        f"losses or weights became NaN or infinite by step {step}; {out} keeps the last sound checkpoint, but going on "
        "from it with the same settings ends here again. Try, in a new folder: precision='float32', a lower "
        "learning_rate (1e-4), norm_eps=1e-5, or a look at the pictures (all of one colour?)"
    )


class _Watch:
    """Says in words, once each, when training looks collapsed."""

    LONG = 50  # logged lines

    def __init__(self, images: data.ImageSet, stats: list[dict]):
        self.said: set[str] = set()
        self.real_spread = metrics.spread(images.tensor(slice(0, 256)))

    def _say(self, kind: str, text: str) -> None:
        if kind not in self.said:
            self.said.add(kind)
            warnings.warn(text, stacklevel=4)

    def statistics(self, stats: list[dict]) -> None:
        rows = [row for row in stats[-2 * self.LONG :] if "accuracy_d" in row][-self.LONG :]
        if len(rows) == self.LONG and all(row["accuracy_d"] > 0.999 for row in rows):
            self._say(
                "accuracy",
                f"D told every real picture from every generated one in the last {self.LONG} logged steps (up to step "
                f"{stats[-1]['step']}): G learns little from it. Try a lower learning rate for both, more pictures, "
                "batch norm in both networks, or the schedule 'simultaneous'; look at the samples before you stop it.",
            )

    def samples(self, images: Tensor, step: int) -> None:
        spread = metrics.spread(images)
        if step > 100 and spread < 0.05 * self.real_spread:
            self._say(
                "spread",
                f"at step {step} the samples hardly differ from each other (spread {spread:.4f}; real pictures "
                f"{self.real_spread:.3f}): G has collapsed to one picture. Try another seed, batch norm in G, a "
                "learning rate of 1e-4, or a larger batch.",
            )


@contextlib.contextmanager
def _finish_step_first() -> Iterator[threading.Event]:
    """Ctrl-C, a notebook's stop button and SIGTERM ask for a checkpoint at the end of the step."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may catch signals
        yield stop
        return

    def ask(*_) -> None:
        # asked twice: now, without a checkpoint; but launchers of several processes ask again on their own
        if stop.is_set() and distributed.size() == 1:
            raise KeyboardInterrupt("stopped at once; the same call goes on from the last checkpoint")
        stop.set()

    before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)
