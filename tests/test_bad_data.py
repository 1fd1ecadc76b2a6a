"""Bad data and faults while it is read: each ends in one error or warning that names it, and nothing from it runs."""

import errno
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcgan_lib import data
from dcgan_lib.data import cache, npz, sources

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (6, 64, 64, 3), np.uint8)


class Payload:
    """What pickle would run: it leaves a file where one stands."""

    def __reduce__(self):
        return (exec, ("open('ran', 'w')",))


PAYLOAD = pickle.dumps(Payload())


def encoded(image=X[0], kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def folder(path, n=3):
    path.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        (path / f"{i}.png").write_bytes(encoded(X[i]))
    return path


def caches():
    root = cache.cache_root() / "images"
    return [p for p in root.iterdir() if p.is_dir()] if root.exists() else []


# Nothing runs


def cifar(root, name, value=None, raw=None):
    """CIFAR's files with one of them replaced."""
    ten = name in ("data_batch_3", "batches.meta", "test_batch")
    place = root / ("cifar-10-batches-py" if ten else "cifar-100-python")
    place.mkdir(parents=True)
    batch = {"data": X.reshape(-1)[: 2 * 3072].reshape(2, 3072), "labels": [0, 1], "fine_labels": [0, 1]}
    files = (
        {f"data_batch_{k}": batch for k in range(1, 6)} | {"test_batch": batch}
        if ten
        else dict(train=batch, test=batch)
    )
    files |= {"batches.meta": {"label_names": ["a", "b"]}} if ten else {"meta": {"fine_label_names": ["a", "b"]}}
    for file, held in files.items():
        (place / file).write_bytes(pickle.dumps(held))
    (place / name).write_bytes(pickle.dumps(value) if raw is None else raw)
    return data.load(
        "cifar10" if ten else "cifar100", root=root, split="test" if "test" in name else "train", download=False
    )


def written(path, raw):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return path


def planted_npz(p, **arrays):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.savez(p / "a.npz", **{"images": X, **arrays})
    return data.load(p / "a.npz")


def planted_zip(p):
    with zipfile.ZipFile(p / "a.zip", "w") as z:
        z.writestr("a.png", PAYLOAD)
    return data.load(p / "a.zip")


def planted_lmdb(p):
    import lmdb

    (p / "lsun").mkdir()
    with lmdb.open(str(p / "lsun" / "bedroom_train_lmdb"), map_size=2**20) as database, database.begin(write=True) as t:
        t.put(b"a", PAYLOAD)
    for place in (p, p / "lsun"):  # torchvision's reader would unpickle a list of keys from here
        for name in ("_cache_bedroomtrainlmdb", "_cache_lsunbedroomtrainlmdb"):
            (place / name).write_bytes(PAYLOAD)
    return data.load("lsun_bedroom", root=p, download=False)


def planted_cache(p):
    first = data.load(folder(p / "mine")).fingerprint
    (where,) = caches()
    for name in ("extras.npz", "about.json"):
        (where / name).write_bytes(PAYLOAD)
    for memo in (cache.cache_root() / "keys").glob("*"):
        memo.write_bytes(PAYLOAD)
    assert data.load(p / "mine").fingerprint == first
    raise ValueError("built again")


PLANTED = {
    "cifar10 batch": lambda p: cifar(p, "data_batch_3", raw=PAYLOAD),
    "cifar10 test batch": lambda p: cifar(p, "test_batch", raw=PAYLOAD),
    "cifar10 names": lambda p: cifar(p, "batches.meta", raw=PAYLOAD),
    "cifar10 payload inside a dict": lambda p: cifar(p, "data_batch_3", {"data": Payload(), "labels": [0, 1]}),
    "cifar10 payload as a label": lambda p: cifar(p, "data_batch_3", {"data": X[0, 0], "labels": [Payload()]}),
    "cifar10 old protocol": lambda p: cifar(p, "data_batch_3", raw=pickle.dumps(Payload(), 0)),
    "cifar10 getattr": lambda p: cifar(p, "data_batch_3", raw=b"cbuiltins\ngetattr\n(cos\nsystem\nS'x'\ntR."),
    "cifar10 dotted name": lambda p: cifar(p, "data_batch_3", raw=b"\x80\x04\x8c\x05numpy\x8c\x07os.open\x93."),
    "cifar100 train": lambda p: cifar(p, "train", raw=PAYLOAD),
    "cifar100 names": lambda p: cifar(p, "meta", raw=PAYLOAD),
    "mnist as an old .pt": lambda p: (
        written(p / "MNIST" / "processed" / "training.pt", PAYLOAD),
        written(p / "MNIST" / "processed" / "test.pt", PAYLOAD),
        written(p / "MNIST" / "raw" / "train-images-idx3-ubyte", PAYLOAD),
        data.load("mnist", root=p, download=False),
    ),
    "mnist idx": lambda p: (
        *(
            written(p / "MNIST" / "raw" / f"{s}-ubyte", PAYLOAD)
            for s in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
        ),
        data.load("mnist", root=p, download=False),
    ),
    "svhn .mat": lambda p: (
        written(p / "svhn" / "train_32x32.mat", PAYLOAD),
        data.load("svhn", root=p, download=False),
    ),
    "stl10 binaries": lambda p: (
        written(p / "stl10_binary" / "train_X.bin", PAYLOAD),
        written(p / "stl10_binary" / "train_y.bin", PAYLOAD),
        data.load("stl10", root=p, download=False),
    ),
    ".npz pictures": lambda p: planted_npz(p, images=np.array([Payload()], object)),
    ".npz labels": lambda p: planted_npz(p, labels=np.array([Payload()] * 6, object)),
    ".npz names": lambda p: planted_npz(p, class_names=np.array([Payload()] * 6, object)),
    ".npz extras": lambda p: planted_npz(p, more=np.array([Payload()] * 6, object)),
    ".npz that is a pickle": lambda p: data.load(written(p / "a.npz", PAYLOAD)),
    ".zip member": planted_zip,
    ".zip that is a pickle": lambda p: data.load(written(p / "a.zip", PAYLOAD)),
    "picture": lambda p: data.load(written(p / "d" / "a.png", PAYLOAD).parent),
    "lmdb": planted_lmdb,
    "celeba's table": lambda p: (
        folder(p / "celeba" / "img_align_celeba"),
        written(p / "celeba" / "list_attr_celeba.txt", PAYLOAD),
        data.load("celeba", root=p, download=False),
    ),
    "tinyimagenet's lists": lambda p: (
        written(p / "tiny-imagenet-200" / "train" / "n1" / "images" / "a.JPEG", encoded()),
        written(p / "tiny-imagenet-200" / "wnids.txt", PAYLOAD),
        data.load("tinyimagenet", root=p, download=False),
    ),
    "the cache": planted_cache,
    "the hub's script": lambda p: (
        written(p / "set" / "set.py", b"open('ran', 'w')"),
        sources.hub(
            "set", data.Card("", "", "", "", "", 64, hub=data.cards.Hub(str(p / "set"), {"train": "train"})), "train"
        ),
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PLANTED)
def test_nothing_from_data_runs(name, tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    with pytest.raises((ValueError, data.NotAvailable)):
        PLANTED[name](tmp_path)
    assert not list(here.iterdir())


def test_the_payload_would_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(PAYLOAD)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".gif", ".eps"])
@pytest.mark.parametrize("how", ["folder", "zip"])
def test_postscript_starts_no_program(tmp_path, monkeypatch, suffix, how):
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("Ghostscript was started"))
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was started"))
    raw = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n0 0 8 8 rectfill\n%%EOF\n"
    place = folder(tmp_path / "mine", 1)
    (place / f"evil{suffix}").write_bytes(raw)
    if how == "zip":
        place = tmp_path / "mine.zip"
        with zipfile.ZipFile(place, "w") as z:
            for f in (tmp_path / "mine").iterdir():
                z.write(f, f.name)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        images = data.load(place)
    assert len(images) == 1
    assert [str(w.message) for w in said if f"evil{suffix}" in str(w.message)] or suffix == ".eps"


