"""What every spiking neuron here has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import FloatNeuron
from spikeport.train.neurons.rated import Rated


@dataclass(frozen=True, kw_only=True)
class LoweredNeuron:
    """A neuron in the terms of `export.model.network`.

    neuron: its dynamics, without bias. gain: factor on weights and biases of everything that enters
    it. height: factor on the
    weights of all that leaves it. trace: fraction of the output kept per timestep, which becomes
    the synaptic current decay (alpha) of the neurons that follow.
    """

    neuron: FloatNeuron
    gain: float = 1.0
    height: float = 1.0
    trace: float = 0.0


class Neuron(nn.Module):
    """Neurons of one layer; subclasses hold the method's dynamics and its gradient.

    forward(currents, timesteps): `(timesteps, N, *features)`, or `(1, N, *features)` for currents
    held over all timesteps (a static first layer is computed once), to output `(timesteps, N,
    *features)`, from rest. Time is inside one autograd function.
    """

    def forward(self, currents: torch.Tensor, timesteps: int) -> torch.Tensor:
        raise NotImplementedError

    def pooled(self, currents: torch.Tensor, timesteps: int, size: int) -> torch.Tensor | None:
        """The same of maps, averaged over windows of size x size; None where that is no faster than
        one after the other.
        """
        return None

    def rated(self, currents: Rated, timesteps: int, windows: int) -> Rated:
        """The same in training where `NeuronConfig.rate_weights` says that gradients need no time.

        windows: values may be averaged over windows x windows, rates are not.
        """
        raise NotImplementedError

    def recurrent(self, currents: torch.Tensor, timesteps: int, back: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """The same of neurons that send to themselves. back: from spikes `(N, *features)` to the
        currents they make a timestep later.
        """
        raise NotImplementedError

    def lowered(self) -> LoweredNeuron:
        """The same neuron for export; InputError where no chip has it, which is what a neuron that
        says nothing here means.
        """
        raise InputError(
            f"neurons of {type(self).__name__} train and run here only: they have no lowered(), which says what they are on a chip"
        )


@dataclass(frozen=True, kw_only=True)
class NeuronConfig(ABC):
    """What fixes a neuron's dynamics and gradient, and how such neurons like their input.
    threshold: V_th, to start from where it trains.
    """

    threshold: float

    @abstractmethod
    def build(self) -> Neuron:
        """A neuron for one layer."""

    def rate_weights(self, timesteps: int) -> list[float] | None:
        """What all that the gradient asks of the spikes' gradient weighs the timesteps by, sum 1;
        None where it has time.
        """
        return None

    @property
    def recurs(self) -> bool:
        """Whether such neurons can be trained to send to themselves (`Neuron.recurrent`)."""
        return False

    @property
    def input_filter(self) -> float:
        """tau: the input passes q += (x - q) / tau before the first layer; 1 for no filter."""
        return 1.0

    def pool_factor(self, size: int) -> float:
        """What pooling a window of size x size multiplies its mean by."""
        return 1.0


def empty_over_time(currents: torch.Tensor, timesteps: int) -> torch.Tensor:
    """`(timesteps, *shape)` of currents `(any, *shape)`, each timestep in the order in memory that
    theirs have.
    """
    step = currents[0]
    strides = torch.empty_like(step, device="meta").stride()
    return torch.empty_strided((timesteps, *step.shape), (step.numel(), *strides), dtype=currents.dtype, device=currents.device)
