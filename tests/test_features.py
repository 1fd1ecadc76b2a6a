"""The paper's feature vector against plain pooling, and the batch-norm statistics of the released script."""

import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator
from tqdm import tqdm

from dcgan_lib import data, features, models
from dcgan_lib.features import extraction, svm


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (300, 32, 32, 3), np.uint8)


@pytest.mark.parametrize(("name", "count"), [("imagenet32", 28_672), ("svhn32", 7_168)])
def test_dimensions(name, count, pictures):
    _, discriminator = models.build(name, seed=0)
    out = features.discriminator_features(discriminator, pictures[:4], progress=False)
    assert out.shape == (4, count) and out.dtype == np.float32 and np.isfinite(out).all()


def released_statistics(discriminator, pictures):
    """bnorm_statistics of svhn/svhn_semisup_analysis.py in plain torch: means over batches of 128."""
    means, variances = [], []
    for start in range(0, len(pictures), 128):
        x, u, s = data.to_float(pictures[start : start + 128]), [], []
        for block in discriminator.blocks:
            x = block[0](x)
            if isinstance(block[1], torch.nn.BatchNorm2d):
                u.append(x.mean((0, 2, 3)))
                s.append(x.var((0, 2, 3), correction=0))
                x = (x - u[-1][:, None, None]) / (s[-1][:, None, None] + 1e-8).sqrt()
                x = x * block[1].weight[:, None, None] + block[1].bias[:, None, None]
            x = torch.nn.functional.leaky_relu(x, 0.2)
        means.append(u)
        variances.append(s)
    return [[torch.stack(layer).mean(0) for layer in zip(*rows, strict=True)] for rows in (means, variances)]


@torch.no_grad()
def test_features_against_the_released_protocol(pictures):
    """Statistics, LeakyReLU, max-pooling to 4x4 and order, step by step as the script does them."""
    _, discriminator = models.build("svhn32", seed=0)
    pictures = pictures.copy()
    pictures[128:256] //= 3  # the second batch is darker: one batch does not stand for both
    means, variances = (iter(rows) for rows in released_statistics(discriminator, pictures[:256]))
    x, parts = data.to_float(pictures[256:]), []
    for block, window in zip(discriminator.blocks, (4, 2, 1), strict=True):
        x = block[0](x)
        if isinstance(block[1], torch.nn.BatchNorm2d):
            x = (x - next(means)[:, None, None]) / (next(variances)[:, None, None] + 1e-8).sqrt()
            x = x * block[1].weight[:, None, None] + block[1].bias[:, None, None]
        x = torch.nn.functional.leaky_relu(x, 0.2)
        parts.append(torch.nn.functional.max_pool2d(x, window).flatten(1))
    expected = torch.cat(parts, 1).numpy()
    ours = features.discriminator_features(discriminator, pictures[256:], calibrate_on=pictures[:256], progress=False)
    np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=2e-3)  # torch's running variance divides by n - 1


def test_batches_and_dtypes_do_not_matter(pictures):
    _, discriminator = models.build("svhn32", seed=0)
    before = {k: v.clone() for k, v in discriminator.state_dict().items()}
    whole = features.discriminator_features(discriminator, pictures, progress=False)
    parts = features.discriminator_features(discriminator, data.to_float(pictures), batch_size=7, progress=False)
    np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in discriminator.state_dict().items())
    other = features.discriminator_features(discriminator, pictures, calibrate_on=pictures[:50] // 2, progress=False)
    assert np.abs(other - whole).max() > 0.1


def test_running_statistics(pictures):
    _, discriminator = models.build("svhn32", seed=0)
    models.calibrate(
        discriminator, (data.to_float(pictures[s : s + 128]) for s in (0, 128))
    )  # a rest of 44 is left out
    running = features.discriminator_features(discriminator, pictures, statistics="running", progress=False)
    calibrated = features.discriminator_features(discriminator, pictures, progress=False)
    np.testing.assert_allclose(running, calibrated, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="unknown statistics 'batch'"):
        features.discriminator_features(discriminator, pictures, statistics="batch")


def test_memory_map(pictures, tmp_path, monkeypatch):
    _, discriminator = models.build("svhn32", seed=0)
    plain = features.discriminator_features(discriminator, pictures[:9], progress=False)
    mapped = features.discriminator_features(discriminator, pictures[:9], out=tmp_path / "f.npy", progress=False)
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), plain)
    monkeypatch.setattr(extraction, "_free_memory", lambda: 100)
    temporary = features.discriminator_features(discriminator, pictures[:9], progress=False)
    assert isinstance(temporary, np.memmap)
    np.testing.assert_array_equal(temporary, plain)
    monkeypatch.setattr(extraction.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 50, 50))
    with pytest.raises(OSError, match="do not fit on the disk"):
        features.discriminator_features(discriminator, pictures[:9], progress=False)
    assert extraction._free_memory() == 100


