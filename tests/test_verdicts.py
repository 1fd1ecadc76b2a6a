"""The rules of C1 to C10 against made-up numbers: each holds, holds in part, fails and stays undecided on some of them.

A second reading of every rule stands in the tests as rows on both sides of each of its limits, so that an inverted
comparison or a moved limit is caught.
"""

import inspect
import json
import math

import numpy as np
import pytest
from scipy import stats

from dcgan_lib.features import proportion_interval
from experiments import verdicts
from experiments.verdicts import Outcome, Verdict

HOLDS, IN_PART, NOT, UNDECIDED = Outcome.HOLDS, Outcome.IN_PART, Outcome.NOT, Outcome.UNDECIDED


# ---- the rows ------------------------------------------------------------------------------------------------------


def training(distance, finite=True, **controls):
    return {
        "finite": finite,
        "frechet": distance,
        "controls": {"noise": 9.0, "ten copied": 6.0, "blurred": 3.0, "shuffled": 8.0} | controls,
    }


def accuracy(value, half=0.01):
    return {"test_accuracy": value, "interval": [value - half, value + half]}


def house(*errors):
    """SVHN by the D of each seed, as far as there are errors."""
    return {name: error(mean) for name, mean in zip(verdicts.SVHN_TRAININGS.values(), errors, strict=False)}


def seeds(*values):
    return {name: accuracy(value) for name, value in zip(verdicts.C2_TRAININGS.values(), values, strict=False)}


def between(low, high):
    return {"test_accuracy": (low + high) / 2, "mean": (low + high) / 2, "interval": [low, high]}


def error(value, half=0.01):
    return {"mean": value, "interval": [value - half, value + half]}


def search(value, trials=64, half=0.01):
    return error(value, half) | {"trials": [{}] * trials}


def paired(trials=64, **fewer):
    """A search with an error of 27 %, and by how much each D has fewer: [mean, half of the interval, *draws]."""
    rows = {k: error(mean, half) | {"errors": draws} for k, (mean, half, *draws) in fewer.items()}
    return search(0.27, trials) | {"paired": rows}


def near(share, expected=0.9, n=2000, copies=1000):
    of = [round(share * n), n]
    return {
        "expected": expected,
        "distinct": of,
        "copies": [copies, 1000],
        "generated": of,
        "most": 1,
        "independent": n,
    }


def layer(entropy, area, half=0.02):
    return {
        "entropy": {"interval": [entropy - half, entropy + half]},
        "area": {"interval": [area - half, area + half]},
    }


def dropped(gone, random=0.2, others=0.1, random_others=0.12, draws=19):
    # Draws spread around their mean, the largest at 1.5 times of it.
    spread = np.linspace(0.5, 1.5, draws)
    return {
        "gone": gone,
        "random_gone": list(random * spread),
        "others": others,
        "random_others": list(random_others * spread),
    }


def sums(man, woman, surest=None, control=2):
    """A seed: [of 30] sums that work for the two results, and for the control."""
    row = {"control": [control, 30]}
    return {
        "sums": {
            name: row | {"typical": [of, 30], "surest": [of if surest is None else surest, 30]}
            for name, of in (("smiling man", man), ("woman with glasses", woman))
        }
    }


def turn(grows=200, moved=0.3, r2=0.95, random_moved=(0.1, -0.2), random_r2=(0.9, 0.7), n=200):
    return {
        "grows": [grows, n],
        "moved": moved,
        "r2": r2,
        "random_moved": list(random_moved),
        "random_r2": list(random_r2),
    }


def control(low, high, difference=(0.1, 0.2)):
    return {"difference": list(difference), "share": (low + high) / 2, "explained": [low, high]}


def searches(*means):
    return [search(mean) for mean in means]


def of(*outcomes):
    return {seed: Verdict(outcome, f"words {seed}") for seed, outcome in enumerate(outcomes)}


def digits(wrong, real=310, samples=50_000, n=10_000):
    return {"wrong": [wrong, n], "wrong_real": [real, n], "samples": samples}


KMEANS = {"kmeans_1600": accuracy(0.78), "kmeans_4800": accuracy(0.80)}
OURS = {"tinyimagenet": accuracy(0.79, 0.015)}
SVHN = {"kmeans_1600": error(0.34)}
SEES = layer(2.9, 0.60), layer(2.5, 0.70)  # first and last, of a network that learnt a hierarchy
RANDOM = layer(2.9, 0.66), layer(2.7, 0.62)
BOTH = error(0.188), error(0.20)

