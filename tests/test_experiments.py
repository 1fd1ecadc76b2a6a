"""Experiments: rows are kept as long as all they depend on is the same; shards, rules, every registered name."""

import copy
import importlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_info, threadpool_limits

from dcgan_lib import checkpoints, data, features, metrics, models, paper, results, sheets, training
from dcgan_lib.architecture import architecture
from experiments import __main__ as command
from experiments import measures, nearest, rejudge, rules, scale
from experiments import study as studies
from experiments.analyses import ANALYSES
from experiments.measures import Measure
from experiments.studies import STUDIES, svhn
from experiments.study import Prediction, Study, Variant
from experiments.verdicts import CONTROLS, Outcome, Verdict

ROOT = Path(__file__).parents[1]
TINY = architecture("tiny32", channels=1, widths=(4, 8, 16))


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    """Runs and results of a test are its own; each test starts at the scale of the reference runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCGAN_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("DCGAN_SCALE", raising=False)
    (tmp_path / "results").mkdir()


def counted(calls: list, version: int = 1, **settings) -> Measure:
    """A measure that notes who was measured."""

    def function(run, real, rng, **settings) -> dict:
        calls.append(run.out.name)
        return {"number": float(rng.random()), "seen": len(real)} | settings

    return Measure("counted", version, function, settings)


def two(*found: Measure, **changes) -> Study:
    base = training.TrainConfig(
        data="digits", out="runs/two", arch=TINY, batch_size=8, steps=4, checkpoint_seconds=0, progress=False
    )
    variants = (Variant("fast", {"learning_rate": 1e-3}), Variant("wide", arch={"widths": (8, 8, 16)}, note="wider"))
    return Study("two", "a test", base, variants, **{"seeds": (0,), "measures": found} | changes)


def steps_taken(monkeypatch) -> list[int]:
    """The steps that any trainer takes from here on."""
    taken, step = [], training.Trainer.step
    monkeypatch.setattr(training.Trainer, "step", lambda self, k, log=False: taken.append(k) or step(self, k, log))
    return taken


# ---- a study from nothing to its results file ------------------------------------------------------------------------


def test_mcgill_s_changes_are_variants():
    """By a slip in a name of `paper.MCGILL_LOSSES` the rule over them would wait for rows that never come."""
    assert set(paper.MCGILL_LOSSES) == {v.name for v in STUDIES["architecture"].variants if "Dai et al." in v.note}


def test_a_study_ends_in_one_file_that_names_the_machines():
    calls = []
    assert studies.run(two(counted(calls))) == {}
    found = results.load("two")
    rows = found["measured"]["rows"]
    assert [(r["variant"], r["seed"], r["seen"]) for r in rows] == [("fast", 0, 1797), ("wide", 0, 1797)]
    assert found["measured"]["missing"] == [] and found["command"] == "python -m experiments two"
    assert rows[0]["pictures_seen"] == 4 * 8 and rows[0]["pictures_seen_before"] == 0
    (machine,) = found["machines"]
    assert machine["device"] == found["device"] and machine["precision"] in ("float32", "bfloat16")
    assert found["measured"]["variants"][1]["arch"] == {"widths": [8, 8, 16]}
    assert found["measured"]["sheet"] == ["fast", "wide"] and (results.folder() / "two_samples.png").exists()


def test_a_variant_that_is_only_timed_has_no_row_of_pictures():
    study = two(counted([]))
    studies.run(replace(study, variants=(study.variants[0], replace(study.variants[1], on_sheet=False))))
    assert results.load("two")["measured"]["sheet"] == ["fast"] and list(results.samples("two")) == ["fast"]


def test_results_under_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DCGAN_RESULTS", "~/mine")
    settings = {"command": "c", "settings": {}, "seed": 0, "images": data.load("digits"), "device": "cpu"}
    assert results.record("own", {"x": 1}, **settings) == tmp_path / "mine" / "own.json"
    assert results.load("own")["measured"] == {"x": 1}


def test_a_sheet_of_several_sizes_is_as_large_as_the_largest():
    """Rows of another size are enlarged, pixels to squares where that is possible; colours are a .jpg, grey a .png."""
    half = Variant("half", arch={"image_size": 16, "widths": (4, 8)})
    study = two(counted([]))
    studies.run(replace(study, variants=(study.variants[0], half)))
    (drawn,) = (sheets.untile(p, 16)[:10] for p in Path("runs/two/half/samples").glob("step_*4.png"))
    found = results.samples("two")
    assert found["fast"].shape == found["half"].shape == (10, 32, 32, 3)
    assert (found["half"] == drawn.repeat(2, 1).repeat(2, 2)).all()
    assert studies.enlarged(drawn, 24).shape == (10, 24, 24, 3)
    coloured = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3), np.uint8)
    assert studies.write_sheet("coloured", list(coloured)).suffix == ".jpg"
    assert results.pictures("coloured", 2).shape == coloured.shape


def test_a_part_of_a_study_does_not_replace_its_file():
    """On a machine without the other runs `--only` would write a file of one row over the recorded one."""
    study = two(counted([]))
    studies.run(study)
    whole = (results.folder() / "two.json").read_bytes(), (results.folder() / "two_samples.png").read_bytes()
    shutil.rmtree("runs")
    studies.run(study, only=["wide"])
    assert ((results.folder() / "two.json").read_bytes(), (results.folder() / "two_samples.png").read_bytes()) == whole
    written = (results.folder() / "two.json").stat().st_mtime_ns
    studies.run(study)  # the other row again: all are here, so the file is written
    assert (results.folder() / "two.json").stat().st_mtime_ns > written


def test_as_many_other_rows_do_not_replace_a_file(capsys):
    """Each machine has half of the study, with as many rows: the second one's file would forget the first's."""
    study = two(counted([]))
    studies.run(study, only=["fast"])
    shutil.rmtree("runs")
    studies.run(study, only=["wide"])
    assert [row["variant"] for row in results.load("two")["measured"]["rows"]] == ["fast"]
    assert "of its 1 rows 1 are not here, fast with seed 0 the first; here are 1 of 2" in capsys.readouterr().out
    without = replace(study, variants=study.variants[1:], seeds=(0, 1))  # "fast" is no part of it any more
    studies.collect(without, {})
    assert [row["variant"] for row in results.load("two")["measured"]["rows"]] == ["wide"]


def test_a_note_put_otherwise_trains_and_measures_nothing(monkeypatch):
    calls = []
    study = two(counted(calls))
    studies.run(study, only=["wide"])
    put = replace(study, variants=(study.variants[0], replace(study.variants[1], note="put otherwise")))
    folder = training.RunFolder(studies.config_of(study, study.variants[1], 0).out)
    before, taken = (folder.path / "row.json").read_bytes(), steps_taken(monkeypatch)
    for gone in ((), (folder.weights, folder.state)):  # as it was, and come from another machine without its networks
        for path in gone:
            path.unlink()
        studies.run(put, only=["wide"])
        (row,) = results.load("two")["measured"]["rows"]
        assert row["note"] == "put otherwise" and [found for _, _, found, _ in studies.rows_there(put)] == [None, row]
    assert calls == ["wide"] and taken == [] and (folder.path / "row.json").read_bytes() == before


def test_weights_of_a_step_that_is_no_stage_are_not_measured():
    def steps(run, real, rng) -> dict:
        return {"kept": list(measures.stages_kept(run)), "all": list(measures.kept_weights(run.out))}

    study = two(Measure("steps", 1, steps), stages=(2, 4))
    studies.run(replace(study, base=replace(study.base, keep_every=1)), only=["fast"])
    (row,) = results.load("two")["measured"]["rows"]
    assert row["kept"] == [2, 4] and row["all"] == [1, 2, 3, 4]


def going_on(calls: list, ends: dict[str, int], **changes) -> Study:
    """Each training goes on for as long as it has not reached the steps that `ends` names for it."""

    def where(run, real, rng) -> dict:
        calls.append((run.out.name, run.steps))
        return {"name": run.out.name, "kept": list(measures.stages_kept(run))}

    goes_on = lambda row: row["kept"][-1] < ends[row["name"]]  # noqa: E731
    return two(Measure("where", 1, where), **{"stages": (2, 4), "further": (6, 9), "goes_on": goes_on} | changes)


def test_a_training_goes_on_to_further_stages_for_as_long_as_its_row_says_so(monkeypatch):
    calls, taken = [], steps_taken(monkeypatch)
    study = going_on(calls, {"fast": 6, "wide": 4})
    studies.run(study)
    rows = results.load("two")["measured"]["rows"]
    assert [(row["variant"], row["kept"], row["pictures_seen"]) for row in rows] == [
        ("fast", [2, 4, 6], 6 * 8),
        ("wide", [2, 4], 4 * 8),
    ]
    assert calls == [("fast", (2, 4)), ("fast", (2, 4, 6)), ("wide", (2, 4))] and len(taken) == 6 + 4
    studies.run(study)  # all is there
    assert len(calls) == 3 and len(taken) == 6 + 4
    longer = going_on(calls, {"fast": 9, "wide": 4})  # as if one were not at its end: its row is no row of the study
    assert [row and row["kept"] for _, _, row, _ in studies.rows_there(longer)] == [None, [2, 4]]
    studies.run(longer)
    assert calls[3:] == [("fast", (2, 4, 6, 9))] and len(taken) == 9 + 4
    at_once = replace(study, base=replace(study.base, out="runs/once", steps=9), stages=(2, 4, 6, 9), further=())
    studies.run(replace(at_once, goes_on=None), only=["fast"])
    ways = [checkpoints.load(Path("runs") / out / "fast")[1].state_dict() for out in ("two", "once")]
    assert all(torch.equal(a, b) for a, b in zip(*(way.values() for way in ways), strict=True))  # bit for bit


def test_killed_between_two_stages_a_training_goes_on_to_the_further_one(monkeypatch):
    calls, step = [], training.Trainer.step

    def killed(self, k, log=False):
        if k == 5:  # the sixth
            raise KeyboardInterrupt
        return step(self, k, log)

    study = going_on(calls, {"fast": 9, "wide": 4})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Trainer, "step", killed)
        studies.run(study, only=["fast"])
    assert [row for _, _, row, _ in studies.rows_there(study)] == [None, None]
    taken = steps_taken(monkeypatch)
    studies.run(study, only=["fast"])
    assert taken == [5, 6, 7, 8] and [stages for _, stages in calls] == [(2, 4), (2, 4, 6), (2, 4, 6, 9)]


def test_no_training_goes_on_at_scale_fast(monkeypatch):
    monkeypatch.setenv("DCGAN_SCALE", "fast")
    (length,) = studies.lengths(going_on([], {}))
    assert studies.stages_of(length) == (scale.STEPS // 2, scale.STEPS) and length.further == ()


@pytest.mark.parametrize(
    "changes", [{"goes_on": None}, {"further": (4, 8)}, {"further": (8, 6)}, {"stages": ()}], ids=str
)
def test_further_stages_that_cannot_be(changes):
    with pytest.raises(ValueError, match="two: `further` stages need `goes_on` and must rise"):
        going_on([], {}, **changes)


def test_a_file_of_many_trainings_has_short_curves():
    """The tree has to stay small: a row's curve is thinned in the results file, and whole beside the run."""
    lines = [{"step": i + 1, "loss_d": float(i)} for i in range(200)]
    studies.run(two(Measure("long", 1, lambda run, real, rng: {"stats": lines})))
    for row in results.load("two")["measured"]["rows"]:
        assert len(row["stats"]) <= studies.CURVE and row["stats"][-1]["step"] == 200


def test_a_second_call_trains_and_measures_nothing(monkeypatch):
    calls = []
    studies.run(two(counted(calls)))
    before, taken = results.digest("two"), steps_taken(monkeypatch)
    studies.run(two(counted(calls)))
    assert calls == ["fast", "wide"] and taken == [] and results.digest("two") == before


