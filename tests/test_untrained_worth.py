"""The control of what D is worth: the network that a training begins with, by the same measure on the same pictures."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from dcgan_lib import data, results, training
from dcgan_lib.architecture import architecture
from experiments import measures, study
from experiments.analyses import untrained_worth as control
from experiments.study import Study, Variant

TINY = architecture("tiny32", channels=1, widths=(4, 8, 16))
WORTH = measures.d_worth.set(labelled_set="digits", labelled=600, tested=600)


def row(variant, seed, untrained, trained):
    return {"variant": variant, "seed": seed, "untrained": untrained, "trained": trained}


def test_training_has_taught_where_ranges_part():
    rows = [row("up", s, 0.4 + s / 100, 0.5 + s / 100) for s in range(3)]
    rows += [row("down", s, 0.6, 0.5) for s in range(3)]
    rows += [row("touch", s, u, t) for s, (u, t) in enumerate([(0.4, 0.5), (0.5, 0.6), (0.45, 0.7)])]
    rows += [row("not_yet", 0, 0.4, None)]
    alike = "no difference beyond seeds"
    assert control.compared(rows) == {"up": "above", "down": "below", "touch": alike}
    late = [*rows, *(row("not_yet", seed, 0.9, 0.5) for seed in (1, 2))]
    assert control.compared(late)["not_yet"] == "undecided", "two trainings are too few"
    late.append(row("not_yet", 3, 0.9, 0.5))
    assert control.compared(late)["not_yet"] == "below", "a seed that has no trained one stays out"
    typed = {"studies": {"s": {"settings": {}, "rows": rows, "compared": {"up": "below"}}}, "left_out": {}}
    assert control.derived(typed)["studies"]["s"] == typed["studies"]["s"] | {"compared": control.compared(rows)}


def test_the_control_is_the_network_that_a_training_begins_with(tmp_path):
    images = data.load("digits", image_size=32)
    config = training.TrainConfig(data="digits", out=tmp_path, arch=TINY, batch_size=8, steps=1, seed=3, device="cpu")
    begun = training.Trainer(config, TINY, images)
    for same, seed in ((True, 3), (False, 4)):
        networks = training.initial_networks(TINY, seed)
        pairs = zip(networks, (begun.generator, begun.discriminator), strict=True)
        for ours, theirs in pairs:
            found = [torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)]
            assert all(found) if same else not all(found)


def test_it_looks_at_the_pictures_that_the_measure_looks_at(monkeypatch):
    looked_at, extract = [], measures.vectors_of

    def noting(network):
        def vectors(pictures, known):
            looked_at.append(pictures)
            return extract(network)(pictures, known)

        return vectors

    monkeypatch.setattr(measures, "vectors_of", noting)
    monkeypatch.setattr(control, "vectors_of", noting)
    _, discriminator = training.initial_networks(TINY, 1)
    measures.placed(discriminator)
    measured = WORTH(SimpleNamespace(discriminator=discriminator), None, study.draws_of(WORTH, 1))
    again = control.untrained(WORTH, TINY, 1)
    assert np.array_equal(*looked_at) and len(looked_at[0]) == 1_200
    assert again == {f"untrained{k.removeprefix('d_worth')}": v for k, v in measured.items()}
    assert control.untrained(WORTH, TINY, 2) != again


def test_pixels_are_scikit_learn_s():
    digits = data.load("digits", image_size=32)
    found = control.pixels(WORTH, TINY, 0)
    x, y = digits.tensor().flatten(1).numpy(), digits.labels
    order = np.random.default_rng(5).permutation(len(x))
    theirs = LinearSVC(C=found["pixels_C"], random_state=0).fit(x[order[:600]], y[order[:600]])
    assert found["pixels"] == pytest.approx(theirs.score(x[order[600:1200]], y[order[600:1200]]), abs=0.03)


def test_the_file_has_every_training_and_says_what_it_lacks(monkeypatch, tmp_path):
    monkeypatch.setenv("DCGAN_RESULTS", str(tmp_path))
    monkeypatch.delenv("DCGAN_SCALE", raising=False)  # all seeds
    base = training.TrainConfig(data="digits", out="runs/x", arch=TINY, batch_size=8, steps=4)
    variants = (Variant("one"), Variant("faster", {"learning_rate": 1e-3}), Variant("wide", arch={"widths": (8, 8, 8)}))
    with_sets = {
        name: Study(name, "a test", base, variants, seeds=(0, 1), measures=(WORTH.set(labelled_set=labelled),))
        for name, labelled in (("there", "digits"), ("not_there", "cifar10"))
    }
    without = Study("asks_nothing", "a test", base, variants, measures=(measures.spread,))
    monkeypatch.setattr(control, "STUDIES", with_sets | {without.name: without})
    monkeypatch.setattr(
        control, "after_training", lambda s: {("one", 0): 1.0, ("one", 1): 0.99, ("wide", 0): 0.0, ("wide", 1): 0.0}
    )
    built, build = [], training.initial_networks
    monkeypatch.setattr(training, "initial_networks", lambda *a: built.append(a) or build(*a))
    assert list(control.main()) == ["not_there"]
    measured = results.load("untrained_worth")["measured"]
    assert list(measured["studies"]) == ["there"] and "could not be had" in measured["left_out"]["not_there"]
    part = measured["studies"]["there"]
    assert [(r["variant"], r["seed"]) for r in part["rows"]] == [
        (name, seed) for seed in (0, 1) for name in ("one", "faster", "wide")
    ]
    assert part["compared"] == {"one": "undecided", "wide": "undecided"}  # two seeds
    assert part["rows"][0]["untrained"] == part["rows"][1]["untrained"] > 0.7 and len(built) == 4, "alike ones once"
    monkeypatch.setattr(control, "STUDIES", {"not_there": with_sets["not_there"]})
    with pytest.raises(data.NotAvailable, match="could not be had"):
        control.main()
