"""Fisher information over time: against brute force, on every layer kind, and where the answer is
known.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.networks.float_networks import ArctanSpike
from support.stated import PER_STEP
from torch import Tensor, nn

from spikeport.analysis.common.jsonable import from_json, to_json
from spikeport.analysis.information.fisher import FisherResult, fisher_information
from spikeport.analysis.information.scores import log_probabilities
from spikeport.export.common.errors import InputError
from spikeport.export.floating.run import FloatModule
from spikeport.export.model.network import FloatNetwork, FloatNeuron, Input, Population
from spikeport.export.model.synapse import Connection, Conv, Dense, Elementwise, Pool

STEPS, SAMPLES, CLASSES = 4, 5, 3


def integrate(currents: Tensor) -> Tensor:
    """Leaky integrate-and-fire over `(T, N, ...)`, reset to zero."""
    v, spikes = torch.zeros_like(currents[0]), []
    for a in currents:
        v = 0.5 * v + a
        s = ArctanSpike.apply(v - 0.3)
        v = v * (1 - s.detach())
        spikes.append(s)
    return torch.stack(spikes)


class LayerByLayer(nn.Module):
    """Static first convolution computed once for N samples, later layers on T*N rows."""

    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.normal = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 6, 2, stride=2, dilation=1, groups=groups)
        self.dense = nn.Linear(24, CLASSES)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        a = self.normal(self.first(x))
        s = integrate(a.expand(timesteps, *a.shape))
        s = integrate(self.second(s.flatten(0, 1)).unflatten(0, s.shape[:2]))
        return self.dense(s.flatten(2))


class StepByStep(nn.Module):
    """Layers called once per step, in one dimension, one of them recurrent."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 3, 3, stride=2, padding=1, bias=False)
        self.normal = nn.BatchNorm1d(12)
        self.loop = nn.Linear(12, 12, bias=False)
        self.dense = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        v = s = torch.zeros(x.shape[1], 12, dtype=x.dtype)
        outputs = []
        for t in range(timesteps):
            v = 0.7 * v + self.normal(self.conv(x[t]).flatten(1)) + self.loop(s)
            s = ArctanSpike.apply(v - 0.2)
            outputs.append(self.dense(s))
        return torch.stack(outputs)


def float_module() -> FloatModule:
    rng = np.random.default_rng(3)

    def population(name, shape, spiking=True, alpha=0.0):
        zero = np.zeros(shape[0]).reshape(-1, *(1,) * (len(shape) - 1))
        return Population(name, shape, FloatNeuron(alpha, 0.8, 0.2, zero + 0.1, spiking=spiking))

    network = FloatNetwork(
        input=Input("input", (2, 6, 6), low=0, high=255, scale=1 / 255),
        populations=(population("a", (4, 4, 4), alpha=0.3), population("b", (4, 2, 2)), population("out", (CLASSES,), spiking=False)),
        connections=(
            Connection("in", "input", "a", Conv(rng.normal(size=(4, 2, 3, 3)), (1, 1), (0, 0), (1, 1))),
            Connection("loop", "a", "a", Elementwise(rng.normal(size=(4, 1, 1))), delay=1),
            Connection("pooled", "a", "b", Conv(rng.normal(size=(4, 2, 1, 1)), (1, 1), (0, 0), (1, 1), 2), Pool((2, 2), (2, 2), (0, 0))),
            Connection("last", "b", "out", Dense(rng.normal(size=(CLASSES, 16)))),
        ),
        output="out",
        readout="accumulated_current",
        timesteps=STEPS,
        **PER_STEP,
    )
    return FloatModule(network, spike=ArctanSpike.apply, dtype=torch.float64)


def case(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(1)
    model, x = {
        "layers": lambda: (LayerByLayer(), torch.rand(SAMPLES, 1, 4, 4)),
        "groups": lambda: (LayerByLayer(groups=2), torch.rand(SAMPLES, 1, 4, 4)),
        "steps": lambda: (StepByStep(), torch.rand(STEPS, SAMPLES, 2, 8)),
        "float network, held": lambda: (float_module(), torch.rand(SAMPLES, 2, 6, 6)),
        "float network": lambda: (float_module(), torch.rand(STEPS, SAMPLES, 2, 6, 6)),
    }[name]()
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.running_mean.uniform_(-0.2, 0.2)
            layer.running_var.uniform_(0.5, 2)
    return model.double().eval(), x.double()


CASES = ["layers", "groups", "steps", "float network, held", "float network"]


def brute_force(model: nn.Module, x: Tensor, y: Tensor, readout: str) -> tuple[np.ndarray, np.ndarray]:
    """I_t and D_t by one autograd call per sample and timestep over all parameters."""
    parameters = list(model.parameters())
    total, change = np.zeros(STEPS), np.zeros(STEPS)
    for n in range(SAMPLES):
        one = x[n : n + 1] if len(x) == SAMPLES else x[:, n : n + 1]
        before = None
        for t in range(STEPS):
            score = log_probabilities(model(one, STEPS), readout)[t, 0, y[n]]
            found = torch.autograd.grad(score, parameters, allow_unused=True)
            flat = torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(parameters, found)])
            total[t] += float(flat.square().sum()) / SAMPLES
            change[t] += float((flat - before if before is not None else flat).square().sum()) / SAMPLES
            before = flat
    return total, change


