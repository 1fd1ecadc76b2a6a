"""The curve of C2: its slope against scipy's, where it would meet a line, and rows that outlive their weights."""

import json

import numpy as np
import pytest
import torch
from scipy import stats

from dcgan_lib import checkpoints, data, features, models, results, training
from experiments.analyses import training_curve as curve
from experiments.study import config_of


def rows_of(accuracies, first=1_000):
    return [{"pictures_seen": first * 2**i, "accuracy": a} for i, a in enumerate(accuracies)]


def test_the_slope_is_that_of_a_line_through_the_last_doublings():
    rows = rows_of([0.2, 0.9, 0.60, 0.62, 0.63, 0.66])  # the first two are more than three doublings back
    found = curve.doubling(rows)
    line = stats.linregress(range(4), [0.60, 0.62, 0.63, 0.66])
    assert found["rows"] == 4 and found["gain"] == pytest.approx(line.slope)
    assert found["at_the_end"] == pytest.approx(line.intercept + 3 * line.slope)
    assert curve.doubling(rows[:2]) is None


def test_the_slope_s_error_is_what_resampling_pictures_gives():
    accuracies = np.array([0.6, 0.62, 0.64, 0.66])
    rng = np.random.default_rng(0)
    drawn = rng.binomial(curve.VALIDATION, accuracies, (4_000, 4)) / curve.VALIDATION
    slopes = np.polyfit(range(4), drawn.T, 1)[0]
    assert curve.doubling(rows_of(accuracies))["standard_error"] == pytest.approx(slopes.std(), rel=0.05)


def test_the_slope_s_error_knows_that_accuracies_need_not_lie_on_a_line():
    accuracies = [0.58, 0.66, 0.66, 0.70]
    line = stats.linregress(range(4), accuracies)
    found = curve.doubling(rows_of(accuracies))["standard_error"]
    straight = curve.doubling(rows_of([0.60, 0.64, 0.68, 0.72]))["standard_error"]
    assert found == pytest.approx(line.stderr) and found > 3 * straight


def test_where_the_curve_would_meet_a_line():
    rows, flat = rows_of([0.60, 0.62, 0.64, 0.66]), rows_of([0.66, 0.66, 0.661, 0.659])
    gain = curve.doubling(rows)
    assert curve.meets({"accuracy": 0.70}, gain, rows) == pytest.approx(8_000 * 2**2)
    assert curve.meets({"accuracy": 0.70}, curve.doubling(flat), flat) is None
    assert curve.meets({"accuracy": 0.70}, None, rows) is None
    slowly = rows_of([0.660, 0.663, 0.666, 0.669])
    slow = curve.doubling(slowly)
    assert slow["standard_error"] < slow["gain"] < 2 * slow["standard_error"], "a gain within its error"
    assert curve.meets({"accuracy": 0.70}, slow, slowly) is None
    for accuracy, seen in ((0.50, 1_000), (0.61, 2_000), (0.66, None)):  # a line at the last stage is not passed
        assert curve.passed({"accuracy": accuracy}, rows) == seen
        assert (curve.meets({"accuracy": accuracy}, gain, rows) is None) == (seen is not None)
    assert curve.passed({"accuracy": 0.61}, rows_of([0.6, 0.7, 0.6, 0.7])) == 8_000, "from there on"


def test_what_follows_from_the_rows_needs_no_weights():
    lines = {"random": {"accuracy": 0.61}, "kmeans_1600": {"accuracy": 0.7}, "authors_four": {"accuracy": 0.9}}
    found = curve.derived({"rows": rows_of([0.60, 0.62, 0.64, 0.66]), "lines": lines})
    assert found["per_doubling"]["gain"] == pytest.approx(0.02)
    assert found["passed"] == {"random": 2_000, "kmeans_1600": None}
    assert found["meets"] == {"random": None, "kmeans_1600": pytest.approx(32_000)}


class Judge:
    """In the place of an SVM: always the first class."""

    C = 0.5

    def predict(self, vectors):
        return np.zeros(len(vectors), int)


