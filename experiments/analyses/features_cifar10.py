"""C2: CIFAR-10 by a linear SVM on the features of a discriminator that never saw it, against the usual baselines.

    python -m experiments features_cifar10

Reads the runs of the studies imagenet32 and cifar10. Every row takes the same way: features, C chosen on
10,000 of the training pictures, the SVM fitted anew on all 50,000, one look at the test set. Then accuracy against the
number of labels and against the length of D's training. About an hour on two CPU cores; goes on where it was stopped
(runs/features_cifar10). Writes results/features_cifar10.json.
"""

import numpy as np
from sklearn.preprocessing import StandardScaler

from dcgan_lib import checkpoints, data, device, features, models, results, training

from .. import scale, verdicts
from ..measures import fingerprints
from ..studies import cifar10, imagenet32
from ..study import config_of, once, stages_of

VERSION = 3  # of the code below: a row made by an earlier one is made anew
OUT = scale.runs("features_cifar10")
DEVICE = device.pick_device()
SVM = {"storage": "bfloat16", "tol": 1e-2, "progress": True}
SEED = 0
CENTROIDS = 1600  # of K-means
VALIDATION = 10_000  # of the training pictures
CALIBRATION = 12_800  # training pictures for batch norm's statistics: a hundred batches
MAIN, MIRRORED = "tinyimagenet", "tinyimagenet_mirrored"
CANDIDATES = {  # of C, by the length of the features
    "pixels": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    "kmeans_1600": (1e-5, 1e-4, 1e-3),
    "cifar10": (1e-5, 3e-5, 1e-4, 3e-4, 1e-3),
}
USUAL = (1e-5, 3e-5, 1e-4)  # of 28,672
LABELS = (10, 30, 100, 300, 1000)  # a class; the main row has 5,000
SHORT = {"train": 6_000, "validation": 2_000, "test": 4_000}  # for the curve of accuracy against training


def pictures():
    """Training pictures and labels, test pictures and labels, both shuffled (the files may be sorted by class), and
    both sets. The order of training pictures is that of `features.evaluate`.
    """
    train, test = data.load("cifar10"), data.load("cifar10", split="test")
    rng = np.random.default_rng(SEED)
    order, order_test = rng.permutation(len(train)), rng.permutation(len(test))
    return train.images[order], train.labels[order], test.images[order_test], test.labels[order_test], train, test


def folder_of(study):
    """The folder of a study's only run."""
    return config_of(study, study.variants[0], 0).out


def network_of(study):
    return config_of(study, study.variants[0], 0).arch


def stages() -> dict:
    """{step: file} of the weights that the study imagenet32 kept."""
    folder = training.RunFolder(folder_of(imagenet32.STUDY))
    kept = {step: folder.kept(step) for step in stages_of(imagenet32.STUDY)}
    return {step: path for step, path in kept.items() if path.exists()}


def discriminator_vectors(discriminator, flip=False):
    def vectors(x, x_test):
        options = {"calibrate_on": x[:CALIBRATION], "flip": flip, "precision": "auto"}
        return [features.discriminator_features(discriminator, part, **options) for part in (x, x_test)]

    return vectors


def kmeans_vectors(n_centroids):
    def vectors(x, x_test):
        model = features.KMeansFeatures(n_centroids, seed=SEED, device=DEVICE).fit(x)
        scaler = StandardScaler(copy=False)
        return scaler.fit_transform(model.transform(x)), scaler.transform(model.transform(x_test))

    return vectors


def pixels(x, x_test):
    return [data.to_float(part).flatten(1).numpy() for part in (x, x_test)]


def rows() -> dict:
    """Name → what turns (training, test) pictures into features, and what the row depends on besides the pictures.

    The mean over each picture and its mirror image helped on validation pictures (see `short`). It is not the paper's
    way, so it is a row of its own and no part of the claim.
    """
    networks = {
        "random": models.build(network_of(imagenet32.STUDY), seed=SEED)[1],
        "cifar10": checkpoints.load(folder_of(cifar10.STUDY))[1],
        MAIN: checkpoints.load(folder_of(imagenet32.STUDY))[1],
    }
    out = {"pixels": (pixels, ""), "kmeans_1600": (kmeans_vectors(CENTROIDS), f"{CENTROIDS} centroids")}
    out |= {k: (discriminator_vectors(n.to(DEVICE)), checkpoints.digest(n)) for k, n in networks.items()}
    out[MIRRORED] = (discriminator_vectors(networks[MAIN], flip=True), f"{out[MAIN][1]}, mirrored")
    return out


