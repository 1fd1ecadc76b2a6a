"""What the analysis of measures says of made-up numbers: its rule, its faults, its curves."""

import numpy as np
import pytest

from dcgan_lib import metrics
from experiments.analyses import judging_samples as judging


def interval(low, high):
    return {"value": (low + high) / 2, "low": low, "high": high}


def test_a_fault_is_seen_where_intervals_part():
    right = interval(1.0, 2.0)
    for name, above, below in (("frechet_distance", "worse", "better"), ("recall", "better", "worse")):
        assert judging.sees(name, interval(2.1, 3), right) == above
        assert judging.sees(name, interval(0, 0.9), right) == below
        assert judging.sees(name, interval(1.9, 9), right) == judging.sees(name, right, right) == "nothing"


def test_sets_are_apart_from_the_first_size_after_which_they_never_meet():
    def rows(*values):
        return [{"n": n, "mean": mean, "sd": sd} for n, (mean, sd) in zip((10, 20, 50), values, strict=True)]

    flat = rows((0, 1), (0, 1), (0, 1))
    assert judging.apart(flat, rows((5, 1), (5, 1), (5, 1))) == 10
    assert judging.apart(flat, rows((5, 1), (3, 1), (5, 1))) == 50, "10 was luck"
    assert judging.apart(flat, rows((-3, 1), (-5, 1), (-5, 1))) == 20
    assert judging.apart(flat, rows((5, 1), (5, 1), (3, 1))) is None
    assert judging.apart(flat, rows((5, 1), (5, 1), (5, 1))[:2]) == 10, "the wrong set may be too small for the last"


def test_modes_are_ranked_by_frequency():
    assert judging.by_frequency(np.array([7, 3, 3, 9, 3, 9])).tolist() == [2, 0, 0, 1, 0, 1]


def test_chosen_faults_are_those_pictures(monkeypatch):
    monkeypatch.setattr(judging, "N", 20)
    modes = np.arange(200) % 5
    reference, right = -np.arange(1.0, 201)[:, None], np.arange(1.0, 201)[:, None]
    sets = judging.chosen_faults(reference, right, modes, np.random.default_rng(0))
    assert [(fault, amount) for fault, amount, _ in sets] == [
        ("again", 0), ("dropped", 1), ("dropped", 2), ("dropped", 3), ("repeated", 10), ("repeated", 2),
        ("copied", 0.1), ("copied", 0.5), ("copied", 1.0),
    ]  # fmt: skip
    for fault, amount, vectors in sets:
        x = vectors[:, 0]
        assert len(x) == 20
        if fault == "again":
            assert x.tolist() == list(range(21, 41))
        if fault == "dropped":
            assert set((x - 1) % 5) == set(range(5 - amount)) and len(set(x)) == 20
        if fault == "repeated":
            assert set(x) == set(range(1, amount + 1))
        if fault == "copied":
            assert (x < 0).sum() == 20 * amount and set(np.abs(x)) == set(range(1, 21))
    with pytest.raises(ValueError, match="take a larger POOL"):
        judging.dropped(np.arange(200), 5, np.random.default_rng(0))


def test_the_whole_rule_on_features(monkeypatch):
    """Gaussians of 8 numbers: noise is seen, other right samples are not, copies displease no measure."""
    monkeypatch.setattr(judging, "N", 150)
    rng = np.random.default_rng(0)
    reference, right = rng.normal(size=(2, 600, 8))
    sets = [("noise", sd, right[:150] + sd * rng.normal(size=(150, 8))) for sd in (0.1, 2.0)]
    sets += judging.chosen_faults(reference, right, np.arange(600) % 5, rng)
    rows = {(r["fault"], r["amount"]): r for r in judging.judged(reference[:150], right[:150], sets, right[300:])}
    for name in metrics.MEASURES:
        assert rows["none", 0]["measures"][name]["seen"] == "nothing"
        assert rows["again", 0]["measures"][name]["seen"] == "nothing"
        if name != "recall":  # noise has large balls
            assert rows["noise", 2.0]["measures"][name]["seen"] == "worse", name
    for name in ("frechet_distance", "recall", "coverage"):
        assert rows["repeated", 15]["measures"][name]["seen"] == "worse", name
    copied = rows["copied", 1.0]["measures"]
    assert all(found["seen"] != "worse" for found in copied.values())
    assert copied["frechet_distance"]["value"] == pytest.approx(0, abs=1e-9) and copied["recall"]["value"] == 1
    assert rows["copied", 1.0]["copies"] == [150, 150] and rows["copied", 0.1]["copies"][0] >= 15
    assert rows["again", 0]["copies"][0] <= 8
    order = judging.same_order(list(rows.values()), list(rows.values()))
    assert set(order) == set(metrics.MEASURES) and min(order.values()) == pytest.approx(1)


@pytest.mark.parametrize("most", [40, 200])
def test_the_control_does_not_set_the_scale_of_copies(monkeypatch, most):
    """However few pictures an eye looks at: a picture's only feature is its number."""
    monkeypatch.setattr(judging, "N", 20)
    monkeypatch.setattr(judging, "needed", lambda *_: {})
    asked = []
    monkeypatch.setattr(judging, "judged", lambda *given: asked.extend(given))
    pictures = np.arange(300.0)[:, None]
    judging.seen_by(lambda images: images, -pictures, pictures, np.arange(300) % 5, [], most)
    _, right, sets, others = asked
    again = next(vectors for fault, _, vectors in sets if fault == "again")
    assert again[:, 0].tolist() == list(range(20, 40))
    assert len(others) >= 20 and not set(others[:, 0]) & {*again[:, 0], *right[:, 0]}
    assert np.isfinite(others).all()


def test_samples_needed_grow_as_the_fault_shrinks(monkeypatch):
    monkeypatch.setattr(judging, "SIZES", (20, 50, 100, 200, 2_000))
    rng = np.random.default_rng(0)
    reference, right = rng.normal(size=(2, 1000, 4))
    far, near = rng.normal(size=(1000, 4)) + 3, rng.normal(size=(1000, 4)) + 0.35
    table = {name: judging.needed(reference, right, wrong) for name, wrong in (("far", far), ("near", near))}
    row = table["far"]["frechet_distance"]
    assert row["from"] == 20 and [r["n"] for r in row["right"]] == [20, 50, 100, 200]
    means = [r["mean"] for r in row["right"]]
    assert means == sorted(means, reverse=True), "few samples, a larger distance"
    assert table["near"]["frechet_distance"]["from"] in (50, 100, 200)
