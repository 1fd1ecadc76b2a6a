"""Notebooks as a reader of the book wants them: code that only draws is folded, pictures of samples are large.

Both are decided when the book is built, by what a cell calls, so that the notebooks themselves stay as they are: in
Jupyter nothing is folded. A cell with the tag `show-input` is never folded.
"""

from __future__ import annotations

import json
import re

FOLDED = re.compile(r"\bplots\.\w+\(|\bnotebook\.(table|colophon)\(|%pip install")
SAMPLES = re.compile(
    r"\bplots\.(film_strip|image_grid|real_against_fake|labelled|arithmetic)\(|\bsheets\.animation\(|\bwidgets\.\w+\("
)


def laid_out(notebook: dict) -> dict:
    """The notebook with tags and classes: `hide-input` where a cell draws or tabulates, `samples` on pictures."""
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        source, about = "".join(cell["source"]), cell["metadata"]
        if FOLDED.search(source) and "show-input" not in about.get("tags", []):
            about["tags"] = [*about.get("tags", []), "hide-input"]
        if SAMPLES.search(source) and "figure" in about.get("mystnb", {}):
            about["mystnb"]["figure"] |= {"classes": "samples"}
    return notebook


def read(app, docname: str, source: list[str]) -> None:
    if str(app.env.doc2path(docname)).endswith(".ipynb"):
        source[0] = json.dumps(laid_out(json.loads(source[0])), ensure_ascii=False)


def setup(app) -> dict:
    app.connect("source-read", read)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
