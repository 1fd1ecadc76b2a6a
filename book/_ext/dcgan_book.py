"""Sphinx directives that read the numbers when the book is built: nothing measured is typed into a page.

`{claims-strip}` and `{findings-strip}` are tables of a row a claim, `{answer} C2` the box on top of a notebook,
`{claims-cards}` joins book/claims.yml (what the paper and others say) with results/*.json (what we measured),
`{data-cards}` shows dcgan_lib.data.CARDS, `{speed-table}` results/bench_*.json, `{library} models data` the public
names of two modules, and the role {result}`file path format` puts one number into prose. Formulas and search are
extensions of their own beside this one.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
from functools import reduce
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective, SphinxRole

sys.path.insert(0, str(Path(__file__).parent))  # its neighbours, whoever loads this file
import book_answers
import book_compute
from book_answers import OPEN, OUTCOMES, Row, results

from experiments.studies import STUDIES
from experiments.study import chosen, config_of


def number(text: str) -> str:
    """'training_faces measured.epochs .0f' → '30'. Raises KeyError when the file or the path is not there."""
    name, path, *form = text.split()
    value = reduce(
        lambda part, key: part[int(key) if isinstance(part, list) else key], path.split("."), results()[name]
    )
    return format(value, form[0]) if form else str(value)


class _Generated(SphinxDirective):
    """MyST text made when the page is built."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()  # results, claims or modules may be others
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


def _set(text: str) -> str:
    """Numbers stay with their percent sign."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _badges(row: Row) -> str:
    """One badge where all parts agree; else one a part, with what it is about."""
    outcomes = dict.fromkeys(part.outcome for part in row.parts)
    if len(outcomes) == 1:
        return f"{{verdict}}`{row.parts[0].outcome}`"
    return "\n\n".join(f"{{verdict}}`{part.outcome}` {part.about}" for part in row.parts)


def _detail(row: Row) -> str:
    """The claim's number, leading to its details."""
    return f"{{ref}}`{row.id} <claim-{row.id.lower()}>`"


def _linked(row: Row) -> str:
    """The claim in its few words, leading to its notebook where there is one."""
    return f"{{doc}}`{row.claim} </notebooks/{row.page}>`" if row.page else row.claim


def _strip(header: list[str], rows: list[list[str]], style: str, widths: str) -> str:
    lines = ["```{list-table}", ":header-rows: 1", f":class: strip {style} full-width", f":widths: {widths}", ""]
    lines += _row(header)
    for cells in rows:
        lines += _row(cells)
    return _set("\n".join([*lines, "```"]))


class ClaimsStrip(_Generated):
    """C1 to C10 on one screen."""

    def text(self) -> str:
        rows = [[_detail(row), _linked(row), row.theirs, row.ours, _badges(row)] for row in book_answers.claims()]
        return _strip(
            ["\N{NUMERO SIGN}", "Claim", "The paper", "Ours", "Verdict"], rows, "strip-claims", "6 24 23 29 18"
        )


class FindingsStrip(_Generated):
    """What the five reproductions found, and whether we find it too."""

    def text(self) -> str:
        rows = []
        for row in book_answers.findings("reproductions"):
            source = f"{{cite:p}}`{row.by}`" + (f" [code]({row.code})" if row.code else "")
            said = row.ours if row.parts[0].outcome == OPEN else f"{row.ours}\n\n{row.parts[0].says}"
            rows.append([_linked(row), f"{row.theirs} {source}", said, _badges(row)])
        return _strip(["Finding", "They report", "Ours", "Verdict"], rows, "strip-findings", "22 28 32 18")


