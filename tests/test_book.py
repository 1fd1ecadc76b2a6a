"""The book's own extension: strips, answer boxes, formulas offline, search for numbers; and the built pages."""

import base64
import html
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from dcgan_lib import paper
from dcgan_lib.architecture import ARCHITECTURES
from experiments import verdicts

ROOT = Path(__file__).parents[1]
HTML = ROOT / "_build" / "html"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import book_answers  # noqa: E402
import book_compute  # noqa: E402
import book_formulas  # noqa: E402
import book_layout  # noqa: E402
import book_search  # noqa: E402
import dcgan_book  # noqa: E402

built = pytest.mark.skipif(not HTML.is_dir(), reason="build the book first: make book")


def text_of(page: Path) -> str:
    """What a reader sees, quotes and spaces as they are typed."""
    text = html.unescape(re.sub(r"<[^>]+>", "", page.read_text()))
    return text.replace("’", "'").replace("“", '"').replace("”", '"').replace("\N{NO-BREAK SPACE}%", " %")


def boxes(path: Path) -> list[str]:
    """The names in a notebook's {answer}."""
    sources = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown"]
    return [name for s in sources for names in re.findall(r"\{answer\} (.+)", s) for name in names.split()]


# ---- rows ------------------------------------------------------------------------------------------------------------


def test_the_strip_says_what_the_results_files_say():
    """Every verdict of every results file is in exactly one row, and no row has another."""
    measured = book_answers.results()
    rows = {row.id: row for row in book_answers.claims()}
    assert list(rows) == [f"C{i}" for i in range(1, 11)]
    recorded = {
        (claim, name, entry["verdict"].split(": ")[0])
        for name, record in measured.items()
        for claim, entry in record["claims"].items()
    }
    shown = {(row.id, part.file, part.outcome) for row in rows.values() for part in row.parts if part.file}
    assert shown == recorded
    for row in rows.values():
        assert (row.parts[0].outcome == book_answers.OPEN) == (row.id not in {claim for claim, _, _ in recorded})
        assert len(row.claim.split()) <= 8 and row.theirs and row.ours and all(part.says for part in row.parts)


def test_our_short_numbers_are_those_of_the_claims():
    """The first percentage of the strip's own column also stands in what the results file says at length."""
    measured = book_answers.results()
    for row in book_answers.claims():
        said = " ".join(
            json.dumps(measured[part.file]["claims"][row.id], ensure_ascii=False) for part in row.parts if part.file
        )
        for number in re.findall(r"[\d.]+(?= %)", row.ours)[:1]:
            assert re.search(rf"(?<![\d.]){re.escape(number)}(\.0)?( to [\d.]+)? ?%", said), (row.id, number)


def test_a_changed_result_changes_the_row():
    measured = json.loads(json.dumps(book_answers.results()))
    record = measured["features_cifar10"]
    record["claims"]["C2"]["verdict"] = "holds on this set: made up"
    record["measured"]["rows"]["tinyimagenet"] |= {"test_accuracy": 0.9123, "interval": [0.9, 0.92]}
    claim = next(c for c in book_answers.read("claims.yml") if c["id"] == "C2")
    row = book_answers.claim_row(claim, measured)
    assert row.parts[0].outcome == "holds on this set" and row.ours.startswith("91.2 % (90.0 to 92.0)")
    assert "beat" in row.parts[0].says
    record["claims"]["C2"]["verdict"] = "wonderful: made up"
    with pytest.raises(ValueError, match="unknown outcome 'wonderful'"):
        book_answers.claim_row(claim, measured)


def test_long_sentences_become_lists():
    text = "Of one. First (a; b): x; second, y; third. Two; parts."
    assert [line for line in dcgan_book._clauses(text) if line] == [
        "Of one.",
        "- First (a; b): x",
        "- second, y",
        "- third.",
        "Two; parts.",
    ]


def test_outcomes_are_those_of_the_rules():
    assert {str(outcome) for outcome in verdicts.Outcome} == set(book_answers.OUTCOMES) - {
        book_answers.OPEN,
        "measured",
    }