@pytest.mark.parametrize("readout", ["mean", "sum", "last"])
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_a_loop_over_samples_and_timesteps(name, readout):
    model, x = case(name)
    y = torch.arange(SAMPLES) % CLASSES
    result = fisher_information(model, [(x, y)], STEPS, readout=readout)
    total, change = brute_force(model, x, y, readout)
    assert result.left_out == ()
    assert min(total) > 0
    np.testing.assert_allclose(result.per_step, total, rtol=1e-9)
    np.testing.assert_allclose(result.innovation, change, rtol=1e-9)
    np.testing.assert_allclose(np.sum(list(result.per_layer.values()), axis=0), total, rtol=1e-9)


def test_batches_add_up():
    model, x = case("layers")
    y = torch.arange(SAMPLES) % CLASSES
    whole = fisher_information(model, [(x, y)], STEPS)
    parts = fisher_information(model, [(x[:2], y[:2]), (x[2:], y[2:])], STEPS)
    np.testing.assert_allclose(parts.per_step, whole.per_step, rtol=1e-9)
    np.testing.assert_allclose(parts.standard_error, whole.standard_error, rtol=1e-9)
    assert parts.samples == SAMPLES


def test_sampled_labels_follow_their_seed():
    model, x = case("steps")
    y = torch.zeros(SAMPLES, dtype=torch.long)
    first, again, other = (fisher_information(model, [(x, y)], STEPS, labels="sampled", seed=s).per_step for s in (1, 1, 2))
    assert first == again != other


class FirstSteps(nn.Module):
    """A readout that listens to its input during the first k steps only, and is silent or repeats
    itself afterwards.
    """

    def __init__(self, k: int, after: str = "silent") -> None:
        super().__init__()
        self.k, self.after, self.dense = k, after, nn.Linear(6, CLASSES)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        heard = self.dense(x[: self.k])
        rest = heard.mean(0, keepdim=True) * (self.after == "repeating")
        return torch.cat([heard, rest.expand(timesteps - self.k, -1, -1)])


@pytest.mark.parametrize(("after", "readout"), [("silent", "sum"), ("repeating", "mean")])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_information_and_proposal_lie_where_the_network_listens(k, after, readout):
    torch.manual_seed(0)
    x, y = torch.randn(8, 64, 6).double(), torch.randint(CLASSES, (64,))
    result = fisher_information(FirstSteps(k, after).double(), [(x, y)], 8, readout=readout)
    assert min(result.innovation[:k]) > 1e-3
    assert max(result.innovation[k:]) < 1e-12
    np.testing.assert_allclose(result.per_step[k - 1 :], result.per_step[k - 1])
    assert result.proposal(share=1e-6) == k


def test_the_last_posterior_is_the_trained_one():
    outputs = torch.randn(STEPS, SAMPLES, CLASSES)
    trained = outputs.mean(0).log_softmax(1)
    torch.testing.assert_close(log_probabilities(outputs, "mean")[-1], trained)


def test_centroid_is_the_mean_step_weighted_by_information():
    result = FisherResult((4.0, 1.0, 1.0), (0.0,) * 3, (4.0, 1.0, 0.0), {}, 1, "true", "sum", 0)
    assert result.centroid == pytest.approx((1 * 4 + 2 + 3) / 6)
    assert result.to_come == pytest.approx((0.2, 0.0, 0.0))
    assert [result.proposal(0.2), result.proposal(0.1)] == [1, 2]


def test_parameters_that_are_not_understood_are_named():
    class Threshold(FirstSteps):
        def __init__(self):
            super().__init__(2)
            self.threshold = nn.Parameter(torch.ones(()))

    x, y = torch.randn(STEPS, 4, 6), torch.zeros(4, dtype=torch.long)
    assert fisher_information(Threshold(), [(x, y)], STEPS).left_out == ("threshold",)


def test_refuses_a_model_without_layers_and_no_data():
    with pytest.raises(InputError, match="no linear"):
        fisher_information(nn.Identity(), [], STEPS)
    with pytest.raises(InputError, match="at least one sample"):
        fisher_information(FirstSteps(1), [], STEPS)


def test_training_mode_is_restored_and_gradients_stay_untouched():
    model, x = case("layers")
    model.train()
    model.dense.eval()
    fisher_information(model, [(x, torch.zeros(SAMPLES, dtype=torch.long))], STEPS)
    assert model.training and model.first.training and not model.dense.training
    assert all(p.grad is None for p in model.parameters())


def test_json_round_trip():
    model, x = case("layers")
    result = fisher_information(model, [(x, torch.zeros(SAMPLES, dtype=torch.long))], STEPS)
    assert from_json(FisherResult, to_json(result)) == result