class Answer(_Generated):
    """The box on top of a notebook: `{answer} C3 C4`. Its content is what a reader of the notebook sees instead."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def text(self) -> str:
        lines = [":::::{container} answer"]
        for row in map(book_answers.answer, self.arguments[0].split()):
            number = f"{_detail(row)} " if row.id.startswith("C") else ""
            badges = " ".join(_badges(row).split("\n\n"))
            lines += ["::::{container} answer-row", f"{number}**{row.question}** {badges}", ""]
            theirs = f"**They report** {row.theirs} {{cite:p}}`{row.by}`" if row.by else f"**The paper** {row.theirs}"
            lines += [theirs, "", f"**Ours** {row.ours}", ""]
            lines += [" ".join(dict.fromkeys(part.says for part in row.parts)), "::::"]
        return _set("\n".join([*lines, ":::::"]))


class ClaimsCards(_Generated):
    """Every claim with all that is known of it: the paper, the reproductions, what we measured by which command."""

    def text(self) -> str:
        measured, lines = results(), []
        for claim in book_answers.read("claims.yml"):
            row = book_answers.claim_row(claim, measured)
            lines += [f"(claim-{row.id.lower()})=", f"::::{{card}} {row.id} · {claim['claim'].rstrip('.')}"]
            lines += [":class-card: claim", "", f"**The paper.** {claim['paper']}", ""]
            if claim.get("others"):
                lines += [f"**The reproductions.** {claim['others']}", ""]
            for part in row.parts:
                if not part.file:
                    lines += [f"{{verdict}}`{part.outcome}` nothing measured yet", ""]
                    continue
                entry = measured[part.file]["claims"][row.id]
                outcome, words = book_answers.split(entry["verdict"])
                about = f"On *{part.about}*." if len(row.parts) > 1 else ""
                lines += [f"{{verdict}}`{outcome}`" + (f": {words}" if words else ""), ""]
                lines += [*_clauses(f"{about} {entry['ours']}"), "", f"`{measured[part.file]['command']}`", ""]
            lines += [f"{{doc}}`/notebooks/{row.page}`" if row.page else "", "::::", ""]
        return _set("\n".join(lines))


def _clauses(text: str) -> list[str]:
    """A sentence of three parts or more, which semicolons divide, as a list; those in brackets divide nothing."""
    lines = []
    for sentence in re.split(r"(?<=\.) (?=[A-Z\d])", text):
        parts = re.split(r"; (?![^(]*\))", sentence)
        lines += ["", *(f"- {part}" for part in parts)] if len(parts) > 2 else ["", sentence]
    return lines


class LiveOverlap(SphinxDirective):
    """The checkerboard with two sliders (_static/overlap.js). Its content is for readers of the notebook."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        script = '<div class="dcgan-overlap"></div>\n<script src="../_static/overlap.js"></script>'
        return [nodes.raw("", script, format="html")]


class VerdictCounts(_Generated):
    """How many of the ten claims have which verdict, and which."""

    def text(self) -> str:
        rows = book_answers.claims()
        lines = []
        for outcome in OUTCOMES:
            found = []
            for row in rows:
                about = [part.about for part in row.parts if part.outcome == outcome]
                parted = len({part.outcome for part in row.parts}) > 1
                if about:
                    found.append(_detail(row) + (f" ({', '.join(about)})" if parted else ""))
            if found:
                lines.append(f"- {{verdict}}`{outcome}` {', '.join(found)}")
        lines += ["", "Beside the paper's number, ours:", ""]
        lines += [f"- {row.id}, {row.claim}: {row.theirs}. *Ours:* {row.ours.rstrip('.')}." for row in rows]
        return _set("\n".join(lines))


class ComputeTable(_Generated):
    """Each training of ours beside the paper's."""

    def text(self) -> str:
        measured, rows, fewer = results(), [], []
        claims = {row.id: row for row in book_answers.claims(measured)}
        for entry in book_answers.read("compute.yml"):
            row = claims[entry["claim"]]
            theirs, ours = book_compute.of_paper(entry), book_compute.of_ours(measured[entry["ours"]])
            names = (f"**{entry['experiment']}**\n\nthe paper", f"ours, {ours['time']} on {ours['device']}")
            if file := entry.get("file"):  # of a claim with several files this one's part
                row = dataclasses.replace(row, parts=[p for p in row.parts if p.file == file])
                if file == entry["ours"]:  # the training's own file: in its own words
                    row = dataclasses.replace(row, ours=measured[file]["claims"][row.id]["ours"])
            results_said = (row.theirs, f"{row.ours}\n\n{_badges(row)}")
            fewer += [theirs["multiplications"] / ours["multiplications"]] if theirs["multiplications"] else []
            for name, side, said in zip(names, (theirs, ours), results_said, strict=True):
                count = side["multiplications"]
                rows.append(
                    [
                        name,
                        side["data"],
                        f"{side['seen']}, batch {side['batch']}",
                        f"{side['network']}; {side['parameters'] / 1e6:.1f} million parameters",
                        book_compute.in_words(count) if count else "not said",
                        f"{_detail(row)}: {said}",
                    ]
                )
        header = ["Training", "Data", "Steps", "Networks", "Multiplications", "Result"]
        one_pass = "one pass through the paper's pictures"
        lead = f"Ours took {min(fewer):.0f} to {max(fewer):.0f} times fewer multiplications than {one_pass}."
        if 0.9 < min(fewer) < 1.5:
            lead = f"Ours took from about as many multiplications as {one_pass} to {max(fewer):.0f} times fewer."
        return f"{lead}\n\n{_strip(header, rows, 'strip-compute', '16 17 14 16 16 21')}"


