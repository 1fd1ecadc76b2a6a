"""What is measured of a trained run. One signature: a function of (run, real, rng, settings) that returns a dict.

`run` holds the networks and statistics, `real` the pictures that it was trained on (all of the set where a `limit` took
some), `rng` decides every draw. A measure carries a version, to be raised whenever its code would give another number,
its settings, and what else it looks at (a labelled set, a classifier); all of it is part of a row's key, so an older
row is measured anew. An optional measure that lacks what it looks at is left out, and the row says so.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits  # comes with scikit-learn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from dcgan_lib import checkpoints, data, device, features, latent, metrics, models, neighbours, training
from dcgan_lib.training.capture import WARM

from . import nearest

LINES = 300  # of a run's statistics that go into results/
FAST = {"samples": 64, "labelled": 60, "pairs": 3, "draws": 2, "steps": 3, "warm": 1, "tested": 60, "per_class": 5}
MISSING = (ImportError, data.NotAvailable)  # what an optional measure may lack


@dataclass(frozen=True)
class Measure:
    """A measure with its settings. `depends(settings)` returns fingerprints of what it looks at besides the run."""

    name: str
    version: int
    function: Callable[..., dict]
    settings: dict = field(default_factory=dict)
    depends: Callable[[dict], dict] = lambda settings: {}
    optional: bool = False

    def __call__(self, run: training.Run, real: data.ImageSet, rng: np.random.Generator) -> dict:
        try:
            return self.function(run, real, rng, **self.settings)
        except MISSING as error:
            if not self.optional:
                raise
            lacking = (self.settings[k] for k in ("eye", "labelled_set") if k in self.settings)
            what = " ".join([self.name, *lacking])
            print(f"left out: {what}: {first_line(error)}", flush=True)
            return {f"left out: {what}": first_line(error)}

    def set(self, **settings) -> Measure:
        """The measure with other settings. Raises ValueError for one that it does not have."""
        if unknown := sorted(set(settings) - set(self.settings)):
            raise ValueError(
                f"measure {self.name} has no setting {', '.join(unknown)}: known are {', '.join(self.settings)}"
            )
        return replace(self, settings=self.settings | settings)

    def small(self) -> Measure:
        """For scale 'fast'."""
        most = FAST | ({"samples": 16} if self.settings.get("eye") == "efficientnet" else {})
        few = {k: min(v, most[k]) for k, v in self.settings.items() if k in most}
        return replace(self, settings=self.settings | few)

    def key(self) -> dict:
        """All that a value depends on besides the run and its pictures; "missing" where an optional one lacks it."""
        try:
            depends = self.depends(self.settings)
        except MISSING as error:
            if not self.optional:
                raise
            depends = {"missing": first_line(error)}  # once it is there the row is measured anew
        return {"measure": self.name, "version": self.version, "settings": self.settings, "depends": depends}


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def measure(version: int, **more):
    """Make a function a measure, `more` as `Measure` has it; its keyword arguments with their defaults are settings."""

    def made(function) -> Measure:
        return Measure(function.__name__, version, function, dict(function.__kwdefaults__ or {}), **more)

    return made


# ---- helpers -------------------------------------------------------------------------------------------------------


def drawn(generator: models.Generator, n: int, rng: np.random.Generator) -> torch.Tensor:
    """n pictures (n, C, H, W) in [-1, 1]; with classes, as many of each as n allows."""
    classes = generator.arch.classes
    labels = torch.arange(n) % classes if classes else None
    return models.sample(generator, models.sample_latent(n, generator.arch, seed_of(rng)), labels=labels)


def seed_of(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def some(real: data.ImageSet, n: int, rng: np.random.Generator) -> np.ndarray:
    """At most n of the pictures, drawn without replacement."""
    return np.asarray(real.images[np.sort(rng.choice(len(real), min(n, len(real)), replace=False))])


def halves(eye: str, real: data.ImageSet, samples: int, rng) -> tuple[int, np.ndarray, np.ndarray]:
    """n, at most `samples`, and what the eye sees of n of the pictures and of n others: (n, F) twice."""
    found = some(real, 2 * samples, rng)
    order, n = rng.permutation(len(found)), len(found) // 2
    return n, *(seen_once(eye, found[np.sort(part)]) for part in (order[:n], order[n : 2 * n]))


def placed(network):
    """A network on the GPU, where there is one: what is drawn and seen comes back to the CPU."""
    where = device.pick_device()
    return network.to(where, memory_format=device.memory_format(where)) if where.type == "cuda" else network


@functools.lru_cache(maxsize=4)
def classifier(eye: str) -> models.Discriminator:
    """The network that looks: a name of weights/classifiers or a file."""
    return placed(checkpoints.load_classifier(eye)[0])


def seen_by(eye: str, images) -> np.ndarray:
    """Features (N, F) of uint8 (N, H, W, C) or float (N, C, H, W) pictures of any size and any number of channels.

    `eye` is "efficientnet" (ImageNet's classes; the extra `metrics`), "digits" (the judge of MNIST's), or a classifier:
    a name of weights/classifiers or a file. Raises ImportError or NotAvailable for an eye that cannot be had.
    """
    if eye == "efficientnet":
        return metrics.efficientnet_features(images, progress=False)
    size, channels = (28, 1) if eye == "digits" else (classifier(eye).arch.image_size, classifier(eye).arch.channels)
    rows = []
    for part in data.batches(images, 256):
        if part.shape[1] != channels:
            part = part.expand(-1, channels, -1, -1) if channels == 3 else part.mean(1, keepdim=True)
        if part.shape[2] != size:
            part = F.interpolate(part, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
        rows.append(hidden(part) if eye == "digits" else features.deep_features(classifier(eye), part))
    return np.concatenate(rows)


def hidden(digits: torch.Tensor) -> np.ndarray:
    """What the hidden layer of MNIST's judge (`digits_judge`) says of digits (N, 1, 28, 28) in [-1, 1]: (N, 256)."""
    judge, _ = digits_judge("mnist")
    return hidden_layer(judge, (digits.flatten(1).numpy() + 1) / 2)


