"""From physical units to Loihi's integers as planned, rounding half to even. Imports numpy only.

What the integers cannot hold is said in `provenance["notes"]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model import registers as reg
from spikeport.export.model.network import FloatNetwork, FloatNeuron, Input, IntegerNeuron, Network, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection
from spikeport.export.quantization.weight_step import weight_step

BIAS_MAX = (reg.BIAS_MANTISSA_MAX << reg.BIAS_EXPONENT_MAX) * reg.STATE_UNIT
"""Largest bias in weight units."""
WHOLE_TOLERANCE = 1e-6
"""A ratio this close to an integer is one that float arithmetic has missed."""

NOT_ON_CHIP = {
    "multiple": "may fire several spikes in one timestep; a chip's neuron fires once: quantize it with one spike per step (--no-multi-spike)",
    "refractory": "is held at 0 in the step after a spike (snnTorch's late reset to zero of this neuron), which has no counterpart in "
    "the integers; train it with reset_mechanism='subtract', or with reset_delay=False",
    "deferred": "waits for a second spike while its potential stays above the threshold (snnTorch's subtraction with reset_delay=False), "
    "which has no counterpart in the integers; train it with reset_delay=True",
}
"""Firing rules of a float neuron that the integers do not have: why, and what to do instead."""


@dataclass(frozen=True, eq=False)
class QuantizationPlan:
    """All free choices of a quantization. scales: physical potential of a weight unit, per
    population.
    """

    input: Input
    weight_bits: int
    scales: Mapping[str, np.ndarray]
    exponents: Mapping[str, int]


def requantize(network: FloatNetwork, like: QuantizedNetwork) -> QuantizedNetwork:
    """Round a float network onto the grid of an earlier quantization, exactly if its weights lie
    there (`weight_grids`).

    For quantization-aware training: same populations and connections, trained weights and biases.
    """
    plan = QuantizationPlan(
        input=like.input,
        weight_bits=like.weight_bits,
        scales={p.name: p.scale for p in like.populations},
        exponents={c.name: c.exponent for c in like.connections},
    )
    return apply_plan(replace(network, provenance={**network.provenance, **like.provenance}), plan)


def apply_plan(network: FloatNetwork, plan: QuantizationPlan) -> QuantizedNetwork:
    """Round everything as planned.

    Raises:
        InputError: a parameter that no register can hold.
    """
    network = replace(network, input=plan.input)
    made = [quantize_population(network, p, plan) for p in network.populations]
    notes = [*network.provenance.get("notes", []), *(note for p in network.populations for note in rounding_notes(p))]
    return QuantizedNetwork(
        input=plan.input,
        populations=tuple(made),
        connections=tuple(quantize_connection(network, c, plan) for c in network.connections),
        output=network.output,
        readout=network.readout,
        timesteps=network.timesteps,
        dt=network.dt,
        integrator=network.integrator,
        weight_bits=plan.weight_bits,
        provenance={**network.provenance, "notes": list(dict.fromkeys(notes))},
    )


def quantize_connection(network: Network, connection: Connection, plan: QuantizationPlan) -> Connection:
    """Weights in integers of the planned step, clipped to the planned bits."""
    half = 1 << (plan.weight_bits - 1)
    coarse = replace(connection, exponent=plan.exponents[connection.name])
    step = weight_step(network, coarse, plan.scales[connection.target])
    weight = np.asarray(np.clip(np.rint(connection.weight / step), -half, half - 1), np.int8)
    return replace(coarse, op=replace(connection.op, weight=weight))


def quantize_population(network: FloatNetwork, population: Population[FloatNeuron], plan: QuantizationPlan) -> Population[IntegerNeuron]:
    """Registers of a population at its planned scale."""
    n, scale = population.neuron, plan.scales[population.name]
    check_neuron(population)
    mantissa, exponent = bias_registers(np.asarray(n.bias / (scale * reg.STATE_UNIT)))
    noise = replace(n.noise, amplitude=int(np.rint(n.noise.amplitude / (float(scale) * reg.STATE_UNIT)))) if n.noise else None
    lattice = _on_lattice(n, mantissa << exponent, [plan.exponents[c.name] for c in network.incoming(population.name)])
    neuron = IntegerNeuron(
        du=np.rint((1 - n.alpha) * reg.DECAY_UNITY).astype(np.int32) - 1,
        dv=np.rint((1 - n.beta) * reg.DECAY_UNITY).astype(np.int32),
        threshold=threshold_mantissa(n, scale, lattice),
        bias_mantissa=mantissa,
        bias_exponent=exponent,
        reset=n.reset,
        reset_value=np.rint(n.reset_value / scale).astype(np.int64),
        spiking=n.spiking,
        noise=noise,
    )
    return Population(population.name, population.shape, neuron, np.asarray(scale, np.float64))


def bias_registers(state_units: np.ndarray) -> tuple[np.ndarray, int]:
    """Mantissas and their common exponent, the smallest that holds the largest bias.

    Raises:
        InputError: a bias beyond the registers.
    """
    for exponent in range(reg.BIAS_EXPONENT_MAX + 1):
        mantissa = np.rint(state_units / (1 << exponent))
        if reg.BIAS_MANTISSA_MIN <= mantissa.min() and mantissa.max() <= reg.BIAS_MANTISSA_MAX:
            return mantissa.astype(np.int32), exponent
    raise InputError(f"a bias of {np.abs(state_units).max():.0f} state units exceeds 4095 << 7; quantize with calibration data afresh")


def threshold_mantissa(n: FloatNeuron, scale: np.ndarray, lattice: bool) -> np.ndarray:
    """Threshold in weight units, for the chip's strict comparison.

    Where v moves in whole weight units (lattice), v > theta is v > floor(theta), and v >= theta is
    v > ceil(theta) - 1, exactly. Elsewhere a tie has no width and the threshold is rounded half to
    even.
    """
    if not n.spiking:
        return np.asarray(reg.THRESHOLD_MAX, np.int32)
    theta = np.asarray(n.threshold / scale)
    whole = np.rint(theta)
    theta = np.where(np.abs(theta - whole) <= WHOLE_TOLERANCE * np.maximum(whole, 1), whole, theta)
    mantissa = whole if not lattice else np.floor(theta) if n.strict else np.ceil(theta) - 1
    return np.maximum(mantissa, 0).astype(np.int64)


def _on_lattice(n: FloatNeuron, bias: np.ndarray, exponents: list[int]) -> bool:
    """Whether v only ever takes whole weight units: nothing decays in part, nothing adds fractions."""
    all_or_nothing = np.isin(n.alpha, (0.0, 1.0)).all() and np.isin(n.beta, (0.0, 1.0)).all()
    whole = not (bias % (1 << reg.STATE_SHIFT)).any() and n.noise is None and min(exponents, default=0) >= 0
    return bool(all_or_nothing and whole)


def check_neuron(population: Population[FloatNeuron]) -> None:
    """Refuse what no register means: InputError for other firing rules than one spike a step,
    decays outside 0..1, negative thresholds.
    """
    n, name = population.neuron, population.name
    if n.spiking and n.firing != "single":
        raise InputError(f"population {name} {NOT_ON_CHIP[n.firing]}")
    for what, keep in ("alpha", n.alpha), ("beta", n.beta):
        if keep.size and not (keep.min() >= 0 and keep.max() <= 1):
            raise InputError(f"population {name}: {what} spans {keep.min():g}..{keep.max():g}; a chip keeps 0 to 1 of its state per step")
    if n.spiking and n.threshold.size and n.threshold.min() < 0:
        raise InputError(f"population {name} has a threshold of {n.threshold.min():g}; Loihi's are not negative")
    assert not n.current_bias.any(), "a bias of the current became synapses before (bias_neurons)"


def rounding_notes(population: Population[FloatNeuron]) -> list[str]:
    """What a user should know that no register can hold."""
    n, name, notes = population.neuron, population.name, []
    for what, keep in ("current", n.alpha), ("potential", n.beta):
        lost = 1 - keep
        coarse = np.abs(np.rint(lost * reg.DECAY_UNITY) / reg.DECAY_UNITY - lost) > 0.05 * lost
        if coarse.any():
            notes.append(
                f"{name}: a {what} decay of {np.atleast_1d(lost[coarse] if lost.ndim else lost)[0]:.3g} per step is off by more than 5 % in 12 bits"
            )
    if n.spiking and not n.strict and not n.threshold.all():
        notes.append(f"{name}: a threshold of 0 that fires on v >= 0 became v > 0")
    return notes
