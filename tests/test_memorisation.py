"""What `experiments.memorisation` tells apart: copies from new pictures, and blur from what is rare left out."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from dcgan_lib import deduplication, features, metrics, models
from dcgan_lib.architecture import architecture
from experiments import memorisation, verdicts
from experiments.analyses import latent_faces
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
    old, new = (np.array([[0], [0]]), np.array([[9.0], [1]])), (np.array([[0], [3]]), np.array([[1.0], [9]]))
    assert memorisation.counted_once(old, new)["distinct"] == [1, 2], "the first of the held-out ones is one of them"


def test_coverage_compares_equal_numbers():
    rng = np.random.default_rng(0)
    real, seen = rng.normal(size=(9, 2)), {GENERATED: rng.normal(size=(7, 2)), HELD_OUT: rng.normal(size=(8, 2))}
    expected = {name: [round(7 * metrics.coverage(real[:7], v[:7])), 7] for name, v in seen.items()}
    assert memorisation.coverage(real, seen) == expected


def test_pairs_are_counted_by_part_and_those_that_nothing_compared_drop_none(monkeypatch):
    compared = [[2, 3], [4, 5], [7, 8]]

    def found_by(name, images, hashes):
        pairs = np.array(compared if name.endswith("compared") else [[0, 9], *compared])
        return deduplication.Duplicates(10, pairs, np.zeros(len(pairs)), np.zeros(len(pairs)))

    monkeypatch.setattr(memorisation, "hashed", lambda *asked: None)
    monkeypatch.setattr(memorisation, "found_by", found_by)
    found = memorisation.duplicates(np.zeros((10, 4, 4, 3), np.uint8), 5, 1, 0)
    for name, row in found["methods"].items():
        more = not name.endswith("compared")
        assert list(row.values()) == [3 + more, 1, 1 + more, 1], name
    assert [pair[:2] for pair in found["pairs"]] == compared and found["dropped"] == [3, 5, 8]


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


def test_what_a_space_says_by_plain_loops(pictures):
    """Distances, the altered copies, what lies below the limit, and each control's share with its bootstrap."""
    train, held_out, others = (part[:n] for part, n in zip(pictures, (60, 40, 50), strict=True))
    others = metrics.blurred(others, 0.7)
    row, _ = measured(train, held_out, others)
    copied = train[np.random.default_rng(0).choice(60, 40, replace=False)]
    blurred, _ = memorisation.as_blurred(held_out, others)
    shown = {GENERATED: others, HELD_OUT: held_out, BLURRED: blurred, SHIFTED: np.roll(copied, 1, 2)}
    shown |= {"mirrored": np.flip(copied, 2), "darker by a fifth": np.floor(copied * 0.8)}
    away = {name: cdist(pixels(images), pixels(train)) for name, images in shown.items()}
    near = {name: found.min(1) for name, found in away.items()}
    limit = np.quantile(near[HELD_OUT], 0.01)
    assert row["limit"] == pytest.approx(limit, rel=1e-5)
    assert row["below"] == {name: pytest.approx((d < row["limit"]).mean()) for name, d in near.items()}
    order = np.argsort(near[GENERATED])[:8]
    assert row["closest"] == [[i, away[GENERATED][i].argmin()] for i in order]
    edges = row["histogram"]["edges"]
    assert edges[-1] == pytest.approx(max(near[GENERATED].max(), near[HELD_OUT].max()), abs=1e-3)
    for name, shares in row["histogram"]["shares"].items():
        assert np.cumsum(shares)[20] == pytest.approx((near[name] < edges[21]).mean(), abs=0.03)
        assert sum(shares) == pytest.approx(1, abs=0.003)
    centre = {name: np.linalg.norm(pixels(shown[name]) - pixels(train).mean(0), axis=1) for name in away}

    def medians(i, j):
        def at(name):  # of each generated picture the one as far from the centre
            return [near[name][j][np.abs(centre[name][j] - c).argmin()] for c in centre[GENERATED][i]]

        rows = {GENERATED: near[GENERATED][i], HELD_OUT: near[HELD_OUT][j], BLURRED: near[BLURRED][j]}
        return {name: np.median(d) for name, d in (rows | {CENTRAL: at(HELD_OUT), BOTH: at(BLURRED)}).items()}

    def share(m, control):
        return (m[HELD_OUT] - m[control]) / (m[HELD_OUT] - m[GENERATED])

    rng = np.random.default_rng(0)
    draws = [medians(rng.integers(0, 50, 50), rng.integers(0, 40, 40)) for _ in range(memorisation.DRAWS)]
    found = row["nearer"]
    for name, m in medians(np.arange(50), np.arange(40)).items():
        assert found["medians"][name]["value"] == pytest.approx(m, rel=1e-4)
        ends = np.quantile([d[name] for d in draws], (0.025, 0.975))
        assert found["medians"][name]["interval"] == pytest.approx(ends, rel=1e-4)
    for control in (BLURRED, CENTRAL, BOTH):
        assert found["explained"][control]["value"] == pytest.approx(
            share(medians(np.arange(50), np.arange(40)), control), rel=1e-3
        )
        ends = np.quantile([share(d, control) for d in draws], (0.025, 0.975))
        assert found["explained"][control]["interval"] == pytest.approx(ends, rel=1e-3, abs=1e-3)
    assert found["from_centre"][GENERATED] == pytest.approx(np.median(centre[GENERATED]), rel=1e-5)


