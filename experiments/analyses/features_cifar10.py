"""C2: CIFAR-10 by a linear SVM on the features of a discriminator that never saw it, against the usual baselines.

    python -m experiments features_cifar10
    python -m experiments features_cifar10 --rows kmeans_1600 kmeans_4800

Reads the runs of the studies imagenet32, cifar10 and, where they were run, natural32, natural32_long and
imagenet32_controls, of which the further seeds of the first count in the verdict, too, and the other schedule does not.
Every row takes the same way: features, C chosen on 10,000 of the training pictures, the SVM fitted anew on all 50,000,
one look at the test set. Then accuracy against the number of labels, and what a test set of 1,000 pictures would have
said (accuracy against the length of D's training: `training_curve`). For the rows of the authors' first four
convolutions set DCGAN_AUTHORS (see `experiments.authors`). Four to five hours on two CPU cores; goes on where it was
stopped (runs/features_cifar10).
`--rows` measures some: rows do not depend on each other. The others stay as the results file has them, where it was
measured by the same protocol; where not, rows with D's own among them begin a new file, which names the others as left
out. So is a row of another network than is here today; one that does not say its network, from before, stays.
Writes results/features_cifar10.json.
"""

import argparse
import base64
import json

import numpy as np
from sklearn.preprocessing import StandardScaler

from dcgan_lib import checkpoints, data, device, features, models, results

from .. import authors, scale, verdicts
from ..measures import fingerprints
from ..studies import cifar10, imagenet32, imagenet32_controls, natural32
from ..study import Study, config_of, first_config, first_line, once, rows_there

VERSION = 4  # of the code below: a row made by an earlier one is made anew
OUT = scale.runs("features_cifar10")
DEVICE = device.pick_device()
SVM = {"storage": "bfloat16", "tol": 1e-2, "progress": True}
SEED = 0
CENTROIDS = (1600, 4800)  # of K-means: both figures are published
SMALL = 1_000  # pictures of the test set of a reproduction that reports 84 %
VALIDATION = 10_000  # of the training pictures
CALIBRATION = 12_800  # training pictures for batch norm's statistics: a hundred batches
MAIN, MORE, LONG = "tinyimagenet", "natural32", "natural32_long"
MIRRORED = f"{MAIN}_mirrored"
SEEDS = tuple(name for name in verdicts.C2_TRAININGS.values() if name != MAIN)  # further ones of the same training
CONTROLS = (*SEEDS, "alternate")
CANDIDATES = {  # of C, by the length of the features
    "pixels": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    "cifar10": (1e-5, 3e-5, 1e-4, 3e-4, 1e-3),
}
KMEANS = (1e-4, 1e-3, 3e-3)
USUAL = (1e-5, 3e-5, 1e-4)  # of 28,672; goes on beyond the largest while that is the best
LABELS = {10: 3, 30: 3, 100: 3, 300: 3, 400: 5, 1000: 1}  # a class (all: 5,000): draws, several where they are cheap
FEW = 400  # a class, of the second column of the paper's table 1: for K-means as well
SHORT = {"train": 6_000, "validation": 2_000}  # to compare ways of taking the features


def pictures():
    """Training pictures and labels, test pictures and labels, both shuffled (the files may be sorted by class), and
    both sets. The order of training pictures is that of `features.evaluate`.
    """
    train, test = data.load("cifar10"), data.load("cifar10", split="test")
    rng = np.random.default_rng(SEED)
    order, order_test = rng.permutation(len(train)), rng.permutation(len(test))
    return train.images[order], train.labels[order], test.images[order_test], test.labels[order_test], train, test


def discriminator_vectors(discriminator, flip=False):
    def vectors(x, x_test):
        options = {"calibrate_on": x[:CALIBRATION], "flip": flip, "precision": "auto"}
        return [features.discriminator_features(discriminator, part, **options) for part in (x, x_test)]

    return vectors


