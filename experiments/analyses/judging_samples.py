"""How to judge samples: how many a measure needs, what it sees and what not, and whether two eyes agree.

    python -m experiments judging_samples

Nothing is fetched or trained. The faces' generator that ships is the truth: its samples are the reference, other
samples of it are a generator that is exactly right, and a fault is put into those. Two eyes look at the same pictures,
the classifier of faces' attributes and, where the extra `metrics` is installed, EfficientNet. Beside them real digits,
scikit-learn's: one third taught the eye (a perceptron), one is the reference, one the right samples.

The rule, fixed before the run: a measure sees a fault where the 95 % interval of its value (`metrics.with_interval`)
lies wholly on one side of that of right samples of the same number. "worse" is the side that the fault deserves. More
right samples stand among the faults as a control: a measure that sees one there cries wolf. A measure tells two sets
apart from n samples on where the ranges of single values (1.96 standard deviations about the mean) part.

Under three minutes on one CPU core, most of it EfficientNet's. Writes results/judging_samples.json.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.neural_network import MLPClassifier
from tqdm import tqdm

from dcgan_lib import checkpoints, data, device, features, metrics, models, results

from ..measures import flat, hidden_layer

SEED = 31
POOL = 1_500  # reference samples, and as many right ones
N = 120  # in a set that is judged
FEW = 240  # of each that EfficientNet, which is slow, sees for the curves
SIZES = (25, 50, 100, 200, 500)
DRAWS = 10
CHANGES = {"noise": (5, 20, 80), "blur": (0.5, 1, 2), "weights": (0.1, 0.3), "truncated": (0.7, 0.3)}
DISTANCES = ("frechet_distance", "kernel_distance")  # larger is worse; the others are shares
MODES = ("Male", "Smiling")  # the four ways to have them are the faces' modes
Features = Callable[[np.ndarray], np.ndarray]
Set = tuple[str, float, np.ndarray]  # a fault, how much of it, and the features (N, F)


# ---- the pictures ----------------------------------------------------------------------------------------------------


def drawn(generator: models.Generator, latent: torch.Tensor) -> np.ndarray:
    return data.to_uint8(models.sample(generator, latent))


def changed(generator: models.Generator, latent: torch.Tensor, rng: np.random.Generator) -> list[tuple]:
    """(fault, amount, pictures) for each of CHANGES: of the pictures, of G's weights, of the latents."""
    right = drawn(generator, latent)
    makes = {
        "noise": lambda amount: metrics.noisy(right, amount, rng),
        "blur": lambda amount: metrics.blurred(right, amount),
        "weights": lambda amount: drawn(shaken(generator, amount), latent),
        "truncated": lambda amount: drawn(generator, amount * latent),
    }
    return [(name, amount, makes[name](amount)) for name, amounts in CHANGES.items() for amount in amounts]


def shaken(generator: models.Generator, amount: float) -> models.Generator:
    """A copy whose kernels have noise of so many of their own standard deviations."""
    rng = torch.Generator().manual_seed(SEED)
    generator = copy.deepcopy(generator)
    with torch.no_grad():
        for weight in generator.parameters():
            if weight.ndim > 1:
                weight.add_(amount * weight.std() * torch.randn(weight.shape, generator=rng))
    return generator


def modes_of(images: np.ndarray) -> np.ndarray:
    """Which of the four modes (men and not, smiling and not) a face is in, the most frequent first: (N,)."""
    eye, about = checkpoints.load_classifier("face_attributes")
    have = features.attribute_probabilities(eye, images)[:, [about["names"].index(name) for name in MODES]] > 0.5
    return by_frequency(have @ [2, 1])


def by_frequency(labels: np.ndarray) -> np.ndarray:
    """Labels as ranks: 0 for the most frequent."""
    _, ranks, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.argsort(np.argsort(-counts, kind="stable"))[ranks.reshape(len(labels))]


