"""The rows of C2: some may be measured before others, and what is missing is said."""

import json

import numpy as np
import pytest

from dcgan_lib import data, models, results
from experiments.analyses import ANALYSES
from experiments.analyses import features_cifar10 as cifar
from experiments.studies import imagenet32


@pytest.fixture
def small(fast_scale, monkeypatch):
    for name, value in ANALYSES["features_cifar10"].fast.items():
        monkeypatch.setattr(cifar, name, value)
    monkeypatch.setattr(cifar, "OUT", fast_scale / "notes")
    return fast_scale


def train(monkeypatch):
    """A network that stands for the finished training of Tiny ImageNet, and the result that says how long it was."""
    _, discriminator = models.build("imagenet32", seed=1, widths=(4, 4, 8, 8, 16, 16))

    def trained(study, name=""):
        if study is imagenet32.STUDY:
            return discriminator
        raise data.NotAvailable(f"no finished training of it: run `python -m experiments {study.name}` first")

    monkeypatch.setattr(cifar, "trained", trained)
    about = {"command": "python -m experiments imagenet32", "settings": {}, "seed": 0, "device": ""}
    results.record("training_imagenet32", {"epochs": 1.5}, images=data.load("cifar10"), **about)


def measured() -> dict:
    return results.load("features_cifar10")["measured"]


def test_rows_begin_a_file_and_join_it(small, monkeypatch):
    train(monkeypatch)
    with pytest.raises(ValueError, match="without --rows, or with tinyimagenet among them"):
        cifar.main(["--rows", "kmeans_16"])
    left_out = cifar.main(["--rows", "tinyimagenet"])
    assert set(measured()["rows"]) == {"tinyimagenet"} and measured()["left_out"] == left_out
    assert left_out["kmeans_16"] == "not measured yet by this protocol"
    assert results.load("features_cifar10")["claims"]["C2"]["verdict"].startswith("undecided")
    first = measured()["rows"]["tinyimagenet"]

    left_out = cifar.main(["--rows", "kmeans_16", "cifar10"])
    assert set(measured()["rows"]) == {"tinyimagenet", "kmeans_16"} and measured()["rows"]["tinyimagenet"] == first
    ours, theirs = (measured()["rows"][name] for name in ("tinyimagenet", "kmeans_16"))
    one_only, other_only = measured()["paired"]["tinyimagenet"]["kmeans_16"]
    tested = len(data.load("cifar10", split="test"))
    assert one_only - other_only == round(tested * (ours["test_accuracy"] - theirs["test_accuracy"]))
    assert [row["per_class"] for row in theirs["labels"]] == [cifar.FEW]
    assert "kmeans_16" not in left_out and left_out["kmeans_32"] == "not measured yet by this protocol"
    assert "python -m experiments cifar10" in left_out["cifar10"]
    assert "K-means (16)" in results.load("features_cifar10")["claims"]["C2"]["ours"]

    path = results.folder() / "features_cifar10.json"
    record = json.loads(path.read_text())
    row = record["measured"]["rows"]["kmeans_16"] | {"network": "not here"}
    record["measured"]["rows"]["cifar10"] = row
    del record["measured"]["left_out"]["cifar10"]
    path.write_text(json.dumps(record))
    assert "cifar10" not in cifar.main(["--rows", "cifar10"]), "the row that is there stays, and counts"
    assert measured()["rows"]["cifar10"] == row and "cifar10" not in measured()["left_out"]
    record["measured"]["protocol"]["version"] -= 1
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="another protocol"):
        cifar.main(["--rows", "kmeans_16"])
    cifar.main(["--rows", "tinyimagenet"])
    assert set(measured()["rows"]) == {"tinyimagenet"}


def test_a_row_of_another_network_is_left_out(small, monkeypatch):
    """As a file says what it is of; rows of one that does not, or whose network cannot be had, stay."""
    train(monkeypatch)
    cheap = {"test_accuracy": 0.5, "interval": [0.4, 0.6]}
    monkeypatch.setattr(cifar, "judge", lambda *_: dict(cheap))
    monkeypatch.setattr(cifar, "ways", lambda *_: [])
    every = ["tinyimagenet", "random", "kmeans_16", "pixels"]
    cifar.main(["--rows", *every])
    rows = measured()["rows"]
    assert rows["kmeans_16"]["network"] == "16 centroids" and rows["pixels"]["network"] == ""
    path = results.folder() / "features_cifar10.json"
    record = json.loads(path.read_text())
    record["measured"]["rows"] |= {"random": cheap | {"network": "another"}, "pixels": dict(cheap)}
    record["measured"]["rows"]["cifar10"] = cheap | {"network": "not here"}
    path.write_text(json.dumps(record))
    left_out = cifar.main(["--rows", "kmeans_16"])
    assert set(measured()["rows"]) == {"tinyimagenet", "kmeans_16", "pixels", "cifar10"}
    assert left_out["random"] == "measured with another network than is here"
    cifar.main(["--rows", "random"])
    assert (
        measured()["rows"]["random"]["network"] == rows["random"]["network"] and "random" not in measured()["left_out"]
    )
    record["measured"]["rows"]["tinyimagenet"]["network"] = "another"
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="tinyimagenet was measured with another network"):
        cifar.main(["--rows", "kmeans_16"])


def test_without_the_training_it_says_what_to_run(small):
    with pytest.raises(data.NotAvailable, match="python -m experiments imagenet32"):
        cifar.main(["--rows", "tinyimagenet"])


def test_pairs_are_those_of_a_plain_count():
    rng = np.random.default_rng(0)
    right = {name: rng.random(203) < share for name, share in (("tinyimagenet", 0.8), ("pixels", 0.4), ("random", 0.6))}
    rows = {name: {"right": cifar.packed(some)} for name, some in right.items()} | {"cifar10": {}}
    found = cifar.paired(rows)
    assert set(found) == {"pixels", "random"}
    for name, (ours, theirs) in found.items():
        pairs = list(zip(right["tinyimagenet"], right[name], strict=True))
        assert ours == sum(a and not b for a, b in pairs) and theirs == sum(b and not a for a, b in pairs)
    assert cifar.paired({"pixels": rows["pixels"], "tinyimagenet": {}}) == {}
