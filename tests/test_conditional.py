"""Networks that are told the class: against the released description written out plainly, trained, saved, exported."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from dcgan_lib import checkpoints, cli, data, export, features, inspection, latent, models, sheets, training, widgets
from dcgan_lib.training import TrainConfig

# mnist/train_cond_dcgan.py: dense (inputs, outputs), G's convolutions (in, out, 5, 5), D's (out, in, 5, 5).
RELEASED_G = [(110, 1024), (1034, 6272), (138, 64, 5, 5), (74, 1, 5, 5)]
RELEASED_D = [(64, 11, 5, 5), (128, 74, 5, 5), (6282, 1024), (1034, 1)]
SMALL = models.architecture("mnist28_conditional", widths=(4, 6), dense_units=12, latent_dim=8)
TINY = models.architecture("tiny32", widths=(4, 8, 8), latent_dim=8, classes=3)


def config(out, **changes):
    settings = {"data": "digits", "arch": SMALL, "steps": 6, "batch_size": 16, "seed": 3, "device": "cpu"}
    settings |= {"precision": "float32", "progress": False, "log_every": 1, "sample_every": 6}
    return TrainConfig(out=out, **(settings | changes))


def labelled(arch, n, seed=0):
    return models.sample_labels(n, arch.classes, seed)


def calibrated(arch, seed=0):
    generator, discriminator = models.build(arch, seed=seed)
    batches = [(models.sample_latent(32, generator.arch, s), labelled(generator.arch, 32, s)) for s in range(3)]
    models.calibrate(generator, batches)
    return generator.eval(), discriminator


def test_maps_of_a_generator_with_classes():
    generator, _ = calibrated(TINY)
    z, labels = models.sample_latent(5, TINY, 1), labelled(TINY, 5)
    maps = inspection.generator_maps(generator, z, 1, labels=labels)
    assert maps.shape == (5, 8, 8, 8)
    assert not torch.equal(maps, inspection.generator_maps(generator, z, 1, labels=(labels + 1) % 3))
    with pytest.raises(ValueError, match="got none"):
        inspection.generator_maps(generator, z, 1)


# ---- the networks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "released", "count"),
    [(models.Generator, RELEASED_G, 6_820_538), (models.Discriminator, RELEASED_D, 6_688_202)],
)
def test_the_released_shapes(network, released, count):
    with torch.device("meta"):
        parameters = list(network(models.ARCHITECTURES["mnist28_conditional"]).parameters())
    assert [tuple(p.shape if p.ndim == 4 else p.T.shape) for p in parameters] == released
    assert sum(p.numel() for p in parameters) == sum(map(np.prod, released)) == count


def released_norm(x):
    axes = [0, *range(2, x.ndim)]
    mean = x.mean(axes, keepdim=True)
    return (x - mean) / ((x - mean).square().mean(axes, keepdim=True) + 1e-8).sqrt()


def released_join(x, y):
    return torch.cat([x, y[:, :, None, None] * torch.ones(len(x), y.shape[1], *x.shape[2:])], 1)


class ReleasedGenerator(nn.Module):
    """z and a one-hot y → pictures in [0, 1]."""

    def __init__(self, weights):
        super().__init__()
        self.w = nn.ParameterList(w.detach().clone() for w in weights)

    def forward(self, z, y):
        h = F.relu(released_norm(torch.cat([z, y], 1) @ self.w[0].T))
        h = F.relu(released_norm(torch.cat([h, y], 1) @ self.w[1].T)).reshape(len(z), -1, 7, 7)
        for i, side in ((2, 14), (3, 28)):  # a transposed convolution is the gradient of a strided one
            size = (len(z), self.w[i].shape[1], side, side)
            h = nn.grad.conv2d_input(size, self.w[i], released_join(h, y), 2, 2)
            h = F.relu(released_norm(h)) if i == 2 else h.sigmoid()
        return h


class ReleasedDiscriminator(nn.Module):
    """Pictures in [0, 1] and a one-hot y → logits."""

    def __init__(self, weights):
        super().__init__()
        self.w = nn.ParameterList(w.detach().clone() for w in weights)

    def forward(self, x, y):
        h = F.leaky_relu(F.conv2d(released_join(x, y), self.w[0], None, 2, 2), 0.2)
        h = F.leaky_relu(released_norm(F.conv2d(released_join(h, y), self.w[1], None, 2, 2)), 0.2)
        h = torch.cat([h.flatten(1), y], 1)
        h = torch.cat([F.leaky_relu(released_norm(h @ self.w[2].T), 0.2), y], 1)
        return (h @ self.w[3].T)[:, 0]


def test_networks_equal_the_released_ones():
    """On pictures in [0, 1], as the released code has them, ours are the same functions: x in [-1, 1] is 2 u - 1."""
    generator, discriminator = models.build("mnist28_conditional", seed=1)
    z, labels = models.sample_latent(6, generator.arch, 2), torch.tensor([0, 9, 3, 3, 5, 1])
    y = torch.eye(10)[labels]
    with torch.no_grad():
        u = ReleasedGenerator(generator.parameters())(z, y)
        images = generator(z, labels)
        assert u.min() > 0 and images.min() < 0  # [0, 1] inside, [-1, 1] outside
        torch.testing.assert_close(images, 2 * u - 1, atol=1e-5, rtol=0)
        logits = ReleasedDiscriminator(discriminator.parameters())(u, y)
        torch.testing.assert_close(discriminator(2 * u - 1, labels), logits, atol=1e-4, rtol=1e-4)
        other = discriminator(2 * u - 1, (labels + 1) % 10)
    assert (other - logits).abs().max() > 1e-3


def test_dense_networks_against_plain_products():
    """The paper's other row: no convolutions, two hidden layers, labels at each, no batch norm on D's first layer."""
    arch = models.architecture("mnist28_conditional", widths=(), dense_units=20, dense_layers=2)
    generator, discriminator = models.build(arch, seed=1)
    g, d = ([p.detach().T for p in network.parameters()] for network in (generator, discriminator))
    assert [tuple(w.shape) for w in g] == [(110, 20), (30, 20), (30, 784)]
    assert [tuple(w.shape) for w in d] == [(794, 20), (30, 20), (30, 1)]
    z, labels = models.sample_latent(6, arch, 2), torch.tensor([0, 9, 3, 3, 5, 1])
    y = torch.eye(10)[labels]
    h = z
    for w in g[:2]:
        h = F.relu(released_norm(torch.cat([h, y], 1) @ w))
    u = (torch.cat([h, y], 1) @ g[2]).sigmoid()
    h = F.leaky_relu(torch.cat([u, y], 1) @ d[0], 0.2)
    h = F.leaky_relu(released_norm(torch.cat([h, y], 1) @ d[1]), 0.2)
    with torch.no_grad():
        images = generator(z, labels)
        torch.testing.assert_close(images, (2 * u - 1).view(6, 1, 28, 28), atol=1e-5, rtol=0)
        logits = discriminator(images, labels)
        torch.testing.assert_close(logits, (torch.cat([h, y], 1) @ d[2])[:, 0], atol=1e-4, rtol=1e-4)
        assert [tuple(m.shape) for m in discriminator.feature_maps(images, labels)] == [(6, 20)] * 2
    wide = replace(arch, dense_units=2_200)
    with torch.device("meta"):
        counts = [models.parameter_count(network(wide)) for network in (models.Generator, models.Discriminator)]
    for ours, released in zip(counts, (6_820_538, 6_688_202), strict=True):
        assert abs(ours / released - 1) < 0.02


def test_dense_networks_train_go_on_and_come_back(tmp_path):
    arch = models.architecture("mnist28_conditional", widths=(), dense_units=8, dense_layers=2, latent_dim=8)
    straight = training.train(config(tmp_path / "straight", arch=arch, steps=5))
    training.train(config(tmp_path / "cut", arch=arch, steps=2))
    gone_on = training.train(config(tmp_path / "cut", arch=arch, steps=5), extend=True)
    loaded = checkpoints.load(tmp_path / "cut")
    for i, network in enumerate((straight.generator, straight.discriminator)):
        for other in ((gone_on.generator, gone_on.discriminator)[i], loaded[i]):
            assert other.arch == network.arch and network.arch.widths == ()
            assert all(map(torch.equal, network.parameters(), other.parameters()))
    path = export.onnx(gone_on.generator, tmp_path / "dense.onnx")
    assert path.stat().st_size > 1_000
    with pytest.raises(ValueError, match=r"the lab knows only .* widths \(\) and dense_layers 2"):
        export.folded(gone_on.generator)
    plain = models.build(replace(arch, classes=0))[1]
    with pytest.raises(ValueError, match="without convolutions has none of the features"):
        features.discriminator_features(plain, np.zeros((3, 28, 28, 1), np.uint8))
    with pytest.raises(ValueError, match=r"no widths\) needs dense_units"):
        replace(arch, dense_units=None)
    assert arch.resized(64).sizes == (64,)


def test_the_first_convolution_sees_pixels_in_the_unit_range():
    seen = []
    _, discriminator = models.build(SMALL, seed=0)
    discriminator.blocks[0][0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    pixels = np.array([0, 51, 255], np.uint8)[np.random.default_rng(0).integers(0, 3, (4, 28, 28, 1))]
    discriminator(data.to_float(pixels), torch.tensor([2, 0, 9, 2]))
    expected = torch.from_numpy(pixels / np.float32(255)).permute(0, 3, 1, 2)
    torch.testing.assert_close(seen[0][:, :1], expected, atol=1e-6, rtol=0)
    assert (seen[0][:, 1:] == torch.eye(10)[[2, 0, 9, 2], :, None, None]).all()


CHANGES = [
    {},
    {"dense_units": 16},
    {"downsample": "avg_pool", "upsample": "nearest", "kernel_size": 5},
    {"norm": "none"},
    {"dense_norm": "unit", "norm_affine": False},
    {"widths": (4, 4, 8), "strides": (1, 2, 2), "kernel_size": 3},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_any_architecture_becomes_conditional(change):
    arch = models.architecture(TINY, **change)
    plain, told = models.build(replace(arch, classes=0), seed=0), models.build(arch, seed=0)
    for before, after in zip(plain, told, strict=True):
        assert list(before.state_dict()) == list(after.state_dict())  # `load_authors` and old files go by these
        layers = [m for m in before.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))]
        outputs = [
            m.out_features if isinstance(m, nn.Linear) else m.out_channels * m.kernel_size[0] ** 2 for m in layers
        ]
        assert models.parameter_count(after) - models.parameter_count(before) == 3 * sum(outputs)
        assert models.shapes(after)[-1][2] == models.shapes(before)[-1][2]
    generator, discriminator = told
    z, labels = models.sample_latent(6, arch, 1), torch.tensor([0, 2, 2, 0, 0, 2])
    images = generator(z, labels)
    assert images.shape == (6, 3, 32, 32)
    maps = discriminator.feature_maps(images, labels)
    assert [m.shape[1] for m in maps] == [*arch.widths, *([16] if arch.dense_units else [])]
    # Each layer learns from the labels that were there, and only from them: its last three inputs are theirs.
    (discriminator(images, labels) * torch.arange(6)).sum().backward()
    for network in told:
        for module in network.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
                gradient = module.weight.grad if isinstance(module, nn.ConvTranspose2d) else module.weight.grad.mT
                if isinstance(module, nn.Conv2d):
                    gradient = module.weight.grad.transpose(0, 1)
                of_labels = gradient[-3:].flatten(1).abs().amax(1)
                assert (of_labels[[0, 2]] > 0).all() and of_labels[1] == 0


def test_a_label_changes_its_own_picture_only():
    generator, _ = calibrated(TINY)
    z, labels = models.sample_latent(5, TINY, 1), torch.tensor([0, 1, 2, 0, 1])
    before = models.sample(generator, z, labels=labels)
    labels[3] = 2
    after = models.sample(generator, z, labels=labels)
    apart = (after - before).abs().amax((1, 2, 3))
    assert apart[3] > 1e-3 and (apart[[0, 1, 2, 4]] == 0).all()
    torch.testing.assert_close(models.sample(generator, z, batch_size=2, labels=labels), after, atol=1e-6, rtol=0)


def test_calibration_takes_labels():
    generator, _ = models.build(TINY, seed=0)
    z, labels = models.sample_latent(64, TINY, 1), labelled(TINY, 64)
    models.calibrate(generator, [(z, labels)])
    hidden = torch.cat([z, torch.eye(3)[labels]], 1) @ generator.project.weight.T
    mean = hidden.unflatten(1, (8, -1)).mean((0, 2))
    torch.testing.assert_close(generator.project_norm.running_mean, mean, atol=1e-6, rtol=1e-4)


def test_drawn_labels():
    drawn = models.sample_labels(30_000, 10, seed=4)
    assert drawn.dtype == torch.int64 and torch.equal(drawn, models.sample_labels(30_000, 10, seed=4))
    assert not torch.equal(drawn, models.sample_labels(30_000, 10, seed=5))
    counts = drawn.bincount(minlength=10)
    assert len(counts) == 10 and (counts - 3000).abs().max() < 5 * 52  # five standard deviations


REFUSED = [
    ("no labels", lambda g, d, z, x: g(z), r"expected labels \(4,\), int64 from 0 to 2, got none"),
    ("no labels for D", lambda g, d, z, x: d.feature_maps(x), "got none"),
    ("a list", lambda g, d, z, x: g(z, [0, 1, 2, 0]), "got list"),
    ("floats", lambda g, d, z, x: g(z, torch.zeros(4)), "got torch.float32"),
    ("too few", lambda g, d, z, x: d(x, torch.zeros(3, dtype=torch.int64)), r"got torch.int64 \(3,\)"),
    ("one-hot", lambda g, d, z, x: g(z, torch.zeros(4, 3, dtype=torch.int64)), r"\(4, 3\)"),
    ("too large", lambda g, d, z, x: g(z, torch.tensor([0, 1, 2, 3])), "got some from 0 to 3"),
    ("negative", lambda g, d, z, x: d(x, torch.tensor([0, 1, 2, -1])), "got some from -1 to 2"),
    ("sampling without", lambda g, d, z, x: models.sample(g, z), "got none"),
    (
        "sampling with too many",
        lambda g, d, z, x: models.sample(g, z, labels=torch.zeros(5, dtype=torch.int64)),
        r"expected labels \(4,\)",
    ),
    (
        "labels without classes",
        lambda g, d, z, x: models.build("tiny32")[0](models.sample_latent(4, "tiny32"), torch.zeros(4).long()),
        "this network has no classes",
    ),
    ("features", lambda g, d, z, x: features.discriminator_features(d, x), "is told the class"),
    ("a classifier", lambda g, d, z, x: models.classifier(TINY, 2), "cannot be told the class"),
    ("classes below 0", lambda g, d, z, x: models.architecture("tiny32", classes=-1), "classes must be"),
    ("drawing from none", lambda g, d, z, x: models.sample_labels(4, 0), "classes must be at least 1"),
]


@pytest.mark.parametrize(("call", "words"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_is_refused(call, words):
    generator, discriminator = models.build(TINY, seed=0)
    with pytest.raises(ValueError, match=words):
        call(generator, discriminator, models.sample_latent(4, TINY), torch.zeros(4, 3, 32, 32))


# ---- training ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["alternate", "simultaneous"])
def test_training_against_a_plain_loop(tmp_path, schedule):
    """As released: each minibatch's labels go to the real pictures and to the latents beside them."""
    settings = config(tmp_path / "run", schedule=schedule, weight_decay=2.5e-5)
    run = training.train(settings)
    seed = training.streams.generator(3, training.streams.WEIGHTS, 0).initial_seed()
    networks = models.build(SMALL, seed=seed)
    generator, discriminator = (
        ReleasedGenerator(networks[0].parameters()),
        ReleasedDiscriminator(networks[1].parameters()),
    )
    adam_g, adam_d = (
        torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999), weight_decay=2.5e-5) for n in (generator, discriminator)
    )
    digits = data.load("digits", image_size=28)
    pixels = torch.from_numpy(digits.images / np.float32(255)).permute(0, 3, 1, 2)
    order = torch.randperm(len(digits), generator=training.streams.generator(3, training.streams.ORDER, 0))
    bce, losses = F.binary_cross_entropy_with_logits, []
    for k in range(6):
        at = order[16 * k : 16 * k + 16]
        x, y = pixels[at], torch.eye(10)[torch.from_numpy(np.asarray(digits.labels, np.int64))[at]]
        z = models.sample_latent(16, SMALL, training.streams.generator(3, training.streams.LATENT, k))
        row = {}
        if schedule == "simultaneous" or k % 2 == 1:
            real, fake = discriminator(x, y), discriminator(generator(z, y).detach(), y)
            loss = bce(real, torch.ones(16)) + bce(fake, torch.zeros(16))
            adam_d.zero_grad()
            loss.backward()
            adam_d.step()
            row["loss_d"] = loss.item()
        if schedule == "simultaneous" or k % 2 == 0:
            loss = bce(discriminator(generator(z, y), y), torch.ones(16))
            adam_g.zero_grad()
            loss.backward()
            adam_g.step()
            row["loss_g"] = loss.item()
        losses.append(row)
    found = [{k: v for k, v in row.items() if k in ("loss_d", "loss_g")} for row in run.stats]
    assert found == [pytest.approx(row, rel=1e-4) for row in losses]


