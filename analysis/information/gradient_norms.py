"""Squared norms of per-sample gradients, layer by layer, from a layer's inputs and output
gradients.

A layer's gradient for sample n is a sum over its rows r (timesteps, and positions of a convolution)
of output gradient times input, so no loop over samples is needed. For few rows the norm comes from
Gram matrices, ||sum_r g_r x_r^T||^2 = sum_rs (g_r . g_s)(x_r . x_s) (Goodfellow 2015, arXiv
1510.01799), else from the gradient itself. Exact either way.

Several losses are taken together, because what depends on the inputs alone (unfolding, the inputs'
Gram matrix) is then done once, because one product serves all losses, and because the change from
each loss to the next is wanted as well as the loss itself.

Shapes: K losses, S calls or timesteps, N samples, P positions, I and O features. Every function
takes inputs `(S, N, *in)` and output gradients `(K, S, N, *out)`, and gives `Squares` for each
group of the layer's parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from spikeport.export.floating.layers import SynapseLayer
from spikeport.export.model.synapse import Conv, Dense, windows_along

CHUNK_BYTES = 1 << 22
"""Unfolded inputs, and gradients, of a convolution held at a time; about what a processor's cache
holds.
"""

Group: TypeAlias = Literal["weights", "biases", "BatchNorm", "neurons"]
"""Kind of parameter; "neurons" are thresholds and time constants."""


class Squares(NamedTuple):
    """Squared gradient norms `(K, N)`: of every loss, and of its change from the loss before (the
    first: from nothing).
    """

    own: Tensor
    change: Tensor

    def __add__(self, other: Squares) -> Squares:  # type: ignore[override]
        return Squares(self.own + other.own, self.change + other.change)


Norms: TypeAlias = Callable[[Tensor, Tensor], "dict[Group, Squares]"]


def squares(gradient: Tensor) -> Squares:
    """Of gradients `(K, N, ...)` themselves."""
    flat = gradient.reshape(*gradient.shape[:2], -1)
    return Squares(flat.square().sum(2), torch.diff(flat, dim=0, prepend=torch.zeros_like(flat[:1])).square().sum(2))


def linear_norms(bias: bool, x: Tensor, g: Tensor) -> dict[Group, Squares]:
    """x `(S, N, I)`, g `(K, S, N, O)`."""
    return _with_bias(outer_squares(x.unsqueeze(-1), g.unsqueeze(-1)), bias, g.sum(1))


def conv_norms(geometry: tuple, bias: bool, x: Tensor, g: Tensor) -> dict[Group, Squares]:
    """x `(S, N, C, *spatial)`, g `(K, S, N, O, *spatial)`; a 1-d convolution is a 2-d one of height
    1.

    geometry: kernel, dilation, padding, stride, groups.
    """
    if x.ndim == 4:
        geometry = tuple((n, *p) if isinstance(p, tuple) else p for n, p in zip((1, 1, 0, 1, 0), geometry))
        x, g = x.unsqueeze(-2), g.unsqueeze(-2)
    kernel, groups = geometry[0], geometry[-1]
    inputs, outputs = x.shape[2] * kernel[0] * kernel[1], g.shape[3] // groups * len(g)
    chunk = max(1, CHUNK_BYTES // (inputs * max(len(x) * g[0, 0, 0, 0].numel(), outputs) * x.element_size()))
    parts = [_conv_part(geometry, x[:, i : i + chunk], g[:, :, i : i + chunk]) for i in range(0, x.shape[1], chunk)]
    return _with_bias(Squares(*(torch.cat(part, dim=1) for part in zip(*parts))), bias, g.sum((1, -2, -1)))


def _conv_part(geometry: tuple, x: Tensor, g: Tensor) -> Squares:
    *window, groups = geometry
    (losses, steps, samples), positions = g.shape[:3], g[0, 0, 0, 0].numel()
    columns = unfolded(x.flatten(0, 1), *window).reshape(steps, samples * groups, -1, positions)
    per_conv_group = outer_squares(columns, g.reshape(losses, steps, samples * groups, -1, positions))
    return Squares(*(part.reshape(losses, samples, groups).sum(2) for part in per_conv_group))


def unfolded(x: Tensor, kernel: tuple, dilation: tuple, padding: tuple, stride: tuple) -> Tensor:
    """`torch.nn.functional.unfold` by one strided copy, which is several times faster on a
    processor: `(B, C*kernel, positions)`.
    """
    x = torch.nn.functional.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    (b, c, high, wide), (sb, sc, sh, sw) = x.shape, x.stride()
    out = [windows_along(n, k, s, 0, d) for n, d, k, s in zip((high, wide), dilation, kernel, stride)]
    strides = (sb, sc, sh * dilation[0], sw * dilation[1], sh * stride[0], sw * stride[1])
    return x.as_strided((b, c, *kernel, *out), strides, x.storage_offset()).reshape(b, c * kernel[0] * kernel[1], out[0] * out[1])


def batch_norm_norms(layer: _BatchNorm, x: Tensor, g: Tensor) -> dict[Group, Squares]:
    """Inference-mode batch normalisation: fixed mean and variance, trained gain and bias.

    A layer with a `norm_scale` multiplies what it normalised by that too (tdBN).
    """
    mean, variance = layer.running_mean, layer.running_var
    assert mean is not None and variance is not None and not layer.training
    spatial = (1,) * (x.ndim - 3)
    factor = getattr(layer, "norm_scale", 1.0) / torch.sqrt(variance + layer.eps)
    normal = (x - mean.reshape(-1, *spatial)) * factor.reshape(-1, *spatial)
    rest = (1, *range(4, g.ndim))
    return {"BatchNorm": squares((g * normal).sum(rest)) + squares(g.sum(rest))}


def synapse_norms(layer: SynapseLayer, x: Tensor, g: Tensor) -> dict[Group, Squares]:
    """A connection of a float network: x `(S, N, *source)`, g `(K, S, N, *target)`."""
    op = layer.connection.op
    seen = layer.pooled(x.reshape(-1, *layer.source))
    seen = seen.reshape(*x.shape[:2], *seen.shape[1:])
    g = g.reshape(*g.shape[:3], *op.output_shape(tuple(seen.shape[2:])))
    if isinstance(op, Dense):
        return linear_norms(False, seen.flatten(2), g)
    if isinstance(op, Conv):
        return conv_norms((op.kernel, op.dilation, op.padding, op.stride, op.groups), False, seen, g)
    return {"weights": broadcast_squares(layer.weight.shape, g * seen)}


def broadcast_squares(shape: torch.Size, g: Tensor) -> Squares:
    """Of a parameter of this shape that was broadcast and added: g `(K, S, N, *full)`."""
    return squares(g.sum(1).sum_to_size(len(g), g.shape[2], *(1,) * (g.ndim - 3 - len(shape)), *shape))


def outer_squares(x: Tensor, g: Tensor) -> Squares:
    """Of `sum_sp x_sp g_sp^T` per sample: x `(S, N, I, P)`, g `(K, S, N, O, P)` -> `(K, N)` each."""
    losses, outputs, inputs, rows = len(g), g.shape[3], x.shape[2], len(x) * x.shape[3]
    if rows * (inputs + 2 * losses * outputs) < losses * inputs * outputs / 2:
        return _by_gram_matrices(x, g)
    # One product per step serves all losses: `(N, I, P) @ (N, P, K'*O)`, K' the losses that this
    # step has a say in.
    gradient = x.new_zeros(x.shape[1], inputs, losses * outputs)
    for x_now, g_now in zip(x, g.unbind(1)):
        first = next((k for k in range(losses) if _any(g_now[k])), losses)
        if first < losses:  # a causal network's earlier answers do not depend on later steps
            gradient[..., first * outputs :].baddbmm_(x_now, g_now[first:].permute(1, 3, 0, 2).flatten(2))
    change = gradient.clone()
    change[..., outputs:] -= gradient[..., :-outputs]
    return Squares(*(m.square_().sum(1).reshape(-1, losses, outputs).sum(2).T for m in (gradient, change)))


def _by_gram_matrices(x: Tensor, g: Tensor) -> Squares:
    change = torch.diff(g, dim=0, prepend=torch.zeros_like(g[:1]))
    gram = _gram(x)
    return Squares(*(torch.stack([(_gram(loss) * gram).sum((1, 2)) for loss in losses]) for losses in (g, change)))


def _gram(x: Tensor) -> Tensor:
    """Inner products of the rows: `(S, N, I, P)` -> `(N, S*P, S*P)`."""
    rows = x.permute(1, 0, 3, 2).flatten(1, 2)
    return torch.bmm(rows, rows.transpose(1, 2))


def _any(x: Tensor) -> bool:
    """Whether anything is nonzero; many times faster than `x.any()` on floats."""
    return any(x.aminmax())


def _with_bias(weights: Squares, bias: bool, gradient: Tensor) -> dict[Group, Squares]:
    return {"weights": weights, "biases": squares(gradient)} if bias else {"weights": weights}
