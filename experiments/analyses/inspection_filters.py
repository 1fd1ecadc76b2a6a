"""C6: does D learn a hierarchy of features? Selectivity of its maps, layer by layer, trained against random weights.

    python -m experiments inspection_filters

The discriminator of Tiny ImageNet (imagenet32, shipped) looks at CIFAR-10's test pictures, which it never saw. For each
map the twenty pictures that excite it most are taken: how mixed are their classes (entropy in bits; about 2.95 is what
any pictures give)? And how well does one map alone tell its best class from the rest (area under the ROC curve)? The
same for three networks of random weights, with batch norm set on the same pictures.

The rule is `verdicts.c6`, fixed before the run: in the last convolution the trained maps' classes are less mixed than
the random ones' (intervals over maps apart), and for the trained network selectivity grows from the first convolution
to the last.

The sanity check of Adebayo et al. (2018): does guided backpropagation look different for trained weights than for
random ones, or is it the picture's edges either way? Rank correlations say, of its size with Sobel edges, of its size
between networks and of its signed values between networks; all over the pixels that the unit can see, since outside of
them every network's gradient is 0 and would agree. A unit looks at the middle of its field more than at its rim, for
any picture: the correlation with the same unit's gradient for another picture says how much that alone explains.

Some minutes on two CPU cores. Writes results/inspection_filters.json.
"""

import numpy as np
import torch
from scipy.ndimage import sobel
from scipy.stats import rankdata, spearmanr

from dcgan_lib import checkpoints, data, device, features, inspection, models, results
from experiments import verdicts

SEED, SEEDS = 0, (1, 2, 3)  # of the random networks
TOP = 20
PICTURES = 10_000
CALIBRATION = 2_560
SHOWN = (6, 10)  # maps, pictures of the book's page


def networks(images) -> dict:
    """Trained and random discriminators, all with batch norm's statistics set on the same real pictures."""
    every = {"trained": checkpoints.load("imagenet32")[1]}
    every |= {f"random {seed}": models.build("imagenet32", seed=seed)[1] for seed in SEEDS}
    for network in every.values():
        models.calibrate(network, data.batches(images[:CALIBRATION], 128))
        network.eval()
    return every


@torch.no_grad()
def strongest(network, images) -> list[np.ndarray]:
    """For each layer the largest activation of each map in each picture, (N, width)."""
    rows = []
    for batch in data.batches(images, 256):
        with torch.autocast(
            "cpu", torch.bfloat16, enabled=device.pick_precision("auto", torch.device("cpu")) != "float32"
        ):
            rows.append([m.float().amax((2, 3)).numpy() for m in network.feature_maps(batch)])
    return [np.concatenate(parts) for parts in zip(*rows, strict=True)]


