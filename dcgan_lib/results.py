"""Numbers with their origin: results/*.json, the scale a notebook runs at, and the colophon that it ends in.

The book prints what these files say. `record` writes one at the end of a reference run (see experiments/).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from IPython.display import Markdown, display

from . import checkpoints, training
from .data import ImageSet
from .models import choose

SCALES = ("fast", "demo", "paper")


def folder() -> Path:
    """results/ of the repository, or the copy inside an installed package (Colab)."""
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
) -> Path:
    """Write results/<name>.json: what was measured, by which command, with which settings, seed, versions and data.

    `claims` maps a claim's number ("C1") to {"ours": text, "verdict": text} for the claims table.
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
            "versions": training.versions(),
            "device": device,
            "measured": measured,
            "claims": claims or {},
        },
        indent=1,
    )
    return checkpoints.write_bytes(folder() / f"{name}.json", (text + "\n").encode())


def load(name: str) -> dict:
    """What `record` wrote. Raises ValueError, naming the near ones, when there is no such file."""
    known = [path.stem for path in folder().glob("*.json")]
    return json.loads((folder() / f"{choose(name, known, 'results file')}.json").read_text())


def digest(name: str) -> str:
    """SHA-256 of results/<name>.json, shortened: what a colophon says of the numbers it shows."""
    return hashlib.sha256((folder() / f"{name}.json").read_bytes()).hexdigest()[:16]


def scale() -> str:
    """'fast' (seconds, what tests run), 'demo' (minutes; the default) or 'paper', from DCGAN_SCALE."""
    return choose(os.environ.get("DCGAN_SCALE", "demo"), SCALES, "DCGAN_SCALE")


def pick(*, fast, demo, paper):
    """The setting of the current scale: a notebook's only difference between scales."""
    return {"fast": fast, "demo": demo, "paper": paper}[scale()]


def table(header: list[str], rows) -> Markdown:
    """A table that a notebook and the book draw alike: whole numbers get thousands, fractions three digits."""

    def cell(value) -> str:
        if isinstance(value, bool) or value is None:
            return str(value)
        if isinstance(value, int):
            return f"{value:,}"
        if isinstance(value, float):
            return f"{value:.3g}"
        if isinstance(value, (list, tuple)):
            return " × ".join(map(str, value)) if isinstance(value, tuple) else ", ".join(map(str, value))
        return str(value).replace("|", "\\|")

    rows = [list(row) for row in rows]
    right = [all(isinstance(row[i], (int, float, tuple)) for row in rows) for i in range(len(header))]
    lines = [header, ["---:" if r else "---" for r in right], *([cell(v) for v in row] for row in rows)]
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))


def colophon(*names: str) -> None:
    """Display what a notebook's outputs were made with; a test reads it back from the stored notebook."""
    about = {
        "scale": scale(),
        "device": training.device_name(training.pick_device()),
        "versions": training.versions(),
        "results": {name: digest(name) for name in names},
    }
    lines = [
        f"**Scale** {about['scale']} · **device** {about['device']}",
        " · ".join(f"{k} {v}" for k, v in about["versions"].items()),
        *(f"results/{name}.json, SHA-256 {short}…" for name, short in about["results"].items()),
    ]
    display(Markdown("  \n".join(lines)), metadata={"dcgan": about})