def test_killed_in_a_training_it_goes_on_from_there(monkeypatch):
    calls, step = [], training.Trainer.step

    def killed(self, k, log=False):
        if k == 2 and self.arch.widths == (8, 8, 16):
            raise KeyboardInterrupt
        return step(self, k, log)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Trainer, "step", killed)
        studies.run(two(counted(calls)))
    assert calls == ["fast"]
    taken = steps_taken(monkeypatch)
    studies.run(two(counted(calls)))
    assert taken == [2, 3], "the second training goes on after its second step, the first is not repeated"
    assert calls == ["fast", "wide"]


def test_only_what_is_asked_for_is_run_and_the_file_says_what_is_missing():
    calls = []
    studies.run(two(counted(calls), seeds=(0, 1)), only=["wide"], seeds=[1])
    assert calls == ["wide_seed1"]
    assert results.load("two")["measured"]["missing"] == [["fast", 0], ["wide", 0], ["fast", 1]]
    with pytest.raises(ValueError, match=r"unknown variant of two 'wode'.*did you mean 'wide'"):
        studies.run(two(), only=["wode"])


def test_fresh_forgets_what_was_there(monkeypatch):
    calls = []
    studies.run(two(counted(calls)))
    taken = steps_taken(monkeypatch)
    studies.run(two(counted(calls)), only=["fast"], fresh=True)
    assert taken == [0, 1, 2, 3] and calls == ["fast", "wide", "fast"]


def test_fresh_deletes_nothing_that_could_not_be_made_again(monkeypatch):
    study = two(images=lambda config: data.load("digits", image_size=32))
    studies.run(study, only=["fast"])
    gone = replace(study, images=lambda config: (_ for _ in ()).throw(data.NotAvailable("the disk is not there")))
    folder = training.RunFolder(Path("runs/two/fast"))
    with pytest.raises(data.NotAvailable, match="the disk is not there"):
        studies.run(gone, only=["fast"], fresh=True)
    assert folder.state.exists()
    with folder.locked(), pytest.raises(ValueError, match="runs/two/fast"):
        studies.run(study, only=["fast"], fresh=True)
    assert folder.state.exists()


def test_a_wrong_scale_is_said(monkeypatch, capsys):
    monkeypatch.setenv("DCGAN_SCALE", "quick")
    assert command.main(["cifar10"]) == 1
    assert "unknown DCGAN_SCALE 'quick'" in capsys.readouterr().err
    monkeypatch.setenv("DCGAN_SCALE", "")  # counts as none
    assert command.main([]) == 0


def test_a_variant_without_pictures_is_left_out_and_the_others_are_not():
    study = two(counted([]))
    study = replace(study, variants=(*study.variants, Variant("bedrooms", {"data": "bedrooms_of_mine"})))
    left_out = studies.run(study)
    assert list(left_out) == ["bedrooms"] and "bedrooms_of_mine.npz" in left_out["bedrooms"]
    assert results.load("two")["measured"]["left_out"] == left_out
    assert len(results.load("two")["measured"]["rows"]) == 2
    studies.run(study, only=["fast"])  # as another shard, which has not met the one without pictures
    assert results.load("two")["measured"]["left_out"] == left_out
    with pytest.raises(data.NotAvailable):
        studies.run(study, only=["bedrooms"])


def test_a_training_that_diverges_is_a_row(monkeypatch):
    def diverges(*_, **__):
        raise training.TrainingDiverged("losses became NaN")

    monkeypatch.setattr(training, "train", diverges)
    studies.run(two(counted(calls := [])))
    assert calls == []
    assert all(r["finite"] is False and "NaN" in r["diverged"] for r in results.load("two")["measured"]["rows"])


def test_a_divergence_is_a_result_and_not_tried_again(monkeypatch, capsys):
    """Not after a checkpoint, and not for a measure that changed; but with --fresh, or as another training."""
    taken, step, sick = [], training.Trainer.step, [True]

    def diverges(self, k, log=False):
        taken.append(k)
        found = step(self, k, log=True)
        return {n: v * torch.nan for n, v in found.items()} if sick and k == 2 else found

    monkeypatch.setattr(training.Trainer, "step", diverges)
    study = two(counted(calls := []))
    study = replace(study, base=replace(study.base, log_every=1))
    studies.run(study, only=["fast"])
    out = studies.config_of(study, study.variants[0], 0).out
    assert taken == [0, 1, 2] and studies.steps_done(training.RunFolder(out)) == 2
    (row,) = results.load("two")["measured"]["rows"]
    assert row["finite"] is False and "NaN" in row["diverged"]
    taken.clear()
    capsys.readouterr()
    for again in (study, replace(study, measures=(counted(calls, version=2),))):
        studies.run(again, only=["fast"])
        said = capsys.readouterr().out
        assert "diverged in an earlier call" in said and "two --only fast --seed 0 --fresh" in said
        assert taken == [] and results.load("two")["measured"]["rows"] == [row]
    with pytest.raises(ValueError, match="holds a run with other settings"):
        studies.run(replace(study, base=replace(study.base, batch_size=4)), only=["fast"])
    sick.clear()
    studies.run(study, only=["fast"], fresh=True)
    assert taken == [0, 1, 2, 3] and calls == ["fast"]
    assert "diverged" not in results.load("two")["measured"]["rows"][0]


def test_a_report_of_a_training_that_diverged_ships_nothing(monkeypatch, capsys):
    def diverges(self, k, log):
        raise training.TrainingDiverged("NaN")

    shipped = []
    study = two(report=lambda study, rows: shipped.append(rows))
    monkeypatch.setattr(training.Trainer, "step", diverges)
    studies.run(study)
    assert shipped == [] and "diverged, and ships nothing" in capsys.readouterr().out
    assert not (results.folder() / "two.json").exists()


def test_a_copy_of_a_shorter_study_s_training_goes_on_as_if_it_had_been_its_own(monkeypatch):
    """What latent_size says of the trainings that architecture has begun for it."""
    for pair in (("base", "latent_100"), ("latent_10", "latent_10"), ("latent_1000", "latent_1000")):
        begun, own = (
            replace(studies.config_of(study, variant, 1), out="own", steps=1)
            for study, name in zip((STUDIES["architecture"], STUDIES["latent_size"]), pair, strict=True)
            for variant in study.variants
            if variant.name == name
        )
        assert begun == own
    calls = []
    longer = two(counted(calls))
    longer = replace(longer, name="longer", base=replace(longer.base, out="runs/longer", steps=7))
    studies.run(longer, only=["fast"])
    alone = results.load("longer")["measured"]["rows"]
    weights = Path("runs/longer/fast", checkpoints.FILE).read_bytes()
    shutil.rmtree("runs/longer")
    studies.run(two(counted(calls)), only=["fast"])
    shutil.copytree("runs/two/fast", "runs/longer/fast")
    taken = steps_taken(monkeypatch)
    studies.run(longer, only=["fast"])
    assert taken == [4, 5, 6] and len(calls) == 3
    assert Path("runs/longer/fast", checkpoints.FILE).read_bytes() == weights
    assert results.load("longer")["measured"]["rows"] == alone


def test_stages_are_kept_and_a_later_start_counts_pictures_seen_before():
    study = two(counted([]), stages=(1, 3, 4))
    studies.run(study, only=["fast"])
    config = studies.config_of(study, study.variants[0], 0)
    folder = training.RunFolder(config.out)
    assert [folder.kept(n).exists() for n in (1, 2, 3, 4)] == [True, False, True, True]
    assert folder.kept(4).read_bytes() == folder.weights.read_bytes() != folder.kept(3).read_bytes()
    more = replace(study, variants=(Variant("more", {"learning_rate": 1e-3, "start": str(folder.weights)}),))
    studies.run(more)
    (row,) = results.load("two")["measured"]["rows"]
    assert (row["pictures_seen_before"], row["pictures_seen"], row["start"]) == (32, 64, "weights.safetensors")


def test_draws_belong_to_the_seed_and_to_the_measure():
    calls, other = counted([]), replace(counted([]), name="other")
    drawn = [studies.draws_of(m, s).random() for m, s in ((calls, 0), (calls, 1), (other, 0))]
    assert len(set(drawn)) == 3 and studies.draws_of(replace(calls, version=2), 0).random() == drawn[0]


def test_a_length_of_its_own_takes_the_place_of_the_study_s():
    study = two(counted([]))
    config = studies.config_of(study, Variant("long", {"epochs": 2}), 0)
    assert (config.epochs, config.steps) == (2, None) and studies.config_of(study, study.variants[0], 0).steps == 4


def test_pictures_seen_go_back_to_the_first_of_several_starts(tmp_path):
    start, files = None, [tmp_path / f"{k}.safetensors" for k in range(3)]
    for step, path in zip((5, 7, 9), files, strict=True):
        config = {"batch_size": 10} | ({"start": str(start)} if start else {})
        checkpoints.save(path, *models.build(TINY), {"step": step, "config": config})
        start = path
    assert [studies.seen(path) for path in files] == [50, 120, 210]


def test_of_a_claim_nothing_is_said_where_a_row_is_missing():
    study = two(predicts=(Prediction("", lambda rows: Verdict(Outcome.HOLDS, ""), "C1"),))
    found, missing = (studies.judged(study, [], rows)[1] for rows in ([], [["wide", 0]]))
    assert found.keys() == {"C1"} and missing == {}


def test_the_file_names_the_pictures_that_were_trained_on():
    study = two(counted([]))
    study = replace(study, base=replace(study.base, limit=50), variants=study.variants[:1])
    studies.run(study)
    found = results.load("two")["data"]
    taken = data.load("digits", image_size=32).take(50, seed=0)
    assert (found["images"], found["fingerprint"]) == (50, taken.fingerprint)


def test_a_sheet_shows_the_first_seed_that_did_not_diverge():
    study = two(counted([]), seeds=(0, 1))
    rows = [{"variant": "fast", "seed": 0, "diverged": "NaN"}, {"variant": "fast", "seed": 1}]
    pictures = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 1), np.uint8)
    out = Path(studies.config_of(study, study.variants[0], 1).out)
    sheets.save(out / "samples" / "step_0000004.png", sheets.tile(pictures, 10, gap=0))
    assert studies.sheet(study, rows) == ["fast"]
    assert np.array_equal(results.pictures("two_samples", 1)[0][..., :1], pictures)


def test_a_film_has_the_moments_asked_for_and_ends_with_the_last():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 4, 8, 8, 1), np.uint8)
    for step, few in zip((0, 10, 200), pictures, strict=True):
        sheets.save(Path("out/samples") / f"step_{step:07d}.png", sheets.tile(few, 4, gap=0))
    assert studies.film(Path("out"), "own", 8, (0, 1, 9)) == [0, 10, 200]
    assert np.array_equal(results.pictures("own_film", 3)[..., :1], pictures)


def test_enlarged_pixels_stay_squares_where_they_can():
    picture = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3), np.uint8)
    assert np.array_equal(studies.enlarged(picture, 12), picture.repeat(3, 1).repeat(3, 2))
    smooth = studies.enlarged(picture, 10)
    assert len(np.unique(smooth[..., 0])) > 16, "between the pixels there are others"
    mixed = np.repeat(picture[..., :1], 3, 3)
    mixed[0, 0, 0] = (9, 200, 9)  # one coloured pixel makes a coloured sheet
    assert [studies.write_sheet("own", [p]).suffix for p in (mixed, picture[..., :1])] == [".jpg", ".png"]


def test_what_ships_is_half_precision_of_the_parts_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(scale, "weights", lambda name: tmp_path / "shipped" / name)
    config = replace(two().base, out=tmp_path / "run")
    networks = models.build(TINY, seed=1)
    checkpoints.save(config.out / checkpoints.FILE, *networks, {"step": 4, "config": {"batch_size": 8}})
    studies.ship("own", config, "two", parts=("generator",))
    generator, discriminator = checkpoints.load(tmp_path / "shipped" / "own.safetensors")
    assert discriminator is None and checkpoints.info(tmp_path / "shipped" / "own.safetensors")["about"]["step"] == 4
    for ours, whole in zip(generator.parameters(), networks[0].parameters(), strict=True):
        assert torch.equal(ours, whole.half().float() if whole.ndim > 1 else whole)


