"""From the node graph of a NIR file to what arrives at every neuron node: source, delay, pooling,
weights, biases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from spikeport.export.model.synapse import Shape
from spikeport.export.nir.foreign.compose import Chain, delay_parts, extend
from spikeport.export.nir.foreign.flat import LINEAR, NEURONS, PASSING, FlatGraph, NodeError, shape_of_terminal, unsupported

ANALOG = ("I", "LI", "CubaLI")
MAX_PATHS = 10_000
"""Ways through linear nodes into one neuron node; branches multiply."""
MAX_DELAYS = 256
"""Different delays on one way; each becomes a connection of its own."""
NodePath: TypeAlias = "tuple[str, ...]"
"""Node names from a neuron node or the Input, over linear nodes, up to but without the target."""
OnError: TypeAlias = "Callable[[NodeError], None]"


@dataclass(frozen=True)
class Arrival:
    """One path into a target, merged."""

    path: NodePath
    chain: Chain


@dataclass(frozen=True)
class Arrivals:
    """shapes: of the input and of every neuron node. into: what arrives, by neuron node, and at the
    Output.
    """

    input: str
    output: str
    shapes: Mapping[str, Shape]
    into: Mapping[str, list[Arrival]]


def arrivals(flat: FlatGraph, dt: float | None, on_error: OnError) -> Arrivals:
    """Merge all linear nodes. on_error gets what is wrong with single nodes; it raises, or notes it
    and goes on without that path.
    """
    source, sink = flat.terminal("Input"), flat.terminal("Output")
    neurons = [name for name in flat.nodes if flat.kind(name) in NEURONS]
    paths = {target: _paths(flat, target, on_error) for target in [*neurons, sink]}
    shapes: dict[str, Shape] = {source: shape_of_terminal(flat.nodes[source], source)}
    merged: dict[NodePath, list[Chain]] = {}

    def chains(path: NodePath) -> list[Chain]:
        if path not in merged:
            merged[path] = _merge(flat, path, shapes[path[0]], dt, on_error)
        return merged[path]

    waiting = list(neurons)
    while waiting:
        name = next((n for n in waiting if any(p[0] in shapes for p in paths[n])), waiting[0])
        waiting.remove(name)
        reached = (chain.shape for p in paths[name] if p[0] in shapes for chain in chains(p))
        shapes[name] = _population_shape(flat, name, next(reached, None), on_error)
    into = {target: [Arrival(p, chain) for p in paths[target] if p[0] in shapes for chain in chains(p)] for target in paths}
    for target, arriving in into.items():
        for arrival in arriving:
            _check_spikes(flat, arrival.path, target == sink, on_error)
    return Arrivals(source, sink, shapes, into)


def _paths(flat: FlatGraph, target: str, on_error: OnError) -> list[NodePath]:
    """All ways into a target, walking back through linear nodes."""
    paths: list[NodePath] = []
    pending: list[NodePath] = [(source,) for source in flat.sources[target]]
    while pending:
        path = pending.pop()
        kind = flat.kind(path[0])
        if kind in NEURONS or (kind == "Input" and not flat.sources[path[0]]):
            paths.append(path)
        elif reason := _dead_end(flat, path):
            on_error(NodeError(path[0], reason))
        else:
            pending += [(source, *path) for source in flat.sources[path[0]]]
        if len(paths) + len(pending) > MAX_PATHS:
            on_error(NodeError(target, f"more than {MAX_PATHS} ways lead into it through linear nodes"))
            return []
    return paths[::-1]


def _dead_end(flat: FlatGraph, path: NodePath) -> str | None:
    name = path[0]
    if flat.kind(name) not in LINEAR + PASSING:
        return unsupported(flat.kind(name))
    if name in path[1:]:
        return "a loop without a neuron has no meaning in timesteps"
    return None if flat.sources[name] else "nothing flows into it"


def _check_spikes(flat: FlatGraph, path: NodePath, ends: bool, on_error: OnError) -> None:
    read_as_it_is = ends and not any(flat.kind(name) in LINEAR for name in path[1:])
    if flat.kind(path[0]) in ANALOG and not read_as_it_is:
        on_error(NodeError(path[0], "its potential drives other nodes; spikes travel between neurons, so only the output may not spike"))


def _merge(flat: FlatGraph, path: NodePath, source: Shape, dt: float | None, on_error: OnError) -> list[Chain]:
    """One chain, or one per delay where a Delay node's differ; none after an error."""
    chains = [Chain(source)]
    for name in path[1:]:
        try:
            parts = [(chain, node) for chain in chains for node in delay_parts(chain, flat.nodes[name], name, dt)]
            chains = [extend(chain, source, node, name, dt) for chain, node in parts]
        except NodeError as error:
            on_error(error)
            return []
        if len(chains) > MAX_DELAYS:
            on_error(NodeError(name, f"more than {MAX_DELAYS} ways of unlike delay lead through it"))
            return []
    return chains


def _population_shape(flat: FlatGraph, name: str, signal: Shape | None, on_error: OnError) -> Shape:
    """Shape of what arrives where the node's parameters fit it, else of the parameters."""
    own = parameter_shape(flat, name, on_error)
    if signal is None:
        if np.prod(own) <= 1 and own != (1,):
            on_error(NodeError(name, "nothing flows into it"))
        return own or (1,)
    if np.prod(own, dtype=int) == 1 or own == signal or _broadcasts(own, signal):
        return signal
    if np.prod(own) != np.prod(signal):
        on_error(NodeError(name, f"its parameters have shape {own}, what arrives has shape {signal}"))
    return own


def _broadcasts(own: Shape, signal: Shape) -> bool:
    return len(own) == len(signal) and all(a in (1, b) for a, b in zip(own, signal))


def parameter_shape(flat: FlatGraph, name: str, on_error: OnError) -> Shape:
    """Common shape of all parameters of a neuron node."""
    arrays = [np.asarray(value) for key, value in flat.nodes[name].items() if key not in ("type", "metadata", "input_type", "output_type")]
    try:
        return np.broadcast_shapes(*(a.shape for a in arrays if a.dtype.kind in "fiub"))
    except ValueError:
        on_error(NodeError(name, f"parameters have different shapes {sorted({a.shape for a in arrays})}"))
        return (1,)
