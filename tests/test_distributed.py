"""Two processes (gloo) against one: the same weights, no picture lost or seen twice, one writer, resumed by either.

`launched` are real processes, two of them under torch.distributed.run as a reader starts them; `trained` are forked.
"""

import copy
import hashlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import processes
import pytest
import torch
from torch import nn

from dcgan_lib import checkpoints, cli, device, distributed, models, training

CALL = (
    "--arch tiny32 --data digits --steps {steps} --batch-size 32 --seed 3 --device cpu --precision float32 "
    "--log-every 4 --sample-every 8 --quiet --set widths=[8,16,16] "
    "--set generator_activation=elu --set discriminator_activation=elu"
)


ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}


LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


def arguments(out, steps: int, *more: str) -> list[str]:
    return ["train", *CALL.format(steps=steps).split(), "--out", str(out), *more]


def trained(out, count: int, steps: int, *more: str) -> subprocess.CompletedProcess:
    return processes.run(count, cli.main, arguments(out, steps, *more), env=ENVIRONMENT)


def launched(count: int, *call: str, timeout: float = 240) -> subprocess.CompletedProcess:
    start = [sys.executable] if count == 1 else [*LAUNCHER, str(count)]
    return subprocess.run([*start, *call], capture_output=True, text=True, timeout=timeout, env=ENVIRONMENT)


def weights(out) -> torch.Tensor:
    networks = checkpoints.load(out)
    return torch.cat([v.double().flatten() for n in networks for v in n.state_dict().values()])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, count in (("one", 1), ("two", 2)):
        done = launched(count, "-m", "dcgan_lib", *arguments(folder / name, 8))
        assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_two_processes_end_with_the_weights_of_one(runs):
    one, two = weights(runs / "one"), weights(runs / "two")
    apart = (one - two).abs()
    # Adam's first steps are one learning rate (2e-4) long even where a gradient is a rounding error.
    assert apart.quantile(0.99) < 2e-6, apart.quantile(torch.tensor([0.5, 0.99, 1.0]).double())


def test_two_processes_with_labels_end_with_the_weights_of_one(tmp_path):
    for name, count in (("one", 1), ("two", 2)):
        done = trained(tmp_path / name, count, 6, "--set", "classes=10")
        assert done.returncode == 0, done.stderr[-2000:]
    apart = (weights(tmp_path / "one") - weights(tmp_path / "two")).abs()
    assert apart.quantile(0.99) < 2e-6, apart.quantile(torch.tensor([0.5, 0.99, 1.0]).double())


def test_running_statistics_are_those_of_whole_minibatches(runs):
    """Of the checkpoint: those in the weights file are set anew after training."""
    found = []
    for name in ("one", "two"):
        tensors = checkpoints.load_state(runs / name / "state.safetensors")[1]
        found.append(torch.cat([v.flatten() for k, v in sorted(tensors.items()) if "running" in k]))
    assert found[0].numel() and torch.allclose(*found, rtol=1e-3, atol=1e-5)


def test_one_writes(runs):
    one, two = (json.loads((runs / name / "run.json").read_text()) for name in ("one", "two"))
    assert (one["stretches"][0].pop("processes"), two["stretches"][0].pop("processes")) == (1, 2)
    assert one == two
    rows = [training.read_stats(runs / name / "stats.jsonl") for name in ("one", "two")]
    assert [r["step"] for r in rows[1]] == [r["step"] for r in rows[0]] == [1, 5, 8]
    for a, b in zip(*rows, strict=True):
        assert a["loss_d"] == pytest.approx(b["loss_d"], rel=1e-3)  # of the whole minibatch, not of a part
        assert a["gradient_norm_g"] == pytest.approx(b["gradient_norm_g"], rel=1e-2)
    names = [sorted(p.name for p in (runs / name / "samples").iterdir()) for name in ("one", "two")]
    assert names[0] == names[1]


