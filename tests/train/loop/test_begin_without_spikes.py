"""DSR begun with a network without spikes: its thresholds against percentiles taken by hand, and
its rates against that network's activations.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spikeport.export.common.errors import InputError
from spikeport.train.data.registry import load
from spikeport.train.loop.trainer import train
from spikeport.train.loop.without_spikes import begin_without_spikes, percentile
from spikeport.train.network.build import build
from spikeport.train.network.without_spikes import Rectified
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.settings.config import TrainConfig, defaults_for

CPU = torch.device("cpu")
IF = DSRConfig(kind="if", threshold=6.0, alpha=0.5, bound=0.01)
DATA = load("digits", None, 0, 4, defaults_for("digits").events)


def begun(neuron: DSRConfig = IF, **changes):
    config = defaults_for(
        "digits", method="dsr", arch="8C3-P2-30", timesteps=4, epochs=1, without_spikes_epochs=3, neuron=neuron, **changes
    )
    network = build(config, DATA.task)
    before = {name: value.clone() for name, value in network.named_parameters()}
    begin_without_spikes(network, config, DATA, CPU, progress=False)
    assert all(not torch.equal(before[name], value) for name, value in network.named_parameters())
    return config, network.eval()


@torch.no_grad()
def by_hand(network, images):
    """Activations of conv1 and dense1, from the parameters alone, in torch's own functions."""
    conv, dense = (network.synapses_of(name)[0] for name in ("conv1", "dense1"))

    def normed(x, n):
        return F.relu(F.batch_norm(x, n.running_mean, n.running_var, n.weight, n.bias, False, 0.0, n.eps))

    first = normed(F.conv2d(images, conv.weights.weight, None, padding=1), conv.norm)
    return first, normed(F.linear(F.avg_pool2d(first, 2).flatten(1), dense.weights.weight), dense.norm)


@pytest.mark.parametrize(("neuron", "per_threshold"), [(IF, 1.0), (DSRConfig(kind="lif", threshold=0.6, dt=0.1, percentile=97.0), 10.0)])
def test_thresholds_are_percentiles_of_activations(neuron, per_threshold):
    """A LIF neuron represents up to V_th tau / dt."""
    config, network = begun(neuron)
    images = torch.from_numpy(np.asarray(DATA.train.images[: 5 * config.batch_size]))
    for name, values in zip(("conv1", "dense1"), by_hand(network, images)):
        ordered = np.sort(values.numpy().ravel())
        expected = ordered[int(neuron.percentile / 100 * len(ordered))]
        assert network.neuron(name).threshold.item() * per_threshold == pytest.approx(expected, rel=1e-4)
        assert ordered[0] == 0 < expected < ordered[-1]


def test_percentile_of_few_and_of_silent_values():
    values = np.array([5.0, 0, 3, 1])
    assert [percentile(values, p) for p in (1, 50, 99.9, 100)] == [0, 3, 5, 5]
    _, network = begun()
    network.neuron("conv1").represent(0.0)
    assert network.neuron("conv1").threshold.item() == pytest.approx(IF.bound)


def test_rates_over_many_timesteps_are_the_clipped_activations():
    """What the thresholds stand for: spikes times V_th, averaged over 400 timesteps, against ReLU
    clipped at V_th, layer by layer from what the layer before it sent.
    """
    _, network = begun(replace(IF, percentile=90.0))
    images = torch.from_numpy(np.asarray(DATA.test.images[:20]))
    sent = {}
    for name in ("conv1", "dense1"):
        network.neuron(name).register_forward_hook(lambda _, args, out, name=name: sent.update({name: (args[0], out)}))
    with torch.no_grad():
        network(images, 400)
    for name, (currents, spikes) in sent.items():
        bound = network.neuron(name).threshold.item()
        clipped = currents.mean(0).clamp(0, bound)
        assert (clipped == bound).float().mean() > 0.02 and (clipped > 0).float().mean() > 0.1
        torch.testing.assert_close(spikes.mean(0), clipped, rtol=0, atol=0.05 * bound)
    torch.testing.assert_close(
        sent["conv1"][1].mean(0), by_hand(network, images)[0].clamp(max=network.neuron("conv1").threshold.item()), rtol=0, atol=0.02
    )


def test_it_helps_and_is_done_once(tmp_path, monkeypatch):
    """Better after one epoch of few timesteps than from random weights; a resumed run does not
    begin again.
    """
    config, _ = begun()
    plain = train(replace(config, without_spikes_epochs=0), DATA, tmp_path / "plain", progress=False)
    found = train(config, DATA, tmp_path / "begun", progress=False)
    assert found.metrics["validation_accuracy"][-1] > plain.metrics["validation_accuracy"][-1]
    monkeypatch.setattr("spikeport.train.loop.trainer.begin_without_spikes", lambda *_: pytest.fail("begun again"))
    train(config, DATA, tmp_path / "begun", progress=False, resume=True)


@pytest.mark.parametrize("arch", ["preact-resnet-20", "4C3-MP2-20"])
def test_other_networks_have_one(arch):
    network = build(TrainConfig(method="dsr", arch=arch, neuron=IF, readout="spikes"), DATA.task)
    rectified = Rectified(network)
    out = rectified(torch.from_numpy(np.asarray(DATA.test.images[:3])))
    assert out.shape == (3, 10) and (out >= 0).all() and set(rectified.activations) == set(network.neurons)


def test_what_it_is_not_for():
    with pytest.raises(InputError, match="for method dsr"):
        TrainConfig(without_spikes_epochs=2)
    with pytest.raises(InputError, match="percentile is 0"):
        DSRConfig(percentile=0.0)
    with pytest.raises(InputError, match="has delays"):
        Rectified(build(TrainConfig(method="dsr", arch="8C3-20D3", neuron=IF), DATA.task))
