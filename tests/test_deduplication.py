import csv
import io
import os
import zipfile

import imagehash
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform
from sklearn.datasets import load_sample_images

from dcgan_lib import cli, deduplication
from dcgan_lib.data import ImageSet
from dcgan_lib.deduplication import KINDS, find_duplicates, plant

N, COPIES = 300, 40


@pytest.fixture(scope="module")
def crops():
    """Photographs cut into crops of 32x32 side by side, the 300 with most detail (not sky and blur): (N, 32, 32, 3)."""
    cut = [
        p[y : y + 32, x : x + 32]
        for p in load_sample_images().images
        for y in range(0, 390, 32)
        for x in range(0, 600, 32)
    ]
    detail = [np.abs(np.diff(c.astype(float), axis=0)).mean() for c in cut]
    return np.stack(cut)[np.sort(np.argsort(detail)[-N:])]


@pytest.fixture(scope="module")
def planted(crops):
    """The crops with 40 copies of each kind behind them, and kind → pairs."""
    rng, parts, pairs = np.random.default_rng(1), [crops], {}
    for k, kind in enumerate(KINDS):
        copies, originals = plant(crops[k * 50 : k * 50 + 50], kind, COPIES, rng)
        first = N + k * COPIES
        pairs[kind] = {(int(o) + k * 50, first + i) for i, o in enumerate(originals)}
        parts.append(copies)
    return np.concatenate(parts), pairs


def as_set(pairs):
    return {tuple(pair) for pair in pairs.tolist()}


NETWORKS = {}  # by pictures and settings


def fit_once(images, *, fit=deduplication.fit, **settings):
    """The network that was trained for these pictures and settings before: it would be the same (`one_seed` below)."""
    key = images.shape, images.tobytes(), tuple(sorted(settings.items()))
    if key not in NETWORKS:
        NETWORKS[key] = fit(images, **settings)
    return NETWORKS[key]


@pytest.fixture(scope="module")
def found(planted):
    pictures, _ = planted
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deduplication, "fit", fit_once)
        return {m: find_duplicates(pictures, mirrored=m, steps=400, progress=False) for m in (False, True)}


def test_planted_copies_are_found_and_others_are_not(planted, found):
    _, pairs = planted
    ours = as_set(found[False].pairs)
    for kind, least in {"exact": 1, "resized": 0.9, "recompressed": 0.9, "brightness": 0.9}.items():
        assert len(ours & pairs[kind]) >= least * COPIES, kind
    assert len(ours & pairs["mirrored"]) <= 0.1 * COPIES
    wrong = ours - set.union(*pairs.values())
    assert len(wrong) <= 0.01 * len(ours), wrong
    mirrored = as_set(found[True].pairs)
    assert len(mirrored & pairs["mirrored"]) == COPIES
    assert len(mirrored - set.union(*pairs.values())) <= 0.01 * len(mirrored)


def test_the_papers_way_is_exact_and_misses_what_a_perceptual_hash_finds(planted, monkeypatch):
    """Equal codes only: pairs are right; of recompressed copies `imagehash` (4 bits of 64) finds more."""
    pictures, pairs = planted
    monkeypatch.setattr(deduplication, "fit", fit_once)
    paper = as_set(find_duplicates(pictures, radius=0, tolerance=np.inf, steps=400, progress=False).pairs)
    assert pairs["exact"] <= paper
    assert len(paper - set.union(*pairs.values())) <= 0.01 * len(paper)
    hashes = [imagehash.phash(Image.fromarray(picture)) for picture in pictures]
    theirs = sum(hashes[a] - hashes[b] <= 4 for a, b in pairs["recompressed"])
    assert len(paper & pairs["recompressed"]) < theirs


def test_one_seed_one_answer_and_grey_pictures_and_sets_are_taken(crops):
    pictures = np.concatenate([crops[:60], crops[:5]])
    of_set = ImageSet("own", "train", pictures, "0")
    first, again = (find_duplicates(given, steps=200, progress=False) for given in (pictures, of_set))
    assert np.array_equal(first.pairs, again.pairs) and np.array_equal(first.distances, again.distances)
    grey = find_duplicates(pictures[..., :1], steps=200, progress=False)
    for duplicates in (first, grey):
        assert {(i, 60 + i) for i in range(5)} <= as_set(duplicates.pairs)


