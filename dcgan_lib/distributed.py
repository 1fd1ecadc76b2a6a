"""One training in several processes (torchrun, accelerate launch): who writes, shared batch statistics, mean gradients.

A minibatch is cut into equal parts, one a process. With batch norm's statistics taken over all parts and gradients
averaged, a step is the same as in one process, up to rounding. Processes are told by the environment (RANK,
WORLD_SIZE, LOCAL_RANK, MASTER_ADDR), which torchrun sets; without it there is one.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn


class PeerFailed(RuntimeError):
    """Another process of this training has ended with an error of its own."""


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number; 0 writes files and shows progress."""
    return dist.get_rank() if world_size() > 1 else 0


@contextlib.contextmanager
def group(device: torch.device) -> Iterator[None]:
    """Joins the processes for the time of a `with`: NCCL between GPUs, gloo between CPUs. Nothing for one process."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    if device.type == "mps":
        raise ValueError("several processes need device='cuda' or 'cpu', got mps")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def synchronise(network: nn.Module) -> nn.Module:
    """The network with batch statistics over all processes' pictures; the same names in its state_dict."""
    device = next(network.parameters()).device
    network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    if device.type != "cuda":  # torch's own forward wants a GPU
        for module in network.modules():
            if isinstance(module, nn.SyncBatchNorm):
                module.forward = functools.partial(_batch_norm, module)
    return network


def average_gradients(network: nn.Module) -> None:
    """Replaces each gradient by its mean over the processes, in one message."""
    if world_size() == 1:
        return
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view(gradient.shape))


def mean(values: Tensor) -> Tensor:
    """The processes' mean of a tensor of statistics."""
    if world_size() == 1:
        return values
    values = values.clone()
    dist.all_reduce(values)
    return values / world_size()


def anyone(asked: bool, device: torch.device) -> bool:
    """Whether any process asks; all must call it at the same step."""
    return bool(mean(torch.tensor(float(asked), device=device)) > 0) if world_size() > 1 else asked


def barrier() -> None:
    """Nobody goes on before all are here."""
    if world_size() > 1:
        dist.barrier()


@contextlib.contextmanager
def together(device: torch.device) -> Iterator[None]:
    """An error inside the `with` in one process ends the others too; nothing inside may wait for another process."""
    try:
        yield
    except BaseException:
        anyone(True, device)
        raise
    if anyone(False, device):
        raise PeerFailed("another process failed: see its message")


def agree(value: str, what: str, device: torch.device) -> None:
    """Raises ValueError when the processes hold different values, such as settings; all must call it."""
    if world_size() == 1:
        return
    number = int.from_bytes(hashlib.sha256(value.encode()).digest()[:7], "big")
    values = torch.zeros(world_size(), dtype=torch.int64, device=device)
    values[rank()] = number
    dist.all_reduce(values)
    if len(set(values.tolist())) > 1:
        raise ValueError(
            f"the processes differ in {what} (process {rank()}: {value[:300]}). They must get the same call, see the "
            "same pictures, and share the run's folder"
        )


class _Gather(torch.autograd.Function):
    """(C,) of each process → (processes, C), with a gradient."""

    @staticmethod
    def forward(_, values: Tensor) -> Tensor:
        parts = [torch.empty_like(values) for _ in range(world_size())]
        dist.all_gather(parts, values.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(_, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)  # every process's loss depends on every process's statistics
        return gradient[rank()]


def _batch_norm(norm: nn.SyncBatchNorm, x: Tensor) -> Tensor:
    """What nn.SyncBatchNorm computes, for tensors (N, C) or (N, C, H, W) on a CPU; equal parts a process."""
    if not norm.training:
        return nn.functional.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps
        )
    axes = [i for i in range(x.dim()) if i != 1]
    var, mean = torch.var_mean(x.float(), axes, correction=0)  # (C,)
    var, mean = _Gather.apply(torch.stack([var, mean])).unbind(1)  # (processes, C) each
    total = mean.mean(0)
    spread = (var + (mean - total).square()).mean(0)
    count = x.numel() // x.shape[1] * world_size()
    with torch.no_grad():
        norm.num_batches_tracked += 1
        momentum = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
        norm.running_mean.lerp_(total, momentum)
        norm.running_var.lerp_(spread * count / max(count - 1, 1), momentum)
    scale = torch.rsqrt(spread + norm.eps) * (1 if norm.weight is None else norm.weight)
    shift = (0 if norm.bias is None else norm.bias) - total * scale
    shape = [1, -1] + [1] * (x.dim() - 2)
    return (x.float() * scale.view(shape) + shift.view(shape)).to(x.dtype)
