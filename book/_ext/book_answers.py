"""The claims in short: a row a claim, made from book/*.yml (what others say) and results/*.json (what we measured).

The strip on the index and the claims page, the rows of the five reproductions and the box on top of a notebook are all
drawn from these rows, so that no two pages can disagree. A verdict comes from a results file, or from a rule of
`experiments` applied to one; `OURS` puts the measured numbers into a few words. Nothing here knows Sphinx.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:  # the build runs in a folder of Sphinx's own
    sys.path.insert(0, str(ROOT))

from dcgan_lib import features, paper  # noqa: E402
from dcgan_lib.architecture import ARCHITECTURES  # noqa: E402
from experiments import rules, verdicts  # noqa: E402
from experiments.studies import conditional  # noqa: E402
from experiments.studies.architecture import DAI, OTHER_SIZE  # noqa: E402

OPEN = "not tried yet"
OUTCOMES = {  # words of a verdict → the class that colours them
    "holds on this set": "holds",
    "holds in part": "part",
    "does not hold": "not",
    "undecided": "undecided",
    OPEN: "open",
    "measured": "measured",
}
Results = Mapping[str, dict]


def results() -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "results").glob("*.json"))}


def read(name: str):
    return yaml.safe_load((ROOT / "book" / name).read_text())


@dataclass(frozen=True)
class Part:
    """One verdict: an outcome, the results file it comes from, and in words what it is about and what it says."""

    outcome: str
    about: str
    says: str
    file: str = ""


@dataclass(frozen=True)
class Row:
    """A claim, or what a reproduction found, in the words of the strip and of the answer box."""

    id: str
    claim: str
    question: str
    theirs: str
    ours: str
    parts: tuple[Part, ...]
    page: str = ""
    by: str = ""
    code: str = ""


def split(verdict: str) -> tuple[str, str]:
    """'holds in part: words' → ('holds in part', 'words'). Raises ValueError for an outcome that no rule has."""
    outcome, _, words = verdict.partition(": ")
    if outcome not in OUTCOMES:
        raise ValueError(f"unknown outcome {outcome!r}: expected one of {', '.join(OUTCOMES)}")
    return outcome, words


def sentence(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".") + "." if words else ""


def claim_row(claim: dict, measured: Results) -> Row:
    """What results files say of one claim of book/claims.yml."""
    parts = []
    for file, record in measured.items():
        entry = record["claims"].get(claim["id"])
        if entry:
            outcome, words = split(entry["verdict"])
            known = claim.get("parts", {}).get(file, {})
            said = known.get(outcome) or sentence(words or entry["ours"])
            parts.append(Part(outcome, known.get("about", record["data"]["name"]), said, file))
    ours = OURS[claim["id"]](measured) if parts and claim["id"] in OURS else "; ".join(p.says for p in parts)
    return Row(
        claim["id"],
        claim["short"],
        claim["question"],
        claim["figure"],
        ours or "nothing measured yet",
        tuple(parts) or (Part(OPEN, "", "Nothing is measured yet."),),
        claim.get("notebook", ""),
    )


def found_row(entry: dict, measured: Results) -> Row:
    """What a results file says of one entry of book/findings.yml; 'not tried yet' where there is no such file."""
    about = (entry["id"], entry["short"], entry.get("question", entry["short"]), entry["figure"])
    also = (entry.get("notebook", ""), entry.get("by", ""), entry.get("code", ""))
    if entry["file"] and entry["file"] not in measured:
        waits = f"waits for `python -m experiments {entry['file']}`"
        return Row(*about, waits, (Part(OPEN, "", sentence(waits)),), *also)
    ours, verdict = FOUND.get(entry["id"], _recorded(entry["file"]))(measured)
    outcome = str(verdict.outcome) if isinstance(verdict, verdicts.Verdict) else "measured"
    said = entry.get("answers", {}).get(outcome) or sentence(verdict if isinstance(verdict, str) else verdict.words)
    return Row(*about, ours, (Part(outcome, "", said, entry["file"] or ""),), *also)


def claims(measured: Results | None = None) -> list[Row]:
    measured = results() if measured is None else measured
    return [claim_row(claim, measured) for claim in read("claims.yml")]


def findings(part: str, measured: Results | None = None) -> list[Row]:
    """`part` of book/findings.yml: 'reproductions' or 'pages'."""
    measured = results() if measured is None else measured
    return [found_row(entry, measured) for entry in read("findings.yml")[part]]


def answer(name: str) -> Row:
    """The row of a claim ("C2"), a page ("architecture") or a finding ("time_28_and_5"). Raises ValueError."""
    measured = results()
    parts = (claims(measured), findings("pages", measured), findings("reproductions", measured))
    rows = {row.id: row for part in parts for row in part}
    if name not in rows:
        raise ValueError(f"unknown answer {name!r}: known are {', '.join(rows)}")
    return rows[name]


# ---- ours, in a few words --------------------------------------------------------------------------------------------


def percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %"


def between(interval: Sequence[float], digits: int = 1) -> str:
    return f"{100 * interval[0]:.{digits}f} to {100 * interval[1]:.{digits}f} %"


def with_interval(value: float, interval: Sequence[float], digits: int = 1) -> str:
    low, high = interval
    return f"{percent(value, digits)} ({100 * low:.{digits}f} to {100 * high:.{digits}f})"


def _c1(r: Results) -> str:
    return _predicted("architecture", "With the guidelines")(r)[0] + " (small networks that keep the guidelines)"


def _c2(r: Results) -> str:
    rows = r["features_cifar10"]["measured"]["rows"]
    d = rows["tinyimagenet"]
    kmeans = max(verdicts.kmeans_rows(rows).values(), key=lambda row: row["test_accuracy"])
    own = with_interval(d["test_accuracy"], d["interval"])
    seeds = [rows[name]["test_accuracy"] for name in verdicts.C2_TRAININGS.values() if name in rows]
    if len(seeds) > 1:
        own += f", {_how_many(seeds)} {between([min(seeds), max(seeds)])}"
    return f"{own}; K-means here {percent(kmeans['test_accuracy'])}"


def _c3(r: Results) -> str:
    rows = r["features_svhn"]["measured"]["rows"]
    own, theirs = (with_interval(rows[name]["mean"], rows[name]["interval"]) for name in ("ours", "authors"))
    others = " and ".join(_svhn_errors(rows)[1:])
    return f"{own} error{others and f'; of other seeds {others}'}; the authors' own D {theirs}"


def _svhn_errors(rows: Mapping) -> list[str]:
    """Of our D, by seed."""
    return [percent(rows[name]["mean"]) for name in verdicts.SVHN_TRAININGS.values() if name in rows]


def _c4(r: Results) -> str:
    measured = r["features_svhn"]["measured"]
    searches, rows = measured["searches"], measured["rows"]
    chosen = " and ".join(percent(s["validation_error"]) for s in searches)
    test = " and ".join(percent(s["mean"]) for s in searches)
    fewer = [100 * row["mean"] for s in searches for row in s["paired"].values()]
    authors, own = percent(rows["authors"]["mean"]), ", ".join(_svhn_errors(rows))
    said = f"{chosen} ({len(searches)} searches); on the test {test}, features of D {authors} (theirs), {own} (ours)"
    return f"{said}, {min(fewer):.1f} to {max(fewer):.1f} points fewer on the same draws of labels"


def _c5(r: Results) -> str:
    rows = [training["memorisation"]["features"]["fair"]["all"] for training in _faces(r)]
    counted, expected = [row["distinct"] for row in rows if "distinct" in row], rows[0]["expected"]
    of, n = counted[0]
    own = with_interval(of / n, features.proportion_interval(of, n, method="exact"))
    if len(counted) > 1:
        own = between([f(of / n for of, n in counted) for f in (min, max)])
    said = f"by chance {percent(expected, 0)} of the nearest faces would be training faces, found were {own}"
    return f"{said} ({_how_many(counted)})"


def _faces(r: Results) -> list[dict]:
    """The trainings of faces: what ships, then the others."""
    measured = r["latent_faces"]["measured"]
    return [measured, *measured["other_trainings"]]


def _how_many(trainings: Sequence) -> str:
    return "one training" if len(trainings) == 1 else f"{len(trainings)} trainings"


def _c6(r: Results) -> str:
    measured = r["inspection_filters"]["measured"]
    own, random = measured["trained"][-1]["entropy"], measured["random"][-1]["entropy"]
    low, high = own["interval"]
    return f"{own['mean']:.2f} bits ({low:.2f} to {high:.2f}) in the last layer; random weights {random['mean']:.2f}"


def _c7(r: Results) -> str:
    objects = r["inspection_forgetting"]["measured"]["layers"]["8"]["objects"]
    ways = {name: row["ways"]["boxes"] for name, row in objects.items()}
    gone = [
        f"{name.lower()} {percent(row['all_positive']['gone'], 0)} "
        f"(random maps {between(row['as_many_random']['interval'], 0)})"
        for name, row in ways.items()
    ]
    if "inspection_forgetting_streets_again" in r:
        streets = r["inspection_forgetting_streets_again"]["measured"]["ways"]
        found, chance = (percent(streets[way]["gone"], 0) for way in ("positive weight", "random"))
        gone.append(f"windows in streets {found} (random maps {chance})")
    return f"gone: {', '.join(gone)}"


def _c8(r: Results) -> str:
    seeds = [seed for training in _faces(r) for seed in training["seeds"]]
    words = []
    for name in seeds[0]["sums"]:
        shares = [seed["sums"][name]["typical"][0] / seed["sums"][name]["typical"][1] for seed in seeds]
        words.append(f"{name} {between((min(shares), max(shares)), 0)}")
    sums = r["latent_faces"]["measured"]["sums"].values()
    pixels = " and ".join(percent(found["opinion"]["pixels"]["share"], 0) for found in sums)
    said = f"{', '.join(words)} ({len(seeds)} seeds of {_how_many(_faces(r))})"
    return f"works for: {said}; to the same judge sums of pixels work for {pixels}"


def _c9(r: Results) -> str:
    seeds = [seed for training in _faces(r) for seed in training["seeds"]]
    shares = [seed["pose"]["grows"][0] / seed["pose"]["grows"][1] for seed in seeds]
    words = f"pose grows for {between((min(shares), max(shares)), 0)} of faces"
    return f"{words} ({len(seeds)} seeds of {_how_many(_faces(r))})"


def _c10(r: Results) -> str:
    rows = [row for row in r["conditional"]["measured"]["rows"] if row["variant"] == "released"]
    said = []
    few, many = conditional.PAPER, conditional.MANY
    for kind, samples in (("generated", few), ("real", few), ("generated", many)):
        found = [rules.told_wrong(row, "held_out", samples, kind) for row in rows]
        if all(n == samples for n, _, _ in found):
            shares = [100 * wrong / of for _, wrong, of in found]
            low, high = (f"{f(shares):.3g}" for f in (min, max))
            digits = "real digits" if kind == "real" else "samples"
            said.append(f"{low if low == high else f'{low} to {high}'} % with {samples:,} {digits}")
    return "; ".join(said) + f" ({len(rows)} trainings)"


OURS: dict[str, Callable[[Results], str]] = {
    "C1": _c1,
    "C2": _c2,
    "C3": _c3,
    "C4": _c4,
    "C5": _c5,
    "C6": _c6,
    "C7": _c7,
    "C8": _c8,
    "C9": _c9,
    "C10": _c10,
}


# ---- what the reproductions found, and pages without a claim ---------------------------------------------------------


def _counts(reported: paper.Reproduced) -> tuple[int, int]:
    return round(reported.accuracy * reported.pictures), reported.pictures


def _cifar(reported: paper.Reproduced) -> Callable[[Results], tuple[str, verdicts.Verdict]]:
    def found(r: Results):
        row = r["features_cifar10"]["measured"]["rows"]["tinyimagenet"]
        verdict = verdicts.reported(_counts(reported), row["interval"])
        own, few = with_interval(row["test_accuracy"], row["interval"]), row["small_tests"]
        if few["pictures"] == reported.pictures:
            ends = [few["percentiles"][p] for p in ("2.5", "97.5")]
            own += f"; {between(ends)} in 95 of 100 draws of {few['pictures']:,} of these pictures"
        return own, verdict

    return found


def _svhn(reported: paper.Reproduced) -> Callable[[Results], tuple[str, verdicts.Verdict]]:
    def found(r: Results):
        measured = r["features_svhn"]["measured"]
        row = measured["rows"]["tinyimagenet"]
        interval = [1 - row["interval"][1], 1 - row["interval"][0]]  # of the accuracy
        verdict = verdicts.reported(_counts(reported), interval, measured["full"])
        return f"{with_interval(1 - row['mean'], interval)}, 1,000 labels, a D of Tiny ImageNet", verdict

    return found


def _predicted(file: str, begins: str) -> Callable[[Results], tuple[str, verdicts.Verdict]]:
    """What became of a study's prediction, as its results file has it."""

    def found(r: Results):
        (one,) = (p for p in r[file]["measured"]["predictions"] if p["predicts"].startswith(begins))
        return one["words"], verdicts.Verdict(verdicts.Outcome(one["verdict"]), one["words"])

    return found


