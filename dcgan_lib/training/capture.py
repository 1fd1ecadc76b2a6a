"""A training step as one CUDA graph: the GPU gets its hundreds of small kernels at once, not one by one from Python."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WARM = 3  # calls on a stream of their own before anything is recorded, as PyTorch asks; they train like all others


class Captured:
    """Calls a function of tensors on a GPU; records it at the fourth call and replays it from then on.

    Its inputs are tensors, each of the same shape at every call, or None; it returns a dict of tensors and changes
    others in place, such as weights. Python runs only while it is recorded: what it decides there stays decided. What
    it changes has to stay where it is in memory. The function is given with every call and not kept, so that nothing
    that it belongs to is.
    """

    def __init__(self, device: torch.device):
        self.device, self.calls = device, 0
        self.stream = torch.cuda.Stream(device)

    def __call__(self, function: Callable[..., dict[str, Tensor]], *inputs: Tensor | None) -> dict[str, Tensor]:
        if self.calls < WARM:
            self.calls += 1
            return self._beside(function, inputs)
        if self.calls == WARM:
            self._record(function, inputs)
            self.calls += 1
        for static, now in zip(self.inputs, inputs, strict=True):
            if now is not None:
                static.copy_(now)
        self.graph.replay()
        return {name: value.clone() for name, value in self.outputs.items()}  # the next replay overwrites them

    def _beside(self, function, inputs) -> dict[str, Tensor]:
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            outputs = function(*inputs)
        current.wait_stream(self.stream)
        return outputs

    def _record(self, function, inputs) -> None:
        self.inputs = [None if x is None else x.clone() for x in inputs]  # where every call puts its own; same layout
        self.graph = torch.cuda.CUDAGraph()
        # thread_local: a thread that reads minibatches ahead may go on taking pinned memory.
        with torch.cuda.graph(self.graph, stream=self.stream, capture_error_mode="thread_local"):
            self.outputs = function(*self.inputs)