def selectivity(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each map the class entropy of its TOP pictures (bits), and the area under its best class's ROC curve."""
    order = np.argsort(-values, axis=0, kind="stable")[:TOP].T  # (width, TOP)
    entropy = inspection.class_entropy(order, labels)
    ranks = rankdata(values, axis=0)  # 1 … N, ties shared
    areas = []
    for c in np.unique(labels):
        n = (labels == c).sum()
        areas.append((ranks[labels == c].sum(0) - n * (n + 1) / 2) / (n * (len(labels) - n)))
    return entropy, np.max(areas, axis=0)


def edges(images: np.ndarray) -> np.ndarray:
    grey = images.mean(3)
    return np.hypot(sobel(grey, axis=1), sobel(grey, axis=2))  # (N, H, W)


def guided(every: dict, images: np.ndarray) -> dict:
    """Guided backpropagation of the last convolution: rank correlations with edges, and of trained with random."""
    arch = every["trained"].arch
    layer, rng = len(arch.widths) - 1, np.random.default_rng(SEED)
    maps = rng.choice(arch.widths[layer], SHOWN[0], replace=False)
    found = inspection.maximal_activations(every["trained"], images, layer, maps, SHOWN[1], progress=False)
    chosen = images[found.pictures.ravel()]  # (6 * 10, H, W, C)
    positions = found.positions.reshape(-1, 2)
    score = inspection.unit(layer, np.repeat(found.maps, SHOWN[1]), positions)
    signed = {
        name: inspection.guided_backpropagation(network, data.to_float(chosen), score).numpy()
        for name, network in every.items()
    }
    other = np.roll(chosen, SHOWN[1] + 1, 0)  # the same units shown other pictures: what is the unit's own footprint?
    signed["other picture"] = inspection.guided_backpropagation(every["trained"], data.to_float(other), score).numpy()
    size = {name: np.abs(s).sum(1) for name, s in signed.items()}  # (60, H, W)
    field = inspection.receptive_field(arch, layer)
    seen = np.zeros(size["trained"].shape, bool)
    for mask, (top, left) in zip(seen, field.start + field.step * positions, strict=True):
        mask[max(top, 0) : top + field.side, max(left, 0) : left + field.side] = True

    def correlation(a, b) -> dict:
        values = [spearmanr(x[..., m].ravel(), y[..., m].ravel()).statistic for x, y, m in zip(a, b, seen, strict=True)]
        values = np.nan_to_num(values)  # of a gradient that is 0 everywhere
        return {
            "mean": float(values.mean()),
            "interval": features.interval(values, np.repeat(range(SHOWN[0]), SHOWN[1])),
        }

    line = edges(chosen)
    others = [name for name in signed if name != "trained"]
    return {
        "layer": layer,
        "maps": [int(m) for m in found.maps],
        "pictures": found.pictures.tolist(),
        "with_edges": {name: correlation(size[name], line) for name in every},
        "size_trained_with": {name: correlation(size["trained"], size[name]) for name in others},
        "signed_trained_with": {name: correlation(signed["trained"], signed[name]) for name in others},
        "random_with_random": {
            "size": correlation(size["random 1"], size["random 2"]),
            "signed": correlation(signed["random 1"], signed["random 2"]),
        },
    }


def main() -> None:
    test = data.load("cifar10", split="test")
    order = np.random.default_rng(SEED).permutation(len(test))[:PICTURES]
    images, labels = test.images[order], test.labels[order]
    every = networks(images)
    layers = len(every["trained"].arch.widths)
    rows = {kind: [{"entropy": [], "area": []} for _ in range(layers)] for kind in ("trained", "random")}
    for name, network in every.items():
        for layer, values in enumerate(strongest(network, images)):
            entropy, area = selectivity(values, labels)
            row = rows[name.split()[0]][layer]
            row["entropy"] += entropy.tolist()
            row["area"] += area.tolist()
    measured = {
        kind: [
            {k: {"mean": float(np.mean(v)), "interval": features.interval(v)} for k, v in row.items()}
            | {"maps": len(row["entropy"])}
            for row in layered
        ]
        for kind, layered in rows.items()
    }
    rng = np.random.default_rng(SEED)
    chance = np.stack([rng.choice(len(labels), TOP, replace=False) for _ in range(2000)])
    measured |= {"top": TOP, "chance_entropy": float(inspection.class_entropy(chance, labels).mean())}
    measured["guided"] = guided(every, images)
    first, last, random = measured["trained"][0], measured["trained"][-1], measured["random"][-1]
    claims = {
        "C6": {
            "ours": f"Classes of the {TOP} pictures that excite a map of the last convolution most: "
            f"{last['entropy']['mean']:.2f} bits trained, {random['entropy']['mean']:.2f} random weights "
            f"({measured['chance_entropy']:.2f} any pictures). One map tells its best class apart with an area of "
            f"{last['area']['mean']:.3f} (first convolution {first['area']['mean']:.3f}; random weights "
            f"{random['area']['mean']:.3f} and {measured['random'][0]['area']['mean']:.3f}).",
            "verdict": str(verdicts.c6(measured["trained"], measured["random"])),
        }
    }
    results.record(
        "inspection_filters",
        measured,
        command="python -m experiments inspection_filters",
        settings={"discriminator": "results/training_imagenet32.json", "random_seeds": SEEDS, "pictures": PICTURES},
        seed=SEED,
        images=test,
        device=device.device_name(device.pick_device("cpu")),
        claims=claims,
    )
