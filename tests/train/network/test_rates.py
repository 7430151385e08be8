"""Training through rates against differentiating every timestep."""

import pytest
import torch

from spikeport.train.data.dataset import Task
from spikeport.train.network.build import build
from spikeport.train.network.rates import max_pooled
from spikeport.train.network.residual import residual
from spikeport.train.network.residual_plans import ResidualPlan
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.neurons.base import NeuronConfig
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.neurons.rated import Rated
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


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize(
    ("arch", "settings"),
    [
        ("4C3-MP2-6C3p0-20", {"batch_norm": False}),  # the gradient behind the pool is the same at every timestep
        ("4C3-MP3-6C3-20", {"batch_norm": False, "bias": True}),  # windows that leave a border over
        ("4C3-MP2-6C3p0-20", {}),  # BatchNorm behind: that path keeps its time
        ("4C3-MP2-P2-20", {"batch_norm": False}),
        ("4C3-MP2", {"batch_norm": False}),  # read by a readout without neurons
        ("4C3-P2-6C3p0-20D4", {}),
        ("4C3-P2-6C3p0-20", {"norm_over": "timestep"}),
        ("preact-resnet-20", {"stem_bias": False, "initial": "kaiming-fan-out"}),
        ("preact-resnet-20", {"batch_norm": False}),
    ],
)
def test_layers_that_need_time_stand_between_those_that_do_not(neuron, arch, settings, monkeypatch):
    compared(lambda: network(neuron, arch=arch, **settings), images(), monkeypatch)


@pytest.mark.parametrize("arch", ["4C3-P2-6C3p0-20", "4C3-MP2-6C3p0-20"])
def test_dropout_held_over_time(arch, monkeypatch):
    """Masks come from torch's generator, one for each layer, whichever way is taken."""

    def make():
        module = network("lif", arch=arch, dropout=0.4)
        torch.manual_seed(11)
        return module

    compared(make, images(), monkeypatch)
    kept = (compared_spikes := make())(images())
    assert not torch.equal(kept, compared_spikes(images()))  # drawn anew


def test_max_pooling_by_hand():
    """One window, three timesteps with weights 1/2, 1/4, 1/4: the first pixel is picked where the
    second does not fire alone.
    """
    spikes = torch.tensor([[[[[1.0, 1.0]]]], [[[[0.0, 1.0]]]], [[[[0.0, 0.0]]]]])[..., None, :].squeeze(3)
    spikes = torch.cat([spikes, torch.zeros_like(spikes)], dim=3)  # 2 x 2
    rate = torch.zeros(1, 1, 2, 2, requires_grad=True)
    out = max_pooled(Rated(spikes, rate), 2, [0.5, 0.25, 0.25])
    assert out.values.flatten().tolist() == [1, 1, 0]
    (out.rate * 8).sum().backward()
    assert rate.grad.flatten().tolist() == [6, 2, 0, 0]


@pytest.mark.parametrize(("arch", "settings"), [("4C3-MP2-6C3p0-20", {"batch_norm": False}), ("4C3-P2-6C3p0-20", {"dropout": 0.3})])
def test_what_goes_through_rates_keeps_no_timesteps(arch, settings):
    def kept(timesteps):
        sizes = []
        module = network(arch=arch, **settings)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.untyped_storage().nbytes()) or t, lambda t: t):
            module(images(), timesteps)
        return sum(sizes)

    assert kept(12) - kept(6) <= 6 * (12 * 20 * 8) * 1.5
