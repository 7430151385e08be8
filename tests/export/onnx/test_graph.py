"""ONNX Runtime executes the same integers as the reference, whatever the network; the model is
clean and says what it means.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from support.networks.random_networks import random_network, random_stimulus
from support.stated import INT8

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.registers import STATE_LIMIT
from spikeport.export.model.synapse import Connection, Dense
from spikeport.export.onnx.graph import rest, to_onnx, write_onnx
from spikeport.export.onnx.narrow import narrow_bound
from spikeport.export.onnx.ops import Ops, Value, planes
from spikeport.hw.backends import onnx_backend
from spikeport.hw.records.stimulus import encode
from spikeport.hw.semantics import reference


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("seed", range(70))
def test_onnx_equals_the_reference(seed, narrow):
    network = random_network(seed, edge=seed % 2 == 0)
    stimulus = random_stimulus(seed, network)
    expected = reference.run(network, stimulus, "potentials")
    found = onnx_backend.run(network, stimulus, "potentials", narrow=narrow)
    assert (expected.output == found.output).all() and expected.output.dtype == found.output.dtype
    for name in expected.potentials:
        assert (expected.potentials[name] == found.potentials[name]).all()
    for name in expected.spikes:
        assert (expected.spikes[name] == found.spikes[name]).all() and found.spikes[name].dtype == bool
    for name in expected.synaptic_events:
        assert (expected.synaptic_events[name] == found.synaptic_events[name]).all()


def test_currents_that_outrun_their_correction_wrap_as_the_reference():
    """Above a span a step, one correction does not bring u back to 24 bits; it grows to 32 bits and
    wraps there.
    """
    neuron = IntegerNeuron(np.int32(-1), np.int32(2000), np.int32(131071), np.int32(0), 0, "zero", np.int32(0), spiking=False)
    source = Input("input", (2,), scale=1.0, low=-128, high=127)
    loud = Connection("w", "input", "out", Dense(np.array([[127, 127], [-128, -128], [127, 1]], np.int8)), exponent=7)
    network = QuantizedNetwork(
        source, (Population("out", (3,), neuron, np.array(1.0)),), (loud,), "out", "membrane_potential", 30, {}, **INT8
    )
    stimulus = encode(source, np.array([[127, 127], [-128, -128], [127, -128]]), 30)
    expected, found = (backend.run(network, stimulus, "potentials") for backend in (reference, onnx_backend))
    np.testing.assert_array_equal(found.potentials["out"], expected.potentials["out"])
    assert expected.potentials["out"].min() < 0 < expected.potentials["out"].max() and sum(expected.overflows.values()) > 50


def test_the_random_networks_reach_what_is_to_be_shown():
    """Guards the property test above: enough of its networks have delays, noise, wide inputs, every
    reset and overflows.
    """
    networks = [random_network(seed, edge=seed % 2 == 0) for seed in range(70)]
    neurons = [p.neuron for n in networks for p in n.populations]
    narrow = [narrow_bound(n, p) for n in networks for p in n.populations]
    assert 20 < sum(bound is not None for bound in narrow) < len(narrow) - 20 and any(bound >= STATE_LIMIT for bound in narrow if bound)
    assert sum(any(c.delay for c in n.connections) for n in networks) > 10 and sum(n.input.low < 0 for n in networks) > 10
    assert sum(n.noise is not None for n in neurons) > 10 and sum((n.du != 4095).any() for n in neurons) > 20
    assert all(sum(n.reset == kind for n in neurons) > 10 for kind in ("zero", "value", "subtract"))
    assert sum(sum(reference.run(n, random_stimulus(s, n)).overflows.values()) > 0 for s, n in list(enumerate(networks))[::6]) >= 3


@pytest.mark.parametrize("seed", [1, 3, 7, 12, 20, 33])
def test_states_carry_a_run_on(seed):
    """One step at a time, feeding the states back, is the whole sequence."""
    network = random_network(seed, edge=True)
    stimulus = random_stimulus(seed, network)
    session = onnxruntime.InferenceSession(to_onnx(network).SerializeToString(), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    states, outputs = rest(network, len(stimulus)), []
    for t in range(stimulus.timesteps):
        feeds = {"input": stimulus.at(t)[None], **states}
        if any(p.neuron.noise for p in network.populations):
            feeds |= {"samples": stimulus.samples, "first_step": np.array(t)}
        found = dict(zip(names, session.run(names, feeds)))
        states = {name: found[f"{name}/next"] for name in states}
        outputs.append(found["output"][0])
    assert (np.stack(outputs, axis=1) == reference.run(network, stimulus).output).all()


def test_chunks_and_progress_do_not_change_the_result(monkeypatch):
    network = random_network(5)
    stimulus = random_stimulus(5, network, samples=7)
    whole = onnx_backend.run(network, stimulus)
    monkeypatch.setattr(onnx_backend, "CHUNK_SAMPLES", 2)
    steps: list[int] = []
    assert (onnx_backend.run(network, stimulus, progress=steps.append).output == whole.output).all()
    assert steps == [2, 2, 2, 1]


def test_the_model_is_integer_only_and_says_what_it_means(tmp_path):
    network = random_network(8)
    write_onnx(network, tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    onnx.checker.check_model(model, full_check=True)
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16}
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    bodies = [inferred.graph, *(a.g for n in inferred.graph.node for a in n.attribute if a.name == "body")]
    values = [v for g in bodies for v in [*g.input, *g.output, *g.value_info]]
    assert len(bodies) == 2 and len(values) > 20
    assert not any(v.type.tensor_type.elem_type in floats for v in values)
    assert not any(t.data_type in floats for g in bodies for t in g.initializer)
    properties = {p.key: p.value for p in model.metadata_props}
    assert int(properties["spikeport.timesteps"]) == network.timesteps
    assert json.loads(properties["spikeport.scales"]) == {p.name: 0.01 for p in network.populations}
    assert json.loads(properties["spikeport.input"])["high"] == network.input.high
    assert properties["spikeport.readout"] == network.readout


def test_the_model_file_is_the_same_every_time(tmp_path):
    network = random_network(11)
    for name in ("a.onnx", "b.onnx"):
        write_onnx(network, tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def evaluate(build, x: np.ndarray) -> list[np.ndarray]:
    """Run a graph made by `build(ops, "x") -> names` on int64 x."""
    ops = Ops("", {})
    names = build(ops, "x")
    info = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.INT64, ("n",))]
    outputs = [onnx.helper.make_empty_tensor_value_info(n) for n in names]
    graph = onnx.helper.make_graph(ops.nodes, "g", info, outputs, list(ops.constants.values()))
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})


@pytest.mark.parametrize("exponent", [-16, -3, -1, 0, 5])
def test_shifts_round_down(exponent):
    x = np.array([-131073, -65536, -9, -8, -7, -1, 0, 1, 7, 8, 65537])
    (found,) = evaluate(lambda ops, name: [ops.alias(ops.shift(Value(name, 1 << 40), exponent).name, "y")], x)
    assert (found == (x << exponent if exponent >= 0 else x >> -exponent)).all()


@pytest.mark.parametrize("bits", [24, 32])
def test_wrap_is_twos_complement(bits):
    half = 1 << (bits - 1)
    x = np.array([-5 * half, -half - 1, -half, -1, 0, half - 1, half, 3 * half + 2])
    (found,) = evaluate(lambda ops, name: [ops.wrap(Value(name, 1 << 40), bits).name], x)
    expected = np.array([v if v < half else v - 2 * half for v in (int(i) % (2 * half) for i in x)])
    assert (found == expected).all()


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 255), (-128, 127), (-3, 200), (0, 256), (-40000, 9), (-(2**23), 2**23 - 1), (0, 2**26)]
)
def test_bytes_add_up(low, high):
    x = np.unique(np.linspace(low, high, 97).astype(np.int64))
    parts: list[tuple[int, int]] = []

    def build(ops, name):
        split = planes(ops, name, low, high)
        parts.extend((zero, factor) for _, zero, factor in split)
        return [byte for byte, _, _ in split]

    found = evaluate(build, x)
    assert all(byte.dtype == np.uint8 for byte in found)
    assert (sum((byte.astype(np.int64) - zero) * factor for byte, (zero, factor) in zip(found, parts)) == x).all()


def test_wide_graded_input_is_exact():
    """24-bit messages against full 8-bit weights: three bytes each, beyond what saturating byte
    products would keep.
    """
    rng = np.random.default_rng(0)
    weight = rng.choice([-128, 127], (4, 64)).astype(np.int8)
    neuron = IntegerNeuron(np.int32(4095), np.int32(0), np.int32(131071), np.int32(0))
    source = Input("input", (64,), low=-(2**23) + 1, high=2**23 - 1)
    connections = (Connection("w", "input", "a", Dense(weight), exponent=-16),)
    network = QuantizedNetwork(source, (Population("a", (4,), neuron),), connections, "a", "spike_count", 3, **INT8)
    stimulus = replace(random_stimulus(0, network), values=rng.integers(source.low, source.high, (3, 3, 64)).astype(np.int32), held=False)
    expected, found = (backend.run(network, stimulus, "potentials").potentials["a"] for backend in (reference, onnx_backend))
    assert (expected == found).all() and np.ptp(expected) > 1 << 20


def test_sums_beyond_32_bits_are_refused():
    weight = np.full((1, 70000), 127, np.int8)
    neuron = IntegerNeuron(np.int32(4095), np.int32(0), np.int32(131071), np.int32(0))
    source = Input("input", (70000,), low=0, high=255)
    network = QuantizedNetwork(
        source, (Population("a", (1,), neuron),), (Connection("w", "input", "a", Dense(weight)),), "a", "spike_count", 1, **INT8
    )
    with pytest.raises(InputError, match="70000 inputs"):
        to_onnx(network)
