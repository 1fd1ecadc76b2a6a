"""Every test has a cache and a data folder of its own and nothing from the machine's."""

import os
import shutil

import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may ask the network


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("DCGAN_DATA", str(tmp_path_factory.mktemp("data")))


@pytest.fixture(autouse=True)
def same_threads():
    torch.manual_seed(0)


@pytest.fixture
def fast_scale(monkeypatch, tmp_path, tmp_path_factory):
    """An empty folder in which experiments run at scale 'fast', without the authors' weights."""
    from experiments import scale

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCGAN_SCALE", "fast")
    for name in ("DCGAN_DATA", "DCGAN_RESULTS"):
        monkeypatch.setenv(name, "")  # undone after the test, as `prepare` sets them
    monkeypatch.delenv("DCGAN_AUTHORS", raising=False)
    stand_ins = scale.stand_ins(tmp_path_factory.getbasetemp() / "stand_ins")  # the same for every test: written once
    shutil.copytree(stand_ins, scale.runs("data"))
    scale.prepare()
    return tmp_path
