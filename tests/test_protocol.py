"""K-means features against a plain loop, the protocols against scikit-learn written out, the supervised control."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from filelock import FileLock
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix
from sklearn.svm import LinearSVC

from dcgan_lib import data, features, models
from dcgan_lib.features import evaluation, supervised


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

    assert [part.flatten().tolist() for part in _quadrants(near)] == [[0, 1, 3, 4], [2, 5], [6, 7], [8]]


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


def test_of_equals_the_smaller_c_wins():
    """Far apart, any C has them all right; and so in the protocol with few labels."""
    y = np.arange(40) % 2
    X = np.where(y[:, None] == 1, 3.0, -3.0) + np.random.default_rng(0).standard_normal((40, 5)) / 10
    model, scores = features.choose_C(X, y, X, y, [1.0, 100.0, 10.0])
    assert scores == {1.0: 1.0, 10.0: 1.0, 100.0: 1.0} and model.C == 1.0
    assert features.few_labels((X, y), (X, y), (X, y), 5, [10.0, 1.0], draws=(2, 2), progress=False)["C"] == 1.0


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


def test_a_picture_counts_once_however_large_its_group():
    """Ten groups of a hundred that are right, ten of one that are wrong: 99 % of the pictures, half of the groups."""
    groups = np.concatenate([np.repeat(np.arange(10), 100), np.arange(10, 20)])
    low, high = features.interval(groups < 10, groups)
    assert 0.95 < low < 1000 / 1010 < high


def test_intervals_are_drawn_by_the_seed():
    scores = np.random.default_rng(0).normal(size=50)
    one, same, other = (features.interval(scores, seed=seed) for seed in (0, 0, 1))
    assert one == same != other
    paired = [features.paired_difference(scores, 0 * scores, seed=seed)[1:] for seed in (0, 1)]
    assert paired == [one, other]
    drawn = [features.subset_accuracies(scores > 0, 20, 50, seed).tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_draw_labels():
    y = np.array([0] * 5 + [1] * 9 + [7] * 6)
    rows = features.draw_labels(y, 5, seed=3)
    assert len(set(rows.tolist())) == 15 and np.bincount(y[rows]).tolist() == [5, 5, 0, 0, 0, 0, 0, 5]
    assert (rows != features.draw_labels(y, 5, seed=4)).any()
    with pytest.raises(ValueError, match=r"6 labels per class are more than there are: \{0: 5\}"):
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
    assert ours["deviation"] == pytest.approx(np.std(ours["errors"])) and len(ours["errors"]) == 4
    assert ours["spread"] == pytest.approx(1.96 * np.std(ours["errors"]))
    np.testing.assert_allclose(1 - ours["correct"].mean(1), ours["errors"])  # (draws, N_test)
    assert ours["correct"].shape == (4, len(parts[2][1]))


def svhn(n, split):
    rng = np.random.default_rng(len(split))
    return data.ImageSet("svhn", split, np.zeros((n, 1, 1, 3), np.uint8), "x", rng.integers(0, 10, n))


def test_svhn_parts_of_all_of_svhn():
    parts, note = features.svhn_parts(svhn(73_257, "train"), svhn(26_032, "test"))
    assert {k: len(p.labels) for k, p in parts.items()} == {"pool": 63_257, "validation": 10_000, "test": 26_032}
    assert note.startswith("all of SVHN")
    np.testing.assert_array_equal(parts["test"].groups, np.arange(26_032) // 10)
    together = np.concatenate([parts["pool"].groups, parts["validation"].groups])
    np.testing.assert_array_equal(np.bincount(together), [10] * 7_325 + [7])  # of the file they were drawn from


def test_svhn_parts_of_a_part_are_cut_in_order():
    train, test = svhn(1_083, "train"), svhn(7_136, "test")
    parts, note = features.svhn_parts(train, test)
    sizes = [len(p.labels) for p in parts.values()]
    assert sum(sizes) == 8_219 and "8,219 of its 99,289 pictures" in note and "3,288 test" in note
    np.testing.assert_array_equal(
        np.concatenate([p.labels for p in parts.values()]), np.concatenate([train.labels, test.labels])
    )
    for part in parts.values():  # groups of neighbours in the order of the file, none of them cut
        np.testing.assert_array_equal(part.groups, np.arange(len(part.labels)) // 10)


def test_the_supervised_control_learns_and_its_search_is_recorded():
    images = data.load("digits", image_size=32)
    train, rest = (images.images[:300], images.labels[:300]), (images.images[300:700], images.labels[300:700])
    few = supervised.Settings(epochs=12, batch_size=32)
    own = torch.get_rng_state()
    network = supervised.train_classifier("tiny32", *train, few, seed=0, device="cpu", precision="float32")
    assert torch.equal(torch.get_rng_state(), own), "dropout's seed is no business of the caller's"
    assert (supervised.predict(network, train[0]) == train[1]).mean() > 0.99
    assert (supervised.predict(network, rest[0]) == rest[1]).mean() > 0.75  # other writers; chance is 0.1
    again = supervised.train_classifier("tiny32", *train, few, seed=0, device="cpu", precision="float32")
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    quick = (train[0][:64], train[1][:64])
    rows = supervised.random_search("tiny32", quick, rest, trials=3, seed=0, progress=False, device="cpu")
    errors = [row["validation_error"] for row in rows]
    assert len(rows) == 3 and errors == sorted(errors) and len({row["seed"] for row in rows}) == 3
    settings = supervised.search_settings(3, seed=0)
    assert settings == supervised.search_settings(5, seed=0)[:3] and len(set(settings)) == 3
    with pytest.raises(ValueError, match="trials must be at least 1"):
        supervised.search_settings(0)
    assert {row["seed"]: supervised.Settings(**row["settings"]) for row in rows} == dict(enumerate(settings))
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


@pytest.fixture(scope="module")
def parts():
    """Digits as pictures, sorted by class, as files may be."""
    digits = data.load("digits", image_size=32)
    order = np.random.default_rng(0).permutation(len(digits))
    first, second = np.sort(order[:500]), order[500:800]
    first = first[np.argsort(digits.labels[first], kind="stable")]
    sets = [replace(digits, images=digits.images[r], labels=digits.labels[r]) for r in (first, second)]
    arch = models.architecture("tiny32", channels=1, widths=(8, 16, 16))
    return models.build(arch, seed=0)[1], *sets


QUICK = {"validation": 150, "candidates": (1e-3, 1e-2, 1e-1), "calibrate_on": 256, "precision": "float32"}
QUICK |= {"storage": "float32", "progress": False}


def test_evaluate_is_the_protocol(parts):
    """Step by step, with scikit-learn's solver."""
    network, train, test = parts
    found = features.evaluate(network, train, test, **QUICK, seed=3)
    order = np.random.default_rng(3).permutation(500)
    x, y = train.images[order], train.labels[order]
    options = {"calibrate_on": x[:256], "progress": False}
    F, F_test = (features.discriminator_features(network, part, **options) for part in (x, test.images))
    np.testing.assert_array_equal(found.train[0], F)
    np.testing.assert_array_equal(found.test[0], F_test)
    np.testing.assert_array_equal(found.train[1], y)
    np.testing.assert_array_equal(found.test[1], test.labels)

    def fit(C, rows):
        return LinearSVC(C=C, tol=1e-5, max_iter=20_000).fit(F[rows], y[rows])

    for C, accuracy in found["validation"].items():
        assert fit(float(C), slice(350)).score(F[350:], y[350:]) == pytest.approx(accuracy, abs=0.01)
    assert found["validation"][f"{found['C']:g}"] == max(found["validation"].values())
    last = fit(found["C"], slice(500))
    assert last.score(F_test, test.labels) == pytest.approx(found["test_accuracy"], abs=0.01)
    assert last.score(F[:350], y[:350]) == pytest.approx(found["train_accuracy"], abs=0.01)
    assert (last.predict(F_test) == found.predictions).mean() > 0.99
    right = int((found.predictions == test.labels).sum())
    assert found["test_accuracy"] == right / 300 and found["interval"] == [*features.proportion_interval(right, 300)]
    assert found["confusion"] == confusion_matrix(test.labels, found.predictions).tolist()
    assert found["features"] == network.arch.feature_count and found["report"]["accuracy"] == right / 300
    assert json.loads(json.dumps(dict(found))) == dict(found) and "test_accuracy=0." in repr(found)


