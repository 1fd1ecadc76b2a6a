import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from dcgan_lib import data, neighbours
from dcgan_lib.neighbours import NearestNeighbour


def brute_force(queries, samples):
    """Index of the nearest sample, the earliest among equals, and its squared distance, without products."""
    apart = np.stack([np.square(samples.astype(np.float64) - q).sum(1) for q in queries.astype(np.float64)])
    return apart.argmin(1), apart.min(1)


def stream(model, x, y, sizes):
    start = 0
    for size in sizes:
        model.partial_fit(x[start : start + size], y[start : start + size])
        start += size
    assert start == len(x)
    return model


@pytest.mark.parametrize("scale", [neighbours.LARGEST, 1e-23])
def test_values_whose_squares_are_hardly_float32_numbers_are_compared_exactly(scale):
    rng = np.random.default_rng(0)
    queries, x = ((scale * (2 * rng.random((n, 50)) - 1)).astype(np.float32) for n in (40, 300))
    assert np.array_equal(NearestNeighbour(queries).partial_fit(x, np.arange(300)).indices, brute_force(queries, x)[0])


def test_predictions_are_those_of_scikit_learn_on_digits():
    x, y = load_digits(return_X_y=True)
    queries, x, y_test, y = x[:600], x[600:], y[:600], y[600:]
    ours = stream(NearestNeighbour(queries.astype(np.uint8), block=100), x.astype(np.uint8), y, [1, 99, 500, 597])
    theirs = KNeighborsClassifier(1, algorithm="brute").fit(x, y)
    distance, index = theirs.kneighbors(queries)
    tied = (brute_force(queries, x)[1][:, None] == [np.square(x - q).sum(1) for q in queries]).sum(1) > 1
    assert np.array_equal(ours.predict(), theirs.predict(queries))
    assert np.array_equal(ours.indices[~tied], index[~tied, 0])
    assert np.allclose(ours.distances, distance[:, 0], rtol=1e-12)
    assert (ours.predict() == y_test).mean() > 0.95


@pytest.mark.parametrize("kind", ["uniform", "far from the origin", "bytes"])
def test_neighbours_are_exact_where_float32_products_are_not(kind):
    rng = np.random.default_rng(3)
    if kind == "bytes":  # squared lengths above 2^24, and distances that differ by 1
        centre = rng.integers(180, 254, 784)
        queries, x = (np.clip(centre + rng.integers(-1, 2, (n, 784)), 0, 255).astype(np.uint8) for n in (200, 1500))
    else:
        far = 0 if kind == "uniform" else 100
        queries, x = ((rng.random((n, 60)) + far).astype(np.float32) for n in (200, 1500))
    y = rng.integers(0, 10, len(x))
    index, squared = brute_force(queries, x)
    if kind != "uniform":  # the test would not see a plain float32 search otherwise
        q, s = (torch.from_numpy(v).float() for v in (queries, x))
        assert not np.array_equal((s.square().sum(1) - 2 * q @ s.T).argmin(1).numpy(), index)
    ours = stream(NearestNeighbour(queries, block=64), x, y, [700, 800])
    assert np.array_equal(ours.indices, index)
    assert np.allclose(ours.squared, squared, rtol=1e-12, atol=0)
    assert np.array_equal(ours.predict(), KNeighborsClassifier(1, algorithm="brute").fit(x, y).predict(queries)) or (
        kind == "bytes"  # scikit-learn does not say which of equally near ones it takes
    )


def test_of_equally_near_samples_the_earliest_counts_in_a_block_and_across_calls():
    queries = np.zeros((2, 4), np.uint8)
    x = np.array([[5, 0, 0, 0], [0, 3, 0, 0], [3, 0, 0, 0], [0, 0, 3, 0]], np.uint8)
    for block in (1, 2, 4):
        ours = NearestNeighbour(queries, block=block).partial_fit(x, np.arange(4)).partial_fit(x, np.arange(4, 8))
        assert ours.predict().tolist() == [1, 1] and ours.indices.tolist() == [1, 1] and ours.count == 8