CASES = [
    # C1
    (HOLDS, "c1", [training(1.0), training(2.0), training(2.9)]),
    (IN_PART, "c1", [training(1.0), training(2.0), training(3.1)]),
    (IN_PART, "c1", [training(1.0), training(2.0), training(1.0, finite=False)]),
    (NOT, "c1", [training(1.0), training(3.1), training(2.0), training(3.5)]),
    (NOT, "c1", [training(3.0)] * 3),  # a generator of blurs: at its control, not below
    (NOT, "c1", [training(math.inf)] * 3),
    (UNDECIDED, "c1", [training(1.0)] * 2),
    (UNDECIDED, "c1", []),
    (UNDECIDED, "c1", [training(1.0), training(1.0), {"finite": True, "frechet": 1.0}]),
    (UNDECIDED, "c1", [training(1.0)] * 2 + [{"finite": True, "frechet": 1.0, "controls": {"noise": 9.0}}]),
    # C2
    (HOLDS, "c2", KMEANS | {"tinyimagenet": accuracy(0.835)}),
    (IN_PART, "c2", KMEANS | {"tinyimagenet": accuracy(0.825)}),  # above what is measured here and 80.6, not 82.0
    (IN_PART, "c2", KMEANS | {"tinyimagenet": accuracy(0.825, 0.006)}),  # the lower end is what counts
    (UNDECIDED, "c2", KMEANS | {"tinyimagenet": accuracy(0.815)}),
    (UNDECIDED, "c2", KMEANS | {"tinyimagenet": accuracy(0.785)}),
    (NOT, "c2", KMEANS | {"tinyimagenet": accuracy(0.775)}),  # above 1,600 centroids is not enough
    (NOT, "c2", KMEANS | {"tinyimagenet": accuracy(0.733), "tinyimagenet_mirrored": accuracy(0.9)}),
    (HOLDS, "c2", KMEANS | {"tinyimagenet": accuracy(0.85), "kmeans_1600_mirrored": accuracy(0.9)}),
    (UNDECIDED, "c2", {"tinyimagenet": accuracy(0.9)}),
    (UNDECIDED, "c2", {"kmeans": between(0.75, 0.8), "tinyimagenet": between(0.7, 0.75)}),  # they touch
    (UNDECIDED, "c2", {"kmeans": between(0.75, 0.8), "tinyimagenet": between(0.8, 0.85)}),
    (IN_PART, "c2", {"kmeans": between(0.75, 0.8), "tinyimagenet": between(0.82, 0.85)}),
    # the same pictures: 40 of 900 more are beyond chance for one K-means, 30 are not; two K-means ask for more
    (IN_PART, "c2", {"kmeans": accuracy(0.78)} | OURS, "tinyimagenet", {"kmeans": (482, 418)}),
    (UNDECIDED, "c2", {"kmeans": accuracy(0.78)} | OURS, "tinyimagenet", {"kmeans": (465, 435)}),
    (NOT, "c2", {"kmeans": accuracy(0.78)} | OURS, "tinyimagenet", {"kmeans": (418, 482)}),
    (UNDECIDED, "c2", KMEANS | OURS, "tinyimagenet", {"kmeans_1600": (500, 400), "kmeans_4800": (418, 482)}),
    (NOT, "c2", KMEANS | OURS, "tinyimagenet", {"kmeans_1600": (500, 400), "kmeans_4800": (410, 490)}),
    (IN_PART, "c2", KMEANS | OURS, "tinyimagenet", {"kmeans_1600": (500, 400), "kmeans_4800": (490, 410)}),
    (UNDECIDED, "c2", KMEANS | OURS, "tinyimagenet", {"kmeans_1600": (500, 400)}),  # the other by its interval
    (HOLDS, "c2_over_trainings", KMEANS | seeds(0.835, 0.84, 0.85), {}),
    (IN_PART, "c2_over_trainings", KMEANS | seeds(0.835, 0.84, 0.775), {}),
    (NOT, "c2_over_trainings", KMEANS | seeds(0.775, 0.84, 0.775), {}),
    (UNDECIDED, "c2_over_trainings", KMEANS | seeds(0.785, 0.785, 0.775), {}),
    (NOT, "c2_over_trainings", KMEANS | seeds(0.785, 0.785), {"second_seed": {"kmeans_4800": (410, 490)}}),  # of two
    (NOT, "c2_over_trainings", KMEANS | seeds(0.775) | {"alternate": accuracy(0.9)}, {}),  # no seed of this network
    # C3
    (HOLDS, "c3", SVHN | {"ours": error(0.22)}, True),
    (IN_PART, "c3", {"kmeans_1600": error(0.22), "ours": error(0.22)}, True),
    (UNDECIDED, "c3", {"kmeans_1600_mirrored": error(0.3), "ours": error(0.22)}, True),
    (IN_PART, "c3", SVHN | {"kmeans_4800": error(0.22), "ours": error(0.22)}, True),
    (UNDECIDED, "c3", SVHN | {"ours": error(0.23)}, True),
    (UNDECIDED, "c3", SVHN | {"ours": between(0.2356, 0.25)}, True),
    (UNDECIDED, "c3", SVHN | {"ours": between(0.22, 0.2356)}, True),
    (NOT, "c3", SVHN | {"ours": error(0.25)}, True),
    (UNDECIDED, "c3", SVHN | {"ours": error(0.10)}, False),
    (HOLDS, "c3_over_trainings", SVHN | house(0.22, 0.21, 0.22), True),
    (IN_PART, "c3_over_trainings", SVHN | house(0.22, 0.21, 0.25), True),
    (NOT, "c3_over_trainings", SVHN | house(0.22, 0.25, 0.25), True),
    (UNDECIDED, "c3_over_trainings", SVHN | house(0.22, 0.235, 0.235), True),
    (UNDECIDED, "c3_over_trainings", SVHN | house(0.22, 0.21, 0.22), False),
    (HOLDS, "c3_over_trainings", SVHN | house(0.22) | {"authors": error(0.3)}, True),  # no training of ours
    # C4
    (HOLDS, "c4", {"authors": BOTH[0], "ours": BOTH[1]}, search(0.27)),
    (IN_PART, "c4", {"authors": BOTH[0], "ours": BOTH[1]}, search(0.27, trials=63)),
    (IN_PART, "c4", {"authors": BOTH[0], "ours": error(0.319)}, search(0.27)),
    (NOT, "c4", {"authors": error(0.27), "ours": error(0.319)}, search(0.27)),
    (UNDECIDED, "c4", {"authors": between(0.2, 0.26), "ours": between(0.28, 0.3)}, search(0.27) | between(0.26, 0.28)),
    (UNDECIDED, "c4", {"authors": error(0.26), "ours": error(0.28)}, search(0.27)),
    (UNDECIDED, "c4", {"ours": error(0.249)}, search(0.27) | {"errors": [0.25, 0.27, 0.29]}),
    (UNDECIDED, "c4", {"ours": error(0.249) | {"errors": [0.229, 0.249, 0.269]}}, search(0.27)),
    (HOLDS, "c4", {"ours": error(0.249)}, search(0.27) | {"errors": [0.2699, 0.27, 0.2701]}),
    (HOLDS, "c4", {"authors": error(0.2), "ours": error(0.22), "third_seed": error(0.23)}, search(0.27)),
    (IN_PART, "c4", {"authors": error(0.2), "ours": error(0.22), "third_seed": error(0.26)}, search(0.27)),
    (HOLDS, "c4", {"ours": error(0.22), "tinyimagenet": error(0.32), "random": error(0.4)}, search(0.27)),  # no part
    # the same pictures: what intervals side by side leave open, in either direction; draws of labels count as well
    (HOLDS, "c4", {"ours": error(0.26)}, paired(ours=(0.01, 0.005))),
    (IN_PART, "c4", {"ours": error(0.26)}, paired(63, ours=(0.01, 0.005))),
    (UNDECIDED, "c4", {"ours": error(0.2)}, paired(ours=(0.01, 0.015))),
    (UNDECIDED, "c4", {"ours": error(0.26)}, paired(ours=(0.01, 0.005, 0.0, 0.01, 0.02))),
    (HOLDS, "c4", {"ours": error(0.26)}, paired(ours=(0.01, 0.005, 0.009, 0.01, 0.011))),
    (NOT, "c4", {"ours": error(0.28)}, paired(ours=(-0.01, 0.005))),
    (IN_PART, "c4", {"ours": error(0.26), "authors": error(0.28)}, paired(ours=(0.01, 0.005), authors=(-0.01, 0.005))),
    # and where one of two was not counted, it goes by its interval
    (HOLDS, "c4", {"ours": error(0.26), "authors": error(0.2)}, paired(ours=(0.01, 0.005))),
    (IN_PART, "c4", {"ours": error(0.26), "authors": error(0.26)}, paired(ours=(0.01, 0.005))),
    (HOLDS, "c4_over_searches", {"ours": error(0.22)}, searches(0.27)),
    (HOLDS, "c4_over_searches", {"ours": error(0.22)}, searches(0.27, 0.26)),
    (IN_PART, "c4_over_searches", {"ours": error(0.22), "third_seed": error(0.25)}, searches(0.3, 0.26)),
    (NOT, "c4_over_searches", {"ours": error(0.32)}, searches(0.27, 0.31)),
    (UNDECIDED, "c4_over_searches", {"ours": error(0.22)}, searches(0.27, 0.22)),
    (UNDECIDED, "c4_over_searches", {"ours": error(0.22)}, searches(0.22)),
    # C5
    (HOLDS, "c5", {"features": near(0.899), "pixels": near(0.895)}),
    (HOLDS, "c5", {"features": near(0.80)}),  # nearer to faces that it never saw
    (HOLDS, "c5", {"features": near(0.505, expected=0.5)}),
    (IN_PART, "c5", {"features": near(0.90), "pixels": near(0.914, n=10_000)}),  # some 14 % copies
    (NOT, "c5", {"features": near(0.90), "pixels": near(0.93)}),
    (NOT, "c5", {"features": near(0.925, n=10_000)}),
    (NOT, "c5", {"features": near(1.0)}),
    (UNDECIDED, "c5", {"features": near(0.90, copies=890)}),
    (UNDECIDED, "c5", {"features": near(0.90), "pixels": {"expected": 0.9, "copies": [1000, 1000]}}),
    (UNDECIDED, "c5", {"features": near(0.90) | {"most": 200}}),  # five faces copied again and again
    (IN_PART, "c5", {"features": near(0.905) | {"generated": [1900, 2000], "most": 20, "independent": 174.0}}),  # fifty
    (HOLDS, "c5", {"features": near(0.90, copies=900)}),
    (UNDECIDED, "c5", {"features": near(0.90, n=200)}),
    (UNDECIDED, "c5", {"features": near(0.914, n=10_000), "pixels": near(0.90, n=200)}),  # one above none, another wide
    (UNDECIDED, "c5", {"features": near(0.90), "pixels": near(0.90, n=200)}),
    (HOLDS, "c5", {"features": near(0.90), "pixels": near(1.0, copies=890)}),  # a blind space counts for nothing
    # C6
    (HOLDS, "c6", SEES, RANDOM),
    (IN_PART, "c6", [layer(2.9, 0.66), layer(2.5, 0.63)], RANDOM),  # learnt, no hierarchy
    (IN_PART, "c6", [layer(2.9, 0.60), layer(2.69, 0.70)], RANDOM),
    (NOT, "c6", [layer(2.9, 0.66), layer(2.69, 0.63)], RANDOM),
    (NOT, "c6", [layer(2.9, 0.60), layer(2.9, 0.56)], RANDOM),  # less selective, and falling
    (IN_PART, "c6", [layer(2.9, 0.60), layer(2.5, 0.63)], RANDOM),  # it grows, and the intervals meet
    (UNDECIDED, "c6", SEES, []),
    (UNDECIDED, "c6", SEES[:1], RANDOM),
    # C7, counted
    (HOLDS, "c7", {"smile": dropped(0.54), "glasses": dropped(0.62)}),
    (IN_PART, "c7", {"smile": dropped(0.54), "bangs": dropped(0.14)}),
    (NOT, "c7", {"smile": dropped(0.49)}),  # less than half
    (NOT, "c7", {"glasses": dropped(0.62, random=0.42)}),  # the largest of the random draws has 63 %
    (NOT, "c7", {"smile": dropped(0.5)}),
    (NOT, "c7", {"glasses": dropped(0.6, random=0.4)}),
    (NOT, "c7", {"smile": dropped(0.9, others=0.13)}),  # more is spoilt than by random maps
    (UNDECIDED, "c7", {"smile": dropped(0.9, draws=18)}),
    (UNDECIDED, "c7", {"smile": dropped(0.9), "bangs": dropped(0.9, draws=10)}),
    (UNDECIDED, "c7", {}),
    # C7, judged by eye
    (HOLDS, "c7_judged", [28, 32], 15, 2),
    (IN_PART, "c7_judged", [20, 32], 10, 1),
    (UNDECIDED, "c7_judged", [20, 32], 9, 2),  # p = 0.065
    (UNDECIDED, "c7_judged", [20, 32], 11, 3),  # p = 0.057
    (UNDECIDED, "c7_judged", [20, 32], 3, 11),
    (UNDECIDED, "c7_judged", [15, 32], 5, 3),
    (HOLDS, "c7_judged", [24, 32], 10, 1),  # the lower end is 58 %
    (IN_PART, "c7_judged", [15, 32], 10, 1),
    (UNDECIDED, "c7_judged", [28, 32], 0, 0),
    (UNDECIDED, "c7_judged", [0, 0], 0, 0),  # nothing to be forgotten
    (NOT, "c7_judged", [20, 32], 1, 10),  # the random maps did it
    (NOT, "c7_judged", [3, 32], 3, 1),
    (NOT, "c7_judged", [5, 100], 5, 0),
    (NOT, "c7_judged", [10, 100], 10, 0),  # surely more than random maps, and surely not most of the samples
    # C7, judged by eye in two passes
    (HOLDS, "c7_judged_twice", [[[75, 100], 45, 5], [[70, 100], 40, 8]], [0.2, 0.5], 0.8, 120),
    (IN_PART, "c7_judged_twice", [[[75, 100], 45, 5], [[55, 100], 30, 8]], [0.2, 0.5], 0.8, 120),  # lower end 45 %
    (NOT, "c7_judged_twice", [[[10, 100], 10, 0], [[12, 100], 12, 0]], [0.05, 0.2], 0.8, 120),
    (NOT, "c7_judged_twice", [[[75, 100], 5, 40], [[70, 100], 8, 40]], [-0.5, -0.2], 0.8, 120),
    (UNDECIDED, "c7_judged_twice", [[[75, 100], 45, 5], [[10, 100], 10, 0]], [0.1, 0.4], 0.8, 120),  # not of one mind
    (UNDECIDED, "c7_judged_twice", [[[75, 100], 45, 5], [[70, 100], 20, 12]], [0.05, 0.4], 0.8, 120),  # p = 0.22
    (UNDECIDED, "c7_judged_twice", [[[75, 100], 45, 5], [[70, 100], 40, 8]], [0.0, 0.5], 0.8, 120),
    (UNDECIDED, "c7_judged_twice", [[[75, 100], 45, 5], [[70, 100], 40, 8]], [0.2, 0.5], 0.39, 120),
    (HOLDS, "c7_judged_twice", [[[75, 100], 45, 5], [[70, 100], 40, 8]], [0.2, 0.5], 0.4, 120),
    (UNDECIDED, "c7_judged_twice", [[[75, 100], 45, 5], [[70, 100], 40, 8]], [0.2, 0.5], None, 120),
    (UNDECIDED, "c7_judged_twice", [[[75, 99], 45, 5], [[70, 99], 40, 8]], [0.2, 0.5], 0.8, 99),
    (HOLDS, "c7_judged_twice", [[[75, 99], 45, 5], [[70, 99], 40, 8]], [0.2, 0.5], 0.8, 100),  # one shows none at first
    (UNDECIDED, "c7_judged_twice", [[[0, 0], 0, 0]] * 2, None, 0.8, 120),
    (UNDECIDED, "c7_judged_twice", [[[48, 80], 19, 4], [[0, 0], 0, 0]], [0.1, 0.3], 0.8, 120),
    (UNDECIDED, "c7_judged_twice", [[[75, 100], 45, 5]], [0.2, 0.5], 0.8, 120),
    (UNDECIDED, "c7_judged_twice", [[[10, 100], 10, 0], [[12, 100], 12, 0]], [0.05, 0.2], 0.1, 120),
    # C8
    (HOLDS, "c8", [sums(25, 20), sums(28, 22), sums(30, 30)]),
    (IN_PART, "c8", [sums(25, 1), sums(20, 2), sums(20, 2)]),
    (IN_PART, "c8", [sums(25, 1), sums(15, 2), sums(20, 2)]),  # one seed at one half: more than chance, no more
    (IN_PART, "c8", [sums(25, 1, surest=9), sums(20, 2, surest=9), sums(20, 2, surest=9)]),
    (NOT, "c8", [sums(25, 1), sums(9, 2), sums(20, 2)]),  # 9 of 30 is not clear of 2 of 30
    (IN_PART, "c8", [sums(25, 25, surest=9)] * 3),
    (IN_PART, "c8", [sums(25, 25), sums(25, 25), sums(14, 14)]),
    (IN_PART, "c8", [sums(14, 14)] * 3),  # clear of the control, and fewer than half
    (IN_PART, "c8", [sums(15, 15)] * 3),
    (HOLDS, "c8", [sums(17, 17)] * 3),
    (NOT, "c8", [sums(17, 17, control=12)] * 3),  # more than half, and not clear of the control
    (NOT, "c8", [sums(1, 1)] * 3),
    (UNDECIDED, "c8", [sums(30, 30)] * 2),
    (UNDECIDED, "c8", [{"sums": {}}] * 3),
    # C9
    (HOLDS, "c9", [turn(), turn(199), turn(190)]),
    (IN_PART, "c9", [turn(), turn(), turn(187)]),  # 93.5 %, lower end 89 %
    (IN_PART, "c9", [turn(), turn(), turn(r2=0.89)]),  # as straight as a direction that turns nothing
    (NOT, "c9", [turn(), turn(), turn(moved=0.19)]),  # a random direction moves 0.2 the other way
    (NOT, "c9", [turn(), turn(), turn(moved=0.2)]),
    (IN_PART, "c9", [turn(), turn(), turn(r2=0.9)]),
    (IN_PART, "c9", [turn(), turn(), turn(130)]),
    (NOT, "c9", [turn(), turn(), turn(105)]),
    (UNDECIDED, "c9", [turn()] * 2),
    (UNDECIDED, "c9", [turn(), turn(), turn(random_moved=(), random_r2=())]),
    # Why generated faces lie nearer
    (HOLDS, "explains", {"features": control(0.76, 1.1), "pixels": control(0.9, 1.4)}),
    (HOLDS, "explains", {"features": control(0.75, 1.1), "pixels": control(-3, 3, difference=(-0.1, 0.2))}),
    (IN_PART, "explains", {"features": control(0.74, 1.1), "pixels": control(0.9, 1.4)}),
    (IN_PART, "explains", {"features": control(-0.2, 0.2), "pixels": control(0.9, 1.4)}),
    (IN_PART, "explains", {"features": control(-0.2, 0.3), "pixels": control(0.01, 0.9)}),
    (NOT, "explains", {"features": control(-0.2, 0.25), "pixels": control(0.1, 0.2)}),
    (NOT, "explains", {"features": control(0, 0)}),  # generated faces are no blurrier
    (UNDECIDED, "explains", {"features": control(-0.2, 0.3), "pixels": control(0, 0.2)}),
    (UNDECIDED, "explains", {"features": control(0.9, 1.1, difference=(0, 0.2))}),  # no difference to explain
    (UNDECIDED, "explains", {"features": control(0.9, 1.1, difference=(-0.2, -0.1))}),
    # Several trainings
    (HOLDS, "over_trainings", of(HOLDS)),
    (UNDECIDED, "over_trainings", of(UNDECIDED)),
    (HOLDS, "over_trainings", of(HOLDS, HOLDS, HOLDS)),
    (IN_PART, "over_trainings", of(IN_PART, IN_PART, IN_PART)),
    (IN_PART, "over_trainings", of(HOLDS, HOLDS, NOT)),
    (IN_PART, "over_trainings", of(HOLDS, IN_PART, UNDECIDED)),
    (NOT, "over_trainings", of(HOLDS, NOT, NOT)),
    (NOT, "over_trainings", of(HOLDS, NOT)),
    (UNDECIDED, "over_trainings", of(HOLDS, UNDECIDED, NOT)),
    (UNDECIDED, "over_trainings", of(HOLDS, UNDECIDED, UNDECIDED)),
    # C10
    (HOLDS, "c10", [digits(298), digits(310), digits(320)]),
    (IN_PART, "c10", [digits(298), digits(310), digits(450)]),
    (NOT, "c10", [digits(298), digits(310), digits(720)]),
    (UNDECIDED, "c10", [digits(298), digits(310), digits(610)]),
    (UNDECIDED, "c10", [digits(298)] * 2),
    (UNDECIDED, "c10", [digits(298), digits(310), digits(310, samples=49_999)]),
]


