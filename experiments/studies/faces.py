"""C1 on faces, and the face generator of the book: the PyTorch tutorial's network on 9,000 aligned faces of CelebA.

    python experiments/training_faces.py

CelebA comes from torchvision or the Hugging Face hub, or from celeba.npz in DCGAN_DATA (see the data page). Of its
first 10,000 faces the last 1,000 are held out, so that "is it new?" (C5) can be asked. The paper trained on 350,000
face boxes that were never released, for 25 epochs, with twice the widths and batches of 128; here batches of 64, as in
soumith's port, give twice the steps in the same time. The weights that ship are G's moving average at the stage with
the lowest Fréchet distance to the training faces, in the features of the attribute classifier
(experiments/training_face_attributes.py runs first). 384,000 pictures seen: 50 minutes on two CPU cores
with bfloat16, minutes on a GPU. Writes results/training_faces.json, its film and dcgan_lib/weights/faces.safetensors.
"""

from reference import film, finish, in_stages, kept, statistics_difference, thin

from dcgan_lib import checkpoints, data, features, metrics, models, results, training

FACES, HELD_OUT = 9_000, 1_000
STAGES = (1000, 2000, 3000, 4000, 5000, 6000)
RUN = training.TrainConfig(
    data="celeba",
    limit=FACES,
    out="runs/faces",
    arch="tutorial64",
    batch_size=64,
    steps=STAGES[-1],
    ema_decay=0.999,
    sample_every=250,
    seed=0,
)
SAMPLES = 5_000


def main() -> None:
    real = data.load("celeba", limit=FACES)
    held_out = data.load("celeba", limit=FACES + HELD_OUT).images[FACES:]
    classifier, _ = checkpoints.load_classifier("face_attributes")
    run = in_stages(RUN, STAGES)
    vectors = features.deep_features(classifier, real.images)
    latent = models.sample_latent(SAMPLES, run.generator.arch, 1)
    curve = []
    for step, path in kept(RUN, STAGES).items():
        images = models.sample(checkpoints.load(path)[0], latent)
        distance = metrics.frechet_distance(features.deep_features(classifier, images), vectors)
        curve.append({"step": step, "frechet": distance, "spread": metrics.spread(images)})
    best = min(curve, key=lambda row: row["frechet"])
    source = kept(RUN, STAGES)[best["step"]]
    chosen = training.Run(*checkpoints.load(source), run.stats, run.out)
    measured = {
        "samples": SAMPLES,
        "stages": curve,
        "chosen": best,
        # What the distance is between two sets of real faces, one as small as the held-out part is.
        "frechet_held_out": metrics.frechet_distance(features.deep_features(classifier, held_out), vectors),
        "spread": best["spread"],
        "real_spread": metrics.spread(real.tensor(slice(0, 2_000))),
        "statistics": statistics_difference(chosen.generator),
        **thin(run),
    }
    measured["film_steps"] = film(run, "training_faces", frames=(0, 3, 4, 5, 7, 12, -1))
    good = measured["finite"] and measured["spread"] > 0.5 * measured["real_spread"]
    claims = {
        "C1": {
            "ours": f"CelebA, {len(real):,} faces, {measured['epochs']:.0f} epochs at 64x64: "
            f"{'no' if good else 'a'} NaN or collapse; samples vary {measured['spread'] / measured['real_spread']:.0%} "
            "as much as real faces, pixel by pixel.",
            "verdict": "holds on this set" if good else "does not hold on this set",
        }
    }
    finish("training_faces", "faces", chosen, RUN, measured, claims, parts=("generator",), source=source)


if __name__ == "__main__":
    main()
    print(results.folder() / "training_faces.json")
