"""Inside the networks: against gradients, plain loops, a case computed by hand, and Captum."""

import copy

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from dcgan_lib import data, inspection, models


@pytest.fixture
def discriminator():
    _, d = models.build("tiny32", seed=0)
    models.calibrate(d, [torch.rand(64, 3, 32, 32) * 2 - 1])
    return d.eval()


def test_filters_fill_their_range(discriminator):
    pictures = inspection.filters(discriminator)
    assert pictures.shape == (16, 3, 4, 4)
    assert torch.allclose(pictures.abs().amax((1, 2, 3)), torch.ones(16))
    kernel = discriminator.blocks[0][0].weight
    assert torch.allclose(pictures[3] / pictures[3].abs().max(), kernel[3] / kernel[3].abs().max())


@pytest.mark.parametrize("name, changes", [("tiny32", {}), ("imagenet32", {"widths": (4, 4, 6, 6, 8, 8)}),
                                           ("svhn32", {"widths": (4, 6, 8), "downsample": "max_pool"})])  # fmt: skip
def test_receptive_field_is_where_the_gradient_is(name, changes):
    _, d = models.build(name, seed=0, **changes)
    size = d.arch.image_size
    for layer in range(len(d.arch.widths)):
        field = inspection.receptive_field(d.arch, layer)
        side = d.feature_maps(torch.zeros(1, 3, size, size))[layer].shape[2]
        for at in (0, side // 2, side - 1):
            seen = torch.zeros(size, size)
            for _ in range(4):  # max pooling picks one of four at random: the union of several pictures
                x = (torch.rand(1, 3, size, size) * 2 - 1).requires_grad_()
                d.eval().feature_maps(x)[layer][0, :, at, at].sum().backward()
                seen += x.grad.abs().sum((0, 1))
            rows = seen.sum(1).nonzero().flatten()
            low, high = field.start + field.step * at, field.start + field.step * at + field.side - 1
            assert low <= rows.min() and rows.max() <= high
            if "downsample" not in changes:
                assert (rows.min(), rows.max()) == (max(low, 0), min(high, size - 1))


def test_maximal_activations_against_a_plain_loop(discriminator):
    images = np.random.default_rng(0).integers(0, 256, (23, 32, 32, 3), np.uint8)
    found = inspection.maximal_activations(discriminator, images, 1, maps=[5, 0], k=4, batch_size=6, progress=False)
    every = discriminator.feature_maps(data.to_float(images))[1].detach().numpy()
    for row, m in enumerate((5, 0)):
        best = every[:, m].reshape(23, -1).max(1)
        order = np.argsort(-best)[:4]
        assert found.pictures[row].tolist() == order.tolist()
        np.testing.assert_allclose(found.values[row], best[order], rtol=1e-4, atol=1e-5)
        for picture, (y, x) in zip(order, found.positions[row], strict=True):
            assert every[picture, m, y, x] == pytest.approx(best[picture], rel=1e-4)
    assert inspection.maximal_activations(discriminator, images, 2, k=2, progress=False).values.shape == (64, 2)
    for wrong, message in (({"layer": 3}, "layer must be"), ({"maps": [16]}, "maps must be"), ({"k": 24}, "k must be")):
        with pytest.raises(ValueError, match=message):
            inspection.maximal_activations(discriminator, images, **{"layer": 0, **wrong})


def test_crops_are_what_the_unit_saw(discriminator):
    """Outside of its crop a picture may change without the unit noticing; inside it may not."""
    images = np.random.default_rng(1).integers(0, 256, (6, 32, 32, 3), np.uint8)
    found = inspection.maximal_activations(discriminator, images, 1, maps=[2, 7], k=3, progress=False)
    cut = inspection.crops(images, discriminator.arch, found)
    field = inspection.receptive_field(discriminator.arch, 1)
    assert cut.shape == (2, 3, field.side, field.side, 3) and field.side == 10
    for m, j in np.ndindex(2, 3):
        (y, x), blank = found.positions[m, j], np.full((42, 42, 3), 128, np.uint8)  # 5 pixels of border
        top, left = field.start + field.step * y, field.start + field.step * x
        blank[5 + top : 15 + top, 5 + left : 15 + left] = cut[m, j]
        only = discriminator.feature_maps(data.to_float(blank[None, 5:37, 5:37]))[1][0, found.maps[m], y, x]
        assert only.item() == pytest.approx(found.values[m, j], abs=2e-3)  # 128 is not quite 0


def test_crops_are_grey_over_the_edge(discriminator):
    images = np.random.default_rng(2).integers(0, 100, (1, 32, 32, 3), np.uint8)
    corner = inspection.Excitation(1, (0,), np.zeros((1, 1)), np.zeros((1, 1), int), np.zeros((1, 1, 2), int))
    (cut,), field = (
        inspection.crops(images, discriminator.arch, corner)[0],
        inspection.receptive_field(discriminator.arch, 1),
    )
    over, seen = -field.start, field.side + field.start
    assert over > 0 and (cut[:over] == 128).all() and (cut[:, :over] == 128).all()
    assert np.array_equal(cut[over:, over:], images[0, :seen, :seen])


def test_pictures_do_not_mix_whatever_mode_a_network_is_in(discriminator):
    """Neither in guided backpropagation nor in an optimised input; and the network stays in its mode."""
    images, score = torch.rand(4, 3, 32, 32) * 2 - 1, inspection.unit(1, 2)
    rows = []
    for network in (discriminator, copy.deepcopy(discriminator).train()):
        mode = network.training
        found = inspection.guided_backpropagation(network, images, score)
        rows.append((found, inspection.optimised_input(network, images.shape, score, steps=3)))
        assert network.training is mode
    for as_is, in_training in zip(*rows, strict=True):
        assert torch.equal(as_is, in_training)


def test_an_optimised_input_begins_by_its_seed_and_is_smooth_both_ways():
    """Of a score that says nothing."""

    def draw(**settings):
        nothing = nn.Linear(1, 1)
        return inspection.optimised_input(
            nothing, (1, 3, 9, 9), lambda _, x: 0 * x.sum((1, 2, 3)), rate=1e-3, **settings
        )

    begun, again, other = (draw(steps=1, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(begun, again) and not torch.equal(begun, other)
    smoothed = draw(steps=10, seed=3)
    for dim in (2, 3):
        assert smoothed.diff(dim=dim).abs().sum() < 0.6 * begun.diff(dim=dim).abs().sum()


def test_guided_backpropagation_by_hand():
    """x = (1, -2) → two rectifiers → weights; a path is open where the input and the gradient are positive."""
    first, last = nn.Linear(2, 3, bias=False), nn.Linear(3, 1, bias=False)
    first.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # pre-activations 1, -2, -1
    last.weight.data = torch.tensor([[2.0, 5.0, -3.0]])
    x = torch.tensor([[1.0, -2.0]])

    def score(network, images):
        return network(images)[:, 0]

    relu = inspection.guided_backpropagation(nn.Sequential(first, nn.ReLU(), last), x, score)
    assert relu.tolist() == [[2.0, 0.0]]  # the second unit is off, the third off and negative
    leaky = inspection.guided_backpropagation(nn.Sequential(first, nn.LeakyReLU(0.2), last), x, score)
    # gradients behind the rectifier: 2, 0.2 * 5 = 1, 0.2 * -3 < 0 and so 0
    assert torch.allclose(leaky, torch.tensor([[2.0, 1.0]]))
    with pytest.raises(ValueError, match="needs rectifiers"):
        inspection.guided_backpropagation(nn.Sequential(first, nn.Tanh(), last), x, score)


def test_guided_backpropagation_equals_captum_on_relu():
    captum = pytest.importorskip("captum.attr")
    _, d = models.build("tiny32", seed=3, discriminator_activation="relu")
    d.eval()
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    ours = inspection.guided_backpropagation(d, images, lambda network, x: network(x))
    theirs = captum.GuidedBackprop(d).attribute(images.clone().requires_grad_())
    torch.testing.assert_close(ours, theirs.detach())


def test_guided_backpropagation_takes_units_and_leaves_the_network(discriminator):
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    before = {k: v.clone() for k, v in discriminator.state_dict().items()}
    positions = np.array([[0, 0], [3, 1], [2, 2], [3, 3]])
    score = inspection.unit(1, [1, 2, 3, 4], positions)
    maps = discriminator.feature_maps(images)[1]
    expected = torch.stack([maps[i, i + 1, y, x] for i, (y, x) in enumerate(positions)])
    assert torch.equal(score(discriminator, images), expected)
    assert torch.equal(inspection.unit(1, 5)(discriminator, images), maps[:, 5].amax((1, 2)))
    together = inspection.guided_backpropagation(discriminator, images, score)
    alone = inspection.guided_backpropagation(discriminator, images[1:2], inspection.unit(1, 2, (3, 1)))
    torch.testing.assert_close(together[1:2], alone)
    field = inspection.receptive_field(discriminator.arch, 1)
    outside = together[0].clone()
    outside[:, : field.start + field.side, : field.start + field.side] = 0
    assert (outside == 0).all() and together[0].abs().sum() > 0
    assert all(torch.equal(v, before[k]) for k, v in discriminator.state_dict().items())
    assert all(p.requires_grad for p in discriminator.parameters())


def test_optimised_input_raises_the_score(discriminator):
    score = inspection.unit(2, [3, 8])
    start = score(discriminator, torch.zeros(2, 3, 32, 32))
    images = inspection.optimised_input(discriminator, (2, 3, 32, 32), score, steps=60)
    assert images.abs().max() <= 1 and (score(discriminator, images) > start + 0.5).all()
    rough = [
        inspection.optimised_input(discriminator, (2, 3, 32, 32), score, 60, smoothness=s).diff(dim=3).abs().mean()
        for s in (0.0, 0.01)
    ]
    assert rough[1] < 0.7 * rough[0]


def test_class_entropy():
    pictures = np.array([[0, 1, 2, 3], [0, 1, 4, 5], [0, 2, 4, 6]])
    labels = np.array([7, 7, 7, 7, 2, 2, 3])
    np.testing.assert_allclose(inspection.class_entropy(pictures, labels), [0, 1, 1.5])


@pytest.fixture
def generator():
    g, _ = models.build("tiny32", seed=0)
    models.calibrate(g, [models.sample_latent(64, g.arch, 1)])
    return g.eval()


def test_dropped_maps_are_gone_and_the_rest_is_not(generator):
    z = models.sample_latent(5, generator.arch, 2)
    maps = inspection.generator_maps(generator, z, 2)
    assert maps.shape == (5, 16, 16, 16) and (maps >= 0).all()
    less = inspection.without_maps(generator, [3, 11], 2)
    after = inspection.generator_maps(less, z, 2)
    assert (after[:, [3, 11]] == 0).all()
    kept = [m for m in range(16) if m not in (3, 11)]
    assert torch.equal(after[:, kept], maps[:, kept])
    assert not torch.allclose(models.sample(less, z), models.sample(generator, z))
    by_hand = generator.blocks[-1](
        torch.where(torch.isin(torch.arange(16), torch.tensor([3, 11]))[:, None, None], 0, maps)
    )
    torch.testing.assert_close(models.sample(less, z), by_hand.detach())
    assert torch.equal(inspection.generator_maps(generator, z, 2), maps)  # the original is untouched


def test_layers_count_from_z_outwards(generator):
    rows = [(row.index, row.side, row.width) for row in inspection.generator_layers(models.ARCHITECTURES["paper64"])]
    assert rows == [(0, 4, 1024), (1, 8, 512), (2, 16, 256), (3, 32, 128)]
    z = models.sample_latent(3, generator.arch, 2)
    x = (generator.project(z)).unflatten(1, (-1, 4, 4))
    x = torch.relu(generator.project_norm(x))  # the grid that figure 1 begins with
    for row, block in zip(inspection.generator_layers(generator.arch), generator.blocks, strict=True):
        found = inspection.generator_maps(generator, z, row.index)
        assert found.shape == (3, row.width, row.side, row.side)
        torch.testing.assert_close(found, x.detach())
        dropped = x.clone()
        dropped[:, 1] = 0
        for rest in generator.blocks[row.index :]:
            dropped = rest(dropped)
        less = inspection.without_maps(generator, [1], row.index)
        torch.testing.assert_close(models.sample(less, z), dropped.detach())
        x = block(x)
    same = inspection.without_maps(generator, [], 0)
    assert torch.equal(models.sample(same, z), models.sample(generator, z))


def test_boxes_on_coarse_maps(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_text('{"boxes": {"3": [[0, 5, 20, 28]], "9": [], "4": [[0, 32, 40, 64]]}}')
    indices, masks = inspection.box_masks(path, 4, 64)  # cells of 16 pixels
    assert indices.tolist() == [3, 9, 4] and not masks[1].any()
    assert np.argwhere(masks[0]).tolist() == [[0, 1]]  # rows 0 to 5 hold no centre, columns 20 to 28 that at 24
    assert np.argwhere(masks[2]).tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]
    _, fine = inspection.box_masks(path, 64, 64)
    assert fine[0].sum() == 40 and fine[0][:5, 20:28].all()
    path.write_text('{"boxes": {"0": [[0, 16, 0, 24]], "1": [[14, 20, 40, 44]]}}')
    _, masks = inspection.box_masks(path, 4, 64)
    assert np.argwhere(masks[0]).tolist() == [[0, 0]], "a box ends before its last edge, as pixels do"
    assert np.argwhere(masks[1]).tolist() == [[1, 2]], "rows 14 to 20 have their middle in the second cell"


def test_map_weights_find_the_maps_of_an_object():
    rng = torch.Generator().manual_seed(0)
    maps = torch.rand(40, 8, 16, 16, generator=rng)
    where = np.zeros((40, 16, 16), bool)
    where[:20, 4:9, 6:12] = True
    maps[:20, 2, 4:9, 6:12] += 1.5  # on where the object is
    maps[:20, 5, 4:9, 6:12] -= 0.8  # off there
    weights = inspection.map_weights(maps, where)
    assert weights.shape == (8,) and weights.argmax() == 2 and weights.argmin() == 5
    for half in (300 * maps).half(), maps.bfloat16():  # 300² is more than float16 holds
        np.testing.assert_allclose(inspection.map_weights(half, where), weights, atol=0.05 * weights.max())
    by_picture = inspection.map_weights(maps, where.any((1, 2)))
    assert by_picture.argmax() == 2 and by_picture.argmin() == 5
    with pytest.raises(ValueError, match=r"expected masks \(40, 16, 16\) or \(40,\)"):
        inspection.map_weights(maps, where[:, 0])
    with pytest.raises(ValueError, match="absent in others"):
        inspection.map_weights(maps, np.zeros(40, bool))


# ---- the price without what goes with the object (experiments) -------------------------------------------------------


def test_related_attributes_are_those_whose_labels_go_along():
    from experiments.analyses import inspection_forgetting as forgetting

    rng = np.random.default_rng(0)
    smiles = rng.integers(0, 2, 2_000)
    flipped = {"cheeks": 0.1, "mouth": 0.3, "lipstick": 0.45, "serious": 0.9, "hat": 0.5}  # how often another label
    names = ["Smiling", *flipped, "never"]
    labels = [smiles, *(np.where(rng.random(2_000) < p, 1 - smiles, smiles) for p in flipped.values()), 0 * smiles]
    faces = data.ImageSet(
        "made up", "train", np.zeros((2_000, 1, 1, 3), np.uint8), "x", None, np.column_stack(labels), None, names
    )
    with np.errstate(invalid="ignore"):
        assert forgetting.related(faces, "Smiling") == ["cheeks", "mouth", "serious"]
        assert forgetting.related(faces, "hat") == []


def test_the_other_price_leaves_out_what_goes_along(monkeypatch):
    from types import SimpleNamespace

    from experiments.analyses import inspection_forgetting as forgetting

    before = np.ones((4, 4), bool)
    now = before.copy()
    now[:, :2] = False  # the object, and what goes with it
    now[0, 3] = False
    monkeypatch.setattr(forgetting.features, "attribute_probabilities", lambda eye, images: now.astype(float))
    monkeypatch.setattr(forgetting.features, "deep_features", lambda eye, images: np.zeros((4, 2)))
    monkeypatch.setattr(forgetting.metrics, "frechet_distance", lambda a, b: 0.0)
    names = ["Smiling", "cheeks", "hat", "young"]
    samples = SimpleNamespace(eye=None, names=names, related={"Smiling": ["cheeks"]}, real=None)
    found = forgetting.measure(samples, None, before, "Smiling")
    assert found["gone"] == 1 and found["others_changed"] == pytest.approx(5 / 12)
    assert found["unrelated_changed"] == pytest.approx(1 / 8)


def planted_maps(inside):
    """Maps (20, 3, 4, 4): the first is on where the object is, in half of the samples; the last all over the others."""
    where = np.zeros((20, 4, 4), bool)
    where[:10] = inside
    maps = torch.rand(20, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    maps[:, 0] += 0.3 * torch.from_numpy(where)
    maps[10:, 2] += 5
    return maps, where


def test_positions_without_the_object_are_of_samples_that_have_it():
    """Half of each such sample, so that none is left to chance; all of it, so that others must stand in."""
    maps, where = planted_maps(np.arange(16).reshape(4, 4) % 2 == 0)
    rows = maps[:10].permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    theirs = LogisticRegression(max_iter=1000).fit(rows / rows.std(0), where[:10].ravel())
    np.testing.assert_allclose(inspection.map_weights(maps, where), theirs.coef_[0], atol=1e-3)
    weights = inspection.map_weights(*planted_maps(True))
    assert weights[0] > 0 > weights[2]


def test_as_many_positions_without_as_with_drawn_by_the_seed(monkeypatch):
    fitted, fit = [], LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", lambda self, X, y: fitted.append(y) or fit(self, X, y))
    maps, where = planted_maps(np.arange(16).reshape(4, 4) < 5)
    first, again, other = (inspection.map_weights(maps, where, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert [(len(y), y.sum()) for y in fitted] == [(100, 50)] * 3
