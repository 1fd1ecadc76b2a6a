"""C5, C8, C9: what the face generator knows. Walks, memorisation, arithmetic, pose, each with a control and a number.

    python -m experiments latent_faces

Needs the shipped faces and face_attributes and CelebA's first 10,000 faces, 9,000 of which both were trained on. The
rules are `verdicts.c5`, `c8` and `c9`, which say what each claim predicts and which of them were changed after a result
was known. C8 and C9 are measured with five seeds, of the pool, the exemplars and the random directions: all count.
They are seeds of the analysis. Of trainings every one that is there is judged: what ships (seed 0), shown on the pages,
and the best stages of the study's other seeds where their runs are, or as recorded where these are not here and all
else is the same; `verdicts.over_trainings` puts them together.
Half an hour of one CPU core, half of it EfficientNet's, and 15 minutes more a training; goes on where it was stopped.
Writes results/latent_faces.json.
"""

import functools
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from dcgan_lib import checkpoints, data, device, features, latent, metrics, models, results, training
from experiments import memorisation, scale, verdicts
from experiments.memorisation import SHIFTED
from experiments.studies.faces import FACES, HELD_OUT, STUDY, best_stage
from experiments.study import config_of, once, rows_there

VERSION = 2  # of the code below and of `metrics.head_turn`: what an earlier one found is found anew
SEED, POOL = 11, 10_000
SEEDS = (SEED, 111, 211, 311, 411)  # of C8 and C9: pool, exemplars, random directions; a seed uses its successors too
DIRECTIONS = {  # attribute → the slider's name
    "Smiling": "smile",
    "Male": "male",
    "Young": "young",
    "Eyeglasses": "glasses",
    "Blond_Hair": "blond hair",
    "Black_Hair": "black hair",
    "Bangs": "bangs",
    "Heavy_Makeup": "make-up",
    "Pale_Skin": "pale skin",
    "Mouth_Slightly_Open": "open mouth",
}
SUMS = {  # result → plus, minus, and what the classifier should see
    "smiling man": {
        "plus": [
            ("smiling woman", {"Smiling": True, "Male": False}),
            ("neutral man", {"Smiling": False, "Male": True}),
        ],
        "minus": [("neutral woman", {"Smiling": False, "Male": False})],
        "expected": {"Smiling": True, "Male": True},
    },
    "woman with glasses": {
        "plus": [
            ("man with glasses", {"Eyeglasses": True, "Male": True}),
            ("woman without glasses", {"Eyeglasses": False, "Male": False}),
        ],
        "minus": [("man without glasses", {"Eyeglasses": False, "Male": True})],
        "expected": {"Eyeglasses": True, "Male": False},
    },
}
AVERAGED = 4  # faces a side of the turn vector, as in the paper
REPETITIONS = 30  # McGill: ten; disjoint triples
CONTROL = "random differences"
UNTRAINED = "spherical, untrained generator"
PAIRS, STEPS = 100, 33
NEAR = 2_000  # generated faces that are looked up
MOVED, TURNED = 500, 200  # faces that attribute directions change, and that the turn vector turns
FEW = 3_000  # training faces that EfficientNet looks at, beside all that were held out
AUTOENCODER = 2_000  # steps of the one that finds near duplicates
SHIPPED = "faces"
NOT_HERE = "not trained yet"
JUDGED = ("features", "pixels")  # the spaces of C5's rule; a third stands beside them


def real_faces() -> data.ImageSet:
    """Those that the networks were trained on, then those held out, in the order of the files."""
    return data.load("celeba").select(range(FACES + HELD_OUT))


class Faces:
    """A training's generator, the eye, a pool of samples and what the eye says of them, each made when asked for."""

    def __init__(self, seed: int = SEED, weights: str | Path = SHIPPED):
        self.seed = seed
        self.generator, _ = checkpoints.load(weights)
        self.classifier, about = checkpoints.load_classifier("face_attributes")
        self.names = about["names"]
        self.pool = models.sample_latent(POOL, self.generator.arch, seed)

    @functools.cached_property
    def real(self) -> np.ndarray:
        """Features of the faces that were trained on, (FACES, F)."""
        return features.deep_features(self.classifier, real_faces().images[:FACES])

    @functools.cached_property
    def images(self) -> torch.Tensor:
        return self.draw(self.pool)

    @functools.cached_property
    def opinion(self) -> np.ndarray:
        return features.attribute_probabilities(self.classifier, self.images)  # (POOL, 40)

    def draw(self, z):
        return models.sample(self.generator, z)

    def says(self, attribute: str, rows) -> np.ndarray:
        """Of samples of the pool: how likely the eye finds the attribute."""
        return self.opinion[rows, self.names.index(attribute)]

    def seen(self, images, wanted: dict[str, bool]) -> np.ndarray:
        """(N,) whether the eye sees all that is wanted."""
        p = features.attribute_probabilities(self.classifier, images)
        return np.all([(p[:, self.names.index(k)] > 0.5) == yes for k, yes in wanted.items()], axis=0)


