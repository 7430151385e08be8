"""Constants of Norse's and Rockpool's exporters: their files, written here by their formulas,
against their neurons' updates.
"""

from __future__ import annotations

import nir
import numpy as np
import pytest

from spikeport.export.common.errors import InputError
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.nir.foreign.exporters import dt_of_rockpool
from spikeport.export.nir.foreign.importer import import_nir
from spikeport.export.nir.graph import load_graph

DT, N, T = 1e-3, 6, 60
WEIGHT = np.random.default_rng(0).uniform(-0.3, 0.9, (N, 5))
X = (np.random.default_rng(1).random((3, T, 5)) < 0.4).astype(float)
MEMBRANE, SYNAPSE, ONE = np.linspace(0.01, 0.03, N), np.linspace(0.005, 0.02, N), np.ones(N)


def write(path, neuron):
    ends = {"input": nir.Input(np.array((5,))), "output": nir.Output(np.array((N,)))}
    edges = [("input", "w"), ("w", "a"), ("a", "output")]
    nir.write(path, nir.NIRGraph({**ends, "w": nir.Linear(WEIGHT), "a": neuron}, edges, type_check=False))
    return path


def rockpool(kind: str):
    """r as Rockpool 3.1.0 writes it, in float32."""
    r = (MEMBRANE * np.exp(-DT / MEMBRANE) / DT).astype(np.float32)
    return nir.CubaLIF(SYNAPSE, MEMBRANE, r, 0 * ONE, ONE) if kind == "cuba" else nir.LIF(MEMBRANE, r, 0 * ONE, ONE)


@pytest.mark.parametrize("limit", [1, 1 << 16])
@pytest.mark.parametrize("kind", ["cuba", "lif"])
def test_rockpool_adds_before_the_synapse_decays_and_after_the_membrane_did(tmp_path, kind, limit):
    path = write(tmp_path / "n.nir", rockpool(kind))
    assert dt_of_rockpool(load_graph(path)) == DT
    means = {"integrator": "impulse", "reset": "subtract", "strict": False, "multi_spike": limit > 1}
    network = import_nir(path, dt=DT, exporter="rockpool", **means)
    assert "r and w_in of Rockpool" in network.provenance["corrected"][0]
    i, v, expected = np.zeros((3, N)), np.zeros((3, N)), []
    for t in range(T):
        signal = X[:, t] @ WEIGHT.T
        i = (i + signal) * np.exp(-DT / SYNAPSE) if kind == "cuba" else signal
        v = v * np.exp(-DT / MEMBRANE) + i
        s = np.minimum(np.where(v >= 1, np.floor(v), 0), limit)
        v = v - s
        expected.append(s)
    assert np.max(expected) == 1 or limit > 1
    output = simulate_float(network, X, T)["output"]
    np.testing.assert_array_equal(output, np.stack(expected, 1))
    literal = simulate_float(import_nir(path, dt=DT, **means), X, T)["output"]
    assert (literal != output).any(), "else the constants would not matter here"
    other = import_nir(path, dt=DT / 2, exporter="rockpool", **means)
    assert "read as the file has it" in other.provenance["corrected"][0]


@pytest.mark.parametrize("kind", ["cuba", "iaf"])
def test_norse_counts_its_input_whole(tmp_path, kind):
    node = nir.CubaLIF(SYNAPSE, MEMBRANE, ONE, 0 * ONE, ONE) if kind == "cuba" else nir.IF(ONE, ONE)
    weight = 3.0 if kind == "cuba" else 1.0
    path = write(tmp_path / "n.nir", node)
    network = import_nir(path, dt=DT, integrator="euler", reset="zero", exporter="norse", input_scale=1.0)
    i, v, expected = np.zeros((3, N)), np.zeros((3, N)), []
    for t in range(T):
        signal = weight * X[:, t] @ WEIGHT.T
        if kind == "cuba":
            i = i + signal
            v, i = v + DT / MEMBRANE * (i - v), i - DT / SYNAPSE * i
        else:
            v = v + signal
        s = v > 1
        v = np.where(s, 0, v)
        expected.append(s)
    assert np.sum(expected) > 20
    np.testing.assert_array_equal(simulate_float(network, weight * X, T)["output"], np.stack(expected, 1))


def test_files_that_say_no_dt_and_unknown_exporters(tmp_path):
    path = write(tmp_path / "n.nir", nir.LIF(MEMBRANE, ONE, 0 * ONE, ONE))
    assert dt_of_rockpool(load_graph(path)) is None
    with pytest.raises(InputError, match="norse, rockpool"):
        import_nir(path, dt=DT, integrator="euler", reset="zero", exporter="other")
