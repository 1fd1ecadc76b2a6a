"""The CIFAR-10 protocol of the paper's section 5.1, once: features, C, the SVM, one look at the test part."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from sklearn.metrics import classification_report, confusion_matrix
from torch import Tensor
from tqdm import tqdm

from .. import checkpoints, models
from ..checks import choose, whole
from ..data import ImageSet
from ..device import pick_device, pick_precision, versions
from .extraction import LARGE, calibrated, check_pictures, check_room, discriminator_features, replaced
from .intervals import proportion_interval
from .protocol import choose_C, draw_labels, labelled, positive
from .svm import L2SVM

CANDIDATES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
Labelled = ImageSet | tuple[np.ndarray | Tensor, np.ndarray]  # or a pair of pictures and labels
Vectors = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]  # pictures of both parts → features


@dataclass(frozen=True, eq=False)
class Evaluation(Mapping):
    """What `evaluate` found. As a mapping, dict(evaluation), it is `figures`, which JSON can hold.

    `figures`: features (how many), C, validation {C: accuracy}, train_accuracy (of the pictures that did not choose C),
    test_accuracy, interval (95 %, Wilson), relative_gradient and passes of the last fit, feature_seconds, fit_seconds,
    report (scikit-learn's, by label) and confusion (rows are the true classes `model.classes_` and any others, sorted).
    `train` and `test` are pairs of features (N, F) and labels (N,): the training ones are shuffled and the last
    `validation_size` of them chose C; the test ones are in the order they came in, as are the `predictions` (N_test,).
    """

    figures: dict
    model: L2SVM
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    validation_size: int
    predictions: np.ndarray

    def __getitem__(self, name: str):
        return self.figures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.figures)

    def __len__(self) -> int:
        return len(self.figures)

    def __repr__(self) -> str:
        low, high = self["interval"]
        return (
            f"Evaluation(test_accuracy={self['test_accuracy']:.4f}, interval=({low:.4f}, {high:.4f}), C={self['C']:g}, "
            f"features={self['features']}, train={len(self.train[1])}, test={len(self.test[1])})"
        )


def evaluate(
    discriminator_or_vectors: models.Discriminator | Vectors,
    train: Labelled,
    test: Labelled,
    *,
    validation: float | int = 0.2,
    candidates: Sequence[float] = CANDIDATES,
    flip: bool = False,
    statistics: str = "calibrated",
    calibrate_on: np.ndarray | Tensor | int | None = None,
    precision: str = "auto",
    seed: int = 0,
    storage: str = "auto",
    tol: float = 5e-3,
    device: str = "auto",
    out: str | Path | None = None,
    about: dict | None = None,
    progress: bool = True,
) -> Evaluation:
    """Features of both parts, C chosen on some training pictures, the SVM fitted anew on all, one look at the test.

    `train` and `test` are labelled ImageSets or pairs (pictures, labels). The training pictures are shuffled by `seed`
    (files may be sorted by class), and the last `validation` of them, a part below 1 or a number, choose C among
    `candidates` and beyond (see `choose_C`). Batch norm is calibrated once, for both parts, on `calibrate_on`:
    pictures, the first so many of the shuffled training pictures, or None for all of them. `flip`, `statistics` and
    `precision` as in `discriminator_features`. Other features: a function of (training pictures, test pictures), called
    once with the shuffled ones, instead of a discriminator. The SVM has `storage` ("auto": bfloat16 where the device is
    fast at it), `tol` and `device` ("auto": the discriminator's, else as L2SVM's).

    In the folder `out`: train.npy and test.npy (features), train_labels.npy and test_labels.npy, features.json (what
    they were made from) and report.json (the figures, with `about`). A discriminator's features that are there and were
    made from the same network, pictures and settings are used again.
    Raises ValueError for parts without labels or pictures, a `validation` that leaves either side empty, other bad
    settings, or when another process works in `out`; else as `discriminator_features`, `choose_C` and L2SVM do.
    """
    images, y = _labelled(train, "train")
    images_test, y_test = _labelled(test, "test")
    size = _validation_size(validation, len(y))
    choose(storage, ("auto", "float32", "bfloat16"), "storage")
    choose(statistics, ("calibrated", "running"), "statistics")
    choose(precision, ("auto", "float32", "bfloat16"), "precision")
    candidates, seed, flip = positive(candidates), int(seed), bool(flip)
    about = checkpoints.checked_about(about)
    network = discriminator_or_vectors
    ours = isinstance(network, models.Discriminator)
    if not ours and (isinstance(network, torch.nn.Module) or not callable(network)):
        raise TypeError(f"expected a discriminator or a function of both parts' pictures, got {type(network).__name__}")
    where = next(network.parameters()).device if ours else pick_device()
    if ours and device == "auto":
        # Apple's GPUs have no float64, which the SVM needs for a moment: the CPU fits there.
        device = "cpu" if where.type == "mps" else str(where)
    if device != "auto":
        pick_device(device)  # before the features
    if storage == "auto":
        storage = pick_precision("auto", where)
    svm = {"storage": storage, "tol": tol, "device": device, "progress": progress}

    order = np.random.default_rng(seed).permutation(len(y))
    images, y = images[order], y[order]
    folder = None if out is None else Path(out).expanduser()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        started = time.monotonic()
        if ours:
            options = {"flip": flip, "statistics": statistics, "precision": precision}
            F, F_test = _features(network, images, images_test, calibrate_on, options, folder, progress)
        else:
            F, F_test = (np.asarray(part) for part in network(images, images_test))
            if len(F) != len(y) or len(F_test) != len(y_test):
                raise ValueError(f"features of {len(F)} and {len(F_test)} pictures, of {len(y)} and {len(y_test)}")
        feature_seconds = time.monotonic() - started
        if progress and F.nbytes > LARGE and storage == "bfloat16":
            tqdm.write(f"the SVM holds them once more, in {F.nbytes / 2e9:.1f} GB", file=sys.stderr)

        cut = len(y) - size  # test pictures have no place in what follows, up to the prediction
        model, tried = choose_C(F[:cut], y[:cut], F[cut:], y[cut:], candidates, **svm)
        started = time.monotonic()
        model.set_params(warm_start=False).fit(F, y)  # from 0, so that its time and passes say what a fit costs
        fit_seconds = time.monotonic() - started
        guess = model.predict(F_test)
        right = guess == y_test
        figures = {
            "features": F.shape[1],
            "C": model.C,
            "validation": {f"{C:g}": accuracy for C, accuracy in tried.items()},
            "train_accuracy": float((model.predict(F[:cut]) == y[:cut]).mean()),
            "test_accuracy": float(right.mean()),
            "interval": list(proportion_interval(int(right.sum()), len(right))),
            "relative_gradient": float(model.relative_gradient_.max()),
            "passes": model.n_passes_,
            "feature_seconds": round(feature_seconds, 1),
            "fit_seconds": round(fit_seconds, 1),
            "report": classification_report(y_test, guess, output_dict=True, zero_division=0),
            "confusion": confusion_matrix(y_test, guess, labels=np.union1d(y, y_test)).tolist(),
        }
        if folder is not None:
            if not ours:
                (folder / "features.json").unlink(missing_ok=True)
                for name, part in (("train", F), ("test", F_test)):  # which may be maps of the files there
                    with replaced(folder / f"{name}.npy") as place, open(place, "wb") as file:
                        np.save(file, part)
            np.save(folder / "train_labels.npy", y)
            np.save(folder / "test_labels.npy", y_test)
            said = {"validation_pictures": size, "seed": seed, "storage": storage, "tol": tol, "flip": flip}
            report = about | said | figures | {"versions": versions()}
            checkpoints.write_bytes(folder / "report.json", json.dumps(report, indent=1).encode())
    return Evaluation(figures, model, (F, y), (F_test, y_test), size, guess)


def label_curve(
    pool, validation, test, candidates: Mapping[int, Sequence[float]], draws: Mapping[int, int] | int = 3,
    seed: int = 0, **svm,
) -> list[dict]:  # fmt: skip
    """Test accuracy against the number of labels: a row for each key of `candidates`, the labels per class.

    `pool`, `validation` and `test` are pairs (features, labels); `candidates` {labels per class: values of C}; `draws`
    of label sets, for all or {labels per class: draws}; `svm` parameters of L2SVM. Rows have per_class, `accuracies`
    (one a draw), their `deviation` (standard, 0 of one draw), `C` (one a draw) and `validation_labels`: C is chosen on
    all of the validation pictures, which are many more labels than the SVM sees where those are few.
    Raises TypeError or ValueError for a part without a label for each picture, draws below 1 or none for a key of
    `candidates`, and as `choose_C` does.
    """
    pool, validation, test = labelled(pool=pool, validation=validation, test=test)
    if isinstance(draws, Mapping) and (missing := sorted(set(candidates) - set(draws))):
        raise ValueError(f"draws names no number for {missing} labels per class, which are in candidates")
    rows = []
    for per_class, values in candidates.items():
        accuracies, chosen = [], []
        for draw in range(whole(draws[per_class] if isinstance(draws, Mapping) else draws, "draws", 1)):
            some = draw_labels(pool[1], per_class, seed + draw)
            model, _ = choose_C(pool[0][some], pool[1][some], *validation, values, **svm)
            accuracies.append(float((model.predict(test[0]) == test[1]).mean()))
            chosen.append(model.C)
        about = {"deviation": float(np.std(accuracies)), "C": chosen, "validation_labels": len(validation[1])}
        rows.append({"per_class": per_class, "accuracies": accuracies} | about)
    return rows


def _labelled(part: Labelled, name: str) -> tuple[np.ndarray | Tensor, np.ndarray]:
    if isinstance(part, ImageSet):
        if part.labels is None:
            raise ValueError(f"{part.name} ({part.split}) has no labels: features are judged by classifying")
        if part.class_names is not None and (np.asarray(part.labels) >= len(part.class_names)).any():
            raise ValueError(
                f"{part.name} ({part.split}) has pictures without a class: leave them out, "
                "images.select(np.flatnonzero(images.labels < len(images.class_names)))"
            )
        part = part.images, part.labels
    if not isinstance(part, (tuple, list)) or len(part) != 2 or not isinstance(part[0], (np.ndarray, Tensor)):
        raise TypeError(f"{name} must be an ImageSet or a pair of pictures and labels, got {type(part).__name__}")
    images, labels = part[0], np.asarray(part[1])
    if labels.shape != (len(images),) or not len(labels):
        raise ValueError(f"{name} needs a label for each of {len(images)} pictures, at least one: {labels.shape}")
    return images, labels


def _validation_size(validation: float | int, n: int) -> int:
    count = isinstance(validation, Integral) and not isinstance(validation, bool)
    if not count and not (isinstance(validation, Real) and 0 < validation < 1):
        raise ValueError(f"validation must be a part between 0 and 1, or a number of pictures, got {validation!r}")
    size = int(validation) if count else max(1, round(validation * n))
    if not 1 <= size < n:
        raise ValueError(f"{size} of {n} training pictures cannot choose C: at least 1 on both sides is needed")
    return size


def _locked(folder: Path | None):
    """Two processes that write into one memory map end in garbage or a crash."""
    if folder is None:
        return contextlib.nullcontext()
    try:
        return FileLock(folder / ".lock", timeout=0).acquire()
    except Timeout:
        raise ValueError(f"another process works in {folder}: wait for it or choose another folder") from None


def _features(network, images, images_test, calibrate_on, options, folder, progress) -> list[np.ndarray]:
    """Of both parts, by one calibration; those in the folder where they were made from the same."""
    if calibrate_on is None:
        calibrate_on = images
    elif isinstance(calibrate_on, Integral):
        if isinstance(calibrate_on, bool) or calibrate_on < 1:
            raise ValueError(f"calibrate_on must be pictures or a number of at least 1, got {calibrate_on!r}")
        calibrate_on = images[:calibrate_on]
    parts = {"train": images, "test": images_test}
    for name, part in (parts | {"calibrate_on": calibrate_on}).items():
        check_pictures(part, name)
    shapes = {name: (len(part), network.arch.feature_count) for name, part in parts.items()}
    if folder is not None:
        precision = pick_precision(options["precision"], next(network.parameters()).device)
        key = {"network": checkpoints.digest(network), "architecture": network.arch.to_dict()}
        key |= options | {"precision": precision}
        key |= {name: _digest(part) for name, part in parts.items()}
        if options["statistics"] == "calibrated":
            key["calibrated_on"] = _digest(calibrate_on)
        made = folder / "features.json"
        if _read(made) == key and all(_shape(folder / f"{n}.npy") == shape for n, shape in shapes.items()):
            return [np.load(folder / f"{name}.npy", mmap_mode="r") for name in parts]
    if options["statistics"] == "calibrated":
        network = calibrated(network, calibrate_on, options["precision"], progress)
    if folder is not None:
        made.unlink(missing_ok=True)
        for name in parts:
            (folder / f"{name}.npy").unlink(missing_ok=True)
        check_room(folder, sum(4 * n * length for n, length in shapes.values()))
    options = options | {"statistics": "running", "progress": progress}
    found = [
        discriminator_features(network, part, **options, out=None if folder is None else folder / f"{name}.npy")
        for name, part in parts.items()
    ]
    if folder is not None:
        checkpoints.write_bytes(made, json.dumps(key, indent=1).encode())
    return found


def _digest(images: np.ndarray | Tensor) -> str:
    """SHA-256 of the pictures in their order, shortened."""
    images = images.detach().cpu().numpy() if isinstance(images, Tensor) else images
    total = hashlib.sha256(f"{images.dtype} {images.shape}".encode())
    for start in range(0, len(images), 1024):
        total.update(np.ascontiguousarray(images[start : start + 1024]))
    return total.hexdigest()[:16]


def _read(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def _shape(path: Path) -> tuple | None:
    try:
        return np.load(path, mmap_mode="r").shape
    except (OSError, ValueError):
        return None
