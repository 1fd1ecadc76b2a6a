"""C3 and C4: every seed of our D is a row, and some rows may be measured before others."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from dcgan_lib import data, features, models, results
from dcgan_lib.features import supervised
from experiments.analyses import ANALYSES
from experiments.analyses import features_svhn as house


def searched(mean: float) -> dict:
    interval = [mean - 0.01, mean + 0.01]
    return {"trials": [{}] * 64, "validation_error": 0.4, "mean": mean, "interval": interval}


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
    monkeypatch.setattr(house, "control", lambda parts, about, search: searched(0.5) | {"search": search})
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
    assert "(second seed)" in before["claims"]["C4"]["verdict"] and "third" not in before["claims"]["C4"]["verdict"]
    assert f" (of other seeds {rows['second_seed']['mean']:.1%} ± " in before["claims"]["C4"]["ours"]
    assert ",," not in before["claims"]["C3"]["ours"] and "), over" in before["claims"]["C3"]["ours"]

    trained.add(2)
    left_out = house.main(["--rows", "third_seed"])
    after = results.load("features_svhn")
    assert set(left_out) == {"authors"} and after["measured"]["left_out"] == left_out
    assert {k: v for k, v in after["measured"]["rows"].items() if k != "third_seed"} == rows
    for name in ("supervised", "searched_again"):
        assert after["measured"][name] == before["measured"][name]
    assert after["measured"]["curves"] == before["measured"]["curves"] | {
        "third_seed": [{"study": "svhn", "seed": 2}],
    }
    assert "(third seed)" in after["claims"]["C4"]["verdict"]

    monkeypatch.setattr(house, "control", lambda parts, about, search: searched(0.4 + search / 10) | {"search": search})
    house.main(["--rows", "supervised"])
    again = results.load("features_svhn")
    assert again["measured"]["supervised"]["mean"] == 0.4
    assert [(row["search"], row["mean"]) for row in again["measured"]["searched_again"]] == [(1, 0.5)]
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


def test_each_search_has_its_own_trials_and_the_same_draws_at_the_end(monkeypatch, tmp_path):
    """And what is there is not trained again."""
    monkeypatch.setattr(house, "OUT", tmp_path)
    monkeypatch.setattr(house, "TRIALS", 3)
    monkeypatch.setattr(house, "RETRAINED", 2)
    rng, tried, again = np.random.default_rng(0), [], []
    cut = {
        k: features.Part(rng.integers(0, 256, (n, 32, 32, 3), np.uint8), np.arange(n) % 10, np.arange(n))
        for k, n in (("pool", 2_000), ("validation", 40), ("test", 30))
    }

    def trial(arch, train, validation, settings, seed):
        tried.append((settings, seed, train[0]))
        return {"settings": asdict(settings), "seed": seed, "validation_error": 1 / (1 + seed % 1_000)}

    def train_classifier(arch, images, labels, settings, seed):
        assert (np.bincount(labels) == house.PER_CLASS).all()
        again.append((settings, seed, images))

    monkeypatch.setattr(supervised, "trial", trial)
    monkeypatch.setattr(supervised, "train_classifier", train_classifier)
    monkeypatch.setattr(supervised, "predict", lambda network, images: (np.arange(30) < 27) * (np.arange(30) % 10))
    first, second = (house.control(cut, {}, search) for search in (0, 1))
    for search, row in ((0, first), (1, second)):
        assert row["search"] == search and [t["seed"] % 1_000 for t in row["trials"]] == [2, 1, 0]  # the best first
        assert row["validation_error"] == pytest.approx(1 / 3) and row["errors"] == pytest.approx([0.1, 0.1])
        assert row["interval"][0] < row["mean"] < row["interval"][1] and row["spread"] == 0
    settings, seeds, images = zip(*tried, strict=True)
    assert settings[0] == settings[3] == supervised.Settings() and len(set(settings)) == 5 and len(set(seeds)) == 6
    assert (images[0] == images[2]).all() and not (images[0] == images[3]).all()  # each tried on one draw of its own
    assert [seed for _, seed, _ in again] == [0, 1, 0, 1] and [s for s, *_ in again] == [
        settings[i] for i in (2, 2, 5, 5)
    ]
    assert (again[0][2] == again[2][2]).all() and not (again[0][2] == again[1][2]).all()
    assert house.control(cut, {}, 1) == second and (len(tried), len(again)) == (6, 4)
