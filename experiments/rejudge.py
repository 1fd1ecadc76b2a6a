"""The rules of `verdicts` applied to what results/ has recorded, without measuring anew.

    python -m experiments.rejudge

For when a rule was changed after a run: numbers stay as they are, the verdicts of claims and of a study's predictions
follow, and so does what is DERIVED from an analysis's rows. A test holds every recorded verdict against this, so that
none is typed.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from dcgan_lib import results

from . import judged_blind, rules, study, verdicts
from .analyses import inspection_forgetting, latent_faces, near_duplicates, training_curve, untrained_worth
from .studies import STUDIES


def _trainings(rows: list[dict]) -> verdicts.Verdict:
    return rules.stable()([row | {"variant": ""} for row in rows])


WHOLE = {  # results file → its claims, of which all but the words of `ours` is a rule's
    "inspection_forgetting": inspection_forgetting.claims,
    "near_duplicates": near_duplicates.claims,
    "latent_faces": latent_faces.claims,
}
DERIVED: dict[str, Callable[[dict], dict]] = {  # results file → parts of what was measured that follow from its rows
    "training_curve": training_curve.derived,
    "untrained_worth": untrained_worth.derived,
}
RULES: dict[str, dict[str, Callable[[dict], object]]] = {  # results file → claim → its verdict, from what was measured
    "training_faces": {"C1": lambda m: _trainings([m, *m.get("others", [])])},
    **{f"training_{name}": {"C1": lambda m: _trainings([m])} for name in ("scenes", "streets", "lsun_bedroom")},
    "training_mnist": {"C1": lambda m: _trainings(list(m["schedules"].values()))},
    "features_cifar10": {"C2": lambda m: verdicts.c2(m["rows"], paired=m.get("paired", {}))},
    "features_svhn": {
        "C3": lambda m: verdicts.c3(m["rows"], m["full"]),
        "C4": lambda m: verdicts.c4(m["rows"], m["supervised"], [k for k in ("authors", "ours") if k in m["rows"]]),
    },
    "inspection_filters": {"C6": lambda m: verdicts.c6(m["trained"], m["random"])},
    "inspection_forgetting": {"C7": lambda m: inspection_forgetting.claims(m)["C7"]["verdict"]},
    "inspection_forgetting_scenes": {"C7": judged_blind.verdict},
    "inspection_forgetting_streets": {"C7": judged_blind.verdict},
    "near_duplicates": {"C5": lambda m: near_duplicates.claims(m)["C5"]["verdict"]},
    "latent_faces": {c: lambda m, c=c: latent_faces.claims(m)[c]["verdict"] for c in ("C5", "C8", "C9")},
}


PREDICTING = {s.file: s for s in STUDIES.values() if s.predicts}  # results file → the study whose rows it has
for _study in PREDICTING.values():
    if _claimed := {p.claim: p.rule for p in _study.predicts if p.claim}:
        RULES[_study.file] = {c: lambda m, rule=rule: rule(m["rows"]).outcome for c, rule in _claimed.items()}


def judged(name: str, measured: dict) -> dict[str, str]:
    """{claim: verdict} of a results file; {} for one without claims, as a study has that lacks rows."""
    if measured.get("missing"):
        return {}
    return {claim: str(rule(measured)) for claim, rule in RULES.get(name, {}).items()}


def judged_again(record: dict) -> dict:
    """A results file's content with the verdicts that today's rules give its numbers; of predictions the words, too."""
    name, measured = record["name"], record["measured"]
    if name in PREDICTING:
        predictions, claims = study.judged(PREDICTING[name], measured["rows"], measured["missing"])
        measured = measured | {"predictions": predictions}
    else:
        found = {c: {"verdict": verdict} for c, verdict in judged(name, measured).items()}
        if name in WHOLE:
            found = {c: {k: said for k, said in row.items() if k != "ours"} for c, row in WHOLE[name](measured).items()}
        claims = {c: record["claims"][c] | said for c, said in found.items()}
        measured = measured | json.loads(json.dumps(DERIVED.get(name, lambda m: {})(measured)))
    return record | {"measured": measured, "claims": record["claims"] | claims}


def main() -> None:
    for path in sorted(results.folder().glob("*.json")):
        record = results.load(path.stem)
        if (new := judged_again(record)) != record:
            print(f"{path.name} has other verdicts now")
            results.write(new)


if __name__ == "__main__":
    main()
