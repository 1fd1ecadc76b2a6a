"""C5, its data half, on other sets: is a pair of equal codes a pair of near duplicates there, too?

    python -m experiments near_duplicates_elsewhere [--sheets FOLDER]

Tiny ImageNet, on which `near_duplicates` rests, holds too few pairs of equal codes to tell how many are false. So here
are two more sets: the Intel scenes, and drawn faces, which are of one kind as the paper's bedrooms are. Each has an
autoencoder of its own by the same settings. The rule of section 4.1.1, equal codes, makes pairs; up to 400 of those
that the search lists (of a picture in a large group its next 32), at random, are drawn side by side by `--sheets` and
labelled by a vision model (the labels ship). Of the same pairs also what is left of them when their details are
compared, as `deduplication.find_duplicates` does by itself; and recall, by planted copies.

The paper does not say how much noise its autoencoder sees, how many units it drops, or for how long it learns. So
`TRAININGS` differ from ours in one of these each; of theirs nothing is labelled: how many pairs, and in how many of a
sample the details are near.

By set the rule is `verdicts.near_duplicates`, together `near_duplicates_over_sets`. An hour on one CPU core.
Writes results/near_duplicates_elsewhere.json, and the first false pairs of each set as a sheet.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from dcgan_lib import data, deduplication, device, results

from .. import memorisation, verdicts
from ..study import first_line, write_sheet
from .near_duplicates import LABELS, SEED, draw, labelled, sample, with_copies

SETS = {"scenes_all": "scenes", "anime": "drawn faces"}
SIZE = 64  # pixels a side of both
PLANTED = 1_000  # copies of each kind
STEPS = 2_000  # of the autoencoder
SAMPLE = 400
A_SHEET = 100  # pairs
SHOWN = 7  # false pairs of each set, on the page
METHOD = "code, equal (the paper)"
TOLERANCE = memorisation.METHODS["code, up to 7 bits, compared"][2]
TRAININGS = {
    "less noise": {"noise": 1.0},
    "no dropout": {"dropout": 0.0},
    "4 times as long": {"steps": 4 * STEPS},
    "16 times as long": {"steps": 16 * STEPS},
}
LIVE = (0.01, 0.99)  # a bit that is on in a share of the pictures between these tells some of them apart


def equal_pairs(keys: np.ndarray) -> int:
    """How many pairs of the rows (N, bytes) are equal."""
    _, times = np.unique(keys, axis=0, return_counts=True)
    return int((times * (times - 1) // 2).sum())


def live_bits(hashes: np.ndarray) -> int:
    """How many bits of the hashes (N, bytes) tell pictures apart."""
    on = np.unpackbits(hashes, axis=1).mean(0)
    return int(((on >= LIVE[0]) & (on <= LIVE[1])).sum())


def near_details(images: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Which of the pairs (P, 2) are near in their details, too."""
    return deduplication.distance(images, pairs) <= TOLERANCE if len(pairs) else np.zeros(0, bool)


def trained_otherwise(pictures: np.ndarray, n: int) -> dict:
    """By one of TRAININGS: what equal codes find among the first n of the pictures; the rest are planted."""
    out = {}
    for says, settings in TRAININGS.items():
        network = deduplication.fit(pictures, **{"steps": STEPS, "seed": SEED} | settings)
        hashes = deduplication.encode(network, pictures)
        pairs = deduplication.candidates(hashes)
        pairs = pairs[pairs[:, 1] < n]
        near = near_details(pictures, sample(pairs, SAMPLE))
        counted = {"pairs": equal_pairs(hashes[:n]), "sampled": len(near), "near_details": int(near.sum())}
        out[says] = settings | counted | {"live_bits": live_bits(hashes)}
    return out


def measure(images: np.ndarray, labels: dict[str, bool], sheets: Path | None = None) -> dict:
    """What equal codes find in a set (N, H, W, 3), and what the labels say of a sample of it."""
    rng = np.random.default_rng(SEED)
    pictures, planted = with_copies(images, PLANTED, rng)
    hashes = memorisation.hashed(pictures, "code", STEPS, SEED)
    found = memorisation.found_by(METHOD, pictures, hashes)
    real = found.pairs[found.pairs[:, 1] < len(images)]
    drawn = sample(real, SAMPLE)
    if sheets:
        for start in range(0, len(drawn), A_SHEET):
            draw(images, drawn[start : start + A_SHEET], sheets / f"{start:03}.png")
        (sheets / "pairs.json").write_text(json.dumps(drawn.tolist()))
    near = near_details(images, drawn)
    false = [pair for pair in drawn.tolist() if labels.get("{}-{}".format(*pair)) is False]
    recall = {kind: float((hashes[p[:, 0]] == hashes[p[:, 1]]).all(1).mean()) for kind, p in planted.items()}
    return {
        "pictures": len(images),
        "pairs": equal_pairs(hashes[: len(images)]),
        "listed": len(real),
        "exact": equal_pairs(deduplication.pixel_hashes(images)),
        "in_pairs": len(np.unique(real)),
        "by_eye": labelled(drawn, labels),
        "false_pairs": false[:SHOWN],
        "compared": labelled(drawn[near], labels),
        "sampled": len(drawn),
        "near_details": int(near.sum()),
        "live_bits": live_bits(hashes),
        "recall": recall,
        "trained_otherwise": trained_otherwise(pictures, len(images)),
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
    measured, left_out, used, shown = {"sets": {}, "sheet": []}, {}, None, []
    for name, says in SETS.items():
        try:
            images = data.load(name, SIZE)
        except data.NotAvailable as error:
            left_out[name] = first_line(error)
            continue
        used = used or images
        folder = sheets / name if sheets else None
        pictures = np.asarray(images.images)
        row = measure(pictures, about.get("others", {}).get(name, {}), folder)
        measured["sets"][says] = row | {"data": name, "fingerprint": images.fingerprint}
        if len(row["false_pairs"]) == SHOWN:
            measured["sheet"].append(says)
            shown += list(pictures[np.array(row["false_pairs"]).T])  # (2, SHOWN, 64, 64, 3): the first, the second
    if used is None:
        raise data.NotAvailable("; ".join(left_out.values()))
    if shown:
        write_sheet("near_duplicates_elsewhere_pairs", shown)
    results.record(
        "near_duplicates_elsewhere",
        measured,
        command="python -m experiments near_duplicates_elsewhere",
        settings={
            "method": METHOD,
            "sample": SAMPLE,
            "steps": STEPS,
            "trainings": TRAININGS,
            "live": LIVE,
            "labelled_by": about.get("by"),
            "threads": 1,
        },
        seed=SEED,
        images=used,
        device=device.device_name(torch.device("cpu")),
        claims=claims(measured),
    )
    return left_out
