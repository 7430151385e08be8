"""Training begun with a network without spikes: DSR's thresholds against percentiles taken by hand,
its rates against that network's activations; other methods' start; a run that is taken up.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spikeport.export.common.errors import InputError
from spikeport.train.data.registry import Dataset, Split, Task, load
from spikeport.train.loop.trainer import train
from spikeport.train.loop.without_spikes import begin_without_spikes, percentile
from spikeport.train.network.build import build
from spikeport.train.network.without_spikes import Rectified
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.settings.config import TrainConfig, defaults_for

CPU = torch.device("cpu")
IF = DSRConfig(kind="if", threshold=6.0, alpha=0.5, bound=0.01)
DATA = load("digits", None, 0, 4, defaults_for("digits").events)


def begin(network, config):
    begin_without_spikes(network, config.optimizer.build(network.parameters()), config, DATA, CPU, progress=False)


def begun(neuron: DSRConfig = IF, **changes):
    config = defaults_for(
        "digits", method="dsr", arch="8C3-P2-30", timesteps=4, epochs=1, without_spikes_epochs=3, neuron=neuron, **changes
    )
    network = build(config, DATA.task)
    before = {name: value.clone() for name, value in network.named_parameters()}
    begin(network, config)
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


def quick(method, **changes):
    """Two epochs with spikes."""
    return defaults_for(
        "digits", method=method, arch="8C3-P2-30", timesteps=4, epochs=2, without_spikes_epochs=3, batch_norm=True, threads=1, **changes
    )


@pytest.mark.parametrize("method", ["stbp", "dsr", "noise", "tssl-bp"])
def test_it_helps_and_is_done_once(tmp_path, monkeypatch, method):
    """Better after two epochs than from random weights; a finished run does not begin again."""
    plain = train(replace(quick(method), without_spikes_epochs=0), DATA, tmp_path / "plain", progress=False)
    found = train(quick(method), DATA, tmp_path / "begun", progress=False)
    assert found.metrics["validation_accuracy"][-1] > plain.metrics["validation_accuracy"][-1]
    monkeypatch.setattr("spikeport.train.loop.trainer.begin_without_spikes", lambda *_, **__: pytest.fail("begun again"))
    train(quick(method), DATA, tmp_path / "begun", progress=False, resume=True)


@pytest.mark.parametrize("method", ["stbp", "dsr"])
@pytest.mark.parametrize("epochs", [1, 3])
def test_a_run_killed_before_its_first_spikes_goes_on(tmp_path, monkeypatch, method, epochs):
    """After one of the three epochs without spikes, and between the last of them and the first with
    spikes: ends as an unbroken run does.
    """
    whole = train(quick(method), DATA, tmp_path / "whole", progress=False)

    def killed(network, optimizer, *given, on_epoch, **named):
        def after(done):
            on_epoch(done)
            if done == epochs:
                raise KeyboardInterrupt

        begin_without_spikes(network, optimizer, *given, on_epoch=after, **named)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("spikeport.train.loop.trainer.begin_without_spikes", killed)
        train(quick(method), DATA, tmp_path / "broken", progress=False)
    broken = train(quick(method), DATA, tmp_path / "broken", progress=False, resume=True)
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, broken.module.state_dict()[name]), name
    assert broken.metrics["validation_accuracy"] == whole.metrics["validation_accuracy"]


def test_stbp_begins_with_the_weights_of_relu():
    """They classify without spikes, by hand, in torch's own functions."""
    config = quick("stbp")
    network = build(config, DATA.task)
    begin(network, config)
    images = torch.from_numpy(np.asarray(DATA.test.images))
    _, hidden = by_hand(network.eval(), images)
    readout = network.synapses_of("readout")[0]
    answers = F.linear(hidden, readout.weights.weight, readout.weights.bias)
    assert (answers.argmax(1).numpy() == DATA.test.labels).mean() > 0.7


def test_half_precision_is_used_where_it_is_asked_for(monkeypatch):
    """The products of an epoch are taken in bfloat16 then, in float32 otherwise."""
    seen = []
    linear = F.linear
    monkeypatch.setattr(F, "linear", lambda x, *rest: seen.append(torch.is_autocast_enabled("cpu")) or linear(x, *rest))
    for precision in ("float32", "bfloat16"):
        config = replace(quick("stbp", precision=precision), without_spikes_epochs=1)
        network = build(config, DATA.task)
        begin(network, config)
    assert set(seen[: len(seen) // 2]) == {False} and set(seen[len(seen) // 2 :]) == {True}


@pytest.mark.parametrize("arch", ["preact-resnet-20", "4C3-MP2-20"])
def test_other_networks_have_one(arch):
    network = build(TrainConfig(method="dsr", arch=arch, neuron=IF, readout="spikes"), DATA.task)
    rectified = Rectified(network)
    out = rectified(torch.from_numpy(np.asarray(DATA.test.images[:3])))
    assert out.shape == (3, 10) and (out >= 0).all() and set(rectified.activations) == set(network.neurons)


def test_thresholds_of_recordings():
    """Counts of events, which it sees averaged over time."""
    task = Task("toy", (2, 6, 6), 3, 3, "events")
    counts = np.random.default_rng(0).integers(0, 4, (60, 5, 2, 6, 6)).astype(np.uint8)
    part = Split(counts, np.arange(60) % 3)
    config = TrainConfig(data="toy", method="dsr", arch="20", timesteps=5, batch_size=12, without_spikes_epochs=1, neuron=IF)
    network = build(config, task)
    begin_without_spikes(
        network, config.optimizer.build(network.parameters()), config, Dataset(task, part, part, part, "toy"), CPU, progress=False
    )
    rectified = Rectified(network.eval())
    rectified(torch.from_numpy(counts.mean(1).astype(np.float32)))
    assert network.neuron("dense1").threshold.item() == pytest.approx(
        percentile(rectified.activations["dense1"].detach().numpy().ravel(), IF.percentile), rel=1e-4
    )


def test_what_it_is_not_for():
    with pytest.raises(InputError, match="needs batch_norm with method noise"):
        defaults_for("digits", method="noise", without_spikes_epochs=2)
    with pytest.raises(InputError, match="percentile is 0"):
        DSRConfig(percentile=0.0)
    with pytest.raises(InputError, match="has delays"):
        Rectified(build(TrainConfig(method="dsr", arch="8C3-20D3", neuron=IF), DATA.task))
    with pytest.raises(InputError, match="dense1 sends to itself, which a network without spikes has no time for"):
        Rectified(build(TrainConfig(arch="20R"), DATA.task))
