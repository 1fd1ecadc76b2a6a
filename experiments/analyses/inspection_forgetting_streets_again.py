"""C7 with windows, once more: 120 samples left it undecided, so 360 new ones are judged without the same maps.

    python -m experiments inspection_forgetting_streets_again

Of 1,800 other samples of the same generator the first 360 that show windows, in the four ways, 1,440 pictures, twice.
The maps are those that the boxes of `inspection_forgetting_streets` chose, so there is no round of boxes here; the
other rounds of labelling are as there. By its passes, 22 discordant samples of 64 with two thirds of them for the
chosen maps, three times as many samples would tell by each pass. The rule is the same, at half the level, 0.025,
since it is a second try (`verdicts.c7_judged_twice`): number, rule and level were fixed before any sample was drawn.

Seconds on a CPU, and the labelling. Writes results/inspection_forgetting_streets_again.json.
"""

from collections.abc import Sequence

from .. import judged_blind, verdicts
from .inspection_forgetting_streets import WINDOWS

AGAIN = judged_blind.Forgetting(
    "inspection_forgetting_streets_again",
    "windows",
    "streets",
    side=8,
    seed=51,
    candidates=1_800,
    least=verdicts.JUDGED,
    most=360,
    passes=2,
    level=0.025,
    again=WINDOWS,
)


def main(arguments: Sequence[str] = ()) -> dict[str, str]:
    return judged_blind.main(AGAIN, arguments)
