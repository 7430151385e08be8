"""Every sample's own gradient from one batched pass: taps on layers that catch inputs forwards and
output gradients backwards.

What follows from these is in `spikeport.analysis.information.gradient_norms`. S calls or timesteps,
N samples; batches that hold time are time-major, `(S*N, ...)`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from spikeport.analysis.information.gradient_norms import (
    Group,
    Norms,
    Squares,
    batch_norm_norms,
    broadcast_squares,
    conv_norms,
    linear_norms,
    synapse_norms,
)
from spikeport.export.floating.layers import NeuronLayer, Step, SynapseLayer


@dataclass
class Tap:
    """What one layer with parameters saw: inputs and outputs of all its calls, and how its gradient
    norms follow from them.

    time_axes: leading axes that hold time and samples; 0 means all but the last.
    """

    name: str
    norms: Norms
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
        """Forget the calls of the run before."""
        self.inputs.clear()
        self.outputs.clear()
        self.versions.clear()

    def joined(self, calls: Sequence[Tensor], samples: int) -> Tensor:
        """Inputs, outputs or output gradients of all calls, `(S, N, *features)`."""
        parts = [x.reshape(-1, samples, *x.shape[self.time_axes or x.ndim - 1 :]) for x in calls]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def squares(self, gradients: Sequence[Tensor]) -> dict[Group, Squares]:
        """For several losses, each with joined output gradients `(S' <= S, N, *features)`; steps
        not there are zero, the last loss has all.
        """
        assert self.versions == [y._version for y in self.outputs], f"the output of {self.name} was changed in place"
        x = self.joined(self.inputs, gradients[0].shape[1])
        missing = [len(gradients[-1]) - len(g) for g in gradients]
        return self.norms(x, torch.stack([torch.cat([g, g.new_zeros(n, *g.shape[1:])]) if n else g for g, n in zip(gradients, missing)]))


@contextmanager
def tapped(model: nn.Module) -> Iterator[list[Tap]]:
    """Taps on all layers whose gradient is understood; they fill during forward passes inside the
    context.
    """
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


def untapped_parameters(model: nn.Module, seen: Collection[str]) -> tuple[str, ...]:
    """Trainable parameters outside the layers `seen` (learned thresholds or time constants, layers
    never called), by name.
    """
    covered = {id(p) for name, layer in model.named_modules() if name in seen for p in layer.parameters(recurse=False)}
    return tuple(name for name, p in model.named_parameters() if p.requires_grad and id(p) not in covered)


def _hook(tap: Tap):
    def hook(_layer: nn.Module, inputs: tuple, output: Tensor | Step) -> None:
        if isinstance(output, Step):
            tap.catch(output.membrane, output.membrane)
        else:
            tap.catch(inputs[0], output)

    return hook


PLAIN_FORWARDS = {nn.Linear.forward, nn.Conv1d.forward, nn.Conv2d.forward, _BatchNorm.forward}
"""Arithmetic known here; a subclass that computes otherwise is left out and named, unless it is a
BatchNorm with a `norm_scale`.
"""


def _tap(name: str, layer: nn.Module) -> Tap | None:
    """How the layer's gradient norm is computed; None for layers without parameters or of unknown
    arithmetic.
    """
    if isinstance(layer, SynapseLayer):
        return Tap(name, partial(synapse_norms, layer), time_axes=2)
    if isinstance(layer, NeuronLayer):
        return Tap(name, lambda _x, g: {"biases": broadcast_squares(layer.bias.shape, g)}, time_axes=1)
    known = type(layer).forward in PLAIN_FORWARDS or (isinstance(layer, _BatchNorm) and hasattr(layer, "norm_scale"))
    return _torch_tap(name, layer) if known else None


def _torch_tap(name: str, layer: nn.Module) -> Tap | None:
    if isinstance(layer, nn.Linear):
        return Tap(name, partial(linear_norms, layer.bias is not None), time_axes=0)
    if isinstance(layer, _ConvNd) and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
        geometry = (layer.kernel_size, layer.dilation, layer.padding, layer.stride, layer.groups)
        return Tap(name, partial(conv_norms, geometry, layer.bias is not None), time_axes=1)
    if isinstance(layer, _BatchNorm) and layer.affine and layer.track_running_stats:
        return Tap(name, partial(batch_norm_norms, layer), time_axes=1)
    return None
