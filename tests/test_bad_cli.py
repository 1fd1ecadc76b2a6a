"""Calls of the command line that cannot be meant: each is refused with one message that names the thing.

Nothing is written, nothing is trained, and no traceback is shown. A case is a call, as a shell would split it, and what
its message must hold.
"""

import os
import shlex

import numpy as np
import pytest
from PIL import Image

from dcgan_lib import checkpoints, cli, data, models

TRAIN = "train --arch tiny32 --data digits --out new --device cpu --quiet --steps 1"
FEATURES = "features random:mnist28 --data digits --out new"
DIGITS = "1" * 30
MANY = "9" * 5000

TRAINING = [
    # numbers: one rule a field
    *[
        (f"{TRAIN} --steps {bad}", "--steps must be a whole number")
        for bad in ("0", "-1", "1.5", "nan", "inf", "''", "ten")
    ],
    *[(f"{TRAIN} --steps {bad}", "--steps must be a whole number") for bad in (DIGITS, MANY, "1e3", "0x10", "1;2")],
    *[
        (f"train --data digits --out new --epochs {bad}", "--epochs must be a number above 0")
        for bad in ("0", "-1", "nan", "inf", "1e400", "''", "two", DIGITS)
    ],
    *[(f"{TRAIN} --limit {bad}", "--limit must be a whole number of at least 1") for bad in ("0", "-5", "1.5", "all")],
    (f"{TRAIN} --limit 5000", "5,000 pictures asked for, digits (train) has 1,797"),
    *[
        (f"{TRAIN} --batch-size {bad}", "--batch-size must be a whole number")
        for bad in ("0", "1", "-3", "1.5", DIGITS)
    ],
    *[
        (f"{TRAIN} --learning-rate {bad}", "--learning-rate must be a number above 0")
        for bad in ("0", "-1", "nan", "inf")
    ],
    *[(f"{TRAIN} --beta1 {bad}", "--beta1 must be a number") for bad in ("1", "-0.1", "nan", "half")],
    *[(f"{TRAIN} --weight-decay {bad}", "--weight-decay must be a number") for bad in ("-1", "nan", "2")],
    *[(f"{TRAIN} --ema-decay {bad}", "--ema-decay must be a number") for bad in ("0", "1", "nan")],
    *[(f"{TRAIN} --seed {bad}", "--seed must be a whole number") for bad in ("-1", "1.5", str(2**63), "''")],
    *[(f"{TRAIN} --log-every {bad}", "--log-every must be a whole number") for bad in ("0", "-1")],
    *[(f"{TRAIN} --sample-every {bad}", "--sample-every must be a whole number") for bad in ("0", "none")],
    (f"{TRAIN} --keep-every 0", "--keep-every must be a whole number"),
    *[(f"{TRAIN} --checkpoint-seconds {bad}", "--checkpoint-seconds must be") for bad in ("nan", "-1", "inf", "'5 s'")],
    *[
        (f"{TRAIN} --image-size {bad}", "--image-size must be a whole number")
        for bad in ("0", "15", "257", "32.0", DIGITS)
    ],
    ("train --data digits --out new --epochs=-inf", "--epochs must be a number above 0"),
    # words
    (f"{TRAIN} --precision float16", "unknown --precision 'float16': did you mean 'bfloat16' or 'float32'"),
    (f"{TRAIN} --schedule both", "unknown --schedule 'both'"),
    (f"{TRAIN} --device gpu", "unknown device 'gpu': expected auto, cpu, cuda"),
    (f"{TRAIN} --device ''", "--device must be a name"),
    (f"{TRAIN} --device cpu:x", "unknown device 'cpu:x'"),
    (f"{TRAIN} --arch tiny31", "did you mean 'tiny32'"),
    (f"{TRAIN} --arch ''", "unknown architecture ''"),
    (f"{TRAIN} --arch $'\\x1b[31mred'", "unknown architecture '\\x1b[31mred'"),
    # data and places
    (f"{TRAIN} --data digit", "did you mean 'digits'"),
    (f"{TRAIN} --data ''", "--data must be a name or a path, got ''"),
    (f"{TRAIN} --data ' '", "--data must be a name or a path, got ' '"),
    (f"{TRAIN} --data ./nothing", "no folder, .zip or .npz at"),
    (f"{TRAIN} --data nothing.zip", "no folder, .zip or .npz at nothing.zip"),
    (f"{TRAIN} --data ./file", "expected a folder, a .zip or an .npz, got"),
    (f"{TRAIN} --data empty", "empty"),
    (f"{TRAIN} --data {'y' * 5000}", "unknown data set"),
    (f"{TRAIN} --start nothing", "nothing"),
    (f"{TRAIN} --start ''", "--start must be a name"),
    (f"{TRAIN} --start file", "file is cut short or no safetensors file"),
    (f"{TRAIN} --start mnist", "mnist"),  # of another architecture
    (f"{TRAIN} --out ''", "--out must be a name or a path, got ''"),
    (f"{TRAIN} --out file", "--out must be a folder, file is a file"),
    (f"{TRAIN} --out file/run", "file is a file, no folder"),
    (f"{TRAIN} --out {'y' * 300}", "File name too long"),
    # the architecture's fields
    (f"{TRAIN} --set latent=3", "unknown architecture field 'latent': did you mean 'latent_dim'"),
    (f"{TRAIN} --set norm", "expected --set FIELD=VALUE, e.g. latent_dim=10, got 'norm'"),
    (f"{TRAIN} --set ''", "expected --set FIELD=VALUE"),
    (f"{TRAIN} --set =3", "expected --set FIELD=VALUE"),
    (f"{TRAIN} --set latent_dim=", "--set latent_dim must be a whole number"),
    (f"{TRAIN} --set latent_dim=7 --set latent_dim=8", "--set gives latent_dim twice"),
    (f"{TRAIN} --set latent_dim=7 --set latent_dim=7", "--set gives latent_dim twice"),
    (f"{TRAIN} --set image_size=16 --image-size 16", "image_size is given twice"),
    (f"{TRAIN} --set channels=3", "channels follow the data"),
    (f"{TRAIN} --set channels=2", "channels must be 1 (grey) or 3 (RGB), got 2"),
    (f"{TRAIN} --set kernel_size=4.0", "kernel_size must be a whole number of at least 2 and of at most 9, got 4.0"),
    *[
        (f"{TRAIN} --set kernel_size={bad}", "kernel_size must be a whole number")
        for bad in ("1", "10", "true", "[4]", "'4x4'")
    ],
    *[
        (f"{TRAIN} --set latent_dim={bad}", "latent_dim must be")
        for bad in ("0", "-1", "null", DIGITS, MANY, "NaN", "1e9")
    ],
    *[(f"{TRAIN} --set strides={bad}", "strides") for bad in ("[[2],[2],[2]]", "[2,2]", "[2,2,3]", "2", "two", "[]")],
    *[
        (f"{TRAIN} --set widths={bad}", "widths")
        for bad in ("[]", "[0]", "64", "'[64,\"128\"]'", "{}", "[1.5]", "none")
    ],
    (f"{TRAIN} --set widths=[{','.join(['4'] * 17)}]", "widths must be a list of whole numbers, 0 to 16"),
    (f"{TRAIN} --set widths={'[' * 20_000}", "widths must be a list"),
    (f"{TRAIN} --set widths=[4,4,4,4,4,4]", "take fewer widths or a larger image_size"),
    *[
        (f"{TRAIN} --set norm_eps={bad}", "norm_eps must be a number")
        for bad in ("0", "-1", "NaN", "Infinity", "1e400")
    ],
    *[(f"{TRAIN} --set norm_affine={bad}", "norm_affine must be true or false") for bad in ("1", "yes", "null")],
    (f"{TRAIN} --set norm=batc", "did you mean 'batch'"),
    (f"{TRAIN} --set norm=null", "unknown --set norm None"),
    (f"{TRAIN} --set prior=gauss", "unknown --set prior 'gauss'"),
    (f"{TRAIN} --set downsample=max_pool", "an odd kernel_size, got 4"),
    (f"{TRAIN} --set dense_units=0", "dense_units must be a whole number of at least 1"),
    # the call itself
    ("train --data digits --out new --steps 3 --epochs 2", "not allowed with argument"),
    ("train --data digits", "--out"),
    ("train --out new", "--data"),
    ("train", "--data, --out"),
    (f"{TRAIN} --lerning-rate 3", "unknown option '--lerning-rate': did you mean --learning-rate"),
    (f"{TRAIN} --step 3", "unknown option '--step': did you mean --steps"),
    (f"{TRAIN} --batch_size 3", "did you mean --batch-size"),
    (f"{TRAIN} more", "unknown argument 'more'"),
    (f"{TRAIN} --steps", "--steps: expected one argument"),
    (f"{TRAIN} --quiet=yes", "--quiet"),
    ("", "COMMAND"),
    ("trian", "unknown command 'trian': did you mean 'train'"),
    ("''", "unknown command ''"),
    ("--verison", "COMMAND"),
]
OTHERS = [
    ("finish", "RUN"),
    ("finish ''", "the run must be a name or a path"),
    ("finish nothing", "no checkpoint in nothing: nothing to finish"),
    ("finish file", "file"),
    ("finish pictures", "no checkpoint in pictures"),
    ("sample", "weights"),
    ("sample ''", "weights must be a name"),
    ("sample nothing", "unknown pretrained model 'nothing'"),
    ("sample face", "did you mean 'faces'"),
    ("sample runs/mien", "no weights at runs/mien"),
    ("sample mien", "no weights at mien: did you mean the run mine?"),
    ("sample pictures", "no weights.safetensors in pictures"),
    ("sample file", "file is cut short or no safetensors file"),
    ("sample weights.pt", "no weights at weights.pt"),
    ("sample hf:only", "expected hf:owner/name"),
    ("sample d.safetensors --out new.png", "holds only a discriminator"),
    *[(f"sample faces --n {bad}", "--n must be a whole number") for bad in ("0", "-1", "1.5", "many", DIGITS)],
    *[(f"sample faces --columns {bad}", "--columns must be a whole number") for bad in ("0", "-2", "x")],
    ("sample faces --seed -1", "--seed must be a whole number"),
    ("sample faces --statistics mean", "unknown --statistics 'mean'"),
    ("sample faces --device tpu", "unknown device 'tpu'"),
    ("sample faces --out x.psd", "--out must be a sheet (.png"),
    ("sample faces --out x.txt", "--out must be a sheet (.png"),
    ("sample faces --out x.pgn", "--out must be a sheet (.png"),
    ("sample faces --out ''", "--out must be a name or a path"),
    ("sample faces --out file", "--out must be a folder, file is a file"),
    ("sample faces --out file/sheet.png", "file is a file, no folder"),
    ("sample faces --out folder.png", "--out must be a file, folder.png is a folder"),
    ("animate faces", "--out"),
    ("animate faces --out film.avi", "film.avi names no kind of film that can be written: take .gif or .mp4"),
    ("animate faces --out film", "film names no kind of film that can be written: take .gif or .mp4"),
    ("animate faces --out file/film.gif", "file is a file, no folder"),
    ("animate nothing --out film.gif", "unknown pretrained model 'nothing'"),
    ("animate run --out film.gif", "no samples/step_….png in run"),
    *[
        (f"animate run --out film.gif --{given}", f"--{given.split()[0]} is for a walk; a run's folder")
        for given in ("n 16", "points 4", "steps 12", "kind spherical", "seed 0")
    ],
    ("animate d.safetensors --out film.gif", "holds only a discriminator"),
    *[(f"animate faces --out film.gif --{o} 0", f"--{o} must be a whole") for o in ("n", "points", "steps", "columns")],
    *[
        (f"animate faces --out film.gif --milliseconds {bad}", "--milliseconds must be a whole number of at least 20")
        for bad in ("nan", "19", "100000")
    ],
    ("animate faces --out film.gif --kind round", "unknown --kind 'round'"),
    ("features random:mnist28 --data digits", "--out"),
    ("features random:mnist27 --data digits --out new", "did you mean 'mnist28'"),
    ("features random: --data digits --out new", "unknown architecture ''"),
    ("features g.safetensors --data digits --out new", "holds only a generator"),
    ("features nothing --data digits --out new", "unknown pretrained model 'nothing'"),
    (f"{FEATURES} --data pictures", "has no labels"),
    (f"{FEATURES} --data ./nothing", "no folder, .zip or .npz at"),
    (f"{FEATURES} --out file", "--out must be a folder, file is a file"),
    (f"{FEATURES} --data bad.npz", "bad.npz"),
    *[(f"{FEATURES} --limit {bad}", "--limit must be a whole number of at least 2") for bad in ("-5", "0", "1", "x")],
    (f"{FEATURES} --limit 9999", "9,999 pictures asked for"),
    *[(f"{FEATURES} --validation {bad}", "--validation must be a number") for bad in ("0", "1", "1.5", "-1", "nan")],
    *[(f"{FEATURES} --C {bad}", "--C must be a number above 0") for bad in ("0", "-1", "nan", "inf", "1e-3 x")],
    (f"{FEATURES} --C", "--C: expected at least one argument"),
    (f"{FEATURES} --seed -1", "--seed must be a whole number"),
    (f"{FEATURES} --storage float16", "unknown --storage 'float16'"),
    (f"{FEATURES} --precision half", "unknown --precision 'half'"),
    (f"{FEATURES} --statistics batch", "unknown --statistics 'batch'"),
    (f"{FEATURES} --device tpu", "unknown device 'tpu'"),
    ("export", "format, weights, --out"),
    ("export tensorflow faces --out new", "unknown format 'tensorflow'"),
    ("export lab nothing --out new", "unknown pretrained model 'nothing'"),
    ("export lab d.safetensors --out new", "holds only a discriminator"),
    ("export lab faces --out file", "--out must be a folder, file is a file"),
    ("export lab faces --out page.html", "--out must be a folder, in which the lab's index.html"),
    ("export onnx faces --out folder.png", "--out must be a file, folder.png is a folder"),
    ("export onnx faces --out file/x.onnx", "file is a file, no folder"),
    ("export onnx faces --out g.safetensors", "--out must be an .onnx, got 'g.safetensors'"),
    ("export lab faces --out page", "page is no lab and holds index.html, which the lab would replace"),
    ("sample faces --out made --n 9", "made/000003.png is there already: no picture is replaced, name another folder"),
    *[
        (f"export onnx faces --out x.onnx --{given}", f"--{given.split()[0]} is for the lab")
        for given in ("also mnist", "title x", "first 7")
    ],
    ("info", "name"),
    ("info ''", "name must be a name"),
    ("info papr64", "did you mean 'paper64'"),
    ("info runs/mien", "no weights at runs/mien"),
    ("info file", "file is cut short or no safetensors file"),
    ("info paper64 --jsno", "did you mean --json"),
    ("models --jsno", "did you mean --json"),
    ("models faces", "unknown argument 'faces'"),
    ("data ''", "name must be a name"),
    *[
        (f"data --{given}", f"--{given.split()[0]} needs a data set: its name")
        for given in ("preview p.png", "limit 3", "verify", "split test", "image-size 32", "seed 0", "verify --json")
    ],
    ("data nothing", "unknown data set"),
    ("data ./nothing", "no folder, .zip or .npz at"),
    ("data bad.npz", "bad.npz"),
    ("data cifar10 --split tset", "did you mean 'test'"),
    ("data pictures --split test", "one split, 'train', got 'test'"),
    ("data digits --split ''", "--split must be a name"),
    *[(f"data digits --limit {bad}", "--limit must be a whole number") for bad in ("-5", "0", "x")],
    ("data digits --seed 3", "--seed draws the pictures of --limit"),
    ("data digits --limit 99999", "99,999 pictures asked for"),
    *[(f"data digits --image-size {bad}", "--image-size must be a whole number") for bad in ("0", "5000", "x")],
    ("data digits --preview x.psd", "--preview must be a picture"),
    ("data digits --preview x", "--preview must be a picture"),
    ("data digits --preview folder.png", "--preview must be a file, folder.png is a folder"),
    ("data digits --preview file/x.png", "file is a file, no folder"),
    ("data pictures --preview pictures/sheet.png", "lies among the pictures of pictures"),
    ("data pictures --preview pictures/../pictures/a/sheet.png", "lies among the pictures of pictures"),
    ("completion", "shell"),
    ("completion elvish", "unknown shell 'elvish'"),
]


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """Folders and files that calls may name; no call may change them."""
    here = tmp_path_factory.mktemp("things")
    (here / "file").write_text("not a folder")
    for name in ("empty", "folder.png", "run", "pictures"):
        (here / name).mkdir()
    (here / "run" / "run.json").write_text("{}")
    for name in ("page/index.html", "made/000003.png"):
        (here / name).parent.mkdir()
        (here / name).write_text("mine")
    for i in range(3):
        Image.fromarray(np.full((40, 40, 3), 80 * i, np.uint8)).save(here / "pictures" / f"{i}.png")
    (here / "bad.npz").write_bytes(b"PK\x03\x04 no zip")
    generator, discriminator = models.build("tiny32", seed=0)
    checkpoints.save(here / "d.safetensors", None, discriminator)
    checkpoints.save(here / "mine" / checkpoints.FILE, generator, None)
    checkpoints.save(here / "g.safetensors", generator, None)
    return here