def kmeans_vectors(n_centroids, flip=False):
    def vectors(x, x_test):
        model = features.KMeansFeatures(n_centroids, seed=SEED, device=DEVICE).fit(x)
        scaler = StandardScaler(copy=False)
        both = [model.transform(part) for part in (x, x_test)]
        if flip:
            for found, part in zip(both, (x, x_test), strict=True):
                found += model.transform(part[:, :, ::-1])
                found /= 2
        return scaler.fit_transform(both[0]), scaler.transform(both[1])

    return vectors


def pixels(x, x_test):
    return [data.to_float(part).flatten(1).numpy() for part in (x, x_test)]


def candidates_of(name) -> tuple[float, ...]:
    return CANDIDATES.get(name, KMEANS if name.startswith("kmeans") else USUAL)


def labels_of(name) -> dict[int, int]:
    """Labels a class → draws, of the rows that are measured with fewer labels, too."""
    plain = name.startswith("kmeans") and not name.endswith("_mirrored")
    return LABELS if name == MAIN else {FEW: LABELS[FEW]} if plain else {}


def packed(right) -> str:
    """(N,) of right and wrong as text, a bit each, for paired tests of rows that were measured at other times."""
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def paired(rows: dict, name: str = MAIN) -> dict[str, tuple[int, int]]:
    """Row → how many test pictures `name` alone is right on, and how many that row alone, where both are recorded."""
    bits = {
        k: np.unpackbits(np.frombuffer(base64.b64decode(row["right"]), np.uint8))
        for k, row in rows.items()
        if "right" in row
    }
    if name not in bits:
        return {}
    ours = bits.pop(name)
    return {k: (int((ours > theirs).sum()), int((theirs > ours).sum())) for k, theirs in bits.items()}


def trained(study: Study, name: str = "") -> models.Discriminator:
    """D of a study's first training, or of that of a variant. Raises NotAvailable where it has not come to its end."""
    variant, seed, row, _ = next(found for found in rows_there(study) if name in ("", found[0].name))
    if row is None:
        raise data.NotAvailable(f"no finished training of it: run `python -m experiments {study.name}` first")
    return checkpoints.load(config_of(study, variant, seed).out)[1]


def rows() -> dict:
    """Name → (what the row depends on besides the pictures, what turns training and test pictures into features).

    Both are functions: a network is read when its row is made. The mean over each picture and its mirror image helped
    on validation pictures (see `ways`). It is not the paper's way, so it is a row of its own and no part of the claim;
    K-means gets it too.
    """
    networks = {
        "random": lambda: models.build(first_config(imagenet32.STUDY).arch, seed=SEED)[1],
        "cifar10": lambda: trained(cifar10.STUDY),
        MAIN: lambda: trained(imagenet32.STUDY),
        MORE: lambda: trained(natural32.STUDY),
        LONG: lambda: trained(natural32.LONG),
    }
    networks |= {name: lambda name=name: trained(imagenet32_controls.STUDY, name) for name in CONTROLS}
    out = {"pixels": (str, lambda: pixels)}
    for n in CENTROIDS:
        out[f"kmeans_{n}"] = (lambda n=n: f"{n} centroids", lambda n=n: kmeans_vectors(n))
        out[f"kmeans_{n}_mirrored"] = (
            lambda n=n: f"{n} centroids, mirrored",
            lambda n=n: kmeans_vectors(n, flip=True),
        )
    first = {
        name: lambda name=name: checkpoints.first_convolutions(networks[name](), authors.FIRST)
        for name in ("random", MAIN, MORE)
    }
    first["authors"] = lambda: authors.discriminator("imagenet", partial=True)
    for name, network in (networks | {f"{name}_four": network for name, network in first.items()}).items():
        out[name] = (
            lambda network=network: checkpoints.digest(network()),
            lambda network=network: discriminator_vectors(network().to(DEVICE)),
        )
    for name in (MAIN, MORE):
        out[f"{name}_mirrored"] = (
            lambda name=name: f"{out[name][0]()}, mirrored",
            lambda name=name: discriminator_vectors(networks[name]().to(DEVICE), flip=True),
        )
    return out


