"""TensorBoard's log, read back by TensorBoard itself."""

import sys

import numpy as np
import pytest
from PIL import Image

from dcgan_lib import training
from dcgan_lib.training import TrainConfig, board

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def config(out, **changes):
    settings = {"data": "digits", "arch": "tiny32", "batch_size": 16, "device": "cpu", "precision": "float32"}
    settings |= {"progress": False, "log_every": 2, "sample_every": 3, "tensorboard": True, "checkpoint_seconds": 0}
    return TrainConfig(out=out, **(settings | {"steps": 6} | changes))


def events(run):
    found = accumulator.EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    return found.Reload()


def test_events_are_the_lines_of_the_statistics(tmp_path):
    run = training.train(config(tmp_path / "run"))
    training.train(config(tmp_path / "run", steps=9), extend=True)
    found, stats = events(run.out), training.read_stats(run.out / "stats.jsonl")
    assert set(found.Tags()["scalars"]) == set(stats[0]) - {"step"}
    for name in ("loss_d", "loss_g", "images_per_second"):
        logged = found.Scalars(name)
        assert [e.step for e in logged] == [row["step"] for row in stats] == [1, 3, 5, 6, 7, 9]
        np.testing.assert_allclose([e.value for e in logged], [row[name] for row in stats], rtol=1e-6)
    images = found.Images("samples")
    assert [e.step for e in images] == [0, 3, 6, 9]
    with Image.open(run.out / "samples" / "step_0000006.png") as stored:
        assert (images[2].width, images[2].height) == stored.size


def test_steps_that_come_again_are_told_once(tmp_path):
    """A run that was killed after its last checkpoint goes on from that: later events are dropped."""
    first = board.Board(tmp_path, 0)
    for step in (1, 2, 3, 4):
        first.statistics({"step": step, "loss_d": float(step)})
    first.close()
    again = board.Board(tmp_path, 2)
    again.statistics({"step": 3, "loss_d": 30.0})
    again.close()
    assert [(e.step, e.value) for e in events(tmp_path).Scalars("loss_d")] == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_without_the_package_nothing_is_trained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r"pip install 'dcgan_lib\[tensorboard\]'"):
        training.train(config(tmp_path / "run"))
    assert not (tmp_path / "run" / "weights.safetensors").exists()
    assert len(training.train(config(tmp_path / "run", tensorboard=False)).stats) == 4
