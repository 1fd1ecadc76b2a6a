"""Every loader on files in the set's own format, written here; the cache against damage, cuts and a second process."""

import dataclasses
import hashlib
import io
import multiprocessing
import os
import pickle
import re
import shutil
import struct
import time
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock, Timeout
from PIL import Image

from dcgan_lib import data
from dcgan_lib.data import cache, decoding, npz, sources

RNG = np.random.default_rng(0)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def pixels(*shape):
    """Random pictures, coarse enough to survive JPEG roughly."""
    return RNG.integers(0, 256, shape, np.uint8)


def smooth(n, height, width):
    """RGB pictures (n, height, width, 3) that JPEG keeps almost as they are."""
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack([x * 255 / width, y * 255 / height, np.full_like(x, 128)], -1)
    return np.stack([(base * (i + 1) / n) for i in range(n)]).astype(np.uint8)


def write_jpeg(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, "JPEG", quality=95)


def write_idx(path, array):
    """The IDX format of MNIST: two zero bytes, type 8 (ubyte), dimensions, sizes big-endian, data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(head + array.tobytes())


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashionmnist", "FashionMNIST")])
def test_idx(root, name, folder):
    expected = {}
    for split, stem, n in (("train", "train", 12), ("test", "t10k", 5)):
        x, y = pixels(n, 28, 28), RNG.integers(0, 10, n).astype(np.uint8)
        write_idx(root / folder / "raw" / f"{stem}-images-idx3-ubyte", x)
        write_idx(root / folder / "raw" / f"{stem}-labels-idx1-ubyte", y)
        expected[split] = x, y
    for split, (x, y) in expected.items():
        loaded = data.load(name, root=root, split=split)
        np.testing.assert_array_equal(loaded.images[..., 0], x)
        np.testing.assert_array_equal(loaded.labels, y)
        assert loaded.channels == 1 and len(loaded.class_names) == 10


@pytest.mark.filterwarnings("ignore:.*official files")
def test_cifar10_pickles(root):
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    x, y = pixels(12, 32, 32, 3), RNG.integers(0, 10, 12).tolist()
    for i, batch in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        rows = x[2 * i : 2 * i + 2].transpose(0, 3, 1, 2).reshape(2, 3072)  # red, green, blue planes in a row
        (folder / batch).write_bytes(pickle.dumps({"data": rows, "labels": y[2 * i : 2 * i + 2]}))
    train, test = data.load("cifar10", root=root), data.load("cifar10", root=root, split="test")
    np.testing.assert_array_equal(train.images, x[:10])
    np.testing.assert_array_equal(test.images, x[10:])
    assert train.labels.tolist() + test.labels.tolist() == y
    assert train.class_names == names


def test_cifar100_pickles(root):
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    names = [f"class {i}" for i in range(100)]
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}))
    x = pixels(6, 32, 32, 3)
    for name, part, labels in (("train", x[:4], [3, 99, 0, 7]), ("test", x[4:], [1, 2])):
        rows = part.transpose(0, 3, 1, 2).reshape(len(part), 3072)
        (folder / name).write_bytes(pickle.dumps({"data": rows, "fine_labels": labels}))
    with pytest.warns(UserWarning, match="does not hold the official files"):
        train = data.load("cifar100", root=root)
    np.testing.assert_array_equal(train.images, x[:4])
    assert train.labels.tolist() == [3, 99, 0, 7] and train.class_names == names


@pytest.mark.filterwarnings("ignore:.*official files")
def test_svhn_mat(root):
    from scipy.io import savemat

    x, y = pixels(7, 32, 32, 3), np.array([1, 2, 3, 9, 10, 10, 5])  # the files write 0 as 10
    (root / "svhn").mkdir(parents=True)
    savemat(root / "svhn" / "test_32x32.mat", {"X": x.transpose(1, 2, 3, 0), "y": y[:, None]})
    loaded = data.load("svhn", root=root, split="test")
    np.testing.assert_array_equal(loaded.images, x)
    assert loaded.labels.tolist() == [1, 2, 3, 9, 0, 0, 5]


@pytest.mark.filterwarnings("ignore:.*official files")
def test_stl10_binaries(root):
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    x, y = pixels(3, 96, 96, 3), np.array([1, 10, 2], np.uint8)  # labels from 1; pictures column by column
    (folder / "train_X.bin").write_bytes(x.transpose(0, 3, 2, 1).tobytes())
    (folder / "train_y.bin").write_bytes(y.tobytes())
    (folder / "class_names.txt").write_text("\n".join(f"c{i}" for i in range(10)))
    loaded = data.load("stl10", root=root)
    np.testing.assert_array_equal(loaded.images, x)
    assert loaded.labels.tolist() == [0, 9, 1]


@pytest.mark.parametrize("partition", [False, True])
def test_celeba_folder_and_attribute_file(root, partition):
    x = smooth(6, 218, 178)
    folder = root / "celeba"
    for i, image in enumerate(x):
        write_jpeg(folder / "img_align_celeba" / f"{i + 1:06d}.jpg", image)
    rows = RNG.integers(0, 2, (6, 40))
    names = [f"Attribute_{i}" for i in range(40)]
    lines = ["6", " ".join(names)]
    lines += [f"{i + 1:06d}.jpg  {' '.join('1' if v else '-1' for v in row)}" for i, row in enumerate(rows)]
    (folder / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    if partition:
        parts = [0, 0, 0, 0, 1, 2]
        (folder / "list_eval_partition.txt").write_text("\n".join(f"{i + 1:06d}.jpg {p}" for i, p in enumerate(parts)))
    loaded = data.load("celeba", root=root)
    n = 4 if partition else 6
    assert loaded.images.shape == (n, 64, 64, 3)
    np.testing.assert_array_equal(loaded.attributes, rows[:n])
    assert loaded.attribute_names == names
    crop = Image.fromarray(x[1]).crop((0, 20, 178, 198)).resize((64, 64), Image.Resampling.LANCZOS)
    assert np.abs(loaded.images[1].astype(int) - np.asarray(crop)).mean() < 3  # JPEG
    (folder / "img_align_celeba" / "000002.jpg").unlink()
    with pytest.warns(UserWarning, match="img_align_celeba lacks 1 of the pictures that list_attr_celeba.txt lists"):
        assert len(data.load("celeba", root=root)) == n - 1
    if partition:
        assert len(data.load("celeba", root=root, split="test")) == 1
    else:
        with pytest.raises(data.NotAvailable, match="without it there is no 'test' part"):
            data.load("celeba", root=root, split="test", download=False)


def test_lsun_lmdb(root, tmp_path, monkeypatch):
    import lmdb

    monkeypatch.chdir(tmp_path)

    x = smooth(5, 80, 100)
    place = root / "lsun" / "bedroom_train_lmdb"
    place.parent.mkdir(parents=True)
    database = lmdb.open(str(place), map_size=2**24)
    with database.begin(write=True) as transaction:
        for i, image in enumerate(x):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "WEBP", quality=95)
            transaction.put(f"{i:040x}".encode(), buffer.getvalue())
    database.close()
    loaded = data.load("lsun_bedroom", root=root)
    assert loaded.images.shape == (5, 64, 64, 3)
    assert np.abs(loaded.images[4].astype(int) - decoding.decode(x[4], 64, 3)).mean() < 4
    assert data.load("lsun_bedroom", root=root).fingerprint == loaded.fingerprint
    assert not list(tmp_path.glob("_cache_*"))  # what torchvision's reader would leave where one stands
    (tmp_path / "other").mkdir()
    place.parent.rename(tmp_path / "other" / "lsun")
    assert data.load("lsun_bedroom", root=tmp_path / "other").fingerprint == loaded.fingerprint


def tiny_imagenet(root):
    tree = root / "tiny-imagenet-200"
    wnids = ["n02", "n01", "n03"]
    x = smooth(9, 64, 64)
    for i, image in enumerate(x[:6]):
        wnid = wnids[i % 3]
        write_jpeg(tree / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", image)
    lines = []
    for i, image in enumerate(x[6:]):
        write_jpeg(tree / "val" / "images" / f"val_{i}.JPEG", image)
        lines.append(f"val_{i}.JPEG\t{wnids[2 - i]}\t0\t0\t63\t63")
    (tree / "val" / "val_annotations.txt").write_text("\n".join(lines))
    (tree / "wnids.txt").write_text("\n".join(wnids))
    (tree / "words.txt").write_text("n01\tgoldfish\nn02\tnewt\nn03\tsnail\nn99\tother")
    return x


def test_tinyimagenet_tree(root):
    x = tiny_imagenet(root)
    train, val = data.load("tinyimagenet", root=root), data.load("tinyimagenet", root=root, split="test", image_size=32)
    assert train.class_names == ["goldfish", "newt", "snail"]
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert val.labels.tolist() == [2, 0, 1] and val.images.shape == (3, 32, 32, 3)
    assert np.abs(train.images[0].astype(int) - x[1]).mean() < 3  # n01_1 comes first
    shutil.rmtree(root / "tiny-imagenet-200" / "train" / "n03")
    with pytest.warns(UserWarning, match="train lacks 1 of the classes that wnids.txt lists"):
        assert data.load("tinyimagenet", root=root).labels.tolist() == [0, 0, 1, 1]
    (root / "tiny-imagenet-200" / "val" / "images" / "val_1.JPEG").unlink()
    with pytest.warns(UserWarning, match="val lacks 1 of the pictures that val_annotations.txt lists"):
        assert data.load("tinyimagenet", root=root, split="test").labels.tolist() == [2, 1]


def test_processes_that_want_the_same_set_wait_for_each_other():
    """Eight of torchrun's would otherwise download over one another."""
    inside, most = [], []

    def ask(what):
        with cache.one_at_a_time(what):
            inside.append(what)
            most.append(inside.count(what))
            time.sleep(0.02)
            inside.remove(what)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, ["a", "b"] * 6))
    assert max(most) == 1 and len(most) == 12


