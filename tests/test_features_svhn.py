"""C3 and C4: every seed of our D is a row, and some rows may be measured before others."""

import json

import pytest

from dcgan_lib import data, models, results
from experiments.analyses import ANALYSES
from experiments.analyses import features_svhn as house


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
    searched = {"trials": [{}] * 64, "validation_error": 0.5, "mean": 0.5, "interval": [0.49, 0.51]}
    monkeypatch.setattr(house, "control", lambda *_: dict(searched))
    return seeds


def test_rows_join_the_file(trained):
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
    assert after["measured"]["supervised"] == before["measured"]["supervised"]
    assert after["measured"]["curves"] == before["measured"]["curves"] | {
        "third_seed": [{"study": "svhn", "seed": 2}],
    }
    assert "(third seed)" in after["claims"]["C4"]["verdict"]

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
