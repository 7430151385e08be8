"""Populations and connections from the merged paths of a NIR file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spikeport.export.model.network import FloatNetwork, FloatNeuron, Input, Population, ReadoutKind
from spikeport.export.model.schedule import hardware_depths
from spikeport.export.model.synapse import Connection, Elementwise, Op, Shape
from spikeport.export.nir.foreign.compose import scaled_op
from spikeport.export.nir.foreign.dynamics import ONE, ZERO, Dynamics, Meaning, dynamics
from spikeport.export.nir.foreign.flat import LINEAR, PASSING, FlatGraph, NodeError
from spikeport.export.nir.foreign.paths import Arrival, Arrivals

ONE_TO_ONE = Elementwise(np.ones(()))


class Assembly:
    """Collects populations, then connections; `network` makes the whole."""

    def __init__(self, flat: FlatGraph, arrivals: Arrivals, meaning: Meaning) -> None:
        self.flat, self.arrivals, self.meaning = flat, arrivals, meaning
        self.populations: dict[str, Population] = {}
        self.connections: list[Connection] = []

    def network(self, source: Input, timesteps: int, provenance: dict[str, Any]) -> FloatNetwork:
        """The float network; raises NodeError where a node has no counterpart."""
        for name in self.arrivals.into:
            if name != self.arrivals.output:
                self._add(name, self.arrivals.shapes[name], self._dynamics(name))
        output, readout = self._output()
        connections = unique_names(close_loops(self.connections, source.name))
        return FloatNetwork(
            input=source,
            populations=tuple(self.populations.values()),
            connections=connections,
            output=output,
            readout=readout,
            timesteps=timesteps,
            provenance=provenance,
            dt=self.meaning.seconds or self.meaning.dt,
            integrator=self.meaning.integrator,
        )

    def _dynamics(self, name: str) -> Dynamics:
        """snnTorch writes RLeaky and RSynaptic as a nested graph of a neuron `lif` and its weights
        `w_rec`.
        """
        graph, _, inner = name.rpartition(".")
        recurrent = inner == "lif" and f"{graph}.w_rec" in self.flat.sources[name]
        return dynamics(self.flat.nodes[name], name, self.meaning, recurrent=recurrent)

    def _output(self) -> tuple[str, ReadoutKind]:
        """Population and kind of the readout: the neuron ahead of the Output, or a new one that
        adds up.
        """
        incoming = self.arrivals.into[self.arrivals.output]
        if not incoming:
            raise NodeError(self.arrivals.output, "nothing flows into the output")
        path = incoming[0].path
        if len(incoming) == 1 and path[0] in self.populations and all(self.flat.kind(n) in PASSING for n in path[1:]):
            spiking = self.populations[path[0]].neuron.spiking
            return path[0], "spike_count" if spiking else "membrane_potential"
        adder = FloatNeuron(ZERO, ONE, ZERO, ZERO, spiking=False)
        self._add(self.arrivals.output, incoming[0].chain.shape, Dynamics(adder, ONE))
        return self.arrivals.output, "accumulated_current"

    def _add(self, name: str, shape: Shape, step: Dynamics) -> None:
        """One population with all that arrives at it; the input gain goes into the weights, or out
        of the neuron where it cannot.
        """
        incoming = self.arrivals.into[name]
        neuron, gain = step.neuron, step.gain
        if not all(_with_gain(a, self.arrivals.shapes[a.path[0]], shape, gain) for a in incoming):
            neuron, gain = _per_gain(name, neuron, gain), ONE
        self.populations[name] = Population(name, shape, with_bias(neuron, gain * _bias(incoming, shape), shape))
        for arrival in incoming:
            op = _with_gain(arrival, self.arrivals.shapes[arrival.path[0]], shape, gain)
            assert op, "a gain of one fits every op"
            label = _label(self.flat, arrival, name)
            self.connections.append(Connection(label, arrival.path[0], name, op, arrival.chain.pool, arrival.chain.delay))


def _with_gain(arrival: Arrival, source: Shape, target: Shape, gain: np.ndarray) -> Op | None:
    chain = arrival.chain
    op = chain.op or ONE_TO_ONE
    if (gain == 1).all():
        return op
    inner = chain.inner(source)
    return scaled_op(op, inner, gain.reshape(()) if gain.size == 1 else np.broadcast_to(gain, target).reshape(inner))


def _per_gain(name: str, neuron: FloatNeuron, gain: np.ndarray) -> FloatNeuron:
    """The same spikes with potentials counted in units of each neuron's gain."""
    if not neuron.spiking or (gain <= 0).any():
        raise NodeError(
            name, "its input gain (r, tau, w_in) differs inside a channel, which a convolution cannot carry; use one per channel"
        )
    return replace(neuron, threshold=neuron.threshold / gain, bias=neuron.bias / gain, reset_value=neuron.reset_value / gain)


