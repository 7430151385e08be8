"""SpikingJelly modules fire in the same bins after import.

Runs where SpikingJelly is (tested with 2.0.0 on Python 3.11).
"""

import numpy as np
import pytest
import torch
from torch import nn

from spikeport.export.common.errors import InputError
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.modules.spikingjelly import from_spikingjelly

neuron = pytest.importorskip("spikingjelly.activation_based.neuron", reason="SpikingJelly 2 needs Python 3.11")
functional = pytest.importorskip("spikingjelly.activation_based.functional")
layer = pytest.importorskip("spikingjelly.activation_based.layer")
T, N = 30, 3
RESETS = [None, 0.0, -0.25]


def made(kind, reset):
    if kind == "if":
        return neuron.IFNode(v_threshold=0.8, v_reset=reset)
    if kind == "plif":
        return neuron.ParametricLIFNode(init_tau=3.0, v_reset=reset, v_threshold=0.6)
    return neuron.LIFNode(tau=2.5, v_reset=reset, decay_input=kind == "lif-decay", v_threshold=0.6)


def network(kind, reset, mode):
    torch.manual_seed(5)
    net = nn.Sequential(
        layer.Conv2d(1, 4, 3, padding=1),
        layer.BatchNorm2d(4),
        made(kind, reset),
        layer.MaxPool2d(2),
        layer.Flatten(),
        layer.Linear(36, 6),
        made(kind, reset),
    ).eval()
    with torch.no_grad():
        for part in net:
            if hasattr(part, "weight"):
                part.weight *= 3
    functional.set_step_mode(net, mode)
    return net


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("kind", ["if", "lif", "lif-decay", "plif"])
def test_every_neuron_reset_and_step_mode_fires_in_the_same_bins(kind, reset, mode):
    net = network(kind, reset, mode)
    x = (torch.rand(T, N, 1, 6, 6) < 0.5).float()
    with torch.no_grad():
        theirs = net(x) if mode == "m" else torch.stack([net(step) for step in x])
    functional.reset_net(net)
    imported = from_spikingjelly(net, x, time_axis=0)
    ours = simulate_float(imported, x.transpose(0, 1).numpy(), T)["output"]
    assert theirs.sum() > 0
    np.testing.assert_array_equal(ours, theirs.transpose(0, 1).numpy())


def test_a_neuron_without_counterpart_is_refused_by_name():
    with pytest.raises(InputError, match="neuron 1 is a QIFNode"):
        from_spikingjelly(nn.Sequential(nn.Linear(3, 3), neuron.QIFNode()), torch.rand(2, 3))