def test_a_stopped_run_goes_on_from_its_state(tmp_path):
    rng = np.random.default_rng(0)
    queries, x, y = rng.random((50, 9), np.float32), rng.random((300, 9), np.float32), rng.integers(0, 10, 300)
    whole = NearestNeighbour(queries).partial_fit(x, y)
    first = NearestNeighbour(queries).partial_fit(x[:120], y[:120])
    np.savez(tmp_path / "state.npz", **first.state_dict())
    first.partial_fit(queries, np.full(50, 99))  # what comes after does not change a state that was taken
    second = NearestNeighbour(queries).load_state_dict(np.load(tmp_path / "state.npz")).partial_fit(x[120:], y[120:])
    for key, value in whole.state_dict().items():
        assert np.array_equal(value, second.state_dict()[key]), key
    assert not np.array_equal(whole.indices, first.indices)
    with pytest.raises(ValueError, match="other queries"):
        NearestNeighbour(queries[::-1].copy()).load_state_dict(first.state_dict())


def test_lower_precision_of_products_does_not_change_neighbours():
    rng = np.random.default_rng(1)
    queries, x = (rng.random((n, 50), np.float32) + 10 for n in (60, 400))
    torch.set_float32_matmul_precision("medium")
    try:
        ours = NearestNeighbour(queries).partial_fit(x, np.zeros(400, int))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert np.array_equal(ours.indices, brute_force(queries, x)[0])


def test_wrong_input_is_named():
    model = NearestNeighbour(np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="partial_fit first"):
        model.predict()
    with pytest.raises(ValueError, match="16 pixels"):
        model.partial_fit(np.zeros((3, 9), np.uint8), np.zeros(3, int))
    with pytest.raises(ValueError, match="3 whole-number labels"):
        model.partial_fit(np.zeros((3, 16), np.uint8), np.zeros(2, int))
    with pytest.raises(ValueError, match="whole-number"):
        model.partial_fit(np.zeros((3, 16), np.uint8), np.zeros(3))
    with pytest.raises(ValueError, match="finite"):
        model.partial_fit(np.full((1, 16), np.nan, np.float32), np.zeros(1, int))
    for huge in (np.inf, 1e19, -1e19):  # their squares are no float32 numbers
        with pytest.raises(ValueError, match=r"samples must be finite numbers from -1e\+15 to 1e\+15"):
            model.partial_fit(np.full((1, 16), huge, np.float32), np.zeros(1, int))
        with pytest.raises(ValueError, match="queries must be finite"):
            NearestNeighbour(np.full((1, 16), huge, np.float32))
    with pytest.raises(ValueError, match="float64"):
        model.partial_fit(np.zeros((1, 16)), np.zeros(1, int))


