"""The command line over the same functions, as a shell calls it."""

import argparse
import dataclasses
import inspect
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

import dcgan_lib
from dcgan_lib import (
    architecture,
    checkpoints,
    cli,
    completion,
    config,
    data,
    deduplication,
    distributed,
    features,
    latent,
    models,
    options,
    results,
    sheets,
    training,
)


def call(capsys, *arguments):
    code = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


RUN = ["--batch-size", 16, "--device", "cpu", "--precision", "float32", "--quiet"]
TINY = ["--set", "widths=[4,8,8]", *RUN]


def test_train_on_a_folder_never_seen_then_sample(tmp_path, capsys):
    for i in range(20):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (70, 90, 3), np.uint8)).save(tmp_path / f"{i}.jpg")
    out = tmp_path / "runs" / "mine"
    train = ["train", "--arch", "tutorial64", "--data", tmp_path, "--out", out, "--steps", 2, *RUN]
    code, printed, errors = call(capsys, *train, "--set", "widths=[4,4,8,8]")
    assert code == 0, errors
    assert "2 steps" in printed
    generator, _ = checkpoints.load(out)
    assert (generator.arch.image_size, generator.arch.channels) == (64, 3)
    code, printed, _ = call(capsys, "sample", out, "--n", 5, "--columns", 2, "--out", tmp_path / "sheet.png")
    assert code == 0 and Image.open(tmp_path / "sheet.png").size == (130, 196)
    code, printed, _ = call(capsys, "sample", out, "--n", 3, "--out", tmp_path / "single")
    assert printed == f"3 pictures of 64x64 written to {tmp_path / 'single'}\n"
    singles = sorted((tmp_path / "single").iterdir())
    expected = data.to_uint8(models.sample(generator, models.sample_latent(3, generator.arch, 0)))
    np.testing.assert_array_equal(np.asarray(Image.open(singles[2])), expected[2])
    singles[0].rename(tmp_path / "single" / "mine.png")
    _, printed, _ = call(capsys, "sample", out, "--n", 1, "--out", tmp_path / "single")
    assert "1 picture of 64x64 written to" in printed and "beside 3 that were there" in printed
    singles[1].write_bytes(b"mine")
    code, _, errors = call(capsys, "sample", out, "--n", 3, "--out", tmp_path / "single")
    assert code == 2 and f"{singles[0]} is there already, and 2 more: no picture is replaced" in errors
    assert singles[1].read_bytes() == b"mine" and len(list((tmp_path / "single").iterdir())) == 4


def test_channels_and_size_follow(tmp_path, capsys):
    out = tmp_path / "run"
    code, _, errors = call(
        capsys,
        "train",
        "--arch",
        "tiny32",
        "--data",
        "digits",
        "--out",
        out,
        "--steps",
        1,
        "--image-size",
        16,
        *RUN,
    )
    assert code == 0, errors
    arch = checkpoints.load(out)[0].arch
    assert (arch.channels, arch.image_size) == (1, 16)


