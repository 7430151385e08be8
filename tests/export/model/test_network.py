"""The network description: validation, schedule, noise bits, fan-out against brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.networks.dense_form import unrolled
from support.networks.random_networks import random_network, random_stimulus
from support.stated import INT8

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import Input, IntegerNeuron, Noise, Population, QuantizedNetwork
from spikeport.export.model.noise import sample_noise
from spikeport.export.model.synapse import Connection, Conv, Dense
from spikeport.hw.records.fanout import fan_out
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference


def neuron(**changes) -> IntegerNeuron:
    values = {"du": np.int32(4095), "dv": np.int32(0), "threshold": np.int32(10), "bias_mantissa": np.int32(0)} | changes
    return IntegerNeuron(**values)


def dense(name: str, source: str, target: str, rows: int, columns: int, **changes) -> Connection:
    return Connection(name, source, target, Dense(np.ones((rows, columns), np.int8)), **changes)


def network(connections, names=("a", "b"), size: int = 2) -> QuantizedNetwork:
    populations = tuple(Population(n, (size,), neuron()) for n in names)
    return QuantizedNetwork(Input("input", (size,)), populations, tuple(connections), names[-1], "spike_count", 4, **INT8)


def test_populations_are_put_in_order_of_update():
    made = network([dense("1", "input", "b", 2, 2), dense("2", "b", "a", 2, 2)], names=("a", "b"))
    assert [p.name for p in made.populations] == ["b", "a"]
    assert made.depths == {"input": 0, "b": 1, "a": 2}


def test_a_short_path_waits_on_hardware():
    skip = dense("skip", "input", "b", 2, 2)
    made = network([dense("1", "input", "a", 2, 2), dense("2", "a", "b", 2, 2), skip])
    assert made.hardware_delay(skip) == 2


def test_a_loop_needs_delay_and_the_hardware_needs_one_step_per_connection():
    forward = [dense("1", "input", "a", 2, 2), dense("2", "a", "b", 2, 2)]
    with pytest.raises(InputError, match="loop without delay"):
        network([*forward, dense("back", "b", "a", 2, 2)])
    with pytest.raises(InputError, match=r"connection back \(b -> a\) 2 timesteps"):
        network([*forward, dense("back", "b", "a", 2, 2, delay=1)])
    assert network([*forward, dense("back", "b", "a", 2, 2, delay=2)]).depths["b"] == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threshold": np.int32(1 << 17)}, "threshold spans"),
        ({"dv": np.int32(4097)}, "dv spans"),
        ({"bias_mantissa": np.int32(4096)}, "bias_mantissa spans"),
        ({"du": np.float32(1)}, "must be integer"),
        ({"reset": "none"}, "reset 'none' is unknown"),
    ],
)
def test_registers_are_enforced(changes, words):
    with pytest.raises(InputError, match=words):
        neuron(**changes)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(InputError, match=r"connection 1 makes 3 currents for the 2 neurons of a"):
        network([dense("1", "input", "a", 3, 2), dense("2", "a", "b", 2, 2)])
    with pytest.raises(InputError, match="names population 'c'"):
        network([dense("1", "c", "a", 2, 2)])


def test_two_connections_of_one_name_are_refused():
    with pytest.raises(InputError, match=r"connection names must be unique, got \['1', '1'\]"):
        network([dense("1", "input", "a", 2, 2), dense("1", "a", "b", 2, 2)])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dt": 0.0}, "dt is 0.0"),
        ({"dt": float("nan")}, "dt is nan"),
        ({"dt": "1e-3"}, "dt is '1e-3'"),
        ({"dt": True}, "dt is True"),
        ({"integrator": "midpoint"}, "integrator 'midpoint' is unknown"),
        ({"weight_bits": 1}, "weight bits is 1; choose 2 to 8"),
        ({"weight_bits": 9}, "weight bits is 9"),
        ({"weight_bits": 8.0}, "weight bits is 8.0"),
    ],
)
def test_what_a_network_states_is_checked(changes, words):
    with pytest.raises(InputError, match=words):
        replace(network([dense("1", "input", "a", 2, 2), dense("2", "a", "b", 2, 2)]), **changes)


def test_weights_lie_within_their_bits():
    weight = np.array([[1, 7], [-8, 0]], np.int8)
    made = network([Connection("1", "input", "a", Dense(weight)), dense("2", "a", "b", 2, 2)])
    assert replace(made, weight_bits=4).weight_bits == 4
    with pytest.raises(InputError, match=r"connection 1 has weights -8..7, outside the -4..3 of 3 bits"):
        replace(made, weight_bits=3)


def test_a_network_states_its_dt_integrator_and_bits():
    """None of the three has a default to hide behind."""
    with pytest.raises(TypeError, match="'dt', 'integrator', and 'weight_bits'"):
        QuantizedNetwork(Input("input", (2,)), (), (), "a", "spike_count", 4)


def test_a_network_keeps_what_it_was_given():
    """Nothing the caller still holds, neither an array nor a view of it, changes a network."""
    weight, scale, threshold = np.ones((2, 2), np.int8), np.full(2, 0.5), np.array([10, 20])
    view, notes = weight[:, 0], ["as trained"]
    connection = Connection("1", "input", "a", Dense(weight[:]))
    population = Population("a", (2,), neuron(threshold=threshold), scale)
    made = QuantizedNetwork(Input("input", (2,)), (population,), [connection], "a", "spike_count", 4, {"notes": notes}, **INT8)
    weight[:], view[:], scale[:], threshold[:] = 9, 5, 7.0, 1
    notes.append("changed")
    kept = made["a"]
    assert (made.connections[0].weight == 1).all() and (kept.scale == 0.5).all() and kept.neuron.threshold.tolist() == [10, 20]
    assert made.provenance == {"notes": ["as trained"]} and isinstance(made.connections, tuple)


def scalar_mix(x: int) -> int:
    x ^= x >> 16
    x = x * 0x21F0AAAD % 2**32
    x ^= x >> 15
    x = x * 0x735A2D97 % 2**32
    return x ^ x >> 15


@pytest.mark.parametrize("kind", ["uniform", "gaussian"])
def test_noise_bits_equal_a_scalar_derivation(kind):
    noise = Noise(kind, 1.0, seed=7)
    drawn = sample_noise(noise, np.array([3, 9]), step=5, size=4)
    for i, sample in enumerate((3, 9)):
        for n in range(4):
            bits = scalar_mix(scalar_mix(scalar_mix(scalar_mix(7) ^ sample) ^ 5) ^ n)
            low_bytes = sum(bits.to_bytes(4, "little"))
            assert drawn[i, n] == ((bits >> 16) - 32768 if kind == "uniform" else 64 * (low_bytes - 510))


def test_noise_has_the_stated_moments():
    uniform = sample_noise(Noise("uniform", 1.0, 1), np.arange(50), 0, 2000) / 32768
    gaussian = sample_noise(Noise("gaussian", 1.0, 1), np.arange(50), 0, 2000) / 32768
    assert abs(uniform.mean()) < 0.01 and abs(uniform.std() - 3**-0.5) < 0.01
    assert abs(gaussian.mean()) < 0.01 and abs(gaussian.std() - 0.289) < 0.005


@pytest.mark.parametrize("seed", range(40))
def test_fan_out_counts_every_nonzero_synapse(seed):
    made = random_network(seed)
    for c in made.connections:
        ones = c.weight if not c.pool else (c.weight != 0).astype(np.int8)
        shape = made.shape(c.source)
        if c.pool:  # overlapping windows: each window has synapses of its own
            op = type(c.op)(**{**vars(c.op), "weight": np.asarray(ones)})
            expected = unrolled(Connection(c.name, c.source, c.target, op, c.pool), shape).sum(axis=1)
        else:
            expected = np.count_nonzero(unrolled(c, shape), axis=1)
        np.testing.assert_array_equal(fan_out(c, shape).ravel(), expected)


@pytest.mark.parametrize("seed", range(30))
def test_a_shorter_run_is_a_prefix(seed):
    made = random_network(seed)
    stimulus = random_stimulus(seed, made)
    full = reference.run(made, stimulus, "potentials")
    shorter = max(1, made.timesteps // 2)
    values = stimulus.values if stimulus.held else stimulus.values[:, :shorter]
    part = reference.run(made, encode(made.input, values, shorter), "potentials")
    np.testing.assert_array_equal(part.output, full.output[:, :shorter])
    for name, v in part.potentials.items():
        np.testing.assert_array_equal(v, full.potentials[name][:, :shorter])


def test_convolution_by_hand():
    # 1x3 input, kernel [1, 2], no padding: cross-correlation, so [1*1 + 2*5, 1*5 + 2*7].
    conv = Conv(np.array([[[1, 2]]], np.int8), (1,), (0,), (1,))
    np.testing.assert_array_equal(reference.convolve(np.array([[[1, 5, 7]]]), conv), [[[11, 19]]])


def test_one_neuron_by_hand():
    """du 4095, dv 2048 (half), threshold 10, weight 7 at exponent 0, bias 1 << 6 = one weight unit,
    input 1 at every step.

    In state units: v = trunc(v/2) + 448 + 64. Step 0: 512. Step 1: 768, above 10*64 = 640: spike,
    reset to 0. Step 2: 512 again.
    """
    made = QuantizedNetwork(
        Input("input", (1,)),
        (Population("n", (1,), neuron(dv=np.int32(2048), bias_mantissa=np.int32(1))),),
        (Connection("w", "input", "n", Dense(np.array([[7]], np.int8))),),
        "n", "spike_count", 4, **INT8,
    )  # fmt: skip
    record = reference.run(made, encode(made.input, np.ones((1, 1), np.uint8), 4), "potentials")
    assert record.potentials["n"].ravel().tolist() == [512, 0, 512, 0]
    assert record.output.ravel().tolist() == [0, 1, 0, 1]
    assert record.synaptic_events["w"].ravel().tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_repr_is_one_short_line_without_arrays(seed):
    network = random_network(seed)
    text = repr(network)
    assert len(text) < 1000 and "\n" not in text and "array" not in text
    assert text.startswith("QuantizedNetwork(") and f"T = {network.timesteps}" in text and network.output in text
