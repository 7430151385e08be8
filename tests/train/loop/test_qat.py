"""Quantization-aware fine-tuning: it starts at the quantized network, stays on its grid, and
repairs coarse weights.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.export.floating.run import FloatModule
from spikeport.export.quantization.dequantize import dequantize
from spikeport.export.quantization.quantize import quantize
from spikeport.export.quantization.rounding import requantize
from spikeport.export.quantization.weight_step import weight_grids
from spikeport.train.data import registry as data
from spikeport.train.data.augment import Augmentation
from spikeport.train.loop import trainer
from spikeport.train.loop.evaluation import evaluate
from spikeport.train.loop.qat import FakeQuantize, FinetuneConfig, fake_quantized, finetune
from spikeport.train.loop.threads import operator_threads
from spikeport.train.network.lowering import lower
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.neurons.stbp import wu_lif
from spikeport.train.neurons.surrogates import Surrogate
from spikeport.train.settings.config import OptimizerConfig, TrainConfig, defaults_for

TIMESTEPS = 3


@pytest.fixture(scope="module")
def dataset():
    digits = data.load("digits")
    return replace(digits, train=digits.train[:600], validation=digits.validation[:100])


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with operator_threads(1):
        yield


@pytest.fixture(scope="module")
def network(dataset, tmp_path_factory):
    """A trained, lowered network with both kinds of pooling."""
    config = TrainConfig(
        arch="6C3-MP2-8C3-P2-24", epochs=8, timesteps=TIMESTEPS, batch_size=30, threads=1, optimizer=OptimizerConfig(learning_rate=0.02)
    )
    return lower(trainer.train(config, dataset, tmp_path_factory.mktemp("qat"), progress=False).module)


@pytest.fixture(scope="module")
def coarse(network, dataset):
    """2-bit weights."""
    return quantize(network, dataset.train.images[:60], weight_bits=2)


def accuracy(module, split):
    return evaluate(module, split.images, split.labels, TIMESTEPS)[-1]


def test_gradient_passes_rounding_but_not_clipping(coarse):
    grid = next(iter(weight_grids(coarse).values()))
    latent = torch.tensor([-9.0, -2.4, 0.3, 0.6, 9.0]) * float(grid.step)
    latent.requires_grad_()
    rounded = FakeQuantize(grid)(latent)
    rounded.sum().backward()
    torch.testing.assert_close(
        rounded.detach() / float(grid.step), torch.tensor([-2.0, -2.0, 0.0, 1.0, 1.0]), rtol=1e-6, atol=1e-6, check_dtype=False
    )
    assert latent.grad.tolist() == [0, 0, 1, 1, 0]


def test_starts_where_quantization_ended(network, coarse, dataset):
    module, integers = fake_quantized(network, coarse, Surrogate()), FloatModule(dequantize(coarse))
    x = torch.from_numpy(dataset.test.images)
    with torch.no_grad():
        torch.testing.assert_close(module(x, TIMESTEPS), integers(x, TIMESTEPS))


def test_repairs_coarse_weights_and_stays_on_the_grid(network, coarse, dataset):
    before = accuracy(FloatModule(dequantize(coarse)), dataset.test)
    tuned = finetune(network, coarse, dataset, FinetuneConfig(threads=1, epochs=10, batch_size=30, learning_rate=1e-2), progress=False)
    again = requantize(tuned, coarse)
    after = accuracy(FloatModule(dequantize(again)), dataset.test)
    assert after > before + 0.02, (before, after)
    for name, grid in weight_grids(coarse).items():
        (mine,), (theirs,) = ([c for c in n.connections if c.name == name] for n in (again, tuned))
        assert np.array_equal(mine.weight * grid.step, theirs.weight)
    assert any(not np.array_equal(a.weight, b.weight) for a, b in zip(again.connections, coarse.connections))
    assert [p.neuron.threshold.tolist() for p in again.populations] == [p.neuron.threshold.tolist() for p in coarse.populations]


def test_never_worse_on_validation_data_than_where_it_started(network, coarse, dataset):
    """A learning rate that destroys: the quantized network itself comes back."""
    tuned = finetune(network, coarse, dataset, FinetuneConfig(threads=1, epochs=1, learning_rate=1e3), progress=False)
    again = requantize(tuned, coarse)
    for mine, theirs in zip(again.connections, coarse.connections):
        assert np.array_equal(mine.weight, theirs.weight)
    for mine, theirs in zip(again.populations, coarse.populations):
        assert np.array_equal(mine.neuron.bias, theirs.neuron.bias)


def test_same_seed_same_network(network, coarse, dataset):
    config = FinetuneConfig(threads=1, epochs=1)
    first, second = (finetune(network, coarse, dataset, config, progress=False) for _ in range(2))
    assert all(np.array_equal(a.weight, b.weight) for a, b in zip(first.connections, second.connections))


def test_mirrored_images_are_trained_on_only_where_asked(network, coarse, dataset):
    """Mirroring changes what is learned, except from images that are their own mirror images."""

    def weights(part, flip):
        config = FinetuneConfig(threads=1, epochs=1, learning_rate=1e-2, augmentation=Augmentation(flip=flip))
        return finetune(network, coarse, part, config, progress=False).connections

    def same(part):
        return all(np.array_equal(a.weight, b.weight) for a, b in zip(weights(part, False), weights(part, True)))

    images = dataset.train.images
    symmetric = replace(dataset, train=replace(dataset.train, images=np.maximum(images, images[..., ::-1])))
    assert same(symmetric) and not same(dataset)


def test_max_pooling_is_left_alone(network, coarse, dataset):
    tuned = finetune(network, coarse, dataset, FinetuneConfig(threads=1, epochs=1, learning_rate=0.01), progress=False)
    assert requantize(tuned, coarse)["pool1"].neuron.threshold == coarse["pool1"].neuron.threshold
    assert not tuned["pool1"].neuron.bias.any()


def test_impossible_settings_are_refused():
    with pytest.raises(InputError, match="at least 1 epoch"):
        FinetuneConfig(epochs=0)


@pytest.mark.parametrize("flip", [False, True])
def test_the_command_takes_augmentation_and_surrogate_of_the_training(tmp_path, monkeypatch, flip):
    seen = []
    monkeypatch.setattr(
        "spikeport.stages.pipeline.finetune", lambda network, quantized, data, settings: (seen.append(settings), network)[1]
    )
    config = replace(defaults_for("digits", arch="4", epochs=1, timesteps=2), shift=1, flip=flip, neuron=wu_lif())
    trainer.train(config, data.load("digits"), tmp_path, progress=False)
    assert main(["quantize", str(tmp_path), "--finetune", "3", "--out", str(tmp_path / "network.nir")]) == 0
    assert [(s.epochs, s.augmentation, s.seed) for s in seen] == [(3, Augmentation(shift=1, flip=flip), config.seed)]
    assert [s.surrogate for s in seen] == [Surrogate(kind="rectangle", width=0.5)]


def test_a_method_without_a_surrogate_is_fine_tuned_with_the_usual_one():
    assert FinetuneConfig.after(TrainConfig(method="dsr", neuron=DSRConfig()), 1).surrogate == Surrogate()