def test_answers_for_outcomes_are_for_real_ones():
    """A slip in an outcome's name would silently never be shown; and no number is typed into a sentence."""
    files = {path.stem for path in (ROOT / "results").glob("*.json")} | {"architecture"}
    for claim in book_answers.read("claims.yml"):
        for file, said in claim.get("parts", {}).items():
            assert file in files and set(said) <= {"about", *book_answers.OUTCOMES}, (claim["id"], file)
            sentences = [text for key, text in said.items() if key != "about"]
            assert all(text.endswith(".") and not re.search(r"\d", text) for text in sentences), (claim["id"], file)
    findings = book_answers.read("findings.yml")
    for entry in (*findings["pages"], *findings["reproductions"]):
        said = entry.get("answers", {})
        assert set(said) <= set(book_answers.OUTCOMES), entry["id"]
        assert all(text.endswith(".") and not re.search(r"\d", text) for text in said.values()), entry["id"]


def test_findings_wait_for_their_results():
    """Seven findings of the reproductions; without a results file a row says so and names the command."""
    entries = book_answers.read("findings.yml")["reproductions"]
    assert [e["id"] for e in entries] == list(book_answers.FOUND)[: len(entries)] and len(entries) == 7
    for row in book_answers.findings("reproductions", {}):
        assert [part.outcome for part in row.parts] == [book_answers.OPEN] and "python -m experiments" in row.ours


def made_up_study(rows, predicts):
    predictions = [{"predicts": text, "verdict": "does not hold", "words": "made up"} for text in predicts]
    return {"measured": {"rows": rows, "predictions": predictions}, "claims": {}, "data": {"name": "x"}}


def test_findings_read_the_studies_predictions():
    """The words by which a prediction is found are those of the study, so that its results file will have them."""
    from experiments.studies import STUDIES
    from experiments.studies.architecture import DAI

    seeds = (1.0, 1.1, 1.2)
    rows = [{"variant": "base", "frechet": d} for d in seeds]
    rows += [{"variant": name, "frechet": d + (2 if i < 5 else 0)} for i, name in enumerate(DAI) for d in seeds]
    of = {"architecture": rows, "data_size": [{"variant": "anime_10000", "frechet": d} for d in seeds]}
    of["data_size"] += [{"variant": "anime_all", "frechet": d + 1} for d in seeds]
    measured = {
        name: made_up_study(of.get(name, []), [p.says for p in STUDIES[name].predicts])
        for name in ("architecture", "data_size", "output_size", "latent_size")
    }
    found = {row.id: row for row in book_answers.findings("reproductions", book_answers.results() | measured)}
    entries = {entry["id"]: entry for entry in book_answers.read("findings.yml")["reproductions"]}
    said = "distance: drawn faces 1.10 (1.00 to 1.20) with 10,000, 2.10 (2.00 to 2.20) with all"
    assert found["no_gain_above_10000"].ours == said  # of the other set there are no rows
    assert found["every_change_worse"].ours == "5 of 12 worse in every seed; at one size 5 of 10"
    for name in ("every_change_worse", "no_gain_above_10000", "time_28_and_5", "smoother_with_500"):
        said = entries[name].get("answers", {}).get("does not hold", "Made up.")
        assert found[name].parts[0].outcome == "does not hold" and found[name].parts[0].says == said


def test_conditional_digits_in_a_few_words():
    """From a file as the study writes it: made-up counts, the verdict and the words are its rules'."""
    from experiments.rules import models_classes
    from experiments.studies.conditional import MANY, PAPER

    def training(variant, *generated):
        part = {"digits": 10_000, "generated": [list(row) for row in generated], "real": [[PAPER, 317]]}
        return {"variant": variant, "nearest": {"held_out": part, "test": part, "drawn_in": "float32"}}

    rows = [training("released", (PAPER, wrong), (MANY, 150)) for wrong in (301, 295, 312)]
    rows += [training("dense", (PAPER, 628), (MANY, 565))]
    verdict = models_classes("released")(rows)
    entry = {"ours": f"conditional: {verdict.words}.", "verdict": str(verdict.outcome)}
    study = {"measured": {"rows": rows}, "claims": {"C10": entry}, "data": {"name": "mnist"}}
    (row,) = (r for r in book_answers.claims(book_answers.results() | {"conditional": study}) if r.id == "C10")
    assert row.parts[0].outcome == "holds on this set"
    assert row.ours == (
        "2.95 to 3.12 % with 50,000 samples; 3.17 % with 50,000 real digits; "
        "1.5 % with 10,000,000 samples (3 trainings)"
    )
    assert "3.12 %" in row.parts[0].says, "the number stands in what the file says at length"
    rows[0] = {"variant": "released", "diverged": "NaN"}  # counts as all wrong
    (row,) = (r for r in book_answers.claims(book_answers.results() | {"conditional": study}) if r.id == "C10")
    assert row.ours.startswith("2.95 to 100 % with 50,000 samples;")


