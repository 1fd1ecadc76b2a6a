"""The loop: killed runs, both schedules against plain loops, what is written, what is said when it goes wrong."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import processes
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from dcgan_lib import checkpoints, cli, data, device, models, sheets, training
from dcgan_lib.training import TrainConfig
from experiments import measures

SMALL = models.architecture("tiny32", widths=(4, 8, 8), latent_dim=8)


def config(out, **changes):
    settings = {"data": "digits", "arch": SMALL, "steps": 12, "batch_size": 16, "seed": 3, "device": "cpu"}
    settings |= {"precision": "float32", "progress": False, "log_every": 1, "sample_every": 6}
    return TrainConfig(out=out, **(settings | changes))


def arguments(out, *more):
    call = "--arch tiny32 --data digits --steps 60 --batch-size 32 --seed 3 --device cpu --precision float32"
    call += " --schedule simultaneous --checkpoint-seconds 0 --log-every 5 --sample-every 20"
    return ["train", *call.split(), "--out", str(out), *more]


def real(call):
    """What a reader starts: `python -m dcgan_lib …`."""
    start = [sys.executable, "-m", "dcgan_lib", *call]
    return subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def forked(call):
    return processes.Forked(cli.main, call)


def lines(path):
    rows = training.read_stats(path)
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in rows]


@pytest.mark.parametrize(
    ("start", "more"),
    [(real, ()), (forked, ("--schedule", "alternate", "--ema-decay", "0.9"))],
    ids=["plain", "alternate-ema"],
)
def test_killed_run_ends_with_the_same_bits(tmp_path, start, more):
    """SIGKILL to a process at random moments: writing, training or starting, whatever it was doing."""
    done = processes.run(1, cli.main, arguments(tmp_path / "whole", *more))
    assert done.returncode == 0, done.stderr
    moments, stats, kills, reached = random.Random(), tmp_path / "cut" / "stats.jsonl", 0, []
    for _ in range(30):
        process = start(arguments(tmp_path / "cut", *more))
        goal = stats.stat().st_size + 1 if stats.exists() else 1  # wait until it has gone on at least a little
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if kills < 4 and stats.exists() and stats.stat().st_size >= goal:
                time.sleep(moments.random() * 0.3)
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        output = "".join(process.communicate(timeout=120))
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, output
        kills += 1
        state = tmp_path / "cut" / "state.safetensors"
        reached.append(checkpoints.load_state(state)[0]["step"] if state.exists() else 0)
    assert kills >= 3, f"the run finished too fast to be killed: {reached=}"
    assert any(0 < step < 60 for step in reached), reached
    for name in ("weights.safetensors", "state.safetensors", "samples/step_0000060.png"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), (name, reached)
    assert lines(tmp_path / "cut" / "stats.jsonl") == lines(tmp_path / "whole" / "stats.jsonl")


def test_stop_signal_finishes_the_step_and_saves(tmp_path):
    process = real(arguments(tmp_path / "run", "--checkpoint-seconds", "1000"))
    stats = tmp_path / "run" / "stats.jsonl"
    while process.poll() is None and not (stats.exists() and stats.stat().st_size > 0):
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    output = "".join(process.communicate(timeout=60))
    assert process.returncode == 130, output
    assert "the same call goes on from there" in output
    assert checkpoints.load_state(tmp_path / "run" / "state.safetensors")[0]["step"] >= 1


def test_a_failed_write_loses_no_earlier_checkpoint(tmp_path):
    """A real short write: the process may not write files beyond the size of half a checkpoint."""
    training.train(config(tmp_path / "run", checkpoint_seconds=0))
    before = (tmp_path / "run" / "state.safetensors").read_bytes()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OSError, match=r"state.safetensors could not be written .* the earlier one is untouched"):
            training.train(config(tmp_path / "run", steps=14, checkpoint_seconds=0), extend=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "run" / "state.safetensors").read_bytes() == before
    assert not list((tmp_path / "run").glob(".*part"))
    straight = training.train(config(tmp_path / "straight", steps=14))
    gone_on = training.train(config(tmp_path / "run", steps=14), extend=True)
    assert same(straight.generator, gone_on.generator)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def reference(settings, steps):
    """The paper's loop, written out plainly with torch's own losses, for both schedules."""
    arch = models.architecture(settings.arch, channels=1)
    seed = settings.seed
    generator, discriminator = models.build(
        arch, seed=training.streams.generator(seed, training.streams.WEIGHTS, 0).initial_seed()
    )
    adam = {"lr": 2e-4, "betas": (0.5, 0.999), "weight_decay": settings.weight_decay}
    adam_g, adam_d = (torch.optim.Adam(n.parameters(), **adam) for n in (generator, discriminator))
    pictures = data.load("digits").tensor()
    order = torch.cat(
        [torch.randperm(1797, generator=training.streams.generator(seed, training.streams.ORDER, e)) for e in range(3)]
    )
    ones, zeros, bce = torch.ones(16), torch.zeros(16), F.binary_cross_entropy_with_logits
    for k in range(steps):
        if settings.decay_after is not None:
            for group in (*adam_g.param_groups, *adam_d.param_groups):
                group["lr"] = 2e-4 * np.interp(k, [settings.decay_after * steps, steps], [1, 0])
        x = pictures[order[16 * k : 16 * k + 16]]
        z = models.sample_latent(16, arch, training.streams.generator(seed, training.streams.LATENT, k))
        if settings.schedule == "simultaneous" or k % 2 == 1:
            adam_d.zero_grad()
            (bce(discriminator(x), ones) + bce(discriminator(generator(z).detach()), zeros)).backward()
            adam_d.step()
        if settings.schedule == "simultaneous" or k % 2 == 0:
            adam_g.zero_grad()
            bce(discriminator(generator(z)), ones).backward()
            adam_g.step()
    return generator, discriminator


@pytest.mark.parametrize("decay_after", [None, 0.5])
@pytest.mark.parametrize("schedule", ["simultaneous", "alternate"])
def test_schedules_against_a_plain_loop(tmp_path, schedule, decay_after):
    # ELU has no kink: a rounding error on one side of zero cannot become another gradient.
    arch = models.architecture(SMALL, generator_activation="elu", discriminator_activation="elu")
    settings = config(
        tmp_path / "run", arch=arch, schedule=schedule, steps=6, weight_decay=0.01, decay_after=decay_after
    )
    run = training.train(settings)
    for ours, plain in zip((run.generator, run.discriminator), reference(settings, 6), strict=True):
        # Adam's first steps are one learning rate long even where a gradient is a rounding error, so a few weights may
        # go the other way; 99 of 100 must agree to a hundredth of a step.
        apart = torch.cat([(a - b).abs().flatten() for a, b in zip(ours.parameters(), plain.parameters(), strict=True)])
        assert apart.quantile(0.99) < 0.01 * settings.learning_rate, apart.quantile(0.99)


def test_300_steps_stay_with_a_plain_loop(tmp_path):
    """Rounding differs (memory layout, fused Adam, order of sums) and grows; after 300 steps it is still small."""
    arch = models.architecture(SMALL, generator_activation="elu", discriminator_activation="elu")
    settings = config(tmp_path / "run", arch=arch, steps=300, sample_every=300, log_every=100)
    run = training.train(settings)
    start = models.build(
        replace(arch, channels=1), seed=training.streams.generator(3, training.streams.WEIGHTS, 0).initial_seed()
    )
    for ours, plain, first in zip((run.generator, run.discriminator), reference(settings, 300), start, strict=True):
        apart, way = (
            torch.cat(
                [(a - b).detach().flatten() for a, b in zip(ours.parameters(), other.parameters(), strict=True)]
            ).norm()
            for other in (plain, first)
        )
        assert apart < 1e-4 * way, (float(apart), float(way))


# ---- a learning rate that falls ------------------------------------------------------------------------------------


def test_the_learning_rate_falls_as_released():
    """mnist/train_cond_dcgan.py: 100 epochs, then a hundredth less each; its rate of an epoch is ours at its start."""
    settings = config("unused", steps=200, decay_after=0.5, learning_rate=2e-4)
    released, rate = [], 2e-4
    for epoch in range(1, 201):
        released.append(rate)
        if epoch > 100:  # as there: after this epoch
            rate -= 2e-4 / 100
    assert [settings.rate(k, 200) for k in range(200)] == pytest.approx(released, abs=1e-12)
    assert {config("unused").rate(k, 12) for k in range(12)} == {2e-4}
    assert [config("unused", decay_after=0).rate(k, 4) for k in range(4)] == pytest.approx([2e-4, 1.5e-4, 1e-4, 5e-5])
    assert config("unused", steps=None, epochs=2.0).length(1797) == round(2 * 1797 / 16)


@pytest.mark.parametrize("cut", [5, 6, 7, 9])  # the rate falls from step 6 on
def test_a_run_cut_in_the_fall_ends_with_the_same_bits(tmp_path, cut):
    settings = {"decay_after": 0.5, "schedule": "alternate"}
    training.train(config(tmp_path / "whole", **settings))
    step, taken = training.Trainer.step, []

    def stopping(self, k, log=False):
        if k == cut and not taken:
            taken.append(k)
            raise KeyboardInterrupt
        return step(self, k, log)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.Trainer, "step", stopping)
        with pytest.raises(KeyboardInterrupt):
            training.train(config(tmp_path / "cut", checkpoint_seconds=0, **settings))
    assert checkpoints.load_state(tmp_path / "cut" / "state.safetensors")[0]["step"] == cut
    (tmp_path / "cut" / "run.json").unlink()  # the checkpoint says as much
    training.train(config(tmp_path / "cut", **settings))
    for name in ("weights.safetensors", "samples/step_0000012.png"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_run_whose_rate_falls_has_its_length(tmp_path):
    """Longer or shorter only where every step so far is the same; a run that is finished early may go on to its end."""
    settings = {"decay_after": 0.5, "checkpoint_seconds": 0}
    whole = training.train(config(tmp_path / "whole", steps=16, **settings))

    def stopped(name, after, steps):
        """A run of `steps` that was stopped after some."""
        real = training.Trainer.step

        def step(self, k, log=False):
            if k == after:
                raise KeyboardInterrupt
            return real(self, k, log)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training.Trainer, "step", step)
            with pytest.raises(KeyboardInterrupt):
                training.train(config(tmp_path / name, steps=steps, **settings))

    stopped("longer", 5, 8)  # the rate of step 4 is the full one still
    longer = training.train(config(tmp_path / "longer", steps=16, **settings), extend=True)
    assert same(longer.generator, whole.generator) and same(longer.discriminator, whole.discriminator)
    stopped("late", 6, 8)
    with pytest.raises(ValueError, match="falls from step 4 to step 8, and 6 are trained: in a run of 16 steps"):
        training.train(config(tmp_path / "late", steps=16, **settings), extend=True)
    stopped("shorter", 6, 16)
    with pytest.raises(ValueError, match="falls from step 8 to step 16, and 6 are trained: in a run of 8 steps"):
        training.train(config(tmp_path / "shorter", steps=8, **settings))
    with pytest.raises(ValueError, match="falls from step 8 to step 16, and 16 are trained"):
        training.train(config(tmp_path / "whole", steps=20, **settings), extend=True)
    with pytest.raises(ValueError, match=r"decay_after: 0\.5 there, None now"):
        training.train(config(tmp_path / "whole", steps=20), extend=True)
    stopped("at the end of a shorter one", 8, 16)  # which is no run of 8 steps: its rate has not fallen at all
    with pytest.raises(ValueError, match=r"to step 16, and 8 are trained: in a run of 8 steps .* by `dcgan finish .*`"):
        training.train(config(tmp_path / "at the end of a shorter one", steps=8, **settings))
    stopped("ended", 11, 16)
    assert training.finish(tmp_path / "ended", progress=False).stats[-1]["step"] == 11
    assert training.finish(tmp_path / "ended", progress=False).stats[-1]["step"] == 11, "asked a second time"
    gone_on = training.train(config(tmp_path / "ended", steps=16, **settings), extend=True)
    assert same(gone_on.generator, whole.generator)
    again = training.train(config(tmp_path / "ended", steps=16, **settings))
    assert same(again.generator, whole.generator), "the same call, finished"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"decay_after": 1.0}, "decay_after must be a number of at least 0 and below 1 or None, got 1.0"),
        ({"decay_after": -0.1}, "decay_after must be a number of at least 0"),
        ({"decay_after": 100}, "decay_after must be"),
        ({"decay_after": 0.95}, "decay_after=0.95 of 12 steps leaves 1 in which the learning rate would fall"),
        ({"decay_after": 0.5, "steps": 1}, "decay_after=0.5 of 1 steps leaves 1"),
    ],
)
def test_a_fall_that_makes_no_sense(tmp_path, settings, words):
    with pytest.raises(ValueError, match=words):
        training.train(config(tmp_path / "run", **settings))
    assert not (tmp_path / "run").exists()


def test_every_picture_once_an_epoch():
    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    batches = training.Minibatches(images, 4, seed=0)
    seen = torch.cat([batches[k].flatten() for k in range(5)]).add(1).mul(127.5).round().int().tolist()
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]
    fresh = training.Minibatches(images, 4, seed=0)
    assert torch.equal(fresh[3], batches[3])  # no memory of earlier batches needed
    assert training.Minibatches(images[:3], 8, seed=0)[0].shape[0] == 8  # fewer pictures than a batch


@pytest.mark.parametrize("way", ["resident", "read ahead"])
def test_a_gpus_ways_to_the_pictures_give_the_same_minibatches(way):
    """Both run on a CPU too; which one a GPU takes depends on its memory."""
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), np.uint8)
    plain, other = (training.Minibatches(images, 8, seed=5) for _ in range(2))
    if way == "resident":
        other.resident = other._resident()
    else:
        other.reader = ThreadPoolExecutor(1)
    for k in (0, 1, 2, 7, 8, 3):  # in order, and not
        assert torch.equal(plain[k], other[k])
    assert plain[0].dtype == torch.float32 and plain[0].shape == (8, 3, 4, 4)


def test_what_a_run_leaves(tmp_path):
    run = training.train(config(tmp_path / "run"))
    rows = training.read_stats(tmp_path / "run" / "stats.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 13))
    for name in ("loss_d", "loss_g", "d_real", "d_fake", "accuracy_d", "gradient_norm_d", "gradient_norm_g", "epoch"):
        assert all(np.isfinite(row[name]) for row in rows), name
    assert all(0 <= row["d_real"] <= 1 and row["images_per_second"] > 0 for row in rows)
    assert [p.name for p in sorted((tmp_path / "run" / "samples").iterdir())] == [
        "step_0000000.png",
        "step_0000006.png",
        "step_0000012.png",
    ]
    with Image.open(tmp_path / "run" / "samples" / "step_0000012.png") as grid:
        assert grid.size == (8 * 32, 8 * 32)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["pictures"]["fingerprint"] == data.load("digits").fingerprint
    assert record["stretches"][0]["precision"] == "float32"
    assert not run.generator.training and run.generator.arch.channels == 1
    again, _ = checkpoints.load(tmp_path / "run")
    assert same(again, run.generator)


def test_the_first_steps_learn(tmp_path):
    """D soon tells digits from noise."""
    run = training.train(config(tmp_path / "run", arch="tiny32", steps=60, batch_size=64))
    assert np.mean([row["accuracy_d"] for row in run.stats[-5:]]) > 0.9
    assert run.stats[-1]["loss_d"] < run.stats[0]["loss_d"]


def test_bfloat16_stays_near_float32(tmp_path):
    single = training.train(config(tmp_path / "a", steps=3))
    half = training.train(config(tmp_path / "b", steps=3, precision="bfloat16"))
    assert half.generator.project.weight.dtype == torch.float32
    assert single.stats[0]["loss_d"] == pytest.approx(half.stats[0]["loss_d"], rel=0.05)
    assert single.stats[0]["loss_d"] != half.stats[0]["loss_d"]


def test_moving_average(tmp_path):
    plain = training.train(config(tmp_path / "a", steps=1))
    averaged = training.train(config(tmp_path / "b", steps=1, ema_decay=0.75))
    start = models.build(
        SMALL, channels=1, seed=training.streams.generator(3, training.streams.WEIGHTS, 0).initial_seed()
    )[0]
    expected = 0.75 * start.project.weight + 0.25 * plain.generator.project.weight
    torch.testing.assert_close(averaged.generator.project.weight, expected)
    assert same(averaged.discriminator, plain.discriminator)


def test_other_settings_are_refused_with_what_differs(tmp_path):
    training.train(config(tmp_path / "run"))
    with pytest.raises(ValueError, match=r"(?s)other settings:\n  seed: 3 there, 4 now\nChoose another folder"):
        training.train(config(tmp_path / "run", seed=4))
    with pytest.raises(ValueError, match=r"learning_rate: 0\.0002 there, 0.001 now"):
        training.train(config(tmp_path / "run", learning_rate=1e-3))
    with pytest.raises(ValueError, match="latent_dim: 8 there, 9 now"):
        training.train(config(tmp_path / "run", arch=models.architecture(SMALL, latent_dim=9)))
    with pytest.raises(ValueError, match=r"holds a run of 12 steps, 13 now.*--extend"):
        training.train(config(tmp_path / "run", steps=13))
    with pytest.raises(ValueError, match="has trained 12 steps already, 11 were asked for"):
        training.train(config(tmp_path / "run", steps=11), extend=True)
    assert len(training.train(config(tmp_path / "run", progress=False, checkpoint_seconds=5)).stats) == 12
    assert training.train(config(tmp_path / "run", steps=15), extend=True).stats[-1]["step"] == 15


def test_other_pictures_are_refused(tmp_path):
    for i in range(4):
        Image.new("RGB", (40, 40), (60 * i, 0, 90)).save(tmp_path / f"{i}.png")
    training.train(config(tmp_path / "run", data=tmp_path, steps=2))
    assert len(training.train(config(tmp_path / "run", data=tmp_path, steps=2)).stats) == 2  # its samples are no data
    Image.new("RGB", (40, 40), "white").save(tmp_path / "0.png")
    new = rf"other pictures \(pictures changed: 4 there, 4 now\)\. To go on .*--start {tmp_path / 'run'}"
    with pytest.raises(ValueError, match=new):
        training.train(config(tmp_path / "run", data=tmp_path, steps=2))
    assert len(training.finish(tmp_path / "run").stats) == 2, "it has ended: its pictures are not asked for"


def test_a_moved_folder_goes_on(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a" / "mine.png")
    training.train(config(tmp_path / "run", data=tmp_path / "a", steps=2))
    (tmp_path / "b").mkdir()
    (tmp_path / "a").rename(tmp_path / "b" / "a")
    assert len(training.train(config(tmp_path / "run", data=tmp_path / "b" / "a", steps=2)).stats) == 2


def test_limit_draws_by_the_seed(tmp_path):
    training.train(config(tmp_path / "run", steps=1, limit=20))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    digits = data.load("digits", image_size=32)
    assert record["pictures"] == {"images": 20, "fingerprint": digits.take(20, seed=3).fingerprint}
    assert record["pictures"]["fingerprint"] != digits.select(range(20)).fingerprint


def test_pictures_that_the_caller_holds(tmp_path):
    digits = data.load("digits", image_size=32)
    short = {"arch": SMALL, "steps": 3, "batch_size": 16, "device": "cpu", "precision": "float32", "progress": False}
    named = training.train("digits", out=tmp_path / "named", **short)
    for name, held in {"set": digits, "array": np.array(digits.images)}.items():
        assert same(named.generator, training.train(held, out=tmp_path / name, **short).generator), name
    few = digits.take(40, seed=1)
    given = training.train(config(tmp_path / "given", steps=2), images=few)
    assert json.loads((given.out / "run.json").read_text())["pictures"]["fingerprint"] == few.fingerprint
    with pytest.raises(ValueError, match="expected pictures of 32x32 for this architecture, got 28"):
        training.train(config(tmp_path / "other"), images=data.load("digits", image_size=28))


def test_labels_travel_with_their_pictures():
    digits = data.load("digits", image_size=32)
    batches = training.Minibatches(digits.images, 50, seed=2, labels=digits.labels)
    for k in (0, 36, 5):  # within an epoch and across two
        assert torch.equal(batches.labels(k), torch.from_numpy(digits.labels)[batches.indices(k)])
        assert torch.equal(batches[k], digits.tensor(batches.indices(k).numpy()))
    with pytest.raises(ValueError, match="these pictures have no labels"):
        training.Minibatches(digits.images, 50, seed=2).labels(0)


def test_kept_weights_and_weights_to_sample_from(tmp_path):
    """What a reader wants who stops when the samples look good."""
    stop = training.Trainer.step

    def interrupted(self, k, log=False):
        if k == 9:
            signal.raise_signal(signal.SIGINT)
        return stop(self, k, log)

    settings = config(tmp_path / "run", keep_every=4, checkpoint_seconds=1000)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt, match="dcgan finish"):
        patch.setattr(training.Trainer, "step", interrupted)
        training.train(settings)
    about = checkpoints.info(tmp_path / "run")["about"]
    assert (about["step"], about["finished"]) == (10, False)
    generator, _ = checkpoints.load(tmp_path / "run")
    drawn = models.sample(generator, models.sample_latent(4, generator.arch, 0))
    assert drawn.std(0).mean() > 0
    ended = training.finish(tmp_path / "run", progress=False)
    assert checkpoints.info(tmp_path / "run")["about"] == about | {"finished": True}
    straight = training.train(config(tmp_path / "straight", steps=10))
    assert same(ended.generator, straight.generator)  # as if it had been started with ten steps
    assert [p.name for p in sorted((tmp_path / "run" / "kept").iterdir())] == [
        "step_0000004.safetensors",
        "step_0000008.safetensors",
    ]
    four = training.train(config(tmp_path / "four", steps=4))
    assert same(checkpoints.load(tmp_path / "run" / "kept" / "step_0000004.safetensors")[0], four.generator)
    with pytest.raises(FileNotFoundError, match="nothing to finish"):
        training.finish(tmp_path / "nothing")


def test_fewer_steps_end_a_run_early(tmp_path):
    stop = training.Trainer.step

    def interrupted(self, k, log=False):
        if k == 5:
            signal.raise_signal(signal.SIGTERM)
        return stop(self, k, log)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Trainer, "step", interrupted)
        training.train(config(tmp_path / "run"))
    early = training.train(config(tmp_path / "run", steps=8))
    assert same(early.generator, training.train(config(tmp_path / "straight", steps=8)).generator)


def test_a_start_from_weights(tmp_path):
    first = training.train(config(tmp_path / "a"))
    alike = config(tmp_path / "b", start=tmp_path / "a", steps=1)
    trainer = training.Trainer(alike, first.generator.arch, data.load("digits", image_size=32))
    assert same(trainer.generator, first.generator) and same(trainer.discriminator, first.discriminator)
    assert same(training.train(alike).generator, training.train(alike).generator)
    with pytest.raises(ValueError, match=r"holds networks of another architecture: there \{'latent_dim': 8"):
        training.train(config(tmp_path / "c", start=tmp_path / "a", arch=replace(SMALL, latent_dim=9)))


@pytest.mark.parametrize("ema", [None, 0.9])
def test_statistics_of_finished_networks_are_means_over_ten_batches(tmp_path, ema):
    """Against a plain loop over the same batches; one batch, or the trailing averages, would differ."""
    settings = config(tmp_path / "run", ema_decay=ema)
    trainer = training.Trainer(settings, replace(SMALL, channels=1), data.load("digits", image_size=32))
    for k in range(6):
        trainer.step(k)
    before = [v.clone() for v in trainer.tensors().values()]
    found_g, found_d = trainer.finished()
    seen = []
    weights = trainer.average or trainer.generator
    plain = models.Generator(trainer.arch)
    plain.load_state_dict(weights.state_dict())
    plain.train()
    first = plain.project_norm
    first.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    for i in range(10):
        rng = training.streams.generator(3, training.streams.CALIBRATION, i)
        plain(models.sample_latent(16, trainer.arch, rng))
    axes = [i for i in range(seen[0].ndim) if i != 1]
    expected = torch.stack([x.mean(axes) for x in seen]).mean(0)
    torch.testing.assert_close(found_g.project_norm.running_mean, expected, rtol=1e-4, atol=1e-5)
    seen.clear()
    plain = models.Discriminator(trainer.arch)
    plain.load_state_dict(trainer.discriminator.state_dict())
    plain.train()
    plain.blocks[1][1].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    for i in range(10):
        plain(trainer.batches[i])
    expected = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    torch.testing.assert_close(found_d.blocks[1][1].running_mean, expected, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.tensors().values(), strict=True))


def test_what_is_logged_is_what_its_name_says(tmp_path):
    """d_real of real pictures, d_fake of generated ones before D's step, d_fake_after behind it."""
    trainer = training.Trainer(config(tmp_path), replace(SMALL, channels=1), data.load("digits", image_size=32))
    for k in range(20):
        trainer.step(k)
    with torch.no_grad():
        fake = trainer.local(trainer.generator)(trainer.latent(20))
        before = trainer.local(trainer.discriminator)
        expected = {"d_real": before(trainer.batches[20]).sigmoid().mean(), "d_fake": before(fake).sigmoid().mean()}
    found = trainer.step(20, log=True)
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), rel=1e-4), name
    assert abs(expected["d_real"] - expected["d_fake"]) > 0.01
    with torch.no_grad():
        after = trainer.local(trainer.discriminator)(fake).sigmoid().mean()
    assert found["d_fake_after"] == pytest.approx(float(after), rel=1e-2)