def test_the_autoencoder_learns_to_redraw(crops):
    x = deduplication.crops(crops)
    errors = []
    for steps in (1, 400):
        network = deduplication.fit(crops, steps=steps, progress=False)
        errors.append((network(x, torch.Generator().manual_seed(0)) - x).square().mean().item())
    assert errors[1] < 0.6 * errors[0]
    assert [tuple(p.shape) for p in network.parameters()] == [(128, 3072), (128,), (3072, 128), (3072,)]
    assert network.hash(x).shape == (N, 16)
    assert torch.allclose(x.mean(1), torch.zeros(N), atol=1e-4) and torch.allclose(x.std(1), torch.ones(N), atol=1e-3)


def test_dropout_is_of_each_picture_and_keeps_the_mean():
    network = deduplication.Autoencoder(noise=0.0).requires_grad_(False)
    x = torch.randn(1, 3072, generator=torch.Generator().manual_seed(0)).expand(600, -1)
    drawn = network(x, torch.Generator().manual_seed(1))
    whole = network.decoder(torch.relu(network.encoder(x[:1]))) - network.decoder.bias
    assert len(drawn.unique(dim=0)) == 600
    share = ((drawn.mean(0) - network.decoder.bias) @ whole[0]) / whole.square().sum()
    assert share == pytest.approx(1, abs=0.05)


def test_the_seed_alone_decides_what_is_learnt(crops):
    def learnt(seed, elsewhere):
        torch.manual_seed(elsewhere)
        network = deduplication.fit(crops[:20], steps=2, batch_size=4, seed=seed, progress=False)
        return torch.cat([p.detach().flatten() for p in network.parameters()]), torch.rand(1)

    (one, after), (same, other_after), (other, _) = learnt(3, 1), learnt(3, 2), learnt(4, 1)
    assert torch.equal(one, same) and not torch.equal(one, other)
    torch.manual_seed(1)
    assert after == torch.rand(1) != other_after, "and it decides nothing else"


def test_crops_of_blank_pictures_and_of_fine_stripes_and_their_darker_side():
    blank = 128 + np.random.default_rng(0).integers(0, 2, (3, 32, 32, 3)).astype(np.uint8)
    assert deduplication.crops(blank).std(1).max() < 0.3, "noise of one level is not stretched"
    assert deduplication.crops(40 * blank).std(1).min() > 0.99
    stripes = np.resize(np.array([0, 0, 255], np.uint8), 128)[None, :, None, None]
    assert deduplication._squares(np.broadcast_to(stripes, (1, 128, 128, 1))).std() < 0.1, "smoothed as it shrinks"
    x = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 1)).astype(np.uint8)
    left, right = deduplication.crops(x, mirrored=True).view(9, 3, 32, 2, 16).sum((1, 2, 4)).T
    assert (left < right).all()
    assert torch.equal(deduplication.crops(x, mirrored=True), deduplication.crops(x[:, :, ::-1].copy(), mirrored=True))


@pytest.mark.parametrize("kind", ["resized", "recompressed"])
def test_copies_are_as_far_away_as_their_settings_say(crops, kind):
    """Between what the mildest and the gravest of them does to the same picture, by Pillow."""

    def changed(picture, setting):
        image = Image.fromarray(picture)
        if kind == "resized":
            side = (round(32 * setting),) * 2
            return np.asarray(image.resize(side, Image.Resampling.LANCZOS).resize((32, 32), Image.Resampling.LANCZOS))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=setting)
        return np.asarray(Image.open(file))

    copies, originals = plant(crops, kind, 60, np.random.default_rng(2))
    source = crops[originals].astype(float)
    mild, grave = (0.9, 0.6) if kind == "resized" else (90, 40)
    least, most = (np.abs(np.stack([changed(crops[i], s) for i in originals]) - source).mean() for s in (mild, grave))
    away = np.abs(copies - source).mean((1, 2, 3))
    assert least < away.mean() < most and away.std() > 0.1 * (most - least)


