"""The files agree with each other: pins, the place of publication, stored outputs, results and built pages."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from unittest.mock import Mock

import nbformat
import numpy as np
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from PIL import Image

from dcgan_lib import notebook, paper, results
from experiments.analyses import ANALYSES
from experiments.studies import STUDIES

ROOT = Path(__file__).parents[1]
HTML = ROOT / "_build" / "html"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def load_script(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


publish_as = load_script(ROOT / "book" / "publish_as.py")
dcgan_book = load_script(ROOT / "book" / "_ext" / "dcgan_book.py")


def pins():
    lines = [line.strip() for line in (ROOT / "requirements.lock").read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_pins_lie_in_the_ranges():
    pinned = {}
    for requirement in pins():  # some packages are pinned once for each of several Python versions
        pinned.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    extras = [r for group in PROJECT["optional-dependencies"].values() for r in group]
    for text in [*PROJECT["dependencies"], *extras]:
        wanted = Requirement(text)
        if wanted.name == PROJECT["name"]:
            continue
        for pin in pinned[canonicalize_name(wanted.name)]:
            (version,) = (s.version for s in pin.specifier if s.operator == "==")
            assert wanted.specifier.contains(version), f"{wanted} does not allow the pinned {pin}"


def test_pins_are_names_and_versions_only():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text and "file:" not in text and "--" not in text and "@" not in text
    assert all([s.operator for s in r.specifier] == ["=="] for r in pins())


def test_environment_refers_and_repeats_nothing():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, nested = environment["dependencies"]
    assert nested == {"pip": ["-r requirements.lock", "-e ."]} and pip == "pip"
    assert python.removeprefix("python").split(",")[0] == PROJECT["requires-python"]


def test_what_is_installed_is_what_is_pinned():
    from importlib.metadata import version

    for requirement in pins():
        if requirement.marker and not requirement.marker.evaluate():
            continue  # for another Python or system
        if requirement.name in ("torch", "torchvision", "numpy", "safetensors", "jupyter-book", "sphinx"):
            assert requirement.specifier.contains(version(requirement.name)), requirement


def test_every_file_names_the_same_repository():
    repository, pages = publish_as.current(), publish_as.pages(publish_as.current())
    configuration = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert configuration["html"]["baseurl"] == f"https://{pages}"
    theme = configuration["sphinx"]["config"]["html_theme_options"]
    assert theme["repository_url"] == configuration["repository"]["url"] == f"https://github.com/{repository}"
    expected = {
        "README.md": [f"github/{repository}/blob", f"git+https://github.com/{repository}", f"https://{pages}"],
        "pyproject.toml": [f"https://github.com/{repository}", f"https://{pages}"],
        "CITATION.cff": [f"https://github.com/{repository}", f"https://{pages}"],
        ".github/workflows/book.yml": [f"github.repository == '{repository}'"],
        ".github/workflows/newest.yml": [f"github.repository == '{repository}'"],
        **{f"notebooks/{n.name}": [f"git+https://github.com/{repository}"] for n in NOTEBOOKS},
    }
    for name, texts in expected.items():
        for text in texts:
            assert text in (ROOT / name).read_text(), f"{name} lacks {text}"


def test_publish_as_rewrites_every_file(tmp_path):
    """In a copy: nothing of the former repository is left, and going back gives the same files."""
    copy = tmp_path / "copy"
    copy.mkdir()
    before = {}
    for path in publish_as.files():
        name = path.relative_to(ROOT)
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / name)
        before[name] = path.read_bytes()
    (copy / "book").mkdir(exist_ok=True)
    shutil.copy(ROOT / "book" / "publish_as.py", copy / "book")
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    subprocess.run(["git", "add", "-A"], cwd=copy, check=True)
    command = [sys.executable, "book/publish_as.py"]
    former = publish_as.current()
    subprocess.run([*command, "Some-One/gan.book"], cwd=copy, check=True, capture_output=True)
    texts = {name: (copy / name).read_text() for name in before}
    assert not any(former in text or publish_as.pages(former) in text for text in texts.values())
    assert "https://some-one.github.io/gan.book" in texts[Path("README.md")]
    assert "Some-One/gan.book/blob/main/notebooks" in texts[Path("README.md")]
    wrong = subprocess.run([*command, "no-slash"], cwd=copy, capture_output=True, text=True)
    assert wrong.returncode == 1 and "expected REPO=owner/name" in wrong.stderr
    subprocess.run([*command, former], cwd=copy, check=True, capture_output=True)
    assert {name: (copy / name).read_bytes() for name in before} == before


def colophon(notebook):
    found = [
        output["metadata"]["dcgan"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "dcgan" in output.get("metadata", {})
    ]
    assert len(found) == 1, "expected one notebook.colophon(…) with stored output"
    return found[0]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_stored_outputs_are_whole_and_current(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "not run from top to bottom"
    errors = [o for cell in code for o in cell.outputs if o.output_type == "error"]
    assert not errors, errors
    about = colophon(notebook)
    assert about["scale"] in ("demo", "paper"), f"stored outputs were made at scale {about['scale']!r}: make notebooks"
    for name, digest in about["results"].items():
        assert digest == results.digest(name), f"results/{name}.json is newer than the outputs: make notebooks"
    used = set(re.findall(r"results\.load\(\"(\w+)\"\)", "\n".join(cell.source for cell in code)))
    used -= {name for name in used if STUDIES.get(name) and STUDIES[name].not_run}  # where a page says so
    assert used == set(about["results"]), "the colophon must name every results file that the notebook loads"
    stderr = ["".join(o.text) for cell in code for o in cell.outputs if o.get("name") == "stderr"]
    assert not any("Traceback" in text or "Error" in text for text in stderr), stderr
    shown = [json.dumps({k: v for k, v in o.get("data", {}).items() if "image" not in k}) + "".join(o.get("text", ""))
             for cell in code for o in cell.outputs]  # fmt: skip
    assert not [text for text in shown if re.search(r"/(tmp|work|home|root)/", text)], "a path of the machine is shown"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_keep_their_form(path):
    notebook = nbformat.read(path, as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert (
        text.startswith("# ") and "**Question.**" in text and "## Exercises" in text and "## How sure are we?" in text
    )
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert any(re.search(r"^ *assert ", source, re.M) for source in code)
    assert not any(re.search(r"^ *(def|class) ", source, re.M) for source in code), "definitions belong in dcgan_lib"
    installs = [source for source in code if "pip install" in source]
    assert len(installs) == 1 and "torch" not in installs[0] and installs[0].count("git+") == 1
    for cell in notebook.cells:
        pictures = {"image/png", "image/jpeg", "image/gif"}
        if any(pictures & o.get("data", {}).keys() for o in cell.get("outputs", [])):
            about = cell.metadata.get("mystnb", {})
            assert about.get("image", {}).get("alt") and about.get("figure", {}).get("caption"), cell.source[:80]
    assert path.stat().st_size < 4e6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_exercise_has_a_hint(path):
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    exercises = re.split(r"^\d+\. ", text[text.index("## Exercises") :], flags=re.M)[1:]
    assert len(exercises) >= 3
    for exercise in exercises:
        assert re.search(r"\*Hint:\* .{20,}", exercise), f"no hint: {exercise[:60]}"


def test_reported_figures_stand_once():
    """Code of notebooks and rules reads them from `paper`; what prose types agrees with it."""
    figures = [*(row.accuracy for row in paper.CIFAR10.values()), *paper.SVHN.values(), paper.SVHN_LABELS_ONLY]
    typed = {text for value in figures for v in (value, 1 - value) for text in (f"{v:.4f}", f"{v:.4f}".rstrip("0"))}
    sources = {"verdicts": (ROOT / "experiments" / "verdicts.py").read_text()}
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        sources[path.stem] = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    for name, source in sources.items():
        assert not typed & set(re.findall(r"0\.\d+", source)), f"{name} types a figure of dcgan_lib.paper"
    claims = {claim["id"]: claim for claim in yaml.safe_load((ROOT / "book" / "claims.yml").read_text())}
    accuracy = {name: f"{100 * row.accuracy:.1f} %" for name, row in paper.CIFAR10.items()}
    asked = ("D of ImageNet", "K-means, one layer", "K-means, three layers", "Exemplar CNN")
    assert re.findall(r"\d+\.\d+ %", claims["C2"]["paper"]) == [accuracy[name] for name in asked]
    errors = (paper.SVHN["D of SVHN"], paper.SVHN["SWWAE with dropout"])
    assert re.findall(r"\d+\.\d+ %", claims["C3"]["paper"]) == [f"{100 * error:.2f} %" for error in errors]
    assert f"{100 * paper.SVHN_LABELS_ONLY:.2f} %" in claims["C4"]["paper"]
    assert f"best of {paper.SVHN_TRIALS} random trials" in claims["C4"]["paper"]
    assert f"{paper.BOMBAY_CIFAR10.accuracy:.0%}".replace("%", " %") in claims["C2"]["others"]
    assert f"{100 * paper.MCGILL_CIFAR10.accuracy:.2f} %" in claims["C2"]["others"]


def test_data_page_names_every_set_that_a_run_read():
    page = (ROOT / "book" / "data.md").read_text()
    for record in dcgan_book.results().values():
        for name in {record["data"]["name"], *dcgan_book.sets(record)}:
            assert f"`{name}`" in page, f"{record['name']} read {name}, which book/data.md does not name"


def test_results_say_where_they_come_from():
    files = sorted((ROOT / "results").glob("*.json"))
    assert files
    experiments_files = {entry.file for entry in (STUDIES | ANALYSES).values()}
    for path in files:
        record = json.loads(path.read_text())
        assert record["name"] == path.stem
        assert set(record) >= {"command", "settings", "seed", "data", "versions", "device", "measured", "claims"}
        assert re.fullmatch(r"[0-9a-f]{64}", record["data"]["fingerprint"])
        if record["name"] not in experiments_files:
            script = record["command"].split()[1]
            assert (ROOT / script).is_file(), f"{path.name} names {script}, which is not there"
        assert str(Path.home()) not in path.read_text()
        assert all(re.fullmatch(r"C([1-9]|10)", claim) for claim in record["claims"])


def test_role_reads_numbers():
    assert dcgan_book.number("training_faces measured.epochs .0f") == format(
        results.load("training_faces")["measured"]["epochs"], ".0f"
    )
    with pytest.raises(KeyError):
        dcgan_book.number("training_faces measured.nothing")


def test_speed_table_has_what_was_measured_and_nothing_else(monkeypatch):
    rate = {"median": 10.0, "smallest": 8.0, "largest": 13.0}
    row = {"plain": rate, "ours": rate, "ratio": rate, "fastest_possible": 20.0}
    found = {"bench_cpu": {"device": "a machine", "measured": {"training": {"tutorial64": row}}}}
    monkeypatch.setattr(dcgan_book, "results", lambda: found)
    text = dcgan_book.SpeedTable.text(None)
    assert "a machine" in text and "**10.00x** (8.00 to 13.00)" in text and "50%" in text
    assert text.count("* - ") == 1 + 1 and "H100" not in text  # the header and one row
    row = row | {"plain": {"median": 4860.0}, "ours": {"median": 29961.0}}  # the printed lines alone
    found["bench_cuda"] = {"device": "a card", "measured": {"training": {"imagenet32": row}}}
    cells = [line.split("- ")[1] for line in dcgan_book.SpeedTable.text(None).splitlines() if "- " in line]
    assert cells[-6:-2] == ["a card", "imagenet32", "4,860", "29,961"]


def test_a_benchmark_that_is_stopped_keeps_the_networks_before(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plain", Mock())  # not called here, and its torchvision takes seconds to import
    speed = load_script(ROOT / "benchmarks" / "speed.py")

    def rates(folder, name, *_):
        if name == "imagenet32":
            raise KeyboardInterrupt
        rate = {"median": 10.0, "smallest": 8.0, "largest": 13.0}
        return {"plain": rate, "ours": rate, "ratio": rate, "fastest_possible": 20.0}

    monkeypatch.setattr(results, "folder", lambda: tmp_path)
    monkeypatch.setenv("DCGAN_CACHE", "")  # set by the benchmark, for its own pictures
    monkeypatch.setattr(speed, "training_rates", rates)
    monkeypatch.setattr(speed, "matmul_rate", lambda *_: 1e9)
    monkeypatch.setattr(speed, "pictures", lambda folder, count, make=speed.pictures: make(folder, 4))
    for quick in (True, False):
        with pytest.raises(KeyboardInterrupt):
            speed.main(quick, avx2=False)
        assert len(list(tmp_path.iterdir())) == (0 if quick else 2)  # numbers and plot
    (kept,) = (json.loads(path.read_text()) for path in tmp_path.glob("*.json"))
    assert list(kept["measured"]["training"]) == ["tutorial64"]
    assert "imagenet32" in kept["settings"]["nets"] and kept["data"]["images"] == 4


def test_package_carries_what_notebooks_need(tmp_path):
    """On Colab there is the installed package alone: weights and results must be inside."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as z:
        names = set(z.namelist())
    for path in (ROOT / "results").glob("*.*"):
        assert f"dcgan_lib/_results/{path.name}" in names
    for folder in ("weights", "lab"):
        for path in (ROOT / "dcgan_lib" / folder).rglob("*.*"):
            assert str(path.relative_to(ROOT)) in names


