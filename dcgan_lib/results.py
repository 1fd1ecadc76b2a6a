"""Numbers with their origin: results/*.json.

The book prints what these files say. `record` writes one at the end of a reference run (see experiments/).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from . import checkpoints, sheets
from .checks import choose
from .data import ImageSet
from .device import versions


def folder() -> Path:
    """DCGAN_RESULTS, else results/ of the repository, else the copy inside an installed package (Colab).

    Experiments at scale 'fast' set DCGAN_RESULTS, so that what they write never lies over the recorded results.
    """
    if found := os.environ.get("DCGAN_RESULTS"):  # an empty one counts as none
        return Path(found)
    repository = Path(__file__).parents[1] / "results"
    return repository if repository.is_dir() else Path(__file__).parent / "_results"


def record(
    name: str,
    measured: dict,
    *,
    command: str,
    settings: dict,
    seed: int,
    images: ImageSet,
    device: str,
    claims: dict[str, dict] | None = None,
    machines: list[dict] | None = None,
) -> Path:
    """Write results/<name>.json: what was measured, by which command, with which settings, seed, versions and data.

    `claims` maps a claim's number ("C1") to {"ours": text, "verdict": text} for the claims table.
    `machines` lists every device and precision that took part, where there may be several.
    """
    text = json.dumps(
        {
            "name": name,
            "command": command,
            "settings": settings,
            "seed": seed,
            "data": {
                "name": images.name,
                "split": images.split,
                "images": len(images),
                "image_size": images.image_size,
                "fingerprint": images.fingerprint,
            },
            "versions": versions(),
            "device": device,
            **({"machines": machines} if machines else {}),
            "measured": measured,
            "claims": claims or {},
        },
        indent=1,
    )
    return checkpoints.write_bytes(folder() / f"{name}.json", (text + "\n").encode())


def load(name: str) -> dict:
    """What `record` wrote. Raises ValueError, naming the near ones, when there is no such file."""
    return json.loads(_file(name).read_text())


def values(rows: Sequence[Mapping], variant: str, name: str) -> list[float]:
    """A number of each training of a study's variant, "walks.length" for one in a group; who lacks it is left out."""
    found = []
    for row in rows:
        here = row if row["variant"] == variant else {}
        for part in name.split("."):
            here = here.get(part, {}) if isinstance(here, Mapping) else {}
        if isinstance(here, (int, float)):
            found.append(here)
    return found


def ranges(rows: Sequence[Mapping], variants: Sequence[str], name: str) -> dict[str, tuple[float, float, float]]:
    """Variant → (median, lowest, highest) of a number over its trainings, as `plots.dots` draws them.

    Variants whose trainings all lack it are left out.
    """
    found = {variant: values(rows, variant, name) for variant in variants}
    return {variant: (median(own), min(own), max(own)) for variant, own in found.items() if own}


def samples(name: str, size: int = 64) -> dict[str, np.ndarray]:
    """Variant → the last pictures (N, size, size, 3) of a study's first seed: its results/<name>_samples.png."""
    variants = load(name)["measured"]["sheet"]
    pictures = sheets.untile(_file(name).with_name(f"{name}_samples.png"), size)  # (variants * N, size, size, 3)
    return dict(zip(variants, np.split(pictures, len(variants)), strict=True))


def there(name: str) -> bool:
    """Whether there is such a file: a page may say that an experiment has not been run."""
    return name in _known()


def digest(name: str) -> str:
    """SHA-256 of what results/<name>.json measured and how, shortened: what a colophon says of the numbers it shows.

    The claims' words and the command's name are not in it: a rule that is put otherwise makes no figure stale.
    """
    said = {
        key: value for key, value in json.loads(_file(name).read_text()).items() if key not in ("claims", "command")
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _file(name: str) -> Path:
    known = _known()
    return known[choose(name, known, "results file")]


def _known() -> dict[str, Path]:
    """In `folder()`; else among the recorded results, for a step that needs an earlier one's."""
    here = Path(__file__).parent
    places = (here / "_results", here.parent / "results", folder())
    return {path.stem: path for place in places for path in place.glob("*.json")}