def chosen_faults(reference: np.ndarray, right: np.ndarray, modes: np.ndarray, rng: np.random.Generator) -> list[Set]:
    """Faults that are a choice of pictures, given the features of all (rows of NaN for pictures not looked at).

    dropped: so many of the modes are left out, the rarest first. repeated: so many different pictures. copied: this
    part is taken from the reference itself, as of a generator that has learnt its training set by heart.
    """
    count = int(modes.max()) + 1
    sets = [("again", 0, right[N : 2 * N])]
    for out in sorted({max(1, count // 5), count // 2, 3 * count // 4}):
        sets.append(("dropped", out, right[dropped(modes, count - out, rng)]))
    sets += [("repeated", m, metrics.repeated(right[:N], m)) for m in (N // 2, N // 10)]
    for part in (0.1, 0.5, 1.0):
        copies = round(part * N)
        sets.append(("copied", part, np.concatenate([reference[:copies], right[copies:N]])))
    return sets


def dropped(modes: np.ndarray, kept: int, rng: np.random.Generator) -> np.ndarray:
    """N indices of pictures whose mode is one of the `kept` most frequent ones; the same for the same rng."""
    there = np.flatnonzero(modes < kept)
    if len(there) < N:
        raise ValueError(f"{len(there)} pictures in {kept} modes, {N} are needed: take a larger POOL")
    return rng.choice(there, N, replace=False)


# ---- the measures ----------------------------------------------------------------------------------------------------


def judged(reference: np.ndarray, right: np.ndarray, sets: Sequence[Set], others: np.ndarray) -> list[dict]:
    """A row a set, the first the right samples: each measure with its interval and what it sees, and copies.

    `others` are right samples that set the scale of copies, none of the first 2 N: of those that set it as many lie
    below as it says, and "again" would be no control.
    """
    near = np.quantile(metrics.nearest(others, reference)[1], 0.01)
    rows = []
    for fault, amount, vectors in tqdm([("none", 0, right), *sets], "judging", unit="set", delay=2):
        row = {"fault": fault, "amount": amount, "measures": {}}
        for name, measure in metrics.MEASURES.items():
            found = metrics.with_interval(measure, reference, vectors, DRAWS, SEED)
            row["measures"][name] = found | {"seen": sees(name, found, rows[0]["measures"][name] if rows else found)}
        copies = int((metrics.nearest(vectors, reference)[1] < near).sum())
        row["copies"] = [copies, len(vectors)]
        rows.append(row)
    return rows


def sees(name: str, found: Mapping, right: Mapping) -> str:
    """'worse', 'better' or 'nothing', by the rule above."""
    if found["low"] > right["high"]:
        return "worse" if name in DISTANCES else "better"
    if found["high"] < right["low"]:
        return "better" if name in DISTANCES else "worse"
    return "nothing"


def needed(reference: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> dict[str, dict]:
    """For each measure its mean and spread against the number of samples, of right ones and of wrong ones, and from how
    many on it tells them apart (None: not from any tried)."""
    most = min(len(reference), len(right)) // 2
    table = {}
    for name, measure in metrics.MEASURES.items():
        sizes = [n for n in SIZES if n <= most]
        same = metrics.samples_needed(measure, reference, right, sizes, DRAWS, SEED)
        sizes = [n for n in SIZES if n <= min(len(reference), len(wrong)) // 2]
        other = metrics.samples_needed(measure, reference, wrong, sizes, DRAWS, SEED + 1)
        table[name] = {"right": same, "wrong": other, "from": apart(same, other)}
    return table


def apart(same: Sequence[Mapping], other: Sequence[Mapping]) -> int | None:
    """The first size from which on the ranges of single values never meet again."""
    parted = [
        (a["n"], abs(a["mean"] - b["mean"]) > 1.96 * (a["sd"] + b["sd"])) for a, b in zip(same, other, strict=False)
    ]
    sure = None
    for n, yes in reversed(parted):
        if not yes:
            break
        sure = n
    return sure


def same_order(one: Sequence[Mapping], other: Sequence[Mapping]) -> dict[str, float]:
    """Spearman's rank correlation of two eyes over the sets without copies, for each measure."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a["fault"] not in ("again", "copied")]
    found = {}
    for name in metrics.MEASURES:
        a, b = ([row["measures"][name]["value"] for row in side] for side in zip(*pairs, strict=True))
        found[name] = float(spearmanr(a, b).statistic)
    return found


# ---- faces and digits ------------------------------------------------------------------------------------------------


def faces() -> tuple[dict, dict[str, str]]:
    """What both eyes say of faces, and why one is left out."""
    generator, _ = checkpoints.load("faces")
    latents = models.sample_latent(2 * POOL, generator.arch, SEED).split(POOL)
    reference, right = (drawn(generator, z) for z in latents)
    modes = modes_of(right)
    spoilt = changed(generator, latents[1][:N], np.random.default_rng(SEED))
    found, left_out = {"modes": np.bincount(modes).tolist(), "eyes": {}}, {}
    for name, look in metrics.EXTRACTORS.items():
        try:
            found["eyes"][name] = seen_by(
                look, reference, right, modes, spoilt, FEW if name == "efficientnet" else POOL
            )
        except ImportError as error:
            left_out[name] = str(error)
    if len(found["eyes"]) == 2:
        found["same_order"] = same_order(*(eye["rows"] for eye in found["eyes"].values()))
    return found, left_out


def seen_by(look: Features, reference, right, modes: np.ndarray, spoilt: list[tuple], most: int) -> dict:
    """One eye's rows and curves; it looks at `most` of both sets, and beyond them at what the faults choose and at
    right samples that set the scale of copies."""

    def chosen(of: np.ndarray, right_: np.ndarray) -> list[Set]:
        return chosen_faults(of, right_, modes, np.random.default_rng(SEED))  # each time the same choice

    indices = np.arange(len(right))[:, None]
    wanted = [part.ravel() for fault, _, part in chosen(indices, indices) if fault == "dropped"]
    wanted = np.unique(np.concatenate([np.arange(max(most, 3 * N)), *wanted]))
    of = look(reference[:most])
    vectors = np.full((len(right), of.shape[1]), np.nan, np.float32)
    vectors[wanted] = look(right[wanted])
    sets = [(fault, amount, look(images)) for fault, amount, images in spoilt] + chosen(of, vectors)
    there = vectors[:most]
    return {
        "features": of.shape[1],
        "rows": judged(of[:N], vectors[:N], sets, vectors[2 * N : max(most, 3 * N)]),
        "samples": needed(of, there, there[modes[:most] > 0]),  # wrong: the most frequent mode is missing
    }


def digits() -> dict:
    """The same of real digits, with a perceptron's hidden layer for an eye and the ten digits for modes."""
    everything = data.load("digits", image_size=32)
    parts = np.array_split(np.random.default_rng(SEED).permutation(len(everything)), 3)
    images, labels = np.asarray(everything.images), np.asarray(everything.labels)
    judge = MLPClassifier((64,), max_iter=300, random_state=SEED)
    judge.fit(flat(images[parts[0]]), labels[parts[0]])

    def look(pictures: np.ndarray) -> np.ndarray:
        return hidden_layer(judge, flat(pictures)).astype(np.float32)

    reference, right = (look(images[part]) for part in parts[1:])
    rng = np.random.default_rng(SEED)
    pictures = images[parts[2]][:N]
    spoilt = [("noise", sd, metrics.noisy(pictures, sd, rng)) for sd in CHANGES["noise"]]
    spoilt += [("blur", sd, metrics.blurred(pictures, sd)) for sd in CHANGES["blur"]]
    sets = [(fault, amount, look(x)) for fault, amount, x in spoilt]
    modes = by_frequency(labels[parts[2]])
    sets += chosen_faults(reference, right, modes, rng)
    return {
        "features": right.shape[1],
        "accuracy": float(judge.score(flat(images[parts[2]]), labels[parts[2]])),
        "rows": judged(reference[:N], right[:N], sets, right[2 * N :]),
        "samples": needed(reference, right, right[modes > 0]),
    }


def main() -> dict[str, str]:
    torch.set_num_threads(1)
    of_digits = digits()
    found, left_out = faces()
    generator, _ = checkpoints.load("faces")
    results.record(
        "judging_samples",
        {"faces": found, "digits": of_digits, "left_out": left_out, "digest": checkpoints.digest(generator)},
        command="python -m experiments judging_samples",
        settings={
            "pool": POOL,
            "n": N,
            "few": FEW,
            "sizes": SIZES,
            "draws": DRAWS,
            "changes": CHANGES,
            "modes": MODES,
            "threads": 1,
        },
        seed=SEED,
        images=data.load("digits"),
        device=device.device_name(torch.device("cpu")),
    )
    return left_out
