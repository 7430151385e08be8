"""`spikeport tic` and `spikeport train --tic-every`: during training without a trace, after it, and
on anyone's `.nir`.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from support.places import SHARED

from spikeport.analysis.information.fisher import FisherResult
from spikeport.analysis.information.history import FisherHistory
from spikeport.cli import main
from spikeport.export.common.files import read_json
from spikeport.stages.folder.bound import read_result
from spikeport.stages.tic import block_name, with_surrogate
from spikeport.train.data.registry import load as load_data
from spikeport.train.loop.checkpoint import load
from spikeport.train.loop.resume import save_state
from spikeport.train.loop.trainer import train
from spikeport.train.settings.config import defaults_for

CASES = SHARED / "cases"
SMALL = ["--arch", "4C3-P2-12", "--timesteps", "3", "--epochs", "3"]
METHODS = ["stbp", "dsr", "tssl-bp", "noise"]


@pytest.fixture(scope="module", params=METHODS)
def followed(request, tmp_path_factory) -> Path:
    """A run of every method whose Fisher information was taken after every epoch."""
    out = tmp_path_factory.mktemp(request.param)
    assert main(["train", "--method", request.param, *SMALL, "--tic-every", "1", "--out", str(out)]) == 0
    return out


def test_following_a_training_changes_no_bit_of_it(followed, tmp_path):
    config = load(followed).config
    train(config, load_data("digits"), tmp_path, progress=False)
    assert (tmp_path / "model.safetensors").read_bytes() == (followed / "model.safetensors").read_bytes()
    ours, theirs = (read_json(folder / "train.json") for folder in (followed, tmp_path))
    for metrics in (ours, theirs):
        for epoch in metrics["history"]:
            del epoch["seconds"]
    assert ours == theirs


def test_history_and_pictures(followed, capsys):
    history = read_result(FisherHistory, followed / "tic_history.json")
    assert history and history.epochs == (1, 2, 3)
    assert len(set(history.centroids)) == 3 and all(1 <= c <= 3 for c in history.centroids)
    assert main(["tic", str(followed), "--samples", "64", "--json"]) == 0
    told, written = json.loads(capsys.readouterr().out), read_result(FisherResult, followed / "tic.json")
    assert told["centroid"] == written.centroid and told["proposal"] == written.proposal()
    assert written.samples == 64 and not [name for name in written.left_out if name.startswith("synapses")]
    assert set(written.per_block) == {"conv1", "dense1", "readout"}
    assert max(told["normalised"]["peak"]["conv1"]) == 1
    assert sum(told["normalised"]["sum"]["conv1"]) == pytest.approx(1)
    page = (followed / "tic.html").read_text(encoding="utf-8")
    for words in ("Information centroid over training", "Fisher information by block", "epoch 3", "95 % limits"):
        assert words in page


def test_a_broken_run_is_followed_to_the_same_end(tmp_path, monkeypatch):
    arguments = ["train", *SMALL, "--tic-every", "1"]
    assert main([*arguments, "--out", str(tmp_path / "whole")]) == 0
    with monkeypatch.context() as patch:

        def killed_in_epoch_2(out, module, optimizer, progress):
            if len(progress["history"]) == 2:  # its result is written, the epoch not yet remembered: it will be repeated
                raise KeyboardInterrupt
            save_state(out, module, optimizer, progress)

        patch.setattr("spikeport.train.loop.trainer.save_state", killed_in_epoch_2)
        assert main([*arguments, "--out", str(tmp_path / "broken")]) == 130
    assert read_result(FisherHistory, tmp_path / "broken" / "tic_history.json").epochs == (1, 2)
    assert main([*arguments, "--resume", "--out", str(tmp_path / "broken")]) == 0
    for name in ("model.safetensors", "tic_history.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()


def test_training_anew_forgets_the_history(tmp_path):
    assert main(["train", *SMALL, "--tic-every", "1", "--out", str(tmp_path)]) == 0
    assert main(["train", *SMALL, "--tic-every", "2", "--force", "--out", str(tmp_path)]) == 0
    assert read_result(FisherHistory, tmp_path / "tic_history.json").epochs == (2,)


def test_options_reach_the_estimate(tmp_path, capsys):
    train(defaults_for("digits", arch="4C3-P2-12", timesteps=3, epochs=1), load_data("digits"), tmp_path, progress=False)
    out = tmp_path / "other.json"
    options = ["--estimator", "batch", "--batch", "10", "--samples", "45", "--labels", "sampled", "--seed", "7", "--timesteps", "5"]
    assert main(["tic", str(tmp_path), *options, "--out", str(out)]) == 0
    found = read_result(FisherResult, out)
    assert (found.estimator, found.batch, found.samples, found.labels, found.seed, found.timesteps) == ("batch", 10, 40, "sampled", 7, 5)
    assert "estimator batch of 10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--samples", "0"], "samples of Fisher information is 0"),
        (["--timesteps", "0"], "timesteps of Fisher information is 0"),
        (["--estimator", "batch", "--batch", "9", "--samples", "8"], "8 samples make no batch of 9"),
    ],
)
def test_what_cannot_be_estimated_is_told_in_one_line(tmp_path, capsys, options, words):
    train(defaults_for("digits", arch="4", timesteps=2, epochs=1), load_data("digits"), tmp_path, progress=False)
    assert main(["tic", str(tmp_path), *options]) == 2
    *stages, error = capsys.readouterr().err.splitlines()
    assert words in error and stages in ([], ["Fisher information: 8 samples"])
    assert not (tmp_path / "tic.json").exists()


def test_following_needs_at_least_one_epoch(tmp_path, capsys):
    assert main(["train", *SMALL, "--tic-every", "0", "--out", str(tmp_path)]) == 2
    assert "--tic-every is 0" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["truncate", "report", "prune"])
def test_information_of_other_timesteps_is_not_taken_for_the_networks(tmp_path, capsys, command):
    run = tmp_path / "run"
    train(defaults_for("digits", arch="4", timesteps=2, epochs=1), load_data("digits"), run, progress=False)
    assert main(["quantize", str(run), "--out", str(run / "network.nir")]) == 0
    assert main(["tic", str(run), "--timesteps", "3", "--samples", "8"]) == 0
    out = {
        "truncate": ["--out", str(tmp_path / "t.json"), "--lava-samples", "0"],
        "report": [],
        "prune": ["--out", str(tmp_path / "pruned")],
    }
    capsys.readouterr()
    assert main([command, str(run), *out[command]]) == 2
    assert "tic.json is of 3 timesteps, the network has 2; make it again" in capsys.readouterr().err


def foreign(name: str) -> str:
    if not (CASES / name).is_file():
        pytest.skip("the reference cases in shared/cases are not here")
    return str(CASES / name)


MEANING = ["--dt", "1e-4", "--integrator", "euler", "--reset", "zero"]


def test_a_foreign_network_end_to_end(tmp_path, capsys):
    """One neuron is one class: its answer is certain, whatever the weights, and holds no
    information.
    """
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((6, 40, 1)).astype(np.float32))
    out = tmp_path / "tic.json"
    command = ["tic", foreign("lif_norse.nir"), *MEANING, "--input", str(tmp_path / "x.npy"), "--out", str(out)]
    assert main([*command, "--labels", "sampled"]) == 0
    found, told = read_result(FisherResult, out), capsys.readouterr().out
    assert found.timesteps == 40  # the input's own, since the file states none
    assert max(found.per_step) == 0 and found.centroid is found.proposal() is found.intervals is None
    assert told.startswith("No information in 40 timesteps") and "entroid 2" not in told and "%" not in told
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    assert "No information in 40 timesteps" in page and "<figure" not in page
    assert main([*command, "--labels", "sampled", "--timesteps", "7", "--json"]) == 0
    views = json.loads(capsys.readouterr().out)
    assert len(views["per_step"]) == 7 and views["centroid"] is views["proposal"] is None
    assert main(command) == 2
    assert "--targets" in capsys.readouterr().err
    np.save(tmp_path / "y.npy", np.array([0, 0, 0, 0, 0, 1]))
    assert main([*command, "--targets", str(tmp_path / "y.npy")]) == 2
    assert "1 outputs, so 0..0" in capsys.readouterr().err


def test_a_foreign_network_with_classes(tmp_path):
    rng = np.random.default_rng(1)
    nodes = {
        "input": nir.Input(np.array([4])),
        "weights": nir.Affine(rng.normal(size=(3, 4)), np.zeros(3)),
        "neurons": nir.LIF(tau=np.full(3, 0.01), r=np.ones(3), v_leak=np.zeros(3), v_threshold=np.full(3, 0.2)),
        "output": nir.Output(np.array([3])),
    }
    nir.write(tmp_path / "net.nir", nir.NIRGraph(nodes, list(pairwise(nodes))))
    np.save(tmp_path / "x.npy", 5 * rng.random((8, 6, 4)))
    np.save(tmp_path / "y.npy", np.arange(8) % 3)
    arrays = ["--input", str(tmp_path / "x.npy"), "--targets", str(tmp_path / "y.npy"), "--out", str(tmp_path / "tic.json")]
    meaning = ["--dt", "1e-3", "--integrator", "euler", "--reset", "zero"]
    assert main(["tic", str(tmp_path / "net.nir"), *meaning, *arrays, "--timesteps", "6"]) == 0
    found = read_result(FisherResult, tmp_path / "tic.json")
    assert (found.timesteps, found.samples, found.left_out, set(found.per_block)) == (6, 8, (), {"neurons"})
    assert set(found.per_group) == {"weights", "biases"} and min(found.per_step[1:]) > 0


@pytest.mark.parametrize("strict", [True, False])
def test_a_surrogate_changes_no_spike(strict):
    x = torch.tensor([-0.5, 0.0, 0.3], requires_grad=True)
    spikes = with_surrogate(lambda x: (x > 0 if strict else x >= 0).to(x.dtype), 0.5)(x)
    assert spikes.tolist() == [0, not strict, 1]
    (gradient,) = torch.autograd.grad(spikes.sum(), x)
    torch.testing.assert_close(gradient, 1 / (1 + (torch.pi * x.detach() / 0.5) ** 2))


def test_a_quantized_network_has_the_information_of_the_float_one(tmp_path):
    """A network of ours through its own `.nir` and back: the curve is that of the trained module,
    within quantization.
    """
    config, data = defaults_for("digits", arch="4C3-P2-12", timesteps=4, epochs=8), load_data("digits")
    train(config, data, tmp_path, progress=False)
    assert main(["quantize", str(tmp_path), "--out", str(tmp_path / "q.nir")]) == 0
    np.save(tmp_path / "x.npy", data.validation.images[:80])
    np.save(tmp_path / "y.npy", data.validation.labels[:80])
    arrays = ["--input", str(tmp_path / "x.npy"), "--targets", str(tmp_path / "y.npy"), "--out", str(tmp_path / "q.json")]
    assert main(["tic", str(tmp_path / "q.nir"), *arrays]) == 0
    assert main(["tic", str(tmp_path), "--samples", "80"]) == 0
    ours, theirs = (read_result(FisherResult, tmp_path / name) for name in ("q.json", "tic.json"))
    assert (ours.timesteps, ours.samples) == (theirs.timesteps, theirs.samples) == (4, 80)
    assert set(ours.per_block) == set(theirs.per_block)
    assert ours.centroid == pytest.approx(theirs.centroid, abs=0.3)


@pytest.mark.parametrize(
    ("layer", "block"),
    [("synapses.conv1.0.weights", "conv1"), ("synapses.group2block1b.1.norm", "group2block1"), ("neurons.group2block1a", "group2block1")],
)
def test_blocks(layer, block):
    assert block_name(layer) == block
