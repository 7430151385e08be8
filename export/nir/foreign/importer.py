"""Anyone's NIR file as a `FloatNetwork`, with what the file cannot say stated by the caller.

Neuron nodes become populations of the same name; the linear nodes between two of them are merged
into one connection where that is exact, and refused by name where it is not. Several edges into a
node sum. NIR has no timestep, so a loop has no delay of its
own: see `nir_assemble.close_loops`. An Output that is no neuron becomes a population that adds up
what it gets (readout `accumulated_current`); one behind a neuron that does not spike reads its
potential.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from spikeport.export.common.errors import InputError, unknown
from spikeport.export.model.network import FloatNetwork, Input, InputCode, Integrator
from spikeport.export.model.synapse import Shape
from spikeport.export.nir.foreign.assemble import Assembly, check_loops
from spikeport.export.nir.foreign.dynamics import FLOAT_RESETS, INTEGRATORS, Meaning, dynamics
from spikeport.export.nir.foreign.exporters import EXPORTERS, corrected
from spikeport.export.nir.foreign.flat import NEURONS, FlatGraph, NodeError, flatten, unsupported, without_batch_axis
from spikeport.export.nir.foreign.frameworks import FloatReset
from spikeport.export.nir.foreign.paths import arrivals
from spikeport.export.nir.graph import MAX_NEURONS, RawGraph, load_graph, nir_errors

TIMESTEPS_DEFAULT = 32
"""T of an imported network, which no NIR file says; every command takes --timesteps."""


def import_nir(
    source: Path | str | RawGraph,
    *,
    dt: float,
    integrator: Integrator,
    reset: FloatReset,
    strict: bool = True,
    reset_delay: bool | None = None,
    multi_spike: bool = False,
    seconds: float | None = None,
    batch_axis: bool = False,
    exporter: str | None = None,
    timesteps: int = TIMESTEPS_DEFAULT,
    input_scale: float = 1.0,
    input_range: tuple[int, int] = (0, 1),
    input_code: InputCode = "direct",
) -> FloatNetwork:
    """Read a NIR file of any framework; the step formulas stand in
    `spikeport.export.nir.foreign.dynamics`.

    Args:
        source: the file, or its graph as read; nothing in it is trusted.
        dt: length of a timestep in the unit of the file's time constants and delays, which NIR
            means to be seconds.
        seconds: what a timestep lasts in seconds, `FloatNetwork.dt`, where the file's unit is
            another; None where it is seconds. It changes no spike, but what files and latencies
            say.
        integrator: how a differential equation becomes a step.
        reset: "zero" sets a neuron that fired to the file's v_reset, "subtract" takes v_threshold -
            v_reset off.
        strict: NIR fires on v > v_threshold; False for files of frameworks that fire on v >=
            v_threshold.
        reset_delay, multi_spike: see `spikeport.export.nir.foreign.dynamics.Meaning`.
        batch_axis: drop an axis of 1 that stands before (features,) or (channels, height, width),
            as some frameworks write it.
        exporter: "norse" or "rockpool", whose exporter wrote the file with constants that are not
            its network's: they are put right, see `spikeport.export.nir.foreign.exporters`, and
            `provenance["corrected"]` says where.
        timesteps: T.
        input_scale, input_range, input_code: what is sent into the network, see `Input`; binary
            spikes unless said otherwise.

    Raises:
        InputError: not a NIR file, or a node that has no exact counterpart; names the node and the
            reason.
    """
    meaning = _checked(Meaning(dt, integrator, reset, strict, reset_delay, multi_spike, seconds))
    if exporter not in (None, *EXPORTERS):
        raise InputError(f"exporter {exporter!r} has no constants to put right; choose one of {', '.join(EXPORTERS)}, or None")
    raw = load_graph(source)
    stated = {name: value for name, value in asdict(meaning).items() if name not in ("dt", "integrator")}  # fields of the network
    provenance = {"source": raw.path.name, "nir": raw.version, **stated}
    with nir_errors(raw.path), np.errstate(all="ignore"):  # nonsense in the file ends as NaN, which is refused
        try:
            flat = without_batch_axis(flatten(raw)) if batch_axis else flatten(raw)
            if exporter:
                flat, provenance["corrected"] = corrected(flat, exporter, dt)
            arriving = arrivals(flat, dt, _raise)
            _check_size(arriving.shapes.values())
            entry = Input(arriving.input, arriving.shapes[arriving.input], input_scale, *input_range, code=input_code)
            return Assembly(flat, arriving, meaning).network(entry, timesteps, provenance)
        except InputError as error:
            raise InputError(f"{raw.path}: {error}") from None


def _checked(meaning: Meaning) -> Meaning:
    if not 0 < meaning.dt < float("inf"):
        raise InputError(f"dt is {meaning.dt}; it is the length of a timestep, a positive number")
    if meaning.seconds is not None and not 0 < meaning.seconds < float("inf"):
        raise InputError(f"a timestep of {meaning.seconds} seconds; it must be a positive number")
    for what, value, choices in (("integrator", meaning.integrator, INTEGRATORS), ("reset", meaning.reset, FLOAT_RESETS)):
        if value not in choices:
            raise unknown(what, value, choices)
    return meaning


def _raise(error: NodeError) -> None:
    raise error


def _check_size(shapes: Iterable[Shape]) -> None:
    count = sum(int(np.prod(shape, dtype=object)) for shape in shapes)
    if count > MAX_NEURONS:
        raise InputError(f"the network has {count} neurons and inputs; at most {MAX_NEURONS} are read")


@dataclass(frozen=True)
class NodeRow:
    """One node of a file: whether it can be imported, and how it maps or why not."""

    node: str
    kind: str
    supported: bool
    reason: str


HOW = {
    "Input": "where data enters",
    "Output": "the readout",
    "Identity": "passed through",
    "Flatten": "order of neurons",
    "Affine": "dense synapses and a bias",
    "Linear": "dense synapses",
    "Scale": "one-to-one synapses, or a factor of the weights beside it",
    "Conv1d": "convolution synapses",
    "Conv2d": "convolution synapses",
    "SumPool2d": "summed into the next weights",
    "AvgPool2d": "averaged into the next weights",
    "Delay": "delay of a connection, in whole timesteps of the dt you state",
    "I": "integrating readout",
    "LI": "leaky integrating readout",
    "CubaLI": "leaky integrating readout with synaptic current",
    "IF": "integrate-and-fire neurons",
    "LIF": "leaky integrate-and-fire neurons",
    "CubaLIF": "leaky integrate-and-fire neurons with synaptic current",
    "Threshold": "neurons without memory",
}


def describe(source: Path | RawGraph) -> list[NodeRow]:
    """One row per node of any NIR file, nested ones included, in the file's order; raises only if
    it is no NIR file.
    """
    raw = load_graph(source)
    with nir_errors(raw.path), np.errstate(all="ignore"):
        return _rows(raw)


def _rows(raw: RawGraph) -> list[NodeRow]:
    try:
        flat = flatten(raw)
    except InputError as error:
        return [NodeRow("graph", "NIRGraph", False, str(error))]
    problems = {name: unsupported(flat.kind(name)) for name in flat.nodes if flat.kind(name) not in HOW}

    def note(error: NodeError) -> None:
        problems.setdefault(error.node, error.reason)

    whole: list[NodeRow] = []
    try:
        _note_neurons(flat, note)
        arriving = arrivals(flat, None, note)
        if not problems:
            check_loops(flat, arriving)
    except InputError as error:
        whole = [NodeRow("graph", "NIRGraph", False, str(error))]
    return [_row(flat, name, problems.get(name)) for name in flat.nodes] + whole


def _note_neurons(flat: FlatGraph, note: Callable[[NodeError], None]) -> None:
    """Check the parameters of every neuron node, whatever dt will be."""
    for name in flat.nodes:
        if flat.kind(name) in NEURONS:
            try:
                dynamics(flat.nodes[name], name, Meaning(1.0, "exponential", "zero"))
            except NodeError as error:
                note(error)


def _row(flat: FlatGraph, name: str, problem: str | None) -> NodeRow:
    kind = flat.kind(name)
    return NodeRow(name, kind, problem is None, problem or HOW[kind])
