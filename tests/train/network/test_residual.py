"""Residual networks: their shape, and that lowered, quantized and on the engine they stay the same
network.
"""

import numpy as np
import pytest
import torch

from spikeport.export.common.errors import InputError
from spikeport.export.floating.run import FloatModule
from spikeport.export.quantization.quantize import quantize
from spikeport.hw import engine
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference
from spikeport.train.data.registry import Task
from spikeport.train.network.build import build, stages_of
from spikeport.train.network.lowering import lower
from spikeport.train.network.residual import residual
from spikeport.train.network.residual_plans import RESIDUAL, ResidualPlan
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.neurons.stbp import LIFConfig
from spikeport.train.settings.config import TrainConfig, defaults_for

CIFAR = Task("cifar-10", (3, 32, 32), 10, 255)
TASK = Task("toy", (2, 8, 8), 3, 15)
T = 4
PLANS = {
    "spiking": ResidualPlan((4, 6), (2, 1), "spiking", hidden=5),
    "pre-activation": ResidualPlan((4, 6), (2, 2), "pre-activation"),
    "as in DSR": ResidualPlan((4, 6), (1, 2), "pre-activation", mean_fires=True),
}

NEURONS = {"stbp": LIFConfig(), "dsr": DSRConfig(kind="if", threshold=0.7)}


def network(join, method="stbp", **changes):
    """A small float64 network whose BatchNorms have seen data."""
    config = defaults_for("digits", method=method, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = SpikingNetwork(
            TASK, residual(PLANS[join], TASK), config.neuron, timesteps=T, norm=config.batch_norm, bias=config.bias, readout=config.readout
        ).double()
    with torch.no_grad():
        for _ in range(30):
            module(images(20), T)
    return module.eval()


def images(samples=6):
    levels = torch.randint(0, TASK.levels + 1, (samples, *TASK.shape), generator=torch.Generator().manual_seed(1))
    return levels.double() / TASK.levels


@pytest.mark.parametrize(
    ("join", "method"),
    [("spiking", "stbp"), ("pre-activation", "stbp"), ("spiking", "dsr"), ("pre-activation", "dsr"), ("as in DSR", "dsr")],
)
def test_lowered_network_gives_the_same_output(join, method):
    module, rates = network(join, method, neuron=NEURONS[method]), {}
    with torch.no_grad():
        lowered = FloatModule(lower(module), dtype=torch.float64)
        out = lowered(images(), T, observe=lambda name, step: rates.update({name: float(step.spikes.mean())}))
        torch.testing.assert_close(out, module(images(), T), rtol=1e-9, atol=1e-9)
    last = {"spiking": "hidden", "pre-activation": "last", "as in DSR": "mean"}[join]
    assert 0 < rates[last] < 1
    assert set(rates) >= {p.name for p in lower(module).populations}


@pytest.mark.parametrize("join", ["spiking", "pre-activation"])
def test_quantized_engine_equals_reference(join):
    floating = lower(network(join))
    quantized = quantize(floating, images(20).numpy())
    stimulus = encode(quantized.input, images().numpy(), T)
    expected = reference.run(quantized, stimulus, "spikes")
    found = engine.run(quantized, stimulus, "spikes")
    assert np.array_equal(found.output, expected.output)
    for name, spikes in expected.spikes.items():
        assert np.array_equal(found.spikes[name], spikes), name
    assert sum(spikes.sum() for spikes in expected.spikes.values()) > 1000


def test_a_stream_by_hand():
    """Pre-activation, first block and the one after: currents add up along the shortcut, neurons
    read them through BatchNorm.
    """
    module, x = network("pre-activation"), images()
    synapses, seen = module.synapses, {}
    for name, neuron in module.neurons.items():
        neuron.register_forward_hook(lambda _, inputs, out, name=name: seen.update({name: (inputs[0], out)}))
    with torch.no_grad():
        module(x, T)
        stem = synapses["stem"][0].weights(x)
        block = torch.stack([stem + synapses["group1block1sum"][0].weights(s) for s in seen["group1block1b"][1]])
        expected = torch.stack([synapses["group1block2a"][0].norm(step) for step in block])
    torch.testing.assert_close(seen["group1block2a"][0], expected)


def test_joins_are_two_connections_and_streams_many():
    names = {c.name for c in lower(network("spiking")).connections if c.target in ("group1block2b", "group2block1b")}
    assert names == {
        "group1block2a->group1block2b",
        "group1block1b->group1block2b",
        "group2block1a->group2block1b",
        "group1block2b->group2block1b",
    }
    read = {c.source for c in lower(network("pre-activation")).connections if c.target == "last"}
    assert read == {"group2block1a", "group2block1b", "group2block2b"}


@pytest.mark.parametrize(
    ("name", "convolutions"),
    [("resnet-18", 17), ("resnet-19", 17), ("resnet-34", 33), ("preact-resnet-18", 17), ("preact-resnet-110", 109)],
)
def test_depth_is_in_the_name(name, convolutions):
    """Weights along the main path, without 1 x 1 shortcuts; the dense layers make up the rest of
    the name's number.
    """
    stages = residual(RESIDUAL[name], CIFAR)
    kernels = [path.layer.kernel for s in stages for path in s.incoming if hasattr(path.layer, "kernel")]
    assert sum(k == 3 for k in kernels) == convolutions
    assert convolutions + sum(hasattr(s.incoming[0].layer, "features") for s in stages) == int(name.split("-")[-1])


def test_published_parameter_count():
    """0.27 million for 20 layers (He et al. 2016, table 6); 11.17 million for PreAct-ResNet-18."""
    for name, count in (("preact-resnet-20", 0.27e6), ("preact-resnet-18", 11.17e6)):
        network = build(TrainConfig(arch=name), CIFAR)
        assert sum(p.numel() for p in network.parameters()) == pytest.approx(count, rel=0.02)


@pytest.mark.parametrize("name", [*RESIDUAL, "vgg-11", "vgg-16", "alexnet"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 34, 34), (3, 224, 224)])
def test_networks_fit_any_input(name, shape):
    assert stages_of(name, Task("any", shape, 7, 255))[-1].shape == (7,)


def test_large_maps_are_reduced_by_four_first():
    for name in ("resnet-18", "preact-resnet-18"):
        shapes = {s.name: s.shape for s in stages_of(name, Task("any", (3, 224, 224), 7, 255))}
        assert shapes["group1block1a"][1:] == (56, 56)


def test_no_map_no_residual_network():
    with pytest.raises(InputError, match="cannot follow a dense layer"):
        stages_of("resnet-18", Task("flat", (64,), 10, 255))
