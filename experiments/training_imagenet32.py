"""C2, first part: the paper's network for 32x32 ImageNet, trained on Tiny ImageNet's 100,000 pictures at 32x32.

    python experiments/training_imagenet32.py

CIFAR-10 is never seen. The paper trained on 1.28 million pictures of ImageNet-1k; this run is as long as two CPU cores
and an afternoon allow (batches of 64 instead of 128, for twice the steps in the same time). Keeps the weights at each
of STAGES for the curve of accuracy against training. Writes results/training_imagenet32.json, a film beside it and
dcgan_lib/weights/imagenet32.safetensors (the discriminator alone: 9 MB).
"""

from reference import film, finish, in_stages, thin

from dcgan_lib import data, metrics, models, results, training

STAGES = (60, 250, 500, 1000, 2000, 2400)
RUN = training.TrainConfig(
    data="tinyimagenet",
    out="runs/imagenet32",
    arch="imagenet32",
    batch_size=64,
    steps=STAGES[-1],
    sample_every=250,
    seed=0,
)
SAMPLES = 2_000


def main() -> None:
    real = data.load(RUN.data, image_size=32)
    run = in_stages(RUN, STAGES)
    images = models.sample(run.generator, models.sample_latent(SAMPLES, run.generator.arch, 1))
    measured = {
        "samples": SAMPLES,
        "spread": metrics.spread(images),
        "real_spread": metrics.spread(real.tensor(slice(0, None, len(real) // SAMPLES))),
        **thin(run),
    }
    measured["film_steps"] = film(run, "training_imagenet32", frames=(0, 1, 2, 4, 8, -1))
    finish("training_imagenet32", "imagenet32", run, RUN, measured, {}, parts=("discriminator",))


if __name__ == "__main__":
    main()
    print(results.folder() / "training_imagenet32.json")
