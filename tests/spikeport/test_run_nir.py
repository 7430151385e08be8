"""`spikeport run --nir`: a file of another framework, its data and its recorded spikes, to a
report.
"""

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
    """A network in which class k drives neuron k, 60 samples, and the spikes that plain NumPy gives
    for the stated meaning.
    """
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


def test_another_network_or_other_data_want_force(theirs, tmp_path, capsys):
    assert run(theirs, tmp_path / "run") == 0
    before = (tmp_path / "run" / "report.json").read_bytes()
    assert run(theirs, tmp_path / "run", "--reset", "zero") == 2
    assert "another trained network" in (said := capsys.readouterr().err) and "--force" in said
    np.save(tmp_path / "other.npy", np.roll(np.load(theirs / "x.npy"), 1, axis=1))
    assert run(theirs, tmp_path / "run", "--input", str(tmp_path / "other.npy")) == 2
    assert "another input data" in capsys.readouterr().err
    assert (tmp_path / "run" / "report.json").read_bytes() == before
    assert run(theirs, tmp_path / "run", "--reset", "zero", "--force") == 0


def test_a_training_is_not_mixed_with_an_imported_network(theirs, tmp_path, capsys):
    trained = tmp_path / "trained"
    assert main(["train", "--arch", "4C3-P4", "--timesteps", "2", "--epochs", "1", "--out", str(trained)]) == 0
    assert run(theirs, trained) == 2 and "holds a run already (model.safetensors)" in capsys.readouterr().err
    assert run(theirs, tmp_path / "run") == 0
    assert main(["train", "--arch", "4C3-P4", "--timesteps", "2", "--epochs", "1", "--out", str(tmp_path / "run")]) == 2
    assert "holds a run already (source.json)" in capsys.readouterr().err


def test_other_settings_go_on_with_the_same_network_and_data(theirs, tmp_path, capsys):
    """What speaks of the former integers is made anew, or left out."""
    assert run(theirs, tmp_path / "run", "--expect", str(theirs / "theirs.npz")) == 0
    first = json.loads((tmp_path / "run" / "report.json").read_text())
    assert run(theirs, tmp_path / "run", "--weight-bits", "3", "--seed", "5") == 0
    second = json.loads((tmp_path / "run" / "report.json").read_text())
    assert (first["network"]["weight_bits"], second["network"]["weight_bits"], second["seeds"]) == (8, 3, {"seed": 5})
    assert len(first["expected"]) == 2 and not second["expected"]
    assert "expect.json is left out: it was made of another quantized network" in capsys.readouterr().err
    assert json.loads((tmp_path / "run" / "truncation.json").read_text())["made_of"] == second["made_of"]


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