def test_the_watch_is_asked(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(training.Watch, "statistics", lambda self, stats: asked.append(len(stats)))
    monkeypatch.setattr(training.Watch, "samples", lambda self, images, step: asked.append(tuple(images.shape)))
    training.train(config(tmp_path / "run", log_every=6))
    assert asked == [1, (64, 1, 32, 32), 2, 3, (64, 1, 32, 32)]


def test_nothing_lies_beyond_the_end_of_a_run(tmp_path):
    """As where a process was killed after a sheet and a kept stage, and its run was ended at the checkpoint."""
    settings = {"steps": 4, "sample_every": 2, "keep_every": 2}
    training.train(config(tmp_path / "run", **settings))
    names = [tmp_path / "run" / name for name in ("samples/step_0000006.png", "kept/step_0000006.safetensors")]
    for place in names:
        place.write_bytes(b"later")
    assert training.train(config(tmp_path / "run", **settings | {"steps": 6}), extend=True).stats[-1]["step"] == 6
    assert names[0].read_bytes() != b"later" and names[1].read_bytes() != b"later", "those steps came again"
    for place in names:
        place.with_name(place.name.replace("06", "08")).write_bytes(b"later")
    training.train(config(tmp_path / "run", **settings | {"steps": 7}), extend=True)
    assert {checkpoints.step_of(p) for p in (tmp_path / "run").glob("*/step_*")} == {0, 2, 4, 6, 7}


def test_sheets_and_stages_are_in_the_order_of_their_steps(tmp_path):
    """As numbers, not as text: ten million comes after nine."""
    steps = (20, 9_999_999, 10_000_000)
    for step in reversed(steps):
        for name in (f"samples/step_{step:07d}.png", f"kept/step_{step:07d}.safetensors"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
    assert (
        tuple(map(checkpoints.step_of, sheets.run_sheets(tmp_path))) == tuple(measures.kept_weights(tmp_path)) == steps
    )


def test_a_finished_run_needs_no_checkpoint(tmp_path):
    run = training.train(config(tmp_path / "run"))
    (tmp_path / "run" / "state.safetensors").unlink()
    again = training.train(config(tmp_path / "run"))
    assert same(run.generator, again.generator) and again.stats == run.stats


@pytest.mark.parametrize("output", ["relu", "sigmoid", "linear"])
def test_other_outputs_of_g_train(tmp_path, output):
    arch = models.architecture(SMALL, output_activation=output)
    run = training.train(config(tmp_path / "run", arch=arch, steps=30, learning_rate=5e-3))
    assert run.stats[-1]["step"] == 30


@pytest.mark.parametrize("system", ["this", "Windows"])
def test_one_process_a_folder(tmp_path, monkeypatch, system):
    if system == "Windows":  # where folders have no lock: a file in it is locked instead
        monkeypatch.setattr("dcgan_lib.training.folder.fcntl", None)
    with training.RunFolder(tmp_path / "run").locked(), pytest.raises(ValueError, match="another process is training"):
        training.train(config(tmp_path / "run"))
    training.train(config(tmp_path / "run"))


def test_half_written_files_of_a_killed_run_go(tmp_path):
    for place in (".", "kept", "samples"):
        (tmp_path / "run" / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / place / ".dcgan-abc.part").write_bytes(b"half")
    theirs = [tmp_path / "run" / place for place in (".abc.part", "a/.dcgan-abc.part")]  # of another program, or deeper
    for file in theirs:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"theirs")
    training.train(config(tmp_path / "run"))
    assert sorted((tmp_path / "run").rglob(".*.part")) == sorted(theirs)


def test_half_written_files_have_the_name_that_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: None)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # as if it were killed before
    checkpoints.write_bytes(tmp_path / "x", b"half")
    assert len(list(tmp_path.glob(checkpoints.HALF_WRITTEN))) == len(list(tmp_path.iterdir())) == 1


