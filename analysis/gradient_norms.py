"""Squared norms of per-sample weight gradients, layer by layer, from a layer's inputs and output gradients.

A layer's gradient for sample n is a sum over its rows r (timesteps, and positions of a convolution) of output gradient times
input, so no loop over samples is needed. For few rows the norm comes from Gram matrices,
||sum_r g_r x_r^T||^2 = sum_rs (g_r . g_s)(x_r . x_s) (Goodfellow 2015, arXiv 1510.01799), else from the gradient itself.
Exact either way.

Shapes: S calls or timesteps, N samples, P positions, I and O features. Every function takes inputs `(S, N, *in)` and several output
gradients `(S, N, *out)`, so that the work on the inputs is done once, and gives a norm `(N,)` for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from spikeport.export.float_layers import SynapseLayer
from spikeport.export.synapse import Conv, Dense

CHUNK_BYTES = 1 << 23
"""Unfolded inputs, or gradients, of a convolution held at a time; small enough for the processor's cache."""

Norms = Callable[[Tensor, Sequence[Tensor]], "list[Tensor]"]


def linear_norms(bias: bool, x: Tensor, gs: Sequence[Tensor]) -> list[Tensor]:
    """x `(S, N, I)`, g `(S, N, O)`."""
    return [outer_square_norm(g.unsqueeze(-1), x.unsqueeze(-1)) + (square(g.sum(0)) if bias else 0) for g in gs]


def conv_norms(geometry: tuple, bias: bool, x: Tensor, gs: Sequence[Tensor]) -> list[Tensor]:
    """x `(S, N, C, *spatial)`, g `(S, N, O, *spatial)`; a 1-d convolution is a 2-d one of height 1.

    geometry: kernel, dilation, padding, stride, groups.
    """
    if x.ndim == 4:
        geometry = tuple((n, *p) if isinstance(p, tuple) else p for n, p in zip((1, 1, 0, 1, 0), geometry))
        x, gs = x.unsqueeze(-2), [g.unsqueeze(-2) for g in gs]
    kernel, groups = geometry[0], geometry[-1]
    inputs = x.shape[2] * kernel[0] * kernel[1]
    largest = inputs * max(len(x) * gs[0][0, 0, 0].numel(), gs[0].shape[2] // groups)
    chunk = max(1, CHUNK_BYTES // (largest * x.element_size()))
    parts = [_conv_part(geometry, x[:, i : i + chunk], [g[:, i : i + chunk] for g in gs]) for i in range(0, x.shape[1], chunk)]
    return [torch.cat(norms) + (square(g.sum((0, -2, -1))) if bias else 0) for norms, g in zip(zip(*parts), gs)]


def _conv_part(geometry: tuple, x: Tensor, gs: Sequence[Tensor]) -> list[Tensor]:
    *window, groups = geometry
    steps, samples = x.shape[:2]
    columns = F.unfold(x.flatten(0, 1), *window)
    positions = columns.shape[-1]
    columns = columns.reshape(steps, samples * groups, -1, positions)
    found = [outer_square_norm(g.reshape(steps, samples * groups, -1, positions), columns) for g in gs]
    return [norm.reshape(samples, groups).sum(1) for norm in found]


def batch_norm_norms(layer: _BatchNorm, x: Tensor, gs: Sequence[Tensor]) -> list[Tensor]:
    """Inference-mode batch normalisation: fixed mean and variance, trained gain and bias."""
    mean, variance = layer.running_mean, layer.running_var
    assert mean is not None and variance is not None and not layer.training
    spatial = (1,) * (x.ndim - 3)
    normal = (x - mean.reshape(-1, *spatial)) / torch.sqrt(variance.reshape(-1, *spatial) + layer.eps)
    rest = (0, *range(3, x.ndim))
    return [square((g * normal).sum(rest)) + square(g.sum(rest)) for g in gs]


def synapse_norms(layer: SynapseLayer, x: Tensor, gs: Sequence[Tensor]) -> list[Tensor]:
    """A connection of a float network: x `(S, N, *source)`, g `(S, N, *target)`."""
    op = layer.connection.op
    seen = layer.pooled(x.reshape(-1, *layer.source))
    seen = seen.reshape(*x.shape[:2], *seen.shape[1:])
    gs = [g.reshape(*g.shape[:2], *op.output_shape(tuple(seen.shape[2:]))) for g in gs]
    if isinstance(op, Dense):
        return linear_norms(False, seen.flatten(2), gs)
    if isinstance(op, Conv):
        return conv_norms((op.kernel, op.dilation, op.padding, op.stride, op.groups), False, seen, gs)
    return broadcast_norms(layer.weight.shape, [g * seen for g in gs])


def broadcast_norms(shape: torch.Size, gs: Sequence[Tensor]) -> list[Tensor]:
    """A parameter of this shape that was broadcast and added: g `(S, N, *full)`."""
    return [square(g.sum(0).sum_to_size(g.shape[1], *(1,) * (g.ndim - 2 - len(shape)), *shape)) for g in gs]


def outer_square_norm(g: Tensor, x: Tensor) -> Tensor:
    """`||sum_sp g_sp x_sp^T||^2` per sample: g `(S, N, O, P)`, x `(S, N, I, P)` -> `(N,)`."""
    rows, inputs, outputs = len(x) * x.shape[3], x.shape[2], g.shape[2]
    if rows * (inputs + outputs) < inputs * outputs:
        return (_gram(g) * _gram(x)).sum((1, 2))
    gradient = g.new_zeros(g.shape[1], outputs, inputs)
    for g_now, x_now in zip(g, x):
        if g_now.any():  # a causal network's later steps have no say
            gradient.baddbmm_(g_now, x_now.transpose(1, 2))
    return square(gradient)


def _gram(x: Tensor) -> Tensor:
    """Inner products of the rows: `(S, N, I, P)` -> `(N, S*P, S*P)`."""
    rows = x.permute(1, 0, 3, 2).flatten(1, 2)
    return torch.bmm(rows, rows.transpose(1, 2))


def square(g: Tensor) -> Tensor:
    """Squared norm of every sample's `(N, ...)`."""
    return g.flatten(1).square().sum(1)
