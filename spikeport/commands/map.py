"""Place a quantized network on a chip's cores: how many it needs, how full they are, and what limits.

Exit status 1 if it does not fit. `spikeport check` tells whether the chip can run every node at all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.analysis.cost.devices import device_named
from spikeport.commands.parts.options import add_device, add_json, emit, table
from spikeport.commands.parts.sources import load_quantized
from spikeport.hw.mapping.cores import NetworkMap, Placement, map_network
from spikeport.hw.mapping.lower_bound import fewest_cores

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
    emit(arguments, _as_json(placed, fewest), _describe(placed, fewest))
    return 1 if placed.obstacles else 0


def _as_json(placed: NetworkMap, fewest: int) -> dict:
    return {
        "device": placed.chip.name,
        "fits": not placed.obstacles,
        "obstacles": list(placed.obstacles),
        "cores": placed.cores,
        "cores_at_least": fewest,
        "cores_available": placed.chip.cores,
        "source": placed.chip.core.source,
        "populations": [_population(p, placed) for p in placed.placements],
    }


def _population(p: Placement, placed: NetworkMap) -> dict:
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
            }
            for c in p.cores
        ],
    }


def _describe(placed: NetworkMap, fewest: int) -> str:
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
    return "\n".join([table(rows, head), *verdict, f"limits of a core: {chip.core.source}"])