def test_brightness_is_a_factor_and_an_offset():
    ramp = np.tile(np.arange(60, 188, 4, dtype=np.uint8)[:, None, None], (40, 1, 32, 1)).reshape(40, 32, 32, 1)
    copies, _ = plant(ramp, "brightness", 40, np.random.default_rng(0))
    lines = np.array([np.polyfit(ramp[0].ravel(), copy.ravel(), 1) for copy in copies.astype(float)])
    assert 0.79 < lines[:, 0].min() < 0.85 < 1.15 < lines[:, 0].max() < 1.21
    assert -21 < lines[:, 1].min() < -15 < 15 < lines[:, 1].max() < 21


@pytest.mark.parametrize("radius", [0, 1, 3, 7])
def test_candidates_are_all_pairs_within_the_radius(radius):
    rng = np.random.default_rng(radius)
    bits = rng.integers(0, 2, (300, 64), np.uint8)
    for copy, original in zip(range(150, 300), range(150), strict=True):  # 0 to 11 bits away
        bits[copy] = bits[original]
        bits[copy, rng.permutation(64)[: rng.integers(0, 12)]] ^= 1
    apart = squareform(pdist(bits, "hamming") * 64).round()
    expected = {(int(a), int(b)) for a, b in np.argwhere(apart <= radius) if a < b}
    hashes = np.packbits(bits, axis=1)
    pairs = deduplication.candidates(hashes, radius, window=299)
    assert as_set(pairs) == expected and len(pairs) == len(expected) > 5
    assert np.array_equal(deduplication._differ(hashes, *pairs.T), apart[tuple(pairs.T)])
    with pytest.raises(ValueError, match="0 to 7"):
        deduplication.candidates(hashes, 8)


def test_a_large_bucket_costs_a_window_a_picture_and_stays_one_cluster():
    hashes = np.zeros((5_000, 16), np.uint8)
    pairs = deduplication.candidates(hashes, 0, window=4)
    assert len(pairs) == 4 * 5_000 - (1 + 2 + 3 + 4)
    assert (deduplication.clusters(pairs, 5_000) == 0).all()


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("bits", [0, 1])
def test_repeats_are_found_whatever_the_hashes_say(monkeypatch, bits, mirrored):
    """Hashes that say nothing, or next to nothing: each repeat far from its original, and still a window a picture."""
    n, rng = 1_000, np.random.default_rng(bits)
    images = rng.integers(0, 256, (n, 32, 32, 1), np.uint8)
    first, again = rng.permutation(n)[:200].reshape(2, 100)
    images[again] = images[first]
    images[again[:50]] = images[again[:50], :, ::-1]
    blank = rng.permutation(np.setdiff1d(np.arange(n), [first, again]))[:100]  # one picture, more often than a window
    images[blank] = 7
    hashes = np.packbits(np.pad(rng.integers(0, 2, (n, bits), np.uint8), ((0, 0), (0, 128 - bits))), axis=1)
    compared, distance = [], deduplication.distance
    monkeypatch.setattr(
        deduplication,
        "distance",
        lambda images, pairs, **options: compared.append(len(pairs)) or distance(images, pairs, **options),
    )
    found = deduplication.compare(images, hashes, radius=1, window=4, mirrored=mirrored, progress=False)
    exact = {tuple(sorted(pair)) for pair in zip(first.tolist(), again.tolist(), strict=True)}
    turned = {tuple(sorted(pair)) for pair in zip(first[:50].tolist(), again[:50].tolist(), strict=True)}
    repeated = {pair for pair in as_set(found.pairs) if not set(pair) <= set(blank.tolist())}
    assert repeated == (exact if mirrored else exact - turned)
    assert len(set(found.clusters[blank])) == 1 and found.clusters[blank[0]] >= 0
    assert np.array_equal(found.hamming, np.unpackbits(np.bitwise_xor(*hashes[found.pairs.T]), axis=1).sum(1))
    assert compared[0] <= 3 * 4 * n, "two parts of the hashes, and the pixels"


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("height, width", [(32, 32), (45, 64)])  # the centre square of 64 x 45 is half a pixel off
def test_exact_repeats_have_no_distance(height, width, mirrored):
    images = np.random.default_rng(0).integers(0, 256, (40, height, width, 1), np.uint8)
    images[20:] = images[:20, :, ::-1] if mirrored else images[:20]
    hashes = np.zeros((40, 16), np.uint8)
    found = deduplication.compare(images, hashes, tolerance=0, mirrored=mirrored, window=40, progress=False)
    assert as_set(found.pairs) == {(i, i + 20) for i in range(20)} and not found.distances.any()


