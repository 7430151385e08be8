"""`spikeport quantize` as its users meet it: what it prints of every layer, what JSON holds, and
connections with unlike weights.
"""

from __future__ import annotations

import json

import nir
import numpy as np
import pytest
from support.places import SHARED

from spikeport.analysis.results.report import read_report
from spikeport.cli import main

JOIN = SHARED / "cases" / "reports" / "01_two_paths_clipped"
MEANING = ["--dt", "1e-3", "--integrator", "euler", "--reset", "zero"]


def joined_file(path, ratio: float) -> None:
    """Two dense paths into one layer, whose largest weights are as 1 to `ratio`."""
    drawn = np.random.default_rng(0).uniform(-1, 1, (2, 16, 20))
    drawn *= np.array([0.7, 0.7 * ratio])[:, None, None] / np.abs(drawn).max((1, 2), keepdims=True)
    neurons = nir.LIF(tau=np.full(16, 4e-3), r=np.full(16, 4.0), v_leak=np.zeros(16), v_threshold=np.ones(16), v_reset=np.zeros(16))
    nodes = {
        "input": nir.Input({"input": np.array([20])}),
        "short": nir.Linear(drawn[0]),
        "long": nir.Linear(drawn[1]),
        "j": neurons,
        "output": nir.Output({"output": np.array([16])}),
    }
    edges = [("input", "short"), ("input", "long"), ("short", "j"), ("long", "j"), ("j", "output")]
    nir.write(path, nir.NIRGraph(nodes, edges))


def test_unlike_weights_into_one_layer_are_not_clipped(tmp_path, capsys):
    joined_file(tmp_path / "join.nir", 1.4)
    np.save(tmp_path / "x.npy", (np.random.default_rng(1).random((16, 20, 20)) < 0.3).astype(float))
    command = ["quantize", str(tmp_path / "join.nir"), *MEANING, "--calibration", str(tmp_path / "x.npy"), "--out", str(tmp_path / "q.nir")]
    assert main([*command, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert all(c["clipped"] == 0 and c["sqnr_db"] > 38 for c in made["connections"].values())
    (layer,) = made["agreement"]["layers"]
    assert layer["spikes"]["shared"] > 0.98 * layer["spikes"]["first"] > 100
    assert "loss" not in made
    assert main(command) == 0
    assert "float against integers, 16 samples" in capsys.readouterr().out


@pytest.mark.skipif(not JOIN.exists(), reason="the reported case is not here")
def test_the_reported_network_keeps_its_spikes(tmp_path, capsys):
    command = [
        "quantize",
        str(JOIN / "join.nir"),
        *MEANING,
        "--calibration",
        str(JOIN / "x.npy"),
        "--out",
        str(tmp_path / "q.nir"),
        "--json",
    ]
    assert main(command) == 0
    spikes = json.loads(capsys.readouterr().out)["agreement"]["layers"][-1]["spikes"]
    assert spikes["first"] + spikes["second"] - 2 * spikes["shared"] <= 130


def test_a_training_directory_explains_its_loss_and_reports_it(tmp_path, capsys):
    assert main(["train", "--data", "digits", "--arch", "16", "--epochs", "1", "--timesteps", "3", "--out", str(tmp_path)]) == 0
    command = ["quantize", str(tmp_path), "--weight-bits", "3", "--explain", "--out", str(tmp_path / "network.nir")]
    assert main([*command, "--json"]) == 0
    text = capsys.readouterr().out
    loss = json.loads(text[text.index("{") :])["loss"]
    rows = {row["rounded"]: row for row in loss["rows"]}
    assert {"weights", "thresholds and reset values", "biases", "decays"} < rows.keys()
    assert all(0 <= row["accuracy"] <= 1 for row in rows.values()) and 0 < loss["accuracy"] <= 1
    shared = {name: row["spikes"]["shared"] for name, row in rows.items()}
    assert shared["weights"] < shared["decays"], "three bits of weights must cost more than twelve of decay"
    assert main(["report", str(tmp_path)]) == 0
    report = read_report(tmp_path / "report.json")
    assert report.agreement and report.loss and report.agreement.samples == 64
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Float against integers" in page and "thresholds and reset values" in page