def _recorded(file: str) -> Callable[[Results], tuple[str, verdicts.Verdict]]:
    """A file's own claim, or its first prediction: what a page is about that has no words of its own in `FOUND`."""

    def found(r: Results):
        for claim in r[file]["claims"].values():
            outcome, words = split(claim["verdict"])
            return claim["ours"].split(". ")[0].rstrip("."), verdicts.Verdict(verdicts.Outcome(outcome), words)
        return _predicted(file, r[file]["measured"]["predictions"][0]["predicts"])(r)

    return found


def _every_worse(r: Results):
    rows = r["architecture"]["measured"]["rows"]
    _, verdict = _predicted("architecture", "Every change of Dai")(r)
    base = rules.distances(rows, "base")
    worse = [v for v in DAI if rules.larger(rules.distances(rows, v), base)]
    at_one_size = [v for v in worse if v not in OTHER_SIZE]
    words = f"{len(worse)} of {len(DAI)} worse in every seed"
    return f"{words}; at one size {len(at_one_size)} of {len(DAI) - len(OTHER_SIZE)}", verdict


def _median(found: Sequence[float], digits: int = 2) -> str:
    return "{:.{d}f} ({:.{d}f} to {:.{d}f})".format(median(found), min(found), max(found), d=digits)


def _no_gain(r: Results):
    rows = r["data_size"]["measured"]["rows"]
    said = []
    for name, title in (("anime", "drawn faces"), ("natural32", "natural pictures")):
        found = [rules.distances(rows, f"{name}_{size}") for size in ("10000", "all")]
        if all(found):
            few, every = map(_median, found)
            said.append(f"{title} {few} with 10,000, {every} with all")
    return "distance: " + "; ".join(said), _predicted("data_size", "No gain from 10,000")(r)[1]


