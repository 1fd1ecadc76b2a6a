"""Sphinx directives that read the numbers when the book is built: nothing measured is typed into a page.

`{claims-table}` joins book/claims.yml (what the paper and others say) with results/*.json (what we measured),
`{data-cards}` shows dcgan_lib.data.CARDS, `{speed-table}` results/bench_*.json, `{library} models data` the public
names of two modules, and the role {result}`file path format` puts one number into prose.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
from functools import reduce
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective, SphinxRole

ROOT = Path(__file__).parents[2]
NETWORKS = ("tutorial64", "imagenet32", "paper64", "keras128")  # of benchmarks/speed.py


def results() -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "results").glob("*.json"))}


def number(text: str) -> str:
    """'training_faces measured.epochs .0f' → '30'. Raises KeyError when the file or the path is not there."""
    name, path, *form = text.split()
    value = reduce(
        lambda part, key: part[int(key) if isinstance(part, list) else key], path.split("."), results()[name]
    )
    return format(value, form[0]) if form else str(value)


class _Generated(SphinxDirective):
    """MyST text made when the page is built."""

    depends: tuple[str, ...] = ()

    def run(self) -> list[nodes.Node]:
        for pattern in self.depends:
            for path in ROOT.glob(pattern):
                self.env.note_dependency(str(path))
        self.env.note_reread()  # a results file may be new
        holder = nodes.container()
        self.state.nested_parse(StringList(self.text().splitlines(), source=self.name), self.content_offset, holder)
        return holder.children

    def text(self) -> str:
        raise NotImplementedError


def _row(cells: list[str]) -> list[str]:
    lines = []
    for i, cell in enumerate(cells):
        first, *rest = cell.splitlines()
        lines.append(("* - " if i == 0 else "  - ") + first)
        lines += [f"    {line}" if line else "" for line in rest]
    return lines


def _verdict(found: list[tuple[str, str]]) -> str:
    """One verdict where all agree; else each with the name of its data."""
    if len({verdict for verdict, _ in found}) < 2:
        return found[0][0] if found else "open"
    return "\n\n".join(dict.fromkeys(f"*{name}*: {verdict}" for verdict, name in found))


class ClaimsTable(_Generated):
    depends = ("book/claims.yml", "results/*.json")

    def text(self) -> str:
        lines = ["```{list-table}", ":header-rows: 1", ":class: claims full-width", ":widths: 18 22 37 23", ""]
        lines += _row(["Claim", "The paper · the reproductions", "Ours", "Verdict"])
        measured = results()
        for claim in yaml.safe_load((ROOT / "book" / "claims.yml").read_text()):
            ours, verdicts = [], []
            for result in measured.values():
                entry = result["claims"].get(claim["id"])
                if entry:
                    ours += [entry["ours"], f"`{result['command']}`"]
                    verdicts.append((entry["verdict"], result["data"]["name"]))
            if ours and claim.get("notebook"):
                ours.append(f"{{doc}}`/notebooks/{claim['notebook']}`")
            lines += _row(
                [
                    f"**{claim['id']}** {claim['claim']}",
                    "\n\n".join(filter(None, [claim["paper"], claim.get("others")])),
                    "\n\n".join(ours) or "nothing measured yet",
                    _verdict(verdicts),
                ]
            )
        return "\n".join([*lines, "```"]).replace(" %", "\N{NO-BREAK SPACE}%")


class DataCards(_Generated):
    depends = ("dcgan_lib/data/cards.py",)

    def text(self) -> str:
        from dcgan_lib.data import CARDS

        lines = []
        for name, card in CARDS.items():
            ways = ["inside scikit-learn"] if name == "digits" else []
            if card.torchvision:
                ways.append("torchvision" + ("" if card.downloads else " (from files of your own)"))
            if card.hub:
                page = f"https://huggingface.co/datasets/{card.hub.repository}"
                also = f", configuration `{card.hub.config}`" if card.hub.config else ""
                also += f" ({card.hub.gated})" if card.hub.gated else ""
                ways.append(f"Hugging Face [{card.hub.repository}]({page}){also}")
            ways = ways or [f"hand: a folder, a .zip or {name}.npz in DCGAN_DATA"]
            source = f"<{card.source}>" if card.source.startswith("http") and " " not in card.source else card.source
            lines += [
                f"::::{{card}} {card.title}",
                f":class-card: data-{name}",
                "",
                f'`data.load("{name}")` · splits: {", ".join(card.splits)} · given at '
                f"{card.image_size}×{card.image_size}, {'grey' if card.channels == 1 else 'RGB'}",
                "",
                f"**Size** {card.size}",
                "",
                f"**Licence** {card.licence}",
                "",
                f"**Source** {source}; loaded by {', '.join(ways)}",
                "",
                f"**Used for** {card.used_for}",
                "::::",
                "",
            ]
        return "\n".join(lines)


class Library(_Generated):
    """The public names of some modules, from their docstrings (autodoc)."""

    depends = ("dcgan_lib/**/*.py",)
    required_arguments = 1
    final_argument_whitespace = True

    def text(self) -> str:
        lines = []
        for name in (f"dcgan_lib.{room}" for room in self.arguments[0].split()):
            room = importlib.import_module(name)
            passed_on = [n for n in vars(room) if not getattr(vars(room)[n], "__module__", name).startswith(name)]
            lines += [f"### `{name}`", "", "```{eval-rst}", f".. automodule:: {name}"]
            lines += ["   :members:", f"   :exclude-members: {', '.join(passed_on)}", "```", ""]
        return "\n".join(lines)


def plain(app, what, name, obj, options, lines: list[str]) -> None:
    """Docstrings are prose with `code` in it, no markup: what reStructuredText would read otherwise is escaped."""
    for i, line in enumerate(lines):
        parts = line.split("`")
        if len(parts) % 2:  # quotes are closed
            code = [f"``{part}``" if part.strip() == part and part else part for part in parts[1::2]]
            lines[i] = "".join(a + b for a, b in zip(map(escaped, parts[::2]), [*code, ""], strict=True))
        else:
            lines[i] = escaped(line)
    if what == "class" and dataclasses.is_dataclass(obj):
        told = [(field.name, field.metadata["help"]) for field in dataclasses.fields(obj) if field.metadata.get("help")]
        lines += ["", *(f"- ``{name}``: {escaped(text)}" for name, text in told), ""]


def foreign(app, what, name, obj, skip, options) -> bool | None:
    """Leave out what a class has of scikit-learn's machinery."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def own_signature(app, what, name, obj, options, signature, returns):
    """Of a widget: what its `__init__` takes, not what any ipywidget takes."""
    if what == "class" and signature and signature.startswith("(*args"):
        shown = inspect.signature(obj.__init__)
        return str(shown.replace(parameters=list(shown.parameters.values())[1:])).replace("'", ""), returns
    return None


