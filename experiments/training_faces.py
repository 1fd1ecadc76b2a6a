"""C1 on faces: the PyTorch tutorial's network on the first 10,000 aligned faces of CelebA, 64x64, 30 epochs.

    python experiments/training_faces.py

CelebA comes from torchvision or the Hugging Face hub, or from celeba.npz in DCGAN_DATA (see the data page). The paper
trained on 350,000 face boxes that were never released, for 25 epochs, with twice the widths. 300,000 pictures seen:
about 40 minutes on two CPU cores with bfloat16, two minutes on a GPU. Writes results/training_faces.json,
results/training_faces_film.png and dcgan_lib/weights/faces.safetensors.
"""

from reference import film, finish, statistics_difference, thin

from dcgan_lib import data, metrics, models, results, training

RUN = training.TrainConfig(data="celeba", limit=10_000, out="runs/faces", arch="tutorial64", epochs=30, seed=0)
SAMPLES = 2_000


def main() -> None:
    real = data.load("celeba", limit=RUN.limit)
    run = training.train(RUN)
    images = models.sample(run.generator, models.sample_latent(SAMPLES, run.generator.arch, 1))
    measured = {
        "samples": SAMPLES,
        "spread": metrics.spread(images),
        "real_spread": metrics.spread(real.tensor(slice(0, SAMPLES))),
        "statistics": statistics_difference(run.generator),
        **thin(run),
    }
    measured["film_steps"] = film(run, "training_faces", frames=(0, 1, 2, 4, 8, 16, -1))
    good = measured["finite"] and measured["spread"] > 0.5 * measured["real_spread"]
    claims = {
        "C1": {
            "ours": f"CelebA, {len(real):,} faces, {measured['epochs']:.0f} epochs at 64x64: "
            f"{'no' if good else 'a'} NaN or collapse; samples vary {measured['spread'] / measured['real_spread']:.0%} "
            "as much as real faces, pixel by pixel.",
            "verdict": "holds on this set" if good else "does not hold on this set",
        }
    }
    finish("training_faces", "faces", run, RUN, measured, claims)


if __name__ == "__main__":
    main()
    print(results.folder() / "training_faces.json")
