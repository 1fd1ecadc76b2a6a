"""What goes wrong on pictures of one's own, and how it shows: each symptom made by one change that a reader might make.

Two baselines that work, faces of CelebA and digits of MNIST at small widths, and beside each the same with one change.
Digits are for the copies: what a network has learnt by heart may be shown there, and of CelebA it may not. Numbers are
those that any run has (`measures.symptoms`), most of which `dcgan train` warns of. A symptom is taught where it shows
in every seed and in no training of the baseline, which is its remedy. Bounds and changes were chosen before the run,
after single tries with a third of the network at 16 pixels and 1,000 steps. There kernels of 3 and a raised rate had
shown nothing, and ten or a hundred pictures no copies; with ten D was at 1. For that reason digits train for longer.

Cost: 5 variants of faces x 3 seeds x 64,000 pictures, one of 6,400, 3 of digits x 3 seeds x 80,000: 1.7 million; at
1,500 pictures a second on two quiet cores 19 minutes, and a minute or two for what is measured.
"""

from dcgan_lib import data, training

from .. import measures, rules
from ..study import Prediction, Study, Variant
from .data_size import NARROW
from .faces import first_faces

DIGITS = {"data": "mnist", "steps": 2_500, "batch_size": 32}
MANY = 10_000
ALIKE, TINT, GRID, WINS, COPIES = 0.5, 0.2, 10, 0.99, 0.5  # the bounds: D's accuracy, a share, else times real pictures


def pictures(config: training.TrainConfig) -> data.ImageSet:
    """Faces, or MNIST at the network's side."""
    return first_faces(config) if config.data == "celeba" else data.load(config.data, image_size=config.arch.image_size)


STUDY = Study(
    "symptoms",
    "what goes wrong on pictures of one's own, each symptom made by one change; 20 minutes on two CPU cores",
    training.TrainConfig(
        data="celeba",
        out="runs/symptoms",
        arch=NARROW,
        batch_size=64,
        steps=1_000,
        sample_every=100,
    ),
    (
        Variant("base", note="the defaults, faces"),
        Variant("no_batch_norm", arch={"norm": "none"}, note="--set norm=none"),
        Variant("sigmoid_output", arch={"output_activation": "sigmoid"}, note="--set output_activation=sigmoid"),
        Variant("rate_2e-3", {"learning_rate": 2e-3}, note="--learning-rate 2e-3: ten times the default"),
        Variant("kernel_3", arch={"kernel_size": 3}, note="--set kernel_size=3: uneven overlap at stride 2"),
        Variant("too_early", {"steps": 100}, note="--steps 100: looked at after a tenth of the time"),
        Variant("digits", DIGITS | {"limit": MANY}, note="the defaults, ten thousand digits"),
        Variant("digits_100", DIGITS | {"limit": 100}, note="--limit 100"),
        Variant("digits_10", DIGITS | {"limit": 10}, note="--limit 10"),
    ),
    seeds=(0, 1, 2),
    measures=(measures.statistics, measures.symptoms, measures.spread),
    predicts=(
        Prediction(
            "One tint: without batch norm the mean colours of samples vary less than a fifth as much as those of real "
            "pictures, in every seed; with it in none.",
            rules.shows("symptoms.colours", "no_batch_norm", "base", below=TINT),
        ),
        Prediction(
            "All alike: without batch norm the pixels of samples vary less than half as much as those of real "
            "pictures, in every seed; with it in none.",
            rules.shows("symptoms.spread", "no_batch_norm", "base", below=ALIKE),
        ),
        Prediction(
            "D at 1: where G cannot draw what is darker than grey, behind a sigmoid, D is right more than 99 times of "
            "100, in every seed; behind tanh in none.",
            rules.shows("symptoms.accuracy_d", "sigmoid_output", "base", above=WINS),
        ),
        Prediction(
            "A rate too high: with ten times the learning rate samples are alike by the same bound, in every seed; "
            "with the default in none.",
            rules.shows("symptoms.spread", "rate_2e-3", "base", below=ALIKE),
        ),
        Prediction(
            "Uneven kernels: of 3, which overlap unevenly, a grid of two pixels stands out of samples ten times as far "
            "as of real pictures, in every seed; of 4 in none. So says the common advice on checkerboards.",
            rules.shows("symptoms.grid", "kernel_3", "base", above=GRID),
        ),
        Prediction(
            "Checkerboards: without batch norm the same grid is there, in every seed; with it in none.",
            rules.shows("symptoms.grid", "no_batch_norm", "base", above=GRID),
        ),
        Prediction(
            "Too early: after a tenth of the steps the same grid is there, in every seed; at their end in none.",
            rules.shows("symptoms.grid", "too_early", "base", above=GRID),
        ),
        Prediction(
            "Ten pictures: D, which knows them by heart, is right more than 99 times of 100, in every seed; with ten "
            "thousand in none.",
            rules.shows("symptoms.accuracy_d", "digits_10", "digits", above=WINS),
        ),
        Prediction(
            "Copies of ten: more than half of the samples are nearly one of the ten digits, in every seed; with ten "
            "thousand in none.",
            rules.shows("symptoms.copied", "digits_10", "digits", above=COPIES),
        ),
        Prediction(
            "Copies of a hundred: the same of a hundred digits.",
            rules.shows("symptoms.copied", "digits_100", "digits", above=COPIES),
        ),
    ),
    images=pictures,
)
