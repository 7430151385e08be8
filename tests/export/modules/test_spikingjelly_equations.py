"""SpikingJelly's documented equations in NumPy, where SpikingJelly itself is not installed (it is
in test_spikingjelly.py).

A stand-in module of the same names and attributes takes SpikingJelly's place; what it should fire
is computed here by itself.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.export.common.errors import InputError
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.modules.spikingjelly import from_spikingjelly

T, N, IN, OUT = 40, 3, 6, 5


class StandIn(nn.Module):
    """The attributes that SpikingJelly's neurons have, and their step."""

    __module__ = "spikingjelly.activation_based.neuron"

    def __init__(self, v_threshold=0.7, v_reset=0.0, decay_input=True):
        super().__init__()
        self.v_threshold, self.v_reset, self.decay_input, self.step_mode = v_threshold, v_reset, decay_input, "s"
        self.surrogate_function = lambda x: (x >= 0).to(x)
        self.reset()

    def reset(self):
        self.v = 0.0 if self.v_reset is None else self.v_reset

    def rate(self):
        return 0.0

    def forward(self, x):
        rate = self.rate()
        self.v = self.v - rate * (self.v - (self.v_reset or 0.0)) + (rate * x if self.decay_input and rate else x)
        spike = self.surrogate_function(self.v - self.v_threshold)
        self.v = (
            self.v - spike * self.v_threshold
            if self.v_reset is None
            else torch.where(spike > 0, torch.as_tensor(self.v_reset).to(x), self.v)
        )
        return spike


class IFNode(StandIn):
    __module__ = StandIn.__module__

    def __init__(self, **options):
        super().__init__(**options)
        del self.decay_input
        self.decay_input = False


class LIFNode(StandIn):
    __module__ = StandIn.__module__
    tau = 2.5

    def rate(self):
        return 1 / self.tau


class ParametricLIFNode(StandIn):
    __module__ = StandIn.__module__

    def __init__(self, **options):
        super().__init__(**options)
        self.w = nn.Parameter(torch.tensor(-0.4))

    def rate(self):
        return self.w.sigmoid()


def by_hand(x, weight, bias, inverse_tau, v_threshold, v_reset, decay_input):
    """H[t], S[t], V[t] as SpikingJelly's documentation writes them, float64."""
    rest = 0.0 if v_reset is None else v_reset
    v, spikes = np.full((N, OUT), rest), []
    for step in x:
        current = step @ weight.T + bias
        h = v - inverse_tau * (v - rest) + (inverse_tau * current if decay_input else current)
        s = h >= v_threshold
        v = h - v_threshold * s if v_reset is None else np.where(s, v_reset, h)
        spikes.append(s)
    return np.stack(spikes, 1).astype(np.int32)


@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("v_reset", [None, 0.0, -0.3])
@pytest.mark.parametrize("kind", [IFNode, LIFNode, ParametricLIFNode])
def test_the_documented_equations_fire_in_the_same_bins(kind, v_reset, decay_input):
    torch.manual_seed(1)
    linear, node = nn.Linear(IN, OUT), kind(v_reset=v_reset, decay_input=decay_input)
    linear.weight.data *= 4
    x = (torch.rand(T, N, IN) < 0.5).double()
    network = from_spikingjelly(nn.Sequential(linear, node), x, time_axis=0)
    inverse_tau = {IFNode: 0.0, LIFNode: 1 / 2.5, ParametricLIFNode: 1 / (1 + math.exp(float(torch.tensor(0.4))))}[kind]
    weight, bias = (p.detach().double().numpy() for p in linear.parameters())
    theirs = by_hand(x.numpy(), weight, bias, inverse_tau, 0.7, v_reset, decay_input and kind is not IFNode)
    assert 0 < theirs.sum() < theirs.size
    np.testing.assert_array_equal(simulate_float(network, x.transpose(0, 1).numpy(), T, dtype=torch.float64)["output"], theirs)


def test_other_neurons_and_thresholds_at_rest_are_refused_by_name():
    class QIFNode(StandIn):
        __module__ = StandIn.__module__

    with pytest.raises(InputError, match="neuron 1 is a QIFNode"):
        from_spikingjelly(nn.Sequential(nn.Linear(IN, OUT), QIFNode()), torch.rand(N, IN))
    with pytest.raises(InputError, match="neuron 1: its threshold is 0 above its rest"):
        from_spikingjelly(nn.Sequential(nn.Linear(IN, OUT), IFNode(v_threshold=0.0)), torch.rand(N, IN))
