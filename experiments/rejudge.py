"""The rules of `verdicts` applied to what results/ has recorded, without measuring anew.

    python -m experiments.rejudge

For when a rule was changed after a run: numbers stay as they are, the claims' verdicts follow. A test holds every
recorded verdict against this, so that none is typed.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from dcgan_lib import checkpoints, results

from . import judged_blind, rules, verdicts
from .analyses import inspection_forgetting, latent_faces, near_duplicates
from .studies import STUDIES


def _trainings(rows: list[dict]) -> verdicts.Verdict:
    return rules.stable()([row | {"variant": ""} for row in rows])


RULES: dict[str, dict[str, Callable[[dict], object]]] = {  # results file → claim → its verdict, from what was measured
    "training_faces": {"C1": lambda m: _trainings([m, *m.get("others", [])])},
    "training_scenes": {"C1": lambda m: _trainings([m])},
    "training_mnist": {"C1": lambda m: _trainings(list(m["schedules"].values()))},
    "features_cifar10": {"C2": lambda m: verdicts.c2(m["rows"])},
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


for _study in STUDIES.values():
    _claimed = {p.claim: p.rule for p in _study.predicts if p.claim}
    if _claimed:
        RULES[_study.file] = {c: lambda m, rule=rule: rule(m["rows"]).outcome for c, rule in _claimed.items()}


def judged(name: str, measured: dict) -> dict[str, str]:
    """{claim: verdict} of a results file; {} for one without claims, as a study has that lacks rows."""
    if measured.get("missing"):
        return {}
    return {claim: str(rule(measured)) for claim, rule in RULES.get(name, {}).items()}


def main() -> None:
    for path in sorted(results.folder().glob("*.json")):
        record = results.load(path.stem)
        new = judged(path.stem, record["measured"])
        changed = {claim: verdict for claim, verdict in new.items() if record["claims"][claim]["verdict"] != verdict}
        for claim, verdict in changed.items():
            print(f"{path.stem} {claim}: {record['claims'][claim]['verdict']} → {verdict}")
            record["claims"][claim]["verdict"] = verdict
        if changed:
            checkpoints.write_bytes(path, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