def test_a_file_is_replaced_when_the_new_one_is_whole(pictures, tmp_path):
    (_, first), (_, second) = models.build("svhn32", seed=0), models.build("svhn32", seed=1)
    path, options = tmp_path / "f.npy", {"statistics": "running", "progress": False}
    before = features.discriminator_features(first, pictures[:9], out=path, **options)
    kept = before.copy()
    after = features.discriminator_features(second, pictures[:9], out=path, **options)
    np.testing.assert_array_equal(before, kept)  # a map of the old file
    np.testing.assert_array_equal(np.load(path), after)
    with pytest.raises(ValueError, match=r"expected images \(N, 3, 32, 32\)"):
        features.discriminator_features(first, pictures[:9, :16], out=path, **options)
    np.testing.assert_array_equal(np.load(path), after)
    assert [p.name for p in tmp_path.iterdir()] == ["f.npy"]


@pytest.mark.parametrize(("n", "batches"), [(2, [2]), (100, [100]), (130, [128]), (191, [128]), (192, [128, 64])])
def test_a_small_rest_has_no_part_in_the_calibration(pictures, monkeypatch, n, batches):
    """It would count as much as a whole batch."""
    seen, calibrate = [], models.calibrate
    monkeypatch.setattr(models, "calibrate", lambda net, b: calibrate(net, (seen.append(len(x)) or x for x in b)))
    features.calibrated(models.build("svhn32", seed=0)[1], pictures[:n], progress=False)
    assert seen == batches


def test_large_features_are_announced_and_both_passes_show_a_bar(pictures, tmp_path, monkeypatch, capfd):
    _, discriminator = models.build("svhn32", seed=0)
    bars = []

    def bar(*args, **kwargs):
        bars.append(kwargs["desc"])
        return tqdm(*args, **kwargs)

    bar.write = tqdm.write
    monkeypatch.setattr(extraction, "tqdm", bar)
    monkeypatch.setattr(extraction, "LARGE", 1e5)
    features.discriminator_features(discriminator, pictures[:9], out=tmp_path / "new" / "f.npy")
    assert bars == ["calibrating batch norm", "features"]
    assert "features: 9 x 7,168 in float32, 0.0 GB on the disk, in " in capfd.readouterr().err
    features.discriminator_features(discriminator, pictures[:9])
    assert "0.0 GB of memory" in capfd.readouterr().err
    features.discriminator_features(discriminator, pictures[:9], progress=False)
    assert not capfd.readouterr().err


def test_one_calibration_serves_several_sets(pictures):
    _, discriminator = models.build("svhn32", seed=0)
    network = features.calibrated(discriminator, pictures, progress=False)
    for part in (pictures[:50], pictures[200:]):
        once = features.discriminator_features(network, part, statistics="running", progress=False)
        anew = features.discriminator_features(discriminator, part, calibrate_on=pictures, progress=False)
        np.testing.assert_array_equal(once, anew)


def test_wrong_pictures(pictures):
    _, discriminator = models.build("svhn32", seed=0)
    with pytest.raises(ValueError, match=r"expected images \(N, 3, 32, 32\)"):
        features.discriminator_features(discriminator, pictures[:, :16, :16], statistics="running", progress=False)
    _, dense = models.build("mnist28", seed=0)
    grey = pictures[:129, :28, :28, :1]
    assert len(features.discriminator_features(dense, grey, progress=False)) == 129  # 128 + 1
    with pytest.raises(ValueError, match="one picture has no batch statistics"):
        features.discriminator_features(dense, grey[:1], progress=False)
    for norm in ("generator", "none"):  # nothing to normalise by
        _, bare = models.build("mnist28", seed=0, norm=norm)
        assert features.discriminator_features(bare, grey[:1], progress=False).shape == (1, bare.arch.feature_count)
    with pytest.raises(ValueError, match="no pictures"):
        features.discriminator_features(discriminator, pictures[:0], progress=False)


def test_mirror_images_are_averaged(pictures):
    _, discriminator = models.build("svhn32", seed=0)
    options = {"calibrate_on": pictures, "progress": False}
    plain = features.discriminator_features(discriminator, pictures[:20], **options)
    mirrored = features.discriminator_features(discriminator, pictures[:20, :, ::-1], **options)
    both = features.discriminator_features(discriminator, pictures[:20], flip=True, **options)
    np.testing.assert_allclose(both, (plain + mirrored) / 2, rtol=1e-4, atol=1e-5)
    assert np.abs(plain - mirrored).max() > 0.1


