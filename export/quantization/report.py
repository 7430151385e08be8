"""What a quantization chose and what it costs, as JSON values in `provenance["quantization"]`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import numpy as np

from spikeport.export.model import registers as reg
from spikeport.export.model.network import FloatNetwork, QuantizedNetwork
from spikeport.export.model.synapse import Connection
from spikeport.export.quantization.calibrate import Calibration, calibrate
from spikeport.export.quantization.dequantize import dequantize
from spikeport.export.quantization.state_bounds import Bound, state_bounds
from spikeport.export.quantization.weight_step import weight_step


@dataclass(frozen=True)
class ConnectionReport:
    """step: physical size of a weight integer (smallest and largest over channels). clipped: share
    of weights beyond the range.

    sqnr_db: signal to quantization noise of the current on calibration data, None where nothing is
    lost.
    """

    step: tuple[float, float]
    exponent: int
    clipped: float
    sqnr_db: float | None


@dataclass(frozen=True)
class PopulationReport:
    """threshold: mantissa; scale: physical potential of a weight unit; both smallest and largest
    over channels.

    bias_exponent; rate: spikes per neuron and timestep on calibration data, in float and with the
    integers' values.
    used: share of the 24-bit state that u and v reach on calibration data, and at most (bound);
    overflow is excluded for every input within the network's timesteps if the bound is below 1
    (proven).
    """

    scale: tuple[float, float]
    threshold: tuple[int, int]
    bias_exponent: int
    rate_float: float | None
    rate_quantized: float | None
    used: float
    used_bound: float
    proven: bool


def report(
    network: FloatNetwork, quantized: QuantizedNetwork, values: np.ndarray, seen: Calibration, *, per_channel: bool
) -> QuantizedNetwork:
    """The quantized network with its report. values: physical calibration data; seen: what the
    float network did on them.
    """
    sent = quantized.input
    held_values = sent.rounded(values)
    meaning = dequantize(quantized)
    after, bounds = calibrate(meaning, held_values), integer_bounds(quantized)
    original = {c.name: c for c in network.connections}
    connections = {c.name: _connection(quantized, c, original[c.name], seen.squares[c.name]) for c in quantized.connections}
    populations = {p.name: _population(quantized, p.name, seen, after, bounds[p.name]) for p in quantized.populations}
    made = {
        "weight_bits": quantized.weight_bits,
        "per_channel": per_channel,
        "rounding": "half to even",
        "calibration_samples": len(values),
        "connections": {name: asdict(c) for name, c in connections.items()},
        "populations": {name: asdict(p) for name, p in populations.items()},
    }
    return replace(quantized, provenance={**quantized.provenance, "quantization": made})


def integer_bounds(network: QuantizedNetwork) -> dict[str, Bound]:
    """Bounds that the integers keep too: a weight exponent below 0 rounds each current down, by
    less than a weight unit.
    """
    floored = {p.name: p.scale * sum(c.exponent < 0 for c in network.incoming(p.name)) for p in network.populations}
    return state_bounds(dequantize(network), floored)


def _connection(network: QuantizedNetwork, c: Connection, original: Connection, squares: np.ndarray) -> ConnectionReport:
    step = weight_step(network, c, network[c.target].scale)
    error = c.weight * step - original.weight
    signal, noise = (float(np.sum(a**2 * squares)) for a in (original.weight + 0 * step, error))
    return ConnectionReport(
        step=_span(step),
        exponent=c.exponent,
        clipped=float((np.abs(error) > (0.5 + 1e-9) * step).mean()),
        sqnr_db=10 * math.log10(signal / noise) if noise > 0 and signal > 0 else None,
    )


def _population(network: QuantizedNetwork, name: str, before: Calibration, after: Calibration, bound: Bound) -> PopulationReport:
    p = network[name]
    used_bound = max(_largest(b / p.scale) for b in bound) / reg.THRESHOLD_MAX
    return PopulationReport(
        scale=_span(p.scale),
        threshold=(int(p.neuron.threshold.min()), int(p.neuron.threshold.max())),
        bias_exponent=p.neuron.bias_exponent,
        rate_float=float(before.mean[name].mean()) if p.neuron.spiking else None,
        rate_quantized=float(after.mean[name].mean()) if p.neuron.spiking else None,
        used=max(_largest(a[name] / p.scale) for a in (after.current, after.potential)) / reg.THRESHOLD_MAX,
        used_bound=used_bound,
        proven=used_bound < 1,
    )


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())


def _span(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())
