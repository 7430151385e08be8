"""A SHA-256 over what values mean: types, names, numbers and arrays, in a canonical form that no
file format or machine decides.

Two values have the same digest exactly if they are of the same types, with equal fields, and arrays
of the same element type, shape and elements. Byte order, memory layout, file compression and
timestamps play no part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from spikeport.export.common.arrays import blocks

SHOWN = 12
"""Hexadecimal digits of a digest that people are shown."""


def content_digest(kind: str, *values: Any) -> str:
    """64 hexadecimal digits for values of a kind; `kind` keeps digests of different things apart.

    values: dataclasses, mappings with text as keys, tuples, lists, arrays of numbers or text, text,
    bytes, numbers, booleans, None.

    Raises:
        TypeError: a value of another type.
    """
    hasher = hashlib.sha256(f"spikeport {kind}\n".encode())
    for value in values:
        _feed(hasher, value)
    return hasher.hexdigest()


def short(digest: str) -> str:
    """The first digits of a digest, for people; a dash where there is none."""
    return digest[:SHOWN] or "-"


def _feed(hasher: Any, value: Any) -> None:
    """Add one value: its type's letter, its length where it has one, then its content, so that no
    two values read the same.
    """
    if isinstance(value, np.ndarray):
        _feed_array(hasher, value)
    elif is_dataclass(value) and not isinstance(value, type):
        _feed_named(hasher, type(value).__name__, {f.name: getattr(value, f.name) for f in fields(value)})
    elif isinstance(value, Mapping):
        _feed_named(hasher, "", dict(sorted(value.items())))
    elif isinstance(value, (tuple, list)):
        hasher.update(f"({len(value)}:".encode())
        for item in value:
            _feed(hasher, item)
    elif isinstance(value, bytes):
        hasher.update(f"x{len(value)}:".encode() + value)
    else:
        text = _scalar(value).encode()
        hasher.update(f"{len(text)}:".encode() + text)


def _feed_named(hasher: Any, name: str, items: Mapping[str, Any]) -> None:
    hasher.update(f"{{{name}:{len(items)}:".encode())
    for key, item in items.items():
        _feed(hasher, key)
        _feed(hasher, item)


def _feed_array(hasher: Any, array: np.ndarray) -> None:
    if array.dtype.kind == "U":
        _feed(hasher, array.tolist())
        return
    if array.dtype.kind not in "biuf":
        raise TypeError(f"an array of {array.dtype} has no digest; give numbers or text")
    hasher.update(f"[{array.dtype.kind}{array.dtype.itemsize}{array.shape}:".encode())
    for block in blocks(np.atleast_1d(array)):
        hasher.update(np.ascontiguousarray(block, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8))


def _scalar(value: Any) -> str:
    """Text that tells the type and the exact value of a plain value."""
    if value is None or isinstance(value, (bool, np.bool_)):
        return f"b{value}"
    if isinstance(value, str):
        return f"s{value}"
    if isinstance(value, (int, np.integer)):
        return f"i{int(value)}"
    if isinstance(value, (float, np.floating)):
        return f"f{float(value).hex()}"
    raise TypeError(f"{type(value).__name__} has no digest; give plain values, arrays or dataclasses of them")
