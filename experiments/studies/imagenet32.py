"""C2, first part: the paper's network for 32x32 ImageNet, trained on Tiny ImageNet's 100,000 pictures at 32x32.

CIFAR-10 is never seen. The paper trained on 1.28 million pictures of ImageNet-1k in batches of 128, some 30 million
pictures in all; the recorded run has its batches, and 100,000 pictures many times over. STAGES are about a doubling
apart, for the curve of accuracy against training. Ships the discriminator (9 MB). Minutes on a GPU, days on a CPU: `--only`
nothing, stop it when you like, it goes on where it stopped.

`natural32` asks what more pictures would do: the same training on 157,044 other pictures of ImageNet, of all its
classes that could be had. Its weights stay in runs/natural32.
"""

from dcgan_lib import checkpoints, data, models, training

from .. import measures
from ..study import Study, Variant, film, first_config, measured_of, ship, stages_of

STAGES = (160, 640, 2_500, *range(5_000, 100_001, 5_000))


def latest(study: Study | None = None) -> models.Discriminator:
    """D at the last stage that a training has reached. Raises NotAvailable where it was not begun."""
    study = study or STUDY
    kept = measures.kept_weights(first_config(study).out)
    if not kept:
        raise data.NotAvailable(f"no stage of the long training is there: run `python -m experiments {study.name}` first")
    return checkpoints.load(kept[max(kept)])[1]


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """As results/training_imagenet32.json has it."""
    config = first_config(study)
    measured = measured_of(rows[0]) | {
        "stages": stages_of(study),
        "film_steps": film(config.out, study.file, config.arch.image_size, (0, 4, 15, 25, 45, -1)),
    }
    if study is STUDY:
        ship("imagenet32", config, study.file, parts=("discriminator",))
    return measured, {}


STUDY = Study(
    "imagenet32",
    "the paper's 32-pixel network on Tiny ImageNet, for the features of C2; minutes on a GPU, two days on two CPU cores",
    training.TrainConfig(
        data="tinyimagenet", out="runs/imagenet32", arch="imagenet32", batch_size=128, steps=STAGES[-1], sample_every=1_000,
        keep_every=5_000,
    ),
    (Variant("imagenet32", {"out": "runs/imagenet32"}),),
    measures=(measures.spread, measures.statistics),
    stages=STAGES,
    report=report,
    result="training_imagenet32",
)

NATURAL = Study(
    "natural32",
    "the same network on 157,044 pictures of ImageNet, for a row of C2; minutes on a GPU, two days on two CPU cores",
    training.TrainConfig(
        data="natural32", out="runs/natural32", arch="imagenet32", batch_size=128, steps=STAGES[-1], sample_every=1_000,
        keep_every=5_000,
    ),
    (Variant("natural32", {"out": "runs/natural32"}),),
    measures=(measures.spread, measures.statistics),
    stages=STAGES,
    report=report,
    result="training_natural32",
)
