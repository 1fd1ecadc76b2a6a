"""How fast is training, side by side with the loop that tutorials teach, and the rest that a reader waits for?

    python benchmarks/speed.py            # `make bench` runs this and benchmarks/svm.py; 15 minutes on two CPU cores
    python benchmarks/speed.py --quick    # two networks, fewer steps: some minutes; writes nothing

Both loops train the same networks on the same folder of JPEGs (made here: smooth random pictures of CelebA's size,
178x218), one after the other in alternation, so that a busy minute hits both. Rates are medians over repeats, with
the smallest and largest; the ratio is that of each repeat's pair. Beside them how many operations a step takes
(counted), what the device does on large bfloat16 matrix products (measured), and so the shortest a step could take.
Writes results/bench_cpu.json or results/bench_cuda.json.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from plain import Loop, forever
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from dcgan_lib import data, features, models, results, training

BATCH = 128
NETS = {"tutorial64": 6, "imagenet32": 3, "paper64": 2, "keras128": 2}  # steps a repeat; more on a GPU
REPEATS = 5
FILES = 20_000
GOALS = {"cpu": 2.5, "cuda": 8.0}


def pictures(folder: Path, count: int) -> None:
    """Smooth random JPEGs, as large and about as heavy as CelebA's."""
    rng = np.random.default_rng(0)
    for i in tqdm(range(count), "making JPEGs", delay=2):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 10, 3), dtype=np.uint8))
        coarse.resize((178, 218), Image.Resampling.BICUBIC).save(folder / f"{i:06d}.jpg", quality=90)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds(call, device: torch.device) -> float:
    wait(device)
    started = time.perf_counter()
    call()
    wait(device)
    return time.perf_counter() - started


def summary(values: list[float]) -> dict:
    return {"median": statistics.median(values), "smallest": min(values), "largest": max(values)}


def matmul_rate(device: torch.device) -> float:
    """Operations a second on large bfloat16 products: the best of several."""
    n = 8192 if device.type == "cuda" else 2048
    a = torch.randn(n, n, device=device, dtype=torch.bfloat16)
    return 2 * n**3 / min(seconds(lambda: a @ a, device) for _ in range(10))


def operations(trainer) -> int:
    """Of one step, counted: multiplications and additions of convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter:
        trainer.step(0, False)
    return counter.get_total_flops()


def training_rates(folder: Path, name: str, steps: int, device: torch.device, workers: int, rate: float) -> dict:
    arch = models.architecture(name)
    images = data.load(folder, image_size=arch.image_size, limit=2_000)
    config = training.TrainConfig(data=folder, out="unused", arch=arch, steps=1, batch_size=BATCH, device=device.type)
    ours = training._Trainer(config, arch, images.images)
    plain = Loop(arch, forever(folder, arch.image_size, BATCH, workers), device, seed=0)
    counted, step = operations(ours), 0

    def run_ours():
        nonlocal step
        for _ in range(steps):
            step += 1
            ours.step(step, step % config.log_every == 0)

    run_ours()
    plain.step()
    pairs = []
    for _ in range(REPEATS):
        pairs.append(
            [BATCH * steps / seconds(run, device) for run in (lambda: [plain.step() for _ in range(steps)], run_ours)]
        )
    found = {
        "plain": summary([p for p, _ in pairs]),
        "ours": summary([o for _, o in pairs]),
        "ratio": summary([o / p for p, o in pairs]),
        "gigaflop_a_picture": counted / BATCH / 1e9,
        "fastest_possible": rate * BATCH / counted,  # pictures a second at the matrix product's rate
        "precision": ours.precision,
    }
    print(
        f"{name}: plain {found['plain']['median']:.0f}, ours {found['ours']['median']:.0f} pictures/s, "
        f"{found['ratio']['median']:.2f}x ({found['ratio']['smallest']:.2f} to {found['ratio']['largest']:.2f}); "
        f"at the rate of matrix products {found['fastest_possible']:.0f}"
    )
    return found


def import_seconds(what: str) -> float:
    """In a fresh process: the median of three."""
    call = [sys.executable, "-c", f"import time; t = time.perf_counter(); {what}; print(time.perf_counter() - t)"]
    found = [float(subprocess.run(call, capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    return statistics.median(found)


def page_build_seconds() -> float | None:
    """The whole book from stored outputs, into a temporary folder; None where jupyter-book is not installed."""
    root = Path(__file__).parents[1]
    tool = Path(sys.executable).with_name("jupyter-book")
    if not tool.exists():
        return None
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        subprocess.run([tool, "build", root, "--path-output", out, "-n", "--quiet"], check=True, capture_output=True)
        return time.perf_counter() - started


def main(quick: bool) -> None:
    device = training.pick_device()
    workers = min(4, os.cpu_count() or 1)
    rate = matmul_rate(device)
    measured = {"matmul_gigaflops": rate / 1e9, "batch_size": BATCH, "repeats": REPEATS, "workers": workers}
    measured |= {"goal": GOALS.get(device.type), "training": {}}
    nets = {"tutorial64": 3, "imagenet32": 2} if quick else NETS
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "jpegs"
        folder.mkdir()
        os.environ["DCGAN_CACHE"] = str(Path(temporary) / "cache")
        pictures(folder, 2_000 if quick else FILES)
        for name, steps in nets.items():
            steps *= 10 if device.type == "cuda" else 1
            measured["training"][name] = training_rates(folder, name, steps, device, workers, rate)
        if quick:
            return
        started = time.perf_counter()
        images = data.load(folder, image_size=64)
        measured["decoding"] = {"files": FILES, "seconds": time.perf_counter() - started}
        started = time.perf_counter()
        data.load(folder, image_size=64)
        measured["decoding"]["seconds_again"] = time.perf_counter() - started
    generator, _ = models.build("tutorial64", seed=0)
    generator.to(device).eval()
    z = models.sample_latent(1024, generator.arch, 0).to(device)
    models.sample(generator, z[:256])
    measured["sampling"] = summary([len(z) / seconds(lambda: models.sample(generator, z), device) for _ in range(5)])
    _, discriminator = models.build("imagenet32", seed=0)
    small = np.random.default_rng(0).integers(0, 256, (2048, 32, 32, 3), np.uint8)

    def extract():
        features.discriminator_features(discriminator.to(device), small, calibrate_on=small[:256], precision="auto")

    extract()
    measured["features"] = summary([len(small) / seconds(extract, device) for _ in range(3)])
    measured["import_seconds"] = {
        name: import_seconds(what)
        for name, what in {
            "torch": "import torch",
            "dcgan_lib": "import dcgan_lib",
            "models": "import dcgan_lib.models",
        }.items()
    }
    measured["page_build_seconds"] = page_build_seconds()
    path = results.record(
        f"bench_{device.type}",
        measured,
        command="python benchmarks/speed.py",
        settings={"nets": nets, "jpegs": "made by the benchmark, 178x218, quality 90"},
        seed=0,
        images=images,
        device=training.device_name(device),
    )
    print(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two networks, fewer steps; nothing is written")
    main(parser.parse_args().quick)