def test_a_judge_is_chosen_and_asked_by_the_last_pictures_and_learns_from_the_others(monkeypatch):
    seen = []
    monkeypatch.setattr(curve, "VALIDATION", 40)
    monkeypatch.setattr(
        curve.features, "choose_C", lambda *parts, **settings: seen.append(parts) or (Judge(), {0.5: 0.1})
    )
    vectors, y = np.arange(200.0).reshape(100, 2), np.arange(100) % 3
    found = curve.judge(vectors, y, (0.5,))
    for part, expected in zip(seen[0], (vectors[:60], y[:60], vectors[60:], y[60:]), strict=False):
        assert np.array_equal(part, expected)
    assert found["accuracy"] == (y[60:] == 0).mean() and found["features"] == 2 and found["tried"] == {"0.5": 0.1}
    low, high = found["interval"]
    assert low < found["accuracy"] < high


def test_the_first_four_convolutions_are_the_first_of_the_features(monkeypatch):
    judged, calibrated, extract = [], [], features.discriminator_features
    monkeypatch.setattr(curve, "CALIBRATION", 12)
    monkeypatch.setattr(curve, "judge", lambda vectors, y, grid: judged.append(vectors) or {})

    def noting(D, x, calibrate_on, **settings):
        calibrated.append(calibrate_on)
        return extract(D, x, calibrate_on=calibrate_on, progress=False)

    monkeypatch.setattr(curve.features, "discriminator_features", noting)
    monkeypatch.setattr(curve.device, "pick_device", lambda: torch.device("cpu"))
    x = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
    of_four, of_six = ((4, 4, 8, 8), (1, 2, 1, 2)), ((4, 4, 8, 8, 16, 16), (1, 2, 1, 2, 1, 2))
    for widths, strides in (of_four, of_six):
        D = models.build("imagenet32", seed=0, widths=widths, strides=strides)[1]
        row = curve.of_network(D, x, None)
        assert ("first_four" in row) is (len(widths) > 4)
    assert all(np.array_equal(part, x[:12]) for part in calibrated)
    _, every, first = judged
    assert every.shape[1] == 16 * sum(of_six[0])
    with torch.no_grad():
        models.calibrate(D, [data.to_float(x[:12])])
        maps = D.eval().feature_maps(data.to_float(x))[:4]
    pooled = [torch.nn.functional.adaptive_max_pool2d(m, 4).flatten(1) for m in maps]
    np.testing.assert_allclose(first, torch.cat(pooled, 1).numpy(), atol=1e-3)


def test_kmeans_features_have_mean_0_and_deviation_1(monkeypatch):
    class Features:
        def __init__(self, centroids, seed, device):
            assert centroids == curve.CENTROIDS

        def fit(self, x):
            return self

        def transform(self, x):
            return x

    monkeypatch.setattr(curve.features, "KMeansFeatures", Features)
    monkeypatch.setattr(curve, "judge", lambda vectors, y, grid: vectors)
    vectors = curve.of_kmeans(np.random.default_rng(0).normal(3, 7, (200, 4)), None)
    np.testing.assert_allclose([vectors.mean(0), vectors.std(0)], [np.zeros(4), np.ones(4)], atol=1e-9)


LINES = {}  # by pictures and labels


def of_kmeans_once(x, y, measured=curve.of_kmeans):
    """K-means fits 400,000 patches, which takes seconds, and finds the same in the same pictures: measured once."""
    key = x.tobytes(), y.tobytes()
    if key not in LINES:
        LINES[key] = measured(x, y)
    return LINES[key]


@pytest.fixture
def small(fast_scale, monkeypatch):
    for name, value in {"LABELLED": 60, "VALIDATION": 60, "CALIBRATION": 60, "CENTROIDS": 16}.items():
        monkeypatch.setattr(curve, name, value)
    monkeypatch.setattr(curve, "OUT", fast_scale / "notes")
    monkeypatch.setattr(curve, "of_kmeans", of_kmeans_once)
    return fast_scale


def stage(folder, step, seed):
    networks = models.build("imagenet32", seed=seed, widths=(4, 4, 8, 8, 16, 16))
    path = folder / f"{step}.safetensors"
    checkpoints.save(path, *networks, {"step": step, "config": {"batch_size": 10}})
    return path


