"""The command line over the same functions, as a shell calls it."""

import json

import numpy as np
import pytest
from PIL import Image

from dcgan_lib import checkpoints, cli, data, features, models


def call(capsys, *arguments):
    code = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


TINY = ["--set", "widths=[4,8,8]", "--batch-size", 16, "--device", "cpu", "--precision", "float32", "--quiet"]


def test_train_on_a_folder_never_seen_then_sample(tmp_path, capsys):
    for i in range(20):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (70, 90, 3), np.uint8)).save(tmp_path / f"{i}.jpg")
    out = tmp_path / "runs" / "mine"
    train = ["train", "--arch", "tutorial64", "--data", tmp_path, "--out", out, "--steps", 2, *TINY]
    code, printed, errors = call(capsys, *train, "--set", "widths=[4,4,8,8]")
    assert code == 0, errors
    assert "2 steps" in printed
    generator, _ = checkpoints.load(out)
    assert (generator.arch.image_size, generator.arch.channels) == (64, 3)
    code, printed, _ = call(capsys, "sample", out, "--n", 5, "--columns", 2, "--out", tmp_path / "sheet.png")
    assert code == 0 and Image.open(tmp_path / "sheet.png").size == (130, 196)
    code, _, _ = call(capsys, "sample", out, "--n", 3, "--out", tmp_path / "single")
    singles = sorted((tmp_path / "single").iterdir())
    expected = data.to_uint8(models.sample(generator, models.sample_latent(3, generator.arch, 0)))
    np.testing.assert_array_equal(np.asarray(Image.open(singles[2])), expected[2])


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
        *TINY[2:],
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
    assert cli.changes(["latent_dim=10", "norm=none", "dense_units=none", "widths=[8,16]", "norm_affine=False"]) == {
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


def test_data_lists_licences_and_loads(tmp_path, capsys):
    _, printed, _ = call(capsys, "data")
    assert all(card.licence in printed for card in data.CARDS.values())
    code, printed, _ = call(capsys, "data", "digits", "--preview", tmp_path / "p.png")
    assert code == 0 and "1,797 pictures 32x32x1" in printed and data.load("digits").fingerprint in printed
    assert Image.open(tmp_path / "p.png").size == (270, 270)


@pytest.mark.parametrize("command", ["", "train", "sample", "features", "info", "data"])
def test_help_teaches(capsys, command):
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command.split(), "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert {"": "examples:", "train": "Look at samples/", "sample": "run's folder"}.get(command, "usage:") in text


def test_channels_and_sizes_are_not_ignored(tmp_path, capsys):
    train = ["train", "--arch", "tiny32", "--data", "digits", "--out", tmp_path / "x", "--steps", 1]
    for more, message in (
        (["--set", "channels=3"], "channels follow the data"),
        (["--image-size", 0], "image_size must be from 16 to 256, got 0"),
        (["--seed", -1], "seed must be at least 0"),
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


def test_features_are_written_classified_and_used_again(tmp_path, capsys, monkeypatch):
    out = tmp_path / "features"
    command = ["features", "mnist", "--data", "digits", "--out", out, "--limit", 200, "--C", 1e-4, 1e-3]
    code, printed, errors = call(capsys, *command)
    assert code == 0, errors
    assert "200 training and 359 test pictures, 3,072 features each" in printed and "weighted avg" in printed
    report = json.loads((out / "report.json").read_text())
    X, y = np.load(out / "train.npy"), np.load(out / "train_labels.npy")
    assert X.shape == (200, 3_072) and set(report["validation"]) >= {"0.0001", "0.001"}
    model = features.L2SVM(C=report["C"]).fit(X, y)
    accuracy = model.score(np.load(out / "test.npy"), np.load(out / "test_labels.npy"))
    assert accuracy == pytest.approx(report["test_accuracy"], abs=0.01) and accuracy > 0.8
    assert np.trace(report["confusion"]) == round(report["test_accuracy"] * 359)
    assert report["interval"][0] < report["test_accuracy"] < report["interval"][1]

    monkeypatch.setattr(features, "discriminator_features", None)  # would fail if it were called again
    assert call(capsys, *command)[0] == 0
    code, _, errors = call(capsys, *command, "--validation", 1.5)
    assert code == 2 and "--validation must be a part between 0 and 1" in errors


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
    assert code == 2 and "holds a discriminator alone" in errors
    code, _, errors = call(capsys, "features", tmp_path / "g.safetensors", "--data", "digits", "--out", tmp_path / "f")
    assert code == 2 and "holds a generator alone" in errors
    code, printed, _ = call(capsys, "info", tmp_path / "d.safetensors")
    assert code == 0 and "generator: not in this file" in printed
