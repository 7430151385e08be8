"""Tell for every node of a .nir file whether it runs on Loihi, how it maps, or why not.

Exit status 1 if anything does not. A quantized file is held against a chip's limits; any other
against what can be imported.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from spikeport.analysis.cost.devices import device_named
from spikeport.commands.parts.options import add_device, add_json, emit, table
from spikeport.commands.parts.sources import is_netx, load_quantized
from spikeport.export.nir.file import is_quantized, read_nir
from spikeport.export.nir.foreign.importer import describe
from spikeport.export.nir.graph import load_graph
from spikeport.hw.mapping.check import Row, check_network

EXAMPLES = """examples:
  spikeport check network.nir
  spikeport check network.nir --device loihi1 --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport check`."""
    parser.add_argument("network", type=Path, metavar="NET", help="a .nir file of any framework, or a .net file of lava-dl")
    add_device(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Print one row per node."""
    graph = None if is_netx(arguments.network) else load_graph(arguments.network)
    if graph is None or is_quantized(graph):
        network = load_quantized(arguments.network) if graph is None else read_nir(graph)
        rows = check_network(network, device_named(arguments.device).chip)
    else:
        rows = [Row(n.node, n.kind, "ok" if n.supported else "refused", n.reason) for n in describe(graph)]
    cells = [(row.node, row.kind, row.status, row.reason) for row in rows]
    emit(arguments, [asdict(row) for row in rows], table(cells, ("node", "kind", "status", "how, or why not")))
    return int(any(row.status == "refused" for row in rows))
