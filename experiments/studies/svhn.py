"""C3, first part: the released network for SVHN, trained without labels on the part of SVHN that the test never sees.

As released: Gaussian z, batches of 64, learning rate 5e-4. The pictures are the pool and validation parts of
`features.svhn_parts`: its 73,257 training pictures with all of SVHN, 4,931 with the partial one of the reference run.
Ships the discriminator (2 MB).
"""

import hashlib

import numpy as np

from dcgan_lib import data, features, training

from .. import measures
from ..study import Study, Variant, film, first_config, measured_of, ship


def parts():
    """The protocol's parts, and a sentence that says what they are."""
    return features.svhn_parts(data.load("svhn"), data.load("svhn", split="test"))


def unlabelled(config: training.TrainConfig) -> data.ImageSet:
    found = parts()[0]
    images = np.concatenate([found["pool"].images, found["validation"].images])
    return data.ImageSet("svhn_pictures", "train", images, hashlib.sha256(images.tobytes()).hexdigest())


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """As results/training_svhn.json has it."""
    config = first_config(study)
    frames = film(config.out, study.file, config.arch.image_size, (0, 1, 2, 4, 8, -1))
    ship("svhn", config, study.file, parts=("discriminator",))
    return {"part": parts()[1]} | measured_of(rows[0]) | {"film_steps": frames}, {}


STUDY = Study(
    "svhn",
    "the released network for SVHN, without labels, for the features of C3; minutes on two CPU cores",
    training.TrainConfig(
        data="svhn_pictures", out="runs/svhn", arch="svhn32", batch_size=64, learning_rate=5e-4, steps=2_000
    ),
    (Variant("svhn", {"out": "runs/svhn"}),),
    measures=(measures.statistics,),
    images=unlabelled,
    report=report,
    result="training_svhn",
)
