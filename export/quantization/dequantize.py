"""The float meaning of a quantized network: the same integers in physical units, without the
integers' rounding of state.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeport.export.model import registers as reg
from spikeport.export.model.network import Connection, FloatNetwork, FloatNeuron, IntegerNeuron, Network, Population, QuantizedNetwork
from spikeport.export.quantization.weight_step import weight_step


def dequantize(network: QuantizedNetwork) -> FloatNetwork:
    """Weights times their step, registers times their unit.

    Decays and sums are then real numbers, so spikes may differ by rounding.
    """
    return FloatNetwork(
        input=network.input,
        populations=tuple(Population(p.name, p.shape, _neuron(p)) for p in network.populations),
        connections=tuple(_connection(network, c) for c in network.connections),
        output=network.output,
        readout=network.readout,
        timesteps=network.timesteps,
        dt=network.dt,
        integrator=network.integrator,
        provenance=network.provenance,
    )


def _neuron(population: Population[IntegerNeuron]) -> FloatNeuron:
    n, scale = population.neuron, population.scale
    state_unit = scale * reg.STATE_UNIT
    noise = replace(n.noise, amplitude=float(n.noise.amplitude * state_unit)) if n.noise else None
    return FloatNeuron(
        alpha=n.keep_current / reg.DECAY_UNITY,
        beta=n.keep_potential / reg.DECAY_UNITY,
        threshold=n.threshold * scale,
        bias=n.bias * state_unit,
        reset=n.reset,
        reset_value=n.reset_value * scale,
        spiking=n.spiking,
        noise=noise,
    )


def _connection(network: Network, connection: Connection) -> Connection:
    weight = np.asarray(connection.weight * weight_step(network, connection, network[connection.target].scale))
    return replace(connection, op=replace(connection.op, weight=weight), exponent=0)
