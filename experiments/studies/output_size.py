"""How large a picture? The networks of Peintner et al. (4.2) and the tutorial's, at 32, 64 and 128 pixels.

They report steps of 28 and 5 times the time at 128 pixels. Time, memory and multiplications of a step are taken side by
side; the practical network of 128 pixels is trained for longer, for its samples.
"""

from dcgan_lib import training

from .. import measures, rules
from ..study import Prediction, Study, Variant

FEW = {"steps": 200}

STUDY = Study(
    "output_size",
    "networks of 32, 64 and 128 pixels on faces: time, memory and multiplications of a step; hours on two CPU cores",
    training.TrainConfig(data="lfw", out="runs/output_size", arch="tutorial64", batch_size=64, steps=6_000),
    (
        Variant("keras64", FEW | {"arch": "keras64"}, note="Peintner et al., 64 pixels"),
        Variant("keras128", FEW | {"arch": "keras128"}, note="one layer more, widths kept; they: 5 times the time"),
        Variant("keras128_wide", FEW | {"arch": "keras128_wide"}, note="all widths doubled; they: 28 times the time"),
        Variant("tutorial32", FEW, {"image_size": 32}),
        Variant("tutorial64", FEW),
        Variant("tutorial128", {"ema_decay": 0.999}, {"image_size": 128}, note="trained for its samples"),
    ),
    seeds=(0, 1, 2),
    measures=(measures.statistics, measures.spread, measures.cost),
    predicts=(
        Prediction(
            "Their ratios: a step of keras128_wide takes 28 times, one of keras128 5 times as long as one of keras64, "
            "within a factor of 1.5.",
            rules.time_ratios("keras64", {"keras128": 5, "keras128_wide": 28}),
        ),
    ),
    not_run="its trainings have not been run yet: six variants, three seeds each",
)