def test_what_efficientnet_saw_is_kept_for_each_set_of_pictures(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(memorisation, "efficientnet_digest", lambda: "eye")
    monkeypatch.setattr(memorisation.measures, "seen_by", lambda eye, images: asked.append(eye) or pixels(images))
    look = memorisation.efficientnet(tmp_path)["efficientnet"]
    one, other = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4, 1), np.uint8)
    for images in (one, other, one):
        assert np.array_equal(look(images), pixels(images))
    assert asked == ["efficientnet"] * 2


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
    alone = [memorisation.sharpness(picture[None])["details"] for picture in images]
    assert memorisation.sharpness(images)["details"] == pytest.approx(np.median(alone)), "pictures do not mix"


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
    def row(seed, **counts):
        return {"seed": seed, "memorisation": {space: {"fair": {"all": counts}} for space in latent_faces.JUDGED}}

    found = latent_faces.not_counted_once(
        row(0, distinct=[1, 2]) | {"other_trainings": [row(1), row(2, distinct=[1, 2])]}
    )
    assert list(found) == ["C5 of seed 1"] and "python" not in found["C5 of seed 1"]


def test_copies_are_looked_for_anew_when_what_looks_for_them_changes(monkeypatch):
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


# ---- walks, directions, sums and pose of faces -----------------------------------------------------------------------


@pytest.fixture
def faces(monkeypatch):
    """Faces whose pictures are their latents and whose attributes are planted in the first three coordinates."""

    def opinion(classifier, images):  # smiling, male, and old where one is male
        z = images[:, [0, 1, 2, 1]] * torch.tensor([1, 1, 1, -1]) + torch.tensor([0, 0, 0, 0.5]) * images[:, [3]]
        return torch.sigmoid(8 * z).numpy()

    monkeypatch.setattr(latent_faces.features, "attribute_probabilities", opinion)
    monkeypatch.setattr(latent_faces.features, "deep_features", lambda classifier, images: images.flatten(1).numpy())
    monkeypatch.setattr(latent_faces, "POOL", 3_000)
    monkeypatch.setattr(latent_faces.Faces, "draw", lambda self, z: z)
    found = object.__new__(latent_faces.Faces)
    found.seed, found.classifier, found.names = 11, None, ["Smiling", "Male", "Eyeglasses", "Young"]
    found.generator = SimpleNamespace(arch=architecture("tiny32"))
    found.pool = models.sample_latent(3_000, found.generator.arch, 11)
    found.real = found.pool[:500].numpy()
    return found


def test_directions_change_their_attribute_in_other_faces(faces, monkeypatch):
    monkeypatch.setattr(latent_faces, "DIRECTIONS", {"Smiling": "smile", "Male": "male"})
    found = latent_faces.directions(faces)
    z = models.sample_latent(latent_faces.MOVED, faces.generator.arch, 12)
    for i, row in enumerate(found.values()):
        vector = torch.tensor(row["vector"])
        before, after = ((latent_faces.features.attribute_probabilities(None, x) > 0.5).mean(0)
                         for x in (z, z + 3 * vector))  # fmt: skip
        assert vector[i] > 0.95 and row["after"] == pytest.approx(after[i], abs=0.01) and row["after"] > 0.95
        assert row["before"] == before[i] and row["accuracy"] > 0.9
        assert row["others"] == pytest.approx(np.abs(np.delete(after - before, i)).mean(), abs=0.005)
    assert found["Male"]["most_moved_other"][0] == "Young" and found["Male"]["most_moved_other"][1] < -0.3


