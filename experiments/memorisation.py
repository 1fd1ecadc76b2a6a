"""C5's numbers: is a generated picture a copy, and if it lies near the training pictures, why?

`measure` knows arrays, not generators: pictures trained on, pictures held out, generated ones, and spaces to look in.
It asks the fair question (is the nearest real picture one that was trained on?) of generated pictures and of altered
copies, once more without near duplicates, and holds two controls against the observation that generated pictures lie
nearer to the training set than held-out ones do:

- blurred: held-out pictures behind the narrowest Gaussian that makes them no sharper than generated ones, by the energy
  of the Laplacian and by that of details finer than some four pixels (medians over pictures);
- central: for each generated picture the held-out one that is as far from the centre of the training set. A generator
  that leaves out what is rare draws the middle of the set, where every picture has near neighbours.

`verdicts.c5` and `verdicts.explains` say what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from dcgan_lib import deduplication, features, metrics, models

from . import measures

VERSION = 2  # of `measure` and what it calls: rows of another are measured anew; 2 counts real faces once, too
Space = Callable[[np.ndarray], np.ndarray]  # uint8 (N, H, W, C) → (N, F)
GENERATED, HELD_OUT, BLURRED, CENTRAL = "generated", "held out", "held out, blurred", "held out, central"
BOTH = "held out, blurred and central"
SHIFTED = "shifted by a pixel"
ALTERED = {  # copies that a search for copies must find
    "mirrored": lambda images: images[:, :, ::-1],
    SHIFTED: lambda images: np.roll(images, 1, axis=2),
    "darker by a fifth": lambda images: (images * 0.8).astype(np.uint8),
}
WIDEST = 4.0  # pixels of the Gaussian: more is no likeness
DRAWS = 1_000  # of the bootstrap
NO_CHECK = float("inf")
METHODS = {  # of finding near duplicates: name → hash, radius in bits, largest distance of a pair
    "code, equal (the paper)": ("code", 0, NO_CHECK),
    "code, up to 7 bits": ("code", 7, NO_CHECK),
    "code, up to 7 bits, compared": ("code", 7, 0.5),
    "mirrored code, up to 7 bits, compared": ("mirrored code", 7, 0.5),
    "phash, equal": ("phash", 0, NO_CHECK),
    "phash, up to 4 bits": ("phash", 4, NO_CHECK),
    "phash, up to 4 bits, compared": ("phash", 4, 0.5),
    "dhash, equal": ("dhash", 0, NO_CHECK),
    "dhash, up to 4 bits": ("dhash", 4, NO_CHECK),
}
COUNTED = ("code, equal (the paper)", *(name for name in METHODS if name.endswith("compared")))  # those of `duplicates`


# ---- spaces ----------------------------------------------------------------------------------------------------------


def spaces(classifier: models.Discriminator) -> dict[str, Space]:
    """The classifier's features, and pixels."""
    return {
        "features": lambda images: features.deep_features(classifier, images),
        "pixels": lambda images: images.reshape(len(images), -1).astype(np.float32) / 127.5,
    }


def efficientnet_digest() -> str | None:
    """Of the network's weights; None where it cannot be had."""
    try:
        return measures.efficientnet_digest()
    except ImportError:
        return None


def efficientnet(notes: Path) -> dict[str, Space]:
    """EfficientNet-lite0, which shares no pictures with the classifier; nothing where it cannot be had.

    It takes its time: what it saw is kept in the folder `notes`.
    """
    if (eye := efficientnet_digest()) is None:
        return {}
    notes.mkdir(parents=True, exist_ok=True)

    def look(images: np.ndarray) -> np.ndarray:
        path = notes / f"efficientnet_{eye}_{measures.digest_of(images)}.npy"
        if not path.exists():
            part = path.with_suffix(".part.npy")
            np.save(part, measures.seen_by("efficientnet", images))
            part.replace(path)
        return np.load(path)

    return {"efficientnet": look}


# ---- the controls ----------------------------------------------------------------------------------------------------


def sharpness(images: np.ndarray) -> dict[str, float]:
    """Of uint8 (N, H, W, C): energies of the mean channel in squared grey levels, the median picture's."""
    grey = images.astype(np.float32).mean(3)  # (N, H, W)
    inner = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    fine = grey - gaussian_filter(grey, (0, 1.5, 1.5), mode="nearest")
    energies = {"Laplacian": 4 * inner - around, "details": fine}
    return {name: float(np.median(np.square(e).mean((1, 2)))) for name, e in energies.items()}


