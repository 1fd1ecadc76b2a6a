"""Pictures, where a change of one operator or number had passed every other test."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan_lib import data

RNG = np.random.default_rng(0)


def png(picture):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def test_indices_lie_in_one_row():
    digits = data.load("digits")
    for wrong in ([[0, 1], [2, 3]], np.zeros((2, 2), int), 3):
        with pytest.raises(TypeError, match="expected whole numbers as a list"):
            digits.select(wrong)


@pytest.mark.parametrize(
    ("name", "value"), [("seed", -1), ("limit", 0), ("image_size", 0), ("image_size", 4097), ("channels", 2)]
)
def test_numbers_just_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        data.load("digits", **{name: value})


@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_of_a_set_from_the_hub(tmp_path, monkeypatch, split):
    """By the real library, from rows in memory; no card's own files are here."""
    datasets = pytest.importorskip("datasets")
    x, y, asked = RNG.integers(0, 256, (5, 32, 32, 3), np.uint8), [2, 0, 1, 1, 2], []
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["fish", "bird", "cat"])}
    rows = datasets.Dataset.from_dict({"image": list(map(png, x)), "label": y}, datasets.Features(kinds))
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: asked.append((a, k["split"])) or rows)
    loaded = data.load("imagenet32", root=tmp_path, split=split)
    about = data.CARDS["imagenet32"].hub
    assert asked == [((about.repository, about.config), about.splits[split])]
    np.testing.assert_array_equal(loaded.images, x)
    assert loaded.labels.tolist() == y and loaded.class_names == ["fish", "bird", "cat"]
    with pytest.raises((ValueError, data.NotAvailable), match="split"):
        data.load("imagenet32", root=tmp_path, split="validation")
    rows = rows.cast_column("label", datasets.Value("float64"))
    with pytest.raises(ValueError, match="label holds float64, not class numbers"):
        data.load("imagenet32", root=tmp_path, split=split)


def test_a_set_says_whether_it_has_labels():
    pictures = RNG.integers(0, 256, (4, 8, 8, 1), np.uint8)
    labelled, named = (
        data.from_array(pictures, [0, 1, 1, 0]),
        data.from_array(pictures, [0, 1, 1, 0], "mine", ["a", "b"]),
    )
    assert repr(data.from_array(pictures)) == "<ImageSet array (train): 4 of 8x8x1>"
    assert repr(labelled) == "<ImageSet array (train): 4 of 8x8x1, labels>"
    assert repr(named) == "<ImageSet mine (train): 4 of 8x8x1, 2 classes>"


def test_a_fault_of_the_database_ends_the_load(tmp_path, monkeypatch):
    """It says nothing about the pictures: none is called damaged, nothing is kept."""
    import lmdb

    place = tmp_path / "lsun" / "bedroom_train_lmdb"
    place.parent.mkdir()
    with lmdb.open(str(place), map_size=2**22) as database, database.begin(write=True) as transaction:
        for i in range(4):
            transaction.put(b"%03d" % i, png(RNG.integers(0, 256, (70, 70, 3), np.uint8))["bytes"])

    class Failing:
        """The real database, whose third transaction fails: the keys, a picture, and then."""

        def __init__(self, *arguments, **settings):
            self.real, self.begun = opened(*arguments, **settings), 0

        def __getattr__(self, name):
            return getattr(self.real, name)

        def begin(self):
            self.begun += 1
            if self.begun > 2:
                raise lmdb.CorruptedError("a page")
            return self.real.begin()

    opened = lmdb.open
    monkeypatch.setattr(lmdb, "open", Failing)
    with pytest.raises(OSError, match="the database is damaged or was cut short"):
        data.load("lsun_bedroom", root=tmp_path, download=False)
    assert not list(Path(os.environ["DCGAN_CACHE"]).rglob("about.json"))
