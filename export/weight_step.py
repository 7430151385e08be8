"""The physical size of a weight integer, and the grid that a quantized network's weights may take. Imports numpy only.

With S the target's scale (physical potential of one weight unit) and k what an input integer stands for (`Input.scale`; 1 for
spikes), a weight integer w means `w * step`, `step = S * 2**exponent / k`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeport.export import registers as reg
from spikeport.export.network import Network, QuantizedNetwork
from spikeport.export.synapse import Connection, Conv, Dense


@dataclass(frozen=True, eq=False)
class WeightGrid:
    """Weights that a connection may take: `step * k` for integers k in `low..high`; step broadcasts against the weights."""

    step: np.ndarray
    low: int
    high: int


def weight_grids(network: QuantizedNetwork) -> dict[str, WeightGrid]:
    """The grid of every connection by name, for quantization-aware training; `rounding.requantize` is exact on it."""
    half = 1 << (weight_bits(network) - 1)
    return {c.name: WeightGrid(weight_step(network, c, network[c.target].scale), -half, half - 1) for c in network.connections}


def weight_bits(network: QuantizedNetwork) -> int:
    """Bits that a network's weights were quantized to."""
    return network.provenance.get("quantization", {}).get("weight_bits", reg.WEIGHT_BITS_MAX)


def weight_step(network: Network, connection: Connection, scale: np.ndarray) -> np.ndarray:
    """Physical size of one integer of a connection's weights, for a target of this scale; broadcasts against the weights."""
    unit = network.input.scale if connection.source == network.input.name else 1.0
    return _per_weight(scale, network, connection) * (2.0**connection.exponent / unit)


def _per_weight(values: np.ndarray, network: Network, connection: Connection) -> np.ndarray:
    """Values of the target's neurons, equal along the spatial axes of a convolution, shaped like the weights that lead to them."""
    if values.size == 1:
        return values.reshape(())
    op, shape = connection.op, network[connection.target].shape
    full = np.broadcast_to(values, shape)
    if isinstance(op, Dense):
        return full.reshape(-1, 1)
    made = connection.output_shape(network.shape(connection.source))
    if isinstance(op, Conv):
        return full.reshape(made[0], -1)[:, 0].reshape(-1, *(1,) * (op.weight.ndim - 1))
    return values if made == shape else full.reshape(made)