def test_a_set_is_had_under_its_lock(root, monkeypatch):
    held = []

    def source(name, card, split, where, download):
        with pytest.raises(Timeout):
            FileLock(next((cache.cache_root() / "locks").glob("*.lock")), timeout=0).acquire()
        held.append(name)
        raise sources.NotHere("not here")

    monkeypatch.setattr(sources, "torchvision_set", source)
    monkeypatch.setattr(sources, "hub", source)
    with pytest.raises(data.NotAvailable, match="not here"):
        data.load("mnist", root=root, download=False)
    assert held == ["mnist"]


def test_a_cache_that_cannot_be_written_locks_nothing(monkeypatch):
    monkeypatch.setattr(cache, "cache_root", lambda: Path("/proc/none"))
    with cache.one_at_a_time("x"):
        pass


def test_grey_pictures_are_opened_once(root, monkeypatch):
    """Whether all are grey needs every one of them, so it is noted beside the files' key."""
    folder = root / "grey"
    folder.mkdir(parents=True)
    for i in range(3):
        Image.fromarray(pixels(20, 20)).save(folder / f"{i}.png")
    assert data.load(folder).channels == 1
    with monkeypatch.context() as patch:
        patch.setattr(sources, "open_picture", None)
        assert data.load(folder).channels == 1
    Image.fromarray(smooth(1, 20, 20)[0]).save(folder / "3.png")
    assert data.load(folder).channels == 3