def test_walks_stand_between_a_fade_and_a_cut(faces, monkeypatch):
    for name, value in {"PAIRS": 3, "STEPS": 5, "POOL": 40}.items():
        monkeypatch.setattr(latent_faces, name, value)
    generator, _ = models.build("tiny32", widths=(4, 4, 4))
    faces.generator, faces.pool, faces.real = (
        generator,
        faces.pool[:40],
        np.random.default_rng(0).normal(size=(9, 3072)),
    )
    monkeypatch.setattr(latent_faces.Faces, "draw", lambda self, z: models.sample(self.generator, z))
    found = latent_faces.walks(faces)
    assert set(found["walks"]) == {"linear", "spherical", "cross-fade", "cut", latent_faces.UNTRAINED}
    assert found["walks"]["cut"]["largest_step"]["mean"] == pytest.approx(4)
    for name in ("detour", "largest_step"):
        assert found["walks"]["cross-fade"][name]["largest"] == pytest.approx(1, abs=1e-4)
    radius = {name: row["radius"] for name, row in found["middles"].items()}
    assert radius["linear"] == pytest.approx(radius["samples"] / 2**0.5, rel=0.15)
    assert radius["spherical"] == pytest.approx(radius["samples"], rel=0.05)


def test_sums_have_what_the_words_say(faces):
    for result, row in latent_faces.sums(faces).items():
        shares = {way: found["share"] for way, found in row["opinion"].items()}
        assert shares["means of three"] > 0.9 and shares["means of the surest three"] > 0.9, (result, shares)
        assert max(shares[latent_faces.CONTROL], shares[f"{row['plus'][1]}, unchanged"]) < 0.6
        assert row["opinion"]["means of three"]["pictures"] == latent_faces.REPETITIONS
        for name, wanted in [*latent_faces.SUMS[result]["plus"], *latent_faces.SUMS[result]["minus"]]:
            assert faces.seen(faces.pool[np.ravel(row["terms"][name])], wanted).all()


def test_pose_goes_from_left_to_right_and_random_ways_are_as_long(faces, monkeypatch):
    monkeypatch.setattr(latent_faces.metrics, "head_turn", lambda images: np.round(4 * images[:, 0].numpy()) / 4)
    monkeypatch.setattr(latent_faces, "real_faces", lambda: SimpleNamespace(images=faces.pool))
    found = latent_faces.pose(faces)
    rng, vector = torch.Generator().manual_seed(14), torch.tensor(found["vector"])
    order = np.argsort(latent_faces.metrics.head_turn(faces.pool))
    torch.testing.assert_close(
        vector, faces.pool[order[-4:]].mean(0) - faces.pool[order[:4]].mean(0), rtol=0, atol=1e-3
    )
    z = models.sample_latent(latent_faces.TURNED, faces.generator.arch, rng)
    ways = torch.randn(10, len(vector), generator=rng)
    ways *= vector.norm() / ways.norm(dim=1, keepdim=True)
    for way, row in zip((vector, *ways), (found["turn"], *found["random"]), strict=True):
        course = np.stack([latent_faces.metrics.head_turn(z + a * way) for a in found["alphas"]])
        assert row["moved"] == pytest.approx((course[-1] - course[0]).mean(), abs=0.01)
        assert row["grows"] == pytest.approx((course[-1] > course[0]).mean(), abs=0.01)
        moves = np.ptp(course, axis=0) > 0
        r2 = [np.corrcoef(found["alphas"], c)[0, 1] ** 2 for c in course.T[moves]] + [1.0] * int((~moves).sum())
        assert row["r2"] == pytest.approx(np.median(r2), abs=0.01)
    assert found["turn"]["moved"] > 1.5 and found["turn"]["grows"] == 1


def test_faces_are_counted_for_the_rules(faces, monkeypatch):
    shares = {"means of three": 0.9, "means of the surest three": 0.5, latent_faces.CONTROL: 0.2}
    opinion = {way: {"share": share, "pictures": 300} for way, share in shares.items()}
    turn = {"grows": 0.995, "moved": 0.3, "r2": 0.9}
    found = latent_faces.counted({"sum": {"opinion": opinion}}, {"turn": turn, "random": [turn], "tested": 200}, 7)
    assert found["sums"] == {"sum": {"typical": [27, 30], "surest": [15, 30], "control": [6, 30]}}
    assert found["pose"]["grows"] == [199, 200] and found["pose"]["random_moved"] == [0.3]
    wanted = {"Smiling": True, "Male": False}
    z = torch.tensor([[1.0, -1, 0, 0], [1, 1, 0, 0], [-1, -1, 0, 0]])
    assert faces.seen(z, wanted).tolist() == [True, False, False]
    monkeypatch.setattr(latent_faces, "FACES", 6)
    real = np.arange(9, dtype=np.uint8).reshape(9, 1, 1, 1)
    monkeypatch.setattr(latent_faces, "real_faces", lambda: SimpleNamespace(images=real))
    monkeypatch.setattr(latent_faces, "near_duplicates", lambda: {"dropped": [1, 7]})
    monkeypatch.setattr(latent_faces.data, "to_uint8", lambda x: x)
    _, train, held_out, (kept, kept_new) = latent_faces.pictures(faces, 2)
    assert train[kept].ravel().tolist() == [0, 2, 3, 4, 5] and held_out[kept_new].ravel().tolist() == [6, 8]
