"""Features and their judges, where a change of one operator or number had passed every other test."""

import inspect

import numpy as np
import pytest
import torch

from dcgan_lib import data, features, models
from dcgan_lib.features import extraction, supervised, svm

RNG = np.random.default_rng(0)


def test_the_mirror_is_left_to_right_and_for_half_of_the_pictures(monkeypatch):
    images, seen = RNG.integers(0, 256, (64, 16, 16, 1), np.uint8), []
    monkeypatch.setattr(data, "to_float", lambda x, plain=data.to_float: seen.append(x) or plain(x))
    settings = supervised.Settings(epochs=4, batch_size=64, mirror=True)
    supervised.train_classifier("tiny32", images, np.arange(64) % 2, settings, device="cpu", precision="float32")
    known = {picture.tobytes(): "as it is" for picture in images}
    known |= {picture[:, ::-1].tobytes(): "mirrored" for picture in images}
    kinds = [[known[picture.tobytes()] for picture in batch] for batch in seen[:4]]
    assert len({tuple(k) for k in kinds}) == 4  # drawn anew each time
    assert 0.35 < np.mean(np.array(kinds) == "mirrored") < 0.65


def test_random_settings_stay_in_their_ranges_and_fill_them():
    drawn = [supervised.random_settings(np.random.default_rng(seed)) for seed in range(300)]
    for name, values in {
        "beta1": {0.5, 0.9}, "dropout": {0.0, 0.25, 0.5}, "batch_size": {32, 64, 128}, "epochs": {10, 20, 40}
    }.items():  # fmt: skip
        assert {getattr(s, name) for s in drawn} == values, name
    for name, low, high in (("learning_rate", -3.7, -2.3), ("weight_decay", -5, -0.5)):
        exponents = np.log10([getattr(s, name) for s in drawn])
        np.testing.assert_allclose(np.quantile(exponents, [0, 0.5, 1]), [low, (low + high) / 2, high], atol=0.35)
        assert low <= exponents.min() and exponents.max() <= high, name


def test_a_fit_forgets_the_last_one_unless_it_is_told_to_start_warm():
    X = RNG.standard_normal((300, 6)).astype(np.float32)
    y = (X[:, 0] + RNG.standard_normal(300) > 0).astype(int)
    cold = features.L2SVM(C=10.0, tol=1e-6)
    first, again = [(cold.fit(X, y).n_iter_, cold.coef_.copy()) for _ in range(2)]
    assert first[0] == again[0] > 1
    np.testing.assert_array_equal(first[1], again[1])
    warm = features.L2SVM(C=10.0, tol=1e-6, warm_start=True).fit(X, y)
    assert warm.fit(X, y).n_iter_ < first[0]


@pytest.mark.parametrize("count", [129, 257])
def test_a_last_batch_of_one_picture_calibrates_nothing(count):
    """Behind a dense layer it has no variance."""
    arch = models.architecture("tiny32", channels=1, image_size=16, widths=(4, 8), dense_units=5)
    network = models.build(arch, seed=0)[1]
    images = RNG.integers(0, 256, (count, 16, 16, 1), np.uint8)
    ours, plain = (extraction.calibrated(network, some, progress=False) for some in (images, images[:-1]))
    assert all(torch.equal(a, b) for a, b in zip(ours.buffers(), plain.buffers(), strict=True))


def test_room_is_asked_for_where_the_features_go(tmp_path, monkeypatch):
    network = models.build(models.architecture("tiny32", channels=1, image_size=16, widths=(4, 8)), seed=0)[1]
    images, asked = RNG.integers(0, 256, (20, 16, 16, 1), np.uint8), []
    monkeypatch.setattr(extraction, "check_room", lambda place, size: asked.append((place, size)))
    out = tmp_path / "new" / "f.npy"
    features.discriminator_features(network, images, out=out, progress=False)
    assert asked == [(tmp_path / "new", 20 * network.arch.feature_count * 4)] and out.exists()


def test_a_subset_may_be_one_picture_or_all_of_them():
    correct = np.arange(10) < 7
    found = features.subset_accuracies(correct, 1, 4000)
    assert set(found) == {0.0, 1.0} and found.mean() == pytest.approx(0.7, abs=0.03)
    assert set(features.subset_accuracies(correct, 10, 1)) == {0.7}


def test_the_leading_directions_save_passes(monkeypatch):
    """Positive features, one direction enormous and a long tail: what the preconditioner is there for."""
    tail = RNG.standard_normal((600, 600)) / (1 + np.arange(600)[:, None]) ** 0.7
    X, y = (RNG.standard_normal((3000, 600)) @ tail + 1).astype(np.float32), RNG.integers(0, 3, 3000)
    ours = features.L2SVM(C=1e-4, tol=1e-3).fit(X, y)
    monkeypatch.setattr(svm, "RANK", 1)
    plain = features.L2SVM(C=1e-4, tol=1e-3).fit(X, y)
    assert 3 * ours.n_passes_ < plain.n_passes_  # 18 and 124
    np.testing.assert_allclose(ours.objective_, plain.objective_, rtol=1e-5)


def test_few_labels_are_the_released_numbers():
    """svhn/svhn_semisup_analysis.py: 1,000 labels, ten draws to choose C and a hundred for the error."""
    defaults = {k: p.default for k, p in inspect.signature(features.few_labels).parameters.items()}
    assert (defaults["per_class"], defaults["draws"], defaults["seed"]) == (100, (10, 100), 0)
    assert defaults["candidates"] == features.RELEASED_C == (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2)


@pytest.mark.parametrize("channels", [1, 3])
def test_kmeans_takes_grey_and_coloured_pictures_only(channels):
    model = features.KMeansFeatures(n_centroids=2, patch=3, n_patches=50, epochs=1, progress=False)
    model.fit(RNG.integers(0, 256, (8, 8, 8, channels), np.uint8))
    assert model.centroids_.shape == (2, 9 * channels)
    with pytest.raises(ValueError, match="expected uint8 pictures"):
        model.fit(RNG.integers(0, 256, (8, 8, 8, 2), np.uint8))