def _parameters(r: Results):
    features = ARCHITECTURES["imagenet32"].feature_count
    return f"{features:,} features", (
        "the network, built layer by layer, has the features that the paper counts; tests compare its parameters with "
        "the sizes of the released arrays"
    )


def _schedules(r: Results):
    rows = r["training_mnist"]["measured"]["rows"]
    names = {
        "simultaneous": "by the usual schedule",
        "alternate_twice": "by the released one with as many updates",
        "alternate": "with half of them",
    }
    said = [f"{_median(rules.distances(rows, variant), 1)} {name}" for variant, name in names.items()]
    verdict = _predicted("training_mnist", "The released schedule is not needed")(r)[1]
    return f"distance of samples to digits: {', '.join(said)}", verdict


def _authors(r: Results):
    measured = r["features_svhn"]["measured"]
    row = measured["rows"]["authors"]
    verdict = verdicts.c3(measured["rows"], measured["full"], "authors")
    return f"{with_interval(row['mean'], row['interval'])} error", verdict


def _scaling(r: Results):
    row = r["bench_scaling_cpu"]["measured"]["networks"]["tutorial64"]
    one, two = row["1"]["median"], row["2"]["median"]
    words = f"two processes on the same two cores lose {percent(1 - two / one, 0)}: the price of sharing"
    return f"tutorial64: {one:.0f} pictures/s by one process, {two:.0f} by two on the same two cores", words


