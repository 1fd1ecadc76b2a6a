"""How long do 28,672 features of 50,000 pictures and the SVM on them take, and how much memory?

    python benchmarks/svm.py

CIFAR-10's training pictures through the imagenet32 discriminator (with random weights: the time is the same), then a
cold fit of `L2SVM` in bfloat16 storage. Goals: 12 GB, and 3 minutes on two CPU cores or 10 seconds on an H100. Then a
narrow problem, 1,797 digits x 1,792 features, over a grid of C in turn with scikit-learn's LinearSVC; goal: no slower.
Writes results/bench_svm_cpu.json or results/bench_svm_cuda.json.
"""

import argparse
import resource
import time
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from dcgan_lib import data, features, models, results
from dcgan_lib.device import device_name, pick_device

C = 3e-5
GRID = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


def narrow() -> dict:
    """Seconds of both over the grid, and {C: LinearSVC's loss above ours}: at a large C its iterations run out."""
    images = data.load("digits", image_size=32)
    _, discriminator = models.build(models.architecture("tiny32", channels=1), seed=0)
    X, y = features.discriminator_features(discriminator, images.images), images.labels
    seconds, above = {"ours": 0.0, "linear_svc": 0.0}, {}
    for value in GRID:
        fits = {"ours": features.L2SVM(C=value), "linear_svc": LinearSVC(C=value)}
        for name, model in fits.items():
            started = time.monotonic()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(X, y)
            seconds[name] += time.monotonic() - started
        ours, theirs = (loss(model, X, y) for model in fits.values())
        above[f"{value:g}"] = float(f"{theirs / ours - 1:.2g}")
    return {"shape": list(X.shape), "grid_seconds": {k: round(v, 1) for k, v in seconds.items()}, "loss_above": above}


def loss(model, X, y) -> float:
    """What both minimise, over all classes."""
    slack = (1 - (2 * (y[:, None] == model.classes_) - 1) * (X @ model.coef_.T + model.intercept_)).clip(0)
    weights = (model.coef_.astype(float) ** 2).sum() + (model.intercept_.astype(float) ** 2).sum()
    return float(weights / 2 + model.C * (slack.astype(float) ** 2).sum())


def main() -> None:
    device = pick_device()
    images = data.load("cifar10")
    _, discriminator = models.build("imagenet32", seed=0)
    started = time.monotonic()
    X = features.discriminator_features(
        discriminator.to(device), images.images, calibrate_on=images.images[::4], precision="auto"
    )
    extracted = time.monotonic()
    model = features.L2SVM(C=C, storage="bfloat16", progress=True).fit(X, images.labels)
    fitted = time.monotonic()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # bytes; kilobytes on Linux
    measured = {
        "shape": list(X.shape),
        "feature_seconds": round(extracted - started, 1),
        "fit_seconds": round(fitted - extracted, 1),
        "peak_gigabytes": round(peak / 1e9, 2),
        "newton_steps": model.n_iter_,
        "passes": model.n_passes_,
        "relative_gradient": float(model.relative_gradient_.max()),
        "narrow": narrow(),
        "goals": {"fit_seconds": 10 if device.type == "cuda" else 180, "peak_gigabytes": 12},
    }
    print(measured)
    results.record(
        f"bench_svm_{device.type}",
        measured,
        command="python benchmarks/svm.py",
        settings={"C": C, "tol": model.tol, "storage": model.storage, "architecture": "imagenet32, random weights"},
        seed=0,
        images=images,
        device=device_name(device),
    )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
