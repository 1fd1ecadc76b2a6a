"""C1 on MNIST: does it train stably, under both schedules? 20 epochs of the complete set each.

The released net for MNIST without its dense hidden layers (the paper's guideline) and without labels; weight decay as
released. 1.2 million pictures a schedule: about 40 minutes for both on two CPU cores, two minutes on a GPU. Ships the
networks of the simultaneous schedule.
"""

from dcgan_lib import training
from dcgan_lib.architecture import architecture

from .. import measures, rules
from ..study import Study, Variant, config_of, film, first_config, measured_of, ship

OF_ALL = ("judge_accuracy", "real", "real_spread", "samples")  # the same for both schedules
FILMS = {"simultaneous": "training_mnist", "alternate": "training_mnist_alternate"}


def report(study: Study, rows: list[dict]) -> tuple[dict, dict]:
    """As results/training_mnist.json has it."""
    measured = {k: rows[0][k] for k in OF_ALL} | {"schedules": {}}
    for variant, row in zip(study.variants, rows, strict=True):
        config = config_of(study, variant, 0)
        measured["schedules"][variant.name] = {k: v for k, v in measured_of(row).items() if k not in OF_ALL}
        frames = (0, 1, 2, 4, 8, 16, -1)
        measured["film_steps"] = film(config.out, FILMS[variant.name], config.arch.image_size, frames)
    good = [s["finite"] and s["classes"] == 10 for s in measured["schedules"].values()]
    simultaneous = measured["schedules"]["simultaneous"]
    claims = {
        "C1": {
            "ours": f"MNIST, {simultaneous['epochs']:.0f} epochs under each of two schedules: {sum(good)} of "
            f"{len(good)} runs finite and with all ten classes; a classifier of real digits finds "
            f"{simultaneous['classes']} of 10 classes in {measured['samples']:,} samples and is sure of "
            f"{simultaneous['confident']:.0%} of them (real test digits: {measured['real']['confident']:.0%}).",
            "verdict": str(rules.stable()(rows)),
        }
    }
    ship("mnist", first_config(study), study.file)
    return measured, claims


STUDY = Study(
    "mnist",
    "MNIST under both schedules, a row of C1; 40 minutes on two CPU cores",
    training.TrainConfig(
        data="mnist",
        out="runs/mnist",
        arch=architecture("mnist28", dense_units=None, norm_affine=True),
        epochs=20,
        weight_decay=2.5e-5,
    ),
    (
        Variant("simultaneous", {"out": "runs/mnist"}),
        Variant("alternate", {"out": "runs/mnist_alternate", "schedule": "alternate"}),
    ),
    measures=(
        measures.class_report,
        measures.spread.set(samples=10_000),
        measures.statistics_difference,
        measures.statistics,
    ),
    report=report,
    result="training_mnist",
)
