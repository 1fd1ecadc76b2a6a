"""Run folders that something happened to: refused with a sentence that names what and says what to do, nothing lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from dcgan_lib import checkpoints, config, device, models, training

SMALL = models.architecture("tiny32", widths=(4, 8, 8), latent_dim=8)
SETTINGS = {"data": "digits", "arch": SMALL, "steps": 6, "batch_size": 16, "seed": 3, "device": "cpu"}
SETTINGS |= {"precision": "float32", "progress": False, "log_every": 1, "sample_every": 6}


def settings(out, **changes):
    return training.TrainConfig(out=out, **(SETTINGS | changes))


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def stopped(out, at=3, by=signal.SIGINT, **changes):
    """A run with a checkpoint in its middle."""
    step = training.Trainer.step

    def interrupted(self, k, log=False):
        if k == at - 1:
            signal.raise_signal(by)
        return step(self, k, log)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Trainer, "step", interrupted)
        training.train(settings(out, **changes))
    return out


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A stopped and a finished run, and one of another seed, to copy from."""
    folder = tmp_path_factory.mktemp("runs")
    os.environ["DCGAN_CACHE"] = str(folder / "cache")
    stopped(folder / "stopped")
    stopped(folder / "other", seed=4)
    training.train(settings(folder / "finished"))
    return folder


def remove_moments(path):
    about, tensors = checkpoints.load_state(path / "state.safetensors")
    checkpoints.save_state(
        path / "state.safetensors", {k: v for k, v in tensors.items() if not k.startswith("adam_d")}, about
    )


def beyond(path):
    about, tensors = checkpoints.load_state(path / "state.safetensors")
    checkpoints.save_state(path / "state.safetensors", tensors, about | {"step": 99})


def poison(path):
    about, tensors = checkpoints.load_state(path / "state.safetensors")
    tensors["generator.project.weight"] = torch.zeros(3, 3)
    checkpoints.save_state(path / "state.safetensors", tensors, about)


def cut(name, to):
    def change(path):
        (path / name).write_bytes((path / name).read_bytes()[:to])

    return change


def write(name, text):
    return lambda path: (path / name).write_text(text)


