"""Place a quantized network on a chip's cores: how many it needs, how full they are, and what
limits.

Exit status 1 if it does not fit. `spikeport check` tells whether the chip can run every node at
all.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from spikeport.analysis.cost.devices import device_named
from spikeport.commands.parts.options import add_device, add_json, emit, table
from spikeport.commands.parts.sources import load_quantized
from spikeport.hw.mapping.cores import NetworkMap, Placement, map_network
from spikeport.hw.mapping.lower_bound import fewest_cores
from spikeport.hw.mapping.mesh import Load, Mesh, arranged, in_order, load
from spikeport.hw.mapping.traffic import Traffic, traffic

EXAMPLES = """examples:
  spikeport map network.nir
  spikeport map network.nir --device loihi1 --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport map`."""
    parser.add_argument("network", type=Path, metavar="NET.nir")
    add_device(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Print one row per population, and what does not fit."""
    network, chip = load_quantized(arguments.network), device_named(arguments.device).chip
    placed, fewest = map_network(network, chip), fewest_cores(network, chip)
    ways = Ways.of(traffic(network, placed))
    emit(arguments, _as_json(placed, fewest, ways), _describe(placed, fewest, ways))
    return 1 if placed.obstacles else 0


@dataclass(frozen=True, eq=False)
class Ways:
    """Where the cores lie, and the messages' ways if every neuron fires once: as placed, and in
    layer-by-layer order.
    """

    mesh: Mesh
    found: Load
    in_order: Load

    @classmethod
    def of(cls, sent: Traffic) -> Ways:
        """Place the cores for this traffic."""
        mesh = arranged(sent)
        return cls(mesh, load(sent, mesh), load(sent, in_order(sent)))


def _as_json(placed: NetworkMap, fewest: int, ways: Ways) -> dict:
    places = iter(zip(*(a.tolist() for a in (ways.mesh.chips, ways.mesh.columns, ways.mesh.rows))))
    return {
        "device": placed.chip.name,
        "fits": not placed.obstacles,
        "obstacles": list(placed.obstacles),
        "cores": placed.cores,
        "cores_at_least": fewest,
        "cores_available": placed.chip.cores,
        "limits": {name: {"value": getattr(placed.chip.core, name), **asdict(origin)} for name, origin in placed.chip.core.origins.items()},
        "mesh": {
            "columns": placed.chip.tiles[0],
            "rows": placed.chip.tiles[1],
            "cores_a_tile": placed.chip.tile_cores,
            "chips": ways.mesh.count,
            "origin": asdict(placed.chip.mesh) if placed.chip.mesh else None,
            "every_neuron_once": asdict(ways.found),
            "layer_by_layer": asdict(ways.in_order),
        },
        "populations": [_population(p, placed, places) for p in placed.placements],
    }


def _population(p: Placement, placed: NetworkMap, places: Iterator[tuple[int, int, int]]) -> dict:
    """places: chip, column, row of every core to come."""
    resource, share = p.fullest(placed.chip)
    return {
        "name": p.name,
        "neurons": p.neurons,
        "limit": resource,
        "used": share,
        "encodings": dict(p.encodings),
        "synapses": dict(p.synapses),
        "cores": [
            {
                "neurons": c.neurons,
                "synapse_bits": c.synapse_bits,
                "axons_in": c.axons_in,
                "axons_out": c.axons_out,
                "shares": c.shares(placed.chip),
                **dict(zip(("chip", "column", "row"), place)),
            }
            for c, place in zip(p.cores, places)
        ],
    }


def _describe(placed: NetworkMap, fewest: int, ways: Ways) -> str:
    rows = [
        (
            p.name,
            p.neurons,
            len(p.cores),
            f"{max(c.neurons for c in p.cores):,}",
            f"{max(c.synapse_bits for c in p.cores) / 8192:.1f} KiB",
            f"{max(c.axons_in for c in p.cores):,}",
            f"{max(c.axons_out for c in p.cores):,}",
            "{1:.0%} of {0}".format(*p.fullest(placed.chip)),
            ", ".join(f"{name} {encoding}" for name, encoding in p.encodings.items()),
        )
        for p in placed.placements
    ]
    head = ("population", "neurons", "cores", "a core: neurons", "synapses", "axons in", "axons out", "fullest", "encoding")
    chip = placed.chip
    verdict = [f"does not fit: {line}" for line in placed.obstacles] or [
        f"fits: {placed.cores} of {chip.cores} cores of {chip.name} (no placement needs fewer than {fewest})"
    ]
    limits = [f"limit of a core, {name.replace('_', ' ')}: {o.evidence}, {o.source}" for name, o in chip.core.origins.items()]
    return "\n".join([table(rows, head), *verdict, *_ways(ways), *limits])


def _ways(ways: Ways) -> list[str]:
    found, before = ways.found, ways.in_order
    if not found.messages:
        return ["no messages between cores"]
    over = f", {found.crossings / found.messages:.2f} crossings between chips ({before.crossings / before.messages:.2f})"
    return [
        f"if every neuron fires once: {found.messages:,.0f} messages between cores, {found.hops / found.messages:.2f} hops each (in "
        f"layer-by-layer order {before.hops / before.messages:.2f}){over if ways.mesh.count > 1 else ''}; the heaviest link carries "
        f"{max(found.heaviest):,.0f} ({max(before.heaviest):,.0f})"
    ]
