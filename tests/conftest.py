"""Every test has a cache and a data folder of its own and nothing from the machine's."""

import os

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
