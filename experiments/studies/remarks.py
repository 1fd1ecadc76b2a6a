"""What section 3 says in words, without a number: global average pooling, and what batch norm is for.

"We found global average pooling increased model stability but hurt convergence speed." Batch norm "proved critical to
get deep generators to begin learning, preventing the generator from collapsing all samples to a single point"; on all
layers it "resulted in sample oscillation and model instability".

The baseline is that of `twice_as_long`; where its trainings are in runs/ they count here, too. Cost: 4 more variants x
3 seeds x 256,000 pictures, 3.5 hours of one core without bfloat16 instructions. The recorded run made all fifteen on
one H200, baseline included, in four minutes beside others.
"""

from dataclasses import replace

from .. import rules
from ..study import Prediction, Study, Variant
from . import twice_as_long

SAME = twice_as_long.STUDY

STUDY = Study(
    "remarks",
    "C1: section 3 in words: global average pooling, batch norm of one network or of all layers; 2 hours on two CPU "
    "cores",
    replace(SAME.base, out="runs/remarks"),
    (
        Variant("base", {"out": f"{SAME.base.out}/base"}, note="all guidelines"),
        Variant(
            "global_average_pooling",
            arch={"global_average_pooling": True},
            note="D's last maps averaged over their positions",
        ),
        Variant("norm_of_generator", arch={"norm": "generator"}, note="batch norm in G alone"),
        Variant("norm_of_discriminator", arch={"norm": "discriminator"}, note="batch norm in D alone"),
        Variant("batch_norm_everywhere", arch={"norm": "everywhere"}, note="on G's output and D's first layer, too"),
    ),
    seeds=SAME.seeds,
    measures=SAME.measures,
    predicts=(
        Prediction(
            "Global average pooling hurts convergence speed: after as many steps the distance is larger in every seed "
            "than in any of the base.",
            rules.every_worse("base", "global_average_pooling"),
        ),
        Prediction(
            "It increases stability: between neighbouring stages the distance climbs less, in all, in every seed than "
            "in any of the base.",
            rules.oscillates("base", "global_average_pooling"),
        ),
        Prediction(
            "It is G that needs batch norm: with it in G alone a training is stable by the rule of the study "
            "architecture, in every seed.",
            rules.stable("norm_of_generator"),
        ),
        Prediction(
            "Without it G collapses: with batch norm in D alone samples vary less than with it in both, in every seed "
            "than in any of the base.",
            rules.lower("spread", ("norm_of_discriminator", "base")),
        ),
        Prediction(
            "Batch norm on all layers lets training oscillate: between neighbouring stages the distance climbs more, "
            "in all, in every seed than in any of the base.",
            rules.oscillates("batch_norm_everywhere", "base"),
        ),
        Prediction(
            "Its samples oscillate: those of the same latents move farther between neighbouring stages of the second "
            "half, in every seed than in any of the base.",
            rules.lower("moves.late", ("base", "batch_norm_everywhere")),
        ),
    ),
    images=SAME.images,
    stages=SAME.stages,
    report=SAME.report,
)
