"""How large synaptic current and membrane potential can get for any input, proven from the weights.

Imports numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from spikeport.export.model.network import FloatNetwork, FloatNeuron, Population
from spikeport.export.model.ranges import on_target, per_output
from spikeport.export.model.synapse import Connection


class Bound(NamedTuple):
    """Largest |u| and |v| (before reset) of each neuron over the network's timesteps; broadcast
    against the population.
    """

    current: np.ndarray
    potential: np.ndarray


def state_bounds(network: FloatNetwork, floored: Mapping[str, np.ndarray] | None = None) -> dict[str, Bound]:
    """Bounds of every population, in physical units, for runs of up to `network.timesteps` steps
    from rest.

    floored: per population, how much rounding down may take off its summed current in a timestep;
    nothing if not given.
    """
    return {p.name: _bound(network, p, (floored or {}).get(p.name, np.zeros(()))) for p in network.populations}


def sum_range(connection: Connection, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest sum of weight times message of each output, for messages in `low..high`
    ahead of pooling.

    float64, or int64 for integer weights and messages; broadcasts against the connection's output
    shape.
    """
    window = connection.pool.area if connection.pool else 1
    weight = connection.weight.astype(np.int64 if connection.weight.dtype.kind == "i" else np.float64)
    ends = weight * (low * window), weight * (high * window)
    return per_output(connection, np.minimum(*ends)), per_output(connection, np.maximum(*ends))


def _bound(network: FloatNetwork, population: Population[FloatNeuron], floored: np.ndarray) -> Bound:
    n, steps = population.neuron, network.timesteps
    low, high = n.current_bias - floored, n.current_bias
    for c in network.incoming(population.name):
        bottom, top = sum_range(c, *(network.unit(c.source) * end for end in network.messages(c.source)))
        low, high = low + on_target(network, c, bottom), high + on_target(network, c, top)
    u_low, u_high = (np.minimum(low, 0) * _kept(n.alpha, steps), np.maximum(high, 0) * _kept(n.alpha, steps))
    noise = n.noise.amplitude if n.noise else 0.0
    v_low, v_high = _potential_range(n, u_low + n.bias - noise, u_high + n.bias + noise, steps)
    return Bound(np.maximum(-u_low, u_high), np.maximum(-v_low, v_high))


def _potential_range(n: FloatNeuron, push_low: np.ndarray, push_high: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Range of v before reset, when each step adds between push_low and push_high."""
    v_low = np.minimum(push_low, 0) * _kept(n.beta, steps)
    v_high = np.maximum(push_high, 0) * _kept(n.beta, steps)
    if not n.spiking:
        return v_low, v_high
    if n.reset == "subtract":
        # A push no larger than what a spike takes away cannot pile up.
        piles_up = push_high > n.reset_value
        reached = np.where(piles_up, v_high + np.maximum(-n.reset_value, 0) * steps, n.beta * n.threshold + push_high)
        return v_low + np.minimum(n.threshold - n.reset_value, 0), reached
    back = n.reset_value if n.reset == "value" else np.zeros(())
    return v_low + np.minimum(back, 0), n.beta * np.maximum(n.threshold, np.maximum(back, 0)) + push_high


def _kept(keep: np.ndarray, steps: int) -> np.ndarray:
    """`1 + keep + keep**2 + ...`, `steps` terms."""
    slow = np.where(keep == 1, 0.0, keep)
    return np.where(keep == 1, float(steps), (1 - slow**steps) / (1 - slow))
