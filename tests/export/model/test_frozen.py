"""Arrays that cannot be changed through any name."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from spikeport.export.common.errors import InputError
from spikeport.export.model.frozen import frozen_array
from spikeport.export.model.synapse import Connection, Conv, Dense, Elementwise

OPS = {
    "dense": Dense,
    "conv": lambda weight: Conv(weight.reshape(4, 3, 1), (1,), (0,), (1,)),
    "elementwise": Elementwise,
}


@given(arrays.arrays(st.sampled_from(["f8", ">f8", ">i4", "<i4", "i1", "?", "f4"]), arrays.array_shapes(min_dims=0, min_side=0)))
def test_values_stay_and_byte_order_becomes_the_machines(values):
    made = frozen_array(values)
    np.testing.assert_array_equal(made, values)
    assert made.shape == values.shape and made.dtype.isnative and made.dtype == values.dtype.newbyteorder("=")


@given(arrays.arrays("i4", (3, 4)), st.sampled_from([lambda a: a, lambda a: a[1:], lambda a: a.T, lambda a: a[::2, ::-1]]))
def test_neither_the_array_nor_a_view_reaches_the_copy(values, part):
    original, expected = part(values), part(values).copy()
    made = frozen_array(original)
    values += 1
    original[...] = 7
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("op", OPS)
def test_weights_cannot_be_written_and_stay_frozen(op):
    weight = np.arange(12.0).reshape(4, 3)
    kept = OPS[op](weight).weight
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 5
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        kept.flags.writeable = True
    weight[:] = -1
    assert kept.ravel().tolist() == list(range(12))


def test_the_callers_array_stays_writable():
    weight = np.zeros((2, 2))
    Connection("c", "a", "b", Dense(weight))
    weight[0, 0] = 1


def test_rebuilding_a_connection_copies_no_weight():
    connection = Connection("c", "a", "b", Dense(np.zeros((1000, 1000), np.int8)))
    tracemalloc.start()
    made = replace(replace(connection, exponent=2), op=replace(connection.op))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.shares_memory(made.weight, connection.weight) and peak < 100_000


def test_an_array_somebody_made_read_only_is_copied():
    """Its owner may make it writable again, and may hold a view that always was."""
    values = np.zeros(3)
    view = values[:]
    values.flags.writeable = False
    made = frozen_array(values)
    view[0] = 1
    assert not made.any()


@pytest.mark.parametrize("values", [np.array([object()]), np.array(["a"]), np.zeros(2, complex)])
def test_what_is_no_number_is_refused(values):
    with pytest.raises(InputError, match="give integers, floats or booleans"):
        frozen_array(values)
