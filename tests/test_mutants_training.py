"""Training, where a change of one operator or number had passed every other test."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dcgan_lib import checkpoints, data, models, training

SMALL = models.architecture("tiny32", widths=(4, 8, 8), latent_dim=8)
SETTINGS = {"data": "digits", "arch": SMALL, "steps": 12, "batch_size": 16, "seed": 3, "device": "cpu"}
SETTINGS |= {"precision": "float32", "progress": False, "log_every": 1, "sample_every": 100}


def settings(out, **changes):
    return training.TrainConfig(out=out, **(SETTINGS | changes))


def before_step(monkeypatch, action):
    """Call `action(k)` before each step."""
    step = training.Trainer.step

    def also(self, k, log=False):
        action(k)
        return step(self, k, log)

    monkeypatch.setattr(training.Trainer, "step", also)


def test_alternate_logs_a_step_of_each_network(tmp_path):
    run = training.train(settings(tmp_path / "run", schedule="alternate", log_every=3))
    assert [row["step"] for row in run.stats] == [1, 2, 7, 8, 12]
    assert ["loss_g" in row for row in run.stats] == [True, False, True, False, False]
    assert ["loss_d" in row for row in run.stats] == [False, True, False, True, True]


def test_a_signal_between_logged_steps_stops_the_step_that_it_fell_into(tmp_path):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        before_step(patch, lambda k: signal.raise_signal(signal.SIGTERM) if k == 2 else None)
        training.train(settings(tmp_path / "run", log_every=10))
    assert checkpoints.load_state(tmp_path / "run" / "state.safetensors")[0]["step"] == 3
    run = training.train(settings(tmp_path / "run", log_every=10))
    record = json.loads((run.out / "run.json").read_text())
    assert [s["from_step"] for s in record["stretches"]] == [0]  # the same machine: one stretch
    assert record["stretches"][0]["processes"] == 1


@pytest.mark.parametrize(("seconds", "expected"), [(1000, [12]), (0, list(range(1, 13))), (5, [3, 6, 9, 12])])
def test_checkpoints_come_by_the_clock_and_the_rate_is_pictures_a_second(tmp_path, monkeypatch, seconds, expected):
    """Steps of two seconds on a clock of our own."""
    clock, saved = SimpleNamespace(now=100.0), []
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: clock.now))
    before_step(monkeypatch, lambda _: setattr(clock, "now", clock.now + 2))
    checkpoint = training.RunFolder.checkpoint
    monkeypatch.setattr(
        training.RunFolder,
        "checkpoint",
        lambda self, t, about: saved.append(about["step"]) or checkpoint(self, t, about),
    )
    run = training.train(settings(tmp_path / "run", checkpoint_seconds=seconds, log_every=5))
    assert saved == expected
    assert [row["step"] for row in run.stats] == [1, 6, 11, 12]
    assert [row["images_per_second"] for row in run.stats] == [8.0] * 4  # 16 pictures in two seconds
    assert [row["epoch"] for row in run.stats] == [round(16 * s / 1797, 4) for s in (1, 6, 11, 12)]
    further = training.train(settings(run.out, checkpoint_seconds=seconds, log_every=5, steps=16), extend=True)
    assert [(row["step"], row["images_per_second"]) for row in further.stats[4:]] == [(16, 8.0)]


def test_the_orders_of_this_epoch_and_of_the_last_are_held():
    """The last one, since labels are asked for while the next epoch's pictures are read ahead; no earlier ones."""
    batches = training.Minibatches(np.zeros((10, 1, 1, 1), np.uint8), 4, seed=0)
    for k in range(20):
        batches[k]
        epoch = (4 * k + 3) // 10
        assert set(batches.orders) == {max(0, epoch - 1), epoch}


def test_what_was_read_ahead_is_not_taken_for_another_part():
    images = np.random.default_rng(0).integers(0, 256, (20, 2, 2, 1), np.uint8)
    plain, ahead = (training.Minibatches(images, 4, seed=1) for _ in range(2))
    ahead.reader, ahead.part = ThreadPoolExecutor(1), slice(0, None, 2)
    assert torch.equal(ahead[0], plain[0][::2])
    ahead[2]
    ahead.whole()
    for k in (0, 1, 3, 4):
        assert torch.equal(ahead[k], plain[k])


@pytest.mark.parametrize(("free", "resident"), [(201, True), (200, False), (100, False), (10_000, True)])
def test_pictures_lie_on_the_gpu_where_half_of_what_is_free_holds_them(monkeypatch, free, resident):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 10**6))
    monkeypatch.setattr(training.Minibatches, "_resident", lambda self: "there")
    batches = training.Minibatches(np.zeros((100, 1, 1, 1), np.uint8), 4, seed=0, device=torch.device("cuda"))
    assert (batches.resident, batches.reader is None) == (("there", True) if resident else (None, False))


def test_adam_gets_what_the_settings_say(tmp_path):
    """And is the fused one, several times faster on a GPU, with weights in memory as the convolutions want them."""
    given = settings(tmp_path, learning_rate=3e-3, beta1=0.7, weight_decay=0.02)
    trainer = training.Trainer(given, SMALL, data.load("digits", image_size=32).images.repeat(3, 3))
    for optimiser in trainer.optimisers:
        group = optimiser.param_groups[0]
        assert (group["lr"], group["betas"], group["weight_decay"]) == (3e-3, (0.7, 0.999), 0.02)
        assert group["fused"]
    assert trainer.generator.blocks[0][0].weight.is_contiguous(memory_format=torch.channels_last)
