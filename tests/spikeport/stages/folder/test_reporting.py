"""A report's day: stated once, kept while the values stay, and never the clock's where the
environment states one.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.pages.reports import full_report

from spikeport.analysis.results.report import read_report
from spikeport.export.common.errors import InputError
from spikeport.stages.folder import reporting
from spikeport.stages.folder.reporting import EPOCH, write_reported
from spikeport.stages.folder.workspace import Workspace

REPORT = full_report()


def all_files(folder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_again_on_another_day_is_the_same_to_the_byte(tmp_path, monkeypatch):
    work = Workspace(tmp_path)
    monkeypatch.setattr(reporting, "today", lambda: "2026-01-01")
    assert write_reported(work, REPORT).date == "2026-01-01"
    before = all_files(tmp_path)
    monkeypatch.setattr(reporting, "today", lambda: "2026-02-02")
    assert write_reported(work, REPORT).date == "2026-01-01" and all_files(tmp_path) == before
    assert write_reported(work, replace(REPORT, title="other")).date == "2026-02-02" == read_report(work.report).date


def test_the_environment_may_state_the_day(tmp_path, monkeypatch):
    monkeypatch.setenv(EPOCH, "86400")
    assert write_reported(Workspace(tmp_path), REPORT).date == "1970-01-02"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "reported 1970-01-02" in page and ", 1970-01-02." in page
    monkeypatch.setenv(EPOCH, "yesterday")
    with pytest.raises(InputError, match="give seconds since 1970"):
        write_reported(Workspace(tmp_path / "b"), REPORT)
    assert not (tmp_path / "b").exists()