def test_same_call_again_and_other_arguments(tmp_path, capsys):
    train = ["train", "--arch", "tiny32", "--data", "digits", "--out", tmp_path / "run", "--steps", 2, *TINY]
    assert call(capsys, *train)[0] == 0
    before = (tmp_path / "run" / "weights.safetensors").read_bytes()
    assert call(capsys, *train)[0] == 0
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == before
    code, _, errors = call(capsys, *train, "--seed", 9)
    assert code == 2 and "seed: 0 there, 9 now" in errors
    assert call(capsys, *train, "--steps", 3, "--extend")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--arch", "tutorial46", "--data", "digits", "--out", "x"], "did you mean 'tutorial64'"),
        (["train", "--arch", "tiny32", "--data", "digit", "--out", "x"], "did you mean 'digits'"),
        (["train", "--arch", "tiny32", "--data", "./nothing", "--out", "x"], "no folder, .zip or .npz at"),
        (["train", "--arch", "tiny32", "--data", "digits", "--out", "x", "--set", "latent=3"], "latent_dim"),
        (
            ["train", "--arch", "tiny32", "--data", "digits", "--out", "x", "--set", "norm"],
            "expected --set FIELD=VALUE",
        ),
        (["sample", "nothing"], "unknown pretrained model 'nothing'"),
        (["info", "paper46"], "unknown"),
        (["data", "nothing"], "unknown data set"),
    ],
)
def test_mistakes_are_one_message(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, errors = call(capsys, *arguments)
    assert code == 2 and message in errors and "Traceback" not in errors


def test_set_reads_types():
    assert options.changes(
        ["latent_dim=10", "norm=none", "dense_units=none", "widths=[8,16]", "norm_affine=False"]
    ) == {
        "latent_dim": 10,
        "norm": "none",
        "dense_units": None,
        "widths": (8, 16),
        "norm_affine": False,
    }


def test_info_counts(capsys):
    code, printed, _ = call(capsys, "info", "paper64")
    assert code == 0
    assert "generator: 18,885,760 trainable parameters" in printed
    assert json.loads(printed[printed.index('{\n "architecture"') :])["architecture"]["kernel_size"] == 5


def test_a_folder_with_weights_comes_before_an_architecture_of_its_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny32").mkdir()
    assert json.loads(call(capsys, "info", "tiny32", "--json")[1])["architecture"]["latent_dim"] == 32
    checkpoints.save(tmp_path / "tiny32" / checkpoints.FILE, *models.build("tiny32", seed=0, latent_dim=7))
    assert json.loads(call(capsys, "info", "tiny32", "--json")[1])["architecture"]["latent_dim"] == 7
    assert call(capsys, "sample", "tiny32", "--n", 2, "--out", "x.png")[0] == 0


def test_data_lists_licences_and_loads(tmp_path, capsys):
    _, printed, _ = call(capsys, "data")
    assert all(card.licence in printed for card in data.CARDS.values())
    code, printed, _ = call(capsys, "data", "digits", "--preview", tmp_path / "p.png")
    assert code == 0 and "1,797 pictures 32x32x1" in printed and data.load("digits").fingerprint in printed
    assert Image.open(tmp_path / "p.png").size == (270, 270)


@pytest.mark.parametrize(
    "command", ["", "train", "sample", "features", "info", "data", "finish", "animate", "models", "completion", "dedup"]
)
def test_help_teaches(capsys, command):
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command.split(), "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert {"": "examples:", "train": "Look at samples/", "sample": "the same seed, the same"}.get(
        command, "usage:"
    ) in text


def test_channels_and_sizes_are_not_ignored(tmp_path, capsys):
    train = ["train", "--arch", "tiny32", "--data", "digits", "--out", tmp_path / "x", "--steps", 1]
    for more, message in (
        (["--set", "channels=3"], "channels follow the data"),
        (["--image-size", 0], "--image-size must be a whole number of at least 16 and of at most 256, got 0"),
        (["--seed", -1], "--seed must be a whole number of at least 0"),
        (["--device", "gpu"], "unknown device 'gpu': expected auto, cpu, cuda"),
    ):
        code, _, errors = call(capsys, *train, *more)
        assert code == 2 and message in errors, errors
    code, _, errors = call(capsys, "info", "papr64")
    assert code == 2 and "did you mean 'paper64'" in errors


def test_damaged_npz_is_one_message(tmp_path, capsys):
    np.savez(tmp_path / "mine.npz", images=np.arange(4 * 64 * 64, dtype=np.uint8).reshape(4, 64, 64))
    raw = bytearray((tmp_path / "mine.npz").read_bytes())
    raw[3000] ^= 255
    (tmp_path / "mine.npz").write_bytes(raw)
    code, _, errors = call(capsys, "data", tmp_path / "mine.npz")
    assert code == 2 and "mine.npz is damaged" in errors and "Traceback" not in errors


def test_features_are_written_classified_and_used_again(tmp_path, capsys):
    out = tmp_path / "features"
    command = ["features", "mnist", "--data", "digits", "--out", out, "--limit", 200, "--C", 1e-4, 1e-3]
    command += ["--storage", "float32", "--precision", "float32"]
    code, printed, errors = call(capsys, *command)
    assert code == 0, errors
    assert "200 training and 359 test pictures" in printed and "3,072 features each" in printed
    assert "weighted avg" in printed
    report = json.loads((out / "report.json").read_text())
    X, y = np.load(out / "train.npy"), np.load(out / "train_labels.npy")
    assert X.shape == (200, 3_072) and set(report["validation"]) >= {"0.0001", "0.001"}
    model = features.L2SVM(C=report["C"]).fit(X, y)
    accuracy = model.score(np.load(out / "test.npy"), np.load(out / "test_labels.npy"))
    assert accuracy == pytest.approx(report["test_accuracy"], abs=0.01) and accuracy > 0.8
    assert np.trace(report["confusion"]) == round(report["test_accuracy"] * 359)
    assert report["interval"][0] < report["test_accuracy"] < report["interval"][1]

    made = (out / "train.npy").stat().st_mtime_ns
    assert call(capsys, *command)[0] == 0
    assert (out / "train.npy").stat().st_mtime_ns == made  # used again
    code, printed, errors = call(capsys, *command, "--json")
    assert code == 0 and json.loads(printed) == json.loads((out / "report.json").read_text()), errors


