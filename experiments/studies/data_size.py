"""How much data? 100, 1,000, 10,000 and all drawn faces or natural pictures, equal steps (Peintner et al., 4.1).

They see no gain from 10,000 to 100,000. Quality (precision), variety (recall) and copying are told apart: with few
pictures samples may be sharp since they are the training pictures. Distances and shares are to the whole set, of which
a training saw a part.

Cost: 8 variants x 3 seeds = 24 trainings x 384,000 pictures = 9.2 million; at 1,500 pictures a second on two quiet
cores 1.7 hours, and 20 minutes for what is measured.
"""

from dcgan_lib import training
from dcgan_lib.architecture import architecture

from .. import measures, rules
from ..study import Prediction, Study, Variant

NARROW = architecture("tutorial64", image_size=32, widths=(32, 64, 128))  # the tutorial's network at half its widths
SETS, SIZES = ("anime", "natural32"), (100, 1_000, 10_000, None)


def pairs(one: str, other: str) -> list[tuple[str, str]]:
    """The same two sizes of each set."""
    return [(f"{name}_{one}", f"{name}_{other}") for name in SETS]


STUDY = Study(
    "data_size",
    "100 to 157,044 pictures at equal steps: quality, variety, copies; 2 hours on two CPU cores",
    training.TrainConfig(
        data="anime",
        out="runs/data_size",
        arch=NARROW,
        batch_size=64,
        steps=6_000,
        sample_every=1_000,
    ),
    tuple(Variant(f"{name}_{n or 'all'}", {"data": name, "limit": n}) for name in SETS for n in SIZES),
    seeds=(0, 1, 2),
    measures=(
        *measures.SAMPLED,
        measures.memorised,
        measures.d_worth.set(labelled_set="cifar10"),
    ),
    predicts=(
        Prediction(
            "No gain from 10,000 pictures to all: the distances of the two overlap between seeds, on both sets.",
            rules.no_gain(*pairs("10000", "all")),
        ),
        Prediction(
            "A hundred pictures cost variety: recall of the whole set is lower in every seed than with 10,000.",
            rules.lower("seen_by_face_attributes.recall", *pairs("100", "10000")),
        ),
        Prediction(
            "They do not cost quality: precision with 100 pictures and with 10,000 differs by no more than seeds do.",
            rules.alike("seen_by_face_attributes.precision", *pairs("100", "10000")),
        ),
        Prediction(
            "They are copied: with 100 pictures more samples are nearer to one of them than new pictures are than with "
            "10,000, in every seed.",
            rules.lower("memorised", *pairs("10000", "100")),
        ),
    ),
)
