"""C3 and C4: SVHN with 1,000 labels by the released protocol, and the same network trained on the labels alone.

    python -m experiments features_svhn
    python -m experiments features_svhn --rows second_seed third_seed

Reads the runs of the studies svhn, of each of its seeds, and imagenet32. For the authors' row set DCGAN_AUTHORS to the
folder models/ of Newmu/dcgan_code; without it that row is left out, and the results file says so. Each row: 100 labels
a class drawn from the pool, C by the mean validation error of 10 draws, test error over 100 draws (the baselines: 5 and
30). With all of SVHN (in DCGAN_DATA, or fetched) this is the paper's protocol; the reference run had 8,219 of the
99,289 pictures (see `features.svhn_parts`), and its errors are not the paper's. For the D of ours also the validation
error at each step that was kept: what longer training gives. The control is searched twice, with other settings,
labels and first weights: how much of its error is the search's luck? Each D is compared with it picture by picture, on
the same draws of labels.

Two hours on two CPU cores, most of it the random searches of the control; goes on where it was stopped. `--rows`
measures some rows, and their networks along their training; all else stays as the results file has it, where that is
of the same protocol. Writes results/features_svhn.json.
"""

import argparse
import functools
import json
from dataclasses import asdict, replace

import numpy as np
from sklearn.metrics import classification_report, confusion_matrix
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from dcgan_lib import checkpoints, data, device, features, models, paper, results
from dcgan_lib.features import supervised

from .. import authors, scale, verdicts
from ..measures import few_labels_curve, fingerprints, kept_weights
from ..studies import imagenet32, svhn
from ..study import config_of, file_digest, first_line, once, stages_of

VERSION = 2  # of the code below: a row made by an earlier one is made anew
OUT = scale.runs("features_svhn")
DEVICE = device.pick_device()
SEED = 0
PER_CLASS = 100
LABELS = (10, 20, 50, 100, 200)
CANDIDATES = {"pixels": (1e-5, 1e-4, 1e-3, 1e-2), "kmeans_1600": (1e-4, 1e-3, 1e-2, 1e-1)}  # others: as released
CENTROIDS = 1600  # of K-means
DRAWS = {"released": (10, 100), "baselines": (5, 30), "curve": (1, 20)}  # that choose C, that the error is a mean of
STAGE_DRAWS = 5  # of labels, for the validation error at each kept step
TRIALS = paper.SVHN_TRIALS  # of the random search: 64
SEARCHES = (0, 1)  # seeds of the random searches; the first is the one that is asked with other numbers of labels, too
RETRAINED = 20  # draws of labels, the first of those of D, on which the best settings of each search train again
RETRAINED_CURVE = 5  # and with other numbers of labels than those of the search
CONTROL = "supervised"
MAIN, OTHER = verdicts.SVHN_TRAININGS[0], "tinyimagenet"
FULLY = ("authors", *verdicts.SVHN_TRAININGS.values())  # rows with as many draws as were released
SHOWN = ("authors", MAIN)  # those that the page shows digit by digit, and with other numbers of labels


def d_vectors(discriminator):
    def vectors(parts):
        options = {"calibrate_on": parts["pool"].images, "precision": "auto"}
        return {k: features.discriminator_features(discriminator, p.images, **options) for k, p in parts.items()}

    return vectors


def pixel_vectors(parts):
    return {k: data.to_float(p.images).flatten(1).numpy() for k, p in parts.items()}


def kmeans_vectors(parts):
    model = features.KMeansFeatures(CENTROIDS, seed=SEED, device=DEVICE).fit(parts["pool"].images)
    scaler = StandardScaler().fit(pool := model.transform(parts["pool"].images))
    own = {"pool": pool} | {k: model.transform(parts[k].images) for k in ("validation", "test")}
    return {k: scaler.transform(f) for k, f in own.items()}


