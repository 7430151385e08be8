"""Provable bounds on every sum, current and potential of a quantized network, from its weights and
registers alone.

Messages lie in a known interval (0..1 for spikes, the input's range, times the window for sum
pooling). Each register's update is monotone in its operands, so iterating it on the ends of the
intervals bounds every run of T timesteps; without a reset this is the geometric series of the
decays, rounding included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from spikeport.export.model import registers as reg
from spikeport.export.model.network import Connection, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.ranges import on_target, per_output
from spikeport.hw.semantics.reference import after_reset, decayed, shift

FLOAT32_EXACT, FLOAT64_EXACT = 1 << 24, 1 << 53
"""Sums of integers below these are exact in floating point, in any order and with any use of fused
multiply-add.
"""
INT32_EXACT = 1 << 31


@dataclass(frozen=True, eq=False)
class SumBound:
    """Bounds of one connection's sums of weight times message.

    low, high: int64, broadcast against the connection's output shape; the sum before the exponent's
    shift lies within.
    partial: largest magnitude of any partial sum in any order, of any output.
    delivered: largest magnitude after the shift, in weight units.
    """

    low: np.ndarray
    high: np.ndarray
    partial: int
    delivered: int

    @property
    def excluded(self) -> bool:
        """Whether what is delivered can never leave its 24 bits."""
        return self.delivered < reg.STATE_LIMIT

    @property
    def float32_exact(self) -> bool:
        """Whether float32 sums are exact; float64 sums always are (asserted when the bound is
        made).
        """
        return self.partial < FLOAT32_EXACT


@dataclass(frozen=True)
class StateBound:
    """Bounds of one population over T timesteps, in state units, had no register wrapped or
    saturated.

    u_low..u_high: synaptic current; v_low..v_high: membrane potential before reset. drive: largest
    magnitude of current plus bias plus noise of one step when u is anything that wrapping may
    leave. deliveries_excluded: no connection's sum overflows.
    """

    u_low: int
    u_high: int
    v_low: int
    v_high: int
    drive: int
    deliveries_excluded: bool

    @property
    def u_excluded(self) -> bool:
        """Whether the synaptic current can never leave its 24 bits."""
        return self.deliveries_excluded and max(-self.u_low, self.u_high) < reg.STATE_LIMIT

    @property
    def v_excluded(self) -> bool:
        """Whether the membrane potential can never saturate."""
        return self.u_excluded and max(-self.v_low, self.v_high) < reg.STATE_LIMIT

    @property
    def int32_exact(self) -> bool:
        """Whether 32-bit arithmetic holds every intermediate value, also where u wraps at 24 bits
        and v saturates.
        """
        return self.deliveries_excluded and self.drive + 2 * reg.STATE_LIMIT < INT32_EXACT


class Bounds:
    """Bounds of a whole network over a number of timesteps, computed on demand.

    Args:
        timesteps: T; the network's own by default.
    """

    def __init__(self, network: QuantizedNetwork, timesteps: int | None = None) -> None:
        self.network = network
        self.timesteps = timesteps or network.timesteps

    @cached_property
    def sums(self) -> dict[str, SumBound]:
        """Per connection."""
        return {c.name: sum_bound(c, *message_interval(self.network, c)) for c in self.network.connections}

    @cached_property
    def states(self) -> dict[str, StateBound]:
        """Per population."""
        return {p.name: self._state(p) for p in self.network.populations}

    @property
    def overflow_excluded(self) -> bool:
        """Whether no connection's sum, current or potential can overflow, whatever the input."""
        return all(s.v_excluded for s in self.states.values())

    def _state(self, population: Population) -> StateBound:
        incoming = self.network.incoming(population.name)
        low = high = np.zeros((1,) * len(population.shape), np.int64)
        for c in incoming:
            ends = (shift(end, c.exponent) for end in (self.sums[c.name].low, self.sums[c.name].high))
            a_low, a_high = (on_target(self.network, c, end) for end in ends)
            low, high = low + a_low, high + a_high
        excluded = all(self.sums[c.name].excluded for c in incoming)
        return state_bound(population.neuron, low, high, self.timesteps, excluded)


def message_interval(network: QuantizedNetwork, connection: Connection) -> tuple[int, int]:
    """Smallest and largest message that reaches the weights, after pooling."""
    low, high = network.messages(connection.source)
    window = prod(connection.pool.kernel) if connection.pool else 1
    return low * window, high * window


def sum_bound(connection: Connection, low: int, high: int) -> SumBound:
    """Bound a connection's sums for messages in `low..high`, which holds 0."""
    excitation = per_output(connection, np.maximum(connection.weight, 0)).astype(np.int64)
    inhibition = per_output(connection, np.minimum(connection.weight, 0)).astype(np.int64)
    bottom, top = inhibition * high + excitation * low, excitation * high + inhibition * low
    partial = int((excitation - inhibition).max(initial=0)) * max(-low, high)
    assert partial < FLOAT64_EXACT
    delivered = max(_magnitude(shift(end, connection.exponent)) for end in (bottom, top))
    return SumBound(bottom, top, partial, delivered)


def state_bound(neuron: IntegerNeuron, low: np.ndarray, high: np.ndarray, steps: int, deliveries_excluded: bool) -> StateBound:
    """Bound a population whose summed deliveries lie in `low..high` weight units, from rest, for a
    number of steps.
    """
    low, high = low << reg.STATE_SHIFT, high << reg.STATE_SHIFT
    keep_u = reg.DECAY_UNITY - (neuron.du.astype(np.int64) + 1)
    keep_v = reg.DECAY_UNITY - neuron.dv.astype(np.int64)
    amplitude = int(neuron.noise.amplitude) if neuron.noise else 0
    u = v = (np.zeros(1, np.int64),) * 2
    wrapped = np.array([reg.STATE_LIMIT])
    u_low = u_high = v_low = v_high = 0
    for _ in range(steps):
        u = decayed(u[0], keep_u) + low, decayed(u[1], keep_u) + high
        wrapped = decayed(wrapped, keep_u) + np.maximum(-low, high)
        v = decayed(v[0], keep_v) + u[0] + neuron.bias - amplitude, decayed(v[1], keep_v) + u[1] + neuron.bias + amplitude
        u_low, u_high = min(u_low, int(u[0].min())), max(u_high, int(u[1].max()))
        v_low, v_high = min(v_low, int(v[0].min())), max(v_high, int(v[1].max()))
        v = _interval_after_reset(neuron, *v)
    drive = max(_magnitude(wrapped), reg.STATE_LIMIT) + _magnitude(neuron.bias) + amplitude
    return StateBound(u_low, u_high, v_low, v_high, drive, deliveries_excluded)


def _interval_after_reset(neuron: IntegerNeuron, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the potential that is kept: what did not fire, joined with what firing leaves."""
    threshold = neuron.threshold.astype(np.int64) << reg.STATE_SHIFT
    quiet_low, quiet_high = np.minimum(low, threshold), np.minimum(high, threshold)
    reset_low, reset_high = after_reset(neuron, np.maximum(low, threshold + 1)), after_reset(neuron, high)
    fires = high > threshold
    return np.where(fires, np.minimum(quiet_low, reset_low), quiet_low), np.where(fires, np.maximum(quiet_high, reset_high), quiet_high)


def _magnitude(values: np.ndarray) -> int:
    return int(np.abs(values).max(initial=0))