def test_clusters_hang_together_and_all_but_their_first_are_redundant(tmp_path):
    pairs = np.array([[1, 6], [2, 3], [3, 5], [0, 8]])
    found = deduplication.Duplicates(9, pairs, np.array([0, 1, 2, 3]), np.array([0, 0.1, 0.2, 0.3]))
    assert found.clusters.tolist() == [0, 1, 2, 2, -1, 2, 1, -1, 0]
    assert found.redundant.tolist() == [3, 5, 6, 8]
    none = deduplication.Duplicates(3, np.empty((0, 2), int), np.empty(0, int), np.empty(0))
    assert none.clusters.tolist() == [-1, -1, -1] and not len(none.redundant)
    names = [f"of a, {i}.png" for i in range(9)]
    with deduplication.write_csv(found, tmp_path / "list.csv", names).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["cluster"] for row in rows] == ["0", "1", "2", "2"]
    assert rows[0] == {
        "cluster": "0", "first": names[0], "second": names[8], "hamming": "3", "distance": "0.3000",
    }  # fmt: skip
    assert deduplication.write_csv(none, tmp_path / "none.csv").read_text().count("\n") == 1
    with pytest.raises(ValueError, match="9 names"):
        deduplication.write_csv(found, tmp_path / "list.csv", names[:2])


def test_means_of_a_square_are_of_what_lies_inside():
    x = torch.rand(2, 3, 6, 9, generator=torch.Generator().manual_seed(0))
    found = deduplication._mean_of(x, 5)
    for i, j in np.ndindex(6, 9):
        square = x[:, :, max(0, i - 2) : i + 3, max(0, j - 2) : j + 3]
        torch.testing.assert_close(found[:, :, i, j], square.mean((2, 3)), rtol=1e-5, atol=1e-6)


def test_distance_sees_through_small_shifts_and_mirrors(crops):
    small = np.stack([np.asarray(Image.fromarray(c).resize((36, 36))) for c in crops[:50]])
    shifted = np.concatenate([small[:, 2:34, 2:34], small[:, 3:35, 1:33], small[:, 2:34, 2:34][:, :, ::-1]])
    rows = np.arange(50)
    pairs = {
        "equal": np.stack([rows, rows], 1),
        "shifted": np.stack([rows, rows + 50], 1),
        "mirrored": np.stack([rows, rows + 100], 1),
        "others": np.stack([rows, (rows + 1) % 50], 1),
    }
    apart = {name: deduplication.distance(shifted, p) for name, p in pairs.items()}
    assert not apart["equal"].any()
    assert np.quantile(apart["shifted"], 0.9) < 0.5 < apart["others"].min()
    assert apart["mirrored"].mean() > 0.5
    assert deduplication.distance(shifted, pairs["mirrored"], mirrored=True).max() < 1e-3
    assert np.quantile(deduplication.distance(shifted, pairs["shifted"], shift=0), 0.9) > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_copies_are_of_their_kind(crops, kind):
    copies, originals = plant(crops, kind, 30, np.random.default_rng(5))
    again, _ = plant(crops, kind, 30, np.random.default_rng(5))
    source = crops[originals]
    assert copies.shape == source.shape and copies.dtype == np.uint8 and np.array_equal(copies, again)
    assert len(set(originals.tolist())) == 30
    if kind == "exact":
        assert np.array_equal(copies, source)
        return
    assert (copies != source).any((1, 2, 3)).all()
    if kind == "mirrored":
        assert np.array_equal(copies[:, :, ::-1], source)
    elif kind == "shifted":
        for copy, picture in zip(copies, source, strict=True):
            by = [(y, x) for y in (-2, -1, 1, 2) for x in (-2, -1, 1, 2)]
            inner = [np.array_equal(copy[2:-2, 2:-2], np.roll(picture, s, (0, 1))[2:-2, 2:-2]) for s in by]
            assert sum(inner) >= 1
    else:
        assert np.abs(copies.astype(float) - source).mean((1, 2, 3)).max() < 60
    one, _ = plant(crops[..., :1], kind, 3, np.random.default_rng(0))
    assert one.shape == (3, 32, 32, 1)


