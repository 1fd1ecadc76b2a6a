"""How many numbers in z? 10 to 1,000 (Peintner et al., 4.3; Dai et al.): distances, smoothness of walks, dimensions.

Peintner et al. interpolate in ten steps, with z of 20 and 500, and ask for a measure of smoothness: path length and
largest step in an eye's features, beside those of a cross-fade.

Cost: 5 variants x 3 seeds = 15 trainings x 256,000 pictures (28 epochs) = 3.8 million; at 1,400 pictures a second on
two quiet cores 46 minutes, and 15 minutes for what is measured. The study `architecture` trains three of them for half
as long; a copy goes on from there and ends the same, which saves a quarter of an hour (other seeds are in …_seed1 and
…_seed2, latent_10 and latent_1000 have one name in both):

    mkdir -p runs/latent_size && cp -r runs/architecture/base runs/latent_size/latent_100
"""

from dataclasses import replace

from .. import measures, rules
from ..study import Prediction, Study, Variant
from .architecture import STUDY as ARCHITECTURE
from .faces import first_faces

STUDY = Study(
    "latent_size",
    "z of 10, 20, 100, 500 and 1,000 numbers: distances, ten-step walks, dimensions filled; an hour on two CPU cores",
    replace(ARCHITECTURE.base, out="runs/latent_size", steps=4_000),
    tuple(Variant(f"latent_{n}", arch={"latent_dim": n}) for n in (10, 20, 100, 500, 1000)),
    seeds=(0, 1, 2),
    measures=(
        *measures.SAMPLED,
        measures.walks,
        measures.d_worth.set(labelled_set="celeba", attribute="Smiling"),
    ),
    predicts=(
        Prediction(
            "The paper's 100 is enough: no larger z has a distance below that of 100 beyond the seeds.",
            rules.no_gain(("latent_100", "latent_500"), ("latent_100", "latent_1000")),
        ),
        Prediction(
            "A short z is too short: samples of 10 fill fewer dimensions than those of 100, in every seed.",
            rules.lower("effective_dimension", ("latent_10", "latent_100")),
        ),
        Prediction(
            "A longer z walks smoother: in every seed the largest step of walks with 500 numbers is smaller than of "
            "those with 20.",
            rules.smoother("latent_20", "latent_500"),
        ),
    ),
    images=first_faces,
)