def test_a_run_of_given_pictures_is_finished_with_them(tmp_path, monkeypatch):
    """An array has no name to be found by, a part of a set has another's."""
    step = training.Trainer.step

    def stopped(self, k, log=False):
        if k == 3:
            signal.raise_signal(signal.SIGINT)
        return step(self, k, log)

    pictures = data.load("digits").images[:300]
    for name, given in (("array", pictures), ("part", data.load("digits").take(300, seed=5))):
        out = tmp_path / name
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt, match="stopped after step 4 of 9"):
            patched.setattr(training.Trainer, "step", stopped)
            training.train(given, arch=SMALL, batch_size=16, out=out, steps=9, log_every=1, progress=False)
        told = r"1,797 now\)\. That run was given its pictures: give them again by images=…"
        refused = (FileNotFoundError, "images=pictures") if name == "array" else (ValueError, told)
        with pytest.raises(refused[0], match=refused[1]):
            training.finish(out, progress=False)
        assert training.finish(out, progress=False, images=given).stats[-1]["step"] == 4


def test_a_run_of_another_machine_ends_here(tmp_path, monkeypatch):
    """No step is trained, so that a run begun on a GPU in bfloat16 is no other run on a CPU."""
    out, step = tmp_path / "run", training.Trainer.step

    def stopped(self, k, log=False):
        if k == 3:
            os.kill(os.getpid(), signal.SIGINT)  # this step is finished first
        return step(self, k, log)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt, match="stopped after step 4 of 9"):
        patched.setattr(training.Trainer, "step", stopped)
        training.train("digits", arch=SMALL, batch_size=16, out=out, steps=9, log_every=1, progress=False)
    run = json.loads((out / "run.json").read_text())
    run["stretches"][0] |= {"device": "a GPU", "device_type": "cuda", "precision": "bfloat16"}
    run["call"]["device"] = "mps" if not torch.backends.mps.is_available() else "cuda"
    (out / "run.json").write_text(json.dumps(run))
    assert training.finish(out, progress=False).stats[-1]["step"] == 4
    assert checkpoints.info(out)["about"]["finished"]
    machines = [(s["device_type"], s["from_step"]) for s in json.loads((out / "run.json").read_text())["stretches"]]
    assert machines == [("cuda", 0), ("cpu", 4)]


