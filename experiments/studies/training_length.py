"""Does a DCGAN get worse after its best? Distances over one long run, as StudioGAN's log shows (49.03 at 42,000 steps,
137.4 at 200,000: 54 and 256 epochs of CIFAR-10).

The first half of the rule was written before the run and holds in all three trainings, as it does for any distances
that fluctuate: the lowest of twenty lies below the last. That they must rise after the lowest was added after the run;
it can only take such a verdict back.

Cost: 3 seeds x 3.2 million pictures (50,000 steps, 356 epochs of 9,000 faces at 32 pixels) = 9.6 million; at 1,500
pictures a second on two quiet cores 1.8 hours, and 12 minutes for the twenty stages of each. The recorded run was made
on an H200 among a dozen other trainings: nine minutes.
"""

from dcgan_lib import training

from .. import measures, rules
from ..study import Prediction, Study, Variant
from .data_size import NARROW
from .faces import first_faces

EVERY = 2_500
STAGES = tuple(range(EVERY, 20 * EVERY + 1, EVERY))

STUDY = Study(
    "training_length",
    "distances over 50,000 steps on faces: is there a best, and how far from it do runs end; 2 hours on two CPU cores",
    training.TrainConfig(
        data="celeba",
        out="runs/training_length",
        arch=NARROW,
        batch_size=64,
        steps=STAGES[-1],
        keep_every=EVERY,
    ),
    (Variant("long", note="no moving average, as the paper"),),
    seeds=(0, 1, 2),
    measures=(
        measures.statistics,
        measures.spread,
        measures.stages.set(samples=5_000),
        measures.quality.set(eye="face_attributes"),
        measures.quality.set(eye="efficientnet"),
        measures.d_worth.set(labelled_set="celeba", attribute="Smiling"),
    ),
    predicts=(
        Prediction(
            "It degrades: in every seed the last distance is at least a tenth above the lowest one of the run, and "
            "distances rise between the two.",
            rules.degrades(0.1),
        ),
    ),
    images=first_faces,
    stages=STAGES,
)
