"""python -m experiments            lists what there is
python -m experiments NAME       runs or resumes a study or an analysis, and what it needs first
python -m experiments all        runs everything from nothing to the end, and says what was left out and why
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence

from dcgan_lib import data, results
from dcgan_lib.checks import choose

from . import scale
from .analyses import ANALYSES
from .studies import STUDIES
from .study import Study, first_line, run

# Of a run of everything: the eye that studies measure with, what trains, what reads the runs and the results.
ORDER = tuple(dict.fromkeys(("face_attributes", *STUDIES, *ANALYSES)))


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0, or 1 where something failed that should not."""
    parser = argparse.ArgumentParser(
        "python -m experiments",
        description="Run the reference runs; without a name, list them.",
        epilog="An analysis may have options of its own: the head of its module in experiments/analyses/ names them.",
    )
    parser.add_argument("name", nargs="?", help="a study, an analysis, or 'all'")
    parser.add_argument("--only", nargs="+", metavar="VARIANT", help="of a study: these variants")
    parser.add_argument("--seed", nargs="+", type=int, metavar="S", help="of a study: these seeds")
    parser.add_argument(
        "--shard", type=shard, metavar="I/N", help="of a study: every N-th training, from the I-th (0 …)"
    )
    parser.add_argument("--fresh", action="store_true", help="of a study: forget what earlier calls left of these")
    asked, own = parser.parse_known_args(arguments)
    if own and asked.name not in ANALYSES:
        parser.error(f"unknown {' '.join(own)}")
    part = {"only": asked.only, "seeds": asked.seed, "shard": asked.shard, "fresh": asked.fresh}
    try:
        scale.prepare()
        if asked.name is None:
            print("\n".join(listed()))
            return 0
        choose(asked.name, [*STUDIES, *ANALYSES, "all"], "experiment")
        if asked.name not in STUDIES and any(part.values()):
            parser.error(f"--only, --seed, --shard and --fresh belong to a study, and {asked.name} is none")
        if asked.name == "all":
            return everything()
        left_out = one(asked.name, own=own, **part)
    except (data.NotAvailable, ImportError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for what, why in left_out.items():
        print(f"left out: {what}: {why}")
    path = results.folder() / f"{file_of(asked.name)}.json"
    print(path if path.exists() else f"no results file yet: {path}")
    return 0


def shard(text: str) -> tuple[int, int]:
    i, _, n = text.partition("/")
    if not (i.isdigit() and n.isdigit() and int(i) < int(n)):
        raise argparse.ArgumentTypeError(f"expected I/N with I from 0 to N - 1, got {text!r}")
    return int(i), int(n)


def file_of(name: str) -> str:
    return (STUDIES[name] if name in STUDIES else ANALYSES[name]).file


def listed() -> list[str]:
    """A line for each name: what it is, and whether results/ has a file of it."""
    lines, width = [], max(map(len, STUDIES | ANALYSES)) + 2
    for kind, known in (("studies", STUDIES), ("analyses", ANALYSES)):
        lines.append(f"{kind}:")
        for name, entry in known.items():
            there = (results.folder() / f"{entry.file}.json").exists()
            reason = entry.not_run or "not run yet"
            lines.append(f"  {name:{width}}{entry.says}")
            lines.append(f"  {'':{width}}{f'results/{entry.file}.json' if there else f'no results file: {reason}'}")
    return lines


def one(name: str, done: set[str] | None = None, own: Sequence[str] = (), **part) -> dict[str, str]:
    """Run a study or an analysis, with the studies whose runs it reads first; what it left out and why.

    A study that is complete trains nothing again. `done` names those that need no second look; `own` are arguments of
    an analysis, which ask for a part of it: that trains nothing before it, and says what it lacks. `part` says which
    trainings of a study.
    """
    done = set() if done is None else done
    if name in STUDIES:
        study: Study = STUDIES[name]
        left_out = run(study, **part)
    else:
        for needed in () if own else ANALYSES[name].needs:
            if needed not in done:
                print(f"{name} reads the run of {needed}")
                one(needed, done)
        left_out = ANALYSES[name].run(scale.fast(), own)
    done.add(name)
    return left_out


def everything() -> int:
    """All of it. What cannot be had is left out, an error is shown, and neither stops the rest."""
    done: set[str] = set()
    left_out, failed = {}, {}
    for name in ORDER:
        reason = getattr(STUDIES.get(name), "by_name_only", "")
        if reason and not scale.fast():
            left_out[name] = f"{reason}: python -m experiments {name}"
            continue
        print(f"==== {name}", flush=True)
        try:
            left_out |= {f"{name}, {part}": why for part, why in one(name, done).items()}
        except (data.NotAvailable, ImportError) as error:
            left_out[name] = first_line(error)
        except Exception as error:
            traceback.print_exc()
            failed[name] = f"{type(error).__name__}: {first_line(error)}"
    print(f"==== {len(done)} of {len(ORDER)} ran; their files are in {results.folder()}")
    for title, found in (("left out", left_out), ("failed", failed)):
        for name, why in found.items():
            print(f"{title}: {name}: {why}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
