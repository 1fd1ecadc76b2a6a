"""Notebooks as a reader of the book wants them: code that only draws is folded, pictures of samples are large.

Both are decided when the book is built, by what a cell calls and what it drew, so that the notebooks themselves stay as
they are: in Jupyter nothing is folded. A cell with the tag `show-input` is never folded.
"""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
from PIL import Image

FOLDED = re.compile(r"\bplots\.\w+\(|\bnotebook\.(table|colophon)\(|%pip install")
SAMPLES = re.compile(
    r"\bplots\.(film_strip|image_grid|real_against_fake|labelled|arithmetic)\(|\bsheets\.animation\(|\bwidgets\.\w+\("
)
KERNELS = re.compile(r"\binspection\.filters\(")  # a sheet of three by three numbers each is no sheet of samples
PICTURE, LARGE = 96, 140  # pixels on the screen: no picture is smaller, and few in a row may be larger
COLUMN = 774  # pixels of the text's column


def laid_out(notebook: dict) -> dict:
    """The notebook with tags and classes: `hide-input` where a cell draws or tabulates, `samples` on pictures.

    Every figure gets the width that it is shown with at least, on a phone too. Sheets that are wider than the text get
    the theme's class `full-width`, which folds the list of contents beside them.
    """
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        source, about = "".join(cell["source"]), cell["metadata"]
        if FOLDED.search(source) and "show-input" not in about.get("tags", []):
            about["tags"] = [*about.get("tags", []), "hide-input"]
        drawn = [picture for picture in map(_drawn, cell["outputs"]) if picture is not None]
        if drawn and "figure" in about.get("mystnb", {}):
            width = drawn[-1].shape[1]
            if SAMPLES.search(source) and not KERNELS.search(source):
                width = wide(drawn[-1])
                about["mystnb"]["figure"] |= {"classes": "samples full-width" if width > COLUMN else "samples"}
            about["mystnb"]["image"] = about["mystnb"].get("image", {}) | {"width": f"{width}px"}
    return notebook


def _drawn(output: dict) -> np.ndarray | None:
    """An output's picture in grey (H, W), of a film the first one; None where there is none."""
    for kind in ("image/png", "image/jpeg", "image/gif"):
        if kind in output.get("data", {}):
            file = io.BytesIO(base64.b64decode("".join(output["data"][kind])))
            grey = np.asarray(Image.open(file).convert("L"))
            return np.where(grey > 220, 255, grey) if kind == "image/jpeg" else grey  # JPEG's white is not even
    return None


def wide(sheet: np.ndarray) -> int:
    """How many pixels wide a sheet (H, W) must be shown for pictures of at least PICTURE pixels.

    Pictures of a sheet have white between them; without, a sheet is one row of squares. Never narrower than it is.
    """
    height, width = sheet.shape
    ink = np.flatnonzero(np.diff(np.r_[0, (sheet < 245).any(0), 0]))
    runs = ink[1::2] - ink[::2]  # columns of pixels between white ones
    runs = runs[runs > 20]
    side = float(np.median(runs)) if len(runs) > 1 else min(height, width)
    return round(max(width, width * PICTURE / side, min(COLUMN, width * LARGE / side)) + 0.5)


def read(app, docname: str, source: list[str]) -> None:
    if str(app.env.doc2path(docname)).endswith(".ipynb"):
        source[0] = json.dumps(laid_out(json.loads(source[0])), ensure_ascii=False)


def setup(app) -> dict:
    app.connect("source-read", read)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
