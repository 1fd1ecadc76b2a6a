"""What do several processes cost? The same global minibatch in one process and in several, on this machine.

    python benchmarks/scaling.py

On CPUs: one process with all cores against two with half of them each (gloo). On a machine with several GPUs: 1, 2, 4 …
of them (NCCL). Counts the bytes that a step exchanges, by looking at every message, and the seconds that it waits for
them. Minutes. Writes results/bench_scaling_cpu.json or results/bench_scaling_cuda.json.
"""

import argparse
import hashlib
import os
import socket
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from speed import BATCH, REPEATS, summary

from dcgan_lib import data, distributed, models, results, training
from dcgan_lib.device import device_name, pick_device

NETS = {"tutorial64": 6, "imagenet32": 3}  # steps a repeat
MESSAGES = {"all_reduce": 0, "all_gather": 1, "all_gather_into_tensor": 1, "all_gather_single": 1}  # what is sent


def pictures(size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (1024, size, size, 3), np.uint8)


def work(rank: int, world: int, port: int, name: str, device: str, out: str) -> None:
    """One process: train, time each repeat, and note the messages."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if device == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
    noted = {"bytes": 0, "seconds": 0.0, "messages": 0}

    def watched(call, position: int):
        def inner(*arguments, **options):
            started = time.perf_counter()
            handle = call(*arguments, **options)
            tensor = arguments[position]
            noted["bytes"] += tensor.numel() * tensor.element_size()
            noted["seconds"] += time.perf_counter() - started
            noted["messages"] += 1
            return handle

        return inner

    with distributed.group(pick_device(device)):
        arch = models.architecture(name)
        config = training.TrainConfig("unused", "unused", arch, steps=1, batch_size=BATCH, device=device)
        trainer, step = training.Trainer(config, arch, pictures(arch.image_size)), 0
        trainer.captures = False  # several processes do without CUDA graphs
        times = []
        for repeat in range(REPEATS + 1):  # the first one warms up
            if repeat == 1:
                for call, position in MESSAGES.items():  # the process ends with this function: nothing to put back
                    if hasattr(dist, call):
                        setattr(dist, call, watched(getattr(dist, call), position))
            started = time.perf_counter()
            for _ in range(NETS[name]):
                step += 1
                trainer.step(step, False)
            if device == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - started)
        if rank == 0:
            done = REPEATS * NETS[name]
            torch.save({"times": times[1:], **{k: v / done for k, v in noted.items()}}, out)


def measure(name: str, world: int, device: str) -> dict:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port, out = free.getsockname()[1], str(Path(folder) / "out.pt")
        free.close()
        mp.spawn(work, (world, port, name, device, out), nprocs=world)
        found = torch.load(out)
    rates = [BATCH * NETS[name] / t for t in found["times"]]
    row = summary(rates)
    row |= {"bytes_a_step": int(found["bytes"]), "messages_a_step": int(found["messages"])}
    row |= {"waiting_a_step": found["seconds"] if device == "cpu" else None}  # NCCL's calls return at once
    print(f"{name}, {world} processes: {row['median']:.1f} pictures/s, {row['bytes_a_step'] / 1e6:.1f} MB a step")
    return row


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    worlds = [2**i for i in range(8) if 2**i <= torch.cuda.device_count()] if device == "cuda" else [1, 2]
    measured = {
        "batch_size": BATCH,
        "repeats": REPEATS,
        "networks": {name: {str(world): measure(name, world, device) for world in worlds} for name in NETS},
    }
    noise = pictures(64)
    images = data.ImageSet("noise", "none", noise, hashlib.sha256(noise.tobytes()).hexdigest())
    print(
        results.record(
            f"bench_scaling_{device}",
            measured,
            command="python benchmarks/scaling.py",
            settings={"processes": worlds, "steps_a_repeat": NETS},
            seed=0,
            images=images,
            device=device_name(torch.device(device)),
        )
    )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
