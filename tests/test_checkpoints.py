"""Weights in files: what comes back, and what is said of files that are cut, foreign or not there."""

import json
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.signal import convolve2d

from dcgan_lib import checkpoints, models


@pytest.fixture
def networks():
    return models.build("tiny32", seed=0, channels=1)


@pytest.mark.parametrize("norm", ["batch", "everywhere", "none"])
def test_round_trip(tmp_path, norm):
    networks = models.build("tiny32", seed=0, channels=1, norm=norm)
    path = checkpoints.save(tmp_path / "a.safetensors", *networks, {"from": "a test"})
    loaded = checkpoints.load(path)
    for before, after in zip(networks, loaded, strict=True):
        assert after.arch == before.arch and not after.training
        for a, b in zip(before.state_dict().values(), after.state_dict().values(), strict=True):
            assert torch.equal(a, b) and a.dtype == b.dtype
    assert checkpoints.info(path)["about"] == {"from": "a test"}
    assert set(load_file(path)) >= {"generator.project.weight", "discriminator.head.weight"}  # any reader can


def test_half_precision_files(tmp_path, networks):
    full = checkpoints.save(tmp_path / "full.safetensors", *networks)
    half = checkpoints.save(tmp_path / "half.safetensors", *networks, dtype=torch.float16)
    assert half.stat().st_size < 0.6 * full.stat().st_size
    tensors = load_file(half)
    assert tensors["generator.project.weight"].dtype == torch.float16
    assert tensors["generator.project_norm.running_var"].dtype == torch.float32
    generator, _ = checkpoints.load(half)
    assert generator.project.weight.dtype == torch.float32
    latent = models.sample_latent(4, generator.arch)
    exact = models.sample(networks[0], latent, "batch")
    assert (models.sample(generator, latent, "batch") - exact).abs().max() < 0.01


def test_equal_networks_give_equal_bytes(tmp_path, networks):
    a = checkpoints.save(tmp_path / "a.safetensors", *networks, {"b": 1, "a": 2})
    b = checkpoints.save(tmp_path / "b.safetensors", *networks, {"a": 2, "b": 1})
    assert a.read_bytes() == b.read_bytes()


def test_one_network_alone(tmp_path, networks):
    generator, discriminator = networks
    checkpoints.save(tmp_path / "d.safetensors", None, discriminator)
    nothing, loaded = checkpoints.load(tmp_path / "d.safetensors")
    assert nothing is None and checkpoints.digest(loaded) == checkpoints.digest(discriminator)
    assert checkpoints.digest(loaded) != checkpoints.digest(generator)
    checkpoints.save(tmp_path / "g.safetensors", generator, None)
    assert checkpoints.load(tmp_path / "g.safetensors")[1] is None


def test_cut_file(tmp_path, networks):
    path = checkpoints.save(tmp_path / "a.safetensors", *networks)
    whole = path.read_bytes()
    for length in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(checkpoints.CheckpointError, match=r"a.safetensors is cut short or no safetensors file"):
            checkpoints.load(path)


def test_foreign_files(tmp_path, networks):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(checkpoints.CheckpointError, match="not of dcgan_lib"):
        checkpoints.load(tmp_path / "other.safetensors")
    (tmp_path / "model.pt").write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(checkpoints.CheckpointError, match=r"pickled \.pt and \.pth files are not read"):
        checkpoints.load(tmp_path / "model.pt")
    checkpoints.save_state(tmp_path / "state.safetensors", {"a": torch.zeros(1)}, {"step": 1})
    with pytest.raises(checkpoints.CheckpointError, match="holds a run's state, expected weights"):
        checkpoints.load(tmp_path / "state.safetensors")


