"""C7 as the paper did it, on scenes: boxes around an object, maps dropped, the outcome judged blind by a vision model.

    python -m experiments inspection_forgetting_scenes

Our scenes have no windows. What they have as often as the paper's bedrooms had windows, and anywhere in the picture,
are trunks: upright, close-standing strokes, a wood's edge. Labels were entered with `widgets.BoxLabeller`, in three
rounds; the eye that judged was a vision model's, on contact sheets:

1. trunks_boxes: boxes around trunks in 150 samples (the paper: 52 boxes in 150 samples).
2. trunks_there: which of 96 other samples show trunks; a box over the whole picture means yes.
3. trunks_blind: these, each drawn from the same z in four ways (all maps; without the maps of positive weight; without
   as many of the largest mean activation; without as many at random, another draw for each sample), shuffled. Whoever
   labels is not told which is which, but may guess: a whole way of dropping shifts colours alike.

The rule is `verdicts.c7_judged`: exact McNemar on the samples of which one way, the chosen maps or the random ones,
removes the trunks and the other does not. (The rule before it, a bootstrap interval of the difference, stood in the
same commit as its result.) The price: how far the layout moves (averages over 8x8 pixels), in units of the distance
between two different samples.

The layer is the one next to the picture, 32x32. By the reading that `inspection_forgetting` gives reasons for it is not
the paper's; the labels of the third round were made of pictures without maps of this one.

To label anew: `widgets.BoxLabeller(pictures("boxes"), "trunks_boxes.json", "trunks")` in a notebook beside this file,
and so on for "there" and "blind"; then `python -m experiments.analyses.inspection_forgetting_scenes FOLDER`. Seconds on
a CPU. Writes results/inspection_forgetting_scenes.json.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from dcgan_lib import checkpoints, data, device, features, inspection, models, results
from experiments import verdicts

SEED = 31
BOXED, CANDIDATES = 150, 96
LABELS = checkpoints.HERE / "labels"
WAYS = ("all maps", "positive weight", "largest activations", "random")


def latents(stage: str, arch) -> torch.Tensor:
    """z of the first round, or of the candidates for the second."""
    return models.sample_latent(*((BOXED, arch, SEED) if stage == "boxes" else (CANDIDATES, arch, SEED + 1)))


def dropped_maps(generator, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    """The weights of all maps from the boxes of round 1, and the order of maps by mean activation, largest first."""
    arch = generator.arch
    indices, masks = inspection.box_masks(labels / "trunks_boxes.json", arch.sizes[1], arch.image_size)
    maps = inspection.generator_maps(
        generator, latents("boxes", arch)[torch.from_numpy(indices)], layer=len(arch.widths) - 1
    )
    return inspection.map_weights(maps, masks), np.argsort(-maps.mean((0, 2, 3)).numpy())


def ways(generator, labels: Path) -> tuple[torch.Tensor, list[torch.Tensor], int]:
    """z of the samples that show trunks, their pictures (n, C, H, W) in each of WAYS, and the maps dropped."""
    indices, masks = inspection.box_masks(labels / "trunks_there.json", generator.arch.sizes[1], 64)
    z = latents("there", generator.arch)[torch.from_numpy(indices[masks.any((1, 2))])]
    weights, loudest = dropped_maps(generator, labels)
    positive = np.flatnonzero(weights > 0)
    rng, n = np.random.default_rng(SEED), len(positive)
    layer = len(generator.arch.widths) - 1
    random = [inspection.without_maps(generator, rng.choice(len(weights), n, replace=False), layer) for _ in z]
    pictures = [
        models.sample(generator, z),
        models.sample(inspection.without_maps(generator, positive, layer), z),
        models.sample(inspection.without_maps(generator, loudest[:n], layer), z),
        torch.cat([models.sample(g, one[None]) for g, one in zip(random, z, strict=True)]),
    ]
    return z, pictures, n


def shuffled(n: int) -> np.ndarray:
    """The order of the blind round: picture i of it is way `order[i] // n` of sample `order[i] % n`."""
    return np.random.default_rng(SEED + 2).permutation(len(WAYS) * n)


def pictures(stage: str, labels: Path = LABELS) -> torch.Tensor:
    """What a round of labelling shows: "boxes", "there" or "blind"; (N, 3, 64, 64) in [-1, 1]."""
    generator, _ = checkpoints.load("scenes")
    if stage != "blind":
        return models.sample(generator, latents(stage, generator.arch))
    z, rows, _ = ways(generator, labels)
    return torch.cat(rows)[torch.from_numpy(shuffled(len(z)))]


def pairs(a: np.ndarray, b: np.ndarray) -> list[int]:
    """Of two (n,) of truth values: how often only the first is true, and how often only the second."""
    return [int((a & ~b).sum()), int((b & ~a).sum())]


def main(labels: Path = LABELS) -> None:
    generator, _ = checkpoints.load("scenes")
    z, rows, dropped = ways(generator, labels)
    n = len(z)
    indices, masks = inspection.box_masks(labels / "trunks_blind.json", 64, 64)
    if len(indices) != len(WAYS) * n:
        raise SystemExit(
            f"trunks_blind.json has {len(indices)} pictures, expected all {len(WAYS) * n}: go on labelling"
        )
    there = np.empty(len(WAYS) * n, bool)
    there[shuffled(n)[indices]] = masks.any((1, 2))
    gone = ~there.reshape(len(WAYS), n)  # (ways, samples)
    layout = [F.avg_pool2d(r, 8).flatten(1) for r in rows]  # (n, 3 * 8 * 8)
    unit = float((layout[0] - layout[0].roll(1, 0)).abs().mean())
    measured = {
        "labelled": BOXED,
        "boxed": int(inspection.box_masks(labels / "trunks_boxes.json", 64, 64)[1].any((1, 2)).sum()),
        "tested": n,
        "maps": generator.arch.widths[0],
        "dropped": dropped,
        "ways": {
            way: {
                "gone": float(g.mean()),
                "interval": features.proportion_interval(int(g.sum()), n),
                "layout_moves": float((r - layout[0]).abs().mean()) / unit,
            }
            for way, g, r in zip(WAYS, gone, layout, strict=True)
        },
        # Samples of which only the chosen maps remove the trunks, and of which only the others do.
        "discordant": {way: pairs(gone[1], gone[row]) for way, row in (("random", 3), ("largest activations", 2))},
    }
    found, chance, loud = (measured["ways"][w] for w in ("positive weight", "random", "largest activations"))
    only_chosen, only_random = measured["discordant"]["random"]
    claims = {
        "C7": {
            "ours": f"Trunks in scenes, judged blind by a vision model: gone from {found['gone']:.0%} of {n} samples "
            f"({found['interval'][0]:.0%} to {found['interval'][1]:.0%}) without the {dropped} maps of "
            f"positive weight, of {measured['maps']} next to the picture; {chance['gone']:.0%} without as many random "
            f"ones, {loud['gone']:.0%} without the most active, {measured['ways']['all maps']['gone']:.0%} with all.",
            "verdict": str(verdicts.c7_judged([int(gone[1].sum()), n], only_chosen, only_random)),
        }
    }
    seen = data.to_uint8(pictures("boxes"))  # (N, H, W, C)
    samples = data.ImageSet("samples of scenes", "boxes", seen, hashlib.sha256(seen.tobytes()).hexdigest())
    results.record(
        "inspection_forgetting_scenes",
        measured,
        command="python -m experiments inspection_forgetting_scenes",
        settings={"generator": "results/training_scenes.json", "labels": "trunks_boxes, trunks_there, trunks_blind"},
        seed=SEED,
        images=samples,
        device=device.device_name(device.pick_device("cpu")),
        claims=claims,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else LABELS)
    print(results.folder() / "inspection_forgetting_scenes.json")