def test_a_full_disk_is_said_with_what_is_left(tmp_path, monkeypatch):
    import builtins

    opened, real = [], builtins.open

    def full(path, mode="r", *rest, **more):
        file = real(path, mode, *rest, **more)
        if mode == "a" and str(path).endswith("stats.jsonl"):
            opened.append(path)
            if len(opened) > 2:
                file.close()
                raise OSError(28, "No space left on device")
        return file

    monkeypatch.setattr(builtins, "open", full)
    settings = {"arch": SMALL, "batch_size": 16, "out": tmp_path / "run", "steps": 6, "log_every": 1}
    said = r"stats.jsonl could not be written \(No space left on device\).*the same call begins anew"
    with pytest.raises(OSError, match=said):
        training.train("digits", **settings, progress=False)
    monkeypatch.undo()
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "cache"))
    rows = training.train("digits", **settings, progress=False).stats
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]


def test_the_average_can_be_trained_on(tmp_path):
    settings = {"arch": SMALL, "batch_size": 16, "out": tmp_path, "steps": 2, "ema_decay": 0.9, "progress": False}
    for run in (training.train("digits", **settings), training.train("digits", **settings)):  # trained, then loaded
        assert models.parameter_count(run.generator) > 0 and all(p.requires_grad for p in run.generator.parameters())


