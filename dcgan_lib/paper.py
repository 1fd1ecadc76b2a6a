"""What others report, once: the paper's tables 1 and 2 and the reproductions' figures. Ours are in results/.

Pages and rules compare with these. Shares run from 0 to 1. Source: Radford, Metz, Chintala (arXiv 1511.06434),
sections 5.1 and 5.2; only the rows of D and of the labels alone are the authors' own measurements, the rest they quote.
"""

from __future__ import annotations

from typing import NamedTuple


class Cifar10(NamedTuple):
    """A row of table 1: accuracy on the 10,000 test pictures, with all labels and with 400 a class (and its ±)."""

    accuracy: float
    accuracy_400: float
    spread_400: float
    units: int  # the largest number of feature maps in a layer


CIFAR10 = {
    "K-means, one layer": Cifar10(0.806, 0.637, 0.007, 4_800),
    "K-means, three layers": Cifar10(0.820, 0.707, 0.007, 3_200),
    "K-means, view-invariant": Cifar10(0.819, 0.726, 0.007, 6_400),
    "Exemplar CNN": Cifar10(0.843, 0.774, 0.002, 1_024),
    "D of ImageNet": Cifar10(0.828, 0.738, 0.004, 512),
}
CIFAR10_TESTED = 10_000

SVHN = {  # table 2: error on the 26,032 test pictures with 1,000 labels
    "nearest neighbour": 0.7793,
    "TSVM": 0.6655,
    "M1 + nearest neighbour": 0.6563,
    "M1 + TSVM": 0.5433,
    "M1 + M2": 0.3602,
    "SWWAE without dropout": 0.2783,
    "SWWAE with dropout": 0.2356,
    "D of SVHN": 0.2248,
}
SVHN_TESTED = 26_032
SVHN_LABELS_ONLY = 0.2887  # the same network on the labels alone: *validation* error, the best of so many trials
SVHN_TRIALS = 64


class Reproduced(NamedTuple):
    """What a student reproduction reports: accuracy, and of how many pictures."""

    accuracy: float
    pictures: int


BOMBAY_CIFAR10 = Reproduced(0.84, 1_000)  # validation pictures
BOMBAY_SVHN = Reproduced(0.57, 2_000)  # by a D of Tiny ImageNet
MCGILL_CIFAR10 = Reproduced(0.6527, 10_000)