def judge(name, vectors, train, test) -> dict:
    """`features.evaluate`; for the main row also what the page shows of it."""
    found = features.evaluate(
        vectors, train, test, validation=VALIDATION, candidates=CANDIDATES.get(name, USUAL), seed=SEED, **SVM
    )
    row = dict(found)
    report = {"report": row.pop("report"), "confusion": row.pop("confusion")}
    if name != MAIN:
        return row
    (F, y), cut = found.train, len(train) - VALIDATION
    candidates = {n: [C * 10 for C in USUAL] if n <= 100 else USUAL for n in LABELS}
    draws = {n: 3 if n <= 300 else 1 for n in LABELS}  # several where they are cheap
    parts = (F[:cut], y[:cut]), (F[cut:], y[cut:]), found.test
    return row | report | {"labels": features.label_curve(*parts, candidates, draws, SEED, **SVM)}


def short(x, y, x_test, y_test) -> tuple[list[dict], list[dict]]:
    """With few labels: accuracy as D's training goes on (0 is the random network), and ways to take the features.

    The ways are compared on validation pictures alone: the test set has no part in a choice.
    """
    n, m, k = SHORT.values()
    x, y, x_test, y_test = x[: n + m], y[: n + m], x_test[:k], y_test[:k]
    networks = {0: models.build(network_of(imagenet32.STUDY), seed=SEED)[1]}
    networks |= {step: checkpoints.load(path)[1] for step, path in stages().items()}
    curve = []
    for step, discriminator in networks.items():
        F, F_test = discriminator_vectors(discriminator.to(DEVICE))(x, x_test)
        model, _ = features.choose_C(F[:n], y[:n], F[n:], y[n:], USUAL, **SVM)
        correct = model.predict(F_test) == y_test
        curve.append({"step": step, "accuracy": float(correct.mean()), "interval": features.interval(correct)})
    mirrored = discriminator_vectors(discriminator, flip=True)(x, x_test[:1])[0]
    ends = 16 * np.cumsum(discriminator.arch.widths)  # of each convolution's part of the vector
    deviation = F.std(0) + 1e-3
    ways = {
        "as in the paper": F,
        "mean with the mirror image": mirrored,
        "convolutions 1 to 3 alone": F[:, : ends[2]],
        "convolutions 4 to 6 alone": F[:, ends[2] :],
        "the last convolution alone": F[:, ends[4] :],
        "each feature standardised": (F - F.mean(0)) / deviation,
    }
    tried = []
    for name, vectors in ways.items():
        grid = [C / 10 for C in USUAL] if name == "each feature standardised" else USUAL
        _, scores = features.choose_C(vectors[:n], y[:n], vectors[n:], y[n:], grid, **SVM)
        best = max(scores.values())
        right = np.arange(m) < round(best * m)
        tried.append(
            {"way": name, "features": vectors.shape[1], "accuracy": best, "interval": features.interval(right)}
        )
    return curve, tried


def main() -> None:
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
        "labels": LABELS,
        "usual": USUAL,
    }
    measured = {"rows": {}}
    todo = rows()
    for name, (vectors, network) in todo.items():
        key = about | {"network": network, "candidates": CANDIDATES.get(name, USUAL)}
        measured["rows"][name] = once(
            OUT / f"{name}.json", key, lambda n=name, v=vectors: judge(n, v, train, (x_test, y_test))
        )
    key = about | {
        "network": todo[MAIN][1],
        "short": SHORT,
        "stages": [checkpoints.digest(checkpoints.load(path)[1]) for path in stages().values()],
    }
    measured["training"], measured["ways"] = once(OUT / "short.json", key, lambda: short(x, y, x_test, y_test))
    measured["epochs"] = results.load("training_imagenet32")["measured"]["epochs"]
    measured |= {"short": SHORT, "class_names": train.class_names}
    accuracy = {name: f"{row['test_accuracy']:.1%}" for name, row in measured["rows"].items()}
    low, high = measured["rows"][MAIN]["interval"]
    claims = {
        "C2": {
            "ours": f"{accuracy[MAIN]} ({low:.1%} to {high:.1%}), D trained for {measured['epochs']:.1f} epochs of "
            f"Tiny ImageNet ({accuracy[MIRRORED]} with mirror images, not the paper's way); "
            f"K-means (1,600) {accuracy['kmeans_1600']}; random D {accuracy['random']}.",
            "verdict": str(verdicts.c2(measured["rows"], MAIN)),
        }
    }
    results.record(
        "features_cifar10",
        measured,
        command="python -m experiments features_cifar10",
        settings={
            "validation": VALIDATION,
            "calibration": CALIBRATION,
            "candidates": CANDIDATES | {"28,672 features": USUAL},
            "storage": "bfloat16",
            "tol": 1e-2,
            "networks": {
                "tinyimagenet": "results/training_imagenet32.json",
                "cifar10": "results/training_cifar10.json",
            },
        },
        seed=SEED,
        images=train,
        device=device.device_name(DEVICE),
        claims=claims,
    )


if __name__ == "__main__":
    main()
    print(results.folder() / "features_cifar10.json")
