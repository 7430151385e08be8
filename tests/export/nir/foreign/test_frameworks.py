"""Each framework's habits: graphs written here with the nir library, against steps worked out by
hand or by the naive simulator.
"""

from __future__ import annotations

from dataclasses import fields, replace

import nir
import numpy as np
import pytest
import torch
from support.places import SHARED

from spikeport.export.common.errors import InputError
from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.network import FloatNetwork
from spikeport.export.model.schedule import LoopError
from spikeport.export.nir.foreign.coarse import coarse_steps, shortest_tau
from spikeport.export.nir.foreign.frameworks import FRAMEWORKS, Framework
from spikeport.export.nir.foreign.importer import describe, import_nir
from spikeport.export.quantization.quantize import quantize

DT = 1e-3


def write(path, nodes: dict, edges: list[tuple[str, str]], inputs: tuple[int, ...], outputs: tuple[int, ...]):
    ends = {"input": nir.Input(np.array(inputs)), "output": nir.Output(np.array(outputs))}
    nir.write(path, nir.NIRGraph({**nodes, **ends}, edges, type_check=False))
    return path


def lif(n: int, tau: float = 0.01, threshold: float = 1.0) -> nir.LIF:
    full = lambda value: np.full(n, value)  # noqa: E731
    return nir.LIF(full(tau), full(tau / DT), full(0.0), full(threshold), full(0.0))


def cuba(n: int, tau: float = 0.01) -> nir.CubaLIF:
    full = lambda value: np.full(n, value)  # noqa: E731
    return nir.CubaLIF(full(tau), full(tau), full(tau / DT), full(0.0), full(1.0), full(0.0), full(tau / DT))


def read(path, **changes) -> FloatNetwork:
    return import_nir(path, **{"dt": DT, "integrator": "euler", "reset": "zero"} | changes)


def output(network: FloatNetwork, x: np.ndarray) -> np.ndarray:
    return simulate_float(network, x, x.shape[1], dtype=torch.float64)["output"]


CHAIN = [("input", "w"), ("w", "a"), ("a", "output")]


@pytest.mark.parametrize(
    ("reset", "late", "node", "rule", "value"),
    [
        ("subtract", True, lif, "single", 1 / 0.9),
        ("subtract", False, lif, "deferred", 1.0),
        ("subtract", None, lif, "single", 1.0),
        ("zero", True, lif, "single", 0.0),
        ("zero", False, lif, "single", 0.0),
        ("subtract", True, cuba, "single", 1 / 0.9),
        ("zero", True, cuba, "refractory", 0.0),
        ("zero", False, cuba, "single", 0.0),
    ],
)
def test_lateness_of_a_reset_by_neuron(tmp_path, reset, late, node, rule, value):
    path = write(tmp_path / "n.nir", {"w": nir.Linear(np.eye(2)), "a": node(2)}, CHAIN, (2,), (2,))
    made = read(path, reset=reset, reset_delay=late)["a"].neuron
    assert made.firing == rule and np.allclose(made.reset_value, value)


