"""C3 and C4: every seed of our D is a row, and some rows may be measured before others."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from dcgan_lib import data, features, models, results
from dcgan_lib.features import supervised
from experiments.analyses import ANALYSES
from experiments.analyses import features_svhn as house


def searched(mean: float):
    """A stand-in for `control`: of every search, one draw, with each test picture right."""

    def control(parts, about, search):
        row = {"search": search, "trials": [{}] * 64, "validation_error": 0.4, "errors": [0.0]}
        mean_of = mean + search / 10
        return row | {
            "mean": mean_of,
            "interval": [mean_of - 0.01, mean_of + 0.01],
            "right": [1] * len(parts["test"].labels),
        }

    return control


@pytest.fixture
def trained(fast_scale, monkeypatch):
    """Seeds of our D that have been trained; to begin with, two of three."""
    for name, value in ANALYSES["features_svhn"].fast.items():
        monkeypatch.setattr(house, name, value)
    monkeypatch.setattr(house, "OUT", fast_scale / "notes")
    seeds = {0, 1}

    def chosen(seed=0):
        if seed not in seeds:
            raise data.NotAvailable(f"no training: run `python -m experiments svhn --seed {seed}` first")
        return models.build("svhn32", seed=10 + seed, widths=(4, 8, 8))[1]

    monkeypatch.setattr(house.svhn, "chosen", chosen)
    monkeypatch.setattr(house.imagenet32, "latest", lambda: models.build("svhn32", seed=9, widths=(4, 8, 8))[1])
    monkeypatch.setattr(house, "along", lambda study, seed, *_: [{"study": study.name, "seed": seed}])
    monkeypatch.setattr(house, "control", searched(0.5))
    return seeds


def test_rows_join_the_file(trained, monkeypatch):
    with pytest.raises(ValueError, match="without --rows"):
        house.main(["--rows", "pixels"])
    left_out = house.main()
    before = results.load("features_svhn")
    rows = before["measured"]["rows"]
    assert set(rows) == {"pixels", "kmeans_1600", "random", "tinyimagenet", "ours", "second_seed"}
    assert set(left_out) == {"third_seed", "authors"} and before["measured"]["left_out"] == left_out
    assert "python -m experiments svhn --seed 2" in left_out["third_seed"] and "git clone" in left_out["authors"]
    assert rows["ours"]["errors"] != rows["second_seed"]["errors"]
    assert [rows[name]["draws"] for name in ("ours", "second_seed", "random")] == [[2, 3], [2, 3], [2, 2]]
    assert "report" in rows["ours"] and "report" not in rows["second_seed"]
    for seed, name in enumerate(("ours", "second_seed")):
        assert before["measured"]["curves"][name] == [{"study": "svhn", "seed": seed}]
    assert "second seed" in before["claims"]["C4"]["verdict"] and "third" not in before["claims"]["C4"]["verdict"]
    assert f" (of other seeds {rows['second_seed']['mean']:.1%} ± " in before["claims"]["C4"]["ours"]
    assert ",," not in before["claims"]["C3"]["ours"] and "), over" in before["claims"]["C3"]["ours"]
    for search in before["measured"]["searches"]:
        assert set(search["paired"]) == {"ours", "second_seed"}  # of the rows that are compared with it
        for name, row in search["paired"].items():
            error = rows[name]["errors"][0]
            assert row["mean"] == pytest.approx(-error) and row["errors"] == [-error]

    trained.add(2)
    left_out = house.main(["--rows", "third_seed"])
    after = results.load("features_svhn")
    assert set(left_out) == {"authors"} and after["measured"]["left_out"] == left_out
    assert {k: v for k, v in after["measured"]["rows"].items() if k != "third_seed"} == rows
    for old, new in zip(before["measured"]["searches"], after["measured"]["searches"], strict=True):
        assert set(new["paired"]) == {"ours", "second_seed", "third_seed"}
        assert {k: new["paired"][k] for k in old["paired"]} == old["paired"]
        assert new | {"paired": 0} == old | {"paired": 0}
    assert after["measured"]["curves"] == before["measured"]["curves"] | {
        "third_seed": [{"study": "svhn", "seed": 2}],
    }
    assert "third seed" in after["claims"]["C4"]["verdict"]

    monkeypatch.setattr(house, "control", searched(0.4))
    house.main(["--rows", "supervised"])
    again = results.load("features_svhn")
    assert [(row["search"], row["mean"]) for row in again["measured"]["searches"]] == [(0, 0.4), (1, 0.5)]
    assert [again["measured"][k] == after["measured"][k] for k in ("rows", "curves")] == [True, True]
    assert "40.0% on the test (by another search 40.0% and 50.0%)" in again["claims"]["C4"]["ours"]
    assert "of 2 searches: search 1, labels only 40.0% error" in again["claims"]["C4"]["verdict"]

    path = results.folder() / "features_svhn.json"
    after["measured"]["protocol"]["version"] -= 1
    path.write_text(json.dumps(after))
    with pytest.raises(ValueError, match="another protocol"):
        house.main(["--rows", "third_seed"])


def test_without_the_first_training_it_says_what_to_run(trained, monkeypatch):
    trained.clear()
    monkeypatch.setattr(house, "judge", lambda *_: {"mean": 0.5})
    with pytest.raises(data.NotAvailable, match="python -m experiments svhn"):
        house.main()


def test_a_d_is_compared_with_the_control_on_the_same_pictures_and_draws(monkeypatch):
    """Against a plain loop, and against two intervals side by side, which hard pictures make wide."""
    monkeypatch.setattr(house, "RETRAINED", 4)
    rng = np.random.default_rng(0)
    hard = rng.random(300) < 0.3
    ours = ~hard | (rng.random((6, 300)) < 0.3)  # (draws, N)
    theirs = (~hard & (rng.random((4, 300)) < 0.95)) | (rng.random((4, 300)) < 0.2)
    row = {"errors": list(1 - ours.mean(1)), "right": house.counted(ours)}
    search = {"errors": list(1 - theirs.mean(1)), "right": house.counted(theirs)}
    assert row["right"] == [sum(int(draw[i]) for draw in ours[:4]) for i in range(300)]
    groups = np.arange(300) // 3
    found = house.paired({"ours": row, "third_seed": {"errors": [0.1]}, "random": row}, search, groups)
    assert set(found) == {"ours"}
    each = [float(np.mean(ours[i]) - np.mean(theirs[i])) for i in range(4)]
    assert found["ours"]["errors"] == pytest.approx(each) and found["ours"]["mean"] == pytest.approx(np.mean(each))
    low, high = found["ours"]["interval"]
    shares = ours[:4].mean(0), theirs.mean(0)  # (N,) each
    assert (low, high) == pytest.approx(features.paired_difference(*shares, groups)[1:])
    assert (low, high) != pytest.approx(features.paired_difference(*shares)[1:])
    search["paired"] = found
    over = house.derived({"searches": [search]})["searches"][0]["paired"]["ours"]["over_draws"]
    assert 0 < over[0] < low < np.mean(each) < high < over[1]
    with pytest.raises(ValueError, match="ours and supervised were counted over other draws"):
        house.paired({"ours": row | {"right": house.counted(ours[2:])}}, search, groups)
    side_by_side = [features.interval(right[:4].mean(0), groups) for right in (ours, theirs)]
    assert side_by_side[0][0] < side_by_side[1][1]  # they overlap


def test_each_search_has_its_own_trials_and_the_same_draws_at_the_end(monkeypatch, tmp_path):
    """And what is there is not trained again."""
    monkeypatch.setattr(house, "OUT", tmp_path)
    monkeypatch.setattr(house, "TRIALS", 3)
    monkeypatch.setattr(house, "RETRAINED", 2)
    monkeypatch.setattr(house, "RETRAINED_CURVE", 1)
    monkeypatch.setattr(house, "LABELS", (20, 100, 120))
    rng, tried, again = np.random.default_rng(0), [], []
    cut = {
        k: features.Part(rng.integers(0, 256, (n, 32, 32, 3), np.uint8), np.arange(n) % 10, np.arange(n))
        for k, n in (("pool", 2_000), ("validation", 40), ("test", 30))
    }

    def trial(arch, train, validation, settings, seed):
        tried.append((settings, seed, train[0]))
        return {"settings": asdict(settings), "seed": seed, "validation_error": 1 / (1 + seed % 1_000)}

    def train_classifier(arch, images, labels, settings, seed):
        (per_class,) = set(np.bincount(labels))
        again.append((settings, seed, images, per_class))

    monkeypatch.setattr(supervised, "trial", trial)
    monkeypatch.setattr(supervised, "train_classifier", train_classifier)
    monkeypatch.setattr(supervised, "predict", lambda network, images: (np.arange(30) < 27) * (np.arange(30) % 10))
    first, second = (house.control(cut, {}, search) for search in (0, 1))
    for search, row in ((0, first), (1, second)):
        assert row["search"] == search and [t["seed"] % 1_000 for t in row["trials"]] == [2, 1, 0]  # the best first
        assert row["validation_error"] == pytest.approx(1 / 3) and row["errors"] == pytest.approx([0.1, 0.1])
        assert row["interval"][0] < row["mean"] < row["interval"][1] and row["spread"] == 0
        assert row["right"] == [2] * 27 + [0] * 3  # of two draws
    settings, seeds, images = zip(*tried, strict=True)
    assert settings[0] == settings[3] == supervised.Settings() and len(set(settings)) == 5 and len(set(seeds)) == 6
    assert (images[0] == images[2]).all() and not (images[0] == images[3]).all()  # each tried on one draw of its own
    # The first with two draws, and with one of 20, 100 (which is there already) and 120 labels a class; the second.
    assert [row[1::2] for row in again] == [(0, 100), (1, 100), (0, 20), (0, 120), (0, 100), (1, 100)]
    best, other = settings[2], settings[5]
    more = replace(best, epochs=5 * best.epochs)  # a fifth of the labels, so five times the epochs
    assert [s for s, *_ in again] == [best, best, more, best, other, other]
    for i in (0, 1):  # the draws of `few_labels`, by which D is compared with the control
        images = cut["pool"].images[features.draw_labels(cut["pool"].labels, 100, 1000 + i)]
        assert (again[i][2] == images).all() and (again[4 + i][2] == images).all()
    assert "labels" not in second and [row["per_class"] for row in first["labels"]] == [20, 100, 120]
    for row in first["labels"]:
        assert row["mean"] == pytest.approx(0.1) and row["spread"] == 0
    assert house.control(cut, {}, 0) == first and house.control(cut, {}, 1) == second
    assert (len(tried), len(again)) == (6, 6)
