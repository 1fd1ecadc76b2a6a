"""Labelling and counting of what `experiments.judged_blind` judges: what is shown, what is refused, what is counted."""

import csv
import json
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from dcgan_lib import checkpoints, data, inspection, models, results
from experiments import __main__ as command
from experiments import judged_blind, rejudge, verdicts
from experiments.analyses.inspection_forgetting_scenes import TRUNKS
from experiments.analyses.inspection_forgetting_streets import WINDOWS
from experiments.analyses.inspection_forgetting_streets_again import AGAIN
from experiments.judged_blind import WAYS, Forgetting, Labelling

ROOT = Path(__file__).parents[1]
WHAT = Forgetting(
    "made_up", "windows", "tiny", side=8, seed=3, candidates=40, boxed=12, least=10, most=24, passes=2
)  # fmt: skip


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch):
    monkeypatch.setattr(judged_blind, "DRAWS", 200)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Folders of its own for weights, labels and results; the generator of study `tiny` ships there."""
    monkeypatch.setattr(checkpoints, "HERE", tmp_path / "weights")
    monkeypatch.setenv("DCGAN_RESULTS", str(tmp_path / "results"))
    (tmp_path / "results").mkdir()
    ship(seed=0)
    return tmp_path


def ship(seed):
    generator, _ = models.build("tiny32", seed=seed)
    with torch.no_grad():
        generator.blocks[-1][0].weight.mul_(20)  # contrasts that differ from picture to picture
    models.calibrate(generator, [models.sample_latent(64, generator.arch, 1)])
    checkpoints.save(checkpoints.HERE / "tiny.safetensors", generator, None, {})


def table(path, rows, columns=("picture", "shows")):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def bright(pictures):
    """A labeller that looks at pictures only: is the left half bright, beside the right one?"""
    left, right = (half.mean((1, 2, 3)) for half in pictures.chunk(2, dim=3))
    return (left - right > -0.016).tolist()


def answer(place, labelling, stage, by="made up", wrong=()):
    """Label a round by `bright`, except that pictures `wrong` get the other answer."""
    shown = bright(labelling.pictures(stage))
    rows = [(i, "yes" if yes != (i in wrong) else "no") for i, yes in enumerate(shown)]
    if stage == "boxes":
        rows = [(i, 4, 20, 8, 24) if i % 3 else (i, "", "", "", "") for i in range(len(shown))]
        return labelling.enter(stage, table(place / "a.csv", rows, ("picture", "top", "bottom", "left", "right")), by)
    return labelling.enter(stage, table(place / "a.csv", rows), by)


@pytest.fixture
def labelled(place):
    """All rounds of WHAT, labelled by `bright`, the second pass by another who errs on three pictures."""
    labelling = Labelling(WHAT)
    for stage in WHAT.rounds:
        answer(place, labelling, stage, *(("another", (0, 5, 9)) if stage == "blind_2" else ()))
    return place, labelling


# ---- the recorded result ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [TRUNKS, WINDOWS, AGAIN], ids=lambda what: what.stem)
def test_the_recorded_result_comes_out_again(what, monkeypatch):
    monkeypatch.setattr(judged_blind, "DRAWS", 1_000)  # as recorded
    labelling, record = Labelling(what), results.load(what.name)
    measured = json.loads(json.dumps(judged_blind.measure(labelling)))
    for rows in (measured, record["measured"]):
        rows["moves"] = [rows["ways"][way].pop("layout_moves") for way in WAYS]
    assert measured.pop("moves") == pytest.approx(record["measured"].pop("moves"), rel=1e-4)
    assert measured == record["measured"]
    again = judged_blind.claims(labelling, results.load(what.name)["measured"])
    assert again == record["claims"]


# ---- what is missing is named ----------------------------------------------------------------------------------------


def test_without_the_generator_its_command_is_named(place, capsys, monkeypatch):
    monkeypatch.delenv("DCGAN_SCALE", raising=False)  # 'fast' makes stand-ins from weights that `place` lacks
    with pytest.raises(data.NotAvailable, match="run `python -m experiments streets` first"):
        Labelling(WINDOWS)
    assert command.main(["inspection_forgetting_streets"]) == 1
    assert "run `python -m experiments streets` first" in capsys.readouterr().err


def test_each_round_that_lacks_labels_is_named(place, capsys):
    labelling = Labelling(WHAT)
    for stage in WHAT.rounds:
        assert labelling.next() == stage
        file = checkpoints.HERE / "labels" / f"windows_{stage}.json"
        with pytest.raises(data.NotAvailable, match=r"python -m experiments made_up --sheets FOLDER") as error:
            judged_blind.main(WHAT)
        assert str(file) in str(error.value) and f"round {stage!r}" in str(error.value)
        assert not list((place / "results").iterdir())
        answer(place, labelling, stage)
        assert list(json.loads(file.read_text())) == ["label", "by", "pictures", "boxes"]
    assert labelling.next() is None and judged_blind.main(WHAT) == {}
    assert (place / "results" / "made_up.json").exists()


def test_a_round_that_was_left_half_way_is_named(labelled):
    _, labelling = labelled
    file = labelling.file("blind_2")
    said = json.loads(file.read_text())
    del said["boxes"]["7"], said["boxes"]["11"]
    file.write_text(json.dumps(said))
    n = 4 * len(labelling.tested)
    with pytest.raises(data.NotAvailable, match=rf"windows_blind_2.json lacks 2 of {n} pictures, the first is 7"):
        judged_blind.main(WHAT)
    assert labelling.next() == "blind_2"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "trunks"}, "expected labels of 'windows'"),
        ({"by": ""}, "who labelled"),
        ({"pictures": "0"}, "labels of other pictures"),
        ({"boxes": {"0": [[3, 2, 0, 1]]}}, "do not lie in pictures of 32 pixels"),
    ],
)
def test_labels_that_are_none_of_these_pictures_are_refused(labelled, change, message):
    _, labelling = labelled
    file = labelling.file("there")
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        judged_blind.main(WHAT)


def test_labels_of_another_generator_are_refused(labelled):
    ship(seed=5)
    with pytest.raises(ValueError, match=r"windows_boxes.json has labels of other pictures than made_up draws"):
        judged_blind.main(WHAT)


def test_a_blind_round_does_not_outlive_its_layer(labelled):
    """Labels from before the digest knew the layer count for the one that they were made of."""
    _, labelling = labelled
    file = labelling.file("blind_1")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"pictures": labelling.pictured("blind_1", layer=False)}))
    assert labelling.next() is None
    other = Labelling(replace(WHAT, side=16))
    assert len(other.labels("boxes", 1)[1]) == WHAT.boxed  # this round draws whole pictures
    for stage in WHAT.blind:
        with pytest.raises(ValueError, match=rf"windows_{stage}.json has labels of other pictures"):
            other.labels(stage, 1)


def test_a_blind_round_does_not_outlive_the_boxes_that_it_was_drawn_by(labelled):
    _, labelling = labelled
    file = labelling.file("boxes")
    said = json.loads(file.read_text())
    said["boxes"]["1"] = [[0, 8, 0, 8]]
    file.write_text(json.dumps(said))
    with pytest.raises(ValueError, match=r"windows_blind_1.json has labels of other pictures"):
        judged_blind.main(WHAT)


def test_too_few_samples_with_the_object_are_not_judged(place):
    labelling = Labelling(WHAT)
    answer(place, labelling, "boxes")
    answers = table(place / "a.csv", [(i, "yes" if i < 9 else "no") for i in range(40)])
    for wrong in (["--enter", str(answers)], ["--enter", str(place / "b.csv"), "--by", "made up"]):
        with pytest.raises(SystemExit):  # by whom? and no such file
            judged_blind.main(WHAT, wrong)
    assert judged_blind.main(WHAT, ["--enter", str(answers), "--by", "made up"])
    with pytest.raises(data.NotAvailable, match=r"9 of 40 samples show windows, at least 10 are needed"):
        judged_blind.main(WHAT, ["--sheets", str(place / "sheets")])


def test_windows_are_judged_by_the_rule_that_was_fixed():
    assert WINDOWS.passes == 2 and WINDOWS.least == verdicts.JUDGED <= WINDOWS.most and WINDOWS.boxed == 150
    assert WINDOWS.rounds == ("boxes", "there", "blind_1", "blind_2") and TRUNKS.rounds == ("boxes", "there", "blind")


# ---- what is shown ---------------------------------------------------------------------------------------------------


def test_ways_are_those_of_a_plain_loop(labelled):
    _, labelling = labelled
    G, layer = labelling.generator, 1  # of 4x4, 8x8, 16x16
    shown = [i for i, yes in enumerate(bright(models.sample(G, labelling.latents("there")))) if yes]
    z = labelling.latents("there")[shown[: WHAT.most]]
    assert len(shown) >= WHAT.least and torch.equal(z, labelling.tested)
    masks = np.zeros((12, 8, 8), bool)
    masks[np.arange(12) % 3 > 0, 1:5, 2:6] = True  # rows 4 to 20, columns 8 to 24 of 32
    maps = inspection.generator_maps(G, labelling.latents("boxes"), layer)
    weights = inspection.map_weights(maps, masks)
    positive = [m for m in range(len(weights)) if weights[m] > 0]
    loudest = sorted(range(len(weights)), key=lambda m: -float(maps[:, m].mean()))[: len(positive)]
    rows, n = labelling.ways
    assert n == len(positive) and 0 < n < len(weights)

    def without(some):
        x = inspection.generator_maps(G, z, layer)
        x[:, some] = 0
        for block in G.blocks[layer:]:
            x = block(x)
        return x.detach()

    for row, some in zip(rows, ([], positive, loudest), strict=False):
        torch.testing.assert_close(row, without(some), atol=1e-5, rtol=1e-4)
    chance = rows[judged_blind.RANDOM]
    assert all(len(chance) == len(row) and not torch.equal(chance, row) for row in rows[:3])


def test_the_order_hides_the_ways(labelled):
    """Position tells nothing: every stretch of the queue has every way, and the second pass is another order."""
    _, labelling = labelled
    n = len(labelling.tested)
    orders = [labelling.order(stage) for stage in WHAT.blind]
    for order in orders:
        assert sorted(order) == list(range(4 * n))
        way, sample = order // n, order % n
        for half in np.array_split(way, 2):
            count = Counter(half.tolist())
            assert all(0.1 < count[w] / len(half) < 0.45 for w in range(4)), count
        assert (way[1:] == way[:-1]).mean() < 0.5 and (sample[1:] == sample[:-1]).mean() < 0.2
        assert abs(stats.spearmanr(way, np.arange(4 * n)).statistic) < 0.3
    assert (orders[0] == orders[1]).mean() < 0.1
    every = torch.cat(labelling.ways[0])
    for stage, order in zip(WHAT.blind, orders, strict=True):
        assert torch.equal(labelling.pictures(stage), every[order.tolist()])


def test_sheets_show_numbered_pictures_and_nothing_of_the_ways(labelled):
    place, labelling = labelled
    files = labelling.draw("blind_1", place / "sheets")
    n = 4 * len(labelling.tested)
    assert [file.name for file in files] == [f"windows_blind_1_{i:04}.png" for i in range(0, n, 25)]
    seen, first = data.to_uint8(labelling.pictures("blind_1")), Image.open(files[1])
    for i in (25, 31, 44):  # in the second sheet
        column, row = (i - 25) % 5, (i - 25) // 5
        left, top = 26 + column * (96 + 26), 52 + row * (96 + 52)
        expected = Image.fromarray(seen[i]).resize((96, 96), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(np.asarray(first)[top : top + 96, left : left + 96], np.asarray(expected))
    hidden = " ".join([*(file.name for file in files), json.dumps(first.info)])
    assert not any(word in hidden for way in WAYS for word in way.split())


def test_the_box_tool_goes_on_with_a_round(place):
    labelling = Labelling(WHAT)
    tool = labelling.tool("boxes", "one person")
    tool.add.click()
    assert labelling.next() == "boxes"
    for _ in range(WHAT.boxed):
        tool.next.click()
    with pytest.raises(ValueError, match=r"windows_boxes.json has labels already: go on with the box tool"):
        answer(place, labelling, "boxes")
    by, masks = labelling.labels("boxes", 4)
    assert by == "one person" and masks.shape == (12, 4, 4) and masks.any((1, 2)).tolist() == [True] + [False] * 11
    assert labelling.next() == "there"


# ---- what is counted -------------------------------------------------------------------------------------------------


def test_labels_of_shuffled_pictures_come_back_to_their_ways(labelled):
    """A labeller that sees pictures only is right about every way; the three slips of the second pass are found."""
    _, labelling = labelled
    truth = ~np.array([bright(row) for row in labelling.ways[0]])  # (ways, samples)
    assert truth[0].sum() == 0 and truth[1:].any() and not truth[1:].all()
    np.testing.assert_array_equal(labelling.gone("blind_1"), truth)
    slips = labelling.gone("blind_2") != truth
    n = truth.shape[1]
    assert {(w, s) for w, s in np.argwhere(slips)} == {(o // n, o % n) for o in labelling.order("blind_2")[[0, 5, 9]]}


def test_the_results_file_says_who_and_how_often(labelled):
    _, labelling = labelled
    judged_blind.main(WHAT)
    record = results.load("made_up")
    measured, ours = record["measured"], record["claims"]["C7"]["ours"]
    one, two = (labelling.gone(stage) for stage in WHAT.blind)
    for i, way in enumerate(WAYS):
        assert measured["ways"][way]["gone"] == pytest.approx((one[i].mean() + two[i].mean()) / 2)
        assert measured["passes"][1]["ways"][way]["gone"] == pytest.approx(two[i].mean())
    only = [sum(c and not r for c, r in zip(one[1], one[3], strict=True))]
    only.append(sum(r and not c for c, r in zip(one[1], one[3], strict=True)))
    assert measured["passes"][0]["discordant"]["random"] == only
    assert measured["agreement"]["kappa"] == pytest.approx(cohen_kappa_score(one.ravel(), two.ravel()))
    assert measured["agreement"]["same"] == pytest.approx(1 - 3 / one.size)
    assert measured["by"] == {"boxes": "made up", "there": "made up", "blind_1": "made up", "blind_2": "another"}
    assert ours.startswith("Windows in tiny, judged blind by made up and by another: gone from ")
    assert f"kappa {measured['agreement']['kappa']:.2f}" in ours and "of 8x8 positions" in ours
    assert record["claims"]["C7"]["verdict"].startswith(f"undecided: {len(one[0])} of at least 100 samples")
    assert record["command"] == "python -m experiments made_up" and record["data"]["name"] == "samples of tiny"


def judged(n=120, chosen=0.75, random=0.3, slips=0.0, seed=0):
    """Two passes (4, n) of a made-up outcome, each with a share of labels turned over."""
    rng = np.random.default_rng(seed)
    truth = rng.random((4, n)) < np.array([0.0, chosen, random, random])[:, None]
    return [truth ^ (rng.random((4, n)) < slips) for _ in range(2)]


def outcome(passes):
    measured = {"tested": passes[0].shape[1], "level": 0.05} | judged_blind.counted_twice(passes, seed=0)
    return judged_blind.verdict(json.loads(json.dumps(measured)))


def test_the_verdict_turns_with_the_labels():
    assert outcome(judged()).outcome == "holds on this set"
    assert outcome(judged(chosen=0.5, random=0.2)).outcome == "holds in part"
    assert outcome(judged(chosen=0.2, random=0.2)).outcome == "does not hold"
    assert outcome(judged(chosen=0.55, random=0.55)).outcome == "undecided"
    assert outcome(judged(chosen=0.4, random=0.8)).outcome == "does not hold"
    assert outcome(judged(n=99)).outcome == "undecided"
    assert outcome(judged(slips=0.05)).outcome == "holds on this set"
    noisy = outcome(judged(slips=0.3))
    assert noisy.outcome == "undecided" and "agree too little" in noisy.words
    one, two = judged()[0], judged(seed=1, chosen=0.75)[0]
    assert outcome([one, np.random.default_rng(0).permuted(two, axis=1)]).outcome == "undecided"
    same = outcome([np.zeros((4, 120), bool)] * 2)
    assert same.outcome == "undecided" and "kappa is not defined" in same.words


def test_what_a_pass_never_saw_cannot_be_forgotten():
    """Labels that say "gone" of half of the samples whatever is dropped: the others alone are counted."""
    rng = np.random.default_rng(1)
    passes, blind = (
        judged(chosen=0.7, random=0.3),
        rng.random(120) < 0.5,
    )  # the object is seen in no way of these samples
    blind = [blind, blind ^ (rng.random(120) < 0.05)]  # the second pass says so of some others
    passes = [gone | unseen for gone, unseen in zip(passes, blind, strict=True)]
    measured = json.loads(json.dumps(judged_blind.counted_twice(passes, seed=0)))
    for found, gone, unseen in zip(measured["passes"], passes, blind, strict=True):
        seen = gone[:, ~unseen]
        only = [int((seen[1] & ~seen[3]).sum()), int((seen[3] & ~seen[1]).sum())]
        assert found["shown"]["samples"] == (~unseen).sum() and found["shown"]["discordant"]["random"] == only
        assert found["shown"]["gone"]["positive weight"] == seen[1].sum() < gone[1].sum()
    counted = [(gone[1] * 1.0 - gone[3])[~unseen] for gone, unseen in zip(passes, blind, strict=True)]
    mean, low, high = measured["differences_shown"]["random"]
    assert mean == pytest.approx(np.concatenate(counted).mean()) and low < mean < high
    assert mean > 1.8 * measured["differences"]["random"][0]
    words = outcome(passes).words
    assert all(f"of {(~unseen).sum()} that show it with all maps" in words for unseen in blind)
    # Gone from 60 % without any map dropped, from 70 % without the chosen ones: of the 40 % that show it, from 25 %.
    often = np.zeros((4, 400), bool)
    often[:, :240], often[1, 240:280], often[3, 240:250] = True, True, True
    found = judged_blind.verdict({"tested": 400} | judged_blind.counted(often))
    assert found.outcome == "does not hold" and "gone from 40 of 160 that show it" in found.words
    unseen = outcome([np.ones((4, 120), bool), np.arange(480).reshape(4, 120) > -1])
    assert unseen.outcome == "undecided"


def by_hand(a, b):
    n = len(a)
    agree = sum(x == y for x, y in zip(a, b, strict=True)) / n
    chance = sum((sum(a == v) / n) * (sum(b == v) / n) for v in (True, False))
    return (agree - chance) / (1 - chance)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 1.0])
def test_kappa(share):
    rng = np.random.default_rng(1)
    a = rng.random(400) < 0.3
    b = np.where(rng.random(400) < share, rng.random(400) < 0.4, a)
    found = judged_blind.kappa(a, b)
    assert found == pytest.approx(by_hand(a, b)) == pytest.approx(cohen_kappa_score(a, b))
    assert judged_blind.kappa(a, a) == 1.0 and judged_blind.kappa(a, ~a) < 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert judged_blind.kappa(a & False, a & False) is None
        assert judged_blind.kappa(a & False, a) == pytest.approx(0)


def test_intervals_draw_samples_with_all_their_pictures():
    passes = judged(slips=0.1)
    found = judged_blind.counted_twice(passes, seed=0)
    score = np.mean(passes, 0)
    mean, *ends = found["differences"]["random"]
    assert mean == pytest.approx((score[1] - score[3]).mean())
    reference = stats.bootstrap((score[1] - score[3],), np.mean, method="percentile", rng=np.random.default_rng(2))
    assert ends == pytest.approx(list(reference.confidence_interval), abs=0.02)
    low, high = found["agreement"]["interval"]
    assert low < found["agreement"]["kappa"] < high
    # The same answers to all pictures of a sample: as many samples, a quarter as many independent labels.
    clustered = [np.repeat(p[1:2], 4, 0) for p in passes]
    wide, narrow = (judged_blind.agreement(*p, seed=0)["interval"] for p in (clustered, passes))
    assert wide[1] - wide[0] > 1.4 * (narrow[1] - narrow[0])


# ---- answers from sheets ---------------------------------------------------------------------------------------------


def test_answers_become_the_box_tools_file(tmp_path):
    columns = ("picture", "top", "bottom", "left", "right")
    rows = [(2, "", "", "", ""), (0, 1, 5, 2, 9), (0, 8, 9, 0, 32), (1, "", "", "", "")]
    boxes = judged_blind.read_answers(table(tmp_path / "a.csv", rows, columns), 3, 32)
    assert boxes == {"0": [[1, 5, 2, 9], [8, 9, 0, 32]], "1": [], "2": []} and list(boxes) == ["0", "1", "2"]
    boxes = judged_blind.read_answers(table(tmp_path / "a.csv", [(0, "Yes"), (1, "no")]), 2, 32)
    assert boxes == {"0": [[0, 32, 0, 32]], "1": []}


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        ("picture,window", [(0, "yes")], "expected columns picture,shows or picture,top,bottom,left,right"),
        ("picture,shows", [(0, "yes"), (1, "perhaps")], "line 3: 'perhaps'"),
        ("picture,shows", [(0, "yes"), (2, "no")], "line 3: pictures are numbered from 0 to 1"),
        ("picture,shows", [(1, "yes")], "says nothing of 1 of 2 pictures: 0"),
        ("picture,shows", [(0, "yes"), (0, "no")], "line 3: picture 0 stands there before"),
        ("picture,top,bottom,left,right", [(0, "", "", "", ""), (0, 1, 5, 2, 9)], "line 3: picture 0 stands there"),
        ("picture,top,bottom,left,right", [(0, 1, 5, 2, 9), (0, "", "", "", "")], "line 3: picture 0 stands there"),
        ("picture,top,bottom,left,right", [(0, 1, 5, 2, 9, 7)], "line 2: more cells than columns"),
        ("picture,top,bottom,left,right", [(0, 5, 5, 0, 1)], "line 2: a box lies in 32 pixels"),
        ("picture,top,bottom,left,right", [(0, 0, 33, 0, 1)], "line 2: a box lies in 32 pixels"),
        ("picture,top,bottom,left,right", [(0, 1, "", 0, 1)], "line 2: invalid literal"),
    ],
)
def test_a_slip_in_the_answers_is_named(tmp_path, columns, rows, message):
    with pytest.raises(ValueError, match=message):
        judged_blind.read_answers(table(tmp_path / "a.csv", rows, columns.split(",")), 2, 32)


# ---- the labeller cannot tell ----------------------------------------------------------------------------------------


def test_what_cannot_be_recognised_is_a_record(place):
    with pytest.raises(SystemExit):
        judged_blind.main(WHAT, ["--unrecognised", "no bars"])  # by whom?
    judged_blind.main(WHAT, ["--unrecognised", "stripes that may be anything.", "--by", "a vision model"])
    entry = results.load("made_up")["claims"]["C7"]
    assert entry["ours"] == (
        "Windows in tiny cannot be recognised at 32 px, says a vision model: stripes that may be anything."
    )
    assert entry["verdict"].startswith("undecided: it cannot be recognised")
    assert str(judged_blind.verdict(results.load("made_up")["measured"])) == entry["verdict"]
    ship(seed=5)
    with pytest.raises(ValueError, match="said of another generator's samples"):
        judged_blind.main(WHAT)


def test_what_cannot_be_recognised_outweighs_labels_of_another_generator(place):
    answer(place, judged_blind.Labelling(WHAT), "boxes")
    ship(seed=5)
    judged_blind.main(WHAT, ["--unrecognised", "too small", "--by", "made up"])
    assert results.load("made_up")["claims"]["C7"]["verdict"].startswith("undecided: it cannot be recognised")


def test_an_object_is_asked_again_in_new_samples_without_the_same_maps(labelled):
    place, first = labelled
    what = replace(WHAT, name="made_up_again", seed=9, level=0.025, again=WHAT)
    labelling = Labelling(what)
    assert what.rounds == ("there", "blind_1", "blind_2") and labelling.next() == "there"
    for stage in what.rounds:
        assert answer(place, labelling, stage).name == f"windows_again_{stage}.json"
    np.testing.assert_array_equal(labelling.weights()[0], first.weights()[0])
    mine, theirs = ({tuple(z) for z in one.latents("there").tolist()} for one in (labelling, first))
    assert len(mine) == len(theirs) == WHAT.candidates and not mine & theirs
    judged_blind.main(what)
    record = results.load("made_up_again")
    measured = record["measured"]
    assert (
        measured["level"] == 0.025 and "boxes" not in measured["by"] and "windows_boxes" not in str(record["settings"])
    )
    assert (measured["labelled"], measured["boxed"]) == (WHAT.boxed, judged_blind.measure(first)["boxed"])
    assert record["claims"]["C7"]["ours"].startswith("Windows in tiny")
    # With other boxes other maps would be dropped: what was judged does not count any more.
    first.file("boxes").unlink()
    with pytest.raises(data.NotAvailable, match="round 'boxes' of windows has no labels"):
        judged_blind.measure(Labelling(what))
    answer(place, first, "boxes")
    boxes = json.loads(first.file("boxes").read_text())
    boxes["boxes"]["1"] = []
    first.file("boxes").write_text(json.dumps(boxes))
    with pytest.raises(ValueError, match="the labels of an earlier round, changed since"):
        judged_blind.measure(Labelling(what))


def test_the_level_is_that_of_both_passes():
    shown = {"samples": 60, "gone": {"positive weight": 50}, "discordant": {"random": [15, 5]}}  # p = 0.041
    measured = {"passes": [{"shown": shown}] * 2, "differences_shown": {"random": [0.2, 0.1, 0.3]}, "tested": 120}
    measured["agreement"] = {"kappa": 0.7}
    outcomes = [judged_blind.verdict(measured | {"level": level}).outcome for level in (0.05, 0.025)]
    assert outcomes == ["holds on this set", "undecided"]


def test_both_results_are_judged_again_by_the_same_rule(labelled):
    judged_blind.main(WHAT)
    record = results.load("made_up")
    for name in ("inspection_forgetting_scenes", "inspection_forgetting_streets"):
        assert str(rejudge.RULES[name]["C7"](record["measured"])) == record["claims"]["C7"]["verdict"]


def test_one_pass_and_two_are_one_piece_of_code(labelled):
    """With one pass the same pictures are judged by the rule of one."""
    place, labelling = labelled
    once = Labelling(replace(WHAT, passes=1))
    assert once.what.rounds[-1] == "blind"
    np.testing.assert_array_equal(once.order("blind"), labelling.order("blind_1"))
    answer(place, once, "blind")
    measured = judged_blind.measure(once)
    assert "agreement" not in measured and "by" not in measured
    assert measured["discordant"] == judged_blind.measure(labelling)["passes"][0]["discordant"]
    assert "kappa" not in judged_blind.verdict(measured).words
