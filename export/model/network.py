"""The network: populations of neurons joined by connections, in float (`FloatNetwork`) or integers
(`QuantizedNetwork`).

One neuron serves both. Per timestep, in this order, with `a` the sum over incoming connections:

    u = alpha * u + a                  synaptic current      (alpha = 0: no memory)
    v = beta * v + u + bias + noise    membrane potential    (beta = 1: integrate-and-fire)
    s = v > threshold                  strict, unless the float neuron says otherwise
    v = 0, reset_value, or v - reset_value where s is set    (reset kind: zero, value, subtract)

In integers alpha = 1 - (du + 1)/4096, beta = 1 - dv/4096, both rounded toward zero; u and v count
in 1/64 of a weight unit. Populations are updated in topological order within a timestep, so a
feed-forward network answers input t at output t; the hardware's one step of delay per connection is
added by `Network.depths`, never seen in results.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.tabular import Table, Tabular
from spikeport.export.model import registers as reg
from spikeport.export.model.frozen import frozen_array
from spikeport.export.model.input import Input, InputCode
from spikeport.export.model.neuron import FloatNeuron, IntegerNeuron, Noise, check_choice
from spikeport.export.model.schedule import hardware_depths
from spikeport.export.model.synapse import Connection, Conv, Dense, Elementwise, Op, Pool, Shape

__all__ = [
    "NOMINAL_DT",
    "Connection",
    "Conv",
    "Dense",
    "Elementwise",
    "FloatNetwork",
    "FloatNeuron",
    "Input",
    "InputCode",
    "IntegerNeuron",
    "Integrator",
    "Network",
    "Noise",
    "Op",
    "Pool",
    "Population",
    "QuantizedNetwork",
    "Shape",
]

Neuron = TypeVar("Neuron", bound="FloatNeuron | IntegerNeuron")
Self = TypeVar("Self", bound="Network[Any]")
ReadoutKind: TypeAlias = Literal["spike_count", "accumulated_current", "membrane_potential"]
READOUTS = ("spike_count", "accumulated_current", "membrane_potential")
NOMINAL_DT = 1e-3
"""Seconds that a timestep stands for in files, of networks that know no seconds: their decays are
per timestep.
"""
Integrator: TypeAlias = Literal["euler", "exponential", "impulse", "per timestep"]
SHOWN = 6
"""Populations that a network's `repr` names."""
INTEGRATORS = ("euler", "exponential", "impulse", "per timestep")


@dataclass(frozen=True, eq=False)
class Population(Generic[Neuron]):
    """Neurons of one kind. scale: physical potential of one weight unit (1 in a float network); may
    be per channel.
    """

    name: str
    shape: Shape
    neuron: Neuron
    scale: np.ndarray = field(default_factory=lambda: frozen_array(1.0))

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", frozen_array(self.scale))

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(self.shape)


