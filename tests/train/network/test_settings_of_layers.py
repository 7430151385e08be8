"""Settings of layers against what they name: BatchNorm at each timestep, initial weights, a stem
without bias.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.export.common.errors import InputError
from spikeport.export.floating.run import FloatModule
from spikeport.train.data.registry import Task
from spikeport.train.network.build import build
from spikeport.train.network.lowering import lower
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.neurons.stbp import LIFConfig
from spikeport.train.settings.config import TrainConfig, defaults_for
from spikeport.train.settings.initial_weights import INITIAL
from spikeport.train.settings.recipes import published

TASK = Task("digits", (1, 8, 8), 10, 16)
T = 3


def network(**changes):
    return build(TrainConfig(**{"arch": "4C3-P2-20", "timesteps": T, **changes}), TASK).double()


def spikes(seed=0):
    return (torch.rand(T, 12, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) > 0.5).double()


def test_batch_norm_at_each_timestep_is_one_module_called_so_often():
    module, x = network(norm_over="timestep").train(), spikes()
    (synapses,) = module.synapses_of("conv1")
    theirs = nn.BatchNorm2d(4).double().train()
    expected = torch.stack([theirs(synapses.weights(step)) for step in x])
    torch.testing.assert_close(synapses(x.flatten(0, 1), T).unflatten(0, (T, -1)), expected)
    torch.testing.assert_close(synapses.norm.running_mean, theirs.running_mean)
    torch.testing.assert_close(synapses.norm.running_var, theirs.running_var)


def test_statistics_over_time_differ():
    x = spikes() * torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64).view(T, 1, 1, 1, 1)
    outputs = [network(norm_over=over).train()(x) for over in ("time", "timestep")]
    assert (outputs[0] != outputs[1]).any()


@pytest.mark.parametrize(("method", "neuron"), [("stbp", LIFConfig()), ("dsr", DSRConfig(kind="if", threshold=0.7))])
def test_batch_norm_at_each_timestep_folds_and_trains(method, neuron):
    config = defaults_for("digits", method=method, neuron=neuron, arch="4C3-P2-20", timesteps=T, norm_over="timestep")
    module = build(config, TASK).double().train()
    for seed in range(20):
        output = module(spikes(seed))
    output.square().sum().backward()
    assert all(p.grad.any() for name, p in module.named_parameters() if name.endswith("weights.weight"))
    module.eval()
    with torch.no_grad():
        answer = module(spikes(99))
        torch.testing.assert_close(FloatModule(lower(module), dtype=torch.float64)(spikes(99), T), answer)
    assert answer.std() > 0


def deviations(initial):
    """Deviation of the weights of a convolution (fan in 288, out 576) and of a dense layer (fan in
    4096), and whether they are normal.
    """
    task = Task("toy", (32, 8, 8), 10, 255)
    module = build(TrainConfig(arch="64C3-200", initial=initial, batch_norm=False), task)
    conv, dense = (module.synapses_of(name)[0].weights.weight.detach().numpy().ravel() for name in ("conv1", "dense1"))
    return conv.std(), dense.std(), [bool(np.abs(w).max() > 3 * w.std()) for w in (conv, dense)]


def test_initial_weights_are_what_they_are_called():
    torch_conv, torch_dense = 1 / np.sqrt(3 * 288), 1 / np.sqrt(3 * 4096)
    expected = {
        "torch": (torch_conv, torch_dense, [False, False]),
        "he": (np.sqrt(2 / 288), np.sqrt(2 / 4096), [False, False]),
        "kaiming-fan-out": (np.sqrt(2 / 576), torch_dense, [True, False]),
        "kaiming-fan-out-0.01": (np.sqrt(2 / 576), 0.01, [True, True]),
        "tssl": (torch_conv, np.sqrt(2 / 4096), [False, True]),
        "tssl-5": (5 * torch_conv, np.sqrt(2 / 4096), [False, True]),
    }
    assert set(expected) == set(INITIAL)
    for name, (conv, dense, normal) in expected.items():
        found = deviations(name)
        assert found[:2] == pytest.approx((conv, dense), rel=0.03) and found[2] == normal, name


def test_initial_weights_come_from_the_method_where_nothing_is_said():
    assert (TrainConfig().initial, TrainConfig(method="tssl-bp").initial) == ("torch", "he")
    with pytest.raises(InputError, match="choose one of torch, he"):
        TrainConfig(initial="zeros")
    with pytest.raises(InputError, match="choose one of time, timestep"):
        TrainConfig(norm_over="space")


def test_a_stem_without_bias():
    names = [dict(network(arch="preact-resnet-20", stem_bias=has).named_parameters()) for has in (True, False)]
    assert set(names[0]) - set(names[1]) == {"synapses.stem.0.weights.bias"}


def test_the_resnet_of_the_tic_papers_code():
    """Kim et al.'s code: 128 channels, then groups of 256, 512 and 512 that all halve the map,
    512-10: 26.1 million parameters.
    """
    config = published("tic-cifar10-t10")
    with torch.device("meta"):
        module = build(replace(config, normalise=False), Task("cifar-10", (3, 32, 32), 10, 255))
    shapes = {stage.name: stage.shape for stage in module.stages}
    assert (shapes["stem"], shapes["group1block1a"], shapes["group3block2b"]) == ((128, 32, 32), (256, 16, 16), (512, 4, 4))
    blocks = [(128, 256), (256, 256), (256, 256), (256, 512), (512, 512), (512, 512), (512, 512), (512, 512)]
    by_hand = 3 * 128 * 9 + 256
    for number, (before, after) in enumerate(blocks):
        by_hand += 9 * before * after + 9 * after * after + 4 * after
        by_hand += before * after + 2 * after if number in (0, 3, 6) else 0  # their shortcut has weights wherever the stride is 2
    assert sum(p.numel() for p in module.parameters()) == by_hand + 5130