def test_half_precision(pictures):
    _, discriminator = models.build("svhn32", seed=0)
    exact = features.discriminator_features(discriminator, pictures, progress=False)
    half = features.discriminator_features(discriminator, pictures, precision="bfloat16", progress=False)
    assert half.dtype == np.float32 and 0 < np.abs(half - exact).mean() < 0.01 * np.abs(exact).mean()
    with pytest.raises(ValueError, match="unknown precision 'float16'"):
        features.discriminator_features(discriminator, pictures, precision="float16")


def objective(model, X, y, C):
    """LinearSVC's, class by class, in double precision."""
    positive = model.classes_ if len(model.coef_) > 1 else model.classes_[1:]
    values = []
    for w, b, label in zip(model.coef_.astype(float), model.intercept_.astype(float), positive, strict=True):
        margins = np.where(y == label, 1, -1) * (X.astype(float) @ w + b)
        values.append((w @ w + b * b) / 2 + C * (np.maximum(0, 1 - margins) ** 2).sum())
    return np.array(values)


def wide():
    """More features than pictures, none negative, correlated: as discriminator features are."""
    rng = np.random.default_rng(0)
    X = np.maximum(rng.standard_normal((600, 80)) @ rng.standard_normal((80, 1500)), 0)
    y = (X[:, :300] @ rng.standard_normal((300, 10)) + 40 * rng.standard_normal((600, 10))).argmax(1)
    return (X / np.sqrt((X**2).mean())).astype(np.float32), y


def small():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


@pytest.fixture(params=["exact", "conjugate gradients"])
def way(request, monkeypatch):
    """Both data sets are small enough for exact steps; with limits of nothing they take the way of large sets."""
    if request.param == "conjugate gradients":
        large_sets(monkeypatch)
    else:
        monkeypatch.setattr(svm, "_newton", None)
        monkeypatch.setattr(svm, "COLUMNS", 500)  # several blocks
    return request.param


def large_sets(monkeypatch):
    monkeypatch.setattr(svm, "EXACT_ROWS", 0)
    monkeypatch.setattr(svm, "EXACT_FEATURES", 0)
    monkeypatch.setattr(svm, "ROWS", 100)
    monkeypatch.setattr(svm, "BLOCK", 256)  # several blocks


@pytest.mark.parametrize("data_set", [small, wide])
@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0])
def test_l2svm_parity_with_linear_svc(data_set, C, way):
    """Objective within 0.1 % and at least 99.5 % equal predictions, where LinearSVC converges."""
    X, y = data_set()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        theirs = LinearSVC(C=C, dual=data_set is wide, tol=1e-6, max_iter=100_000).fit(X, y)
        ours = features.L2SVM(C=C, max_passes=10_000).fit(X, y)
    a, b = objective(ours, X, y, C), objective(theirs, X, y, C)
    assert (np.abs(a / b - 1) < 1e-3).all(), a / b - 1
    assert (ours.predict(X) == theirs.predict(X)).mean() >= 0.995
    np.testing.assert_allclose(ours.objective_, a, rtol=1e-4)
    assert ours.relative_gradient_.max() <= 1e-2


@pytest.mark.parametrize("multiplied_in", ["bfloat16", "float32"])
@pytest.mark.parametrize("C", [1e-4, 1e-2])
def test_l2svm_stored_in_bfloat16(C, multiplied_in, monkeypatch):
    """The same problem with X rounded: its own minimum exactly, and the float32 one's predictions.

    On processors that multiply bfloat16 and on those that do not."""
    large_sets(monkeypatch)
    monkeypatch.setattr(svm, "pick_precision", lambda name, device: multiplied_in)
    X, y = wide()
    rounded = torch.from_numpy(X).bfloat16().float().numpy()
    half = features.L2SVM(C=C, storage="bfloat16").fit(X, y)
    exact = features.L2SVM(C=C, tol=1e-3).fit(rounded, y)
    assert (np.abs(objective(half, rounded, y, C) / objective(exact, rounded, y, C) - 1) < 1e-3).all()
    assert (half.predict(X) == features.L2SVM(C=C).fit(X, y).predict(X)).mean() >= 0.995
    with pytest.raises(ValueError, match="unknown storage 'float16'"):
        features.L2SVM(storage="float16").fit(X, y)


MEMORY = """
import re, sys
from pathlib import Path
import numpy as np
from dcgan_lib.features import L2SVM
def peak():  # kilobytes; unlike ru_maxrss this starts anew with the process
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
rng = np.random.default_rng(0)
X = rng.random((16_000, 4_096), np.float32)
y = rng.integers(0, 10, len(X))
L2SVM(C=1e-6).fit(X[:2000, :64], y[:2000])  # libraries loaded, threads started
before = peak()
L2SVM(C=1e-6, storage=sys.argv[1], max_iter=2, tol=1e-1).fit(X, y)
print((peak() - before) * 1024 / X.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("storage", "most"), [("float32", 0.6), ("bfloat16", 1.0)])
def test_l2svm_memory(storage, most):
    """50,000 x 28,672 float32 are 5.7 GB; to stay in 12 GB a fit may add 1.09 times X, and adds less."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", MEMORY, storage], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 0.01 < float(done.stdout) < most, done.stdout


