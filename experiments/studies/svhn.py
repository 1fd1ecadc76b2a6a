"""C3, first part: the released network for SVHN, trained without labels on the part of SVHN that the test never sees.

As released: Gaussian z, batches of 64, learning rate 5e-4. The pictures are the pool and validation parts of
`features.svhn_parts`: its 73,257 training pictures with all of SVHN, 4,931 with the partial one of the reference run.
Weights are kept at STAGES, each of twice the steps; the one with the lowest error on the validation pictures is
`chosen()`, and its discriminator ships (2 MB). Where that is the last, longer ones belong here.
"""

import numpy as np

from dcgan_lib import checkpoints, data, features, models, training

from .. import measures
from ..study import Study, Variant, film, first_config, measured_of, rows_there, ship

STAGES = (250, 500, 1_000, 2_000, 4_000, 8_000, 16_000)


def parts():
    """The protocol's parts, and a sentence that says what they are."""
    return features.svhn_parts(data.load("svhn"), data.load("svhn", split="test"))


def unlabelled(config: training.TrainConfig) -> data.ImageSet:
    found = parts()[0]
    return data.from_array(np.concatenate([found["pool"].images, found["validation"].images]), name="svhn_pictures")


def best(row: dict) -> dict:
    """The stage with the lowest validation error, the earlier of equals."""
    return min(row["stages"], key=lambda stage: stage["validation_error"])


def chosen() -> models.Discriminator:
    """D of the best stage. Raises NotAvailable where the study has not been run."""
    (_, _, row, _), config = next(rows_there(STUDY)), first_config(STUDY)
    if row is None:
        raise data.NotAvailable(f"no training of SVHN in {config.out}: run `python -m experiments svhn` first")
    return checkpoints.load(training.RunFolder(config.out).kept(best(row)["step"]))[1]


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """As results/training_svhn.json has it; ships the best stage."""
    config, stage = first_config(study), best(rows[0])
    frames = film(config.out, study.file, config.arch.image_size, (0, 8, 38, 64, 77, 90, -1))
    source = training.RunFolder(config.out).kept(stage["step"])
    ship("svhn", config, study.file, parts=("discriminator",), source=source)
    return {"part": parts()[1]} | measured_of(rows[0]) | {"chosen": stage, "film_steps": frames}, {}


STUDY = Study(
    "svhn",
    "the released network for SVHN, without labels, for the features of C3; an hour on two CPU cores",
    training.TrainConfig(
        data="svhn_pictures", out="runs/svhn", arch="svhn32", batch_size=64, learning_rate=5e-4, steps=STAGES[-1]
    ),
    (Variant("svhn", {"out": "runs/svhn"}),),
    measures=(measures.statistics, measures.few_labels),
    images=unlabelled,
    stages=STAGES,
    report=report,
    result="training_svhn",
)