def test_figures_of_the_reproductions_are_those_of_the_library():
    """The number that the row shows, as a reader sees it, is the one that its rule compares with."""
    figures = {entry["id"]: entry["figure"] for entry in book_answers.read("findings.yml")["reproductions"]}
    for name, reported in (
        ("cifar10_84", paper.BOMBAY_CIFAR10),
        ("svhn_57", paper.BOMBAY_SVHN),
        ("cifar10_65", paper.MCGILL_CIFAR10),
    ):
        assert figures[name].startswith(f"{100 * reported.accuracy:.4g} %"), name


def test_a_page_without_words_of_its_own_takes_its_files():
    entry = {"id": "new", "short": "New", "figure": "none", "file": "near_duplicates"}
    row = book_answers.found_row(entry, book_answers.results())
    assert row.parts[0].outcome == "undecided" and "no near duplicate" in row.parts[0].says and "pairs" in row.ours
    study = made_up_study([], ["It grows", "It falls"])
    row = book_answers.found_row(entry | {"file": "x"}, {"x": study})
    assert row.ours == "made up" and row.parts[0].outcome == "does not hold"


def test_the_page_on_own_pictures_counts_what_its_study_showed():
    from experiments.studies import STUDIES

    study = made_up_study([], [p.says for p in STUDIES["symptoms"].predicts])
    study["measured"]["predictions"][0]["verdict"] = "holds on this set"
    rows = {row.id: row for row in book_answers.findings("pages", book_answers.results() | {"symptoms": study})}
    n = len(STUDIES["symptoms"].predicts)
    assert rows["symptoms"].ours.startswith(f"1 of {n} predictions hold")
    assert rows["symptoms"].parts[0].outcome == "measured"


def test_whether_the_released_schedule_is_needed_follows_from_its_control():
    """As many updates decide, not as many minibatches; made-up distances, the verdict is the study's rule's."""
    from experiments.studies import STUDIES
    from experiments.study import judged

    def row(twice: float):
        found = {"simultaneous": 20.0, "alternate": 30.0, "alternate_twice": twice}
        rows = [{"variant": v, "seed": s, "frechet": x + s} for s in range(3) for v, x in found.items()]
        predictions, _ = judged(STUDIES["mnist"], [r | {"finite": True} for r in rows], [])
        made_up = {"measured": {"rows": rows, "predictions": predictions}, "claims": {}, "data": {"name": "mnist"}}
        rows = book_answers.findings("pages", book_answers.results() | {"training_mnist": made_up})
        return next(row for row in rows if row.id == "schedules")

    assert row(20.5).ours.endswith(
        "21.0 (20.0 to 22.0) by the usual schedule, 21.5 (20.5 to 22.5) by the released one with as many updates, "
        "31.0 (30.0 to 32.0) with half of them"
    )
    assert row(20.5).parts[0].outcome == row(40.0).parts[0].outcome == "holds on this set"
    assert row(10.0).parts[0].outcome == "does not hold"


def test_trainings_that_differ_in_their_pictures_name_them_all():
    found = book_answers.results()
    controls = dcgan_book.trained(found["imagenet32_controls"])
    assert [(row["seed"], row["data"]) for row in controls] == [
        (1, "tinyimagenet"),
        (2, "tinyimagenet"),
        (0, "natural32"),
    ]
    assert dcgan_book.sets(found["imagenet32_controls"]) == ["tinyimagenet", "natural32"]
    assert dcgan_book.trained(found["training_imagenet32"]) == []


