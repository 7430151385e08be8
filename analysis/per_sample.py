"""Squared norm of every sample's own parameter gradient, from one batched forward and backward pass.

A layer's gradient for sample n is a sum over its rows r (timesteps, and positions of a convolution) of output gradient times
input, so inputs caught on the way forward and output gradients caught on the way back suffice; no loop over samples.
For few rows the norm comes from Gram matrices, ||sum_r g_r x_r^T||^2 = sum_rs (g_r . g_s)(x_r . x_s) (Goodfellow 2015,
arXiv 1510.01799), else from the gradient itself. Exact either way.

Shapes: S calls or timesteps, N samples, R rows, I and O features. Batches that hold time are time-major: `(S*N, ...)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from spikeport.export.float_layers import NeuronLayer, Step, SynapseLayer
from spikeport.export.synapse import Conv, Dense

CHUNK_BYTES = 1 << 26
"""Unfolded inputs of a convolution held at a time."""

Norm = Callable[[Tensor, Tensor], Tensor]
"""Inputs `(S, N, *in)` and output gradients `(S, N, *out)` -> squared norms `(N,)`."""


@dataclass
class Tap:
    """What one layer with parameters saw: inputs and outputs of all its calls, and how its gradient norm follows from them.

    time_axes: leading axes that hold time and samples; 0 means all but the last.
    """

    name: str
    norm: Norm
    time_axes: int
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)

    def catch(self, x: Tensor, y: Tensor) -> None:
        """Remember one call, if the loss can depend on it."""
        if y.requires_grad:
            self.inputs.append(x.detach())
            self.outputs.append(y)
            self.versions.append(y._version)

    def clear(self) -> None:
        """Forget the calls of the batch before."""
        self.inputs.clear()
        self.outputs.clear()
        self.versions.clear()

    def square_norms(self, gradients: list[Tensor], samples: int) -> Tensor:
        """`(N,)` from one output gradient per call."""
        assert self.versions == [y._version for y in self.outputs], f"the output of {self.name} was changed in place"
        return self.norm(self._joined(self.inputs, samples), self._joined(gradients, samples))

    def _joined(self, calls: list[Tensor], samples: int) -> Tensor:
        return torch.cat([x.reshape(-1, samples, *x.shape[self.time_axes or x.ndim - 1 :]) for x in calls])


@contextmanager
def tapped(model: nn.Module) -> Iterator[list[Tap]]:
    """Taps on all layers whose gradient is understood; they fill during forward passes inside the context."""
    taps, handles = [], []
    for name, layer in model.named_modules():
        tap = _tap(name, layer)
        if tap:
            handles.append(layer.register_forward_hook(_hook(tap)))
            taps.append(tap)
    try:
        yield taps
    finally:
        for handle in handles:
            handle.remove()


def untapped_parameters(model: nn.Module) -> tuple[str, ...]:
    """Trainable parameters that no tap covers (learned thresholds or time constants), by name."""
    covered = {id(p) for name, layer in model.named_modules() if _tap(name, layer) for p in layer.parameters(recurse=False)}
    return tuple(name for name, p in model.named_parameters() if p.requires_grad and id(p) not in covered)


def _hook(tap: Tap):
    def hook(_layer: nn.Module, inputs: tuple, output: Tensor | Step) -> None:
        if isinstance(output, Step):
            tap.catch(output.membrane, output.membrane)
        else:
            tap.catch(inputs[0], output)

    return hook


PLAIN_FORWARDS = {nn.Linear.forward, nn.Conv1d.forward, nn.Conv2d.forward, _BatchNorm.forward}
"""Arithmetic known here; a subclass that computes otherwise is left out and named."""


def _tap(name: str, layer: nn.Module) -> Tap | None:
    """How the layer's gradient norm is computed; None for layers without parameters or of unknown arithmetic."""
    if isinstance(layer, SynapseLayer):
        return Tap(name, _synapse_norm(layer), time_axes=2)
    if isinstance(layer, NeuronLayer):
        return Tap(name, lambda _x, g: _square(_reduced(g.sum(0), layer.bias.shape)), time_axes=1)
    return _torch_tap(name, layer) if type(layer).forward in PLAIN_FORWARDS else None