def test_l2svm_comes_from_smaller_c_where_c_is_large(way):
    """Far inside the separable regime a Newton step from 0 fails; the path gets there in few steps."""
    X, y = wide()
    model = features.L2SVM(C=1.0, max_passes=4_000).fit(X, y)
    assert model.n_passes_ < 4_000 and model.relative_gradient_.max() <= 1e-2  # over 5,000 without the path


@pytest.mark.parametrize("data_set", [small, wide])
def test_l2svm_takes_few_exact_steps_at_a_large_c(data_set, monkeypatch):
    """LinearSVC does not get there in its 1,000 iterations; the path does in fewer than 30 steps."""
    X, y = data_set()
    model = features.L2SVM(C=100.0).fit(X, y)
    again = features.L2SVM(C=100.0, tol=1e-7).fit(X, y)
    assert model.n_iter_ < 30 and (objective(model, X, y, 100.0) <= 1.0001 * objective(again, X, y, 100.0)).all()


def test_l2svm_stops_with_a_word_after_so_many_passes(monkeypatch):
    large_sets(monkeypatch)
    X, y = wide()
    with pytest.warns(ConvergenceWarning, match=r"C=1 stopped after .* and [67]\d passes .* smaller C"):
        model = features.L2SVM(C=1.0, max_passes=60).fit(X, y)
    assert 60 <= model.n_passes_ < 80 and np.isfinite(model.coef_).all()


def test_l2svm_of_middle_size_is_solved_exactly_where_c_is_large(monkeypatch):
    monkeypatch.setattr(svm, "EXACT_ROWS", 300)
    X, y = wide()  # 600 rows
    assert features.L2SVM(C=1e-4).fit(X, y).n_passes_ > 10 and features.L2SVM(C=1.0).fit(X, y).n_passes_ == 2


def test_l2svm_shows_a_bar_in_long_fits(monkeypatch, capfd):
    monkeypatch.setattr(svm, "tqdm", lambda **kwargs: tqdm(**kwargs | {"delay": 0}))
    X, y = small()
    features.L2SVM().fit(X, y)
    assert "L2SVM" in capfd.readouterr().err
    features.L2SVM(progress=False).fit(X, y)
    assert not capfd.readouterr().err


def test_l2svm_is_a_scikit_learn_estimator():
    check_estimator(features.L2SVM(), on_skip=None)


def test_l2svm_in_pipelines_and_searches():
    X, y = small()
    pipeline = make_pipeline(StandardScaler(), features.L2SVM())
    search = GridSearchCV(pipeline, {"l2svm__C": [1e-5, 1e-2]}, cv=2).fit(X[:400], y[:400])
    assert search.best_params_["l2svm__C"] == 1e-2 and search.score(X[400:], y[400:]) > 0.8
    assert clone(search.best_estimator_[-1]).get_params()["C"] == 1e-2


def test_l2svm_warm_start_saves_work(way):
    X, y = wide()
    model = features.L2SVM(C=1e-3, warm_start=True).fit(X, y)
    cold = features.L2SVM(C=2e-3).fit(X, y)
    warm = model.set_params(C=2e-3).fit(X, y)
    assert warm.n_iter_ < cold.n_iter_ if way == "exact" else warm.n_passes_ < cold.n_passes_
    np.testing.assert_allclose(warm.objective_, cold.objective_, rtol=1e-3)


def test_l2svm_two_classes_and_any_labels():
    X, y = small()
    two = np.where(y < 5, "low", "high")
    theirs, ours = LinearSVC(dual=False, tol=1e-6).fit(X, two), features.L2SVM().fit(X, two)
    assert ours.coef_.shape == (1, 64) and ours.decision_function(X).shape == (len(X),)
    assert (ours.predict(X) == theirs.predict(X)).mean() > 0.995


def test_l2svm_says_when_it_did_not_converge_and_what_is_wrong():
    X, y = small()
    words = r"after 1 Newton steps and \d+ passes at a relative gradient of .* above tol=1e-08"
    with pytest.warns(ConvergenceWarning, match=words):
        features.L2SVM(tol=1e-8, max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="y has one class"):
        features.L2SVM().fit(X, np.zeros(len(X)))


def test_l2svm_reads_memory_maps(tmp_path):
    X, y = small()
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(features.L2SVM().fit(mapped, y).coef_, features.L2SVM().fit(X, y).coef_)
