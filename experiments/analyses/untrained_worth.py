"""The control of what D is worth: the same discriminators before their training, and the pixels themselves.

    python -m experiments untrained_worth

For every training of the studies that ask what D is worth: the discriminator that it begins with (same seed, so the
same weights), by the same measure on the same pictures, and a linear SVM on the pixels. Nothing is trained; beside each
stands what the study's results file says after training.

The rule, fixed before the run: training has taught D something of these labels where the worth of every trained
discriminator of a variant lies above that of every untrained one.

Minutes on two CPU cores. Writes results/untrained_worth.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
from tqdm import tqdm

from dcgan_lib import data, device, features, results, training
from dcgan_lib.architecture import Architecture

from ..measures import Measure, d_worth, first_line, placed, told_right, vectors_of
from ..rules import larger
from ..studies import STUDIES
from ..study import Study, Variant, chosen, config_of, draws_of, measures_of
from ..verdicts import SEEDS


def asked(study: Study, variant: Variant) -> Measure | None:
    """The measure of what D is worth, as this study sets it."""
    return next((m for m in measures_of(study, variant) if m.name == d_worth.name), None)


def untrained(measure: Measure, arch: Architecture, seed: int) -> dict:
    """The worth of the discriminator that a training with this seed begins with."""
    _, discriminator = training.initial_networks(arch, seed)
    placed(discriminator)
    right, C = told_right(vectors_of(discriminator), arch, draws_of(measure, seed), **measure.settings)
    return {"untrained": float(right.mean()), "untrained_interval": list(features.interval(right)), "untrained_C": C}


def pixels(measure: Measure, arch: Architecture, seed: int) -> dict:
    """The same of the pixels, in [-1, 1]."""

    def vectors(pictures, known):
        return data.to_float(np.asarray(pictures)).flatten(1).numpy()

    right, C = told_right(vectors, arch, draws_of(measure, seed), **measure.settings)
    return {"pixels": float(right.mean()), "pixels_C": C}


def compared(rows: Sequence[Mapping]) -> dict[str, str]:
    """Variant → "above", "below" or "no difference beyond seeds": its discriminators after training, against before.

    "undecided" with fewer than three trainings. Variants that have none after training are left out.
    """
    found = {}
    for variant in dict.fromkeys(row["variant"] for row in rows if row["trained"] is not None):
        own = [row for row in rows if row["variant"] == variant and row["trained"] is not None]
        before, after = [row["untrained"] for row in own], [row["trained"] for row in own]
        apart = "above" if larger(after, before) else "below" if larger(before, after) else ""
        found[variant] = apart or "no difference beyond seeds"
        if len(own) < SEEDS:
            found[variant] = "undecided"
    return found


def derived(measured: dict) -> dict:
    """What follows from the rows of a results file."""
    return {"studies": {k: part | {"compared": compared(part["rows"])} for k, part in measured["studies"].items()}}


def after_training(study: Study) -> dict[tuple[str, int], float]:
    """(variant, seed) → what D is worth, by the study's results file."""
    rows = results.load(study.file)["measured"]["rows"] if results.there(study.file) else []
    return {(row["variant"], row["seed"]): row[d_worth.name] for row in rows if d_worth.name in row}


def main() -> dict[str, str]:
    """Returns {study: why it was left out}. Raises NotAvailable where no labelled set can be had."""
    jobs = [(s, v, seed, m) for s in STUDIES.values() for v, seed in chosen(s) if (m := asked(s, v))]
    after = {name: after_training(STUDIES[name]) for name in dict.fromkeys(study.name for study, *_ in jobs)}
    studies, left_out, labelled, known = {}, {}, {}, {}

    def once(way, measure, arch, seed) -> dict:  # variants that differ in their training alone begin alike
        seen_of = arch.to_dict() if way is untrained else [arch.image_size, arch.channels]
        key = json.dumps([way.__name__, seen_of, measure.settings, seed])
        known[key] = known.get(key) or way(measure, arch, seed)
        return known[key]

    for study, variant, seed, measure in tqdm(jobs, desc="discriminators before training"):
        arch, name = config_of(study, variant, seed).arch, measure.settings["labelled_set"]
        try:
            labelled[name] = labelled.get(name) or data.load(name)
        except data.NotAvailable as error:
            left_out[study.name] = first_line(error)
            continue
        row = {"variant": variant.name, "seed": seed, "trained": after[study.name].get((variant.name, seed))}
        row |= once(untrained, measure, arch, seed) | once(pixels, measure, arch, seed)
        part = studies.setdefault(study.name, {"settings": measure.settings, "rows": []})
        part["rows"].append(row)
    if not studies:
        raise data.NotAvailable(f"what D is worth: {'; '.join(dict.fromkeys(left_out.values()))}")
    measured = {"studies": studies, "left_out": left_out}
    results.record(
        "untrained_worth",
        measured | derived(measured),
        command="python -m experiments untrained_worth",
        settings={"sets": {name: images.fingerprint for name, images in labelled.items()}},
        seed=0,
        images=next(iter(labelled.values())),
        device=device.device_name(device.pick_device()),
    )
    return left_out
