"""C3, first part: the released network for SVHN, trained without labels on the part of SVHN that the test never sees.

    python experiments/training_svhn.py

As released: Gaussian z, batches of 64, learning rate 5e-4. The pictures are the pool and validation parts of
`features.svhn_parts`: its 73,257 training pictures with all of SVHN, 4,931 with the partial one of the reference run.
Writes results/training_svhn.json, a film beside it and dcgan_lib/weights/svhn.safetensors (the discriminator: 2 MB).
"""

from pathlib import Path

import numpy as np
from reference import film, finish, thin

from dcgan_lib import data, features, results, training

PICTURES = Path("runs/svhn_pictures.npz")
RUN = training.TrainConfig(
    data=PICTURES, out="runs/svhn", arch="svhn32", batch_size=64, learning_rate=5e-4, steps=2_000, seed=0
)


def main() -> None:
    parts, note = features.svhn_parts(data.load("svhn"), data.load("svhn", split="test"))
    PICTURES.parent.mkdir(exist_ok=True)
    np.savez(PICTURES, images=np.concatenate([parts["pool"].images, parts["validation"].images]))
    run = training.train(RUN)
    measured = {"part": note, **thin(run)}
    measured["film_steps"] = film(run, "training_svhn", frames=(0, 1, 2, 4, 8, -1))
    finish("training_svhn", "svhn", run, RUN, measured, {}, parts=("discriminator",))


if __name__ == "__main__":
    main()
    print(results.folder() / "training_svhn.json")
