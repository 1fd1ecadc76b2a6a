"""How long do 28,672 features of 50,000 pictures and the SVM on them take, and how much memory?

    python benchmarks/svm.py

CIFAR-10's training pictures through the imagenet32 discriminator (with random weights: the time is the same), then a
cold fit of `L2SVM` in bfloat16 storage. Goals: 12 GB, and 3 minutes on two CPU cores or 10 seconds on an H100. Writes
results/bench_svm_cpu.json or results/bench_svm_cuda.json.
"""

import resource
import time

from dcgan_lib import data, features, models, results
from dcgan_lib.device import device_name, pick_device

C = 3e-5


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
    main()
