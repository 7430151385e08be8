"""Published runs: all build, each kind takes a step that changes its weights, and the command line
knows them.
"""

from dataclasses import replace

import pytest
import torch

from spikeport.export.common.errors import InputError
from spikeport.stages.config import run_config
from spikeport.train.data.registry import DATASETS, Task
from spikeport.train.network.build import build
from spikeport.train.settings.config import read_config, write_config
from spikeport.train.settings.methods import METHODS
from spikeport.train.settings.named_losses import loss_named
from spikeport.train.settings.optimization import OptimizerConfig, descend, rate_factor
from spikeport.train.settings.recipes import PUBLISHED, published

SHAPES = {"mnist": (1, 28, 28), "fashion-mnist": (1, 28, 28), "n-mnist": (2, 34, 34), "dvs-cifar10": (2, 48, 48), "imagenet": (3, 224, 224)}
CLASSES = {"cifar-100": 100, "imagenet": 1000}


def task_of(config):
    return Task(config.data, SHAPES.get(config.data, (3, 32, 32)), CLASSES.get(config.data, 10), 255)


def one_of_each():
    """A recipe for every pair of method, network and neuron; those of 32 x 32 colour images once
    per method.
    """
    kinds = {}
    for name, config in PUBLISHED.items():
        small = config.data in SHAPES
        kinds.setdefault((config.method, config.arch if small else "colour", repr(config.neuron) if small else ""), name)
    return sorted(kinds.values())


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_recipe_is_a_run_that_files_hold(name, tmp_path):
    config = published(name)
    assert config.data in DATASETS
    write_config(tmp_path / "config.toml", config)
    assert read_config(tmp_path / "config.toml") == config


@pytest.mark.parametrize("name", one_of_each())
def test_a_step_of_training(name):
    config = replace(published(name), timesteps=2)
    task = task_of(config)
    module = build(config, task).train()
    before = {key: tensor.clone() for key, tensor in module.named_parameters()}
    labels = torch.arange(10 if config.data in SHAPES else 2)  # silent readouts learn from their own class only
    x = torch.rand(len(labels), *task.shape, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        output = module(x, METHODS[config.method].training_timesteps)
    loss = loss_named(config.loss)(output, labels, config.neuron)
    descend(config.optimizer.build(module.parameters()), [loss], config.optimizer)
    assert torch.isfinite(loss) and any(not torch.equal(tensor, before[key]) for key, tensor in module.named_parameters())


def test_networks_of_the_recipes_not_stepped_build():
    for arch in {config.arch for config in PUBLISHED.values()} - {PUBLISHED[name].arch for name in one_of_each()}:
        config = next(config for config in PUBLISHED.values() if config.arch == arch)
        with torch.device("meta"):
            assert len(list(build(config, task_of(config)).parameters())) > 4


def test_settings_as_published():
    """A sample, typed off shared notes: DSR's two T = 20 neurons and TIC's optimizer."""
    lif, integrate = published("dsr-cifar10-lif-t20"), published("dsr-cifar100-if-t20")
    assert (lif.timesteps, lif.epochs, lif.batch_size, lif.optimizer.learning_rate) == (20, 200, 128, 0.1)
    assert (lif.neuron.threshold, lif.neuron.alpha, lif.neuron.bound, lif.neuron.tau, lif.neuron.dt) == (0.3, 0.3, 5e-4, 1, 0.05)
    assert (integrate.data, integrate.neuron.kind, integrate.neuron.threshold, integrate.neuron.alpha) == ("cifar-100", "if", 6, 0.5)
    tic = published("tic-cifar10-t10").optimizer
    assert (tic.kind, tic.learning_rate, tic.momentum, tic.weight_decay) == ("sgd", 0.3, 0.9, 5e-4)


def test_recipe_on_the_command_line_is_overruled_by_what_else_is_said(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("[train]\nbatch_size = 7\n")
    config = run_config(path, {"data": "cifar-10-jpeg", "epochs": 3}, {}, "dsr-cifar10-lif-t5").train
    assert config == replace(published("dsr-cifar10-lif-t5"), data="cifar-10-jpeg", epochs=3, batch_size=7)
    with pytest.raises(InputError, match="'nosuch' is unknown; choose one of dsr-cifar10-lif-t20"):
        run_config(None, {}, {}, "nosuch")


def test_weighted_cross_entropy_by_hand():
    """T = 2: weights b and 1 over their sum, b = exp(-dt / tau)."""
    neuron = published("dsr-cifar10-lif-t5").neuron
    output = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 2, 3])
    b = neuron.decay
    mean = (b * output[0] + output[1]) / (1 + b)
    by_hand = -torch.log_softmax(mean, 1)[torch.arange(3), labels].mean()
    torch.testing.assert_close(loss_named("weighted-cross-entropy")(output, labels, neuron), by_hand)
    with pytest.raises(InputError, match="DSR"):
        loss_named("weighted-cross-entropy")(output, labels, published("tic-svhn-t10").neuron)


def test_learning_rate_restarts():
    course = OptimizerConfig(restart_epochs=4.0)
    assert [rate_factor(course, e, 20) for e in (0, 2, 4, 6, 8)] == pytest.approx([1, 0.5, 1, 0.5, 1])


@pytest.mark.parametrize(
    ("name", "samples", "iterations"),
    [
        ("dsr-cifar10-lif-t20", 50_000 - 50_000 // 12, 400),
        ("dsr-dvs-cifar10-if-t20", 9_000 - 9_000 // 12, 400),
        ("dsr-imagenet-if-t50", 1_281_167 - 1_281_167 // 25, 5000),
    ],
)
def test_dsr_warms_up_for_as_many_iterations_as_published(name, samples, iterations):
    """Of whole batches of what validation leaves; the remainder is not trained on."""
    config = published(name)
    assert config.optimizer.warmup_epochs * (samples // config.batch_size) == pytest.approx(iterations)
