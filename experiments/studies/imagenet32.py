"""C2, first part: the paper's network for 32x32 ImageNet, trained on Tiny ImageNet's 100,000 pictures at 32x32.

CIFAR-10 is never seen. The paper trained on 1.28 million pictures of ImageNet-1k, in batches of 128; batches of 64 give
twice the steps in the same time. The recorded run has 20,000 steps in bfloat16: as many pictures as ImageNet-1k has,
but 100,000 of them 12.8 times. STAGES are ten points on a logarithmic axis, for the curve of accuracy against training,
BEYOND what a longer run adds. A run that starts from earlier weights says so in `start`, and its rows count the
pictures that those had seen. Ships the discriminator (9 MB).

Where runs/imagenet32 is gone, a longer run goes on from both networks of step 10,000, which the history has:

    git show 4bfa0f5:experiments/imagenet32_step10000.safetensors > runs/imagenet32_step10000.safetensors

with start="runs/imagenet32_step10000.safetensors", fresh moments of Adam, and the pictures of both counted.
`training_curve` keeps the stages that were judged.
"""

from dcgan_lib import checkpoints, data, models, training

from .. import measures
from ..study import Study, Variant, film, first_config, measured_of, ship, stages_of

STAGES = (40, 80, 160, 320, 640, 1_250, 2_500, 5_000, 10_000, 20_000)
BEYOND: tuple[int, ...] = ()


def latest() -> models.Discriminator:
    """D at the last stage that the training has reached. Raises NotAvailable where it was not begun."""
    kept = measures.kept_weights(first_config(STUDY).out, stages_of(STUDY))
    if not kept:
        raise data.NotAvailable("no stage of the long training is there: run `python -m experiments imagenet32` first")
    return checkpoints.load(kept[max(kept)])[1]


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """As results/training_imagenet32.json has it."""
    config = first_config(study)
    measured = measured_of(rows[0]) | {
        "stages": stages_of(study),
        "film_steps": film(config.out, study.file, config.arch.image_size, (0, 4, 15, 25, 45, -1)),
    }
    ship("imagenet32", config, study.file, parts=("discriminator",))
    return measured, {}


STUDY = Study(
    "imagenet32",
    "the paper's 32-pixel network on Tiny ImageNet, for the features of C2; 20,000 steps, seven hours on two CPU cores",
    training.TrainConfig(
        data="tinyimagenet", out="runs/imagenet32", arch="imagenet32", batch_size=64, steps=STAGES[-1], sample_every=250
    ),
    (Variant("imagenet32", {"out": "runs/imagenet32"}),),
    measures=(measures.spread, measures.statistics),
    stages=STAGES + BEYOND,
    report=report,
    result="training_imagenet32",
)
