"""Quantized `.nir` files: out and back bit for bit, honest to other readers, hard to fool."""

from __future__ import annotations

from dataclasses import replace

import h5py
import nir
import numpy as np
import pytest
from support.networks.nir_files import change_metadata, conv_network
from support.networks.random_networks import random_network
from support.oracles.same import assert_equal

from spikeport.export.common.errors import InputError
from spikeport.export.nir.file import is_quantized, read_nir, write_nir


@pytest.mark.parametrize("seed", range(45))
def test_round_trip_is_exact(tmp_path, seed):
    network = random_network(seed, edge=seed % 3 == 0)
    write_nir(network, tmp_path / "net.nir")
    assert is_quantized(tmp_path / "net.nir")
    assert_equal(read_nir(tmp_path / "net.nir"), network)


def test_physical_numbers_are_the_integers_times_their_scales(tmp_path):
    network = conv_network()
    write_nir(network, tmp_path / "net.nir")
    nodes = nir.read(tmp_path / "net.nir").nodes
    scale, gain = network["conv"].scale, 4096 / 400  # what r would be, in the weights instead
    np.testing.assert_allclose(nodes["kernel"].weight, network.connections[0].weight * 2.0**-4 * scale[..., None] * 16 * gain, rtol=1e-6)
    np.testing.assert_allclose(nodes["kernel"].bias, np.multiply([0.5, -0.06, 0], gain), rtol=1e-6)
    np.testing.assert_allclose(nodes["conv"].tau, 2e-3 * 4096 / 400, rtol=1e-6)
    np.testing.assert_allclose(nodes["conv"].r, 1, rtol=1e-6)
    np.testing.assert_allclose(nodes["conv"].v_threshold[:, 0, 0], [9, 1.6, 21], rtol=1e-6)
    np.testing.assert_allclose(nodes["classes"].r, 1 / 2e-3)
    assert type(nodes["classes"]).__name__ == "I" and type(nodes["dense.pool"]).__name__ == "SumPool2d"
    assert_equal(read_nir(tmp_path / "net.nir"), network)


def test_another_tool_may_rewrite_the_file_unchanged(tmp_path):
    network = conv_network()
    write_nir(network, tmp_path / "net.nir")
    nir.write(tmp_path / "again.nir", nir.read(tmp_path / "net.nir"))
    assert_equal(read_nir(tmp_path / "again.nir"), network)


def test_names_do_not_clash(tmp_path):
    network = conv_network()
    named = replace(
        network,
        output="output",
        populations=(network["conv"], replace(network["classes"], name="output")),
        connections=(replace(network.connections[0], name="conv"), replace(network.connections[1], name="output", target="output")),
    )
    write_nir(named, tmp_path / "net.nir")
    assert_equal(read_nir(tmp_path / "net.nir"), named)


