"""C10's measure: the error of a nearest neighbour among n digits on the 10,000 real test digits (section 5.1's table).

    python -m experiments nearest_digits

Two rows that need no generator: real training digits, and real ones deformed by our own code as InfiMNIST does. The
rows of generators are the measure `nearest_digits` of the study `conditional`. Each row is one stream: its n digits are
the first n of the next size, so that a longer row goes on where a shorter one stopped.

Under a minute on one CPU core. Writes results/nearest_digits.json.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from dcgan_lib import checkpoints, data, device, features, neighbours, results

SEED = 23
BATCH = 2_000
REAL = (1_000, 10_000, 50_000, 60_000)
DEFORMED = (1_000, 10_000, 50_000, 100_000)
PAPER = {"real, 50,000": 0.031, "DCGAN, 50,000": 0.0298, "DCGAN, 10 million": 0.0148}  # its table

Batch = tuple[np.ndarray, np.ndarray]  # uint8 (n, 28, 28, 1) and labels (n,)


def real(images: np.ndarray, labels: np.ndarray, seed: int = SEED) -> Iterator[Batch]:
    """Each training digit once, shuffled."""
    for part in np.array_split(np.random.default_rng(seed).permutation(len(images)), -(-len(images) // BATCH)):
        part = np.sort(part)
        yield images[part], labels[part]


def deformed(images: np.ndarray, labels: np.ndarray, seed: int = SEED) -> Iterator[Batch]:
    """Endless: every training digit deformed, in a new order and in a new way each time round."""
    for round_ in range(2**31):
        rng = np.random.default_rng((seed, round_))
        order = rng.permutation(len(images))
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            yield neighbours.deform(images[part], rng), labels[part]


def generated(
    draw: Callable[[np.random.Generator, int], Batch], seed: int = SEED, batch: int = BATCH
) -> Iterator[Batch]:
    """Endless: batch k is `draw(rng, batch)` with an rng of its own, so a stopped row goes on alike."""
    for k in range(2**31):
        yield draw(np.random.default_rng((seed, k)), batch)


def parts(images: data.ImageSet) -> tuple[data.ImageSet, data.ImageSet]:
    """Digits to train on and a sixth that is held out, shuffled: of MNIST 50,000 and 10,000, as released."""
    order = np.random.default_rng(SEED).permutation(len(images))
    cut = len(images) * 5 // 6
    return images.select(order[:cut]), images.select(order[cut:])


def errors(
    stream: Iterator[Batch],
    model: neighbours.NearestNeighbour,
    labels: np.ndarray,
    sizes: tuple[int, ...],
    state: Path | None = None,
) -> list[dict]:
    """The error on the model's queries, with its interval, after so many samples of the stream; see `wrong`."""
    return [
        {"samples": n, "error": float(found.mean()), "interval": list(features.interval(found))}
        for n, found in wrong(stream, model, labels, sizes, state).items()
    ]


def wrong(
    stream: Iterator[Batch],
    model: neighbours.NearestNeighbour,
    labels: np.ndarray,
    sizes: tuple[int, ...],
    state: Path | None = None,
) -> dict[int, np.ndarray]:
    """Samples of the stream → which of the model's queries, of these labels (Q,), are then told wrong, (Q,) booleans.

    With `state`, an .npz written at each size: a stopped row goes on after the last size that was written, and the
    samples before it are drawn again but not compared. Raises ValueError when the stream is shorter than the sizes.
    """
    found = {}
    if state is not None and state.exists():
        with np.load(state) as kept:
            model.load_state_dict({k: v for k, v in kept.items() if not k.isdigit()})
            found = {int(k): v for k, v in kept.items() if k.isdigit()}
    seen, done = 0, model.count
    todo = [n for n in sorted(sizes) if n > done]
    with tqdm(total=max(sizes), initial=done, desc="nearest neighbours", unit="digit", delay=2) as bar:
        for images, own in stream:
            if not todo:
                break
            for start, stop in _cuts(seen, len(images), [done, *todo]):
                if todo and seen + start >= done:
                    model.partial_fit(images[start:stop], own[start:stop])
                    bar.update(stop - start)
                if todo and model.count == todo[0]:
                    found[todo.pop(0)] = model.predict() != labels
                    if state is not None:
                        _keep(state, model, found)
            seen += len(images)
    if todo:
        raise ValueError(f"the stream ended after {seen:,} samples, before {todo[0]:,}")
    return {n: found[n] for n in sorted(sizes)}


def _cuts(seen: int, n: int, sizes: list[int]) -> list[tuple[int, int]]:
    """A batch of n, cut where a size is reached."""
    at = [0, *(size - seen for size in sizes if 0 < size - seen < n), n]
    return list(pairwise(at))


def _keep(path: Path, model: neighbours.NearestNeighbour, found: dict[int, np.ndarray]) -> None:
    file = io.BytesIO()
    np.savez(file, **{str(n): told for n, told in found.items()}, **model.state_dict())
    checkpoints.write_bytes(path, file.getvalue())


def main() -> None:
    torch.set_num_threads(1)
    train, test = data.load("mnist"), data.load("mnist", split="test")
    images, labels = np.asarray(train.images), np.asarray(train.labels).astype(np.int64)
    measured = {"test_digits": len(test), "paper": PAPER, "rows": {}}
    streams = {"real": (real, REAL), "deformed": (deformed, DEFORMED)}
    for name, (stream, sizes) in streams.items():
        model = neighbours.NearestNeighbour(np.asarray(test.images))
        start = time.process_time()
        rows = errors(stream(images, labels), model, np.asarray(test.labels), sizes)
        seconds = time.process_time() - start
        measured["rows"][name] = {"errors": rows, "samples_per_cpu_second": round(max(sizes) / seconds)}
    results.record(
        "nearest_digits",
        measured,
        command="python -m experiments nearest_digits",
        settings={"batch": BATCH, "real": REAL, "deformed": DEFORMED, "threads": 1},
        seed=SEED,
        images=train,
        device=device.device_name(torch.device("cpu")),
    )


if __name__ == "__main__":
    main()
    print(results.folder() / "nearest_digits.json")