def rows() -> dict:
    """Name → (what names the row's features, what turns the parts into them), both functions: a network is read when
    its row is made.
    """
    networks = {
        "random": lambda: models.build("svhn32", seed=SEED)[1],
        OTHER: imagenet32.latest,
        "authors": lambda: authors.discriminator("svhn"),
    }
    networks |= {name: functools.partial(svhn.chosen, seed) for seed, name in verdicts.SVHN_TRAININGS.items()}
    out = {
        "pixels": (str, lambda: pixel_vectors),
        "kmeans_1600": (lambda: f"{CENTROIDS} centroids", lambda: kmeans_vectors),
    }
    for name, network in networks.items():
        out[name] = (
            lambda network=network: checkpoints.digest(network()),
            lambda network=network: d_vectors(network().to(DEVICE)),
        )
    return out


def draws(name) -> tuple[int, int]:
    """Label sets that choose C, and that the error is averaged over: as released, or fewer for the baselines."""
    return DRAWS["released" if name in FULLY else "baselines"]


def counted(correct) -> list[int]:
    """(draws, N) of right and wrong → in how many of the first RETRAINED draws each test picture was right."""
    return np.sum(correct[:RETRAINED], 0).tolist()


def paired(rows: dict, search: dict, groups) -> dict[str, dict]:
    """D trained without labels → by how much its error is smaller than the control's, negative where it is larger.

    On the same test pictures and the same draws of labels: `mean`, its `interval` over test pictures, and in `errors`
    the differences of single draws, as `verdicts.over_draws` takes them. Of rows that know which pictures were `right`.
    Raises ValueError for a row that was counted over other draws than the control.
    """
    out, n = {}, len(search["errors"])
    for name in (k for k in FULLY if "right" in rows.get(k, ())):
        ours, theirs = np.divide(rows[name]["right"], n), np.divide(search["right"], n)  # (N,) each
        mean, *interval = features.paired_difference(ours, theirs, groups)
        each = np.subtract(search["errors"], rows[name]["errors"][:n])  # (n,)
        if not np.isclose(mean, each.mean()):
            raise ValueError(
                f"{name} and {CONTROL} were counted over other draws: measure both, --rows {name} {CONTROL}"
            )
        out[name] = {"mean": mean, "interval": interval, "errors": each.tolist()}
    return out


def derived(measured: dict) -> dict:
    """The searches with the intervals of their differences over pictures and draws, by which C4 is judged."""

    def with_intervals(differences: dict) -> dict:
        return {k: row | {"over_draws": verdicts.over_draws(row)} for k, row in differences.items()}

    return {"searches": [s | {"paired": with_intervals(s["paired"])} for s in measured["searches"]]}


def judge(name, vectors, parts) -> dict:
    F = vectors(parts)
    pairs = [(F[k], parts[k].labels) for k in ("pool", "validation", "test")]
    row = features.few_labels(*pairs, PER_CLASS, CANDIDATES.get(name, features.RELEASED_C), draws(name), seed=SEED)
    correct = row.pop("correct")
    low, high = features.interval(correct.mean(0), parts["test"].groups)
    row |= {
        "features": pairs[0][0].shape[1],
        "validation": {f"{C:g}": e for C, e in row["validation"].items()},
        "interval": [1 - high, 1 - low],
        "device": device.device_name(DEVICE),
    }
    if name in FULLY:
        row["right"] = counted(correct)
    if name in SHOWN:
        rows = features.draw_labels(pairs[0][1], PER_CLASS, SEED + 1000)
        guess = features.L2SVM(C=row["C"]).fit(pairs[0][0][rows], pairs[0][1][rows]).predict(pairs[2][0])
        row["report"] = classification_report(pairs[2][1], guess, output_dict=True)
        row["confusion"] = confusion_matrix(pairs[2][1], guess).tolist()
        row["labels"] = []
        for per_class in LABELS:
            more = features.few_labels(*pairs, per_class, [row["C"]], draws=DRAWS["curve"], seed=SEED)
            row["labels"].append({"per_class": per_class, "mean": more["mean"], "spread": more["spread"]})
    return row


