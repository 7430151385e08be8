"""Pruning: what goes, that it stays gone, what it saves, and the command from training to report."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.analysis.pages.pruning import pruning_page
from spikeport.analysis.results.pruning_cycles import Pruning, PruningCycle
from spikeport.analysis.results.report import read_report
from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.export.nir.file import read_nir
from spikeport.export.quantization.quantize import quantize
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.pruning import PruningConfig, prune_stage
from spikeport.stages.trained import TrainedSession
from spikeport.train.data import registry as data
from spikeport.train.loop import trainer
from spikeport.train.loop.checkpoint import load
from spikeport.train.loop.masks import Retraining, keep_zeros, prunable, prune, remaining
from spikeport.train.network.build import build
from spikeport.train.network.lowering import lower
from spikeport.train.settings.config import OptimizerConfig, defaults_for
from spikeport.train.settings.methods import METHODS
from spikeport.train.settings.optimization import descend

STEPS = 3
CONFIG = replace(defaults_for("digits", arch="4C3-P2-16", epochs=2, timesteps=STEPS, batch_size=50), shift=0)
OPTIMIZERS = [
    OptimizerConfig(kind="sgd", learning_rate=0.1, momentum=0.9, weight_decay=0.1),
    OptimizerConfig(kind="adamw", learning_rate=0.1, weight_decay=0.1),
    OptimizerConfig(kind="adam", learning_rate=0.1, weight_decay=0.1, clip_weights=0.5, clip_norm=1.0),
]


@pytest.fixture(scope="module")
def dataset():
    """A part of the digits."""
    digits = data.load("digits")
    return replace(digits, train=digits.train[:200], validation=digits.validation[:40], test=digits.test[:40])


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory) -> Workspace:
    """A trained network."""
    work = Workspace(tmp_path_factory.mktemp("trained"))
    trainer.train(CONFIG, dataset, work.root, progress=False)
    return work


def no_bar(total, what):
    return nullcontext(lambda count: None)


def pruned(source: Workspace, dataset, out: Workspace, **settings) -> Pruning:
    """The stage, on a network that was trained here."""
    return prune_stage(TrainedSession(source, load(source.root), dataset, no_bar), out, PruningConfig(**settings))


def sizes(module) -> np.ndarray:
    return np.concatenate([w.detach().abs().numpy().ravel() for w in prunable(module).values()])


def test_the_smallest_weights_of_the_network_go():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Linear(7, 5))
    before, biases = sizes(module), [p.clone() for n, p in module.named_parameters() if n.endswith("bias")]
    prune(module, 0.5)
    cut = np.sort(before)[round(0.5 * len(before))]
    np.testing.assert_array_equal(sizes(module), np.where(before < cut, 0, before))
    prune(module, 0.3)
    left = len(before) - round(0.5 * len(before))
    assert np.count_nonzero(sizes(module)) == left - round(0.3 * left) == sum(remaining(module).values())
    assert all(torch.equal(a, b) for a, b in zip(biases, [p for n, p in module.named_parameters() if n.endswith("bias")]))


def test_within_layers_every_layer_loses_its_share():
    module = nn.Sequential(nn.Linear(8, 5), nn.Linear(5, 4))
    with torch.no_grad():
        module[1].weight.mul_(1e-3)
    prune(module, 0.25, "layer")
    assert remaining(module) == {"0.weight": 30, "1.weight": 15}
    with pytest.raises(InputError, match="above 0 and below 1"):
        prune(module, 1.0)


def test_equal_weights_are_pruned_in_number_too():
    module = nn.Linear(10, 10)
    nn.init.ones_(module.weight)
    prune(module, 0.5)
    prune(module, 0.5)
    assert int(module.weight.sum()) == 25


@pytest.mark.parametrize("config", OPTIMIZERS, ids=lambda config: config.kind)
def test_pruned_weights_stay_zero_and_others_move_as_if_they_were_alone(config):
    """After steps that gave every weight momentum: zeros stay, and the others go on as weights of a
    network that has none but them.
    """
    torch.manual_seed(0)
    free, kept = torch.ones(3), torch.ones(6)
    optimizers = []
    for weight in (free, kept):
        weight.requires_grad_(True)
        optimizers.append(config.build([weight]))
    for step, gradient in enumerate(torch.randn(8, 6)):
        if step == 3:
            with torch.no_grad():
                kept[:3] = 0
            keep_zeros(optimizers[1], [kept])
        for weight, optimizer in zip((free, kept), optimizers):
            scale = 0.1 if step < 3 else 1.0  # below the clipping norm while the pruned weights still count in it
            descend(optimizer, [scale * (weight * gradient[-len(weight) :]).sum()], config)
        if step >= 3:
            assert torch.equal(kept[:3], torch.zeros(3))
            assert torch.equal(kept[3:], free) and (kept[3:] != 1).all()


@pytest.mark.parametrize("method", [m for m in METHODS if not METHODS[m].training_timesteps])
def test_retraining_starts_from_the_weights_and_takes_fewer_steps(method, dataset, tmp_path, monkeypatch):
    config = replace(defaults_for("digits", method=method, arch="4C3-P2-16", timesteps=STEPS, epochs=1, batch_size=50), shift=0)
    module = build(config, dataset.task)
    prune(module, 0.7)
    weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    seen, forward = [], type(module).forward

    def spied(self, x, timesteps=None, **numbered):
        if self.training:
            seen.append(timesteps)
            if len(seen) == 1:
                assert all(torch.equal(w, weights[name]) for name, w in prunable(self).items())
        return forward(self, x, timesteps, **numbered)

    monkeypatch.setattr(type(module), "forward", spied)
    trained = trainer.train(config, dataset, tmp_path, progress=False, retraining=Retraining(weights, 2))
    assert set(seen) == {2} and len(trained.metrics["validation_accuracy"]) == STEPS
    for name, weight in prunable(trained.module).items():
        assert torch.equal(weight == 0, weights[name] == 0)
        assert not torch.equal(weight, weights[name])


@pytest.mark.parametrize("finetune", [0, 1])
def test_zeros_reach_the_file_through_folding_quantization_and_fine_tuning(finetune, trained, dataset, tmp_path):
    work = Workspace(tmp_path)
    pruned(trained, dataset, work, cycles=1, epochs=1, fraction=0.8, retraining_timesteps=1)
    work.remember_data(None)
    assert main(["quantize", str(tmp_path), "--out", str(work.network), "--finetune", str(finetune)]) == 0
    network, module = read_nir(work.network), load(tmp_path).module
    for connection, weight in zip(network.connections, prunable(module).values()):
        zero = (weight == 0).numpy()
        assert zero.mean() > 0.3
        assert (connection.weight[zero] == 0).all()


def test_zeros_survive_joins(dataset):
    """Pruned weights of a residual network are zero in every connection that they become part of."""
    module = build(defaults_for("digits", arch="preact-resnet-20"), dataset.task).eval()
    prune(module, 0.9)
    network = lower(module, 2)
    quantized = quantize(network, dataset.train.images[:8])
    zeros = sum(int((c.weight == 0).sum()) for c in network.connections)
    assert zeros >= sum(int((w == 0).sum()) for w in prunable(module).values())
    for c, q in zip(network.connections, quantized.connections):
        assert (q.weight[c.weight == 0] == 0).all()


def test_half_of_the_weights_take_half_of_the_operations(trained, dataset):
    """Events before and after, counted one spike at a time from the float weights."""
    module = load(trained.root).module
    counts = {}
    for name in ("full", "pruned"):
        network = quantize(lower(module), dataset.train.images)
        record = reference.run(network, encode(network.input, dataset.test.images[:4], STEPS), "spikes")
        dense = network.connections[-1]
        spikes = record.spikes[dense.source].reshape(4, STEPS, -1)
        by_hand = sum(np.count_nonzero(dense.weight[:, j]) for j in np.nonzero(spikes)[2])
        assert record.synaptic_events[dense.name].sum() == by_hand
        counts[name] = by_hand / max(1, spikes.sum())
        prune(module, 0.5, "layer")
    assert counts["pruned"] == pytest.approx(counts["full"] / 2, rel=0.25)


def test_a_run_that_was_killed_ends_as_if_it_had_not_been(trained, dataset, tmp_path, monkeypatch):
    settings = {"cycles": 2, "epochs": 2, "retraining_timesteps": 2}
    whole = pruned(trained, dataset, Workspace(tmp_path / "whole"), **settings)
    judged, judge = [], trainer._judge

    def killed(*arguments):
        judged.append(1)
        if len(judged) == 4:  # in the last epoch of the second cycle
            raise KeyboardInterrupt
        judge(*arguments)

    monkeypatch.setattr(trainer, "_judge", killed)
    work = Workspace(tmp_path / "killed")
    with pytest.raises(KeyboardInterrupt):
        pruned(trained, dataset, work, **settings)
    assert len(json.loads(work.pruning.read_text())["cycles"]) == 1
    with pytest.raises(InputError, match="other settings"):
        pruned(trained, dataset, work, **{**settings, "retraining_timesteps": 1})
    again = pruned(trained, dataset, work, **settings)
    assert len(judged) == 5  # one epoch was left to do
    assert [replace(c, seconds=0) for c in again.stages] == [replace(c, seconds=0) for c in whole.stages]
    a, b = (load(tmp_path / name).module.state_dict() for name in ("whole", "killed"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_what_is_saved_is_the_papers_example():
    """N = 300, N_retrain = 60, R = 5, T = 5, T_retrain = 3: 20 % (section 6)."""
    cycle = PruningCycle({"w": 3}, (0.5,) * 5, 0.5, 1, 2.0)
    result = Pruning(
        "x", {"w": 8}, "global", 0.5, 5, 5, 3, "given", None, 300, 60, 1000, 0, 5, replace(cycle, remaining={"w": 8}), (cycle,) * 5
    )
    assert result.saved == pytest.approx(0.2)
    assert result.sparsity(result.before) == 0 and result.sparsity(cycle) == 0.625
    assert replace(result, retraining_timesteps=5).saved == 0
    page = pruning_page([result, replace(result, retraining_timesteps=5)], "x")
    assert "T_retrain = 3" in page and "T_retrain = 5" in page and "20.0 %" in page


def test_from_training_to_report(tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "pruned"
    assert main(["train", "--arch", "4C3-P2-16", "--epochs", "2", "--timesteps", "3", "--out", str(run)]) == 0
    command = ["prune", str(run), "--cycles", "2", "--epochs", "1", "--out", str(out)]
    capsys.readouterr()
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    share = found["to_come"][found["retraining_timesteps"] - 1]
    assert share <= 0.05 and all(rest > 0.05 for rest in found["to_come"][: found["retraining_timesteps"] - 1])
    left = [sum(stage["remaining"].values()) for stage in (found["before"], *found["cycles"])]
    assert left[1] == left[0] - round(left[0] / 2) and left[2] == left[1] - round(left[1] / 2)
    assert main(["quantize", str(out), "--out", str(out / "network.nir")]) == 0
    assert main(["report", str(out)]) == 0
    report = read_report(out / "report.json")
    assert report.pruning and len(report.pruning.cycles) == 2
    assert {"accuracy-and-sparsity.svg", "accuracy-and-sparsity.csv", "pruning.csv"} <= {p.name for p in (out / "pruning_files").iterdir()}
    assert "Pruning" in (out / "report.html").read_text() and "T_retrain" in (out / "pruning.html").read_text()
    assert main(["map", str(out / "network.nir")]) == 0
    assert main(command) == 0 and (out / "network.nir").exists()  # nothing is left to do
    assert main([*command[:3], "3", *command[4:]]) == 0 and not (out / "network.nir").exists()  # one more cycle: another network
    assert json.loads((out / "pruning.json").read_text())["planned"] == 3
    capsys.readouterr()
    for wrong, said in [
        (["--cycles", "0"], "cycles is 0"),
        (["--fraction", "1"], "fraction is 1"),
        (["--t-retrain", "4"], "T_retrain is 4"),
        (["--share", "0"], "share is 0"),
        (["--cycles", "3", "--scope", "layer"], "other settings"),
        (["--out", str(run)], "the trained network itself"),
        (["--out", str(run), "--force"], "the trained network itself"),
        (["--out", str(run.parent), "--force"], "the trained network itself"),
    ]:
        assert main([*command, *wrong]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1


def test_force_begins_anew_and_takes_only_what_is_ours(tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "pruned"
    assert main(["train", "--arch", "4", "--epochs", "1", "--timesteps", "2", "--out", str(run)]) == 0
    command = ["prune", str(run), "--epochs", "1", "--out", str(out)]
    assert main([*command, "--cycles", "3"]) == 0
    for folder in (out, out / "cycle-3"):
        (folder / "mine.txt").write_text("mine")
    (out / "cycle-mine").mkdir()
    assert main([*command, "--cycles", "1", "--fraction", "0.25"]) == 2 and "--force replaces it" in capsys.readouterr().err
    assert main([*command, "--cycles", "1", "--fraction", "2", "--force"]) == 2 and (out / "cycle-3" / "model.safetensors").exists()
    assert main([*command, "--cycles", "1", "--fraction", "0.25", "--force"]) == 0
    kept = json.loads((out / "pruning.json").read_text())
    assert (kept["fraction"], len(kept["cycles"])) == (0.25, 1)
    assert {p.name for p in out.iterdir() if p.is_dir() and p.name != "pruning_files"} >= {"cycle-1", "cycle-3", "cycle-mine"}
    assert not (out / "cycle-2").exists() and [p.name for p in (out / "cycle-3").iterdir()] == ["mine.txt"]
    assert main(["train", "--arch", "4", "--epochs", "1", "--timesteps", "2", "--out", str(tmp_path / "other")]) == 0
    capsys.readouterr()
    assert main([*command[:4], "--cycles", "1", "--out", str(tmp_path / "other")]) == 2
    assert "not from spikeport prune; --force replaces it" in capsys.readouterr().err
