"""What notebooks share: the scale they run at, tables that the book draws alike, the colophon that they end in."""

from __future__ import annotations

import os

from IPython.display import Markdown, display

from . import results
from .checks import choose
from .device import device_name, pick_device, versions

SCALES = ("fast", "demo", "paper")


def scale() -> str:
    """'fast' (seconds, what tests run), 'demo' (minutes; the default) or 'paper', from DCGAN_SCALE."""
    return choose(os.environ.get("DCGAN_SCALE") or "demo", SCALES, "DCGAN_SCALE")


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
        "device": device_name(pick_device()),
        "versions": versions(),
        "results": {name: results.digest(name) for name in names},
    }
    lines = [
        f"**Scale** {about['scale']} · **device** {about['device']}",
        " · ".join(f"{k} {v}" for k, v in about["versions"].items()),
        *(f"results/{name}.json, SHA-256 {short}…" for name, short in about["results"].items()),
    ]
    display(Markdown("  \n".join(lines)), metadata={"dcgan": about})
