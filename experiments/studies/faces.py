"""C1 on faces, and the face generators of the book: the PyTorch tutorial's network on 9,000 aligned faces of CelebA.

CelebA comes from torchvision or the Hugging Face hub, or from celeba.npz in DCGAN_DATA (see the data page). Of its
first 10,000 faces the last 1,000 are held out, so that "is it new?" (C5) can be asked. The paper trained on 350,000
face boxes that were never released, for 25 epochs by the released script, with twice the widths and batches of 128;
here batches of 64, as in soumith's port, give twice the steps in the same time. Three seeds, so that C5, C8 and C9 are
about DCGANs and not about one of them. Each counts, and seed 0 ships, as G's moving average at the stage with the
lowest Fréchet distance to the training faces, in the features of the attribute classifier (`face_attributes` runs
first); EfficientNet, which shares no pictures with that eye, says beside it which stage it would take. 960,000 pictures
seen a training: two hours on two CPU cores with bfloat16; an H200 took five minutes for all three side by side, with
what is measured.
"""

import numpy as np

from dcgan_lib import checkpoints, data, training

from .. import measures, rules, scale
from ..study import Study, Variant, film, first_config, measured_of, measures_of, ship

FACES, HELD_OUT = (240, 60) if scale.fast() else (9_000, 1_000)
STAGES = tuple(range(1_000, 15_001, 1_000))


def first_faces(config: training.TrainConfig) -> data.ImageSet:
    """The first 9,000, in the order of the files: the same that the recorded networks saw."""
    return data.load("celeba", image_size=config.arch.image_size).select(range(FACES))


def best_stage(row: dict) -> dict:
    """The stage of a training that counts: the one that the eye for attributes finds nearest to the training faces."""
    return min(row["stages"], key=lambda stage: stage["frechet"])


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """As results/training_faces.json has it: seed 0, whose best stage ships, and in `others` the other seeds."""
    config = first_config(study)
    measured = measured_of(rows[0])
    best = best_stage(measured)
    source = training.RunFolder(config.out).kept(best["step"])
    chosen = training.Run(*checkpoints.load(source), [], config.out)
    (asked,) = (m for m in measures_of(study, study.variants[0]) if m.name == measures.stages.name)
    measured |= {"samples": asked.settings["samples"], "chosen": best, "spread": best["spread"]}
    measured |= measures.statistics_difference(chosen, None, np.random.default_rng(0))
    measured["others"] = [
        {"seed": row["seed"]}
        | {k: v for k, v in measured_of(row).items() if k != "stats"}
        | ({"chosen": best_stage(row)} if row.get("stages") else {})
        for row in rows[1:]
    ]
    frames = (0, 3, 4, 5, 7, 12, -1)
    measured["film_steps"] = film(config.out, study.file, config.arch.image_size, frames)
    claims = {
        "C1": {
            "ours": f"CelebA, {FACES:,} faces, {len(rows)} trainings of {measured['epochs']:.0f} epochs at 64x64: "
            f"{sum(row['finite'] for row in rows)} with every parameter finite; samples of the first vary "
            f"{measured['spread'] / measured['real_spread']:.0%} as much as real faces, pixel by pixel (noise and "
            "copies would pass that).",
            "verdict": str(rules.stable()(rows)),
        }
    }
    ship("faces", config, study.file, parts=("generator",), source=source)
    return measured, claims


STUDY = Study(
    "faces",
    "the tutorial's network on 9,000 faces of CelebA: C1, and the generator of the book; three times two hours on two "
    "CPU cores",
    training.TrainConfig(
        data="celeba",
        out="runs/faces",
        arch="tutorial64",
        batch_size=64,
        steps=STAGES[-1],
        ema_decay=0.999,
        sample_every=250,
        keep_every=STAGES[0],
    ),
    (Variant("faces", {"out": "runs/faces"}),),
    seeds=(0, 1, 2),
    measures=(
        measures.spread,
        measures.frechet,
        measures.stages.set(samples=5_000),
        measures.stages_checked,
        measures.held_out.set(first=FACES),
        measures.statistics,
    ),
    images=first_faces,
    stages=STAGES,
    report=report,
    result="training_faces",
)
