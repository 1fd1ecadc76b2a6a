"""What else does a reader wait for? The first use of a folder of JPEGs, sampling, features, imports, the book.

    python benchmarks/waiting.py

The JPEGs are those of benchmarks/speed.py; they are decoded into an empty cache. A minute or two. Writes
results/bench_waiting_cpu.json or results/bench_waiting_cuda.json.
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
from speed import FILES, pictures, seconds, summary

from dcgan_lib import data, features, models, results
from dcgan_lib.device import device_name, pick_device


def import_seconds(what: str) -> float:
    """In a fresh process: the median of three."""
    call = [sys.executable, "-c", f"import time; t = time.perf_counter(); {what}; print(time.perf_counter() - t)"]
    found = [float(subprocess.run(call, capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    return statistics.median(found)


def page_build_seconds() -> float | None:
    """The whole book from stored outputs, into a temporary folder; None where that fails."""
    root = Path(__file__).parents[1]
    tool = Path(sys.executable).with_name("jupyter-book")
    if not tool.exists():
        return None
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        call = [tool, "build", root, "--path-output", out, "-n", "--quiet"]
        done = subprocess.run(call, capture_output=True, text=True)
        if done.returncode:
            print(f"the book was not built: {done.stderr[-500:]}", file=sys.stderr)
            return None
        return time.perf_counter() - started


def drawing_and_features(device: torch.device) -> dict:
    """Pictures a second of both."""
    generator, _ = models.build("tutorial64", seed=0)
    generator.to(device).eval()
    z = models.sample_latent(1024, generator.arch, 0).to(device)
    _, discriminator = models.build("imagenet32", seed=0)
    discriminator.to(device)
    small = np.random.default_rng(0).integers(0, 256, (2048, 32, 32, 3), np.uint8)

    def sample():
        models.sample(generator, z)

    def extract():
        features.discriminator_features(discriminator, small, calibrate_on=small[:256], precision="auto")

    out = {}
    for name, call, count in (("sampling", sample, len(z)), ("features", extract, len(small))):
        call()  # warms up
        out[name] = summary([count / seconds(call, device) for _ in range(3)])
    return out


def main() -> None:
    device = pick_device()
    measured = drawing_and_features(device)
    modules = {"torch": "torch", "dcgan_lib": "dcgan_lib.models"}
    measured["import_seconds"] = {name: import_seconds(f"import {module}") for name, module in modules.items()}
    measured["page_build_seconds"] = page_build_seconds()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "jpegs"
        folder.mkdir()
        os.environ["DCGAN_CACHE"] = str(Path(temporary) / "cache")
        pictures(folder, FILES)
        started = time.perf_counter()
        images = data.load(folder, image_size=64)
        decoded = time.perf_counter()
        data.load(folder, image_size=64)
        measured["decoding"] = {
            "files": len(images),
            "first": decoded - started,
            "again": time.perf_counter() - decoded,
        }
    path = results.record(
        f"bench_waiting_{device.type}",
        measured,
        command="python benchmarks/waiting.py",
        settings={"jpegs": "made by the benchmark, 178x218, quality 90"},
        seed=0,
        images=images,
        device=device_name(device),
    )
    print(path)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