# ---- rows that may be trusted ----------------------------------------------------------------------------------------


def test_once_heeds_its_key(tmp_path):
    path, measured = tmp_path / "row.json", iter(range(9))
    key = {"test": "abc", "C": (1e-3,)}
    assert studies.once(path, key, lambda: next(measured)) == 0
    assert studies.once(path, {"C": [1e-3], "test": "abc"}, lambda: next(measured)) == 0, "the same key"
    assert studies.once(path, key | {"test": "abd"}, lambda: next(measured)) == 1
    path.write_text('{"key": {"test"')
    assert studies.once(path, key, lambda: next(measured)) == 2, "a torn file counts as none"


def relabelled(config):
    found = data.load("digits", image_size=32)
    return replace(found, labels=(found.labels + 1) % 10)


def depending(calls: list, on: dict) -> Measure:
    return replace(counted(calls), depends=lambda settings: on)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: replace(s, measures=(replace(s.measures[0], version=2),)),
        lambda s: replace(s, measures=(replace(s.measures[0], settings={"C": 1e-2}),)),
        lambda s: replace(s, measures=(replace(s.measures[0], depends=lambda settings: {"test": "other"}),)),
        lambda s: replace(s, images=relabelled),
        lambda s: replace(s, stages=(2, 4)),
    ],
    ids=["version of the measure", "settings of the SVM", "fingerprint of the test part", "labels", "stages"],
)
def test_a_changed_key_measures_anew(change):
    calls = []
    study = two(depending(calls, {"test": "one"}))
    studies.run(study, only=["fast"])
    studies.run(study, only=["fast"])
    assert calls == ["fast"]
    studies.run(change(study), only=["fast"])
    assert calls == ["fast", "fast"]


def test_other_weights_are_measured_anew():
    calls = []
    studies.run(two(counted(calls)), only=["fast"])
    config = studies.config_of(two(), two().variants[0], 0)
    generator, discriminator = checkpoints.load(config.out)
    next(generator.parameters()).data.add_(1)
    about = checkpoints.info(config.out)["about"]
    checkpoints.save(config.out / checkpoints.FILE, generator, discriminator, about)
    studies.run(two(counted(calls)), only=["fast"])
    assert calls == ["fast", "fast"]


def test_a_row_from_another_machine_counts_without_its_networks(monkeypatch):
    study = two(counted([]))
    studies.run(study, only=["fast"])
    folder = training.RunFolder(studies.config_of(study, study.variants[0], 0).out)
    folder.weights.unlink()
    folder.state.unlink()
    before = (folder.path / "row.json").read_bytes()
    taken = steps_taken(monkeypatch)
    studies.run(study, only=["fast"])  # nothing is trained anew, the row and the file stay
    assert taken == [] and (folder.path / "row.json").read_bytes() == before
    assert len(results.load("two")["measured"]["rows"]) == 1
    needs = replace(study, report=lambda study, rows: ({}, {}))  # a report may ship them
    assert [row for _, _, row, _ in studies.rows_there(needs)] == [None, None]
    networks = models.build(TINY, seed=5)  # other networks in their place: not theirs
    checkpoints.save(folder.weights, *networks, {"step": 4, "config": {"batch_size": 8}})
    assert [row for _, _, row, _ in studies.rows_there(study)] == [None, None]
    folder.weights.unlink()
    shutil.rmtree(folder.path / "samples")
    with pytest.raises(data.NotAvailable, match="samples is not there: copy it"):
        studies.run(study, only=["fast"])


def test_a_finished_run_of_stages_needs_no_checkpoint(monkeypatch):
    """Its weights and some of its stages came from another machine."""
    study = two(counted([]), stages=(2, 4))
    studies.run(study, only=["fast"])
    folder = training.RunFolder(studies.config_of(study, study.variants[0], 0).out)
    folder.state.unlink()
    folder.kept(2).unlink()
    taken = steps_taken(monkeypatch)
    studies.run(study, only=["fast"])
    assert taken == [] and not folder.kept(2).exists()


def test_measures_name_the_labelled_sets_they_look_at(monkeypatch):
    monkeypatch.setenv("DCGAN_DATA", str(scale.stand_ins(Path("data").absolute())))
    before = [(m, m.key()) for m in (measures.class_report, measures.d_worth)]
    of_classes = before[0][1]["depends"]
    assert of_classes["test"]["pictures"] != of_classes["train"]["pictures"]
    for file in ("mnist", "cifar10"):
        with np.load(f"data/{file}.npz") as held:
            parts = dict(held)
        parts["y_train"] = (parts["y_train"] + 1) % 10
        parts["x_test"] = 255 - parts["x_test"]
        np.savez(f"data/{file}.npz", **parts)
    for m, key in before:
        now = m.key()
        assert now["depends"]["train"]["pictures"] == key["depends"]["train"]["pictures"]
        assert now["depends"]["train"]["labels"] != key["depends"]["train"]["labels"]
    assert measures.class_report.key()["depends"]["test"] != of_classes["test"]


# ---- what is asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_shards_part_the_work(n):
    study = two(seeds=(0, 1, 2))
    every = [(v.name, seed) for v, seed in studies.chosen(study)]
    parts = [[(v.name, seed) for v, seed in studies.chosen(study, shard=(i, n))] for i in range(n)]
    assert sorted(job for part in parts for job in part) == sorted(every) and len(every) == 6
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    if n == 2:  # neither gets one variant alone, which may be the dearer one
        assert all({name for name, _ in part} == {"fast", "wide"} for part in parts)
    with pytest.raises(ValueError, match=f"from 0 to N - 1, got {n}/{n}"):
        studies.chosen(study, shard=(n, n))


def test_a_variant_may_have_seeds_and_measures_of_its_own():
    """More seeds for the baseline: they are run, sharded, missed and recorded as the others."""
    calls = []
    study = two(counted(calls), seeds=(0, 1))
    study = replace(study, variants=(replace(study.variants[0], seeds=(0, 1, 2)), study.variants[1]))
    every = [(v.name, seed) for v, seed in studies.chosen(study)]
    assert every == [("fast", 0), ("wide", 0), ("fast", 1), ("wide", 1), ("fast", 2)]
    parts = [[(v.name, seed) for v, seed in studies.chosen(study, shard=(i, 2))] for i in range(2)]
    assert sorted(parts[0] + parts[1]) == sorted(every)
    late = [("fast", 2), ("fast", 1), ("wide", 1)]
    assert [(v.name, seed) for v, seed in studies.chosen(study, seeds=[2, 1])] == late
    with pytest.raises(ValueError, match="two has no seed 2 here: known are 0, 1"):
        studies.chosen(study, only=["wide"], seeds=[2])
    studies.run(study, seeds=[2])
    measured = results.load("two")["measured"]
    assert calls == ["fast_seed2"] and [(r["variant"], r["seed"]) for r in measured["rows"]] == [("fast", 2)]
    assert measured["missing"] == [["fast", 0], ["wide", 0], ["fast", 1], ["wide", 1]]
    assert [v["seeds"] for v in measured["variants"]] == [[0, 1, 2], [0, 1]]
    own: list = []
    alone = replace(study.variants[0], seeds=None, measures=(counted(own, 7),))
    bare = replace(two(counted(calls)), variants=(alone,))
    studies.run(bare)
    assert own == ["fast"] and calls == ["fast_seed2"], "measured by its own measure, and known by it"
    assert studies.key_of(bare, bare.variants[0], 0, data.load("digits", image_size=32))["measures"][0]["version"] == 7
    for seeds in ((), (1, 1)):
        with pytest.raises(ValueError, match="two, fast: expected different seeds, at least one"):
            replace(study, variants=(replace(study.variants[0], seeds=seeds),))


def test_a_slip_in_a_variant_shows_before_anything_is_trained():
    with pytest.raises(ValueError, match="latent_dimm"):
        replace(two(), variants=(Variant("slip", arch={"latent_dimm": 3}),))
    with pytest.raises(TypeError, match="learning_rat"):
        replace(two(), variants=(Variant("slip", {"learning_rat": 3}),))
    with pytest.raises(ValueError, match="different names"):
        replace(two(), variants=(Variant("same"), Variant("same")))
    with pytest.raises(ValueError, match="no setting draw: known are samples"):
        measures.spread.set(draw=3)


def test_every_name_has_a_results_file_or_says_why_not(monkeypatch):
    monkeypatch.delenv("DCGAN_RESULTS")
    assert not set(STUDIES) & set(ANALYSES)
    for name, entry in (STUDIES | ANALYSES).items():
        there = (ROOT / "results" / f"{entry.file}.json").exists()
        assert there != bool(entry.not_run), f"{name}: {'remove' if there else 'give'} its not_run"
        assert entry.says
    listed = "\n".join(command.listed())
    assert all(f"  {name} " in listed for name in STUDIES | ANALYSES)
    assert set(command.ORDER) == set(STUDIES) | set(ANALYSES)


def test_an_analysis_on_one_thread_leaves_the_others_theirs(monkeypatch):
    before = torch.get_num_threads()
    module = importlib.import_module("experiments.analyses.nearest_digits")
    monkeypatch.setattr(module, "main", lambda: torch.set_num_threads(before + 1))
    ANALYSES["nearest_digits"].run()
    assert torch.get_num_threads() == before


def test_studies_that_compare_predict_and_repeat():
    for name, study in STUDIES.items():
        if study.report is None or study.predicts:
            assert study.predicts and study.seeds == (0, 1, 2), name
            assert all(v.seeds is None or set(study.seeds) < set(v.seeds) for v in study.variants), name


def test_the_released_schedule_gets_as_many_updates_in_twice_the_epochs():
    usual, released, twice = (studies.config_of(STUDIES["mnist"], v, 0) for v in STUDIES["mnist"].variants)
    assert replace(released, schedule="simultaneous", out=usual.out) == usual
    assert replace(twice, epochs=20, out=released.out) == released and twice.epochs == 2 * usual.epochs


def test_the_baseline_of_the_architecture_has_more_seeds():
    base, *others = STUDIES["architecture"].variants
    assert (base.name, base.seeds) == ("base", (0, 1, 2, 3, 4)) and all(v.seeds is None for v in others)


def test_everything_goes_on_after_a_failure(monkeypatch, capsys):
    tried = []

    def one(name, done):
        tried.append(name)
        if name == "svhn":
            raise data.NotAvailable("SVHN could not be had.\nTried: nothing")
        if name == "mnist":
            raise RuntimeError("a slip")
        done.add(name)
        return {"the authors' row": "not set"} if name == "features_svhn" else {}

    monkeypatch.setattr(command, "one", one)
    assert command.main(["all"]) == 1
    said = capsys.readouterr()
    by_name = {name for name, study in STUDIES.items() if study.by_name_only}
    assert by_name == {"lsun_bedroom", "natural32", "natural32_long", "imagenet32_controls"}
    assert set(tried) == set(command.ORDER) - by_name
    assert "left out: svhn: SVHN could not be had." in said.out and "failed: mnist: RuntimeError: a slip" in said.out
    assert "left out: features_svhn, the authors' row: not set" in said.out and "left out: lsun_bedroom" in said.out
    assert "a slip" in said.err, "with its traceback"


def test_the_command_says_which_package_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(command, "one", lambda *_, **__: importlib.import_module("no_such_package"))
    assert command.main(["near_duplicates"]) == 1
    assert "No module named 'no_such_package'" in capsys.readouterr().err


