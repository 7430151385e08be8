"""What the chip takes: every node of a quantized network against Loihi's limits, in one file.

Sources: Lava 0.10 process models (registers), Intel's Loihi 2 technology brief and lava-loihi compiler reports (totals), Davies et
al. 2018 (Loihi 1), nengo-loihi's `block.py` (a core of Loihi 1, as it runs on the chip: neurons, axons, synaptic memory). Register
ranges are enforced when a network is made (`export.model.network`); here stand the limits of a chip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from spikeport.export.model.network import Connection, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.registers import DELAY_MAX, WEIGHT_BITS_MAX
from spikeport.hw.records.fanout import synapse_count

Status = Literal["ok", "note", "refused"]


@dataclass(frozen=True)
class Core:
    """What one neuron core takes. synapse_bits: synaptic memory. axons: inputs and outputs; None where no limit is public.

    border_lists: a shared kernel needs lists of its own for positions at a border. source: of the numbers, and how sure they are.
    """

    neurons: int
    synapse_bits: int
    axons: int | None
    border_lists: bool
    source: str


@dataclass(frozen=True)
class Chip:
    """Limits of one chip. graded: spikes may carry integers. microcode: neurons can be programmed."""

    name: str
    neurons: int
    synapses: int
    graded: bool
    microcode: bool
    cores: int
    core: Core


CHIPS = {
    "loihi2": Chip(
        "Loihi 2",
        neurons=1 << 20,
        synapses=120_000_000,
        graded=True,
        microcode=True,
        cores=128,
        core=Core(
            neurons=4096,
            synapse_bits=8 * 128 * 1024,
            axons=None,
            border_lists=False,
            source="assumed: half of the 8192 neurons that a core holds at most, since ours have two states; synaptic memory and its "
            "format as on Loihi 1, though Loihi 2 shares a core's memory out freely; no limit on axons is public",
        ),
    ),
    "loihi1": Chip(
        "Loihi 1",
        neurons=128 * 1024,
        synapses=128 * 128 * 1024,
        graded=False,
        microcode=False,
        cores=128,
        core=Core(
            neurons=1024,
            synapse_bits=8 * 128 * 1024,
            axons=4096,
            border_lists=True,
            source="Davies et al. 2018 and nengo-loihi, which runs on the chip",
        ),
    ),
}
"""Loihi 1 stores at most 128 KiB of synapses in each of 128 cores, one byte each at 8 bits."""


@dataclass(frozen=True)
class Row:
    """One node of `spikeport check`: what it is, whether it runs, and how it maps or why not."""

    node: str
    kind: str
    status: Status
    reason: str


def check_network(network: QuantizedNetwork, device: str | Chip = "loihi2") -> list[Row]:
    """One row per node, input and connections included; never raises for what does not fit."""
    chip = CHIPS[device] if isinstance(device, str) else device
    rows = [_input_row(network, chip)]
    rows += [_worst(c.name, _kind(c), _connection_findings(network, c)) for c in network.connections]
    rows += [_worst(p.name, f"{p.neuron.reset}-reset neuron", _population_findings(p, chip)) for p in network.populations]
    return rows + _totals(network, chip)


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


def _population_findings(population: Population[IntegerNeuron], chip: Chip) -> Iterator[tuple[Status, str]]:
    neuron = population.neuron
    yield "ok", f"{population.size} neurons" if neuron.spiking else f"{population.size} non-spiking neurons, read as membrane potential"
    if population.size > chip.neurons:
        yield "refused", f"{population.size} neurons, {chip.name} holds {chip.neurons}"
    for name in ("du", "dv", "threshold"):
        groups = len(set(getattr(neuron, name).ravel().tolist()))
        if groups > 1:
            yield "note", f"{groups} different values of {name}: as many neuron groups on the chip, where it is one scalar each"
    programs = [f"reset {neuron.reset}"] if neuron.reset != "zero" else []
    programs += [f"{neuron.noise.kind} noise"] if neuron.noise else []
    for program in programs:
        status: Status = "note" if chip.microcode else "refused"
        yield status, f"{program} is not Loihi's fixed neuron: {'own microcode' if chip.microcode else f'{chip.name} cannot be programmed'}"


def _totals(network: QuantizedNetwork, chip: Chip) -> list[Row]:
    neurons = sum(p.size for p in network.populations)
    total = sum(synapse_count(c, network.shape(c.source)) for c in network.connections)
    rows = []
    for what, count, limit in (("neurons", neurons, chip.neurons), ("synapses", total, chip.synapses)):
        status: Status = "ok" if count <= limit else "refused"
        rows.append(Row("network", what, status, f"{count} of {limit} on one {chip.name}, weight sharing unrolled"))
    return rows


def _worst(node: str, kind: str, findings: Iterator[tuple[Status, str]]) -> Row:
    """Join a node's findings into one row with the gravest status."""
    graded = list(findings)
    rank = {"ok": 0, "note": 1, "refused": 2}
    return Row(node, kind, max((s for s, _ in graded), key=rank.__getitem__), "; ".join(reason for _, reason in graded))
