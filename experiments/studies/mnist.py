"""Does training need the released schedule? MNIST with three seeds; under either schedule a row of C1.

In the released code a minibatch feeds one network. In as many minibatches that makes half as many updates of each, so
the schedule and the number of updates are two things: `alternate` sees as many pictures as `simultaneous`, and
`alternate_twice` is updated as often. (The predictions were written while the first of the nine trainings ran; what one
seed of the first two showed, 79 and 76 % of the samples that a classifier is sure of, was known.)

The released net for MNIST without its dense hidden layers (the paper's guideline) and without labels; weight decay as
released. Cost: 4.8 million pictures a seed, an hour on two CPU cores, and minutes for what is measured. A training of
twice the epochs may go on from a copy of its first half, and ends the same (other seeds are in …_seed1 and …_seed2):

    cp -r runs/mnist_alternate runs/mnist_alternate_twice

Ships the networks of `simultaneous`, first seed. (Those in the repository are of an earlier training with its settings
and seed; the arithmetic of the library has changed in its last digits since.)
"""

from dcgan_lib import training
from dcgan_lib.architecture import architecture

from .. import measures, rules
from ..study import Prediction, Study, Variant, compared, film, first_config, ship

EVERY = 1_875  # steps between kept weights: four epochs


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """As results/training_mnist.json has it: all rows, and the film and the losses of the training that ships."""
    measured, claims = compared(study, rows, [], {})
    config = first_config(study)
    measured["film_steps"] = film(config.out, study.file, config.arch.image_size, (0, 1, 2, 4, 8, 16, -1))
    ship("mnist", config, study.file)
    return measured | {"stats": rows[0]["stats"]}, claims


STUDY = Study(
    "mnist",
    "MNIST under the usual and the released schedule, a row of C1; 3.5 hours on two CPU cores",
    training.TrainConfig(
        data="mnist",
        out="runs/mnist",
        arch=architecture("mnist28", dense_units=None, norm_affine=True),
        epochs=20,
        weight_decay=2.5e-5,
        keep_every=EVERY,
    ),
    (
        Variant("simultaneous", {"out": "runs/mnist"}, note="each minibatch feeds both networks"),
        Variant(
            "alternate",
            {"out": "runs/mnist_alternate", "schedule": "alternate"},
            note="each feeds one: half the updates",
        ),
        Variant(
            "alternate_twice",
            {"out": "runs/mnist_alternate_twice", "schedule": "alternate", "epochs": 40},
            note="each feeds one, for twice the epochs: as many updates",
        ),
    ),
    seeds=(0, 1, 2),
    measures=(
        measures.class_report,
        measures.spread.set(samples=10_000),
        measures.statistics_difference,
        measures.statistics,
        measures.frechet.set(eye="digits"),
        measures.stages.set(eye="digits"),
        measures.quality.set(eye="efficientnet"),
    ),
    predicts=(
        Prediction(
            "Training is stable under either schedule, by the rule of the study 'architecture', in every seed.",
            rules.stable(),
            "C1",
        ),
        Prediction(
            "The released schedule is not needed: with as many updates of each network it brings samples no nearer to "
            "the digits than the usual one does, beyond seeds.",
            rules.no_gain(("simultaneous", "alternate_twice")),
        ),
        Prediction(
            "With as many minibatches, and half the updates, its samples are farther from the digits in every seed.",
            rules.lower("frechet", ("simultaneous", "alternate")),
        ),
        Prediction(
            "That is for want of updates: with twice the minibatches its samples are nearer in every seed.",
            rules.lower("frechet", ("alternate_twice", "alternate")),
        ),
        Prediction(
            "In EfficientNet's eye, too, samples are farther with half the updates than with all of them, under "
            "either schedule.",
            rules.lower(
                "seen_by_efficientnet.frechet_distance", ("simultaneous", "alternate"), ("alternate_twice", "alternate")
            ),
        ),
    ),
    report=report,
    result="training_mnist",
)