def directions(faces: Faces) -> dict:
    """Vector, accuracy, and what three units along it change in the eye's opinion of MOVED other faces."""
    z = models.sample_latent(MOVED, faces.generator.arch, faces.seed + 1)
    before = features.attribute_probabilities(faces.classifier, faces.draw(z))
    out = {}
    for attribute, name in DIRECTIONS.items():
        i = faces.names.index(attribute)
        labels = faces.opinion[:, i] > 0.5
        if labels.sum() < 50:
            continue  # too rare among the samples for a direction
        found = latent.direction(faces.pool, labels)
        after = features.attribute_probabilities(faces.classifier, faces.draw(z + 3 * found.vector))
        change = (after > 0.5).mean(0) - (before > 0.5).mean(0)
        others = np.abs(np.delete(change, i))
        most = np.argsort(-np.abs(change))
        most = next(int(j) for j in most if j != i)
        out[attribute] = {
            "name": name,
            "share": float(labels.mean()),
            "accuracy": found.accuracy,
            "before": float((before[:, i] > 0.5).mean()),
            "after": float((after[:, i] > 0.5).mean()),
            "others": float(others.mean()),
            "most_moved_other": [faces.names[most], float(change[most])],
            "vector": [float(f"{v:.5g}") for v in found.vector.tolist()],
        }
    return out