FAULTS = {
    "run.json null": ("stopped", write("run.json", "null"), "run.json is damaged.*delete that file"),
    "run.json a list": ("stopped", write("run.json", "[1]"), "run.json is damaged"),
    "run.json empty object": ("stopped", write("run.json", "{}"), "run.json is damaged"),
    "run.json empty": ("stopped", write("run.json", ""), "run.json is damaged"),
    "run.json no text": ("stopped", lambda p: (p / "run.json").write_bytes(b"\xff\xfe\x00"), "run.json is damaged"),
    "run.json config a list": ("stopped", write("run.json", '{"config": [], "architecture": {}}'), "is damaged"),
    "run.json without steps": ("stopped", write("run.json", '{"config": {}, "architecture": {}}'), "is damaged"),
    "state cut": ("stopped", cut("state.safetensors", 1000), "state.safetensors is cut short or no safetensors"),
    "state empty": ("stopped", cut("state.safetensors", 0), "state.safetensors is cut short or no safetensors"),
    "state of text": ("stopped", write("state.safetensors", "hello" * 99), "is cut short or no safetensors"),
    "state are weights": (
        "stopped",
        lambda p: shutil.copy(p / "weights.safetensors", p / "state.safetensors"),
        "holds weights, expected a run's state",
    ),
    "state of another run": (
        "stopped",
        lambda p: shutil.copy(p.parent / "runs_other_state", p / "state.safetensors"),
        r"(?s)other settings:\n  seed: 4 there, 3 now",
    ),
    "state beyond the end": ("stopped", beyond, "has trained 99 steps already, 6 were asked for"),
    "state without D's moments": ("stopped", remove_moments, "the checkpoint lacks adam_d"),
    "state of other shapes": ("stopped", poison, "the checkpoint.s generator.*project.weight: expected"),
    "weights, no state": ("stopped", lambda p: (p / "state.safetensors").unlink(), "holds weights but no state"),
    "weights cut": ("finished", cut("weights.safetensors", 500), "weights.safetensors is cut short"),
    "out is a file": (
        "stopped",
        lambda p: (shutil.rmtree(p), p.write_text("x")),
        "run is a file: a run's `out` is a folder",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_folder_is_refused_and_left_as_it_is(runs, tmp_path, fault):
    kind, change, message = FAULTS[fault]
    shutil.copy(runs / "other" / "state.safetensors", tmp_path / "runs_other_state")
    shutil.copytree(runs / kind, tmp_path / "run")
    change(tmp_path / "run")
    before = files(tmp_path)
    with pytest.raises((ValueError, OSError), match=message):
        training.train(settings(tmp_path / "run"))
    assert files(tmp_path) == before


def test_extending_weights_without_a_state_is_refused(runs, tmp_path):
    shutil.copytree(runs / "finished", tmp_path / "run")
    (tmp_path / "run" / "state.safetensors").unlink()
    with pytest.raises(ValueError, match=r"holds weights but no state\.safetensors: the run cannot go on"):
        training.train(settings(tmp_path / "run", steps=9), extend=True)
    assert len(training.train(settings(tmp_path / "run")).stats) == 6  # as it stands it is whole


def test_without_run_json_the_checkpoints_own_settings_count(runs, tmp_path):
    shutil.copytree(runs / "stopped", tmp_path / "run")
    (tmp_path / "run" / "run.json").unlink()
    with pytest.raises(ValueError, match="seed: 3 there, 5 now"):
        training.train(settings(tmp_path / "run", seed=5))
    training.train(settings(tmp_path / "run"))
    assert files(tmp_path / "run")["weights.safetensors"] == files(runs / "finished")["weights.safetensors"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["steps"] == 6


@pytest.mark.parametrize("what", ["moved", "deleted", "replaced"])
def test_a_folder_that_goes_away_while_it_trains(runs, tmp_path, what):
    step, run = training.Trainer.step, tmp_path / "run"

    def disturbed(self, k, log=False):
        if k == 3:
            shutil.rmtree(run) if what == "deleted" else run.rename(tmp_path / "elsewhere")
            if what == "replaced":
                run.mkdir()
        return step(self, k, log)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match="was moved or deleted while it trained"):
        patch.setattr(training.Trainer, "step", disturbed)
        training.train(settings(run, checkpoint_seconds=0))
    assert not run.exists() or not list(run.iterdir())
    if what == "moved":
        training.train(settings(tmp_path / "elsewhere"))
        again = files(tmp_path / "elsewhere")
        assert again["weights.safetensors"] == files(runs / "finished")["weights.safetensors"]


def test_precision_does_not_change_in_mid_run_without_a_word(runs, tmp_path):
    shutil.copytree(runs / "stopped", tmp_path / "run")
    with pytest.raises(ValueError, match=r"computed in float32 on cpu, this call asks for bfloat16 on cpu.*--switch"):
        training.train(settings(tmp_path / "run", precision="bfloat16"))
    run = training.train(settings(tmp_path / "run", precision="bfloat16"), switch=True)
    stretches = json.loads((run.out / "run.json").read_text())["stretches"]
    assert [(s["from_step"], s["precision"]) for s in stretches] == [(0, "float32"), (3, "bfloat16")]


def test_the_same_arithmetic_spelt_otherwise_goes_on(runs, tmp_path, monkeypatch):
    """'auto' takes what the run was begun in, also where this machine would choose otherwise."""
    shutil.copytree(runs / "stopped", tmp_path / "run")
    monkeypatch.setattr(device, "pick_precision", lambda name, _: "bfloat16" if name == "auto" else name)
    training.train(settings(tmp_path / "run", precision="auto", device="auto"))
    assert files(tmp_path / "run")["weights.safetensors"] == files(runs / "finished")["weights.safetensors"]


def test_what_changes_no_number_may_change(runs, tmp_path):
    shutil.copytree(runs / "stopped", tmp_path / "run")
    training.train(settings(tmp_path / "run", log_every=5, sample_every=2, keep_every=2, checkpoint_seconds=1))
    assert files(tmp_path / "run")["weights.safetensors"] == files(runs / "finished")["weights.safetensors"]


BAD = [
    (name, value)
    for name in ("batch_size", "log_every", "sample_every", "keep_every", "limit", "steps")
    for value in (0, -5, 2.5, "10", True, float("nan"), float("inf"), 10**30 if name == "steps" else -1)
]
BAD += [
    (name, value)
    for name in ("learning_rate", "beta1", "weight_decay", "ema_decay", "checkpoint_seconds", "epochs")
    for value in (-1, "0.1", float("nan"), float("inf"), True, [1])
]
BAD += [("seed", v) for v in (-1, 1.5, 2**63, None, "0")] + [("epochs", v) for v in (0, 1e30)]
BAD += [("beta1", 1.0), ("ema_decay", 0), ("ema_decay", 1), ("learning_rate", 0), ("precision", "float16")]
BAD += [("precision", None), ("schedule", "both"), ("schedule", 3), ("progress", "yes"), ("data", ""), ("data", None)]
BAD += [("out", ""), ("out", 7), ("start", ""), ("arch", 64), ("arch", None), ("device", ""), ("data", "a\0b")]


@pytest.mark.parametrize(("name", "value"), BAD, ids=[f"{n}={str(v)[:12]!r}" for n, v in BAD])
def test_settings_out_of_range_are_refused_by_name(tmp_path, name, value):
    values = SETTINGS | {"out": tmp_path, name: value}
    if name == "epochs":
        values["steps"] = None
    with pytest.raises(ValueError, match=name):
        training.TrainConfig(**values)


@pytest.mark.parametrize(
    ("name", "value"),
    [(n, v) for n in ("image_size", "latent_dim", "kernel_size") for v in (0, -1, 4.0, "64", None, True, 10**9, [64])]
    + [("widths", v) for v in ([], [0], [64.0], ["64"], [True], 64, [[64, 128]], [10**9], [8] * 17, None, "64,128")]
    + [("strides", v) for v in ([2], [2, 2, 2, 3], [[2, 2, 2, 2]], [0, 2, 2, 2], "2222", [2.0] * 4, [True] * 4)]
    + [("channels", v) for v in (0, 2, 4, "3", 3.0, None, True)]
    + [("dense_units", v) for v in (0, -3, 1.5, "1024", 10**9)]
    + [("norm_eps", v) for v in (0, -1, float("nan"), "1e-5", None)]
    + [
        (n, v)
        for n in ("norm", "prior", "upsample", "output_activation")
        for v in ("", "batchnorm", 1, None, ["batch"])
    ]
    + [("norm_affine", v) for v in (1, "true", None)],
    ids=lambda v: str(v)[:20],
)
def test_architectures_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        replace(models.ARCHITECTURES["paper64"], **{name: value})


def test_every_setting_has_a_rule_and_a_sentence():
    for kind in (config.TrainConfig, models.Architecture):
        for name, field in kind.__dataclass_fields__.items():
            assert field.metadata["help"], name
            assert field.metadata["rule"] or name == "arch", name


def test_a_third_signal_ends_a_process_whose_peer_is_gone(tmp_path):
    code = """
import os, signal, sys
from dcgan_lib import distributed
from dcgan_lib.training.interrupts import finish_step_first
distributed.world_size = lambda: 2
with finish_step_first() as stop:
    for i in range(3):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            sys.exit(10 + i)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode == 12, done.stderr.decode()


def test_bare_weights_of_another_run_are_not_this_runs(runs, tmp_path):
    (tmp_path / "run").mkdir()
    shutil.copy(runs / "finished" / "weights.safetensors", tmp_path / "run")
    before = files(tmp_path)
    with pytest.raises(ValueError, match=r"holds weights but no state\.safetensors"):
        training.train(settings(tmp_path / "run", seed=9))
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["stats.jsonl", "samples/step_0000000.png", "kept/step_0000004.safetensors"])
def test_files_that_are_no_runs_are_not_replaced(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(ValueError, match=rf"holds files that are no run's \({name}\).*choose another folder"):
        training.train(settings(tmp_path))
    assert files(tmp_path) == {name: b"mine\n"}


def test_a_run_goes_on_when_what_it_started_from_is_gone(runs, tmp_path):
    shutil.copytree(runs / "finished", tmp_path / "first")
    stopped(tmp_path / "run", start=tmp_path / "first")
    (tmp_path / "first").rename(tmp_path / "moved")
    assert training.train(settings(tmp_path / "run", start=tmp_path / "first")).stats[-1]["step"] == 6


def test_what_a_run_started_from_may_be_spelt_otherwise(runs, tmp_path, monkeypatch):
    shutil.copytree(runs / "finished", tmp_path / "first")
    monkeypatch.chdir(tmp_path)
    stopped(tmp_path / "run", start="first")
    monkeypatch.chdir(runs)
    with pytest.raises(ValueError, match="other settings:\n  start: 'first' there, 'finished' now"):
        training.train(settings(tmp_path / "run", start="finished"))
    start = tmp_path / "first" / "weights.safetensors"
    assert training.train(settings(tmp_path / "run", start=start)).stats[-1]["step"] == 6
    assert training.folder.start_place("faces") == "faces"  # a name is no path


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has none")
def test_a_closed_terminal_leaves_a_checkpoint(tmp_path):
    stopped(tmp_path / "run", by=signal.SIGHUP)
    assert checkpoints.state_about(tmp_path / "run" / "state.safetensors")["step"] == 3
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with training.interrupts.finish_step_first() as stop:
            signal.raise_signal(signal.SIGHUP)
        assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_finish_without_run_json(runs, tmp_path):
    shutil.copytree(runs / "stopped", tmp_path / "run")
    (tmp_path / "run" / "run.json").unlink()
    training.finish(tmp_path / "run", progress=False)
    assert checkpoints.info(tmp_path / "run")["about"]["step"] == 3


def test_a_stretch_without_a_step_does_not_count(runs, tmp_path):
    """Killed between a switch and the first checkpoint after it: the run is still what it was begun in."""
    shutil.copytree(runs / "stopped", tmp_path / "run")
    there = json.loads((tmp_path / "run" / "run.json").read_text())
    there["stretches"].append(there["stretches"][0] | {"from_step": 3, "precision": "bfloat16"})
    (tmp_path / "run" / "run.json").write_text(json.dumps(there))
    training.train(settings(tmp_path / "run"))
    assert files(tmp_path / "run")["weights.safetensors"] == files(runs / "finished")["weights.safetensors"]