@pytest.mark.parametrize(("outcome", "rule", "rows"), [(o, r, rows) for o, r, *rows in CASES])
def test_rule(outcome, rule, rows):
    verdict = getattr(verdicts, rule)(*rows)
    assert verdict.outcome == outcome, str(verdict)
    assert str(verdict).startswith(outcome) and verdict.words


def test_every_claim_has_every_outcome():
    rules = {n for n, f in inspect.getmembers(verdicts, inspect.isfunction) if n.startswith("c") and n[1:2].isdigit()}
    assert {rule.split("_")[0] for rule in rules} == {f"c{i}" for i in range(1, 11)}
    for rule in rules | {"explains", "over_trainings"}:
        assert {outcome for outcome, name, *_ in CASES if name == rule} == set(Outcome), rule


def test_docstrings_state_the_rule():
    for rule in {name for _, name, *_ in CASES}:
        words = " ".join(getattr(verdicts, rule).__doc__.split())
        assert all(part in words for part in ("Holds", "n part", "oes not hold", "ndecided")), rule


# ---- C1 on pictures: what is no sample must fail -------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures():
    """Smooth pictures (n, 8, 8) with a few ways to vary, a fresh draw a call, and the distance to one of the draws."""
    rng = np.random.default_rng(0)
    x = np.linspace(-1, 1, 8)
    waves = np.stack([np.outer(np.cos(i * x), np.cos(j * x)) for i in range(4) for j in range(4)])  # (16, 8, 8)

    def draw(n):
        return np.einsum("nk,kij->nij", rng.normal(size=(n, 16)), waves) + 0.1 * rng.normal(size=(n, 8, 8))

    real = draw(1000)

    def distance(images):
        from dcgan_lib import metrics

        return metrics.frechet_distance(images.reshape(len(images), -1), real.reshape(len(real), -1))

    return draw, distance, rng


