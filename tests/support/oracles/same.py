"""Equality down to the last field, for what a file must give back."""

from __future__ import annotations

from dataclasses import fields

import numpy as np


def assert_equal(a, b) -> None:
    """Same type, same fields, same arrays, same dtypes, all the way down."""
    assert type(a) is type(b), (a, b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape and (a == b).all(), (a, b)
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            assert_equal(x, y)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif hasattr(a, "__dataclass_fields__"):
        for f in fields(a):
            assert_equal(getattr(a, f.name), getattr(b, f.name))
    else:
        assert a == b