def test_a_run_goes_on_with_another_number_of_processes(runs, tmp_path):
    for count, steps, more in ((1, 3, ()), (2, 6, ("--extend",)), (1, 8, ("--extend",))):
        done = trained(tmp_path / "run", count, steps, *more)
        assert done.returncode == 0, done.stderr[-2000:]
    apart = (weights(runs / "one") - weights(tmp_path / "run")).abs()
    assert apart.quantile(0.99) < 2e-6, apart.max()
    steps = [row["step"] for row in training.read_stats(tmp_path / "run" / "stats.jsonl")]
    assert steps == [1, 3, 5, 6, 8]  # the last of each call is logged: none began anew


def test_a_stopped_pair_ends_where_it_stands(runs, tmp_path):
    """SIGTERM to the launcher reaches both processes; they stop at the same step, with a checkpoint."""
    call = [*LAUNCHER, "2", "-m", "dcgan_lib", *arguments(tmp_path / "run", 4_000)]
    with subprocess.Popen(call, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        waited = time.monotonic()
        while not (tmp_path / "run" / "stats.jsonl").exists() and time.monotonic() - waited < 60:
            time.sleep(0.1)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    about, _ = checkpoints.load_state(tmp_path / "run" / "state.safetensors")
    assert 0 < about["step"] < 4_000 and f"stopped after step {about['step']}" in said
    with pytest.raises(ValueError, match="holds a run with other settings"):  # the same folder, in one process
        training.train(training.TrainConfig("digits", tmp_path / "run", "tiny32", steps=4_000, progress=False))
    assert training.finish(tmp_path / "run", progress=False).stats[-1]["step"] <= about["step"]
    assert checkpoints.info(tmp_path / "run")["about"]["step"] == about["step"]


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    done = trained(tmp_path / "run", 2, 2, "--batch-size", "31")
    assert done.returncode and "does not divide into 2 equal parts" in done.stderr


@pytest.mark.parametrize(
    ("start", "fault", "said"),
    [
        ("launched", "if rank == 1: data.load = fails", "the disk of process 1 is gone"),
        ("forked", "if rank == 1: data.load = fails", "the disk of process 1 is gone"),
        ("forked", "settings['seed'] = rank", "the processes differ in settings, steps or pictures"),
        ("forked", "settings['steps'] = 5 + rank", "the processes differ in settings, steps or pictures"),
        ("forked", "settings['batch_size'] = 15 if rank else 16", "the processes differ in settings"),
    ],
    ids=["a set fails on one", "a set fails on one, forked", "seeds", "steps", "batch sizes"],
)
def test_what_differs_between_processes_ends_all_at_once(tmp_path, start, fault, said):
    """Nobody is left waiting for one that is gone: also without the launcher, which would end the others."""
    (tmp_path / "script.py").write_text(f"""
import os
from dcgan_lib import data, training

def fails(*_, **__):
    raise OSError("the disk of process 1 is gone")

rank = int(os.environ["RANK"])
settings = dict(arch="tiny32", out={str(tmp_path / "run")!r}, steps=5, batch_size=16, device="cpu", progress=False)
{fault}
training.train("digits", **settings)
""")
    script, started = str(tmp_path / "script.py"), time.monotonic()
    if start == "launched":
        done = launched(2, script, timeout=120)
    else:
        done = processes.run(2, _script, script, env=ENVIRONMENT, timeout=120)
    assert done.returncode and said in done.stderr, done.stderr[-2000:]
    assert time.monotonic() - started < 100
    assert not (tmp_path / "run" / "run.json").exists()  # nothing was begun


def _script(path: str) -> None:
    runpy.run_path(path, run_name="__main__")


def test_no_picture_is_lost_or_seen_twice(monkeypatch):
    images = np.zeros((20, 1, 1, 1), np.uint8)
    seen = []
    for rank in range(4):
        monkeypatch.setattr(distributed, "world_size", lambda: 4)
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        batches = training.Minibatches(images, 8, seed=1)
        seen.append(torch.cat([batches.indices(k) for k in range(5)]))  # two epochs of 20
    assert sorted(torch.cat(seen).tolist()) == sorted(2 * list(range(20)))
    assert {len(s) for s in seen} == {10}


def _norms(folder: str) -> None:
    with distributed.group(torch.device("cpu")):
        rank = distributed.rank()
        distributed.agree("7", "nothing", torch.device("cpu"))
        with pytest.raises(ValueError, match=rf"differ in steps \(process {rank}: {5 * rank}\)"):
            distributed.agree(str(5 * rank), "steps", torch.device("cpu"))
        for shape in ((6, 3, 4, 4), (6, 3)):
            torch.manual_seed(0)
            x = torch.randn(shape) + 5  # a mean far from 0
            plain = (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(3)
            plain.weight.data.uniform_(0.5, 2)
            shared = distributed.synchronise(nn.Sequential(plain))
            part = x[rank::2].clone().requires_grad_()
            out = shared(part)
            (out * torch.arange(out.numel() * 2).reshape(shape)[rank::2]).sum().backward()
            distributed.average_gradients(shared)
            state = {k: v for k, v in shared.state_dict().items() if v is not None}
            gradients = [p.grad for p in shared.parameters()]
            torch.save((out.detach(), part.grad, gradients, state), f"{folder}/{rank}-{len(shape)}.pt")


def test_batch_norm_of_two_parts_is_that_of_the_whole(tmp_path):
    done = processes.run(2, _norms, str(tmp_path), env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-2000:]
    for shape in ((6, 3, 4, 4), (6, 3)):
        torch.manual_seed(0)
        x = (torch.randn(shape) + 5).requires_grad_()
        plain = (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(3)
        plain.weight.data.uniform_(0.5, 2)
        out = plain(x)
        (out * torch.arange(out.numel()).reshape(shape)).sum().backward()
        for rank in range(2):
            ours, to_x, gradients, state = torch.load(tmp_path / f"{rank}-{len(shape)}.pt")
            assert torch.allclose(ours, out[rank::2], atol=1e-5)
            assert torch.allclose(to_x, x.grad[rank::2], rtol=1e-3, atol=1e-3)
            for mean, p in zip(gradients, plain.parameters(), strict=True):
                assert torch.allclose(2 * mean, p.grad, rtol=1e-4)  # a mean of two parts; the loss here is a sum
            assert torch.allclose(state["0.running_mean"], plain.running_mean, rtol=1e-5)
            assert torch.allclose(state["0.running_var"], plain.running_var, rtol=1e-5)


@pytest.mark.parametrize("more", [("--schedule", "alternate"), ("--ema-decay", "0.9")], ids=["alternate", "average"])
def test_other_settings_in_two_processes(tmp_path, more):
    for name, count in (("one", 1), ("two", 2)):
        done = trained(tmp_path / name, count, 4, *more)
        assert done.returncode == 0, done.stderr[-2000:]
    apart = (weights(tmp_path / "one") - weights(tmp_path / "two")).abs()
    assert apart.quantile(0.99) < 2e-6, apart.max()


def test_a_process_takes_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setenv("LOCAL_RANK", "3")
    with pytest.raises(ValueError, match="no cuda:7: it has 4 CUDA devices"):
        device.pick_device("cuda:7")
    assert [str(device.pick_device(n)) for n in ("auto", "cuda", "cuda:1")] == ["cuda:3", "cuda:3", "cuda:1"]
    monkeypatch.setenv("LOCAL_RANK", "4")
    with pytest.raises(ValueError, match=r"no cuda:4: it has 4 CUDA devices.*no more processes than these"):
        device.pick_device("cuda")


def test_auto_is_bfloat16_on_recent_nvidia_alone(monkeypatch):
    for hip, capability, expected in (
        (None, (9, 0), "bfloat16"), (None, (8, 0), "bfloat16"), (None, (7, 5), "float32"), ("6.2", (9, 0), "float32")
    ):  # fmt: skip
        monkeypatch.setattr(torch.version, "hip", hip)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, found=capability: found)
        assert device.pick_precision("auto", torch.device("cuda")) == expected


def test_auto_on_a_processor_is_what_is_measured(monkeypatch):
    """bfloat16 where products take clearly less time, by the fastest of several; a name is taken as it is."""
    clock, times = [], {}

    def ones(*sides, dtype):  # nothing is multiplied: the clock goes by the type
        clock.extend(t for seconds in times[dtype] for t in (0.0, seconds))
        return np.ones((1, 1))

    monkeypatch.setattr(device, "time", SimpleNamespace(perf_counter=lambda: clock.pop(0)))
    monkeypatch.setattr(torch, "ones", ones)
    for there, float32, bfloat16, pays in (
        (True, [2.0] * 6, [1.0] * 6, True), (True, [1.1] * 6, [1.0] * 6, False), (True, [1.0] * 6, [2.0] * 6, False),
        (True, [2.0] * 6, [1.0] + [9.0] * 5, True), (False, [2.0] * 6, [1.0] * 6, False),
    ):  # fmt: skip
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda found=there: found, raising=False)
        times |= {torch.float32: float32, torch.bfloat16: bfloat16}
        assert device._bfloat16_pays.__wrapped__() is pays
    monkeypatch.setattr(device, "_bfloat16_pays", lambda: True)
    found = [device.pick_precision("auto", torch.device(name)) for name in ("cpu", "mps")]
    assert found == ["bfloat16", "float32"]
    assert device.pick_precision("bfloat16", torch.device("mps")) == "bfloat16"
    assert device.device_name(torch.device("cpu")).endswith(f", {torch.get_num_threads()} threads")


def test_auto_is_cuda_before_mps(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for cuda, mps, expected in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda found=cuda: found)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda found=mps: found)
        assert device.pick_device().type == expected


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
def test_shared_batch_norm_alone_is_pytorch_s(momentum, monkeypatch):
    """Its averages go on as those do, and in eval mode they are what counts."""
    monkeypatch.setattr(distributed._Gather, "apply", lambda values: values[None])
    rng = torch.Generator().manual_seed(0)
    plain = nn.BatchNorm2d(3, momentum=momentum)
    shared = distributed.synchronise(copy.deepcopy(plain))
    for _ in range(3):
        x = torch.randn(5, 3, 4, 4, generator=rng) * 2 + 1
        torch.testing.assert_close(shared(x), plain(x))
    for ours, theirs in zip(shared.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(shared.eval()(x[:1]), plain.eval()(x[:1]))


def test_what_two_processes_tell_each_other(monkeypatch):
    """This one is the first; `other` is what the second adds to a sum."""
    here, other = torch.device("cpu"), torch.zeros(())
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "rank", lambda: 0)
    monkeypatch.setattr(distributed.dist, "all_reduce", lambda values: values.add_(other))
    values = torch.tensor([3.0, 1.0])
    assert distributed.mean(values).tolist() == [1.5, 0.5] and values.tolist() == [3, 1]
    assert [distributed.anyone(asked, here) for asked in (True, False)] == [True, False]
    other = torch.ones(())
    assert distributed.anyone(False, here) is True
    number = int.from_bytes(hashlib.sha256(b"same").digest()[:7], "big")
    other = torch.tensor([0, number])
    distributed.agree("same", "settings", here)
    with pytest.raises(ValueError, match="the processes differ in settings"):
        distributed.agree("another", "settings", here)


