"""C1 on scenes: mountains, seas and streets at 64x64, a stand-in for LSUN's bedrooms where these cannot be had.

The Intel scenes (scenes.npz in DCGAN_DATA) go through the PyTorch tutorial's network with half the widths, a quarter of
the work: about 20 minutes on two CPU cores; its weights ship. LSUN's bedrooms are the paper's set: one epoch at full
width, a GPU's work.

`streets` is for C7: the 5,512 labelled buildings and streets of all Intel scenes, many of which have windows, as the
paper's bedrooms. Full width; of STAGES the one ships, G alone, whose samples are nearest in the features of a
classifier that never saw them: two hours on two CPU cores, and on an H200 four minutes, beside other trainings. Then
`python -m experiments inspection_forgetting_streets` says what is to be labelled.
"""

import numpy as np

from dcgan_lib import data, training
from dcgan_lib.architecture import architecture

from .. import measures, rules
from ..study import Study, Variant, film, first_config, measured_of, pictures, ship
from .faces import best_stage

STAGES = (2_000, 4_000, 6_000, 8_000, 10_000, 12_000, 14_000, 16_000)
WITH_WINDOWS = ("buildings", "street")


def streets(config: training.TrainConfig) -> data.ImageSet:
    """The scenes that may have windows. Raises NotAvailable."""
    found = data.load("scenes_all", image_size=config.arch.image_size)
    names = list(found.class_names or ("buildings", "forest", "glacier", "mountain", "sea", "street"))
    return found.select(np.flatnonzero(np.isin(found.labels, [names.index(name) for name in WITH_WINDOWS])))


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """As results/training_scenes.json has it."""
    config = first_config(study)
    real: data.ImageSet = pictures(study, config)
    measured = measured_of(rows[0])
    if "stages" in measured:
        best = best_stage(measured)
        measured |= {"chosen": best, "spread": best["spread"]}
    if study is not STREETS:  # no page shows one of these
        frames = (0, 1, 2, 4, 8, 16, -1)
        measured["film_steps"] = film(config.out, study.file, config.arch.image_size, frames)
    share = measured["spread"] / measured["real_spread"]
    claims = {
        "C1": {
            "ours": f"{real.card.title}, {len(real):,} pictures, {measured['epochs']:.0f} epochs at 64x64: "
            f"{'every' if measured['finite'] else 'not every'} parameter finite; samples vary {share:.0%} as much as "
            "real pictures, pixel by pixel (noise and copies would pass that).",
            "verdict": str(rules.stable()(rows)),
        }
    }
    if study is STUDY:
        ship("scenes", config, study.file)
    if study is STREETS:
        kept = training.RunFolder(config.out).kept(measured["chosen"]["step"])
        ship("streets", config, study.file, parts=("generator",), source=kept)
    return measured, claims


STUDY = Study(
    "scenes",
    "the Intel scenes at 64 pixels, a row of C1; 20 minutes on two CPU cores",
    training.TrainConfig(
        data="scenes",
        out="runs/scenes",
        arch=architecture("tutorial64", widths=(32, 64, 128, 256)),
        batch_size=64,
        steps=4_500,
        ema_decay=0.999,
        sample_every=250,
    ),
    (Variant("scenes", {"out": "runs/scenes"}),),
    measures=(measures.spread, measures.statistics),
    report=report,
    result="training_scenes",
)

LSUN = Study(
    "lsun_bedroom",
    "the paper's bedrooms: one epoch at full width; hours on a GPU",
    training.TrainConfig(data="lsun_bedroom", out="runs/lsun_bedroom", arch="paper64", epochs=1, ema_decay=0.999),
    (Variant("lsun_bedroom", {"out": "runs/lsun_bedroom"}),),
    measures=(measures.spread, measures.statistics),
    report=report,
    result="training_lsun_bedroom",
    not_run="LSUN could not be had where the reference runs were made",
    by_name_only="a GPU's work, and a download of 40 GB",
)

STREETS = Study(
    "streets",
    "buildings and streets at full width, a generator of windows for C7; two hours on two CPU cores",
    training.TrainConfig(
        data="scenes_all",
        out="runs/streets",
        arch="tutorial64",
        batch_size=64,
        steps=STAGES[-1],
        ema_decay=0.999,
        sample_every=500,
        keep_every=STAGES[0],
    ),
    (Variant("streets", {"out": "runs/streets"}),),
    measures=(measures.spread, measures.statistics, measures.stages.set(eye="efficientnet", samples=2_000)),
    images=streets,
    stages=STAGES,
    report=report,
    result="training_streets",
)
