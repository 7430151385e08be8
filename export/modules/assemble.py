"""Populations and connections from a watched forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import NOMINAL_DT, FloatNetwork, FloatNeuron, Input, Population, ReadoutKind
from spikeport.export.model.synapse import Connection, Elementwise, Op, Shape
from spikeport.export.modules.reading import ONE, ZERO, Reading
from spikeport.export.modules.trace import INPUT, Group, Trace
from spikeport.export.modules.value import HELD, Derived, Term, Value, starting
from spikeport.export.nir.foreign.assemble import ONE_TO_ONE, unique_names, with_bias
from spikeport.export.nir.foreign.compose import scaled_op

ADDER = Reading(beta=ONE, threshold=ZERO)
OR = Reading(beta=ZERO, threshold=ZERO)


class Assembly:
    """Collects populations and connections."""

    def __init__(self, trace: Trace, read: Callable[[nn.Module, Shape], Reading]) -> None:
        self.trace, self.read_neuron = trace, read
        self.populations: dict[str, Population] = {}
        self.connections: list[Connection] = []

    def add(self, group: Group) -> None:
        """One group of neurons with all that arrives at it."""
        reading = self.reading(group)
        terms = self.arriving(group)
        if group.pool:
            self.populations[group.name] = Population(group.name, group.shape, _neuron(reading, ZERO, group.shape))
            self.connections.append(
                Connection(f"{terms[0][0].source}->{group.name}", terms[0][0].source, group.name, ONE_TO_ONE, group.pool)
            )
            return
        self.place(group.name, group.shape, reading, terms, group.bias, spiking=True)

    def reading(self, group: Group) -> Reading:
        """What the group's neurons mean."""
        if group.module is None:
            return OR
        try:
            return self.read_neuron(group.module, group.shape)
        except InputError as error:
            raise InputError(f"neuron {group.name}: {error}") from None

    def arriving(self, group: Group) -> list[tuple[Term, int]]:
        """Each chain into a group and its delay, the same at every timestep from when it has
        something to carry.
        """
        last = len(group.inputs) - 1
        terms = [(t, _delay(t, last, group.name)) for t in group.inputs[last]]
        for step, earlier in enumerate(group.inputs):
            expected = [(t.source, d, t.labels) for t, d in terms if d <= step]
            got = [(t.source, _delay(t, step, group.name), t.labels) for t in earlier]
            if sorted(got) != sorted(expected):
                raise InputError(
                    f"neuron {group.name} reads {_named(got)} at timestep {step + 1}, and {_named(expected)} later; a chip's wiring is fixed"
                )
        return terms

    def place(self, name: str, shape: Shape, reading: Reading, terms: list[tuple[Term, int]], bias: np.ndarray, *, spiking: bool) -> None:
        """A population, its connections, and what comes back from its own spikes."""
        back = starting(name, 0, torch.zeros(1, *shape, dtype=torch.float64))
        if reading.feedback is not None:
            spikes_back, back_bias = self._feedback(name, reading.feedback, back)
            terms, bias = [*terms, (spikes_back, 1)], bias + back_bias
        neuron = _neuron(reading, reading.gain * bias, shape, spiking=spiking)
        self.populations[name] = Population(name, shape, neuron)
        self.connect(name, shape, reading.gain, terms)
        if reading.self_weight is not None:
            self.connections.append(Connection(f"{name}:reset", name, name, Elementwise(reading.self_weight), delay=1))

    def connect(self, name: str, shape: Shape, gain: np.ndarray, terms: list[tuple[Term, int]]) -> None:
        """Connections along terms into a population; `gain` joins their weights."""
        for term, delay in terms:
            chain = term.chain
            inner = chain.inner(term.start)
            factor = gain.reshape(()) if gain.size == 1 else np.broadcast_to(gain, shape).reshape(inner)
            op: Op | None = (chain.op or ONE_TO_ONE) if (gain == 1).all() else scaled_op(chain.op or ONE_TO_ONE, inner, factor)
            if op is None:
                raise InputError(
                    f"neuron {name}: its input gain differs inside a channel, which a convolution cannot carry; use one per channel"
                )
            label = term.labels[-1] if term.labels else f"{term.source}->{name}"
            self.connections.append(Connection(label, term.source, name, op, chain.pool, delay + chain.delay))

    def _feedback(self, name: str, layer: nn.Module, back: Value) -> tuple[Term, np.ndarray]:
        """The recurrent layer of a neuron as a chain from its own spikes, and its bias."""
        trace = Trace(layer, {})
        x = torch.zeros(1, *back.shape, dtype=torch.float64)
        trace.tracked[x] = back
        try:
            with torch.no_grad(), trace:
                y = layer(x)
        finally:
            trace.release()
        value = trace.tracked.get(y)
        if not isinstance(value, Value):
            raise InputError(f"neuron {name}: its recurrent layer is no linear layer")
        return replace(value.terms[0], labels=(f"{name}.recurrent",)), value.bias

    def read_out(self, name: str, group: Group) -> str:
        """A population that holds the potential of spiking neurons as the framework gives it; its
        name.
        """
        reading = self.reading(group)
        if reading.membrane is None:
            raise InputError(f"neuron {name} cannot be read by its membrane: {reading.no_membrane}")
        if not reading.membrane.any() and not self._feeds(name):
            self.populations[name] = replace(self.populations[name], neuron=replace(self.populations[name].neuron, spiking=False))
            return name
        made = f"{name}_membrane"
        copied = [
            replace(c, name=f"{c.name}->{made}", target=made) for c in self.connections if c.target == name and c.name != f"{name}:reset"
        ]
        self.populations[made] = replace(self.populations[name], name=made, neuron=_still(self.populations[name].neuron))
        self.connections += copied
        if reading.membrane.any():
            weight = Elementwise(np.asarray(reading.membrane))
            self.connections.append(Connection(f"{made}:reset", name, made, weight, delay=reading.membrane_delay))
        return made

    def _feeds(self, name: str) -> bool:
        return any(c.source == name for c in self.connections)


