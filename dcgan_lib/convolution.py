"""Strided convolutions whose weight gradient is one matrix product, where that is faster: bfloat16 on a CPU.

oneDNN's kernel for this gradient is slow on small maps: 147 GFLOPS where the product reaches 326 (256 to 512 channels,
8x8 pixels, batch 128, two cores with AVX512-BF16). Everywhere else these layers are torch's own, whose names, weights
and results they share.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LARGEST = 16  # side of the larger map, in pixels: above it oneDNN's kernel is as fast


def _gain(layer: nn.Module, x: Tensor, side: int) -> bool:
    autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") is torch.bfloat16
    plain = layer.stride == (2, 2) and layer.bias is None and layer.groups == 1 and layer.dilation == (1, 1)
    learning = torch.is_grad_enabled() and layer.weight.requires_grad
    return x.device.type == "cpu" and autocast and plain and learning and side <= LARGEST


def _weight_gradient(large: Tensor, small: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Sum over positions of small (N, A, h, w) times the patch of large (N, B, H, W) that it meets: (A, B, k, k)."""
    rows = F.pad(large, (padding,) * 4).permute(0, 2, 3, 1).contiguous()  # (N, H + 2p, W + 2p, B)
    patches = rows.unfold(1, kernel, stride).unfold(2, kernel, stride)  # (N, h, w, B, k, k)
    patches = patches.permute(0, 1, 2, 4, 5, 3).reshape(-1, kernel * kernel * large.shape[1])
    product = small.permute(0, 2, 3, 1).reshape(-1, small.shape[1]).T @ patches  # (A, k * k * B)
    return product.view(small.shape[1], kernel, kernel, -1).permute(0, 3, 1, 2)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, None, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = torch.nn.grad.conv2d_input(x.shape, weight, gradient, ctx.stride, ctx.padding)
        return to_x, _weight_gradient(x, gradient, weight.shape[2], ctx.stride, ctx.padding), None, None


class _Transposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, stride: int, padding: int, output_padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv_transpose2d(x, weight, None, stride, padding, output_padding)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        to_x = F.conv2d(gradient, weight, None, ctx.stride, ctx.padding) if ctx.needs_input_grad[0] else None
        return to_x, _weight_gradient(gradient, x, weight.shape[2], ctx.stride, ctx.padding), None, None, None


class Conv2d(nn.Conv2d):
    """torch's, with the faster gradient; not differentiable twice where that is taken."""

    def forward(self, x: Tensor) -> Tensor:
        if not _gain(self, x, x.shape[2]):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return _Convolution.apply(x.bfloat16(), self.weight.bfloat16(), self.stride[0], self.padding[0])


class ConvTranspose2d(nn.ConvTranspose2d):
    """torch's, with the faster gradient; not differentiable twice where that is taken."""

    def forward(self, x: Tensor) -> Tensor:
        if not _gain(self, x, 2 * x.shape[2]):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return _Transposed.apply(
                x.bfloat16(), self.weight.bfloat16(), self.stride[0], self.padding[0], self.output_padding[0]
            )