def judge(name, vectors, train, test) -> dict:
    """`features.evaluate`; for the main row also what the page shows of it."""
    found = features.evaluate(
        vectors, train, test, validation=VALIDATION, candidates=candidates_of(name), seed=SEED, **SVM
    )
    right = found.predictions == test[1]
    row = dict(found) | {"device": device.device_name(DEVICE), "right": packed(right)}
    report = {"report": row.pop("report"), "confusion": row.pop("confusion")}
    if draws := labels_of(name):
        (F, y), cut = found.train, len(train) - VALIDATION
        candidates = {n: [C * (10 if n <= 100 else 1) for C in candidates_of(name)] for n in draws}
        parts = (F[:cut], y[:cut]), (F[cut:], y[cut:]), found.test
        row["labels"] = features.label_curve(*parts, candidates, draws, SEED, **SVM)
    if name != MAIN:
        return row
    small = features.subset_accuracies(right, min(SMALL, len(test[1])), seed=SEED)
    few = {
        "pictures": SMALL,
        "percentiles": {str(p): float(np.percentile(small, p)) for p in (0.1, 2.5, 50, 97.5, 99.9)},
    }
    return row | report | {"small_tests": few}


def outdated(measured: dict, todo: dict) -> list[str]:
    """Rows that say another network than today's, where that can be had."""
    found = []
    for name in measured.keys() & todo.keys():
        try:
            if measured[name].get("network", today := todo[name][0]()) != today:
                found.append(name)
        except data.NotAvailable:
            continue
    return found


def ways(discriminator, x, y) -> list[dict]:
    """Ways to take the features, with few labels, compared on validation pictures alone: the test set has no part."""
    n, m = SHORT.values()
    x, y = x[: n + m], y[: n + m]
    F = discriminator_vectors(discriminator)(x, x[:1])[0]
    mirrored = discriminator_vectors(discriminator, flip=True)(x, x[:1])[0]
    ends = 16 * np.cumsum(discriminator.arch.widths)  # of each convolution's part of the vector
    deviation = F.std(0) + 1e-3
    every = {
        "as in the paper": F,
        "mean with the mirror image": mirrored,
        "convolutions 1 to 3 alone": F[:, : ends[2]],
        "convolutions 4 to 6 alone": F[:, ends[2] :],
        "the last convolution alone": F[:, ends[4] :],
        "each feature standardised": (F - F.mean(0)) / deviation,
    }
    tried = []
    for name, vectors in every.items():
        grid = [C / 10 for C in USUAL] if name == "each feature standardised" else USUAL
        _, scores = features.choose_C(vectors[:n], y[:n], vectors[n:], y[n:], grid, **SVM)
        best = max(scores.values())
        right = np.arange(m) < round(best * m)
        tried.append(
            {"way": name, "features": vectors.shape[1], "accuracy": best, "interval": features.interval(right)}
        )
    return tried


