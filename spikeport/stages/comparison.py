"""The stage that sets several runs side by side: each one's report is made anew, then what they say
is compared on a page of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeport.analysis.decision.guarantee import loss_limits
from spikeport.analysis.pages.comparison import write_comparison
from spikeport.analysis.results.comparison import Comparison, compare, compared_run, test_data
from spikeport.analysis.results.report import Report
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import check_file
from spikeport.hw.records.record import correct_over_time
from spikeport.stages.folder.bound import Digests, write_bound
from spikeport.stages.folder.claims import check_kept, check_output, check_report, json_origin, page_origin
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.pipeline import report_stage
from spikeport.stages.session import Session

PAGE = "comparison.html"
ALPHA = 0.05
"""Each limit of a loss holds at 95 %."""


@dataclass(frozen=True)
class Reported:
    """A run's report, and whether each test sample is right at T', bool `(samples,)`."""

    report: Report
    right: np.ndarray
    notes: tuple[str, ...] = ()


def run_names(folders: Sequence[Path]) -> list[str]:
    """Every folder as it differs from the others: its path below what all have in common.

    Raises:
        InputError: a folder is given twice.
    """
    whole = [folder.resolve() for folder in folders]
    if twice := next((folder for folder, place in zip(folders, whole) if whole.count(place) > 1), None):
        raise InputError(f"{twice} is given twice; name each run once")
    common = common_folder(folders)
    return [folder.relative_to(common).as_posix() for folder in whole]


def common_folder(folders: Sequence[Path]) -> Path:
    """The nearest folder above all runs."""
    return Path(os.path.commonpath([folder.resolve().parent for folder in folders]))


def check_runs(folders: Sequence[Path], *, force: bool) -> None:
    """Refuse what cannot be reported before any report is written.

    Raises:
        InputError: no run, one that is not quantized yet or is damaged, or a report there that is
            not ours.
    """
    for work in map(Workspace, folders):
        if not work.source.exists():
            work.trained()
        work.quantized()
        if not force:
            check_report(work)


def check_comparison(page: Path, *, force: bool) -> None:
    """Refuse a place for the page and its JSON that is another program's or another result's.

    Raises:
        InputError: not a page's name, or what is there stays.
    """
    if page.suffix != ".html":
        raise InputError(f"--out {page} must end in .html; the values go to a .json beside it")
    for path in (page, page.with_suffix(".json")):
        check_file(path)
    check_output(page, page_origin, {}, force=force)
    check_output(page.with_suffix(".json"), json_origin(Comparison), {}, force=force, home=page.parent)
    check_kept(page, force=force)


def reported(work: Workspace, open_session: Callable[[Path], Session], device: str) -> Reported:
    """Make a run's report anew."""
    session = open_session(work.root)
    report = report_stage(session, device=device)
    correct = correct_over_time(session.records["test"].output, session.split("test").labels, session.network.readout)
    return Reported(report, correct[:, report.chosen - 1], tuple(session.notes))


def comparison_stage(names: Sequence[str], folders: Sequence[Path], made: Sequence[Reported], page: Path) -> Comparison:
    """Compare, and write the page with its JSON beside it."""
    firsts: dict[str, tuple[str, Reported]] = {}
    runs = []
    for name, folder, each in zip(names, folders, made):
        first, reference = firsts.setdefault(test_data(each.report), (name, each))
        loss = None if each is reference else loss_limits(each.right, reference.right, ALPHA)
        runs.append(compared_run(name, Workspace(folder).report.as_posix(), each.report, first if loss else None, loss))
    comparison = compare(runs)
    write_bound(page.with_suffix(".json"), comparison, made_of(comparison))
    write_comparison(comparison, page, made_of(comparison))
    return comparison


def made_of(comparison: Comparison) -> Digests:
    """The quantized network of every run, by the run's name."""
    return {run.name: run.made_of.get("network", "") for run in comparison.runs}
