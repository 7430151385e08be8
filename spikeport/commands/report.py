"""Write report.html (one self-contained file) and report.json from what the stages left in DIR.

A stage that was not run is absent from the report, and the report says so.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.analysis.common.jsonable import to_json
from spikeport.commands.options import add_data, add_device, add_force, add_json, emit, progress_bar
from spikeport.export.common.digest import short
from spikeport.stages.claims import check_ours, held
from spikeport.stages.pipeline import report_stage
from spikeport.stages.session import Session
from spikeport.stages.workspace import Workspace

EXAMPLES = """examples:
  spikeport report runs/digits
  spikeport report runs/digits --device loihi1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport report`."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a training directory with network.nir in it")
    add_device(parser)
    add_force(parser, "a report.html or report.json that spikeport did not write")
    add_data(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Gather and write."""
    work = Workspace(arguments.directory)
    with held(work.root):
        session = Session.opened(work.root, arguments.data_dir, progress_bar)
        if not arguments.force:
            check_ours(work, work.report, work.report.with_suffix(".html"))
        report = report_stage(session, device=arguments.device)
    absent = f"; not run: {', '.join(report.absent)}" if report.absent else ""
    of = f"\nnetwork {short(report.made_of['network'])}"
    emit(arguments, to_json(report), f"{work.root / 'report.html'} and report.json written{absent}{of}", session.notes)
    return 0