def test_pickles_are_never_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle ran",))

    (tmp_path / "bomb.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(checkpoints.CheckpointError):
        checkpoints.load(tmp_path / "bomb.safetensors")


def test_header_of_another_version(tmp_path, networks):
    path = checkpoints.save(tmp_path / "a.safetensors", *networks)
    tensors = load_file(path)
    header = checkpoints.info(path)
    header["architecture"]["attention"] = True
    save_file(tensors, path, {"dcgan": json.dumps(header)})
    with pytest.raises(checkpoints.CheckpointError, match="does not know: unknown architecture field 'attention'"):
        checkpoints.load(path)
    del header["architecture"]["attention"]
    header["architecture"]["latent_dim"] = 7
    save_file(tensors, path, {"dcgan": json.dumps(header)})
    with pytest.raises(checkpoints.CheckpointError, match="do not fit its architecture"):
        checkpoints.load(path)


def test_places(tmp_path, networks, monkeypatch):
    checkpoints.save(tmp_path / "run" / checkpoints.FILE, *networks)
    assert checkpoints.load(tmp_path / "run")[0].arch == networks[0].arch
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="it is no folder of a run that has made a checkpoint"):
        checkpoints.load(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="no weights at"):
        checkpoints.load(tmp_path / "nothing.safetensors")
    monkeypatch.chdir(tmp_path)
    for name in checkpoints.pretrained():  # a folder of that name without weights does not hide them
        (tmp_path / name).mkdir()
        assert checkpoints.locate(name) == checkpoints.pretrained()[name]
    with pytest.raises(ValueError, match="unknown pretrained model"):
        checkpoints.load("facs")

    asked = []

    def download(repository, name):
        asked.append((repository, name))
        return str(tmp_path / "run" / checkpoints.FILE)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert checkpoints.load("hf:someone/dcgan-cats.v1")[0].arch == networks[0].arch
    assert asked == [("someone/dcgan-cats.v1", "weights.safetensors")]
    with pytest.raises(FileNotFoundError, match=r"on the Hugging Face hub it would be hf:someone/dcgan-cats\.v1"):
        checkpoints.load("someone/dcgan-cats.v1")
    with pytest.raises(FileNotFoundError, match=r"no weights at \S+rum: did you mean \S+run\?"):
        checkpoints.load(tmp_path / "rum")
    with pytest.raises(ValueError, match="expected hf:owner/name, got 'hf:cats'"):
        checkpoints.load("hf:cats")
    assert len(asked) == 1


def test_a_run_without_a_checkpoint_yet(tmp_path, networks):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="yet: the first checkpoint of its training writes"):
        checkpoints.load(tmp_path)
    checkpoints.save(tmp_path / checkpoints.FILE, *networks, {"step": 20})
    assert checkpoints.info(tmp_path)["about"]["step"] == 20 and checkpoints.load(tmp_path)[0]


def test_hub_without_network():
    with pytest.raises(FileNotFoundError, match=r"no weights\.safetensors from Hugging Face nobody/nothing"):
        checkpoints.load("hf:nobody/nothing")


@pytest.mark.parametrize("name", list(checkpoints.pretrained()))
def test_shipped_weights(name):
    generator, discriminator = checkpoints.load(name)
    arch = (generator or discriminator).arch
    images = torch.rand(32, arch.channels, arch.image_size, arch.image_size) * 2 - 1
    if generator:
        images = models.sample(generator, models.sample_latent(32, arch, 0))
        assert images.abs().max() <= 1 and images.std(0).mean() > 0.1  # 32 different pictures
    about = checkpoints.info(name)["about"]
    assert about["result"].startswith("results/") and about["pictures"]["fingerprint"]
    assert discriminator is None or torch.isfinite(discriminator(images)).all()


def test_weights_ship():
    assert {"faces", "mnist", "imagenet32", "svhn"} <= set(checkpoints.pretrained())
    assert sum(path.stat().st_size for path in checkpoints.HERE.rglob("*.safetensors")) <= 32e6


def test_classifier_round_trip(tmp_path):
    network = models.classifier("tiny32", 3, dropout=0.5, seed=0).eval()
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    assert network(images).shape == (4, 3)
    about = {"names": ["a", "b", "c"]}
    loaded, back = checkpoints.load_classifier(checkpoints.save_classifier(tmp_path / "c.safetensors", network, about))
    assert back == about and not loaded.training and torch.equal(loaded(images), network(images))
    half, _ = checkpoints.load_classifier(
        checkpoints.save_classifier(tmp_path / "h.safetensors", network, about, torch.float16)
    )
    assert torch.allclose(half(images), network(images), atol=2e-2) and half.head[1].bias.dtype == torch.float32
    with pytest.raises(ValueError, match="unknown classifier 'face_atributes'"):
        checkpoints.load_classifier("face_atributes")
    with pytest.raises(checkpoints.CheckpointError, match="holds a classifier, expected weights"):
        checkpoints.load(tmp_path / "c.safetensors")


