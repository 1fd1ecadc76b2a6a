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
from .analyses import (
    features_svhn,
    inspection_forgetting,
    latent_faces,
    near_duplicates,
    near_duplicates_elsewhere,
    training_curve,
    untrained_worth,
)
from .studies import STUDIES

WHOLE = {  # results file → its claims, of which all but the words of `ours` is a rule's
    "inspection_forgetting": inspection_forgetting.claims,
    "near_duplicates": near_duplicates.claims,
    "near_duplicates_elsewhere": near_duplicates_elsewhere.claims,
    "latent_faces": latent_faces.claims,
}
DERIVED: dict[str, Callable[[dict], dict]] = {  # results file → parts of what was measured that follow from its rows
    "features_svhn": features_svhn.derived,
    "training_curve": training_curve.derived,
    "untrained_worth": untrained_worth.derived,
}
RULES: dict[str, dict[str, Callable[[dict], object]]] = {  # results file → claim → its verdict, from what was measured
    "training_faces": {"C1": lambda m: rules.stable()([m, *m.get("others", [])])},
    **{f"training_{name}": {"C1": lambda m: rules.stable()([m])} for name in ("scenes", "streets", "lsun_bedroom")},
    "features_cifar10": {"C2": lambda m: verdicts.c2_over_trainings(m["rows"], m.get("paired", {}))},
    "features_svhn": {
        "C3": lambda m: verdicts.c3_over_trainings(m["rows"], m["full"]),
        "C4": lambda m: verdicts.c4_over_searches(m["rows"], m["searches"]),
    },
    "inspection_filters": {"C6": lambda m: verdicts.c6(m["trained"], m["random"])},
    "inspection_forgetting_scenes": {"C7": judged_blind.verdict},
    "inspection_forgetting_streets": {"C7": judged_blind.verdict},
    "inspection_forgetting_streets_again": {"C7": judged_blind.verdict},
}
PREDICTING = {s.file: s for s in STUDIES.values() if s.predicts}  # results file → the study whose rows it has


def judged_again(record: dict) -> dict:
    """A results file's content with the verdicts that today's rules give its numbers; of predictions the words, too."""
    name, measured = record["name"], record["measured"]
    if name in PREDICTING:
        predictions, claims = study.judged(PREDICTING[name], measured["rows"], measured["missing"])
        measured = measured | {"predictions": predictions}
    else:
        found = {c: {"verdict": str(rule(measured))} for c, rule in RULES.get(name, {}).items()}
        found |= WHOLE.get(name, lambda m: {})(measured)
        claims = {c: record["claims"][c] | said | {"ours": record["claims"][c]["ours"]} for c, said in found.items()}
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
