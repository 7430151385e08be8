"""Write a quantized network in another format: an integer ONNX graph, with state in and out, that runs wherever ONNX runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.commands.options import add_force, add_json, emit, output_file
from spikeport.commands.sources import load_quantized
from spikeport.export.common.digest import short
from spikeport.export.model.digest import network_digest
from spikeport.export.onnx.graph import write_onnx
from spikeport.stages.claims import check_output, held, onnx_origin

EXAMPLES = """examples:
  spikeport export network.nir --to onnx --out network.onnx
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport export`."""
    parser.add_argument("network", type=Path, metavar="NET.nir")
    parser.add_argument("--to", choices=["onnx"], required=True)
    parser.add_argument("--out", type=output_file, required=True, metavar="NET.onnx")
    add_force(parser, "what another network or program left at --out")
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Convert and say what was written."""
    network = load_quantized(arguments.network)
    digest = network_digest(network)
    with held(arguments.out.parent):
        check_output(arguments.out, onnx_origin, {"network": digest}, force=arguments.force, home=arguments.network.parent)
        write_onnx(network, arguments.out)
    result = {"network": digest, "file": str(arguments.out), "bytes": arguments.out.stat().st_size, "timesteps": network.timesteps}
    emit(
        arguments,
        result,
        f"{arguments.out}: {result['bytes']} bytes, integer arithmetic with state in and out for any number of steps, T = {network.timesteps}, "
        f"network {short(digest)}",
    )
    return 0
