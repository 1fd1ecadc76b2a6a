"""The faster weight gradients against torch's own."""

import pytest
import torch
from torch import nn

from dcgan_lib import convolution, models


@pytest.mark.parametrize("kernel, padding", [(3, 1), (4, 1), (5, 2)])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("side", [8, 7])
def test_weight_gradient_is_torchs(kernel, padding, transposed, side):
    torch.manual_seed(0)
    plain = (nn.ConvTranspose2d if transposed else nn.Conv2d)(5, 7, kernel, 2, padding, bias=False)
    x = torch.randn(3, 5, side, side)
    out = plain(x)
    gradient = torch.randn_like(out)
    out.backward(gradient)
    large, small = (gradient, x) if transposed else (x, gradient)
    ours = convolution._weight_gradient(large, small, kernel, 2, padding)
    assert torch.allclose(ours, plain.weight.grad, atol=1e-4)


@pytest.mark.parametrize("kernel, padding, output_padding", [(4, 1, 0), (5, 2, 1), (3, 1, 1)])
@pytest.mark.parametrize("transposed", [False, True])
def test_layers_agree_with_torchs_under_autocast(kernel, padding, output_padding, transposed, monkeypatch):
    torch.manual_seed(0)
    more = {"output_padding": output_padding} if transposed else {}
    name = "ConvTranspose2d" if transposed else "Conv2d"
    layers = [getattr(m, name)(6, 4, kernel, 2, padding, bias=False, **more) for m in (nn, convolution)]
    layers[1].load_state_dict(layers[0].state_dict())
    calls = []
    true = convolution._weight_gradient
    monkeypatch.setattr(convolution, "_weight_gradient", lambda *a: calls.append(1) or true(*a))
    side = 8
    x = torch.randn(8, 6, side, side)
    found = []
    for layer in layers:
        inner = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            out = layer(inner)
        assert out.dtype == torch.bfloat16
        (out.float() * torch.linspace(-1, 1, out.shape[-1])).sum().backward()
        found.append((out.float(), inner.grad, layer.weight.grad))
    assert calls == [1]  # ours, once; torch's never
    for a, b in zip(*found, strict=True):
        assert a.dtype == b.dtype == torch.float32
        assert (a - b).abs().max() <= 0.02 * a.abs().max()  # bfloat16 has 8 bits


@pytest.mark.parametrize("case", ["float32", "large", "frozen", "stride 1"])
def test_torchs_own_elsewhere(case, monkeypatch):
    monkeypatch.setattr(convolution, "_weight_gradient", None)  # may not be called
    layer = convolution.Conv2d(3, 4, 3, 1 if case == "stride 1" else 2, 1, bias=False)
    if case == "frozen":
        layer.requires_grad_(False)
    x = torch.randn(2, 3, *[32 if case == "large" else 8] * 2, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=case != "float32"):
        out = layer(x)
    out.float().sum().backward()
    assert x.grad is not None


def test_networks_are_built_of_them():
    generator, discriminator = models.build("tutorial64", seed=0)
    assert sum(isinstance(m, convolution.ConvTranspose2d) for m in generator.modules()) == 4
    assert sum(isinstance(m, convolution.Conv2d) for m in discriminator.modules()) == 4