def poison(monkeypatch, after: int) -> None:
    """From now on a weight of any generator is NaN after so many steps."""
    step = training.Trainer.step

    def poisoned(self, k, log=False):
        values = step(self, k, log)
        if k + 1 == after:
            self.generator.project.weight.data[0, 0] = float("nan")
        return values

    monkeypatch.setattr(training.Trainer, "step", poisoned)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_divergence_at_a_kept_step_is_divergence(tmp_path, monkeypatch, norm):
    """Not an error of the file that was to be written: a study takes TrainingDiverged for a result."""
    poison(monkeypatch, after=5)
    arch = models.architecture(SMALL, norm=norm)
    with pytest.raises(training.TrainingDiverged, match="NaN or infinite by step 5"):
        training.train(config(tmp_path / "run", arch=arch, keep_every=5, log_every=10, sample_every=100))
    assert not (tmp_path / "run" / "kept").exists()


def test_finished_leaves_the_trainer_as_it_was(tmp_path):
    """Also where it fails: in a group of processes the next step would see another process's pictures."""
    trainer = training.Trainer(config(tmp_path), models.architecture(SMALL, channels=1), data.load("digits"))
    trainer.batches.part = part = slice(0, None, 2)
    trainer.generator.project.weight.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="NaN"):
        trainer.finished()
    assert trainer.batches.part == part