def assemble(trace: Trace, returned: Any, read: Callable[[nn.Module, Shape], Reading], readout: str) -> FloatNetwork:
    """The network of a watched forward pass; `returned`: what the module returned at last.

    Raises:
        InputError: a neuron, layer or readout without an exact counterpart.
    """
    assembly = Assembly(trace, read)
    for group in trace.groups.values():
        assembly.add(group)
    output, kind = _output(assembly, trace, returned, readout)
    shape = _input_shape(trace)
    steps = max(len(g.spikes) for g in trace.groups.values())
    return FloatNetwork(
        input=Input(INPUT, shape),
        populations=tuple(assembly.populations.values()),
        connections=unique_names(assembly.connections),
        output=output,
        readout=kind,
        timesteps=steps,
        dt=NOMINAL_DT,
        integrator="per timestep",
    )


def _output(assembly: Assembly, trace: Trace, returned: Any, readout: str) -> tuple[str, ReadoutKind]:
    """The population that is read: that of the first signal returned, else the last that fired."""
    value = _first_signal(trace, returned)
    if isinstance(value, str):
        group = trace.groups[value]
    elif value is None or (len(value.terms) == 1 and value.terms[0].bare and value.terms[0].source in trace.groups):
        group = trace.groups[value.terms[0].source] if value else list(trace.groups.values())[-1]
    else:
        last = max(len(g.spikes) for g in trace.groups.values()) - 1
        name = _free("readout", assembly.populations)
        assembly.place(name, value.shape, ADDER, [(t, _delay(t, last, name)) for t in value.terms], value.bias, spiking=False)
        return name, "accumulated_current"
    if readout == "spikes":
        return group.name, "spike_count"
    return assembly.read_out(group.name, group), "membrane_potential"


def _first_signal(trace: Trace, returned: Any) -> Value | str | None:
    """What the first tensor that the module returned stands for: a signal, or the name of the
    neurons whose state it is.
    """
    for tensor in _flat(returned):
        tracked = trace.tracked.get(tensor)
        if isinstance(tracked, Derived):
            tracked = tracked.last
        if isinstance(tracked, Value):
            return tracked
        if tensor in trace.states:
            return str(trace.states[tensor][0])
    return None


def _flat(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return [t for part in parts for t in _flat(part)]


def _input_shape(trace: Trace) -> Shape:
    for group in trace.groups.values():
        for term in group.inputs[-1]:
            if term.source == INPUT:
                return term.start
    raise InputError("no neuron reads the sample; nothing flows from the input to the spikes")


def _delay(term: Term, step: int, name: str) -> int:
    """Timesteps between what a term carries and when it is read."""
    delay = 0 if term.step == HELD else step - term.step
    if delay < 0:
        raise InputError(f"{name} reads timestep {term.step + 1} of {term.source} at timestep {step + 1}; a network cannot look ahead")
    return delay


def _neuron(reading: Reading, bias: np.ndarray, shape: Shape, *, spiking: bool = True) -> FloatNeuron:
    neuron = FloatNeuron(
        reading.alpha,
        reading.beta,
        reading.threshold,
        reading.leak,
        reading.reset,
        reading.reset_value,
        reading.strict,
        spiking,
        firing=reading.firing,
    )
    return with_bias(neuron, bias, shape)


def _still(neuron: FloatNeuron) -> FloatNeuron:
    """The same neuron without spikes and reset."""
    return replace(neuron, spiking=False, reset="zero", reset_value=ZERO, firing="single")


def _named(terms: list[tuple[str, int, tuple[str, ...]]]) -> str:
    return " + ".join(" of ".join((*reversed(labels), source)) for source, _, labels in terms) or "nothing"


def _free(name: str, taken: Any) -> str:
    while name in taken:
        name += "_"
    return name