def control(parts, about: dict, search: int) -> dict:
    """C4: the network of C3 trained on the 1,000 labels alone, best of a random search on the validation pictures.

    `search` is its seed: of the settings, the labels that they are tried on and the first weights. `about` says what a
    trial depends on besides these.
    """
    validation, test = parts["validation"], parts["test"]
    trials, train, rest = [], drawn(parts["pool"], PER_CLASS, search), (validation.images, validation.labels)
    for i, settings in enumerate(tqdm(supervised.search_settings(TRIALS, search), f"random search {search}")):
        one = functools.partial(supervised.trial, "svhn32", train, rest, settings, 1000 * search + i)
        key = about | {"search": search, "trial": i} | asdict(settings)
        trials.append(once(OUT / "trials" / f"{search}_{i}.json", key, one))
    trials.sort(key=lambda row: row["validation_error"])
    best = supervised.Settings(**trials[0]["settings"])
    correct = trained_again(parts, about, search, best, PER_CLASS, RETRAINED)
    low, high = features.interval(correct.mean(0), test.groups)
    out = {
        "search": search,
        "trials": trials,
        "validation_error": trials[0]["validation_error"],
        "errors": (1 - correct.mean(1)).tolist(),
        "interval": [1 - high, 1 - low],
        "right": counted(correct),
    } | errors_of(correct)
    if search == SEARCHES[0]:
        again = functools.partial(trained_again, parts, about, search, best, rounds=RETRAINED_CURVE)
        out["labels"] = [{"per_class": n} | errors_of(again(n)) for n in LABELS]
    return out