CHANGES = {
    "weight": ("kernel/weight", lambda a: a * 1.01),
    "weight_nan": ("kernel/weight", lambda a: a * np.nan),
    "threshold": ("conv/v_threshold", lambda a: a + 0.013),
    "one_threshold_in_a_channel": ("conv/v_threshold", lambda a: a + 0.1 * (np.arange(a.size) == 5).reshape(a.shape)),
    "tau": ("conv/tau", lambda a: a * 1.3),
    "r": ("conv/r", lambda a: a * 2),
    "stride": ("kernel/stride", lambda a: a * 2),
    "bias": ("kernel/bias", lambda a: a + 0.001),
    "pool": ("dense.pool/kernel_size", lambda a: a + 1),
    "weight_beyond_int8": ("kernel/weight", lambda a: a * 64),
    "shape": ("dense/weight", lambda a: a[:, :-1]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_by_another_tool_are_noticed(tmp_path, change):
    where, how = CHANGES[change]
    write_nir(conv_network(), tmp_path / "net.nir")
    with h5py.File(tmp_path / "net.nir", "a") as file:
        values = file[f"node/nodes/{where}"][()]
        del file[f"node/nodes/{where}"]
        file[f"node/nodes/{where}"] = how(values)
    with pytest.raises(InputError) as caught:
        read_nir(tmp_path / "net.nir")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("by", ["a zero", "one step", "the last bit"])
def test_a_weight_that_was_changed_is_refused_by_name(tmp_path, by):
    """Zeroing a weight, or moving it by a step, keeps it a multiple of its step; the last bit
    changes no integer.
    """
    network = conv_network()
    write_nir(network, tmp_path / "net.nir")
    with h5py.File(tmp_path / "net.nir", "a") as file:
        weight = file["node/nodes/kernel/weight"]
        before = weight[1, 0, 2, 2]
        step = before / network.connections[0].weight[1, 0, 2, 2]
        weight[1, 0, 2, 2] = {
            "a zero": 0,
            "one step": before - np.sign(before) * abs(step),
            "the last bit": np.nextafter(before, np.float32(9)),
        }[by]
    with pytest.raises(InputError, match="kernel"):
        read_nir(tmp_path / "net.nir")


def test_numbers_of_another_type_are_refused_by_name(tmp_path):
    write_nir(conv_network(), tmp_path / "net.nir")
    with h5py.File(tmp_path / "net.nir", "a") as file:
        weight = file["node/nodes/kernel/weight"][()]
        del file["node/nodes/kernel/weight"]
        file["node/nodes/kernel/weight"] = np.zeros(weight.shape, np.int32)
    with pytest.raises(InputError, match="kernel"):
        read_nir(tmp_path / "net.nir")


def test_metadata_that_were_changed_are_refused(tmp_path):
    """A change that no register shows: what the file says about itself."""
    write_nir(conv_network(), tmp_path / "net.nir")
    change_metadata(tmp_path / "net.nir", lambda plan: plan["provenance"].update(data="other"))
    with pytest.raises(InputError, match="metadata"):
        read_nir(tmp_path / "net.nir")


def test_a_removed_edge_or_node_is_noticed(tmp_path):
    write_nir(conv_network(), tmp_path / "net.nir")
    graph = nir.read(tmp_path / "net.nir")
    graph.edges = graph.edges[1:]
    nir.write(tmp_path / "cut.nir", graph)
    with pytest.raises(InputError, match="edges were changed"):
        read_nir(tmp_path / "cut.nir")


PLANS = {
    "newer": lambda p: p.update(format=99),
    "no_populations": lambda p: p.pop("populations"),
    "huge": lambda p: p["populations"][0].update(shape=[1 << 40, 1 << 40]),
    "negative": lambda p: p["populations"][0].update(shape=[-3, 8, 8]),
    "exponent": lambda p: p["connections"][0].update(exponent=1 << 40),
    "scale": lambda p: p["populations"][0].update(scale=0),
    "scale_text": lambda p: p["populations"][0].update(scale="large"),
    "geometry": lambda p: p["connections"][0]["geometry"].update(groups=0),
    "delay": lambda p: p["connections"][0].update(delay=3),
    "op": lambda p: p["connections"][0].update(op="__import__"),
    "weight_shape": lambda p: p["connections"][0].update(weight_shape=[1 << 40]),
    "node": lambda p: p["connections"][0].update(node="nowhere"),
    "timesteps": lambda p: p.update(timesteps=0),
    "list": lambda p: p.update(input=[1, 2]),
    "dt": lambda p: p.update(dt=0),
    "dt_negative": lambda p: p.update(dt=-1e-3),
    "integrator": lambda p: p.update(integrator="midpoint"),
    "no_integrator": lambda p: p.pop("integrator"),
    "weight_bits": lambda p: p.update(weight_bits=9),
    "fewer_weight_bits": lambda p: p.update(weight_bits=4),
}


@pytest.mark.parametrize("name", PLANS)
def test_broken_metadata_is_one_clear_error(tmp_path, name):
    write_nir(conv_network(), tmp_path / "net.nir")
    change_metadata(tmp_path / "net.nir", PLANS[name])
    with pytest.raises(InputError) as caught:
        read_nir(tmp_path / "net.nir")
    assert "\n" not in str(caught.value) and "net.nir" in str(caught.value)


def link_outside(path):
    with h5py.File(path, "w") as file:
        file["node"] = h5py.ExternalLink("/etc/other.h5", "/")


def data_outside(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("node/weight", (5,), "u1", external=[(__file__, 0, 5)])


def endless(path):
    with h5py.File(path, "w") as file:
        node = file.create_group("node")
        node["again"] = node


def huge(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("node/weight", shape=(1 << 20, 1 << 20), dtype="f4", chunks=(1, 1024))


def compound(path):
    with h5py.File(path, "w") as file:
        file["node/weight"] = np.zeros(3, dtype=[("a", "f4"), ("b", "i4")])


def truncated(path):
    write_nir(conv_network(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BROKEN = {
    "missing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no HDF5 here"),
    "folder": lambda path: path.mkdir(),
    "no_nir": lambda path: h5py.File(path, "w").close(),
    "truncated": truncated,
    "link_outside": link_outside,
    "endless": endless,
    "huge": huge,
    "compound": compound,
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_one_clear_error(tmp_path, name):
    path = tmp_path / "broken.nir"
    BROKEN[name](path)
    for read in (read_nir, is_quantized):
        with pytest.raises(InputError) as caught:
            read(path)
        assert "\n" not in str(caught.value) and "broken.nir" in str(caught.value)


@pytest.mark.parametrize(("make", "said"), [(link_outside, "holds a link"), (data_outside, "in another file")])
def test_other_files_are_not_read(tmp_path, make, said):
    make(tmp_path / "net.nir")
    with pytest.raises(InputError, match=said):
        read_nir(tmp_path / "net.nir")


def test_a_file_of_another_framework_is_not_quantized(tmp_path):
    nir.write(tmp_path / "net.nir", nir.NIRGraph.from_list(nir.Linear(np.ones((2, 2)))))
    assert not is_quantized(tmp_path / "net.nir")
    with pytest.raises(InputError, match="spikeport quantize"):
        read_nir(tmp_path / "net.nir")


@pytest.mark.parametrize("wrong", [{"provenance": {"x": np.zeros(3)}}, {"provenance": {"x": float("nan")}}])
def test_what_a_file_cannot_hold_is_refused_and_leaves_nothing(tmp_path, wrong):
    with pytest.raises(InputError):
        write_nir(conv_network(**wrong), tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())


def test_slash_in_a_name_is_refused(tmp_path):
    network = conv_network()
    first = replace(network.connections[0], name="a/b")
    with pytest.raises(InputError, match="a/b"):
        write_nir(replace(network, connections=(first, network.connections[1])), tmp_path / "net.nir")


def test_damaged_bytes_end_in_a_network_or_one_clear_error(tmp_path):
    write_nir(conv_network(), tmp_path / "net.nir")
    whole, rng, refused = (tmp_path / "net.nir").read_bytes(), np.random.default_rng(0), 0
    for _ in range(30):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=rng.integers(1, 20)):
            damaged[place] = rng.integers(256)
        (tmp_path / "net.nir").write_bytes(damaged)
        try:
            read_nir(tmp_path / "net.nir")
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 10


def test_a_path_may_be_text_and_anything_else_is_one_line(tmp_path):
    network, place = conv_network(), str(tmp_path / "net.nir")
    write_nir(network, place)
    assert is_quantized(place)
    assert_equal(read_nir(place), network)
    with pytest.raises(InputError, match=r"missing\.nir does not exist"):
        read_nir(str(tmp_path / "missing.nir"))
    for use in (read_nir, is_quantized, lambda p: write_nir(network, p)):
        with pytest.raises(InputError, match="no path of a file"):
            use(7)