def test_the_shipped_classifier_names_its_attributes():
    network, about = checkpoints.load_classifier("face_attributes")
    assert len(about["names"]) == 40 == network.head[1].out_features and "Smiling" in about["names"]


def test_a_crash_while_writing_leaves_the_earlier_file(tmp_path, networks, monkeypatch):
    path = checkpoints.save(tmp_path / "a.safetensors", *networks)
    before = path.read_bytes()
    monkeypatch.setattr(
        checkpoints.os, "fsync", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError, match=r"could not be written \(No space left on device.*earlier one is untouched"):
        checkpoints.save(path, *models.build("tiny32", seed=1, channels=1))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def write_authors(folder, seed=0):
    """Random arrays in the layout of the released SVHN weights."""
    rng = np.random.default_rng(seed)
    normal = lambda *shape: (rng.standard_normal(shape) * 0.05).astype(np.float32)  # noqa: E731
    gain = lambda n: (1 + rng.standard_normal(n) * 0.1).astype(np.float32)  # noqa: E731
    gen = [normal(100, 4096), gain(4096), normal(4096), normal(256, 128, 5, 5), gain(128), normal(128)]
    gen += [normal(128, 64, 5, 5), gain(64), normal(64), normal(64, 3, 5, 5)]
    discrim = [normal(64, 3, 5, 5), normal(128, 64, 5, 5), gain(128), normal(128), normal(256, 128, 5, 5), gain(256)]
    discrim += [normal(256), normal(4096, 1)]
    folder.mkdir(parents=True, exist_ok=True)
    for part, arrays in (("gen", gen), ("discrim", discrim)):
        for i, array in enumerate(arrays, 1):
            np.save(folder / f"200_{part}_params.jl_{i:02d}.npy", array)
    return gen, discrim


def true_convolution(x, w):
    """Theano's stride-2 convolution with border 2, by scipy: kernels flipped. x (C, H, W), w (out, C, 5, 5)."""
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2)))
    out = [sum(convolve2d(p, k, mode="valid") for p, k in zip(padded, kernels, strict=True)) for kernels in w]
    return np.stack(out)[:, ::2, ::2]


