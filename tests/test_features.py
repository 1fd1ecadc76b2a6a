"""The paper's feature vector against plain pooling, and the batch-norm statistics of the released script."""

import numpy as np
import pytest
import torch

from dcgan_lib import data, features, models


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (300, 32, 32, 3), np.uint8)


@pytest.mark.parametrize(("name", "count"), [("imagenet32", 28_672), ("svhn32", 7_168)])
def test_dimensions(name, count, pictures):
    _, discriminator = models.build(name, seed=0)
    out = features.discriminator_features(discriminator, pictures[:4], progress=False)
    assert out.shape == (4, count) and out.dtype == np.float32 and np.isfinite(out).all()


def released_statistics(discriminator, pictures):
    """bnorm_statistics of svhn/svhn_semisup_analysis.py in plain torch: means over batches of 128."""
    means, variances = [], []
    for start in range(0, len(pictures), 128):
        x, u, s = data.to_float(pictures[start : start + 128]), [], []
        for block in discriminator.blocks:
            x = block[0](x)
            if isinstance(block[1], torch.nn.BatchNorm2d):
                u.append(x.mean((0, 2, 3)))
                s.append(x.var((0, 2, 3), correction=0))
                x = (x - u[-1][:, None, None]) / (s[-1][:, None, None] + 1e-8).sqrt()
                x = x * block[1].weight[:, None, None] + block[1].bias[:, None, None]
            x = torch.nn.functional.leaky_relu(x, 0.2)
        means.append(u)
        variances.append(s)
    return [[torch.stack(layer).mean(0) for layer in zip(*rows, strict=True)] for rows in (means, variances)]


@torch.no_grad()
def test_features_against_the_released_protocol(pictures):
    """Statistics, LeakyReLU, max-pooling to 4x4 and order, step by step as the script does them."""
    _, discriminator = models.build("svhn32", seed=0)
    means, variances = (iter(rows) for rows in released_statistics(discriminator, pictures[:256]))
    x, parts = data.to_float(pictures[256:]), []
    for block, window in zip(discriminator.blocks, (4, 2, 1), strict=True):
        x = block[0](x)
        if isinstance(block[1], torch.nn.BatchNorm2d):
            x = (x - next(means)[:, None, None]) / (next(variances)[:, None, None] + 1e-8).sqrt()
            x = x * block[1].weight[:, None, None] + block[1].bias[:, None, None]
        x = torch.nn.functional.leaky_relu(x, 0.2)
        parts.append(torch.nn.functional.max_pool2d(x, window).flatten(1))
    expected = torch.cat(parts, 1).numpy()
    ours = features.discriminator_features(discriminator, pictures[256:], calibrate_on=pictures[:256], progress=False)
    np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=2e-3)  # torch's running variance divides by n - 1


def test_batches_and_dtypes_do_not_matter(pictures):
    _, discriminator = models.build("svhn32", seed=0)
    before = {k: v.clone() for k, v in discriminator.state_dict().items()}
    whole = features.discriminator_features(discriminator, pictures, progress=False)
    parts = features.discriminator_features(discriminator, data.to_float(pictures), batch_size=7, progress=False)
    np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in discriminator.state_dict().items())
    other = features.discriminator_features(discriminator, pictures, calibrate_on=pictures[:50] // 2, progress=False)
    assert np.abs(other - whole).max() > 0.1


def test_running_statistics(pictures):
    _, discriminator = models.build("svhn32", seed=0)
    models.calibrate(discriminator, (data.to_float(pictures[s : s + 128]) for s in (0, 128, 256)))
    running = features.discriminator_features(discriminator, pictures, statistics="running", progress=False)
    calibrated = features.discriminator_features(discriminator, pictures, progress=False)
    np.testing.assert_allclose(running, calibrated, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="unknown statistics 'batch'"):
        features.discriminator_features(discriminator, pictures, statistics="batch")


def test_memory_map(pictures, tmp_path, monkeypatch):
    _, discriminator = models.build("svhn32", seed=0)
    plain = features.discriminator_features(discriminator, pictures[:9], progress=False)
    mapped = features.discriminator_features(discriminator, pictures[:9], out=tmp_path / "f.npy", progress=False)
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), plain)
    monkeypatch.setattr(features.os, "sysconf", lambda _: 100)  # hardly any memory
    assert isinstance(features.discriminator_features(discriminator, pictures[:9], progress=False), np.memmap)


def test_wrong_pictures(pictures):
    _, discriminator = models.build("svhn32", seed=0)
    with pytest.raises(ValueError, match=r"expected images \(N, 3, 32, 32\)"):
        features.discriminator_features(discriminator, pictures[:, :16, :16], statistics="running", progress=False)
    with pytest.raises(ValueError, match="no pictures"):
        features.discriminator_features(discriminator, pictures[:0], progress=False)
