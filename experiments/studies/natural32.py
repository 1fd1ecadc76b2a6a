"""C2, further rows: the paper's 32-pixel network on 157,044 pictures of ImageNet, in the paper's minibatches of 128.

Tiny ImageNet's 100,000 training pictures and 57,044 of other classes (mini-ImageNet, Imagenette), as natural32.npz in
DCGAN_DATA (see the data page). Half as many pictures again as in the study `imagenet32`, minibatches twice as large,
and twice as many pictures seen: 20,000 steps of 128, which took six minutes of an H200 beside a dozen other trainings.
Three things differ from `imagenet32` (pictures, minibatch, length), so that a difference between the two at their ends
has no one cause; what the length does, the stages tell.

LONG is the same training anew, to 75,000 steps: 9.6 million pictures seen. (The name of the released file says 30
epochs, 38 million of ImageNet-1k's pictures; by the released schedule D sees half of them.) Six minutes of an H200 by
itself, each step a CUDA graph (`training.capture`). Its weights at the end are the ones that were kept.
"""

from dataclasses import replace

from dcgan_lib import training

from .. import measures
from ..study import Study, Variant, measured_of, shortened, stages_of

STAGES = (20, 40, 80, 160, 320, 640, 1_250, 2_500, 5_000, 10_000, 20_000)
LONG_STAGES = (*STAGES, 40_000, 75_000)


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """As results/training_natural32.json and training_natural32_long.json have it."""
    return shortened(measured_of(rows[0])) | {"stages": stages_of(study)}, {}


STUDY = Study(
    "natural32",
    "the paper's 32-pixel network on 157,044 pictures of ImageNet, minibatches of 128: a row of C2; for a GPU",
    training.TrainConfig(
        data="natural32", out="runs/natural32", arch="imagenet32", batch_size=128, steps=STAGES[-1], sample_every=1_000
    ),
    (Variant("natural32", {"out": "runs/natural32"}),),
    measures=(measures.spread, measures.statistics),
    stages=STAGES,
    report=report,
    result="training_natural32",
    by_name_only="for a GPU: some fifteen hours on two CPU cores",
)

LONG = replace(
    STUDY,
    name="natural32_long",
    says="the training of natural32 to 75,000 steps, 9.6 million pictures seen: a row of C2; for a GPU",
    base=replace(STUDY.base, out="runs/natural32_long", steps=LONG_STAGES[-1]),
    variants=(Variant("natural32", {"out": "runs/natural32_long"}),),
    stages=LONG_STAGES,
    result="training_natural32_long",
    by_name_only="for a GPU: two days on two CPU cores",
)