def test_several_processes_on_an_apple_gpu_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(ValueError, match="need device='cuda' or 'cpu', got mps"),
        distributed.group(torch.device("mps")),
    ):
        pass


def test_one_process_needs_no_group():
    with distributed.group(torch.device("cpu")):
        assert (distributed.world_size(), distributed.rank()) == (1, 0)
        assert distributed.anyone(True, torch.device("cpu")) is True


def _scaling(rank: int, world: int, port: int, out: str) -> None:
    import scaling

    scaling.NETS, scaling.BATCH, scaling.REPEATS = {"tiny32": 1}, 8, 1
    scaling.work(rank, world, port, "tiny32", "cpu", out)


def test_the_benchmark_of_scaling_counts_what_a_step_sends(tmp_path, monkeypatch):
    """Of two processes each gradient goes once, in float32; of one nothing goes."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")  # a process has the paths of this one
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for world in (1, 2):
        calls = [(_scaling, rank, world, port, str(tmp_path / "out.pt")) for rank in range(world)]
        done = processes.ended([processes.Forked(*call, env=ENVIRONMENT) for call in calls], timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        found = torch.load(tmp_path / "out.pt")
        assert len(found["times"]) == 1 and found["times"][0] > 0
        parameters = sum(p.numel() for network in models.build("tiny32") for p in network.parameters())
        assert found["bytes"] == 0 if world == 1 else found["bytes"] >= 4 * parameters
