"""A recorded step does what the same step does call by call. On a GPU; elsewhere the recording itself is played."""

import contextlib
import weakref

import numpy as np
import pytest
import torch

from dcgan_lib import data, models, training
from dcgan_lib.training.capture import WARM, Captured

STEPS = 4 * (WARM + 1)
there = torch.cuda.is_available() and torch.version.cuda is not None
gpu = pytest.mark.skipif(not there, reason="CUDA graphs need an NVIDIA GPU")


def unbound(function):
    """`partial(trainer.part, …)` without a hold on the trainer, as a CUDA graph has none."""
    bound = getattr(function, "func", None)
    if bound is None:
        return function
    owner = weakref.proxy(bound.__self__)
    return lambda *inputs: bound.__func__(owner, *inputs, **function.keywords)


class Played:
    """In place of a CUDA graph: what is recorded is a call of the function, which a replay makes again."""

    def replay(self):
        for name, value in self.function(*self.captured.inputs).items():
            self.captured.outputs[name].copy_(value)


@pytest.fixture
def played(monkeypatch):
    """Captured without a GPU. Returns a list for the tensors that a recording, which runs nothing, must leave alone."""
    watched = []

    class Stream:
        def __init__(self, device):
            pass

        def wait_stream(self, other):
            pass

    @contextlib.contextmanager
    def graph(found, stream, capture_error_mode):
        before = [tensor.clone() for tensor in watched]
        yield
        for tensor, value in zip(watched, before, strict=True):
            tensor.copy_(value)

    def record(self, function, inputs, original=Captured._record):
        original(self, function, inputs)
        self.graph.captured, self.graph.function = weakref.proxy(self), unbound(function)

    for name, value in {
        "Stream": Stream,
        "current_stream": Stream,
        "stream": lambda stream: contextlib.nullcontext(),
        "graph": graph,
        "CUDAGraph": Played,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(Captured, "_record", record)
    return watched


def test_every_call_counts_once_with_its_own_inputs(played):
    """Warm calls, the recorded one and replays: a running sum sees each input once, and no output changes later."""
    total = torch.zeros(())
    played.append(total)

    def add(x, nothing):
        assert nothing is None
        total.add_(x.sum())
        return {"total": total * 1.0}

    captured = Captured(torch.device("cpu"))
    found = [captured(add, torch.full((2,), float(k)), None) for k in range(WARM + 4)]
    sums = np.cumsum([2.0 * k for k in range(WARM + 4)])
    assert [row["total"].item() for row in found] == sums.tolist()
    assert total.item() == sums[-1]


@pytest.mark.parametrize("settings", [{"ema_decay": 0.9}, {"schedule": "alternate"}], ids=["ema", "alternate"])
def test_a_trainer_that_records_takes_the_same_steps(played, settings):
    arch = models.architecture("tiny32", widths=(4, 8, 8))
    config = training.TrainConfig(
        data="noise", out="unused", arch=arch, steps=2 * STEPS, batch_size=4, device="cpu", precision="float32",
        **settings,
    )  # fmt: skip
    plain, recorded = (training.Trainer(config, arch, pictures()) for _ in range(2))
    recorded.captures = True
    for k in range(2 * STEPS):
        log = k % 5 in (0, 3)
        played[:] = recorded.tensors().values()
        now, then = recorded.step(k, log), plain.step(k, log)
        assert now.keys() == then.keys()
        assert all(torch.equal(now[name], then[name]) for name in now), k
    assert len(recorded.recorded) == (2 if "schedule" in settings else 1)
    assert all(captured.calls > WARM for captured in recorded.recorded.values())
    for name, value in plain.tensors().items():
        assert torch.equal(value, recorded.tensors()[name]), name
    recorded.restore(plain.tensors())
    assert not recorded.recorded
    gone = weakref.ref(recorded)
    del recorded
    assert gone() is None  # with its memory, whether or not Python's collector has run


def pictures(n=40, size=32, labels=False):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, size, size, 3), np.uint8)
    return data.ImageSet("noise", "train", images, "", np.arange(n) % 4, class_names=list("abcd")) if labels else images


@pytest.fixture
def deterministic(monkeypatch):
    """cuDNN's kernels give the same numbers twice: else two runs of one state may drift apart."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


def trained(captures, **settings):
    classes = settings.pop("classes", 0)
    arch = models.architecture("tiny32", classes=classes)
    config = training.TrainConfig(
        data="noise", out="unused", arch=arch, steps=STEPS * 2, batch_size=8, device="cuda", precision="float32",
        **settings,
    )  # fmt: skip
    trainer = training.Trainer(config, arch, pictures(labels=bool(classes)))
    assert trainer.captures
    trainer.captures = captures
    losses = [{n: v.clone() for n, v in trainer.step(k, log=k % 3 == 0).items()} for k in range(2 * STEPS)]
    return trainer, [{n: v.item() for n, v in row.items()} for row in losses]


@gpu
@pytest.mark.parametrize(
    "settings",
    [{}, {"ema_decay": 0.9}, {"schedule": "alternate"}, {"decay_after": 0.5}, {"classes": 4}],
    ids=["plain", "ema", "alternate", "decay", "classes"],
)
def test_the_same_losses_and_weights_as_without_graphs(deterministic, settings):
    plain, losses = trained(False, **settings)
    recorded, found = trained(True, **settings)
    assert not plain.recorded
    assert all(captured.calls > WARM for captured in recorded.recorded.values())
    assert [row.keys() for row in found] == [row.keys() for row in losses]
    for k, (now, then) in enumerate(zip(found, losses, strict=True)):
        for name in now:
            assert now[name] == pytest.approx(then[name], rel=1e-3, abs=1e-4), (k, name)
    for name, value in plain.tensors().items():
        torch.testing.assert_close(recorded.tensors()[name], value, rtol=1e-2, atol=1e-4, msg=name)


@gpu
def test_a_restored_state_is_trained_on(deterministic):
    """Moments that are put back lie elsewhere in memory: what was recorded before is recorded anew."""
    first, _ = trained(True)
    state = {k: v.clone() for k, v in first.tensors().items()}
    on = [first.step(k)["loss_d"].item() for k in range(2 * STEPS, 2 * STEPS + 6)]
    first.restore(state)
    again = [first.step(k)["loss_d"].item() for k in range(2 * STEPS, 2 * STEPS + 6)]
    assert again == pytest.approx(on, rel=1e-3)