@dataclass(frozen=True, eq=False, repr=False)
class Network(Tabular, Generic[Neuron]):
    """Topology and meaning shared by float and quantized networks; validated when made.

    readout: how `output` is read. "spike_count": its spikes, classes by their sum over time.
    "accumulated_current": the non-spiking population's membrane increment per step, classes by its
    sum. "membrane_potential": the potential itself, classes by its value at the last step.
    timesteps: T the network was trained or truncated for.
    dt: seconds that one timestep stands for. The dynamics are per timestep, so dt changes no spike;
    files and latencies in
    seconds need it. integrator: where the decays per timestep come from: "euler", "exponential" or
    "impulse" (steps of a differential equation, see `spikeport.export.nir.foreign.dynamics`), or
    "per timestep" (trained or given as such).
    provenance: where the network comes from, for people: JSON values (data, seeds, notes, ...).
    Nothing is computed from it.
    """

    input: Input
    populations: tuple[Population[Neuron], ...]
    connections: tuple[Connection, ...]
    output: str
    readout: ReadoutKind
    timesteps: int
    provenance: Mapping[str, Any] = field(default_factory=dict)
    dt: float = field(kw_only=True)
    integrator: Integrator = field(kw_only=True)

    def __post_init__(self) -> None:
        check_choice("readout", self.readout, READOUTS)
        check_choice("integrator", self.integrator, INTEGRATORS)
        object.__setattr__(self, "dt", _checked_dt(self.dt))
        object.__setattr__(self, "provenance", deepcopy(dict(self.provenance)))
        object.__setattr__(self, "connections", tuple(self.connections))
        if self.timesteps < 1:
            raise InputError(f"timesteps is {self.timesteps}; a network runs for at least 1")
        names = [self.input.name, *(p.name for p in self.populations)]
        if len(set(names)) != len(names):
            raise InputError(f"population names must be unique, got {names}")
        if self.output not in names[1:]:
            raise InputError(f"output {self.output!r} is not one of the populations {names[1:]}")
        labels = [c.name for c in self.connections]
        if len(set(labels)) != len(labels):
            raise InputError(f"connection names must be unique, got {labels}")
        if (self.readout == "spike_count") != self[self.output].neuron.spiking:
            raise InputError(f"readout {self.readout} does not fit population {self.output!r}, spiking: {self[self.output].neuron.spiking}")
        for connection in self.connections:
            self._check_connection(connection, names)
        object.__setattr__(self, "populations", tuple(self[name] for name in self._order()))

    def _check_connection(self, connection: Connection, names: list[str]) -> None:
        for end in (connection.source, connection.target):
            if end not in names:
                raise InputError(f"connection {connection.name} names population {end!r}, which is not in the network")
        if connection.target == self.input.name:
            raise InputError(f"connection {connection.name} ends in the input")
        if not np.isfinite(connection.weight).all():
            raise InputError(f"connection {connection.name} has weights that are NaN or infinite")
        size = prod(connection.output_shape(self.shape(connection.source)))
        if size != self[connection.target].size:
            raise InputError(
                f"connection {connection.name} makes {size} currents for the {self[connection.target].size} neurons of {connection.target}"
            )

    def table(self) -> Table:
        """A row per population.

        As text: `QuantizedNetwork(input (64,) -> hidden (32,), ...; T = 10; 2 connections, 2,368
        weights)`.
        """
        names = ", ".join(f"{p.name} {p.shape}" for p in self.populations[:SHOWN])
        more = f", ... {len(self.populations) - SHOWN} more" if len(self.populations) > SHOWN else ""
        weights = sum(np.size(c.weight) for c in self.connections)
        title = (
            f"{self.input.name} {self.input.shape} -> {names}{more}; T = {self.timesteps}; readout "
            f"{self.readout} of {self.output}; {len(self.connections)} connections, {weights:,} weights"
        )
        columns: dict[str, list[Any]] = {
            "population": [p.name for p in self.populations],
            "shape": [p.shape for p in self.populations],
            "neurons": [p.size for p in self.populations],
            "spiking": [p.neuron.spiking for p in self.populations],
            "incoming": [", ".join(c.source for c in self.incoming(p.name)) for p in self.populations],
            "weights": [sum(int(np.size(c.weight)) for c in self.incoming(p.name)) for p in self.populations],
        }
        return Table(title, columns)

    def __getitem__(self, name: str) -> Population[Neuron]:
        for population in self.populations:
            if population.name == name:
                return population
        raise KeyError(name)

    def shape(self, name: str) -> Shape:
        """Shape of a population or of the input."""
        return self.input.shape if name == self.input.name else self[name].shape

    def messages(self, name: str) -> tuple[int, int]:
        """Smallest and largest message that a population or the input sends; 0 is silence."""
        return self.input.sent if name == self.input.name else (0, 1)

    def unit(self, name: str) -> float:
        """What a message of 1 from a population or the input stands for: a spike of height 1, or
        the input's scale.
        """
        return self.input.scale if name == self.input.name else 1.0

    def incoming(self, name: str) -> tuple[Connection, ...]:
        """Connections that end in a population."""
        return tuple(c for c in self.connections if c.target == name)

    def outgoing(self, name: str) -> tuple[Connection, ...]:
        """Connections that start in a population or in the input."""
        return tuple(c for c in self.connections if c.source == name)

    def _order(self) -> list[str]:
        """Names so that every connection without delay goes forward; refuses loops without delay."""
        waiting = [p.name for p in self.populations]
        done = {self.input.name}
        order: list[str] = []
        while waiting:
            ready = [n for n in waiting if all(c.delay or c.source in done for c in self.incoming(n))]
            if not ready:
                raise InputError(
                    f"populations {waiting} form a loop without delay; a loop needs a connection with a delay of at least 1 timestep"
                )
            order += ready
            done.update(ready)
            waiting = [n for n in waiting if n not in done]
        return order

    @cached_property
    def depths(self) -> dict[str, int]:
        """Hardware timesteps by which each population lags the input: every connection costs at
        least one step on Loihi.

        A connection's delay on hardware is `hardware_delay`; the smallest depths for which all are
        at least 1. A float network may have none (InputError), a quantized one always has.
        """
        return hardware_depths([self.input.name, *(p.name for p in self.populations)], self.connections)

    def hardware_delay(self, connection: Connection) -> int:
        """Timesteps a spike takes through this connection on hardware, at least 1."""
        return connection.delay + self.depths[connection.target] - self.depths[connection.source]

    def with_timesteps(self: Self, timesteps: int) -> Self:
        """The same network for another number of timesteps."""
        return replace(self, timesteps=timesteps)


