"""What is not 'train and compare', one a module; each has `main()`, which writes its file of results/."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Analysis:
    """A module of this room. `needs` are studies whose runs it reads; `fast` its constants at scale 'fast'.

    `main()` may return {part: why it was left out}; one that takes `arguments` has options of its own. `not_run` says
    why there is no results file.
    """

    name: str
    says: str
    needs: tuple[str, ...] = ()
    result: str = ""
    fast: dict = field(default_factory=dict)
    not_run: str = ""

    @property
    def file(self) -> str:
        return self.result or self.name

    def run(self, fast: bool = False, arguments: Sequence[str] = ()) -> dict[str, str]:
        """Run it; return what it left out and why. Raises ValueError for arguments that it does not take.

        Some ask torch for one thread, for the same numbers everywhere: what runs after them has all threads again.
        """
        module = importlib.import_module(f"{__name__}.{self.name}")
        if fast:
            for constant, value in self.fast.items():
                if not hasattr(module, constant):
                    raise AttributeError(f"analysis {self.name} has no constant {constant} for scale 'fast'")
                setattr(module, constant, value)
        has_options = "arguments" in inspect.signature(module.main).parameters
        if arguments and not has_options:
            raise ValueError(f"{self.name} has no options, got {' '.join(arguments)}")
        threads = torch.get_num_threads()
        try:
            return (module.main(list(arguments)) if has_options else module.main()) or {}
        finally:
            torch.set_num_threads(threads)


_LISTED = (
    Analysis(
        "face_attributes",
        "the eye for C5, C8 and C9: a classifier of CelebA's 40 attributes; minutes on two CPU cores",
        result="training_face_attributes",
    ),
    Analysis(
        "training_curve",
        "C2: what D's features are worth as its training goes on; two to four minutes a stage",
        fast={"LABELLED": 90, "VALIDATION": 60, "CALIBRATION": 90, "CENTROIDS": 16},
    ),
    Analysis(
        "features_cifar10",
        "C2: a linear SVM on D's features of CIFAR-10, beside its baselines; four to five hours on two CPU cores",
        needs=("imagenet32", "cifar10"),
        fast={
            "VALIDATION": 60,
            "CALIBRATION": 128,
            "CENTROIDS": (16, 32),
            "LABELS": {3: 2, 10: 1},
            "FEW": 10,
            "SHORT": {"train": 60, "validation": 30},
        },
    ),
    Analysis(
        "features_svhn",
        "C3 and C4: SVHN with 1,000 labels, and the same network on the labels only; two hours",
        needs=("imagenet32", "svhn"),
        fast={
            "PER_CLASS": 8,
            "LABELS": (4, 8),
            "CENTROIDS": 16,
            "DRAWS": {"released": (2, 3), "baselines": (2, 2), "curve": (1, 2)},
            "TRIALS": 2,
            "RETRAINED": 1,
            "RETRAINED_CURVE": 1,
        },
    ),
    Analysis(
        "latent_faces",
        "C5, C8, C9: walks, memorisation, arithmetic and pose of the face generators; an hour for three",
        fast={
            "POOL": 400,
            "SEEDS": (11,),
            "REPETITIONS": 1,
            "NEAR": 30,
            "PAIRS": 2,
            "STEPS": 5,
            "MOVED": 10,
            "TURNED": 4,
            "AUTOENCODER": 50,
            "FEW": 100,
        },
    ),
    Analysis(
        "inspection_filters",
        "C6: what excites the maps of D, trained against random weights; minutes",
        fast={"PICTURES": 100, "CALIBRATION": 100, "SEEDS": (1, 2)},
    ),
    Analysis(
        "inspection_forgetting",
        "C7 on faces: can G forget a smile, glasses, bangs? maps of each layer dropped; minutes",
        fast={"POOL": 480, "TESTED": 240, "LABELLED": 50, "MOST": 30, "RANDOM": 2, "DOSES": (0.5,), "DOSE_RANDOM": 1},
    ),
    Analysis(
        "near_duplicates",
        "C5, its data half: near duplicates by an autoencoder's code, against perceptual hashes; minutes",
        fast={"PLANTED": 10, "COST": (100, 200), "STEPS": 100},
    ),
    Analysis(
        "near_duplicates_elsewhere",
        "C5, its data half: equal codes among scenes and among drawn faces; an hour, and the labelling",
        fast={"PLANTED": 10, "STEPS": 100, "SAMPLE": 20, "TRAININGS": {"longer": {"steps": 200}}},
    ),
    Analysis(
        "nearest_digits",
        "C10's measure: a nearest neighbour among real and deformed digits; a minute",
        fast={"BATCH": 100, "REAL": (100, 300), "DEFORMED": (100, 300)},
    ),
    Analysis(
        "judging_samples",
        "how many samples a distance needs, what it sees, whether two eyes agree; 3 minutes on one CPU core",
        fast={"POOL": 160, "N": 16, "SIZES": (8, 16), "FEW": 32, "DRAWS": 2, "CHANGES": {"noise": (8,), "blur": (1,)}},
    ),
    Analysis(
        "untrained_worth",
        "what D is worth before its training, and what pixels are: the control of every study that asks; minutes",
    ),
    Analysis(
        "inspection_forgetting_scenes", "C7 on scenes: maps of trunks dropped, judged blind from stored labels; seconds"
    ),
    Analysis(
        "inspection_forgetting_streets",
        "C7 as in the paper: maps of windows dropped, judged blind in two passes; seconds, and the labelling",
    ),
    Analysis(
        "inspection_forgetting_streets_again",
        "C7: windows once more, in three times as many new samples; seconds, and the labelling",
    ),
)
ANALYSES: dict[str, Analysis] = {analysis.name: analysis for analysis in _LISTED}
