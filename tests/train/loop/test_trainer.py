"""Training runs: they learn, repeat, resume, and leave a folder that loads."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from spikeport.export.common.errors import InputError
from spikeport.export.floating.run import FloatModule
from spikeport.train.data import registry as data
from spikeport.train.loop import checkpoint, resume, trainer
from spikeport.train.loop.checkpoint import load
from spikeport.train.loop.evaluation import evaluate
from spikeport.train.loop.masks import Retraining
from spikeport.train.network.build import build
from spikeport.train.network.lowering import lower
from spikeport.train.neurons.stbp import parametric_lif
from spikeport.train.settings import config as config_module
from spikeport.train.settings.config import OptimizerConfig, TrainConfig, defaults_for
from spikeport.train.settings.methods import METHODS
from spikeport.train.settings.optimization import descend, rate_factor

CONFIG = TrainConfig(arch="6C3-P2-24", epochs=5, timesteps=3, batch_size=25, threads=1, optimizer=OptimizerConfig(learning_rate=0.02))


@pytest.fixture(scope="module")
def dataset():
    """A part of the digits."""
    digits = data.load("digits")
    return replace(digits, train=digits.train[:400], validation=digits.validation[:60], test=digits.test[:80])


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    """An unbroken run: its folder and what it returned."""
    out = tmp_path_factory.mktemp("run")
    return out, trainer.train(CONFIG, dataset, out, progress=False)


def without_seconds(metrics):
    return {**metrics, "history": [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in metrics["history"]]}


def same_run(trained, other):
    weights, others = trained.module.state_dict(), other.module.state_dict()
    return (
        weights.keys() == others.keys()
        and all(torch.equal(weights[k], others[k]) for k in weights)
        and (without_seconds(trained.metrics) == without_seconds(other.metrics))
    )


def test_training_learns(finished):
    history = finished[1].metrics["history"]
    assert len(history) == CONFIG.epochs
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    assert finished[1].metrics["test_accuracy"][-1] > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_and_lowers(method, dataset, tmp_path):
    config = defaults_for("digits", method=method, arch="8C3-P2-24", epochs=8, batch_size=10, shift=0)
    config = replace(config, optimizer=replace(config.optimizer, learning_rate=0.02))
    trained = trainer.train(config, dataset, tmp_path, progress=False)
    losses = [epoch["loss"] for epoch in trained.metrics["history"]]
    assert losses[-1] < 0.75 * losses[0]
    lowered = FloatModule(lower(trained.module))
    accuracy = evaluate(lowered, dataset.test.images, dataset.test.labels, config.timesteps)[-1]
    assert accuracy > 0.4
    assert accuracy == pytest.approx(trained.metrics["test_accuracy"][-1], abs=0.1)


def test_bfloat16_training_learns_and_keeps_weights_in_float32(finished, dataset, tmp_path):
    mixed = trainer.train(replace(CONFIG, precision="bfloat16"), dataset, tmp_path, progress=False)
    assert {p.dtype for p in mixed.module.parameters()} == {torch.float32}
    assert mixed.metrics["history"][0]["loss"] != finished[1].metrics["history"][0]["loss"]
    assert abs(mixed.metrics["test_accuracy"][-1] - finished[1].metrics["test_accuracy"][-1]) < 0.1


def test_accuracies_are_those_of_the_network_that_is_deployed(dataset, tmp_path):
    """Noise neurons are calibrated after training, which makes them another network on validation
    data too.
    """
    config = defaults_for("digits", method="noise", arch="8C3-P2-24", timesteps=3, epochs=3, batch_size=10, shift=0)
    trained = trainer.train(config, dataset, tmp_path, progress=False)
    for name in ("validation", "test"):
        split = getattr(dataset, name)
        assert evaluate(trained.module, split.images, split.labels, 3).tolist() == trained.metrics[f"{name}_accuracy"]
    assert load(tmp_path).metrics["validation_accuracy"] == trained.metrics["validation_accuracy"]


def test_best_epoch_on_validation_data_is_kept(finished, dataset):
    metrics = finished[1].metrics
    accuracies = [epoch["validation_accuracy"] for epoch in metrics["history"]]
    assert accuracies[metrics["epoch"] - 1] == max(accuracies) == metrics["validation_accuracy"][-1]
    found = evaluate(finished[1].module, dataset.validation.images, dataset.validation.labels, CONFIG.timesteps)
    assert found.tolist() == metrics["validation_accuracy"]


def test_folder_holds_plain_files_only(finished):
    out, trained = finished
    assert {p.name for p in out.iterdir()} == {"model.safetensors", "config.toml", "train.json", "tensorboard"}
    assert json.loads((out / "train.json").read_text())["task"]["shape"] == [1, 8, 8]
    assert load_file(out / "model.safetensors").keys() == trained.module.state_dict().keys()
    assert any((out / "tensorboard").iterdir())


def test_same_seed_same_result_other_seed_another(finished, dataset, tmp_path):
    assert same_run(trainer.train(CONFIG, dataset, tmp_path / "again", progress=False), finished[1])
    assert not same_run(trainer.train(replace(CONFIG, seed=1), dataset, tmp_path / "other", progress=False), finished[1])


def test_retraining_for_one_timestep_with_the_kernel_loss_is_refused(dataset, tmp_path):
    """Whoever chose the number; it would teach silence."""
    config = defaults_for("digits", method="tssl-bp", arch="8", epochs=1, timesteps=3)
    again = Retraining(build(config, dataset.task).state_dict(), 1)
    with pytest.raises(InputError, match="loss kernel wants silence in the first timestep"):
        trainer.train(config, dataset, tmp_path / "run", progress=False, retraining=again)
    assert not (tmp_path / "run").exists()


def test_weights_alone_are_clipped():
    """Delays, thresholds, leaks and BatchNorm lie in other units."""
    module = build(TrainConfig(arch="20-20D8", neuron=parametric_lif()), data.Task("toy", (2, 6, 6), 4, 3, "events"))
    config = OptimizerConfig(kind="sgd", learning_rate=1e-9, momentum=0.0, weight_decay=0.0, clip_weights=0.01)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    descend(config.build(module.parameters()), [sum(p.sum() for p in module.parameters())], config)
    for name, p in module.named_parameters():
        expected = before[name].clamp(-0.01, 0.01) if name.endswith("weights.weight") else before[name]
        torch.testing.assert_close(p.detach(), expected, rtol=0, atol=1e-6)
    assert max(p.abs().max() for p in before.values()) > 4


@pytest.mark.parametrize(("kind", "killed_in"), [("adamw", "_epoch"), ("sgd", "save_state")])
def test_resumed_equals_unbroken(dataset, tmp_path, monkeypatch, kind, killed_in):
    """Killed in the third epoch, before it is measured or before its state is written."""
    config = replace(CONFIG, epochs=3, shift=1, optimizer=OptimizerConfig(kind=kind, learning_rate=0.01, clip_norm=1.0, warmup_epochs=0.5))
    unbroken = trainer.train(config, dataset, tmp_path / "unbroken", progress=False)
    calls, original = [], getattr(trainer, killed_in)

    def killed(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(trainer, killed_in, killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(config, dataset, tmp_path / "broken", progress=False)
    monkeypatch.undo()
    resumed = trainer.train(config, dataset, tmp_path / "broken", resume=True, progress=False)
    assert same_run(resumed, unbroken)


def test_resuming_a_finished_run_returns_it(finished, dataset):
    out, trained = finished
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert same_run(trainer.train(CONFIG, dataset, out, resume=True, progress=False), trained)
    assert (out / "model.safetensors").stat().st_mtime_ns == before


def test_resuming_another_configuration_is_refused(finished, dataset):
    with pytest.raises(InputError, match=r"another configuration \(epochs is 5 there, 9 here\)"):
        trainer.train(replace(CONFIG, epochs=9), dataset, finished[0], resume=True, progress=False)
    other = replace(CONFIG, optimizer=replace(CONFIG.optimizer, learning_rate=0.5))
    with pytest.raises(InputError, match=r"\(optimizer.learning_rate is 0.02 there, 0.5 here\)"):
        trainer.train(other, dataset, finished[0], resume=True, progress=False)


@pytest.mark.parametrize("method", ["tssl-bp", "dsr", "noise"])
def test_another_method_is_the_first_difference(method):
    """Its neurons have fields that the other's lack, which must not matter."""
    assert (
        config_module.difference(defaults_for("digits"), defaults_for("digits", method=method))
        == f"method is 'stbp' there, '{method}' here"
    )
    assert not config_module.difference(defaults_for("digits"), defaults_for("digits"))


