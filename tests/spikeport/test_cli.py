"""The command line as its users meet it: the whole path on real digits, and what happens when
something is wrong.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest

from spikeport.analysis.results.report import read_report
from spikeport.cli import COMMANDS, main
from spikeport.export.common.errors import BackendError
from spikeport.export.nir.file import read_nir, write_nir
from spikeport.hw.records.record import correct_over_time
from spikeport.train.data.registry import load


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """A small network through the whole path, on real Lava."""
    pytest.importorskip("lava")
    out = tmp_path_factory.mktemp("run")
    size = ["--arch", "8C3-P2-8C3-P2-32", "--epochs", "10", "--timesteps", "3"]
    assert main(["run", *size, "--tolerance", "3", "--verify-samples", "12", "--backends", "engine,lava,onnx", "--out", str(out)]) == 0
    return out


@pytest.fixture
def images(tmp_path) -> Path:
    np.save(tmp_path / "x.npy", load("digits").test.images[:6])
    return tmp_path / "x.npy"


@pytest.mark.lava
def test_run_ends_in_a_report_that_holds(workspace):
    report = read_report(workspace / "report.json")
    assert report.absent == ()
    assert report.verification and report.verification.equal
    assert set(report.verification.backends) == {"engine", "lava", "onnx"}
    floating, quantized = report.curve("float"), report.curve("quantized")
    assert floating and quantized and floating.accuracy[-1] > 0.8
    assert abs(floating.accuracy[-1] - quantized.accuracy[-1]) < 0.02
    page = (workspace / "report.html").read_text(encoding="utf-8")
    assert "http://" not in page.replace("http://www.w3.org", "") and "src=" not in page.replace('src="data:', "")
    assert read_nir(workspace / "deployed.nir").timesteps == report.chosen
    cut = report.truncation
    assert cut and cut.lava and cut.lava.equal and (cut.lava.samples, cut.lava.timesteps) == (12, cut.chosen)
    assert "In real Lava at T&#x27; = " in page or "In real Lava at T' = " in page
    assert "Early exit" in page and "What is saved" in page


@pytest.mark.lava
def test_lava_accuracy_is_its_own(workspace):
    """The Lava curve in the report is what the reference gives on the same samples, computed here
    from the file.
    """
    report = read_report(workspace / "report.json")
    curve, data = report.curve("Lava"), load("digits")
    assert curve and curve.samples == len(data.test)
    np.save(workspace / "first.npy", data.test.images)
    out = workspace / "first.npz"
    assert (
        main(
            [
                "simulate",
                str(workspace / "network.nir"),
                "--input",
                str(workspace / "first.npy"),
                "--backend",
                "reference",
                "--out",
                str(out),
            ]
        )
        == 0
    )
    correct = correct_over_time(np.load(out)["output"], data.test.labels, "accumulated_current")
    assert curve.accuracy == pytest.approx(correct.mean(axis=0))


@pytest.mark.lava
def test_run_again_keeps_the_training(workspace):
    before = (workspace / "model.safetensors").stat().st_mtime_ns
    arguments = ["run", "--arch", "8C3-P2-8C3-P2-32", "--epochs", "10", "--timesteps", "3", "--backends", "engine", "--verify-samples", "2"]
    assert main([*arguments, "--out", str(workspace)]) == 0
    assert (workspace / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.lava
def test_verification_can_fail(workspace, images, capsys):
    """The first layer's weights, all one quantization step nearer to zero, on the backends' side
    only.
    """
    network = read_nir(workspace / "network.nir")
    first = network.connections[0]
    weight = first.weight - np.sign(first.weight)
    changed = replace(first, op=replace(first.op, weight=weight))
    write_nir(replace(network, connections=(changed, *network.connections[1:])), workspace / "changed.nir")
    command = [
        "verify",
        str(workspace / "network.nir"),
        "--against",
        str(workspace / "changed.nir"),
        "--input",
        str(images),
        "--backends",
        "lava",
    ]
    assert main([*command, "--json"]) == 1
    first_difference = json.loads(capsys.readouterr().out)["first"]
    assert first_difference["backend"] == "lava"
    assert first_difference["expected_potential"] != first_difference["found_potential"]
    assert main(command) == 1
    assert f"lava differs first in {first_difference['population']}, neuron" in capsys.readouterr().out


@pytest.mark.lava
def test_simulate_keeps_the_contract(workspace, images):
    network = read_nir(workspace / "network.nir")
    arrays = {}
    for backend in ("engine", "lava", "onnx", "reference", "torch"):
        out = workspace / f"{backend}.npz"
        command = [
            "simulate",
            str(workspace / "network.nir"),
            "--input",
            str(images),
            "--backend",
            backend,
            "--timesteps",
            "2",
            "--record",
            "all",
        ]
        assert main([*command, "--out", str(out)]) == 0
        arrays[backend] = dict(np.load(out))
    assert arrays["engine"]["output"].shape == (6, 2, 10) and arrays["engine"]["output"].dtype == np.int32
    for name in ("conv1", "conv2", "dense1"):
        spikes = arrays["reference"][f"spikes/{name}"]
        assert spikes.dtype == bool and spikes.shape == (6, 2, *network[name].shape) and spikes.any()
        for backend in ("engine", "lava", "onnx"):
            np.testing.assert_array_equal(arrays[backend][f"spikes/{name}"], spikes)
        assert (arrays["torch"][f"spikes/{name}"] == spikes).mean() > 0.95
    for backend in ("engine", "lava", "onnx"):
        np.testing.assert_array_equal(arrays[backend]["output"], arrays["reference"]["output"])


@pytest.mark.lava
def test_stages_one_by_one(workspace, tmp_path, capsys):
    assert main(["check", str(workspace / "network.nir")]) == 0
    assert main(["check", str(workspace / "network.nir"), "--device", "loihi1"]) == 1  # graded input
    assert "refused" in capsys.readouterr().out
    assert main(["quantize", str(workspace), "--weight-bits", "3", "--finetune", "1", "--out", str(tmp_path / "q.nir")]) == 0
    assert np.abs(read_nir(tmp_path / "q.nir").connections[1].weight).max() <= 4
    assert main(["tic", str(workspace), "--samples", "20", "--out", str(tmp_path / "tic.json")]) == 0
    assert len(json.loads((tmp_path / "tic.json").read_text())["per_step"]) == 3
    assert main(["export", str(workspace / "network.nir"), "--to", "onnx", "--out", str(tmp_path / "n.onnx")]) == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"spikeport {command} " in capsys.readouterr().out.partition("examples:")[2]


@pytest.fixture
def files(tmp_path) -> Path:
    """A good foreign file and inputs, good and bad."""
    graph = nir.NIRGraph(
        nodes={
            "input": nir.Input({"input": np.array([1])}),
            "affine": nir.Affine(np.ones((1, 1)), np.zeros(1)),
            "lif": nir.LIF(*(np.full(1, value) for value in (2.5e-3, 1.0, 0.0, 0.1))),
            "output": nir.Output({"output": np.array([1])}),
        },
        edges=[("input", "affine"), ("affine", "lif"), ("lif", "output")],
    )
    nir.write(tmp_path / "lif.nir", graph)
    graph.nodes["affine"].weight[:] = np.nan
    nir.write(tmp_path / "nan.nir", graph)
    (tmp_path / "junk.nir").write_text("not HDF5")
    (tmp_path / "cut.nir").write_bytes((tmp_path / "lif.nir").read_bytes()[:900])
    (tmp_path / "empty.nir").touch()
    np.save(tmp_path / "ok.npy", np.zeros((1, 5, 1), np.float32))
    np.save(tmp_path / "bad_nan.npy", np.full((1, 5, 1), np.nan))
    np.save(tmp_path / "bad_shape.npy", np.zeros((1, 5, 7)))
    np.save(tmp_path / "bad_object.npy", np.array([{}], object))
    return tmp_path


MEANING = ["--dt", "1e-4", "--integrator", "euler", "--reset", "zero"]


def simulate(network: str, x: str = "ok.npy", *more: str) -> list[str]:
    return ["simulate", network, "--backend", "torch", "--input", x, "--out", "out.npz", *(more or ("--timesteps", "5")), *MEANING]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (simulate("missing.nir"), "missing.nir"),
        (simulate("junk.nir"), "junk.nir"),
        (simulate("cut.nir"), "cut.nir"),
        (simulate("empty.nir"), "empty.nir"),
        (simulate("nan.nir"), "NaN"),
        (simulate("lif.nir", "bad_nan.npy"), "NaN"),
        (simulate("lif.nir", "bad_shape.npy"), "shape"),
        (simulate("lif.nir", "bad_object.npy"), "holds Python objects"),
        (simulate("lif.nir", "none.npy"), "none.npy does not exist"),
        (simulate("lif.nir", "ok.npy", "--timesteps", "0"), "timesteps is 0"),
        (simulate("lif.nir", "ok.npy", "--timesteps", "9"), "5 timesteps"),
        ([*simulate("lif.nir"), "--dt", "-1"], "dt"),
        (["simulate", "lif.nir", "--backend", "torch", "--input", "ok.npy", "--out", "out.npz"], "state --dt --integrator --reset"),
        (["simulate", "lif.nir", "--backend", "lava", "--input", "ok.npy", "--out", "out.npz"], "quantize it first"),
        (["quantize", "lif.nir", *MEANING, "--out", "out.npz"], "--calibration"),
        (["quantize", "lif.nir", *MEANING, "--calibration", "ok.npy", "--weight-bits", "99", "--out", "out.npz"], "weight bits is 99"),
        (["verify", "lif.nir", "--input", "ok.npy"], "quantize it first"),
        (["train", "--method", "nosuch", "--out", "out.npz"], "invalid choice: 'nosuch'"),
        (["train", "--data", "mnist", "--data-dir", "nowhere", "--out", "out.npz"], "nowhere"),
        (["train", "--arch", "banana", "--out", "out.npz"], "banana"),
        (["train", "--timesteps", "0", "--out", "out.npz"], "timesteps is 0"),
        (["report", "nowhere"], "nowhere is no directory"),
        (["tic", ".", "--out", "out.npz"], "model.safetensors"),
        (["run", "--config", "none.toml", "--out", "out.npz"], "none.toml does not exist"),
        (["check", "junk.nir"], "junk.nir"),
    ],
)
def test_bad_input_is_told_in_one_line(command, words, files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    before = sorted(files.iterdir())
    try:
        status = main(command)
    except SystemExit as stop:  # argparse
        status = stop.code
    error = capsys.readouterr().err
    assert status == 2, error
    assert words in error and error.count("\n") == 1, error
    assert sorted(files.iterdir()) == before, "something half-written was left behind"


@pytest.mark.lava
def test_a_backend_that_fails_is_told_in_one_line(workspace, images, monkeypatch, capsys):
    def fails(*arguments, **options):
        raise BackendError("Lava stood still at timestep 3")

    monkeypatch.setattr("spikeport.hw.lava.batch.backend.records", fails)
    command = ["simulate", str(workspace / "network.nir"), "--input", str(images), "--backend", "lava", "--out", str(workspace / "no.npz")]
    assert main(command) == 1
    assert capsys.readouterr().err == "lava: 6 samples\nspikeport simulate: Lava stood still at timestep 3\n"
    assert not (workspace / "no.npz").exists()