# CIFAR's files


BATCH = {"data": X.reshape(-1)[: 2 * 3072].reshape(2, 3072), "labels": [0, 1]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "expected a dict, got list"),
        ({}, r"expected data as uint8 \(N, 3072\), got NoneType"),
        (BATCH | {"data": BATCH["data"].astype(np.float32)}, "an array of something else than bytes"),
        (BATCH | {"data": np.zeros((2, 100), np.uint8)}, r"got \(2, 100\)"),
        (BATCH | {"labels": [0]}, "expected a list of 2 whole numbers as labels"),
        (BATCH | {"labels": ["a", "b"]}, "expected a list of 2 whole numbers as labels"),
        (BATCH | {"labels": [0, -1]}, "expected labels from 0, found -1"),
        (BATCH | {"labels": [0, 2]}, "label 2 has no name: class_names has 2"),
    ],
)
def test_cifar_batches(tmp_path, value, message):
    with pytest.raises(ValueError, match=message):
        cifar(tmp_path, "data_batch_3", value)


@pytest.mark.filterwarnings("ignore:.*official files")
@pytest.mark.parametrize("protocol", range(6))
def test_cifar_in_each_protocol(tmp_path, protocol):
    loaded = cifar(tmp_path, "test_batch", raw=pickle.dumps(BATCH, protocol))
    np.testing.assert_array_equal(loaded.images, BATCH["data"].reshape(2, 3, 32, 32).transpose(0, 2, 3, 1))


@pytest.mark.filterwarnings("ignore:.*official files")
def test_cifar_as_python_2_wrote_it(tmp_path):
    """The official files: protocol 2, bytes as Python 2's strings."""
    raw = bytes(BATCH["data"])
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I2\nI3072\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\n"
        b"T" + len(raw).to_bytes(4, "little") + raw + b"tb"
    )
    loaded = cifar(tmp_path, "test_batch", raw=b"\x80\x02}(S'data'\n" + array + b"S'labels'\n(lp1\nI1\naI0\nau.")
    np.testing.assert_array_equal(loaded.images, BATCH["data"].reshape(2, 3, 32, 32).transpose(0, 2, 3, 1))
    assert loaded.labels.tolist() == [1, 0]


def test_cifar_cut(tmp_path):
    with pytest.raises(ValueError, match=r"data_batch_3 cannot be read"):
        cifar(tmp_path, "data_batch_3", raw=pickle.dumps(BATCH)[:1000])


# .npz


def member(p, name, header, body=b"\0" * 16):
    """An .npz with pictures and one member of its own making."""
    with zipfile.ZipFile(p / "a.npz", "w") as z:
        if name != "images":
            with z.open("images.npy", "w") as f:
                np.save(f, X)
        raw = header.encode() if isinstance(header, str) else header
        z.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + body)
    return data.load(p / "a.npz")


def head(shape, kind="|u1"):
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n"


def flipped(p):
    np.savez(p / "a.npz", images=X, labels=np.arange(6))
    raw = bytearray((p / "a.npz").read_bytes())
    raw[2000] ^= 1
    (p / "a.npz").write_bytes(raw)
    return data.load(p / "a.npz")


def encrypted(p):
    np.savez(p / "a.npz", images=X)
    raw = bytearray((p / "a.npz").read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + flags] |= 1
    (p / "a.npz").write_bytes(raw)
    return data.load(p / "a.npz")


