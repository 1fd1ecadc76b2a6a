"""Does a DCGAN get worse after its best? Distances over one long run, as StudioGAN's log shows (49.03 at 42,000 steps,
137.4 at 200,000).
"""

from dcgan_lib import training
from dcgan_lib.architecture import architecture

from .. import measures, rules
from ..study import Prediction, Study, Variant
from .faces import first_faces

EVERY = 4_000
STAGES = tuple(range(EVERY, 25 * EVERY + 1, EVERY))

STUDY = Study(
    "training_length",
    "distances over 100,000 steps on faces: is there a best, and how far from it do runs end; hours on two CPU cores",
    training.TrainConfig(
        data="celeba",
        out="runs/training_length",
        arch=architecture("tutorial64", widths=(32, 64, 128, 256)),
        batch_size=64,
        steps=STAGES[-1],
        keep_every=EVERY,
    ),
    (Variant("long", note="no moving average, as the paper"), Variant("average", {"ema_decay": 0.999})),
    seeds=(0, 1, 2),
    measures=(measures.statistics, measures.spread, measures.stages.set(samples=5_000)),
    predicts=(
        Prediction(
            "It degrades: in every seed the last distance is at least a tenth above the lowest one of the run.",
            rules.degrades(0.1),
        ),
    ),
    images=first_faces,
    stages=STAGES,
    not_run="its trainings have not been run yet: 100,000 steps, two variants, three seeds each",
)
