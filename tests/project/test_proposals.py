"""The table of Fisher proposals: read from reports, with the losses and energies that are in them."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
from support.pages.reports import full_report
from support.places import ROOT

from spikeport.analysis.common.numbers import si
from spikeport.analysis.results.report import write_report

SCRIPT = ROOT / "benchmarks" / "timesteps" / "proposals.py"


@pytest.fixture
def proposals(monkeypatch, capsys):
    """Runs the script as a program in this process: status, standard output, standard error."""

    def called(*words: object) -> tuple[int, str, str]:
        monkeypatch.syspath_prepend(SCRIPT.parent)  # as Python does for a program
        monkeypatch.setattr("sys.argv", [str(SCRIPT), *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return (stop.value.code, *capsys.readouterr())

    return called


@pytest.fixture
def run(tmp_path) -> Path:
    report = replace(full_report(), configuration={"train": {"data": "digits", "method": "dsr"}})
    write_report(report, tmp_path / "run" / "report.json")
    return tmp_path / "run"


def test_the_table_holds_what_the_report_holds(run, proposals, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured by benchmarks/timesteps/proposals.py -->\nold\n<!-- end -->\nafter\n")
    assert proposals(run, "--json", tmp_path / "p.json", "--into", page) == (0, "", "")
    report = full_report()
    (found,) = json.loads((tmp_path / "p.json").read_text())
    cut, curve = report.truncation, report.curve("quantized")
    assert (found["shown"], found["proposal"], found["method"]) == (cut.chosen, cut.proposal, "dsr")
    best = max(cut.test.accuracy_full, cut.test.accuracy_floating)
    assert found["losses"] == pytest.approx([100 * (best - a) for a in curve.accuracy])
    assert found["hindsight"] == 1 + [loss < 1 for loss in found["losses"]].index(True)
    assert found["exit_energy"] == report.exit_cost.dynamic.mean[0]

    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("<!-- end -->\nafter\n") and "old" not in text
    assert f"| digits, dsr | 6 | 1 point | {cut.chosen} |" in text
    assert si(report.cost.dynamic.mean[cut.proposal - 1], "J") in text


def test_bad_input_is_told_in_one_line(run, proposals, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing here\n")
    write_report(replace(full_report(), fisher=None), tmp_path / "half" / "report.json")
    for words, said in [
        ((tmp_path / "none",), "does not exist"),
        ((tmp_path / "half",), "lacks Fisher"),
        ((run, "--into", page), "no place"),
    ]:
        status, out, err = proposals(*words)
        assert status == 2 and out == ""
        assert err.startswith("error: ") and err.count("\n") == 1 and said in err
    assert page.read_text() == "nothing here\n"
