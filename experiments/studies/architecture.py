"""C1: the paper's guidelines left out one at a time, and the twelve changes of Dai et al., on faces of CelebA at 32 px.

The base follows the paper (5x5 kernels, uniform z of 100) at a quarter of its widths and half its side. Dai et al. went
from 64 pixels to 32 and 128; here the side is halved and doubled too, to 16 and 64. Losses do not measure samples, so
distances, shares and what D is worth stand beside them.

The baseline has five seeds, since all others are held against it. Cost: 18 variants x 3 seeds and 2 more = 56
trainings x 128,000 pictures (14 epochs) = 7.2 million; at 1,400 pictures a second on two quiet cores 1.4 hours, half an
hour more for those at full resolution (two that pool, one of 64 pixels), and half an hour for what is measured, most of
it EfficientNet's, 26 ms of one core a picture. A distance at another side is one to real pictures of that side,
enlarged or reduced for the eye.
"""

from dcgan_lib import paper, training
from dcgan_lib.architecture import architecture

from .. import measures, rules
from ..study import Prediction, Study, Variant
from .faces import first_faces

GUIDELINES = (
    Variant("no_batch_norm", arch={"norm": "none"}, note="guideline: batch norm in both networks"),
    Variant(
        "batch_norm_everywhere",
        arch={"norm": "everywhere"},
        note="guideline: none on G's output and D's input layer; else samples oscillate, says section 3",
    ),
    Variant(
        "pooling_everywhere",
        arch={"downsample": "max_pool", "upsample": "nearest"},
        note="guideline: strided convolutions in D and G, no pooling",
    ),
    Variant(
        "dense_hidden",
        arch={"dense_units": 1024},
        note="guideline: no fully connected hidden layers; a row of Dai et al.",
    ),
    Variant(
        "relu_in_d", arch={"discriminator_activation": "relu"}, note="guideline: LeakyReLU in D; a row of Dai et al."
    ),
    Variant("leaky_relu_in_g", arch={"generator_activation": "leaky_relu"}, note="guideline: ReLU in G"),
    Variant(
        "sigmoid_output", arch={"output_activation": "sigmoid"}, note="guideline: Tanh output; a row of Dai et al."
    ),
)
KEEP = (  # all guidelines
    Variant("learning_rate_1e-4", {"learning_rate": 1e-4}, note="Dai et al."),
    Variant("learning_rate_1e-5", {"learning_rate": 1e-5}, note="Dai et al."),
    Variant("beta1_0.9", {"beta1": 0.9}, note="Dai et al.; Adam's default"),
    Variant("latent_10", arch={"latent_dim": 10}, note="Dai et al."),
    Variant("latent_1000", arch={"latent_dim": 1000}, note="Dai et al."),
    Variant("output_16", arch={"image_size": 16}, note="half the side; Dai et al. halved 64"),
    Variant("output_64", arch={"image_size": 64}, note="twice the side; Dai et al. doubled 64"),
)
LEAVE = (
    Variant("pooling_in_d", arch={"downsample": "max_pool"}, note="Dai et al.: pooling layers"),
    Variant("relu_output", arch={"output_activation": "relu"}, note="Dai et al.; pictures below grey cannot be drawn"),
)
TOO_HIGH = Variant("learning_rate_1e-3", {"learning_rate": 1e-3}, note="Adam's default: too high, says section 4")
DAI = tuple(paper.MCGILL_LOSSES)  # their twelve rows
OTHER_SIZE = tuple(v.name for v in KEEP if "image_size" in v.arch)  # their distances are on another scale

BASE = Variant("base", note="the paper's guidelines, all of them", seeds=(0, 1, 2, 3, 4))

STUDY = Study(
    "architecture",
    "C1: each guideline left out, and the changes of Dai et al., on faces at 32 pixels; 2.5 hours on two CPU cores",
    training.TrainConfig(
        data="celeba",
        out="runs/architecture",
        arch=architecture("paper64", image_size=32, widths=(32, 64, 128)),
        batch_size=64,
        steps=2_000,
        sample_every=500,
    ),
    (BASE, *GUIDELINES, *KEEP, *LEAVE, TOO_HIGH),
    seeds=(0, 1, 2),
    measures=(
        *measures.SAMPLED,
        measures.d_worth.set(labelled_set="celeba", attribute="Smiling"),
    ),
    predicts=(
        Prediction(
            "With the guidelines training is stable in most settings: whatever z, output size or lower rate, no number "
            "is NaN and samples are nearer to the faces than noise, ten faces copied, blurred and shuffled faces.",
            rules.stable("base", *(v.name for v in KEEP)),
            "C1",
        ),
        Prediction(
            "A guideline matters where leaving it out makes the distance larger in every seed than in any of the base.",
            rules.every_worse("base", *(v.name for v in GUIDELINES)),
        ),
        Prediction(
            "Every change of Dai et al. is worse: its distance is larger in every seed than in any of the base.",
            # That those of other sizes are not counted was decided when the result was known.
            rules.every_worse("base", *DAI, other_scale=OTHER_SIZE),
        ),
        Prediction(
            "Adam's default learning rate, 0.001, is too high: the distance is larger in every seed than in any of the "
            "base.",
            rules.every_worse("base", TOO_HIGH.name),
        ),
        Prediction(  # of section 4 as well; added when its numbers were known, since C1 counts it against the paper
            "Adam's default momentum, a beta1 of 0.9, is too high: the distance is larger in every seed than in any of "
            "the base.",
            rules.every_worse("base", "beta1_0.9"),
        ),
        Prediction(
            "The eye does not matter: that of the faces' attributes and ImageNet's rank the variants alike (0.8).",
            # The other sizes were left out when the result was known: with them it is 0.82, and the rule holds.
            rules.same_order(
                "seen_by_face_attributes.frechet_distance", "seen_by_efficientnet.frechet_distance", without=OTHER_SIZE
            ),
        ),
    ),
    images=first_faces,
)
