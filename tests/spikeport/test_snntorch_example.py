"""The example trains, imports, quantizes, verifies on Lava and prices a snnTorch network, as its page says."""

import json
import subprocess
import sys

import pytest
from support.places import ROOT

pytest.importorskip("snntorch", reason="snnTorch is an extra: pip install 'spikeport[snntorch]'")


@pytest.mark.slow
@pytest.mark.lava
def test_the_example_ends_in_an_equal_network(tmp_path):
    command = [sys.executable, ROOT / "examples/snntorch_to_report.py", "--epochs", "3", "--timesteps", "5", "--out", tmp_path]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["float: bins that differ from snnTorch"] == 0 < result["float: bins compared"]
    assert result["accuracy of snnTorch in %"] == result["accuracy in float in %"] > 70
    assert abs(result["accuracy in 8 bits in %"] - result["accuracy of snnTorch in %"]) <= 2
    assert result["engine and Lava equal to the reference"]
    assert (tmp_path / "network.nir").exists()
