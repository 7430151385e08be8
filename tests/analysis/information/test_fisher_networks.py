"""Fisher information of networks that were made by the trainer, of both estimators, and its
confidence intervals.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikeport.analysis.common.bootstrap import bca_intervals
from spikeport.analysis.information.fisher import FisherResult, centroid, fisher_information, normalised, share_to_come
from spikeport.analysis.information.scores import log_probabilities
from spikeport.export.common.errors import InputError
from spikeport.train.data.registry import Task
from spikeport.train.network.build import build
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.neurons.noise import calibrating
from spikeport.train.neurons.stbp import parametric_lif
from spikeport.train.settings.config import defaults_for

STEPS, SAMPLES = 3, 6
TASK = Task("digits", (1, 8, 8), 10, 17)


def network(method: str, **changes) -> nn.Module:
    """A tiny network with BatchNorm statistics and gains that are not those of the start."""
    module = build(defaults_for("digits", method=method, **{"arch": "4C3-P2-6C3-12", "timesteps": STEPS} | changes), TASK).double().eval()
    generator = torch.Generator().manual_seed(1)
    for name, tensor in module.state_dict().items():
        if "norm" in name and tensor.is_floating_point():
            tensor.uniform_(0.5, 2, generator=generator)
    return module


def data(samples: int = SAMPLES) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.rand(samples, 1, 8, 8, generator=generator).double(), torch.arange(samples) % 10


def gradients(model: nn.Module, x: Tensor, y: Tensor, fresh: bool) -> list[dict[str, Tensor]]:
    """Of the mean log p after every timestep, by autograd alone."""
    found = []
    for t in range(1, STEPS + 1):
        log_p = log_probabilities(model(x, t if fresh else STEPS), "mean")[t - 1]
        score = log_p.gather(1, y[:, None]).mean()
        found.append(
            dict(
                zip(
                    dict(model.named_parameters()),
                    torch.autograd.grad(score, list(model.parameters()), materialize_grads=True, allow_unused=True),
                )
            )
        )
    return found


def squared(parts: dict[str, Tensor], names) -> float:
    return sum(float(parts[name].square().sum()) for name in names)


def brute_force(model: nn.Module, x: Tensor, y: Tensor, fresh: bool, unit: int, names) -> tuple[np.ndarray, np.ndarray]:
    """I_t and D_t over the named parameters, from the mean gradient of every `unit` samples."""
    total, change = np.zeros(STEPS), np.zeros(STEPS)
    starts = range(0, len(x), unit)
    for start in starts:
        over_time = gradients(model, x[start : start + unit], y[start : start + unit], fresh)
        before = {name: torch.zeros_like(g) for name, g in over_time[0].items()}
        for t, now in enumerate(over_time):
            total[t] += squared(now, names) / len(starts)
            change[t] += squared({name: now[name] - before[name] for name in names}, names) / len(starts)
            before = now
    return total, change


NETWORKS = {
    "stbp": ("stbp", {}),
    "no BatchNorm": ("stbp", {"batch_norm": False}),
    "tdBN": ("stbp", {"tdbn_alpha": 1.5}),
    "learned tau": ("stbp", {"neuron": parametric_lif()}),
    "dsr": ("dsr", {}),
    "tssl-bp": ("tssl-bp", {}),
    "residual": ("stbp", {"arch": "preact-resnet-20"}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_trained_networks_agree_with_a_loop(name):
    method, changes = NETWORKS[name]
    model, (x, y) = network(method, **changes), data(2 if name == "residual" else SAMPLES)
    fresh = isinstance(model.neuron_config, DSRConfig)
    result = fisher_information(model, [(x, y)], STEPS, fresh=fresh)
    names = [n for n, _ in model.named_parameters() if n not in result.left_out]
    assert all("neurons." in n for n in result.left_out) and bool(result.left_out) == (name in ("learned tau", "dsr"))
    total, change = brute_force(model, x, y, fresh, 1, names)
    assert min(total) > 0 and max(change) > 0
    np.testing.assert_allclose(result.per_step, total, rtol=1e-9)
    np.testing.assert_allclose(result.innovation, change, rtol=1e-9, atol=1e-12 * max(total))


@pytest.mark.parametrize(("name", "unit"), [("stbp", 3), ("learned tau", 2), ("dsr", 3)])
def test_the_batch_estimator_agrees_with_a_loop_over_batches(name, unit):
    method, changes = NETWORKS[name]
    model, (x, y) = network(method, **changes), data()
    batches = [(x[i : i + unit], y[i : i + unit]) for i in range(0, SAMPLES, unit)]
    result = fisher_information(model, batches, STEPS, estimator="batch", fresh=method == "dsr")
    total, change = brute_force(model, x, y, method == "dsr", unit, dict(model.named_parameters()))
    assert (result.left_out, result.batch, result.samples) == ((), unit, SAMPLES)
    np.testing.assert_allclose(result.per_step, total, rtol=1e-9)
    np.testing.assert_allclose(result.innovation, change, rtol=1e-9)


def test_a_batch_of_one_is_the_sample_estimator():
    model, (x, y) = network("stbp"), data()
    alone = [(x[i : i + 1], y[i : i + 1]) for i in range(SAMPLES)]
    batch, sample = fisher_information(model, alone, STEPS, estimator="batch"), fisher_information(model, [(x, y)], STEPS)
    for field in ("per_step", "innovation", "standard_error"):
        np.testing.assert_allclose(getattr(batch, field), getattr(sample, field), rtol=1e-9)
    for field in ("per_layer", "per_block", "per_group"):
        ours, theirs = getattr(batch, field), getattr(sample, field)
        assert ours.keys() == theirs.keys()
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9)


def test_groups_and_blocks_are_sums_over_their_parameters():
    model, (x, y) = network("stbp"), data()
    result = fisher_information(model, [(x, y)], STEPS, block=lambda layer: layer.split(".")[1])
    named = [n for n, _ in model.named_parameters()]
    groups = {
        "weights": [n for n in named if n.endswith("weights.weight")],
        "biases": [n for n in named if n.endswith("weights.bias")],
        "BatchNorm": [n for n in named if ".norm." in n],
    }
    blocks = {stage: [n for n in named if n.split(".")[1] == stage] for stage in ("conv1", "conv2", "dense1", "readout")}
    assert sorted(chain(*groups.values())) == sorted(named) == sorted(chain(*blocks.values()))
    for expected, found in ((groups, result.per_group), (blocks, result.per_block)):
        assert set(found) == set(expected)
        for name, members in expected.items():
            np.testing.assert_allclose(found[name], brute_force(model, x, y, False, 1, members)[0], rtol=1e-9)


@pytest.mark.parametrize("method", ["stbp", "tssl-bp"])
def test_a_run_for_every_timestep_finds_the_same_where_gradients_are_causal(method):
    model, (x, y) = network(method), data()
    shared, fresh = (fisher_information(model, [(x, y)], STEPS, fresh=f) for f in (False, True))
    np.testing.assert_allclose(fresh.per_step, shared.per_step, rtol=1e-9)
    np.testing.assert_allclose(fresh.innovation, shared.innovation, rtol=1e-9)


@pytest.mark.parametrize("fresh", [False, True])
def test_little_memory_changes_nothing(monkeypatch, fresh):
    model, (x, y) = network("stbp"), data()
    whole = fisher_information(model, [(x, y)], STEPS, fresh=fresh)
    monkeypatch.setattr("spikeport.analysis.information.scores.GRADIENT_BYTES", 1)
    pieces = fisher_information(model, [(x, y)], STEPS, fresh=fresh)
    np.testing.assert_allclose(pieces.per_step, whole.per_step, rtol=1e-12)
    np.testing.assert_allclose(pieces.innovation, whole.innovation, rtol=1e-9)


def test_noise_follows_the_seed_and_leaves_torchs_generator_alone():
    model, (x, y) = network("noise"), data()
    with calibrating(model):
        model(x, STEPS)
    state = torch.get_rng_state()
    first, again, other = (fisher_information(model, [(x, y)], STEPS, seed=s).per_step for s in (1, 1, 2))
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), state)


def test_batches_of_several_sizes_are_refused():
    x, y = data()
    with pytest.raises(InputError, match="one size"):
        fisher_information(network("stbp"), [(x[:4], y[:4]), (x[4:], y[4:])], STEPS, estimator="batch")


def test_normalised_views():
    curves = {"a": (1.0, 3.0), "none": (0.0, 0.0)}
    assert normalised(curves) == {"a": (1 / 3, 1.0), "none": (0.0, 0.0)}
    assert normalised(curves, by="sum") == {"a": (0.25, 0.75), "none": (0.0, 0.0)}


def test_intervals_lie_around_their_estimates():
    model, (x, y) = network("stbp"), data(40)
    result = fisher_information(model, [(x, y)], STEPS)
    limits = result.intervals
    assert limits and limits.centroid[0] < result.centroid < limits.centroid[1]
    for (low, high), value in zip((*limits.per_step, *limits.to_come), (*result.per_step, *result.to_come)):
        assert low < value < high or low == value == high == 0
    assert fisher_information(model, [(x[:1], y[:1])], STEPS).intervals is None


def test_intervals_cover_the_truth():
    """Squared gradients as skewed as a log-normal of deviation 1: 95 % limits hold the true values
    in about 95 % of 400 draws.
    """
    rng, mean = np.random.default_rng(3), np.array([1.0, 2.0, 0.5])
    statistic = lambda m: np.concatenate([m, share_to_come(m), centroid(m)[..., None]], axis=-1)  # noqa: E731
    truth, draws, held = statistic(mean), 400, 0
    for seed in range(draws):
        common, own = rng.normal(size=(120, 1)), rng.normal(size=(120, 3))
        units = mean * np.exp(0.8 * common + 0.6 * own - 0.5)
        limits = bca_intervals(units, statistic, confidence=0.95, seed=seed, resamples=500)
        held = held + ((limits[:, 0] <= truth) & (truth <= limits[:, 1]))
    # A log-normal mean from 120 samples is a hard case: nominal within 5 points, and not by being
    # too wide.
    assert (held / draws >= 0.90).all(), held / draws
    assert (np.delete(held, 5) / draws <= 0.985).all(), held / draws  # nothing is ever to come after the last step


def test_without_information_there_is_no_centroid_and_no_proposal():
    empty = FisherResult((0.0,) * 3, (0.0,) * 3, (0.0,) * 3, {}, 1, "true", "mean", 0)
    assert not empty.informative and empty.to_come == (0.0,) * 3 and empty.centroid is empty.proposal() is None