def _near_duplicates(r: Results):
    row = r["near_duplicates"]["measured"]["methods"]["code, equal (the paper)"]
    eye, recall = row["real"]["by_eye"], {kind: found["recall"] for kind, found in row["planted"].items()}
    false = round(eye.get("false", 0) * eye["labelled"])
    copies = ", ".join(f"{kind} {percent(share, 0)}" for kind, share in recall.items())
    words = f"{false} of {eye['labelled']} real pairs false; of planted copies it finds: {copies}"
    return words, verdicts.near_duplicates(eye["labelled"] - false, eye["labelled"], recall)


def _near_duplicates_elsewhere(r: Results):
    words = []
    for name, row in r["near_duplicates_elsewhere"]["measured"]["sets"].items():
        eye = row["by_eye"]
        words.append(f"{name}: {round(eye.get('false', 0) * eye['labelled'])} of {eye['labelled']} pairs false")
    return "; ".join(words), _recorded("near_duplicates_elsewhere")(r)[1]


def _judging(r: Results):
    eyes = r["judging_samples"]["measured"]["faces"]["eyes"]
    faults = ("none", "again", "copied")  # no fault, or one that none of the measures is made to see
    sees, copies = {}, []
    for eye, found in eyes.items():
        seen = [row["measures"]["frechet_distance"]["seen"] for row in found["rows"] if row["fault"] not in faults]
        sees[eye] = f"{seen.count('worse')} of {len(seen)} by {eye.replace('_', ' ')}"
        copies += [m["seen"] for row in found["rows"] if row["fault"] == "copied" for m in row["measures"].values()]
    words = "no measure calls a set of copies worse, by any of these networks"
    if "worse" in copies:
        words = "some measures call a set of copies worse"
    return f"faulty sets that the Fréchet distance calls worse: {', '.join(sees.values())}", words