def test_features_of_a_random_network_and_without_labels(tmp_path, capsys):
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "one.png")
    code, _, errors = call(capsys, "features", "random:tiny32", "--data", tmp_path, "--out", tmp_path / "f")
    assert code == 2 and "has no labels" in errors
    command = ["features", "random:svhn32", "--data", "digits", "--out", tmp_path / "f", "--limit", 20, "--C", 1e-3]
    code, printed, errors = call(capsys, *command)
    assert code == 0 and "7,168 features" in printed and "a random fifth of the training part" in printed, errors


def test_a_file_with_one_network(tmp_path, capsys):
    generator, discriminator = models.build("tiny32", seed=0)
    checkpoints.save(tmp_path / "d.safetensors", None, discriminator)
    checkpoints.save(tmp_path / "g.safetensors", generator, None)
    code, _, errors = call(capsys, "sample", tmp_path / "d.safetensors")
    assert code == 2 and "holds only a discriminator" in errors
    code, _, errors = call(capsys, "features", tmp_path / "g.safetensors", "--data", "digits", "--out", tmp_path / "f")
    assert code == 2 and "holds only a generator" in errors
    code, printed, _ = call(capsys, "info", tmp_path / "d.safetensors")
    assert code == 0 and "generator: not in this file" in printed


def test_c_is_chosen_without_the_test_part(tmp_path, capsys):
    """The same training pictures with other test labels: everything but the test's figures must stay."""
    digits, rng = data.load("digits", image_size=16), np.random.default_rng(0)
    parts = {"x_train": digits.images[:150], "y_train": digits.labels[:150], "x_test": digits.images[150:250]}
    candidates = [1e-6, 1e-4, 1e-2]
    found = []
    for name, labels in (("right", digits.labels[150:250]), ("shuffled", rng.permutation(digits.labels[150:250]))):
        np.savez(tmp_path / f"{name}.npz", **parts, y_test=labels)
        code, printed, errors = call(
            capsys, "features", "random:mnist28", "--data", tmp_path / f"{name}.npz", "--out", tmp_path / name,
            "--json", "--storage", "float32", "--precision", "float32", "--validation", 0.3, "--C", *candidates,
        )  # fmt: skip
        assert code == 0, errors
        found.append(json.loads(printed))
    right, shuffled = found
    assert right["C"] == shuffled["C"] and right["validation"] == shuffled["validation"]
    assert right["test_accuracy"] > shuffled["test_accuracy"] + 0.3
    X, y = np.load(tmp_path / "right" / "train.npy"), np.load(tmp_path / "right" / "train_labels.npy")
    model, tried = features.choose_C(X[:105], y[:105], X[105:], y[105:], candidates, storage="float32", device="cpu")
    assert right["C"] == model.C and right["validation"] == {f"{C:g}": a for C, a in tried.items()}


# ---- options out of dataclasses ------------------------------------------------------------


class Called(Exception):
    pass


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """A function: options of `dcgan train` → the TrainConfig and the keywords that training.train gets."""

    def ask(*more):
        caught = {}

        def train(settings, **keywords):
            caught.update(config=settings, keywords=keywords)
            raise Called

        monkeypatch.setattr(training, "train", train)
        with pytest.raises(Called):
            cli.main(["train", "--data", "digits", "--out", str(tmp_path / "run"), *map(str, more)])
        return caught["config"], caught["keywords"]

    return ask


