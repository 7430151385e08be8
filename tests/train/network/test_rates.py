"""Training through rates against differentiating every timestep."""

import pytest
import torch

from spikeport.train.data.dataset import Task
from spikeport.train.network.build import build
from spikeport.train.network.residual import residual
from spikeport.train.network.residual_plans import ResidualPlan
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.neurons.base import NeuronConfig
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.settings.config import defaults_for
from spikeport.train.settings.losses import accumulated_cross_entropy, weighted_cross_entropy

NEURONS = {
    "if": DSRConfig(kind="if", threshold=1.5, alpha=0.5),
    "lif": DSRConfig(kind="lif", threshold=0.3, alpha=0.3, dt=0.05),
}
TASK = Task("digits", (1, 8, 8), 10, 16)


def network(neuron="lif", arch="4C3-P2-6C3p0-20", **changes):
    config = defaults_for("digits", method="dsr", arch=arch, timesteps=6, neuron=NEURONS[neuron], **changes)
    made = build(config, TASK).double()
    if not config.batch_norm:
        with torch.no_grad():
            for layer in (m for m in made.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))):
                layer.weight.mul_(6.0)  # or nothing fires
    return made


def gradients(module, x, loss=accumulated_cross_entropy):
    """The output, the gradient of every parameter, and the running statistics afterwards."""
    labels = torch.arange(x.shape[-4] if x.ndim == 4 else x.shape[1]) % 10
    module.zero_grad()
    output = module(x)
    loss(output, labels).backward()
    statistics = {name: value.clone() for name, value in module.named_buffers()}
    return output.detach(), {name: p.grad.clone() for name, p in module.named_parameters()}, statistics


def compared(make, x, monkeypatch, **options):
    out, grads, statistics = gradients(make(), x, **options)
    monkeypatch.setattr(DSRConfig, "rate_weights", NeuronConfig.rate_weights)  # claims nothing about its gradient
    expected, slow, kept = gradients(make(), x, **options)
    assert (out != 0).any()
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-12)
    assert max(g.abs().max() for g in slow.values()) > 0
    for name, gradient in slow.items():
        torch.testing.assert_close(grads[name], gradient, rtol=1e-7, atol=1e-12, msg=name)
    for name, value in kept.items():
        torch.testing.assert_close(statistics[name], value, rtol=1e-9, atol=1e-12, msg=name)


def images(frames=None):
    shape = (12, 1, 8, 8) if frames is None else (frames, 12, 1, 8, 8)
    return torch.rand(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 3


@pytest.mark.parametrize("readout", ["current", "spikes"])
@pytest.mark.parametrize(("batch_norm", "bias"), [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize("neuron", NEURONS)
def test_equals_differentiating_every_timestep(neuron, batch_norm, bias, readout, monkeypatch):
    compared(lambda: network(neuron, batch_norm=batch_norm, bias=bias, readout=readout), images(), monkeypatch)


@pytest.mark.parametrize("neuron", NEURONS)
def test_input_that_changes_over_time(neuron, monkeypatch):
    compared(lambda: network(neuron), images(frames=6), monkeypatch)


def test_residual_joins(monkeypatch):
    stages = residual(ResidualPlan((4, 6), (1, 2), "spiking"), TASK)

    def make():
        torch.manual_seed(0)
        return SpikingNetwork(TASK, stages, NEURONS["lif"], timesteps=6).double()

    compared(make, images(), monkeypatch)


def test_saves_no_timesteps():
    """What is kept for the backward pass does not grow with T."""

    def kept(timesteps):
        sizes = []
        module = network()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.untyped_storage().nbytes()) or t, lambda t: t):
            module(images(), timesteps)
        return sum(sizes)

    readout = 12 * 20 * 8  # the readout's input, a dense layer's, is kept for every timestep
    assert kept(12) - kept(6) <= 6 * readout * 1.5


def test_a_loss_that_weighs_timesteps(monkeypatch):
    weights = NEURONS["lif"].rate_weights(6)
    compared(lambda: network("lif", readout="spikes"), images(), monkeypatch, loss=lambda out, y: weighted_cross_entropy(out, y, weights))
