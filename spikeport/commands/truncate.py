"""Find the fewest timesteps T' whose accuracy loss stays below the tolerance, with 95 % confidence.

Chosen on validation data from one record in fixed point by an exact paired test, confirmed once on test data. Needs DIR/network.nir.
Writes DIR/deployed.nir, the network with T'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.analysis.jsonable import to_json
from spikeport.analysis.truncation import Truncation
from spikeport.commands.options import add_data, add_json, emit, progress_bar, table
from spikeport.pipeline import truncate_stage
from spikeport.workspace import Workspace

EXAMPLES = """examples:
  spikeport truncate runs/mnist --tolerance 0.5 --out runs/mnist/truncation.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport truncate`."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a training directory with network.nir in it")
    parser.add_argument("--tolerance", type=float, default=0.5, metavar="P", help="accuracy loss in percentage points (default 0.5)")
    parser.add_argument("--out", type=Path, required=True, metavar="truncation.json")
    add_data(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Choose, confirm and print."""
    work = Workspace(arguments.directory)
    data = work.dataset(work.trained(), arguments.data_dir)
    result = truncate_stage(work, data, arguments.out, progress_bar, tolerance=arguments.tolerance)
    emit(arguments, to_json(result), describe(result))
    return 0


def describe(result: Truncation) -> str:
    """The tests as a table and the choice in words."""
    rows = [(s.timesteps, f"{s.accuracy:.2%}", f"{s.loss:+.2f}", f"{s.low:+.2f} .. {s.high:+.2f}", s.verdict) for s in result.steps]
    lines = [table(rows, ("T'", "validation", "loss (points)", "95 % limits", "loss below tolerance"))]
    lines.append(f"T' = {result.chosen} of {result.timesteps} (tolerance {result.tolerance:g} points, {result.samples} validation samples)")
    if result.proposal:
        lines.append(f"Fisher information proposes T' = {result.proposal}")
    if result.test:
        lines.append(f"test: {result.test.accuracy_full:.2%} at T, {result.test.accuracy_chosen:.2%} at T'")
    return "\n".join([*lines, *([f"note: {result.warning}"] if result.warning else [])])