def blurred(images):
    return images.reshape(-1, 4, 2, 4, 2).mean((2, 4)).repeat(2, 1).repeat(2, 2)


def without_order(images, rng):
    return rng.permuted(images.reshape(len(images), -1), axis=1).reshape(images.shape)


@pytest.mark.parametrize("kind", ["samples", "noise", "ten copied", "two copied", "blurred", "shuffled"])
def test_stable_is_what_noise_copies_and_blurs_are_not(pictures, kind):
    draw, distance, rng = pictures
    real = draw(1000)
    ways = {
        "samples": lambda: draw(1000),
        "noise": lambda: rng.normal(size=real.shape) * real.std(),
        "ten copied": lambda: np.tile(real[:10], (100, 1, 1)),
        "two copied": lambda: np.tile(real[:2], (500, 1, 1)),
        "blurred": lambda: blurred(real),
        "shuffled": lambda: without_order(real, rng),
    }
    controls = {name: distance(ways[name]()) for name in verdicts.CONTROLS}
    rows = [{"finite": True, "frechet": distance(ways[kind]()), "controls": controls}] * 3
    assert verdicts.c1(rows).outcome == (HOLDS if kind == "samples" else NOT)


# ---- intervals and tests, against formulas -------------------------------------------------------------------------


@pytest.mark.parametrize("n", [30, 32, 200])
def test_exact_interval_at_the_ends(n):
    assert proportion_interval(n, n, "exact") == pytest.approx((0.025 ** (1 / n), 1))
    assert proportion_interval(0, n, "exact") == pytest.approx((0, 1 - 0.025 ** (1 / n)))


