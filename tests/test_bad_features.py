"""What the features refuse: each case is one bad input, the error that it gets, and a word of its message."""

import time
import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from dcgan_lib import checkpoints, data, features, models
from dcgan_lib.features import supervised

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (20, 16, 16, 1), np.uint8)
LABELS = np.arange(20) % 2
NETWORK = models.build(models.architecture("tiny32", image_size=16, channels=1, widths=(4, 8)), seed=0)[1]
X = RNG.standard_normal((20, 6)).astype(np.float32)
PART, NO_LABELS = (X, LABELS), data.ImageSet("mine", "train", PICTURES, "x")
NAN, INF = float("nan"), float("inf")


def spoilt(value, name=None):
    network = models.build(NETWORK.arch, seed=0)[1]
    with torch.no_grad():
        dict(network.named_buffers() if name else network.named_parameters())[name or "blocks.0.0.weight"][0] = value
    return network


def extract(network=NETWORK, images=PICTURES, **other):
    return lambda: features.discriminator_features(network, images, progress=False, **other)


def svm(X=X, y=LABELS, **parameters):
    return lambda: features.L2SVM(progress=False, **parameters).fit(X, y)


def kmeans(images=PICTURES, transform=PICTURES, **parameters):
    small = {"n_centroids": 2, "patch": 3, "n_patches": 50, "epochs": 1}
    return lambda: features.KMeansFeatures(**small | {"progress": False} | parameters).fit(images).transform(transform)


def evaluate(network=NETWORK, train=(PICTURES, LABELS), test=(PICTURES, LABELS), **other):
    return lambda: features.evaluate(network, train, test, progress=False, **other)


def choose(candidates=(1.0,), X_validation=X, y_validation=LABELS, **svm):
    return lambda: features.choose_C(X, LABELS, X_validation, y_validation, candidates, **{"progress": False} | svm)


def few(pool=PART, validation=PART, test=PART, per_class=2, candidates=(1.0,), draws=(1, 1), **svm):
    return lambda: features.few_labels(
        pool, validation, test, per_class, candidates, draws, **{"progress": False} | svm
    )


def curve(test=PART, draws=1):
    return lambda: features.label_curve(PART, PART, test, {2: (1.0,)}, draws, progress=False)


def call(function, *arguments, **named):
    return lambda: function(*arguments, **named)


def learn(labels):
    return lambda: supervised.train_classifier(NETWORK.arch, PICTURES, labels, supervised.Settings(epochs=1))


JUDGE = models.classifier(NETWORK.arch, 2, seed=0)
with_nan = X.copy()
with_nan[3, 2] = NAN
floats = data.to_float(PICTURES)
nan_pictures = floats.clone()
nan_pictures[5] = NAN