def test_a_state_of_another_network_names_the_tensor(dataset, finished, tmp_path):
    module, other = (build(replace(CONFIG, arch=arch), dataset.task) for arch in (CONFIG.arch, "6C3-P2"))
    resume.save_state(tmp_path, other, CONFIG.optimizer.build(other.parameters()), {"history": [], "best": {}})
    with pytest.raises(InputError, match=r"dense1.0.weights.weight is absent in the file, \(24, 96\) in the network"):
        resume.load_state(tmp_path, module, CONFIG.optimizer.build(module.parameters()))


def test_configuration_for_other_data_is_refused(dataset, tmp_path):
    with pytest.raises(InputError, match="the data set is 'digits'"):
        trainer.train(replace(CONFIG, data="mnist"), dataset, tmp_path, progress=False)


def test_checkpoint_round_trip(finished, dataset, tmp_path):
    trained = finished[1]
    checkpoint.save(tmp_path, trained.module, trained.config, trained.metrics)
    loaded = checkpoint.load(tmp_path)
    assert loaded.config == trained.config and loaded.metrics == trained.metrics
    x = torch.from_numpy(dataset.test.images)
    with torch.no_grad():
        assert torch.equal(loaded.module(x), trained.module(x))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda out: (out / "model.safetensors").unlink(), "holds no model.safetensors"),
        (lambda out: (out / "model.safetensors").write_bytes(b"junk"), "model.safetensors is damaged"),
        (
            lambda out: (out / "config.toml").write_text('arch = "7C3-P2-24"'),
            r"conv1.0.weights.weight is \(6, 1, 3, 3\) in the file, \(7, 1, 3, 3\) in the network",
        ),
        (lambda out: (out / "train.json").write_text("{}"), "lacks the task"),
        (lambda out: (out / "train.json").unlink(), "does not exist"),
    ],
)
def test_damaged_checkpoints_are_refused(finished, tmp_path, damage, said):
    trained = finished[1]
    checkpoint.save(tmp_path, trained.module, trained.config, trained.metrics)
    damage(tmp_path)
    with pytest.raises(InputError, match=said):
        checkpoint.load(tmp_path)


def test_accuracy_over_time_by_hand():
    """Class 1 leads after one step, class 0 after two: one label each way."""

    class Fixed(torch.nn.Module):
        def forward(self, x, timesteps, first):
            return torch.tensor([[[1.0, 2.0]], [[3.0, 0.5]]]).expand(2, len(x), 2)

    accuracy = evaluate(Fixed(), np.zeros((4, 1), np.float32), np.array([0, 0, 0, 1]), 2)
    assert accuracy.tolist() == [0.25, 0.75]


def test_learning_rate_rises_and_falls():
    warmed = OptimizerConfig(warmup_epochs=2.0)
    assert [rate_factor(warmed, e, 6) for e in (0, 1, 2, 4, 6)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert rate_factor(OptimizerConfig(), 0, 6) == 1


def test_a_constant_rate_stays_after_its_warm_up():
    constant = OptimizerConfig(course="constant", warmup_epochs=2.0)
    assert [rate_factor(constant, e, 6) for e in (0, 1, 2, 5.9)] == [0, 0.5, 1, 1]
    with pytest.raises(InputError, match="has no cosine to start anew"):
        OptimizerConfig(course="constant", restart_epochs=3.0)