def test_colabs_versions_stay_on_colab():
    """The one install cell changes nothing that is there: each of Colab's versions lies in the package's range."""
    lines = [line for line in (ROOT / "tests" / "colab.txt").read_text().splitlines() if not line.startswith("#")]
    there = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["hub"]]
    for requirement in needed:
        version = there[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, f"Colab has {requirement.name} {version}, we ask for {requirement}"
    assert "3.13" in SpecifierSet(project["requires-python"]) and len(there) > len(needed)


def test_record_and_load(tmp_path, monkeypatch):
    from dcgan_lib import data

    monkeypatch.setattr(results, "folder", lambda: tmp_path)
    images = data.load("digits")
    results.record("a", {"x": 1}, command="c", settings={}, seed=3, images=images, device="cpu")
    loaded = results.load("a")
    assert loaded["measured"] == {"x": 1} and loaded["data"]["fingerprint"] == images.fingerprint
    assert loaded["versions"]["torch"]
    before = results.digest("a")
    results.record("a", {"x": 2}, command="c", settings={}, seed=3, images=images, device="cpu")
    assert (after := results.digest("a")) != before
    claim = {"C1": {"ours": "x", "verdict": "y"}}  # words, not numbers: a notebook that shows these is not stale
    results.record("a", {"x": 2}, command="d", settings={}, seed=3, images=images, device="cpu", claims=claim)
    assert results.digest("a") == after
    assert results.there("a") and not results.there("b")
    with pytest.raises(ValueError, match=r"unknown results file .b.: known are a"):
        results.load("b")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no clone: files are not known to be tracked")
def test_the_tree_is_small():
    """A checkout travels to rented machines with 64 MiB at a time, the pictures to train on among them."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    sizes = {name: (ROOT / name).stat().st_size for name in files.split("\0") if name and (ROOT / name).is_file()}
    largest = sorted(sizes, key=sizes.get)[-12:]
    assert sum(sizes.values()) <= 45 * 2**20, f"the largest: {', '.join(largest)}"


def test_rows_of_a_study():
    """Medians and ranges over seeds; a training that diverged has no number."""
    rows = [
        {"variant": "a", "seed": 0, "frechet": 3.0, "walks": {"length": 7}},
        {"variant": "a", "seed": 1, "frechet": 1.0, "walks": {"length": 5}},
        {"variant": "a", "seed": 2, "diverged": "at step 3"},
        {"variant": "b", "seed": 0, "frechet": 2.0},
        {"variant": "c", "seed": 0, "diverged": "at step 4"},
    ]
    assert results.values(rows, "a", "frechet") == [3.0, 1.0] and results.values(rows, "a", "walks.length") == [7, 5]
    assert results.values(rows, "b", "walks.length") == [] and results.values(rows, "b", "frechet.x") == []
    assert results.ranges(rows, "bca", "frechet") == {"b": (2.0, 2.0, 2.0), "a": (2.0, 1.0, 3.0)}


def test_samples_of_a_study(tmp_path, monkeypatch):
    """Each variant's row of results/symptoms_samples.jpg, cut out by hand, wherever one's own results lie."""
    monkeypatch.setenv("DCGAN_RESULTS", str(tmp_path))
    with Image.open(ROOT / "results" / "symptoms_samples.jpg") as picture:
        sheet = np.asarray(picture.convert("RGB"))
    found = results.samples("symptoms")
    assert list(found) == results.load("symptoms")["measured"]["sheet"]
    for row, pictures in enumerate(found.values()):
        assert (np.concatenate(pictures, axis=1) == sheet[32 * row : 32 * (row + 1)]).all()


def test_a_sheet_of_other_rows(tmp_path, monkeypatch):
    monkeypatch.setenv("DCGAN_RESULTS", str(tmp_path))
    Image.new("RGB", (40, 20)).save(tmp_path / "mine_film.png")
    assert results.pictures("mine_film", 2).shape == (2, 4, 10, 10, 3)
    with pytest.raises(ValueError, match="mine_film is 40 x 20 pixels, no 3 rows of square pictures"):
        results.pictures("mine_film", 3)
    with pytest.raises(ValueError, match="unknown sheet of pictures 'mine_flim': did you mean 'mine_film'"):
        results.pictures("mine_flim", 2)


def test_results_are_json_with_a_line_for_what_is_simple(tmp_path, monkeypatch):
    """What json writes in one way and reads in another (whole numbers as keys, tuples) is as json reads it."""
    from dcgan_lib import data

    monkeypatch.setenv("DCGAN_RESULTS", str(tmp_path))
    measured = {8: (1, 2.5, None), "rows": [{"a": [1, [2]]}, {}], "none": [], "words": 'say "[no]"', "deep": {"b": {}}}
    path = results.record("mine", measured, command="c", settings={}, seed=0, images=data.load("digits"), device="cpu")
    assert results.load("mine")["measured"] == json.loads(json.dumps(measured))
    assert '  "8": [1, 2.5, null],\n' in path.read_text()


def test_a_folder_for_results_of_ones_own(tmp_path, monkeypatch):
    """What is written there is read from there; what is not there is read among the recorded results."""
    from dcgan_lib import data

    recorded = results.load("training_mnist")
    monkeypatch.setenv("DCGAN_RESULTS", str(tmp_path / "mine"))
    assert results.load("training_mnist") == recorded
    settings = {"command": "c", "settings": {}, "seed": 3, "images": data.load("digits"), "device": "cpu"}
    path = results.record("training_mnist", {"x": 1}, **settings)
    assert path == tmp_path / "mine" / "training_mnist.json" and results.load("training_mnist")["measured"] == {"x": 1}
    monkeypatch.delenv("DCGAN_RESULTS")
    assert results.load("training_mnist") == recorded


def test_scales(monkeypatch):
    monkeypatch.setenv("DCGAN_SCALE", "paper")
    assert notebook.pick(fast=1, demo=2, paper=3) == 3
    monkeypatch.setenv("DCGAN_SCALE", "quick")
    with pytest.raises(ValueError, match="unknown DCGAN_SCALE 'quick'"):
        notebook.scale()


def test_table():
    text = notebook.table(["a", "b"], [("x|y", 1234), ("z", 5)]).data
    assert text.splitlines() == ["| a | b |", "| --- | ---: |", "| x\\|y | 1,234 |", "| z | 5 |"]


built = pytest.mark.skipif(not HTML.is_dir(), reason="build the book first: make book")


@built
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_pages(path):
    page = (HTML / "notebooks" / f"{path.stem}.html").read_text()
    link = f"https://colab.research.google.com/github/{publish_as.current()}/blob/main/notebooks/{path.name}"
    assert link in page, "the Colab button is gone from the page"
    assert f"https://github.com/{publish_as.current()}" in page
    images = re.findall(r"<img[^>]*>", page)
    figures = [image for image in images if "_images/" in image]
    assert figures and all(re.search(r'alt="[^"]{20,}"', image) for image in figures)
    assert page.count("<figcaption>") >= len(figures)
    assert "book.css" in page
    text = re.sub(r"<pre>.*?</pre>", "", page, flags=re.S)
    assert "| —" not in text and "| --" not in text, "a table in an output is not rendered"


@built
def test_data_page_has_a_card_for_each_set():
    from dcgan_lib.data import CARDS

    page = (HTML / "book" / "data.html").read_text()
    for name, card in CARDS.items():
        assert f"data-{name.replace('_', '-')}" in page
        assert card.licence.split("(")[0].split(";")[0].strip().replace("'", "’") in page.replace("'", "’"), name


@built
def test_api_page_names_what_is_public():
    """Every public function and class of the rooms that the page lists, once, and nothing with an underscore."""
    import importlib
    import inspect

    rooms = " ".join(re.findall(r"{library} (.*)", (ROOT / "book" / "api.md").read_text())).split()
    page = (HTML / "book" / "api.html").read_text()
    shown = re.findall(r'<dt class="sig[^>]*id="([\w.]+)"', page)
    assert len(shown) == len(set(shown)) and not any("._" in name for name in shown)
    for room in rooms:
        module = importlib.import_module(f"dcgan_lib.{room}")
        for name in getattr(module, "__all__", vars(module)):
            thing = getattr(module, name)
            own = getattr(thing, "__module__", "").startswith(module.__name__) and not name.startswith("_")
            if own and (inspect.isfunction(thing) or inspect.isclass(thing)) and thing.__doc__:
                assert f"{module.__name__}.{name}" in shown


@built
def test_dark_mode_leaves_pictures_alone():
    css = (HTML / "_static" / "book.css").read_text()
    assert re.search(r'html\[data-theme="dark"\][^{]*img[^{]*\{ *filter: none; *\}', css)
