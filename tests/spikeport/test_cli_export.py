"""`spikeport export`, and `.net` files in the commands that read networks."""

from __future__ import annotations

import json

import nir
import numpy as np
import onnxruntime
import pytest
from support.networks.nir_files import conv_network

from spikeport.cli import main
from spikeport.export.netx.file import read_netx
from spikeport.export.nir.file import read_nir, write_nir


@pytest.fixture
def files(tmp_path):
    """A quantized network, another framework's, and an input for each."""
    write_nir(conv_network(), tmp_path / "net.nir")
    graph = nir.NIRGraph.from_list(
        nir.Affine(np.random.default_rng(0).normal(0, 1, (3, 5)).astype(np.float32), np.zeros(3, np.float32)),
        nir.LIF(tau=np.full(3, 5e-3), r=np.ones(3), v_leak=np.zeros(3), v_threshold=np.full(3, 0.3)),
    )
    nir.write(tmp_path / "float.nir", graph)
    rng = np.random.default_rng(1)
    np.save(tmp_path / "x.npy", rng.integers(0, 17, (6, 8, 1, 8, 8)))
    np.save(tmp_path / "f.npy", rng.integers(0, 2, (4, 12, 5)))
    return tmp_path


def test_netx_tells_what_it_changes_and_is_read_by_every_command(files, capsys):
    net, made = str(files / "net.nir"), str(files / "a.net")
    assert main(["export", net, "--to", "netx", "--input", str(files / "x.npy"), "--out", made, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert not told["exact"] and told["populations"]["conv"]["shift"] == -5 and told["compared"]["bins"] == 6 * 8 * 5
    assert main(["check", made]) == 0
    assert main(["simulate", made, "--input", str(files / "x.npy"), "--backend", "engine", "--out", str(files / "a.npz")]) == 0
    assert main(["simulate", net, "--input", str(files / "x.npy"), "--backend", "engine", "--out", str(files / "b.npz")]) == 0
    a, b = (np.load(files / f"{n}.npz")["output"] for n in "ab")
    scale = read_netx(files / "a.net")["classes"].scale / read_nir(files / "net.nir")["classes"].scale
    assert scale == 1 and (a != b).sum() == told["compared"]["differing"]
    assert main(["verify", made, "--input", str(files / "x.npy"), "--backends", "engine,onnx"]) == 0
    assert main(["quantize", made, "--out", str(files / "back.nir"), "--timesteps", "7"]) == 0
    assert read_nir(files / "back.nir").timesteps == 7


def test_a_foreign_network_becomes_float_onnx(files, capsys):
    meaning = ["--dt", "1e-3", "--integrator", "euler", "--reset", "zero"]
    assert main(["export", str(files / "float.nir"), "--to", "onnx", *meaning, "--out", str(files / "f.onnx")]) == 0
    assert "float32 arithmetic" in capsys.readouterr().out
    run = ["simulate", str(files / "float.nir"), "--input", str(files / "f.npy"), "--backend", "torch", *meaning]
    assert main([*run, "--out", str(files / "f.npz")]) == 0
    session = onnxruntime.InferenceSession(str(files / "f.onnx"), providers=["CPUExecutionProvider"])
    feeds = {i.name: np.zeros([4 if d == "N" else d for d in i.shape], np.float32) for i in session.get_inputs() if i.name != "input"}
    feeds["input"] = np.load(files / "f.npy").swapaxes(0, 1).astype(np.float32)
    (output,) = session.run(["output"], feeds)
    expected = np.load(files / "f.npz")["output"]
    assert (output.swapaxes(0, 1) == expected).all() and 0 < expected.sum() < expected.size


def test_float_of_integers_and_nir_of_another_step(files, capsys):
    net = str(files / "net.nir")
    assert main(["export", net, "--to", "onnx", "--float", "--out", str(files / "f.onnx"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["arithmetic"] == "float32"
    assert main(["export", net, "--to", "nir", "--dt", "1e-4", "--out", str(files / "b.nir")]) == 0
    made = read_nir(files / "b.nir")
    assert made.dt == 1e-4 and (made.connections[0].weight == conv_network().connections[0].weight).all()


WRONG = {
    "is the network itself": ["net.nir", "--to", "nir", "--out", "net.nir"],
    "it goes with --to netx": ["net.nir", "--to", "onnx", "--input", "x.npy", "--out", "a"],
    "quantize it first": ["float.nir", "--to", "netx", "--out", "a"],
    "state --dt --integrator --reset": ["float.nir", "--to", "onnx", "--out", "a"],
}


@pytest.mark.parametrize("message", WRONG)
def test_bad_input_is_one_line_and_no_file(files, capsys, monkeypatch, message):
    monkeypatch.chdir(files)
    assert main(["export", *WRONG[message]]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (files / "a").exists()
