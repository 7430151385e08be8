"""What lava-dl's description can hold of a network's registers, and what it costs where it cannot
hold them all.

A `.net` has whole weights without exponent, of 8 bits: any from -128 to 127, even ones from -256 to
254. Threshold and bias are whole weight units, the bias of 13 bits. A population whose numbers do
not fit is counted in units of 2**shift of its own: weights, threshold and bias are divided by
2**shift and rounded half to even. The dynamics stay, but round at another place, so its spikes may
differ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model import registers as reg
from spikeport.export.model.network import IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection

EVEN = 1
"""Largest exponent beside an 8-bit weight."""


@dataclass(frozen=True)
class Change:
    """What one population lost. weight, bias: largest change in units of the file; threshold:
    likewise; all 0 and shift 0 is exact.
    """

    shift: int
    weight: float
    threshold: float
    bias: float

    @property
    def exact(self) -> bool:
        """Whether the population is the same, spike for spike."""
        return not (self.shift or self.weight or self.threshold or self.bias)


Changes: TypeAlias = "dict[str, Change]"


def fitted(network: QuantizedNetwork) -> tuple[QuantizedNetwork, Changes]:
    """The network that a `.net` file can hold, closest to this one, and what changed in each
    population.

    Raises:
        InputError: neurons that lava-dl has not.
    """
    populations: list[Population[IntegerNeuron]] = []
    connections: dict[str, Connection] = {}
    changes: Changes = {}
    for p in network.populations:
        check_neuron(p)
        incoming = network.incoming(p.name)
        shift = _shift(p, incoming)
        weights = {c.name: c.weight * 2.0 ** (c.exponent - shift) for c in incoming}
        unit = 2.0**shift
        threshold, bias = p.neuron.threshold / unit, p.neuron.bias / unit / (1 << reg.STATE_SHIFT)
        changes[p.name] = Change(
            shift, max(map(_loss, weights.values()), default=0.0), _loss(threshold) if p.neuron.spiking else 0.0, _loss(bias)
        )
        populations.append(replace(p, neuron=_neuron(p, threshold, bias), scale=p.scale * unit))
        connections |= {c.name: _with_weights(c, np.rint(weights[c.name]).astype(np.int64)) for c in incoming}
    ordered = tuple(connections[c.name] for c in network.connections)
    fit = replace(network, populations=tuple(populations), connections=ordered, weight_bits=reg.WEIGHT_BITS_MAX)
    return fit, changes


def check_neuron(p: Population[IntegerNeuron]) -> None:
    """Refuse what lava-dl's CUBA neuron cannot do."""
    if p.neuron.spiking and p.neuron.reset != "zero":
        raise InputError(f"population {p.name} resets by {p.neuron.reset}; lava-dl's neurons reset to zero only, so export to onnx or nir")
    if p.neuron.noise:
        raise InputError(f"population {p.name} has noise, which lava-dl's neurons have not; export to onnx or nir")


def _shift(p: Population[IntegerNeuron], incoming: tuple[Connection, ...]) -> int:
    """0 where all weights fit as they are, else the smallest at which the largest exponent does;
    more where a threshold or a bias, which has 13 bits and no exponent, needs it.

    Connections into one population share the weights' lowest bit in lava-dl, so those of unlike
    exponent keep to 127.
    """
    exponents = {c.exponent for c in incoming}
    whole = all(_fits(c) for c in incoming) and (len(incoming) == 1 or _same_bits(incoming))
    shift = 0 if whole else max(exponents) - (EVEN if len(exponents) == 1 else 0)
    threshold = p.neuron.threshold.max() if p.neuron.spiking else 0
    bias = np.abs(p.neuron.bias).max() / (1 << reg.STATE_SHIFT)
    while threshold / 2.0**shift > reg.THRESHOLD_MAX or np.rint(bias / 2.0**shift) > reg.BIAS_MANTISSA_MAX:
        shift += 1
    return shift


def _fits(c: Connection) -> bool:
    whole = c.weight * 2.0**c.exponent
    return bool((whole == np.rint(whole)).all()) and (c.exponent <= EVEN or bool(whole.max() <= 254 and whole.min() >= -256))


def _same_bits(incoming: tuple[Connection, ...]) -> bool:
    whole = np.concatenate([(c.weight * 2.0**c.exponent).ravel() for c in incoming])
    return bool((whole % 2 == 0).all() or (whole.max() <= 127 and whole.min() >= -128))


def _loss(exact: np.ndarray) -> float:
    return float(np.abs(exact - np.rint(exact)).max(initial=0))


def _with_weights(c: Connection, whole: np.ndarray) -> Connection:
    """Whole weights of -256 to 254 as 8-bit ones with an exponent of 0 or 1."""
    exponent = 0 if whole.max() <= 127 and whole.min() >= -128 else EVEN
    return replace(c, op=replace(c.op, weight=(whole >> exponent).astype(np.int8)), exponent=exponent)


def _neuron(p: Population[IntegerNeuron], threshold: np.ndarray, bias: np.ndarray) -> IntegerNeuron:
    whole = np.rint(bias).astype(np.int64)
    kept = np.rint(threshold).astype(np.int32) if p.neuron.spiking else np.full_like(p.neuron.threshold, reg.THRESHOLD_MAX)
    return replace(p.neuron, threshold=kept, bias_mantissa=whole.astype(np.int32), bias_exponent=reg.STATE_SHIFT)
