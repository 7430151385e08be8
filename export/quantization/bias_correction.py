"""Move the mean error that rounding makes in each neuron's input current into its bias, where it
costs nothing.

Rounded and clipped weights miss the mean current by `sum_j (w_rounded - w)_j E[x_j]`; a negative
exponent rounds currents down, by `(1 - 2**e) / 2` weight units on average. Source: Nagel et al.
2019, "Data-free quantization through weight equalization and bias correction", section 4.2.1, here
with measured means.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from spikeport.export.floating.layers import SynapseLayer
from spikeport.export.model import registers as reg
from spikeport.export.model.network import FloatNetwork, FloatNeuron, Population
from spikeport.export.model.synapse import Connection
from spikeport.export.quantization.calibrate import Calibration
from spikeport.export.quantization.rounding import BIAS_MAX, QuantizationPlan, quantize_connection
from spikeport.export.quantization.weight_step import weight_step

REGISTER_SHARE = 0.2
"""Of the bias register, and of the range of v over all timesteps: no more goes into correction."""
THRESHOLD_SHARE = 0.4
"""Of the threshold: a neuron whose outlying weight was clipped must not fire without that input."""


def correct_biases(network: FloatNetwork, plan: QuantizationPlan, seen: Calibration) -> FloatNetwork:
    """The float network with biases that make up for what rounding its weights as planned does to
    mean currents.
    """
    return replace(network, populations=tuple(_corrected(network, p, plan, seen) for p in network.populations))


def _corrected(network: FloatNetwork, p: Population[FloatNeuron], plan: QuantizationPlan, seen: Calibration) -> Population[FloatNeuron]:
    neuron, scale = p.neuron, plan.scales[p.name]
    exponents = [plan.exponents[c.name] for c in network.incoming(p.name)]
    rounded_down = seen.activity[p.name] * scale * sum((1 - 2.0**e) / 2 for e in exponents if e < 0)
    missed = sum((mean_error(network, c, plan, seen) for c in network.incoming(p.name)), np.zeros(p.shape))
    by_channel = missed.mean(axis=tuple(range(1, missed.ndim)), keepdims=True)
    shift = (rounded_down - by_channel) / np.where(neuron.alpha == 1, 1.0, 1 - neuron.alpha)
    piled_up = np.minimum(network.timesteps, 1 / np.maximum(1 - neuron.beta, 1 / network.timesteps))
    most = REGISTER_SHARE * scale * np.minimum(BIAS_MAX, reg.THRESHOLD_MAX / piled_up)
    if neuron.spiking:
        most = np.minimum(most, THRESHOLD_SHARE * neuron.threshold)
    return replace(p, neuron=replace(neuron, bias=neuron.bias + np.clip(shift, -most, most)))


def mean_error(network: FloatNetwork, connection: Connection, plan: QuantizationPlan, seen: Calibration) -> np.ndarray:
    """Mean of rounded minus true current of every neuron of the target, float64, physical."""
    rounded = quantize_connection(network, connection, plan)
    weight = rounded.weight * weight_step(network, rounded, plan.scales[connection.target]) - connection.weight
    op = replace(connection.op, weight=np.asarray(weight))
    source = network.shape(connection.source)
    layer = SynapseLayer(replace(connection, op=op), source, network[connection.target].shape, torch.float64)
    with torch.no_grad():
        return layer(torch.from_numpy(seen.mean[connection.source])[None, None])[0, 0].numpy()