def test_the_command_says_what_is_wrong(capsys):
    assert command.main(["cifar1"]) == 1
    assert "unknown experiment 'cifar1': did you mean 'cifar10'" in capsys.readouterr().err
    for wrong in (["cifar10", "--shard", "2/2"], ["nearest_digits", "--only", "x"], ["cifar10", "--onl"]):
        with pytest.raises(SystemExit):
            command.main(wrong)
    for options in (["--shard", "0/2"], ["--fresh"], ["--seed", "1"]):  # of a run of everything they are not dropped
        with pytest.raises(SystemExit):
            command.main(["all", *options])
        assert "belong to a study, and all is none" in capsys.readouterr().err


def test_a_run_of_everything_reads_what_was_made_before():
    """The eye comes before the studies that look with it; every analysis comes after all studies' results."""
    order = list(command.ORDER)
    assert len(set(order)) == len(order)
    assert order.index("face_attributes") == 0
    last = max(order.index(name) for name in STUDIES)
    assert all(order.index(name) > last for name in set(ANALYSES) - {"face_attributes"})


@pytest.mark.parametrize("theirs", [None, ""])
def test_fast_runs_never_write_over_what_is_recorded(monkeypatch, tmp_path, theirs):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCGAN_SCALE", "fast")
    for name in ("DCGAN_DATA", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, "")  # undone after the test, as `prepare` sets them
    monkeypatch.setenv("DCGAN_RESULTS", "")
    if theirs is None:
        monkeypatch.delenv("DCGAN_RESULTS")
    monkeypatch.setattr(scale, "stand_ins", lambda folder: folder)
    scale.prepare()
    assert results.folder() == (tmp_path / "runs" / "fast" / "results").absolute()


# ---- measures --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run on digits, and its pictures."""
    images = data.load("digits", image_size=32)
    config = training.TrainConfig(
        data="digits",
        out=tmp_path_factory.mktemp("run"),
        arch=TINY,
        batch_size=16,
        steps=8,
        log_every=1,
        progress=False,
    )
    return training.train(config, images), images


def of(measure: Measure, trained, seed: int = 0) -> dict:
    return measure(*trained, np.random.default_rng(seed))


def test_statistics_are_those_of_the_log(trained):
    found = of(measures.statistics, trained)
    losses = [row["loss_g"] for row in trained[0].stats]
    assert found["steps"] == 8 and found["finite"] and found["precision"] in ("float32", "bfloat16")
    assert found["lowest_losses"]["loss_g"] == min(losses)
    assert found["mean_losses"]["loss_g"] == pytest.approx(np.mean(losses))
    assert found["late_means"]["loss_g"] == pytest.approx(losses[-1])
    many = [{"step": i + 1, "loss_d": float(i)} for i in range(900)]
    thin = measures.thinned(many)
    assert len(measures.thinned(many, 30)) == 30
    assert len(thin) == 300 and thin[0] == {"step": 3, "loss_d": 1.0} and thin[-1]["step"] == 900
    in_turns = [{"step": 1, "loss_g": 4.0}, {"step": 2, "loss_d": 1.0}, {"step": 3, "loss_g": 2.0}]  # "alternate"
    assert measures.thinned(in_turns, 1) == [{"step": 3, "loss_g": 3.0, "loss_d": 1.0}]


def test_frechet_tells_digits_from_what_is_none(trained):
    found = of(measures.frechet.set(samples=200), trained)
    assert set(found["controls"]) == set(CONTROLS) and found["distance_of"] == 200
    assert found["frechet_real"] < min(found["frechet"], *found["controls"].values())
    assert found == of(measures.frechet.set(samples=200), trained), "the same draws"


def look(eye, images):
    """In the place of a network that looks: 3 x 3 means as features (N, 9)."""
    x = data.to_float(np.asarray(images)) if images.dtype in (np.uint8, torch.uint8) else torch.as_tensor(images)
    return torch.nn.functional.adaptive_avg_pool2d(x.float(), 3).flatten(1).numpy()


def test_controls_of_the_distance_are_what_they_are_called(trained, monkeypatch):
    shown = []
    for name in ("seen_by", "seen_once"):
        monkeypatch.setattr(measures, name, lambda eye, images: shown.append(images) or look(eye, images))
    found = of(measures.frechet.set(samples=60), trained)
    reference, samples, others, noise, ten, blurred, shuffled = shown
    drawn = data.to_float(measures.some(trained[1], 120, np.random.default_rng(0)))
    both = torch.cat([data.to_float(reference), others])
    seen_first = {p.numpy().tobytes() for p in both}
    assert len(seen_first) == 120 and seen_first == {p.numpy().tobytes() for p in drawn}
    assert found["distance_of"] == len(samples) == 60
    assert noise.min() < -0.99 and noise.max() > 0.99 and abs(noise.mean()) < 0.01
    assert torch.equal(ten, others[[i % 10 for i in range(60)]])
    assert max(torch.linalg.matrix_rank(blurred[:, 0], atol=1e-4)) <= 4, "a picture of 4 x 4 pixels, enlarged"
    assert (blurred.mean((1, 2, 3)) - others.mean((1, 2, 3))).abs().max() < 0.1
    assert torch.equal(shuffled.flatten(1).sort(1).values, others.flatten(1).sort(1).values)
    assert (shuffled != others).any(3).any(2).all()


def test_statistics_difference_by_a_plain_loop(trained):
    found = of(measures.statistics_difference.set(draws=3), trained)["statistics"]
    generator, rng = trained[0].generator, np.random.default_rng(0)
    own, batches = models.sample_latent(8, TINY, measures.seed_of(rng)), []
    for _ in range(3):
        z = torch.cat([own, models.sample_latent(120, TINY, measures.seed_of(rng))])
        with torch.no_grad():
            batches.append(copy.deepcopy(generator).train()(z)[:8].numpy())
    with torch.no_grad():
        running = copy.deepcopy(generator).eval()(own).numpy()
    away = [np.abs(x - np.mean(batches, 0)).mean() for x in batches]
    assert found["neighbours"] == pytest.approx(127.5 * np.mean(away), rel=1e-3)
    assert found["running_against_batch"] == pytest.approx(
        127.5 * np.abs(np.mean(batches, 0) - running).mean(), rel=1e-3
    )


def test_colours_are_seen_as_grey_by_an_eye_for_grey(monkeypatch):
    """All three of them, not the first."""
    monkeypatch.setattr(measures, "hidden", lambda part: part.flatten(1).numpy())
    coloured = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 3), np.uint8)
    expected = coloured.astype(float).mean(3).reshape(4, -1) / 127.5 - 1
    np.testing.assert_allclose(measures.seen_by("digits", coloured), expected, atol=1e-5)


def test_a_report_on_samples_stands_beside_that_on_real_digits(trained, monkeypatch):
    class Judge:  # calls what is bright 1
        def score(self, pixels, labels):
            return 0.75

        def predict_proba(self, pixels):
            return np.eye(2)[(pixels.mean(1) > 0.9).astype(int)]

    monkeypatch.setattr(measures, "digits_judge", lambda name: (Judge(), trained[1]))
    monkeypatch.setattr(measures, "drawn", lambda generator, n, rng: torch.ones(n, 1, 32, 32))
    found = of(measures.class_report.set(samples=20), trained)
    assert found["shares"] == [0, 1] and found["real"]["shares"] == [1, 0] and found["judge_accuracy"] == 0.75


def test_held_out_pictures_are_those_behind_the_first(trained, monkeypatch):
    for name in ("seen_by", "seen_once"):
        monkeypatch.setattr(measures, name, look)
    images = trained[1].images
    found = of(measures.held_out.set(whole_set="digits", first=1_700), trained)
    expected = metrics.frechet_distance(look("", images), look("", images[1_700:]))
    assert found["frechet_held_out"] == pytest.approx(expected)


def test_each_stage_has_the_distance_and_the_spread_of_its_samples(trained, monkeypatch):
    for name in ("seen_by", "seen_once"):
        monkeypatch.setattr(measures, name, look)
    shown = {2: torch.rand(30, 1, 32, 32) * 2 - 1, 5: torch.rand(30, 1, 32, 32)}
    monkeypatch.setattr(measures, "drawn_at_stages", lambda run, z: shown.items())
    for row in of(measures.stages, trained)["stages"]:
        assert row["spread"] == pytest.approx(float(shown[row["step"]].std(0).mean()))
        expected = metrics.frechet_distance(look("", shown[row["step"]]), look("", trained[1].images))
        assert row["frechet"] == pytest.approx(expected)


def test_moves_are_those_of_the_same_latents_in_units_of_real_pictures(trained, monkeypatch):
    real = trained[1]
    first = torch.rand(30, 1, 32, 32) * 2 - 1
    shown = {2: first, 4: first + 0.5, 6: first + 0.5, 8: first - 0.25}
    asked = []
    monkeypatch.setattr(measures, "drawn_at_stages", lambda run, z: asked.append(len(z)) or shown.items())
    found = of(measures.moves.set(samples=len(real)), trained)["moves"]
    x = real.tensor().double()  # (N, 1, 32, 32)
    pairs = ((x - x.roll(1, 0)) ** 2).mean().sqrt()
    assert list(found["steps"]) == ["4", "6", "8"] and asked == [len(real)]
    expected = [0.5 / float(pairs), 0, 0.75 / float(pairs)]
    np.testing.assert_allclose(list(found["steps"].values()), expected, rtol=1e-5)
    assert found["late"] == pytest.approx(expected[2] / 2, rel=1e-5)  # the median of the last two
    monkeypatch.setattr(measures, "drawn_at_stages", lambda run, z: [(2, first)])
    assert of(measures.moves, trained)["moves"] == {"steps": {}, "late": None}


def test_d_s_worth_is_fitted_to_all_labelled_pictures_and_asked_of_others(monkeypatch):
    """A fifth of the labelled ones choose C; which pictures these are does not depend on the set's order."""

    class Noting:
        C = 1.0

        def set_params(self, **settings):
            return self

        def fit(self, X, y):
            asked["fitted"] = X
            asked["classes"] = len(set(y.tolist()))
            return self

        def predict(self, X):
            asked["predicted"] = X
            return np.zeros(len(X))

    asked, digits = {}, data.load("digits", image_size=32)
    by_class = digits.select(np.argsort(digits.labels, kind="stable"))
    monkeypatch.setattr(data, "load", lambda name, **settings: by_class)
    monkeypatch.setattr(
        features,
        "choose_C",
        lambda *parts, **settings: asked.update(chosen=[len(p) for p in parts[:4]]) or (Noting(), {}),
    )
    settings = ("digits", None, 600, 600, (1.0,), 1e-2)
    right, _ = measures.told_right(
        lambda pictures, known: pictures.reshape(len(pictures), -1), TINY, np.random.default_rng(0), *settings
    )
    assert asked["chosen"] == [480, 480, 120, 120] and asked["classes"] == 10
    assert len(asked["fitted"]) == len(asked["predicted"]) == len(right) == 600
    assert not {x.tobytes() for x in asked["fitted"]} & {x.tobytes() for x in asked["predicted"]}


def test_small_measures_are_never_larger():
    assert [measures.frechet.set(samples=n).small().settings["samples"] for n in (7, 5_000)] == [7, 64]
    assert measures.quality.set(eye="efficientnet").small().settings["samples"] == 16


def test_a_fade_goes_between_the_ends_of_its_walk(trained, monkeypatch):
    seen = []
    monkeypatch.setattr(measures, "seen_by", lambda eye, images: seen.append(images) or look(eye, images))
    monkeypatch.setattr(measures, "seen_once", look)
    of(measures.walks.set(pairs=2, steps=5, samples=20), trained)
    for walk, fade in zip(seen[0:4:2], seen[1:4:2], strict=True):
        t = torch.linspace(0, 1, 5)[:, None, None, None]
        torch.testing.assert_close(fade, walk[:1] + t * (walk[-1:] - walk[:1]), rtol=0, atol=1e-5)
    spread = np.random.default_rng(0).normal(size=(5_000, 3)) @ np.array([[2.0, 1, 0], [0, 1, 0], [1, 0, 1]])
    values = np.linalg.eigvalsh(np.cov(spread.T))
    assert measures.effective_dimension(spread) == pytest.approx(values.sum() ** 2 / (values**2).sum())