def keeps(monkeypatch, *files, more=()):
    """These weights of the study imagenet32 are there, and `more` of natural32."""
    found = {"imagenet32": files, "natural32": more}
    monkeypatch.setattr(curve, "stages", lambda study, variant, seed: list(found.get(study.name, ())))


def test_a_row_stays_when_its_weights_are_gone(small, monkeypatch):
    keeps(monkeypatch, stage(small, 10, 1), stage(small, 20, 2))
    curve.main()
    first = results.load("training_curve")["measured"]
    assert [r["pictures_seen"] for r in first["rows"]] == [100, 200] and set(first["lines"]) >= {"random", "pixels"}

    keeps(monkeypatch, stage(small, 20, 3), stage(small, 40, 4))  # another machine: other weights at 20, none at 10
    monkeypatch.setattr(curve, "of_kmeans", lambda *_: pytest.fail("a line was measured twice"))
    curve.main()
    second = results.load("training_curve")["measured"]
    assert [r["pictures_seen"] for r in second["rows"]] == [100, 200, 400]
    assert second["rows"][0] == first["rows"][0] and second["rows"][1]["weights"] != first["rows"][1]["weights"]


def test_the_pictures_are_the_first_and_the_last_of_one_order(small, monkeypatch):
    """The last are the protocol's own validation part."""
    keeps(monkeypatch, stage(small, 10, 1))
    asked = []
    for way in ("of_network", "of_kmeans", "of_pixels"):
        monkeypatch.setattr(curve, way, lambda *given: asked.append(given[-2:]) or {"accuracy": 0.5})
    curve.main()
    train = data.load("cifar10")
    order = np.random.default_rng(0).permutation(len(train))
    expected = np.concatenate([order[:60], order[-60:]])
    assert len(asked) == 4
    for x, y in asked:
        assert np.array_equal(x, train.images[expected]) and np.array_equal(y, train.labels[expected])


def test_rows_are_in_the_order_of_pictures_seen(small, monkeypatch):
    monkeypatch.setattr(curve, "of_network", lambda *_: {})
    before = [{"pictures_seen": n, "weights": "gone"} for n in (400, 100)]
    rows = curve.curve([stage(small, 20, 1)], before, {}, None, None)
    assert [row["pictures_seen"] for row in rows] == [100, 200, 400]


def test_a_damaged_file_is_not_written_over(small, monkeypatch):
    """Its rows may be of weights that are gone."""
    keeps(monkeypatch, stage(small, 10, 1))
    assert curve.earlier({}) == {"rows": [], "lines": {}}  # no file
    damaged = results.folder() / "training_curve.json"
    damaged.parent.mkdir(parents=True, exist_ok=True)
    damaged.write_text("<<<<<<< ours\n{}")
    with pytest.raises(ValueError, match="Expecting value"):
        curve.main()
    assert damaged.read_text() == "<<<<<<< ours\n{}"


def test_another_protocol_starts_anew(small, monkeypatch):
    keeps(monkeypatch, stage(small, 10, 1))
    curve.main()
    keeps(monkeypatch, stage(small, 20, 1))
    monkeypatch.setattr(curve, "LABELLED", 90)
    curve.main()
    assert [r["pictures_seen"] for r in results.load("training_curve")["measured"]["rows"]] == [200]


def test_another_network_starts_anew(small, monkeypatch):
    keeps(monkeypatch, stage(small, 10, 1))
    curve.main()
    protocol = results.load("training_curve")["measured"]["protocol"]
    assert curve.earlier(protocol)["rows"]
    wider = protocol | {"architecture": protocol["architecture"] | {"widths": [9]}}
    assert curve.earlier(wider) == {"rows": [], "lines": {}}


def test_the_recorded_rows_are_of_the_protocol_as_it_stands(monkeypatch):
    """They need not be measured again: each setting of today is the one that they were measured with."""
    monkeypatch.delenv("DCGAN_SCALE", raising=False)
    monkeypatch.delenv("DCGAN_RESULTS", raising=False)
    recorded = results.load("training_curve")["measured"]["protocol"]
    now = json.loads(json.dumps(curve.protocol_of(recorded["pictures"])))
    assert now == recorded and curve.earlier(now)["rows"]


