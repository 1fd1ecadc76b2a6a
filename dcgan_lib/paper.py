"""What others report, once: the paper's tables 1 to 3 and the reproductions' figures. Ours are in results/.

Pages and rules compare with these. Shares run from 0 to 1. Source: Radford, Metz, Chintala (arXiv 1511.06434),
sections 5.1, 5.2 and the supplement; only the rows of D and of the labels alone, and table 3, are the authors' own
measurements, the rest they quote.
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

MNIST_FEW, MNIST_MANY = 50_000, 10_000_000  # digits that a nearest neighbour is looked for among
MNIST = {  # table 3: its error on held-out digits, by the number of digits
    "real digits": {MNIST_FEW: 0.031},
    "plain GAN": {MNIST_FEW: 0.0628, MNIST_MANY: 0.0565},
    "DCGAN": {MNIST_FEW: 0.0298, MNIST_MANY: 0.0148},
}


class Reproduced(NamedTuple):
    """What a student reproduction reports: accuracy, and of how many pictures."""

    accuracy: float
    pictures: int


BOMBAY_CIFAR10 = Reproduced(0.84, 1_000)  # validation pictures
BOMBAY_SVHN = Reproduced(0.57, 2_000)  # by a D of Tiny ImageNet
MCGILL_CIFAR10 = Reproduced(0.6527, 10_000)


class Losses(NamedTuple):
    """What Dai et al. (McGill) report of one change: the losses of a training, as their table 2 has them."""

    mean_d: float
    mean_g: float
    lowest_d: float
    lowest_g: float


MCGILL_LOSSES = {  # by the change's name in the study `architecture`; they have no row of the unchanged network
    "learning_rate_1e-4": Losses(0.4288, 2.9485, 0.1112, 0.0010),
    "learning_rate_1e-5": Losses(0.0901, 3.9478, 0.0225, 2.3076),
    "beta1_0.9": Losses(0.0604, 9.3882, 3.9020, 0.7723),  # a lowest loss above the mean: as printed
    "latent_10": Losses(0.0034, 51.3121, 1.8072e-27, 12.9624),
    "latent_1000": Losses(1.4002e-11, 69.5420, 2.0620e-31, 69.1848),
    "pooling_in_d": Losses(0.9232, 1.5402, 0.0855, 0.6468),
    "dense_hidden": Losses(0.6347, 3.1991, 0.0123, 0.0101),
    "relu_in_d": Losses(0.7094, 2.9053, 0.1499, 0.0055),
    "sigmoid_output": Losses(3.1770e-12, 62.1561, 9.9577e-28, 62.1007),
    "relu_output": Losses(1.8046e-8, 44.9723, 1.3315e-22, 36.7360),
    "output_16": Losses(0.8215, 1.8039, 0.0743, 0.0549),  # theirs: 32 of 64 pixels; ours: 16 of 32
    "output_64": Losses(0.0666, 5.0097, 0.0026, 1.3692),  # theirs: 128; ours: 64
}