def hidden_layer(judge: MLPClassifier, vectors: np.ndarray) -> np.ndarray:
    """The activations behind a perceptron's first layer: (N, pixels) → (N, units)."""
    return np.maximum(vectors @ judge.coefs_[0] + judge.intercepts_[0], 0)


def seen_once(eye: str, images) -> np.ndarray:
    """`seen_by` of pictures that come again and again, as a study's real ones do: looked at once a process."""
    images = images.numpy() if isinstance(images, torch.Tensor) else np.asarray(images)
    key = eye, digest_of(images)
    if key not in _SEEN:
        while len(_SEEN) >= 64:
            del _SEEN[next(iter(_SEEN))]
        _SEEN[key] = seen_by(eye, images if images.dtype == np.uint8 else torch.from_numpy(images))
    return _SEEN[key]


_SEEN: dict[tuple[str, str], np.ndarray] = {}


def digest_of(array) -> str | None:
    """SHA-256 of an array's bytes and shape, shortened; None for None."""
    if array is None:
        return None
    array = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
    digest.update(array)  # without a copy of the set
    return digest.hexdigest()[:16]


def fingerprints(images: data.ImageSet) -> dict:
    """What names a set: its pixels, and labels and attributes, which its fingerprint does not cover."""
    return {
        "pictures": images.fingerprint,
        "labels": digest_of(images.labels),
        "attributes": digest_of(images.attributes),
    }


def _eye(settings: dict) -> dict:
    eye = settings["eye"]
    if eye == "digits":
        return {"eye": fingerprints(data.load("mnist"))}
    return {"eye": efficientnet_digest() if eye == "efficientnet" else checkpoints.digest(classifier(eye))}


@functools.lru_cache(maxsize=1)
def efficientnet_digest() -> str:
    return checkpoints.digest(metrics.efficientnet())


def _labelled_set(settings: dict) -> dict:
    return {"train": fingerprints(data.load(settings["labelled_set"]))}


def _both_splits(settings: dict) -> dict:
    return _labelled_set(settings) | {"test": fingerprints(data.load(settings["labelled_set"], split="test"))}


# ---- the run itself ------------------------------------------------------------------------------------------------