def trained(record: dict) -> list[dict]:
    """Seed and set of each training of a results file that has several; [] for another."""
    measured = record["measured"]
    if "trainings" in measured:  # one each, by the names of its study's variants
        study = STUDIES[record["command"].split()[-1]]
        return [{"seed": seed, "data": str(config_of(study, v, seed).data)} for v, seed in chosen(study)]
    return measured["rows"] if "variants" in measured else []


def sets(record: dict) -> list[str]:
    """The sets that a study of several trainings was trained on; [] for another results file."""
    return list(dict.fromkeys(row["data"] for row in trained(record)))


class RunsTable(_Generated):
    """One line a results file: what ran, on what, with which seed, on which machine."""

    def text(self) -> str:
        rows = []
        for record in results().values():
            measured, settings = record["measured"], record["settings"]
            each = trained(record) or measured.get("seeds") or [record]
            each = [*each, *measured.get("others", ())]
            seeds = sorted({one["seed"] if isinstance(one, dict) else one for one in each})
            steps = f"{measured['steps']:,} steps of {settings['batch_size']}" if "steps" in measured else ""
            name, split = record["data"]["name"], record["data"]["split"]
            data = f"{name}{' (test)' * (split == 'test')}, {record['data']['images']:,}"
            several = sets(record) or list(measured.get("sets", ()))
            data = ", ".join(several) if len(several) > 1 else data
            data = measured["part"].split(":")[0] if "part" in measured else data  # of a set that is not all there
            command = record["command"] if len(record["command"]) < 60 else record["command"].split()[0] + " …"
            rows.append([f"`{command}`", data, ", ".join(map(str, seeds)), steps or "\N{EN DASH}", record["device"]])
        return _strip(["Command", "Data", "Seeds", "Training", "Machine"], rows, "strip-runs", "32 24 12 14 18")


class DataCards(_Generated):
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


def _rate(pictures: dict[str, float]) -> str:
    """Pictures a second: the median, with the smallest and largest where the file has them."""
    form = "{median:,.0f} ({smallest:,.0f} to {largest:,.0f})" if "smallest" in pictures else "{median:,.0f}"
    return form.format(**pictures)


class SpeedTable(_Generated):
    """Training, network by network, on each device that was measured."""

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
                        _rate(row["plain"]),
                        _rate(row["ours"]),
                        "**{median:.2f}x** ({smallest:.2f} to {largest:.2f})".format(**row["ratio"]),
                        f"{row['ours']['median'] / row['fastest_possible']:.0%}",
                    ]
                )
        return "\n".join([*lines, "```"])


class Verdict(SphinxRole):
    """{verdict}`does not hold`: the words, in a colour and with a sign of their own."""

    def run(self):
        if self.text not in OUTCOMES:
            message = self.inliner.reporter.error(f"unknown verdict {self.text!r}", line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        return [nodes.inline("", self.text, classes=["verdict", f"verdict-{OUTCOMES[self.text]}"])], []


class Result(SphinxRole):
    def run(self):
        self.env.note_reread()  # results may be others
        try:
            text = number(self.text)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            message = self.inliner.reporter.error(f"no result {self.text!r}: {error!r}", line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        return [nodes.Text(text)], []


def setup(app) -> dict:
    for neighbour in ("book_formulas", "book_layout", "book_search"):
        app.setup_extension(neighbour)
    app.add_directive("claims-strip", ClaimsStrip)
    app.add_directive("findings-strip", FindingsStrip)
    app.add_directive("claims-cards", ClaimsCards)
    app.add_directive("answer", Answer)
    app.add_directive("live-overlap", LiveOverlap)
    app.add_directive("verdict-counts", VerdictCounts)
    app.add_directive("compute-table", ComputeTable)
    app.add_directive("runs-table", RunsTable)
    app.add_directive("data-cards", DataCards)
    app.add_directive("speed-table", SpeedTable)
    app.add_directive("library", Library)
    app.connect("autodoc-process-docstring", plain)
    app.connect("autodoc-process-signature", own_signature)
    app.connect("autodoc-skip-member", foreign)
    app.add_role("result", Result())
    app.add_role("verdict", Verdict())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
