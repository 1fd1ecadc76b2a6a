"""C10's measure: the error of a nearest neighbour among n digits on the 10,000 test digits (the supplement's table).

    python -m experiments nearest_digits

Two rows that need no generator: real training digits, and real ones deformed by our own code as InfiMNIST does. The
rows of generators are the measure `nearest_digits` of the study `conditional`. Each row is one stream: its n digits are
the first n of the next size, so that a longer row goes on where a shorter one stopped.

Under a minute on one CPU core. Writes results/nearest_digits.json.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from dcgan_lib import data, device, neighbours, paper, results

from .. import nearest

SEED = nearest.SEED
BATCH = nearest.BATCH
REAL = (1_000, 10_000, 50_000, 60_000)
DEFORMED = (1_000, 10_000, 50_000, 100_000)
PAPER = {
    "real, 50,000": paper.MNIST["real digits"][paper.MNIST_FEW],
    "DCGAN, 50,000": paper.MNIST["DCGAN"][paper.MNIST_FEW],
    "DCGAN, 10 million": paper.MNIST["DCGAN"][paper.MNIST_MANY],
}


def main() -> None:
    torch.set_num_threads(1)
    train, test = data.load("mnist"), data.load("mnist", split="test")
    images, labels = np.asarray(train.images), np.asarray(train.labels).astype(np.int64)
    measured = {"test_digits": len(test), "paper": PAPER, "rows": {}}
    streams = {"real": (nearest.real, REAL), "deformed": (nearest.deformed, DEFORMED)}
    for name, (stream, sizes) in streams.items():
        model = neighbours.NearestNeighbour(np.asarray(test.images))
        start = time.process_time()
        rows = nearest.errors(stream(images, labels, SEED, BATCH), model, np.asarray(test.labels), sizes)
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
