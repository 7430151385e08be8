"""Every example runs, on small data, and ends in what it says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.places import ROOT

from spikeport.analysis.results.report import read_report

EXAMPLES = {
    "four_methods.py": (["--epochs", "1", "--arch", "6C3-P4-16"], "tssl-bp"),
    "lava_program.py": (["--steps", "12"], "leading output at each step"),
    "my_parts.py": (["--epochs", "2"], "of 90 test samples in 8 bits"),
    "nir_to_cost.py": ([], "engine, onnx against the reference: equal"),
    "own_data_own_loop.py": (["--epochs", "5", "--out", "own"], "verified equal"),
    "prune_and_truncate.py": (["--epochs", "4", "--cycles", "1"], "weights are left"),
    "snntorch_to_report.py": (["--epochs", "1", "--out", "theirs"], "float: 0 of"),
}
NEEDS = {"lava_program.py": "lava", "snntorch_to_report.py": "snntorch"}


def test_every_example_is_run():
    assert set(EXAMPLES) == {path.name for path in (ROOT / "examples").glob("*.py")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name, tmp_path):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    options, said = EXAMPLES[name]
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *options],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert said in ran.stdout
    assert "Traceback" not in ran.stderr
    for report in tmp_path.glob("*/report.json"):
        assert read_report(report).verification.equal


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_uses_public_names_only(name):
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    assert "import spikeport as sp" in text and "from spikeport" not in text and "import spikeport." not in text
