"""C7: can G be made to forget a smile? Maps of its second-highest convolution dropped, on faces.

    python -m experiments inspection_forgetting

The paper's windows, in faces: the object is one that the attribute classifier sees, and it stands at a known place,
since the faces are aligned by their eyes. 150 samples that show it are labelled by a box there (the paper drew 52 boxes
by hand in 150 samples); a logistic regression on the activations tells positions inside the box from positions outside,
and all maps with positive weight are dropped at every position. Then up to 1,000 other samples that show the object are
drawn without these maps. Beside the paper's way: labels of whole pictures instead of boxes, and only the few maps of
largest weight. Controls: as many random maps, and the maps with the largest activations. Effect: from how many samples
the object is gone; price: how many of the classifier's other 39 opinions change, and how far the pictures go from real
faces (Fréchet distance).

C7 predicts, fixed before the run: dropping the maps of positive weight, by boxes, removes the object from more samples
than dropping as many random maps does (outside of 95 % of the random draws), and changes other opinions no more.

Minutes on two CPU cores. Writes results/inspection_forgetting.json.
"""

import numpy as np
import torch

from dcgan_lib import checkpoints, data, device, features, inspection, metrics, models, results
from experiments.studies.faces import FACES

SEED = 21
LABELLED, POOL, TESTED = 150, 6_000, 4_000
RANDOM = 10  # draws of the control
DOSES = (2, 4, 8, 16, 24, 32)  # maps dropped, of 64
OBJECTS = {  # attribute → the box of aligned 64x64 faces: top, bottom, left, right
    "Smiling": (41, 53, 21, 43),
    "Eyeglasses": (26, 38, 14, 50),
    "Bangs": (8, 24, 16, 48),
}


def measure(generator, eye, names, attribute, z, before, real) -> dict:
    """Of samples z (N, latent_dim) that had the attribute: how many still have it, and what else changed."""
    images = models.sample(generator, z)
    now = features.attribute_probabilities(eye, images) > 0.5
    i = names.index(attribute)
    gone = ~now[:, i]
    others = np.delete(now != before, i, axis=1).mean(1)  # (N,), of 39
    return {
        "gone": float(gone.mean()),
        "interval": features.interval(gone),
        "others_changed": float(others.mean()),
        "others_interval": features.interval(others),
        "frechet": metrics.frechet_distance(features.deep_features(eye, images), real),
    }


def main() -> None:
    generator, _ = checkpoints.load("faces")
    eye, about = checkpoints.load_classifier("face_attributes")
    names, arch = about["names"], generator.arch
    faces = data.load("celeba", limit=FACES)
    real = features.deep_features(eye, faces.images)
    z = models.sample_latent(POOL, arch, SEED)
    opinion = features.attribute_probabilities(eye, models.sample(generator, z)) > 0.5
    width = arch.widths[0]
    side = arch.sizes[1]
    layer = len(arch.widths) - 1  # next to the picture
    loudest = np.argsort(-inspection.generator_maps(generator, z[:500], layer).mean((0, 2, 3)).numpy())
    rng = np.random.default_rng(SEED)
    measured = {"maps": width, "labelled": LABELLED, "objects": {}}
    for attribute, box in OBJECTS.items():
        i = names.index(attribute)
        have = np.flatnonzero(opinion[: POOL - TESTED, i])[:LABELLED]
        lack = np.flatnonzero(~opinion[: POOL - TESTED, i])[: len(have)]
        tested = np.arange(POOL - TESTED, POOL)[opinion[POOL - TESTED :, i]][:1000]
        if min(len(have), len(tested)) < 50:
            measured["objects"][attribute] = {"samples": len(have), "too_rare": True}
            continue
        maps = inspection.generator_maps(generator, z[torch.from_numpy(have)], layer)
        masks = np.zeros((len(have), side, side), bool)
        top, bottom, left, right = (round(v * side / arch.image_size) for v in box)
        masks[:, top:bottom, left:right] = True
        boxes = inspection.map_weights(maps, masks)
        both = torch.cat([maps, inspection.generator_maps(generator, z[torch.from_numpy(lack)], layer)])
        whole = inspection.map_weights(both, np.arange(len(both)) < len(have))
        zt, before = z[torch.from_numpy(tested)], opinion[tested]

        def effect(dropped, zt=zt, before=before, attribute=attribute):
            less = inspection.without_maps(generator, dropped, layer)
            return measure(less, eye, names, attribute, zt, before, real)

        def by_chance(n, effect=effect):
            found = [effect(rng.choice(width, n, replace=False)) for _ in range(RANDOM)]
            mean = {k: float(np.mean([d[k] for d in found])) for k in ("gone", "others_changed", "frechet")}
            for key, spread in (("gone", "interval"), ("others_changed", "others_interval")):
                mean[spread] = [float(v) for v in np.quantile([d[key] for d in found], (0.025, 0.975))]
            return mean

        rows = {"all maps": effect([])}
        for way, weights in (("boxes", boxes), ("whole pictures", whole)):
            order = np.argsort(-weights)
            positive = int((weights > 0).sum())
            rows[way] = {
                "positive": positive,
                "all_positive": effect(order[:positive]),
                "as_many_largest": effect(loudest[:positive]),
                "as_many_random": by_chance(positive),
            }
            rows[way]["doses"] = {str(n): effect(order[:n]) for n in DOSES}
        rows["largest activations"] = {"doses": {str(n): effect(loudest[:n]) for n in DOSES}}
        rows["random"] = {"doses": {str(n): by_chance(n) for n in DOSES}}
        measured["objects"][attribute] = {"samples": len(have), "tested": len(tested), "box": box, "ways": rows}
    results.record(
        "inspection_forgetting",
        measured,
        command="python -m experiments inspection_forgetting",
        settings={"generator": "results/training_faces.json", "pool": POOL, "random_draws": RANDOM, "doses": DOSES},
        seed=SEED,
        images=faces,
        device=device.device_name(device.pick_device("cpu")),
        claims=claims(measured),
    )


def claims(measured: dict) -> dict:
    words, holds = [], []
    for attribute, row in measured["objects"].items():
        if "too_rare" in row:
            continue
        ours = row["ways"]["boxes"]
        effect, control = ours["all_positive"], ours["as_many_random"]
        holds.append(
            effect["interval"][0] > control["interval"][1] and effect["others_changed"] <= control["others_changed"]
        )
        words.append(
            f"{attribute}: without the {ours['positive']} maps of positive weight, of {measured['maps']}, it is gone "
            f"from {effect['gone']:.0%} of samples ({control['gone']:.0%} without as many random ones), and "
            f"{effect['others_changed']:.0%} of other opinions change ({control['others_changed']:.0%})"
        )
    return {
        "C7": {
            "ours": "; ".join(words) + ".",
            "verdict": "holds on this set" if all(holds) else "holds in part" if any(holds) else "does not hold",
        }
    }


if __name__ == "__main__":
    main()
    print(results.folder() / "inspection_forgetting.json")
