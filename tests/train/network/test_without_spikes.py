"""The network without spikes: its numbers lie on the grids of its bits, and it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikeport.export.common.errors import InputError
from spikeport.train.data.registry import Task, load
from spikeport.train.loop.without_spikes import train_without_spikes
from spikeport.train.network.without_spikes import WEIGHT_LEVELS, Activation, NetworkWithoutSpikes
from spikeport.train.settings.config import TrainConfig, defaults_for


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_activations_take_as_many_values_as_they_have_bits(bits):
    activation = Activation(bits)
    x = torch.linspace(-2, 6, 4001, requires_grad=True)
    y = activation(x)
    levels = y.detach() / activation.clip.detach() * (2**bits - 1)
    np.testing.assert_allclose(levels, levels.round(), atol=1e-4)
    assert len(levels.round().unique()) == 2**bits and y.min() == 0 and y.max().item() == pytest.approx(activation.clip.item())
    y.sum().backward()
    inside = (x.detach() > 0) & (x.detach() < activation.clip.detach())
    np.testing.assert_array_equal(x.grad[inside], 1)
    assert x.grad[~inside].abs().sum() <= 1  # the clip itself may lie on a point
    assert activation.clip.grad.item() == pytest.approx((x.detach() > activation.clip.detach()).sum().item(), abs=1)


@pytest.mark.parametrize("arch", ["8C3-MP2-16", "resnet-18", "preact-resnet-20"])
def test_every_kind_of_network_has_one_without_spikes(arch):
    data = load("digits", None, 0, 4, defaults_for("digits").events)
    network = NetworkWithoutSpikes(defaults_for("digits", arch=arch), data.task, 4).eval()
    with torch.no_grad():
        out = network(torch.from_numpy(data.test.images[:3]))
    assert out.shape == (1, 3, 10) and out.isfinite().all()
    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            weight = module.weight.detach()
            levels = weight / weight.abs().max() * WEIGHT_LEVELS
            np.testing.assert_allclose(levels, levels.round(), atol=1e-2)


@pytest.mark.parametrize(("arch", "why"), [("20D8-20D8", "has delays"), ("20R", "sends to itself")])
def test_networks_that_need_time_have_none(arch, why):
    with pytest.raises(InputError, match=f"{why}, which a network without spikes has no time for; it has no baseline"):
        NetworkWithoutSpikes(TrainConfig(arch=arch), Task("toy", (2, 6, 6), 4, 3, "events"), 4)


def test_it_learns_and_gives_the_same_again():
    config = defaults_for("digits", epochs=4, arch="100")
    data = load("digits", None, 0, 4, config.events)
    found, again = (train_without_spikes(config, data, 3, progress=False) for _ in range(2))
    assert found == again and found.bits == 3 and found.test > 0.85
    assert found.test != train_without_spikes(config, data, 1, progress=False).test
