"""Digits told by their nearest neighbour among a stream of others: the streams, and who is told wrong after so many.

What the analysis `nearest_digits` and the measure of that name share. A stream is a function: from sample number
`start` on, its batches. It is the same wherever it starts, so that a longer row goes on where a shorter one stopped.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dcgan_lib import checkpoints, data, features, neighbours

SEED = 23
BATCH = 2_000
KEEP_SECONDS = 60  # at most this much work is lost where a row is stopped

Batch = tuple[np.ndarray, np.ndarray]  # digits (n, 28, 28, 1), uint8 or float32 from 0 to 255, and labels (n,)
Stream = Callable[[int], Iterator[Batch]]


def real(images: np.ndarray, labels: np.ndarray, seed: int = SEED, batch: int = BATCH) -> Stream:
    """Each training digit once, shuffled."""

    def parts() -> Iterator[Batch]:
        for part in np.array_split(np.random.default_rng(seed).permutation(len(images)), -(-len(images) // batch)):
            part = np.sort(part)
            yield images[part], labels[part]

    return lambda start: _after(parts(), start)


def deformed(images: np.ndarray, labels: np.ndarray, seed: int = SEED, batch: int = BATCH) -> Stream:
    """Endless: every training digit deformed, in a new order and in a new way each time round."""

    def rounds() -> Iterator[Batch]:
        for round_ in range(2**31):
            rng = np.random.default_rng((seed, round_))
            order = rng.permutation(len(images))
            for start in range(0, len(order), batch):
                part = order[start : start + batch]
                yield neighbours.deform(images[part], rng), labels[part]

    return lambda start: _after(rounds(), start)


def generated(draw: Callable[[np.random.Generator, int], Batch], seed: int = SEED, batch: int = BATCH) -> Stream:
    """Endless: batch k is `draw(rng, batch)` with an rng of its own, so that those before `start` are not drawn."""

    def stream(start: int) -> Iterator[Batch]:
        first = start // batch
        drawn = (draw(np.random.default_rng((seed, k)), batch) for k in range(first, 2**31))
        return _after(drawn, start - first * batch)

    return stream


def _after(batches: Iterator[Batch], start: int) -> Iterator[Batch]:
    """The batches without the first `start` samples."""
    for images, labels in batches:
        if start < len(images):
            yield images[start:], labels[start:]
        start = max(0, start - len(images))


def parts(images: data.ImageSet) -> tuple[data.ImageSet, data.ImageSet]:
    """Digits to train on and a sixth that is held out, shuffled: of MNIST 50,000 and 10,000, as released."""
    order = np.random.default_rng(SEED).permutation(len(images))
    cut = len(images) * 5 // 6
    return images.select(order[:cut]), images.select(order[cut:])


def errors(
    stream: Stream, model: neighbours.NearestNeighbour, labels: np.ndarray, sizes: tuple[int, ...]
) -> list[dict]:
    """The error on the model's queries, with its interval, after so many samples of the stream; see `wrong`."""
    return [
        {"samples": n, "error": float(found.mean()), "interval": list(features.interval(found))}
        for n, found in wrong(stream, model, labels, sizes).items()
    ]


def wrong(
    stream: Stream,
    model: neighbours.NearestNeighbour,
    labels: np.ndarray,
    sizes: tuple[int, ...],
    state: Path | None = None,
) -> dict[int, np.ndarray]:
    """Samples of the stream → which of the model's queries, of these labels (Q,), are then told wrong, (Q,) booleans.

    With `state`, an .npz written at each size and each KEEP_SECONDS: a stopped row goes on from there. Raises
    ValueError when the stream is shorter than the sizes, and for a state that has gone past a size without noting it.
    """
    found: dict[int, np.ndarray] = {}
    if state is not None and state.exists():
        with np.load(state) as kept:
            model.load_state_dict({k: v for k, v in kept.items() if not k.isdigit()})
            found = {int(k): v for k, v in kept.items() if k.isdigit()}
    todo = [n for n in sorted(sizes) if n not in found]
    if todo and todo[0] <= model.count:
        noted = ", ".join(f"{n:,}" for n in found) or "none"
        raise ValueError(
            f"{state} has gone on to {model.count:,} samples; of its sizes it noted {noted}, and {todo[0]:,} are asked "
            "for: delete the file to count anew, or ask for more samples than it has seen"
        )
    kept_at = time.monotonic()
    with tqdm(total=max(sizes), initial=model.count, desc="nearest neighbours", unit="digit", delay=2) as bar:
        for images, own in _cut(stream(model.count), model.count, todo) if todo else ():
            model.partial_fit(images, own)
            bar.update(len(images))
            reached = model.count == todo[0]
            if reached:
                found[todo.pop(0)] = model.predict() != labels
            if state is not None and (reached or time.monotonic() - kept_at > KEEP_SECONDS):
                _keep(state, model, found)
                kept_at = time.monotonic()
            if not todo:
                break
    if todo:
        raise ValueError(f"the stream ended after {model.count:,} samples, before {todo[0]:,}")
    return {n: found[n] for n in sorted(sizes)}


def _cut(batches: Iterator[Batch], seen: int, sizes: Sequence[int]) -> Iterator[Batch]:
    """The batches, cut where one of the sizes is reached."""
    sizes = list(sizes)
    for images, labels in batches:
        at = [0, *(size - seen for size in sizes if 0 < size - seen < len(images)), len(images)]
        for start, stop in pairwise(at):
            yield images[start:stop], labels[start:stop]
        seen += len(images)


def _keep(path: Path, model: neighbours.NearestNeighbour, found: dict[int, np.ndarray]) -> None:
    file = io.BytesIO()
    np.savez(file, **{str(n): told for n, told in found.items()}, **model.state_dict())
    checkpoints.write_bytes(path, file.getvalue())