def test_the_test_part_has_no_say_in_the_choice(parts):
    network, train, test = parts
    found = features.evaluate(network, train, test, **QUICK)
    wrong = replace(test, labels=(test.labels + 1) % 10, images=test.images[::-1])
    other = features.evaluate(network, train, wrong, **QUICK)
    assert other["C"] == found["C"] and other["validation"] == found["validation"] and other["test_accuracy"] < 0.3
    np.testing.assert_array_equal(other.model.coef_, found.model.coef_)


def test_evaluate_calibrates_once_and_on_what_it_is_told(parts, monkeypatch):
    network, train, test = parts
    seen, calibrate = [], models.calibrate
    monkeypatch.setattr(models, "calibrate", lambda n, b: calibrate(n, (seen.append(x) or x for x in b)))
    features.evaluate(network, train, test, **QUICK)
    assert [len(x) for x in seen] == [128, 128]
    seen.clear()
    features.evaluate(network, train, test, **QUICK | {"calibrate_on": None})
    assert [len(x) for x in seen] == [128, 128, 128, 116]
    seen.clear()
    features.evaluate(network, train, test, **QUICK | {"calibrate_on": test.images[:70]})
    assert len(seen) == 1 and torch.equal(seen[0], data.to_float(test.images[:70]))
    seen.clear()
    features.evaluate(network, train, test, **QUICK, statistics="running")
    assert not seen


