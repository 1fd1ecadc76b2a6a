"""Other pictures, one kind of network: digits, faces in the wild, scenes, drawn faces, fused Pokemon.

Four sets take the same network; digits, grey and of 28 pixels, a smaller one after the released network for MNIST.

As Comets and Sztajnman (MNIST 60 epochs, LFW 128), Peintner et al. (Pokemon) and Panchal (losses, real beside
generated) trained. Sets that cannot be had are left out, and the results file says so.

Cost, with three seeds each, on two quiet cores: MNIST 60 epochs (10.8 million pictures in all, an hour), LFW 128 epochs
(5.1 million, an hour), the other three 288,000 pictures each (2.6 million, half an hour), and ten minutes for what is
measured. Their size is 32 pixels and their widths are half the tutorial's for that reason. Recorded are trainings of
digits on an H200, six minutes beside five others, and of the other four sets on one core of a CPU each. (All fifteen
had been made on an H200 before, without what D is worth: eight minutes among others.)
"""

from dcgan_lib import training
from dcgan_lib.architecture import architecture

from .. import measures, rules
from ..study import Prediction, Study, Variant
from .data_size import NARROW
from .mnist import STUDY as MNIST

DIGITS = architecture(MNIST.base.arch, widths=(32, 64))

STUDY = Study(
    "domains",
    "digits, LFW, scenes, drawn faces, fused Pokemon: one kind of network; 2.7 hours on two CPU cores",
    training.TrainConfig(
        data="scenes_all",
        out="runs/domains",
        arch=NARROW,
        batch_size=64,
        steps=4_500,
        ema_decay=0.999,
    ),
    (
        Variant("mnist", {"data": "mnist", "arch": DIGITS, "epochs": 60, "batch_size": 128}, note="60 epochs"),
        Variant("lfw", {"data": "lfw", "epochs": 128}, note="128 epochs"),
        Variant("scenes"),
        Variant("anime", {"data": "anime"}),
        Variant("fusions", {"data": "fusions"}, note="Peintner et al. had 12,000 Pokemon"),
    ),
    seeds=(0, 1, 2),
    measures=(
        *measures.SAMPLED,
        measures.quality.set(eye="digits"),
        measures.walks.set(eye="efficientnet", pairs=20, samples=500),
        measures.d_worth.set(labelled_set="cifar10"),
    ),
    predicts=(
        Prediction(
            "One kind of network serves all: each set is stable by the rule of the study 'architecture', in every "
            "seed.",
            rules.stable(),
            "C1",
        ),
    ),
)
