"""C2: what else could lie between our discriminator and the paper's? Trainings that differ in one thing each.

`second_seed` and `third_seed` are the training of the study `imagenet32` with other seeds: how far do trainings lie
apart? `alternate` is that of `natural32` by the released schedule, where a minibatch feeds one network only, so that D
sees half of what is drawn: at its step 20,000 as many pictures as `natural32` at step 10,000, in as many steps of its
own.

Kept are weights at five stages each, which `training_curve` judges; `features_cifar10` has a row of the last D of each,
carried in half precision. On an H200 two of the trainings took six and a half minutes beside six others, the
third by itself fifty seconds. Their networks are no part of the repository.
"""

from dcgan_lib import training

from .. import measures
from ..study import Study, Variant
from . import natural32

STAGES = (1_250, 2_500, 5_000, 10_000, 20_000)


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """As results/imagenet32_controls.json has it: what results/training_natural32.json has, a training each."""
    return {"trainings": {row["variant"]: natural32.report(study, [row])[0] for row in rows}}, {}


STUDY = Study(
    "imagenet32_controls",
    "C2's network with two other seeds, and by the released schedule; for a GPU",
    training.TrainConfig(
        data="natural32",
        out="runs/imagenet32_controls",
        arch="imagenet32",
        batch_size=128,
        steps=STAGES[-1],
        sample_every=5_000,
    ),
    (
        Variant(
            "second_seed",
            {"data": "tinyimagenet", "batch_size": 64},
            note="as imagenet32, of another seed",
            seeds=(1,),
        ),
        Variant(
            "third_seed",
            {"data": "tinyimagenet", "batch_size": 64},
            note="as imagenet32, of a third seed",
            seeds=(2,),
        ),
        Variant(
            "alternate",
            {"schedule": "alternate"},
            note="as natural32, by the released schedule",
        ),
    ),
    measures=(measures.spread, measures.statistics),
    stages=STAGES,
    report=report,
    by_name_only="for a GPU: some twenty hours on two CPU cores",
)
