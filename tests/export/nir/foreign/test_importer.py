"""Foreign NIR files: the same answer as NIR's equations taken literally, nothing guessed, every
refusal named.
"""

from __future__ import annotations

from itertools import pairwise

import h5py
import nir
import numpy as np
import pytest
import torch
from support.oracles import naive_nir
from support.places import SHARED

from spikeport.export.common.errors import InputError
from spikeport.export.floating.run import FloatModule
from spikeport.export.nir.foreign.importer import describe, import_nir

CASES = SHARED / "cases"
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="the reference cases in ../shared/cases are not here")
DT = 1e-3
rng = np.random.default_rng()


@pytest.fixture(autouse=True)
def same_numbers_in_any_order():
    rng.bit_generator.state = np.random.default_rng(12).bit_generator.state


def uniform(shape, low, high):
    return rng.uniform(low, high, shape)


def lif(*shape, **kwargs):
    values = {"tau": uniform(shape, 0.003, 0.02), "r": uniform(shape, 5, 20), "v_leak": uniform(shape, -0.2, 0.2)}
    values |= {"v_threshold": uniform(shape, 0.3, 2), "v_reset": uniform(shape, -0.5, 0.1), **kwargs}
    return nir.LIF(**values)


def cuba(n):
    parts = {"tau_syn": uniform(n, 0.002, 0.01), "tau_mem": uniform(n, 0.003, 0.02), "w_in": uniform(n, 1, 5)}
    return nir.CubaLIF(
        **parts, r=uniform(n, 5, 20), v_leak=uniform(n, -0.1, 0.1), v_threshold=uniform(n, 0.3, 1), v_reset=uniform(n, -0.2, 0.1)
    )


def affine(out, into):
    return nir.Affine(rng.normal(size=(out, into)), rng.normal(size=out) * 0.1)