def test_an_unknown_answer_is_named():
    with pytest.raises(ValueError, match=r"unknown answer 'C11': known are C1, .*C10, architecture"):
        book_answers.answer("C11")


# ---- notebooks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_notebook_begins_with_its_answer(path):
    cells = nbformat.read(path, as_version=4).cells
    (at,) = (i for i, cell in enumerate(cells) if "{answer}" in cell.source)
    assert at == 1 and boxes(path)
    assert f"notebooks/{path.stem}.html" in cells[at].source, "what Jupyter shows instead leads to this very page"
    for name in boxes(path):
        row = book_answers.answer(name)
        assert row.page == path.stem, f"{name} belongs to {row.page or 'no notebook'}"


def test_every_claim_with_a_notebook_has_a_box():
    boxed = [name for path in NOTEBOOKS for name in boxes(path)]
    assert len(boxed) == len(set(boxed))
    assert {row.id for row in book_answers.claims() if row.page} <= set(boxed)


# ---- formulas and search ---------------------------------------------------------------------------------------------


def test_formulas_become_mathml():
    assert re.sub(r"\s", "", book_formulas.mathml(r"\beta_1 = 0.5")).endswith(
        "<msub><mi>β</mi><mn>1</mn></msub><mo>=</mo><mn>0.5</mn></math>"
    )
    assert "16,384" in book_formulas.mathml(r"2 \times 16{,}384") and 'display="block"' in book_formulas.mathml(
        "x", True
    )
    with pytest.raises(book_formulas.MathError):
        book_formulas.mathml(r"\nosuchcommand{x}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("28,672 features", ["number28672", "features"]),
        ("of 28672.", ["of", "number28672"]),
        ("28_672", ["number28672"]),
        ("1,234,567", ["number1234567"]),
        ("73.3 %, paper64 and 4x4", ["number73", "3", "paper64", "and", "4x4"]),
        ("1, 2 and 300", ["1", "2", "and", "number300"]),
    ],
)
def test_numbers_are_words(text, words):
    assert book_search.Search({}).split(text) == words


@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_the_browser_splits_as_the_index_does():
    text = "28,672 features of 28672. and 28_672; 73.3 %, paper64, 4x4, 1,234,567"
    script = book_search.Search.js_splitter_code + f"console.log(JSON.stringify(splitQuery({json.dumps(text)})))"
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == book_search.Search({}).split(text)


# ---- built pages -----------------------------------------------------------------------------------------------------


@built
@pytest.mark.parametrize("name", ["claims", "index"])
def test_the_strip_is_on_the_page(name):
    page = (HTML / "book" / f"{name}.html").read_text()
    (table,) = re.findall(r'<table class="strip strip-claims.*?</table>', page, re.S)
    for row in book_answers.claims():
        assert f'href="{"" if name == "claims" else "claims.html"}#claim-{row.id.lower()}"' in table
        for part in row.parts:
            badge = f'<span class="verdict verdict-{book_answers.OUTCOMES[part.outcome]}">{part.outcome}</span>'
            assert badge in table
    text = html.unescape(re.sub(r"<[^>]+>", "", table)).replace("’", "'").replace("\N{NO-BREAK SPACE}%", " %")
    for row in book_answers.claims():
        assert row.claim in text and row.theirs in text and row.ours in text


@built
def test_claims_page_shows_the_results():
    page = text_of(HTML / "book" / "claims.html")
    measured = book_answers.results()
    for record in measured.values():
        if record["claims"]:  # others only feed a later run
            assert record["command"] in page, f"built before results/{record['name']}.json: make book"
        for entry in record["claims"].values():
            said = [line.removeprefix("- ") for line in dcgan_book._clauses(entry["ours"]) if line]
            assert entry["verdict"] in page and all(part in page for part in said)
    found = book_answers.findings("reproductions")
    for row in found:
        assert row.claim in page and row.theirs in page
        assert row.code in (HTML / "book" / "claims.html").read_text()
    assert ('class="verdict verdict-open"' in (HTML / "book" / "claims.html").read_text()) == any(
        part.outcome == book_answers.OPEN for row in [*book_answers.claims(), *found] for part in row.parts
    )


