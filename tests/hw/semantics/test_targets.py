"""What the whole path must reach on real data, with the recipes as they are.

Minutes long: run with `-m slow`.
"""

from __future__ import annotations

import pytest
from support.places import SHARED

from spikeport.analysis.results.report import read_report
from spikeport.cli import main

DATA = SHARED / "data"


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.parametrize("data", ["digits", "mnist"])
def test_the_path_keeps_accuracy_and_spikes(data, tmp_path):
    pytest.importorskip("lava")
    options = ["--data", data]
    if data != "digits":
        if not DATA.is_dir():
            pytest.skip("needs the MNIST files in ../shared/data")
        options += ["--data-dir", str(DATA), "--epochs", "1"]
    assert main(["run", *options, "--out", str(tmp_path)]) == 0
    report = read_report(tmp_path / "report.json")
    floating, quantized, stamp = report.curve("float"), report.curve("quantized"), report.verification
    assert floating and quantized and stamp
    assert floating.accuracy[-1] >= 0.97
    assert quantized.accuracy[-1] >= floating.accuracy[-1] - 0.005
    assert stamp.equal and stamp.samples >= 50 and "lava" in stamp.backends
    assert sum(name.startswith("conv") for name in stamp.populations) >= 2
