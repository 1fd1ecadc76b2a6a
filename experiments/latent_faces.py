"""C5, C8, C9: what the face generator knows. Walks, memorisation, arithmetic, pose, each with a control and a number.

    python experiments/latent_faces.py

Needs the shipped faces and face_attributes (training_face_attributes.py, training_faces.py) and CelebA's first 10,000
faces, 9,000 of which both were trained on. Minutes on two CPU cores. What each claim predicts, fixed before the run:

C5  walks: no step of a walk is like a cut (largest step below 3 mean steps; a cut between two pictures has 32).
    Memorisation: generated faces are no nearer to training faces than held-out real faces are, in features and in
    pixels (at most 5 % of them below the held-out ones' 1 % quantile), where altered copies are found by the same rule.
C8  the classifier calls more than half of the results what the words say, and more than of the control that leaves
    the sum out.
C9  along the turn vector the measured pose grows for more than 90 % of random faces; along random directions of the
    same length for about half.

Writes results/latent_faces.json.
"""

import numpy as np
import torch
from scipy.stats import spearmanr
from training_faces import FACES, HELD_OUT

from dcgan_lib import checkpoints, data, features, latent, metrics, models, results, training

SEED, POOL = 1, 10_000
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
REPETITIONS = 10  # McGill's; disjoint triples
PAIRS, STEPS = 200, 33
NEAR = 2_000  # generated faces that are looked up


class Faces:
    """The generator, the eye, the pool of samples and what the eye says of them."""

    def __init__(self):
        self.generator, _ = checkpoints.load("faces")
        self.classifier, about = checkpoints.load_classifier("face_attributes")
        self.names = about["names"]
        self.pool = models.sample_latent(POOL, self.generator.arch, SEED)
        self.images = models.sample(self.generator, self.pool)
        self.opinion = features.attribute_probabilities(self.classifier, self.images)  # (POOL, 40)

    def draw(self, z):
        return models.sample(self.generator, z)

    def seen(self, images, wanted: dict[str, bool]) -> np.ndarray:
        """(N,) whether the eye sees all that is wanted."""
        p = features.attribute_probabilities(self.classifier, images)
        return np.all([(p[:, self.names.index(k)] > 0.5) == yes for k, yes in wanted.items()], axis=0)


def directions(faces: Faces) -> dict:
    """Vector, accuracy, and what two units along it change in the eye's opinion of 500 other faces."""
    z = models.sample_latent(500, faces.generator.arch, SEED + 1)
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
    """Smoothness of PAIRS walks in the eye's features, beside a cross-fade of the same end pictures and a cut."""
    ends = models.sample_latent(2 * PAIRS, faces.generator.arch, SEED + 2).view(PAIRS, 2, -1)
    kinds = {"linear": [], "spherical": [], "cross-fade": [], "cut": []}
    t = torch.linspace(0, 1, STEPS)[:, None, None, None]
    for pair in ends:
        paths = {kind: faces.draw(latent.interpolate(pair, STEPS, kind)) for kind in latent.KINDS}
        first, last = paths["linear"][0], paths["linear"][-1]
        paths |= {"cross-fade": first + t * (last - first), "cut": torch.where(t < 0.5, first, last)}
        for kind, images in paths.items():
            kinds[kind].append(latent.path_report(features.deep_features(faces.classifier, images)))
    out = {k: {n: summary([r[n] for r in rows]) for n in rows[0]} for k, rows in kinds.items()}
    # Are pictures half way as good as samples? Distance to real faces, beside that of samples.
    pairs = faces.pool.view(2, -1, faces.pool.shape[1])[:, :5000]
    real = features.deep_features(faces.classifier, data.load("celeba", limit=FACES).images)
    middles = {
        "samples": faces.pool[:5000],
        "linear": (pairs[0] + pairs[1]) / 2,
        "spherical": torch.stack([latent.interpolate(p, 3, "spherical")[1] for p in pairs.transpose(0, 1)]),
    }
    vectors = {k: features.deep_features(faces.classifier, faces.draw(z)) for k, z in middles.items()}
    return {"walks": out, "middles": {k: metrics.frechet_distance(v, real) for k, v in vectors.items()}}


def summary(values) -> dict:
    return {"mean": float(np.mean(values)), "sd": float(np.std(values)), "largest": float(np.max(values))}


