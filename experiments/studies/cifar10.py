"""C2, a further row: a discriminator trained on CIFAR-10's own training pictures, without their labels.

The network for SVHN (7,168 features), seven times cheaper than imagenet32: it says what a cheap network can do. About 8
minutes on two CPU cores; the weights stay in runs/cifar10.
"""

from dcgan_lib import training

from .. import measures
from ..study import Study, Variant, film, first_config, measured_of


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """As results/training_cifar10.json has it."""
    config = first_config(study)
    frames = film(config.out, study.file, config.arch.image_size, (0, 1, 2, 4, 8, -1))
    return measured_of(rows[0]) | {"film_steps": frames}, {}


STUDY = Study(
    "cifar10",
    "a small network on CIFAR-10 without labels, a row of C2; 8 minutes on two CPU cores",
    training.TrainConfig(data="cifar10", out="runs/cifar10", arch="svhn32", batch_size=64, epochs=3),
    (Variant("cifar10", {"out": "runs/cifar10"}),),
    measures=(measures.statistics,),
    report=report,
    result="training_cifar10",
)
