"""Walks, sums and directions: against hand-computed points, planted directions and plain loops."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from dcgan_lib import latent, metrics, models


def test_linear_walk_passes_through_every_point_evenly():
    points = torch.tensor([[0.0, 0.0], [4.0, 8.0], [4.0, 0.0]])
    walk = latent.interpolate(points, steps=5)
    assert walk.shape == (9, 2)
    assert torch.equal(walk[[0, 4, 8]], points)
    assert torch.allclose(walk[1], torch.tensor([1.0, 2.0])) and torch.allclose(walk[6], torch.tensor([4.0, 4.0]))


@pytest.mark.parametrize("kind", latent.KINDS)
@pytest.mark.parametrize("steps", [2, 9])
def test_walks_end_at_the_points_themselves(kind, steps):
    points = torch.cat([torch.tensor([[1e8, 1.0], [1.0, 1e8]]), 10 ** torch.linspace(-8, 8, 40).view(20, 2)])
    walk = latent.interpolate(points, steps, kind)
    assert len(walk) == 21 * (steps - 1) + 1 and torch.equal(walk[:: steps - 1], points)


def test_whole_numbers_walk_as_floats():
    for kind in latent.KINDS:
        points = torch.tensor([[0, 2, 0], [3, 0, 0]])
        walk = latent.interpolate(points, 4, kind)
        assert walk.dtype == torch.float32 and torch.equal(walk, latent.interpolate(points.float(), 4, kind))
    assert latent.interpolate(torch.tensor([[0], [1]]), 3)[1] == 0.5
    assert latent.arithmetic([torch.tensor([[0], [1]])], []) == 0.5


def test_spherical_walk_turns_at_a_constant_angle_with_even_lengths():
    a, b = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 4.0, 0.0])
    walk = latent.interpolate(torch.stack([a, b]), steps=5, kind="spherical")
    assert torch.allclose(walk[0], a) and torch.allclose(walk[-1], b, atol=1e-6)
    assert torch.allclose(walk.norm(dim=1), torch.tensor([2.0, 2.5, 3.0, 3.5, 4.0]), atol=1e-5)
    angles = torch.atan2(walk[:, 1], walk[:, 0])
    assert torch.allclose(angles, torch.linspace(0, torch.pi / 2, 5), atol=1e-5)
    same = latent.interpolate(torch.stack([a, 3 * a, -a]), steps=3, kind="spherical")  # no plane to turn in: a line
    assert torch.allclose(same, torch.stack([a, 2 * a, 3 * a, a, -a]), atol=1e-5)


def test_spherical_walk_between_opposite_points_is_a_line():
    for seed in range(20):
        a = torch.randn(100, generator=torch.Generator().manual_seed(seed))
        quarter = latent.interpolate(torch.stack([a, -a]), 5, "spherical")[1]
        torch.testing.assert_close(quarter, a / 2)
    from_nothing = latent.interpolate(torch.stack([torch.zeros(3), torch.ones(3)]), 3, "spherical")
    assert torch.allclose(from_nothing[1], torch.full((3,), 0.5))


def test_spherical_walk_of_a_normal_prior_keeps_its_length_where_the_linear_one_loses_it():
    points = torch.randn(2, 100, generator=torch.Generator().manual_seed(0))
    middle = {kind: latent.interpolate(points, 3, kind)[1].norm() for kind in latent.KINDS}
    assert middle["linear"] < 8.5 and abs(middle["spherical"] - points.norm(dim=1).mean()) < 1e-4


def test_walks_need_two_points():
    for points, message in ((torch.zeros(1, 3), r"\(2 or more, latent_dim\), got \(1, 3\)"),
                            (torch.zeros(3), r"the points of a walk \(n, latent_dim\), got \(3,\)")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            latent.interpolate(points, 9)
    with pytest.raises(ValueError, match="steps must be at least 2, got 1"):
        latent.interpolate(torch.zeros(2, 3), 1)
    with pytest.raises(ValueError, match="unknown kind of interpolation 'cubic'"):
        latent.interpolate(torch.zeros(2, 3), 5, "cubic")


def test_arithmetic_takes_means():
    a, b, c = torch.ones(3, 4), torch.arange(12.0).view(3, 4), torch.full((2, 4), 5.0)
    assert torch.allclose(latent.arithmetic([a, c], [b]), 1 + 5 - b.mean(0))
    assert torch.allclose(latent.arithmetic([a, c], []), torch.full((4,), 6.0))
    assert torch.allclose(latent.turn(a, c), torch.full((4,), 4.0))


def test_neighbours_stay_within_the_noise_and_repeat():
    z = torch.randn(50)
    near = latent.neighbours(z, 200, seed=3)
    away = near - z
    assert near.shape == (200, 50) and away.abs().max() <= 0.25 and abs(away.mean()) < 0.01
    assert away.abs().max() > 0.24 and abs(away.std() - 0.5 / 12**0.5) < 0.005  # uniform
    assert torch.equal(near, latent.neighbours(z, 200, seed=3))
    assert not torch.equal(near, latent.neighbours(z, 200, seed=4))
    with pytest.raises(ValueError, match=r"expected one latent \(latent_dim,\), got \(1, 50\)"):
        latent.neighbours(z[None])
    with pytest.raises(ValueError, match="expected the exemplars of a concept"):
        latent.arithmetic([z], [z])


def test_direction_finds_a_planted_one():
    rng = torch.Generator().manual_seed(0)
    z, planted = torch.randn(3000, 20, generator=rng), torch.randn(20, generator=rng)
    planted /= planted.norm()
    found = latent.direction(z, z @ planted > 1.2)  # rare: one in nine
    assert found.vector @ planted > 0.95 and abs(found.vector.norm() - 1) < 1e-5
    assert found.accuracy > 0.9
    for same in (z.clone().requires_grad_(), z.bfloat16()):
        assert latent.direction(same, z @ planted > 1.2).vector @ found.vector > 0.999
    nothing = latent.direction(z, torch.rand(3000, generator=rng) > 0.5)
    assert 0.45 < nothing.accuracy < 0.55
    with pytest.raises(ValueError, match="a label, 0 or 1"):
        latent.direction(z, torch.rand(3000))
    with pytest.raises(ValueError, match="at least 10 latents with it and 10 without, got 3 and 2997"):
        latent.direction(z, np.arange(3000) < 3)
    with pytest.raises(ValueError, match="there is no direction"):
        latent.direction(torch.ones(40, 3), np.arange(40) % 2)


def test_accuracy_of_a_direction_counts_both_classes_alike():
    rng = np.random.default_rng(0)
    z, rare = rng.normal(size=(300, 5)).astype(np.float32), rng.random(300) < 0.15
    z[rare, 0] += 0.7
    model, shares = LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000), []
    for fitted, asked in StratifiedKFold(5).split(z, rare):
        right = model.fit(z[fitted], rare[fitted]).predict(z[asked]) == rare[asked]
        shares.append((right[rare[asked]].mean() + right[~rare[asked]].mean()) / 2)
    assert latent.direction(torch.from_numpy(z), rare).accuracy == pytest.approx(np.mean(shares))


def test_exemplars_are_as_sure_as_their_least_sure_attribute():
    names = ["Smiling", "Male"]
    p = np.array([[0.9, 0.9], [0.8, 0.1], [0.99, 0.4], [0.6, 0.05]])
    assert latent.exemplars(p, names, {"Smiling": True, "Male": False}, 3).tolist() == [1, 2, 3]
    assert latent.exemplars(p, names, {"Male": True}, 1).tolist() == [0]
    many = np.random.default_rng(0).random((500, 2))
    drawn = latent.exemplars(many, names, {"Male": True}, 10, seed=1)
    assert (many[drawn, 1] >= 0.9).all() and len(set(drawn)) == 10
    assert drawn.tolist() == latent.exemplars(many, names, {"Male": True}, 10, seed=1).tolist()
    assert set(drawn) != set(latent.exemplars(many, names, {"Male": True}, 10))
    with pytest.raises(ValueError, match=r"only 1 samples are 0\.9 sure"):
        latent.exemplars(p, names, {"Male": True}, 2, seed=1)
    with pytest.raises(ValueError, match="unknown attribute 'Smilling': did you mean 'Smiling'"):
        latent.exemplars(p, names, {"Smilling": True}, 1)
    for wanted, n in (({}, 1), ({"Male": True}, 5)):
        with pytest.raises(ValueError, match="n from 1 to 4"):
            latent.exemplars(p, names, wanted, n)


class Planted(models.Generator):
    """Pictures whose brightness follows one direction of z strongly and another weakly."""

    grey = 0.0  # of all of them

    def forward(self, z):
        strong, weak = z @ self.strong, z @ self.weak
        half = torch.tensor([1.0, -1.0]).repeat_interleave(16)
        return (self.grey + 0.1 * strong[:, None, None, None] + 0.03 * weak[:, None, None, None] * half).expand(
            -1, 3, 32, 32
        )


def test_principal_axes_find_what_moves_the_picture():
    generator = Planted(models.architecture("tiny32"))
    q, _ = torch.linalg.qr(torch.randn(32, 2, generator=torch.Generator().manual_seed(1)))
    generator.strong, generator.weak = q[:, 0], q[:, 1]
    axes = latent.principal_axes(generator, 2, samples=400)
    assert axes.shape == (2, 32) and torch.allclose(axes @ axes.T, torch.eye(2), atol=1e-4)
    assert (axes[0] @ generator.strong).abs() > 0.999 and (axes[1] @ generator.weak).abs() > 0.999
    assert all(axis[axis.abs().argmax()] > 0 for axis in axes)
    generator.grey = 0.5  # what no latent changes has no part in it
    torch.testing.assert_close(latent.principal_axes(generator, 2, samples=400), axes, rtol=0, atol=1e-4)


def test_path_report():
    even = np.stack([np.arange(5), np.zeros(5)], 1)
    assert latent.path_report(even) == {"length": 4.0, "detour": 1.0, "largest_step": 1.0}
    cut = np.array([[0.0], [0], [0], [6], [6]])
    assert latent.path_report(cut) == {"length": 6.0, "detour": 1.0, "largest_step": 4.0}
    corner = np.array([[0.0, 0], [3, 0], [3, 4]])
    assert latent.path_report(corner)["detour"] == pytest.approx(7 / 5)
    there_and_back = np.array([[0.0], [1], [0]])
    assert latent.path_report(there_and_back) == {"length": 2.0, "detour": np.inf, "largest_step": 1.0}
    assert latent.path_report(np.ones((4, 2))) == {"length": 0.0, "detour": np.inf, "largest_step": 1.0}
    with pytest.raises(ValueError, match="3 or more"):
        latent.path_report(even[:2])


def test_nearest_of_vectors_far_from_zero():
    """Differences of squares would round them away."""
    rng = np.random.default_rng(0)
    references, queries = rng.standard_normal((300, 64)), rng.standard_normal((40, 64))
    away = np.linalg.norm(queries[:, None] - references, axis=2)
    indices, _ = metrics.nearest(queries + 1_000, references + 1_000)
    assert np.array_equal(indices[:, 0], away.argmin(1))


def test_nearest_against_a_plain_loop():
    rng = np.random.default_rng(0)
    queries, references = rng.normal(size=(30, 40)), rng.normal(size=(70, 40))
    indices, distances = metrics.nearest(queries, references, k=3, chunk=7)
    for query, found, away in zip(queries, indices, distances, strict=True):
        every = np.linalg.norm(references - query, axis=1)
        assert found.tolist() == np.argsort(every)[:3].tolist()
        np.testing.assert_allclose(away, np.sort(every)[:3], rtol=1e-5)
    twins = np.repeat(references + 50, 2, axis=0)  # far from 0, where a difference of squares rounds
    twins[1::2] += 1e-3 / np.sqrt(40)
    indices, distances = metrics.nearest(twins, twins, k=2)
    assert (indices[:, 0] == np.arange(140)).all() and (distances[:, 0] == 0).all(), "each is its own nearest"
    np.testing.assert_allclose(distances[:, 1], 1e-3, rtol=0.02)
    assert (metrics.nearest(twins, twins)[0][:, 0] == np.arange(140)).all(), "however few are asked for"
    assert len(metrics.neighbours.usual_distances(twins, twins, fellows=True)) == 140, "none is an exact repeat"
    _, zero = metrics.nearest(references[:5], references)
    assert (zero == 0).all()  # a copy is at 0, not near it
    with pytest.raises(ValueError, match="k must be from 1 to the 70 references"):
        metrics.nearest(queries, references, k=71)


def test_nearest_takes_differences_a_chunk_at_a_time(monkeypatch):
    rng, rows, norm = np.random.default_rng(0), [], torch.Tensor.norm
    queries, references = rng.normal(size=(50, 6)), rng.normal(size=(20, 6))
    expected = metrics.nearest(queries, references, k=3)
    monkeypatch.setattr(torch.Tensor, "norm", lambda self, *of, **how: rows.append(len(self)) or norm(self, *of, **how))
    found = metrics.nearest(queries, references, k=3, chunk=7)
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True)) and max(rows) == 7


def test_head_turn_of_drawn_heads():
    """A skin-coloured head whose eyes stay and whose outline moves to one side."""
    rows, columns = np.mgrid[:64, :64]
    heads = []
    for shift in (-8, -3, 0, 3, 8):
        head = ((columns - 31.5 - shift) / 18) ** 2 + ((rows - 36) / 24) ** 2 < 1
        picture = np.full((64, 64, 3), (40, 70, 140), np.uint8)
        picture[head] = (205, 160, 135)
        heads.append(picture)
    turned = metrics.head_turn(np.stack(heads))
    assert (np.diff(turned) < 0).all() and abs(turned[2]) < 0.02  # the outline goes right when one looks left
    np.testing.assert_allclose(metrics.head_turn(np.stack(heads)[:, :, ::-1]), -turned, atol=1e-12)
    as_floats = torch.from_numpy(np.stack(heads)).permute(0, 3, 1, 2).float() / 127.5 - 1
    np.testing.assert_allclose(metrics.head_turn(as_floats), turned, atol=1e-12)
    many = np.tile(np.stack(heads), (201, 1, 1, 1))[:1_001]  # a thousand at a time
    np.testing.assert_allclose(metrics.head_turn(many), np.tile(turned, 201)[:1_001], atol=1e-12)
    with pytest.raises(ValueError, match="float tensor or uint8"):
        metrics.head_turn(as_floats.numpy())
    with pytest.raises(ValueError, match=r"got uint8 \(0, 64, 64, 3\)"):
        metrics.head_turn(as_floats[:0])
