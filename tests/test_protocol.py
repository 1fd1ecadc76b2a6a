"""K-means features against a plain loop, the protocols against scikit-learn written out, the supervised control."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.svm import LinearSVC

from dcgan_lib import data, features
from dcgan_lib.features import protocol, supervised


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    return (X[order] / 16).astype(np.float32), y[order]


@pytest.fixture(scope="module")
def kmeans():
    pictures = np.random.default_rng(0).integers(0, 256, (40, 13, 13, 3), np.uint8)
    return features.KMeansFeatures(n_centroids=7, n_patches=500, progress=False).fit(pictures), pictures


def test_kmeans_features_against_a_plain_loop(kmeans):
    """Patch by patch in NumPy: mean off, over the deviation, whitened, triangle, quadrants."""
    model, pictures = kmeans
    ours = model.transform(pictures[:2])
    whitening, mean, centroids = (a.numpy() for a in (model.whitening_, model.mean_, model.centroids_))
    side, middle = 8, 4  # 13 - 6 + 1 positions a side
    for picture, row in zip(pictures[:2], ours, strict=True):
        expected = np.zeros((2, 2, 7))
        for top in range(side):
            for left in range(side):
                patch = picture[top : top + 6, left : left + 6].astype(float).transpose(2, 0, 1).ravel()
                patch = (patch - patch.mean()) / np.sqrt(patch.var(ddof=1) + 10)
                white = (patch - mean) @ whitening
                distance = np.linalg.norm(white - centroids, axis=1)
                expected[top // middle, left // middle] += np.maximum(0, distance.mean() - distance)
        np.testing.assert_allclose(row, expected.ravel(), rtol=2e-3, atol=2e-3)


def test_whitening_leaves_unit_covariance(kmeans):
    model, _ = kmeans
    pictures = np.random.default_rng(1).integers(0, 256, (400, 20, 20, 3), np.uint8)
    smooth = np.cumsum(np.cumsum(pictures.astype(float) - 127.5, 1), 2)
    smooth = (127 + 120 * smooth / np.abs(smooth).max()).astype(np.uint8)  # neighbours alike, as in photographs
    model = clone(model).set_params(n_patches=20_000, n_centroids=2).fit(smooth)
    x = torch.nn.functional.unfold(torch.from_numpy(smooth[:100].transpose(0, 3, 1, 2).astype(np.float32)), 6)
    x = x.transpose(1, 2).reshape(-1, 108)
    x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 10).sqrt()
    covariance = np.cov(((x - model.mean_) @ model.whitening_).numpy().T)
    values = np.linalg.eigvalsh(covariance)
    assert (
        values.max() < 1.3 and (values > 0.7).sum() > 10
    )  # large ones become 1; with 0.1 added, small ones stay below


def test_kmeans_finds_centroids_and_says_what_is_wrong(kmeans):
    model, pictures = kmeans
    assert model.transform(pictures).shape == (40, 28) and model.transform(pictures).dtype == np.float32
    np.testing.assert_array_equal(clone(model).fit(pictures).transform(pictures), model.transform(pictures))
    with pytest.raises(ValueError, match=r"expected uint8 pictures \(N, H, W, 1 or 3\), got float64"):
        model.transform(pictures.astype(float))
    with pytest.raises(ValueError, match="no two patches of 6"):
        model.transform(pictures[:, :6])
    with pytest.raises(ValueError, match="7 centroids need as many patches"):
        clone(model).set_params(n_patches=5).fit(pictures)


def test_odd_quadrants():
    near = torch.arange(9.0).reshape(1, 3, 3, 1)
    from dcgan_lib.features.kmeans import _quadrants

    assert _quadrants(near).tolist() == [[0 + 1 + 3 + 4, 2 + 5, 6 + 7, 8]]


def test_choose_c_takes_the_best_of_what_it_tried(digits):
    X, y = digits
    candidates = [1e-5, 1e-3, 1e-1]
    model, scores = features.choose_C(X[:500], y[:500], X[500:900], y[500:900], candidates)
    for C, score in scores.items():
        theirs = LinearSVC(C=C, dual=False, tol=1e-6).fit(X[:500], y[:500])
        assert abs(theirs.score(X[500:900], y[500:900]) - score) < 0.01
    best = max(scores, key=scores.get)
    assert best == model.C and model.relative_gradient_.max() <= 1e-2
    np.testing.assert_array_equal(model.score(X[500:900], y[500:900]), scores[best])
    confused = y[:200].copy()
    confused[::2] = np.random.default_rng(0).integers(0, 10, 100)  # a large C learns the wrong labels by heart
    _, stopped = features.choose_C(X[:200], confused, X[500:900], y[500:900], 10.0 ** np.arange(-5, 6))
    last = list(stopped.values())[-3:]
    assert len(stopped) < 11 and last[0] > last[1] > last[2]
    _, extended = features.choose_C(X[:500], y[:500], X[500:900], y[500:900], [1e-6, 1e-5])
    assert len(extended) > 2 and max(extended, key=extended.get) < max(extended)  # the best is not at the edge


def test_interval_is_the_bootstrap_of_a_mean():
    correct = np.random.default_rng(0).random(2_000) < 0.8
    low, high = features.interval(correct)
    expected = stats.binom.ppf([0.025, 0.975], 2_000, correct.mean()) / 2_000
    np.testing.assert_allclose([low, high], expected, atol=0.003)


def test_interval_of_groups_is_wider_where_neighbours_agree():
    right = np.repeat(np.random.default_rng(0).random(200) < 0.8, 10)
    groups = np.repeat(np.arange(200), 10)
    one, many = features.interval(right), features.interval(right, groups)
    assert 2.5 < (many[1] - many[0]) / (one[1] - one[0]) < 4  # sqrt(10) = 3.2


def test_draw_labels():
    y = np.array([0] * 5 + [1] * 9 + [7] * 6)
    rows = features.draw_labels(y, 5, seed=3)
    assert len(set(rows.tolist())) == 15 and np.bincount(y[rows]).tolist() == [5, 5, 0, 0, 0, 0, 0, 5]
    assert (rows != features.draw_labels(y, 5, seed=4)).any()
    with pytest.raises(ValueError, match=r"6 labels a class are more than there are: \{0: 5\}"):
        features.draw_labels(y, 6, seed=0)


def test_few_labels_is_the_released_protocol(digits):
    """Step by step with scikit-learn's solver, as svhn_semisup_analysis.py does it."""
    X, y = digits
    parts = (X[:900], y[:900]), (X[900:1300], y[900:1300]), (X[1300:], y[1300:])
    candidates, draws = [1e-4, 1e-1], (2, 4)
    ours = features.few_labels(*parts, per_class=5, candidates=candidates, draws=draws, seed=0, progress=False)

    def error(rows, C, part):
        model = LinearSVC(C=C, dual=False, tol=1e-6).fit(X[rows], y[rows])
        return (model.predict(part[0]) != part[1]).mean()

    mean = {C: np.mean([error(features.draw_labels(y[:900], 5, i), C, parts[1]) for i in range(2)]) for C in candidates}
    best = min(mean, key=mean.get)
    errors = [error(features.draw_labels(y[:900], 5, 1000 + i), best, parts[2]) for i in range(4)]
    assert ours["C"] == best
    np.testing.assert_allclose(list(ours["validation"].values()), list(mean.values()), atol=0.01)
    np.testing.assert_allclose(ours["errors"], errors, atol=0.01)
    assert ours["mean"] == pytest.approx(np.mean(ours["errors"]))
    assert ours["spread"] == pytest.approx(1.96 * np.std(ours["errors"]))
    assert 1 - ours["correct"].mean() == pytest.approx(ours["mean"])


