"""The README as it stands: every command and snippet runs, on small data, and shows what it says."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from dcgan_lib import data, results
from dcgan_lib.architecture import ARCHITECTURES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SMALL = {  # what is large in the README → what runs here; everything else runs as it stands
    "--arch tutorial64": "--arch tiny32",
    "--epochs 100": "--steps 2 --batch-size 8 --device cpu --precision float32",
    "--nproc-per-node 8": "--nproc-per-node 2",
    "--out list.csv": "--out list.csv --steps 20",
    "--walk": "--walk --n 2 --points 2",
    "limit=5_000": "limit=60",
    "limit=1_000": "limit=30",
}
NOT_HERE = ("make ", "source ")  # of an installation; their targets are checked below


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def small(text: str) -> str:
    for large, little in SMALL.items():
        text = text.replace(large, little)
    return text


def commands() -> list[str]:
    lines = [" ".join(shlex.split(line, comments=True)) for block in blocks("sh") for line in block.splitlines()]
    return [small(line) for line in lines if line and not line.startswith(NOT_HERE)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A reader's folder, with pictures in my/pictures, and its surroundings; CIFAR-10 is made of digits."""
    folder = tmp_path_factory.mktemp("reader")
    digits = data.load("digits", image_size=32, channels=3)
    (folder / "my" / "pictures").mkdir(parents=True)
    for i in range(24):
        Image.fromarray(digits.images[i]).save(folder / "my" / "pictures" / f"{i}.png")
    sets = folder / "sets"
    sets.mkdir()
    parts = {"train": slice(0, 80), "test": slice(80, 120)}
    arrays = {f"x_{k}": digits.images[v] for k, v in parts.items()} | {
        f"y_{k}": digits.labels[v] for k, v in parts.items()
    }
    np.savez(sets / "cifar10.npz", **arrays)
    programs = folder / "bin"
    programs.mkdir()
    for name, module in {"dcgan": "dcgan_lib", "torchrun": "torch.distributed.run"}.items():
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        program.chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    here = {"DCGAN_DATA": str(sets), "DCGAN_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT), "PATH": path}
    return folder, {**os.environ, **here, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def run(call: list[str] | str, place, **more) -> str:
    folder, surroundings = place
    done = subprocess.run(call, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=300, **more)
    assert done.returncode == 0, f"{call}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def frames(path: Path) -> int:
    with Image.open(path) as film:
        return film.n_frames


def test_every_command(place):
    folder, _ = place
    said = {command: run(command, place, shell=True) for command in commands()}
    shown = {}
    for path in ("sheet.png", "faces.png"):
        with Image.open(folder / path) as picture:
            shown[path] = picture.size
            assert np.asarray(picture).std() > 5, path
    assert shown["faces.png"] == (8 * 66 - 2, 8 * 66 - 2)  # 64 faces of 64x64, two pixels between them
    assert frames(folder / "film.gif") > 1 and frames(folder / "walk.gif") > 8
    assert (folder / "list.csv").read_text().startswith("cluster,first,second")
    assert (folder / "runs" / "mine" / "weights.safetensors").is_file()
    assert (folder / "my_lab" / "index.html").is_file() and (folder / "generator.onnx").stat().st_size > 1e4
    for name in ("cifar10_features", "cifar10_random"):
        report = json.loads((folder / "runs" / name / "report.json").read_text())
        assert 0 <= report["test_accuracy"] <= 1
        assert np.load(folder / "runs" / name / "train.npy").shape == (80, 28_672)
    (printed,) = (text for command, text in said.items() if "features imagenet32" in command)
    assert "test accuracy" in printed and "precision" in printed
    assert "faces" in said["dcgan models"] and "celeba" in said["dcgan models"]


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_every_snippet_as_a_script(place, number):
    folder, _ = place
    snippet = blocks("python")[number]
    said = run([sys.executable, "-c", small(snippet)], place)
    if "savefig" in snippet:
        for path in re.findall(r'savefig\("(.*?)"', snippet):
            with Image.open(folder / path) as picture:
                assert min(picture.size) > 300 and np.asarray(picture.convert("L")).std() > 5
        for path in re.findall(r'animation\(walk, "(.*?)"', snippet):
            assert frames(folder / path) == 49
    elif "accuracy" in snippet:
        assert re.fullmatch(r"accuracy \d+\.\d%\n", said)
    else:
        assert "LatentExplorer" in said and "WalkPlayer" in said


def test_every_snippet_in_a_notebook(place):
    """A kernel runs them; each figure is drawn once and each widget is there, with its still picture."""
    folder, surroundings = place
    snippets = blocks("python")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(small(snippet)) for snippet in snippets])
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=300, startup_timeout=300, kernel_name="python3", resources=where)
    client.execute(env=surroundings)
    for cell, snippet in zip(notebook.cells, snippets, strict=True):
        outputs = [o for o in cell.outputs if o.output_type in ("display_data", "execute_result")]
        pictures = [o for o in outputs if {"image/png", "image/jpeg"} & o.data.keys()]
        controls = [o for o in outputs if "application/vnd.jupyter.widget-view+json" in o.data]
        assert len(controls) == snippet.count("widgets.") and len(pictures) == snippet.count("figure =") + len(controls)