def test_evaluate_takes_other_features_and_pairs(parts):
    _, train, test = parts
    seen = []

    def pixels(*sets):
        seen.append([len(part) for part in sets])
        return [data.to_float(part).flatten(1).numpy() for part in sets]

    pairs = (train.images, train.labels), (test.images, test.labels)
    found = features.evaluate(pixels, *pairs, **QUICK | {"validation": 0.3})
    assert seen == [[500, 300]] and found["features"] == 1024 and found["test_accuracy"] > 0.8
    assert found.validation_size == 150


def test_a_folder_keeps_features_while_they_were_made_from_the_same(parts, tmp_path, monkeypatch):
    network, *both = parts
    train, test = (replace(part, images=part.images[::4], labels=part.labels[::4]) for part in both)
    small = QUICK | {"validation": 40, "calibrate_on": 100}
    made, extract = [], evaluation.discriminator_features
    monkeypatch.setattr(
        evaluation, "discriminator_features", lambda *a, out, **k: made.append(out.stem) or extract(*a, out=out, **k)
    )

    def again(network=network, train=train, test=test, **other):
        made.clear()
        found = features.evaluate(network, train, test, **small | other, out=tmp_path, about={"weights": "mine"})
        report = json.loads((tmp_path / "report.json").read_text())
        assert report["weights"] == "mine" and {k: report[k] for k in found} == dict(found)
        np.testing.assert_array_equal(np.load(tmp_path / "test.npy"), found.test[0])
        np.testing.assert_array_equal(np.load(tmp_path / "train_labels.npy"), found.train[1])
        np.testing.assert_array_equal(np.load(tmp_path / "test_labels.npy"), found.test[1])
        return dict(found) if not made else sorted(made)

    both = ["test", "train"]
    assert again() == both
    first = again()
    assert isinstance(first, dict) and again(validation=30)["C"]  # settings of the SVM alone
    assert again(train=replace(train, labels=(train.labels + 1) % 10))["test_accuracy"] < 0.2  # labels are no features
    darker = replace(test, images=test.images // 2)  # with the old fingerprint
    same_weights = models.build(network.arch, discriminator_activation="relu")[1]
    same_weights.load_state_dict(network.state_dict())
    for change in (
        {"test": darker}, {"train": replace(train, images=train.images // 2)}, {"seed": 1}, {"flip": True},
        {"calibrate_on": 70}, {"statistics": "running"}, {"network": models.build(network.arch, seed=1)[1]},
        {"network": same_weights},
    ):  # fmt: skip
        assert again(**change) == both and isinstance(again(**change), dict), change
    again()
    whole = (tmp_path / "train.npy").read_bytes()
    (tmp_path / "train.npy").write_bytes(whole[: len(whole) // 2])
    assert again() == both
    (tmp_path / "features.json").write_text("{")
    assert again() == both and {k: v for k, v in again().items() if "seconds" not in k} == {
        k: v for k, v in first.items() if "seconds" not in k
    }


def test_vectors_may_come_from_the_folder_that_they_are_written_to(parts, tmp_path):
    network, train, test = parts
    first = features.evaluate(network, train, test, **QUICK, out=tmp_path)

    def stored(*_):
        return [np.load(tmp_path / f"{name}.npy", mmap_mode="r")[:, :50] for name in ("train", "test")]

    kept = first.train[0].copy()
    second = features.evaluate(stored, train, test, **QUICK, out=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "train.npy"), kept[:, :50])
    np.testing.assert_array_equal(first.train[0], kept)
    assert second["features"] == 50 and not list(tmp_path.glob("*.part"))


def test_two_at_once_in_one_folder_are_refused(parts, tmp_path):
    with FileLock(tmp_path / ".lock"), pytest.raises(ValueError, match=r"another process works in .*: wait for it or"):
        features.evaluate(*parts, **QUICK, out=tmp_path)
    assert not (tmp_path / "train.npy").exists()
    features.evaluate(*parts, **QUICK, out=tmp_path)


def test_label_curve(digits):
    X, y = digits
    parts = (X[:900], y[:900]), (X[900:1300], y[900:1300]), (X[1300:], y[1300:])
    rows = features.label_curve(*parts, {3: [1e-2], 20: [1e-3, 1e-2]}, {3: 2, 20: 1}, seed=5)
    assert [r["per_class"] for r in rows] == [3, 20] and [len(r["accuracies"]) for r in rows] == [2, 1]
    for row in rows:
        for draw, (accuracy, C) in enumerate(zip(row["accuracies"], row["C"], strict=True)):
            some = features.draw_labels(y[:900], row["per_class"], 5 + draw)
            theirs = LinearSVC(C=C, dual=False, tol=1e-6).fit(X[some], y[some])
            assert theirs.score(*parts[2]) == pytest.approx(accuracy, abs=0.01)
        assert row["deviation"] == pytest.approx(np.std(row["accuracies"])) and row["validation_labels"] == 400


@pytest.mark.parametrize(("k", "n"), [(0, 20), (20, 20), (7, 10), (7334, 10_000)])
def test_proportion_interval_is_wilsons(k, n):
    """The shares that lie 1.96 of their own deviations from what was seen: roots of a quadratic."""
    z = stats.norm.ppf(0.975)
    roots = np.roots([1 + z**2 / n, -(2 * k / n + z**2 / n), (k / n) ** 2])
    np.testing.assert_allclose(features.proportion_interval(k, n), sorted(roots.real.clip(0, 1)), atol=1e-9)
    low, high = features.proportion_interval(k, n)
    assert 0 <= low < high <= 1 and low <= k / n <= high


def test_mcnemar_counts_coins():
    coins = [stats.binom.pmf(i, 11, 0.5) for i in range(12)]
    assert features.mcnemar(9, 2) == pytest.approx(2 * sum(coins[:3])) == features.mcnemar(2, 9)  # 0.065
    assert features.mcnemar(0, 0) == 1 and features.mcnemar(5, 5) == 1 and features.mcnemar(0, 10) == 2 / 2**10


def test_paired_difference_is_narrower_than_two_intervals():
    rng = np.random.default_rng(0)
    easy = rng.random(1000) < 0.8
    a, b = easy | (rng.random(1000) < 0.3), easy
    difference, low, high = features.paired_difference(a, b)
    assert difference == pytest.approx(a.mean() - b.mean()) and 0 < low < difference < high
    deviation = np.std(a.astype(float) - b) / np.sqrt(1000)
    np.testing.assert_allclose([low, high], [difference - 1.96 * deviation, difference + 1.96 * deviation], atol=0.002)
    groups = np.arange(1000) // 10
    assert features.paired_difference(a, b, groups) != (difference, low, high)


def test_subset_accuracies_are_those_of_random_subsets():
    correct = np.arange(5000) < 3667
    found = features.subset_accuracies(correct, 1000, 20_000)
    rng = np.random.default_rng(1)
    drawn = [correct[rng.permutation(5000)[:1000]].mean() for _ in range(4000)]
    assert found.shape == (20_000,) and found.mean() == pytest.approx(3667 / 5000, abs=5e-4)
    assert found.std() == pytest.approx(np.std(drawn), rel=0.05)
    np.testing.assert_allclose(np.percentile(found, [2.5, 97.5]), np.percentile(drawn, [2.5, 97.5]), atol=0.003)
    assert set(features.subset_accuracies(correct, 5000, 3)) == {3667 / 5000}
