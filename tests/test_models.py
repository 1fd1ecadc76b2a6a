"""The networks against the paper's and the reproductions' numbers, and against independent arithmetic."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dcgan_lib import checkpoints, models
from dcgan_lib.architecture import LATER

NETWORK_NAMES = ("generator", "discriminator")

COUNTS = [  # trainable parameters; imagenet32 and svhn32 equal the sizes of the released arrays
    ("paper64", "generator", 18_885_760),
    ("paper64", "discriminator", 17_232_768),
    ("keras64", "generator", 18_852_992),
    ("keras128", "generator", 19_053_120),
    ("keras128_wide", "generator", 72_922_240),
    ("tutorial64", "generator", 3_576_704),
    ("tutorial64", "discriminator", 2_765_568),
    ("imagenet32", "generator", 6_690_688),
    ("imagenet32", "discriminator", 4_586_112),
    ("svhn32", "generator", 1_446_976),
    ("svhn32", "discriminator", 1_033_664),
]


@pytest.mark.parametrize(("name", "network", "count"), COUNTS)
def test_parameter_count(name, network, count):
    with torch.device("meta"):  # no memory for the widest
        cls = models.Generator if network == "generator" else models.Discriminator
        assert models.parameter_count(cls(models.ARCHITECTURES[name])) == count


@pytest.mark.parametrize(("name", "count"), [("imagenet32", 28_672), ("svhn32", 7_168)])
def test_feature_count(name, count):
    _, discriminator = models.build(name, seed=0)
    maps = discriminator.feature_maps(torch.zeros(2, 3, 32, 32))
    assert sum(F.adaptive_max_pool2d(m, 4).flatten(1).shape[1] for m in maps) == count
    assert models.ARCHITECTURES[name].feature_count == count


@pytest.mark.parametrize("name", sorted(set(models.ARCHITECTURES) - {"keras128_wide"}))
def test_every_architecture_runs(name):
    generator, discriminator = models.build(name, seed=0)
    arch = generator.arch
    labels = torch.tensor([0, 1]) if arch.classes else None
    images = generator(models.sample_latent(2, arch), labels)
    assert images.shape == (2, arch.channels, arch.image_size, arch.image_size)
    assert images.abs().max() <= 1
    assert discriminator(images, labels).shape == (2,)


@pytest.mark.parametrize("base", ["tiny32", "svhn32", "imagenet32"])  # kernels 4, 5, 3
@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_size(base, channels):
    for size in (16, 17, 23, 28, 31, 32, 45, 64, 96, 100, 127, 128, 255, 256):
        small = {"widths": (4, 8, 8)} if base != "imagenet32" else {"widths": (4, 4, 8, 8, 8, 8)}
        arch = models.architecture(models.architecture(base, **small), image_size=size, channels=channels)
        generator, discriminator = models.build(arch, seed=0)
        images = generator(models.sample_latent(2, arch))
        assert images.shape == (2, channels, size, size)
        assert discriminator(images).shape == (2,)
        assert [m.shape[-1] for m in discriminator.feature_maps(images)] == list(arch.sizes[1:])
        assert 2 <= arch.sizes[-1] < 16


@pytest.mark.parametrize("base", ["paper64", "svhn32", "imagenet32", "tutorial64"])  # kernels 5, 5, 3, 4
def test_another_image_size_keeps_the_innermost_grid(base):
    for size in range(16, 257):
        assert 4 <= models.architecture(base, image_size=size).sizes[-1] < 8, size
    assert models.architecture("paper64", image_size=127).sizes == (127, 64, 32, 16, 8, 4)
    assert models.architecture("paper64", image_size=np.int64(32)) == models.architecture("paper64", image_size=32)


ABLATIONS = [
    {"latent_dim": 10},
    {"latent_dim": 1000},
    {"prior": "uniform"},
    {"norm": "none"},
    {"norm": "everywhere"},
    {"norm": "generator"},
    {"norm": "discriminator", "dense_units": 32},
    {"global_average_pooling": True},
    {"dense_norm": "channel"},
    {"dense_norm": "none"},
    {"norm_affine": False},
    {"dense_units": 32},
    {"downsample": "max_pool"},
    {"downsample": "avg_pool"},
    {"upsample": "nearest"},
    {"discriminator_activation": "relu"},
    {"generator_activation": "leaky_relu"},
    {"output_activation": "sigmoid"},
    {"output_activation": "relu"},
    {"kernel_size": 3},
    {"widths": (4, 8, 16)},
]


@pytest.mark.parametrize("change", ABLATIONS, ids=str)
def test_ablations_are_fields(change):
    plain = models.architecture("svhn32", widths=(4, 8, 8))
    changed = models.architecture(plain, **change)
    assert dataclasses.asdict(changed) != dataclasses.asdict(plain)
    generator, discriminator = models.build(changed, seed=0)
    images = generator(models.sample_latent(4, changed))
    assert images.shape == (4, 3, 32, 32)
    loss = discriminator(images).sum()
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in generator.parameters())


@pytest.mark.parametrize(("name", "upsample"), [("paper64", "stride"), ("svhn32", "nearest"), ("mnist28", "stride")])
def test_batch_norm_everywhere_adds_two_layers(name, upsample):
    """A gain and a bias for each channel of the picture in G and of the first convolution in D, and nothing else."""
    plain = models.architecture(name, upsample=upsample)
    everywhere = dataclasses.replace(plain, norm="everywhere")
    affine = 2 * plain.norm_affine
    with torch.device("meta"):
        for network, added in ((models.Generator, plain.channels), (models.Discriminator, plain.widths[0])):
            before, after = network(plain), network(everywhere)
            assert models.parameter_count(after) == models.parameter_count(before) + affine * added
            norms = [sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in n.modules()) for n in (before, after)]
            assert norms[1] == norms[0] + 1


@pytest.mark.parametrize("change", [{}, {"dense_units": 16}, {"upsample": "nearest"}], ids=str)
def test_batch_norm_of_one_network_alone(change):
    """That network is as with batch norm in both, the other one as without any."""
    plain = models.architecture("svhn32", widths=(4, 8, 8), **change)
    pairs = {
        norm: models.build(dataclasses.replace(plain, norm=norm), seed=0) for norm in ("batch", "none", *NETWORK_NAMES)
    }
    for i, name in enumerate(NETWORK_NAMES):
        for j, network in enumerate(pairs[name]):
            same = pairs["batch" if i == j else "none"][j]
            assert [type(m) for m in network.modules()] == [type(m) for m in same.modules()]
            norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
            assert bool(norms) == (i == j)
            assert network.state_dict().keys() == same.state_dict().keys()


@pytest.mark.parametrize("change", [{}, {"dense_units": 16}, {"downsample": "max_pool"}, {"classes": 3}], ids=str)
def test_global_average_pooling_feeds_the_mean_of_each_map(change):
    arch = models.architecture("svhn32", widths=(4, 8, 8), global_average_pooling=True, **change)
    generator, discriminator = models.build(arch, seed=0)
    labels = torch.tensor([0, 2]) if arch.classes else None
    images = generator(models.sample_latent(2, arch, 0), labels)
    maps = discriminator.feature_maps(images, labels)
    last = maps[len(arch.widths) - 1]
    if arch.downsample == "max_pool":
        last = F.max_pool2d(last, 2)
    means = torch.stack([last[..., y, x] for y in range(4) for x in range(4)]).mean(0)  # (2, 8)
    if arch.classes:
        means = torch.cat([means, F.one_hot(labels, 3)], 1)
    behind = maps[-1] if arch.dense_units else means
    if arch.dense_units:
        assert discriminator.dense[0].in_features == 8
        norm = discriminator.dense[1]
        dense = F.batch_norm(
            means @ discriminator.dense[0].weight.T, None, None, norm.weight, norm.bias, True, eps=1e-8
        )
        torch.testing.assert_close(maps[-1], F.leaky_relu(dense, 0.2))
    assert discriminator.head.in_features == behind.shape[1]
    torch.testing.assert_close(discriminator(images, labels), behind @ discriminator.head.weight[0])
    if not arch.classes:
        assert models.classifier(arch, 5, seed=0)(images).shape == (2, 5)
    with pytest.raises(ValueError, match=r"global_average_pooling averages D's last maps.* \(no widths\)"):
        models.architecture("tiny32", widths=(), dense_units=8, global_average_pooling=True)


def test_fields_of_today_are_not_written_at_their_defaults():
    """What files named before is what they name: keys of caches and recorded settings stay what they were."""
    plain = models.architecture("svhn32")
    assert LATER == ("global_average_pooling",) and not set(LATER) & set(plain.to_dict())
    assert len(plain.to_dict()) == len(dataclasses.fields(plain)) - len(LATER)
    averaged = dataclasses.replace(plain, global_average_pooling=True)
    assert averaged.to_dict() == plain.to_dict() | {"global_average_pooling": True}
    for arch in (plain, averaged):
        assert models.Architecture.from_dict(json.loads(json.dumps(arch.to_dict()))) == arch
    assert averaged.differences(plain) == {"global_average_pooling": True}
    assert plain.differences(averaged) == {"global_average_pooling": False} and plain.differences(plain) == {}
    wider = dataclasses.replace(plain, widths=(4, 8))
    assert wider.differences(plain) == {"widths": [4, 8]}


def test_samples_are_pictures_whatever_the_output():
    generator, _ = models.build("tiny32", output_activation="linear")
    z = models.sample_latent(4, generator.arch, 0)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(9)
        beyond = generator.eval()(z)
    assert beyond.abs().max() > 1
    torch.testing.assert_close(models.sample(generator, z), beyond.clamp(-1, 1))


def test_batch_norm_everywhere_normalises_the_picture_and_the_first_maps():
    arch = models.architecture("tiny32", norm="everywhere", output_activation="linear")
    generator, discriminator = models.build(arch, seed=0)
    for network in (generator, discriminator):
        for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
            nn.init.ones_(norm.weight)
    images = generator(models.sample_latent(32, arch))  # (32, 3, 32, 32)
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(images.var((0, 2, 3), correction=0), torch.ones(3), atol=2e-3, rtol=0)
    seen = F.conv2d(images, discriminator.blocks[0][0].weight, stride=2, padding=1)
    seen = (seen - seen.mean((0, 2, 3), keepdim=True)) / (
        seen.var((0, 2, 3), keepdim=True, correction=0) + arch.norm_eps
    ).sqrt()
    first = discriminator.feature_maps(images)[0]
    torch.testing.assert_close(first, F.leaky_relu(seen, 0.2), atol=1e-4, rtol=1e-3)


def test_pooling_halves_as_strides_do():
    for kind in ("max_pool", "avg_pool"):
        for size in (32, 45):
            arch = models.architecture("svhn32", widths=(4, 4, 8), downsample=kind, image_size=size)
            _, discriminator = models.build(arch, seed=0)
            assert discriminator(torch.zeros(2, 3, size, size)).shape == (2,)
            # before the pool each map still has the layer's input size
            assert [m.shape[-1] for m in discriminator.feature_maps(torch.zeros(2, 3, size, size))] == [
                *arch.sizes[:-1]
            ]


def test_tutorial_network_against_plain_modules():
    """The tutorial's generator, layer by layer as its text has it, computes what ours does with the same weights."""
    ours, ours_d = models.build("tutorial64", seed=1)
    layers, width = [], [512, 256, 128, 64]
    layers += [nn.ConvTranspose2d(100, 512, 4, 1, 0, bias=False), nn.BatchNorm2d(512), nn.ReLU()]
    for a, b in itertools.pairwise(width):
        layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    layers += [nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()]
    theirs = nn.Sequential(*layers)
    parameters = list(ours.parameters())
    first = parameters[0].detach().T.reshape(100, 512, 4, 4)  # a 1x1 input makes a transposed convolution a dense layer
    with torch.no_grad():
        for mine, yours in zip([first, *parameters[1:]], theirs.parameters(), strict=True):
            yours.copy_(mine)
    z = torch.randn(4, 100)
    torch.testing.assert_close(ours(z), theirs(z[:, :, None, None]), rtol=1e-4, atol=1e-5)

    layers_d = [nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for a, b in ((64, 128), (128, 256), (256, 512)):
        layers_d += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
    layers_d += [nn.Conv2d(512, 1, 4, 1, 0, bias=False)]
    theirs_d = nn.Sequential(*layers_d)
    with torch.no_grad():
        for mine, yours in zip(ours_d.parameters(), theirs_d.parameters(), strict=True):
            yours.copy_(mine.reshape(yours.shape))
    x = torch.rand(4, 3, 64, 64) * 2 - 1
    torch.testing.assert_close(ours_d(x), theirs_d(x).flatten(), rtol=1e-4, atol=1e-5)


def test_up_convolution_is_the_gradient_of_the_convolution():
    """The released 'deconvolution' is the gradient of a 5x5 stride-2 convolution with padding 2; so is ours."""
    generator, _ = models.build("svhn32", seed=0)
    up = generator.blocks[-1][0]
    x = torch.randn(1, 64, 16, 16)
    image = torch.zeros(1, 3, 32, 32, requires_grad=True)
    (F.conv2d(image, up.weight, stride=2, padding=2) * x).sum().backward()
    torch.testing.assert_close(up(x), image.grad, rtol=1e-4, atol=1e-5)


def test_batch_norm_per_unit_is_over_units():
    generator, _ = models.build("svhn32", seed=0)
    assert generator.project_norm.weight.shape == (256 * 4 * 4,)
    per_channel, _ = models.build("svhn32", seed=0, dense_norm="channel")
    assert per_channel.project_norm.weight.shape == (256,)


def test_initial_weights_as_released():
    generator, discriminator = models.build("paper64", seed=3)
    assert generator.project.weight.std().item() == pytest.approx(0.02, rel=0.01)
    assert abs(generator.project.weight.mean().item()) < 1e-4
    gains = generator.project_norm.weight
    assert gains.mean().item() == pytest.approx(1, abs=1e-3)
    assert gains.std().item() == pytest.approx(0.02, rel=0.05)
    assert not discriminator.blocks[1][1].bias.any()
    assert isinstance(discriminator.blocks[0][1], nn.Identity)  # no batch norm on D's first layer
    assert not any(m.bias is not None for m in discriminator.modules() if isinstance(m, (nn.Conv2d, nn.Linear)))


def test_weights_without_a_seed_follow_torchs_own():
    """`torch.manual_seed` makes a whole script repeat, `build` in it included, and `build` leaves the rest to it."""
    drawn = []
    for _ in range(2):
        torch.manual_seed(0)
        weights = models.build("tiny32")[0].project.weight
        head = models.classifier("tiny32", 3).head[1].weight
        drawn.append((weights, head, torch.rand(3)))
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))
    assert not torch.equal(models.build("tiny32")[0].project.weight, weights)