def test_deformed_digits_are_small_changes_and_follow_the_seed():
    x = load_digits().images[:200, :, :, None].astype(np.uint8) * 15
    x = x.repeat(3, 1).repeat(3, 2)  # 24x24
    a, b, c = (neighbours.deform(x, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert a.shape == x.shape and a.dtype == np.uint8 and np.array_equal(a, b) and not np.array_equal(a, c)
    # A deformed digit is another picture, and still a digit of its kind.
    assert (a != x).any((1, 2, 3)).all()
    kind = load_digits().target[:200]
    assert (NearestNeighbour(a).partial_fit(x, kind).predict() == kind).mean() > 0.95
    none = {"rotation": 0, "scaling": 0, "shear": 0, "shift": 0, "elastic": 0}
    assert np.array_equal(neighbours.deform(x, np.random.default_rng(0), **none), x)
    with pytest.raises(ValueError, match="uint8"):
        neighbours.deform(x.astype(np.float32), np.random.default_rng(0))


def test_pixels_are_taken_from_where_the_displacements_say():
    x = np.random.default_rng(0).integers(0, 256, (3, 20, 26, 1)).astype(np.uint8)
    moved = neighbours.displacements(3, 20, 26, np.random.default_rng(7))
    ours = neighbours.deform(x, np.random.default_rng(7))
    for picture, out, by in zip(x, ours, moved, strict=True):
        where = np.mgrid[:20, :26] + by.transpose(2, 0, 1)
        theirs = map_coordinates(picture[..., 0].astype(float), where, order=1, mode="grid-constant")
        assert np.abs(theirs - out[..., 0]).max() <= 0.51  # rounding to whole grey levels


@pytest.mark.parametrize("shape", [(12, 1), (1, 12), (1, 1)])
def test_pictures_one_pixel_wide_stay_grey(shape):
    x = np.full((5, *shape, 1), 200, np.uint8)
    assert np.median(neighbours.deform(x, np.random.default_rng(0), shift=0, elastic=0)) == 200


def test_displacements_are_as_large_as_asked_for():
    none = {"rotation": 0, "scaling": 0, "shear": 0, "shift": 0, "elastic": 0}

    def draw(**strengths):
        return neighbours.displacements(400, 28, 28, np.random.default_rng(0), **(none | strengths))

    assert not draw().any()
    shift = draw(shift=2)
    assert np.ptp(shift, axis=(1, 2)).max() < 1e-6 and 1.9 < np.abs(shift).max() <= 2
    elastic = draw(elastic=0.7, smoothness=4)
    assert abs(elastic.std() - 0.7) < 0.05 and abs(elastic.mean()) < 0.1
    assert np.abs(np.diff(elastic, axis=1)).mean() < 0.25 * np.abs(elastic).mean()  # smooth
    turned = draw(rotation=10)
    radius = np.hypot(*(np.mgrid[:28, :28] - 13.5))
    length = np.linalg.norm(turned, axis=-1)  # of a rotation by a: 2 sin(a / 2) times the radius
    angle = length[:, 0, 0] / radius[0, 0]
    assert np.allclose(length, angle[:, None, None] * radius, atol=1e-5)
    assert 2 * np.sin(np.radians(9.5) / 2) < angle.max() <= 2 * np.sin(np.radians(10) / 2)
    assert np.linalg.norm(draw(scaling=0.1), axis=-1).max() <= 0.1 * np.sqrt(2) * 13.5 + 1e-5
    from_centre = np.arange(28) - 13.5
    sheared, scaled = draw(shear=0.1), draw(scaling=0.1)
    by = sheared[:, -1, 0, 1] / 13.5
    assert not sheared[..., 0].any() and 0.095 < abs(by).max() <= 0.1 + 1e-6
    np.testing.assert_allclose(
        sheared[..., 1], np.broadcast_to((by[:, None] * from_centre)[..., None], (400, 28, 28)), atol=1e-5
    )
    down, right = scaled[:, -1, 0, 0] / 13.5, scaled[:, 0, -1, 1] / 13.5
    np.testing.assert_allclose(
        scaled[..., 1], np.broadcast_to((right[:, None] * from_centre)[:, None], (400, 28, 28)), atol=1e-5
    )
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.2, "each side by its own"
    apart = np.corrcoef(elastic[:, :, 12].ravel(), elastic[:, :, 16].ravel())[0, 1]
    assert apart == pytest.approx(np.exp(-(4**2) / (4 * 4**2)), abs=0.05)  # what two Gaussians of 4 pixels share
    both = np.linalg.norm(neighbours.displacements(400, 28, 28, np.random.default_rng(0)), axis=-1)
    assert 0.5 < both.mean() < 3


def test_few_directions_rule_out_most_samples_and_no_neighbour(monkeypatch):
    """Pictures of few directions, as digits are, with a little of all the others."""
    rng = np.random.default_rng(5)
    axes = rng.standard_normal((12, 300))
    queries, x = ((rng.random((n, 12)) @ axes + 0.3 * rng.random((n, 300))).astype(np.float32) for n in (90, 900))
    decided, decide = [], NearestNeighbour._decide
    monkeypatch.setattr(
        NearestNeighbour, "_decide", lambda self, q, *to: decided.append(len(q)) or decide(self, q, *to)
    )
    ours = stream(NearestNeighbour(queries, block=100), x, np.arange(900), [450, 450])
    assert np.array_equal(ours.indices, brute_force(queries, x)[0])
    few, whole = ours._looks
    assert few.queries.shape[1] < 20 and whole.queries.shape[1] == 300
    assert sum(decided) < 0.1 * 90 * 900
    # What the few directions say is never above the distance, and not far below.
    away = torch.from_numpy(x).double() - ours._centre
    squares = away.square().sum(1)
    scores, slack = few.scores(slice(0, 90), few.seen(away).T, squares, ours._lengths)
    lower = scores.double() + ours._lengths[:, None] - slack[:, None]
    true = torch.cdist(torch.from_numpy(queries).double(), torch.from_numpy(x).double()).square()
    assert (lower <= true).all() and (true - lower).mean() < 0.15 * true.mean()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_same_neighbours():
    rng = np.random.default_rng(7)
    queries, x = rng.integers(0, 256, (300, 28, 28)).astype(np.uint8), 255 * rng.random((20_000, 28, 28), np.float32)
    there, here = (NearestNeighbour(queries, where).partial_fit(x, np.arange(20_000)) for where in ("cuda", "cpu"))
    assert np.array_equal(there.indices, here.indices) and np.array_equal(there.squared, here.squared)


def test_one_look_at_all_queries_finds_the_same_neighbours(monkeypatch):
    """As on a GPU: large blocks, all queries at once but few pairs, no look along few directions."""
    monkeypatch.setattr(neighbours, "PAIRS", 50_000)
    rng = np.random.default_rng(8)
    queries, x = (rng.random((n, 60)).astype(np.float32) for n in (2_100, 400))
    ours = NearestNeighbour(queries, block=neighbours.BLOCK_GPU)
    ours._looks, ours._queries = ours._looks[-1:], neighbours.QUERIES_GPU
    assert np.array_equal(ours.partial_fit(x, np.zeros(400, int)).indices, brute_force(queries, x)[0])


def test_samples_that_all_look_alike_are_still_told_apart(monkeypatch):
    """As of a generator that has collapsed: the few directions leave all open, and all pixels are looked at."""
    rng = np.random.default_rng(6)
    queries = (rng.random((40, 3)) @ rng.standard_normal((3, 80)) * 50).astype(np.float32)
    x = queries[:1] + rng.standard_normal((300, 80)).astype(np.float32)
    looks = []
    scores = neighbours._Look.scores
    monkeypatch.setattr(
        neighbours._Look, "scores", lambda self, *rest: looks.append(self.directions is None) or scores(self, *rest)
    )
    ours = NearestNeighbour(queries, block=100).partial_fit(x, np.zeros(300, int))
    assert np.array_equal(ours.indices, brute_force(queries, x)[0])
    assert True in looks and False in looks


def test_a_row_of_the_digits_test_goes_on_where_it_stopped(tmp_path, monkeypatch):
    from experiments import nearest

    x, y = load_digits(return_X_y=True)
    x = x.astype(np.uint8).reshape(-1, 8, 8, 1)
    queries, true = x[:300], y[:300]
    state = tmp_path / "state.npz"

    def row(sizes, stream=None, **options):
        found = nearest.wrong(
            stream or nearest.deformed(x[300:], y[300:], 1, 500), NearestNeighbour(queries), true, sizes, **options
        )
        return {n: told.tolist() for n, told in found.items()}

    whole = row((10, 1_000, 2_500))
    assert list(whole) == [10, 1_000, 2_500] and sum(whole[10]) > sum(whole[1_000])
    row((10, 1_000), state=state)
    assert row((10, 1_000, 2_500), state=state) == whole
    assert row((10, 1_000), state=state) == {n: whole[n] for n in (10, 1_000)}, "what is noted is not counted again"
    with pytest.raises(
        ValueError, match="gone on to 2,500 samples; of its sizes it noted 10, 1,000, 2,500, and 700 are"
    ):
        row((700, 5_000), state=state)

    nearest._keep(tmp_path / "at.npz", NearestNeighbour(queries).partial_fit(x[300:800], y[300:800]), {})
    with pytest.raises(ValueError, match="gone on to 500 samples; of its sizes it noted none, and 500 are"):
        row((500, 1_000), nearest.real(x[300:], y[300:]), state=tmp_path / "at.npz")

    # Stopped between two sizes: what was kept by the clock is gone on from.
    monkeypatch.setattr(nearest, "KEEP_SECONDS", 0)
    state.unlink()

    def killed(start):
        for images, labels in nearest.deformed(x[300:], y[300:], 1, 500)(start):
            if start > 1_600:
                raise KeyboardInterrupt
            yield images, labels
            start += len(images)

    with pytest.raises(KeyboardInterrupt):
        row((10, 1_000, 2_500), killed, state=state)
    asked = []

    def noted(start):
        asked.append(start)
        return nearest.deformed(x[300:], y[300:], 1, 500)(start)

    assert row((10, 1_000, 2_500), noted, state=state) == whole and asked[0] >= 1_500

    once = nearest.errors(nearest.real(x[300:], y[300:]), NearestNeighbour(queries), true, (500, 1_497))
    train, digits = (v.reshape(-1, 64).astype(float) for v in (x[300:], queries))
    theirs = KNeighborsClassifier(1, algorithm="brute").fit(train, y[300:]).predict(digits)
    assert once[-1]["error"] == (theirs != true).mean()
    assert all(0 < row["interval"][0] < row["error"] < row["interval"][1] < 0.9 for row in once)
    with pytest.raises(ValueError, match="ended after 1,497"):
        nearest.errors(nearest.real(x[300:], y[300:]), NearestNeighbour(queries), true, (2_000,))


def test_a_stream_is_the_same_wherever_it_starts():
    from experiments import nearest

    x = (np.arange(300) % 200).astype(np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2)
    y = np.arange(300)
    drawn = []

    def draw(rng, n):
        drawn.append(n)
        return rng.random((n, 8, 8, 1), np.float32), rng.integers(0, 10, n)

    for stream in (nearest.real(x, y, 0, 64), nearest.deformed(x, y, 0, 64), nearest.generated(draw, 0, 64)):
        batches = stream(0)
        whole = [np.concatenate(part) for part in zip(*(next(batches) for _ in range(4)), strict=True)]
        for start in (1, 63, 64, 130):
            drawn.clear()
            images, labels = next(stream(start))
            assert np.array_equal(images, whole[0][start : start + len(images)])
            assert np.array_equal(labels, whole[1][start : start + len(labels)])
            assert len(drawn) <= 1, "what comes before is not drawn"


def test_real_and_deformed_digits_come_in_a_new_order_and_way_each_time():
    from experiments import nearest

    x, y = load_digits().images[:200, :, :, None].astype(np.uint8) * 15, np.arange(200)
    rounds = []
    batches = nearest.deformed(x, y, 0, 100)(0)
    for _ in range(2):
        images, labels = (np.concatenate(part) for part in zip(next(batches), next(batches), strict=True))
        assert sorted(labels) == list(y) and list(labels) != list(y)
        rounds.append((labels, images[np.argsort(labels)]))
    assert list(rounds[0][0]) != list(rounds[1][0])
    assert (rounds[0][1] != rounds[1][1]).any((1, 2, 3)).all(), "no digit is deformed twice in the same way"
    blank = np.zeros((200, 28, 28, 1), np.uint8)
    blank[:, 10:18, 12:16] = 255
    images, _ = next(nearest.deformed(blank, y, 0, 100)(0))
    again, _ = next(nearest.deformed(blank, y, 0, 100)(100))
    assert (images != again).any((1, 2, 3)).all(), "nor two digits of a round"
    first, _ = (np.concatenate(part)[:64] for part in zip(*nearest.real(y[:, None], y, 0, 64)(0), strict=True))
    assert first.max() > 150 and len(set(first[:, 0])) == 64


def test_held_out_digits_are_of_all_kinds():
    """Whatever the order in which they come."""
    from experiments import nearest

    x, y = load_digits(return_X_y=True)
    order = np.argsort(y, kind="stable")
    digits = data.ImageSet("own", "train", x[order].astype(np.uint8).reshape(-1, 8, 8, 1), "0", y[order])
    kept, held_out = nearest.parts(digits)
    assert (len(kept), len(held_out)) == (1497, 300)
    assert min(np.bincount(kept.labels, minlength=10)) > 100 and min(np.bincount(held_out.labels, minlength=10)) > 10
