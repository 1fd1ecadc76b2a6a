"""C1 on scenes: mountains, seas and streets at 64x64, a stand-in for LSUN's bedrooms where these cannot be had.

    python experiments/training_scenes.py                 # the Intel scenes, from scenes.npz in DCGAN_DATA
    python experiments/training_scenes.py lsun_bedroom    # the paper's set, one epoch at full width: a GPU's work

The Intel scenes go through the PyTorch tutorial's network with half the widths, a quarter of the work: about 20 minutes
on two CPU cores. Writes results/training_scenes.json, its film and dcgan_lib/weights/scenes.safetensors (LSUN:
results/training_lsun_bedroom.json, and nothing that ships).
"""

import sys

from reference import film, finish, record_run, thin

from dcgan_lib import data, metrics, models, results, training
from dcgan_lib.checks import choose

RUNS = {
    "scenes": training.TrainConfig(
        data="scenes",
        out="runs/scenes",
        arch=models.architecture("tutorial64", widths=(32, 64, 128, 256)),
        batch_size=64,
        steps=4_500,
        ema_decay=0.999,
        sample_every=250,
        seed=0,
    ),
    "lsun_bedroom": training.TrainConfig(
        data="lsun_bedroom", out="runs/lsun_bedroom", arch="paper64", epochs=1, ema_decay=0.999, seed=0
    ),
}
SAMPLES = 2_000


def main(name: str) -> None:
    config = RUNS[choose(name, RUNS, "set of scenes")]
    real = data.load(config.data)
    run = training.train(config)
    images = models.sample(run.generator, models.sample_latent(SAMPLES, run.generator.arch, 1))
    measured = {
        "samples": SAMPLES,
        "spread": metrics.spread(images),
        "real_spread": metrics.spread(real.tensor(slice(0, None, max(1, len(real) // SAMPLES)))),
        **thin(run),
    }
    measured["film_steps"] = film(run, f"training_{name}", frames=(0, 1, 2, 4, 8, 16, -1))
    share = measured["spread"] / measured["real_spread"]
    good = measured["finite"] and share > 0.5
    claims = {
        "C1": {
            "ours": f"{real.card.title}, {len(real):,} pictures, {measured['epochs']:.0f} epochs at 64x64: "
            f"{'no' if good else 'a'} NaN or collapse; samples vary {share:.0%} as much as real pictures.",
            "verdict": "holds on this set" if good else "does not hold on this set",
        }
    }
    if name == "scenes":
        finish("training_scenes", "scenes", run, config, measured, claims)
    else:
        record_run(f"training_{name}", run, config, measured, claims, f"experiments/training_scenes.py {name}")


if __name__ == "__main__":
    chosen = sys.argv[1] if len(sys.argv) > 1 else "scenes"
    main(chosen)
    print(results.folder() / f"training_{chosen}.json")
