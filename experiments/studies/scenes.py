"""C1 on scenes: mountains, seas and streets at 64x64, a stand-in for LSUN's bedrooms where these cannot be had.

The Intel scenes (scenes.npz in DCGAN_DATA) go through the PyTorch tutorial's network with half the widths, a quarter of
the work: about 20 minutes on two CPU cores; its weights ship. LSUN's bedrooms are the paper's set: one epoch at full
width, a GPU's work.
"""

from dcgan_lib import data, training
from dcgan_lib.architecture import architecture

from .. import measures, rules
from ..study import Study, Variant, film, first_config, measured_of, pictures, ship


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """As results/training_scenes.json has it."""
    config = first_config(study)
    real: data.ImageSet = pictures(study, config)
    measured = measured_of(rows[0])
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