@built
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_box_is_on_the_page(path):
    page = text_of(HTML / "notebooks" / f"{path.stem}.html")
    for name in boxes(path):
        row = book_answers.answer(name)
        assert row.question in page and row.theirs in page and row.ours in page
        assert all(part.outcome in page and part.says in page for part in row.parts)
    assert "The answer in short" not in page, "what Jupyter shows instead has no place in the book"


@built
def test_pages_need_no_network():
    """No script, style or picture of another host, and formulas are MathML: no TeX is left for a script to draw."""
    formulas = 0
    for page in [*(HTML / "book").glob("*.html"), *(HTML / "notebooks").glob("*.html")]:
        text = page.read_text()
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\bsrc="([^"]+)"', text)
        loaded += re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="([^"]+)"', text)
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], page.name
        assert not re.search(r"mathjax(@|\.js|/)|window\.MathJax", text, re.I), page.name
        prose = re.sub(r"<(pre|script|code).*?</\1>", "", text, flags=re.S)
        assert "\\(" not in prose and "\\[" not in prose, page.name
        formulas += text.count("<math")
    assert formulas > 20


@built
def test_search_index_has_whole_numbers():
    index = (HTML / "searchindex.js").read_text()
    data = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))
    found = [data[where].get("number28672", []) for where in ("terms", "titleterms")]  # a title's words are apart
    pages = {data["docnames"][i] for each in found for i in ([each] if isinstance(each, int) else each)}
    assert {"notebooks/01_architecture", "notebooks/03_cifar10_features"} <= pages
    assert "splitQuery" in (HTML / "_static" / "language_data.js").read_text()


@built
@pytest.mark.browser
def test_search_finds_numbers_either_way():
    """In a browser, from a server: the search page lists the notebooks for '28,672' and for '28672'."""
    import functools
    import http.server
    import threading

    from browser import launch
    from playwright.sync_api import sync_playwright

    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(HTML))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = launch(playwright)
        page = browser.new_page()
        for query in ("28%2C672", "28672"):
            page.goto(f"http://127.0.0.1:{server.server_address[1]}/search.html?q={query}")
            page.wait_for_selector("#search-results li")
            page.wait_for_timeout(500)
            assert "What is a DCGAN, exactly?" in page.inner_text("#search-results")
            excerpts = page.locator("#search-results p.context").all_inner_texts()
            assert any("28,672" in text for text in excerpts)
            assert not any(button in text for text in excerpts for button in ("Repository", "Open issue", "Colab"))
        browser.close()
        server.shutdown()


def css(name: str, theme: str) -> str:
    text = (ROOT / "book" / "_static" / "book.css").read_text()
    block = re.search(
        r'html\[data-theme="dark"\] \{\s*(--holds.*?)\}' if theme == "dark" else r"html \{ (--holds.*?)\}", text, re.S
    )
    return re.search(rf"--{name}: (#[0-9a-f]{{6}})", block.group(1)).group(1)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("theme", "page"), [("light", "#f3f4f5"), ("dark", "#29313d")])
def test_verdicts_can_be_read(theme, page):
    """Contrast of at least 4.5 (WCAG AA) on the darker of a light page's rows and on the lighter of a dark page's."""
    for name in ("holds", "part", "not", "undecided", "open"):
        pair = sorted([luminance(css(name, theme)), luminance(page)])
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (theme, name)


# ---- layout and compute ----------------------------------------------------------------------------------------------


def made_up_cell(source, *pictures, **metadata):
    """`pictures` are arrays (H, W) that the cell drew."""
    outputs = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, format="png")
        outputs.append({"data": {"image/png": base64.b64encode(file.getvalue()).decode()}})
    return {"cell_type": "code", "source": [source], "metadata": metadata, "outputs": outputs}


def made_up_sheet(columns, side, gap=2, label=0):
    """Two rows of dark pictures on white, (H, W), with a label's room at the left and a dark stroke in it."""
    sheet = np.full((2 * side + 3 * gap, label + gap + columns * (side + gap)), 255, np.uint8)
    sheet[5:9, 3 : max(label - 5, 3)] = 0
    for i, j in np.ndindex(2, columns):
        top, left = gap + i * (side + gap), label + gap + j * (side + gap)
        sheet[top : top + side, left : left + side] = 90
    return sheet


