"""Many samples are kept as means of a few each: no mean changes, and no interval becomes another."""

from __future__ import annotations

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus

from spikeport.analysis.cost import averages
from spikeport.analysis.cost.devices import device_named
from spikeport.analysis.cost.estimate import estimate_cost, estimate_cost_of_parts
from spikeport.analysis.cost.profile import profile_cores
from spikeport.analysis.cost.result import Cost
from spikeport.hw.backends.simulate import backend
from spikeport.hw.records.stimulus import Stimulus

LOIHI2 = device_named("loihi2")


def case(seed: int, samples: int):
    """A network whose layers are busy in turn, and its record."""
    network = random_network(seed)
    one = random_stimulus(seed, network)
    picked = np.random.default_rng(seed).integers(len(one), size=samples)
    stimulus = Stimulus(one.values[picked], one.timesteps, one.held)
    return network, backend("engine")(network, stimulus), profile_cores(network, stimulus[:4], LOIHI2)


def means(cost: Cost) -> list[float]:
    """Every number that is a mean over samples."""
    bands = (cost.dynamic, cost.total, cost.latency, cost.pipelined)
    return [
        *(x for band in bands for x in band.mean),
        *(x for term in cost.terms for x in term.count),
        *cost.step.values(),
        *cost.waits.values(),
        *(x for layer in cost.layers for x in (layer.bottleneck, *layer.energy, *layer.operations, *layer.resources.values())),
        *(x for s in cost.sensitivity if s.name != "which samples came" for x in (s.low, s.high)),
        *(x for base in cost.baselines for layer in base.layers for x in layer.spiking),
    ]


@pytest.mark.parametrize("seed", [0, 3, 5])
@pytest.mark.parametrize("samples", [64, 61])
def test_means_are_those_of_all_samples(seed, samples, monkeypatch):
    network, record, loads = case(seed, samples)
    whole = estimate_cost(network, record, LOIHI2, loads=loads)
    monkeypatch.setattr(averages, "UNITS", 16)
    few = estimate_cost(network, record, LOIHI2, loads=loads)
    assert few.samples == whole.samples == samples
    names = lambda cost: sorted(s.name for s in cost.sensitivity)  # noqa: E731
    assert names(few) == names(whole)
    np.testing.assert_allclose(sorted(means(few)), sorted(means(whole)), rtol=1e-9)
    width = lambda band: np.subtract(band.high, band.low)[-1]  # noqa: E731
    assert width(few.total) == pytest.approx(width(whole.total), rel=0.3)


def test_parts_are_the_whole_bit_for_bit():
    network, record, loads = case(3, 30)
    parts = (record[start : start + 8] for start in range(0, 30, 8))
    assert estimate_cost_of_parts(network, parts, 30, LOIHI2, loads=loads) == estimate_cost(network, record, LOIHI2, loads=loads)
