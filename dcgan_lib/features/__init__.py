"""What the discriminator knows: its features, as the paper's section 5 takes them, and the linear SVM on them."""

from .evaluation import Evaluation, evaluate, label_curve
from .extraction import calibrated, discriminator_features
from .intervals import interval, mcnemar, paired_difference, proportion_interval, subset_accuracies
from .kmeans import KMeansFeatures
from .protocol import RELEASED_C, Part, choose_C, draw_labels, few_labels, svhn_parts
from .supervised import attribute_probabilities, deep_features
from .svm import L2SVM

__all__ = [
    "L2SVM",
    "RELEASED_C",
    "Evaluation",
    "KMeansFeatures",
    "Part",
    "attribute_probabilities",
    "calibrated",
    "choose_C",
    "deep_features",
    "discriminator_features",
    "draw_labels",
    "evaluate",
    "few_labels",
    "interval",
    "label_curve",
    "mcnemar",
    "paired_difference",
    "proportion_interval",
    "subset_accuracies",
    "svhn_parts",
]