def as_blurred(images: np.ndarray, like: np.ndarray) -> tuple[np.ndarray, dict]:
    """Images (N, H, W, C) behind the narrowest Gaussian by which they are no sharper than `like`, and what it took.

    By whichever measure of `sharpness` asks for the wider one, so that blur has its best chance to explain something.
    """
    goal = sharpness(like)

    def sharper(sd: float) -> bool:
        now = sharpness(metrics.blurred(images, sd))
        return any(now[name] > goal[name] for name in goal)

    low, high = 0.0, WIDEST
    if not sharper(low):
        high = 0.0
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (middle, high) if sharper(middle) else (low, middle)
    out = metrics.blurred(images, high) if high else images
    return out, {"sd": high, "sharpness": {GENERATED: goal, HELD_OUT: sharpness(images), BLURRED: sharpness(out)}}


def matched(wanted: np.ndarray, offered: np.ndarray) -> np.ndarray:
    """For each of the wanted numbers (N,) the index of the nearest offered one (M,)."""
    order = np.argsort(offered, kind="stable")
    numbers = offered[order]
    right = np.searchsorted(numbers, wanted).clip(1, max(1, len(numbers) - 1))
    left = right - 1
    right = right.clip(max=len(numbers) - 1)
    return order[np.where(wanted - numbers[left] <= numbers[right] - wanted, left, right)]


