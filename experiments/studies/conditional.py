"""C10: the released conditional network on MNIST, and a GAN of dense layers of its size (the paper's table 3).

As mnist/train_cond_dcgan.py: 50,000 digits and 10,000 held out, minibatches of 128 that feed one network each, L2 of
2.5e-5, batch norm without gain and bias, half of the epochs at the full rate and half in which it falls to 0 (there a
step an epoch, here a little each minibatch). Released are 200 epochs; here a quarter of them, for two CPU cores: what
falls short of the paper's figures may be for want of training. The other row is a "permutation invariant GAN" of which
the paper says no more; here two hidden layers of 2,200 units, which have as many parameters (6.8 and 6.6 million). One
that collapses would be no control: `statistics` say whether D told all pictures apart, and the sheet of samples shows
it.

Asked as there: the error of a nearest neighbour among samples, drawn by the batch's own statistics with uniform labels,
on the held-out digits. The paper's table says test error, so the test digits are asked, too. Its text says the error is
that of real digits, its table has it a little below (2.98 and 3.1 %).

Cost, by the processor time of a few minibatches and of some thousand samples on one core of an AMD EPYC, which another
process slowed. A training is 19,531 minibatches, half of them of each network: in bfloat16, which `auto` takes there,
0.24 s each for the released network and 0.08 s for the dense one (float32: 0.42 and 0.17 s), 1.3 and 0.4 hours of one
core. Ten million samples are drawn in 0.29 and 0.09 ms each (float32: 0.55 and 0.18), and compared with 20,000 digits
in 0.1 ms, where one product over all pixels takes 0.41 ms: 65 minutes of one core; the dense network draws a million.
All six trainings with their rows: 4.5 hours of two cores. The recorded run was made on an H200, the six side by side
with other trainings: seven minutes, most of them for the ten million samples. (The authors' README says about an hour
on a good GPU of theirs, for four times the epochs.)
"""

from dcgan_lib import data, paper, training

from .. import measures, nearest, rules
from ..study import Prediction, Study, Variant

PAPER, MANY = paper.MNIST_FEW, paper.MNIST_MANY
ALWAYS = (measures.statistics, measures.spread)
GOAL = paper.MNIST["DCGAN"]


def trained_digits(config: training.TrainConfig) -> data.ImageSet:
    """The 50,000 that are not held out."""
    return nearest.parts(data.load("mnist", image_size=config.arch.image_size))[0]


STUDY = Study(
    "conditional",
    "C10: digits told by their nearest neighbour among samples of the released network, and of a dense GAN; 4.5 "
    "hours on two CPU cores",
    training.TrainConfig(
        data="mnist",
        out="runs/conditional",
        arch="mnist28_conditional",
        epochs=50,
        decay_after=0.5,
        batch_size=128,
        schedule="alternate",
        weight_decay=2.5e-5,
    ),
    (
        Variant("released", note="mnist/train_cond_dcgan.py"),
        Variant(
            "dense",
            arch={"widths": (), "dense_units": 2_200, "dense_layers": 2},
            note="the paper's permutation invariant GAN, in our words",
            measures=(*ALWAYS, measures.nearest_digits),  # a million samples
        ),
    ),
    seeds=(0, 1, 2),
    measures=(*ALWAYS, measures.nearest_digits.set(samples=MANY)),
    predicts=(
        Prediction(
            "50,000 samples tell held-out digits as well as 50,000 real ones, and better than the paper's plain GAN "
            "(6.28 %), in every training.",
            rules.models_classes("released"),
            "C10",
        ),
        Prediction("The same of the test digits.", rules.models_classes("released", "test")),
        Prediction(
            "The paper's figures in each training: at most 2.98 % wrong with 50,000 samples, 1.48 % with ten million.",
            rules.reaches("released", GOAL),
        ),
        Prediction(
            "Ten million samples tell fewer digits wrong than 50,000, in every training.",
            rules.fewer_wrong(("released", MANY), ("released", PAPER)),
        ),
        Prediction(
            "Convolutions matter: with 50,000 samples every training of the released network tells fewer digits wrong "
            "than every one of the dense GAN.",
            rules.fewer_wrong(("released", PAPER), ("dense", PAPER)),
        ),
    ),
    images=trained_digits,
)
