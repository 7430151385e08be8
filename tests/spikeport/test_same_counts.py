"""`simulate` and `report` count the same spikes of the same layers under the same words."""

from __future__ import annotations

import json

import numpy as np
import pytest

import spikeport as sp
from spikeport.cli import main


def test_simulate_and_report_count_the_same_spikes(tmp_path, capsys):
    run, x = tmp_path / "run", tmp_path / "x.npy"
    small = ["--arch", "4C3-P4-8", "--epochs", "1", "--timesteps", "3", "--tolerance", "3"]
    assert main(["run", *small, "--backends", "engine", "--verify-samples", "2", "--out", str(run)]) == 0
    np.save(x, sp.load_data("digits").test.array)
    capsys.readouterr()
    command = ["simulate", str(run / "network.nir"), "--input", str(x), "--out", str(tmp_path / "o.npz")]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    report = sp.read_report(run / "report.json")
    samples, steps = told["shape"][:2]
    reported = {layer.name: samples * layer.spikes[steps - 1] for layer in report.cost.layers}
    counted = told["spikes_by_node"]
    assert sum(counted.values()) > 0 and counted.items() <= {name: round(spikes) for name, spikes in reported.items()}.items()
    assert all(reported[name] == pytest.approx(spikes) for name, spikes in counted.items())
    assert ">spikes</th>" in (run / "report.html").read_text().replace(' scope="col"', "")
    assert main(command) == 0
    assert f"{told['spikes']:,} spikes in 2 layers" in capsys.readouterr().out
