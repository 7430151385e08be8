"""Convolution whose weight gradient is fast for any number of channels.

oneDNN's kernels for it work on whole vectors of 16 channels. With 15 channels it takes another way,
at half the speed, so that a channel of zeros is cheaper than none.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn import grad as gradients

LANES = 16
SMALL_MAP = 16
"""Pixels of an output up to which oneDNN's bfloat16 kernels lose to a plain matrix product, by five
times on 4 x 4.
"""
FEW = 4
"""Up to so many channels, an input's as a rule, oneDNN has kernels of its own."""


def weight_gradient(x: torch.Tensor, shape: torch.Size, grad: torch.Tensor, layer: nn.Conv2d) -> torch.Tensor:
    """Gradient of `(C_out, C_in, *kernel)` weights from the input `(N, C_in, H, W)` and the
    output's gradient.
    """
    channels = x.shape[1]
    if tiled(x) and grad.shape[2] * grad.shape[3] <= SMALL_MAP:
        return _weight_gradient_as_product(x, shape, grad, layer)
    missing = -channels % LANES if channels > FEW and x.device.type == "cpu" else 0
    if not missing:
        return gradients.conv2d_weight(x, shape, grad, layer.stride, layer.padding)
    whole = F.pad(x, (0, 0, 0, 0, 0, missing))
    full = torch.Size((shape[0], channels + missing, *shape[2:]))
    return gradients.conv2d_weight(whole, full, grad, layer.stride, layer.padding)[:, :channels].contiguous()


def _weight_gradient_as_product(x: torch.Tensor, shape: torch.Size, grad: torch.Tensor, layer: nn.Conv2d) -> torch.Tensor:
    """One matrix product of the output's gradient and of every window, channels last."""
    assert not isinstance(layer.padding, str)
    (high, wide), (top, side), (down, right) = shape[2:], layer.padding, layer.stride
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, side, side, top, top))
    windows = padded.unfold(1, high, down).unfold(2, wide, right).permute(0, 1, 2, 4, 5, 3)
    product = grad.permute(0, 2, 3, 1).reshape(-1, shape[0]).T @ windows.reshape(-1, high * wide * shape[1])
    return product.view(shape[0], high, wide, shape[1]).permute(0, 3, 1, 2)


class Convolution(nn.Conv2d):
    """A `Conv2d` with this gradient in training.

    Its `forward` stays torch's own, by which Fisher information (`analysis.information.per_sample`)
    knows the arithmetic.
    """

    def _conv_forward(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        return _Convolved.apply(x, weight, bias, self) if self.training else super()._conv_forward(x, weight, bias)


class _Convolved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, layer: nn.Conv2d) -> torch.Tensor:
        dtype = precision(x)
        ctx.layer, ctx.dtypes = layer, (x.dtype, weight.dtype)
        x, weight, bias = fast_order(x.to(dtype)), fast_order(weight.to(dtype)), None if bias is None else bias.to(dtype)
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, layer.stride, layer.padding)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad, grad_x, grad_bias = fast_order(grad), None, None
        if ctx.needs_input_grad[0]:
            grad_x = gradients.conv2d_input(x.shape, weight, grad, ctx.layer.stride, ctx.layer.padding).to(ctx.dtypes[0])
        if ctx.needs_input_grad[2]:
            grad_bias = grad.sum((0, 2, 3)).to(ctx.dtypes[1])
        return grad_x, weight_gradient(x, weight.shape, grad, ctx.layer).to(ctx.dtypes[1]), grad_bias, None


def fast_order(x: torch.Tensor) -> torch.Tensor:
    """Channels last in memory where the processor multiplies tiles (AMX): two to four times the
    speed of a convolution, if all between them keeps the order.
    """
    return x.contiguous(memory_format=torch.channels_last) if tiled(x) else x


def tiled(x: torch.Tensor) -> bool:
    """Whether a processor with AMX multiplies such numbers in tiles."""
    return x.dtype == torch.bfloat16 and x.device.type == "cpu"


def precision(x: torch.Tensor) -> torch.dtype:
    """Of products with weights: autocast's inside of it."""
    return torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