@measure(version=1)
def statistics(run, real, rng) -> dict:
    """Means and lowest losses, speed, and at most LINES lines for the curves."""
    rows = run.stats
    names = ("loss_d", "loss_g", "d_real", "d_fake", "accuracy_d")
    stretches = training.RunFolder(run.out).recorded()["stretches"]
    losses = {n: [r[n] for r in rows if n in r] for n in ("loss_d", "loss_g")}
    return {
        "finite": checkpoints.parameters_finite(run.generator, run.discriminator),
        "steps": rows[-1]["step"],
        "epochs": rows[-1]["epoch"],
        "late_means": {n: late_mean(rows, n) for n in names},
        "mean_losses": {n: mean(v) for n, v in losses.items()},
        "lowest_losses": {n: min(v, default=None) for n, v in losses.items()},
        "images_per_second_median": float(np.median([r["images_per_second"] for r in rows])),
        "precision": ", ".join(dict.fromkeys(s["precision"] for s in stretches)),
        "stats": thinned(rows),
    }


def late_mean(rows: list[dict], name: str) -> float | None:
    """Over the last fifth of a run's lines, None where none of them has the number."""
    return mean([row[name] for row in rows[-max(1, len(rows) // 5) :] if name in row])


def mean(values) -> float | None:
    return float(np.mean(values)) if len(values) else None


def thinned(rows: list[dict], lines: int = LINES) -> list[dict]:
    """At most so many means of neighbouring lines, so that no peak is picked or lost by chance."""
    size = -(-len(rows) // lines)
    blocks = [rows[i : i + size] for i in range(0, len(rows), size)]
    # Of all lines: under the schedule "alternate" each is of one network.
    names = [
        n for n in dict.fromkeys(n for row in rows for n in row) if n.startswith(("loss", "d_", "accuracy", "gradient"))
    ]
    return [
        {"step": block[-1]["step"]}
        | {n: float(f"{np.mean([r[n] for r in block if n in r]):.4g}") for n in names if any(n in r for r in block)}
        for block in blocks
    ]


@measure(version=1)
def statistics_difference(run, real, rng, *, draws=16) -> dict:
    """How far one z's picture moves with its neighbours (batch statistics) and how far that is from running ones.

    Mean absolute differences in grey levels of 255, over 8 latents, each sampled in `draws` batches of 128.
    """
    generator = run.generator
    own = models.sample_latent(8, generator.arch, seed_of(rng))
    running = models.sample(generator, own)
    batches = []
    for _ in range(draws):
        others = models.sample_latent(120, generator.arch, seed_of(rng))
        batches.append(models.sample(generator, torch.cat([own, others]), "batch")[:8])
    batches = torch.stack(batches)  # (draws, 8, C, H, W)
    level = 127.5
    return {
        "statistics": {
            "neighbours": float((batches - batches.mean(0)).abs().mean() * level),
            "running_against_batch": float((batches.mean(0) - running).abs().mean() * level),
        }
    }


@measure(version=2)
def cost(run, real, rng, *, steps=10, warm=2, batch_size=64) -> dict:
    """One training step of this architecture: seconds (median), multiplications, parameters, memory.

    Memory is counted, so that it is the same on every machine: `bytes_of_weights`, 16 for each parameter (the weight,
    its gradient, Adam's two averages), and `bytes_of_activations`, what G's update keeps of both networks for its way
    back, all in float32. `peak_memory` is what a GPU had in use.
    """
    config = training.TrainConfig(data=real.name, out=run.out, arch=run.generator.arch, batch_size=batch_size, steps=1)
    trainer = training.Trainer(config, run.generator.arch, real)
    with FlopCounterMode(display=False) as counter:
        trainer.step(0)
    on_gpu = trainer.device.type == "cuda"
    if on_gpu:
        warm = max(warm, WARM)  # until the step is recorded
        torch.cuda.reset_peak_memory_stats()
    times = []
    for k in range(1, warm + steps + 1):
        start = time.perf_counter()
        trainer.step(k)
        if on_gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    networks = (trainer.generator, trainer.discriminator)
    peak = torch.cuda.max_memory_allocated() if on_gpu else None  # before anything else is computed
    return {
        "seconds_a_step": float(np.median(times[warm:])),
        "multiplications_a_step": counter.get_total_flops() // 2,
        "parameters": [models.parameter_count(network) for network in networks],
        "bytes_of_weights": 16 * sum(models.parameter_count(network) for network in networks),
        "bytes_of_activations": kept_for_the_way_back(trainer, batch_size),
        "peak_memory": peak,
        "device": device.device_name(trainer.device),
        "cost_precision": trainer.precision,
    }


def kept_for_the_way_back(trainer: training.Trainer, batch_size: int) -> int:
    """Bytes that autograd holds after D(G(z)) in float32, weights and buffers not counted."""
    generator, discriminator = trainer.generator, trainer.discriminator
    own = {t.untyped_storage().data_ptr() for n in (generator, discriminator) for t in (*n.parameters(), *n.buffers())}
    sizes: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    z, classes = models.sample_latent(batch_size, generator.arch).to(trainer.device), generator.arch.classes
    labels = torch.arange(batch_size, device=trainer.device) % classes if classes else None
    discriminator.requires_grad_(False)  # as in G's update
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = discriminator(generator(z, labels), labels)
    del logits  # until here it held all of them, so that no block of memory was used twice
    discriminator.requires_grad_(True)
    return sum(sizes.values())


# ---- samples -------------------------------------------------------------------------------------------------------


@measure(version=1)
def spread(run, real, rng, *, samples=2_000) -> dict:
    """How much samples vary, and how much real pictures do: near 0 when all are alike."""
    generated = drawn(run.generator, samples, rng)
    return {
        "samples": samples,
        "spread": metrics.spread(generated),
        "real_spread": metrics.spread(data.to_float(some(real, samples, rng))),
    }


def trained_on_first(run: training.Run, real: data.ImageSet, others: int) -> tuple[data.ImageSet, int]:
    """The n pictures that a run was trained on, then at most so many others of the set; and n."""
    recorded = training.RunFolder(run.out).recorded()
    n = recorded["pictures"]["images"]
    take = min(n + others, len(real))
    return (real.take(take, recorded["config"]["seed"]) if n < len(real) else real), n


@measure(version=1)
def symptoms(run, real, rng, *, samples=1_000) -> dict:
    """Numbers that any run has, without a network that looks: what `training.watch` warns of.

    `accuracy_d` is D's over the last fifth of the run. `spread`, `colours` and `grid` are those of samples over those
    of real pictures. `copied` is the share of samples that are, in pixels, nearly a picture that was trained on, and
    `copied_real` that of as many real pictures which were not, None where there are none.
    """
    known, n = trained_on_first(run, real, samples)
    new = len(known) - n
    generated, shown = drawn(run.generator, samples, rng), data.to_float(some(real, samples, rng))
    trained_on = known.tensor(slice(0, n)).flatten(1)
    return {
        "symptoms": {
            "accuracy_d": late_mean(run.stats, "accuracy_d"),
            "spread": metrics.spread(generated) / metrics.spread(shown),
            "colours": metrics.colour_spread(generated) / metrics.colour_spread(shown),
            "grid": metrics.checkerboard(generated) / metrics.checkerboard(shown),
            "copied": metrics.copied(generated.flatten(1), trained_on),
            "copied_real": metrics.copied(known.tensor(slice(n, None)).flatten(1), trained_on) if new else None,
        }
    }


@measure(version=1, depends=_both_splits)
def class_report(run, real, rng, *, labelled_set="mnist", samples=10_000) -> dict:
    """What a classifier of real digits, which never saw a generated one, makes of samples."""
    judge, test = digits_judge(labelled_set)
    generated = data.to_uint8(drawn(run.generator, samples, rng))
    return {
        "judge_accuracy": judge.score(flat(test.images), test.labels),
        "real": metrics.class_report(judge.predict_proba(flat(test.images))),
        **metrics.class_report(judge.predict_proba(flat(generated))),
    }


@functools.lru_cache(maxsize=1)
def digits_judge(name: str):
    """A small perceptron fitted to the training part, and the test part.

    By one thread: sums in another order make another network, and distances in its eye that cannot be compared.
    """
    train, test = data.load(name), data.load(name, split="test")
    judge = MLPClassifier((256,), early_stopping=True, random_state=0)
    with threadpool_limits(1):
        return judge.fit(flat(train.images), train.labels), test


def flat(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(pixels, np.float32).reshape(len(pixels), -1) / 255


SAMPLES = (1_000, 10_000, 50_000, 100_000, 1_000_000, 10_000_000)  # of the curve; the paper's table: 50,000, 10 million
NEAREST = 3  # also in the name of the file that a longer count goes on from


@measure(version=NEAREST, depends=_both_splits)
def nearest_digits(run, real, rng, *, labelled_set="mnist", samples=1_000_000, precision="auto") -> dict:
    """Real digits that a nearest neighbour among the first so many samples tells wrong, up to `samples` of them.

    As released: labels uniform, batch norm by each batch of 128, pixels not rounded. Asked are the held-out digits of
    `nearest.parts` and the test digits; rows [samples, wrong]. `real` are the pictures that the network was trained on
    in place of samples. More samples go on where fewer stopped (a file beside the run's). `drawn_in`: the precision in
    which they are drawn (`precision`, as in TrainConfig); bfloat16 takes half the time, and pixels in steps of 1/256.
    """
    where = device.pick_device("auto")
    precision = device.pick_precision(precision, where)
    generator = copy.deepcopy(run.generator).to(where, memory_format=device.memory_format(where))
    asked = {"held_out": nearest.parts(data.load(labelled_set))[1], "test": data.load(labelled_set, split="test")}
    queries = np.concatenate([np.asarray(part.images) for part in asked.values()])
    labels = np.concatenate([np.asarray(part.labels, np.int64) for part in asked.values()])
    seed = seed_of(rng)

    def draw(rng: np.random.Generator, n: int):
        own = models.sample_labels(n, generator.arch.classes, seed_of(rng))
        z = models.sample_latent(n, generator.arch, seed_of(rng))
        with torch.autocast(where.type, torch.bfloat16, enabled=precision == "bfloat16"):
            images = models.sample(generator, z, "batch", 128, own)  # (n, 1, 28, 28) in [-1, 1]
        return ((images.permute(0, 2, 3, 1) + 1) * 127.5).numpy(), own.numpy()

    streams = {
        "generated": (nearest.generated(draw, seed, 64 * 128), samples),
        "real": (nearest.real(np.asarray(real.images), np.asarray(real.labels, np.int64)), min(samples, len(real))),
    }
    out = {name: {"digits": len(part)} for name, part in asked.items()}
    of = f"{checkpoints.digest(generator)}_{digest_of(queries)}_{digest_of(labels)}"
    state = f"nearest_{NEAREST}_{of}_{seed}_{precision}.npz"
    for kind, (stream, most) in streams.items():
        model = neighbours.NearestNeighbour(queries, where)
        sizes = (*(n for n in SAMPLES if n < most), most)
        told = nearest.wrong(stream, model, labels, sizes, Path(run.out) / state if kind == "generated" else None)
        start = 0
        for name, part in asked.items():
            out[name][kind] = [[n, int(found[start : start + len(part)].sum())] for n, found in told.items()]
            start += len(part)
    return {"nearest": out | {"drawn_in": precision}}


@measure(version=1, depends=_eye)
def frechet(run, real, rng, *, eye="face_attributes", samples=5_000) -> dict:
    """Fréchet distance of samples to training pictures in an eye's features, beside those of what is no sample.

    `frechet_real` is that of other training pictures. `controls`, of as many pictures, are what a stable training must
    lie below: white noise, ten of the pictures repeated, the pictures blurred to an eighth of their size, their pixels
    shuffled.
    """
    found = some(real, 2 * samples, rng)
    order = rng.permutation(len(found))
    reference, others = found[order[::2]], data.to_float(found[order[1::2]])
    vectors = seen_once(eye, reference)
    n, channels, size, _ = others.shape
    small = F.interpolate(others, size=(max(1, size // 8),) * 2, mode="area")
    shuffle = torch.from_numpy(np.stack([rng.permutation(size * size) for _ in range(n)]))[:, None]
    pixels = others.flatten(2).gather(2, shuffle.expand(-1, channels, -1))
    controls = {
        "noise": torch.from_numpy(rng.uniform(-1, 1, tuple(others.shape)).astype(np.float32)),
        "ten copied": others[torch.arange(n) % 10],
        "blurred": F.interpolate(small, size=(size, size), mode="bilinear", align_corners=False),
        "shuffled": pixels.reshape(others.shape),
    }

    def distance(images, look=seen_once) -> float:
        return metrics.frechet_distance(look(eye, images), vectors)

    return {
        "frechet": distance(drawn(run.generator, n, rng), seen_by),
        "frechet_real": distance(others),
        "controls": {name: distance(images) for name, images in controls.items()},
        "distance_of": n,
    }


@measure(version=1, depends=_eye, optional=True)
def quality(run, real, rng, *, eye="efficientnet", samples=1_000, k_precision=3, k_density=5, draws=5) -> dict:
    """Every distance and share of `metrics` of samples, in an eye's features, beside those of other real pictures.

    Half of 2 `samples` real pictures is the reference; what the other half, of as many, gets is in `real`: the bias of
    so many pictures, and the best that a generator could get. `sd` is the standard error by `draws` random halves.
    Precision and recall (Kynkäänniemi et al., 2019) look `k_precision` neighbours far, density and coverage (Naeem et
    al., 2020) `k_density`. The same seed draws the same pictures for each eye. EfficientNet has seen ImageNet's
    pictures in its own training: natural32 is no news to it. The eye "digits" looks at grey pictures only.
    """
    if eye == "digits" and real.channels != 1:
        return {f"left out: quality {eye}": "it looks at grey pictures only"}
    n, reference, others = halves(eye, real, samples, rng)
    vectors = seen_by(eye, data.to_uint8(drawn(run.generator, n, rng)))
    k = {"precision": k_precision, "recall": k_precision, "density": k_density, "coverage": k_density}
    measured = {
        name: functools.partial(function, k=k[name]) if name in k else function
        for name, function in metrics.MEASURES.items()
    }
    rows = {name: metrics.with_interval(function, reference, vectors, draws) for name, function in measured.items()}
    return {
        f"seen_by_{eye}": {
            "samples": n,
            "k": k,
            **{name: row["value"] for name, row in rows.items()},
            "sd": {name: row["sd"] for name, row in rows.items()},
            "real": {name: function(reference, others) for name, function in measured.items()},
        }
    }


def kept_weights(out: str | Path, steps: Sequence[int] = ()) -> dict[int, Path]:
    """Step → the file that a run kept, first step first; of these `steps` where any are named."""
    found = sorted((Path(out) / "kept").glob("step_*.safetensors"), key=checkpoints.step_of)
    return {step: path for path in found if (step := checkpoints.step_of(path)) in steps or not steps}


@dataclass(frozen=True)
class Staged(training.Run):
    """A run with the steps that its study names: weights of others that lie there are no stage of it."""

    steps: tuple[int, ...] = ()


def stages_kept(run: training.Run) -> dict[int, Path]:
    return kept_weights(run.out, getattr(run, "steps", ()))


def drawn_at_stages(kept: Mapping[int, Path], z: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Every step whose weights were kept, and the pictures (n, C, H, W) of the same latents (n, latent_dim) there."""
    for step, path in kept.items():
        yield step, models.sample(placed(checkpoints.load(path)[0]), z)


@measure(version=1, depends=_eye)
def stages(run, real, rng, *, eye="face_attributes", samples=5_000) -> dict:
    """The distance and the spread at every step whose weights were kept, from the same latents."""
    vectors = seen_once(eye, real.images)
    z = models.sample_latent(samples, run.generator.arch, seed_of(rng))
    rows = []
    for step, images in drawn_at_stages(stages_kept(run), z):
        distance = metrics.frechet_distance(seen_by(eye, images), vectors)
        rows.append({"step": step, "frechet": distance, "spread": metrics.spread(images)})
    return {"stages": rows}


@measure(version=1)
def moves(run, real, rng, *, samples=500) -> dict:
    """How far the pictures of the same latents move from one stage to the next: what oscillates there.

    `steps` {stage: root mean square of the pixels' differences to the stage before}, in units of how far two real
    pictures lie apart; `late`, the median over the second half of the stages.
    """
    z = models.sample_latent(samples, run.generator.arch, seed_of(rng))
    pictures = data.to_float(some(real, samples, rng))  # (N, C, H, W) in [-1, 1]
    apart = _rms(pictures - pictures.roll(1, 0))
    found, before = {}, None
    for step, images in drawn_at_stages(stages_kept(run), z):
        if before is not None:
            found[str(step)] = _rms(images - before) / apart
        before = images
    late = [*found.values()][len(found) // 2 :]
    return {"moves": {"steps": found, "late": float(np.median(late)) if late else None}}


def _rms(differences: torch.Tensor) -> float:
    return float(differences.square().mean().sqrt())


@measure(version=1, depends=_both_splits)
def few_labels(run, real, rng, *, labelled_set="svhn", per_class=100, draws=5) -> dict:
    """D's validation error with few labels, by the SVHN protocol, at every step whose weights were kept."""
    parts, _ = features.svhn_parts(data.load(labelled_set), data.load(labelled_set, split="test"))
    return {"stages": few_labels_curve(stages_kept(run), parts, per_class, draws, seed_of(rng))}


def few_labels_curve(
    kept: Mapping[int, Path], parts: dict[str, features.Part], per_class: int, draws: int, seed: int
) -> list[dict]:
    """Of the D in each of `kept_weights`: the lowest mean validation error of `features.RELEASED_C`, and its C.

    `interval` is Wilson's over the validation pictures, as if each were asked once.
    """
    rows, asked = [], len(parts["validation"].labels)
    for step, path in tqdm(kept.items(), "stages", delay=2):
        discriminator = checkpoints.load(path)[1].to(device.pick_device())
        pool, validation = (
            (features.discriminator_features(discriminator, p.images, parts["pool"].images, precision="auto"), p.labels)
            for p in (parts["pool"], parts["validation"])
        )
        # The last pair would be the test's, which has no place in a choice.
        found = features.few_labels(pool, validation, validation, per_class, draws=(draws, 1), seed=seed)["validation"]
        C = min(found, key=found.get)
        interval = list(features.proportion_interval(round(found[C] * asked), asked))
        rows.append({"step": step, "validation_error": found[C], "interval": interval, "C": C})
    return rows


@measure(version=1, depends=_eye, optional=True)
def stages_checked(run, real, rng, *, eye="efficientnet", samples=2_000) -> dict:
    """The distances of `stages` by an eye that had no part in the choice: of as many training pictures as samples.

    `real` is that of as many other training pictures, where there are enough.
    """
    n, vectors, others = halves(eye, real, samples, rng)
    z = models.sample_latent(n, run.generator.arch, seed_of(rng))
    rows = [
        {"step": step, "frechet": metrics.frechet_distance(seen_by(eye, images), vectors)}
        for step, images in drawn_at_stages(stages_kept(run), z)
    ]
    return {f"stages_by_{eye}": {"samples": n, "rows": rows, "real": metrics.frechet_distance(others, vectors)}}


def _eye_and_set(settings: dict) -> dict:
    return _eye(settings) | {"set": fingerprints(data.load(settings["whole_set"]))}


@measure(version=1, depends=_eye_and_set)
def held_out(run, real, rng, *, eye="face_attributes", whole_set="celeba", first=9_000) -> dict:
    """The distance to the training pictures of real ones that were held out: those of the whole set from `first` on."""
    others = data.load(whole_set, image_size=real.image_size).images[first:]
    return {"frechet_held_out": metrics.frechet_distance(seen_by(eye, others), seen_once(eye, real.images))}


@measure(version=2, depends=_eye)
def memorised(run, real, rng, *, eye="face_attributes", samples=2_000) -> dict:
    """The share of samples that are nearer to a picture trained on than 99 % of real pictures are that were not.

    Where (nearly) all were trained on, as many of them are asked for their nearest fellow instead (`usual_distances`).
    `metrics.copied` needs no new pictures: its limit follows from the known ones, and moves with how many they are.
    """
    known, n = trained_on_first(run, real, samples)
    vectors = seen_once(eye, known.images[:n])
    if fellows := len(known) - n < samples // 2:
        asked = vectors[rng.choice(n, min(samples, n), replace=False)]
    else:
        asked = seen_once(eye, known.images[n:])
    away = metrics.usual_distances(asked, vectors, fellows)
    generated = metrics.nearest(seen_by(eye, data.to_uint8(drawn(run.generator, samples, rng))), vectors)[1][:, 0]
    return {
        "memorised": float((generated < np.quantile(away, 0.01)).mean()),
        "nearest_median": float(np.median(generated)),
        "real_nearest_median": float(np.median(away)),
        "trained_on": n,
    }


@measure(version=2, depends=_eye, optional=True)
def walks(run, real, rng, *, eye="face_attributes", pairs=100, steps=10, samples=2_000) -> dict:
    """Walks of `steps` pictures between random latents in an eye's features, and how many dimensions samples fill.

    `cross_fades` are those between the same ends in pixels, with nothing in between but ghosts: a smooth walk is no
    merit by itself. `effective_dimension` is the participation ratio of the samples' covariance, (sum of eigenvalues)²
    over the sum of their squares; `real_effective_dimension` that of as many real pictures.
    """
    generator = run.generator
    ends = models.sample_latent(2 * pairs, generator.arch, seed_of(rng)).view(pairs, 2, -1)
    rows = {"walks": [], "cross_fades": []}
    for pair in ends:
        walk = models.sample(generator, latent.interpolate(pair, steps))
        fade = latent.interpolate(walk[[0, -1]].flatten(1), steps).view_as(walk)
        for name, pictures in (("walks", walk), ("cross_fades", fade)):
            rows[name].append(latent.path_report(seen_by(eye, pictures)))
    return {
        **{kind: {name: mean([row[name] for row in found]) for name in found[0]} for kind, found in rows.items()},
        "effective_dimension": effective_dimension(seen_by(eye, drawn(generator, samples, rng))),
        "real_effective_dimension": effective_dimension(seen_once(eye, some(real, samples, rng))),
    }


def effective_dimension(vectors: np.ndarray) -> float:
    covariance = np.cov(vectors, rowvar=False)
    return float(np.trace(covariance) ** 2 / (covariance**2).sum())


# What every study that compares samples begins with.
SAMPLED = (
    statistics,
    spread,
    frechet.set(samples=2_000),
    quality.set(eye="face_attributes"),
    quality.set(eye="efficientnet"),
)


# ---- what D learnt -------------------------------------------------------------------------------------------------


@measure(version=1, depends=_labelled_set, optional=True)
def d_worth(
    run,
    real,
    rng,
    *,
    labelled_set="cifar10",
    attribute=None,
    labelled=2_000,
    tested=2_000,
    candidates=(1e-5, 1e-4, 1e-3, 1e-2),
    tol=1e-2,
) -> dict:
    """Accuracy of a linear SVM on D's features of a labelled set: what the discriminator is worth (section 5).

    `labelled` pictures, a fifth of which choose C, `tested` others; classes are the set's labels or an attribute. The
    pictures are the same for the same rng, whatever the network.
    """
    network, settings = run.discriminator, (labelled_set, attribute, labelled, tested, candidates, tol)
    right, C = told_right(vectors_of(network), network.arch, rng, *settings)
    return {"d_worth": float(right.mean()), "d_worth_interval": list(features.interval(right)), "d_worth_C": C}


def vectors_of(network: models.Discriminator) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """What `told_right` asks for, by the features of D."""

    def vectors(pictures, known):
        return features.discriminator_features(network, pictures, calibrate_on=known, progress=False)

    return vectors


def told_right(
    vectors: Callable[[np.ndarray, np.ndarray], np.ndarray],
    arch: models.Architecture,
    rng: np.random.Generator,
    labelled_set: str,
    attribute: str | None,
    labelled: int,
    tested: int,
    candidates: Sequence[float],
    tol: float,
) -> tuple[np.ndarray, float]:
    """Which of the `tested` pictures a linear SVM names rightly, (tested,) bool, and its C. Settings as `d_worth`.

    `vectors(pictures, known)` makes the features (N, F) of pictures (N, H, W, C) as `arch` takes them; `known` are the
    labelled ones.
    """
    pictures = data.load(labelled_set, image_size=arch.image_size, channels=arch.channels)
    classes = pictures.labels
    if attribute is not None:
        classes = pictures.attributes[:, list(pictures.attribute_names).index(attribute)]
    order = rng.permutation(len(pictures))[: labelled + tested]
    x, y = np.asarray(pictures.images[np.sort(order)]), np.asarray(classes)[np.sort(order)]
    shuffle = rng.permutation(len(x))
    x, y = x[shuffle], y[shuffle]
    cut = min(labelled, len(x) // 2)
    found = vectors(x, x[:cut])
    fitted = cut - cut // 5
    parts = (found[:fitted], y[:fitted], found[fitted:cut], y[fitted:cut])
    model, _ = features.choose_C(*parts, candidates, tol=tol)
    model.set_params(warm_start=False).fit(found[:cut], y[:cut])
    return model.predict(found[cut:]) == y[cut:], model.C