def escaped(text: str) -> str:
    return re.sub(r"([*|\\`]|_\b)", r"\\\1", text)


class SpeedTable(_Generated):
    """Training, network by network, on each device that was measured."""

    depends = ("results/bench_*.json",)
    files = ("bench_cpu", "bench_cpu_avx2", "bench_cuda")

    def text(self) -> str:
        measured = results()
        lines = ["```{list-table}", ":header-rows: 1", ":class: full-width", ""]
        lines += _row(["Device", "Network", "Tutorials' loop", "Ours", "Ratio", "Of the matrix product's rate"])
        for file in filter(measured.__contains__, SpeedTable.files):
            record = measured[file]
            for name in record["measured"]["training"]:
                row = record["measured"]["training"][name]
                lines += _row(
                    [
                        record["device"] + (", AVX2 only" if file.endswith("avx2") else ""),
                        name,
                        *(
                            "{median:.0f} ({smallest:.0f} to {largest:.0f})".format(**row[key])
                            for key in ("plain", "ours")
                        ),
                        "**{median:.2f}x** ({smallest:.2f} to {largest:.2f})".format(**row["ratio"]),
                        f"{row['ours']['median'] / row['fastest_possible']:.0%}",
                    ]
                )
        return "\n".join([*lines, "```"])


class Result(SphinxRole):
    def run(self):
        try:
            text = number(self.text)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            message = self.inliner.reporter.error(f"no result {self.text!r}: {error!r}", line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        return [nodes.Text(text)], []


def setup(app) -> dict:
    app.add_directive("claims-table", ClaimsTable)
    app.add_directive("data-cards", DataCards)
    app.add_directive("speed-table", SpeedTable)
    app.add_directive("library", Library)
    app.connect("autodoc-process-docstring", plain)
    app.connect("autodoc-process-signature", own_signature)
    app.connect("autodoc-skip-member", foreign)
    app.add_role("result", Result())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