def walks(faces: Faces) -> dict:
    """Smoothness of PAIRS walks in the eye's features, beside a cross-fade of the same end pictures and a cut.

    And beside the same walks through a generator that was never trained: what it passes says nothing of learning.
    """
    untrained, _ = models.build(faces.generator.arch, seed=faces.seed)
    models.calibrate(untrained, (models.sample_latent(128, untrained.arch, seed) for seed in range(10)))
    ends = models.sample_latent(2 * PAIRS, faces.generator.arch, faces.seed + 2).view(PAIRS, 2, -1)
    kinds = {"linear": [], "spherical": [], "cross-fade": [], "cut": [], UNTRAINED: []}
    t = torch.linspace(0, 1, STEPS)[:, None, None, None]
    for pair in ends:
        paths = {kind: faces.draw(latent.interpolate(pair, STEPS, kind)) for kind in latent.KINDS}
        first, last = paths["linear"][0], paths["linear"][-1]
        paths |= {"cross-fade": first + t * (last - first), "cut": torch.where(t < 0.5, first, last)}
        paths[UNTRAINED] = models.sample(untrained, latent.interpolate(pair, STEPS, "spherical"))
        for kind, images in paths.items():
            kinds[kind].append(latent.path_report(features.deep_features(faces.classifier, images)))
    out = {k: {n: summary([r[n] for r in rows]) for n in rows[0]} for k, rows in kinds.items()}
    # Are pictures half way as good as samples? Distance to real faces, beside that of samples.
    pairs = faces.pool.view(2, -1, faces.pool.shape[1])
    middles = {
        "samples": faces.pool[: POOL // 2],
        "linear": (pairs[0] + pairs[1]) / 2,
        "spherical": torch.stack([latent.interpolate(p, 3, "spherical")[1] for p in pairs.transpose(0, 1)]),
    }
    vectors = {k: features.deep_features(faces.classifier, faces.draw(z)) for k, z in middles.items()}
    rows = {k: {"radius": float(z.norm(dim=1).mean())} for k, z in middles.items()}
    for kind, v in vectors.items():
        rows[kind]["frechet"] = metrics.frechet_distance(v, faces.real)
    return {"walks": out, "middles": rows}


def summary(values) -> dict:
    return {"mean": float(np.mean(values)), "sd": float(np.std(values)), "largest": float(np.max(values))}


def copies(faces: Faces) -> dict:
    """`memorisation.measure` of NEAR samples by the classifier and in pixels, once more without `near_duplicates`."""
    generated, train, held_out, kept = pictures(faces, NEAR)
    return memorisation.measure(train, held_out, generated, memorisation.spaces(faces.classifier), faces.seed, kept)


def copies_by_efficientnet(faces: Faces) -> dict:
    """The same by an eye that takes forty times as long: as many samples as are held out, FEW training faces, and of
    altered copies one kind. Of no space where it cannot be had."""
    generated, train, held_out, (kept, kept_new) = pictures(faces, HELD_OUT)
    space = memorisation.efficientnet(scale.runs("latent_faces"))
    few = train[:FEW], held_out, generated, space, faces.seed, (kept[:FEW], kept_new), (SHIFTED,)
    return memorisation.measure(*few)


def pictures(faces: Faces, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Samples, faces trained on and held out; and which of these are no near duplicates, (FACES,) and (HELD_OUT,)."""
    real = np.asarray(real_faces().images)
    alone = np.isin(np.arange(len(real)), near_duplicates()["dropped"], invert=True)
    generated = data.to_uint8(faces.draw(faces.pool[:samples]))
    return generated, real[:FACES], real[FACES:], (alone[:FACES], alone[FACES:])


def memorised(faces: Callable[[], Faces], weights: str | Path = SHIPPED, name: str = "") -> dict:
    """What C5's rules read, space by space, and how blurred the samples are."""
    about = {"seed": SEED, "pictures": real_faces().fingerprint, "dropped": near_duplicates()["dropped"]}
    about |= {"memorisation": memorisation.VERSION, "draws": memorisation.DRAWS}
    found = kept(f"{name}copies", lambda: copies(faces()), weights, **about, looked_up=NEAR)
    about |= {"few": FEW, "eye": memorisation.efficientnet_digest()}
    few = kept(f"{name}copies_by_efficientnet", lambda: copies_by_efficientnet(faces()), weights, **about)
    return {"memorisation": found["spaces"] | few["spaces"], "blur": found["blur"]}


def near_duplicates() -> dict:
    """Among all faces, whatever the generator: kept apart, so that every training asks for the same ones."""
    out = scale.runs("latent_faces")
    key = {"pictures": real_faces().fingerprint, "steps": AUTOENCODER, "methods": list(memorisation.COUNTED)}
    key |= {"seed": SEED, "imagehash": importlib.util.find_spec("imagehash") is not None}  # one method needs it
    return once(
        out / "near_duplicates.json",
        key,
        lambda: memorisation.duplicates(np.asarray(real_faces().images), FACES, AUTOENCODER, SEED),
    )


def sums(faces: Faces) -> dict:
    """The paper's two figures, REPETITIONS times each, and what the eye sees in the results and in the controls."""
    out = {}
    for result, task in SUMS.items():
        (a, c), (b,) = ([name for name, _ in task[side]] for side in ("plus", "minus"))
        rng = np.random.default_rng(faces.seed)
        chosen, sureness = {}, {}
        for selection, seed in (("typical", faces.seed), ("surest", None)):
            rows = {}
            for name, wanted in [*task["plus"], *task["minus"]]:
                best = latent.exemplars(faces.opinion, faces.names, wanted, 3 * REPETITIONS, seed)
                p = np.min(
                    [faces.says(k, best) if yes else 1 - faces.says(k, best) for k, yes in wanted.items()], axis=0
                )
                sureness[f"{name}, {selection}"] = {"least": float(p.min()), "median": float(np.median(p))}
                rows[name] = rng.permutation(best).reshape(REPETITIONS, 3)
            chosen[selection] = rows
        terms = chosen["typical"]
        z, surest = (
            {name: faces.pool[torch.from_numpy(rows)] for name, rows in chosen[s].items()}
            for s in ("typical", "surest")
        )  # (REPETITIONS, 3, latent_dim) each
        means, extreme = (v[a].mean(1) - v[b].mean(1) + v[c].mean(1) for v in (z, surest))
        grids = torch.cat([torch.cat([m[None], latent.neighbours(m, 8, seed=r)]) for r, m in enumerate(means)])
        random = faces.pool[torch.from_numpy(rng.integers(0, POOL, (10 * REPETITIONS, 2, 3)))].mean(2)
        changed = z[c].mean(1).repeat_interleave(10, 0) + random[:, 0] - random[:, 1]
        pictures = {n: faces.images[torch.from_numpy(rows)].mean(1) for n, rows in terms.items()}
        single = (z[a] - z[b] + z[c]).flatten(0, 1)
        ways = {
            "means of three": means,
            "means of the surest three": extreme,
            "neighbours of the means": grids,
            "single latents": single,
            CONTROL: changed,
            f"{c}, unchanged": z[c].mean(1),
        }
        shown = {way: (latents, faces.draw(latents)) for way, latents in ways.items()}
        shown["pixels"] = None, (pictures[a] - pictures[b] + pictures[c]).clamp(-1, 1)
        opinion = {}
        for way, (latents, images) in shown.items():
            seen = faces.seen(images, task["expected"])
            # Pictures of one repetition are not independent: the interval is that of REPETITIONS.
            ci = features.proportion_interval(round(seen.mean() * REPETITIONS), REPETITIONS)
            away = metrics.nearest(features.deep_features(faces.classifier, images), faces.real)[1]
            opinion[way] = {
                "pictures": len(seen),
                "share": float(seen.mean()),
                "parts": {k: float((faces.seen(images, {k: yes})).mean()) for k, yes in task["expected"].items()},
                "interval": ci,
                "radius": None if latents is None else float(latents.norm(dim=1).mean()),
                "from_real": float(np.median(away)),
            }
        # Indices into the pool, by repetition: the first triples are what the lab and the widgets show.
        out[result] = {"plus": [a, c], "minus": [b], "expected": task["expected"], "opinion": opinion}
        out[result] |= {"sureness": sureness, "terms": {name: rows.tolist() for name, rows in terms.items()}}
    return out


def sum_against_mean(faces: Faces) -> dict:
    """Bombay's comparison: G(z1 + z2) against the mean of the two pictures, as distances to real faces."""
    a, b = faces.pool[: POOL // 4], faces.pool[POOL // 4 : POOL // 2]
    shown = {
        "samples": faces.images[: POOL // 4],
        "G(z1 + z2)": faces.draw(a + b),
        "G((z1 + z2) / √2)": faces.draw((a + b) / 2**0.5),
        "mean of the two pictures": (faces.images[: POOL // 4] + faces.images[POOL // 4 : POOL // 2]) / 2,
    }
    return {
        k: metrics.frechet_distance(features.deep_features(faces.classifier, v), faces.real) for k, v in shown.items()
    }


def pose(faces: Faces) -> dict:
    """The paper's turn vector, from AVERAGED samples a side, along which TURNED other faces are turned."""
    turned = metrics.head_turn(faces.images)
    order = np.argsort(turned)
    left, right = order[:AVERAGED], order[-AVERAGED:]
    vector = latent.turn(faces.pool[left], faces.pool[right])
    rng = torch.Generator().manual_seed(faces.seed + 3)
    z = models.sample_latent(TURNED, faces.generator.arch, rng)
    alphas = np.linspace(-0.5, 0.5, 9)  # of the vector: from half of it towards left to half towards right
    p = features.attribute_probabilities
    before = p(faces.classifier, faces.draw(z)) > 0.5

    def along(v) -> dict:
        images = [faces.draw(z + float(a) * v) for a in alphas]
        measured = np.stack([metrics.head_turn(x) for x in images])  # (9, TURNED)
        lines = np.stack([np.polyval(line, alphas) for line in np.polyfit(alphas, measured, 1).T], 1)
        left_over = ((measured - lines) ** 2).sum(0) / ((measured - measured.mean(0)) ** 2).sum(0).clip(1e-12)
        grows = measured[-1] > measured[0]
        kept = [float(((p(faces.classifier, x) > 0.5) == before).mean()) for x in (images[0], images[-1])]
        return {
            "mean": measured.mean(1).tolist(),
            "deviation": measured.std(1).tolist(),
            "moved": float((measured[-1] - measured[0]).mean()),
            "grows": float(grows.mean()),
            "interval": features.proportion_interval(int(grows.sum()), len(grows)),
            "r2": float(np.median(1 - left_over)),
            "attributes_kept": float(np.mean(kept)),
        }

    random = torch.randn(10, len(vector), generator=rng)
    random = random / random.norm(dim=1, keepdim=True) * vector.norm()
    others = [along(v) for v in random]
    real = metrics.head_turn(real_faces().images[:FACES])
    return {
        "alphas": alphas.tolist(),
        "turn": along(vector),
        "random": [{k: o[k] for k in ("moved", "grows", "r2", "attributes_kept")} for o in others],
        "length": float(vector.norm()),
        "left": left.tolist(),
        "right": right.tolist(),
        "vector": [float(f"{v:.5g}") for v in vector.tolist()],
        "spread": {"generated": float(turned.std()), "real": float(real.std())},
        "averaged": AVERAGED,
        "tested": TURNED,
    }


def kept(name: str, measure, weights: str | Path = SHIPPED, **settings) -> dict:
    """What `measure()` returns, kept under all that it depends on, so that a stopped command goes on."""
    key = {"version": VERSION, "pool": POOL, "repetitions": REPETITIONS, "sums": SUMS, "directions": DIRECTIONS}
    key |= {"moved": MOVED, "turned": TURNED, "averaged": AVERAGED} | settings
    key |= {"generator": checkpoints.digest(checkpoints.load(weights)[0])}
    key |= {"classifier": checkpoints.digest(checkpoints.load_classifier("face_attributes")[0])}
    return once(scale.runs("latent_faces") / f"{name}.json", key, measure)


def repeated(seed: int, weights: str | Path = SHIPPED, name: str = "") -> dict:
    """C8 and C9 with another seed: the numbers that their rules read."""

    def measure() -> dict:
        faces = Faces(seed, weights)
        return counted(sums(faces), pose(faces), seed)

    return kept(f"{name}seed_{seed}", measure, weights, seed=seed)


def counted(summed: dict, turned: dict, seed: int) -> dict:
    """What the rules of C8 and C9 read, from `sums` and `pose`: counts as [of, n]."""
    ways = {"typical": "means of three", "surest": "means of the surest three", "control": CONTROL}

    def count(row: dict, way: str) -> list[int]:
        # Ten controls share a third term: they count as one repetition each.
        return [round(row["opinion"][way]["share"] * REPETITIONS), REPETITIONS]

    turn, random = turned["turn"], turned["random"]
    return {
        "seed": seed,
        "sums": {result: {k: count(row, way) for k, way in ways.items()} for result, row in summed.items()},
        "pose": {
            "grows": [round(turn["grows"] * turned["tested"]), turned["tested"]],
            "moved": turn["moved"],
            "r2": turn["r2"],
            "random_moved": [r["moved"] for r in random],
            "random_r2": [r["r2"] for r in random],
        },
    }


def other_trainings() -> tuple[dict[int, tuple[int, Path]], dict[str, str]]:
    """{seed: (step, weights)} of the study's other trainings that are there, by their best stages; why others are not.

    They count beside what ships only where that is of a training as long.
    """
    found, left_out = {}, {}
    shipped = results.load(STUDY.file)["measured"]["steps"]
    for variant, seed, row, _ in rows_there(STUDY):
        config = config_of(STUDY, variant, seed)
        if seed == 0:
            continue
        if config.steps != shipped:
            left_out[f"seed {seed}"] = (
                f"what ships had {shipped:,} steps, not {config.steps:,}: run the study {STUDY.name}"
            )
        elif row is None or not row.get("stages"):
            left_out[f"seed {seed}"] = NOT_HERE if row is None else "it diverged"
        else:
            step = best_stage(row)["step"]
            found[seed] = step, training.RunFolder(config.out).kept(step)
    return found, left_out


def recorded_trainings(settings: dict, left_out: dict[str, str]) -> dict[int, dict]:
    """{seed: row} of results/latent_faces.json for the trainings that are not here to be measured anew.

    They are about other networks than the one that ships, so they stay true as long as the seed, the pool, the pictures
    and the settings are today's.
    """
    record = results.load("latent_faces") if results.there("latent_faces") else {"measured": {}}
    was = (record.get("seed"), record["measured"].get("pool"), record.get("settings"))
    if was != (SEED, POOL, json.loads(json.dumps(settings))):
        return {}
    if record["data"]["fingerprint"] != real_faces().fingerprint:
        return {}
    rows = {row["seed"]: row for row in record["measured"]["other_trainings"]}
    return {seed: row for seed, row in rows.items() if left_out.get(f"seed {seed}") == NOT_HERE}


def not_counted_once(measured: dict) -> dict[str, str]:
    """{training: why} of those whose real faces were not counted once, so that C5 says nothing of them."""
    trainings = {0: measured} | {row["seed"]: row for row in measured["other_trainings"]}
    return {
        f"C5 of seed {seed}": f"measured before real faces were counted once: run the study {STUDY.name} and this again"
        for seed, row in trainings.items()
        if not all("distinct" in row["memorisation"][space]["fair"]["all"] for space in JUDGED)
    }


PARTS = (walks, directions, sums, sum_against_mean, pose)


def judged(seed: int, step: int, weights: Path) -> dict:
    """Of another training than what ships: what the rules of C5, C8 and C9 read."""
    name = f"training_{seed}_"
    return {
        "seed": seed,
        "step": step,
        "digest": checkpoints.digest(checkpoints.load(weights)[0]),
        **memorised(lambda: Faces(SEED, weights), weights, name),
        "seeds": [repeated(s, weights, name) for s in SEEDS],
    }


def main() -> dict[str, str]:
    generator, _ = checkpoints.load(SHIPPED)
    faces = functools.cache(Faces)  # sampled where something is left to measure, and once
    about = {"seed": SEED, "pictures": real_faces().fingerprint, "pairs": [PAIRS, STEPS], "looked_up": NEAR}
    part = {f.__name__: kept(f.__name__, lambda f=f: f(faces()), **about) for f in PARTS}
    measured = {
        "parameters": models.parameter_count(generator),
        "digest": checkpoints.digest(generator),
        "step": checkpoints.info(SHIPPED)["about"]["step"],
        "pool": POOL,
        "pool_seed": SEED,
        **part.pop("walks"),
        **memorised(faces),
        "near_duplicates": near_duplicates(),
        **part,
    }
    measured["seeds"] = [counted(measured["sums"], measured["pose"], SEED)]
    measured["seeds"] += [repeated(seed) for seed in SEEDS if seed != SEED]
    settings = {
        "generator": "results/training_faces.json",
        "classifier": "results/training_face_attributes.json",
        "pairs": PAIRS,
        "steps": STEPS,
        "looked_up": NEAR,
        "by_efficientnet": [FEW, HELD_OUT],
        "repetitions": REPETITIONS,
        "seeds": SEEDS,
    }
    others, left_out = other_trainings()
    earlier = recorded_trainings(settings, left_out)
    left_out = {part: why for part, why in left_out.items() if part not in {f"seed {seed}" for seed in earlier}}
    rows = earlier | {seed: judged(seed, *of) for seed, of in others.items()}
    measured["other_trainings"] = [rows[seed] for seed in sorted(rows)]
    if "efficientnet" not in measured["memorisation"]:
        left_out["efficientnet"] = "it needs the extra: pip install 'dcgan_lib[metrics]'"
    measured["left_out"] = left_out | not_counted_once(measured)
    results.record(
        "latent_faces",
        measured,
        command="python -m experiments latent_faces",
        settings=settings,
        seed=SEED,
        images=real_faces(),
        device=device.device_name(device.pick_device("cpu")),
        claims=claims(measured),
    )
    return measured["left_out"]


CONTROLS = {  # what the control makes alike → its name
    "blur": memorisation.BLURRED,
    "what is rare is left out": memorisation.CENTRAL,
    "both": memorisation.BOTH,
}


def claims(m: dict) -> dict:
    """The claims' words and verdicts, and for C5 in "why" whether a control explains how near generated faces lie."""
    trainings = {0: m} | {row["seed"]: row for row in m["other_trainings"]}
    return {"C5": about_copying(m, trainings), "C8": about_sums(m, trainings), "C9": about_pose(trainings)}


def each(trainings: dict[int, dict], rule) -> verdicts.Verdict:
    return verdicts.over_trainings({seed: rule(training) for seed, training in trainings.items()})


def of_training(trainings: dict) -> str:
    return "Of one training." if len(trainings) == 1 else f"Of {len(trainings)} trainings, lowest to highest."


def about_copying(m: dict, trainings: dict[int, dict]) -> dict:
    def tests(spaces: dict, kind: str = "all") -> dict[str, dict]:
        rows = {k: v["deduplicated"] if kind == "deduplicated" else v["fair"][kind] for k, v in spaces.items()}
        names = {"expected": "expected", "generated": "generated", SHIFTED: "copies"}
        names |= {name: name for name in ("distinct", "most", "independent")}
        return {k: {new: r[name] for name, new in names.items() if name in r} for k, r in rows.items()}

    def share(counts: list[int]) -> float:
        return counts[0] / counts[1]

    words = []
    for space in m["memorisation"]:
        for kind in ("as many", "all", "deduplicated"):
            rows = [tests(t["memorisation"], kind)[space] for t in trainings.values() if space in t["memorisation"]]
            which = f"{kind} training faces" if kind != "deduplicated" else "all but near duplicates"
            words.append(
                f"{between([share(r['generated']) for r in rows], 1)} by {space}, {which} ({rows[0]['expected']:.1%} "
                f"without memorisation, {between([share(r['copies']) for r in rows])} of training faces shifted by a "
                "pixel)"
            )
    counted = [tests(t["memorisation"]) for t in trainings.values()]
    for space in JUDGED:
        if found := [rows[space]["distinct"] for rows in counted if "distinct" in rows[space]]:
            words.append(
                f"each nearest face counted once, {between([share(of) for of in found], 1)} by {space}, in "
                f"{len(found)} of {len(counted)} trainings"
            )
    beside = "".join(f" By {space} has no part in the rule." for space in m["memorisation"] if space not in JUDGED)
    walk, untrained = (m["walks"][kind]["largest_step"]["mean"] for kind in ("spherical", UNTRAINED))
    why = {
        name: str(each(trainings, lambda t, c=control: verdicts.explains(nearer(t["memorisation"], c))))
        for name, control in CONTROLS.items()
    }
    return {
        "ours": f"{of_training(trainings)} The nearest real face of a generated one is a training face for "
        f"{'; '.join(words)}.{beside} {PAIRS} walks of {STEPS} pictures: the longest step is {walk:.2f} mean steps "
        f"(an untrained generator's {untrained:.2f}: smoothness decides nothing).",
        "verdict": str(
            each(trainings, lambda t: verdicts.c5({k: tests(t["memorisation"])[k] for k in JUDGED})),
        ),
        "why": why,
    }


def nearer(spaces: dict, control: str) -> dict[str, dict]:
    """What `verdicts.explains` reads of one control."""
    return {
        space: {
            "difference": row["nearer"]["difference"]["interval"],
            "share": row["nearer"]["explained"][control]["value"],
            "explained": row["nearer"]["explained"][control]["interval"],
        }
        for space, row in spaces.items()
    }


def about_sums(m: dict, trainings: dict[int, dict]) -> dict:
    seeds = [seed for training in trainings.values() for seed in training["seeds"]]
    words = []
    for result in m["sums"]:
        counts = {way: [seed["sums"][result][way] for seed in seeds] for way in ("typical", "surest", "control")}
        shares = {way: between([of / n for of, n in found]) for way, found in counts.items()}
        lower = min(features.proportion_interval(*found)[0] for found in counts["typical"])
        words.append(
            f"{result}: the classifier agrees with {shares['typical']} of {counts['typical'][0][1]} sums of three "
            f"typical latents each (lower end {lower:.0%}), {shares['surest']} with the surest, {shares['control']} of "
            "random sums"
        )
    return {
        "ours": f"{of_training(trainings)} With {len(m['seeds'])} seeds each, lowest to highest. "
        + "; ".join(words)
        + ".",
        "verdict": str(each(trainings, lambda t: verdicts.c8(t["seeds"]))),
    }


def about_pose(trainings: dict[int, dict]) -> dict:
    turns = [seed["pose"] for training in trainings.values() for seed in training["seeds"]]
    lower = min(features.proportion_interval(*t["grows"], method="exact")[0] for t in turns)
    return {
        "ours": f"{of_training(trainings)} With {len(trainings[0]['seeds'])} seeds each, lowest to highest: along the "
        f"turn vector the measured pose grows for {between([t['grows'][0] / t['grows'][1] for t in turns])} of "
        f"{turns[0]['grows'][1]} faces (lower end {lower:.1%}) and moves by {min(t['moved'] for t in turns):.2f} to "
        f"{max(t['moved'] for t in turns):.2f} (random directions: at most "
        f"{max(abs(r) for t in turns for r in t['random_moved']):.2f}); a line explains "
        f"{between([t['r2'] for t in turns])} of the median face's course (random directions: up to "
        f"{max(r for t in turns for r in t['random_r2']):.0%}).",
        "verdict": str(each(trainings, lambda t: verdicts.c9([seed["pose"] for seed in t["seeds"]]))),
    }


def between(shares, digits: int = 0) -> str:
    low, high = (f"{end:.{digits}%}" for end in (min(shares), max(shares)))
    return low if low == high else f"{low} to {high}"
