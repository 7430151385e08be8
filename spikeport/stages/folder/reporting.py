"""The last stage of every path: a report becomes `report.json`, the page, and the folder of its
figures and tables.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

from spikeport.analysis.pages.render import write_page
from spikeport.analysis.results.report import Report, read_report, write_report
from spikeport.export.common.errors import InputError
from spikeport.stages.folder.workspace import Workspace

EPOCH = "SOURCE_DATE_EPOCH"
"""Environment variable that states the day, as of reproducible builds: seconds since 1970, UTC."""


def write_reported(work: Workspace, report: Report) -> Report:
    """Date a report and write all of it.

    Made again with the same values it keeps its day, so that its files stay the same.
    """
    report = replace(report, date=_day(work, report))
    write_report(report, work.report)
    write_page(report, work.report.with_suffix(".html"))
    return report


def _day(work: Workspace, report: Report) -> str:
    try:
        before = read_report(work.report)
    except InputError:
        return today()
    return before.date if before.date and replace(before, date="") == report else today()


def today() -> str:
    """The day that the environment states, else the clock's.

    Raises:
        InputError: the environment states no time.
    """
    if (stated := os.environ.get(EPOCH)) is None:
        return time.strftime("%Y-%m-%d")
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(int(stated)))
    except (ValueError, OverflowError, OSError):
        raise InputError(f"{EPOCH} is {stated!r:.40}; give seconds since 1970, or unset it") from None
