"""Where numbers are made: the device, the precision that pays on it, and what a results file says of both."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import time
from importlib import metadata
from pathlib import Path

import torch

from .checks import choose
from .config import PRECISIONS

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "matplotlib", "safetensors")


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """'auto': cuda, else mps, else cpu. Raises ValueError for a device that this machine lacks."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"unknown device {name!r}: expected auto, cpu, cuda, cuda:0 … or mps")
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}.get(device.type, lambda: True)
    if not there():
        raise ValueError(f"this machine has no {device.type} device: take device='cpu' or 'auto'")
    several = ""
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:  # one GPU a process
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        several = "; start no more processes than these (--nproc-per-node)"
    if device.type == "cuda" and (device.index or 0) >= (count := torch.cuda.device_count()):
        raise ValueError(f"this machine has no {device}: it has {count} CUDA devices, from cuda:0{several}")
    return device


def pick_precision(name: str, device: torch.device) -> str:
    """'auto': bfloat16 where the hardware multiplies it faster (recent NVIDIA; CPUs: measured), else float32.

    AMD's GPUs count their generations otherwise, and older ones have no fast bfloat16: there 'auto' is float32.
    """
    choose(name, PRECISIONS, "precision")
    if name != "auto":
        return name
    if device.type == "cuda":
        fast = torch.version.hip is None and torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        fast = device.type == "cpu" and _bfloat16_pays()
    return "bfloat16" if fast else "float32"


@functools.cache
def _bfloat16_pays() -> bool:
    """Whether this CPU multiplies bfloat16 matrices faster than float32 ones: 50 ms, once a process.

    The instruction being there is not enough: an Intel processor with AVX512-BF16, its AMX hidden by a virtual
    machine, does it at half the rate of float32, AMD's Zen 4 at nearly twice.
    """
    if not getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)():
        return False

    def fastest(dtype: torch.dtype) -> float:
        a = torch.ones(768, 768, dtype=dtype)
        times = []
        for _ in range(6):
            start = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - start)
        return min(times)  # of several, so that a busy machine does not decide

    with torch.no_grad():
        return fastest(torch.float32) > 1.15 * fastest(torch.bfloat16)


def memory_format(device: torch.device) -> torch.memory_format:
    """How pictures and convolutions lie in memory: channels last, but on Apple's GPUs.

    There PyTorch's batch norm has given wrong gradients for such pictures, and its convolutions are slow with them.
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def device_name(device: torch.device) -> str:
    """'NVIDIA …', or the processor's name and the threads in use."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {torch.get_num_threads()} threads"


def versions() -> dict[str, str]:
    """Of Python and of the packages that numbers depend on."""
    return {"python": platform.python_version(), **{p: metadata.version(p) for p in PACKAGES}}


@functools.cache
def keep_freed_memory() -> None:
    """Lets the C library keep large blocks that are freed; what was freed stays with the process until it ends.

    Otherwise glibc hands each activation back to Linux, which clears every page anew when the next step asks for it:
    8 % of a step of the tutorial's network. Elsewhere nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):  # no glibc
        change = ctypes.CDLL("libc.so.6").mallopt
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            change(option, value)
