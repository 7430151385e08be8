"""Samples side by side: the bits of Lava's stock process models, whatever the number of lanes,
groups and pieces.
"""

from __future__ import annotations

import numpy as np
import pytest
from support.oracles.lava_compare import differences
from support.stated import INT8

from spikeport.export.model.network import Connection, Conv, Dense, Input, IntegerNeuron, Noise, Pool, Population, QuantizedNetwork
from spikeport.hw.lava.batch import backend
from spikeport.hw.records.record import join_records
from spikeport.hw.records.stimulus import Stimulus, encode
from spikeport.hw.semantics import reference

pytest.importorskip("lava.magma.core.process.process")
pytestmark = pytest.mark.lava
LANE_STREAM = pytest.importorskip("spikeport.hw.lava.batch.stream")


def lif(threshold: int, **changes) -> IntegerNeuron:
    values = {"du": 2000, "dv": 300, "threshold": threshold, "bias_mantissa": 3} | changes
    return IntegerNeuron(**{k: np.int32(v) if type(v) is int else v for k, v in values.items()})


def plain() -> QuantizedNetwork:
    """What Lava's stock models run: convolution, folded pooling, a dense readout."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.integers(-60, 61, shape).astype(np.int8)  # noqa: E731
    populations = (Population("a", (3, 6, 6), lif(300)), Population("b", (5,), lif(200)))
    connections = (
        Connection("conv", "in", "a", Conv(draw(3, 2, 3, 3), (1, 1), (1, 1), (1, 1)), exponent=1),
        Connection("dense", "a", "b", Dense(draw(5, 27)), Pool((2, 2), (2, 2), (0, 0)), exponent=-1),
    )
    return QuantizedNetwork(Input("in", (2, 6, 6), high=3), populations, connections, "b", "spike_count", 5, **INT8)


def noisy() -> QuantizedNetwork:
    """Noise that counts samples, and a delayed loop that needs silence between groups."""
    rng = np.random.default_rng(1)
    weight = lambda *shape: rng.integers(-60, 61, shape).astype(np.int8)  # noqa: E731
    population = Population("a", (7,), lif(150, noise=Noise("uniform", 4000, seed=3)))
    connections = (Connection("w", "in", "a", Dense(weight(7, 4))), Connection("loop", "a", "a", Dense(weight(7, 7)), delay=2))
    return QuantizedNetwork(Input("in", (4,), low=-4, high=4), (population,), connections, "a", "spike_count", 4, **INT8)


def moving(network: QuantizedNetwork, samples: int) -> Stimulus:
    shape = (samples, network.timesteps, *network.input.shape)
    values = np.random.default_rng(samples).integers(network.input.low, network.input.high + 1, shape)
    return encode(network.input, values, network.timesteps)


def test_lanes_give_the_bits_of_the_stock_models():
    network = plain()
    stimulus = moving(network, 5)
    stock = backend.run(network, stimulus, "spikes", process_models="stock")
    assert stock.spikes["a"].any() and stock.spikes["b"].any()
    assert not differences(stock, backend.run(network, stimulus, "spikes"))


@pytest.mark.parametrize("make", [plain, noisy])
def test_groups_and_pieces_change_nothing(make, monkeypatch):
    """Two lanes, two groups on the tape at a time, the last group not full; noise counts from
    sample 10.
    """
    network = make()
    stimulus = moving(network, 17)[10:]
    side_by_side(monkeypatch, network, lanes=2, groups=2)
    done: list[int] = []
    record = backend.run(network, stimulus, "spikes", progress=done.append)
    assert not differences(reference.run(network, stimulus, "spikes"), record)
    assert done == [4, 3]


@pytest.mark.parametrize("make", [plain, noisy])
def test_parts_follow_each_other_in_one_run(make, monkeypatch):
    """Pieces of the tape end where parts do not; the one that nobody asks for any more is not run."""
    network = make()
    stimulus = moving(network, 11)
    side_by_side(monkeypatch, network, lanes=2, groups=2)
    parts = [stimulus[:2], stimulus[2:10], stimulus[10:]]
    expected = reference.run(network, stimulus, "spikes")
    assert not differences(expected, join_records((record for _, record in backend.records(network, parts, "spikes")), 11))
    some = backend.records(network, parts, "spikes")
    part, first = next(some)
    some.close()
    assert not differences(reference.run(network, part, "spikes"), first)


def chain(layers: int) -> QuantizedNetwork:
    """So many populations, each of which the one before drives."""
    names = [f"layer{i}" for i in range(layers)]
    weights = np.random.default_rng(0).integers(-60, 127, (layers, 6, 6)).astype(np.int8)
    populations = tuple(Population(name, (6,), lif(40)) for name in names)
    connections = tuple(Connection(f"to_{b}", a, b, Dense(w)) for a, b, w in zip(["in", *names], names, weights))
    return QuantizedNetwork(Input("in", (6,), high=3), populations, connections, names[-1], "spike_count", 1, **INT8)


def test_a_network_may_be_deeper_than_what_the_tape_holds(monkeypatch):
    """A group's last layer is at work when groups after the next one begin."""
    network = chain(5)
    stimulus = moving(network, 13)
    side_by_side(monkeypatch, network, lanes=2, groups=1)
    expected = reference.run(network, stimulus, "spikes")
    assert not differences(expected, backend.run(network, stimulus, "spikes"))
    assert expected.spikes["layer4"][6:].any()


def side_by_side(monkeypatch, network: QuantizedNetwork, lanes: int, groups: int) -> None:
    period = network.timesteps + max(c.delay for c in network.connections)
    monkeypatch.setattr(LANE_STREAM, "MAX_LANES", lanes)
    monkeypatch.setattr(LANE_STREAM, "TAPE_BYTES", period * lanes * groups * LANE_STREAM.bytes_per_row(network, []))


@pytest.mark.parametrize(("worthwhile", "samples", "lanes"), [(0, 9, 1), (40, 1, 1), (40, 9, 16), (40, 900, 32), (9000, 900, 256)])
def test_lanes_are_a_power_of_two(worthwhile, samples, lanes):
    assert LANE_STREAM.lanes_for(worthwhile, samples) == lanes


def test_held_input_and_a_single_sample():
    network = plain()
    values = np.random.default_rng(3).integers(0, 4, (1, *network.input.shape))
    stimulus = encode(network.input, values, 5)
    assert stimulus.held
    assert not differences(reference.run(network, stimulus, "potentials"), backend.run(network, stimulus, "potentials"))