# ---- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(planted, tmp_path_factory):
    """The planted pictures as files in folders, a damaged one among them; kind → pairs of names."""
    pictures, pairs = planted
    where = tmp_path_factory.mktemp("pictures")
    names = [f"{'copies' if i >= N else 'own'}/{i:04d}.png" for i in range(len(pictures))]
    names[7] = "own/7, a comma.png"
    for name, picture in zip(names, pictures, strict=True):
        (where / name).parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(where / name)
    (where / "own" / "0003.png").write_bytes(b"damaged")
    named = {kind: {tuple(sorted((names[a], names[b]))) for a, b in found} for kind, found in pairs.items()}
    return where, {kind: {pair for pair in found if names[3] not in pair} for kind, found in named.items()}


def listed(path):
    """{(first, second): row}, names in order."""
    with path.open(newline="") as file:
        return {tuple(sorted((row["first"], row["second"]))): row for row in csv.DictReader(file)}


def dedup(capsys, *arguments, steps=100):
    """Few steps will do for equal pictures, whose hashes are equal whatever was learnt (of 10 too many others are)."""
    code = cli.main(["dedup", *map(str, arguments), "--device", "cpu", "--steps", str(steps), "--quiet"])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_command_lists_planted_copies_by_name(folder, tmp_path, capsys, mirrored):
    where, pairs = folder
    before = {path: path.read_bytes() for path in where.rglob("*.png")}
    out = tmp_path / "lists" / "list.csv"
    code, printed, errors = dedup(capsys, where, "--out", out, *(["--mirrored"] if mirrored else []), steps=200)
    assert code == 0 and "own/0003.png" in errors, errors
    rows = listed(out)
    for kind, least in {"exact": 1, "resized": 0.9, "recompressed": 0.9, "brightness": 0.9}.items():
        assert len(rows.keys() & pairs[kind]) >= least * len(pairs[kind]), kind
    share = len(rows.keys() & pairs["mirrored"]) / len(pairs["mirrored"])
    assert share == 1 if mirrored else share <= 0.1
    assert len(rows.keys() - set.union(*pairs.values())) <= 0.01 * len(rows)
    assert all(float(rows[pair]["distance"]) == 0 and rows[pair]["hamming"] == "0" for pair in pairs["exact"])
    # clusters: two names have one number exactly when pairs lead from one to the other
    names = sorted({name for pair in rows for name in pair})
    index = {name: i for i, name in enumerate(names)}
    edges = np.array([[index[a], index[b]] for a, b in rows])
    graph = coo_array((np.ones(len(edges)), tuple(edges.T)), shape=(len(names),) * 2)
    count, component = connected_components(graph, directed=False)
    numbers = {component[index[pair[0]]]: row["cluster"] for pair, row in rows.items()}
    assert all(numbers[component[index[a]]] == row["cluster"] for (a, _), row in rows.items())
    assert len(set(numbers.values())) == count
    assert f"{len(rows):,} pairs of near duplicates in {count:,} clusters" in printed
    assert f"{len(names) - count:,} could go; nothing was deleted" in printed
    assert {path: path.read_bytes() for path in where.rglob("*.png")} == before


def test_the_command_on_a_zip_and_on_an_npz(folder, planted, tmp_path, capsys):
    where, pairs = folder
    archive, out = tmp_path / "pictures.zip", tmp_path / "list.csv"
    with zipfile.ZipFile(archive, "w") as z:
        for path in sorted(where.rglob("*.png")):
            z.write(path, path.relative_to(where).as_posix())
    equal = ("--radius", 0)  # the hashes of equal pictures: no need to compare others
    assert dedup(capsys, archive, "--out", out, *equal)[0] == 0
    assert pairs["exact"] <= listed(out).keys()
    pictures, by_index = planted
    np.savez(tmp_path / "pictures.npz", images=pictures)
    assert dedup(capsys, tmp_path / "pictures.npz", "--out", out, *equal)[0] == 0
    assert {tuple(sorted(map(str, pair))) for pair in by_index["exact"]} <= listed(out).keys()