def test_seed_fixes_weights_and_latents():
    a, b, c = (models.build("tiny32", seed=s)[0].project.weight for s in (5, 5, 6))
    assert torch.equal(a, b) and not torch.equal(a, c)
    arch = models.ARCHITECTURES["paper64"]
    z = models.sample_latent(1000, arch, 1)
    assert torch.equal(z, models.sample_latent(1000, arch, 1))
    assert z.abs().max() <= 1 and z.std().item() == pytest.approx(1 / math.sqrt(3), rel=0.01)
    normal = models.sample_latent(1000, models.architecture(arch, prior="normal"), 1)
    assert normal.std().item() == pytest.approx(1, rel=0.01)


def test_feature_maps_follow_leaky_relu():
    _, discriminator = models.build("tiny32", seed=0)
    images = torch.rand(8, 3, 32, 32) * 2 - 1
    seen = []
    for module in discriminator.modules():
        if isinstance(module, nn.LeakyReLU):
            module.register_forward_hook(lambda _, __, out: seen.append(out))
    maps = discriminator.feature_maps(images)
    assert len(maps) == len(seen) == 3
    assert all(torch.equal(a, b) for a, b in zip(maps, seen, strict=True))


ERRORS = [
    (lambda: models.build("paper46"), r"unknown architecture 'paper46': did you mean 'paper64'"),
    (lambda: models.build("tiny32", latent_dims=3), r"unknown architecture field 'latent_dims'.*'latent_dim'"),
    (lambda: models.build("tiny32", norm="batchnorm"), r"unknown norm 'batchnorm'.*'batch'"),
    (lambda: models.build("tiny32", image_size=12), r"image_size must be from 16 to 256, got 12"),
    (lambda: models.build("tiny32", channels=4), r"channels must be 1 \(grey\) or 3 \(RGB\), got 4"),
    (lambda: models.build("tiny32", latent_dim=0), r"latent_dim must be a whole number of at least 1"),
    (
        lambda: models.architecture("tiny32", widths=(1,) * 6, image_size=16),
        r"take fewer widths or a larger image_size",
    ),
    (lambda: models.architecture("tiny32", norm_affine="False"), r"norm_affine must be true or false, got 'False'"),
    (lambda: models.architecture("tiny32", unit_range=True), r"unit_range .*needs output_activation 'sigmoid', not"),
    (lambda: models.architecture("tiny32", widths=64), r"widths must be a list of whole numbers.*got 64"),
    (lambda: models.architecture("tiny32", norm_eps="abc"), r"norm_eps must be a number above 0"),
    (lambda: models.sample(models.build("tiny32")[0], torch.zeros(1, 32), "batch"), r"need at least 2 latents"),
    (lambda: models.architecture("svhn32", strides=(2, 2)), r"strides must be 3 ones or twos"),
    (lambda: models.build("tiny32")[0](torch.zeros(2, 31)), r"expected latents \(N, 32\), got \(2, 31\)"),
    (
        lambda: models.build("tiny32")[1](torch.zeros(2, 3, 64, 64)),
        r"expected images \(N, 3, 32, 32\).*\(2, 3, 64, 64\)",
    ),
    (lambda: models.build("tiny32")[1](torch.zeros(2, 3, 32, 32).byte()), r"as floats, got torch.uint8"),
    (lambda: models.build("tiny32")[1](torch.full((2, 3, 32, 32), 255.0)), r"in \[-1, 1\], got values from 255 to 255"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_architecture_survives_json():
    for arch in models.ARCHITECTURES.values():
        assert models.Architecture.from_dict(arch.to_dict()) == arch


def test_sampling_statistics():
    """With running statistics a picture depends on its z alone; with the batch's, on its neighbours too."""
    generator, _ = models.build("tiny32", seed=0)
    latent = models.sample_latent(16, generator.arch)
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    alone = models.sample(generator, latent[:4])
    together = models.sample(generator, latent)[:4]
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)
    by_batch = models.sample(generator, latent, "batch")[:4]
    assert (by_batch - models.sample(generator, latent[:4], "batch")).abs().max() > 1e-3
    assert all(torch.equal(v, before[k]) for k, v in generator.state_dict().items())
    assert generator.training


def test_sampling_in_batches_of_near_equal_size():
    generator, _ = models.build("tiny32", seed=0)
    sizes = []
    generator.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    assert len(models.sample(generator, models.sample_latent(257, generator.arch), "batch")) == 257
    assert sizes == [86, 86, 85]


def test_calibrate_is_the_mean_of_batch_statistics():
    generator, _ = models.build("tiny32", seed=0)
    batches = list(models.sample_latent(96, generator.arch).split(32))
    seen = []
    generator.project_norm.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    models.calibrate(generator, batches)
    assert len(seen) == 3
    mean = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    var = torch.stack([x.var((0, 2, 3)) for x in seen]).mean(0)
    torch.testing.assert_close(generator.project_norm.running_mean, mean)
    torch.testing.assert_close(generator.project_norm.running_var, var)
    assert generator.project_norm.momentum == 0.1 and generator.training


@pytest.mark.parametrize("change", [{}, {"downsample": "avg_pool"}], ids=str)
def test_receptive_field_is_where_the_gradient_reaches(change):
    arch = models.architecture("svhn32", image_size=128, widths=(2, 2, 2), norm="none", **change)
    _, discriminator = models.build(arch, seed=0, discriminator_activation="linear")
    x = torch.zeros(1, 3, 128, 128, requires_grad=True)
    maps = discriminator.feature_maps(x)
    for side, out in zip(models.receptive_fields(arch), maps, strict=True):
        middle = out.shape[-1] // 2
        (gradient,) = torch.autograd.grad(out[0, 0, middle, middle], x, retain_graph=True)
        rows = gradient[0].abs().sum((0, 2)).nonzero().flatten()
        assert rows[-1] - rows[0] + 1 == side


def test_overlap_counts_taps():
    """Against a plain loop over taps: kernel 4 is even inside, kernel 5 is not (a checkerboard)."""
    for kernel in (3, 4, 5):
        size, padding = 16, (kernel - 1) // 2
        expected = np.zeros((size, size))
        for i in range(size // 2):
            for j in range(size // 2):
                for a in range(kernel):
                    for b in range(kernel):
                        y, x = 2 * i + a - padding, 2 * j + b - padding
                        if 0 <= y < size and 0 <= x < size:
                            expected[y, x] += 1
        np.testing.assert_array_equal(models.overlap(kernel).numpy(), expected)
    inner = models.overlap(4)[4:-4, 4:-4]
    assert inner.min() == inner.max() == 4
    assert models.overlap(5)[4:-4, 4:-4].unique().tolist() == [4, 6, 9]


def test_shapes_lists_every_parameter():
    for network in models.build("svhn32", seed=0):
        rows = models.shapes(network)
        assert sum(row[3] for row in rows) == models.parameter_count(network)
    assert models.shapes(models.build("mnist28", seed=0)[0])[-1][2] == (1, 28, 28)


def test_building_leaves_the_callers_random_numbers_alone():
    before = torch.get_rng_state()
    _, discriminator = models.build("tiny32", seed=np.int64(3))
    models.classifier("tiny32", 2, seed=3)
    checkpoints.first_convolutions(discriminator, 2)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    first, torch_says = models.build("tiny32")[0], torch.manual_seed(5)
    assert checkpoints.digest(first) == checkpoints.digest(models.build("tiny32")[0]) and torch_says


def test_looking_at_shapes_leaves_each_module_in_its_mode():
    _, discriminator = models.build("tiny32", seed=0)
    discriminator.blocks[1][1].eval()
    models.shapes(discriminator)
    assert discriminator.training and not discriminator.blocks[1][1].training


def test_calibration_takes_the_batches_of_a_data_loader():
    pairs = torch.utils.data.TensorDataset(torch.rand(8, 3, 32, 32) * 2 - 1)
    _, one = models.build("tiny32", seed=0)
    _, other = models.build("tiny32", seed=0)
    models.calibrate(one, torch.utils.data.DataLoader(pairs, batch_size=4))
    models.calibrate(other, [x for (x,) in torch.utils.data.DataLoader(pairs, batch_size=4)])
    assert checkpoints.digest(one) == checkpoints.digest(other)
