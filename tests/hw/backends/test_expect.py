"""A user's recorded spikes against ours: equality, the first difference with both potentials,
agreement of integers, bad records.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from support.networks.float_networks import neuron, readout

from spikeport.export.common.errors import InputError
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.network import FloatNetwork, Input, Population
from spikeport.export.model.synapse import Connection, Dense
from spikeport.export.quantization.quantize import quantize
from spikeport.hw.backends import expect
from spikeport.hw.backends.expect import expect_float, expect_integers, read_expected
from spikeport.hw.backends.simulate import backend
from spikeport.hw.records.stimulus import encode

rng = np.random.default_rng(0)
X = (rng.random((6, 30, 5)) < 0.4).astype(np.float32)


def network(last=None) -> FloatNetwork:
    populations = (Population("a", (7,), neuron(beta=0.9)), Population("b", (3,), last or neuron(beta=0.9)))
    weights = np.random.default_rng(1)
    connections = (
        Connection("w", "in", "a", Dense(weights.normal(0.3, 0.5, (7, 5)))),
        Connection("v", "a", "b", Dense(weights.normal(0.3, 0.5, (3, 7)))),
    )
    return FloatNetwork(
        Input("in", (5,)),
        populations,
        connections,
        "b",
        "spike_count" if last is None else "membrane_potential",
        30,
        dt=1e-3,
        integrator="euler",
    )


def theirs(made: FloatNetwork) -> dict[str, np.ndarray]:
    return simulate_float(made, X, 30, record=True)


def test_what_is_equal_is_equal_in_every_bin():
    result = expect_float(network(), X, theirs(network()))
    assert result.equal and result.first is None and result.same_classes == 6
    assert [n.node for n in result.nodes] == ["a", "b"] and result.nodes[0].bins == 6 * 30 * 7
    assert result.output.theirs == result.output.ours > 0
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["equal"] is True


def test_the_first_difference_is_named_with_potentials():
    record = theirs(network())
    record["spikes/a"] = record["spikes/a"].copy()
    record["spikes/a"][2, 11, 4] ^= True
    record["output"] = record["output"].copy()
    record["output"][2, 12, 1] ^= 1
    record["potentials/a"] = np.full((6, 30, 7), 0.25)
    result = expect_float(network(), X, record)
    first = result.first
    assert (first.node, first.sample, first.timestep, first.neuron) == ("a", 2, 11, (4,))
    assert first.theirs == 1 - first.ours == float(record["spikes/a"][2, 11, 4])
    assert (first.our_potential > first.threshold) == bool(first.ours) and first.their_potential == 0.25
    assert "neuron (4,), timestep 11, sample 2" in str(first)
    assert result.output.different == 1 and not result.equal


def test_a_readout_of_potentials_may_differ_by_rounding_only():
    made = network(readout(beta=0.9))
    record = {"output": theirs(made)["output"]}
    close = {"output": record["output"] * (1 + 1e-6)}
    assert expect_float(made, X, close).equal
    off = {"output": record["output"].copy()}
    off["output"][4, 7, 0] += 0.01 * np.abs(off["output"]).max()
    result = expect_float(made, X, off)
    assert result.output.different == 1 and result.first.timestep == 7


def test_classes_of_potentials_are_told_apart_below_1():
    """Potentials of a float network are no integers: cut to whole numbers, all that stay below 1
    would tie.
    """
    small = network(readout(beta=0.9))
    scaled = replace(
        small, connections=tuple(replace(c, op=Dense(c.op.weight * (0.01 if c.name == "v" else 1))) for c in small.connections)
    )
    record = {"output": theirs(scaled)["output"]}
    assert np.abs(record["output"]).max() < 1 and expect_float(scaled, X, record).same_classes == 6
    record["output"] = record["output"][..., ::-1]
    middle = (record["output"][:, -1].argmax(axis=1) == 1).sum()
    assert expect_float(scaled, X, record).same_classes == middle < 6


def test_what_ran_already_runs_once(monkeypatch):
    made, quantized = network(), quantize(network(), X)
    ours, record = theirs(made), theirs(made)
    whole = expect_float(made, X, record), expect_integers(quantized, X, record)
    engine = backend("engine")(quantized, encode(quantized.input, X, 30), "spikes")
    integers = {"output": engine.output, **{f"spikes/{name}": raster for name, raster in engine.spikes.items()}}
    monkeypatch.setattr(expect, "simulate_float", None)
    monkeypatch.setattr(expect, "backend", None)
    assert (expect_float(made, X, record, ours=ours), expect_integers(quantized, X, record, ours=integers)) == whole
    shorter = {key: array[:, :20] for key, array in record.items()}
    assert expect_float(made, X, shorter, ours=ours).equal


def test_integers_say_how_far_they_agree():
    made = network()
    result = expect_integers(quantize(made, X), X, theirs(made))
    assert result.kind == "integers" and result.first is None
    assert 0 < result.output.ours and result.output.different < 0.1 * result.output.bins
    assert result.same_classes >= 5
    other = replace(made, populations=(made["a"], replace(made["b"], neuron=neuron(beta=0.9, threshold=0.3))))
    assert expect_integers(quantize(other, X), X, theirs(made)).output.different > result.output.different


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"spikes/a": np.zeros((6, 30, 7))}, "no array `output`"),
        ({"output": np.zeros((5, 30, 3))}, "the input has 6 samples, the expected output 5"),
        ({"output": np.zeros((6, 30, 4))}, "expected 6 samples x 30 timesteps x 3 neurons of b"),
        ({"output": np.zeros((6, 0, 3))}, "so it holds nothing; record at least 1 sample, 1 timestep"),
        ({"output": np.zeros((6, 3))}, "expected .samples, timesteps, classes."),
        ({"output": np.full((6, 30, 3), np.nan)}, "not all finite"),
        ({"output": np.zeros((6, 30, 3)), "spikes/zz": np.zeros(1)}, "spikes/zz names no spiking node .* choose from a, b"),
        ({"output": np.array(["x"])}, "finite numbers"),
    ],
)
def test_records_that_do_not_fit_are_refused_in_one_line(tmp_path, arrays, said):
    np.savez(tmp_path / "theirs.npz", **arrays)
    with pytest.raises(InputError, match=said) as caught:
        expect_float(network(), X, read_expected(tmp_path / "theirs.npz"))
    assert "\n" not in str(caught.value)


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "junk.npz").write_bytes(b"PK\x03\x04 no")
    np.save(tmp_path / "plain.npy", np.zeros(3))
    np.savez(tmp_path / "pickle.npz", output=np.array([{}], dtype=object))
    for name in ("junk.npz", "plain.npy", "pickle.npz"):
        with pytest.raises(InputError, match=name) as caught:
            read_expected(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="does not exist"):
        read_expected(tmp_path / "none.npz")
