"""C2's curve: what D's features are worth as its training goes on, against pictures seen.

    python -m experiments training_curve

Every kept stage of the study imagenet32 gets one number: the accuracy of the paper's SVM on CIFAR-10's validation
pictures (10,000 of the training pictures; the test pictures have no part in a curve that decides how long to train),
trained on LABELLED others, C the best of a grid on the same validation pictures. Three lines go through the same:
random weights of the same network (how much is architecture), K-means with 1,600 centroids (what the paper had to
beat), and pixels. The paper's figure needs all 50,000 labels and is no line of this figure. The study natural32 (more
pictures, larger minibatches, longer) is a second curve, those of imagenet32_controls (another seed; the released
schedule) are two more, of the stages whose weights are there; on their axis are the pictures that D has seen.

What would a training as long as the paper's buy? Of the authors' ImageNet discriminator the first four convolutions can
be had (12,288 of the 28,672 features; see `experiments.authors`): they are a line too, beside the first four of ours.

A training of many hours may lie on several machines, and its early weights are gone when its late ones are made: a row
that was measured under the same protocol stays in results/training_curve.json. Two to four minutes a stage on two CPU
cores. Writes results/training_curve.json.
"""

import json

import numpy as np
from scipy.stats import linregress
from sklearn.preprocessing import StandardScaler

from dcgan_lib import checkpoints, data, device, features, models, results

from .. import authors, scale
from ..measures import fingerprints, kept_weights
from ..studies import imagenet32, imagenet32_controls, natural32
from ..study import Study, chosen, config_of, first_config, first_line, once, seen, stages_of

VERSION = 1  # of the code below: rows of another are measured anew
OUT = scale.runs("training_curve")
SEED = 0
LABELLED, VALIDATION, CALIBRATION = 10_000, 10_000, 12_800
CENTROIDS = 1600
GRID = (3e-5, 1e-4, 3e-4)  # of C; goes on beyond the largest while that is the best
KMEANS_GRID = (3e-4, 1e-3, 3e-3)
SVM = {"storage": "bfloat16", "tol": 1e-2}
LAST = 3  # doublings, over which the gain is estimated
CURVES = {  # the further ones: study, variant, seed
    "natural32": (natural32.STUDY, "natural32", 0),
    "natural32_long": (natural32.LONG, "natural32", 0),
    "second_seed": (imagenet32_controls.STUDY, "second_seed", 1),
    "third_seed": (imagenet32_controls.STUDY, "third_seed", 2),
    "alternate": (imagenet32_controls.STUDY, "alternate", 0),
}


def stages(study: Study, variant: str, seed: int) -> list:
    """Files of the weights that one training of the study kept, from the earliest."""
    ((found, _),) = chosen(study, [variant], [seed])
    return list(kept_weights(config_of(study, found, seed).out, stages_of(study)).values())


def curve(files: list, before: list[dict], protocol: dict, x: np.ndarray, y: np.ndarray) -> list[dict]:
    """A row for every stage of a training, those of before where their weights are not here."""
    rows = {row["pictures_seen"]: row for row in before}
    for path in files:
        _, discriminator = checkpoints.load(path)
        about, digest = checkpoints.info(path)["about"], checkpoints.digest(discriminator)
        now = seen(path)
        if about["config"].get("schedule") == "alternate":
            now //= 2  # every second minibatch is G's alone
        if rows.get(now, {}).get("weights") != digest:
            key = protocol | {"weights": digest}
            found = once(OUT / f"{digest}.json", key, lambda d=discriminator: of_network(d, x, y))
            rows[now] = {"pictures_seen": now, "step": about["step"], "weights": digest, **found}
    return [rows[now] for now in sorted(rows)]


def judge(vectors: np.ndarray, y: np.ndarray, grid) -> dict:
    """Accuracy on the last VALIDATION of the rows, by the C that does best there."""
    n = len(y) - VALIDATION
    model, tried = features.choose_C(vectors[:n], y[:n], vectors[n:], y[n:], grid, **SVM)
    right = int((model.predict(vectors[n:]) == y[n:]).sum())
    return {
        "features": vectors.shape[1],
        "C": model.C,
        "accuracy": right / VALIDATION,
        "interval": features.proportion_interval(right, VALIDATION),
        "tried": {f"{C:g}": accuracy for C, accuracy in tried.items()},
    }


def of_network(discriminator: models.Discriminator, x: np.ndarray, y: np.ndarray) -> dict:
    discriminator.to(device.pick_device())
    vectors = features.discriminator_features(discriminator, x, calibrate_on=x[:CALIBRATION], precision="auto")
    row = judge(vectors, y, GRID)
    if len(discriminator.arch.widths) <= authors.FIRST:
        return row
    first = 16 * sum(discriminator.arch.widths[: authors.FIRST])  # the vector goes convolution by convolution, 4x4 each
    return row | {"first_four": judge(np.ascontiguousarray(vectors[:, :first]), y, GRID)}


def of_kmeans(x: np.ndarray, y: np.ndarray) -> dict:
    model = features.KMeansFeatures(CENTROIDS, seed=SEED, device=device.pick_device()).fit(x)
    return judge(StandardScaler(copy=False).fit_transform(model.transform(x)), y, KMEANS_GRID)


def of_pixels(x: np.ndarray, y: np.ndarray) -> dict:
    return judge(data.to_float(x).flatten(1).numpy(), y, (1e-4, 1e-3, 1e-2))


