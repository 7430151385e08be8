"""The physical size of a weight integer, and the grid that a quantized network's weights may take.

Imports numpy only.

With S the target's scale (physical potential of one weight unit) and k what an input integer stands
for (`Input.scale`; 1 for spikes), a weight integer w means `w * step`, `step = S * 2**exponent /
k`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import Network, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Conv, Dense, Elementwise, Op, Shape


@dataclass(frozen=True, eq=False)
class WeightGrid:
    """Weights that a connection may take: `step * k` for integers k in `low..high`; step broadcasts
    against the weights.
    """

    step: np.ndarray
    low: int
    high: int


def weight_grids(network: QuantizedNetwork) -> dict[str, WeightGrid]:
    """The grid of every connection by name, for quantization-aware training; `rounding.requantize`
    is exact on it.
    """
    half = 1 << (network.weight_bits - 1)
    return {c.name: WeightGrid(weight_step(network, c, network[c.target].scale), -half, half - 1) for c in network.connections}


def weight_step(network: Network, connection: Connection, scale: np.ndarray) -> np.ndarray:
    """Physical size of one integer of a connection's weights, for a target of this scale;
    broadcasts against the weights.
    """
    op, unit = connection.op, network.unit(connection.source)
    written = connection.output_shape(network.shape(connection.source)) if isinstance(op, Elementwise) else op.weight.shape
    return step_of(network[connection.target], scale, type(op), written, connection.exponent, unit)


def step_of(target: Population, scale: np.ndarray, op: type[Op], written: Shape, exponent: int, unit: float) -> np.ndarray:
    """The same from its parts. written: shape of the weights, of an `Elementwise` written out for
    every neuron.

    Raises:
        InputError: the scale varies inside a channel of a convolution, whose weights have one step
            per channel.
    """
    if scale.size == 1:
        per_weight = scale.reshape(())
    elif op is Dense:
        per_weight = np.broadcast_to(scale, target.shape).reshape(-1, 1)
    elif op is Conv:
        if not same_in_channel(scale, target.shape, written[0]):
            raise InputError(f"population {target.name}: its scale varies inside a channel, which a convolution's weights cannot carry")
        by_channel = np.broadcast_to(scale, target.shape).reshape(written[0], -1)[:, 0]
        per_weight = by_channel.reshape(-1, *(1,) * (len(written) - 1))
    else:
        per_weight = scale if written == target.shape else np.broadcast_to(scale, target.shape).reshape(written)
    return per_weight * 2.0**exponent / unit


def same_in_channel(values: np.ndarray, shape: Shape, channels: int) -> bool:
    """Whether values of the neurons of a population are equal along its spatial axes."""
    by_channel = np.broadcast_to(values, shape).reshape(channels, -1)
    return bool((by_channel == by_channel[:, :1]).all())
