"""Imported snnTorch networks fire in the bins in which snnTorch 1.0 itself does, in float32 as
users run it, on random networks and input.

The import itself compares every neuron in float64 on its sample; here the output is compared again
on other input.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.networks.snntorch_modules import HIDDEN, IN, OUT, Loop, N, T, forget, louder, snn, spikes_in, stepped
from torch import nn

import spikeport as sp

RESETS = ["subtract", "zero", "none"]


def parameters(kind: str, form: str, n: int, seed: int) -> dict:
    """beta, alpha and threshold: one for all, one per neuron, or learned (and out of 0..1 for the
    clamp).
    """
    rng = torch.Generator().manual_seed(seed)
    draw = (
        (lambda low, high: low + (high - low) * float(torch.rand((), generator=rng)))
        if form != "neuron"
        else (lambda low, high: low + (high - low) * torch.rand(n, generator=rng))
    )
    options = {"beta": draw(0.4, 0.9), "threshold": draw(0.5, 1.2)}
    if "Synaptic" in kind:
        options["alpha"] = draw(0.3, 0.7)
    if form == "learned":
        options |= {"learn_beta": True, "learn_threshold": True, **({"beta": 1.3} if seed % 2 else {})}
    if kind.startswith("R"):
        options["linear_features"] = n
    return options


def sequential(kind: str, form: str, **options) -> nn.Module:
    torch.manual_seed(3)
    first, second = (getattr(snn, kind)(**parameters(kind, form, n, n + 1), init_hidden=True, **options) for n in (HIDDEN, OUT))
    return louder(nn.Sequential(nn.Linear(IN, HIDDEN), first, nn.Linear(HIDDEN, OUT), second), 2.0)


def differing(network, module: nn.Module, x: torch.Tensor) -> int:
    theirs = stepped(module, x)
    ours = sp.simulate_float(network, x.transpose(0, 1).numpy(), T)["output"]
    assert 0 < theirs.sum() < theirs.size
    return int((ours != theirs).sum())


@pytest.mark.parametrize("form", ["scalar", "neuron", "learned"])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("kind", ["Leaky", "Synaptic", "RLeaky", "RSynaptic"])
def test_every_neuron_reset_and_delay_fires_in_the_same_bins(kind, late, reset, form):
    module = sequential(kind, form, reset_mechanism=reset, reset_delay=late)
    if kind == "RSynaptic" and not late:  # snnTorch 1.0.0 itself cannot run it
        with pytest.raises(sp.InputError, match="the module itself fails"):
            sp.from_snntorch(module, spikes_in(0, IN), time_axis=0)
        return
    network = sp.from_snntorch(module, spikes_in(0, IN), time_axis=0)
    assert differing(network, module, spikes_in(1, IN)) == 0


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("options", [{"beta": 0.6}, {"R": 2.0, "C": 1.7}, {"beta": 0.6, "R": 1.5, "time_step": 0.5}])
def test_lapicque_fires_in_the_same_bins(reset, options):
    torch.manual_seed(2)
    make = lambda: snn.Lapicque(**options, threshold=0.4, reset_mechanism=reset, init_hidden=True)  # noqa: E731
    module = louder(nn.Sequential(nn.Linear(IN, HIDDEN), make(), nn.Linear(HIDDEN, OUT), make()))
    assert differing(sp.from_snntorch(module, spikes_in(0, IN), time_axis=0), module, spikes_in(1, IN)) == 0


def test_a_neuron_that_forgets_everything_still_resets_late():
    torch.manual_seed(2)
    module = louder(nn.Sequential(nn.Linear(IN, OUT), snn.Leaky(beta=0.0, init_hidden=True)))
    assert differing(sp.from_snntorch(module, spikes_in(0, IN), time_axis=0), module, spikes_in(1, IN)) == 0


@pytest.mark.parametrize("time", [0, 1, None])
@pytest.mark.parametrize(
    "make", [lambda n: snn.Leaky(beta=0.8), lambda n: snn.Synaptic(0.5, 0.7), lambda n: snn.RLeaky(0.7, V=torch.rand(n), all_to_all=False)]
)
def test_a_forward_that_loops_over_time_shows_its_time_axis(make, time):
    torch.manual_seed(4)
    module, x = louder(Loop(make, time)), spikes_in(1, IN)
    given = {0: x, 1: x.transpose(0, 1).contiguous(), None: x[0]}[time]
    with torch.no_grad():
        theirs = module(given)[0].transpose(0, 1).numpy()
    forget(module)
    network = sp.from_snntorch(module, given)
    ours = sp.simulate_float(network, (given.transpose(0, 1) if time == 0 else given).numpy(), T)["output"]
    assert network.timesteps == T and [p.name for p in network.populations] == ["lif1", "lif2"]
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("options", [{}, {"reset_delay": False}, {"reset_mechanism": "none"}])
@pytest.mark.parametrize("recurrent", [False, True])
def test_the_membrane_as_readout_is_snntorchs_own(options, recurrent):
    torch.manual_seed(6)
    module = louder(Loop(lambda n: snn.RLeaky(0.7, linear_features=n, **options) if recurrent else snn.Leaky(beta=0.7, **options)))
    x = spikes_in(2, IN)
    with torch.no_grad():
        theirs = module(x)[1].transpose(0, 1).numpy()
    network = sp.from_snntorch(module, x, readout="membrane")
    ours = sp.simulate_float(network, x.transpose(0, 1).numpy(), T)["output"]
    assert network.readout == "membrane_potential"
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def convolutional() -> nn.Module:
    torch.manual_seed(8)
    norm = nn.BatchNorm2d(6)
    module = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        norm,
        snn.Leaky(beta=torch.rand(6, 1, 1), init_hidden=True),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.AvgPool2d(2),
        snn.Leaky(beta=torch.rand(8, 1, 1), learn_beta=True, threshold=0.4, init_hidden=True),
        nn.AvgPool2d(3),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(8, OUT),
        snn.Leaky(beta=0.9, threshold=0.3, init_hidden=True, output=True),
    )
    for tensor, low in ((norm.running_mean, -0.2), (norm.running_var, 0.3), (norm.weight.data, 0.5), (norm.bias.data, -0.2)):
        tensor.uniform_(low, low + 0.5)
    return louder(module, 2.0)


def test_convolution_batch_norm_pooling_dropout_and_flatten_in_one_network():
    module, x = convolutional(), spikes_in(3, 1, 12, 12)
    network = sp.from_snntorch(module, x, time_axis=0)
    assert [p.name for p in network.populations] == ["2", "2_max_pool", "6", "11"]
    assert network["6"].neuron.beta.shape == (8, 1, 1)
    assert differing(network, module, spikes_in(4, 1, 12, 12)) == 0


def test_one_axis_convolution_and_pooling():
    torch.manual_seed(9)
    module = louder(
        nn.Sequential(
            nn.BatchNorm1d(2), nn.Conv1d(2, 6, 3, padding=1), nn.AvgPool1d(2), snn.Leaky(beta=0.7, init_hidden=True), nn.MaxPool1d(2),
            nn.Flatten(), nn.Linear(18, OUT), snn.Leaky(beta=0.7, init_hidden=True),
        )
    )  # fmt: skip
    module[0].bias.data.fill_(0.3)  # a bias ahead of padding: the border differs
    x = spikes_in(5, 2, 12)
    assert differing(sp.from_snntorch(module, x, time_axis=0), module, x) == 0


class Tangle(nn.Module):
    """One neuron module for two layers, recurrence and a skip by hand, and a readout of current."""

    def __init__(self) -> None:
        super().__init__()
        self.fc0, self.fc1, self.rec, self.out = (
            nn.Linear(IN, HIDDEN),
            nn.Linear(HIDDEN, HIDDEN),
            nn.Linear(HIDDEN, HIDDEN),
            nn.Linear(HIDDEN, OUT),
        )
        self.norm, self.lif = nn.BatchNorm1d(HIDDEN), snn.Leaky(beta=0.8)

    def forward(self, x):
        mem0, mem1, spk1, currents = torch.zeros(1), torch.zeros(1), torch.zeros(N, HIDDEN), []
        for step in x:
            spk0, mem0 = self.lif(self.fc0(step), mem0)
            spk1, mem1 = self.lif(self.norm(self.fc1(spk0) * 0.5) + spk0 - 0.25 + self.rec(spk1), mem1)
            currents.append(self.out(spk1 - spk0))
        return torch.stack(currents)


def test_a_plain_module_with_skips_recurrence_and_a_shared_neuron():
    torch.manual_seed(10)
    module, x = louder(Tangle()), spikes_in(6, IN)
    with torch.no_grad():
        theirs = module(x).transpose(0, 1).numpy()
    network = sp.from_snntorch(module, x)
    assert {(c.source, c.target, c.delay) for c in network.connections} == {
        ("input", "lif", 0), ("lif", "lif_2", 0), ("lif_2", "lif_2", 1), ("lif_2", "readout", 0), ("lif", "readout", 0)
    }  # fmt: skip
    np.testing.assert_allclose(sp.simulate_float(network, x.transpose(0, 1).numpy(), T)["output"], theirs, rtol=1e-4, atol=1e-4)


def test_one_timestep_with_states_as_arguments():
    class Step(Loop):
        def forward(self, x, mem1, mem2):
            spk, mem1 = self.lif1(self.fc1(x), mem1)
            spk, mem2 = self.lif2(self.fc2(spk), mem2)
            return spk, mem1, mem2

    torch.manual_seed(11)
    module, x, theirs = louder(Step()), spikes_in(7, IN), []
    mem1, mem2 = torch.zeros(N, HIDDEN), torch.zeros(N, OUT)
    network = sp.from_snntorch(module, (x, mem1, mem2), time_axis=0)
    with torch.no_grad():
        for step in x:
            spk, mem1, mem2 = module(step, mem1, mem2)
            theirs.append(spk)
    np.testing.assert_array_equal(sp.simulate_float(network, x.transpose(0, 1).numpy(), T)["output"], torch.stack(theirs, 1).numpy())


def test_the_users_module_is_left_as_it_was():
    module, x = sequential("Leaky", "scalar").train(), spikes_in(0, IN)
    module(x[0]).sum().backward()
    mem, state = module[1].mem, {k: v.clone() for k, v in module.state_dict().items()}
    sp.from_snntorch(module, x, time_axis=0)
    assert module.training and module[1].mem is mem and next(module.parameters()).dtype == torch.float32
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items()) and not module[0]._forward_hooks


class FunctionBetween(nn.Module):
    def __init__(self, between) -> None:
        super().__init__()
        self.fc, self.lif, self.between = nn.Linear(IN, OUT), snn.Leaky(beta=0.8, init_hidden=True), between

    def forward(self, x):
        return self.lif(self.between(self, self.fc(x)))


CURRENT_POOL = nn.Sequential(nn.Conv1d(1, 2, 3), nn.MaxPool1d(2), snn.Leaky(beta=0.5, init_hidden=True))
REFUSALS = {
    "neuron 1 is a Alpha: its potential is the difference": lambda: nn.Sequential(nn.Linear(IN, 3), snn.Alpha(0.8, 0.5, init_hidden=True)),
    "layer 2: max pooling of anything but spikes": lambda: nn.Sequential(nn.Unflatten(1, (1, IN)), *CURRENT_POOL),
    "neuron lif reads the result of relu": lambda: FunctionBetween(lambda self, x: torch.relu(x)),
    "layer dropout|dropout is active": lambda: FunctionBetween(lambda self, x: torch.dropout(x, 0.5, True)),
    "statistics of the batch": lambda: nn.Sequential(nn.BatchNorm1d(IN, track_running_stats=False), snn.Leaky(beta=0.5, init_hidden=True)),
    "neuron 0: inhibition": lambda: nn.Sequential(snn.Leaky(beta=0.5, init_hidden=True, inhibition=True)),
    "neuron 0: graded_spikes_factor": lambda: nn.Sequential(snn.Leaky(beta=0.5, init_hidden=True, graded_spikes_factor=2.0)),
    "neuron 0: its threshold is -1": lambda: nn.Sequential(snn.Leaky(beta=0.5, init_hidden=True, threshold=-1.0)),
    "neuron 0: its spike_grad": lambda: nn.Sequential(snn.Leaky(beta=0.5, init_hidden=True, spike_grad=torch.sigmoid)),
    "neuron 0: a Lapicque step keeps": lambda: nn.Sequential(snn.Lapicque(beta=0.2, init_hidden=True)),
    "no snntorch neuron": lambda: nn.Sequential(nn.Linear(IN, OUT)),
    "the module itself fails": lambda: nn.Sequential(nn.Linear(IN + 1, OUT), snn.Leaky(beta=0.5, init_hidden=True)),
}


@pytest.mark.filterwarnings("ignore:Inhibition")
@pytest.mark.parametrize("reason", REFUSALS)
def test_what_cannot_be_equal_is_refused_by_name(reason):
    with pytest.raises(sp.InputError, match=reason) as raised:
        sp.from_snntorch(REFUSALS[reason]().eval(), spikes_in(0, IN), time_axis=0)
    assert "\n" not in str(raised.value)


def test_a_time_axis_that_was_not_said_is_asked_for():
    with pytest.raises(sp.InputError, match=r"layer 0: .*say time_axis"):
        sp.from_snntorch(sequential("Leaky", "scalar"), spikes_in(0, IN))


def test_a_forward_that_does_something_unseen_is_caught_by_its_spikes():
    def halve_by_numpy(self, x):
        with torch.no_grad():
            x.data.numpy()[...] *= 0.5  # no torch function
        return x

    with pytest.raises(sp.InputError, match=r"bins differ from the module's own spikes, first at timestep"):
        sp.from_snntorch(louder(FunctionBetween(halve_by_numpy)), spikes_in(0, IN), time_axis=0)
