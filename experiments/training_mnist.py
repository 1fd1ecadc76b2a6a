"""C1 on MNIST: does it train stably, under both schedules? 20 epochs of the complete set each.

    python experiments/training_mnist.py

The released net for MNIST without its dense hidden layers (the paper's guideline) and without labels; weight decay as
released. 1.2 million pictures a schedule: about 40 minutes for both on two CPU cores, two minutes on a GPU. Writes
results/training_mnist.json, two films beside it and dcgan_lib/weights/mnist.safetensors.
"""

import numpy as np
import torch
from reference import film, finish, statistics_difference, thin
from sklearn.neural_network import MLPClassifier

from dcgan_lib import data, metrics, models, results, training

ARCH = models.architecture("mnist28", dense_units=None, norm_affine=True)
RUNS = {
    schedule: training.TrainConfig(
        data="mnist",
        out=f"runs/{name}",
        arch=ARCH,
        epochs=20,
        weight_decay=2.5e-5,
        schedule=schedule,
        seed=0,
    )
    for schedule, name in (("simultaneous", "mnist"), ("alternate", "mnist_alternate"))
}
SAMPLES = 10_000


def judge():
    """A classifier of real digits that never saw a generated one, and its accuracy on the test set."""
    train, test = data.load("mnist"), data.load("mnist", split="test")
    classifier = MLPClassifier((256,), early_stopping=True, random_state=0)
    classifier.fit(flat(train.images), train.labels)
    return classifier, classifier.score(flat(test.images), test.labels), test


def flat(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(pixels, np.float32).reshape(len(pixels), -1) / 255


def main() -> None:
    classifier, accuracy, test = judge()
    measured = {
        "judge_accuracy": accuracy,
        "real": metrics.class_report(classifier.predict_proba(flat(test.images))),
        "real_spread": metrics.spread(test.tensor(slice(0, SAMPLES))),
        "samples": SAMPLES,
        "schedules": {},
    }
    for schedule, config in RUNS.items():
        run = training.train(config)
        latent = models.sample_latent(SAMPLES, run.generator.arch, 1)
        images = models.sample(run.generator, latent)
        measured["schedules"][schedule] = {
            **metrics.class_report(classifier.predict_proba(flat(data.to_uint8(images)))),
            "spread": metrics.spread(images),
            "statistics": statistics_difference(run.generator),
            **thin(run),
        }
        name = "training_mnist" if schedule == "simultaneous" else "training_mnist_alternate"
        measured["film_steps"] = film(run, name, frames=(0, 1, 2, 4, 8, 16, -1))  # the same for both
        if schedule == "simultaneous":
            chosen = run
    good = [
        s["finite"] and s["classes"] == 10 and s["spread"] > 0.5 * measured["real_spread"]
        for s in measured["schedules"].values()
    ]
    simultaneous = measured["schedules"]["simultaneous"]
    claims = {
        "C1": {
            "ours": f"MNIST, 20 epochs under each of two schedules: {sum(good)} of {len(good)} runs without NaN or "
            f"collapse; a classifier of real digits finds {simultaneous['classes']} of 10 classes in {SAMPLES:,} "
            f"samples and is sure of {simultaneous['confident']:.0%} of them (real test digits: "
            f"{measured['real']['confident']:.0%}).",
            "verdict": "holds on this set" if all(good) else "does not hold under both schedules",
        }
    }
    finish("training_mnist", "mnist", chosen, RUNS["simultaneous"], measured, claims)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
    print(results.folder() / "training_mnist.json")
