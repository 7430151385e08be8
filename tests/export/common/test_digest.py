"""Digests: equal for equal content whatever its layout, and different for every difference that
means something.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.networks.random_networks import random_network

from spikeport.export.common.digest import content_digest
from spikeport.export.model.digest import network_digest, part_digests
from spikeport.export.nir.file import read_nir, write_nir

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def same(a, b) -> bool:
    """Equal with equal types all the way down; 0.0 and -0.0 are two numbers."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and repr(a) == repr(b)


@given(plain, plain)
def test_plain_values_have_one_digest_exactly_if_they_are_the_same(a, b):
    assert (content_digest("x", a) == content_digest("x", b)) == same(a, b)


def test_the_layout_of_an_array_plays_no_part():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    equal = [np.asfortranarray(array), array.astype(">f4"), np.repeat(array, 2, axis=1)[:, ::2]]
    assert {content_digest("x", each) for each in equal} == {content_digest("x", array)}


@pytest.mark.parametrize(
    "other",
    [
        np.arange(12, dtype=np.float64).reshape(3, 4),
        np.arange(12, dtype=np.int32).reshape(3, 4),
        np.arange(12, dtype=np.float32).reshape(4, 3),
        np.arange(12, dtype=np.float32).reshape(3, 4) + np.eye(3, 4, dtype=np.float32) * 1e-6,
    ],
)
def test_type_shape_and_every_element_of_an_array_count(other):
    assert content_digest("x", other) != content_digest("x", np.arange(12, dtype=np.float32).reshape(3, 4))


def test_what_lies_next_to_each_other_does_not_flow_together():
    @dataclass
    class Pair:
        a: str
        b: str

    values = [("ab", "c"), ("a", "bc"), ["a", "b", "c"], (("a",), "bc"), Pair("a", "bc"), {"a": "bc"}, "abc", b"abc", 1, 1.0, True, "1"]
    assert len({content_digest("x", value) for value in values}) == len(values)
    assert content_digest("x", "a", "b") != content_digest("x", "ab") != content_digest("y", "ab")
    with pytest.raises(TypeError, match="object"):
        content_digest("x", object())


@pytest.mark.parametrize("seed", range(8))
def test_a_network_keeps_its_digest_through_a_file(tmp_path, seed):
    network = random_network(seed)
    write_nir(network, tmp_path / "net.nir")
    again = read_nir(tmp_path / "net.nir")
    assert network_digest(again) == network_digest(network) and part_digests(again) == part_digests(network)


@pytest.mark.parametrize("seed", range(4))
def test_every_change_of_meaning_is_another_network(seed):
    network = random_network(seed)
    connection, population = network.connections[0], network.populations[0]
    weight = connection.weight.copy()
    weight.flat[-1] ^= 1
    neuron = population.neuron
    others = [
        replace(network, connections=(replace(connection, op=replace(connection.op, weight=weight)), *network.connections[1:])),
        replace(
            network,
            connections=(
                replace(connection, exponent=connection.exponent + (-1 if connection.exponent > 0 else 1)),
                *network.connections[1:],
            ),
        ),
        replace(
            network,
            populations=(
                replace(population, neuron=replace(neuron, threshold=np.maximum(neuron.threshold - 1, 0))),
                *network.populations[1:],
            ),
        ),
        replace(network, populations=(replace(population, scale=population.scale * 2), *network.populations[1:])),
        network.with_timesteps(network.timesteps + 1),
    ]
    digests = [network_digest(network), *map(network_digest, others)]
    assert len(set(digests)) == len(digests)
    assert network_digest(replace(network, provenance={"notes": ["where it is from is not what it is"]})) == digests[0]