def test_the_authors_line_is_that_of_their_weights(small, monkeypatch):
    keeps(monkeypatch, stage(small, 10, 1))
    curve.main()
    lacking = results.load("training_curve")["measured"]
    assert "DCGAN_AUTHORS" in lacking["left_out"]["authors_four"]
    digests = []
    for seed in (5, 5, 6):
        theirs = models.build("imagenet32", seed=seed, widths=(4, 4, 8, 8), strides=(1, 2, 1, 2))[1]
        monkeypatch.setattr(curve.authors, "discriminator", lambda *_, found=theirs, **__: found)
        curve.main()
        measured = results.load("training_curve")["measured"]
        digests.append(measured["lines"]["authors_four"]["weights"])
        assert (
            set(measured["left_out"]) == set(curve.CURVES) and measured["lines"]["random"] == lacking["lines"]["random"]
        )
    assert digests[0] == digests[1] != digests[2]
    line = results.load("training_curve")["measured"]["lines"]["authors_four"]
    with monkeypatch.context() as patch:
        patch.setattr(curve, "of_network", lambda *_: pytest.fail("measured twice"))
        curve.main()
    assert results.load("training_curve")["measured"]["lines"]["authors_four"] == line
    monkeypatch.setattr(curve.authors, "discriminator", lacks)
    curve.main()
    measured = results.load("training_curve")["measured"]
    assert measured["lines"]["authors_four"] == line and set(measured["left_out"]) == set(curve.CURVES)


def lacks(*_, **__):
    raise data.NotAvailable("not here")


def test_without_a_stage_it_says_what_to_run(small, monkeypatch):
    keeps(monkeypatch)
    with pytest.raises(data.NotAvailable, match="python -m experiments imagenet32"):
        curve.main()


def test_a_second_training_is_a_curve_of_its_own(small, monkeypatch):
    keeps(monkeypatch, stage(small, 10, 1), more=[stage(small, 5, 7), stage(small, 30, 8)])
    curve.main()
    first = results.load("training_curve")["measured"]
    assert [r["pictures_seen"] for r in first["rows"]] == [100]
    assert [r["pictures_seen"] for r in first["natural32"]] == [50, 300] and "natural32" not in first["left_out"]

    keeps(monkeypatch)  # both are gone: what was measured stays
    monkeypatch.setattr(curve, "of_network", lambda *_: pytest.fail("measured twice"))
    curve.main()
    second = results.load("training_curve")["measured"]
    assert second["rows"] == first["rows"] and second["natural32"] == first["natural32"]


def test_a_d_of_the_released_schedule_saw_every_second_minibatch(small, monkeypatch):
    plain, taking_turns = stage(small, 20, 1), small / "turns.safetensors"
    networks = checkpoints.load(plain)
    config = {"batch_size": 10, "schedule": "alternate"}
    checkpoints.save(taking_turns, *networks, {"step": 20, "config": config})
    monkeypatch.setattr(curve, "of_network", lambda *_: {})
    rows = [curve.curve([path], [], {}, None, None)[0] for path in (plain, taking_turns)]
    assert [row["pictures_seen"] for row in rows] == [200, 100]


@pytest.mark.parametrize(("study", "variant", "seed"), curve.CURVES.values(), ids=list(curve.CURVES))
def test_each_curve_is_of_a_training_of_its_study(tmp_path, monkeypatch, study, variant, seed):
    monkeypatch.delenv("DCGAN_SCALE", raising=False)
    monkeypatch.chdir(tmp_path)
    found = next(v for v in study.variants if v.name == variant)
    assert seed in (found.seeds or study.seeds)
    step = study.stages[-1]
    kept = training.RunFolder(config_of(study, found, seed).out).kept(step)
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert curve.stages(study, variant, seed) == [kept]
    others = [where for where in curve.CURVES.values() if where != (study, variant, seed)]
    assert not any(curve.stages(*where) for where in others)