def doubling(rows: list[dict]) -> dict | None:
    """Accuracy gained for each doubling of the pictures seen, over the last LAST doublings: a line through its rows.

    With the slope's standard error: the larger of what the rows' own sampling gives it (they share their pictures, so
    that it is too large if anything) and of what the residuals say, since accuracies need not lie on a line. (The
    second was added when the result was known.) None for fewer than three rows there.
    """
    end = np.log2(rows[-1]["pictures_seen"])
    last = [row for row in rows if np.log2(row["pictures_seen"]) >= end - LAST - 1e-9]
    if len(last) < 3:
        return None
    x = np.log2([row["pictures_seen"] for row in last])
    y = np.array([row["accuracy"] for row in last])
    slope, level = np.polyfit(x, y, 1)
    sampling = np.sqrt(np.mean(y * (1 - y)) / VALIDATION / ((x - x.mean()) ** 2).sum())
    return {
        "gain": float(slope),
        "standard_error": float(max(sampling, linregress(x, y).stderr)),
        "rows": len(last),
        "at_the_end": float(slope * end + level),
    }


def passed(line: dict, rows: list[dict]) -> int | None:
    """Pictures seen at the first stage from which on D lies above the line; None where the last one does not."""
    below = [i for i, row in enumerate(rows) if row["accuracy"] <= line["accuracy"]]
    above = rows[below[-1] + 1 :] if below else rows
    return above[0]["pictures_seen"] if above else None


def meets(line: dict, gain: dict | None, rows: list[dict]) -> float | None:
    """Pictures that D would have to see to reach the line's accuracy if each doubling went on to gain as much.

    None where it has no end (no gain beyond its error), and for a line that is `passed`.
    """
    if gain is None or gain["gain"] <= 2 * gain["standard_error"] or passed(line, rows) is not None:
        return None
    return rows[-1]["pictures_seen"] * 2.0 ** max(0.0, (line["accuracy"] - gain["at_the_end"]) / gain["gain"])


def derived(measured: dict) -> dict:
    """What follows from the rows and lines of a results file: the gain of a doubling, and where D passes the lines."""
    rows, gain = measured["rows"], doubling(measured["rows"])
    lines = {name: line for name, line in measured["lines"].items() if name != "authors_four"}  # other features
    return {
        "per_doubling": gain,
        "meets": {name: meets(line, gain, rows) for name, line in lines.items()},
        "passed": {name: passed(line, rows) for name, line in lines.items()},
    }


def protocol_of(pictures: dict) -> dict:
    """All that a row depends on besides its weights; `pictures` are the fingerprints of the labelled set."""
    return {
        "version": VERSION,
        "labelled": LABELLED,
        "validation": VALIDATION,
        "calibration": CALIBRATION,
        "centroids": CENTROIDS,
        "grid": GRID,
        "svm": SVM,
        "seed": SEED,
        "pictures": pictures,
        "architecture": first_config(imagenet32.STUDY).arch.to_dict(),
    }


def main() -> dict[str, str]:
    """Returns {line: why it was left out}."""
    OUT.mkdir(parents=True, exist_ok=True)
    train = data.load("cifar10")
    order = np.random.default_rng(SEED).permutation(len(train))  # as `features.evaluate`: the same validation part
    order = np.concatenate([order[:LABELLED], order[-VALIDATION:]])
    x, y = train.images[order], train.labels[order]
    shown = json.loads(json.dumps(protocol_of(fingerprints(train))))
    # A stage is known by its weights, so that the network is not in its key.
    protocol = {k: v for k, v in shown.items() if k != "architecture"}
    arch = first_config(imagenet32.STUDY).arch
    before, left_out = earlier(shown), {}
    files = stages(imagenet32.STUDY, "imagenet32", 0)
    if not files and not before["rows"]:
        raise data.NotAvailable("no stage of the long training is there: run python -m experiments imagenet32 first")
    lines = dict(before["lines"])
    ways = {
        "random": (shown, lambda: of_network(models.build(arch, seed=SEED)[1], x, y)),
        "kmeans_1600": (protocol, lambda: of_kmeans(x, y)),
        "pixels": (protocol, lambda: of_pixels(x, y)),
    }
    try:
        theirs = authors.discriminator("imagenet", partial=True)
        weights = {"weights": checkpoints.digest(theirs)}
        ways["authors_four"] = (protocol | weights, lambda: weights | of_network(theirs, x, y))
    except data.NotAvailable as error:
        if "authors_four" not in lines:
            left_out["authors_four"] = first_line(error)
    for name, (key, way) in ways.items():  # only what is there of other weights, or not at all
        if lines.get(name, {"weights": ""}).get("weights") != key.get("weights"):
            lines[name] = once(OUT / f"{name}.json", key, way)
    rows = curve(files, before["rows"], protocol, x, y)
    more = {name: curve(stages(*where), before.get(name, []), protocol, x, y) for name, where in CURVES.items()}
    for name, (study, *_) in CURVES.items():
        if not more[name]:
            left_out[name] = f"no weights of its stages are here: run python -m experiments {study.name} first"
    trained = ["imagenet32", *(study.name for study, *_ in CURVES.values())]
    results.record(
        "training_curve",
        {
            "rows": rows,
            **more,
            "lines": lines,
            **derived({"rows": rows, "lines": lines}),
            "left_out": left_out,
            "protocol": shown,
        },
        command="python -m experiments training_curve",
        settings=shown | {"trained": f"python -m experiments {', '.join(dict.fromkeys(trained))}"},
        seed=SEED,
        images=train,
        device=device.device_name(device.pick_device()),
    )
    return left_out


def earlier(protocol: dict) -> dict:
    """Rows and lines that results/training_curve.json holds under this very protocol."""
    found = results.load("training_curve")["measured"] if results.there("training_curve") else {}
    return found if found.get("protocol") == protocol else {"rows": [], "lines": {}}
