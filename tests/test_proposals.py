"""The table of Fisher proposals: read from reports, with the losses and energies that are in them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from test_report import full_report

from spikeport.analysis.numbers import si
from spikeport.analysis.report import write_report

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "proposals.py"


def proposals(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, words)], capture_output=True, text=True, check=False)


@pytest.fixture
def run(tmp_path) -> Path:
    report = replace(full_report(), configuration={"train": {"data": "digits", "method": "dsr"}})
    write_report(report, tmp_path / "run" / "report.json")
    return tmp_path / "run"


def test_the_table_holds_what_the_report_holds(run, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured by benchmarks/proposals.py -->\nold\n<!-- end -->\nafter\n")
    made = proposals(run, "--json", tmp_path / "p.json", "--into", page)
    assert made.returncode == 0, made.stderr
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


def test_bad_input_is_told_in_one_line(run, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing here\n")
    write_report(replace(full_report(), fisher=None), tmp_path / "half" / "report.json")
    for words, said in [
        ((tmp_path / "none",), "does not exist"),
        ((tmp_path / "half",), "lacks Fisher"),
        ((run, "--into", page), "no place"),
    ]:
        made = proposals(*words)
        assert made.returncode == 2 and made.stdout == ""
        assert made.stderr.startswith("error: ") and made.stderr.count("\n") == 1 and said in made.stderr
    assert page.read_text() == "nothing here\n"