def test_spread_of_digits_is_their_deviation(trained):
    found = of(measures.spread.set(samples=5_000), trained)
    assert found["real_spread"] == pytest.approx(float(trained[1].tensor().std(0).mean()), rel=1e-5)
    assert 0 < found["spread"] != found["real_spread"]


def test_d_is_worth_more_with_right_labels(trained, monkeypatch):
    settings = {"labelled_set": "digits", "labelled": 600, "tested": 600}
    found = of(measures.d_worth.set(**settings), trained)
    assert found["d_worth"] > 0.7 and found["d_worth_interval"][0] < found["d_worth"] < found["d_worth_interval"][1]
    load = data.load
    monkeypatch.setattr(
        data,
        "load",
        lambda *a, **k: replace(load(*a, **k), labels=np.random.default_rng(1).permutation(load(*a, **k).labels)),
    )
    assert of(measures.d_worth.set(**settings), trained)["d_worth"] < 0.25


def test_memorised_is_nearly_all_of_copies_and_little_of_noise(trained, monkeypatch):
    real = trained[1]
    monkeypatch.setattr(measures, "drawn", lambda generator, n, rng: real.tensor(slice(0, n)))
    assert of(measures.memorised.set(samples=100), trained)["memorised"] == 1
    monkeypatch.setattr(measures, "drawn", lambda generator, n, rng: real.tensor(slice(0, n)).flip(0, 2, 3) * -1)
    assert of(measures.memorised.set(samples=100), trained)["memorised"] < 0.1


def test_memorised_asks_about_the_pictures_that_were_trained_on(tmp_path, monkeypatch):
    """Copies of them are found; pictures of the same set that the training never saw are none."""
    images = data.load("digits", image_size=32)
    base = two().base
    config = replace(base, out=tmp_path / "part", limit=300, seed=5, steps=2)
    run = training.train(config, images)
    seen = images.take(300, 5)
    looked_up = measures.memorised.set(samples=200)
    for shown, expected in ((seen, 1), (images.take(900, 5).select(range(300, 900)), 0.03)):
        monkeypatch.setattr(measures, "drawn", lambda generator, n, rng, of=shown: of.tensor(slice(0, n)))
        found = looked_up(run, images, np.random.default_rng(0))
        assert found["trained_on"] == 300
        assert found["memorised"] == 1 if expected == 1 else found["memorised"] <= expected


def test_quality_falls_with_noise_and_real_pictures_stand_beside(trained, monkeypatch):
    real, measure = trained[1], measures.quality.set(eye="face_attributes", samples=300, draws=2)
    rows = []
    for sd in (0.0, 0.3, 1.0):

        def noisy(generator, n, rng, sd=sd):
            x = real.tensor(slice(1000, 1000 + n))
            return (x + sd * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)

        monkeypatch.setattr(measures, "drawn", noisy)
        rows.append(of(measure, trained)["seen_by_face_attributes"])
    signs = {"frechet_distance": 1, "kernel_distance": 1, "precision": -1, "density": -1, "coverage": -1}
    for name, sign in signs.items():
        steps = sign * np.diff([row[name] for row in rows])
        assert steps.min() >= 0 and steps[0] > 0, name  # a share may be 0 at once
    assert rows[0]["real"] == rows[2]["real"] and rows[0]["samples"] == 300
    assert rows[0]["k"] == {"precision": 3, "recall": 3, "density": 5, "coverage": 5}
    # What the library says of the same two halves.
    rng = np.random.default_rng(0)
    pictures = measures.some(real, 600, rng)
    order = rng.permutation(600)
    halves = [measures.seen_by("face_attributes", pictures[np.sort(part)]) for part in (order[:300], order[300:])]
    assert rows[0]["real"]["recall"] == metrics.recall(*halves, 3)
    assert rows[0]["real"]["density"] == metrics.density(*halves, 5)
    assert rows[0]["real"]["frechet_distance"] == pytest.approx(metrics.frechet_distance(*halves))
    shown = measures.seen_by("face_attributes", np.asarray(real.images[1000:1300]))
    assert rows[0]["precision"] == metrics.precision(halves[0], shown, 3)
    assert rows[0]["kernel_distance"] == pytest.approx(metrics.kernel_distance(halves[0], shown), rel=1e-3)


def test_a_measure_without_its_extra_is_left_out_and_said_so(trained, monkeypatch, capsys):
    measure = measures.quality.set(eye="efficientnet", samples=16, draws=2)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
        measures.efficientnet_digest.cache_clear()
        found, key = of(measure, trained), measure.key()
    assert list(found) == ["left out: quality efficientnet"]
    assert "pip install 'dcgan_lib[metrics]'" in found["left out: quality efficientnet"]
    assert "left out: quality efficientnet" in capsys.readouterr().out
    assert "pip install" in key["depends"]["missing"]
    assert measure.key() != key, "once it is installed the row is measured anew"
    with monkeypatch.context() as patch, pytest.raises(ImportError):
        patch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
        of(measures.frechet.set(eye="efficientnet", samples=16), trained)  # is what a rule rests on: no study without


def test_every_kept_stage_is_seen_by_the_eye_that_checks(trained, tmp_path):
    run, real = trained
    for step, network in ((5, run.generator), (3, models.build(TINY, seed=7)[0])):
        checkpoints.save(training.RunFolder(tmp_path).kept(step), network, None, {})
    own = training.Run(run.generator, run.discriminator, [], tmp_path)
    found = of(measures.stages_checked.set(eye="face_attributes", samples=100), (own, real))
    (name, found), *others = found.items()
    assert name == "stages_by_face_attributes" and not others and found["samples"] == 100
    assert [row["step"] for row in found["rows"]] == [3, 5]
    assert found["real"] < min(row["frechet"] for row in found["rows"])
    rng = np.random.default_rng(0)
    pictures, order = measures.some(real, 200, rng), rng.permutation(200)
    z = models.sample_latent(100, TINY, measures.seed_of(rng))
    shown = [pictures[np.sort(order[:100])], models.sample(run.generator, z)]
    expected = metrics.frechet_distance(*(measures.seen_by("face_attributes", images) for images in shown))
    assert found["rows"][1]["frechet"] == pytest.approx(expected, rel=1e-4)


def test_a_report_on_faces_has_every_training_and_ships_the_best_stage_of_the_first(monkeypatch):
    from experiments.studies import faces

    shipped = []
    monkeypatch.setattr(faces, "film", lambda *asked: [0])
    monkeypatch.setattr(faces, "ship", lambda *asked, source, **more: shipped.append(source))
    monkeypatch.setattr(faces.checkpoints, "load", lambda source: (None, None))
    monkeypatch.setattr(measures, "statistics_difference", lambda *asked: {})
    rows = [
        {"variant": "faces", "seed": seed, "note": "", "data": "celeba", "machines": [], "stats": [1]}
        | {"finite": True, "epochs": 1.0, "spread": 1.0, "real_spread": 1.0, "frechet": 1.0, "controls": far}
        | {"stages": [{"step": 1_000, "frechet": first, "spread": 1.0}, {"step": 2_000, "frechet": 2.0, "spread": 1.0}]}
        for seed, first, far in zip((0, 1, 2), (3.0, 1.0, 2.5), [dict.fromkeys(CONTROLS, 5.0)] * 3, strict=True)
    ]
    few = tuple(m.set(samples=700) if m.name == "stages" else m for m in faces.STUDY.measures)
    assert faces.report(replace(faces.STUDY, measures=few), rows)[0]["samples"] == 700
    shipped.clear()
    measured, claims = faces.report(faces.STUDY, rows)
    assert measured["samples"] == 5_000
    assert [path.name for path in shipped] == ["step_0002000.safetensors"] and measured["chosen"]["step"] == 2_000
    assert [(row["seed"], row["chosen"]["step"]) for row in measured["others"]] == [(1, 1_000), (2, 2_000)]
    assert all("stats" not in row and "machines" not in row for row in measured["others"])
    assert claims["C1"]["verdict"].startswith("holds on this set: 3 of 3")
    assert str(rejudge.RULES["training_faces"]["C1"](measured)) == claims["C1"]["verdict"]
    measured["others"][1]["frechet"] = 5.0  # no nearer than a control
    assert str(rejudge.RULES["training_faces"]["C1"](measured)).startswith("holds in part: 2 of 3")


def test_a_report_on_streets_ships_the_generator_of_its_best_stage(monkeypatch):
    from experiments.studies import scenes

    shipped = []
    monkeypatch.setattr(scenes, "film", lambda *asked: [0])
    monkeypatch.setattr(scenes, "pictures", lambda *asked: data.load("digits"))
    monkeypatch.setattr(scenes, "ship", lambda name, *asked, **more: shipped.append((name, more)))
    row = {"variant": "streets", "seed": 0, "finite": True, "epochs": 1.0, "spread": 1.0, "real_spread": 1.0}
    row |= {"stages": [{"step": s, "frechet": d, "spread": 0.5} for s, d in ((2_000, 3.0), (4_000, 1.0), (6_000, 2.0))]}
    measured, _ = scenes.report(scenes.STREETS, [row])
    assert measured["chosen"]["step"] == 4_000 and measured["spread"] == 0.5
    [(name, more)] = shipped
    assert name == "streets" and more["parts"] == ("generator",) and more["source"].name == "step_0004000.safetensors"


def test_d_worth_without_its_set_is_left_out(trained):
    found = of(measures.d_worth.set(labelled_set="celeba", attribute="Smiling"), trained)
    assert list(found) == ["left out: d_worth celeba"] and "could not be had" in found["left out: d_worth celeba"]


def test_the_eye_for_digits_is_the_hidden_layer_of_their_judge(monkeypatch):
    monkeypatch.setenv("DCGAN_DATA", str(scale.stand_ins(Path("data").absolute())))
    measures.digits_judge.cache_clear()
    judge, test = measures.digits_judge("mnist")
    vectors = measures.seen_by("digits", test.images)
    scores = vectors @ judge.coefs_[1] + judge.intercepts_[1]
    np.testing.assert_array_equal(scores.argmax(1), judge.predict(measures.flat(test.images)))
    assert vectors.shape == (len(test), 256) and vectors.min() == 0
    wide = np.repeat(np.asarray(test.images), 3, 3)  # RGB
    np.testing.assert_allclose(measures.seen_by("digits", wide), vectors, atol=1e-4)
    assert set(measures.quality.set(eye="digits").key()["depends"]["eye"]) == {"pictures", "labels", "attributes"}
    measures.digits_judge.cache_clear()


def test_the_judge_of_digits_is_fitted_by_one_thread(monkeypatch):
    """However many there are: with another order of sums it is another network, whose distances compare with none."""
    monkeypatch.setenv("DCGAN_DATA", str(scale.stand_ins(Path("data").absolute())))
    fit, threads = measures.MLPClassifier.fit, []

    def counted(self, *a):
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return fit(self, *a)

    monkeypatch.setattr(measures.MLPClassifier, "fit", counted)
    measures.digits_judge.cache_clear()
    with threadpool_limits(2):
        measures.digits_judge("mnist")
    measures.digits_judge.cache_clear()
    assert threads and set(threads) == {1}