def test_hugging_face_parquet(root, tmp_path, monkeypatch):
    """A repository in the hub's parquet layout, read by the real library from disk."""
    import datasets

    x = smooth(4, 218, 178)
    repository = tmp_path / "flwrlabs" / "celeba"
    features = datasets.Features(
        {"image": datasets.Image(), "Smiling": datasets.Value("bool"), "id": datasets.Value("int32")}
    )
    buffers = []
    for image in x:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=95)
        buffers.append({"bytes": buffer.getvalue(), "path": None})
    buffers[2]["bytes"] = b"no picture"
    columns = {"image": buffers, "Smiling": [True, False, True, False], "id": [7, 8, 9, 10]}
    rows = datasets.Dataset.from_dict(columns, features)
    (repository / "data").mkdir(parents=True)
    rows.to_parquet(repository / "data" / "train-00000-of-00001.parquet")
    configs = [("img_align+identity+attr", "data/train-*"), ("img_wild+identity+attr", "wild/train-*")]  # as the hub's
    lines = [f"- config_name: {c}\n  data_files:\n  - split: train\n    path: {p}\n" for c, p in configs]
    (repository / "README.md").write_text(f"---\nconfigs:\n{''.join(lines)}---\n")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    load = datasets.load_dataset

    def from_disk(name, config, split):
        assert name == "flwrlabs/celeba"
        return load(str(repository), config, split=split, cache_dir=str(tmp_path / "hf"))

    monkeypatch.setattr(datasets, "load_dataset", from_disk)
    monkeypatch.setattr("torchvision.datasets.CelebA", lambda *_, **__: (_ for _ in ()).throw(OSError("quota")))
    with pytest.warns(UserWarning, match="1 of 4 pictures could not be read"):
        loaded = data.load("celeba", root=root)
    assert loaded.images.shape == (3, 64, 64, 3)
    assert loaded.attributes.tolist() == [[1], [0], [0]] and loaded.attribute_names == ["Smiling"]
    assert np.abs(loaded.images[0].astype(int) - decoding.decode(x[0], 64, 3)).mean() < 3


def test_prepared_npz_comes_first(root):
    x, attributes = pixels(5, 64, 64, 3), RNG.integers(0, 2, (5, 40)).astype(np.uint8)
    root.mkdir()
    names = np.array([f"a{i}" for i in range(40)])
    np.savez(root / "celeba.npz", images=x, attributes=attributes, attribute_names=names)
    np.savez(root / "tinyimagenet64.npz", x_train=x, y_train=np.arange(5), x_test=x[:2], y_test=np.arange(2))
    celeba = data.load("celeba", root=root)
    np.testing.assert_array_equal(celeba.images, x)
    np.testing.assert_array_equal(celeba.attributes, attributes)
    assert celeba.attribute_names == list(names)
    np.testing.assert_array_equal(data.load("tinyimagenet", root=root, split="test").images, x[:2])


def test_dcgan_data_names_the_root(tmp_path, monkeypatch):
    monkeypatch.setenv("DCGAN_DATA", str(tmp_path))
    x = pixels(3, 28, 28)
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=np.arange(3))
    np.testing.assert_array_equal(data.load("mnist").images[..., 0], x)


def test_digits_need_nothing(monkeypatch):
    monkeypatch.setattr("socket.socket", None)
    loaded = data.load("digits")
    assert loaded.images.shape == (1797, 32, 32, 1) and loaded.images.max() == 255
    assert data.load("digits", image_size=16, channels=3).images.shape == (1797, 16, 16, 3)


def test_own_folder_with_and_without_classes(tmp_path):
    for i, image in enumerate(smooth(6, 50, 70)):
        write_jpeg(tmp_path / "flat" / f"{i}.jpg", image)
        write_jpeg(tmp_path / "classes" / ("dogs" if i % 2 else "cats") / f"{i}.jpg", image)
    (tmp_path / "flat" / "notes.txt").write_text("no picture")
    flat, classes = data.load(tmp_path / "flat"), data.load(str(tmp_path / "classes"), image_size=48, channels=1)
    assert flat.images.shape == (6, 64, 64, 3) and flat.labels is None
    assert classes.images.shape == (6, 48, 48, 1)
    assert classes.class_names == ["cats", "dogs"] and classes.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_channels_follow_the_files(tmp_path):
    for i, image in enumerate(smooth(4, 64, 64)):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{i}.png")
    assert data.load(tmp_path).channels == 1
    with zipfile.ZipFile(tmp_path / "grey.zip", "w") as z:
        z.write(tmp_path / "0.png", "0.png")
    assert data.load(tmp_path / "grey.zip").channels == 1
    Image.fromarray(smooth(1, 64, 64)[0]).save(tmp_path / "1.png")
    assert data.load(tmp_path).channels == 3


