"""How large a picture? The networks of Peintner et al. (4.2) and the tutorial's, at 32, 64 and 128 pixels.

They report steps of 28 and 5 times the time at 128 pixels. Time, multiplications and memory of a step are taken side by
side; the practical network of 128 pixels is trained on, for its samples, from LFW's pictures of 250 pixels.

Cost: 3 seeds of 192,000 pictures (14.5 epochs) at 128 pixels, some 100 a second on two quiet cores: 1.6 hours. The
others take two steps and six that are timed, and draw no samples: some ten minutes, most of them for `keras128_wide`,
whose weights, gradients and Adam's averages fill 2.3 GB. Recorded are the times of two cores; the practical network was
trained on an H200.
"""

from dcgan_lib import data, training
from dcgan_lib.data.npz import shape_of

from .. import measures, rules, scale
from ..study import Prediction, Study, Variant

COST = measures.cost.set(steps=5, warm=1)
PREPARED = (
    "lfw250.npz",
    "lfw128.npz",
    "lfw.npz",
)  # in DCGAN_DATA, the first that there is; else as the library gets LFW


def not_enlarged(config: training.TrainConfig) -> data.ImageSet:
    """LFW at the network's size. Raises NotAvailable where the prepared pictures are smaller than that."""
    size = config.arch.image_size
    path = next((p for p in map(data.data_root().joinpath, PREPARED) if p.exists()), None)
    if path is None:
        return data.load("lfw", image_size=size)
    side = shape_of(path)[1]
    if side < size and not scale.fast():
        raise data.NotAvailable(
            f"{path.name} holds pictures of {side} pixels, {size} are needed: put larger ones (the originals "
            f"have 250) as {' or '.join(PREPARED[:2])} into DCGAN_DATA"
        )
    return data.load(path, image_size=size)


def timed(name: str, config: dict | None = None, **rest) -> Variant:
    """Two steps, and what a step costs: there is nothing to judge by samples."""
    return Variant(name, {"steps": 2} | (config or {}), measures=(measures.statistics, COST), on_sheet=False, **rest)


STUDY = Study(
    "output_size",
    "networks of 32, 64 and 128 pixels on faces: time, memory and multiplications of a step; 2 hours on two CPU cores",
    training.TrainConfig(data="lfw", out="runs/output_size", arch="tutorial64", batch_size=64, steps=3_000),
    (
        timed("keras64", {"arch": "keras64"}, note="Peintner et al., 64 pixels; timed only"),
        timed("keras128", {"arch": "keras128"}, note="one layer more, widths kept; they: 5 times the time"),
        timed("keras128_wide", {"arch": "keras128_wide"}, note="all widths doubled; they: 28 times the time"),
        timed("tutorial32", arch={"image_size": 32}, note="timed only"),
        timed("tutorial64", note="timed only"),
        Variant("tutorial128", {"ema_decay": 0.999}, {"image_size": 128}, note="trained for its samples"),
    ),
    seeds=(0, 1, 2),
    measures=(
        measures.statistics,
        measures.spread.set(samples=500),
        measures.frechet.set(samples=1_000),
        measures.quality.set(eye="efficientnet", samples=500),
        measures.d_worth.set(labelled_set="cifar10"),
    ),
    predicts=(
        Prediction(
            "Their ratios: a step of keras128_wide takes 28 times, one of keras128 5 times as long as one of keras64, "
            "within a factor of 1.5.",
            rules.time_ratios("keras64", {"keras128": 5, "keras128_wide": 28}),
        ),
        Prediction(
            "Time goes with multiplications, within a factor of 1.5: the ratios are the networks', not the machine's.",
            rules.time_as_multiplications("keras64", "keras128", "keras128_wide"),
        ),
        Prediction(
            "Faces of 128 pixels train stably: samples are nearer to them than noise, copies, blurs and shuffled ones.",
            rules.stable("tutorial128"),
        ),
    ),
    images=not_enlarged,
)