def test_drawing_is_folded_and_samples_are_large():
    figure = {"mystnb": {"figure": {"name": "fig-x"}}}

    def own():
        return json.loads(json.dumps(figure))

    cells = [
        made_up_cell("plots.film_strip(frames, labels)", made_up_sheet(10, 60, label=70), **own()),
        made_up_cell("plots.loss_curves(stats)", np.zeros((50, 640), np.uint8), **own()),
        made_up_cell("loss.backward()"),
        made_up_cell("notebook.table(a, b)", tags=["show-input"]),
        {"cell_type": "markdown", "source": ["plots.bars("], "metadata": {}},
        made_up_cell("widgets.LatentExplorer(generator)", np.zeros((256, 256), np.uint8), **own()),
        made_up_cell("plots.real_against_fake(inspection.filters(D), x)", made_up_sheet(16, 27), **own()),
    ]
    found = [cell["metadata"] for cell in book_layout.laid_out({"cells": cells})["cells"]]
    folded = [["hide-input"], ["hide-input"], [], ["show-input"], [], [], ["hide-input"]]
    assert [about.get("tags", []) for about in found] == folded
    classes = [about.get("mystnb", {}).get("figure", {}).get("classes") for about in found]
    assert classes == ["samples full-width", None, None, None, None, "samples", None]
    widths = [about.get("mystnb", {}).get("image", {}).get("width") for about in found]
    assert widths[1:] == ["640px", None, None, None, "256px", "466px"]


@pytest.mark.parametrize(
    ("columns", "side", "gap", "label"), [(10, 60, 3, 70), (10, 28, 2, 0), (7, 94, 2, 0), (4, 64, 2, 0)]
)
def test_a_sheet_is_as_wide_as_its_pictures_need(columns, side, gap, label):
    sheet = made_up_sheet(columns, side, gap, label)
    width = book_layout.wide(sheet)
    shown = side * width / sheet.shape[1]
    assert 96 <= shown <= 141 and (shown < 97.5 or width <= book_layout.COLUMN + 1)
    assert width >= sheet.shape[1]


def test_a_jpeg_is_as_wide_as_the_same_png():
    """Its white is uneven beside edges, and the gaps between pictures must still be seen."""
    sheet = made_up_sheet(8, 60, 2)
    sheet[sheet < 255] = np.random.default_rng(0).integers(0, 200, (sheet < 255).sum())
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, format="jpeg", quality=90)
    assert book_layout.wide(np.asarray(Image.open(file))) != book_layout.wide(sheet)  # as it is, it misleads
    drawn = book_layout._drawn({"data": {"image/jpeg": base64.b64encode(file.getvalue()).decode()}})
    assert book_layout.wide(drawn) == book_layout.wide(sheet)


def test_a_row_of_squares_without_gaps():
    assert book_layout.wide(np.zeros((64, 576), np.uint8)) == pytest.approx(9 * 96, abs=1)
    assert book_layout.wide(np.zeros((256, 256), np.uint8)) == 256


def test_multiplications_of_a_step_by_hand():
    """tiny32 in RGB: every layer's products, as often as a step goes through it."""
    arch = ARCHITECTURES["tiny32"]
    sides, widths = (32, 16, 8, 4), (3, *arch.widths)
    layers = [16 * widths[i] * widths[i + 1] * sides[i + 1] ** 2 for i in range(3)]  # 4x4 kernels, each output pixel
    dense_d, dense_g = 64 * 16, arch.latent_dim * 64 * 16
    # G: forward, to the weights and to its input, which no dense layer's z needs. D: the same for real and for
    # generated pictures, whose first layer passes nothing on to them; then forward and to its input for G's sake.
    g = 3 * sum(layers) + 2 * dense_g
    d = 2 * (3 * (sum(layers) + dense_d) - layers[0]) + 2 * (sum(layers) + dense_d)
    assert book_compute.multiplications(arch) == g + d


