"""C1: is it the Tanh at G's end that matters, or the range that it reaches?

In `architecture` a Sigmoid at G's end fails in every seed. But with pictures in [-1, 1] it cannot draw what is darker
than grey, which is another thing than not being a Tanh. Here each goes with pictures of its own range. An output
without bounds is what the paper argues against (section 3: a bounded one "allowed the model to learn more quickly to
saturate and cover the color space").

Base, faces and length are those of `architecture`. Cost: 3 variants x 3 seeds x 128,000 pictures, 70 minutes of one
core without bfloat16 instructions.
"""

from dataclasses import replace

from .. import measures, rules
from ..study import Prediction, Study, Variant
from . import architecture
from .faces import first_faces

STUDY = Study(
    "output_range",
    "C1: a Sigmoid at G's end with pictures in its own range, and an output without bounds; half an hour on two CPU "
    "cores",
    replace(architecture.STUDY.base, out="runs/output_range"),
    (
        Variant("base", note="Tanh, pictures in [-1, 1]"),
        Variant(
            "sigmoid_unit_range",
            arch={"output_activation": "sigmoid", "unit_range": True},
            note="Sigmoid, pictures in [0, 1], as in the released network for digits",
        ),
        Variant("linear_output", arch={"output_activation": "linear"}, note="no bounds, pictures in [-1, 1]"),
    ),
    seeds=(0, 1, 2),
    measures=(
        measures.statistics,
        measures.spread,
        measures.frechet.set(samples=2_000),
        measures.d_worth.set(labelled_set="celeba", attribute="Smiling"),
    ),
    predicts=(
        Prediction(
            "The range matters, not Tanh: a Sigmoid with pictures in [0, 1] is stable by the rule of the study "
            "architecture, in every seed.",
            rules.stable("sigmoid_unit_range"),
        ),
        Prediction(
            "Tanh is better than a Sigmoid in its own range, too: the Sigmoid's distance is larger in every seed than "
            "in any of the base.",
            rules.every_worse("base", "sigmoid_unit_range"),
        ),
        Prediction(
            "Bounds help: without them the distance after as many pictures is larger in every seed than in any of the "
            "base.",
            rules.every_worse("base", "linear_output"),
        ),
    ),
    images=first_faces,
)