OTHER = {  # a value other than the default for every field of TrainConfig
    "data": ("mnist", "mnist"),
    "out": ("elsewhere", Path("elsewhere")),
    "limit": ("7", 7),
    "steps": ("11", 11),
    "epochs": ("2.5", 2.5),
    "batch_size": ("16", 16),
    "schedule": ("alternate", "alternate"),
    "learning_rate": ("0.003", 0.003),
    "decay_after": ("0.25", 0.25),
    "beta1": ("0.9", 0.9),
    "weight_decay": ("0.25", 0.25),
    "ema_decay": ("0.99", 0.99),
    "start": ("mnist", "mnist"),
    "seed": ("5", 5),
    "device": ("cpu", "cpu"),
    "precision": ("float32", "float32"),
    "log_every": ("3", 3),
    "sample_every": ("4", 4),
    "keep_every": ("6", 6),
    "checkpoint_seconds": ("1.5", 1.5),
}


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(config.TrainConfig)])
def test_every_setting_is_an_option_that_arrives(asked, name, tmp_path):
    plain = config.TrainConfig(
        data="digits", out=tmp_path / "run", arch=architecture.ARCHITECTURES["tutorial64"], epochs=25.0
    )
    assert asked()[0] == plain  # no default of its own
    if name == "arch":
        assert asked("--arch", "tiny32")[0].arch == architecture.ARCHITECTURES["tiny32"]
    elif name == "progress":
        assert asked("--quiet")[0] == dataclasses.replace(plain, progress=False)
    elif name in ("conditional", "tensorboard"):
        assert asked(f"--{name}")[0] == dataclasses.replace(plain, **{name: True})
    else:
        text, value = OTHER[name]
        changed = {"epochs": None} if name == "steps" else {}
        expected = dataclasses.replace(plain, **changed | {name: value})
        assert expected != plain and asked(f"--{name.replace('_', '-')}", text)[0] == expected


@pytest.mark.parametrize("option", ["extend", "switch"])
def test_words_that_let_a_run_go_on(asked, option):
    assert asked()[1] == {"extend": False, "switch": False}
    assert asked(f"--{option}")[1] == {"extend": False, "switch": False} | {option: True}


def test_architecture_fields_arrive(asked):
    values = {"image_size": 32, "latent_dim": 7, "widths": (8, 16, 32), "norm_affine": False, "dense_units": 64}
    pairs = [f"--set={k}={json.dumps(v)}" for k, v in values.items()]
    expected = dataclasses.replace(architecture.ARCHITECTURES["tutorial64"], **values)
    assert asked(*pairs)[0].arch == expected
    assert asked("--image-size", 128)[0].arch == architecture.ARCHITECTURES["tutorial64"].resized(128)


def test_optimiser_gets_what_was_asked(tmp_path, capsys, monkeypatch):
    """To the end: Adam's own settings, in both networks."""
    seen = []
    adam = torch.optim.Adam.__init__

    def noted(self, *arguments, **settings):
        adam(self, *arguments, **settings)
        seen.append((self.defaults["lr"], self.defaults["betas"][0], self.defaults["weight_decay"]))

    monkeypatch.setattr(torch.optim.Adam, "__init__", noted)
    train = ["train", "--arch", "tiny32", "--data", "digits", "--steps", 1, *TINY]
    assert call(capsys, *train, "--out", tmp_path / "plain")[0] == 0
    asked = ["--learning-rate", 0.003, "--beta1", 0.25, "--weight-decay", 0.125]
    assert call(capsys, *train, "--out", tmp_path / "asked", *asked)[0] == 0
    assert seen == [(2e-4, 0.5, 1e-5)] * 2 + [(0.003, 0.25, 0.125)] * 2


def test_dedup_options_have_the_functions_defaults():
    args = cli.parser().parse_args(["dedup", "d", "--out", "list.csv"])
    defaults = {k: p.default for k, p in inspect.signature(deduplication.find_duplicates).parameters.items()}
    names = {"radius", "tolerance", "mirrored", "steps", "seed"}
    assert {k: getattr(args, k) for k in names} == {k: defaults[k] for k in names}


