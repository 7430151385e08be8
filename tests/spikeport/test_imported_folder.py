"""Every command on the folder that `spikeport run --nir` or `sp.deploy` left, by the command line."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest
from support.networks.float_networks import neuron
from support.stated import PER_STEP

import spikeport as sp
from spikeport.cli import main
from spikeport.export.floating.file import read_float, write_float
from spikeport.export.model.network import Input, Population
from spikeport.export.model.synapse import Connection, Dense
from spikeport.export.nir.file import read_nir
from spikeport.hw.backends.expect import expect_integers
from spikeport.hw.records.record import correct_over_time
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.imported import ImportedSession, brought
from spikeport.train.data.registry import load

T = 6


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Digits, held, and a network of template matching: class k's mean image is the weight of
    neuron k.
    """
    folder = tmp_path_factory.mktemp("images")
    data = load("digits").train
    x, y = data.array[:160], data.labels[:160]
    means = np.stack([data.array[data.labels == k].mean(axis=0).ravel() for k in range(10)])
    weight = (means - means.mean(axis=0)) * 0.6
    lif = nir.LIF(tau=np.full(10, 5e-3), r=np.full(10, 5.0), v_leak=np.zeros(10), v_threshold=np.ones(10), v_reset=np.zeros(10))
    nodes = {
        "in": nir.Input({"input": np.array([1, 8, 8])}),
        "flat": nir.Flatten({"input": np.array([1, 8, 8])}, 0, -1),
        "w": nir.Linear(weight.astype(np.float32)),
        "lif": lif,
        "out": nir.Output({"output": np.array([10])}),
    }
    nir.write(folder / "net.nir", nir.NIRGraph(nodes=nodes, edges=list(pairwise(nodes))))
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    given = [w for name, file in (("nir", "net.nir"), ("input", "x.npy"), ("targets", "y.npy")) for w in (f"--{name}", str(folder / file))]
    meaning = ["--dt", "1e-3", "--integrator", "euler", "--reset", "subtract", "--timesteps", str(T), "--tolerance", "40"]
    assert main(["run", *given, *meaning, "--backends", "engine", "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def folder(images, tmp_path) -> Path:
    """A copy that a test may change; the data stays where it was."""
    return Path(shutil.copytree(images / "run", tmp_path / "run"))


def test_large_data_are_not_copied(images):
    assert not (images / "run" / "samples.npz").exists()
    assert json.loads((images / "run" / "source.json").read_text())["samples"] == str((images / "x.npy").resolve())


def test_truncate_and_report_follow(folder, capsys):
    before = json.loads((folder / "truncation.json").read_text())
    assert main(["truncate", str(folder), "--tolerance", "0.001", "--lava-samples", "0", "--out", str(folder / "truncation.json")]) == 0
    after = json.loads((folder / "truncation.json").read_text())
    assert after["made_of"] == before["made_of"] and after["chosen"] == T >= before["chosen"]
    assert [step["accuracy"] for step in after["steps"]] == [step["accuracy"] for step in before["steps"]]
    assert main(["report", str(folder), "--device", "loihi1"]) == 0
    report = json.loads((folder / "report.json").read_text())
    assert report["truncation"]["tolerance"] == 0.001 and report["cost"]["device"]["name"] == "loihi1"
    assert {curve["stage"] for curve in report["accuracy"]} == {"float", "quantized"} and report["fisher"]
    assert "left out" not in capsys.readouterr().err


def test_tic_follows(folder):
    before = json.loads((folder / "tic.json").read_text())
    assert main(["tic", str(folder), "--samples", "20"]) == 0
    after = json.loads((folder / "tic.json").read_text())
    assert after["made_of"] == before["made_of"] and after["samples"] == 20 < before["samples"]


def test_robustness_follows_in_float_and_in_fixed_point(folder, capsys):
    assert main(["robustness", str(folder), "--samples", "40", "--iterations", "2", "--epsilon", "0.3", "--step", "0.2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    clean, *rest = result["conditions"]
    assert set(clean["outcomes"]) == {"float", "fixed point"}
    accuracy = {c["name"]: c["outcomes"]["float"]["accuracy"][-1] for c in (clean, *rest)}
    assert accuracy["clean"] > 0.6 and accuracy["pgd"] < accuracy["clean"] - 0.3
    assert main(["report", str(folder)]) == 0
    assert json.loads((folder / "report.json").read_text())["robustness"]["samples"] == 40


def test_quantize_and_cost_follow(folder, tmp_path, capsys):
    assert main(["quantize", str(folder), "--weight-bits", "4", "--out", str(tmp_path / "four.nir")]) == 0
    assert read_nir(tmp_path / "four.nir").weight_bits == 4
    assert main(["quantize", str(folder), "--weight-bits", "4", "--out", str(folder / "network.nir")]) == 2
    assert main(["quantize", str(folder), "--finetune", "1", "--out", str(tmp_path / "f.nir")]) == 2
    assert "needs training data" in capsys.readouterr().err
    assert main(["cost", str(folder), "--json"]) == 0
    cost, report = json.loads(capsys.readouterr().out), json.loads((folder / "report.json").read_text())["cost"]
    assert cost["total"] == report["total"] and cost["samples"] == 80


def test_data_that_moved_is_found_with_data_dir(folder, images, tmp_path, capsys):
    source = json.loads((folder / "source.json").read_text())
    for name in ("samples", "labels"):
        source[name] = str(tmp_path / "gone" / Path(source[name]).name)
    (folder / "source.json").write_text(json.dumps(source))
    assert main(["report", str(folder)]) == 2
    assert "--data-dir" in capsys.readouterr().err
    assert main(["report", str(folder), "--data-dir", str(images)]) == 0


@pytest.mark.parametrize("changed", ["x.npy", "float.npz"])
def test_what_the_run_was_not_made_of_is_refused(folder, images, tmp_path, capsys, changed):
    place = tmp_path / "data"
    place.mkdir()
    for name in ("x.npy", "y.npy"):
        shutil.copy(images / name, place)
    if changed == "x.npy":
        np.save(place / "x.npy", np.load(place / "x.npy")[::-1])
    else:
        network = read_float(folder / "float.npz")
        write_float(network.with_timesteps(T - 1), folder / "float.npz")
    assert main(["report", str(folder), "--data-dir", str(place)]) == 2
    error = capsys.readouterr().err
    assert changed in error and "is not what" in error and error.count("\n") == 1


def test_events_are_no_images(tmp_path, capsys):
    y = np.arange(30) % 3
    x = np.repeat(np.eye(3, dtype=np.int8)[y][:, None], 4, axis=1)
    network = one_layer()
    sp.deploy(network, x, y, tmp_path / "run", backends=["engine"], tolerance=60)
    assert main(["robustness", str(tmp_path / "run")]) == 2
    assert "held over time, floats in 0..1" in capsys.readouterr().err


def test_arrays_without_files_are_kept(tmp_path, capsys):
    y = np.arange(30) % 3
    x = np.repeat(np.eye(3, dtype=np.int8)[y][:, None], 4, axis=1)
    made = sp.deploy(one_layer(), x, y, tmp_path / "run", backends=["engine"], tolerance=60)
    assert main(["truncate", str(tmp_path / "run"), "--tolerance", "60", "--lava-samples", "0", "--out", str(tmp_path / "t.json")]) == 0
    assert json.loads((tmp_path / "t.json").read_text())["chosen"] == made.chosen
    (tmp_path / "run" / "samples.npz").unlink()
    assert main(["truncate", str(tmp_path / "run"), "--lava-samples", "0", "--out", str(tmp_path / "t.json")]) == 2
    assert "samples.npz is not there" in capsys.readouterr().err


def test_their_spikes_and_ours_are_compared_in_the_order_of_the_samples(tmp_path):
    """The halves are drawn by class; the record's order is the user's, whichever runs it is
    compared with.
    """
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 40)
    x = (rng.random((40, 8, 3)) < 0.3 + 0.5 * np.eye(3)[y][:, None]).astype(np.int8)
    network = one_layer(8)
    theirs = sp.simulate_float(network, x, 8, record=True)
    report = sp.deploy(network, x, y, tmp_path / "run", expected=theirs, backends=["engine"], tolerance=60)
    floats, integers = report.expected
    assert floats.equal and floats.output.bins == 40 * 8 * 3 and floats.output.theirs > 50 and floats.nodes[0].different == 0
    assert integers == expect_integers(read_nir(tmp_path / "run" / "network.nir"), x, theirs) and 0 < integers.same_classes
    assert report.curve("float").at(8) == correct_over_time(theirs["output"], y, "spike_count")[_half(tmp_path), -1].mean()


def _half(tmp_path) -> np.ndarray:
    """Which samples the test half holds, from the data that the folder kept."""
    work = Workspace(tmp_path / "run")
    return ImportedSession.of(work, brought(work), lambda total, what: nullcontext(lambda count: None)).order["test"]


def one_layer(timesteps: int = 4) -> sp.FloatNetwork:
    """Class k drives neuron k."""
    weights = Connection("w", "in", "out", Dense(0.9 * np.eye(3) + 0.05))
    populations = (Population("out", (3,), neuron(reset="subtract", reset_value=1.0)),)
    return sp.FloatNetwork(Input("in", (3,)), populations, (weights,), "out", "spike_count", timesteps, **PER_STEP)