def explained(near: Mapping[str, np.ndarray], centre: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict:
    """Medians of the distances to the training set, and the share of their difference that each control explains.

    `near` has the distance of each picture to its nearest training picture, `centre` that to the training set's mean:
    of GENERATED (N,), HELD_OUT and BLURRED (M,) ones. A share is 1 where the control lies as near as generated pictures
    do and 0 where it lies as far as held-out ones do. Intervals of 95 % by bootstrap, of generated and of held-out
    pictures together with their blurred selves; the matching is done anew each time.
    """

    def medians(i: np.ndarray, j: np.ndarray) -> dict[str, float]:
        wanted = centre[GENERATED][i]
        rows = {GENERATED: near[GENERATED][i], HELD_OUT: near[HELD_OUT][j], BLURRED: near[BLURRED][j]}
        rows[CENTRAL] = rows[HELD_OUT][matched(wanted, centre[HELD_OUT][j])]
        rows[BOTH] = rows[BLURRED][matched(wanted, centre[BLURRED][j])]
        return {name: float(np.median(row)) for name, row in rows.items()}

    def shares(m: dict[str, float]) -> dict[str, float]:
        difference = m[HELD_OUT] - m[GENERATED]
        return {name: (m[HELD_OUT] - m[name]) / difference if difference else 0.0 for name in (BLURRED, CENTRAL, BOTH)}

    n, m = len(near[GENERATED]), len(near[HELD_OUT])
    found = medians(np.arange(n), np.arange(m))
    draws = [medians(rng.integers(0, n, n), rng.integers(0, m, m)) for _ in range(DRAWS)]

    def interval(values) -> list[float]:
        return [float(q) for q in np.quantile(list(values), (0.025, 0.975))]

    return {
        "medians": {k: {"value": v, "interval": interval(d[k] for d in draws)} for k, v in found.items()},
        "difference": {
            "value": found[HELD_OUT] - found[GENERATED],
            "interval": interval(d[HELD_OUT] - d[GENERATED] for d in draws),
        },
        "explained": {
            k: {"value": v, "interval": interval(shares(d)[k] for d in draws)} for k, v in shares(found).items()
        },
        "from_centre": {k: float(np.median(v)) for k, v in centre.items()}
        | {CENTRAL: float(np.median(centre[HELD_OUT][matched(centre[GENERATED], centre[HELD_OUT])]))},
    }


# ---- near duplicates -------------------------------------------------------------------------------------------------


def duplicates(images: np.ndarray, trained_on: int, steps: int, seed: int) -> dict:
    """Near duplicates among pictures, the first `trained_on` of which were trained on: how many, by COUNTED and kind.

    `pairs` are those that any of the comparing methods finds: [first, second, distance]; `dropped` all but the first
    of each cluster of them. A method that lacks its package is left out and said so.
    """
    hashes, methods, found, left_out = {}, {}, {}, {}
    for name in COUNTED:
        kind, _, tolerance = METHODS[name]
        if kind not in hashes and kind not in left_out:
            try:
                hashes[kind] = hashed(images, kind, steps, seed)
            except ImportError as error:
                left_out[kind] = measures.first_line(error)
        if kind in left_out:
            continue
        pairs = found_by(name, images, hashes[kind])
        held_out = (pairs.pairs >= trained_on).sum(1)  # of each pair
        names = ("both trained on", "one of each", "both held out")
        methods[name] = {"pairs": len(pairs.pairs)} | {k: int((held_out == i).sum()) for i, k in enumerate(names)}
        if tolerance < NO_CHECK:
            found |= {(int(a), int(b)): float(d) for (a, b), d in zip(pairs.pairs, pairs.distances, strict=True)}
    all_pairs = np.array(sorted(found), np.int64).reshape(-1, 2)
    distances = np.array([found[tuple(pair)] for pair in all_pairs.tolist()])
    redundant = deduplication.Duplicates(len(images), all_pairs, np.zeros(len(all_pairs)), distances).redundant
    return {
        "methods": methods,
        "left_out": left_out,
        "pairs": [[int(a), int(b), round(float(d), 4)] for (a, b), d in zip(all_pairs, distances, strict=True)],
        "dropped": [int(i) for i in redundant],
    }


def hashed(images: np.ndarray, kind: str, steps: int, seed: int) -> np.ndarray:
    """The hashes of uint8 (N, H, W, C), packed bits, by a kind that METHODS names: uint8 (N, bytes).

    "code" and "mirrored code" are an autoencoder's that learns for so many steps, "phash" and "dhash" the 64 bits of
    the package imagehash. Raises ImportError without it.
    """
    if kind.endswith("code"):
        mirrored = kind.startswith("mirrored")
        network = deduplication.fit(images, steps=steps, seed=seed, mirrored=mirrored)
        return deduplication.encode(network, images, mirrored=mirrored)
    import imagehash

    function = {"phash": imagehash.phash, "dhash": imagehash.dhash}[kind]
    return np.stack([np.packbits(function(Image.fromarray(picture)).hash) for picture in images])


def found_by(method: str, images: np.ndarray, hashes: np.ndarray) -> deduplication.Duplicates:
    """The pairs that one of METHODS finds by its hashes."""
    kind, radius, tolerance = METHODS[method]
    mirrored = kind.startswith("mirrored")
    return deduplication.compare(images, hashes, radius=radius, tolerance=tolerance, mirrored=mirrored)


# ---- the measurement -------------------------------------------------------------------------------------------------


def measure(
    train: np.ndarray,
    held_out: np.ndarray,
    generated: np.ndarray,
    spaces: Mapping[str, Space],
    seed: int,
    kept: tuple[np.ndarray, np.ndarray] | None = None,
    altered: Sequence[str] = tuple(ALTERED),
) -> dict:
    """Pictures uint8 (T, H, W, C), (M, …) and (N, …) → {"blur": …, "spaces": {space: …}}.

    In each space: distances to the nearest training picture, of generated, held-out and blurred ones and of altered
    copies. The fair test: is the nearest of M training pictures nearer than the nearest of the M held-out ones? Without
    memorisation it is for one half, by symmetry. Then all training pictures against these: without memorisation T of
    T + M nearest ones are training pictures. Both also by `counted_once`. `deduplicated` is the latter with those
    pictures alone that are `kept`, booleans (T,) and (M,). Then what the controls explain, and coverage.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(train), len(held_out), replace=False)
    copies = {name: ALTERED[name](train[drawn]) for name in altered}
    blurred, blur = as_blurred(held_out, generated)
    sets = {GENERATED: generated, HELD_OUT: held_out, BLURRED: blurred, **copies}
    kept, kept_new = kept or (np.ones(len(train), bool), np.ones(len(held_out), bool))
    out = {}
    for space, look in spaces.items():
        references, seen = look(train), {name: look(images) for name, images in sets.items()}
        near = {name: metrics.nearest(v, references) for name, v in seen.items()}
        new = {name: metrics.nearest(seen[name], seen[HELD_OUT]) for name in (GENERATED, *copies)}
        few = {name: metrics.nearest(seen[name], references[drawn]) for name in new}
        fair = {"as many": {"expected": 0.5}, "all": {"expected": len(train) / (len(train) + len(held_out))}}
        for test, old in (("as many", few), ("all", near)):
            for name in new:
                fair[test][name] = [int((old[name][1] < new[name][1]).sum()), len(seen[name])]
            fair[test] |= counted_once(old[GENERATED], new[GENERATED])
        alone = {"expected": float(kept.sum() / (kept.sum() + kept_new.sum()))}
        for name in new:
            asked = kept[drawn] if name in copies else slice(None)  # copies of what is dropped are none any more
            old = still_nearest(seen[name], references, kept, near[name])[asked]
            distance = still_nearest(seen[name], seen[HELD_OUT], kept_new, new[name])[asked]
            alone[name] = [int((old < distance).sum()), len(old)]
        away = {name: distance[:, 0] for name, (_, distance) in near.items()}
        middle = references.mean(0)
        centre = {name: np.linalg.norm(seen[name] - middle, axis=1) for name in (GENERATED, HELD_OUT, BLURRED)}
        limit = float(np.quantile(away[HELD_OUT], 0.01))
        order = np.argsort(away[GENERATED])[:8]
        out[space] = {
            "fair": fair,
            "deduplicated": alone,
            "limit": limit,
            "below": {name: float((d < limit).mean()) for name, d in away.items()},
            "quantiles": {
                name: [float(q) for q in np.quantile(d, (0.01, 0.25, 0.5, 0.75, 0.99))] for name, d in away.items()
            },
            "histogram": histogram({name: away[name] for name in (GENERATED, HELD_OUT)}),
            "closest": [[int(i), int(near[GENERATED][0][i, 0])] for i in order],  # sample, training picture
            "nearer": explained(away, centre, np.random.default_rng(seed)),
            "coverage": coverage(references[drawn], seen),
        }
    return {"blur": blur, "spaces": out}


def counted_once(old: tuple[np.ndarray, np.ndarray], new: tuple[np.ndarray, np.ndarray]) -> dict:
    """The fair test where a real picture counts once, however many generated ones it is nearest to.

    Few real pictures are nearest to many: those are told together, and say little more than one. `old` and `new` are
    the nearest trained on and held out, indices (N, 1) and distances (N, 1). Of the real pictures that are nearest to
    any, `distinct` [of, n] were trained on; `most` is the largest number of pictures that one is nearest to, and
    `independent` how many that do not share theirs would tell as much as the N: N² / sum of the squared numbers.
    """
    trained_on = (old[1] < new[1])[:, 0]
    who = np.where(trained_on, old[0][:, 0], -1 - new[0][:, 0])  # the held-out ones are negative
    distinct, shared = np.unique(who, return_counts=True)
    return {
        "distinct": [int((distinct >= 0).sum()), len(distinct)],
        "most": int(shared.max()),
        "independent": float(len(who) ** 2 / (shared.astype(float) ** 2).sum()),
    }


def still_nearest(queries, references, kept, known) -> np.ndarray:
    """Distances (N,) to the nearest of the kept references, where `known` (indices, distances) has that of all."""
    indices, distances = known
    lost = ~kept[indices[:, 0]]
    out = distances[:, 0].copy()
    if lost.any():
        out[lost] = metrics.nearest(queries[lost], references[kept])[1][:, 0]
    return out


def coverage(real: np.ndarray, seen: Mapping[str, np.ndarray]) -> dict[str, list[int]]:
    """`metrics.coverage` of the real pictures by as many generated and by as many held-out ones, as counts [of, n]."""
    n = min(len(real), len(seen[GENERATED]), len(seen[HELD_OUT]))
    return {name: [round(metrics.coverage(real[:n], seen[name][:n]) * n), n] for name in (GENERATED, HELD_OUT)}


def histogram(distances: dict[str, np.ndarray], bins: int = 40) -> dict:
    edges = np.linspace(0, max(d.max() for d in distances.values()), bins + 1)
    shares = {name: (np.histogram(d, edges)[0] / len(d)).round(4).tolist() for name, d in distances.items()}
    return {"edges": edges.round(4).tolist(), "shares": shares}