def svhn(n, split):
    rng = np.random.default_rng(len(split))
    return data.ImageSet("svhn", split, np.zeros((n, 1, 1, 3), np.uint8), "x", rng.integers(0, 10, n))


def test_svhn_parts_of_all_of_svhn():
    parts, note = features.svhn_parts(svhn(73_257, "train"), svhn(26_032, "test"))
    assert {k: len(p.labels) for k, p in parts.items()} == {"pool": 63_257, "validation": 10_000, "test": 26_032}
    assert note.startswith("all of SVHN")


def test_svhn_parts_of_a_part_are_cut_in_order():
    train, test = svhn(1_083, "train"), svhn(7_136, "test")
    parts, note = features.svhn_parts(train, test)
    sizes = [len(p.labels) for p in parts.values()]
    assert sum(sizes) == 8_219 and "8,219 of its 99,289 pictures" in note and "3,288 test" in note
    np.testing.assert_array_equal(
        np.concatenate([p.labels for p in parts.values()]), np.concatenate([train.labels, test.labels])
    )
    for part in parts.values():  # groups of neighbours in the order of the file, none of them cut
        np.testing.assert_array_equal(part.groups, np.arange(len(part.labels)) // protocol.NEIGHBOURS)


def test_the_supervised_control_learns_and_its_search_is_recorded():
    images = data.load("digits", image_size=32)
    train, rest = (images.images[:300], images.labels[:300]), (images.images[300:700], images.labels[300:700])
    few = supervised.Settings(epochs=12, batch_size=32)
    network = supervised.train_classifier("tiny32", *train, few, seed=0, device="cpu", precision="float32")
    assert (supervised.predict(network, train[0]) == train[1]).mean() > 0.99
    assert (supervised.predict(network, rest[0]) == rest[1]).mean() > 0.75  # other writers; chance is 0.1
    again = supervised.train_classifier("tiny32", *train, few, seed=0, device="cpu", precision="float32")
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    quick = (train[0][:64], train[1][:64])
    rows = supervised.random_search("tiny32", quick, rest, trials=3, seed=0, progress=False, device="cpu")
    errors = [row["validation_error"] for row in rows]
    assert len(rows) == 3 and errors == sorted(errors) and len({row["seed"] for row in rows}) == 3
    best = supervised.Settings(**rows[0]["settings"])
    network = supervised.train_classifier("tiny32", *quick, best, rows[0]["seed"], device="cpu")
    assert (supervised.predict(network, rest[0]) != rest[1]).mean() == pytest.approx(errors[0], abs=0.02)


def test_attributes_that_hold_at_once_are_learnt_side_by_side():
    """Planted ones: bright above, and reddish; a mirrored picture keeps both."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, (400, 2)).astype(np.uint8)
    images = rng.integers(0, 120, (400, 32, 32, 3), np.uint8)
    images[true[:, 0] == 1, :16] += 100
    images[true[:, 1] == 1, :, :, 0] += 35  # 120 + 100 + 35: no overflow
    settings = supervised.Settings(epochs=10, batch_size=32, mirror=True)
    network = supervised.train_classifier("tiny32", images[:300], true[:300], settings, device="cpu")
    p = supervised.attribute_probabilities(network, images[300:])
    assert p.shape == (100, 2) and ((p > 0.5) == true[300:]).mean(0).min() > 0.95
    assert p.min() > 0 and p.max() < 1
    as_floats = supervised.attribute_probabilities(network, data.to_float(images[300:]))
    np.testing.assert_allclose(as_floats, p, atol=1e-5)
    deep = supervised.deep_features(network, images[300:], batch_size=32)
    last = network.feature_maps(data.to_float(images[300:304]))[-1]
    assert deep.shape == (100, 64)
    np.testing.assert_allclose(deep[:4], last.mean((2, 3)).detach(), atol=1e-5)