def test_symptoms_are_those_of_the_samples(trained, monkeypatch, tmp_path):
    """Each number against a plain reference, of samples that have the symptom and of new digits, which have none."""
    images = trained[1]
    config = replace(two().base, out=tmp_path / "part", limit=300, seed=5, steps=2, log_every=1)
    run = replace(training.train(config, images), stats=[{"step": i, "accuracy_d": i / 10} for i in range(10)])
    order = np.random.default_rng(5).permutation(len(images))
    known, new = (images.tensor(order[part]) for part in (slice(0, 300), slice(300, 600)))
    grid = torch.zeros(32, 32)
    grid[::2, ::2] = 0.3
    rows = {}
    shown = {"new": new, "copies": known[:200], "one": new[:1].repeat(200, 1, 1, 1), "grid": new + grid}
    for name, samples in shown.items():
        monkeypatch.setattr(measures, "drawn", lambda generator, n, rng, samples=samples: samples)
        rows[name] = measures.symptoms.set(samples=300)(run, images, np.random.default_rng(0))["symptoms"]
    real = data.to_float(measures.some(images, 300, np.random.default_rng(0)))
    assert rows["new"]["accuracy_d"] == pytest.approx((0.8 + 0.9) / 2)
    assert rows["new"]["spread"] == pytest.approx(float(new.std(0).mean() / real.std(0).mean()))
    tints = [np.std(x.mean((1, 2, 3)).numpy(), ddof=1) for x in (new, real)]
    assert rows["new"]["colours"] == pytest.approx(tints[0] / tints[1], rel=1e-4)
    assert 0.8 < rows["new"]["grid"] < 1.25 and rows["grid"]["grid"] > 5
    assert rows["copies"]["copied"] == 1 and rows["new"]["copied"] == rows["new"]["copied_real"] < 0.1
    assert max(rows["one"]["spread"], rows["one"]["colours"]) < 1e-5
    all_of_it = measures.symptoms.set(samples=20)(*trained, np.random.default_rng(0))["symptoms"]
    assert all_of_it["copied_real"] is None, "no picture is left that was not trained on"


def test_walks_stand_beside_cross_fades(trained, monkeypatch):
    found = of(measures.walks.set(pairs=4, samples=100), trained)
    assert set(found["walks"]) == set(found["cross_fades"]) == {"length", "detour", "largest_step"}
    assert found["cross_fades"]["detour"] != found["walks"]["detour"]
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(4000, 1)) * np.ones((1, 9))
    assert measures.effective_dimension(flat) == pytest.approx(1)
    assert measures.effective_dimension(rng.normal(size=(4000, 9))) == pytest.approx(9, rel=0.02)


def test_cost_counts_memory(trained):
    small, large = (
        measures.cost.set(steps=1, warm=1, batch_size=n)(*trained, np.random.default_rng(0)) for n in (8, 16)
    )
    assert small["bytes_of_weights"] == 16 * sum(small["parameters"]) == large["bytes_of_weights"]
    networks = trained[0].generator, trained[0].discriminator
    outputs = 4 * sum(int(np.prod(shape)) for n in networks for _, _, shape, _ in models.shapes(n))  # a picture's
    more = large["bytes_of_activations"] - small["bytes_of_activations"]
    assert outputs / 2 < more / 8 < 1.5 * outputs, "every layer's output is held once, the weights are not"
    assert small["bytes_of_activations"] == pytest.approx(more, rel=0.02), "and all of it is the pictures'"


