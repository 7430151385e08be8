"""The price of stopping early: by hand with what is under way in the pipeline, and against the
price of a fixed T.
"""

from __future__ import annotations

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus
from support.oracles.hand_costs import CORES, LOIHI1, LOIHI2
from support.stated import INT8

from spikeport.analysis.cost.devices import ACCESS, INJECTION, MANAGEMENT
from spikeport.analysis.cost.estimate import estimate_cost
from spikeport.analysis.cost.exit_cost import exit_cost
from spikeport.export.model.network import Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Dense
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference


def chain() -> QuantizedNetwork:
    """One input -> neuron a -> neuron b; every spike makes the next one fire at once.

    Depths 1 and 2.
    """
    neuron = IntegerNeuron(du=np.array(4095), dv=np.array(0), threshold=np.array(9), bias_mantissa=np.array(0))
    weight = Dense(np.array([[10]], np.int8))
    return QuantizedNetwork(
        input=Input("input", (1,), low=0, high=1),
        populations=(Population("a", (1,), neuron), Population("b", (1,), neuron)),
        connections=(Connection("in", "input", "a", weight), Connection("ab", "a", "b", weight)),
        output="b",
        readout="spike_count",
        timesteps=3,
        **INT8,
    )


def test_energy_and_latency_by_hand():
    """Spikes at timestep 1 and 2 of 3 go in.

    A sample that stops after 1 has run hardware steps 0 to 2.

    Hardware step:  0            1                    2                      3                 4
    a (depth 1)     visited      timestep 1: event    timestep 2: event      timestep 3
    (visited) b (depth 2)     visited      visited              timestep 1: event      timestep 2:
    event timestep 3
    """
    network = chain()
    record = reference.run(network, encode(network.input, np.array([[[1], [1], [0]]] * 3), 3))
    event = 35.5 + 51.2 + 21.6 + 69.3  # synapse, visit, update, spike
    axon = 111.0  # a's spike leaves for b's core; b's goes nowhere
    steps = [2 * 51.2, event + axon + 51.2, 2 * event + axon, event + 51.2, 2 * 51.2]
    one, two, three = (exit_cost(network, record, CORES, np.full(3, t)) for t in (1, 2, 3))
    assert one.dynamic.mean[0] == pytest.approx(1e-12 * sum(steps[:3]))
    assert two.dynamic.mean[0] == pytest.approx(1e-12 * sum(steps[:4]))
    assert three.dynamic.mean[0] == pytest.approx(1e-12 * sum(steps))

    a = 3.8 + 6.0 + 3.7 + 30.0 + 5.1 + 16.0  # nanoseconds of an event: synapse, visit, update, spike, out, in
    b = a - 5.1
    latency = 1e-9 * (6.0 + a + max(a, b) + 3 * 600.0)
    assert one.latency.mean[0] == pytest.approx(latency)
    assert one.total.mean[0] == pytest.approx(one.dynamic.mean[0] + latency * 0.0295)
    mixed = exit_cost(network, record, CORES, np.array([1, 2, 3]))
    for what in ("dynamic", "total", "latency"):
        alone = [getattr(cost, what).mean[0] for cost in (one, two, three)]
        assert getattr(mixed, what).mean[0] == pytest.approx(np.mean(alone))
        assert getattr(mixed, what).low[0] < getattr(mixed, what).mean[0] < getattr(mixed, what).high[0]

    whole = exit_cost(network, record, LOIHI1, np.full(3, 1))  # three hardware steps of management; messages of timesteps 1 and 2
    joule, second = (prices[MANAGEMENT].value for prices in (LOIHI1.energy, LOIHI1.time))
    assert whole.dynamic.mean[0] - one.dynamic.mean[0] == pytest.approx(1e-12 * 3 * joule)
    assert whole.latency.mean[0] - latency == pytest.approx(1e-9 * (3 * second + 2 * LOIHI1.time[INJECTION].value))


@pytest.mark.parametrize("seed", range(8))
def test_stopping_at_t_is_running_all_of_it(seed):
    """The latency is that of T timesteps; the energy is more by the visits of neurons that have no
    timestep yet, or no more.
    """
    network = random_network(seed)
    record = reference.run(network, random_stimulus(seed, network))
    fixed = estimate_cost(network, record, LOIHI2)
    found = [exit_cost(network, record, LOIHI2, np.full(len(record), t)) for t in range(1, record.timesteps + 1)]
    idle = fixed.depth * sum(p.size for p in network.populations) * LOIHI2.energy[ACCESS].value * 1e-12
    assert found[-1].latency.mean[0] == pytest.approx(fixed.latency.mean[-1])
    assert found[-1].dynamic.mean[0] == pytest.approx(fixed.dynamic.mean[-1] + idle)
    for t, cost in enumerate(found):
        assert cost.latency.mean[0] >= fixed.latency.mean[t] * (1 - 1e-9)
        assert cost.dynamic.mean[0] >= fixed.dynamic.mean[t] * (1 - 1e-9)
