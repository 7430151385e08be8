"""`spikeport run --nir`: a file of another framework, its data and its recorded spikes, to a report."""

from __future__ import annotations

import json
from itertools import pairwise

import nir
import numpy as np
import pytest

from spikeport.cli import main

T, CLASSES = 12, 3
MEANING = ["--dt", "1e-3", "--integrator", "euler", "--reset", "subtract"]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A network in which class k drives neuron k, 60 samples, and the spikes that plain NumPy gives for the stated meaning."""
    folder, rng = tmp_path_factory.mktemp("theirs"), np.random.default_rng(0)
    weight = (np.eye(CLASSES) * 0.9 + rng.normal(0, 0.1, (CLASSES, CLASSES))).astype(np.float32)
    tau = np.full(CLASSES, 5e-3)
    nodes = {
        "in": nir.Input({"input": np.array([CLASSES])}),
        "w": nir.Linear(weight=weight),
        "lif": nir.LIF(tau=tau, r=np.full(CLASSES, 5.0), v_leak=np.zeros(CLASSES), v_threshold=np.ones(CLASSES), v_reset=np.zeros(CLASSES)),
        "out": nir.Output({"output": np.array([CLASSES])}),
    }
    names = list(nodes)
    nir.write(folder / "net.nir", nir.NIRGraph(nodes=nodes, edges=list(pairwise(names))))
    y = np.arange(60) % CLASSES
    x = (rng.random((60, T, CLASSES)) < np.where(np.arange(CLASSES) == y[:, None], 0.7, 0.15)[:, None]).astype(np.int8)
    output, v = np.zeros((60, T, CLASSES), np.int32), np.zeros((60, CLASSES))
    for t in range(T):  # v' = (-v + r w x) / tau in steps of 1 ms: keeps 4/5, takes r / 5 = 1 of the current
        v = 0.8 * v + x[:, t] @ weight.T.astype(float)
        output[:, t] = v > 1
        v = v - output[:, t]
    for name, array in (("x", x), ("y", y)):
        np.save(folder / f"{name}.npy", array)
    np.savez(folder / "theirs.npz", output=output)
    output[7, 5, 1] ^= 1
    np.savez(folder / "changed.npz", output=output)
    return folder


def run(theirs, out, *more: str) -> int:
    given = ["--nir", str(theirs / "net.nir"), "--input", str(theirs / "x.npy"), "--targets", str(theirs / "y.npy"), *MEANING]
    return main(["run", *given, "--backends", "engine", "--tolerance", "30", "--out", str(out), *more])


def test_the_chain_reaches_from_their_spikes_to_the_report(theirs, tmp_path, capsys):
    assert run(theirs, tmp_path / "run", "--expect", str(theirs / "theirs.npz"), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "run" / "report.json").read_text())
    floats, integers = report["expected"]
    assert (floats["kind"], floats["output"]["different"], floats["same_classes"]) == ("float", 0, 60)
    assert integers["kind"] == "integers" and integers["output"]["bins"] == 60 * T * CLASSES
    curves = {(c["stage"], c["split"]): c["accuracy"][-1] for c in report["accuracy"]}
    assert curves["float", "test"] > 0.85 and curves["quantized", "test"] > 0.85
    assert report["fisher"] and report["truncation"] and report["cost"] and report["agreement"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "From your framework to the chip" in page and "uncalibrated" in page
    assert "reset subtract" in report["semantics"]["read as"]


def test_one_changed_bin_is_told(theirs, tmp_path, capsys):
    assert run(theirs, tmp_path / "run", "--expect", str(theirs / "changed.npz")) == 1
    assert "1 of 2,160 output bins differ" in capsys.readouterr().out
    assert "timestep 5, sample 7" in (tmp_path / "run" / "report.html").read_text()


def test_nothing_is_replaced_unasked(theirs, tmp_path, capsys):
    assert run(theirs, tmp_path / "run") == 0
    before = (tmp_path / "run" / "report.json").read_bytes()
    assert run(theirs, tmp_path / "run", "--weight-bits", "4") == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "run" / "report.json").read_bytes() == before
    assert run(theirs, tmp_path / "run", "--weight-bits", "4", "--force") == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--epochs", "3"], "--epochs is about training"),
        (["--data", "digits"], "--data is about training"),
        (["--targets", "{x}"], "expected one integer"),
        (["--nir", "{none}"], "does not exist"),
    ],
)
def test_what_does_not_belong_is_one_line(theirs, tmp_path, capsys, more, told):
    places = {"x": theirs / "x.npy", "none": theirs / "none.nir"}
    assert run(theirs, tmp_path / "run", *(word.format(**places) for word in more)) == 2
    error = capsys.readouterr().err.strip()
    assert told in error.splitlines()[-1] and not (tmp_path / "run" / "report.json").exists()


def test_a_held_input_runs_as_long_as_their_record(theirs, tmp_path):
    np.save(tmp_path / "held.npy", np.load(theirs / "x.npy")[:, 0])
    run(theirs, tmp_path / "run", "--input", str(tmp_path / "held.npy"), "--expect", str(theirs / "theirs.npz"))
    assert json.loads((tmp_path / "run" / "report.json").read_text())["network"]["timesteps"] == T


def test_no_samples_are_one_line(theirs, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.zeros((0, T, CLASSES), np.int8))
    np.save(tmp_path / "y.npy", np.zeros(0, int))
    assert run(theirs, tmp_path / "run", "--input", str(tmp_path / "x.npy"), "--targets", str(tmp_path / "y.npy")) == 2
    assert "0 samples; give 2 or more" in capsys.readouterr().err
