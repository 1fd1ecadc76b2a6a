"""C3, first part: the released network for SVHN, trained without labels on the part of SVHN that the test never sees.

As released: Gaussian z, batches of 64, learning rate 5e-4. The pictures are the pool and validation parts of
`features.svhn_parts`: its 73,257 training pictures with all of SVHN, 4,931 with the partial one of the reference run.
Weights are kept at STAGES, each of twice the steps; the one with the lowest error on the validation pictures is
`chosen()`, and its discriminator ships (2 MB, of the first seed). A training whose lowest is its last goes on, to the
next of FURTHER.
"""

import numpy as np

from dcgan_lib import checkpoints, data, features, models, training

from .. import measures
from ..study import Study, Variant, config_of, film, first_config, measured_of, rows_there, ship

STAGES = (250, 500, 1_000, 2_000, 4_000, 8_000, 16_000)
FURTHER = (32_000,)


def parts():
    """The protocol's parts, and a sentence that says what they are."""
    return features.svhn_parts(data.load("svhn"), data.load("svhn", split="test"))


def unlabelled(config: training.TrainConfig) -> data.ImageSet:
    found = parts()[0]
    return data.from_array(np.concatenate([found["pool"].images, found["validation"].images]), name="svhn_pictures")


def best(row: dict) -> dict:
    """The stage with the lowest validation error, the earlier of equals."""
    return min(row["stages"], key=lambda stage: stage["validation_error"])


def last_is_best(row: dict) -> bool:
    return best(row)["step"] == row["stages"][-1]["step"]


def chosen(seed: int = 0) -> models.Discriminator:
    """D of the best stage of one training. Raises NotAvailable where it has not come to its end."""
    row = next((row for _, its, row, _ in rows_there(STUDY) if its == seed), None)
    config = config_of(STUDY, STUDY.variants[0], seed)
    if row is None:
        again = f"python -m experiments svhn{f' --seed {seed}' if seed else ''}"
        raise data.NotAvailable(f"no training of SVHN in {config.out}: run `{again}` first")
    return checkpoints.load(training.RunFolder(config.out).kept(best(row)["step"]))[1]


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """As results/training_svhn.json has it: seed 0, whose best stage ships, and in `others` the other seeds."""
    config, stage = first_config(study), best(rows[0])
    frames = film(config.out, study.file, config.arch.image_size, (0, 8, 38, 64, 77, 90, -1))
    source = training.RunFolder(config.out).kept(stage["step"])
    ship("svhn", config, study.file, parts=("discriminator",), source=source)
    others = [
        {"seed": row["seed"]}
        | {k: v for k, v in measured_of(row).items() if k != "stats"}
        | ({} if "diverged" in row else {"chosen": best(row)})
        for row in rows[1:]
    ]
    measured = {"part": parts()[1]} | measured_of(rows[0]) | {"chosen": stage, "film_steps": frames}
    return measured | {"others": others}, {}


STUDY = Study(
    "svhn",
    "the released network for SVHN, without labels, for the features of C3; each seed an hour or two on two CPU cores",
    training.TrainConfig(
        data="svhn_pictures", out="runs/svhn", arch="svhn32", batch_size=64, learning_rate=5e-4, steps=STAGES[-1]
    ),
    (Variant("svhn", {"out": "runs/svhn"}),),
    seeds=(0, 1, 2),
    measures=(measures.statistics, measures.few_labels),
    images=unlabelled,
    stages=STAGES,
    further=FURTHER,
    goes_on=last_is_best,
    report=report,
    result="training_svhn",
)