def test_only_cuda_copies_while_python_goes_on(monkeypatch):
    """MPS reads memory late that Python has given back by then (pytorch issue 189690); CUDA wants it pinned."""
    asked = []

    class Noted(torch.Tensor):
        def to(self, device, non_blocking=False):
            asked.append((torch.device(device).type, non_blocking))
            return self

        def pin_memory(self):
            asked.append("pinned")
            return self

    batches = training.Minibatches(np.zeros((8, 32, 32, 1), np.uint8), 4, 0)
    for name in ("mps", "cuda", "cpu"):
        batches.device = torch.device(name)
        batches.sent(torch.zeros(1).as_subclass(Noted))
    assert asked == [("mps", False), "pinned", ("cuda", True), ("cpu", False)]


def test_divergence_is_said_and_spares_the_checkpoint(tmp_path, monkeypatch):
    poison(monkeypatch, after=6)
    with pytest.raises(training.TrainingDiverged, match=r"NaN or infinite by step 6.*lower\s+learning_rate"):
        training.train(config(tmp_path / "run", checkpoint_seconds=0))
    about, tensors = checkpoints.load_state(tmp_path / "run" / "state.safetensors")
    assert about["step"] == 5
    assert all(torch.isfinite(t).all() for t in tensors.values())


def test_infinite_losses_are_said(tmp_path):
    with pytest.raises(training.TrainingDiverged, match="NaN or infinite"):
        training.train(config(tmp_path / "run", learning_rate=1e30))