def test_no_duplicates_and_names_that_are_no_text(crops, tmp_path, capsys):
    name = os.fsdecode(b"\xe9t\xe9.png")  # Latin-1, no UTF-8
    (tmp_path / "own").mkdir()
    for i, picture in enumerate(crops[:8]):
        Image.fromarray(picture).save(tmp_path / "own" / f"{i}.png")
    code, printed, _ = dedup(capsys, tmp_path / "own", "--out", tmp_path / "list.csv")
    assert code == 0 and "0 pairs of near duplicates in 0 clusters" in printed
    assert (tmp_path / "list.csv").read_text() == "cluster,first,second,hamming,distance\n"
    Image.fromarray(crops[2]).save(tmp_path / "own" / name)
    assert dedup(capsys, tmp_path / "own", "--out", tmp_path / "list.csv")[0] == 0
    assert b"2.png,\xe9t\xe9.png," in (tmp_path / "list.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["own", "--out", "own.zip"], "--out must be a .csv, got 'own.zip'"),
        (["own", "--out", "list.csv/"], "no file at all"),
        (["own", "--out", "own/0.png/list.csv"], "is a file, no folder"),
        (["nothing/here", "--out", "list.csv"], "no folder, .zip or .npz at nothing/here"),
        (["one", "--out", "list.csv"], "one holds one picture: near duplicates are looked for among at least 2"),
        (["own", "--out", "list.csv", "--radius", "16"], "of at least 0 and of at most 15, got 16"),
        (["own", "--out", "list.csv", "--tolerance", "inf"], "--tolerance must be a number"),
    ],
)  # fmt: skip
def test_calls_that_cannot_be_meant(crops, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    for folder, n in (("own", 3), ("one", 1)):
        (tmp_path / folder).mkdir()
        for i in range(n):
            Image.fromarray(crops[i]).save(tmp_path / folder / f"{i}.png")
    if words == "no file at all":  # the slash goes with Path; a folder of that name is refused
        (tmp_path / "list.csv").mkdir()
        words = "--out must be a file, list.csv is a folder"
    code, _, errors = dedup(capsys, *arguments)
    assert code == 2 and words in errors and "Traceback" not in errors
    assert not (tmp_path / "list.csv").is_file()


def test_wrong_input_is_named(crops):
    with pytest.raises(ValueError, match="unknown kind of copy 'turned'"):
        plant(crops, "turned", 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="from 1 to the 300"):
        plant(crops, "exact", 301, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"at least 2 pictures.*\(1, 32"):
        find_duplicates(crops[:1], progress=False)
    with pytest.raises(ValueError, match="float32"):
        find_duplicates(crops.astype(np.float32), progress=False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"window": 0}, "window must be"),
        ({"radius": 16}, "radius must be"),
        ({"radius": 2.5}, "radius must be"),
        ({"tolerance": float("nan")}, "tolerance must be"),
        ({"tolerance": -1}, "tolerance must be"),
        ({"steps": 0}, "steps must be"),
        ({"device": "gpu"}, "unknown device"),
    ],
)
def test_a_search_that_would_find_nothing_is_refused_at_once(changes, words, monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    monkeypatch.setattr(deduplication.torch.optim, "Adam", None)  # nothing is trained before
    with pytest.raises((TypeError, ValueError), match=words):
        find_duplicates(pictures, **changes)


def test_there_is_a_hash_for_each_picture():
    pictures = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match="a hash for each of 8 pictures"):
        deduplication.compare(pictures, np.zeros((5, 16), np.uint8))


@pytest.mark.parametrize("side", [16, 28, 32, 64])
def test_shifted_copies_are_shifted(side):
    """By a thirty-second of the side or two, at least a pixel, as often one way as the other."""
    ramp = np.arange(side, dtype=np.uint8)
    picture = np.stack([np.repeat(ramp[:, None], side, 1), np.repeat(ramp[None], side, 0)], -1)[..., [0, 1, 1]]
    copies, _ = plant(np.repeat(picture[None], 200, 0), "shifted", 200, np.random.default_rng(0))
    middle = side // 2
    moved = copies[:, middle, middle, :2].astype(int) - middle  # (200, 2): down and right
    expected = {round(k * side / 32) or 1 for k in (1, 2)}
    assert set(np.unique(abs(moved))) == expected and (moved > 0).mean() == pytest.approx(0.5, abs=0.1)
