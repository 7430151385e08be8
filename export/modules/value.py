"""What a tensor of a traced forward pass stands for: a sum of linear chains that start in spikes or
in the input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spikeport.export.common.errors import InputError
from spikeport.export.model.synapse import Shape
from spikeport.export.nir.contents import Node
from spikeport.export.nir.foreign.compose import Chain, extend

HELD = -1
"""Step of an input without a time axis: the same values at every timestep."""


@dataclass(frozen=True)
class Term:
    """One chain of linear layers. source: a population or the input, of `start` shape; step: the
    timestep that its spikes are of.

    labels: names of the layers on the way.
    """

    source: str
    start: Shape
    step: int
    chain: Chain
    labels: tuple[str, ...] = ()

    @property
    def bare(self) -> bool:
        """Whether nothing lies between the source and here."""
        return self.chain == Chain(self.start)

    def extended(self, node: Node, label: str) -> Term:
        """With one more linear layer, its bias left out."""
        return self.changed(label, lambda: extend(self.chain, self.start, node, label, None))

    def changed(self, label: str, make: Callable[[], Chain]) -> Term:
        """With another chain, and the layer that made it noted."""
        return replace(self, chain=make(), labels=(*self.labels, label))


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor `(samples, *shape)` that is linear in spikes and inputs. at_zero: the tensor if all
    of them were 0, its bias.
    """

    terms: tuple[Term, ...]
    at_zero: Tensor

    @property
    def shape(self) -> Shape:
        """Shape without the batch axis."""
        return tuple(self.at_zero.shape[1:])

    @property
    def bias(self) -> np.ndarray:
        """What the layers add without any spike, `(*shape)`, float64."""
        bias = self.at_zero.detach().double()
        if not torch.allclose(bias, bias[:1].expand_as(bias), rtol=1e-9, atol=1e-12):
            raise InputError("a constant that differs from sample to sample is added to a layer; spikeport takes one bias per neuron")
        return bias[0].cpu().numpy()


@dataclass(frozen=True)
class RawInput:
    """The sample as the forward pass gets it. axes: for each axis, which one of the sample it is."""

    axes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Derived:
    """A tensor that some function made of signals in a way that no synapse can.

    by: the function's name. last: the signal it was made of, if that was one, and `tensor` its
    values.
    """

    by: str
    last: Value | None
    tensor: Tensor


Tracked = Value | RawInput | Derived


def starting(source: str, step: int, like: Tensor) -> Value:
    """The signal of a population, or of the input, itself."""
    shape = tuple(like.shape[1:])
    return Value((Term(source, shape, step, Chain(shape)),), torch.zeros_like(like, dtype=torch.float64))