def memorisation(faces: Faces) -> dict:
    """Distances to the nearest training face: of generated and of held-out faces, and of altered copies."""
    real = data.load("celeba", limit=FACES + HELD_OUT).images
    train, held_out = real[:FACES], real[FACES:]
    copies = {
        "mirrored": train[:HELD_OUT, :, ::-1],
        "shifted by a pixel": np.roll(train[:HELD_OUT], 1, axis=2),
        "darker by a fifth": (train[:HELD_OUT] * 0.8).astype(np.uint8),
    }
    sets = {"generated": data.to_uint8(faces.images[:NEAR]), "held out": held_out, **copies}
    spaces = {
        "features": lambda images: features.deep_features(faces.classifier, images),
        "pixels": lambda images: images.reshape(len(images), -1).astype(np.float32) / 127.5,
    }
    out = {}
    for space, vectors in spaces.items():
        references = vectors(train)
        near = {name: metrics.nearest(vectors(images), references) for name, images in sets.items()}
        limit = float(np.quantile(near["held out"][1], 0.01))
        out[space] = {
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
    rng, out = np.random.default_rng(SEED), {}
    for result, task in SUMS.items():
        terms = {}
        for name, wanted in [*task["plus"], *task["minus"]]:
            best = latent.exemplars(faces.opinion, faces.names, wanted, 3 * REPETITIONS)
            terms[name] = rng.permutation(best).reshape(REPETITIONS, 3)
        plus, minus = ([name for name, _ in task[side]] for side in ("plus", "minus"))
        means = [
            latent.arithmetic([faces.pool[terms[n][r]] for n in plus], [faces.pool[terms[n][r]] for n in minus])
            for r in range(REPETITIONS)
        ]
        grids = [torch.cat([z[None], latent.neighbours(z, 8, seed=r)]) for r, z in enumerate(means)]
        singles = [
            sum(faces.pool[terms[n][r, k]] for n in plus) - sum(faces.pool[terms[n][r, k]] for n in minus)
            for r in range(REPETITIONS)
            for k in range(3)
        ]
        unchanged = [faces.pool[terms[plus[1]][r]].mean(0) for r in range(REPETITIONS)]
        pixels = [
            sum(faces.images[terms[n][r]].mean(0) for n in plus) - sum(faces.images[terms[n][r]].mean(0) for n in minus)
            for r in range(REPETITIONS)
        ]
        shown = {
            "latents": faces.draw(torch.stack(means)),
            "latents and neighbours": faces.draw(torch.cat(grids)),
            "single latents, no mean": faces.draw(torch.stack(singles)),
            f"the sum left out: mean {plus[1]}": faces.draw(torch.stack(unchanged)),
            "pixels": torch.stack(pixels).clamp(-1, 1),
        }
        both = {}
        for way, images in shown.items():
            seen = faces.seen(images, task["expected"])
            # Neighbours of one sum are no independent results: whole repetitions are drawn.
            groups = np.repeat(np.arange(REPETITIONS), len(seen) // REPETITIONS)
            parts = {k: float(faces.seen(images, {k: yes}).mean()) for k, yes in task["expected"].items()}
            both[way] = {"pictures": len(seen), "share": float(seen.mean()), "parts": parts}
            both[way]["interval"] = features.interval(seen, groups)
        out[result] = {"expected": task["expected"], "plus": plus, "minus": minus, "opinion": both}
        # Indices into the pool: the first triples are what the lab and the widgets show.
        out[result]["terms"] = {name: rows[0].tolist() for name, rows in terms.items()}
        out[result]["all_terms"] = {name: rows.tolist() for name, rows in terms.items()}
    return out


def sum_against_mean(faces: Faces) -> dict:
    """Bombay's comparison: G(z1 + z2) against the mean of the two pictures, as distances to real faces."""
    a, b = faces.pool[:2500], faces.pool[2500:5000]
    real = features.deep_features(faces.classifier, data.load("celeba", limit=FACES).images)
    shown = {
        "samples": faces.images[:2500],
        "G(z1 + z2)": faces.draw(a + b),
        "G((z1 + z2) / √2)": faces.draw((a + b) / 2**0.5),
        "mean of the two pictures": (faces.images[:2500] + faces.images[2500:5000]) / 2,
    }
    return {k: metrics.frechet_distance(features.deep_features(faces.classifier, v), real) for k, v in shown.items()}


def pose(faces: Faces, averaged: int = 4, tested: int = 500) -> dict:
    """The paper's turn vector, from `averaged` samples a side, along which `tested` other faces are turned."""
    turned = metrics.head_turn(faces.images)
    order = np.argsort(turned)
    left, right = order[:averaged], order[-averaged:]
    vector = latent.turn(faces.pool[left], faces.pool[right])
    rng = torch.Generator().manual_seed(SEED + 3)
    z = models.sample_latent(tested, faces.generator.arch, rng)
    alphas = np.linspace(-0.5, 0.5, 9)  # of the vector: from half of it towards left to half towards right
    p = features.attribute_probabilities
    before = p(faces.classifier, faces.draw(z)) > 0.5

    def along(v) -> dict:
        images = [faces.draw(z + float(a) * v) for a in alphas]
        measured = np.stack([metrics.head_turn(x) for x in images])  # (9, tested)
        rising = np.array([spearmanr(alphas, m).statistic for m in measured.T])
        means = measured.mean(1)
        line = np.polyval(np.polyfit(alphas, means, 1), alphas)
        grows = measured[-1] > measured[0]
        kept = [float(((p(faces.classifier, x) > 0.5) == before).mean()) for x in (images[0], images[-1])]
        return {
            "mean": means.tolist(),
            "deviation": measured.std(1).tolist(),
            "grows": float(grows.mean()),
            "interval": features.interval(grows),
            "rank_correlation": float(np.nan_to_num(rising).mean()),
            "r2_of_line": float(1 - ((means - line) ** 2).sum() / ((means - means.mean()) ** 2).sum()),
            "attributes_kept": float(np.mean(kept)),
        }

    random = torch.randn(10, len(vector), generator=rng)
    random = random / random.norm(dim=1, keepdim=True) * vector.norm()
    grows = [along(v)["grows"] for v in random]
    real = metrics.head_turn(data.load("celeba", limit=FACES).images)
    return {
        "alphas": alphas.tolist(),
        "turn": along(vector),
        "random_grows": grows,
        "length": float(vector.norm()),
        "left": left.tolist(),
        "right": right.tolist(),
        "vector": [float(f"{v:.5g}") for v in vector.tolist()],
        "spread": {"generated": float(turned.std()), "real": float(real.std())},
        "averaged": averaged,
        "tested": tested,
    }


def main() -> None:
    faces = Faces()
    measured = {
        "parameters": models.parameter_count(faces.generator),
        "digest": checkpoints.digest(faces.generator),
        "pool": POOL,
        "pool_seed": SEED,
        "directions": directions(faces),
        **walks(faces),
        "memorisation": memorisation(faces),
        "sums": sums(faces),
        "sum_against_mean": sum_against_mean(faces),
        "pose": pose(faces),
    }
    results.record(
        "latent_faces",
        measured,
        command="python experiments/latent_faces.py",
        settings={
            "generator": "results/training_faces.json",
            "classifier": "results/training_face_attributes.json",
            "pairs": PAIRS,
            "steps": STEPS,
            "looked_up": NEAR,
            "repetitions": REPETITIONS,
        },
        seed=SEED,
        images=data.load("celeba", limit=FACES + HELD_OUT),
        device=training.device_name(training.pick_device("cpu")),
        claims=claims(measured),
    )


def claims(m: dict) -> dict:
    steps = m["walks"]["linear"]["largest_step"]
    below = {space: m["memorisation"][space]["below"] for space in ("features", "pixels")}
    new = all(b["generated"] <= 0.05 for b in below.values())
    smooth = steps["largest"] < 3
    words = []
    holds = []
    for result, row in m["sums"].items():
        ours, without = row["opinion"]["latents"], next(v for k, v in row["opinion"].items() if "left out" in k)
        holds.append(ours["share"] > 0.5 and ours["interval"][0] > without["interval"][1])
        words.append(
            f"{result}: the classifier agrees with {ours['share']:.0%} of {ours['pictures']} sums of latents, "
            f"{row['opinion']['pixels']['share']:.0%} of sums of pixels, {without['share']:.0%} without the sum"
        )
    turn, random = m["pose"]["turn"], np.mean(m["pose"]["random_grows"])
    return {
        "C5": {
            "ours": f"{PAIRS} walks of {STEPS} pictures: the longest step is {steps['mean']:.2f} mean steps (at most "
            f"{steps['largest']:.2f}; a cut: {m['walks']['cut']['largest_step']['mean']:.0f}). Nearer to a training "
            f"face than 99 % of held-out real faces are: {below['features']['generated']:.1%} of generated faces in "
            f"features, {below['pixels']['generated']:.1%} in pixels.",
            "verdict": "holds on this set" if new and smooth else "holds in part" if new or smooth else "does not hold",
        },
        "C8": {
            "ours": "; ".join(words) + ".",
            "verdict": "holds on this set" if all(holds) else "holds in part" if any(holds) else "does not hold",
        },
        "C9": {
            "ours": f"Along the turn vector the measured pose grows for {turn['grows']:.0%} of {m['pose']['tested']} "
            f"faces (random directions: {random:.0%}); a line explains {turn['r2_of_line']:.0%} of the mean's course.",
            "verdict": "holds on this set"
            if turn["interval"][0] > 0.9 and random < 0.7
            else "holds in part"
            if turn["interval"][0] > random
            else "does not hold",
        },
    }


if __name__ == "__main__":
    main()
    print(results.folder() / "latent_faces.json")
