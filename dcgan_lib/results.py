"""Numbers with their origin: results/*.json.

The book prints what these files say. `record` writes one at the end of a reference run (see experiments/).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from . import checkpoints, sheets
from .checks import choose
from .data import ImageSet
from .device import versions

SHEETS = (".png", ".jpg")


def folder() -> Path:
    """DCGAN_RESULTS, else results/ of the repository, else the copy inside an installed package (Colab).

    Experiments at scale 'fast' set DCGAN_RESULTS, so that what they write never lies over the recorded results.
    """
    if found := os.environ.get("DCGAN_RESULTS"):  # an empty one counts as none
        return Path(found).expanduser()
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
    about = {
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
    }
    return write(about)


def write(about: dict) -> Path:
    """Write what `record` makes or `load` returns to results/<name>.json."""
    text = _lines(json.loads(json.dumps(about)))
    return checkpoints.write_bytes(folder() / f"{about['name']}.json", (text + "\n").encode())


def _lines(value, depth: int = 0) -> str:
    """JSON with a line for each list or object that holds no other: shorter than json's own, and readable in a diff."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(v, (dict, list)) for v in inner):
        return json.dumps(value)
    start, end = "\n" + " " * (depth + 1), "\n" + " " * depth
    parts = [_lines(v, depth + 1) for v in inner]
    if isinstance(value, list):
        return f"[{start}{f',{start}'.join(parts)}{end}]"
    named = [f"{json.dumps(k)}: {part}" for k, part in zip(value, parts, strict=True)]
    return f"{{{start}{f',{start}'.join(named)}{end}}}"


def load(name: str) -> dict:
    """What `record` wrote. Raises ValueError, naming the near ones, when there is no such file."""
    known = _known()
    return json.loads(known[choose(name, known, "results file")].read_text())


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


def stable(row: Mapping) -> bool:
    """Whether a study's training is stable by the rule of claim C1: its networks are finite, and its samples nearer to
    the real pictures than every control (noise, ten pictures copied, blurred and shuffled ones)."""
    return row["finite"] and row["frechet"] < min(row["controls"].values())


def at_stages(row: Mapping) -> list[float]:
    """The Fréchet distances of a training at its stages, the first one first; empty without any."""
    return [stage["frechet"] for stage in row.get("stages") or ()]


def climb(curve: Sequence[float]) -> float:
    """How much a curve of distances rises between neighbouring stages, in all: a factor, 1 where it only falls.

    Every rise counts as a ratio, so that a curve at 5 and one at 0.5 are held to one measure; falls do not make up for
    rises.
    """
    return math.prod(max(1.0, later / before) for before, later in pairwise(curve))


def pictures(name: str, rows: int) -> np.ndarray:
    """A sheet of square pictures, results/<name>.jpg or .png, by its rows: uint8 (rows, N, side, side, 3).

    Raises ValueError, naming the near ones, when there is no such sheet, and for a sheet of another number of rows.
    """
    known = _known(*SHEETS)
    with Image.open(known[choose(name, known, "sheet of pictures")]) as sheet:
        drawn = np.asarray(sheet.convert("RGB"))
    side, rest = divmod(len(drawn), rows)
    if rest or drawn.shape[1] % side:
        raise ValueError(f"{name} is {drawn.shape[1]} x {len(drawn)} pixels, no {rows} rows of square pictures")
    return sheets.untile(drawn, side).reshape(rows, -1, side, side, 3)


def samples(name: str) -> dict[str, np.ndarray]:
    """Variant → the last pictures (N, side, side, 3) of a study's first seed: the sheet results/<name>_samples."""
    variants = load(name)["measured"]["sheet"]
    return dict(zip(variants, pictures(f"{name}_samples", len(variants)), strict=True))


def there(name: str) -> bool:
    """Whether there is such a file: a page may say that an experiment has not been run."""
    return name in _known()


def digest(name: str) -> str:
    """SHA-256 of what results/<name>.json measured and how, shortened: what a colophon says of the numbers it shows.

    The claims' words and the command's name are not in it: a rule that is put otherwise makes no figure stale.
    """
    said = {key: value for key, value in load(name).items() if key not in ("claims", "command")}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _known(*kinds: str) -> dict[str, Path]:
    """In `folder()`; else among the recorded results, for a step that needs an earlier one's."""
    here = Path(__file__).parent
    places = (here / "_results", here.parent / "results", folder())
    return {path.stem: path for place in places for kind in kinds or (".json",) for path in place.glob(f"*{kind}")}
