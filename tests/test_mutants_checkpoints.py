"""Weights in files, where a change of one operator or number had passed every other test."""

import json
import struct
import sys

import numpy as np
import pytest
import torch

from dcgan_lib import checkpoints, models


def test_a_file_is_replaced_and_not_written_into(tmp_path):
    """Who reads the earlier one goes on reading it whole, and another name for it keeps its bytes."""
    path = checkpoints.write_bytes(tmp_path / "a.bin", b"the earlier bytes")
    (tmp_path / "b.bin").hardlink_to(path)
    with path.open("rb") as reader:
        assert reader.read(4) == b"the "
        checkpoints.write_bytes(path, b"new")
        assert reader.read() == b"earlier bytes"
    assert path.read_bytes() == b"new" and (tmp_path / "b.bin").read_bytes() == b"the earlier bytes"


def test_the_hub_is_named_only_where_the_name_may_be_one_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    checkpoints.write_bytes(tmp_path / "runs" / "faces", b"x")
    for name, words in {
        "owner/name": "on the Hugging Face hub it would be hf:owner/name",
        "runs/facse": "did you mean runs/faces",
    }.items():
        with pytest.raises(FileNotFoundError, match=words):
            checkpoints.load(name)
    for name in ("runs/facse", "a/b/c", tmp_path / "no" / "such"):
        with pytest.raises(FileNotFoundError) as caught:
            checkpoints.load(name)
        assert "hf:" not in str(caught.value)


def test_without_the_hubs_library_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"need the extra: pip install 'dcgan_lib\[hub\]'"):
        checkpoints.load("hf:owner/name")


def test_a_classifier_without_outputs_is_refused(tmp_path):
    network = models.classifier(models.architecture("tiny32", channels=1), 3, 0.0, 0)
    path = checkpoints.save_classifier(tmp_path / "c.safetensors", network, {"names": ["a", "b", "c"]})
    assert checkpoints.load_classifier(path)[1]["names"] == ["a", "b", "c"]
    bare = models.classifier(network.arch, 3, 0.0, 0)
    bare.head[1].bias = None
    checkpoints.save_classifier(tmp_path / "d.safetensors", bare, {})
    with pytest.raises(checkpoints.CheckpointError, match="has 0 outputs"):
        checkpoints.load_classifier(tmp_path / "d.safetensors")
    header = {"kind": "classifier", "architecture": network.arch.to_dict(), "about": {"names": ["a"]}}
    checkpoints._write(tmp_path / "e.safetensors", network.state_dict(), header)
    with pytest.raises(checkpoints.CheckpointError, match="has 3 outputs and 1 names"):
        checkpoints.load_classifier(tmp_path / "e.safetensors")
    checkpoints.save_classifier(tmp_path / "f.safetensors", network, {})  # without names any number will do
    loaded = checkpoints.load_classifier(tmp_path / "f.safetensors")[0]
    assert torch.equal(loaded.head[1].weight, network.head[1].weight)


@pytest.mark.parametrize("change", [{"dtype": "F99"}, {"shape": [1, 2, 3]}, {"shape": "four"}])
def test_a_header_that_does_not_fit_its_bytes_is_refused(tmp_path, change):
    """As long as it says, so that only reading the tensors finds it."""
    path = checkpoints.save(tmp_path / "a.safetensors", *models.build("tiny32", seed=0, channels=1))
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    entries = json.loads(raw[8 : 8 + length])
    entries["generator.project.weight"] |= change
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + raw[8 + length :])
    with pytest.raises(checkpoints.CheckpointError, match=r"a\.safetensors is cut short or no safetensors file"):
        checkpoints.load(path)


def test_the_authors_networks_are_calibrated_on_ten_batches_of_128(tmp_path, monkeypatch):
    """G's on latents of its own, D's on pictures of other latents."""
    arch, seen = models.architecture("svhn32"), []
    generator, discriminator = models.build(arch, seed=0)
    for part, network in (("gen", generator), ("discrim", discriminator)):
        for i, parameter in enumerate(network.parameters(), 1):
            array = parameter.detach().numpy()
            array = array[:, :, ::-1, ::-1] if array.ndim == 4 else array.T
            np.save(tmp_path / f"200_{part}_params.jl_{i:02d}.npy", array)

    def noted(network, batches):
        seen.append([batch if batch.ndim == 2 else batch.shape for batch in batches])
        return network

    monkeypatch.setattr(checkpoints, "calibrate", noted)
    loaded = checkpoints.load_authors(tmp_path)
    assert torch.equal(loaded[0].project.weight, generator.project.weight)
    assert all(torch.equal(z, models.sample_latent(128, arch, seed)) for seed, z in enumerate(seen[0]))
    assert len(seen[0]) == 10 and seen[1] == [(128, 3, 32, 32)] * 10
