"""What a step sees: minibatch k is a function of the seed and of k, and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from .. import data, distributed
from ..device import memory_format
from . import streams


def check_labels(images: np.ndarray | data.ImageSet, classes: int | None = None) -> int:
    """The number of classes of a set whose every picture has a label, as training with labels needs it.

    Raises ValueError for one without labels, with another number than `classes`, or where some have no class.
    """
    found = images.classes if isinstance(images, data.ImageSet) else 0
    if not found:
        what = images.name if isinstance(images, data.ImageSet) else "this array"
        raise ValueError(
            f"training with classes needs labels, and {what} has none: take a labelled set, or a folder with a "
            "subfolder a class and no picture beside these"
        )
    if classes not in (None, found):
        raise ValueError(
            f"{images.name} has {found} classes, the architecture {classes}: give it classes={found}, or classes=0 and "
            "conditional=True (--conditional), which takes the set's number"
        )
    labels = np.asarray(images.labels)
    outside = int(((labels < 0) | (labels >= found)).sum())
    if outside:
        raise ValueError(
            f"{outside:,} of {len(images):,} pictures of {images.name} belong to none of its {found} classes: leave "
            "them out (ImageSet.select), or train without classes"
        )
    return found


class Minibatches:
    """Minibatch k of an endless row of shuffles of the data: every picture once an epoch, every batch full.

    `images` are uint8 (N, H, W, C), `labels` (N,) whole numbers or None. Of several processes each takes its part of
    every minibatch. On a GPU the pictures lie in its memory as uint8 where half of what is free holds them; else a
    thread reads the next minibatch while this one is trained on.
    """

    def __init__(
        self,
        images: np.ndarray,
        batch_size: int,
        seed: int,
        device: torch.device | None = None,
        labels: np.ndarray | None = None,
        stride: int = 1,  # the next minibatch asked for is k + stride
    ):
        self.images, self.batch_size, self.seed, self.stride = images, batch_size, seed, stride
        self.device = device or torch.device("cpu")
        self._labels = None if labels is None else torch.from_numpy(np.asarray(labels, np.int64))
        self.part = slice(distributed.rank(), None, distributed.world_size())  # of every minibatch
        self.orders: dict[int, Tensor] = {}
        gpu = self.device.type == "cuda"
        fits = gpu and images.nbytes < torch.cuda.mem_get_info(self.device)[0] / 2
        self.resident = self._resident() if fits else None
        self.reader = ThreadPoolExecutor(1) if gpu and not fits else None
        self.ahead = (-1, None)  # the minibatch that the thread reads, and its promise

    def __getitem__(self, k: int) -> Tensor:
        """float32 (batch_size / processes, C, H, W) in [-1, 1] on the device."""
        if self.resident is not None:
            pixels = self.resident[self.sent(self.indices(k))]
        elif self.reader is not None:
            pixels = self.ahead[1].result() if self.ahead[0] == k else self._read(k)
            self.ahead = (k + self.stride, self.reader.submit(self._read, k + self.stride))
        else:
            pixels = self._read(k)
        pictures = data.to_float(self.sent(pixels))  # a quarter of the bytes travels
        return pictures.contiguous(memory_format=memory_format(self.device))

    def labels(self, k: int) -> Tensor:
        """int64 (batch_size / processes,) on the device: the labels of minibatch k's pictures.

        Raises ValueError where the pictures have none.
        """
        if self._labels is None:
            raise ValueError("these pictures have no labels: take a labelled set, or a folder with a subfolder a class")
        return self.sent(self._labels[self.indices(k)])

    def sent(self, x: Tensor) -> Tensor:
        """x on the device. Only CUDA may go on meanwhile: MPS would read memory that Python has given back."""
        if self.device.type != "cuda":
            return x.to(self.device)
        if x.device.type == "cpu":
            x = x.pin_memory()  # from other memory a large copy waits for the GPU
        return x.to(self.device, non_blocking=True)

    def indices(self, k: int) -> Tensor:
        """Which pictures this process sees in minibatch k."""
        n, at, parts = len(self.images), k * self.batch_size, []
        end = at + self.batch_size
        while at < end:
            epoch, offset = divmod(at, n)
            parts.append(self._order(epoch)[offset : offset + end - at])
            at += len(parts[-1])
        return torch.cat(parts)[self.part]

    def whole(self) -> None:
        """From now on this process sees whole minibatches."""
        if self.ahead[1] is not None:
            self.ahead[1].result()  # the thread looks at `part`
        self.part, self.ahead = slice(None), (-1, None)

    def _read(self, k: int) -> Tensor:
        pixels = torch.from_numpy(self.images[self.indices(k).numpy()])  # a copy: (n, H, W, C) uint8
        return pixels.pin_memory() if self.device.type == "cuda" else pixels

    def _resident(self) -> Tensor:
        out = torch.empty(self.images.shape, dtype=torch.uint8, device=self.device)
        for start in range(0, len(out), 8192):  # the memory map is never in main memory as a whole
            out[start : start + 8192] = torch.from_numpy(np.array(self.images[start : start + 8192]))
        return out

    def _order(self, epoch: int) -> Tensor:
        orders = self.orders  # the thread that reads ahead may replace it
        if epoch not in orders:
            orders = {e: o for e, o in orders.items() if e == epoch - 1}
            rng = streams.generator(self.seed, streams.ORDER, epoch)
            orders[epoch] = torch.randperm(len(self.images), generator=rng)
            self.orders = orders
        return orders[epoch]