def test_names_of_commands_targets_and_rooms_exist(place):
    from dcgan_lib import cli
    from experiments.analyses import ANALYSES
    from experiments.studies import STUDIES

    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M)
    named = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", README, re.M))
    assert named and {a or b for a, b in named} <= set(targets)
    for call in re.findall(r"`dcgan ([a-z]+)[^`]*`", README):
        with pytest.raises(SystemExit) as end:
            cli.parser().parse_args([call, "--help"])
        assert end.value.code == 0
    table = README[README.index("| Result |") : README.index("The weights ship")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:] if line]
    for _, names, weights, _ in rows:
        assert set(re.findall(r"`(\w+)`", names)) <= {*STUDIES, *ANALYSES}
        named = re.findall(r"`(\w+)`", weights)
        assert len(named) == 1 or weights == "none"
        assert all((ROOT / "dcgan_lib" / "weights" / f"{name}.safetensors").is_file() for name in named)
    rooms = README[README.index("## What is where") : README.index("The book is published")]
    for room in re.findall(r"`([\w.]+/[\w./]*)`", rooms):
        assert any((base / f"{room}{end}").exists() for base in (ROOT, ROOT / "dcgan_lib") for end in ("", ".py")), room
    for link in re.findall(r"\]\((?!http)(.*?)\)", README):
        assert (ROOT / link).exists(), link


def test_numbers_are_those_of_the_results():
    rows = results.load("features_cifar10")["measured"]["rows"]
    svhn = results.load("features_svhn")["measured"]
    house = {k: np.mean(row["errors"]) for k, row in (svhn["rows"] | {"labels": svhn["searches"][0]}).items()}
    speed, without = (
        results.load(name)["measured"]["training"]["tutorial64"]["ours"]["median"]
        for name in ("bench_cpu", "bench_cpu_avx2")
    )
    waiting = results.load("bench_waiting_cpu")["measured"]["decoding"]
    epochs = results.load("training_faces")["measured"]["epochs"]
    streets = results.load("inspection_forgetting_streets_again")["measured"]
    gone = {way: f"{100 * row['gone']:.0f} %" for way, row in streets["ways"].items()}
    features = ARCHITECTURES["imagenet32"].feature_count
    digits = [row for row in results.load("conditional")["measured"]["rows"] if row["variant"] == "released"]
    digits = [row["nearest"]["held_out"] for row in digits]
    told = {n: [100 * dict(d["generated"])[n] / d["digits"] for d in digits] for n in (50_000, 10_000_000)}
    few, many = (f"{min(shares):.1f} to {max(shares):.1f} %" for shares in told.values())
    real = 100 * dict(digits[0]["real"])[50_000] / digits[0]["digits"]
    text = re.sub(r"\s+", " ", README)
    for number in (
        f"features: {rows['tinyimagenet']['test_accuracy']:.1%} (paper".replace("%", " %"),
        f"after {results.load('training_imagenet32')['measured']['epochs']:.1f} passes over Tiny ImageNet",
        f"error {house['ours']:.1%} (of other seeds {100 * house['second_seed']:.1f} and {house['third_seed']:.1%})"
        f", authors' weights {house['authors']:.1%}, the same".replace("%", " %"),
        f"network on labels alone {house['labels']:.1%} (paper".replace("%", " %"),
        f"K-means: {rows['kmeans_1600']['test_accuracy']:.1%} with 1,600 centroids".replace("%", " %"),
        f"{rows['kmeans_4800']['test_accuracy']:.1%} with 4,800 |".replace("%", " %"),
        f"no window seen in {gone['positive weight']} of {streets['tested']} samples, with the most active maps "
        f"dropped in {gone['largest activations']}, with random ones in {gone['random']}, with none in "
        f"{gone['all maps']} (a",
        f"about {5 * round(speed / 5)} pictures a second (the steps alone)",
        f"on {without:.0f} where the processor has no bfloat16 instructions",
        f"after {epochs:.0f} passes over 9,000 faces",
        f"wrong on {few} of held-out digits with 50,000 samples to look among, on {many} with ten million",
        f"on {real:.1f} % with 50,000 real digits",
        f"decoding of {waiting['files']:,} JPEGs takes {waiting['first']:.0f} seconds",
        f"The features of 60,000 pictures are {60_000 * features * 4 / 1e9:.1f} GB",
        f"a fit takes {results.load('bench_svm_cpu')['measured']['peak_gigabytes']:.0f} GB",
    ):
        assert number in text, f"the README lacks {number!r}"
