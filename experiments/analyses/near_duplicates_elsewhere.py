"""C5, its data half, on other sets: is a pair of equal codes a pair of near duplicates there, too?

    python -m experiments near_duplicates_elsewhere [--sheets FOLDER]

Tiny ImageNet, on which `near_duplicates` rests, holds too few pairs of equal codes to tell how many are false. So here
are two sets of one kind of picture each, as the paper's bedrooms are: the Intel scenes and drawn faces, each with an
autoencoder of its own by the same settings. The rule of section 4.1.1, equal codes, finds pairs; up to 400 of them, at
random, are drawn side by side by `--sheets` and labelled by a vision model (the labels ship). Of the same pairs also
what is left of them when their details are compared, as `deduplication.find_duplicates` does by itself; and recall, by
planted copies.

By set the rule is `verdicts.near_duplicates`, together `near_duplicates_over_sets`. Some ten minutes on one CPU core.
Writes results/near_duplicates_elsewhere.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from dcgan_lib import data, deduplication, device, results

from .. import memorisation, verdicts
from ..study import first_line
from .near_duplicates import LABELS, SEED, draw, labelled, sample, score, with_copies

SETS = {"scenes_all": "scenes", "anime": "drawn faces"}
SIZE = 64  # pixels a side of both
PLANTED = 1_000  # copies of each kind
STEPS = 2_000  # of the autoencoder
SAMPLE = 400
A_SHEET = 100  # pairs
METHOD = "code, equal (the paper)"
TOLERANCE = memorisation.METHODS["code, up to 7 bits, compared"][2]


def exact(images: np.ndarray, pairs: np.ndarray) -> int:
    """How many of the pairs (P, 2) are equal in every pixel."""
    digests = {int(i): hashlib.sha256(images[i].tobytes()).digest() for i in np.unique(pairs)}
    return sum(digests[a] == digests[b] for a, b in pairs.tolist())


def measure(images: np.ndarray, labels: dict[str, bool], sheets: Path | None = None) -> dict:
    """What equal codes find in a set (N, H, W, 3), and what the labels say of a sample of it."""
    rng = np.random.default_rng(SEED)
    pictures, planted = with_copies(images, PLANTED, rng)
    found = memorisation.found_by(METHOD, pictures, memorisation.hashed(pictures, "code", STEPS, SEED))
    real = found.pairs[found.pairs[:, 1] < len(images)]
    drawn = sample(real, SAMPLE)
    if sheets:
        for start in range(0, len(drawn), A_SHEET):
            draw(images, drawn[start : start + A_SHEET], sheets / f"{start:03}.png")
        (sheets / "pairs.json").write_text(json.dumps(drawn.tolist()))
    apart = deduplication.distance(images, drawn) if len(drawn) else np.zeros(0)
    same = deduplication.clusters(real, len(images))
    recall = {kind: row["recall"] for kind, row in score(found.pairs, planted, same).items()}
    return {
        "pictures": len(images),
        "pairs": len(real),
        "exact": exact(images, real),
        "in_pairs": len(np.unique(real)),
        "by_eye": labelled(drawn, labels),
        "compared": labelled(drawn[apart <= TOLERANCE], labels),
        "recall": recall,
    }


def claims(measured: dict) -> dict:
    sets, words = {}, []
    for name, row in measured["sets"].items():
        eye, compared = row["by_eye"], row["compared"]
        false, still = (round(found["labelled"] * found.get("false", 0)) for found in (eye, compared))
        sets[name] = {"near": eye["labelled"] - false, "pairs": eye["labelled"], "recall": row["recall"]}
        words.append(
            f"{row['pictures']:,} {name}: {row['pairs']:,} pairs with equal codes; a vision model calls {false} of "
            f"{eye['labelled']} of them no near duplicates, and {still} of {compared['labelled']} with near details"
        )
    return {"C5": {"ours": f"{'; '.join(words)}.", "verdict": str(verdicts.near_duplicates_over_sets(sets))}}


def main(arguments: list[str] | None = None) -> dict[str, str]:
    """Returns {set: why it was left out}."""
    parser = argparse.ArgumentParser("python -m experiments near_duplicates_elsewhere")
    parser.add_argument("--sheets", type=Path, help="draw the pairs to label into this folder")
    sheets = parser.parse_args(arguments).sheets
    torch.set_num_threads(1)
    about = json.loads(LABELS.read_text()) if LABELS.exists() else {}
    measured, left_out, used = {"sets": {}}, {}, None
    for name, says in SETS.items():
        try:
            images = data.load(name, SIZE)
        except data.NotAvailable as error:
            left_out[name] = first_line(error)
            continue
        used = used or images
        folder = sheets / name if sheets else None
        row = measure(np.asarray(images.images), about.get("others", {}).get(name, {}), folder)
        measured["sets"][says] = row | {"data": name, "fingerprint": images.fingerprint}
    if used is None:
        raise data.NotAvailable("; ".join(left_out.values()))
    results.record(
        "near_duplicates_elsewhere",
        measured,
        command="python -m experiments near_duplicates_elsewhere",
        settings={"method": METHOD, "sample": SAMPLE, "steps": STEPS, "labelled_by": about.get("by"), "threads": 1},
        seed=SEED,
        images=used,
        device=device.device_name(torch.device("cpu")),
        claims=claims(measured),
    )
    return left_out
