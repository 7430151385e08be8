"""How large synaptic current and membrane potential can get for any input, proven from the weights. Imports numpy only."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from spikeport.export.network import FloatNetwork, FloatNeuron, Population
from spikeport.export.synapse import Connection, Conv, Dense


class Bound(NamedTuple):
    """Largest |u| and |v| (before reset) of each neuron over the network's timesteps; broadcast against the population."""

    current: np.ndarray
    potential: np.ndarray


def state_bounds(network: FloatNetwork) -> dict[str, Bound]:
    """Bounds of every population, in physical units, for runs of up to `network.timesteps` steps from rest."""
    return {p.name: _bound(network, p) for p in network.populations}


def current_range(network: FloatNetwork, connection: Connection) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest current of a connection in one timestep, per neuron; broadcast against the target."""
    low, high = (network.input.low * network.input.scale, network.input.high * network.input.scale)
    if connection.source != network.input.name:
        low, high = 0.0, 1.0
    window = prod(connection.pool.kernel) if connection.pool else 1
    weight = connection.weight * window
    bottom, top = (np.minimum(weight * low, weight * high), np.maximum(weight * low, weight * high))
    return _per_neuron(network, connection, bottom), _per_neuron(network, connection, top)


def _per_neuron(network: FloatNetwork, connection: Connection, terms: np.ndarray) -> np.ndarray:
    """Sum over the weights of each neuron."""
    shape, made = network[connection.target].shape, connection.output_shape(network.shape(connection.source))
    if isinstance(connection.op, Dense):
        return terms.sum(axis=1).reshape(shape)
    if isinstance(connection.op, Conv):
        terms = terms.reshape(len(terms), -1).sum(axis=1).reshape(-1, *(1,) * (len(made) - 1))
    return terms if made == shape else np.broadcast_to(terms, made).reshape(shape)


def _bound(network: FloatNetwork, population: Population) -> Bound:
    n, steps = population.neuron, network.timesteps
    assert isinstance(n, FloatNeuron)
    low, high = n.current_bias, n.current_bias
    for connection in network.incoming(population.name):
        bottom, top = current_range(network, connection)
        low, high = low + bottom, high + top
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
