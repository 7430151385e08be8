"""Write a quantized network in another format: an integer ONNX graph, with state in and out, that runs wherever ONNX runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.commands.options import add_json, emit, output_file
from spikeport.commands.sources import load_quantized
from spikeport.export.onnx.graph import write_onnx

EXAMPLES = """examples:
  spikeport export network.nir --to onnx --out network.onnx
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport export`."""
    parser.add_argument("network", type=Path, metavar="NET.nir")
    parser.add_argument("--to", choices=["onnx"], required=True)
    parser.add_argument("--out", type=output_file, required=True, metavar="NET.onnx")
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Convert and say what was written."""
    network = load_quantized(arguments.network)
    write_onnx(network, arguments.out)
    result = {"file": str(arguments.out), "bytes": arguments.out.stat().st_size, "timesteps": network.timesteps}
    emit(
        arguments,
        result,
        f"{arguments.out}: {result['bytes']} bytes, integer arithmetic with state in and out for any number of steps, T = {network.timesteps}",
    )
    return 0