@dataclass(frozen=True, eq=False, repr=False)
class FloatNetwork(Network[FloatNeuron]):
    """A network in physical units: float64 weights, exponent 0, `FloatNeuron`s."""

    def __post_init__(self) -> None:
        super().__post_init__()
        assert all(isinstance(p.neuron, FloatNeuron) for p in self.populations)


@dataclass(frozen=True, eq=False, repr=False)
class QuantizedNetwork(Network[IntegerNeuron]):
    """A network in Loihi's integers: int8 weights with exponents, `IntegerNeuron`s.

    Written to `.nir` and read back exactly.

    weight_bits: 2 to 8, the bits that weights were rounded to; they lie in `-2**(bits-1) ..
    2**(bits-1) - 1`.
    """

    weight_bits: int = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        assert all(isinstance(p.neuron, IntegerNeuron) for p in self.populations)
        assert self.depths, "a schedule exists, else it raises"
        check_weight_bits(self.weight_bits)
        half = 1 << (self.weight_bits - 1)
        for c in self.connections:
            if c.weight.dtype != np.int8:
                raise InputError(f"connection {c.name} has {c.weight.dtype} weights; a quantized network holds int8")
            if c.weight.size and not -half <= c.weight.min() <= c.weight.max() < half:
                raise InputError(
                    f"connection {c.name} has weights {c.weight.min()}..{c.weight.max()}, outside the {-half}..{half - 1} of {self.weight_bits} bits"
                )
            if not reg.WEIGHT_EXPONENT_MIN <= c.exponent <= reg.WEIGHT_EXPONENT_MAX:
                raise InputError(
                    f"connection {c.name} has weight exponent {c.exponent}, outside {reg.WEIGHT_EXPONENT_MIN}..{reg.WEIGHT_EXPONENT_MAX}"
                )


def check_weight_bits(bits: int) -> None:
    """InputError unless a chip's weights can have so many bits."""
    if isinstance(bits, bool) or not isinstance(bits, int) or not reg.WEIGHT_BITS_MIN <= bits <= reg.WEIGHT_BITS_MAX:
        raise InputError(f"weight bits is {bits!r}; choose {reg.WEIGHT_BITS_MIN} to {reg.WEIGHT_BITS_MAX}")


def _checked_dt(dt: float) -> float:
    """InputError unless dt is a positive number."""
    if isinstance(dt, bool) or not isinstance(dt, (int, float)) or not 0 < dt < float("inf"):
        raise InputError(f"dt is {dt!r}; it is the seconds per timestep, a positive number")
    return float(dt)
