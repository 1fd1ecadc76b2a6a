"""C2: CIFAR-10 by a linear SVM on the features of a discriminator that never saw it, against the usual baselines.

    python experiments/features_cifar10.py

Needs the runs of training_imagenet32.py and training_cifar10.py. Every row takes the same way: features, C chosen on
10,000 of the training pictures, the SVM fitted anew on all 50,000, one look at the test set. Then accuracy against the
number of labels and against the length of D's training. About an hour on two CPU cores; goes on where it was stopped
(runs/features_cifar10). Writes results/features_cifar10.json.
"""

import time
from pathlib import Path

import numpy as np
import torch
import training_cifar10
import training_imagenet32
from reference import once
from sklearn.metrics import classification_report, confusion_matrix
from sklearn.preprocessing import StandardScaler

from dcgan_lib import checkpoints, data, features, models, results, training

OUT = Path("runs/features_cifar10")
SEED = 0
VALIDATION = 10_000  # of the training pictures
CALIBRATION = 12_800  # training pictures for batch norm's statistics: a hundred batches
CANDIDATES = {  # of C, by the length of the features
    "pixels": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    "kmeans_1600": (1e-5, 1e-4, 1e-3),
    "cifar10": (1e-5, 3e-5, 1e-4, 3e-4, 1e-3),
}
USUAL = (1e-5, 3e-5, 1e-4)  # of 28,672
LABELS = (10, 30, 100, 300, 1000)  # a class; the main row has 5,000
SHORT = {"train": 6_000, "validation": 2_000, "test": 4_000}  # for the curve of accuracy against training
MAIN = "tinyimagenet"


def pictures():
    """Shuffled training pictures and labels (the files may be sorted by class), test pictures and labels."""
    train, test = data.load("cifar10"), data.load("cifar10", split="test")
    order = np.random.default_rng(SEED).permutation(len(train))
    return train.images[order], train.labels[order], test.images, test.labels, train


def discriminator_vectors(discriminator, flip=False):
    def vectors(x, x_test):
        options = {"calibrate_on": x[:CALIBRATION], "flip": flip, "precision": "auto"}
        return [features.discriminator_features(discriminator, part, **options) for part in (x, x_test)]

    return vectors


def kmeans_vectors(n_centroids):
    def vectors(x, x_test):
        model = features.KMeansFeatures(n_centroids, seed=SEED).fit(x)
        scaler = StandardScaler(copy=False)
        return scaler.fit_transform(model.transform(x)), scaler.transform(model.transform(x_test))

    return vectors


def pixels(x, x_test):
    return [data.to_float(part).flatten(1).numpy() for part in (x, x_test)]


def rows() -> dict:
    """Name → what turns (training, test) pictures into features."""
    shipped = training_imagenet32.RUN.out
    return {
        "pixels": pixels,
        "kmeans_1600": kmeans_vectors(1600),
        "random": discriminator_vectors(models.build("imagenet32", seed=SEED)[1]),
        "cifar10": discriminator_vectors(checkpoints.load(training_cifar10.RUN.out)[1]),
        MAIN: discriminator_vectors(checkpoints.load(shipped)[1]),
        f"{MAIN}_flip": discriminator_vectors(checkpoints.load(shipped)[1], flip=True),
    }


def judge(name, vectors, x, y, x_test, y_test) -> dict:
    """The protocol; for the main row also what the page shows of it."""
    started = time.monotonic()
    F, F_test = vectors(x, x_test)
    seconds = time.monotonic() - started
    cut = len(x) - VALIDATION
    options = {"storage": "bfloat16", "progress": True}
    model, validation = features.choose_C(F[:cut], y[:cut], F[cut:], y[cut:], CANDIDATES.get(name, USUAL), **options)
    started = time.monotonic()
    model.fit(F, y)
    fit_seconds = time.monotonic() - started
    scores = model.decision_function(F_test)
    guess = scores.argmax(1)
    row = {
        "features": F.shape[1],
        "C": model.C,
        "validation": {f"{C:g}": a for C, a in validation.items()},
        "train_accuracy": float((model.predict(F[:cut]) == y[:cut]).mean()),
        "test_accuracy": float((guess == y_test).mean()),
        "interval": features.interval(guess == y_test),
        "relative_gradient": float(model.relative_gradient_.max()),
        "passes": model.n_passes_,
        "feature_seconds": round(seconds, 1),
        "fit_seconds": round(fit_seconds, 1),
    }
    if name == MAIN:
        np.savez(OUT / "main.npz", guess=guess, scores=scores.astype(np.float32))
        row["report"] = classification_report(y_test, guess, output_dict=True)
        row["confusion"] = confusion_matrix(y_test, guess).tolist()
        wrong = np.flatnonzero(guess != y_test)
        surest = wrong[np.argsort(-scores[wrong, guess[wrong]])][:20]
        row["surest_mistakes"] = [[int(i), int(y_test[i]), int(guess[i])] for i in surest]
        row["labels"] = label_curve(F, y, F_test, y_test, cut, options)
    return row


