"""C7 with windows, as in the paper: boxes around them in samples of buildings and streets, maps dropped, judged blind.

    python -m experiments inspection_forgetting_streets

The generator is that of the study `streets`, which ships its best stage: `python -m experiments streets` first. Then
the rounds of labelling of `judged_blind`, a pair of commands each, until none is left:

    python -m experiments inspection_forgetting_streets --sheets FOLDER
    python -m experiments inspection_forgetting_streets --enter FILE.csv --by WHO

boxes around windows in 150 samples; which of 600 others show windows; the first 120 of these in the four ways, 480
pictures, twice, in another order each time. The layer is the one of 8x8 positions, the second from z; the reasons are
`inspection_forgetting`'s. The rule is `verdicts.c7_judged_twice`, fixed before there was a generator: by it at least
100 samples are judged, and labels decide nothing where the two passes agree too little (Cohen's kappa). (Asked at
first were 400 others, of which 89 showed windows; 200 more were asked before any picture was judged.)

Where windows cannot be recognised in samples of 64 pixels, that is the record:

    python -m experiments inspection_forgetting_streets --unrecognised WHY --by WHO

Seconds on a CPU, and the labelling. Writes results/inspection_forgetting_streets.json.
"""

from collections.abc import Sequence

from .. import judged_blind, verdicts

WINDOWS = judged_blind.Forgetting(
    "inspection_forgetting_streets",
    "windows",
    "streets",
    side=8,
    seed=41,
    candidates=600,
    least=verdicts.JUDGED,
    most=120,
    passes=2,
)


def main(arguments: Sequence[str] = ()) -> dict[str, str]:
    return judged_blind.main(WINDOWS, arguments)