def main(arguments: list[str] | None = None) -> dict[str, str]:
    """Returns {row: why it was left out}."""
    todo = rows()
    parser = argparse.ArgumentParser("python -m experiments features_cifar10")
    parser.add_argument("--rows", nargs="+", choices=todo, metavar="NAME", help=f"some of {', '.join(todo)}")
    only = parser.parse_args(arguments or []).rows
    OUT.mkdir(parents=True, exist_ok=True)
    x, y, x_test, y_test, train, test = pictures()
    about = {
        "version": VERSION,
        "train": fingerprints(train),
        "test": fingerprints(test),
        "svm": SVM,
        "seed": SEED,
        "validation": VALIDATION,
        "calibration": CALIBRATION,
        "usual": USUAL,
    }
    measured, left_out = {"rows": {}}, {}
    if only:
        there = results.load("features_cifar10")["measured"] if results.there("features_cifar10") else {}
        if there.get("protocol") == json.loads(json.dumps(about)):
            others = [name for name in todo if name not in only]
            measured, left_out = there, {k: why for k, why in there["left_out"].items() if k in others}
            new = [name for name in others if name not in (*there["rows"], *left_out)]
            left_out |= {name: "not measured yet by this protocol" for name in new}
            kept = {name: row for name, row in there["rows"].items() if name not in only}
            for name in outdated(kept, todo):
                if name == MAIN:
                    raise ValueError(f"{MAIN} was measured with another network than is here: name it in --rows, too")
                left_out[name] = "measured with another network than is here"
                del measured["rows"][name]
        elif MAIN in only:
            left_out = {name: "not measured yet by this protocol" for name in todo if name not in only}
        else:
            raise ValueError(
                "results/features_cifar10.json is not there, or of another protocol (settings, pictures or version): "
                f"run python -m experiments features_cifar10 without --rows, or with {MAIN} among them"
            )
    for name in only or todo:
        network, vectors = todo[name]
        try:
            key = about | {"network": network(), "candidates": candidates_of(name), "labels": labels_of(name)}
        except data.NotAvailable as error:
            if name == MAIN:
                raise
            if name in measured["rows"]:
                print(f"{name} stays as it was measured before: {first_line(error)}")
            else:
                left_out[name] = first_line(error)
            continue
        row = once(OUT / f"{name}.json", key, lambda n=name, v=vectors: judge(n, v(), train, (x_test, y_test)))
        measured["rows"][name] = row | {"network": key["network"]}
    if not only or MAIN in only:
        discriminator = trained(imagenet32.STUDY).to(DEVICE)
        key = about | {"network": todo[MAIN][0](), "short": SHORT}
        measured["ways"] = once(OUT / "ways.json", key, lambda: ways(discriminator, x, y))
        measured["epochs"] = results.load("training_imagenet32")["measured"]["epochs"]
    measured["paired"] = {name: paired(measured["rows"], name) for name in verdicts.C2_TRAININGS.values()}
    measured |= {"protocol": about, "short": SHORT, "left_out": left_out, "class_names": train.class_names}
    accuracy = {name: f"{row['test_accuracy']:.1%}" for name, row in measured["rows"].items()}
    low, high = measured["rows"][MAIN]["interval"]
    kmeans = [f"({n:,}) {accuracy[f'kmeans_{n}']}" for n in CENTROIDS if f"kmeans_{n}" in accuracy]
    ours = f"{accuracy[MAIN]} ({low:.1%} to {high:.1%}), D trained for {measured['epochs']:.1f} epochs of Tiny ImageNet"
    if MIRRORED in accuracy:
        ours += f" ({accuracy[MIRRORED]} with mirror images, not the paper's way)"
    if kmeans:
        ours += f"; K-means {' and '.join(kmeans)}"
    if "random" in accuracy:
        ours += f"; random D {accuracy['random']}"
    verdict = verdicts.c2_over_trainings(measured["rows"], measured["paired"])
    if seeds := [accuracy[name] for name in SEEDS if name in accuracy]:
        ours += f"; D of other seeds {' and '.join(seeds)}"
    claims = {"C2": {"ours": f"{ours}.", "verdict": str(verdict)}}
    results.record(
        "features_cifar10",
        measured,
        command="python -m experiments features_cifar10",
        settings={
            "validation": VALIDATION,
            "calibration": CALIBRATION,
            "candidates": CANDIDATES | {"K-means": KMEANS, "others": USUAL},
            "storage": SVM["storage"],
            "tol": SVM["tol"],
            "networks": {
                "tinyimagenet": "results/training_imagenet32.json",
                "cifar10": "results/training_cifar10.json",
                "natural32": "results/training_natural32.json",
                "natural32_long": "results/training_natural32_long.json",
                **dict.fromkeys(CONTROLS, "results/imagenet32_controls.json"),
            },
        },
        seed=SEED,
        images=train,
        device=device.device_name(DEVICE),
        claims=claims,
    )
    return left_out
