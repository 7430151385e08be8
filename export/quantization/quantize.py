"""Calibrated post-training quantization: a `FloatNetwork` and sample data in, Loihi's integers out.

All free choices of a population are made together (`spikeport.export.quantization.scales`). The
range of u and v is kept by a bound proven from the weights wherever that costs no accuracy, else by
the largest value seen in calibration with a margin; the report says which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from spikeport.export.floating.simulate import physical_input
from spikeport.export.model import registers as reg
from spikeport.export.model.network import FloatNetwork, FloatNeuron, Population, QuantizedNetwork, check_weight_bits
from spikeport.export.model.synapse import Connection, Conv, Elementwise
from spikeport.export.quantization.bias_correction import correct_biases
from spikeport.export.quantization.bias_neurons import with_bias_neurons
from spikeport.export.quantization.calibrate import Calibration, calibrate, calibration_notes, choose_input
from spikeport.export.quantization.report import report
from spikeport.export.quantization.rounding import BIAS_MAX, QuantizationPlan, apply_plan, check_neuron
from spikeport.export.quantization.scales import Fit, ScaleSearch, SynapseRows
from spikeport.export.quantization.state_bounds import Bound, state_bounds

STATE_ROOM = 0.75 * reg.THRESHOLD_MAX
"""Weight units that u and v may reach; the rest is for what rounding and its correction by the bias
add.
"""
BIAS_ROOM = 0.5 * BIAS_MAX
"""Weight units that a bias may reach before correction."""
COST_OF_PROOF = 1.1
"""A proven range is taken if the quantization error grows by no more than this factor."""


@dataclass(frozen=True)
class Settings:
    """weight_bits: 2 to 8. per_channel: a scale for every channel of a spiking population. margin:
    room beyond calibrated peaks.
    """

    weight_bits: int
    per_channel: bool
    margin: float


def quantize(
    network: FloatNetwork,
    calibration: np.ndarray,
    *,
    weight_bits: int = 8,
    per_channel: bool = False,
    input_bits: int = 8,
    margin: float = 2.0,
) -> QuantizedNetwork:
    """Choose integers for every parameter, on sample data.

    Args:
        calibration: `(samples, *shape)` held over time or `(samples, timesteps or more, *shape)`; a
            few hundred samples of the training data.
        weight_bits: 2 to 8; weights lie in `-2**(bits-1) .. 2**(bits-1) - 1`.
        per_channel: thresholds and scales per channel. A spiking neuron's potential may be counted
            in any unit, so this is exact; chips with one threshold per neuron group need a group
            per channel then.
        input_bits: bits of graded input, where the network does not declare its range and the data
            are neither spikes nor counts.
        margin: room beyond the largest u and v seen, where no bound is proven.

    Returns:
        The network; `provenance["quantization"]` holds the report
        (`spikeport.export.quantization.report`), `provenance["notes"]` what the integers cannot
        hold and what is suspicious about the data.

    Raises:
        InputError: options out of range, data that do not fit, or a parameter that no register can
            hold.
    """
    check_weight_bits(weight_bits)
    network = with_bias_neurons(network)
    values, _ = physical_input(network.input, calibration, network.timesteps)
    for p in network.populations:
        check_neuron(p)
    assert network.depths, "a schedule exists on hardware, else it raises"
    sent = choose_input(network.input, values, input_bits)
    notes = [*network.provenance.get("notes", []), *calibration_notes(sent, values)]
    network = replace(network, input=sent, provenance={**network.provenance, "notes": notes})
    seen, bounds = calibrate(network, values), state_bounds(network)
    settings = Settings(weight_bits, per_channel, margin)
    scales: dict[str, np.ndarray] = {}
    exponents: dict[str, int] = {}
    for p in network.populations:
        fit = _fit_population(network, p, seen, bounds[p.name], settings)
        scales[p.name] = _per_channel_array(fit.scale, p)
        exponents |= {c.name: e for c, e in zip(network.incoming(p.name), fit.exponents)}
    plan = QuantizationPlan(network.input, weight_bits, scales, exponents)
    quantized = apply_plan(correct_biases(network, plan, seen), plan)
    return report(network, quantized, values, seen, per_channel=per_channel)


def _fit_population(network: FloatNetwork, p: Population[FloatNeuron], seen: Calibration, bound: Bound, settings: Settings) -> Fit:
    incoming = network.incoming(p.name)
    groups = p.shape[0] if settings.per_channel and _may_differ(network, p) else 1

    def largest(*values: np.ndarray) -> np.ndarray:
        return np.max([np.broadcast_to(np.abs(v), p.shape).reshape(groups, -1).max(axis=1) for v in values], axis=0)

    synapses = [_rows(network, c, seen.squares[c.name], groups) for c in incoming] or [
        SynapseRows(np.zeros((groups, 1)), np.zeros((groups, 1)), 1)
    ]
    search = ScaleSearch(synapses, settings.weight_bits, largest(p.neuron.threshold), fires=p.neuron.spiking)
    observed = Bound(settings.margin * seen.current[p.name], settings.margin * seen.potential[p.name])
    proven = search.best(_floor(p, bound, largest))
    cheapest = search.best(_floor(p, observed, largest))
    return proven if proven.cost <= COST_OF_PROOF * cheapest.cost else cheapest


def _floor(p: Population[FloatNeuron], bound: Bound, largest: Callable[..., np.ndarray]) -> np.ndarray:
    """Smallest scale of each group at which every register holds what it must."""
    n = p.neuron
    state = largest(bound.current, bound.potential, n.threshold if n.spiking else np.zeros(()), n.reset_value)
    return np.maximum(np.maximum(state / STATE_ROOM, largest(n.bias) / BIAS_ROOM), np.finfo(float).tiny)


def _may_differ(network: FloatNetwork, p: Population[FloatNeuron]) -> bool:
    """Whether channels may have scales of their own: they spike, noise has no common unit to keep,
    no kernel crosses channels.
    """
    whole_kernels = all(not isinstance(c.op, Conv) or c.output_shape(network.shape(c.source)) == p.shape for c in network.incoming(p.name))
    return p.neuron.spiking and p.neuron.noise is None and whole_kernels


def _rows(network: FloatNetwork, c: Connection, squares: np.ndarray, groups: int) -> SynapseRows:
    """A connection's weights by channel, as current per input integer."""
    unit = network.unit(c.source)
    shape = c.output_shape(network.shape(c.source)) if isinstance(c.op, Elementwise) else c.weight.shape
    fan_in = 1 if isinstance(c.op, Elementwise) else prod(shape[1:])
    weight, seen = (np.broadcast_to(a, shape).reshape(groups, -1) for a in (c.weight * unit, squares / unit**2))
    return SynapseRows(weight, seen, fan_in)


def _per_channel_array(scale: np.ndarray, p: Population) -> np.ndarray:
    return scale.reshape(()) if len(scale) == 1 else scale.reshape(-1, *(1,) * (len(p.shape) - 1))
