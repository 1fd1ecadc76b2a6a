"""C5's data half on further sets: pairs of equal codes, drawn, labelled and counted."""

import json

import numpy as np
import pytest

from dcgan_lib import data, deduplication, results
from experiments import __main__ as command
from experiments import rejudge
from experiments.analyses import ANALYSES
from experiments.analyses import near_duplicates_elsewhere as elsewhere


@pytest.fixture
def small(fast_scale, monkeypatch):
    for name, value in ANALYSES["near_duplicates_elsewhere"].fast.items():
        monkeypatch.setattr(elsewhere, name, value)
    monkeypatch.setattr(elsewhere, "LABELS", fast_scale / "labels.json")
    return fast_scale


def test_pairs_that_are_equal_in_every_pixel():
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    images[3] = images[1]
    images[4] = images[1]
    images[4, 0, 0, 0] ^= 1
    assert elsewhere.equal_pairs(deduplication.pixel_hashes(images)) == 1
    again = deduplication.pixel_hashes(images[[0] * 40])
    assert elsewhere.equal_pairs(again) == 40 * 39 / 2  # more than the search lists


def test_bits_that_tell_pictures_apart():
    bits = np.zeros((200, 128), np.uint8)
    bits[:, 1] = 1  # always on
    bits[:100, 2] = 1
    bits[:1, 3] = 1  # one picture in two hundred
    bits[:-2, 4] = 1  # all but one in a hundred
    assert elsewhere.live_bits(np.packbits(bits, axis=1)) == 2


def test_pairs_of_autoencoders_trained_otherwise(small, monkeypatch):
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (60, 4, 4, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    images[40:] = images[:20]  # 20 pairs; the last ten count as planted
    trainings = {"more noise": {"noise": 9.0}, "longer": {"steps": 30}}
    monkeypatch.setattr(elsewhere, "STEPS", 10)
    monkeypatch.setattr(elsewhere, "SAMPLE", 10**4)
    monkeypatch.setattr(elsewhere, "TRAININGS", trainings)
    asked, fit = [], deduplication.fit
    monkeypatch.setattr(deduplication, "fit", lambda images, **kw: asked.append(kw) or fit(images, **kw))
    rows = elsewhere.trained_otherwise(images, 50)
    assert asked == [{"steps": 10, "noise": 9.0, "seed": elsewhere.SEED}, {"steps": 30, "seed": elsewhere.SEED}]
    for says, row in rows.items():
        assert row.items() >= trainings[says].items()
        assert 10 <= row["near_details"] <= row["sampled"] <= row["pairs"]
        assert 0 < row["live_bits"] <= 128


def test_labels_of_drawn_pairs_are_counted(small, monkeypatch):
    """Three pictures of a set repeated, twice each: three clusters of three, nine pairs; one is said to be false."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (100, 4, 4, 3), np.uint8).repeat(16, 1).repeat(16, 2)
    images = np.concatenate([images, images[:3], images[:3]])
    monkeypatch.setattr(elsewhere, "SAMPLE", 10**4)
    monkeypatch.setattr(elsewhere, "A_SHEET", 50)
    monkeypatch.setattr(elsewhere, "SHOWN", 1)
    monkeypatch.setattr(elsewhere.data, "load", lambda name, size: data.from_array(images, name=name))
    elsewhere.main(["--sheets", str(small / "sheets")])
    before = results.load("near_duplicates_elsewhere")
    assert before["claims"]["C5"]["verdict"].startswith("undecided") and "no pair has a label" in str(before["claims"])
    labels = {}
    for name, says in elsewhere.SETS.items():
        pairs = json.loads((small / "sheets" / name / "pairs.json").read_text())
        row = before["measured"]["sets"][says]
        assert (
            len(pairs) == row["pairs"] == row["listed"] >= row["exact"] == 9
            and (small / "sheets" / name / "050.png").exists()
        )
        assert {(0, 100), (0, 103), (100, 103)} <= set(map(tuple, pairs)) and row["in_pairs"] >= 9
        assert row["recall"]["exact"] == 1
        assert 9 <= row["near_details"] <= row["sampled"] == row["pairs"]
        labels[name] = {f"{a}-{b}": (a, b) != (100, 103) for a, b in pairs}
    elsewhere.LABELS.write_text(json.dumps({"by": "made up", "labels": {}, "others": labels}))
    elsewhere.main([])
    after = results.load("near_duplicates_elsewhere")
    for row in after["measured"]["sets"].values():
        assert row["by_eye"]["labelled"] == row["pairs"] and row["compared"]["labelled"] >= 9
        assert row["by_eye"]["false"] == pytest.approx(1 / row["pairs"])
    first, second, *same = results.pictures("near_duplicates_elsewhere_pairs", 4)  # the pair (100, 103), by set
    assert row["false_pairs"] == [[100, 103]] and after["measured"]["sheet"] == list(elsewhere.SETS.values())
    for shown, picture in ((first, images[100]), (second, images[103])):
        assert np.abs(shown[0].astype(int) - picture).mean() < 20  # a JPEG
    assert np.array_equal(same, [first, second])
    assert f"calls 1 of {row['pairs']} of them no near duplicates" in after["claims"]["C5"]["ours"]
    assert rejudge.judged_again(after)["claims"] == after["claims"]


def test_a_set_that_is_not_there_is_left_out(small, monkeypatch, capsys):
    (data.data_root() / "anime.npz").unlink()
    assert set(elsewhere.main([])) == {"anime"}
    assert set(results.load("near_duplicates_elsewhere")["measured"]["sets"]) == {"scenes"}
    (data.data_root() / "scenes_all.npz").unlink()
    assert command.main(["near_duplicates_elsewhere"]) == 1
    assert "Drawn faces ('anime'" in capsys.readouterr().err
