"""Bounds on current and potential hold for what the integers really do."""

from __future__ import annotations

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus
from support.stated import INT8

from spikeport.export.model.network import Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Conv, Dense, Elementwise, Pool
from spikeport.export.quantization.report import integer_bounds
from spikeport.export.quantization.state_bounds import sum_range
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference


def test_rounding_down_piles_up_within_the_bound():
    """Weight -1 at exponent -1: every spike takes a whole unit off a current that never decays,
    into a potential that never leaks.

    u = -1, -2, .. -T and v their sum, -T (T + 1) / 2 weight units; without the rounding it would be
    half of that.
    """
    steps = 20
    never = IntegerNeuron(np.int32(-1), np.int32(0), np.int32(100), np.int32(0), spiking=False)
    connection = Connection("w", "input", "n", Dense(np.array([[-1]], np.int8)), exponent=-1)
    network = QuantizedNetwork(
        Input("input", (1,)), (Population("n", (1,), never),), (connection,), "n", "membrane_potential", steps, **INT8
    )
    record = reference.run(network, encode(network.input, np.ones((1, 1), np.uint8), steps), "potentials")
    assert record.potentials["n"].min() == -64 * steps * (steps + 1) // 2
    assert integer_bounds(network)["n"].potential >= steps * (steps + 1) // 2


@pytest.mark.parametrize("seed", range(40))
def test_no_run_leaves_its_bounds(seed):
    network = random_network(seed)
    record = reference.run(network, random_stimulus(seed, network), "potentials")
    for p in network.populations:
        if any(record.overflows.values()):
            continue
        kept = np.abs(p.neuron.reset_value) * (p.neuron.reset == "value")
        most = np.maximum(integer_bounds(network)[p.name].potential / p.scale, kept) * 64
        assert (np.abs(record.potentials[p.name]) <= most * (1 + 1e-9)).all(), p.name


@pytest.mark.parametrize(
    "op",
    [
        Dense(np.array([[3, -2, 0, 5], [-1, -1, -1, -1]], np.int8)),
        Elementwise(np.array([[-4], [7]], np.int8)),
        Conv(np.array([[[2, -3]], [[-5, 0]]], np.int8), (1,), (0,), (1,), groups=2),
    ],
)
@pytest.mark.parametrize("pool", [None, Pool((2,), (2,), (0,))])
def test_the_range_of_a_sum_is_reached_and_never_left(op, pool):
    """All messages of -2 and 3 in every combination, through the reference."""
    source = (2, 4) if pool else (2, 2)
    connection = Connection("c", "a", "b", op, pool)
    cases = np.stack(np.meshgrid(*[(-2, 3)] * int(np.prod(source)), indexing="ij"), -1).reshape(-1, *source)
    sums = reference.synaptic_current(connection, cases)
    low, high = sum_range(connection, -2, 3)
    assert low.dtype == high.dtype == np.int64
    np.testing.assert_array_equal(np.broadcast_to(low, sums.shape[1:]), sums.min(axis=0))
    np.testing.assert_array_equal(np.broadcast_to(high, sums.shape[1:]), sums.max(axis=0))