def test_a_recorded_training_beside_the_papers():
    record = book_answers.results()["training_faces"]
    ours = book_compute.of_ours(record)
    steps, batch = record["measured"]["steps"], record["settings"]["batch_size"]
    assert ours["network"] == "tutorial64" and ours["parameters"] == 3_576_704 + 2_765_568  # as released ports have it
    scenes = book_compute.of_ours(book_answers.results()["training_scenes"])
    assert scenes["network"] == "widths 32, 64, 128, 256"  # of no architecture that has a name
    assert ours["multiplications"] == steps * batch * book_compute.multiplications(ARCHITECTURES["tutorial64"])
    seconds = steps * batch / record["measured"]["images_per_second_median"]
    assert ours["time"] == f"{seconds / 60:.1f} minutes" and 60 < seconds < 3600
    assert [book_compute.duration(s) for s in (5, 3599, 3600, 9000)] == [
        "0.1 minutes",
        "60.0 minutes",
        "1.0 hours",
        "2.5 hours",
    ]
    paper = book_compute.of_paper({"data": "x", "batch": 128, "arch": "paper64"})
    assert paper["multiplications"] is None and paper["parameters"] == 18_885_760 + 17_232_768
    assert book_compute.in_words(1.26e15) == "1.3 × 10¹⁵"


@built
@pytest.mark.browser
@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (1280, "light"), (1024, "light"), (390, "dark")])
def test_figures_in_a_browser(width, theme):
    """Nothing is wider than the window, sheets are as wide as their pictures need or as a wide screen has room for (no
    laptop cuts one off), figures lie on white in the dark."""
    from browser import launch
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
        sheets = 0
        for path in [HTML / "book" / "index.html", *(HTML / "notebooks" / f"{path.stem}.html" for path in NOTEBOOKS)]:
            page.goto(path.as_uri())
            page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path.stem
            tables = page.locator(".bd-article .pst-scrollable-table-container").evaluate_all(
                "all => all.map(e => [e.getBoundingClientRect().right, e.scrollWidth - e.clientWidth])"
            )
            assert all(right <= width and (cut <= 1 or width < 1200) for right, cut in tables), path.stem
            figures = page.locator(".bd-content figure a.image-reference").evaluate_all(
                """all => all.map(a => { const i = a.querySelector("img"), box = a.getBoundingClientRect();
                return [i.closest("figure").classList.contains("samples"), i.clientWidth, parseFloat(i.style.width),
                        a.scrollWidth - a.clientWidth, box.right, getComputedStyle(a).backgroundColor]; })"""
            )
            for samples, shown, declared, cut, right, ground in figures:
                assert right <= width, path.stem
                if width >= 1200:
                    assert cut == 0 and (shown > 0.8 * declared or not samples), path.stem
                else:
                    assert shown == pytest.approx(declared, abs=1) or (not samples and width > 720), path.stem
                assert theme == "light" or ground == "rgb(255, 255, 255)", path.stem
                sheets += samples
        assert sheets > 30
        browser.close()


@built
def test_summary_and_compute_pages():
    summary, compute = text_of(HTML / "book" / "summary.html"), text_of(HTML / "book" / "compute.html")
    for row in book_answers.claims():
        assert row.ours in summary and all(part.outcome in summary for part in row.parts)
    for name, record in book_answers.results().items():
        command = record["command"]
        assert (command if len(command) < 60 else command.split()[0] + " …") in summary, name
        of = " (test)" if record["data"]["split"] == "test" else ""
        said = f"{record['data']['name']}{of}, {record['data']['images']:,}"
        if len(sets := dcgan_book.sets(record) or list(record["measured"].get("sets", ()))) > 1:  # of several
            said = ", ".join(sets)
        elif "part" in record["measured"]:
            said = "a part of SVHN, 8,219 of its 99,289 pictures"
        assert said in summary, name
        if trained := dcgan_book.trained(record):
            assert ", ".join(map(str, sorted({row["seed"] for row in trained}))) in summary, name
    one_pass = "one pass through the paper.s pictures"
    several = rf"\d+ to \d+ times fewer multiplications than {one_pass}"
    as_many = rf"from about as many multiplications as {one_pass} to \d+ times fewer"
    assert re.search(rf"Ours took ({several}|{as_many})\.", compute)
    for entry in book_answers.read("compute.yml"):
        ours = book_compute.of_ours(book_answers.results()[entry["ours"]])
        assert entry["data"] in compute and ours["data"] in compute
        assert book_compute.in_words(ours["multiplications"]) in compute