def batch_norm(x, g, b):
    axes = (0, *range(2, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    u, s = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - u) / np.sqrt(s + 1e-8) * g.reshape(shape) + b.reshape(shape)


def test_authors_discriminator_against_plain_arithmetic(tmp_path):
    _, (w, w2, g2, b2, w3, g3, b3, wy) = write_authors(tmp_path)
    _, discriminator = checkpoints.load_authors(tmp_path)
    x = np.random.default_rng(1).uniform(-1, 1, (3, 3, 32, 32)).astype(np.float32)
    lrelu = lambda v: np.where(v > 0, v, 0.2 * v)  # noqa: E731
    h = lrelu(np.stack([true_convolution(v, w) for v in x]))
    h = lrelu(batch_norm(np.stack([true_convolution(v, w2) for v in h]), g2, b2))
    h = lrelu(batch_norm(np.stack([true_convolution(v, w3) for v in h]), g3, b3))
    expected = (h.reshape(3, -1) @ wy)[:, 0]
    discriminator.train()  # batch statistics, as released
    np.testing.assert_allclose(discriminator(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-3, atol=1e-4)


def test_authors_generator_against_plain_arithmetic(tmp_path):
    """The 'deconvolution' as what it is: the transpose of the true convolution, checked by inner products."""
    (w, g, b, w2, g2, b2, *_), _ = write_authors(tmp_path)
    generator, _ = checkpoints.load_authors(tmp_path)
    z = np.random.default_rng(2).standard_normal((4, 100)).astype(np.float32)
    generator.train()
    first = np.maximum(batch_norm(z @ w, g, b), 0).reshape(4, 256, 4, 4)
    up = generator.blocks[0][0](torch.from_numpy(first)).detach().numpy()  # (4, 128, 8, 8)
    probe = np.random.default_rng(3).standard_normal((128, 8, 8)).astype(np.float32)
    for one, image in zip(first, up, strict=True):
        np.testing.assert_allclose((image * probe).sum(), (one * true_convolution(probe, w2)).sum(), rtol=1e-3)
    whole = generator(torch.from_numpy(z))
    rest = np.maximum(batch_norm(up, g2, b2), 0)
    assert whole.shape == (4, 3, 32, 32) and rest.shape == (4, 128, 8, 8)
    torch.testing.assert_close(
        generator.blocks[0](torch.from_numpy(first)), torch.from_numpy(rest), rtol=1e-3, atol=1e-3
    )


def test_authors_statistics_are_set(tmp_path):
    write_authors(tmp_path)
    generator, discriminator = checkpoints.load_authors(tmp_path)
    latent = models.sample_latent(256, generator.arch, 99)
    running, batch = (models.sample(generator, latent, s, batch_size=256) for s in ("running", "batch"))
    assert (running - batch).abs().mean() < 0.1 * batch.std()
    maps = discriminator.blocks[1][0](discriminator.blocks[0](batch))
    norm = discriminator.blocks[1][1]
    assert (norm.running_mean - maps.mean((0, 2, 3))).abs().max() < 0.1 * maps.std()


def test_authors_missing_and_foreign_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no 200_gen_params\.jl_01\.npy"):
        checkpoints.load_authors(tmp_path)
    write_authors(tmp_path)
    (tmp_path / "200_gen_params.jl_04.npy").unlink()
    (tmp_path / "200_discrim_params.jl_08.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks 2 of 18 files: 200_gen_params\.jl_04\.npy, 200_discrim_params"):
        checkpoints.load_authors(tmp_path)
    write_authors(tmp_path)
    np.save(tmp_path / "200_discrim_params.jl_01.npy", np.zeros((64, 3, 3, 3), np.float32))
    with pytest.raises(checkpoints.CheckpointError, match=r"discrim_params\.jl_01\.npy: expected .*\(64, 3, 5, 5\)"):
        checkpoints.load_authors(tmp_path)


def write_authors_imagenet(folder, largest=4.0e6):
    """Random arrays in the layout of the released ImageNet weights; files above `largest` bytes are left out."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)

    def arrays(n, *shape):  # a layer's weights, gain and bias
        return [rng.standard_normal(shape) * 0.05, 1 + rng.standard_normal(n) * 0.1, rng.standard_normal(n) * 0.1]

    widths = [128, 128, 256, 256, 512, 512]
    discrim, gen = arrays(0, 128, 3, 3, 3)[:1], arrays(8192, 256, 8192)
    for a, b in pairwise(widths):
        discrim += arrays(b, b, a, 3, 3)
    for a, b in pairwise(widths[::-1]):
        gen += arrays(b, a, b, 3, 3)
    discrim += arrays(0, 8192, 1)[:1]
    gen += arrays(0, 128, 3, 3, 3)[:1]
    for part, arrays in (("gen", gen), ("discrim", discrim)):
        for i, array in enumerate(arrays, 1):
            if array.size * 4 <= largest:
                np.save(folder / f"30_{part}_params.jl_{i:02d}.npy", array.astype(np.float32))
    return gen, discrim


def test_part_of_the_authors_imagenet_networks(tmp_path):
    """The files of 4.7 and 9.4 MB are missing: two of D's convolutions, and more of G."""
    _, arrays = write_authors_imagenet(tmp_path)
    missing = checkpoints.missing_authors(tmp_path)
    in_d = [name for name in missing if "discrim" in name]
    assert in_d == ["30_discrim_params.jl_11.npy", "30_discrim_params.jl_14.npy"] and len(missing) > 3
    with pytest.raises(FileNotFoundError, match=rf"lacks {len(missing)} of 36 files: .*{in_d[0]}, {in_d[1]}"):
        checkpoints.load_authors(tmp_path)
    generator, discriminator = checkpoints.load_authors(tmp_path, partial=True)
    assert generator is None and discriminator.arch.widths == (128, 128, 256, 256)
    assert discriminator.arch.feature_count == 12_288
    images = np.random.default_rng(1).uniform(-1, 1, (4, 3, 32, 32)).astype(np.float32)
    with torch.no_grad():
        assert discriminator.feature_maps(torch.from_numpy(images))[3].isnan().all()  # no averages: not silently wrong
        models.calibrate(discriminator, [torch.from_numpy(images)])
        maps = discriminator.feature_maps(torch.from_numpy(images))
        for m, (width, side) in zip(maps, ((128, 32), (128, 16), (256, 16), (256, 8)), strict=True):
            assert m.shape == (4, width, side, side) and torch.isfinite(m).all()
        first = np.pad(images[0], ((0, 0), (1, 1), (1, 1)))  # against scipy's true convolution
        h = sum(convolve2d(p, k, mode="valid") for p, k in zip(first, arrays[0][5], strict=True))
        np.testing.assert_allclose(maps[0][0, 5].numpy(), np.where(h > 0, h, 0.2 * h), rtol=1e-3, atol=1e-5)
        before = np.pad(maps[2][0].numpy(), ((0, 0), (1, 1), (1, 1)))  # the last of the four, stride 2
        kernel = arrays[7][9]
        h = sum(convolve2d(p, k, mode="valid") for p, k in zip(before, kernel, strict=True))[::2, ::2]
        by_torch = discriminator.blocks[3][0](maps[2][:1])[0, 9].numpy()
        np.testing.assert_allclose(by_torch, h, rtol=1e-3, atol=1e-4)
        gain = discriminator.blocks[3][1]
        np.testing.assert_array_equal(gain.weight.numpy(), arrays[8].astype(np.float32))
        np.testing.assert_array_equal(gain.bias.numpy(), arrays[9].astype(np.float32))


def test_a_part_of_a_whole_release_is_the_whole(tmp_path):
    write_authors(tmp_path)
    whole, part = checkpoints.load_authors(tmp_path), checkpoints.load_authors(tmp_path, partial=True)
    assert [checkpoints.digest(n) for n in whole] == [checkpoints.digest(n) for n in part]
    (tmp_path / "200_discrim_params.jl_08.npy").unlink()  # the dense layer
    headless = checkpoints.load_authors(tmp_path, partial=True)[1]
    assert checkpoints.digest(headless.blocks) == checkpoints.digest(whole[1].blocks) and not headless.head.weight.any()
    (tmp_path / "200_discrim_params.jl_03.npy").unlink()  # a gain of the second convolution
    generator, discriminator = checkpoints.load_authors(tmp_path, partial=True)
    assert checkpoints.digest(generator) == checkpoints.digest(whole[0]) and discriminator.arch.widths == (64,)
    (tmp_path / "200_discrim_params.jl_01.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks D's first convolution, 200_discrim_params\.jl_01\.npy"):
        checkpoints.load_authors(tmp_path, partial=True)


def test_first_convolutions_give_the_same_maps():
    _, d = models.build("tiny32", seed=0)
    models.calibrate(d, [torch.rand(16, 3, 32, 32) * 2 - 1])
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    part = checkpoints.first_convolutions(d.eval(), 2)
    assert part.arch.widths == (16, 32) and not part.training
    for a, b in zip(part.feature_maps(images), d.feature_maps(images), strict=False):
        assert torch.equal(a, b)
    assert (part(images) == 0).all()


def test_adam_moments_come_back_whole_or_not_at_all():
    g, _ = models.build("tiny32", seed=0)
    adam = torch.optim.Adam(g.parameters())
    checkpoints.restore_optimiser(adam, checkpoints.optimiser_tensors(adam))  # has not stepped: nothing to put back
    assert not adam.state_dict()["state"]
    g(models.sample_latent(4, g.arch)).square().sum().backward()
    adam.step()
    saved = {k: v.clone() for k, v in checkpoints.optimiser_tensors(adam).items()}
    other = torch.optim.Adam(g.parameters())
    checkpoints.restore_optimiser(other, saved)
    after = checkpoints.optimiser_tensors(other)
    assert after.keys() == saved.keys() and all(torch.equal(after[k], v) for k, v in saved.items())
    for wrong in (
        {},
        {k: v for k, v in saved.items() if not k.startswith("3.")},
        saved | {"99.exp_avg": torch.ones(1)},
    ):
        with pytest.raises(checkpoints.CheckpointError, match="numbers of an optimiser"):
            checkpoints.restore_optimiser(torch.optim.Adam(g.parameters()), wrong)
    for value in (saved["0.exp_avg"][:-1], saved["0.exp_avg"] * torch.nan):
        with pytest.raises(checkpoints.CheckpointError, match="exp_avg of parameter 0"):
            checkpoints.restore_optimiser(torch.optim.Adam(g.parameters()), saved | {"0.exp_avg": value})
