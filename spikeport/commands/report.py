"""Write report.html (one self-contained file) and report.json from what the stages left in DIR.

A stage that was not run is absent from the report, and the report says so.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.analysis.common.jsonable import to_json
from spikeport.commands.options import add_data, add_device, add_json, emit, progress_bar
from spikeport.stages.pipeline import report_stage
from spikeport.stages.workspace import Workspace

EXAMPLES = """examples:
  spikeport report runs/digits
  spikeport report runs/digits --device loihi1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport report`."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a training directory with network.nir in it")
    add_device(parser)
    add_data(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Gather and write."""
    work = Workspace(arguments.directory)
    data = work.dataset(work.trained(), arguments.data_dir)
    report = report_stage(work, data, progress_bar, device=arguments.device)
    absent = f"; not run: {', '.join(report.absent)}" if report.absent else ""
    emit(arguments, to_json(report), f"{work.root / 'report.html'} and report.json written{absent}", work.notes())
    return 0
