"""C2, a further row: a discriminator trained on CIFAR-10's own training pictures, without their labels.

    python experiments/training_cifar10.py

The network for SVHN (7,168 features), eight times cheaper than imagenet32: it says what the right pictures are worth
to a small network. About 8 minutes on two CPU cores. Writes results/training_cifar10.json and a film beside it; the
weights stay in runs/cifar10.
"""

from reference import film, record_run, thin

from dcgan_lib import results, training

RUN = training.TrainConfig(data="cifar10", out="runs/cifar10", arch="svhn32", batch_size=64, epochs=3, seed=0)


def main() -> None:
    run = training.train(RUN)
    measured = thin(run)
    measured["film_steps"] = film(run, "training_cifar10", frames=(0, 1, 2, 4, 8, -1))
    record_run("training_cifar10", run, RUN, measured, {})


if __name__ == "__main__":
    main()
    print(results.folder() / "training_cifar10.json")