def test_an_interval_over_test_pictures_and_draws():
    """Against many made-up experiments: five draws of a true error of 30 %, read on 1,000 pictures."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(2_000):
        true = 0.3 + 0.02 * rng.standard_normal(5)
        shift = np.sqrt(0.3 * 0.7 / 1_000) * rng.standard_normal()  # the same pictures in every draw
        errors = true + shift
        half = 1.96 * np.sqrt(0.3 * 0.7 / 1_000)
        row = error(errors.mean(), half) | {"errors": errors.tolist()}
        low, high = verdicts.over_draws(row)
        inside += low < 0.3 < high
    assert 0.94 < inside / 2_000 < 0.99
    assert verdicts.over_draws(error(0.3) | {"errors": [0.3]}) == tuple(error(0.3)["interval"])
    errors = [0.28, 0.31, 0.31]  # by scipy, with an interval over pictures that has no width
    expected = stats.t.interval(0.95, 2, np.mean(errors), stats.sem(errors))
    assert verdicts.over_draws(error(0.3, 0) | {"errors": errors}) == pytest.approx(expected)


def test_generated_faces_count_as_so_many_independent_ones():
    row = {"generated": [1900, 2000], "independent": 41.9}
    assert verdicts.share_of_generated(row) == pytest.approx(tuple(stats.beta.ppf((0.025, 0.975), (39, 40), (3, 2))))


def test_words_name_the_numbers():
    words = verdicts.c2(KMEANS | {"tinyimagenet": accuracy(0.733)}).words
    assert all(part in words for part in ("73.3%", "80.0%", "80.6%", "82.0%", "82.8%"))
    words = verdicts.c2(KMEANS | OURS, "tinyimagenet", {"kmeans_4800": (410, 490)}).words
    assert "right alone on 410 and 490 pictures, p = 0.008" in words
    assert "9 : 2" in verdicts.c7_judged([20, 32], 9, 2).words and "0.065" in verdicts.c7_judged([20, 32], 9, 2).words
    words = verdicts.c7_judged_twice([[[75, 100], 45, 5], [[70, 100], 40, 8]], [0.2, 0.5], 0.83, 100).words
    assert all(part in words for part in ("75 of 100", "40 : 8", "p < 0.001", "20% to 50%", "kappa 0.83")), words
    assert "kappa 0.20" in verdicts.c7_judged_twice([[[75, 100], 45, 5]] * 2, [0.2, 0.5], 0.2, 100).words
    words = verdicts.c8([sums(25, 1), sums(15, 2), sums(20, 3)]).words
    assert "50 to 83.3 %" in words and "3.33 to 10 %" in words and "3 seeds" in words
    words = verdicts.c7({"smile": dropped(0.54)}).words
    assert (
        "smile gone from 54%" in words and "10% to 30%" in words and "10.0% of other opinions change (12.0%)" in words
    )
    words = verdicts.c5({"pixels": near(0.914, n=10_000)}).words
    low, high = proportion_interval(9140, 10_000, "exact")
    assert f"91.4% by pixels ({low:.1%} to {high:.1%}; 90% without" in words
    falling = layer(2.9, 0.67), layer(2.7, 0.62)
    words = [verdicts.c6([layer(2.9, area), SEES[1]], falling).words for area in (0.6, 0.7, 0.8)]
    for found, said in zip(
        words,
        ("grows with depth, with random weights it falls", "does not grow with depth", "falls with depth"),
        strict=True,
    ):
        assert found.startswith("the last layer's maps have a lower class entropy than random ones; the area under the")
        assert f"the ROC curve {said}" in found and "selective" not in found
    assert words[2].endswith("falls with depth, with random weights as well: no hierarchy")
    words = verdicts.c6(SEES[:1] * 2, (layer(2.9, 0.6), layer(2.9, 0.7))).words
    assert "have no lower class entropy" in words
    assert words.endswith("does not grow with depth, with random weights it grows: no hierarchy")
    words = verdicts.c9([turn(), turn(187), turn(r2=0.5)]).words
    assert "93.5 to 100 %" in words and "further and not straighter" in words
    words = verdicts.explains({"features": control(0.2, 0.4), "pixels": control(0, 1, difference=(-1, 1))}).words
    assert words == "30% by features (20% to 40%)"
    assert verdicts.over_trainings(of(IN_PART)).words == "words 0; of one training"
    words = verdicts.over_trainings(of(HOLDS, HOLDS, NOT)).words
    assert "holds on this set in 2, does not hold in 1 of 3 trainings" in words and "seed 2, words 2" in words
    assert "in every one of 3 trainings" in verdicts.over_trainings(of(HOLDS, HOLDS, HOLDS)).words
    assert verdicts.over_trainings(of(NOT, NOT)).words.startswith("does not hold in any of 2 trainings: ")
    words = verdicts.c4_over_searches({"ours": error(0.22)}, searches(0.27, 0.28)).words
    assert words.startswith("holds on this set in every one of 2 searches: search 1, labels only 27.0% error, of 64")
    words = verdicts.c4({"authors": error(0.2), "ours": error(0.26)}, paired(ours=(0.01, 0.005))).words
    assert words.endswith("D (points fewer on the same draws): authors 20.0%, ours 26.0% (1.0, 0.5 to 1.5)")
    words = verdicts.c10([digits(298), digits(310), digits(450)]).words
    assert "2.98 to 4.5 %" in words and "real digits 3.1 %" in words and "6.28%" in words
    assert str(Verdict(HOLDS, "why")) == "holds on this set: why"


# ---- what is recorded ----------------------------------------------------------------------------------------------


def test_recorded_verdicts_follow_from_the_rules():
    from dcgan_lib import results
    from experiments import rejudge
    from experiments.analyses import ANALYSES
    from experiments.studies import STUDIES

    recorded = {path.stem: results.load(path.stem) for path in results.folder().glob("*.json")}
    waiting = {entry.file for entry in (ANALYSES | STUDIES).values() if entry.not_run}
    known = rejudge.RULES | rejudge.WHOLE | rejudge.PREDICTING
    assert set(known) <= set(recorded) | waiting
    for name, record in recorded.items():
        if record["claims"]:
            assert name in known, f"no rule for the claims of {name}"
        assert rejudge.judged_again(record) == record, f"{name} has other verdicts than its numbers"


def test_typed_verdicts_are_put_right(tmp_path, monkeypatch):
    """Of a study's claims and its predictions, whose words pages print, and of another training's claim."""
    from dcgan_lib import results
    from experiments import rejudge

    whole = {name: results.load(name) for name in ("architecture", "training_streets")}
    monkeypatch.setenv("DCGAN_RESULTS", str(tmp_path))
    typed = json.loads(json.dumps(whole))
    typed["architecture"]["measured"]["predictions"][1] |= {"verdict": str(HOLDS), "words": "typed"}
    for record in typed.values():
        record["claims"]["C1"]["verdict"] = str(HOLDS)
        results.write(record)
    rejudge.main()
    assert {name: results.load(name) for name in whole} == whole


def test_all_that_a_rule_says_is_judged_again():
    """Not the verdict of a claim alone: also what explains it, and what follows from the rows of an analysis."""
    from dcgan_lib import results
    from experiments import rejudge

    for name, place, key in (
        ("latent_faces", lambda record: record["claims"]["C5"], "why"),
        ("untrained_worth", lambda record: record["measured"]["studies"]["domains"], "compared"),
        ("training_curve", lambda record: record["measured"], "per_doubling"),
    ):
        right = rejudge.judged_again(results.load(name))
        typed = json.loads(json.dumps(right))
        place(typed)[key] = {"typed": str(HOLDS)}
        assert rejudge.judged_again(typed) == right, name


def test_recorded_words_about_faces_are_those_of_the_numbers():
    from dcgan_lib import results
    from experiments.analyses import latent_faces

    record = results.load("latent_faces")
    assert latent_faces.claims(record["measured"]) == record["claims"]


def test_other_trainings_of_faces_are_judged_with_the_shipped_one():
    """A training that copies, or whose sums fail, is in the verdict: none is left out of it."""
    from dcgan_lib import results
    from experiments.analyses import latent_faces

    m = results.load("latent_faces")["measured"]
    shipped = {"memorisation": m["memorisation"], "seeds": m["other_trainings"][0]["seeds"]}  # of these nothing fails
    m |= shipped
    copies = json.loads(json.dumps(shipped))
    for space in copies["memorisation"].values():
        space["fair"]["all"] |= {"generated": [1990, 2000], "distinct": [1190, 1200]}
    for row in copies["seeds"]:
        for ways in row["sums"].values():
            ways["typical"] = ways["control"]
        row["pose"]["moved"] = 0.0
    others = [{"seed": 1, **copies}, {"seed": 2, **shipped}]
    found = {claim: entry["verdict"] for claim, entry in latent_faces.claims(m | {"other_trainings": others}).items()}
    assert all("does not hold in 1 of 3 trainings" in verdict for verdict in found.values()), found
    alone = {claim: entry["verdict"] for claim, entry in latent_faces.claims(m | {"other_trainings": []}).items()}
    assert all(verdict.endswith("of one training") for verdict in alone.values())
    assert "99.5%" in latent_faces.claims(m | {"other_trainings": others})["C5"]["ours"]


@pytest.mark.parametrize(
    ("near", "pairs", "recall", "outcome"),
    [
        (1_000, 1_000, {"exact": 1.0, "resized": 0.9}, Outcome.HOLDS),
        (1_000, 1_000, {"exact": 1.0, "mirrored": 0.0}, Outcome.IN_PART),
        (1_000, 1_000, {"exact": 1.0, "resized": 0.5}, Outcome.IN_PART),  # half is not most
        (900, 1_000, {"exact": 1.0}, Outcome.NOT),
        (99, 100, {"exact": 1.0}, Outcome.UNDECIDED),
        (0, 0, {}, Outcome.UNDECIDED),
    ],
)
def test_near_duplicates(near, pairs, recall, outcome):
    assert verdicts.near_duplicates(near, pairs, recall).outcome == outcome


@pytest.mark.parametrize(
    ("near", "outcome"),
    [
        ((1_000, 1_000, 1_000), Outcome.HOLDS),
        ((1_000, 1_000, 900), Outcome.IN_PART),
        ((1_000, 900, 900), Outcome.NOT),
        ((900, 995), Outcome.NOT),  # half of them
        ((900, 995, 995), Outcome.UNDECIDED),
        ((), Outcome.UNDECIDED),
    ],
)
def test_near_duplicates_over_sets(near, outcome):
    sets = {f"set {i}": {"near": n, "pairs": 1_000, "recall": {"exact": 1.0}} for i, n in enumerate(near)}
    verdict = verdicts.near_duplicates_over_sets(sets)
    assert verdict.outcome == outcome
    for i, n in enumerate(near):
        assert f"set {i}, {1_000 - n} of 1,000 pairs" in verdict.words


@pytest.mark.parametrize(
    ("theirs", "ours", "full", "outcome"),
    [
        ((840, 1_000), (0.70, 0.82), True, Outcome.HOLDS),  # Wilson: 81.6 % to 86.1 %
        ((840, 1_000), (0.70, 0.81), True, Outcome.NOT),
        ((840, 1_000), (0.858, 0.90), True, Outcome.HOLDS),
        ((840, 1_000), (0.865, 0.90), True, Outcome.NOT),
        ((840, 1_000), (0.70, 0.82), False, Outcome.UNDECIDED),
    ],
)
def test_reported(theirs, ours, full, outcome):
    assert verdicts.reported(theirs, ours, full).outcome == outcome