def test_dedup_help_says_what_was_measured(capsys):
    with pytest.raises(SystemExit):
        cli.main(["dedup", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    measured = results.load("near_duplicates")["measured"]
    for method in ("code, up to 7 bits, compared", "mirrored code, up to 7 bits, compared", "code, equal (the paper)"):
        for kind, row in measured["methods"][method]["planted"].items():
            assert f"{kind} {row['recall']:.1%}" in said
    assert f"among {measured['pictures']:,} pictures" in said and "false: 0 of the 23 pairs" in said
    for path in ("radius", "tolerance", "mirrored"):
        assert f"--{path}" in said


def test_features_options_have_the_protocols_defaults():
    """`features.evaluate` cannot be asked without PyTorch, so its defaults stand twice."""
    args = cli.parser().parse_args(["features", "w", "--data", "d", "--out", "o"])
    defaults = {k: p.default for k, p in inspect.signature(features.evaluate).parameters.items()}
    names = {"validation", "flip", "statistics", "precision", "seed", "storage"}
    assert {k: getattr(args, k) for k in names} == {k: defaults[k] for k in names}
    assert tuple(args.C) == defaults["candidates"]


def walk(parser):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action._choices_actions
            for sub in action.choices.values():
                yield from walk(sub)
        else:
            yield action


def test_every_option_has_a_text():
    actions = list(walk(cli.parser()))
    assert len(actions) > 90 and [a.option_strings or a.dest for a in actions if not (a.help or "").strip()] == []
    helps = {a.dest: a.help for a in options.subparsers(cli.parser())["train"]._actions}
    for field in dataclasses.fields(config.TrainConfig):
        assert field.metadata["help"] in helps[field.name].replace("%%", "%"), field.name


def test_train_help_lists_the_architectures_fields(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    printed = capsys.readouterr().out
    for field in dataclasses.fields(architecture.Architecture):
        assert f"  {field.name} " in printed and field.metadata["help"] in printed


@pytest.mark.parametrize("call", ["cli.parser()", "cli.main(['--help'])", "cli.main(['train', '--help'])"])
def test_help_needs_no_pytorch(call):
    code = (
        f"import sys\nfrom dcgan_lib import cli\ntry:\n    {call}\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'numpy', 'PIL', 'sklearn'} & sys.modules.keys(), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_the_package_gives_its_modules():
    assert dcgan_lib.latent is latent and {"training", "sheets", "__version__"} <= set(dir(dcgan_lib))
    assert {"data", "features", "training", "latent", "cli"} <= set(dcgan_lib.MODULES)
    assert not {"weights", "lab", "_results", "__init__"} & set(dcgan_lib.MODULES)  # folders without code
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dcgan_lib.nothing
    code = (
        "import sys, dcgan_lib; assert 'torch' not in sys.modules; dcgan_lib.models.build; print(dcgan_lib.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == dcgan_lib.__version__ != ""


# ---- finish, models, animate, completion ------------------------------------------------------------


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0 and capsys.readouterr().out == f"dcgan_lib {dcgan_lib.__version__}\n"


def test_finish_ends_a_stopped_run(tmp_path, capsys, monkeypatch):
    from dcgan_lib.training.trainer import Trainer

    step = Trainer.step

    def stopped(self, k, log):
        if k == 2:
            os.kill(os.getpid(), 2)  # Ctrl-C: this step is finished first
        return step(self, k, log)

    out = tmp_path / "run"
    train = ["train", "--arch", "tiny32", "--data", "digits", "--out", out, *TINY, "--log-every", 2]
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "step", stopped)
        code, _, errors = call(capsys, *train, "--steps", 50)
    assert code == 130 and "stopped after step 3 of 50" in errors and "Traceback" not in errors
    code, printed, errors = call(capsys, "finish", out, "--quiet")
    assert code == 0 and "3 steps" in printed, errors
    assert checkpoints.info(out)["about"]["finished"] and checkpoints.info(out)["about"]["step"] == 3
    assert call(capsys, *train, "--out", tmp_path / "short", "--steps", 3)[0] == 0
    short, ended = (checkpoints.load(folder)[0].state_dict() for folder in (tmp_path / "short", out))
    assert all(torch.equal(short[k], ended[k]) for k in short)
    code, _, errors = call(capsys, "finish", tmp_path)
    assert code == 2 and "nothing to finish" in errors


def test_models_lists_what_is_shipped(capsys):
    code, printed, _ = call(capsys, "models", "--json")
    rows = {row["name"]: row for row in json.loads(printed)}
    assert code == 0 and rows.keys() == checkpoints.pretrained().keys()
    for name, row in rows.items():
        networks = dict(zip("GD", checkpoints.load(name), strict=True))
        assert row["holds"] == [k for k, network in networks.items() if network is not None]
        assert row["bytes"] == checkpoints.pretrained()[name].stat().st_size
        arch = next(n for n in networks.values() if n is not None).arch
        changed = {k: tuple(v) if isinstance(v, list) else v for k, v in row["changed"].items()}
        assert dataclasses.replace(architecture.ARCHITECTURES[row["architecture"]], **changed) == arch
        about = checkpoints.info(name)["about"]
        data = about.get("data") or about["config"]["data"]  # older files have it in their configuration
        assert data and row["trained_on"] == data and row["pictures"] == about["pictures"]["images"]
    code, printed, _ = call(capsys, "models")
    assert code == 0 and all(name in printed and str(row["trained_on"]) in printed for name, row in rows.items())


def frames_of(path):
    with Image.open(path) as film_:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film_)]


def test_animate_a_run(tmp_path, capsys):
    (tmp_path / "samples").mkdir()
    (tmp_path / "run.json").write_text("{}")
    rng = np.random.default_rng(0)
    grids = [np.repeat(rng.integers(0, 2, (64, 16, 16, 1), np.uint8) * 255, 3, 3) for _ in range(3)]
    for step, grid in zip((100, 20, 3), grids, strict=True):  # written in another order than they are shown
        sheets.save(tmp_path / "samples" / f"step_{step:07d}.png", sheets.tile(grid, 8, gap=0))
    code, printed, errors = call(capsys, "animate", tmp_path, "--out", tmp_path / "new" / "film.gif")
    assert code == 0 and "film.gif" in printed, errors
    shown = frames_of(tmp_path / "new" / "film.gif")
    assert len(shown) == 3
    for frame, grid in zip(shown, grids[::-1], strict=True):
        np.testing.assert_array_equal(frame, sheets.tile(grid, 8))


def test_animate_a_walk(tmp_path, capsys):
    generator, _ = checkpoints.load("mnist")
    command = ["animate", "mnist", "--out", tmp_path / "w.gif", "--n", 2, "--points", 3, "--steps", 4, "--seed", 5]
    code, _, errors = call(capsys, *command, "--columns", 1)
    assert code == 0, errors
    shown = frames_of(tmp_path / "w.gif")
    assert len(shown) == 12 and shown[0].shape == (28 + 2 + 28, 28, 3)
    corners = models.sample_latent(6, generator.arch, 5)  # three of each picture
    half = latent.interpolate(corners[[2, 0]], 3, "spherical")[1]  # on the way back to the first
    for frame, z in ((0, corners[0]), (4, corners[1]), (8, corners[2]), (10, half)):
        expected = sheets.tile(models.sample(generator, z[None]), 1)
        assert np.abs(shown[frame][:28].astype(int) - expected).max() <= 2  # a GIF has 256 greys at most
    assert np.abs(shown[4][30:].astype(int) - sheets.tile(models.sample(generator, corners[4:5]), 1)).max() <= 2
    code, _, errors = call(capsys, "animate", "mnist", "--out", tmp_path / "w.mp4")
    if shutil.which("ffmpeg") is None:
        assert code == 2 and "ffmpeg" in errors and not (tmp_path / "w.mp4").exists()


def complete(shell_script, line):
    words = line.split(" ")
    code = (
        f"{shell_script}\nCOMP_WORDS=({' '.join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}\n_dcgan\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_completion_in_bash(capsys):
    code, script, _ = call(capsys, "completion", "bash")
    assert code == 0
    assert complete(script, "dcgan tr") == ["train"]
    assert set(complete(script, "dcgan ")) >= {*options.subparsers(cli.parser()), "--version"}
    assert complete(script, "dcgan train --learn") == ["--learning-rate"]
    assert complete(script, "dcgan train --arch tiny") == ["tiny32"]
    assert complete(script, "dcgan train --data fashion") == ["fashionmnist"]
    assert complete(script, "dcgan train --schedule alt") == ["alternate"]
    assert complete(script, "dcgan sample fa") == ["faces"]
    assert complete(script, "dcgan sample") == ["sample"], "the word that is being written is no command yet"
    assert complete(script, "dcgan train --quiet --see") == ["--seed"], "what takes no value has none before the next"
    assert complete(script, "dcgan --debug sample fa") == ["faces"]
    assert complete(script, "dcgan --debug sa") == ["sample"]
    assert complete(script, "dcgan features faces --C 1e-3 --see") == ["--seed"]
    assert "--seed" in (offered := complete(script, "dcgan features faces --C 1e-3 ")) and "faces" not in offered
    assert complete(script, "dcgan export lab faces --also mnist fa") == ["faces"]
    assert complete(script, "dcgan train --out ") == []  # files, which bash finds by itself


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_completion_in_zsh_as_bash_would_run_it(capsys):
    """zsh counts words from 1 and splits by `=`; compadd gets all that may stand there."""
    _, script, _ = call(capsys, "completion", "zsh")
    for zsh, bash in (("[CURRENT-1]", "[CURRENT-2]"), ("[CURRENT]", "[CURRENT-1]"), ("${=found}", "$found")):
        assert zsh in script
        script = script.replace(zsh, bash)

    def offered(*words):
        given = f"words=({shlex.join(words)}); CURRENT={len(words)}"
        code = f"compadd() {{ printf '%s ' \"$@\"; }}; _files() {{ :; }}; {given}\n{script}"
        return subprocess.run(
            ["bash", "-c", code], capture_output=True, text=True, timeout=60, check=True
        ).stdout.split()

    assert set(offered("dcgan", "sample")) >= {"train", "sample"}, "the word that is being written is no command yet"
    assert "faces" in offered("dcgan", "sample", "") and "train" not in offered("dcgan", "sample", "")
    assert offered("dcgan", "train", "--schedule", "alt") == ["--", "simultaneous", "alternate"]


def test_completion_in_fish_says_what_an_option_takes(capsys):
    _, script, _ = call(capsys, "completion", "fish")
    lines = [line for line in script.splitlines() if "'__fish_seen_subcommand_from train'" in line]

    def of(flag):
        (line,) = (line for line in lines if f" {flag} " in line)
        return line

    assert " -s h -l help -d " in of("-l help")
    assert " -l quiet -l no-progress -d " in of("-l quiet")  # nothing
    assert " -x -a '" in of("-l schedule") and "alternate" in of("-l schedule")  # one of these
    assert " -r -a '" in of("-l data") and "fashionmnist" in of("-l data")  # one of these or a file
    assert completion._fish_text("100 %% of Bob's \\ path") == r"'100 % of Bob\'s \\ path'"


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_completion_names_every_option(capsys, shell):
    code, script, _ = call(capsys, "completion", shell)
    assert code == 0 and "dcgan completion" in script.splitlines()[0 if shell != "zsh" else 1]
    for parser in options.subparsers(cli.parser()).values():
        for flag in (flag for action in parser._actions for flag in action.option_strings):
            assert (flag if shell != "fish" else flag.lstrip("-")) in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=60)


def test_json_lists(capsys):
    assert json.loads(call(capsys, "data", "--json")[1]).keys() == data.CARDS.keys()
    found = json.loads(call(capsys, "info", "tiny32", "--json")[1])
    generator, discriminator = models.build("tiny32", seed=0)
    assert found["generator"]["parameters"] == models.parameter_count(generator)
    assert sum(layer["parameters"] for layer in found["discriminator"]["layers"]) == models.parameter_count(
        discriminator
    )
    assert architecture.Architecture.from_dict(found["architecture"]) == generator.arch
    found = json.loads(call(capsys, "data", "digits", "--json", "--limit", 9, "--seed", 3, "--verify")[1])
    assert found["fingerprint"] == data.load("digits").take(9, seed=3).fingerprint and found["verified"]


def test_verify_reads_all_when_asked(capsys, monkeypatch):
    code, printed, _ = call(capsys, "data", "digits", "--verify")
    assert code == 0 and "verified" in printed

    def verify(images):
        raise ValueError(f"pixels of {images.name} differ")

    monkeypatch.setattr(data, "verify", verify)
    assert call(capsys, "data", "digits")[0] == 0
    code, _, errors = call(capsys, "data", "digits", "--verify")
    assert code == 2 and "pixels of digits differ" in errors


# ---- errors ------------------------------------------------------------


@pytest.fixture
def failing(monkeypatch):
    def fail_with(error):
        def load(*_):
            raise error

        monkeypatch.setattr(checkpoints, "load", load)

    return fail_with


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("a value"), "a value"),
        (checkpoints.CheckpointError("a cut file"), "a cut file"),
        (data.NotAvailable("no such set"), "no such set"),
        (training.TrainingDiverged("NaN"), "NaN"),
        (distributed.PeerFailed("another process failed"), "another process failed"),
        (FileNotFoundError(2, "No such file or directory", "x/y"), "No such file or directory: x/y"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ImportError("pip install 'dcgan_lib[onnx]'"), "pip install"),
        (MemoryError(), "Take a smaller --batch-size"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "Take a smaller --batch-size"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "Take a smaller"),
        (ValueError("\x1b[31mred\x1b]0;title\x07 \r"), "\\x1b[31mred\\x1b]0;title\\x07 \\r"),
        (ValueError("a name " + "y" * 100_000), "a name yyy"),
    ],
)
def test_errors_that_can_be_mended_are_one_message(failing, capsys, error, message):
    failing(error)
    code, printed, errors = call(capsys, "sample", "faces")
    assert code == 2 and printed == "" and errors.startswith("dcgan sample: ") and message in errors
    assert "[Errno" not in errors and "\x1b" not in errors and len(errors) < 1000 and errors.count("\n") == 1
    with pytest.raises(type(error)):
        cli.main(["sample", "faces", "--debug"])
    with pytest.raises(type(error)):
        cli.main(["--debug", "sample", "faces"])


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shape [3] does not fit"),
        TypeError("x"),
        KeyError("x"),
        AssertionError(),
        ImportError("cannot import x"),
    ],
)
def test_other_errors_keep_their_traceback(failing, error):
    failing(error)
    with pytest.raises(type(error)):
        cli.main(["sample", "faces"])


