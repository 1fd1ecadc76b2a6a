"""The eye that looks at faces for C5, C8 and C9: a small network that learns CelebA's 40 attributes from labels.

    python -m experiments face_attributes

The tutorial's discriminator with half the widths and 40 outputs, on the 9,000 faces that G is trained on too; the
1,000 held-out faces say how often it is right. Some minutes on two CPU cores. Writes
results/training_face_attributes.json and dcgan_lib/weights/classifiers/face_attributes.safetensors.
"""

from dataclasses import asdict

import numpy as np
import torch
from sklearn.metrics import balanced_accuracy_score

from dcgan_lib import checkpoints, data, device, features, models, results
from dcgan_lib.features import supervised

from .. import scale
from ..studies.faces import FACES, HELD_OUT

ARCH = models.architecture("tutorial64", widths=(32, 64, 128, 256))
SETTINGS = supervised.Settings(learning_rate=1e-3, weight_decay=0.05, dropout=0.5, epochs=20, mirror=True)
SEED = 0


def main() -> None:
    faces = data.load("celeba").select(range(FACES + HELD_OUT))
    network = supervised.train_classifier(
        ARCH, faces.images[:FACES], faces.attributes[:FACES], SETTINGS, SEED, progress=True
    )
    network = network.cpu()
    probabilities = features.attribute_probabilities(network, faces.images[FACES:])
    true = np.asarray(faces.attributes[FACES:])
    attributes = {
        name: {
            "share": float(true[:, i].mean()),
            "accuracy": float(((probabilities[:, i] > 0.5) == true[:, i]).mean()),
            "interval": features.interval((probabilities[:, i] > 0.5) == true[:, i]),
            "balanced_accuracy": float(balanced_accuracy_score(true[:, i], probabilities[:, i] > 0.5)),
        }
        for i, name in enumerate(faces.attribute_names)
    }
    checkpoints.save_classifier(
        scale.weights("classifiers/face_attributes.safetensors"),
        network,
        {"names": faces.attribute_names, "result": "results/training_face_attributes.json"},
        torch.float16,
    )
    results.record(
        "training_face_attributes",
        {"trained_on": FACES, "held_out": HELD_OUT, "attributes": attributes},
        command="python -m experiments face_attributes",
        settings=asdict(SETTINGS) | {"architecture": ARCH.to_dict()},
        seed=SEED,
        images=faces,
        device=device.device_name(device.pick_device()),
    )
