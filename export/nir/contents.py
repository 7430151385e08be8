"""What a NIR file holds, as nested dictionaries: sizes are held against what a network can use
before anything large is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, TypeAlias

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.hdf5 import Entry, UntrustedFile, Value, Way

MAX_ELEMENTS = 120_000_000
"""Numbers in all arrays of a file together: the synapses of one Loihi 2 chip."""
TEXT_COST = 1000
"""A name counts as this many numbers: text is read one by one."""
LARGE = 1 << 20
"""Numbers of an array that is loaded only if the nodes beside its own send and take as many as it
says.
"""
ROOT = "node"
SETTINGS = frozenset(
    ("stride", "padding", "dilation", "groups", "kernel_size", "start_dim", "end_dim", "shape", "input_shape", "input_type", "output_type")
)
"""Parameters of a few whole numbers."""
MAX_SETTINGS = 32
PARAMETERS = frozenset(
    ("weight", "bias", "scale", "delay", "threshold", "r", "tau", "tau_mem", "tau_syn", "v_leak", "v_threshold", "v_reset", "w_in")
)
"""Parameters that may be large; a large array of another name is nothing that we use, and stays in
the file.
"""

Node: TypeAlias = "dict[str, Any]"
"""One NIR node as stored: its type and its arrays."""


def contents(file: UntrustedFile) -> Node:
    """The node of a file with all that lies below it.

    Raises:
        InputError: no NIR file, or more or larger arrays than a network can use.
    """
    kinds = {way: entry.kind for way, entry in file.entries.items() if len(way) <= 2}
    if kinds.get((ROOT,)) != "group" or kinds.get((ROOT, "type")) != "text":
        raise InputError(f"{file.path} is no NIR file: it holds no {ROOT} with a type; write one with nir.write or spikeport quantize")
    _check_sizes(file)
    arrays = {way: entry for way, entry in file.entries.items() if way[0] == ROOT and entry.kind != "group"}
    small = {way: entry for way, entry in arrays.items() if entry.size <= LARGE}
    values = file.read(small)
    large = {way: entry for way, entry in arrays.items() if way not in small and way[-1] in PARAMETERS}
    _check_use(file, large, values)
    values |= file.read(large)
    return _nested(file.entries, values)


def _check_sizes(file: UntrustedFile) -> None:
    total = 0
    for way, entry in file.entries.items():
        where = "/".join(way)
        if entry.kind == "other":
            raise InputError(f"{file.path} holds {where} of type {entry.type}; NIR files hold numbers and text only")
        if way[-1] in SETTINGS and entry.size > MAX_SETTINGS:
            raise InputError(f"{file.path} holds {where} of {entry.size:,} numbers; it is a setting of at most {MAX_SETTINGS}")
        total += max(entry.size, entry.chunk) * (TEXT_COST if entry.kind == "text" else max(1, entry.bytes // 8))
    if total > MAX_ELEMENTS:
        raise InputError(f"{file.path} holds {total:,} numbers; networks of at most {MAX_ELEMENTS:,} are read")


def _check_use(file: UntrustedFile, large: Iterable[Way], values: Mapping[Way, Value]) -> None:
    """Refuse large arrays of a node whose neighbours in the graph send or take another number of
    values.
    """
    for node in {way[:-1] for way in large}:
        graph, name = node[:-2], node[-1]
        ends = values.get((*graph, "edges"))
        if node[-2:-1] != ("nodes",) or not isinstance(ends, list):
            continue  # a node without a graph, as old files hold, or no graph at all, which whoever makes one of it tells
        edges = [(a, b) for a, b in zip(ends[::2], ends[1::2]) if name in (a, b)]
        if not edges:
            raise InputError(f"{file.path}: node {name} holds large arrays, but nothing leads to it or from it; leave it out of the file")
        for a, b in edges:
            sent, taken = _widths(file, (*node[:-1], a), values)[1], _widths(file, (*node[:-1], b), values)[0]
            if sent and taken and sent != taken:
                raise InputError(
                    f"{file.path}: node {a} sends {sent:,} values to {b}, which takes {taken:,}; large arrays that do not fit are not read"
                )


def _widths(file: UntrustedFile, node: Way, values: Mapping[Way, Value]) -> tuple[int, int]:
    """Values that a node takes and sends, 0 where its arrays do not tell."""
    kind = values.get((*node, "type"))
    shapes = {way[-1]: entry.shape for way, entry in file.entries.items() if way[:-1] == node and way[-1] in PARAMETERS}
    if kind in ("Linear", "Affine"):
        weight = shapes.get("weight", ())
        return (weight[1], weight[0]) if len(weight) == 2 else (0, 0)
    if kind in ("Input", "Output"):
        shape = values.get((*node, "shape"))
        size = int(np.prod(shape, dtype=np.float64)) if isinstance(shape, np.ndarray) and np.isfinite(shape).all() else 0
        return size, size
    if kind in ("I", "IF", "LI", "LIF", "CubaLI", "CubaLIF", "Threshold"):
        size = max(map(prod, shapes.values()), default=0)
        return (size, size) if size > 1 else (0, 0)
    return 0, 0


def _nested(entries: Mapping[Way, Entry], values: Mapping[Way, Value]) -> Node:
    tree: Node = {}
    for way, entry in entries.items():  # in the file's order, parents first
        if way[0] != ROOT or (entry.kind != "group" and way not in values):
            continue
        inner = tree
        for name in way[:-1]:
            inner = inner[name]
        value: Any = {} if entry.kind == "group" else values[way]
        inner[way[-1]] = np.array(value, object).reshape(entry.shape) if isinstance(value, list) else value
    return tree[ROOT]
