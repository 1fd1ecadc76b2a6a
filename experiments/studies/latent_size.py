"""How long a z? 10 to 1,000 (Peintner et al., 4.3; Dai et al.): distances, smoothness of walks, dimensions filled.

Peintner et al. interpolate in ten steps and ask for a measure of smoothness: path length and largest step in an eye's
features.
"""

from dataclasses import replace

from .. import measures, rules
from ..study import Prediction, Study, Variant
from .architecture import STUDY as ARCHITECTURE
from .faces import first_faces

STUDY = Study(
    "latent_size",
    "z of 10, 20, 100, 500 and 1,000 numbers: distances, ten-step walks, effective dimension; minutes a training",
    replace(ARCHITECTURE.base, out="runs/latent_size"),
    tuple(Variant(f"latent_{n}", arch={"latent_dim": n}) for n in (10, 20, 100, 500, 1000)),
    seeds=(0, 1, 2),
    measures=(measures.statistics, measures.spread, measures.frechet.set(samples=2_000), measures.walks),
    predicts=(
        Prediction(
            "The paper's 100 is enough: no larger z has a distance below that of 100 beyond the seeds.",
            rules.no_gain(("latent_100", "latent_500"), ("latent_100", "latent_1000")),
        ),
    ),
    images=first_faces,
    not_run="its trainings have not been run yet: five variants, three seeds each",
)
