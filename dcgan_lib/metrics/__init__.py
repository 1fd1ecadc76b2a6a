"""Numbers about pictures and sets of pictures. These functions know arrays and tensors, not generators.

A measure is f(real features (N, F), generated features (M, F)) → float; `MEASURES` lists them. `extractors` makes
features of pictures, `intervals` says how sure a measure is, `controls` what it must be able to refuse, `faults` spoils
pictures by degrees.
"""

from .controls import controls
from .distances import frechet_distance, kernel_distance
from .extractors import EXTRACTORS, efficientnet, efficientnet_features, face_attribute_features, inception_fid
from .faults import blurred, noisy, repeated
from .intervals import samples_needed, with_interval
from .neighbours import copied, coverage, density, nearest, precision, recall, usual_distances
from .pictures import checkerboard, class_report, colour_spread, head_turn, spread

MEASURES = {
    measure.__name__: measure for measure in (frechet_distance, kernel_distance, precision, recall, density, coverage)
}

__all__ = [
    "EXTRACTORS",
    "MEASURES",
    "blurred",
    "checkerboard",
    "class_report",
    "colour_spread",
    "controls",
    "copied",
    "coverage",
    "density",
    "efficientnet",
    "efficientnet_features",
    "face_attribute_features",
    "frechet_distance",
    "head_turn",
    "inception_fid",
    "kernel_distance",
    "nearest",
    "noisy",
    "precision",
    "recall",
    "repeated",
    "samples_needed",
    "spread",
    "usual_distances",
    "with_interval",
]
