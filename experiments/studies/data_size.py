"""How much data? 100, 1,000, 10,000 and all drawn faces or natural pictures, equal steps (Peintner et al., 4.1).

They see no gain from 10,000 to 100,000. Quality and coverage are told apart, and so is copying: with few pictures
samples may be sharp since they are the training pictures.
"""

from dcgan_lib import training
from dcgan_lib.architecture import architecture

from .. import measures, rules
from ..study import Prediction, Study, Variant

SIZES = (100, 1_000, 10_000, None)


def variants(name: str, **config) -> tuple[Variant, ...]:
    return tuple(Variant(f"{name}_{n or 'all'}", {"data": name, "limit": n} | config) for n in SIZES)


STUDY = Study(
    "data_size",
    "100 to 157,044 pictures at equal steps: quality, coverage, copies; minutes a training",
    training.TrainConfig(
        data="anime",
        out="runs/data_size",
        arch=architecture("tutorial64", widths=(32, 64, 128, 256)),
        batch_size=64,
        steps=4_500,
        sample_every=500,
    ),
    variants("anime") + variants("natural32", arch="svhn32"),
    seeds=(0, 1, 2),
    measures=(measures.statistics, measures.spread, measures.frechet.set(samples=2_000), measures.memorised),
    predicts=(
        Prediction(
            "No gain from 10,000 pictures to all: the distances of the two overlap between seeds, on both sets.",
            rules.no_gain(("anime_10000", "anime_all"), ("natural32_10000", "natural32_all")),
        ),
    ),
    not_run="its trainings have not been run yet: eight variants, three seeds each",
)
