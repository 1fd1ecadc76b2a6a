"""The training loop of the paper (section 4) and of its released code; it resumes bit for bit.

What a step sees is a function of the seed and of the step's number (`minibatches`, `streams`), so a checkpoint is
weights, optimisers and a number. `trainer` holds the networks and one step, `folder` the files, `watch` the warnings.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from .. import checkpoints, data, device, distributed, models
from ..architecture import Architecture, architecture
from ..config import TrainConfig
from . import board, streams
from .folder import LENGTH, RunFolder, read_stats, settings_of, start_place
from .interrupts import finish_step_first
from .minibatches import Minibatches, check_labels
from .trainer import Trainer, initial_networks
from .watch import Watch

__all__ = [
    "Minibatches",
    "Run",
    "RunFolder",
    "TrainConfig",
    "Trainer",
    "TrainingDiverged",
    "Watch",
    "finish",
    "initial_networks",
    "read_stats",
    "streams",
    "train",
]


@dataclass(frozen=True)
class Run:
    """What a run left: the networks of weights.safetensors (eval mode, on the CPU) and what was measured on the way."""

    generator: models.Generator
    discriminator: models.Discriminator
    stats: list[dict]
    out: Path


class TrainingDiverged(RuntimeError):
    """A loss or a weight became NaN or infinite; the last checkpoint is from before."""


def train(
    config: TrainConfig | str | Path | data.ImageSet,
    images: data.ImageSet | None = None,
    *,
    extend: bool = False,
    switch: bool = False,
    **settings,
) -> Run:
    """Train, or go on where the same call stopped; return the networks and the statistics.

    `config` says all, and `images`, where given, replace what it would load: `train(config, images=faces)`. In short
    form `train("digits", out="runs/first", steps=500)`: a name, a path, an ImageSet, a uint8 array (N, H, W, C) or a
    torchvision data set, and TrainConfig's fields.

    Writes under `config.out` what `folder` lists; weights to sample from are there from the first checkpoint on.
    Started by torchrun or accelerate, each process takes its part of every minibatch; process 0 writes, and a run may
    go on with another number of processes. The folder must be one that all of them see.
    On a CPU the process keeps large blocks of memory that it frees, which is faster, until it ends.
    On a CPU in float32 a run that was killed at any moment and started again ends with the same bits as one that was
    not (same machine and threads). `extend` allows more steps than the folder's run was started with, fewer need no
    word as long as they were not trained yet; with `decay_after` both only until the learning rate falls, since that of
    a run of another length would have fallen otherwise. `switch` lets a run go on in another precision or on another
    kind of device; run.json lists each such stretch.

    With `conditional`, or an architecture with classes, both networks are told the labels, of which every picture must
    have one.

    Raises ValueError when the folder holds a run with other settings or other pictures (naming what differs), when it
    is no run's but holds files that one would replace, or when another process trains there; TrainingDiverged when
    numbers become NaN; OSError when the disk is full (the earlier checkpoint stays) or the folder was moved. Warns in
    words of pictures that are too few or all the same, of a D that wins, and of samples that are alike, of one tint,
    with a grid in them, or copies (`Watch`).
    """
    if not isinstance(config, TrainConfig):
        config, images = _from_short(config, images, settings)
    elif settings:
        raise TypeError(f"a TrainConfig says all: use dataclasses.replace for {', '.join(settings)}")
    return _train(config, images, extend, switch)


def _train(
    config: TrainConfig,
    images: data.ImageSet | None = None,
    extend: bool = False,
    switch: bool = False,
    ending: bool = False,
) -> Run:
    """`train`; `ending` takes a run that stands at the last step as finished, however its rate fell."""
    where, given = device.pick_device(config.device), images is not None
    with distributed.group(where), contextlib.ExitStack() as held:
        writer = distributed.rank() == 0
        with distributed.together(where):  # an error in one process ends all, instead of leaving them waiting
            if config.tensorboard:
                board.check()
            images = _pictures(config, images)
            arch = architecture(architecture(config.arch), channels=images.channels)
            if config.conditional or arch.classes:
                arch = replace(arch, classes=check_labels(images, arch.classes or None))
            steps = config.length(len(images))
            folder, settings = RunFolder(config.out), settings_of(config, arch, images)
            if writer:
                held.enter_context(folder.locked())
        distributed.agree(f"{settings} {steps}", "settings, steps or pictures", where)
        with distributed.together(where):  # every process reads what is there before it is written
            there = folder.recorded()
            done = _steps_done(folder, there, settings, steps, extend)
            if there is None and not done:
                folder.refuse_foreign()
            decay = _decay(there, config, done, steps, ending)
            config = _same_arithmetic(config, there, done, where, switch, ending)
        distributed.agree(str(done), "the checkpoint's step", where)
        if folder.finished_at() == steps:
            stats = read_stats(folder.stats) if folder.stats.exists() else []
            return Run(*checkpoints.load(folder.weights), stats, folder.path)
        with distributed.together(where):
            # A checkpoint replaces the weights that the run was started from: these may be gone by now.
            trainer = Trainer(replace(config, start=None) if done else config, arch, images)
            if done:
                _restore(trainer, folder)
            about = settings | {"steps": steps, "stretches": _stretches(there, trainer, done)}
            about["call"] = _call(config, given)
            about |= {"decay": decay} if decay else {}
            about |= {"class_names": images.class_names} if arch.classes and images.class_names else {}
            if writer:
                folder.begin(about)
        distributed.agree(trainer.precision, "precision: give precision=…", where)
        return _loop(trainer, folder, images, about, done)


def _loop(trainer: Trainer, folder: RunFolder, images: data.ImageSet, about: dict, done: int) -> Run:
    """From the checkpoint to the last step: train, log, draw, save."""
    config, steps, writer = trainer.config, about["steps"], distributed.rank() == 0
    progress = config.progress and writer
    if progress:
        what = f"{images.name}: {len(images):,} pictures; {trainer.precision} on {device.device_name(trainer.device)}"
        tqdm.write(what, file=sys.stderr)
    stats = folder.keep_stats_until(done) if writer else []
    sample_every = config.sample_every or max(1, steps // 24)
    watch = Watch(images) if writer else None
    if watch and not done:
        watch.pictures()
    events = board.Board(folder.path, done) if writer and config.tensorboard else None

    def draw(step: int) -> torch.Tensor:
        """The fixed latents' pictures, kept as a sheet and for TensorBoard."""
        drawn = trainer.draw_fixed()
        folder.save_sheet(drawn, step, trainer.columns)
        if events:
            events.samples(drawn, step, trainer.columns)
        return drawn

    if done == 0 and writer:
        draw(0)

    def save(step: int) -> None:
        """The checkpoint first, then weights to sample from: where only one is written, nothing is lost."""
        if not checkpoints.parameters_finite(trainer.generator, trainer.discriminator):
            raise _diverged(step, folder.path)
        settings = {k: about[k] for k in ("config", "architecture", "pictures")}
        length = {k: about[k] for k in LENGTH if k in about}
        folder.checkpoint(trainer.tensors(), {"step": step, "settings": settings, **length})
        if step < steps:
            folder.save_weights(trainer.snapshot(), _origin(about, step))

    saved = logged = time.monotonic()
    quiet = {} if progress else {"disable": True}  # else TQDM_DISABLE decides
    bar = tqdm(total=steps, initial=done, desc=f"training on {images.name}", unit="step", **quiet)
    closing = contextlib.closing(events) if events else contextlib.nullcontext()
    with bar, closing, finish_step_first() as stop:
        for k in range(done, steps):
            # One step of the paper's section 4. 'alternate' logs a pair of steps, one of each network.
            log = (k // 2 if config.schedule == "alternate" else k) % config.log_every == 0 or k == steps - 1
            values = trainer.step(k, log)
            step = k + 1
            bar.update()

            # A line of statistics; the only place where the loop waits for the device.
            if log:
                found = distributed.mean(torch.stack([v.float() for v in values.values()])).tolist()
                row = {n: float(f"{v:.6g}") for n, v in zip(values, found, strict=True)}
                if not all(np.isfinite(v) for v in row.values()):
                    raise _diverged(step, folder.path)
                now = time.monotonic()
                since = step - (stats[-1]["step"] if stats and stats[-1]["step"] > done else done)
                rate = round(since * config.batch_size / max(now - logged, 1e-9), 1)
                logged = now
                epoch = round(step * config.batch_size / len(images), 4)
                stats.append({"step": step, "epoch": epoch, **row, "images_per_second": rate})
                if writer:
                    folder.add_stats(stats[-1])
                bar.set_postfix({n: f"{row[n]:.2f}" for n in ("loss_d", "loss_g") if n in row}, refresh=False)
                if writer:
                    watch.statistics(stats)
                if events:
                    events.statistics(stats[-1])

            # The fixed latents' pictures, and weights that the reader asked to keep.
            if writer and (step % sample_every == 0 or step == steps):
                if not checkpoints.parameters_finite(trainer.generator):
                    raise _diverged(step, folder.path)
                watch.samples(draw(step), step)
            if writer and config.keep_every and step % config.keep_every == 0:
                if not checkpoints.parameters_finite(trainer.generator, trainer.discriminator):
                    raise _diverged(step, folder.path)
                folder.save_weights(trainer.finished(), _origin(about, step, finished=True), kept=True)

            # A checkpoint by the clock. Processes must stop at the same step, so they ask each other, where they wait
            # for the device anyway.
            asked = log or distributed.world_size() == 1
            stopping = asked and distributed.anyone(stop.is_set(), trainer.device)
            if writer and (stopping or step == steps or time.monotonic() - saved > config.checkpoint_seconds):
                save(step)
                saved = time.monotonic()
            if stopping:
                distributed.barrier()  # nobody leaves before the checkpoint is there
                raise KeyboardInterrupt(
                    f"stopped after step {step} of {steps}; the same call goes on from there, `dcgan finish "
                    f"{folder.path}` ends it there"
                )
    if writer:
        networks = trainer.finished()
        folder.save_weights(networks, _origin(about, steps, finished=True))
        folder.drop_beyond(steps)
    distributed.barrier()  # nobody goes on before the weights are there
    return Run(*(networks if writer else checkpoints.load(folder.weights)), stats, folder.path)


def finish(out: str | Path, progress: bool = True, images: data.ImageSet | None = None) -> Run:
    """End a stopped run where its checkpoint stands: the weights of a run that was started with that many steps.

    (Not so in the fall of `decay_after`, which is cut there; the run may still go on to its former end by `extend`.)
    No step is trained, so that a run of another machine ends here, too, on the device that it was given or, where this
    machine has none such, on what there is. A run that was given its pictures (`train(…, images=faces)`,
    `train(faces, …)`) wants them again as `images`.
    Raises FileNotFoundError where there is no checkpoint or the pictures cannot be found, data.NotAvailable for a named
    set that is gone, ValueError for other pictures or an old checkpoint that does not say which it was trained on.
    A run that has ended already is given back as it is, whatever became of its pictures.
    """
    folder = RunFolder(out)
    there = folder.recorded()
    if there is None or not folder.state.exists():
        raise FileNotFoundError(f"no checkpoint in {folder.path}: nothing to finish")
    step = checkpoints.state_about(folder.state)["step"]
    if folder.finished_at() == step:  # whatever became of its pictures
        stats = read_stats(folder.stats) if folder.stats.exists() else []
        return Run(*checkpoints.load(folder.weights), stats, folder.path)
    known = {f.name for f in fields(TrainConfig)}
    call = {k: v for k, v in (there["config"] | there.get("call", {})).items() if k in known}
    if "data" not in call:
        raise ValueError(f"{folder.path} does not say what it was trained on: call train again with steps={step}")
    arch = Architecture.from_dict(there["architecture"])
    if images is None and call["data"] not in data.CARDS and not Path(call["data"]).exists():
        raise FileNotFoundError(
            f"the pictures of {folder.path} ({call['data']}) are no set of the library's and not on the disk: put them "
            "back, or where train was given them, training.finish(out, images=pictures)"
        )
    where = call.get("device", "auto")
    try:
        device.pick_device(where)
    except ValueError:
        where = "auto"
    here = {"arch": arch, "out": folder.path, "device": where, "progress": progress}
    config = TrainConfig(**call | here | {"steps": step, "epochs": None})
    return _train(config, images, ending=True)


def _from_short(given, images, settings: dict) -> tuple[TrainConfig, data.ImageSet | None]:
    """`train("digits", out=…)`, or pictures that the caller holds."""
    if not isinstance(given, (str, Path)):
        images = data.load(given, image_size=architecture(settings.get("arch", "tutorial64")).image_size)
        given = images.name
    return TrainConfig(data=given, **settings), images


def _pictures(config: TrainConfig, images: data.ImageSet | None) -> data.ImageSet:
    size = architecture(config.arch).image_size
    if not isinstance(images, data.ImageSet):
        images = data.load(config.data if images is None else images, image_size=size)
    if images.image_size != size:
        raise ValueError(f"expected pictures of {size}x{size} for this architecture, got {images.image_size}")
    return images if config.limit is None else images.take(config.limit, seed=config.seed)


def _steps_done(folder: RunFolder, there: dict | None, settings: dict, steps: int, extend: bool) -> int:
    """The checkpoint's step, 0 without one; ValueError where this call may not go on with what is here."""
    finished = folder.finished_at()
    if there is not None:
        folder.refuse_other(there, settings)
        if steps > there["steps"] and not extend:
            raise ValueError(
                f"{folder.path} holds a run of {there['steps']} steps, {steps} now: to train it for longer, add "
                "extend=True (--extend)"
            )
    if not folder.state.exists():
        if folder.weights.exists() and (there is None or finished != steps):
            raise ValueError(
                f"{folder.path} holds weights but no {folder.state.name}: the run cannot go on. Put the file back, or "
                f"choose another folder and start=… from {folder.weights.name}"
            )
        return steps if finished == steps else 0
    about = checkpoints.state_about(folder.state)
    done = about["step"]
    if about.get("settings"):  # a checkpoint of another run that lies here by mistake
        folder.refuse_other(about["settings"] | {"call": about.get("call", {})}, settings)
    if done > steps:
        raise ValueError(
            f"{folder.path} has trained {done} steps already, {steps} were asked for: `dcgan finish {folder.path}` "
            "ends it where it stands"
        )
    return done


def _decay(there: dict | None, config: TrainConfig, done: int, steps: int, ending: bool) -> list[int] | None:
    """From where to where the learning rate falls, or ValueError where it cannot, or would have fallen otherwise.

    A run that is `ending` where its checkpoint stands keeps the fall that it was in, and may go on in it later.
    """
    if config.decay_after is None:
        return None
    now, before = list(config.decay(steps)), (there or {}).get("decay")
    if ending:
        return before or now
    if now[0] > steps - 2:
        raise ValueError(
            f"decay_after={config.decay_after:g} of {steps:,} steps leaves {steps - now[0]} in which the learning rate "
            "would fall: it needs at least 2, so give a smaller part or more steps"
        )
    # The step at which the rate begins to fall still has the full one: up to it, and it, both are the same.
    if before not in (None, now) and done > min(before[0], now[0]) + 1:
        raise ValueError(
            f"the learning rate of this run falls from step {before[0]:,} to step {before[1]:,}, and {done:,} are "
            f"trained: in a run of {steps:,} steps it would have fallen otherwise. Let it end at {before[1]:,}, "
            f"{f'end it here by `dcgan finish {config.out}`, ' if done == steps else ''}or begin another folder with "
            "start=… its weights"
        )
    return now


def _same_arithmetic(
    config: TrainConfig, there: dict | None, done: int, where, switch: bool, ending: bool = False
) -> TrainConfig:
    """The configuration with the precision that the run was begun in, or ValueError where this call changes it.

    A run that is `ending` trains no step, so that it may end anywhere: in its precision on the same kind of device.
    """
    if not (stretches := _counted(there, done)):
        return config
    last = stretches[-1]
    if ending:
        asked = last["precision"] if where.type == last["device_type"] else "auto"
        return replace(config, precision=device.pick_precision(asked, where))
    asked = last["precision"] if config.precision == "auto" and not switch else config.precision
    now = {"precision": device.pick_precision(asked, where), "device": where.type}
    before = {"precision": last["precision"], "device": last["device_type"]}
    if now != before and not switch:
        raise ValueError(
            f"this run was computed in {before['precision']} on {before['device']}, this call asks for "
            f"{now['precision']} on {now['device']}: give the earlier ones, or switch=True (--switch) to go on "
            "otherwise, which run.json will say"
        )
    return replace(config, precision=now["precision"])


def _counted(there: dict | None, done: int) -> list[dict]:
    """The stretches that trained at least a step up to the checkpoint; others left nothing."""
    return [stretch for stretch in (there or {}).get("stretches", []) if stretch["from_step"] < done]


def _stretches(there: dict | None, trainer: Trainer, done: int) -> list[dict]:
    """Where each part of the run was computed; a new entry when anything of it changed."""
    now = {
        "precision": trainer.precision,
        "device_type": trainer.device.type,
        "device": device.device_name(trainer.device),
        "processes": distributed.world_size(),
        "versions": device.versions(),
    }
    before = _counted(there, done)
    if before and {k: v for k, v in before[-1].items() if k != "from_step"} == now:
        return before
    return [*before, {"from_step": done, **now}]


def _restore(trainer: Trainer, folder: RunFolder) -> None:
    try:
        trainer.restore(checkpoints.load_state(folder.state)[1])
    except ValueError as error:
        raise checkpoints.CheckpointError(
            f"{folder.state}: {error}. Choose another folder, or start=… weights"
        ) from error


def _call(config: TrainConfig, given: bool) -> dict:
    """What `finish` needs to call again, from anywhere; it is not compared.

    `given` says that the pictures were the caller's: `data` is then no more than their name.
    """
    path = Path(config.data).expanduser()
    where = str(path.absolute()) if path.exists() and config.data not in data.CARDS else str(config.data)
    call = {"data": where, "limit": config.limit, "device": config.device, "precision": config.precision}
    return call | {"given": given, "start_place": start_place(config.start)}


def _origin(about: dict, step: int, finished: bool = False) -> dict:
    """What a weights file says of itself."""
    named = str(about.get("call", {}).get("data", ""))
    named = {"data": named if named in data.CARDS else Path(named).name} if named else {}  # a path is the user's own
    settings = {"config": about["config"], "pictures": about["pictures"], "step": step, "finished": finished}
    return settings | named | {k: about[k] for k in ("class_names",) if k in about}


def _diverged(step: int, out: Path) -> TrainingDiverged:
    return TrainingDiverged(
        f"losses or weights became NaN or infinite by step {step}; {out} keeps the last sound checkpoint, but going on "
        "from it with the same settings ends here again. Try, in a new folder: precision='float32', a lower "
        "learning_rate (1e-4), norm_eps=1e-5, or a look at the pictures (all of one colour?)"
    )
