"""What `experiments.memorisation` tells apart: copies from new pictures, and blur from what is rare left out."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from dcgan_lib import features, metrics
from experiments import memorisation, verdicts
from experiments.memorisation import BLURRED, BOTH, CENTRAL, GENERATED, HELD_OUT, SHIFTED
from experiments.verdicts import Outcome

TRAINED, HELD, OTHERS = 800, 600, 1_000


def pixels(images):
    return images.reshape(len(images), -1).astype(np.float32) / 127.5


@pytest.fixture(scope="module")
def pictures():
    """Smooth pictures with fine noise, some further from the middle than others, uint8 (N, 16, 16, 1), in three parts:
    trained on, held out, and others of the same kind."""
    rng = np.random.default_rng(0)
    n, x = TRAINED + HELD + OTHERS, np.pi * (np.arange(16) + 0.5) / 16
    waves = [np.outer(np.cos(a * x), np.cos(b * x)) for a, b in ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0))]
    smooth = np.tensordot(rng.normal(0, 15, (n, 5)) * rng.lognormal(0, 0.4, (n, 1)), waves, 1)
    images = (128 + smooth + rng.normal(0, 10, (n, 16, 16))).round().clip(0, 255).astype(np.uint8)[..., None]
    return images[:TRAINED], images[TRAINED:-OTHERS], images[-OTHERS:]


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch):
    monkeypatch.setattr(memorisation, "DRAWS", 200)


def measured(train, held_out, generated, kept=None):
    found = memorisation.measure(train, held_out, generated, {"pixels": pixels}, 0, kept)
    return found["spaces"]["pixels"], found["blur"]


def told(row, control):
    nearer = row["nearer"]
    explained = nearer["explained"][control]
    space = {"difference": nearer["difference"]["interval"], "share": explained["value"]}
    return verdicts.explains({"pixels": space | {"explained": explained["interval"]}}).outcome


# ---- the controls name the cause that was planted --------------------------------------------------------------------


def test_blur_is_told(pictures):
    train, held_out, others = pictures
    row, blur = measured(train, held_out, metrics.blurred(others, 1.2))
    assert blur["sd"] == pytest.approx(1.2, abs=0.1)
    assert told(row, BLURRED) is Outcome.HOLDS


def test_what_is_rare_left_out_is_told(pictures):
    train, held_out, others = pictures
    away = np.linalg.norm(pixels(metrics.blurred(others, 2)) - pixels(train).mean(0), axis=1)  # whatever the noise
    row, _ = measured(train, held_out, others[np.argsort(away)[: OTHERS // 5]])
    assert told(row, CENTRAL) is Outcome.HOLDS and told(row, BLURRED) is Outcome.NOT
    centre, coverage = row["nearer"]["from_centre"], row["coverage"]
    assert centre[CENTRAL] == pytest.approx(centre[GENERATED], rel=0.02) and centre[HELD_OUT] > 1.1 * centre[GENERATED]
    assert coverage[GENERATED][1] == coverage[HELD_OUT][1] and coverage[GENERATED][0] < 0.8 * coverage[HELD_OUT][0]


def test_nothing_to_explain(pictures):
    row, _ = measured(*pictures)
    assert {told(row, control) for control in (BLURRED, CENTRAL, BOTH)} == {Outcome.UNDECIDED}
    low, high = features.proportion_interval(*row["fair"]["all"]["distinct"])
    assert low < row["fair"]["all"]["expected"] == TRAINED / (TRAINED + HELD) < high


def test_a_real_picture_counts_once_however_many_it_is_nearest_to():
    """Five pictures with three nearest: 0 (three of them) and 7 were trained on, 2 was held out."""
    old = np.array([[0], [0], [0], [7], [4]]), np.array([[1.0], [1], [1], [1], [9]])
    new = np.array([[0], [0], [7], [2], [2]]), np.array([[2.0], [2], [2], [2], [3]])
    found = memorisation.counted_once(old, new)
    assert found == {"distinct": [2, 3], "most": 3, "independent": pytest.approx(25 / 11)}


def test_the_share_of_distinct_pictures_is_as_symmetry_says():
    """Many parts of one set into trained on and held out: the share spreads as that of independent pictures does.

    The share of generated pictures spreads more, as `independent` of them would.
    """
    rng = np.random.default_rng(0)
    real, asked = rng.normal(size=(400, 6)), 0.5 * rng.normal(size=(600, 6))
    shares, distinct, found = [], [], None
    for _ in range(300):
        real = rng.permutation(real)
        old, new = (metrics.nearest(asked, part) for part in (real[:300], real[300:]))
        shares.append((old[1] < new[1]).mean())
        found = memorisation.counted_once(old, new)
        distinct.append(found["distinct"][0] / found["distinct"][1])
    n, left = found["distinct"][1], 1 - found["distinct"][1] / 400  # drawn from 400, without putting back
    assert np.mean(shares) == pytest.approx(0.75, abs=0.01) == np.mean(distinct)
    assert np.std(distinct) == pytest.approx(np.sqrt(0.75 * 0.25 / n * left), rel=0.15)
    assert np.std(shares) == pytest.approx(np.sqrt(0.75 * 0.25 / found["independent"]), rel=0.15)
    assert found["independent"] < 300 and np.std(shares) > 1.3 * np.sqrt(0.75 * 0.25 / 600)


def test_copies_are_explained_by_neither(pictures):
    train, held_out, _ = pictures
    row, _ = measured(train, held_out, train)
    assert {told(row, control) for control in (BLURRED, CENTRAL, BOTH)} == {Outcome.NOT}
    assert row["fair"]["all"][GENERATED] == [TRAINED, TRAINED]


# ---- the parts -------------------------------------------------------------------------------------------------------


def test_blurred_pictures_are_no_sharper_than_asked(pictures):
    _, held_out, others = pictures
    soft = metrics.blurred(others, 0.8)
    out, about = memorisation.as_blurred(held_out, soft)
    goal, now = memorisation.sharpness(soft), memorisation.sharpness(out)
    assert all(now[name] <= goal[name] for name in goal) and max(now[name] / goal[name] for name in goal) > 0.9
    assert about["sharpness"] == {GENERATED: goal, HELD_OUT: memorisation.sharpness(held_out), BLURRED: now}
    same, about = memorisation.as_blurred(soft, held_out)
    assert about["sd"] == 0 and same is soft, "what is blurrier already stays as it is"


def test_sharpness_by_plain_loops():
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3), dtype=np.uint8)
    energies = []
    for picture in images.astype(float).mean(3):
        values = [
            4 * picture[y, x] - picture[y - 1, x] - picture[y + 1, x] - picture[y, x - 1] - picture[y, x + 1]
            for y in range(1, 5)
            for x in range(1, 4)
        ]
        energies.append(np.mean(np.square(values)))
    assert memorisation.sharpness(images)["Laplacian"] == pytest.approx(np.median(energies), rel=1e-5)


@pytest.mark.parametrize("n", [1, 2, 50])
def test_matched_by_all_pairs(n):
    rng = np.random.default_rng(n)
    wanted, offered = rng.normal(size=100), rng.normal(size=n)
    found = offered[memorisation.matched(wanted, offered)]
    assert np.abs(wanted - found) == pytest.approx(cdist(wanted[:, None], offered[:, None]).min(1))


def test_near_duplicates_are_found_counted_by_part_and_dropped(pictures):
    """Each planted kind of pair; and the fair test without them as if they had never been there."""
    train, held_out, others = (
        np.repeat(part[:n], 3, axis=3) for part, n in zip(pictures, (200, 100, 150), strict=True)
    )
    train[5], held_out[7], held_out[9] = train[2], train[3], held_out[8]
    images = np.concatenate([train, held_out])
    found = memorisation.duplicates(images, 200, steps=20, seed=0)
    assert {(2, 5), (3, 207), (208, 209)} <= {tuple(pair[:2]) for pair in found["pairs"]}
    assert {5, 207, 209} <= set(found["dropped"]) and not {2, 3, 208} & set(found["dropped"])
    assert tuple(found["methods"]) == memorisation.COUNTED and not found["left_out"]
    for name, row in found["methods"].items():
        kinds = [row[kind] for kind in ("both trained on", "one of each", "both held out")]
        assert sum(kinds) == row["pairs"]
        assert min(kinds) >= 1, name
    dropped = np.array([0, 5, 17, 207, 209])
    alone = np.isin(np.arange(300), dropped, invert=True)
    row, _ = measured(train, held_out, others, (alone[:200], alone[200:]))
    kept = np.flatnonzero(alone)
    old, new = (images[kept[part]] for part in (kept < 200, kept >= 200))
    for name, asked in ((GENERATED, others), (SHIFTED, None)):
        if asked is None:  # copies of what is left
            drawn = np.random.default_rng(0).choice(200, 100, replace=False)
            asked = np.roll(train[drawn[~np.isin(drawn, dropped)]], 1, axis=2)
        away = [cdist(pixels(asked), pixels(part)).min(1) for part in (old, new)]
        assert row["deduplicated"][name] == [int((away[0] < away[1]).sum()), len(asked)]
    assert row["deduplicated"]["expected"] == len(old) / len(kept)
    assert row["fair"]["all"]["expected"] == 200 / 300


def test_phash_is_left_out_where_it_cannot_be_had(pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagehash", None)
    found = memorisation.duplicates(pictures[0][:50], 40, steps=2, seed=0)
    assert "phash" in found["left_out"] and "phash, up to 4 bits, compared" not in found["methods"]


# ---- which trainings are judged --------------------------------------------------------------------------------------


def test_other_trainings_count_by_their_best_stage_beside_one_as_long(monkeypatch, tmp_path):
    from experiments.analyses import latent_faces
    from experiments.study import config_of

    monkeypatch.delenv("DCGAN_SCALE", raising=False)  # the steps of the reference runs
    study, steps = latent_faces.STUDY, latent_faces.STUDY.base.steps
    stages = [{"step": step, "frechet": distance} for step, distance in ((1_000, 3.0), (2_000, 1.0), (3_000, 2.0))]
    rows = {0: {"stages": stages}, 1: {"stages": stages}, 2: None, 3: {"diverged": "at step 7"}}
    there = [(study.variants[0], seed, row, "") for seed, row in rows.items()]
    monkeypatch.setattr(latent_faces, "rows_there", lambda study: there)
    monkeypatch.setenv("DCGAN_RESULTS", str(tmp_path))
    recorded = tmp_path / "training_faces.json"
    recorded.write_text(json.dumps({"measured": {"steps": steps}}))
    found, left_out = latent_faces.other_trainings()
    kept = config_of(study, study.variants[0], 1).out / "kept" / "step_0002000.safetensors"
    assert found == {1: (2_000, kept)}
    assert left_out == {"seed 2": "not trained yet", "seed 3": "it diverged"}
    recorded.write_text(json.dumps({"measured": {"steps": 6_000}}))
    found, left_out = latent_faces.other_trainings()
    assert not found and "what ships had 6,000 steps, not 15,000" in left_out["seed 1"]


def test_other_trainings_outlive_their_networks(monkeypatch, tmp_path):
    """As recorded, where they are of the same seed, pool, pictures and settings, and not here to be measured anew."""
    from experiments.analyses import latent_faces

    monkeypatch.setenv("DCGAN_RESULTS", str(tmp_path))
    monkeypatch.setattr(latent_faces, "real_faces", lambda: SimpleNamespace(fingerprint="f"))
    rows = [{"seed": seed, "digest": "d"} for seed in (1, 2, 3)]
    settings, here = {"seeds": (11, 111)}, {"seed 1": latent_faces.NOT_HERE, "seed 2": "it diverged"}
    record = {
        "seed": latent_faces.SEED,
        "settings": {"seeds": [11, 111]},
        "data": {"fingerprint": "f"},
        "measured": {"pool": latent_faces.POOL, "other_trainings": rows},
    }
    for change, kept in (
        ({}, {1: rows[0]}),
        ({"seed": 5}, {}),
        ({"settings": {"seeds": [11]}}, {}),
        ({"data": {"fingerprint": "g"}}, {}),
        ({"measured": record["measured"] | {"pool": 7}}, {}),
    ):
        (tmp_path / "latent_faces.json").write_text(json.dumps(record | change))
        assert latent_faces.recorded_trainings(settings, here) == kept, change


def test_a_training_measured_before_faces_were_counted_once_is_named():
    from experiments.analyses import latent_faces

    def row(seed, **counts):
        return {"seed": seed, "memorisation": {space: {"fair": {"all": counts}} for space in latent_faces.JUDGED}}

    found = latent_faces.not_counted_once(
        row(0, distinct=[1, 2]) | {"other_trainings": [row(1), row(2, distinct=[1, 2])]}
    )
    assert list(found) == ["C5 of seed 1"] and "python" not in found["C5 of seed 1"]


def test_copies_are_looked_for_anew_when_what_looks_for_them_changes(monkeypatch):
    from experiments.analyses import latent_faces

    keys = {}

    def once(path, key, measure):
        keys[path.stem] = json.dumps(key)
        return {"spaces": {}, "blur": {}, "dropped": []}

    def asked():
        latent_faces.memorised(None)
        latent_faces.kept("pose", None)
        return dict(keys)

    monkeypatch.setattr(latent_faces, "once", once)
    monkeypatch.setattr(latent_faces, "real_faces", lambda: SimpleNamespace(fingerprint="f"))
    monkeypatch.setattr(latent_faces.checkpoints, "load", lambda weights: (None, None))
    monkeypatch.setattr(latent_faces.checkpoints, "load_classifier", lambda name: (None, None))
    monkeypatch.setattr(latent_faces.checkpoints, "digest", lambda network: "d")
    monkeypatch.setattr(memorisation, "efficientnet_digest", lambda: None)
    before = asked()
    assert latent_faces.VERSION > 1 and len(before) == 4
    for module, name, value, changed in (
        (memorisation, "efficientnet_digest", lambda: "e", {"copies_by_efficientnet"}),  # the extra is there now
        (memorisation, "VERSION", 9, {"copies", "copies_by_efficientnet"}),
        (latent_faces, "AVERAGED", 9, {"copies", "copies_by_efficientnet", "pose"}),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            now = asked()
        assert {part for part in now if now[part] != before[part]} == changed, name
