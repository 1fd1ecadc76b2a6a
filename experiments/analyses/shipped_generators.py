"""Distances of the generators that ship: how far samples are from real pictures, beside what no stable training draws.

    python -m experiments shipped_generators

The controls are those of `verdicts.c1`, but no verdict follows: C1 asks how often trainings are stable, and these
generators were chosen to ship. Nothing is trained again: the generators ship, SVHN's lies in its run's folder. A
generator that is not there, or whose pictures cannot be had, is left out. Minutes on two CPU cores. Writes
results/shipped_generators.json.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dcgan_lib import checkpoints, data, device, models, results, training

from .. import measures, scale
from ..studies import STUDIES
from ..study import first_config, pictures

NAMES = ("faces", "scenes", "mnist", "svhn")  # a study each; its name is that of the weights
SAMPLES = 5_000
SEED = 0


def generator(name: str, run: Path) -> models.Generator:
    """What ships under this name, else what the run's folder holds. Raises NotAvailable where neither has one."""
    for place in (scale.weights(f"{name}.safetensors"), Path(run) / checkpoints.FILE):
        found = checkpoints.load(place)[0] if place.exists() else None
        if found is not None:
            return found
    raise data.NotAvailable(f"no generator of {name} ships, and {run} holds none: python -m experiments {name}")


def row(name: str) -> tuple[dict, data.ImageSet]:
    """A generator's distance and those of its controls, and the pictures it was trained on. Raises NotAvailable."""
    study = STUDIES[name]
    config = first_config(study)
    network, real = generator(name, config.out), pictures(study, config)
    run = training.Run(network, None, [], Path(config.out))
    found = measures.frechet.set(samples=SAMPLES)(run, real, np.random.default_rng(SEED))
    about = {"data": real.name, "pictures": len(real), "fingerprint": real.fingerprint}
    about |= {"weights": checkpoints.digest(network), "finite": checkpoints.parameters_finite(network)}
    return about | {"distance": found.pop("frechet"), "distance_real": found.pop("frechet_real")} | found, real


def main() -> dict[str, str]:
    rows, sets, left_out = {}, [], {}
    for name in NAMES:
        try:
            rows[name], real = row(name)
            sets.append(real)
        except data.NotAvailable as error:
            left_out[name] = measures.first_line(error)
    if not rows:
        raise data.NotAvailable(f"shipped_generators: {next(iter(left_out.values()))}")
    results.record(
        "shipped_generators",
        {"rows": rows, "left_out": left_out},
        command="python -m experiments shipped_generators",
        settings={"samples": SAMPLES, "eye": measures.frechet.settings["eye"]},
        seed=SEED,
        images=sets[0],  # each row names its own
        device=device.device_name(device.pick_device()),
    )
    return left_out


if __name__ == "__main__":
    main()
    print(results.folder() / "shipped_generators.json")