CASES = {  # name: (call, error, words)
    "features: a string for D": (extract("faces"), TypeError, "expected a models.Discriminator, got str"),
    "features: nothing for D": (extract(None), TypeError, "got NoneType"),
    "features: a generator": (extract(models.build(NETWORK.arch)[0]), TypeError, "got Generator"),
    "features: a list of pictures": (extract(images=PICTURES.tolist()), TypeError, "images must be an array"),
    "features: a path": (extract(images="pictures.npy"), TypeError, "images must be an array or a tensor"),
    "features: no pictures": (extract(images=PICTURES[:0]), ValueError, "no pictures in images"),
    "features: one picture": (extract(images=PICTURES[0]), ValueError, "expected (N, H, W, C)"),
    "features: other size": (extract(images=PICTURES[:, :8, :8]), ValueError, "expected images (N, 1, 16, 16)"),
    "features: other channels": (extract(images=PICTURES.repeat(3, 3)), ValueError, "expected images (N, 1, 16, 16)"),
    "features: float array": (extract(images=PICTURES / 255.0), ValueError, "expected uint8"),
    "features: int tensor": (extract(images=torch.from_numpy(PICTURES).int()), ValueError, "expected uint8"),
    "features: NaN pictures": (extract(images=nan_pictures, calibrate_on=floats), ValueError, "not finite"),
    "features: calibrate on none": (extract(calibrate_on=PICTURES[:0]), ValueError, "no pictures in calibrate_on"),
    "features: calibrate on a number": (extract(calibrate_on=12), TypeError, "calibrate_on must be an array"),
    "features: calibrate on NaN": (extract(calibrate_on=nan_pictures), ValueError, "averages became NaN or infinite"),
    "features: unknown statistics": (extract(statistics="batch"), ValueError, "unknown statistics 'batch'"),
    "features: unknown precision": (extract(precision="half"), ValueError, "unknown precision 'half'"),
    "features: batch_size 0": (extract(batch_size=0), ValueError, "batch_size must be a whole number of at least 1"),
    "features: batch_size -1": (extract(batch_size=-1), ValueError, "batch_size must be"),
    "features: batch_size 2.5": (extract(batch_size=2.5), ValueError, "batch_size must be"),
    "features: batch_size True": (extract(batch_size=True), ValueError, "batch_size must be"),
    "features: batch_size '8'": (extract(batch_size="8"), ValueError, "batch_size must be"),
    "features: NaN weights": (extract(spoilt(NAN)), ValueError, "blocks.0.0.weight holds NaN or infinity"),
    "features: infinite weights": (extract(spoilt(INF)), ValueError, "holds NaN or infinity"),
    "features: NaN statistics": (
        extract(spoilt(NAN, "blocks.1.1.running_var"), statistics="running"),
        ValueError,
        "running_var holds NaN",
    ),
    "svm: C infinite": (svm(C=INF), ValueError, "C must be a finite number above 0, got inf"),
    "svm: C NaN": (svm(C=NAN), ValueError, "C must be a finite number above 0, got nan"),
    "svm: C 0": (svm(C=0), ValueError, "C must be"),
    "svm: C negative": (svm(C=-1.0), ValueError, "C must be"),
    "svm: C text": (svm(C="1"), ValueError, "C must be"),
    "svm: C None": (svm(C=None), ValueError, "C must be"),
    "svm: C a list": (svm(C=[1.0]), ValueError, "C must be"),
    "svm: C True": (svm(C=True), ValueError, "C must be"),
    "svm: tol 0": (svm(tol=0), ValueError, "tol must be a finite number above 0"),
    "svm: tol NaN": (svm(tol=NAN), ValueError, "tol must be"),
    "svm: tol negative": (svm(tol=-1e-3), ValueError, "tol must be"),
    "svm: max_iter -1": (svm(max_iter=-1), ValueError, "max_iter must be a whole number of at least 1, got -1"),
    "svm: max_iter 0": (svm(max_iter=0), ValueError, "max_iter must be"),
    "svm: max_iter 2.5": (svm(max_iter=2.5), ValueError, "max_iter must be"),
    "svm: max_iter infinite": (svm(max_iter=INF), ValueError, "max_iter must be"),
    "svm: max_passes 0": (svm(max_passes=0), ValueError, "max_passes must be"),
    "svm: storage": (svm(storage="float16"), ValueError, "unknown storage 'float16'"),
    "svm: device": (svm(device="gpu"), ValueError, "device must be 'auto' or one of PyTorch's, got 'gpu'"),
    "svm: device a list": (svm(device=[0]), ValueError, "device must be"),
    "svm: NaN in X": (svm(with_nan), ValueError, "NaN"),
    "svm: X too large for float32": (svm(X.astype(float) * 1e300), ValueError, "infinity"),
    "svm: X of one dimension": (svm(X[:, 0]), ValueError, "Expected 2D array"),
    "svm: X of text": (svm(np.array([["a"]] * 20)), ValueError, "could not convert"),
    "svm: no features": (svm(X[:, :0]), ValueError, "0 feature(s)"),
    "svm: labels of another length": (svm(y=LABELS[:-1]), ValueError, "inconsistent numbers of samples"),
    "svm: one class": (svm(y=np.zeros(20)), ValueError, "y has one class"),
    "svm: labels are measures": (svm(y=np.linspace(0, 1, 20)), ValueError, "Unknown label type"),
    "svm: labels NaN": (svm(y=np.where(LABELS, NAN, 0)), ValueError, "NaN"),
    "svm: predict other features": (lambda: svm()().predict(X[:, :3]), ValueError, "expecting 6 features"),
    "kmeans: batch_size 0": (kmeans(batch_size=0), ValueError, "batch_size must be a whole number of at least 1"),
    "kmeans: batch_size -4": (kmeans(batch_size=-4), ValueError, "batch_size must be"),
    "kmeans: batch_size NaN": (kmeans(batch_size=NAN), ValueError, "batch_size must be"),
    "kmeans: no centroids": (kmeans(n_centroids=0), ValueError, "n_centroids must be"),
    "kmeans: 2.5 centroids": (kmeans(n_centroids=2.5), ValueError, "n_centroids must be"),
    "kmeans: patch 0": (kmeans(patch=0), ValueError, "patch must be"),
    "kmeans: patch of one number": (kmeans(patch=1), ValueError, "patches of one number have no deviation"),
    "kmeans: patch of the picture": (kmeans(patch=16), ValueError, "no two patches of 16"),
    "kmeans: epochs -1": (kmeans(epochs=-1), ValueError, "epochs must be"),
    "kmeans: few patches": (kmeans(n_patches=1), ValueError, "2 centroids need as many patches"),
    "kmeans: device": (kmeans(device="gpu"), ValueError, "device must be one of PyTorch's"),
    "kmeans: no pictures": (kmeans(PICTURES[:0]), ValueError, "no pictures"),
    "kmeans: transform none": (kmeans(transform=PICTURES[:0]), ValueError, "no pictures"),
    "kmeans: floats": (kmeans(PICTURES / 255.0), ValueError, "expected uint8 pictures"),
    "kmeans: other channels": (kmeans(transform=PICTURES.repeat(3, 3)), ValueError, "fitted on patches of 9 numbers"),
    "choose_C: no candidates": (choose(()), ValueError, "candidates must be finite numbers above 0, at least one"),
    "choose_C: candidate 0": (choose((0.0, 1.0)), ValueError, "candidates must be"),
    "choose_C: candidate NaN": (choose((1.0, NAN)), ValueError, "candidates must be"),
    "choose_C: candidate infinite": (choose((1.0, INF)), ValueError, "candidates must be"),
    "choose_C: candidate text": (choose(("a",)), ValueError, "candidates must be numbers"),
    "choose_C: one number": (choose(1.0), ValueError, "candidates must be numbers"),
    "choose_C: no validation": (choose((1.0,), X[:0], LABELS[:0]), ValueError, "validation needs a label for each"),
    "choose_C: validation labels": (choose((1.0,), X, LABELS[:9]), ValueError, "20 pictures, 9 labels"),
    "choose_C: other labels": (
        choose((1.0,), X, LABELS + 9),
        ValueError,
        "each class needs several pictures, and 20 training pictures are of",
    ),
    "choose_C: a column": (choose((1.0,), X, LABELS[:, None]), ValueError, "20 pictures, labels (20, 1)"),
    "few labels: a column": (few(test=(X, LABELS[:, None])), ValueError, "test needs a label for each picture"),
    "few labels: one number": (few(draws=3), TypeError, "draws must be a pair"),
    "few labels: words": (few((X, np.array(["a", "b"])[LABELS]), per_class=11), ValueError, "{'a': 10, 'b': 10}"),
    "label curve: a column": (curve(test=(X, LABELS[:, None])), ValueError, "test needs a label for each picture"),
    "label curve: draws of others": (curve(draws={3: 1}), ValueError, "draws names no number for [2] labels per class"),
    "label curve: no draws": (curve(draws=0), ValueError, "draws must be at least 1"),
    "svhn: no labels": (call(features.svhn_parts, NO_LABELS, NO_LABELS), ValueError, "mine (train) has no labels"),
    "few labels: more than there are": (few(per_class=11), ValueError, "11 labels per class are more than there are"),
    "few labels: none a class": (few(per_class=0), ValueError, "per_class must be a whole number of at least 1"),
    "few labels: 2.5 a class": (few(per_class=2.5), ValueError, "per_class must be"),
    "few labels: no draws": (few(draws=(0, 1)), ValueError, "draws must be at least 1"),
    "few labels: no test": (few(test=(X[:0], LABELS[:0])), ValueError, "test needs a label for each picture"),
    "few labels: pool labels": (few((X, LABELS[:5])), ValueError, "pool needs a label for each picture"),
    "few labels: candidates": (few(candidates=(-1.0,)), ValueError, "candidates must be"),
    "draw_labels: no labels": (call(features.draw_labels, [], 1, 0), ValueError, "expected labels (N,)"),
    "draw_labels: attributes": (call(features.draw_labels, np.ones((4, 2)), 1, 0), ValueError, "expected labels (N,)"),
    "evaluate: a string for D": (evaluate("faces"), TypeError, "expected a discriminator or a function"),
    "evaluate: a generator": (evaluate(models.build(NETWORK.arch)[0]), TypeError, "got Generator"),
    "evaluate: NaN weights": (evaluate(spoilt(NAN)), ValueError, "holds NaN or infinity"),
    "evaluate: no labels": (evaluate(train=NO_LABELS), ValueError, "mine (train) has no labels"),
    "evaluate: test without labels": (evaluate(test=NO_LABELS), ValueError, "has no labels"),
    "evaluate: pictures only": (evaluate(train=PICTURES), TypeError, "train must be an ImageSet or a pair"),
    "evaluate: three of them": (evaluate(test=(PICTURES, LABELS, 1)), TypeError, "test must be an ImageSet or a pair"),
    "evaluate: short labels": (evaluate(train=(PICTURES, LABELS[:9])), ValueError, "a label for each of 20 pictures"),
    "evaluate: empty test": (evaluate(test=(PICTURES[:0], LABELS[:0])), ValueError, "at least one"),
    "evaluate: validation 0": (evaluate(validation=0), ValueError, "cannot choose C"),
    "evaluate: validation 1.0": (evaluate(validation=1.0), ValueError, "a part between 0 and 1"),
    "evaluate: validation NaN": (evaluate(validation=NAN), ValueError, "a part between 0 and 1"),
    "evaluate: validation all": (evaluate(validation=20), ValueError, "20 of 20 training pictures cannot choose C"),
    "evaluate: validation text": (evaluate(validation="0.2"), ValueError, "a part between 0 and 1"),
    "evaluate: validation True": (evaluate(validation=True), ValueError, "a part between 0 and 1"),
    "evaluate: no candidates": (evaluate(candidates=()), ValueError, "candidates must be"),
    "evaluate: storage": (evaluate(storage="int8"), ValueError, "unknown storage 'int8'"),
    "evaluate: device": (evaluate(device="gpu"), ValueError, "unknown device 'gpu'"),
    "evaluate: about": (evaluate(out="there", about={"x": X}), TypeError, "a dict that JSON can hold"),
    "evaluate: tol": (evaluate(tol=-1.0), ValueError, "tol must be"),
    "evaluate: statistics": (evaluate(statistics="batch"), ValueError, "unknown statistics"),
    "evaluate: precision": (evaluate(precision="half"), ValueError, "unknown precision"),
    "evaluate: calibrate on 0": (evaluate(calibrate_on=0), ValueError, "calibrate_on must be pictures or a number"),
    "evaluate: calibrate on True": (evaluate(calibrate_on=True), ValueError, "calibrate_on must be pictures"),
    "evaluate: calibrate on text": (evaluate(calibrate_on="all"), TypeError, "calibrate_on must be an array"),
    "evaluate: one class": (evaluate(train=(PICTURES, LABELS * 0)), ValueError, "y has one class"),
    "evaluate: features of half": (evaluate(lambda a, b: (a[::2], b)), ValueError, "features of 10 and 20 pictures"),
    "evaluate: a file for a folder": (evaluate(out=__file__), OSError, "test_bad_features.py"),
    "classifier: parts of classes": (learn(LABELS + 0.9), ValueError, "expected a class"),
    "classifier: below 0": (learn(LABELS - 1), ValueError, "expected a class"),
    "classifier: no pictures": (call(features.attribute_probabilities, JUDGE, PICTURES[:0]), ValueError, "no pictures"),
    "interval: nothing": (call(features.interval, []), ValueError, "N of at least 1"),
    "interval: NaN": (call(features.interval, [1, NAN]), ValueError, "finite numbers"),
    "interval: text": (call(features.interval, ["right"]), ValueError, "must be numbers"),
    "interval: groups": (call(features.interval, [1, 0], [1]), ValueError, "a group for each of 2 scores"),
    "interval: draws": (call(features.interval, [1, 0], draws=0), ValueError, "draws must be"),
    "proportion: more than all": (call(features.proportion_interval, 3, 2), ValueError, "0 <= successes <= n"),
    "proportion: of none": (call(features.proportion_interval, 0, 0), ValueError, "n of at least 1"),
    "proportion: a share": (call(features.proportion_interval, 0.7, 10), ValueError, "expected whole numbers"),
    "proportion: negative": (call(features.proportion_interval, -1, 10), ValueError, "expected whole numbers"),
    "proportion: method": (call(features.proportion_interval, 1, 2, "wald"), ValueError, "unknown method 'wald'"),
    "mcnemar: negative": (call(features.mcnemar, -1, 2), ValueError, "whole numbers of at least 0"),
    "mcnemar: shares": (call(features.mcnemar, 0.1, 0.2), ValueError, "whole numbers of at least 0"),
    "paired: lengths": (call(features.paired_difference, [1, 0], [1]), ValueError, "the same pictures, got 2 and 1"),
    "subsets: too large": (call(features.subset_accuracies, [1, 0], 3), ValueError, "size from 1 to 2"),
    "subsets: size 0": (call(features.subset_accuracies, [1, 0], 0), ValueError, "size from 1 to 2"),
    "subsets: no draws": (call(features.subset_accuracies, [1, 0], 1, 0), ValueError, "draws of at least 1"),
    "subsets: shares": (call(features.subset_accuracies, [0.5, 1], 1), ValueError, "must be 0 or 1"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused_in_words(name):
    bad, error, words = CASES[name]
    with pytest.raises(error) as caught:
        bad()
    assert type(caught.value) is error or error is OSError  # and no relative of it from deep inside
    assert words in str(caught.value)


ODD = {  # name: what is right, though strange: it ends, and with finite numbers
    "a very small C": svm(C=1e-300),
    "a large C": svm(C=1e12),
    "a strict tol": svm(tol=1e-12),
    "twice the same rows": svm(np.repeat(X[:2], 10, 0), np.repeat([0, 1], 10)),
    "the same row in both classes": svm(np.ones((20, 3)), C=1e6),
    "all zeros": svm(np.zeros((20, 3))),
    "more features than rows": svm(np.tile(X, 20)),
    "large values": svm(X * 1e15),
    "tiny values": svm(X * 1e-20),
    "labels of text": svm(y=np.where(LABELS, "cat", "dog")),
    "a class of one": svm(y=np.arange(20) // 19),
    "a step": svm(max_iter=1),
    "an integer X": svm((X * 10).astype(int), C=100),
}


@pytest.mark.parametrize("way", ["exact", "conjugate gradients"])
@pytest.mark.parametrize("name", ODD)
def test_strange_but_right(name, way, monkeypatch):
    if way == "conjugate gradients":
        monkeypatch.setattr(features.svm, "EXACT_ROWS", 0)
        monkeypatch.setattr(features.svm, "EXACT_FEATURES", 0)
    started = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = ODD[name]()
    assert time.monotonic() - started < 20
    assert np.isfinite(model.coef_).all() and np.isfinite(model.objective_).all()


def test_a_refused_call_leaves_finished_features_alone(tmp_path):
    good = {"validation": 5, "candidates": (1.0,), "out": tmp_path}
    evaluate(**good)()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for other in ({"storage": "int8"}, {"validation": 20}, {"candidates": ()}, {"statistics": "x"}, {"tol": -1.0}):
        with pytest.raises(ValueError):
            evaluate(**good | other)()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_refused_picture_leaves_no_file_of_features(tmp_path):
    """A memory map has its full length from the start: the rows behind the bad picture would be zeros."""
    pictures = data.to_float(PICTURES)
    pictures[7] = NAN
    with pytest.raises(ValueError, match="are not finite"):
        extract(images=pictures, out=tmp_path / "f.npy", statistics="running")()
    assert not list(tmp_path.iterdir())


def test_labels_may_be_tensors():
    model, scores = features.choose_C(X, torch.from_numpy(LABELS), X, torch.from_numpy(LABELS), (1.0,), progress=False)
    assert scores == features.choose_C(X, LABELS, X, LABELS, (1.0,), progress=False)[1] and model.C == 1.0


@pytest.mark.parametrize("look", [features.attribute_probabilities, features.deep_features, supervised.predict])
def test_a_classifier_is_asked_in_eval_mode(look):
    """Fresh from `models.classifier` it is in training mode: dropout and the batch at hand would have a say."""
    network = models.classifier(NETWORK.arch, 3, dropout=0.5, seed=0)
    network.blocks[0].eval()
    before = [module.training for module in network.modules()], checkpoints.digest(network)
    found = look(network, PICTURES)
    assert (look(network, PICTURES, batch_size=3) == found).all() or np.allclose(look(network, PICTURES), found)
    assert np.allclose(look(network.eval(), PICTURES), found)
    network.train()
    network.blocks[0].eval()
    assert ([module.training for module in network.modules()], checkpoints.digest(network)) == before


def test_a_classifier_of_one_attribute():
    network = supervised.train_classifier(
        NETWORK.arch, PICTURES, LABELS[:, None], supervised.Settings(epochs=1, batch_size=10), device="cpu"
    )
    assert features.attribute_probabilities(network, PICTURES).shape == (20, 1)
