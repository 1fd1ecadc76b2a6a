"""Studies, one a module: data only. `experiments.study` runs them."""

from ..study import Study
from . import (
    architecture,
    cifar10,
    conditional,
    data_size,
    domains,
    faces,
    imagenet32,
    imagenet32_controls,
    latent_size,
    mnist,
    natural32,
    output_range,
    output_size,
    remarks,
    scenes,
    svhn,
    symptoms,
    training_length,
    twice_as_long,
)

# The reference runs of the book first; what else needs them comes later.
_LISTED = (
    imagenet32.STUDY,
    natural32.STUDY,
    natural32.LONG,
    imagenet32_controls.STUDY,
    cifar10.STUDY,
    svhn.STUDY,
    mnist.STUDY,
    faces.STUDY,
    scenes.STUDY,
    scenes.LSUN,
    scenes.STREETS,
    architecture.STUDY,
    output_range.STUDY,
    twice_as_long.STUDY,
    remarks.STUDY,
    data_size.STUDY,
    latent_size.STUDY,
    output_size.STUDY,
    domains.STUDY,
    training_length.STUDY,
    conditional.STUDY,
    symptoms.STUDY,
)
STUDIES: dict[str, Study] = {study.name: study for study in _LISTED}
