"""Scale 'fast': every study and analysis in seconds, on stand-ins made of the embedded digits (what tests run).

With DCGAN_SCALE=fast the same code runs on small settings, in folders of its own: runs/fast/data holds the stand-ins
under the names of the sets, runs/fast/results the results files, runs/fast/weights what would ship. Nothing of the
recorded results or of the shipped weights is touched. 'demo' and 'paper' are the reference runs as they are written.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from filelock import FileLock

from dcgan_lib import checkpoints, data
from dcgan_lib.notebook import scale

STEPS, BATCH, PICTURES, LABELLED_TEST = 6, 16, 360, 120
COLOUR = (
    "cifar10",
    "svhn",
    "tinyimagenet",
    "scenes",
    "scenes_all",
    "lfw",
    "anime",
    "fusions",
    "natural32",
    "lsun_bedroom",
)


def fast() -> bool:
    """Whether DCGAN_SCALE says 'fast'."""
    return scale() == "fast"


def runs(name: str = "") -> Path:
    """The folder of a run or of an analysis's notes, relative to where the command was started."""
    return Path("runs", "fast", name) if fast() else Path("runs", name)


def weights(name: str) -> Path:
    """Where weights that ship are written."""
    return runs("weights") / name if fast() else checkpoints.HERE / name


def prepare() -> None:
    """At 'fast': point DCGAN_DATA at the stand-ins and DCGAN_RESULTS at a folder of its own."""
    if not fast():
        return
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is asked for
    os.environ["DCGAN_DATA"] = str(stand_ins(runs("data").absolute()))
    # An empty one counts as none, as for `results.folder`: nothing recorded is written over.
    os.environ["DCGAN_RESULTS"] = os.environ.get("DCGAN_RESULTS") or str(runs("results").absolute())
    Path(os.environ["DCGAN_RESULTS"]).mkdir(parents=True, exist_ok=True)


def stand_ins(folder: Path) -> Path:
    """Digits as <name>.npz for every set that the experiments name: with two splits, labels and, for faces, attributes.

    The names of the attributes are CelebA's; their values are made from the digit's class, so that something can be
    learnt of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):  # several processes may start at once
        if not (folder / "celeba.npz").exists():  # the last to be written
            _write_stand_ins(folder)
    return folder


def _write_stand_ins(folder: Path) -> None:
    last = PICTURES + LABELLED_TEST
    labels = np.asarray(data.load("digits").labels)[:last]

    def write(name: str, size: int, channels: int) -> None:
        images = np.asarray(data.load("digits", image_size=size, channels=channels).images[:last])
        parts = {"x_train": images[:PICTURES], "y_train": labels[:PICTURES]}
        np.savez(folder / f"{name}.npz", **parts, x_test=images[PICTURES:], y_test=labels[PICTURES:])

    write("mnist", 28, 1)
    for name in COLOUR:
        write(name, 32, 3)
    names = checkpoints.load_classifier("face_attributes")[1]["names"]
    attributes = np.stack([(labels * (i + 3)) % 7 < 3 for i in range(len(names))], 1).astype(np.uint8)
    faces = np.asarray(data.load("digits", image_size=64, channels=3).images[:last])
    part = folder / ".celeba.part.npz"
    np.savez(part, images=faces, attributes=attributes, attribute_names=np.array(names))
    part.replace(folder / "celeba.npz")
