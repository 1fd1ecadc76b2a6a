"""C7 as the paper did it, on scenes: boxes around trunks, maps dropped, the outcome judged blind by a vision model.

    python -m experiments inspection_forgetting_scenes

Our scenes have no windows. What they have as often as the paper's bedrooms had windows, and anywhere in the picture,
are trunks: upright, close-standing strokes, a wood's edge. The eye that judged was a vision model's, on contact sheets,
its answers then entered with the box tool; `judged_blind` says how it goes, and how to label anew. Once, on 32 of 96
samples: the rule is `verdicts.c7_judged`. (The rule before it, a bootstrap interval of the difference, stood in the
same commit as its result.)

The layer is the one next to the picture, 32x32. By the reading that `inspection_forgetting` gives reasons for it is not
the paper's; the labels of the blind round were made of pictures without maps of this one.

Seconds on a CPU. Writes results/inspection_forgetting_scenes.json.
"""

from collections.abc import Sequence

from .. import judged_blind

TRUNKS = judged_blind.Forgetting("inspection_forgetting_scenes", "trunks", "scenes", side=32, seed=31, candidates=96)


def main(arguments: Sequence[str] = ()) -> dict[str, str]:
    return judged_blind.main(TRUNKS, arguments)
