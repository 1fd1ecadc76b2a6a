"""How fast is training, side by side with the loop that tutorials teach?

    python benchmarks/speed.py            # a quarter of an hour on two CPU cores; `make bench` runs all of benchmarks/
    python benchmarks/speed.py --avx2     # as on a CPU without AVX512-BF16: AVX2 and float32, for tutorial64
    python benchmarks/speed.py --quick    # two networks, fewer steps: some minutes; writes nothing

Both loops train the same networks on the same folder of JPEGs (made here: smooth random pictures of CelebA's size,
178x218), one after the other in alternation, so that a busy minute hits both. Rates are medians over repeats, with
the smallest and largest; the ratio is that of each repeat's pair. (The plain loop's workers decode ahead, in part while
ours is timed: that favours the plain loop.) Beside them how many operations a step takes
(counted), what the device does on large bfloat16 matrix products (measured), and so the shortest a step could take.
Writes results/bench_cpu.json and its plot bench_cpu.png, or results/bench_cuda.json and bench_cuda.png;
with --avx2 results/bench_cpu_avx2.json. After each network: a run that is stopped keeps those before.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from plain import Loop, forever
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from dcgan_lib import data, models, plots, results, training
from dcgan_lib.device import device_name, pick_device, pick_precision

BATCH = 128
NETS = {"tutorial64": 6, "imagenet32": 2, "paper64": 1, "keras128": 1}  # steps a repeat
GPU_STEPS = 20  # a repeat
REPEATS = 5
FILES = 20_000
GOALS = {"cpu": 2.5, "cuda": 8.0}


def pictures(folder: Path, count: int) -> None:
    """Smooth random JPEGs, as large and about as heavy as CelebA's."""

    def make(i: int) -> None:
        coarse = Image.fromarray(np.random.default_rng(i).integers(0, 256, (12, 10, 3), dtype=np.uint8))
        coarse.resize((178, 218), Image.Resampling.BICUBIC).save(folder / f"{i:06d}.jpg", quality=90)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(tqdm(pool.map(make, range(count)), "making JPEGs", count, delay=2))


def wait(device: torch.device) -> None:
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def seconds(call, device: torch.device) -> float:
    wait(device)
    started = time.perf_counter()
    call()
    wait(device)
    return time.perf_counter() - started


def summary(values: list[float]) -> dict:
    return {"median": statistics.median(values), "smallest": min(values), "largest": max(values)}


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second on large matrix products: the best of several."""
    n = 8192 if device.type == "cuda" else 2048
    a = torch.randn(n, n, device=device, dtype=dtype)
    return 2 * n**3 / min(seconds(lambda: a @ a, device) for _ in range(10))


def operations(trainer) -> int:
    """Of one step, counted: multiplications and additions of convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter:
        trainer.step(0, False)
    return counter.get_total_flops()


def plain_loop(pipe, arch: models.Architecture, folder: Path, workers: int, steps: int, device: torch.device) -> None:
    """In a process of its own, since ours changes how its process keeps memory: answers each "go" with seconds."""
    loop = Loop(arch, forever(folder, arch.image_size, BATCH, workers), device, seed=0)
    while pipe.recv() == "go":
        pipe.send(seconds(lambda: [loop.step() for _ in range(steps)], device))


def training_rates(
    folder: Path, name: str, steps: int, device: torch.device, workers: int, rate: float, precision: str
) -> dict:
    arch = models.architecture(name)
    images = data.load(folder, image_size=arch.image_size)
    config = training.TrainConfig(
        data=folder, out="unused", arch=arch, steps=1, batch_size=BATCH, device=device.type, precision=precision
    )
    ours = training.Trainer(config, arch, images.images)
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    plain = context.Process(target=plain_loop, args=(other, arch, folder, workers, steps, device))
    plain.start()
    other.close()  # so that a loop that dies is noticed
    counted, step = operations(ours), 0

    def run_ours():
        nonlocal step
        for _ in range(steps):
            step += 1
            ours.step(step, step % config.log_every == 0)

    def run_plain() -> float:
        pipe.send("go")
        return pipe.recv()

    run_plain()
    run_ours()  # on a GPU long enough to record the step
    pairs = []
    for _ in range(REPEATS):
        pairs.append((BATCH * steps / run_plain(), BATCH * steps / seconds(run_ours, device)))
    pipe.send("stop")
    plain.join()
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


def keep(measured: dict, nets: dict[str, int], images: data.ImageSet, device: torch.device, avx2: bool) -> Path:
    """Write what was measured so far. The settings name all networks, `measured` those that are done."""
    path = results.record(
        f"bench_{device.type}" + "_avx2" * avx2,
        measured,
        command="python benchmarks/speed.py" + " --avx2" * avx2,
        settings={"nets": nets, "jpegs": "made by the benchmark, 178x218, quality 90"},
        seed=0,
        images=images,
        device=device_name(device),
    )
    if not avx2:
        plots.rates(measured["training"]).savefig(path.with_suffix(".png"), dpi=130)
    return path


def main(quick: bool, avx2: bool) -> None:
    device = pick_device("cpu" if avx2 else "auto")
    workers = min(4, os.cpu_count() or 1)
    precision = "float32" if avx2 else pick_precision("auto", device)
    rate = matmul_rate(device, getattr(torch, precision))
    measured = {"matmul_gigaflops": rate / 1e9, "batch_size": BATCH, "repeats": REPEATS, "workers": workers}
    measured |= {"goal": 1.0 if avx2 else GOALS.get(device.type), "training": {}}
    nets = {"tutorial64": 3} if avx2 else {"tutorial64": 3, "imagenet32": 2} if quick else NETS
    nets = dict.fromkeys(nets, GPU_STEPS) if device.type == "cuda" else nets
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "jpegs"
        folder.mkdir()
        os.environ["DCGAN_CACHE"] = str(Path(temporary) / "cache")
        pictures(folder, 2_000 if quick or avx2 else FILES)
        images = data.load(folder, image_size=64)
        for name, steps in nets.items():
            measured["training"][name] = training_rates(folder, name, steps, device, workers, rate, precision)
            if not quick:
                print(keep(measured, nets, images, device, avx2))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two networks, fewer steps; nothing is written")
    parser.add_argument("--avx2", action="store_true", help="as on a CPU without AVX512-BF16; tutorial64 alone")
    asked = parser.parse_args()
    old = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
    if asked.avx2 and not old.items() <= os.environ.items():  # libraries look at these when they are loaded
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | old)
    main(asked.quick, asked.avx2)