def conv(out, into, kernel, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    return nir.Conv2d(
        (9, 9), rng.normal(size=(out, into // groups, *kernel)), stride, padding, dilation, groups, rng.normal(size=out) * 0.1
    )


def pool(kind, kernel, stride=None):
    return kind(np.array(kernel), np.array(stride or kernel), np.array((0, 0)))


def chain(shape, out_shape, **nodes):
    names = ["input", *nodes, "output"]
    ends = {"input": nir.Input({"input": np.array(shape)}), "output": nir.Output({"output": np.array(out_shape)})}
    return nir.NIRGraph({**ends, **nodes}, list(pairwise(names)), type_check=False)


def join(out):
    """Two ways into one biased Affine and one beside it; a delay on one of them."""
    graph = chain((4,), (out,), first=affine(5, 4), a=lif(5), shared=affine(out, 5), z=cuba(out))
    graph.nodes |= {
        "b": lif(5),
        "second": nir.Linear(rng.normal(size=(5, 4))),
        "late": nir.Delay(np.full(5, 2 * DT)),
        "side": nir.Scale(uniform(5, 0, 2)),
    }
    graph.edges += [("input", "second"), ("second", "b"), ("b", "shared"), ("a", "late"), ("late", "side"), ("side", "b")]
    return graph


def loop():
    graph = chain((4,), (6,), w=affine(6, 4), a=cuba(6))
    graph.nodes["w_rec"] = affine(6, 6)
    graph.edges += [("a", "w_rec"), ("w_rec", "a")]
    return graph


GRAPHS = {
    "dense": lambda: chain((4,), (3,), w=affine(6, 4), a=lif(6), w2=nir.Linear(rng.normal(size=(3, 6))), b=cuba(3)),
    "if_threshold": lambda: chain(
        (4,),
        (4,),
        a=nir.IF(uniform(4, 200, 900), uniform(4, 0.3, 1), uniform(4, -0.1, 0.1)),
        s=nir.Scale(uniform(4, 0, 2)),
        b=nir.Threshold(uniform(4, 0.1, 0.9)),
    ),
    "scale_affine_scale": lambda: chain(
        (4,), (5,), s=nir.Scale(uniform(4, 0, 2)), w=affine(6, 4), w2=affine(5, 6), s2=nir.Scale(uniform(5, 0, 2)), a=lif(5)
    ),
    "conv_avg_flatten": lambda: chain(
        (2, 9, 9),
        (5,),
        c=conv(4, 2, (3, 2), (2, 1), (1, 1)),
        a=lif(4, 5, 10, tau=np.full((4, 5, 10), 0.01), r=np.full((4, 5, 10), 10.0)),
        p=pool(nir.AvgPool2d, (2, 3)),
        f=nir.Flatten({"input": np.array((4, 2, 3))}, 0),
        w=affine(5, 24),
        b=lif(5),
    ),
    "conv_then_pool": lambda: chain(
        (4, 9, 9),
        (2, 3, 2),
        c=conv(2, 4, (3, 3), (1, 2), (1, 0), (1, 2), 2),
        p=pool(nir.AvgPool2d, (3, 1), (3, 2)),
        a=lif(2, 3, 2, r=np.full((2, 3, 2), 9.0), tau=np.full((2, 3, 2), 0.01)),
    ),
    "conv_per_neuron": lambda: chain((2, 5, 5), (3, 3, 3), c=conv(3, 2, (3, 3)), a=lif(3, 3, 3)),
    "scaled_pool_conv": lambda: chain(
        (4, 8, 8),
        (4, 3, 3),
        s=nir.Scale(np.array([0.7])),
        p=pool(nir.SumPool2d, (2, 2)),
        c=conv(4, 4, (2, 2), groups=2),
        a=lif(4, 3, 3, r=np.full((4, 3, 3), 4.0), tau=np.full((4, 3, 3), 0.01)),
    ),
    "channel_scaled_conv": lambda: chain(
        (4, 5, 5),
        (4, 4, 4),
        s=nir.Scale(uniform((4, 1, 1), 0, 2)),
        c=conv(4, 4, (2, 2), groups=2),
        a=lif(4, 4, 4, r=np.full((4, 4, 4), 4.0), tau=np.full((4, 4, 4), 0.01)),
    ),
    "conv1d": lambda: chain((2, 12), (3, 6), c=nir.Conv1d(12, rng.normal(size=(3, 2, 3)), 2, 1, 1, 1, np.zeros(3)), a=lif(3, 6)),
    "join": lambda: join(3),
    "loop": loop,
    "readout_li": lambda: chain((4,), (3,), w=affine(3, 4), o=nir.LI(uniform(3, 0.003, 0.02), uniform(3, 5, 20), uniform(3, -0.1, 0.1))),
    "readout_cuba": lambda: chain(
        (4,),
        (3,),
        w=affine(3, 4),
        o=nir.CubaLI(*(uniform(3, 0.003, 0.02) for _ in range(2)), uniform(3, 5, 20), uniform(3, -0.1, 0.1), uniform(3, 1, 2)),
    ),
    "readout_linear": lambda: chain((4,), (3,), w=affine(6, 4), a=lif(6), o=affine(3, 6)),
}


@pytest.mark.parametrize("integrator", ["euler", "exponential"])
@pytest.mark.parametrize("name", GRAPHS)
def test_imported_networks_follow_the_equations(tmp_path, name, integrator):
    graph = GRAPHS[name]()
    nir.write(tmp_path / "net.nir", graph)
    network = import_nir(tmp_path / "net.nir", dt=DT, integrator=integrator, reset="zero")
    x = (rng.random((40, *network.input.shape)) < 0.5).astype(float)
    late = (("w_rec", "a"),) if name == "loop" else ()
    expected = naive_nir.simulate(graph, x, DT, exponential=integrator == "exponential", late=late)["output"]
    with torch.no_grad():
        found = FloatModule(network, dtype=torch.float64)(torch.tensor(x)[:, None])[:, 0].numpy()
    assert np.ptp(expected) > 0, "the case shows nothing"
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-9, atol=1e-9)
    assert all(row.supported for row in describe(tmp_path / "net.nir"))


def test_reset_by_subtraction_keeps_the_rest(tmp_path):
    node = nir.IF(np.array([1 / DT]), np.array([1.0]), np.array([0.25]))
    nir.write(tmp_path / "net.nir", chain((1,), (1,), w=nir.Linear(np.array([[0.6]])), a=node))
    network = import_nir(tmp_path / "net.nir", dt=DT, integrator="euler", reset="subtract")
    spikes = FloatModule(network)(torch.ones(6, 1, 1)).detach().numpy().ravel()
    # v: .6, 1.2 -> .45, 1.05 -> .3, .9, 1.5 -> .75, 1.35 -> .6, threshold 1, 0.75 taken off
    assert spikes.tolist() == [0, 1, 1, 0, 1, 1]


def test_nested_graphs_are_dissolved(tmp_path):
    inner = chain((6,), (6,), neuron=lif(6))
    graph = chain((4,), (6,), w=affine(6, 4), block=inner)
    flat = chain((4,), (6,), w=graph.nodes["w"], a=inner.nodes["neuron"])
    nir.write(tmp_path / "net.nir", graph)
    network = import_nir(tmp_path / "net.nir", dt=DT, integrator="euler", reset="zero")
    assert [p.name for p in network.populations] == ["block.neuron"]
    x = rng.random((30, 4))
    expected = naive_nir.simulate(flat, x, DT)["output"]
    found = FloatModule(network, dtype=torch.float64)(torch.tensor(x)[:, None])[:, 0].detach().numpy()
    assert expected.any()
    np.testing.assert_array_equal(found, expected)


@needs_cases
def test_norse_case_fires_at_the_known_steps():
    network = import_nir(CASES / "lif_norse.nir", dt=1e-4, integrator="euler", reset="zero")
    rows = np.loadtxt(CASES / "lif_norse.csv", delimiter=",")
    spikes = FloatModule(network)(torch.tensor(rows[:, :1], dtype=torch.float32)[:, None]).detach().numpy().ravel()
    assert np.flatnonzero(spikes).tolist() == [460, 510, 710, 760] == np.flatnonzero(rows[:, 2]).tolist()


@needs_cases
def test_leak_above_threshold_fires_without_input():
    network = import_nir(CASES / "two_lif_neurons.nir", dt=1e-3, integrator="euler", reset="zero")
    spikes = []
    FloatModule(network)(torch.zeros(60, 1, 1), observe=lambda name, step: spikes.append((name, step.spikes)))
    first = dict(spikes)["lif1"].ravel()
    # v = 1.2 (1 - 0.9**n) passes 1 at n = 18, then again every 18 steps
    assert np.flatnonzero(first).tolist() == [17, 35, 53]
    assert [n.node for n in describe(CASES / "two_lif_neurons.nir") if n.kind in ("Input", "Output")] == ["in", "out"]


def loop_of_weights():
    graph = chain((2,), (2,), w=affine(2, 2), v=affine(2, 2), a=lif(2))
    graph.edges.append(("v", "w"))
    return graph


REFUSED = {
    "conv_conv": (lambda: chain((2, 5, 5), (2, 3, 3), c=conv(2, 2, (2, 2)), d=conv(2, 2, (2, 2)), a=lif(2, 3, 3)), "d", "directly after"),
    "conv_dense": (lambda: chain((1, 3, 3), (2,), c=conv(1, 1, (2, 2)), f=nir.Flatten({"input": np.array((1, 2, 2))}, 0), w=affine(2, 4), a=lif(2)), "w", "after a convolution"),
    "analog": (lambda: chain((2,), (2,), o=nir.LI(*[np.ones(2)] * 3), w=affine(2, 2), a=lif(2)), "o", "its potential drives"),
    "delay_not_whole": (lambda: chain((2,), (2,), d=nir.Delay(np.full(2, 1.5 * DT)), a=lif(2)), "d", "whole number"),
    "delays_do_not_fit": (lambda: chain((2,), (2,), d=nir.Delay(np.array([1, 2, 3]) * DT), a=lif(2)), "d", "3 delays for a signal"),
    "tau_below_dt": (lambda: chain((2,), (2,), a=lif(2, tau=np.full(2, DT / 2))), "a", "Euler needs dt"),
    "tau_negative": (lambda: chain((2,), (2,), a=lif(2, tau=np.full(2, -1.0))), "a", "positive"),
    "nan_weight": (lambda: chain((2,), (2,), w=nir.Linear(np.full((2, 2), np.nan)), a=lif(2)), "w", "NaN"),
    "wrong_size": (lambda: chain((2,), (2,), w=nir.Linear(np.ones((3, 2))), a=lif(2)), "a", "shape"),
    "linear_loop": (loop_of_weights, "v", "loop without a neuron"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_refused_by_name(tmp_path, name):
    make, node, reason = REFUSED[name]
    nir.write(tmp_path / "net.nir", make())
    with pytest.raises(InputError, match=reason) as caught:
        import_nir(tmp_path / "net.nir", dt=DT, integrator="euler", reset="zero")
    assert f"node {node}" in str(caught.value) or name == "linear_loop"
    assert "\n" not in str(caught.value)
    rows = describe(tmp_path / "net.nir")
    if not name.startswith(("delay", "tau_below")):  # these depend on dt
        assert any(not row.supported and reason in row.reason for row in rows)


def test_describe_never_raises_for_unknown_nodes(tmp_path):
    nir.write(tmp_path / "net.nir", chain((2,), (2,), w=affine(2, 2), a=lif(2)))
    with h5py.File(tmp_path / "net.nir", "a") as file:
        del file["node/nodes/w/type"]
        file["node/nodes/w/type"] = "Wormhole"
    rows = {row.node: row for row in describe(tmp_path / "net.nir")}
    assert not rows["w"].supported and "Wormhole" in rows["w"].reason
    assert rows["a"].supported and rows["input"].supported
    with pytest.raises(InputError, match="node w: type Wormhole is not supported"):
        import_nir(tmp_path / "net.nir", dt=DT, integrator="euler", reset="zero")


@pytest.mark.parametrize("wrong", [{"dt": 0.0}, {"dt": float("nan")}, {"integrator": "heun"}, {"reset": "maybe"}, {"timesteps": 0}])
def test_meaning_is_checked(tmp_path, wrong):
    nir.write(tmp_path / "net.nir", chain((2,), (2,), a=lif(2)))
    with pytest.raises(InputError):
        import_nir(tmp_path / "net.nir", **{"dt": DT, "integrator": "euler", "reset": "zero", **wrong})


@pytest.mark.parametrize(("strict", "fires"), [(True, [0, 0, 1]), (False, [0, 1, 0])])
def test_a_tie_with_the_threshold_is_decided_by_strictness(tmp_path, strict, fires):
    node = nir.IF(np.array([1 / DT]), np.array([1.0]), np.array([0.0]))
    nir.write(tmp_path / "net.nir", chain((1,), (1,), w=nir.Linear(np.array([[0.5]])), a=node))
    network = import_nir(tmp_path / "net.nir", dt=DT, integrator="euler", reset="zero", strict=strict)
    assert FloatModule(network)(torch.ones(3, 1, 1)).detach().ravel().tolist() == fires


def test_old_files_without_later_fields_are_read(tmp_path):
    nir.write(
        tmp_path / "net.nir", chain((1, 5, 5), (9,), c=conv(1, 1, (3, 3)), f=nir.Flatten({"input": np.array((1, 3, 3))}, 0), a=cuba(9))
    )
    with h5py.File(tmp_path / "net.nir", "a") as file:
        for field in ("c/input_shape", "f/input_type", "a/v_reset", "a/w_in"):
            del file[f"node/nodes/{field}"]
    network = import_nir(tmp_path / "net.nir", dt=DT, integrator="euler", reset="zero")
    assert network["a"].shape == (9,) and network["a"].neuron.reset == "zero"
