"""Write report.html (one self-contained file) and report.json from what the stages left in DIR.

A stage that was not run is absent from the report, and the report says so. Several directories are
also set side by side on one page: accuracy, energy and latency of each, who is better at what on
the same test data, and which settings differ. A folder of spikeport run --nir is one like any
other.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from spikeport.analysis.common.jsonable import to_json
from spikeport.analysis.pages.comparison import table_rows
from spikeport.commands.parts.options import add_data, add_device, add_force, add_json, emit, output_file, progress_bar, table
from spikeport.export.common.digest import short
from spikeport.export.common.errors import InputError
from spikeport.stages.comparison import (
    PAGE,
    check_comparison,
    check_runs,
    common_folder,
    comparison_stage,
    made_of,
    reported,
    run_names,
)
from spikeport.stages.folder.bound import bound
from spikeport.stages.folder.claims import check_report, held
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.imported import open_session
from spikeport.stages.pipeline import report_stage

EXAMPLES = """examples:
  spikeport report runs/digits
  spikeport report runs/digits --device loihi1
  spikeport report runs/stbp runs/dsr runs/tsslbp --out methods.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `spikeport report`."""
    parser.add_argument(
        "directories", type=Path, nargs="+", metavar="DIR", help="the folder of a run with network.nir in it; several are compared"
    )
    parser.add_argument(
        "--out",
        type=output_file,
        metavar="FILE.html",
        help=f"page of several runs, its values in a .json beside it (default {PAGE} in the nearest folder above all of them)",
    )
    add_device(parser)
    add_force(parser, "a report or comparison that spikeport did not write")
    add_data(parser)
    add_json(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Gather and write."""
    return _several(arguments) if len(arguments.directories) > 1 else _one(arguments, arguments.directories[0])


def _one(arguments: argparse.Namespace, directory: Path) -> int:
    if arguments.out:
        raise InputError("--out is for a page of several runs; the report of one lies in its directory")
    work = Workspace(directory)
    with held(work.root):
        session = open_session(work.root, arguments.data_dir, progress_bar)
        if not arguments.force:
            check_report(work)
        report = report_stage(session, device=arguments.device)
    absent = f"; not run: {', '.join(report.absent)}" if report.absent else ""
    of = f"\nnetwork {short(report.made_of['network'])}"
    emit(arguments, to_json(report), f"{work.root / 'report.html'} and report.json written{absent}{of}", session.notes)
    return 0


def _several(arguments: argparse.Namespace) -> int:
    folders: list[Path] = arguments.directories
    names, page = run_names(folders), arguments.out or common_folder(folders) / PAGE
    check_comparison(page, force=arguments.force)
    opened = partial(open_session, data_dir=arguments.data_dir, bar=progress_bar)
    with held(*folders):
        check_runs(folders, force=arguments.force)
        made = [reported(Workspace(folder), opened, arguments.device) for folder in folders]
        comparison = comparison_stage(names, folders, made, page)
    head, rows = table_rows(comparison)
    remarks = [f"{name}: {note}" for name, each in zip(names, made) for note in each.notes]
    text = f"{table([tuple(row) for row in rows], tuple(head))}\n{page} and {page.with_suffix('.json').name} written"
    emit(arguments, bound(comparison, made_of(comparison)), text, [*comparison.remarks, *remarks])
    return 0
