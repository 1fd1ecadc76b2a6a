"""C5, C8, C9: what the face generator knows. Walks, memorisation, arithmetic, pose, each with a control and a number.

    python -m experiments latent_faces

Needs the shipped faces and face_attributes and CelebA's first 10,000 faces, 9,000 of which both were trained on. The
rules are `verdicts.c5`, `c8` and `c9`, which say what each claim predicts and which of them were changed after a result
was known. C8 and C9 are measured with five seeds, of the pool, the exemplars and the random directions: all count.
They are seeds of the analysis, not of the training, of which there is one. Ten minutes of one CPU core; goes on where
it was stopped. Writes results/latent_faces.json.
"""

import numpy as np
import torch

from dcgan_lib import checkpoints, data, device, features, latent, metrics, models, results
from experiments import scale, verdicts
from experiments.studies.faces import FACES, HELD_OUT
from experiments.study import once

SEED, POOL = 11, 10_000  # the seed that chose the checkpoint is 1
SEEDS = (SEED, 111, 211, 311, 411)  # of C8 and C9: pool, exemplars, random directions; a seed uses its successors too
DIRECTIONS = {  # attribute → the slider's name
    "Smiling": "smile",
    "Male": "male",
    "Young": "young",
    "Eyeglasses": "glasses",
    "Blond_Hair": "blond hair",
    "Black_Hair": "black hair",
    "Bangs": "fringe",
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
REPETITIONS = 30  # McGill: ten; disjoint triples
CONTROL = "random differences"
SHIFTED = "shifted by a pixel"
UNTRAINED = "spherical, untrained generator"
PAIRS, STEPS = 100, 33
NEAR = 2_000  # generated faces that are looked up
MOVED, TURNED = 500, 200  # faces that attribute directions change, and that the turn vector turns


def real_faces() -> data.ImageSet:
    """Those that the networks were trained on, then those held out, in the order of the files."""
    return data.load("celeba").select(range(FACES + HELD_OUT))


class Faces:
    """The generator, the eye, a pool of samples and what the eye says of them."""

    def __init__(self, seed: int = SEED):
        self.seed = seed
        self.generator, _ = checkpoints.load("faces")
        self.classifier, about = checkpoints.load_classifier("face_attributes")
        self.names = about["names"]
        self.real = features.deep_features(self.classifier, real_faces().images[:FACES])  # (FACES, F)
        self.pool = models.sample_latent(POOL, self.generator.arch, seed)
        self.images = models.sample(self.generator, self.pool)
        self.opinion = features.attribute_probabilities(self.classifier, self.images)  # (POOL, 40)

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
    pairs = faces.pool.view(2, -1, faces.pool.shape[1])[:, : POOL // 2]
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


def memorisation(faces: Faces) -> dict:
    """Distances to the nearest training face: of generated and of held-out faces, and of altered copies.

    And the fair test: is the nearest of HELD_OUT training faces nearer than the nearest of HELD_OUT faces that were
    never trained on? Without memorisation it is for one half, by symmetry. Then all training faces against these:
    without memorisation FACES of FACES + HELD_OUT nearest ones are training faces.
    """
    real = real_faces().images
    train, held_out = real[:FACES], real[FACES:]
    drawn = np.random.default_rng(faces.seed).choice(FACES, HELD_OUT, replace=False)
    copies = {
        "mirrored": train[drawn, :, ::-1],
        SHIFTED: np.roll(train[drawn], 1, axis=2),
        "darker by a fifth": (train[drawn] * 0.8).astype(np.uint8),
    }
    sets = {"generated": data.to_uint8(faces.images[:NEAR]), "held out": held_out, **copies}
    spaces = {
        "features": lambda images: features.deep_features(faces.classifier, images),
        "pixels": lambda images: images.reshape(len(images), -1).astype(np.float32) / 127.5,
    }
    out = {}
    for space, vectors in spaces.items():
        references, looked_up = vectors(train), {name: vectors(images) for name, images in sets.items()}
        near = {name: metrics.nearest(v, references) for name, v in looked_up.items()}
        fair = {"as many": {"expected": 0.5}, "all": {"expected": FACES / (FACES + HELD_OUT)}}
        for name in ("generated", *copies):
            new = metrics.nearest(looked_up[name], looked_up["held out"])[1]
            old = {"as many": metrics.nearest(looked_up[name], references[drawn])[1], "all": near[name][1]}
            for test, distance in old.items():
                fair[test][name] = [int((distance < new).sum()), len(new)]
        limit = float(np.quantile(near["held out"][1], 0.01))
        out[space] = {
            "fair": fair,
            "limit": limit,
            "below": {name: float((d[:, 0] < limit).mean()) for name, (_, d) in near.items()},
            "quantiles": {
                name: [float(q) for q in np.quantile(d, (0.01, 0.25, 0.5, 0.75, 0.99))] for name, (_, d) in near.items()
            },
            "histogram": histogram(
                {name: d[:, 0] for name, (_, d) in near.items() if name in ("generated", "held out")}
            ),
        }
        order = np.argsort(near["generated"][1][:, 0])[:8]
        out[space]["closest"] = [[int(i), int(near["generated"][0][i, 0])] for i in order]  # sample, training face
    return out


def histogram(distances: dict[str, np.ndarray], bins: int = 40) -> dict:
    edges = np.linspace(0, max(d.max() for d in distances.values()), bins + 1)
    shares = {name: (np.histogram(d, edges)[0] / len(d)).round(4).tolist() for name, d in distances.items()}
    return {"edges": edges.round(4).tolist(), "shares": shares}


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


def pose(faces: Faces, averaged: int = 4) -> dict:
    """The paper's turn vector, from `averaged` samples a side, along which TURNED other faces are turned."""
    turned = metrics.head_turn(faces.images)
    order = np.argsort(turned)
    left, right = order[:averaged], order[-averaged:]
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
        "averaged": averaged,
        "tested": TURNED,
    }


def kept(name: str, measure, **settings) -> dict:
    """What `measure()` returns, kept under all that it depends on, so that a stopped command goes on."""
    key = {"pool": POOL, "repetitions": REPETITIONS} | settings
    key |= {"generator": checkpoints.digest(checkpoints.load("faces")[0])}
    key |= {"classifier": checkpoints.digest(checkpoints.load_classifier("face_attributes")[0])}
    out = scale.runs("latent_faces")
    out.mkdir(parents=True, exist_ok=True)
    return once(out / f"{name}.json", key, measure)


def repeated(seed: int) -> dict:
    """C8 and C9 with another seed: the numbers that their rules read."""

    def measure() -> dict:
        faces = Faces(seed)
        return counted(sums(faces), pose(faces), seed)

    return kept(f"seed_{seed}", measure, seed=seed)


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


PARTS = (memorisation, walks, directions, sums, sum_against_mean, pose)


def main() -> None:
    faces = Faces()
    about = {"seed": SEED, "pictures": real_faces().fingerprint, "pairs": [PAIRS, STEPS], "looked_up": NEAR}
    part = {f.__name__: kept(f.__name__, lambda f=f: f(faces), **about) for f in PARTS}
    measured = {
        "parameters": models.parameter_count(faces.generator),
        "digest": checkpoints.digest(faces.generator),
        "pool": POOL,
        "pool_seed": SEED,
        **part.pop("walks"),
        **part,
    }
    measured["seeds"] = [counted(measured["sums"], measured["pose"], SEED)]
    measured["seeds"] += [repeated(seed) for seed in SEEDS if seed != SEED]
    results.record(
        "latent_faces",
        measured,
        command="python -m experiments latent_faces",
        settings={
            "generator": "results/training_faces.json",
            "classifier": "results/training_face_attributes.json",
            "pairs": PAIRS,
            "steps": STEPS,
            "looked_up": NEAR,
            "repetitions": REPETITIONS,
            "seeds": SEEDS,
        },
        seed=SEED,
        images=real_faces(),
        device=device.device_name(device.pick_device("cpu")),
        claims=claims(measured),
    )


def claims(m: dict) -> dict:
    seeds, repetitions = m["seeds"], m["seeds"][0]["sums"]["smiling man"]["typical"][1]
    spaces, walked = m["memorisation"], m["walks"]
    tests = {
        f"{space}, {test}": {"expected": row["expected"], "generated": row["generated"], "copies": row[SHIFTED]}
        for space, found in spaces.items()
        for test, row in found["fair"].items()
    }
    near = "; ".join(
        f"{r['generated'][0] / r['generated'][1]:.1%} (by {k} training faces; {r['expected']:.0%} without "
        f"memorisation, {r['copies'][0] / r['copies'][1]:.0%} of training faces shifted by a pixel)"
        for k, r in tests.items()
    )
    walk, untrained = (walked[kind]["largest_step"]["mean"] for kind in ("spherical", UNTRAINED))
    summed = []
    for result in m["sums"]:
        shares = {
            way: [seed["sums"][result][way][0] / repetitions for seed in seeds]
            for way in ("typical", "surest", "control")
        }
        lower = min(features.proportion_interval(*seed["sums"][result]["typical"])[0] for seed in seeds)
        summed.append(
            f"{result}: the classifier agrees with {between(shares['typical'])} of {repetitions} sums of three typical "
            f"latents each (lower end {lower:.0%}), {between(shares['surest'])} with the surest, "
            f"{between(shares['control'])} of random sums"
        )
    turns = [seed["pose"] for seed in seeds]
    lower = min(verdicts.share_interval(*t["grows"], method="exact")[0] for t in turns)
    return {
        "C5": {
            "ours": f"The nearest real face of a generated one is a training face for {near}. {PAIRS} walks of "
            f"{STEPS} pictures: the longest step is {walk:.2f} mean steps (an untrained generator's {untrained:.2f}: "
            "smoothness decides nothing).",
            "verdict": str(verdicts.c5({space: tests[f"{space}, all"] for space in spaces})),
        },
        "C8": {
            "ours": f"With {len(seeds)} seeds, lowest to highest. " + "; ".join(summed) + ".",
            "verdict": str(verdicts.c8(seeds)),
        },
        "C9": {
            "ours": f"With {len(seeds)} seeds, lowest to highest: along the turn vector the measured pose grows for "
            f"{between([t['grows'][0] / t['grows'][1] for t in turns])} of {turns[0]['grows'][1]} faces (lower end "
            f"{lower:.1%}) and moves by {min(t['moved'] for t in turns):.2f} to {max(t['moved'] for t in turns):.2f} "
            f"(random directions: at most {max(abs(r) for t in turns for r in t['random_moved']):.2f}); a line "
            f"explains {between([t['r2'] for t in turns])} of the median face's course (random directions: up to "
            f"{max(r for t in turns for r in t['random_r2']):.0%}).",
            "verdict": str(verdicts.c9(turns)),
        },
    }


def between(shares) -> str:
    return f"{min(shares):.0%} to {max(shares):.0%}"