def test_cost_times_steps_that_are_warm(trained, monkeypatch):
    clock = iter([0, 9, 0, 9, 0, 1, 0, 1, 0, 1])  # two that are slow
    monkeypatch.setattr(measures, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert of(measures.cost.set(steps=3, warm=2, batch_size=4), trained)["seconds_a_step"] == 1


def test_cost_counts_multiplications(trained):
    small, large = (
        measures.cost.set(steps=2, warm=1, batch_size=n)(*trained, np.random.default_rng(0)) for n in (8, 16)
    )
    assert large["multiplications_a_step"] == 2 * small["multiplications_a_step"] > 0
    assert small["seconds_a_step"] > 0 and len(small["parameters"]) == 2


def test_nearest_digits_are_those_of_scikit_learn(monkeypatch, tmp_path):
    """The same samples drawn here, by the batch's statistics; more of them go on where fewer stopped."""
    monkeypatch.setenv("DCGAN_DATA", str(scale.stand_ins(Path("data").absolute())))
    everything, test = data.load("mnist"), data.load("mnist", split="test")
    real, held_out = nearest.parts(everything)
    assert (len(real), len(held_out)) == (300, 60)
    kept = np.concatenate([real.images, held_out.images]).reshape(360, -1)
    assert sorted(map(bytes, kept)) == sorted(map(bytes, np.asarray(everything.images).reshape(360, -1)))
    arch = architecture("mnist28_conditional", widths=(4, 6), dense_units=12, latent_dim=8)
    generator, discriminator = models.build(arch, seed=1)
    run = training.Run(generator.eval(), discriminator, [], tmp_path)
    asked = measures.nearest_digits.set(samples=9_000, precision="float32")
    away, wrong_of = [], nearest.wrong
    with monkeypatch.context() as patch:  # counts of so poor a generator hardly depend on its samples, distances do
        patch.setattr(nearest, "wrong", lambda *a: (wrong_of(*a), away.append(a[1].squared))[0])
        found = asked(run, real, np.random.default_rng(0))["nearest"]
    draw = np.random.default_rng(0)
    seed, x, y = measures.seed_of(draw), [], []
    for k in range(2):  # batches of 8,192, each of 64 that share their statistics
        rng = np.random.default_rng((seed, k))
        labels = models.sample_labels(8_192, 10, measures.seed_of(rng))
        z = models.sample_latent(8_192, arch, measures.seed_of(rng))
        for part in range(64):
            at = slice(128 * part, 128 * part + 128)
            with torch.no_grad():
                x.append(generator.train()(z[at], labels[at]))
        y.append(labels)
    x, y = (255 * (torch.cat(x) + 1) / 2).flatten(1).numpy(), torch.cat(y).numpy()
    assert len(np.bincount(y, minlength=10)) == 10 and np.bincount(y).min() > 1_200
    queries = np.concatenate([held_out.images, test.images]).reshape(-1, 784).astype(float)
    true = KNeighborsClassifier(1, algorithm="brute").fit(x[:9_000], y[:9_000]).kneighbors(queries)[0][:, 0]
    np.testing.assert_allclose(np.sqrt(away[0]), true, rtol=1e-5)

    def wrong(rows, labels, asked):
        model = KNeighborsClassifier(1, algorithm="brute").fit(rows, labels)
        return int((model.predict(asked.images.reshape(len(asked), -1).astype(float)) != asked.labels).sum())

    for name, digits in (("held_out", held_out), ("test", test)):
        assert found[name]["digits"] == len(digits)
        assert found[name]["generated"] == [[n, wrong(x[:n], y[:n], digits)] for n in (1_000, 9_000)]
        pixels = real.images.reshape(300, -1).astype(float)
        assert found[name]["real"] == [[300, wrong(pixels, real.labels, digits)]]
    fewer = asked.set(samples=1_000)(replace(run, out=tmp_path / "a"), real, np.random.default_rng(0))
    assert fewer["nearest"]["test"]["generated"] == found["test"]["generated"][:1]
    assert asked(replace(run, out=tmp_path / "a"), real, np.random.default_rng(0))["nearest"] == found
    assert len(list((tmp_path / "a").iterdir())) == 1
    other = models.build(arch, seed=2)[0].eval()  # of other weights the count begins anew
    assert asked(replace(run, generator=other), real, np.random.default_rng(0))["nearest"] != found
    halved = asked.set(precision="bfloat16")(run, real, np.random.default_rng(0))["nearest"]
    assert (found["drawn_in"], halved["drawn_in"]) == ("float32", "bfloat16") and halved["test"]["generated"] != []
    # Other digits are asked, or called otherwise: the file of a row belongs to those that it was counted with.
    parts = dict(np.load("data/mnist.npz"))
    np.savez("data/mnist.npz", **parts | {"y_test": (parts["y_test"] + 1) % 10})
    renamed = asked(run, real, np.random.default_rng(0))["nearest"]
    assert renamed["test"]["generated"] != found["test"]["generated"] and renamed["held_out"] == found["held_out"]
    np.savez("data/mnist.npz", **{k: v[::-1] for k, v in parts.items()})
    others = asked(run, real, np.random.default_rng(0))["nearest"]
    assert others["held_out"]["generated"] != found["held_out"]["generated"]


# ---- rules -----------------------------------------------------------------------------------------------------------


def rows(**distances) -> list[dict]:
    controls = dict.fromkeys(CONTROLS, 9.0)
    return [
        {"variant": v, "finite": True, "frechet": d, "controls": controls}
        for v, found in distances.items()
        for d in found
    ]


def test_every_worse():
    rule = rules.every_worse("base", "a", "b")
    base = [1.0, 1.1, 1.2]
    assert rule(rows(base=base, a=[1.3, 1.4, 1.5], b=[2, 2, 2])).outcome is Outcome.HOLDS
    assert rule(rows(base=base, a=[1.15, 1.4, 1.5], b=[2, 2, 2])).outcome is Outcome.IN_PART
    found = rule(rows(base=base, a=[1.1, 1.1, 1.1], b=[0.1, 0.2, 0.3]))
    assert (
        found.outcome is Outcome.NOT and "better: b" in found.words and "no difference beyond seeds: a" in found.words
    )
    assert rule(rows(base=base, a=[2, 2], b=[2, 2, 2])).outcome is Outcome.UNDECIDED
    diverged = [{"variant": "a", "finite": False}] * 3
    assert rule(rows(base=base, b=[2, 2, 2]) + diverged).outcome is Outcome.HOLDS
    half = rules.every_worse(
        "base", "a", "b", other_scale=("b",)
    )  # an easier size says nothing, nor that it was left out
    found = half(rows(base=base, a=[2, 2, 2], b=[0.1, 0.1, 0.1]))
    assert found.outcome is Outcome.HOLDS and found.words == "worse: a; on another scale: b"
    assert half(rows(base=base, a=[1, 1, 1], b=[9, 9, 9])).outcome is Outcome.NOT
    assert rules.every_worse("base", "b", other_scale=("b",))(rows(base=base)).outcome is Outcome.UNDECIDED


def test_numbers_that_are_not_finite_are_those_of_a_training_that_diverged():
    nan = float("nan")
    for mixed in ([nan, 2, 3], [2, nan, 3], [2, 3, nan]):
        assert not rules.larger(mixed, [1]) and not rules.larger([4], mixed) and rules.larger([4, 5], [2, 3])
    assert not rules.larger([], [1]) and not rules.larger([1], [])
    assert rules.distances(rows(a=[nan, 1.0]), "a") == [float("inf"), 1.0]
    assert rules.every_worse("base", "a")(rows(base=[1, 1, 1], a=[nan, 2, 2])).outcome is Outcome.HOLDS
    seen = [{"variant": v, "x": x} for v, found in {"v": (nan, 2, 2), "w": (0, 0, 0)}.items() for x in found]
    assert rules.shows("x", "v", "w", above=1)(seen).outcome is Outcome.UNDECIDED
    assert rules.alike("x", ("v", "w"))(seen).outcome is Outcome.UNDECIDED


def test_no_gain():
    rule = rules.no_gain(("few", "many"))
    assert rule(rows(few=[1, 2, 3], many=[1, 2, 3])).outcome is Outcome.HOLDS
    assert rule(rows(few=[1, 2, 3], many=[4, 5, 6])).outcome is Outcome.HOLDS
    assert rule(rows(few=[4, 5, 6], many=[1, 2, 3])).outcome is Outcome.NOT
    assert rule(rows(few=[2, 3, 4], many=[1, 1, 2.5])).outcome is Outcome.HOLDS, "ranges meet, whatever the medians"
    both = rules.no_gain(("few", "many"), ("few", "most"))
    assert both(rows(few=[4, 5, 6], many=[1, 2, 3], most=[5, 5, 5])).outcome is Outcome.IN_PART
    said = both(rows(few=[1, 2, 3], many=[4, 5, 6], most=[2, 2, 2])).words
    assert said == "few 2, many 5 (worse); few 2, most 2 (no gain beyond seeds)"
    diverged = [{"variant": v, "finite": False} for v in ("few", "many") for _ in range(3)]
    found = rule(diverged)
    assert found.outcome is Outcome.UNDECIDED and "few, many" in found.words
    assert rule(rows(few=[1, 2, 3]) + diverged[3:]).outcome is Outcome.UNDECIDED
    assert rule(rows(few=[1, 2, 3], many=[4, 5]) + diverged[3:4]).outcome is Outcome.HOLDS


def test_how_much_three_seeds_against_three_miss():
    """As the docstrings of `no_gain` and `alike` say."""
    seeds = np.random.default_rng(0).standard_normal((2, 2_000, 3))
    for gain, separated in ((1, 0.26), (2, 0.62)):
        assert np.mean([rules.larger(list(a + gain), list(b)) for a, b in zip(*seeds, strict=True)]) == pytest.approx(
            separated, abs=0.03
        )
    for rule in (rules.no_gain, rules.alike):
        assert "26 %" in rule.__doc__ and "62 %" in rule.__doc__


def test_stable_is_the_rule_of_c1():
    assert rules.stable()(rows(a=[1, 2, 8.9])).outcome is Outcome.HOLDS
    assert rules.stable()(rows(a=[1, 2, 9.1])).outcome is Outcome.IN_PART
    assert rules.stable("a")(rows(a=[1, 2, 3], b=[99, 99, 99])).outcome is Outcome.HOLDS
    assert rules.stable()([*rows(a=[1, 2]), {"variant": "a", "finite": False}]).outcome is Outcome.IN_PART
    unmeasured = {"variant": "b", "finite": True, "frechet": 1.0}  # nobody lends it controls
    assert rules.stable()([*rows(a=[1, 2]), unmeasured]).outcome is Outcome.UNDECIDED
    without = {k: v for k, v in rows(a=[1])[0].items() if k != "frechet"}  # finite, and no distance
    assert rules.stable()([*rows(a=[1, 2]), without]).outcome is Outcome.IN_PART


def test_time_ratios():
    def timed(**seconds):
        return [
            {"variant": v, "seconds_a_step": s, "device": "one", "cost_precision": "float32"}
            for v, s in seconds.items()
        ]

    rule = rules.time_ratios("base", {"five": 5, "many": 28})
    assert rule(timed(base=1, five=4, many=30)).outcome is Outcome.HOLDS
    assert rule(timed(base=1, five=5, many=10)).outcome is Outcome.IN_PART
    assert rule(timed(base=1, five=1, many=1)).outcome is Outcome.NOT
    elsewhere = [timed(base=1)[0] | {"device": "another"}]
    assert rule(timed(five=5, many=28) + elsewhere).outcome is Outcome.UNDECIDED
    in_halves = [timed(base=1)[0] | {"cost_precision": "bfloat16"}]
    assert rule(timed(five=5, many=28) + in_halves).outcome is Outcome.UNDECIDED
    other = [timed(other=1)[0] | {"device": "another"}]  # of a variant that the rule is not about
    assert rule(timed(base=1, five=4, many=30) + other).outcome is Outcome.HOLDS


def test_smoother():
    def walked(**steps):
        return [{"variant": v, "walks": {"largest_step": s}} for v, many in steps.items() for s in many]

    rule = rules.smoother("short", "long")
    assert rule(walked(short=[1.5, 1.6, 1.7], long=[1.2, 1.3, 1.4])).outcome is Outcome.HOLDS
    assert rule(walked(short=[1.5, 1.6, 1.7], long=[1.2, 1.3, 1.5])).outcome is Outcome.UNDECIDED
    assert rule(walked(short=[1.2, 1.3, 1.4], long=[1.5, 1.6, 1.7])).outcome is Outcome.NOT
    assert rule(walked(short=[1.5, 1.6], long=[1.2, 1.3, 1.4])).outcome is Outcome.UNDECIDED
    diverged = [*walked(short=[1.5, 1.6, 1.7], long=[1.2, 1.3]), {"variant": "long", "finite": False}]
    assert rule(diverged).outcome is Outcome.UNDECIDED


def test_degrades():
    def curves(*found):
        return [{"stages": [{"frechet": d} for d in curve]} for curve in found]

    rule = rules.degrades(0.1)
    rises, ends, wavers = (3, 1, 1.1, 1.2, 1.3, 1.5), (3, 2, 1.3, 1.2, 1.05, 1), (3, 1, 1.4, 1.2, 1.5, 1.3, 1.2)
    assert rule(curves(rises, rises, (1, 2, 3, 4, 5))).outcome is Outcome.HOLDS
    assert rule(curves(rises, (2, 1, 1.05), rises)).outcome is Outcome.IN_PART
    assert rule(curves(ends, (2, 1, 1.05), ends)).outcome is Outcome.NOT
    assert rule(curves(rises, wavers, rises)).outcome is Outcome.UNDECIDED
    assert rule(curves(rises, (3, 1, 2), rises)).outcome is Outcome.UNDECIDED  # one distance after the lowest
    assert rule(curves(rises, rises)).outcome is Outcome.UNDECIDED
    for late in ((3, 1, 1.1, 1.2, 1.3), (3, 1, 1.1, 1.2, 1.5, 1.3, 1.4)):  # three after the lowest; p = 0.09 in five
        assert rule(curves(rises, late, rises)).outcome is Outcome.UNDECIDED
    for unit in (0.01, 100):  # a part of the lowest distance, not a distance
        scaled = [tuple(unit * d for d in curve) for curve in (rises, (3, 1, 1.01, 1.02, 1.03, 1.05))]
        assert [rule(curves(*[curve] * 3)).outcome for curve in scaled] == [Outcome.HOLDS, Outcome.NOT]
    # Distances that only fluctuate: the last of twenty lies far above the lowest, and says nothing.
    rng = np.random.default_rng(0)
    told = [rule(curves(*rng.uniform(1, 2, (3, 20)))).outcome for _ in range(50)]
    assert told.count(Outcome.HOLDS) + told.count(Outcome.IN_PART) <= 2


def test_climb():
    assert rules.climb((4, 2, 1)) == rules.climb((1,)) == rules.climb(()) == 1
    assert rules.climb((1, 2, 1, 3, 3)) == 2 * 3  # the fall between them takes nothing back
    assert rules.climb((0.1, 0.2, 0.1, 0.3)) == pytest.approx(6)  # of a ratio, not of a distance


def test_oscillates():
    def curves(**found):
        return [
            {"variant": v, "stages": [{"frechet": d} for d in curve]} for v, many in found.items() for curve in many
        ]

    rule = rules.oscillates("other", "base")
    falls, wavers, leaps = (4, 2, 1), (4, 2, 2.2, 1), (4, 2, 3, 1)
    found = rule(curves(base=[falls, wavers, falls], other=[leaps, leaps, leaps]))
    assert found.outcome is Outcome.HOLDS
    assert "1.50 to 1.50 times for other" in found.words and "1.00 to 1.10 times for base" in found.words
    assert rule(curves(base=[falls, wavers, leaps], other=[leaps] * 3)).outcome is Outcome.UNDECIDED  # not in any
    assert rule(curves(base=[falls, wavers, leaps], other=[falls, wavers, wavers])).outcome is Outcome.UNDECIDED
    assert rule(curves(base=[leaps] * 3, other=[wavers] * 3)).outcome is Outcome.NOT
    assert rule(curves(base=[falls] * 3, other=[falls] * 3)).outcome is Outcome.NOT
    assert rule(curves(base=[falls] * 3, other=[leaps] * 2)).outcome is Outcome.UNDECIDED
    diverged = [*curves(base=[falls] * 3, other=[leaps] * 2), {"variant": "other", "finite": False}]
    assert rule(diverged).outcome is Outcome.UNDECIDED


def test_time_as_multiplications():
    def timed(**measured):
        return [
            {
                "variant": v,
                "seconds_a_step": s,
                "multiplications_a_step": m,
                "device": "one",
                "cost_precision": "float32",
            }
            for v, (s, m) in measured.items()
        ]

    rule = rules.time_as_multiplications("base", "large", "wide")
    assert rule(timed(base=(1, 100), large=(2, 220), wide=(6, 700))).outcome is Outcome.HOLDS
    assert rule(timed(base=(1, 100), large=(2, 220), wide=(28, 700))).outcome is Outcome.IN_PART
    assert rule(timed(base=(1, 100), large=(5, 220), wide=(28, 700))).outcome is Outcome.NOT
    assert rule(timed(base=(1, 100), large=(5, 220))).outcome is Outcome.UNDECIDED


def numbered(**found) -> list[dict]:
    return [{"variant": v, "seen": {"recall": x}} for v, values in found.items() for x in values]


def test_lower():
    rule = rules.lower("seen.recall", ("few", "many"), ("one", "many"))
    many = [0.7, 0.8, 0.9]
    assert rule(numbered(few=[0.1, 0.2, 0.69], one=[0, 0, 0], many=many)).outcome is Outcome.HOLDS
    found = rule(numbered(few=[0.1, 0.2, 0.71], one=[0, 0, 0], many=many))
    assert found.outcome is Outcome.IN_PART and "few 0.2, many 0.8 (not below beyond seeds)" in found.words
    assert rule(numbered(few=[1, 1, 1], one=[0.7, 0.7, 0.7], many=many)).outcome is Outcome.NOT
    assert rule(numbered(few=[0.1, 0.2], one=[0, 0, 0], many=many)).outcome is Outcome.UNDECIDED
    left_out = [{"variant": "few", "left out: quality efficientnet": "no extra"}] * 3
    assert rule(left_out + numbered(one=[0, 0, 0], many=many)).outcome is Outcome.UNDECIDED


def test_alike():
    rule = rules.alike("seen.recall", ("a", "b"), ("a", "c"))
    assert rule(numbered(a=[1, 2, 3], b=[2, 3, 4], c=[3, 3, 9])).outcome is Outcome.HOLDS
    found = rule(numbered(a=[1, 2, 3], b=[4, 5, 6], c=[3, 3, 9]))
    assert found.outcome is Outcome.IN_PART and "a 2, b 5 (below)" in found.words
    assert rule(numbered(a=[1, 2, 3], b=[4, 5, 6], c=[0, 0, 0])).outcome is Outcome.NOT
    assert rule(numbered(a=[1, 2, 3], b=[4, 5, 6])).outcome is Outcome.UNDECIDED


def test_shows():
    def seen(**found):
        return [{"variant": v, "symptoms": {"grid": x}} for v, values in found.items() for x in values]

    rule = rules.shows("symptoms.grid", "three", "base", "mend", above=4)
    assert rule(seen(three=[5, 6, 7], base=[1, 2, 4], mend=[1, 1, 1])).outcome is Outcome.HOLDS
    found = rule(seen(three=[5, 6, 4], base=[1, 2, 3], mend=[1, 1, 1]))
    assert found.outcome is Outcome.IN_PART and found.words == (
        "grid out of bounds: three 2 of 3 (5), base 0 of 3 (2), mend 0 of 3 (1)"
    )
    assert rule(seen(three=[5, 6, 7], base=[1, 2, 3], mend=[9, 1, 1])).outcome is Outcome.IN_PART, "no remedy always"
    assert rule(seen(three=[5, 6, 7], base=[5, 6, 7], mend=[1, 1, 1])).outcome is Outcome.NOT, "the baseline has it"
    assert rule(seen(three=[1, 2, 3], base=[1, 2, 3], mend=[1, 1, 1])).outcome is Outcome.NOT
    assert rule(seen(three=[5, 6], base=[1, 2, 3], mend=[1, 1, 1])).outcome is Outcome.UNDECIDED
    diverged = [{"variant": "three", "finite": False}] * 3
    assert rule(seen(base=[1, 2, 3], mend=[1, 1, 1]) + diverged).outcome is Outcome.UNDECIDED
    low = rules.shows("symptoms.grid", "three", "base", below=0.5)
    assert low(seen(three=[0.1, 0.2, 0.4], base=[0.6, 0.7, 9])).outcome is Outcome.HOLDS
    assert low(seen(three=[0.1, 0.2, 0.5], base=[0.6, 0.7, 9])).outcome is Outcome.IN_PART


def test_same_order():
    def seen(*pairs):
        return [{"variant": str(i), "one": a, "other": {"b": b}} for i, (a, b) in enumerate(pairs) for _ in range(3)]

    rule = rules.same_order("one", "other.b")
    assert rule(seen((1, 10), (2, 20), (3, 30), (4, 40), (5, 50))).outcome is Outcome.HOLDS
    assert rule(seen((1, 10), (2, 30), (3, 20), (4, 50), (5, 40))).outcome is Outcome.HOLDS  # rho 0.8, the limit
    assert rule(seen((1, 10), (2, 20), (3, 50), (4, 30), (5, 40))).outcome is Outcome.IN_PART  # rho 0.7
    assert rule(seen((1, 50), (2, 40), (3, 30), (4, 20), (5, 10))).outcome is Outcome.NOT
    assert rule(seen((1, 30), (2, 10), (3, 50), (4, 20), (5, 40))).outcome is Outcome.NOT  # rho 0.3
    assert rule(seen((1, 10), (2, 20), (3, 30), (4, 40))).outcome is Outcome.UNDECIDED
    lacking = [{"variant": "5", "one": 9}] * 3  # of a training that the other eye did not see
    assert "over 5 variants" in rule(seen((1, 1), (2, 2), (3, 3), (4, 4), (5, 5)) + lacking).words
    others = seen((1, 20), (2, 10), (3, 50), (4, 30), (5, 40), (99, 99), (0, 0))  # rho 0.6 but for two on other scales
    assert rule(others).outcome is Outcome.HOLDS
    found = rules.same_order("one", "other.b", without=("5", "6"))(others)
    assert found.outcome is Outcome.IN_PART and "over 5 variants" in found.words
    alike = rule(seen((1, 7), (2, 7), (3, 7), (4, 7), (5, 7)))
    assert alike.outcome is Outcome.UNDECIDED and "does not differ" in alike.words


def test_no_picture_of_the_large_networks_is_enlarged(monkeypatch, tmp_path):
    study = STUDIES["output_size"]
    large = next(v for v in study.variants if v.name == "tutorial128")
    config = studies.config_of(study, large, 0)
    monkeypatch.setenv("DCGAN_DATA", str(tmp_path))
    pictures = np.random.default_rng(0).integers(0, 256, (6, 250, 250, 3), np.uint8)
    np.savez(tmp_path / "lfw.npz", images=pictures[:, :64, :64])
    with pytest.raises(data.NotAvailable, match=r"lfw.npz holds pictures of 64 pixels, 128 are needed.*lfw250.npz"):
        study.images(config)
    np.savez(tmp_path / "lfw250.npz", images=pictures)
    assert study.images(config).images.shape == (6, 128, 128, 3)


def counted_digits(variant, *trainings, real=310) -> list[dict]:
    """Rows of trainings: {samples: wrong of 10,000 held-out digits}; by test digits always 900."""
    held = [{"digits": 10_000, "generated": sorted(map(list, t.items())), "real": [[50_000, real]]} for t in trainings]
    test = {"digits": 10_000, "generated": [[50_000, 900]], "real": [[50_000, 310]]}
    return [{"variant": variant, "nearest": {"held_out": part, "test": test}} for part in held]


def test_classes_are_modelled_by_the_rule_of_c10():
    good = {1_000: 1_500, 50_000: 298, 1_000_000: 148}
    other = counted_digits("dense", {50_000: 628})
    assert rules.models_classes("released")(counted_digits("released", *[good] * 3) + other).outcome is Outcome.HOLDS
    assert rules.models_classes("released")(counted_digits("released", *[good] * 2) + other * 3).outcome is (
        Outcome.UNDECIDED
    )
    assert rules.models_classes("released")(counted_digits("released", good, good, {50_000: 450})).outcome is (
        Outcome.IN_PART
    )
    assert rules.models_classes("released", "test")(counted_digits("released", *[good] * 3)).outcome is Outcome.NOT
    few = {1_000: 200, 10_000: 200}  # too few samples, however good
    assert rules.models_classes("released")(counted_digits("released", few, good, good)).outcome is Outcome.UNDECIDED
    short = counted_digits("released", *[{50_000: 298}] * 3)  # of a million samples that are asked for
    for row in short:
        row["nearest"]["held_out"]["real"].append([1_000_000, 100])
    assert rules.models_classes("released", samples=1_000_000)(short).outcome is Outcome.HOLDS, "of as many real digits"
    assert rules.told_wrong(counted_digits("released", good)[0], "held_out", 500) == (1_000, 1_500, 10_000)
    diverged = [{"variant": "released", "diverged": "NaN"}]
    assert rules.models_classes("released")(counted_digits("released", good, good) + diverged).outcome is not (
        Outcome.HOLDS
    )


def test_fewer_wrong():
    many, own = ("released", 1_000_000), ("released", 50_000)
    falls, stays = {50_000: 300, 1_000_000: 150}, {50_000: 300, 1_000_000: 300}
    rule = rules.fewer_wrong(many, own)
    assert rule(counted_digits("released", falls, falls, falls)).outcome is Outcome.HOLDS
    # each training is held against itself: one that begins lower than another ends is no matter
    low = {50_000: 140, 1_000_000: 120}
    assert rule(counted_digits("released", falls, falls, low)).outcome is Outcome.HOLDS
    assert rule(counted_digits("released", falls, falls, stays)).outcome is Outcome.IN_PART
    assert rule(counted_digits("released", stays, stays, stays)).outcome is Outcome.NOT
    assert rule(counted_digits("released", falls, falls)).outcome is Outcome.UNDECIDED
    rule = rules.fewer_wrong(own, ("dense", 50_000))
    ours = counted_digits("released", {50_000: 300}, {50_000: 310}, {50_000: 320})
    for dense, outcome in (
        ((628, 640, 500), Outcome.HOLDS),
        ((628, 640, 315), Outcome.IN_PART),
        ((315, 325, 335), Outcome.IN_PART),  # each seed fewer than its own, and the ranges meet
        ((300, 310, 320), Outcome.NOT),
        ((628, 640), Outcome.UNDECIDED),
    ):
        found = rule(ours + counted_digits("dense", *({50_000: n} for n in dense)))
        assert found.outcome is outcome
        assert outcome is Outcome.UNDECIDED or "released with 50,000 samples 3.00% to 3.20%" in found.words
    diverged = [{"variant": "dense", "diverged": "NaN"}]
    worse = rule(ours + counted_digits("dense", {50_000: 628}, {50_000: 640}) + diverged)
    assert worse.outcome is Outcome.HOLDS and "100.00%" in worse.words


def test_reaches():
    rule = rules.reaches("released", {50_000: 0.0298, 10_000_000: 0.0148})
    right, late, short = ({50_000: a, 10_000_000: b} for a, b in ((298, 148), (310, 140), (290, 150)))
    other = counted_digits("dense", {50_000: 628})  # has no part in it
    for trainings, outcome in (
        ([right] * 3, Outcome.HOLDS),
        ([right, right, late], Outcome.IN_PART),
        ([right, short, late], Outcome.NOT),
        ([right, right], Outcome.UNDECIDED),
        ([right, right, {50_000: 290}], Outcome.UNDECIDED),
    ):
        assert rule(counted_digits("released", *trainings) + other).outcome is outcome
    assert (
        "2.98% to 3.10% with 50,000 samples (goal 2.98%)" in rule(counted_digits("released", right, right, late)).words
    )


def test_predictions_are_judged_in_the_results_file():
    study = two(counted([]), predicts=(Prediction("wide is worse", rules.every_worse("fast", "wide"), "C1"),))
    studies.run(study)
    found = results.load("two")
    assert found["measured"]["predictions"][0]["verdict"] == "undecided" == found["claims"]["C1"]["verdict"]


def test_the_claims_of_studies_are_judged_again():
    """From the rows that a results file has; without all of them there is no claim."""

    def claims(name, rows, missing=()):
        return {claim: said["verdict"] for claim, said in studies.judged(STUDIES[name], rows, missing)[1].items()}

    good = {1_000: 1_500, 50_000: 298}
    assert claims("conditional", counted_digits("released", good, good, good)) == {"C10": "holds on this set"}
    bad = counted_digits("released", *[{50_000: 900}] * 3)
    assert claims("conditional", bad) == {"C10": "does not hold"}
    assert claims("conditional", bad, [["dense", 2]]) == {}
    faces = rows(**{variant.name: (1.0, 2.0, 3.0) for variant in STUDIES["architecture"].variants})
    assert claims("architecture", faces) == {"C1": "holds on this set"}
    assert claims("domains", rows(lfw=[1, 2, 9.5])) == {"C1": "holds in part"}


# ---- few labels at each step -----------------------------------------------------------------------------------------


def test_the_curve_of_few_labels_is_the_protocol_at_each_step(tmp_path):
    images = data.load("digits", image_size=32)
    cuts = {"pool": slice(0, 300), "validation": slice(300, 500)}
    parts = {k: features.Part(images.images[c], images.labels[c], np.arange(len(images))[c]) for k, c in cuts.items()}
    networks = {step: models.build(TINY, seed=step) for step in (2, 4)}
    for step, (generator, discriminator) in networks.items():
        checkpoints.save(training.RunFolder(tmp_path).kept(step), generator, discriminator, {})
    rows = measures.few_labels_curve(measures.kept_weights(tmp_path), parts, 5, 3, 7)
    assert [row["step"] for row in rows] == [2, 4]
    for row in rows:
        D = networks[row["step"]][1]
        X, V = (features.discriminator_features(D, p.images, parts["pool"].images) for p in parts.values())
        errors = {}
        for C in features.RELEASED_C:
            drawn = [features.draw_labels(parts["pool"].labels, 5, 7 + i) for i in range(3)]
            fits = [LinearSVC(C=C, dual=False, tol=1e-6).fit(X[r], parts["pool"].labels[r]) for r in drawn]
            errors[C] = np.mean([1 - fit.score(V, parts["validation"].labels) for fit in fits])
        assert row["validation_error"] == pytest.approx(min(errors.values()), abs=0.01)
        assert row["validation_error"] == pytest.approx(errors[row["C"]], abs=0.01)
        assert row["interval"][0] < row["validation_error"] < row["interval"][1] < row["validation_error"] + 0.1
    assert rows[0]["validation_error"] != rows[1]["validation_error"]


def test_the_best_stage_of_svhn_has_the_lowest_validation_error():
    stages = [{"step": s, "validation_error": e} for s, e in ((1, 0.4), (2, 0.3), (4, 0.3), (8, 0.35))]
    assert svhn.best({"stages": stages})["step"] == 2
    assert [svhn.last_is_best({"stages": stages[:n]}) for n in (1, 2, 3, 4)] == [True, True, False, False]
    with pytest.raises(data.NotAvailable, match=r"runs/svhn: run `python -m experiments svhn` first"):
        svhn.chosen()


# ---- scale fast ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["svhn"],
        ["data_size", "--only", "anime_100"],
        ["conditional", "--only", "dense"],
        ["symptoms", "--only", "no_batch_norm", "digits_100"],
        ["judging_samples"],
        ["inspection_forgetting_scenes"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_fast_runs_from_nothing_to_its_end(arguments, tmp_path):
    own = {"PYTHONPATH": str(ROOT), "DCGAN_SCALE": "fast", "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    environment = {k: v for k, v in os.environ.items() if k != "DCGAN_RESULTS"} | own
    recorded = {path.name: path.read_bytes() for path in (ROOT / "results").glob("*.json")}
    done = subprocess.run(
        [sys.executable, "-m", "experiments", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    name = (STUDIES | ANALYSES)[arguments[0]].file
    record = json.loads((tmp_path / "runs" / "fast" / "results" / f"{name}.json").read_text())
    assert record["name"] == name and record["command"] == f"python -m experiments {arguments[0]}"
    assert {path.name: path.read_bytes() for path in (ROOT / "results").glob("*.json")} == recorded
