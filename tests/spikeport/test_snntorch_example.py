"""The example trains, imports, quantizes, verifies on Lava and prices a snnTorch network, as its
page says.
"""

import json
import subprocess
import sys

import pytest
from support.places import ROOT

pytest.importorskip("snntorch", reason="snnTorch is an extra: pip install 'spikeport[snntorch]'")


@pytest.mark.slow
@pytest.mark.lava
def test_the_example_ends_in_an_equal_network(tmp_path):
    command = [sys.executable, ROOT / "examples/snntorch_to_report.py", "--epochs", "3", "--timesteps", "5", "--out", tmp_path / "run"]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    floating, integers = report["expected"]
    assert floating["kind"] == "float" and floating["output"]["different"] == 0 < floating["output"]["bins"]
    accuracy = {curve["stage"]: curve["accuracy"][-1] for curve in report["accuracy"] if curve["split"] == "test"}
    assert accuracy["float"] > 0.7 and abs(accuracy["quantized"] - accuracy["float"]) <= 0.03
    assert integers["same_classes"] > 0.9 * integers["samples"]
    assert not any(report["verification"]["differences"].values())
    assert (tmp_path / "run" / "report.html").exists()