def label_curve(F, y, F_test, y_test, cut, options) -> list[dict]:
    """Accuracy against labels a class; C on the same validation pictures, three draws where they are cheap."""
    out = []
    for per_class in LABELS:
        accuracies = []
        for draw in range(3 if per_class <= 300 else 1):
            rows = features.draw_labels(y[:cut], per_class, SEED + draw)
            candidates = [C * 10 for C in USUAL] if per_class <= 100 else USUAL
            model, _ = features.choose_C(F[rows], y[rows], F[cut:], y[cut:], candidates, **options)
            accuracies.append(float((model.predict(F_test) == y_test).mean()))
        out.append({"per_class": per_class, "accuracies": accuracies})
    return out


def training_curve(x, y, x_test, y_test) -> list[dict]:
    """Accuracy of a small SVM on features of D as its training goes on; step 0 is the random network."""
    n, m, k = SHORT.values()
    kept = sorted(Path(training_imagenet32.RUN.out).glob("kept_*.safetensors"))
    networks = {0: models.build("imagenet32", seed=SEED)[1]}
    networks |= {int(path.stem.split("_")[1]): checkpoints.load(path)[1] for path in kept}
    out = []
    for step, discriminator in networks.items():

        def measure(discriminator=discriminator, step=step):
            F, F_test = discriminator_vectors(discriminator)(x[: n + m], x_test[:k])
            model, _ = features.choose_C(F[:n], y[:n], F[n:], y[n:], USUAL, storage="bfloat16")
            correct = model.predict(F_test) == y_test[:k]
            return {"step": step, "accuracy": float(correct.mean()), "interval": features.interval(correct)}

        out.append(once(OUT / f"step_{step:07d}.json", measure))
    return out


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    x, y, x_test, y_test, train = pictures()
    measured = {
        "rows": {
            name: once(OUT / f"{name}.json", lambda n=name, v=vectors: judge(n, v, x, y, x_test, y_test))
            for name, vectors in rows().items()
        },
        "training": training_curve(x, y, x_test, y_test),
        "epochs": results.load("training_imagenet32")["measured"]["epochs"],
        "short": SHORT,
        "class_names": train.class_names,
    }
    accuracy = {name: f"{row['test_accuracy']:.1%}" for name, row in measured["rows"].items()}
    (low, high), kmeans = (measured["rows"][name]["interval"] for name in (MAIN, "kmeans_1600"))
    claims = {
        "C2": {
            "ours": f"{accuracy[MAIN]} ({low:.1%} to {high:.1%}), D trained for {measured['epochs']:.1f} epochs of "
            f"Tiny ImageNet; with mirror images {accuracy[f'{MAIN}_flip']}; K-means (1,600) {accuracy['kmeans_1600']}; "
            f"random D {accuracy['random']}.",
            "verdict": "holds" if low > kmeans[1] else "not reached after so short a training",
        }
    }
    results.record(
        "features_cifar10",
        measured,
        command="python experiments/features_cifar10.py",
        settings={
            "validation": VALIDATION,
            "calibration": CALIBRATION,
            "candidates": CANDIDATES | {"28,672 features": USUAL},
            "storage": "bfloat16",
            "networks": {
                "tinyimagenet": "results/training_imagenet32.json",
                "cifar10": "results/training_cifar10.json",
            },
        },
        seed=SEED,
        images=train,
        device=training.device_name(torch.device("cpu")),
        claims=claims,
    )


if __name__ == "__main__":
    main()
    print(results.folder() / "features_cifar10.json")
