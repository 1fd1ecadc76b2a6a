"""What the studies predict, as pure functions of their rows: each makes a rule, rows → Verdict.

The rules of the paper's claims are `verdicts`'; these say what a comparison of variants shows. A difference counts when
it is larger than what seeds make: every training of one variant lies on one side of every training of the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from scipy.stats import spearmanr

from dcgan_lib import results
from dcgan_lib.results import at_stages, climb

from .verdicts import PAPER_SAMPLES, SEEDS, Outcome, Verdict, c1, c10

Rows = Sequence[Mapping]
Rule = Callable[[Rows], Verdict]


def distances(rows: Rows, variant: str) -> list[float]:
    """The Fréchet distance of each of a variant's trainings; infinite for one that diverged, or whose is NaN."""
    found = [row.get("frechet", math.inf) for row in rows if row["variant"] == variant]
    return [x if math.isfinite(x) else math.inf for x in found]


def values(rows: Rows, variant: str, name: str) -> list[float]:
    """`results.values` of a study's variant; a number that is not finite, as of a diverged training, is missing."""
    return [x for x in results.values(rows, variant, name) if math.isfinite(x)]


def larger(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether every one of a lies above every one of b; not where one is NaN, or there is none."""
    return bool(a and b) and all(x > y for x in a for y in b)


def few(rows: Rows, variants: Sequence[str], name: str = "") -> Verdict | None:
    """UNDECIDED where a variant has fewer trainings (that have the number `name`) than a rule asks for."""
    count = {v: len(values(rows, v, name) if name else distances(rows, v)) for v in variants}
    short = {v: n for v, n in count.items() if n < SEEDS}
    if short:
        return Verdict(Outcome.UNDECIDED, f"at least {SEEDS} seeds each are needed, there are {short}")
    return None


def stable(*variants: str) -> Rule:
    """C1's rule on these variants' trainings, all where none is named. One that diverged counts as not stable."""

    def rule(rows: Rows) -> Verdict:
        rows = [row for row in rows if not variants or row["variant"] in variants]
        controls = next((row["controls"] for row in rows if "controls" in row), None)
        trainings = [
            {
                "finite": row["finite"],
                "frechet": row.get("frechet", math.inf),
                # A training that diverged drew nothing to compare: whose controls are asked makes no difference.
                "controls": row.get("controls", None if row["finite"] else controls),
            }
            for row in rows
        ]
        return c1(trainings)

    return rule


def every_worse(base: str, *variants: str, other_scale: Sequence[str] = ()) -> Rule:
    """Every variant has a larger distance than the base.

    Holds: all of them do. In part: some do. Does not hold: none does. Undecided: fewer than three seeds of one, or
    none is left: variants `other_scale`, whose distances are on another scale, are named and not counted.
    """

    def rule(rows: Rows) -> Verdict:
        asked = [v for v in variants if v not in other_scale]
        if short := few(rows, (base, *asked)):
            return short
        ours = distances(rows, base)
        worse = [v for v in asked if larger(distances(rows, v), ours)]
        better = [v for v in asked if larger(ours, distances(rows, v))]
        alike = [v for v in asked if v not in worse and v not in better]
        named = {"worse": worse, "better": better, "no difference beyond seeds": alike}
        named |= {"on another scale": [v for v in variants if v in other_scale]}
        words = "; ".join(f"{what}: {', '.join(names)}" for what, names in named.items() if names)
        if not asked:
            return Verdict(Outcome.UNDECIDED, words)
        if len(worse) == len(asked):
            return Verdict(Outcome.HOLDS, words)
        return Verdict(Outcome.IN_PART if worse else Outcome.NOT, words)

    return rule


def no_gain(*pairs: tuple[str, str]) -> Rule:
    """The second variant of each pair is not better than the first, by more than seeds make.

    Holds: none has a smaller distance in every seed. Does not hold: all have. In part: some. Undecided: fewer than
    three seeds, or a variant whose trainings all diverged. (This last one, and the word "worse", came when the results
    were known, of which they change none.)

    Three seeds against three miss much: by simulation a gain of one standard deviation between seeds is separated in
    26 % of cases, one of two in 62 %. So "holds" is no proof that there is no gain.
    """

    def rule(rows: Rows) -> Verdict:
        variants = list(dict.fromkeys(variant for pair in pairs for variant in pair))
        if short := few(rows, variants):
            return short
        if lost := [v for v in variants if not any(map(math.isfinite, distances(rows, v)))]:
            return Verdict(Outcome.UNDECIDED, f"every training diverged of {', '.join(lost)}")
        found = {}
        for pair in pairs:
            a, b = (distances(rows, v) for v in pair)
            found[pair] = "a gain" if larger(a, b) else "worse" if larger(b, a) else "no gain beyond seeds"
        gains = [pair for pair, what in found.items() if what == "a gain"]
        words = "; ".join(
            f"{a} {median(distances(rows, a)):.3g}, {b} {median(distances(rows, b)):.3g} ({what})"
            for (a, b), what in found.items()
        )
        if not gains:
            return Verdict(Outcome.HOLDS, words)
        return Verdict(Outcome.NOT if len(gains) == len(pairs) else Outcome.IN_PART, words)

    return rule


def lower(name: str, *pairs: tuple[str, str]) -> Rule:
    """In each pair the first variant's number `name` lies below the second's, in every training.

    Holds: in all pairs. In part: in some. Does not hold: in none. Undecided: fewer than three seeds that have it.
    """

    def rule(rows: Rows) -> Verdict:
        if short := few(rows, [variant for pair in pairs for variant in pair], name):
            return short
        right = [pair for pair in pairs if larger(values(rows, pair[1], name), values(rows, pair[0], name))]
        words = _pairs_in_words(rows, name, pairs, {pair: "below" for pair in right}, "not below beyond seeds")
        if len(right) == len(pairs):
            return Verdict(Outcome.HOLDS, words)
        return Verdict(Outcome.IN_PART if right else Outcome.NOT, words)

    return rule


def alike(name: str, *pairs: tuple[str, str]) -> Rule:
    """The number `name` of a pair's two variants does not differ by more than seeds do.

    Holds: in no pair. In part: in some pairs. Does not hold: in all. Undecided: fewer than three seeds that have it,
    as those that diverged do not.

    Three seeds against three miss much, as `no_gain` says: a difference of one standard deviation between seeds is
    separated in 26 % of cases, one of two in 62 %.
    """

    def rule(rows: Rows) -> Verdict:
        if short := few(rows, [variant for pair in pairs for variant in pair], name):
            return short
        apart = {}
        for pair in pairs:
            a, b = (values(rows, variant, name) for variant in pair)
            if larger(a, b) or larger(b, a):
                apart[pair] = "above" if larger(a, b) else "below"
        words = _pairs_in_words(rows, name, pairs, apart, "no difference beyond seeds")
        if not apart:
            return Verdict(Outcome.HOLDS, words)
        return Verdict(Outcome.NOT if len(apart) == len(pairs) else Outcome.IN_PART, words)

    return rule


def _pairs_in_words(rows: Rows, name: str, pairs: Sequence, found: Mapping, otherwise: str) -> str:
    medians = [[f"{v} {median(values(rows, v, name)):.3g}" for v in pair] for pair in pairs]
    said = "; ".join(f"{', '.join(m)} ({found.get(pair, otherwise)})" for m, pair in zip(medians, pairs, strict=True))
    return f"{name.replace('_', ' ').replace('.', ', ')}: {said}"


def same_order(one: str, other: str, at_least: float = 0.8, of: int = 5, without: Sequence[str] = ()) -> Rule:
    """Two numbers, of two eyes say, rank the variants alike, by the medians over their trainings.

    Variants `without` have no part in it: their numbers are on another scale, which any eye sees.
    Holds: Spearman's rank correlation is `at_least` that. Does not hold: it is below half of it. In part: between.
    Undecided: fewer than `of` variants with three trainings that have both.
    """

    def rule(rows: Rows) -> Verdict:
        names = [v for v in dict.fromkeys(row["variant"] for row in rows) if v not in without]
        found = {v: (values(rows, v, one), values(rows, v, other)) for v in names}
        found = {v: [median(a), median(b)] for v, (a, b) in found.items() if min(len(a), len(b)) >= SEEDS}
        if len(found) < of:
            return Verdict(Outcome.UNDECIDED, f"{len(found)} of at least {of} variants have both")
        numbers = list(zip(*found.values(), strict=True))
        if min(map(len, map(set, numbers))) == 1:
            return Verdict(Outcome.UNDECIDED, "one of the two numbers does not differ between variants")
        rho = round(float(spearmanr(*numbers).statistic), 9)  # 4/5 comes out as 0.7999999999999999
        words = f"rank correlation {rho:.2f} over {len(found)} variants"
        if rho >= at_least:
            return Verdict(Outcome.HOLDS, words)
        return Verdict(Outcome.IN_PART if rho >= at_least / 2 else Outcome.NOT, words)

    return rule


def time_ratios(base: str, expected: Mapping[str, float], within: float = 1.5) -> Rule:
    """A step takes as many times the base's time as expected, within a factor.

    Holds: all do. In part: some. Does not hold: none. Undecided: a variant was not measured, or on different devices.
    """

    def rule(rows: Rows) -> Verdict:
        found = _times(rows, base, list(expected))
        return found if isinstance(found, Verdict) else _within(found, expected, within)

    return rule


def smoother(short: str, long: str) -> Rule:
    """Walks of the second variant have a smaller largest step, in mean steps, than those of the first.

    Holds: in every training of the one than in any of the other. Does not hold: the other way round.
    Undecided: neither, or fewer than three seeds of one.
    """

    def rule(rows: Rows) -> Verdict:
        if missing := few(rows, (short, long), "walks.largest_step"):
            return missing
        steps = {v: values(rows, v, "walks.largest_step") for v in (short, long)}
        words = "largest step of a walk: " + ", ".join(
            f"{min(s):.2f} to {max(s):.2f} mean steps for {v}" for v, s in steps.items()
        )
        if larger(steps[short], steps[long]):
            return Verdict(Outcome.HOLDS, words)
        return Verdict(Outcome.NOT if larger(steps[long], steps[short]) else Outcome.UNDECIDED, words)

    return rule


def time_as_multiplications(base: str, *variants: str, within: float = 1.5) -> Rule:
    """A step takes as many times the base's time as it has times its multiplications, within a factor.

    Outcomes as `time_ratios`.
    """

    def rule(rows: Rows) -> Verdict:
        found = _times(rows, base, variants)
        if isinstance(found, Verdict):
            return found
        count = {v: median(values(rows, v, "multiplications_a_step")) for v in (base, *variants)}
        return _within(found, {v: count[v] / count[base] for v in variants}, within)

    return rule


def _times(rows: Rows, base: str, variants: Sequence[str]) -> dict[str, float] | Verdict:
    """The median times of a step over the base's, or UNDECIDED."""
    seconds = {v: values(rows, v, "seconds_a_step") for v in (base, *variants)}
    machines = {(r["device"], r["cost_precision"]) for r in rows if r["variant"] in seconds and "seconds_a_step" in r}
    if not all(seconds.values()) or len(machines) > 1:
        return Verdict(Outcome.UNDECIDED, "every variant must be measured on one device")
    return {v: median(seconds[v]) / median(seconds[base]) for v in variants}


def _within(found: Mapping[str, float], expected: Mapping[str, float], factor: float) -> Verdict:
    right = [v for v, ratio in found.items() if 1 / factor <= ratio / expected[v] <= factor]
    words = ", ".join(f"{v} {ratio:.1f} times (expected {expected[v]:.3g})" for v, ratio in found.items())
    if len(right) == len(expected):
        return Verdict(Outcome.HOLDS, words)
    return Verdict(Outcome.IN_PART if right else Outcome.NOT, words)


def degrades(by: float = 0.1) -> Rule:
    """The last distance of a run lies above its lowest one by a part of it, and distances rise on the way there.

    The lowest of many distances that only fluctuate lies below the last one, too. So they must rise after it: their
    rank correlation with the stage is above 0, with a chance of about 5 % or less (one-sided). This second condition
    was added after the run, in whose three trainings the first holds; it can only take such a verdict back.
    Holds: in every training. In part: in some. Does not hold: in none is the last distance so far above. Undecided:
    where it is, without a rise after the lowest, or fewer than three trainings.
    """

    def rule(rows: Rows) -> Verdict:
        curves = list(map(at_stages, filter(at_stages, rows)))
        if len(curves) < SEEDS:
            return Verdict(Outcome.UNDECIDED, f"{len(curves)} of at least {SEEDS} trainings")
        worse = [curve for curve in curves if curve[-1] > (1 + by) * min(curve)]
        rising = sum(_rises(curve[curve.index(min(curve)) + 1 :]) for curve in worse)
        words = (
            f"in {len(worse)} of {len(curves)} trainings the last distance is at least {by:.0%} above the lowest; a "
            f"rise after that can be told in {rising}"
        )
        if rising < len(worse):
            return Verdict(Outcome.UNDECIDED, words)
        if rising == len(curves):
            return Verdict(Outcome.HOLDS, words)
        return Verdict(Outcome.IN_PART if rising else Outcome.NOT, words)

    return rule


def _rises(curve: Sequence[float]) -> bool:
    if len(curve) < 4:  # in too few orders to be beyond chance
        return False
    found = spearmanr(range(len(curve)), curve, alternative="greater")
    return bool(found.statistic > 0 and found.pvalue < 0.05)


def oscillates(variant: str, base: str) -> Rule:
    """The distances of a variant's trainings climb more (`climb`) than those of the base, at the same stages.

    Holds: in every training of the variant more than in any of the base. Does not hold: less, or the same, in every
    one. Undecided: neither, or fewer than three trainings with stages, as those that diverged are.
    """

    def rule(rows: Rows) -> Verdict:
        with_stages = list(filter(at_stages, rows))
        if short := few(with_stages, (variant, base)):
            return short
        found = {v: [climb(at_stages(row)) for row in with_stages if row["variant"] == v] for v in (variant, base)}
        words = "all rises of the distance together: " + ", ".join(
            f"{min(factors):.2f} to {max(factors):.2f} times for {v}" for v, factors in found.items()
        )
        if larger(found[variant], found[base]):
            return Verdict(Outcome.HOLDS, words)
        less = max(found[variant]) <= min(found[base])
        return Verdict(Outcome.NOT if less else Outcome.UNDECIDED, words)

    return rule


# ---- digits told by their nearest neighbour among samples ------------------------------------------------------------


def told_wrong(row: Mapping, digits: str, samples: int, kind: str = "generated") -> tuple[int, int, int]:
    """(samples, wrong, digits) of the largest number of samples up to `samples`; all wrong where it diverged."""
    if "nearest" not in row:
        return samples, 1, 1
    part = row["nearest"][digits]
    n, wrong = max([r for r in part[kind] if r[0] <= samples] or part[kind][:1])
    return n, wrong, part["digits"]


def models_classes(variant: str, digits: str = "held_out", samples: int = PAPER_SAMPLES) -> Rule:
    """C10's rule on a variant's trainings, with so many samples, asked by "held_out" or "test" digits."""

    def rule(rows: Rows) -> Verdict:
        trainings = []
        for row in (row for row in rows if row["variant"] == variant):
            n, wrong, of = told_wrong(row, digits, samples)
            real = told_wrong(row, digits, n, "real")
            trainings.append({"samples": n, "wrong": [wrong, of], "wrong_real": [real[1], real[2]]})
        return c10(trainings)

    return rule


def reaches(variant: str, figures: Mapping[int, float], digits: str = "held_out") -> Rule:
    """A variant's samples tell no larger part of the digits wrong than `figures` {samples: share}.

    Holds: in every training, with each number of samples. In part: with one of these numbers, in every training. Does
    not hold: else. Undecided: fewer than three trainings, or one that was not asked with so many.
    """

    def rule(rows: Rows) -> Verdict:
        if short := few(rows, [variant]):
            return short
        met, words = [], []
        for samples, figure in figures.items():
            found = [told_wrong(row, digits, samples) for row in rows if row["variant"] == variant]
            if any(n != samples for n, _, _ in found):
                return Verdict(Outcome.UNDECIDED, f"{variant} was not asked with {samples:,} samples")
            shares = [wrong / of for _, wrong, of in found]
            met.append(max(shares) <= figure)
            words.append(f"{min(shares):.2%} to {max(shares):.2%} with {samples:,} samples (goal {figure:.2%})")
        outcome = Outcome.HOLDS if all(met) else Outcome.IN_PART if any(met) else Outcome.NOT
        return Verdict(outcome, "; ".join(words))

    return rule


def fewer_wrong(a: tuple[str, int], b: tuple[str, int], digits: str = "held_out") -> Rule:
    """Variant and number of samples a tell fewer digits wrong than b.

    Holds: in every training of a fewer than in every one of b (of one variant with two numbers: in each training
    itself). In part: the medians say so. Does not hold: they do not. Undecided: fewer than three trainings.
    """

    def rule(rows: Rows) -> Verdict:
        if short := few(rows, list(dict.fromkeys((a[0], b[0])))):
            return short
        found = []
        for variant, samples in (a, b):
            own = [told_wrong(row, digits, samples) for row in rows if row["variant"] == variant]
            if any(n != samples for n, _, _ in own):
                return Verdict(Outcome.UNDECIDED, f"{variant} was not asked with {samples:,} samples")
            found.append([wrong / of for _, wrong, of in own])
        ours, theirs = found
        pairs = zip(ours, theirs, strict=True) if a[0] == b[0] else [(max(ours), min(theirs))]
        words = "; ".join(
            f"{variant} with {samples:,} samples {min(shares):.2%} to {max(shares):.2%}"
            for (variant, samples), shares in zip((a, b), found, strict=True)
        )
        if all(x < y for x, y in pairs):
            return Verdict(Outcome.HOLDS, words)
        return Verdict(Outcome.IN_PART if median(ours) < median(theirs) else Outcome.NOT, words)

    return rule


# ---- symptoms --------------------------------------------------------------------------------------------------------


def shows(name: str, variant: str, *without: str, above: float = math.inf, below: float = -math.inf) -> Rule:
    """The number `name` of a variant's trainings lies out of bounds, above `above` or below `below`, and those of the
    variants `without` do not: one of them is the baseline, another a remedy.

    Holds: in every training of the variant, and in none of the others. In part: in some of the variant's more, as a
    share, than in the others. Does not hold: not in more. Undecided: fewer than three trainings that have the number.
    """

    def rule(rows: Rows) -> Verdict:
        if short := few(rows, (variant, *without), name):
            return short
        found = {v: values(rows, v, name) for v in (variant, *without)}
        out = {v: [x for x in numbers if x > above or x < below] for v, numbers in found.items()}
        share = {v: len(out[v]) / len(found[v]) for v in found}
        said = [f"{v} {len(out[v])} of {len(found[v])} ({median(found[v]):.3g})" for v in found]
        words = f"{name.split('.')[-1].replace('_', ' ')} out of bounds: {', '.join(said)}"
        others = max((share[v] for v in without), default=0)
        if share[variant] == 1 and others == 0:
            return Verdict(Outcome.HOLDS, words)
        return Verdict(Outcome.IN_PART if share[variant] > others else Outcome.NOT, words)

    return rule
