"""Quantized `.nir` files: out and back bit for bit, honest to other readers, hard to fool."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from random_networks import random_network

from spikeport.export.nir_file import is_quantized, read_nir, write_nir


def assert_equal(a, b) -> None:
    """Same type, same fields, same arrays, same dtypes, all the way down."""
    assert type(a) is type(b), (a, b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape and (a == b).all(), (a, b)
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            assert_equal(x, y)
    elif hasattr(a, "__dataclass_fields__"):
        for f in fields(a):
            assert_equal(getattr(a, f.name), getattr(b, f.name))
    else:
        assert a == b


@pytest.mark.parametrize("seed", range(60))
def test_round_trip_is_exact(tmp_path, seed):
    network = random_network(seed, edge=seed % 3 == 0)
    write_nir(network, tmp_path / "net.nir")
    assert is_quantized(tmp_path / "net.nir")
    assert_equal(read_nir(tmp_path / "net.nir"), network)