def test_a_recurrent_layer_of_snntorch_blanks_the_step_after_a_late_zero(tmp_path):
    inner = nir.NIRGraph(
        {"input": nir.Input(np.array((2,))), "lif": lif(2), "w_rec": nir.Linear(np.eye(2)), "output": nir.Output(np.array((2,)))},
        [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
        type_check=False,
    )
    path = write(tmp_path / "n.nir", {"w": nir.Linear(np.eye(2)), "a": inner}, CHAIN, (2,), (2,))
    assert read(path, reset="zero", reset_delay=True)["a.lif"].neuron.firing == "refractory"
    assert read(path, reset="zero")["a.lif"].neuron.firing == "single"


def test_a_late_reset_needs_memory(tmp_path):
    path = write(tmp_path / "n.nir", {"w": nir.Linear(np.eye(2)), "a": lif(2, tau=DT)}, CHAIN, (2,), (2,))
    with pytest.raises(InputError, match=r"node a: .*beta > 0"):
        read(path, reset="subtract", reset_delay=True)


def test_a_batch_axis_of_one_is_dropped(tmp_path):
    path = write(tmp_path / "n.nir", {"w": nir.Linear(np.eye(3)), "a": lif(3)}, CHAIN, (1, 3), (1, 3))
    assert read(path, batch_axis=True).input.shape == (3,) == read(path, batch_axis=True)["a"].shape
    conv = {"w": nir.Conv2d((4, 4), np.ones((2, 1, 2, 2)), 1, 0, 1, 1, np.zeros(2)), "a": lif(1)}
    path = write(tmp_path / "c.nir", conv, CHAIN, (1, 1, 4, 4), (1, 2, 3, 3))
    assert read(path, batch_axis=True).input.shape == (1, 4, 4)
    path = write(tmp_path / "d.nir", conv, CHAIN, (1, 4, 4), (2, 3, 3))
    assert read(path, batch_axis=True).input.shape == (1, 4, 4)


def test_the_gain_of_an_impulse_is_that_of_euler(tmp_path):
    path = write(tmp_path / "n.nir", {"w": nir.Linear(np.eye(1)), "a": lif(1, tau=0.0025)}, CHAIN, (1,), (1,))
    network = read(path, integrator="impulse")
    assert network["a"].neuron.beta.item() == pytest.approx(np.exp(-0.4))
    assert network.connections[0].weight.item() == pytest.approx(1.0), "dt / tau * r, where r = tau / dt"


@pytest.mark.skipif(not (SHARED / "cases/lif_norse.csv").exists(), reason="needs the reference cases")
def test_rockpool_gives_its_published_spikes():
    habit = FRAMEWORKS["rockpool"]
    network = import_nir(
        SHARED / "cases/lif_norse.nir",
        dt=1e-4,
        integrator=habit.integrator,
        reset=habit.reset,
        strict=habit.strict,
        multi_spike=habit.multi_spike,
    )
    x = np.loadtxt(SHARED / "cases/lif_norse.csv", delimiter=",")[None, :, :1]
    assert np.flatnonzero(output(network, x)).tolist() == [450, 500, 710, 760]


def test_every_habit_is_complete_and_says_what_is_lost():
    for name, habit in FRAMEWORKS.items():
        assert isinstance(habit, Framework) and habit.lost, name
        assert all(text.strip() for text in habit.lost)
    overridable = {"dt", "integrator", "reset", "strict", "reset_delay", "multi_spike"}
    assert overridable <= {f.name for f in fields(Framework)}


def test_a_long_timestep_is_told(tmp_path):
    path = write(tmp_path / "n.nir", {"w": nir.Linear(np.eye(2)), "a": lif(2, tau=0.0025)}, CHAIN, (2,), (2,))
    assert shortest_tau(path) == 0.0025
    for integrator in ("euler", "exponential"):
        (line,) = coarse_steps(read(path, integrator=integrator), DT)
        assert line.startswith("a: dt 0.001 is 40% of a time constant")
    assert coarse_steps(read(path, dt=1e-4), 1e-4) == []


def test_delays_that_differ_between_neurons_are_kept(tmp_path):
    """Behind the source and behind the weights; the neuron at the end fires in the very step in
    which something arrives.
    """
    delays, weight = np.array([0, 3, 1, 3]) * DT, np.random.default_rng(0).uniform(0.5, 1, (4, 4))
    early = write(
        tmp_path / "e.nir",
        {"d": nir.Delay(delays), "w": nir.Linear(weight), "a": lif(4)},
        [("input", "d"), ("d", "w"), ("w", "a"), ("a", "output")],
        (4,),
        (4,),
    )
    late = write(
        tmp_path / "l.nir",
        {"d": nir.Delay(delays), "w": nir.Linear(weight), "a": lif(4)},
        [("input", "w"), ("w", "d"), ("d", "a"), ("a", "output")],
        (4,),
        (4,),
    )
    x = (np.random.default_rng(1).random((3, 40, 4)) < 0.3).astype(float)
    steps = np.rint(delays / DT).astype(int)

    def shifted(a: np.ndarray) -> np.ndarray:
        return np.stack([np.pad(a[:, : 40 - d, i], ((0, 0), (d, 0))) for i, d in enumerate(steps)], axis=2)

    for path, current in ((early, shifted(x) @ weight.T), (late, shifted(x @ weight.T))):
        network = read(path)
        assert sorted(c.delay for c in network.connections) == [0, 1, 3]
        v, expected = np.zeros((3, 4)), []
        for t in range(40):
            v = 0.9 * v + current[:, t]
            expected.append(v > 1)
            v = np.where(v > 1, 0, v)
        np.testing.assert_array_equal(output(network, x), np.stack(expected, 1))
        assert all(row.supported for row in describe(path))


def loop(path, delay: float = 0.0):
    nodes = {"w": nir.Linear(np.eye(2)), "a": lif(2), "ab": nir.Linear(np.eye(2)), "b": lif(2), "ba": nir.Linear(-np.eye(2) / 2)}
    edges = [("input", "w"), ("w", "a"), ("a", "ab"), ("ab", "b"), ("b", "output"), ("ba", "a")]
    if delay:
        nodes["late"] = nir.Delay(np.full(2, delay))
        edges += [("b", "late"), ("late", "ba")]
    else:
        edges += [("b", "ba")]
    return write(path, nodes, edges, (2,), (2,))


def test_a_loop_of_two_layers_runs_in_float_and_check_says_what_hardware_needs(tmp_path):
    path = loop(tmp_path / "n.nir")
    x = np.ones((1, 20, 2))
    network = read(path)
    va, vb, fired, expected = 0.0, 0.0, 0, []
    for _ in range(20):
        va = 0.9 * va + 1 - fired / 2
        a, va = int(va > 1), 0.0 if va > 1 else va
        vb = 0.9 * vb + a
        fired, vb = int(vb > 1), 0.0 if vb > 1 else vb
        expected.append([fired] * 2)
    assert output(network, x)[0].tolist() == expected and np.sum(expected)
    with pytest.raises(LoopError, match=r"the loop .* delay of connection ba \(b -> a\) 2 timesteps"):
        quantize(network.with_timesteps(20), x)
    refused = [row for row in describe(path) if not row.supported]
    assert len(refused) == 1 and "Delay node of 2 x dt" in refused[0].reason
    with_delay = loop(tmp_path / "d.nir", 2 * DT)
    assert all(row.supported for row in describe(with_delay))
    assert quantize(read(with_delay).with_timesteps(20), x).depths == {"input": 0, "a": 1, "b": 2}


@pytest.mark.parametrize(("kind", "said"), [("ConvTranspose2d", "transposed convolution scatters"), ("SigmaDelta", "graded differences")])
def test_nodes_without_counterpart_are_refused_with_the_reason(tmp_path, kind, said):
    import h5py  # noqa: PLC0415

    path = write(tmp_path / "n.nir", {"w": nir.Linear(np.eye(2)), "a": lif(2)}, CHAIN, (2,), (2,))
    with h5py.File(path, "a") as file:
        del file["node/nodes/w/type"]
        file["node/nodes/w/type"] = kind
    with pytest.raises(InputError, match=rf"node w: type {kind} is not supported: .*{said}"):
        read(path)
    assert any(said in row.reason for row in describe(path) if not row.supported)


def test_several_spikes_a_step_are_counted_and_not_quantized(tmp_path):
    node = nir.IF(np.array([1 / DT]), np.array([1.0]), np.array([0.0]))
    path = write(tmp_path / "n.nir", {"w": nir.Linear(np.array([[3.5]])), "a": node}, CHAIN, (1,), (1,))
    network = read(path, reset="subtract", strict=False, multi_spike=True)
    x = np.ones((1, 10, 1))
    assert output(network, x).sum() == 35
    with pytest.raises(InputError, match=r"population a may fire several"):
        quantize(replace(network, timesteps=10), x)