def test_collapse_is_said_in_words(tmp_path):
    watch = training.Watch(data.load("digits"))
    rows = [{"step": i, "accuracy_d": 1.0} for i in range(49)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch.statistics(rows)
        watch.samples(torch.rand(8, 1, 32, 32), 500)
    with pytest.warns(
        UserWarning, match="D told every real picture from every generated one.*Try a lower learning rate"
    ):
        watch.statistics([*rows, {"step": 49, "accuracy_d": 1.0}])
    with pytest.warns(UserWarning, match="collapsed to one picture. Try another seed"):
        watch.samples(torch.rand(1, 1, 32, 32).repeat(8, 1, 1, 1), 500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once each
        watch.samples(torch.zeros(8, 1, 32, 32), 600)


def test_a_collapse_is_said_of_a_set_that_is_sorted():
    """The first pictures of a sorted set are one kind, and alike."""
    kinds = np.concatenate([np.full((300, 32, 32, 3), 90, np.uint8), data.to_uint8(faces(900))])
    with pytest.warns(UserWarning, match="collapsed to one picture"):
        training.Watch(data.load(kinds)).samples(torch.zeros(8, 3, 32, 32), 500)


def faces(n: int, seed: int = 0, colours: float = 0.4) -> torch.Tensor:
    """Made-up pictures (n, 3, 32, 32): soft shapes, each of a tint of its own."""
    own = torch.Generator().manual_seed(seed)
    soft = torch.nn.functional.interpolate(torch.randn(n, 3, 6, 6, generator=own), 32, mode="bicubic")
    soft = 0.4 * (soft - soft.mean((2, 3), keepdim=True))
    return (soft + colours * torch.randn(n, 3, 1, 1, generator=own)).clamp(-1, 1)


def said(images: torch.Tensor, step: int, real: torch.Tensor) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        watch = training.Watch(data.load(data.to_uint8(real)))
        for _ in range(2):  # once each
            watch.samples(images, step)
    return [str(warning.message) for warning in found]


def test_the_watch_is_silent_at_new_pictures_of_the_kind():
    assert said(faces(64, seed=1), 5_000, faces(200)) == []
    assert said(faces(64, seed=1).bfloat16(), 5_000, faces(200)) == []
    assert said(torch.rand(64, 3, 32, 32), 5_000, torch.zeros(20, 3, 32, 32)) == [], "pictures all alike are no scale"


def test_one_tint_is_said_in_words():
    (text,) = said(faces(64, seed=1, colours=0.02), 1_000, faces(200))
    assert "nearly one colour" in text and "lower learning rate" in text
    assert said(faces(64, seed=1, colours=0.02), 999, faces(200)) == [], "the beginning of every training"
    assert said(faces(64, seed=1, colours=0.2), 1_000, faces(200)) == []


def test_a_checkerboard_is_said_in_words():
    grid = torch.zeros(32, 32)
    grid[::2, ::2] = 1
    real, samples = 0.8 * faces(200), 0.8 * faces(64, seed=1)  # room for the grid
    (text,) = said(samples + 0.1 * grid, 1_000, real)
    assert "a grid of two pixels" in text and "batch norm in both networks" in text
    assert said(samples + 0.1 * grid, 999, real) == []
    assert said(samples + 0.1 * grid, 1_000, real + 0.1 * grid) == [], "real pictures have it too"


@pytest.mark.parametrize("kinds, n", [(1, 1), (1, 30), (5, 5), (19, 30), (20, 30)])
def test_few_pictures_are_said_in_words(tmp_path, kinds, n):
    pictures = data.to_uint8(faces(kinds))[np.arange(n) % kinds]
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        training.train(pictures, arch=SMALL, batch_size=16, out=tmp_path, steps=1, progress=False)
    texts = [str(w.message) for w in found if "learn them by heart" in str(w.message)]
    words = {
        (1, 1): "one picture",
        (5, 5): "5 pictures",
        (1, 30): "30 pictures, all the same",
        (19, 30): "30 pictures, 19 of them different",
    }
    assert len(texts) == (kinds < 20) and all(text.startswith(words[kinds, n] + ": G can") for text in texts)


def test_copies_are_said_in_words():
    known = faces(100)
    noise = 0.02 * torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    (text,) = said(known[:64] + noise, 200, known)
    assert "100% of the samples are nearly copies of one of the 100 pictures" in text and "more pictures" in text
    half = torch.cat([known[:31] + noise[:31], faces(33, seed=1)])
    assert said(half, 200, known) == [], "not more than half"
    assert "64 of" not in said(known[:64] + noise, 200, torch.cat([known, known[:50]]))[0], "repeats are no scale"
    watch = training.Watch(data.load(data.to_uint8(torch.cat([known, known[:50]]))))
    assert len(watch.different) == 100
    many = faces(1_001)
    assert said(many[:64] + noise, 200, many) == [], "asked of small sets, which alone are learnt by heart"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "simultanous"}, "unknown schedule 'simultanous': did you mean 'simultaneous'"),
        ({"steps": None}, "give steps or epochs, one of the two"),
        ({"epochs": 1}, "give steps or epochs, one of the two"),
        ({"batch_size": 1}, "batch_size must be a whole number of at least 2"),
        ({"learning_rate": -1}, "learning_rate must be a number above 0, got -1"),
        ({"ema_decay": 1.0}, "ema_decay must be a number above 0 and below 1 or None, got 1.0"),
        ({"precision": "float16"}, "unknown precision 'float16'"),
    ],
)
def test_wrong_settings(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        config(tmp_path, **changes)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_missing_device():
    with pytest.raises(ValueError, match="this machine has no cuda device: take device='cpu'"):
        device.pick_device("cuda")


def test_epochs_become_steps(tmp_path):
    run = training.train(config(tmp_path / "run", steps=None, epochs=0.1))
    assert run.stats[-1]["step"] == round(0.1 * 1797 / 16)


def test_training_leaves_no_handlers_behind(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    training.train(config(tmp_path / "run", steps=1))
    assert signal.getsignal(signal.SIGINT) is before
    assert os.path.exists(tmp_path / "run" / "weights.safetensors")


def test_settings_may_be_numpy_s(tmp_path):
    """`labels.max() + 1` and `np.arange(3)[1]` are whole numbers."""
    given = TrainConfig(
        "digits", tmp_path, steps=np.int64(5), seed=np.int32(1), learning_rate=np.float32(0.5), progress=np.bool_(False)
    )
    plain = TrainConfig("digits", tmp_path, steps=5, seed=1, learning_rate=0.5, progress=False)
    assert given == plain and type(given.steps) is int and type(given.progress) is bool
    arch = models.architecture("tiny32", widths=np.array([8, 16, 32]), latent_dim=np.int64(7))
    assert arch.widths == (8, 16, 32) and json.dumps(arch.to_dict())


def test_a_config_takes_the_pictures_that_the_caller_holds(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), np.uint8)
    config = TrainConfig("mine", tmp_path / "run", "tiny32", steps=1, batch_size=4, progress=False)
    assert training.train(config, pictures).stats[-1]["step"] == 1