def test_ctrl_c_is_acknowledged(failing, capsys):
    failing(KeyboardInterrupt())
    code, _, errors = call(capsys, "sample", "faces")
    assert code == 130 and errors.strip() == "stopped"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at Linux's list of loaded libraries")
def test_ctrl_c_while_pytorch_is_imported():
    process = subprocess.Popen(
        [sys.executable, "-m", "dcgan_lib", "info", "paper64"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text() and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed, errors) == (130, "", "\nstopped\n")


def test_a_reader_that_has_seen_enough(tmp_path):
    command = f"{sys.executable} -m dcgan_lib info paper64 --json | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, timeout=120)
    assert done.stdout == "{\n" and done.stderr == "" and done.returncode == 0


def test_warnings_of_the_caller_stay_as_they_were(capsys):
    import warnings

    before = warnings.showwarning
    assert call(capsys, "data")[0] == 0
    assert warnings.showwarning is before


def test_a_class_of_a_conditional_generator(tmp_path):
    generator, _ = models.build("tiny32", seed=0, classes=3)
    models.calibrate(generator, [(models.sample_latent(16, generator.arch, 0), torch.arange(16) % 3)])
    checkpoints.save(tmp_path / "g.safetensors", generator, None, {"class_names": ["cat", "dog", "1"]})
    given = {"2": torch.full((4,), 2), "dog": torch.ones(4).long(), "": torch.arange(4) % 3}
    for number, (name, labels) in enumerate(given.items()):
        out, more = tmp_path / f"out{number}", ["--class", name] if name else []
        call = ["sample", str(tmp_path / "g.safetensors"), "--n", "4", "--out", str(out), *more]
        assert cli.main(call) == 0
        expected = models.sample(generator, models.sample_latent(4, generator.arch, 0), labels=labels)
        for i, pixels in enumerate(data.to_uint8(expected)):
            with Image.open(out / f"{i:06d}.png") as picture:
                assert np.array_equal(np.asarray(picture), pixels)


@pytest.mark.parametrize("weights, word", [("faces", "was trained without classes"), ("conditional", "classes 0 to 2")])
def test_a_class_that_is_not_there(tmp_path, capsys, weights, word):
    if weights == "conditional":
        checkpoints.save(weights := tmp_path / "g.safetensors", models.build("tiny32", seed=0, classes=3)[0], None)
    assert cli.main(["sample", str(weights), "--class", "7", "--out", str(tmp_path / "x.png")]) == 2
    assert word in capsys.readouterr().err and not (tmp_path / "x.png").exists()


def test_a_run_knows_the_names_of_its_classes(tmp_path, capsys):
    for i, name in enumerate(["cats", "dogs"] * 8):
        (tmp_path / "own" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((32, 32), 9 * i, np.uint8)).save(tmp_path / "own" / name / f"{i}.png")
    train = ["train", "--arch", "tiny32", "--conditional", "--data", tmp_path / "own", "--out", tmp_path / "run"]
    assert call(capsys, *train, "--steps", 1, *TINY)[0] == 0
    assert checkpoints.info(tmp_path / "run")["about"]["class_names"] == ["cats", "dogs"]
    code, _, errors = call(capsys, "sample", tmp_path / "run", "--class", "cows", "--out", tmp_path / "x.png")
    assert code == 2 and "has the classes 0 to 1 (cats, dogs)" in errors
