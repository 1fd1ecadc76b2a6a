"""Weights in files: what comes back, and what is said of files that are cut, foreign or not there."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from dcgan_lib import checkpoints, models


@pytest.fixture
def networks():
    return models.build("tiny32", seed=0, channels=1)


def test_round_trip(tmp_path, networks):
    path = checkpoints.save(tmp_path / "a.safetensors", *networks, {"from": "a test"})
    loaded = checkpoints.load(path)
    for before, after in zip(networks, loaded, strict=True):
        assert after.arch == before.arch and not after.training
        for a, b in zip(before.state_dict().values(), after.state_dict().values(), strict=True):
            assert torch.equal(a, b) and a.dtype == b.dtype
    assert checkpoints.info(path)["about"] == {"from": "a test"}
    assert set(load_file(path)) >= {"generator.project.weight", "discriminator.head.weight"}  # any reader can


def test_half_precision_files(tmp_path, networks):
    full = checkpoints.save(tmp_path / "full.safetensors", *networks)
    half = checkpoints.save(tmp_path / "half.safetensors", *networks, dtype=torch.float16)
    assert half.stat().st_size < 0.6 * full.stat().st_size
    tensors = load_file(half)
    assert tensors["generator.project.weight"].dtype == torch.float16
    assert tensors["generator.project_norm.running_var"].dtype == torch.float32
    generator, _ = checkpoints.load(half)
    assert generator.project.weight.dtype == torch.float32
    latent = models.sample_latent(4, generator.arch)
    exact = models.sample(networks[0], latent, "batch")
    assert (models.sample(generator, latent, "batch") - exact).abs().max() < 0.01


def test_equal_networks_give_equal_bytes(tmp_path, networks):
    a = checkpoints.save(tmp_path / "a.safetensors", *networks, {"b": 1, "a": 2})
    b = checkpoints.save(tmp_path / "b.safetensors", *networks, {"a": 2, "b": 1})
    assert a.read_bytes() == b.read_bytes()


def test_cut_file(tmp_path, networks):
    path = checkpoints.save(tmp_path / "a.safetensors", *networks)
    whole = path.read_bytes()
    for length in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(checkpoints.CheckpointError, match=r"a.safetensors is cut short or no safetensors file"):
            checkpoints.load(path)


def test_foreign_files(tmp_path, networks):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(checkpoints.CheckpointError, match="not of dcgan_lib"):
        checkpoints.load(tmp_path / "other.safetensors")
    (tmp_path / "model.pt").write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(checkpoints.CheckpointError, match=r"pickled \.pt and \.pth files are not read"):
        checkpoints.load(tmp_path / "model.pt")
    checkpoints.save_state(tmp_path / "state.safetensors", {"a": torch.zeros(1)}, {"step": 1})
    with pytest.raises(checkpoints.CheckpointError, match="holds a run's state, expected weights"):
        checkpoints.load(tmp_path / "state.safetensors")


def test_pickles_are_never_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle ran",))

    (tmp_path / "bomb.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(checkpoints.CheckpointError):
        checkpoints.load(tmp_path / "bomb.safetensors")


def test_header_of_another_version(tmp_path, networks):
    path = checkpoints.save(tmp_path / "a.safetensors", *networks)
    tensors = load_file(path)
    header = checkpoints.info(path)
    header["architecture"]["attention"] = True
    save_file(tensors, path, {"dcgan": json.dumps(header)})
    with pytest.raises(checkpoints.CheckpointError, match="does not know: unknown architecture field 'attention'"):
        checkpoints.load(path)
    del header["architecture"]["attention"]
    header["architecture"]["latent_dim"] = 7
    save_file(tensors, path, {"dcgan": json.dumps(header)})
    with pytest.raises(checkpoints.CheckpointError, match="do not fit its architecture"):
        checkpoints.load(path)


def test_places(tmp_path, networks, monkeypatch):
    checkpoints.save(tmp_path / "run" / checkpoints.FILE, *networks)
    assert checkpoints.load(tmp_path / "run")[0].arch == networks[0].arch
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="is the run finished"):
        checkpoints.load(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="no weights at"):
        checkpoints.load(tmp_path / "nothing.safetensors")
    monkeypatch.chdir(tmp_path)
    for name in checkpoints.pretrained():  # a folder of that name without weights does not hide them
        (tmp_path / name).mkdir()
        assert checkpoints.locate(name) == checkpoints.pretrained()[name]
    with pytest.raises(ValueError, match="unknown pretrained model"):
        checkpoints.load("facs")

    asked = []

    def download(repository, name):
        asked.append((repository, name))
        return str(tmp_path / "run" / checkpoints.FILE)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert checkpoints.load("someone/dcgan-cats.v1")[0].arch == networks[0].arch
    assert asked == [("someone/dcgan-cats.v1", "weights.safetensors")]


def test_hub_without_network():
    with pytest.raises(FileNotFoundError, match=r"no weights\.safetensors from Hugging Face nobody/nothing"):
        checkpoints.load("nobody/nothing")


@pytest.mark.parametrize("name", list(checkpoints.pretrained()))
def test_shipped_weights(name):
    generator, discriminator = checkpoints.load(name)
    images = models.sample(generator, models.sample_latent(32, generator.arch, 0))
    assert images.abs().max() <= 1 and images.std(0).mean() > 0.1  # 32 different pictures
    about = checkpoints.info(name)["about"]
    assert about["result"].startswith("results/") and about["pictures"]["fingerprint"]
    assert torch.isfinite(discriminator(images)).all()


def test_weights_ship():
    assert {"faces", "mnist"} <= set(checkpoints.pretrained())
    total = sum(path.stat().st_size for path in checkpoints.pretrained().values())
    assert total <= 32e6


def test_a_crash_while_writing_leaves_the_earlier_file(tmp_path, networks, monkeypatch):
    path = checkpoints.save(tmp_path / "a.safetensors", *networks)
    before = path.read_bytes()
    monkeypatch.setattr(
        checkpoints.os, "fsync", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError, match=r"could not be written \(No space left on device.*earlier one is untouched"):
        checkpoints.save(path, *models.build("tiny32", seed=1, channels=1))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
