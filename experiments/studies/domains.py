"""Other pictures without a change of architecture: digits, faces in the wild, scenes, drawn faces, fused Pokemon.

As Comets and Sztajnman (MNIST 60 epochs, LFW 128), Peintner et al. (Pokemon) and Panchal (losses, real beside
generated) trained. Sets that cannot be had are left out, and the results file says so.
"""

from dcgan_lib import training
from dcgan_lib.architecture import architecture

from .. import measures, rules
from ..study import Prediction, Study, Variant
from .mnist import STUDY as MNIST

STUDY = Study(
    "domains",
    "digits, LFW, scenes, drawn faces, fused Pokemon: one architecture; hours on two CPU cores",
    training.TrainConfig(
        data="scenes",
        out="runs/domains",
        arch=architecture("tutorial64", widths=(32, 64, 128, 256)),
        batch_size=64,
        steps=4_500,
        ema_decay=0.999,
    ),
    (
        Variant("mnist", {"data": "mnist", "arch": MNIST.base.arch, "epochs": 60, "batch_size": 128}, note="60 epochs"),
        Variant("lfw", {"data": "lfw", "epochs": 128}, note="128 epochs"),
        Variant("scenes"),
        Variant("anime", {"data": "anime"}),
        Variant("fusions", {"data": "fusions"}, note="Peintner et al. had 12,000 Pokemon"),
    ),
    seeds=(0, 1, 2),
    measures=(measures.statistics, measures.spread, measures.frechet.set(samples=2_000), measures.walks),
    predicts=(
        Prediction(
            "One architecture serves all: each set is stable by the rule of the study 'architecture', in every seed.",
            rules.stable(),
            "C1",
        ),
    ),
    not_run="its trainings have not been run yet: five variants, three seeds each",
)