def bombed(p, monkeypatch, kind="npz"):
    monkeypatch.setattr(npz, "BOMB_BYTES", 2**20)
    if kind == "npz":
        np.savez_compressed(p / "a.npz", images=np.zeros((30, 256, 256, 3), np.uint8))
        return data.load(p / "a.npz")
    with zipfile.ZipFile(p / "a.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("a.png", b"\0" * 2**22)
    return data.load(p / "a.zip")


ARRAYS = {
    "nothing": ({"images": None, "other": X}, "has no 'train' pictures: expected x_train or images, found other"),
    "floats": ({"images": X / 255.0}, "images as uint8 .* got float64"),
    "16 bits": ({"images": X.astype(np.uint16)}, "images as uint8 .* got uint16"),
    "channels first": ({"images": X.transpose(0, 3, 1, 2)}, r"images as uint8 .*\(6, 3, 64, 64\)"),
    "one picture": ({"images": X[0, ..., 0]}, r"images as uint8 .*\(64, 64\)"),
    "four channels": ({"images": X.repeat(2, -1)[..., :4]}, r"images as uint8 .*\(6, 64, 64, 4\)"),
    "a number": ({"images": np.uint8(3)}, r"images as uint8 .*\(\)"),
    "no pictures": ({"images": X[:0]}, r"images \(0, 64, 64, 3\) holds no pictures"),
    "pictures of no height": ({"images": X[:, :0]}, r"images \(6, 0, 64, 3\) holds no pictures"),
    "labels too few": ({"labels": np.arange(5)}, r"labels: .* for each of the 6 .*got int64 \(5,\)"),
    "labels too many": ({"labels": np.arange(7)}, r"labels: .*got int64 \(7,\)"),
    "labels as strings": ({"labels": np.array(list("abcdef"))}, r"labels: .*got <U1 \(6,\)"),
    "labels as floats": ({"labels": np.arange(6.0)}, r"labels: .*got float64"),
    "labels as columns": ({"labels": np.eye(6, dtype=int)}, r"labels: .*got int64 \(6, 6\)"),
    "one label": ({"labels": np.int64(3)}, r"labels: .*got int64 \(\)"),
    "labels as truth": ({"labels": np.arange(6) > 2}, "labels: .*got bool"),
    "negative labels": ({"labels": np.arange(6) - 1}, "labels: expected labels from 0, found -1"),
    "absurd labels": ({"labels": np.arange(6) + 2**40}, "labels: label .* is absurd"),
    "y of another length": ({"y": np.arange(5)}, r"y: expected .*got int64 \(5,\)"),
    "too few names": (
        {"labels": np.arange(6), "class_names": np.array(["a", "b"])},
        "labels: label 5 has no name: class_names has 2",
    ),
    "names as numbers": ({"labels": np.arange(6), "class_names": np.arange(6)}, "class_names: expected strings"),
    "one name": ({"labels": np.arange(6), "class_names": np.array("a")}, "class_names: expected strings"),
    "attributes too few": ({"attributes": np.zeros((5, 2), int)}, r"attributes: expected 0 or 1 as \(6, A\)"),
    "attributes flat": ({"attributes": np.zeros(6, int)}, r"attributes: expected 0 or 1 as \(6, A\)"),
    "attributes as floats": ({"attributes": np.zeros((6, 2))}, "attributes: expected 0 or 1"),
    "attributes of -1": ({"attributes": np.full((6, 2), -1)}, "attributes: expected 0 or 1, found others"),
    "attribute names": (
        {"attributes": np.zeros((6, 2), int), "attribute_names": np.array(["a"])},
        "attribute_names has 1 names for 2 columns",
    ),
    "an object": ({"images": np.array([1, "a"], object)}, "images holds Python objects"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_npz_arrays(tmp_path, name):
    arrays, message = ARRAYS[name]
    held = {k: v for k, v in ({"images": X} | arrays).items() if v is not None}
    for form in (held, {{"images": "x_train", "labels": "y_train"}.get(k, k): v for k, v in held.items()}):
        np.savez(tmp_path / "a.npz", **form)
        for _ in range(2):  # the second time says the same
            with pytest.raises(
                ValueError,
                match=message.replace("images", "(images|x_train)").replace("labels: ", "(labels|y_train): "),
            ) as caught:
                data.load(tmp_path / "a.npz")
            assert str(tmp_path / "a.npz") in str(caught.value)
        assert not caches()


FILES = {
    "more than there is": (
        lambda p: member(p, "images", head((6, 64, 64, 3))),
        r"images says that it is uint8 \(6, 64, 64, 3\) but holds 16 bytes",
    ),
    "absurd": (lambda p: member(p, "images", head((2**40, 64, 64, 3))), "images says that it is"),
    "beyond 64 bits": (lambda p: member(p, "images", head((2**70, 2**70))), "images says that it is"),
    "negative": (lambda p: member(p, "images", head((-1, 64, 64))), "images says that it is"),
    "fractional": (lambda p: member(p, "images", head((1.5, 4))), "images is no whole numpy array"),
    "no tuple": (lambda p: member(p, "images", head("'x'")), "images is no whole numpy array"),
    "code for a header": (lambda p: member(p, "images", "__import__('os').system('x')\n"), "images is no whole"),
    "deep header": (lambda p: member(p, "images", "(" * 5000 + "\n"), "images is no whole numpy array"),
    "long header": (lambda p: member(p, "images", head((1,)) + " " * 60000), "images is no whole numpy array"),
    "no header": (lambda p: member(p, "images", b"\xff\xfe\0\0"), "images is no whole numpy array"),
    "unknown type": (lambda p: member(p, "images", head((4, 2, 2), "|z9")), "images is no whole numpy array"),
    "absurd labels": (lambda p: member(p, "labels", head((2**40,), "<i8")), "labels says that it is int64"),
    "absurd extras": (lambda p: member(p, "more", head((2**40,), "<i8")), "more says that it is int64"),
    "absurd names": (lambda p: member(p, "class_names", head((2,), "<U9999999")), "class_names says that it is"),
    "names beyond a type": (lambda p: member(p, "class_names", head((2,), "<U999999999")), "class_names is no whole"),
    "escapes in a key": (lambda p: member(p, "a\x1b[31m", head((9,), "<i8")), r"a\\x1b\[31m says that it is"),
    "a flipped bit": (flipped, "a.npz is damaged: images"),
    "encrypted": (encrypted, "is encrypted"),
    "text": (lambda p: data.load(written(p / "a.npz", b"hello")), "is not a whole zip file"),
    "empty": (lambda p: data.load(written(p / "a.npz", b"")), "is not a whole zip file"),
    "an empty zip": (lambda p: data.load(written(p / "a.npz", b"PK\x05\x06" + b"\0" * 18)), "found nothing"),
    "a .npy": (
        lambda p: (np.save(p / "a.npy", X), (p / "a.npy").rename(p / "a.npz"), data.load(p / "a.npz")),
        "is not a whole zip",
    ),
    "another split": (lambda p: (np.savez(p / "a.npz", images=X), data.load(p / "a.npz", split="test")), "has no"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_npz_files(tmp_path, name):
    make, message = FILES[name]
    with pytest.raises(ValueError, match=message) as caught:
        make(tmp_path)
    assert "a.npz" in str(caught.value) and "\x1b" not in str(caught.value)
    assert not caches()


@pytest.mark.parametrize("kind", ["npz", "zip"])
def test_bombs_are_not_unpacked(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(ValueError, match="would unpack to"):
        bombed(tmp_path, monkeypatch, kind)


def test_a_damaged_prepared_file_is_an_error_not_a_download(tmp_path):
    (tmp_path / "cifar10.npz").write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"cifar10.npz is not a whole zip file"):
        data.load("cifar10", root=tmp_path)


# Pictures


def raw_png(width, height):
    """A PNG that says it is this large."""
    import struct
    import zlib

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


PICTURES = {
    "empty.png": b"",
    "text.jpg": b"hello",
    "cut.png": encoded()[:500],
    "cut.jpg": encoded(kind="JPEG")[:300],
    "bomb.png": raw_png(60000, 60000),
    "none.png": raw_png(0, 0),
    "short.png": raw_png(64, 64),
    "header.bmp": encoded(kind="BMP")[:30],
    "cut.webp": encoded(kind="WEBP")[:60],
    "cut.gif": encoded(X[0, ..., 0], "GIF")[:20],
    "cut.tiff": encoded(kind="TIFF")[:100],
    "absurd.ppm": b"P6 99999999999 9 255\n",
    "word.ppm": b"P6 abc 9 255\n",
    "deep.tif": encoded(np.ones((8, 8), np.float32), "TIFF"),
    "other.png": encoded(kind="ICO", sizes=[(16, 16)]),
    "psd.jpg": b"8BPS" + b"\0" * 100,
    "name\x1b[31m\n.png": b"bad",
    "name\udce9.png": b"bad",
    "ba[d]*.png": b"bad",
}


@pytest.mark.parametrize("name", PICTURES)
def test_damaged_pictures_are_named(tmp_path, name):
    folder(tmp_path / "mine", 2)
    Path(os.fsdecode(tmp_path / "mine" / name)).write_bytes(PICTURES[name])
    for _ in range(2):  # said again from the cache
        with pytest.warns(UserWarning, match="1 of 3 pictures could not be read: ") as said:
            images = data.load(tmp_path / "mine")
        (text,) = (str(w.message) for w in said if "pictures" in str(w.message))  # PIL has its own
        assert ascii(name)[1:-1] in text and text.isprintable()
        assert len(images) == 2 and len(images.damaged) == 1
    assert len(caches()) == 1


NAMES = ["ü", "\udce9", "a" * 200, "[abc]", "*", "a\nb", "\x1b[31m", "-", "a b", "x..", "名" * 60, "%s{0}"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_of_folders_and_classes(tmp_path, name):
    place = tmp_path / name
    folder(place / name), folder(place / "zzz", 2)
    images = data.load(place)
    assert len(images) == 5 and images.name.isprintable() and all(c.isprintable() for c in images.class_names)
    assert sorted(np.bincount(images.labels)) == [2, 3]
    (where,) = caches()
    (where / "images.uint8").write_bytes(b"")
    part = where.with_name(where.name + ".part-left")  # of a killed process
    part.mkdir()
    with pytest.warns(UserWarning, match="incomplete"):
        again = data.load(place)
    assert again.fingerprint == images.fingerprint and not part.exists()


# What is left out


def test_what_is_left_out_is_said(tmp_path):
    mine = folder(tmp_path / "mine", 2)
    (mine / "a.avif").write_bytes(b"x"), (mine / "b.HEIC").write_bytes(b"x"), (mine / "c.heic").write_bytes(b"x")
    folder(tmp_path / "elsewhere")
    (mine / "linked").symlink_to(tmp_path / "elsewhere")
    (mine / "gone.png").symlink_to(tmp_path / "nothing")
    os.mkfifo(mine / "pipe.png")  # to open it would wait for ever
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert len(data.load(mine)) == 2
    text = "\n".join(str(w.message) for w in said)
    assert "1 (.avif), 2 (.heic), 2 (a link to nothing or no file)" in text
    assert "1 folders are links, which are not followed, their pictures are left out: linked" in text
    (mine / "0.png").unlink(), (mine / "1.png").unlink()
    with pytest.raises(ValueError, match=r"no pictures in .*2 \(\.heic\).*linked") as refused:
        data.load(mine)
    assert str(refused.value).count(".tiff") == 1


def test_a_folder_without_pictures_says_what_it_saw(tmp_path):
    for name in ("a.zip", "b.txt", "c.txt", "d"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(
        ValueError, match=r"no pict.*; there are 2 \(.txt\), 1 \(.zip\), 1 \(no suffix\): unpack a .zip"
    ):
        data.load(tmp_path)


def test_more_names_of_jpegs_are_read(tmp_path):
    for name in ("a.jpe", "b.JFIF"):
        (tmp_path / name).write_bytes(encoded(kind="JPEG"))
    assert data.load(tmp_path).files == ("a.jpe", "b.JFIF")


def test_pictures_beside_class_folders_are_said(tmp_path):
    folder(tmp_path / "cats"), folder(tmp_path / "dogs")
    written(tmp_path / "stray.png", encoded())
    said = r"1 picture lies beside the class folders \(cats, dogs\), so there are no classes: stray.png"
    with pytest.warns(UserWarning, match=said):
        assert data.load(tmp_path).labels is None
    folder(tmp_path, 6)  # as many as in the folders: these are no classes
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.load(tmp_path)


def test_16_bit_pictures_of_12_bits_are_said(tmp_path):
    values = np.linspace(0, 4095, 64 * 64).reshape(64, 64).astype(np.uint16)
    written(tmp_path / "deep.png", encoded(values))
    for _ in range(2):  # also of what the cache has already
        with pytest.warns(UserWarning, match="use 12 of 16 bits and become nearly black: stretch them first") as found:
            images = data.load(tmp_path)
    assert images.images.max() == 15 and found[0].filename == __file__, "the warning points at the caller's line"
    written(tmp_path / "full.png", encoded(values * 16))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.load(tmp_path)


def test_hidden_files_are_no_pictures(tmp_path):
    mine = folder(tmp_path / "mine", 2)
    for place in (
        mine / "._0.png",
        mine / ".x.png",
        mine / ".thumbnails" / "1.png",
        mine / ".ipynb_checkpoints" / "2.png",
    ):
        written(place, b"no picture")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
        for f in mine.rglob("*.png"):
            z.write(f, f.relative_to(mine))
    for place in (mine, tmp_path / "a.zip"):
        images = data.load(place)
        assert len(images) == 2 and not images.damaged and images.labels is None


def test_a_run_inside_the_data_hides_none_of_them(tmp_path):
    """`dcgan train --data mine --out mine`, or `--out mine/cats`: the second call sees what the first one saw."""
    mine = tmp_path / "mine"
    folder(mine / "cats"), folder(mine / "dogs", 2)
    before = data.load(mine)
    for run in (mine, mine / "cats", mine / "run"):
        written(run / "run.json", b"{}")
        written(run / "samples" / "step_0000001.png", encoded(X[5]))
        written(run / "sheet.png", encoded(X[5]))
        assert data.load(mine).fingerprint == before.fingerprint
    assert data.load(mine).class_names == ["cats", "dogs"]


def test_a_class_called_samples_stays_beside_a_run(tmp_path):
    folder(tmp_path / "samples"), folder(tmp_path / "others", 2)
    written(tmp_path / "run.json", b"{}"), written(tmp_path / "samples" / "step_0000001.png", encoded(X[5]))
    images = data.load(tmp_path)
    assert len(images) == 5 and images.class_names == ["others", "samples"]


def test_classes_are_sorted_and_keep_their_numbers(tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    for name in ("b", "a10", "a9", "B"):
        written(mine / name / "x.png", encoded())
    walk = os.walk

    def backwards(*args, **kwargs):
        for here, folders, files in walk(*args, **kwargs):
            folders.sort(reverse=True)
            yield here, folders, files

    monkeypatch.setattr(os, "walk", backwards)  # the order of a disk means nothing
    images = data.load(mine)
    assert images.class_names == ["B", "a10", "a9", "b"] and images.labels.tolist() == [0, 1, 2, 3]


def denied(monkeypatch, name):
    """Files of this name may not be opened: as root nothing else says no."""
    real = Path.open

    def opened(self, *args, **kwargs):
        if self.name == name:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opened)


def test_a_picture_without_permission_is_left_out_and_not_remembered(tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    folder(mine / "cats", 1), folder(mine / "dogs", 2)
    monkeypatch.setattr(cache.time, "time_ns", lambda: 2**62)  # the files have long been at rest
    with monkeypatch.context() as m:
        denied(m, "0.png")
        for _ in range(2):
            with pytest.warns(UserWarning, match=r"2 of 3 pictures could not be read: cats/0.png \(no permission"):
                images = data.load(mine)
            assert len(images) == 1 and images.damaged[1].startswith("dogs/0.png")
            assert images.class_names == ["cats", "dogs"] and images.labels.tolist() == [1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data.load(mine).labels.tolist() == [0, 1, 1]
    with monkeypatch.context() as m, pytest.raises(ValueError, match=r"none of the 1 pictures .*no permission"):
        denied(m, "0.png")
        data.load(mine / "cats")


def test_a_folder_without_permission_is_said(tmp_path, monkeypatch):
    mine = folder(tmp_path / "mine", 2)
    folder(mine / "closed")
    walk = os.walk

    def closed(top, onerror=None, **kwargs):
        for here, folders, files in walk(top, **kwargs):
            if str(here).endswith("closed"):
                onerror(PermissionError(errno.EACCES, "Permission denied", str(here)))
                continue
            yield here, folders, files

    monkeypatch.setattr(os, "walk", closed)
    with pytest.warns(UserWarning, match="1 folders may not be read, their pictures are left out: closed"):
        assert len(data.load(mine)) == 2


# Faults of the machine are not damage


def fails(kind):
    def decode(picture, size, channels):
        raise kind

    return decode


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ESTALE, "Stale file handle"),
        OSError(errno.EMFILE, "Too many open files"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        PermissionError(errno.EACCES, "Permission denied"),
        MemoryError(),
    ],
    ids=repr,
)
def test_faults_of_the_machine_end_the_build_and_are_forgotten(tmp_path, monkeypatch, fault):
    mine = folder(tmp_path / "mine")
    real, seen = cache.decode, []

    def once(picture, *rest):
        seen.append(picture)
        if len(seen) == 2:
            raise fault
        return real(picture, *rest)

    with monkeypatch.context() as m:
        m.setattr(cache, "decode", once)
        with pytest.raises(cache.ReadFault, match=r"\d.png of mine could not be read .*: load again"):
            data.load(mine)
    assert not caches() and not list((cache.cache_root() / "images").glob("*part*"))
    assert len(data.load(mine)) == 3


def test_a_folder_that_goes_away_while_it_is_read(tmp_path, monkeypatch):
    mine = folder(tmp_path / "mine", 5)
    real = cache.decode

    def away(*args):
        if mine.exists():
            mine.rename(tmp_path / "away")
        return real(*args)

    with monkeypatch.context() as m:
        m.setattr(cache, "decode", away)
        with pytest.raises(OSError, match="load again"):
            data.load(mine)
    (tmp_path / "away").rename(mine)
    assert len(data.load(mine)) == 5 and len(caches()) == 1


@pytest.mark.parametrize("kind", ["folder", "zip", "npz"])
def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch, kind):
    mine = folder(tmp_path / "mine")
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
            z.write(mine / "0.png", "0.png")
    np.savez(tmp_path / "a.npz", images=X)
    path = mine if kind == "folder" else tmp_path / f"a.{kind}"
    file = mine / "1.png" if kind == "folder" else path
    real = cache.decode

    def touched(*args):
        os.utime(file, (1, 1))
        return real(*args)

    with monkeypatch.context() as m:
        m.setattr(cache, "decode", touched)
        with pytest.raises(cache.ReadFault, match="changed or went away"):
            data.load(path)
    assert not caches()
    data.load(path)


def test_a_file_written_again_in_place(tmp_path, monkeypatch):
    """The same size and the same time of change: what the system notes itself gives it away."""
    monkeypatch.setattr(cache.time, "time_ns", lambda: 2**62)  # the files have long been at rest
    mine = tmp_path / "mine"
    one, two = (encoded(np.full((64, 64), v, np.uint8), "BMP") for v in (10, 200))
    assert len(one) == len(two)
    file = written(mine / "a.bmp", one)
    first, times = data.load(mine), file.stat()
    with file.open("r+b") as f:
        f.write(two)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    again = data.load(mine)
    assert (first.images == 10).all() and (again.images == 200).all()
    assert again.fingerprint != first.fingerprint


def test_a_file_just_written_is_read_again(tmp_path, monkeypatch):
    """Within the clock's tick nothing tells two writings apart, so nothing is remembered."""
    data.load(folder(tmp_path / "mine"))
    keys = cache.cache_root() / "keys"
    assert not keys.exists()
    monkeypatch.setattr(cache.time, "time_ns", lambda: 2**62)
    data.load(tmp_path / "mine")
    assert len(list(keys.iterdir())) == 1


# The cache


def flip(path, at):
    with path.open("r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))


def change(**fields):
    def about(where):
        held = json.loads((where / "about.json").read_text())
        held["about"] |= fields
        (where / "about.json").write_text(json.dumps(held))

    return about


DAMAGE = {
    "a flipped bit in the pixels": lambda w: flip(w / "images.uint8", 5000),
    "the last bit of the pixels": lambda w: flip(w / "images.uint8", 3 * 64 * 64 * 3 - 1),
    "a flipped bit in the extras": lambda w: flip(w / "extras.npz", 60),
    "extras cut": lambda w: os.truncate(w / "extras.npz", 10),
    "extras gone": lambda w: (w / "extras.npz").unlink(),
    "pixels gone": lambda w: (w / "images.uint8").unlink(),
    "pixels cut": lambda w: os.truncate(w / "images.uint8", 4096),
    "pixels too long": lambda w: os.truncate(w / "images.uint8", 2**20),
    "pixels a folder": lambda w: ((w / "images.uint8").unlink(), (w / "images.uint8").mkdir()),
    "about empty": lambda w: (w / "about.json").write_text(""),
    "about null": lambda w: (w / "about.json").write_text("null"),
    "about a list": lambda w: (w / "about.json").write_text("[1]"),
    "about {}": lambda w: (w / "about.json").write_text("{}"),
    "about binary": lambda w: (w / "about.json").write_bytes(b"\xff\xfe"),
    "about with another shape": change(shape=[12, 32, 32, 3]),
    "about with an absurd shape": change(shape=[-3, 64, 64, 3]),
    "about with other damage": change(damaged=["a"]),
    "about with other names": change(notes={"class_names": ["x"]}),
    "empty": lambda w: [f.unlink() for f in w.iterdir()],
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_cache_is_built_again(tmp_path, name):
    folder(tmp_path / "mine" / "a"), folder(tmp_path / "mine" / "b", 0)
    written(tmp_path / "mine" / "b" / "x.png", encoded(X[4]))
    first = data.load(tmp_path / "mine")
    whole = np.array(first.images)
    (where,) = caches()
    assert data.verify(where) == data.verify(first) == first.fingerprint
    DAMAGE[name](where)
    with pytest.raises((ValueError, FileNotFoundError), match=r"damaged: delete this folder|no cache of pictures"):
        data.verify(where)
    with pytest.warns(UserWarning, match="incomplete or damaged: building it again"):
        again = data.load(tmp_path / "mine")
    np.testing.assert_array_equal(again.images, whole)
    assert again.labels.tolist() == [0, 0, 0, 1] and again.class_names == ["a", "b"]
    assert data.verify(again) == first.fingerprint


def test_verify_reads_what_load_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "BLOCK", 1024)  # 72 blocks, of which a load reads four
    np.savez(tmp_path / "a.npz", images=X)
    images = data.load(tmp_path / "a.npz")
    (where,) = caches()
    monkeypatch.setattr(
        cache, "random", type("", (), {"Random": lambda: type("", (), {"sample": lambda s, c, n: [1, 2]})()})
    )
    flip(where / "images.uint8", 40 * 1024)
    assert data.load(tmp_path / "a.npz").fingerprint == images.fingerprint  # not seen …
    for which in (images, where):
        with pytest.raises(ValueError, match=f"{re.escape(str(where))}.*delete this folder"):  # … but found
            data.verify(which)
    flip(where / "images.uint8", 40 * 1024)
    for at in (0, 1100, 6 * 64 * 64 * 3 - 1):  # the ends and what the draw says
        flip(where / "images.uint8", at)
        with pytest.warns(UserWarning, match="building it again"):
            data.load(tmp_path / "a.npz")


def test_verify_of_pictures_in_memory():
    images = data.from_array(X.copy())
    assert data.verify(images) == images.fingerprint
    changed = X.copy()
    chosen = data.from_array(changed)
    changed[3] = 0
    with pytest.raises(ValueError, match="the pixels of array are not those of the fingerprint"):
        data.verify(chosen)


def test_an_empty_variable_counts_as_none(monkeypatch, tmp_path):
    monkeypatch.setenv("DCGAN_CACHE", "")
    monkeypatch.setenv("DCGAN_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_root() == tmp_path / "dcgan" and data.data_root() == tmp_path / "dcgan" / "data"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache.cache_root() == Path.home() / ".cache" / "dcgan"


@pytest.mark.parametrize("fault", ["a file", "below a file", "no space", "read-only", "too many files"])
def test_errors_of_the_cache_name_its_variable(tmp_path, monkeypatch, fault):
    np.savez(tmp_path / "a.npz", images=X)
    if "file" in fault and fault != "too many files":
        place = written(tmp_path / "file", b"")
        monkeypatch.setenv("DCGAN_CACHE", str(place if fault == "a file" else place / "x"))
    else:
        code = {"no space": errno.ENOSPC, "read-only": errno.EROFS, "too many files": errno.EMFILE}[fault]
        monkeypatch.setattr(
            cache.tempfile, "mkdtemp", lambda **_: (_ for _ in ()).throw(OSError(code, os.strerror(code)))
        )
    with pytest.raises(OSError, match=r"image cache .*: set DCGAN_CACHE to a folder"):
        data.load(tmp_path / "a.npz")


def test_a_cache_that_may_only_be_read_serves(tmp_path, monkeypatch):
    first = data.load(folder(tmp_path / "mine"))
    for name in ("mkdir", "write_text", "replace"):
        monkeypatch.setattr(Path, name, lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EROFS, "Read-only")))
    assert data.load(tmp_path / "mine").fingerprint == first.fingerprint


# LSUN


def test_a_cut_lsun_database_says_so(tmp_path):
    """In a process of its own: what is read beyond the end of a mapped file kills it (SIGBUS)."""
    import lmdb

    cuts = [0, 100, 5000, 9000, 20_000, 200_000]
    for cut in cuts:
        place = tmp_path / str(cut) / "lsun" / "bedroom_train_lmdb"
        place.parent.mkdir(parents=True)
        with lmdb.open(str(place), map_size=2**22) as database, database.begin(write=True) as t:
            for i in range(30):
                t.put(f"{i:03d}".encode(), encoded(X[i % 6]))
        os.truncate(place / "data.mdb", cut)
    code = (
        "import sys; from dcgan_lib import data\n"
        "for root in sys.argv[1:]:\n"
        "    try: data.load('lsun_bedroom', root=root, download=False)\n"
        "    except ValueError as error: print(error)"
    )
    command = [sys.executable, "-c", code, *(str(tmp_path / str(cut)) for cut in cuts)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == len(cuts)
    for cut, line in zip(cuts, said, strict=True):
        assert f"{cut}/lsun/bedroom_train_lmdb is damaged or was cut short: copy it again" in line


@pytest.mark.parametrize("kind", ["a file", "empty"])
def test_what_is_no_lsun_database(tmp_path, kind):
    place = tmp_path / "lsun" / "bedroom_train_lmdb"
    written(place, b"x") if kind == "a file" else place.mkdir(parents=True)
    with pytest.raises(data.NotAvailable, match=r"holds no data.mdb"):
        data.load("lsun_bedroom", root=tmp_path, download=False)


# Other sets on the disk


def celeba(p, table):
    folder(p / "celeba" / "img_align_celeba", 1)
    (p / "celeba" / "img_align_celeba" / "0.png").rename(p / "celeba" / "img_align_celeba" / "0.jpg")
    written(p / "celeba" / "list_attr_celeba.txt", table)
    return data.load("celeba", root=p, download=False)


def tiny(p, wnids=b"n1", split="train", **files):
    tree = p / "tiny-imagenet-200"
    written(tree / "wnids.txt", wnids)
    written(tree / "train" / "n1" / "images" / "a.JPEG", encoded(kind="JPEG"))
    written(tree / "val" / "images" / "b.JPEG", encoded(kind="JPEG"))
    for name, raw in files.items():
        written(tree / f"{name}.txt", raw)
    return data.load("tinyimagenet", root=p, split=split, download=False)


TREES = {
    "celeba: empty table": (lambda p: celeba(p, b""), "list_attr_celeba.txt: expected a count"),
    "celeba: words for values": (lambda p: celeba(p, b"1\nA B\n0.jpg x y\n"), "list_attr_celeba.txt: expected a count"),
    "celeba: no such pictures": (lambda p: celeba(p, b"1\nA B\n7.jpg 1 1\n"), "holds none of the pictures"),
    "tiny: unknown class": (lambda p: tiny(p, b"n2"), r"a.JPEG has the class 'n1', which wnids.txt does not list"),
    "tiny: no annotations": (lambda p: tiny(p, split="test"), "b.JPEG has the class None, which"),
    "stl10: cut": (
        lambda p: (
            written(p / "stl10_binary" / "train_X.bin", b"\0" * 1000),
            written(p / "stl10_binary" / "train_y.bin", b"\1"),
            data.load("stl10", root=p, download=False),
        ),
        "stl10_binary is incomplete or damaged",
    ),
    "stl10: labels of another length": (
        lambda p: (
            written(p / "stl10_binary" / "train_X.bin", b"\0" * 2 * 27648),
            written(p / "stl10_binary" / "train_y.bin", b"\1\1\1"),
            data.load("stl10", root=p, download=False),
        ),
        "stl10: 3 labels for 2 pictures",
    ),
    "natural32 is not here": (lambda p: data.load("natural32", root=p), r"natural32.npz does not exist"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*official files")
@pytest.mark.parametrize("name", TREES)
def test_trees(tmp_path, name):
    make, message = TREES[name]
    with pytest.raises((ValueError, data.NotAvailable), match=message):
        make(tmp_path)


def test_a_gated_set_says_what_to_do(monkeypatch, tmp_path):
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: (_ for _ in ()).throw(OSError("401")))
    with pytest.raises(data.NotAvailable, match="401; the set is gated: accept its terms"):
        data.load("imagenet32", root=tmp_path)


@pytest.mark.parametrize(("version", "given"), [("3.6.0", {"trust_remote_code": False}), ("4.0.0", {})])
def test_a_repository_runs_no_script(monkeypatch, tmp_path, version, given):
    """`datasets` before version 4 ran a repository's own script where it was let, or asked at the terminal."""
    import datasets

    asked = []
    monkeypatch.setattr(datasets, "__version__", version)
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *_, **k: (asked.append(k), (_ for _ in ()).throw(OSError("no")))
    )
    with pytest.raises(data.NotAvailable):
        data.load("lfw", root=tmp_path)
    assert asked == [{"split": "train"} | given]


def test_svhn_comes_from_the_hub_where_torchvision_fails(monkeypatch, tmp_path):
    import datasets

    asked = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: (_ for _ in ()).throw(OSError("down")))
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *a, **k: (asked.append((a, k)), (_ for _ in ()).throw(OSError("401")))
    )
    with pytest.raises(data.NotAvailable, match=r"(?s)torchvision: .*down.*ufldl-stanford/svhn"):
        data.load("svhn", root=tmp_path, split="extra")
    assert asked == [(("ufldl-stanford/svhn", "cropped_digits"), {"split": "extra"})]


# Calls


class NoLength:
    def __getitem__(self, i):
        return X[0]


class Torn:
    def __len__(self):
        return 3

    def __getitem__(self, i):
        if i == 1:
            raise KeyError("gone")
        return X[i]


def cut(path):
    """A picture whose file ends in the middle; PIL opens it and fails when its pixels are read."""
    Image.fromarray(X[0]).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    return Image.open(path)


def pairs(*labels):
    return [(X[i % 6], label) for i, label in enumerate(labels)]


SET = data.from_array(X, np.arange(6) // 2, "mine", ["a", "b", "c"])
PLAIN = data.from_array(X)
CALLS = {
    "load an empty name": (lambda p: data.load(""), ValueError, "expected a data set's name or a path, got ''"),
    "load a null byte": (lambda p: data.load("a\0b"), ValueError, "expected a data set's name or a path"),
    "load a home of nobody": (lambda p: data.load("~nobodyhere/x"), ValueError, "nobodyhere"),
    "load a very long name": (lambda p: data.load("a" * 5000), ValueError, "unknown data set"),
    "load None": (lambda p: data.load(None), TypeError, "expected a data set with a length and items, got NoneType"),
    "load a number": (lambda p: data.load(7), TypeError, "got int"),
    "load a list of names": (lambda p: data.load(["mnist"]), ValueError, "item 0 of list: expected a PIL image"),
    "load a text file": (lambda p: data.load(written(p / "a.txt", b"x")), ValueError, "expected a folder, a .zip or"),
    "load a device": (lambda p: data.load(Path("/dev/null")), ValueError, "a device or a pipe"),
    "load a missing file": (lambda p: data.load(p / "\x1b.npz"), FileNotFoundError, r"\\x1b.npz"),
    "load a split of a folder": (lambda p: data.load(folder(p / "a"), split="test"), ValueError, "has one split"),
    "load split None": (lambda p: data.load("digits", split=None), ValueError, "expected a split's name, got None"),
    "load limit 0": (lambda p: data.load("digits", limit=0), ValueError, "limit must be at least 1, got 0"),
    "load limit -5": (lambda p: data.load("digits", limit=-5), ValueError, "limit must be .*got -5"),
    "load limit 2.0": (lambda p: data.load("digits", limit=2.0), TypeError, "limit must be .*got 2.0"),
    "load limit True": (lambda p: data.load("digits", limit=True), TypeError, "limit must be .*got True"),
    "load limit nan": (lambda p: data.load("digits", limit=float("nan")), TypeError, "limit must be .*got nan"),
    "load limit too large": (lambda p: data.load("digits", limit=1798), ValueError, "1,798 pictures .* has 1,797"),
    "load seed -1": (lambda p: data.load("digits", limit=1, seed=-1), ValueError, "seed must be .*got -1"),
    "load seed 'a'": (lambda p: data.load("digits", limit=1, seed="a"), TypeError, "seed must be .*got 'a'"),
    "load size 0": (lambda p: data.load("digits", 0), ValueError, "image_size must be from 1 to 4096, got 0"),
    "load size 64.0": (lambda p: data.load("digits", 64.0), TypeError, "image_size must be .*got 64.0"),
    "load size inf": (lambda p: data.load("digits", float("inf")), TypeError, "image_size must be .*got inf"),
    "load size 10**30": (lambda p: data.load("digits", 10**30), ValueError, "image_size must be"),
    "load size '64'": (lambda p: data.load("digits", "64"), TypeError, "image_size must be .*got '64'"),
    "load channels 2": (lambda p: data.load("digits", channels=2), ValueError, "channels must be 1 .* got 2"),
    "load channels 'RGB'": (lambda p: data.load("digits", channels="RGB"), ValueError, "channels must be .* got 'RGB'"),
    "load a set of another size": (lambda p: data.load(SET, 32), ValueError, "image_size 32 asked for"),
    "load a set of other channels": (lambda p: data.load(SET, channels=1), ValueError, "channels 1 asked for"),
    "array as a list": (lambda p: data.from_array([[1]]), TypeError, "numpy array or a tensor, got list"),
    "array of floats": (lambda p: data.from_array(X / 255.0), ValueError, "got float64 .*to_uint8"),
    "array channels first": (lambda p: data.from_array(X.transpose(0, 3, 1, 2)), ValueError, "the channels come last"),
    "array of one picture": (lambda p: data.from_array(X[0, ..., 0]), ValueError, r"got \(64, 64\)"),
    "array of none": (lambda p: data.from_array(X[:0]), ValueError, "holds no pictures"),
    "array size 0": (lambda p: data.from_array(X, image_size=0), ValueError, "image_size must be"),
    "array labels short": (lambda p: data.from_array(X, [1]), ValueError, "label of each of the 6 pictures"),
    "array labels strings": (lambda p: data.from_array(X, list("abcdef")), ValueError, "got <U1"),
    "array labels negative": (lambda p: data.from_array(X, [-1] * 6), ValueError, "labels from 0, found -1"),
    "array names few": (lambda p: data.from_array(X, range(6), class_names=["a"]), ValueError, "label 5 has no name"),
    "set without a length": (lambda p: data.from_dataset(NoLength()), TypeError, "length and items, got NoLength"),
    "set of none": (lambda p: data.from_dataset([]), ValueError, "list holds no pictures"),
    "set that fails": (lambda p: data.from_dataset(Torn()), ValueError, "item 1 of torn .* .KeyError: 'gone'"),
    "set of triples": (lambda p: data.from_dataset([(X[0], 1, 2)]), ValueError, "item 0 of list: .*got 3 things"),
    "set of strings": (lambda p: data.from_dataset(["a.png"]), ValueError, "item 0 of list: .* PIL image.*got str"),
    "set of depths": (lambda p: data.from_dataset([X[0], Image.new("F", (8, 8))]), ValueError, "item 1 .* mode F"),
    "set cut short": (lambda p: data.from_dataset([X[0], cut(p / "a.png")]), ValueError, "item 1 .*truncated"),
    "set of nothing": (lambda p: data.from_dataset([torch.zeros(3, 0, 0)]), ValueError, r"item 0 .*\(0, 0, 3\)"),
    "set of floats": (lambda p: data.from_dataset([X[0] / 255]), ValueError, "item 0 of list: .*got float64"),
    "set normalised": (lambda p: data.from_dataset([torch.randn(3, 8, 8)]), ValueError, "leave Normalize"),
    "set with nan": (lambda p: data.from_dataset([torch.full((3, 8, 8), torch.nan)]), ValueError, "leave Normalize"),
    "set channels last": (lambda p: data.from_dataset([torch.zeros(8, 8, 3)]), ValueError, r"got uint8 \(8, 3, 8\)"),
    "set label word": (lambda p: data.from_dataset(pairs(0, "x")), ValueError, "item 1 of list: .* as label, got 'x'"),
    "set label 1.5": (lambda p: data.from_dataset(pairs(1.5)), ValueError, "expected a whole number as label, got 1.5"),
    "set label vector": (lambda p: data.from_dataset(pairs(torch.ones(40))), ValueError, r"got Tensor \(40,\)"),
    "set label sometimes": (lambda p: data.from_dataset([*pairs(1), X[0]]), ValueError, "1 of 2 items have a label"),
    "set channels": (lambda p: data.from_dataset([X[0]], channels=4), ValueError, "channels must be"),
    "take 0": (lambda p: SET.take(0), ValueError, "n must be at least 1, got 0"),
    "take too many": (lambda p: SET.take(7), ValueError, r"7 pictures asked for, mine \(train\) has 6"),
    "take 2.5": (lambda p: SET.take(2.5), TypeError, "n must be .*got 2.5"),
    "take by class, uneven": (lambda p: SET.take(4, by_class=True), ValueError, "multiple of the 3 classes .*, got 4"),
    "take by class, too many": (lambda p: SET.take(9, by_class=True), ValueError, "3 pictures of .* class 0 has 2"),
    "take by class, no labels": (lambda p: PLAIN.take(2, by_class=True), ValueError, "has no labels"),
    "take seed 1.5": (lambda p: SET.take(2, seed=1.5), TypeError, "seed must be"),
    "select none": (lambda p: SET.select([]), ValueError, "no pictures chosen of the 6 of mine"),
    "select an empty range": (lambda p: SET.select(range(3, 3)), ValueError, "no pictures chosen"),
    "select beyond": (lambda p: SET.select([0, 6]), IndexError, "mine has pictures 0 to 5"),
    "select a range beyond": (lambda p: SET.select(range(9)), IndexError, "reaches beyond the 6 pictures"),
    "select below": (lambda p: SET.select([-1]), IndexError, "indices from -1"),
    "select truth values": (lambda p: SET.select(np.ones(6, bool)), TypeError, "expected whole numbers .*got bool"),
    "select floats": (lambda p: SET.select([0.0]), TypeError, "expected whole numbers .*got float64"),
    "select a number": (lambda p: SET.select(3), TypeError, "expected whole numbers"),
    "item 6": (lambda p: SET[6], IndexError, "6"),
    "item 'a'": (lambda p: SET["a"], TypeError, "expected a number or a slice, got 'a'"),
    "item True": (lambda p: SET[True], TypeError, "expected a number or a slice"),
    "item list": (lambda p: SET[[1]], TypeError, "lists of numbers go to select"),
    "slice of none": (lambda p: SET[9:], ValueError, "no pictures chosen"),
    "batches of 0": (lambda p: next(data.batches(X, 0)), ValueError, "batch size must be"),
    "to_float of a list": (lambda p: data.to_float([1]), TypeError, "expected pictures as a uint8 array"),
    "to_uint8 of an array": (lambda p: data.to_uint8(X), TypeError, "expected pictures as a float tensor"),
    "verify nothing": (lambda p: data.verify(p), FileNotFoundError, "no cache of pictures at"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_calls(tmp_path, name):
    call, kind, message = CALLS[name]
    with pytest.raises(kind, match=message) as caught:
        call(tmp_path)
    assert str(caught.value).isprintable()


def test_zip_of_pictures_without_a_picture_and_cut(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
        z.writestr("a.txt", b"x")
    with pytest.raises(ValueError, match=r"no pictures in .*a.zip"):
        data.load(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as z:
        z.writestr("0.png", encoded()), z.writestr("1.png", encoded(X[1]))
    raw = bytearray((tmp_path / "b.zip").read_bytes())
    raw[300] ^= 1  # in the first picture
    (tmp_path / "b.zip").write_bytes(raw)
    with pytest.warns(UserWarning, match=r"1 of 2 pictures could not be read: 0.png \(BadZipFile"):
        assert len(data.load(tmp_path / "b.zip")) == 1
    shutil.copy(tmp_path / "b.zip", tmp_path / "c.zip")
    os.truncate(tmp_path / "c.zip", 900)
    with pytest.raises(ValueError, match="is not a whole zip file"):
        data.load(tmp_path / "c.zip")
