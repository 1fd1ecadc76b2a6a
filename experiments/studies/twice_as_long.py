"""C1: is a training that C1's rule calls unstable only slow? A rate of 0.0001 and a beta1 of 0.9, for twice the steps.

In `architecture` one training of three is stable with either, after 2,000 steps. The paper says of a beta1 of 0.9 that
it "resulted in training oscillation and instability" (section 4), which is not the same as slow; so each training is
looked at every 250 steps, and the baseline's as often: the distance, and how far the samples of the same latents move.

Base and faces are those of `architecture`. D's worth is asked by CIFAR-10's classes, which say more of what D learnt
than the smile there. Cost: 3 variants x 3 seeds x 256,000 pictures, 2.5 hours of one core without bfloat16
instructions.
"""

from dataclasses import replace

import torch

from dcgan_lib import data, models

from .. import measures, rules
from ..study import Prediction, Study, Variant, compared, config_of, stages_of, write_sheet
from . import architecture
from .faces import first_faces

EVERY, STEPS = 250, 4_000
LATENTS = 2  # of the film


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """What any comparison says, and a film of it: what the first latents of each variant's first training become.

    results/<file>_film has a row a variant and latent, and in it the stages of the second half, `film_steps`.
    """
    measured, claims = compared(study, rows, missing=[], left_out={})
    stages = stages_of(study)
    steps = stages[len(stages) // 2 - 1 :]
    film = {}
    for variant in study.variants:
        row = next(row for row in rows if row["variant"] == variant.name)
        config = config_of(study, variant, row["seed"])
        kept = measures.kept_weights(config.out, steps)
        if "diverged" in row or len(kept) < len(steps):
            continue
        z = models.sample_latent(LATENTS, config.arch, 0)
        drawn = torch.stack([images for _, images in measures.drawn_at_stages(kept, z)], 1)  # (latents, stages, …)
        film |= {(variant.name, i): data.to_uint8(pictures) for i, pictures in enumerate(drawn)}
    if film:
        write_sheet(f"{study.file}_film", list(film.values()))
    return measured | {"film": list(film), "film_steps": steps}, claims


STUDY = Study(
    "twice_as_long",
    "C1: a rate of 0.0001 and a beta1 of 0.9 for twice the steps: slow, or unstable; 1.5 hours on two CPU cores",
    replace(architecture.STUDY.base, out="runs/twice_as_long", steps=STEPS, keep_every=EVERY),
    (
        Variant("base", note="rate 0.0002, beta1 0.5"),
        Variant("learning_rate_1e-4", {"learning_rate": 1e-4}, note="half the rate"),
        Variant("beta1_0.9", {"beta1": 0.9}, note="Adam's default"),
    ),
    seeds=(0, 1, 2),
    measures=(
        measures.statistics,
        measures.spread,
        measures.frechet.set(samples=2_000),
        measures.stages.set(samples=2_000),
        measures.moves,
        measures.d_worth.set(labelled_set="cifar10"),
    ),
    predicts=(
        Prediction(
            "A rate of 0.0001 is only slow: after twice the steps it is stable by the rule of the study architecture, "
            "in every seed.",
            rules.stable("learning_rate_1e-4"),
        ),
        Prediction(
            "So is a beta1 of 0.9: stable in every seed after twice the steps.",
            rules.stable("beta1_0.9"),
        ),
        Prediction(
            "A beta1 of 0.9 lets training oscillate, as section 4 says: between neighbouring stages the distance "
            "climbs more, in all, in every seed than in any of the base.",
            rules.oscillates("beta1_0.9", "base"),
        ),
        Prediction(
            "Its samples oscillate, too: those of the same latents move farther between neighbouring stages of the "
            "second half, in every seed than in any of the base.",
            rules.lower("moves.late", ("base", "beta1_0.9")),
        ),
    ),
    images=first_faces,
    stages=tuple(range(EVERY, STEPS + 1, EVERY)),
    report=report,
)
