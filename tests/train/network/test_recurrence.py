"""Recurrent layers and trained axonal delays: by hand, their gradients, exact to the integers, and
learned where they are needed.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeport.analysis.information.fisher import fisher_information
from spikeport.export.common.errors import InputError
from spikeport.export.floating.run import FloatModule
from spikeport.export.quantization.quantize import quantize
from spikeport.hw.backends.simulate import backend
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference
from spikeport.train.data.registry import Task
from spikeport.train.network.architecture import parse
from spikeport.train.network.build import build
from spikeport.train.network.delays import AxonalDelays, moved
from spikeport.train.network.lowering import lower
from spikeport.train.neurons.stbp import LIFConfig, parametric_lif, tic_lif, wu_lif
from spikeport.train.settings.config import TrainConfig, defaults_for

TASK = Task("toy", (2, 6, 6), 4, 3, "events")
T = 9
ARCH = "4C3D5-P2-20RD6-12R-4D3"


def network(arch=ARCH, task=TASK, **changes):
    module = build(TrainConfig(**{"arch": arch, "timesteps": T, **changes}), task).double()
    with torch.no_grad():
        for name, p in module.named_parameters():
            if "weights" in name:
                p.mul_(2.5)  # so that deep layers fire
        for seed in range(10):
            module(events(seed=seed))
    return module.eval()


def events(samples=7, seed=0, shape=TASK.shape):
    return torch.randint(0, 2, (T, samples, *shape), generator=torch.Generator().manual_seed(seed)).double()


def test_notation():
    for text in (ARCH, "300R", "15C5D8-300RD62"):
        assert str(parse(text)) == text
    assert str(parse("300FCRD4")) == "300RD4"
    with pytest.raises(InputError, match="delays of more than 62 timesteps"):
        parse("300D63")


def test_moved_by_hand():
    x = torch.arange(1.0, 5.0).view(4, 1, 1).expand(4, 1, 4)
    assert moved(x, torch.tensor([0, 1, -2, 9]))[:, 0].T.tolist() == [[1, 2, 3, 4], [0, 1, 2, 3], [3, 4, 0, 0], [0, 0, 0, 0]]


def test_gradient_of_delays():
    """Of the signal: a move back. Of the delay: the slope in time of what came out."""
    layer, x = AxonalDelays(3, 4).double(), torch.randn(T, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        layer.delay.copy_(torch.tensor([0.4, 1.6, 4.0]))
    x.requires_grad_()
    y = layer(x)
    grad = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    y.backward(grad)
    padded = torch.cat([torch.zeros_like(y[:1]), y, torch.zeros_like(y[:1])]).detach()
    torch.testing.assert_close(layer.delay.grad, (grad * (padded[:-2] - padded[2:]) / 2).sum((0, 1)))
    torch.testing.assert_close(x.grad, torch.autograd.grad((moved(x, layer.rounded()) * grad).sum(), x)[0])
    assert layer.rounded().tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    "neuron", [LIFConfig(), LIFConfig(reset="subtract", detach_reset=False), tic_lif(), wu_lif(), parametric_lif()], ids=str
)
def test_without_weights_back_a_recurrent_layer_is_a_plain_one(neuron):
    x = 3 * torch.rand(T, 6, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.8
    outputs, grads = [], []
    for recurrent in (False, True):
        layer, y = neuron.build().double(), x.clone().requires_grad_()
        out = layer.recurrent(y, T, lambda s: 0 * s) if recurrent else layer(y, T)
        (out * torch.linspace(-1, 1, T, dtype=torch.float64)[:, None, None]).sum().backward()
        outputs.append(out.detach())
        grads.append([y.grad, *(p.grad for p in layer.parameters())])
    assert torch.equal(*outputs) and 0.1 < outputs[0].mean() < 0.9
    for plain, own in zip(*grads):
        torch.testing.assert_close(own, plain)


@pytest.mark.parametrize("arch", [ARCH, "20R", "16D7-4D2"])
def test_lowered_network_is_exact_and_so_are_its_integers(arch):
    module = network(arch)
    lowered = lower(module)
    with torch.no_grad():
        torch.testing.assert_close(FloatModule(lowered, dtype=torch.float64)(events(), T), module(events()))
    lags = {c.delay for c in lowered.connections if c.source == c.target}
    assert lags == ({1} if "R" in arch else set())
    array = events(5).transpose(0, 1).numpy().astype(np.uint8)
    quantized = quantize(lowered, array)
    stimulus = encode(quantized.input, array, T)
    theirs, ours = reference.run(quantized, stimulus, "spikes"), backend("engine")(quantized, stimulus, "spikes")
    assert all((theirs.spikes[name] == ours.spikes[name]).all() for name in theirs.spikes)
    assert (theirs.output == ours.output).all() and any(spikes.any() for spikes in ours.spikes.values())


@pytest.mark.lava
def test_lava_runs_it_bit_for_bit():
    pytest.importorskip("lava")
    array = events(2).transpose(0, 1).numpy().astype(np.uint8)
    quantized = quantize(lower(network("12RD3", norm_over="time")), array)
    stimulus = encode(quantized.input, array, T)
    ours, lava = (backend(name)(quantized, stimulus, "spikes") for name in ("engine", "lava"))
    assert all((lava.spikes[name] == ours.spikes[name]).all() for name in ours.spikes) and (lava.output == ours.output).all()


def steps(module, x, labels, count, rate):
    optimizer = torch.optim.Adam(module.parameters(), rate)
    for _ in range(count):
        optimizer.zero_grad()
        output = module(x).mean(0)
        torch.nn.functional.cross_entropy(output, labels).backward()
        optimizer.step()
    with torch.no_grad():
        return (module.eval()(x).mean(0).argmax(1) == labels).double().mean().item()


def test_memory_is_learned_with_recurrence():
    """The class is in the first timestep alone, the answer is asked of the last ones: a leak of 0
    forgets it, weights back keep it.
    """
    task, found = Task("toy", (2, 1, 1), 2, 1, "events"), {}
    labels = torch.arange(40) % 2
    x = torch.zeros(T, 40, 2, 1, 1)
    x[0, torch.arange(40), labels, 0, 0] = 1
    for arch in ("16", "16R"):
        neuron = replace(LIFConfig(decay=0.0), threshold=0.4)
        module = build(TrainConfig(arch=arch, timesteps=T, neuron=neuron, batch_norm=False, bias=False), task).train()
        late = torch.nn.Module()
        late.forward = lambda x, module=module: module(x)[T - 3 :]
        late.add_module("inner", module)
        found[arch] = steps(late, x, labels, 150, 0.02)
    assert found["16"] == 0.5 and found["16R"] == 1.0


def test_delays_are_learned_where_only_they_tell_the_classes_apart():
    """Two inputs fire once each; which comes first tells the class.

    Neurons without memory see them together only behind delays.
    """
    task = Task("toy", (2, 1, 1), 2, 1, "events")
    labels = torch.arange(64) % 2
    x = torch.zeros(T, 64, 2, 1, 1)
    x[1, torch.arange(64), labels, 0, 0] = 1
    x[4, torch.arange(64), 1 - labels, 0, 0] = 1
    found = {}
    for arch in ("24", "24D5"):
        neuron = LIFConfig(decay=0.0, threshold=1.0)
        module = build(TrainConfig(arch=arch, timesteps=T, neuron=neuron, batch_norm=False, seed=1), task).train()
        found[arch] = steps(module, x, labels, 300, 0.05)
    assert found["24"] == 0.5 and found["24D5"] == 1.0


def test_fisher_information_is_each_samples_own():
    """Weights that are used anew at every timestep, against one backward pass for each sample."""
    module, x = network("20R"), events(6)
    labels = torch.arange(6) % 4
    batches = [(x[:, i : i + 1], labels[i : i + 1]) for i in range(6)]
    shared = fisher_information(module, [(x, labels)], T)
    single = fisher_information(module, batches, T, estimator="batch")
    np.testing.assert_allclose(shared.per_step, single.per_step, rtol=1e-9)
    np.testing.assert_allclose(shared.innovation, single.innovation, rtol=1e-9, atol=1e-12)
    assert not shared.left_out and "synapses.dense1.1.weights" in shared.per_layer


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(InputError, match="dense1 sends to itself, which only stbp trains"):
        build(defaults_for("digits", method="dsr", arch="20R"), TASK)
    images = Task("digits", (1, 8, 8), 10, 16)
    with pytest.raises(InputError, match="delay an image that is held"):
        build(TrainConfig(arch="4C3D2"), images)
    assert build(TrainConfig(arch="4C3-20RD2"), images).train()(torch.rand(3, 1, 8, 8)).shape == (4, 3, 10)