def test_a_resumed_run_has_the_same_bits(tmp_path):
    settings = {"arch": replace(TINY, classes=0), "conditional": True, "ema_decay": 0.9, "keep_every": 4}
    straight = training.train(config(tmp_path / "straight", steps=7, **settings))
    training.train(config(tmp_path / "cut", steps=3, **settings))
    gone_on = training.train(config(tmp_path / "cut", steps=7, **settings), extend=True)
    assert straight.generator.arch.classes == 10
    for name in ("state.safetensors", "kept/step_0000004.safetensors", "samples/step_0000007.png"):
        files = [tmp_path / run / name for run in ("straight", "cut")]
        if name.endswith("state.safetensors"):
            a, b = (checkpoints.load_state(path)[1] for path in files)
            assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
        else:
            assert files[0].read_bytes() == files[1].read_bytes(), name
    for a, b in zip(straight.generator.parameters(), gone_on.generator.parameters(), strict=True):
        assert torch.equal(a, b)
    assert training.finish(tmp_path / "cut", progress=False).generator.arch.classes == 10


def test_the_command_line_trains_with_labels(tmp_path):
    call = "train --data digits --arch tiny32 --set widths=[4,8,8] --conditional --steps 2 --batch-size 16 --quiet"
    assert cli.main([*call.split(), "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    generator, discriminator = checkpoints.load(tmp_path / "run")
    assert generator.arch.classes == discriminator.arch.classes == 10


def test_labels_belong_to_the_pictures():
    """Pictures whose grey is their label: what a step is told is what it sees."""
    grey = np.arange(50, dtype=np.uint8) % 5
    pictures = data.from_array(np.broadcast_to(grey[:, None, None, None], (50, 32, 32, 3)).copy(), grey.astype(int))
    trainer = training.Trainer(config("unused", batch_size=8), replace(TINY, classes=5), pictures)
    for k in (0, 1, 7, 30):
        seen = ((trainer.batches[k][:, 0, 0, 0] + 1) * 127.5).round().long()
        assert torch.equal(trainer.labels(k), seen) and len(seen.unique()) > 1
    assert trainer.fixed_labels.tolist() == list(range(5)) * 12 and trainer.columns == 5


def test_the_sheet_has_a_column_a_class(tmp_path):
    run = training.train(config(tmp_path / "run", steps=2))
    with Image.open(tmp_path / "run" / "samples" / "step_0000002.png") as sheet:
        assert sheet.size == (10 * 28, 6 * 28)
    assert models.sample(run.generator, models.sample_latent(10, SMALL), labels=torch.arange(10)).shape[0] == 10


def test_sets_that_cannot_be_learnt_with_labels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    names = ["cat", "dog", "emu"]
    bare = data.from_array(pixels, name="bare")
    gaps = data.from_array(pixels, np.where(np.arange(40) < 7, 255, np.arange(40) % 3), "gaps", names)
    for images, arch, words in (
        (bare, TINY, "bare has none: take a labelled set"),
        (bare, replace(TINY, classes=0), "bare has none"),
        (gaps, replace(TINY, classes=4), "gaps has 3 classes, the architecture 4: give it classes=3"),
        (gaps, TINY, "7 of 40 pictures of gaps belong to none of its 3 classes"),
    ):
        settings = config(tmp_path / "run", arch=arch, conditional=True)
        with pytest.raises(ValueError, match=words):
            training.train(settings, images)
        if arch.classes:
            with pytest.raises(ValueError, match=words):
                training.Trainer(settings, arch, images)
    with pytest.raises(ValueError, match="this array has none"):
        training.Trainer(config("unused"), TINY, pixels)
    assert not (tmp_path / "run").exists()


def test_a_run_from_before_there_were_classes_goes_on(tmp_path):
    settings = config(tmp_path / "run", arch=replace(TINY, classes=0), steps=2)
    training.train(settings)
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    del about["architecture"]["classes"], about["architecture"]["unit_range"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(about))
    assert training.train(replace(settings, steps=4), extend=True).stats[-1]["step"] == 4
    with pytest.raises(ValueError, match="classes: 0 there, 10 now"):
        training.train(replace(settings, steps=4, conditional=True))


@pytest.mark.parametrize("first", [True, False])
def test_a_run_does_not_go_on_with_a_field_that_its_folder_does_not_name(tmp_path, first):
    """Global average pooling is written only where it is asked for: a call without it is another run all the same."""
    arch = replace(TINY, classes=0)
    settings = config(tmp_path / "run", arch=replace(arch, global_average_pooling=first), steps=2)
    training.train(settings)
    other = replace(settings, arch=replace(arch, global_average_pooling=not first))
    for call in (other, replace(other, steps=4)):
        with pytest.raises(ValueError, match=f"global_average_pooling: {first} there, {not first} now"):
            training.train(call, extend=True)
    found = training.train(replace(settings, steps=4), extend=True)
    assert found.discriminator.arch.global_average_pooling is first


# ---- files and what draws from them ----------------------------------------------------------------------------------


def test_a_checkpoint_holds_the_classes(tmp_path):
    generator, discriminator = calibrated(SMALL)
    path = checkpoints.save(tmp_path / "told.safetensors", generator, discriminator)
    loaded = checkpoints.load(path)
    z, labels = models.sample_latent(4, SMALL), labelled(SMALL, 4)
    assert loaded[0].arch == loaded[1].arch == SMALL
    assert torch.equal(models.sample(loaded[0], z, labels=labels), models.sample(generator, z, labels=labels))


def test_a_file_from_before_there_were_classes_loads(tmp_path):
    generator, _ = models.build("tiny32", seed=0)
    path = checkpoints.save(tmp_path / "old.safetensors", generator, None)
    header = checkpoints.info(path)
    del header["architecture"]["classes"], header["architecture"]["unit_range"]
    save_file(load_file(path), path, {"dcgan": json.dumps(header)})
    loaded, _ = checkpoints.load(path)
    assert loaded.arch == models.ARCHITECTURES["tiny32"] and loaded.arch.classes == 0


def test_onnx_takes_the_labels_as_a_second_input(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    generator, _ = calibrated(SMALL)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        path = export.onnx(generator, tmp_path / "told.onnx")
    assert not [w for w in said if "axis name" in str(w.message)]
    session = onnxruntime.InferenceSession(str(path))
    assert [i.name for i in session.get_inputs()] == ["latent", "labels"]
    for n in (1, 7):
        z, labels = models.sample_latent(n, SMALL, n), labelled(SMALL, n, n)
        (images,) = session.run(["images"], {"latent": z.numpy(), "labels": labels.numpy()})
        np.testing.assert_allclose(images, models.sample(generator, z, labels=labels).numpy(), atol=1e-5)


def test_the_explorer_has_a_menu_of_classes():
    generator, _ = calibrated(SMALL)
    explorer = widgets.LatentExplorer(generator, {"up": torch.eye(8)[0]}, seed=3)
    pictures = []
    for label in (0, 7):
        explorer.label.value = label
        z = models.sample_latent(1, SMALL, 3)
        expected = widgets._png(models.sample(generator, z, labels=torch.tensor([label])), widgets.SIDE)
        assert explorer.picture.value == expected
        pictures.append(expected)
    assert pictures[0] != pictures[1] and explorer.label.options == tuple(range(10))
    assert widgets.LatentExplorer(models.build("tiny32", seed=0)[0].eval()).label is None


def test_principal_axes_leave_the_classes_out():
    """A generator whose picture is one latent's value and, much larger, its class."""

    class Made(models.Generator):
        def forward(self, z, labels=None):
            picture = torch.zeros(len(z), 3, 32, 32)
            picture[:, 0] = 0.1 * z[:, 2, None, None]
            picture[:, 1] = 0.5 * labels[:, None, None]
            return picture

    axes = latent.principal_axes(Made(TINY), 1, samples=300)
    torch.testing.assert_close(axes[0].abs(), torch.eye(8)[2], atol=1e-4, rtol=0)


def test_films_of_a_conditional_run_and_of_a_walk(tmp_path):
    """A sheet has a column a class; a walk keeps its class."""
    arch = models.architecture("tiny32", widths=(4, 8, 8), latent_dim=8)
    run = training.train(
        "digits",
        out=tmp_path / "run",
        arch=arch,
        steps=2,
        batch_size=20,
        conditional=True,
        device="cpu",
        progress=False,
    )
    frames = sheets.run_frames(run.out)
    assert frames[0].shape == (60, 32, 32, 3) and sheets.run_columns(run.out) == 10
    with Image.open(sheets.animation(run.out, tmp_path / "run.gif")) as film:  # ten columns, as in the sheets
        assert film.size == (10 * 32 + 9 * 2, 6 * 32 + 5 * 2)
    with Image.open(run.out / "samples" / "step_0000002.png") as sheet:
        assert np.array_equal(frames[-1][11], np.asarray(sheet.convert("RGB"))[32:64, 32:64])
    walk = latent.interpolate(models.sample_latent(2, run.generator.arch, 0), 3)
    several = torch.stack([walk, walk], 1)  # (3, 2, latent_dim): classes 0 and 1
    path = sheets.animation(several, tmp_path / "walk.gif", run.generator, columns=2)
    assert path.stat().st_size > 0
    drawn = models.sample(run.generator, several.reshape(-1, 8), labels=torch.tensor([0, 1]).repeat(3))
    assert not torch.equal(drawn[0], drawn[1])
    player = widgets.WalkPlayer(run.generator, walk, label=3)
    assert player.labels.tolist() == [3] and player.still()
    assert widgets.ArithmeticTable(run.generator).still()


def test_a_run_does_not_go_on_with_other_labels(tmp_path):
    """Pixels alone do not say what a conditional run learns; one that was begun before labels were noted goes on."""
    pictures = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), np.uint8)
    labels = np.arange(16) % 2
    settings = {"out": tmp_path / "run", "arch": "tiny32", "conditional": True, "batch_size": 4, "progress": False}
    training.train(data.from_array(pictures, labels), steps=2, **settings)
    with pytest.raises(ValueError, match="the pictures' labels changed"):
        training.train(data.from_array(pictures, 1 - labels), steps=3, extend=True, **settings)
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["pictures"].pop("labels")
    (tmp_path / "run" / "run.json").write_text(json.dumps(run))
    training.train(data.from_array(pictures, labels), steps=3, extend=True, **settings)