def _torch_tap(name: str, layer: nn.Module) -> Tap | None:
    if isinstance(layer, nn.Linear):
        return Tap(name, lambda x, g: linear_norm(layer.bias is not None, x, g), time_axes=0)
    if isinstance(layer, _ConvNd) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        geometry = (layer.kernel_size, layer.dilation, layer.padding, layer.stride, layer.groups)
        return Tap(name, lambda x, g: conv_norm(geometry, layer.bias is not None, x, g), time_axes=1)
    if isinstance(layer, _BatchNorm) and layer.affine and layer.track_running_stats:
        return Tap(name, lambda x, g: batch_norm_norm(layer, x, g), time_axes=1)
    return None


def _synapse_norm(layer: SynapseLayer) -> Norm:
    op = layer.connection.op

    def norm(x: Tensor, g: Tensor) -> Tensor:
        seen = layer.pooled(x.reshape(-1, *layer.source))
        seen = seen.reshape(*x.shape[:2], *seen.shape[1:])
        g = g.reshape(*g.shape[:2], *op.output_shape(tuple(seen.shape[2:])))
        if isinstance(op, Dense):
            return linear_norm(False, seen.flatten(2), g)
        if isinstance(op, Conv):
            return conv_norm((op.kernel, op.dilation, op.padding, op.stride, op.groups), False, seen, g)
        return _square(_reduced((g * seen).sum(0), layer.weight.shape))

    return norm


def linear_norm(bias: bool, x: Tensor, g: Tensor) -> Tensor:
    """x `(S, N, I)`, g `(S, N, O)`."""
    return outer_square_norm(g.transpose(0, 1), x.transpose(0, 1)) + (_square(g.sum(0)) if bias else 0)


def conv_norm(geometry: tuple, bias: bool, x: Tensor, g: Tensor) -> Tensor:
    """x `(S, N, C, *spatial)`, g `(S, N, O, *spatial)`; a 1-d convolution is a 2-d one of height 1."""
    if x.ndim == 4:
        geometry = tuple((n, *p) if isinstance(p, tuple) else p for n, p in zip((1, 1, 0, 1, 0), geometry))
        x, g = x.unsqueeze(-2), g.unsqueeze(-2)
    *window, groups = geometry
    steps, samples = x.shape[:2]
    size = x[:, :1].numel() * window[0][0] * window[0][1] * x.element_size()
    chunk = max(1, CHUNK_BYTES // size)
    parts = []
    for start in range(0, samples, chunk):
        part_x, part_g = x[:, start : start + chunk], g[:, start : start + chunk]
        count = part_x.shape[1]
        columns = F.unfold(part_x.flatten(0, 1), *window)
        columns = columns.reshape(steps, count, groups, -1, columns.shape[-1]).permute(1, 2, 0, 4, 3)
        rows = part_g.reshape(steps, count, groups, -1, columns.shape[3]).permute(1, 2, 0, 4, 3)
        square = outer_square_norm(rows.flatten(2, 3).flatten(0, 1), columns.flatten(2, 3).flatten(0, 1))
        parts.append(square.reshape(count, groups).sum(1))
    return torch.cat(parts) + (_square(g.sum((0, -2, -1))) if bias else 0)


def batch_norm_norm(layer: _BatchNorm, x: Tensor, g: Tensor) -> Tensor:
    """Inference-mode batch normalisation: fixed mean and variance, trained gain and bias."""
    mean, variance = layer.running_mean, layer.running_var
    assert mean is not None and variance is not None and not layer.training
    spatial = (1,) * (x.ndim - 3)
    normal = (x - mean.reshape(-1, *spatial)) / torch.sqrt(variance.reshape(-1, *spatial) + layer.eps)
    rest = (0, *range(3, x.ndim))
    return _square((g * normal).sum(rest)) + _square(g.sum(rest))


def outer_square_norm(g: Tensor, x: Tensor) -> Tensor:
    """`||sum_r g_r x_r^T||^2` per sample: g `(N, R, O)`, x `(N, R, I)` -> `(N,)`."""
    rows, inputs, outputs = x.shape[1], x.shape[2], g.shape[2]
    if rows * (inputs + outputs) < inputs * outputs:
        return (torch.bmm(g, g.transpose(1, 2)) * torch.bmm(x, x.transpose(1, 2))).sum((1, 2))
    return _square(torch.bmm(g.transpose(1, 2), x))


def _square(g: Tensor) -> Tensor:
    return g.flatten(1).square().sum(1)


def _reduced(g: Tensor, shape: torch.Size) -> Tensor:
    """Per-sample gradient `(N, *full)` of a parameter that was broadcast from `shape`."""
    return g.sum_to_size(len(g), *(1,) * (g.ndim - 1 - len(shape)), *shape)
