"""Formulas as MathML, made when the book is built by docutils' own converter.

Every browser of today draws MathML by itself: no MathJax, no script, no network, and a screen reader can read it. A
formula that the converter does not know is a warning, which fails the build.
"""

from __future__ import annotations

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)


def mathml(tex: str, block: bool = False) -> str:
    """MathML of a formula; `16{,}384` is one number. Raises MathError for what docutils' converter does not know."""
    tex = re.sub(r"\d+(?:\{,\}\d{3})+", lambda number: rf"\text{{{number[0].replace('{,}', ',')}}}", tex)
    return tex2mathml(tex, as_block=block)


def _drawn(node: nodes.Element, block: bool = False) -> str:
    try:
        return mathml(node.astext(), block)
    except MathError as error:
        logger.warning("no MathML for the formula %r: %s", node.astext(), error, location=node)
        return f"<code>{nodes.Text(node.astext())}</code>"


def visit_inline(self, node: nodes.math) -> None:
    self.body.append(self.starttag(node, "span", "", CLASS="math notranslate nohighlight") + _drawn(node) + "</span>")
    raise nodes.SkipNode


def visit_block(self, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", "", CLASS="math notranslate nohighlight"))
    if node.get("number"):
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(_drawn(node, block=True) + "</div>\n")
    raise nodes.SkipNode


def setup(app) -> dict:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