def _remarks(r: Results):
    rows = r["remarks"]["measured"]["rows"]
    without, with_it = (median(rules.values(rows, name, "spread")) for name in ("norm_of_discriminator", "base"))
    words = f"spread of samples over seeds: {without:.2f} without batch norm in G, {with_it:.2f} with it in both"
    real = median(row["real_spread"] for row in rows)
    return f"{words}; of real faces {real:.2f}", _predicted("remarks", "Without it G collapses")(r)[1]


def _symptoms(r: Results):
    shown = [p["verdict"] == "holds on this set" for p in r["symptoms"]["measured"]["predictions"]]
    words = (
        "both baselines work, on thousands of pictures; which change makes which symptom, and what mends it, is below"
    )
    return f"{sum(shown)} of {len(shown)} predictions hold in every seed: symptoms made by one change each", words


FOUND: dict[str, Callable] = {
    "cifar10_84": _cifar(paper.BOMBAY_CIFAR10),
    "svhn_57": _svhn(paper.BOMBAY_SVHN),
    "cifar10_65": _cifar(paper.MCGILL_CIFAR10),
    "every_change_worse": _every_worse,
    "no_gain_above_10000": _no_gain,
    "time_28_and_5": _predicted("output_size", "Their ratios"),
    "smoother_with_500": _predicted("latent_size", "A longer z walks smoother"),
    "architecture": _parameters,
    "schedules": _schedules,
    "authors": _authors,
    "scaling": _scaling,
    "domains": _predicted("domains", "One kind of network"),
    "judging_samples": _judging,
    "near_duplicates": _near_duplicates,
    "near_duplicates_elsewhere": _near_duplicates_elsewhere,
    "remarks": _remarks,
    "symptoms": _symptoms,
}
