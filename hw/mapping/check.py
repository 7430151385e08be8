"""Every node of a quantized network against a chip: whether it runs, and how it maps, or why not.

Sources: Lava 0.10 process models (neurons, delays), the chip's limits (`hw.semantics.limits`), and
the placement (`hw.mapping.cores`), which alone decides what fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from spikeport.export.model.network import Connection, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.registers import DELAY_MAX, WEIGHT_BITS_MAX
from spikeport.hw.mapping.cores import NetworkMap, map_network
from spikeport.hw.records.fanout import synapse_count
from spikeport.hw.semantics.limits import CHIPS, Chip

Status = Literal["ok", "note", "refused"]


@dataclass(frozen=True)
class Row:
    """One node of `spikeport check`: what it is, whether it runs, and how it maps or why not."""

    node: str
    kind: str
    status: Status
    reason: str


def check_network(network: QuantizedNetwork, device: str | Chip = "loihi2") -> list[Row]:
    """One row per node, input and connections included, and one for the cores; never raises for
    what does not fit.
    """
    chip = CHIPS[device] if isinstance(device, str) else device
    placed = map_network(network, chip)
    rows = [_input_row(network, chip)]
    rows += [_worst(c.name, _kind(c), _connection_findings(network, c)) for c in network.connections]
    rows += [_worst(p.name, f"{p.neuron.reset}-reset neuron", _population_findings(p, placed)) for p in network.populations]
    return [*rows, _cores(placed)]


def _input_row(network: QuantizedNetwork, chip: Chip) -> Row:
    source = network.input
    if source.binary:
        return Row(source.name, "input", "ok", "binary spikes")
    span = "graded spikes {}..{}".format(*source.sent)
    if not chip.graded:
        return Row(
            source.name, "input", "refused", f"{span}: {chip.name} has none; encode the input as binary spikes (rate, latency or events)"
        )
    return Row(source.name, "input", "ok", f"{span}; the first connection does integer multiply-accumulates")


def _kind(connection: Connection) -> str:
    pooled = "sum pool + " if connection.pool else ""
    return pooled + type(connection.op).__name__.lower()


def _connection_findings(network: QuantizedNetwork, connection: Connection) -> Iterator[tuple[Status, str]]:
    delay = network.hardware_delay(connection)
    count = synapse_count(connection, network.shape(connection.source))
    yield (
        "ok",
        f"{count} synapses of {WEIGHT_BITS_MAX} bits or fewer, exponent {connection.exponent}, {delay} step{'s' * (delay > 1)} of delay",
    )
    if delay > DELAY_MAX:
        yield "refused", f"needs {delay} timesteps of delay, the chip has {DELAY_MAX}; shorten the delay or the path beside it"
    if delay > 1:
        yield "note", f"{delay - 1} extra step{'s' * (delay > 2)} of axonal delay"


def _population_findings(population: Population[IntegerNeuron], placed: NetworkMap) -> Iterator[tuple[Status, str]]:
    neuron, chip = population.neuron, placed.chip
    yield "ok", f"{population.size} neurons" if neuron.spiking else f"{population.size} non-spiking neurons, read as membrane potential"
    if overfull := placed.overfull(population.name):
        yield "refused", overfull
    for name in ("du", "dv", "threshold"):
        groups = len(set(getattr(neuron, name).ravel().tolist()))
        if groups > 1:
            yield "note", f"{groups} different values of {name}: as many neuron groups on the chip, where it is one scalar each"
    programs = [f"reset {neuron.reset}"] if neuron.reset != "zero" else []
    programs += [f"{neuron.noise.kind} noise"] if neuron.noise else []
    for program in programs:
        status: Status = "note" if chip.microcode else "refused"
        yield status, f"{program} is not Loihi's fixed neuron: {'own microcode' if chip.microcode else f'{chip.name} cannot be programmed'}"


def _cores(placed: NetworkMap) -> Row:
    """What `spikeport map` says of the whole."""
    if placed.too_many:
        return Row("network", "cores", "refused", placed.too_many)
    return Row("network", "cores", "ok", f"{placed.cores} of the {placed.chip.cores} of one {placed.chip.name}")


def _worst(node: str, kind: str, findings: Iterator[tuple[Status, str]]) -> Row:
    """Join a node's findings into one row with the gravest status."""
    graded = list(findings)
    rank = {"ok": 0, "note": 1, "refused": 2}
    return Row(node, kind, max((s for s, _ in graded), key=rank.__getitem__), "; ".join(reason for _, reason in graded))