@pytest.fixture(scope="module")
def cache(things, tmp_path_factory):
    """With the sets that calls name, so that no progress bar of theirs is among the messages."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_CACHE", str(folder))
        for name, size, channels in (("digits", 32, 1), ("digits", 28, 1), (things / "pictures", 28, 1)):
            data.load(name, size, channels)
    return folder


def tree(folder):
    return sorted((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*"))


@pytest.mark.parametrize(("line", "message"), TRAINING + OTHERS, ids=lambda value: value[:70])
def test_refused_in_words(things, cache, monkeypatch, capsys, line, message):
    monkeypatch.chdir(things)
    monkeypatch.setenv("DCGAN_CACHE", str(cache))
    before = tree(things)
    code = cli.main(shlex.split(line.replace("$'\\x1b", "'\x1b")))
    captured = capsys.readouterr()
    assert code == 2 and message in captured.err, captured.err
    assert captured.err.startswith("dcgan") and "Traceback" not in captured.err and "\x1b" not in captured.err
    assert captured.err.count("\n") <= 2 and len(captured.err) < 1500, captured.err
    assert captured.out == "" and tree(things) == before


def test_the_table_is_large_and_has_no_case_twice():
    lines = [line for line, _ in TRAINING + OTHERS]
    assert len(lines) == len(set(lines)) >= 250


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(things, monkeypatch, capsys, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    assert cli.main(["sample", "mnist", "--out", str(tmp_path / "closed" / "x.png")]) == 2
    assert "no permission to write in" in capsys.readouterr().err


def test_no_permission_is_said_before_anything_is_computed(tmp_path, capsys, monkeypatch):
    """As the system would answer someone who is not root."""
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(tmp_path))
    for call in ("train --arch tiny32 --data digits", "sample mnist", "features random:mnist28 --data digits"):
        assert cli.main([*call.split(), "--out", str(tmp_path / "new")]) == 2
        assert f"no permission to write in {tmp_path}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_run_inside_its_own_pictures_goes_on(things, tmp_path, monkeypatch, capsys):
    """--out inside --data: the run's pictures are not taken for data, so the second call sees the same set."""
    for i in range(8):
        Image.fromarray(np.full((40, 40, 3), 30 * i, np.uint8)).save(tmp_path / f"{i}.png")
    call = f"train --arch tiny32 --set widths=[4,4,4] --batch-size 2 --device cpu --quiet --data {tmp_path} "
    assert cli.main([*call.split(), "--out", str(tmp_path / "runs" / "a"), "--steps", "1"]) == 0
    assert cli.main([*call.split(), "--out", str(tmp_path / "runs" / "a"), "--steps", "2", "--extend"]) == 0
    assert "2 steps" in capsys.readouterr().out