def _bias(incoming: Sequence[Arrival], shape: Shape) -> np.ndarray:
    """Sum of the biases on the way in, each once per way from its node to the target."""
    parts: dict[tuple[str, ...], np.ndarray] = {}
    for arrival in incoming:
        for node, bias in arrival.chain.biases.items():
            fits = bias if arrival.chain.shape == shape else np.broadcast_to(bias, arrival.chain.shape).reshape(shape)
            parts[arrival.path[arrival.path.index(node) :]] = fits
    return sum(parts.values(), ZERO)


def with_bias(neuron: FloatNeuron, bias: np.ndarray, shape: Shape) -> FloatNeuron:
    """Add the bias on the way in (to the synaptic current, if it has memory), and shorten
    parameters that are all the same.
    """
    into = "current_bias" if neuron.alpha.any() else "bias"
    values = {n: getattr(neuron, n) for n in ("alpha", "beta", "threshold", "bias", "reset_value", "current_bias")}
    values[into] = values[into] + bias
    shortened: dict[str, Any] = {n: _shortened(np.asarray(v), shape) for n, v in values.items()}
    return replace(neuron, **shortened)


def _shortened(values: np.ndarray, shape: Shape) -> np.ndarray:
    """One value for all neurons or one per channel where that is all there is."""
    if values.size and (values == values.flat[0]).all():
        return values.ravel()[0]
    if values.size == np.prod(shape):
        values = values.reshape(shape)
    if values.ndim == len(shape) > 1:
        first = values.reshape(shape[0], -1)[:, :1].reshape(shape[0], *(1,) * (len(shape) - 1)) if values.shape == shape else values
        return first if (values == first).all() else values
    return values


def close_loops(connections: list[Connection], start: str) -> list[Connection]:
    """Give loops without a Delay node, which have no meaning in timesteps, a delay of one.

    The rule: walk depth-first from the Input, targets in the file's order of nodes; a connection
    that leads back to a population on the walk's own way arrives one timestep later. Loops with a
    Delay node of a timestep or more stay as they are.
    """
    outgoing: defaultdict[str, list[int]] = defaultdict(list)
    for index, c in enumerate(connections):
        if not c.delay:
            outgoing[c.source].append(index)
    closed: set[int] = set()
    done: set[str] = set()
    for root in [start, *(c.source for c in connections)]:
        stack = [(root, iter(outgoing[root]))] if root not in done else []
        current = [root]
        while stack:
            name, rest = stack[-1]
            index = next(rest, -1)
            if index < 0:
                done.add(name)
                stack.pop()
                current.pop()
            elif (target := connections[index].target) in current:
                closed.add(index)
            elif target not in done:
                stack.append((target, iter(outgoing[target])))
                current.append(target)
    return [replace(c, delay=1) if i in closed else c for i, c in enumerate(connections)]


def check_loops(flat: FlatGraph, arrivals: Arrivals) -> None:
    """Refuse loops that no hardware can run, whatever dt will be: those without any Delay node and
    with several connections.

    Raises:
        LoopError: names the loop and the Delay it needs.
    """
    ways = [(target, arrival) for target, each in arrivals.into.items() for arrival in each]
    unknown = len(flat.nodes)
    connections = [
        Connection(_label(flat, a, target), a.path[0], target, ONE_TO_ONE, delay=unknown * any(flat.kind(n) == "Delay" for n in a.path))
        for target, a in ways
    ]
    hardware_depths([*arrivals.into, arrivals.input], close_loops(connections, arrivals.input))


def _label(flat: FlatGraph, arrival: Arrival, target: str) -> str:
    weighted = [n for n in arrival.path[1:] if flat.kind(n) in LINEAR]
    return weighted[-1] if weighted else f"{arrival.path[0]}->{target}"


def unique_names(connections: list[Connection]) -> tuple[Connection, ...]:
    """Where one linear node serves several connections, name them after both ends too."""
    count = Counter(c.name for c in connections)
    named = [replace(c, name=f"{c.name}:{c.source}->{c.target}") if count[c.name] > 1 else c for c in connections]
    seen: Counter[str] = Counter()
    for i, c in enumerate(named):
        seen[c.name] += 1
        if seen[c.name] > 1:
            named[i] = replace(c, name=f"{c.name}#{seen[c.name]}")
    return tuple(named)