def test_relative_folder_without_a_slash(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_jpeg(tmp_path / "mine" / "a.jpg", smooth(1, 64, 64)[0])
    assert data.load("mine").name == "mine"


def test_own_zip(tmp_path):
    x = smooth(4, 64, 64)
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as z:
        for i, image in enumerate(x):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            z.writestr(f"pictures/{'ab'[i % 2]}/{i}.png", buffer.getvalue())
        z.writestr("__MACOSX/pictures/a/._0.png", b"junk")
    loaded = data.load(tmp_path / "mine.zip")
    np.testing.assert_array_equal(loaded.images, x[[0, 2, 1, 3]])
    assert loaded.class_names == ["a", "b"] and loaded.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_files_names_go_with_their_pictures(tmp_path, packed):
    """Grey i is named after i: through damage, cache, select, slices and take; a byte that is no UTF-8 stays itself."""
    names = [f"class {'ab'[i % 2]}/{i:02d}.png" for i in range(12)]
    names[3] = "class b/03" + ("" if packed else os.fsdecode(b"\xff")) + ".png"
    for i, name in enumerate(names):
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16), 10 * i, np.uint8)).save(tmp_path / "mine" / name)
    (tmp_path / "mine" / names[4]).write_bytes(b"no picture")
    where = tmp_path / "mine"
    if packed:
        where = tmp_path / "mine.zip"
        with zipfile.ZipFile(where, "w") as z:
            for name in names:
                z.write(tmp_path / "mine" / name, name)
    left = {name: 10 * i for i, name in enumerate(names) if i != 4}
    for _ in range(2):  # decoded, then from the cache
        with pytest.warns(UserWarning, match="1 of 12 pictures could not be read"):
            loaded = data.load(where, image_size=16)
        for images in (loaded, loaded.select([5, 0, 5]), loaded[3:], loaded[::-2], loaded.take(4, seed=1),
                       loaded.select(range(9, 2, -3)), loaded.take(4, by_class=True)):  # fmt: skip
            assert [left[name] for name in images.files] == images.images[:, 0, 0, 0].tolist()
        assert sorted(loaded.files) == sorted(left) and len(loaded.files) == 11
    arrays = tmp_path / "mine.npz"
    np.savez(arrays, images=loaded.images)
    for without in (data.load(arrays, image_size=16), data.from_array(np.asarray(loaded.images)), data.load("digits")):
        assert without.files is None and without.select([1, 0]).files is None and without[1:].files is None


def test_the_shape_of_an_npz_without_its_pictures(tmp_path):
    """From the header: what lies behind it may be damaged."""
    np.savez(tmp_path / "parts.npz", x_train=pixels(5, 20, 30, 3), x_test=pixels(2, 8, 9))
    path = tmp_path / "parts.npz"
    assert npz.shape_of(path) == (5, 20, 30, 3) and npz.shape_of(path, "test") == (2, 8, 9)
    whole = bytearray(path.read_bytes())
    whole[2_000] ^= 255
    path.write_bytes(whole)
    assert npz.shape_of(path) == (5, 20, 30, 3)
    with pytest.raises(npz.NotHere, match="has no 'validation' pictures"):
        npz.shape_of(path, "validation")
    with pytest.raises(ValueError, match="not a whole zip file"):
        path.write_bytes(whole[:1_000])
        npz.shape_of(path)


def test_own_npz_grey_and_wrong(tmp_path):
    x = pixels(4, 64, 64)
    np.savez(tmp_path / "grey.npz", images=x, labels=np.arange(4), weights=np.ones(4))
    loaded = data.load(tmp_path / "grey.npz")
    np.testing.assert_array_equal(loaded.images[..., 0], x)
    assert loaded.labels.tolist() == [0, 1, 2, 3] and "weights" in loaded.extras
    np.savez(tmp_path / "floats.npz", images=x.astype(np.float32))
    with pytest.raises(ValueError, match=r"expected images as uint8 .* got float32 \(4, 64, 64\)"):
        data.load(tmp_path / "floats.npz")
    np.savez(tmp_path / "other.npz", stuff=x)
    with pytest.raises(ValueError, match="expected x_train or images, found stuff"):
        data.load(tmp_path / "other.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "grey.npz").read_bytes()[:1000])
    with pytest.raises(ValueError, match="is not a whole zip file"):
        data.load(tmp_path / "cut.npz")


def test_decoding():
    """Centre crop, antialiasing, white behind transparency, EXIF turns, 16-bit grey."""
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    assert (decoding.decode(wide, 10, 3) == 200).all()
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255
    shrunk = decoding.decode(stripes, 16, 1)
    assert abs(shrunk.astype(int) - 128).max() < 12  # one pixel in 16 without antialiasing would be 0 or 255
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert (decoding.decode(clear, 8, 3) == 255).all()
    deep = Image.fromarray(np.full((8, 8), 0x8000, np.uint16))
    assert (decoding.decode(deep, 8, 1) == 0x80).all()
    pgm = b"P5 8 8 65535\n" + np.full((8, 8), 0x8000, ">u2").tobytes()
    assert (decoding.decode(pgm, 8, 1) == 0x80).all()
    picture = Image.new("RGB", (16, 16))
    picture.paste((255, 255, 255), (0, 0, 16, 8))  # white above
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif)
    assert decoding.decode(buffer.getvalue(), 16, 3)[-1].mean() > 200