def drawn(pool, per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rows = features.draw_labels(pool.labels, per_class, seed)
    return pool.images[rows], pool.labels[rows]


def trained_again(parts, about: dict, search: int, settings, per_class: int, rounds: int) -> np.ndarray:
    """Which test pictures these settings get right, trained on a draw of labels a round: (rounds, N), 0 or 1.

    With other labels than the PER_CLASS that they were chosen for, no fewer epochs, and about as many minibatches.
    """
    pool, test = parts["pool"], parts["test"]
    settings = replace(settings, epochs=settings.epochs * max(1, PER_CLASS // per_class))

    def again(i) -> list[int]:
        network = supervised.train_classifier("svhn32", *drawn(pool, per_class, SEED + 1000 + i), settings, SEED + i)
        return (supervised.predict(network, test.images) == test.labels).astype(int).tolist()

    key, out = about | {"per_class": per_class} | asdict(settings), []
    for i in tqdm(range(rounds), f"search {search}, {per_class} labels a class"):
        path = OUT / "trials" / f"{search}_again_{per_class}_{i}.json"
        out.append(once(path, key | {"again": i}, functools.partial(again, i)))
    return np.array(out)


def errors_of(correct: np.ndarray) -> dict:
    """(draws, N) → the mean error, and how far single draws lie apart, as `features.few_labels` has them."""
    wrong = 1 - correct.mean(1)
    return {"mean": float(wrong.mean()), "spread": float(1.96 * wrong.std())}


def along(study, seed: int, about: dict, parts, out) -> list[dict]:
    """The validation error of a training's D at each step that was kept, beside how many pictures it had seen."""
    config = config_of(study, study.variants[0], seed)
    files = kept_weights(config.out, stages_of(study) + study.further)
    key = about | {"kept": [file_digest(path) for path in files.values()], "draws": STAGE_DRAWS}
    curve = functools.partial(few_labels_curve, files, parts, PER_CLASS, STAGE_DRAWS, SEED)
    return [row | {"pictures": row["step"] * config.batch_size} for row in once(out, key, curve)]


def measured_before(about: dict) -> dict:
    """What the results file says, for `--rows` to change. Raises ValueError where it is of another protocol."""
    there = results.load("features_svhn")["measured"] if results.there("features_svhn") else {}
    if there.get("protocol") != json.loads(json.dumps(about)) or "searches" not in there:
        raise ValueError(
            "results/features_svhn.json is not there, or of another protocol (settings, pictures or version): run "
            "python -m experiments features_svhn without --rows"
        )
    return there


def main(arguments: list[str] | None = None) -> dict[str, str]:
    """Returns {row: why it was left out}."""
    todo = rows()
    parser = argparse.ArgumentParser("python -m experiments features_svhn")
    parser.add_argument(
        "--rows", nargs="+", choices=[*todo, CONTROL], metavar="NAME", help=f"some of {', '.join(todo)}, {CONTROL}"
    )
    only = parser.parse_args(arguments or []).rows
    OUT.mkdir(parents=True, exist_ok=True)
    train, test = data.load("svhn"), data.load("svhn", split="test")
    parts, note = features.svhn_parts(train, test, SEED)
    about = {
        "version": VERSION,
        "train": fingerprints(train),
        "test": fingerprints(test),
        "parts": note,
        "per_class": PER_CLASS,
        "seed": SEED,
    }
    measured = measured_before(about) if only else {"rows": {}, "curves": {}}
    asked = only or [*todo, CONTROL]
    left_out = {k: why for k, why in measured.get("left_out", {}).items() if k not in only} if only else {}
    absent = set()
    for name in (row for row in asked if row != CONTROL):
        network, vectors = todo[name]
        try:
            key = about | {
                "network": network(),
                "candidates": CANDIDATES.get(name, features.RELEASED_C),
                "draws": draws(name),
                "labels": LABELS,
                "curve": DRAWS["curve"],
            }
            if name in FULLY:
                key["counted"] = RETRAINED
        except data.NotAvailable as error:
            if name in (MAIN, OTHER):
                raise
            absent.add(name)
            if name in measured["rows"]:
                print(f"{name} stays as it was measured before: {first_line(error)}")
            else:
                left_out[name] = first_line(error)
            continue
        row = once(OUT / f"{name}.json", key, lambda n=name, v=vectors: judge(n, v(), parts))
        measured["rows"][name] = row | {"draws": draws(name), "network": key["network"]}
    measured |= {"part": note, "full": len(train) >= features.protocol.SVHN_TRAIN, "protocol": about}
    measured["left_out"] = left_out
    if CONTROL in asked:
        measured["searches"] = [control(parts, about, search) for search in SEARCHES]
    for search in measured["searches"]:
        search["paired"] = paired(measured["rows"], search, parts["test"].groups)
    trainings = {name: (svhn.STUDY, seed) for seed, name in verdicts.SVHN_TRAININGS.items()}
    for name, (study, seed) in (trainings | {OTHER: (imagenet32.STUDY, 0)}).items():
        if name in asked and name not in absent:
            measured["curves"][name] = along(study, seed, about, parts, OUT / f"curve_{name}.json")

    where = (
        "" if measured["full"] else f" On {len(train) + len(test):,} pictures, a part of SVHN: not the paper's test."
    )
    error = {n: f"{row['mean']:.1%} ± {row['spread']:.1%}" for n, row in measured["rows"].items()}
    by = f"our D {error[MAIN]}"
    if seeds := [error[name] for name in verdicts.SVHN_TRAININGS.values() if name in error and name != MAIN]:
        by += f" (of other seeds {' and '.join(seeds)})"
    if "authors" in error:
        by += f" and the authors' D {error['authors']}"
    measured |= derived(measured)
    search, *others = measured["searches"]
    again = "".join(f" (by another search {o['validation_error']:.1%} and {o['mean']:.1%})" for o in others)
    claims = {
        "C3": {
            "ours": f"Test error with {10 * PER_CLASS:,} labels: {by}, over {DRAWS['released'][1]} draws; Tiny "
            f"ImageNet's D {error[OTHER]}, random D {error['random']}, K-means {error['kmeans_1600']}, over "
            f"{DRAWS['baselines'][1]}.{where}",
            "verdict": str(verdicts.c3_over_trainings(measured["rows"], measured["full"])),
        },
        "C4": {
            "ours": f"{search['validation_error']:.1%} validation error, best of {TRIALS} trials, and "
            f"{search['mean']:.1%} on the test{again}; features of {by}.{where}",
            "verdict": str(verdicts.c4_over_searches(measured["rows"], measured["searches"])),
        },
    }
    results.record(
        "features_svhn",
        measured,
        command="python -m experiments features_svhn",
        settings={
            "per_class": PER_CLASS,
            "candidates": CANDIDATES | {"others": features.RELEASED_C},
            "draws": {"ours, authors": DRAWS["released"], "baselines": DRAWS["baselines"]},
            "trials": TRIALS,
            "searches": SEARCHES,
            "retrained": {"with the labels of the search": RETRAINED, "with others": RETRAINED_CURVE},
        },
        seed=SEED,
        images=test,
        device=device.device_name(DEVICE),
        claims=claims,
    )
    return left_out