def test_16_bit_grey_is_grey(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.pgm").write_bytes(b"P5 16 16 65535\n" + np.full((16, 16), 9000 * i, ">u2").tobytes())
    images = data.load(tmp_path, image_size=16)
    assert images.channels == 1 and np.asarray(images.images)[:, 0, 0, 0].tolist() == [0, 35, 70]


def test_parts_of_a_set_are_no_classes(tmp_path):
    picture = Image.fromarray(np.zeros((16, 16, 3), np.uint8))
    for part in ("train/cats", "train/dogs", "test/cats", "test/dogs"):
        (tmp_path / part).mkdir(parents=True)
        picture.save(tmp_path / part / "a.png")
    with pytest.warns(UserWarning, match=r"test and train are taken for classes.*load one of them by itself.*train"):
        data.load(tmp_path, image_size=16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert data.load(tmp_path / "train", image_size=16).class_names == ["cats", "dogs"]
    deeper = tmp_path / "archive" / "set"
    deeper.mkdir(parents=True)
    (tmp_path / "train").rename(deeper / "train")
    (tmp_path / "test").rename(deeper / "val")
    with pytest.warns(UserWarning, match=re.escape(f"such as {deeper / 'train'}")):
        data.load(tmp_path / "archive", image_size=16)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
        for file in deeper.rglob("*.png"):
            z.write(file, file.relative_to(deeper))
    with pytest.warns(UserWarning, match=r"unpack it and load one of them by itself, such as train"):
        data.load(tmp_path / "a.zip", image_size=16)


def test_a_damaged_tiff_is_left_out_like_any_other(tmp_path):
    for i in range(4):
        Image.fromarray(np.full((16, 16, 3), 40 * i, np.uint8)).save(tmp_path / f"{i}.png")
    big = b"II" + struct.pack("<HHHQ", 43, 8, 0, 2**63 - 8)  # a BigTIFF that begins beyond any file
    (tmp_path / "bad.tif").write_bytes(big + bytes(50))
    with pytest.warns(UserWarning, match=r"bad\.tif"):
        assert len(data.load(tmp_path, image_size=16)) == 4


def test_lsun_s_held_out_database_is_called_val(root):
    lmdb = pytest.importorskip("lmdb")
    for part, value in (("train", 10), ("val", 200)):
        place = root / "lsun" / f"bedroom_{part}_lmdb"
        place.mkdir(parents=True)
        file = io.BytesIO()
        Image.fromarray(np.full((16, 16, 3), value, np.uint8)).save(file, "PNG")
        with lmdb.open(str(place), map_size=2**20) as database, database.begin(write=True) as t:
            t.put(b"a", file.getvalue())
    held_out = data.load("lsun_bedroom", root=root, image_size=16, split="test", download=False)
    assert (np.asarray(held_out.images) == 200).all()


def test_depths_that_would_decode_to_blanks_are_refused():
    for mode, value in (("F", 0.5), ("I", 1000)):
        with pytest.raises(ValueError, match="expected 8 or 16 bits"):
            decoding.decode(Image.new(mode, (8, 8), value), 8, 1)


def test_floats_and_back():
    x = pixels(3, 16, 16, 3)
    floats = data.to_float(x)
    assert floats.shape == (3, 3, 16, 16) and floats.min() >= -1 and floats.max() <= 1
    np.testing.assert_allclose(floats[1, 2, 5, 7].item(), x[1, 5, 7, 2] / 127.5 - 1, rtol=1e-6)
    np.testing.assert_array_equal(data.to_uint8(floats), x)
    np.testing.assert_array_equal(data.to_float(x.transpose(0, 2, 1, 3)), floats.transpose(2, 3))
    with pytest.raises(ValueError, match="expected uint8"):
        data.to_float(x.astype(np.float32))


def test_damaged_pictures_are_counted_and_named(tmp_path):
    for i, image in enumerate(smooth(5, 64, 64)):
        write_jpeg(tmp_path / "mine" / "ab"[i % 2] / f"{i}.jpg", image)
    torn = tmp_path / "mine" / "a" / "2.jpg"
    torn.write_bytes(torn.read_bytes()[:200])
    (tmp_path / "mine" / "b" / "3.jpg").write_bytes(b"not a picture")
    with pytest.warns(UserWarning, match=r"2 of 5 pictures could not be read: a/2.jpg .*; b/3.jpg"):
        loaded = data.load(tmp_path / "mine")
    assert len(loaded) == 3 and loaded.labels.tolist() == [0, 0, 1]
    assert [d.split()[0] for d in loaded.damaged] == ["a/2.jpg", "b/3.jpg"]
    with pytest.warns(UserWarning, match="2 of 5"):  # said again from the cache
        data.load(tmp_path / "mine")
    for path in (tmp_path / "mine").rglob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of the 5 pictures"):
        data.load(tmp_path / "mine")


def test_cache_is_used_and_keyed_by_content(tmp_path, monkeypatch):
    x = smooth(3, 64, 64)
    for i, image in enumerate(x):
        write_jpeg(tmp_path / "mine" / f"{i}.jpg", image)
    first = data.load(tmp_path / "mine")
    assert isinstance(first.images, np.memmap)
    with monkeypatch.context() as m:
        m.setattr(cache, "decode", lambda *_: pytest.fail("decoded a second time"))
        again = data.load(tmp_path / "mine")
    assert again.fingerprint == first.fingerprint
    write_jpeg(tmp_path / "mine" / "1.jpg", 255 - x[1])
    changed = data.load(tmp_path / "mine")
    assert changed.fingerprint != first.fingerprint
    assert np.abs(changed.images[1].astype(int) - (255 - x[1])).mean() < 3
    other = tmp_path / "elsewhere"
    (tmp_path / "mine").rename(other)
    assert data.load(other).fingerprint == changed.fingerprint


@pytest.mark.parametrize("damage", ["cut", "no_about", "torn_about"])
def test_cut_cache_is_rebuilt(tmp_path, damage):
    for i, image in enumerate(smooth(3, 64, 64)):
        write_jpeg(tmp_path / "mine" / f"{i}.jpg", image)
    first = data.load(tmp_path / "mine")
    whole = np.array(first.images)
    (folder,) = (p for p in (cache.cache_root() / "images").iterdir() if p.is_dir())
    if damage == "cut":
        with (folder / "images.uint8").open("r+b") as f:
            f.truncate(1000)
    elif damage == "no_about":
        (folder / "about.json").unlink()
    else:
        (folder / "about.json").write_text('{"sizes": {"images.uint8"')
    with pytest.warns(UserWarning, match="incomplete"):
        again = data.load(tmp_path / "mine")
    np.testing.assert_array_equal(again.images, whole)


def _load_in_process(path, start, out):
    start.wait()
    out.put(data.load(path).fingerprint)


def test_two_processes_build_one_cache(tmp_path):
    for i, image in enumerate(smooth(200, 96, 96)):
        write_jpeg(tmp_path / "mine" / f"{i}.jpg", image)
    context = multiprocessing.get_context("fork")
    start, out = context.Event(), context.Queue()
    processes = [context.Process(target=_load_in_process, args=(tmp_path / "mine", start, out)) for _ in range(3)]
    for process in processes:
        process.start()
    start.set()
    prints = {out.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert prints == {data.load(tmp_path / "mine").fingerprint}
    assert not list((cache.cache_root() / "images").glob("*.part-*"))


def test_an_interrupted_build_leaves_no_half_cache(tmp_path, monkeypatch):
    for i, image in enumerate(smooth(3, 64, 64)):
        write_jpeg(tmp_path / "mine" / f"{i}.jpg", image)
    with monkeypatch.context() as m:
        m.setattr(cache.np, "savez", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match=r"image cache .*No space left on device; it needs 0 MB.*DCGAN_CACHE"):
            data.load(tmp_path / "mine")
    assert not [p for p in (cache.cache_root() / "images").iterdir() if p.is_dir()]
    assert len(data.load(tmp_path / "mine")) == 3


DIGITS = {  # SHA-256 of the pixels: another resize, crop, conversion or order has another one
    (None, None): "77c3fad65a1f19b96ff2416f0426ec40779f6c328523f679874cace2a47314ad",
    (16, None): "12b6b9ba07bd3a95fad46000f5e8d7cb18e601c10a7f54875f7ff631db3386df",
    (28, 3): "d94854e21e42cc1edd8a915376536b9a65e91d82671a26c159666058a00361e0",
    (64, None): "c592b34a883308711c7a50f05bb15e17abd84f727f9afd571b106e83547a848e",
}


@pytest.mark.parametrize("asked", DIGITS, ids=str)
def test_digits_keep_their_fingerprint(asked):
    assert data.load("digits", *asked).fingerprint == DIGITS[asked]


def test_grey_and_colour():
    """ITU-R 601 luma, as PIL documents it; grey to RGB is the same value thrice; palettes, white behind LA."""
    x = pixels(1, 16, 16, 3)[0]
    luma = x @ np.array([299, 587, 114]) / 1000
    assert np.abs(decoding.decode(x, 16, 1)[..., 0] - luma).max() <= 1
    grey = pixels(16, 16)
    np.testing.assert_array_equal(decoding.decode(grey, 16, 3), grey[..., None].repeat(3, -1))
    np.testing.assert_array_equal(decoding.decode(x, 16, 3), x)
    clear = Image.new("LA", (8, 8), (0, 0))
    assert (decoding.decode(clear, 8, 1) == 255).all()
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    assert (decoding.decode(palette, 8, 3) == (10, 200, 30)).all()


@pytest.fixture
def labelled():
    """Forty pictures of four classes, sorted by class, with attributes and an extra."""
    y = np.arange(40) // 10
    x = pixels(40, 8, 8, 3)
    images = data.from_array(x, y, "mine", list("abcd"))
    return dataclasses.replace(
        images, attributes=np.stack([y > 1, y > 2], 1).astype(np.uint8), extras={"number": np.arange(40)}
    )


CHOICES = {
    "range": range(9),
    "range by steps": range(3, 30, 4),
    "range backwards": range(9, -1, -3),
    "slice": slice(5, 12),
    "slice from the end": slice(-4, None),
    "list": [3, 1, 39, 1],
    "array": np.array([7, 2], np.uint8),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_select(labelled, choice):
    where = CHOICES[choice]
    chosen, i = labelled.select(where), np.arange(40)[list(where) if isinstance(where, range) else where]
    np.testing.assert_array_equal(chosen.images, labelled.images[i])
    assert chosen.labels.tolist() == labelled.labels[i].tolist()
    assert chosen.attributes.tolist() == labelled.attributes[i].tolist()
    assert chosen.extras["number"].tolist() == i.tolist() and chosen.class_names == list("abcd")
    assert chosen.fingerprint == hashlib.sha256(labelled.images[i].tobytes()).hexdigest()
    assert not chosen.images.flags.writeable
    assert np.shares_memory(chosen.images, labelled.images) == isinstance(where, (range, slice))


def test_select_of_a_range_is_what_limit_was():
    images = data.load("digits")
    first = images.select(range(100))
    assert first.fingerprint == "76044cc15298968bc2d207620a893346e35e8cd3c395bd4e65cab9289a389718"
    assert isinstance(first.images, np.memmap)  # nothing is copied
    assert images.select(range(1797)).fingerprint == images.fingerprint
    assert data.load("digits").select(range(100)).labels.tolist() == images.labels[:100].tolist()


def test_take(labelled):
    drawn = labelled.take(12, seed=5)
    assert len(set(drawn.extras["number"])) == 12 and len(set(drawn.labels)) > 1
    assert drawn.fingerprint == labelled.take(12, seed=5).fingerprint != labelled.take(12, seed=6).fingerprint
    assert labelled.take(30, seed=5)[:12].fingerprint == drawn.fingerprint  # a smaller draw starts a larger one
    assert sorted(labelled.take(40).extras["number"]) == list(range(40))
    even = labelled.take(12, seed=5, by_class=True)
    assert np.bincount(even.labels).tolist() == [3, 3, 3, 3]
    assert even[:4].labels.tolist() == [0, 1, 2, 3]
    assert labelled.take(20, seed=5, by_class=True)[:12].fingerprint == even.fingerprint
    assert even.fingerprint != labelled.take(12, seed=6, by_class=True).fingerprint


def test_take_by_class_leaves_out_the_unlabelled(tmp_path):
    y = np.array([0, 1, 255, 0, 1, 255], np.uint8)
    np.savez(tmp_path / "a.npz", images=pixels(6, 64, 64, 3), labels=y, class_names=np.array(["x", "y"]))
    images = data.load(tmp_path / "a.npz")
    assert sorted(images.take(4, by_class=True).labels) == [0, 0, 1, 1]
    assert images.labels.tolist() == y.tolist()


def test_items_and_repr(labelled):
    np.testing.assert_array_equal(labelled[3], labelled.images[3])
    np.testing.assert_array_equal(labelled[-1], labelled.images[39])
    assert labelled[np.int64(3)].shape == (8, 8, 3) and labelled[10:20].labels.tolist() == [1] * 10
    assert sum(1 for _ in labelled) == 40
    assert repr(labelled) == "<ImageSet mine (train): 40 of 8x8x3, 4 classes, 2 attributes>"
    assert repr(data.load("digits")) == "<ImageSet digits (train): 1,797 of 32x32x1, 10 classes>"


def test_what_a_program_holds(labelled):
    x = pixels(5, 20, 30, 3)
    cropped = data.from_array(x, [0, 1, 2, 1, 0])
    np.testing.assert_array_equal(cropped.images, x[:, :, 5:25])
    assert cropped.labels.tolist() == [0, 1, 2, 1, 0] and cropped.split == "train"
    square = data.from_array(torch.from_numpy(x[:, :, :20].copy()))
    assert square.fingerprint == hashlib.sha256(x[:, :, :20].tobytes()).hexdigest()
    assert data.from_array(x[..., 0]).channels == 1
    np.testing.assert_array_equal(data.load(x, image_size=16).images[2], decoding.decode(x[2], 16, 3))
    assert data.load(labelled) is labelled and data.load(labelled, 8, 3) is labelled
    assert data.load(labelled, limit=5, seed=2).fingerprint == labelled.take(5, 2).fingerprint


def test_torchvision_data_sets(tmp_path):
    from torchvision import datasets, transforms

    x, y = smooth(6, 40, 48), [2, 0, 1, 2, 0, 1]
    for i, (image, label) in enumerate(zip(x, y, strict=True)):
        (tmp_path / "xyz"[label]).mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "xyz"[label] / f"{i}.png")
    held = data.from_dataset(datasets.ImageFolder(tmp_path))  # PIL images, in the order of the classes
    np.testing.assert_array_equal(held.images, x[[1, 4, 2, 5, 0, 3]][:, :, 4:44])
    assert held.labels.tolist() == [0, 0, 1, 1, 2, 2] and held.class_names == ["x", "y", "z"]
    floats = data.from_dataset(datasets.ImageFolder(tmp_path, transforms.ToTensor()))
    assert floats.fingerprint == held.fingerprint
    assert data.load(datasets.ImageFolder(tmp_path), 16).images.shape == (6, 16, 16, 3)
    grey = pixels(4, 12, 12)
    mixed = data.from_dataset([Image.fromarray(grey[0]), Image.fromarray(x[0])], image_size=12)
    assert mixed.channels == 3 and mixed.labels is None
    np.testing.assert_array_equal(mixed.images[0], grey[0][..., None].repeat(3, -1))
    tensors = torch.utils.data.TensorDataset(torch.from_numpy(grey[:, None]), torch.arange(4))
    held = data.from_dataset(tensors)
    np.testing.assert_array_equal(held.images[..., 0], grey)
    assert held.labels.tolist() == [0, 1, 2, 3] and held.channels == 1


def test_what_cannot_be_had_says_three_other_ways(root, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: (_ for _ in ()).throw(OSError("no network")))
    with pytest.raises(data.NotAvailable) as caught:
        data.load("cifar10", root=root)
    text = str(caught.value)
    assert "CIFAR-10" in text and "no network" in text
    assert all(f"\n  {i}. " in text for i in (1, 2, 3)) and str(root) in text
    assert not (root / "cifar-10-batches-py").exists()


def test_limit_is_a_draw_and_leaves_nothing_in_the_cache(tmp_path):
    for i, image in enumerate(smooth(20, 64, 64)):
        write_jpeg(tmp_path / "mine" / "ab"[i // 10] / f"{i:02d}.jpg", image)
    whole, few = data.load(tmp_path / "mine"), data.load(tmp_path / "mine", limit=8, seed=3)
    chosen = np.random.default_rng(3).permutation(20)[:8]
    np.testing.assert_array_equal(few.images, whole.images[chosen])
    assert few.labels.tolist() == whole.labels[chosen].tolist() and set(few.labels) == {0, 1}
    assert few.fingerprint == hashlib.sha256(whole.images[chosen].tobytes()).hexdigest()
    assert few.fingerprint != data.load(tmp_path / "mine", limit=8, seed=4).fingerprint
    assert len([p for p in (cache.cache_root() / "images").iterdir() if p.is_dir()]) == 1
    with pytest.raises(ValueError, match=r"21 pictures asked for, mine \(train\) has 20"):
        data.load(tmp_path / "mine", limit=21)


def test_a_cut_download_is_tried_again(root, monkeypatch):
    """torchvision makes MNIST's folder before it downloads; a failure must not block the set for good."""
    asked = []

    def retrieve(url, *_, **__):
        asked.append(url)
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", retrieve)
    for _ in range(2):
        before = len(asked)
        with pytest.raises(data.NotAvailable, match="Three other ways"):
            data.load("mnist", root=root)
        assert len(asked) > before
    write_idx(root / "MNIST" / "raw" / "train-labels-idx1-ubyte", np.arange(4, dtype=np.uint8))
    before = len(asked)
    with pytest.raises(ValueError, match="incomplete or damaged"):
        data.load("mnist", root=root)
    assert len(asked) > before


def test_a_root_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(data.NotAvailable, match="cannot be made"):
        data.load("cifar10", root=tmp_path / "file" / "below")


def test_a_plain_folder_is_the_train_split(root):
    write_jpeg(root / "imagenet32" / "a.jpg", smooth(1, 32, 32)[0])
    assert len(data.load("imagenet32", root=root)) == 1
    with pytest.raises(data.NotAvailable):
        data.load("imagenet32", root=root, split="test")


def test_truncated_official_file_is_named(root):
    write_idx(root / "MNIST" / "raw" / "train-images-idx3-ubyte", pixels(4, 28, 28))
    write_idx(root / "MNIST" / "raw" / "train-labels-idx1-ubyte", np.arange(4, dtype=np.uint8))
    path = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="MNIST"):
        data.load("mnist", root=root, download=False)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: data.load("cifar"), ValueError, "unknown data set 'cifar' .*: did you mean 'cifar10'"),
        (lambda p: data.load("mnist", split="valid"), ValueError, "unknown split of mnist 'valid'"),
        (lambda p: data.load(p / "nothing"), FileNotFoundError, "no folder, .zip or .npz at"),
        (lambda p: data.load(p), ValueError, "no pictures in"),
    ],
)
def test_errors(tmp_path, call, error, message):
    with pytest.raises(error, match=message):
        call(tmp_path)


def test_cards_are_complete():
    for name, card in data.CARDS.items():
        assert card.licence and card.source.startswith("http") and card.used_for, name
        by_hand = ("digits", "scenes", "scenes_all", "natural32", "anime", "fusions")
        assert (card.torchvision is None and card.hub is None) == (name in by_hand), name


def test_prepared_file_of_the_size_asked_for(monkeypatch, tmp_path):
    """tinyimagenet32.npz serves the 32-pixel networks, tinyimagenet64.npz the others."""
    for size in (32, 64):
        images = np.full((3, size, size, 3), size, np.uint8)
        np.savez(tmp_path / f"tinyimagenet{size}.npz", x_train=images, y_train=np.arange(3))
    assert (data.load("tinyimagenet", image_size=32, root=tmp_path).images == 32).all()
    assert (data.load("tinyimagenet", root=tmp_path).images == 64).all()
    (tmp_path / "tinyimagenet32.npz").unlink()
    assert (data.load("tinyimagenet", image_size=32, root=tmp_path).images == 64).all()  # scaled down


def test_pictures_from_another_library_s_range_are_noticed():
    """From 0 to 1 and from 0 to 255 are the usual slips; NaN has no grey."""
    unit = torch.rand(16, 3, 8, 8)
    with pytest.warns(UserWarning, match="from 0 to 1: this library's are from -1 to 1"):
        list(data.batches(unit, 4))
    with pytest.warns(UserWarning, match="are clipped: expected -1 to 1"):
        data.to_uint8(unit * 255)
    with pytest.raises(ValueError, match="hold NaN"):
        data.to_uint8(unit * float("nan"))
    with pytest.raises(ValueError, match="expected float images"):
        list(data.batches(torch.rand(4, 8, 8, 3), 2))
    (batch,) = data.batches(2 * unit.double() - 1, 16)
    assert batch.dtype == torch.float32


def test_a_folder_named_like_a_set_is_not_taken_without_a_word(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "digits" / "mine.png")
    with pytest.warns(UserWarning, match=r"the folder, which is ./digits"):
        assert len(data.load("digits")) == 1797
    assert len(data.load("./digits", image_size=8)) == 1
