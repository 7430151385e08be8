"""Opening NIR files that nobody vouches for: checked before anything is loaded, nothing executed, one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from nir.serialization import hdf2dict

from spikeport.export.common.errors import InputError
from spikeport.export.common.hdf5 import own_member

MAX_FILE_BYTES = 1 << 31
MAX_ELEMENTS = 120_000_000
"""Numbers in all arrays of a file together: the synapses of one Loihi 2 chip."""
TEXT_COST = 1000
"""A name counts as this many numbers: text is read one by one."""
MAX_NEURONS = 16_000_000
"""Neurons of a network, and values of one input: about sixteen Loihi 2 chips."""
MAX_OBJECTS = 100_000
MAX_DEPTH = 32
"""Objects in a file, and groups inside groups."""

Node: TypeAlias = "dict[str, Any]"
"""One NIR node as stored: its type and its arrays."""


@dataclass(frozen=True)
class RawGraph:
    """Nodes and edges of a file, nested graphs still nested, types not checked. version: of the nir library that wrote it."""

    nodes: dict[str, Node]
    edges: list[tuple[str, str]]
    metadata: dict[str, Any]
    version: str


def load_graph(path: Path) -> RawGraph:
    """Read the graph of a `.nir` file.

    Raises:
        InputError: see `opened`, or not NIR.
    """
    with opened(path) as file:
        return as_graph(hdf2dict(file["node"]), file["version"][()].decode() if "version" in file else "unknown")


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """A checked HDF5 file that has a NIR node; whatever goes wrong while reading it becomes one clear error.

    Raises:
        InputError: missing, empty, no HDF5, truncated, no NIR, larger than the limits above, or holding links or foreign data.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist" if not path.exists() else f"{path} is a directory, not a .nir file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"{path} has {path.stat().st_size} bytes; at most {MAX_FILE_BYTES} are read")
    try:
        with h5py.File(path, "r") as file:
            _check_size(file, path)
            if "type" not in file["node"]:
                raise KeyError("its node has no type")
            yield file
    except InputError:
        raise
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} is no readable NIR file ({reason}); write one with nir.write or spikeport quantize") from None


def as_graph(node: Node, version: str = "") -> RawGraph:
    """A (nested) graph node as nodes and edges; a lone node, as old files hold, becomes a graph of its own."""
    if _text(node["type"]) != "NIRGraph":
        return RawGraph({"node": node}, [], {}, version)
    edges = [(_text(a), _text(b)) for a, b in node["edges"]]
    nodes = {_text(name): inner for name, inner in node["nodes"].items()}
    for name, inner in nodes.items():
        if not isinstance(inner, dict) or "type" not in inner:
            raise InputError(f"node {name} of the file has no type; it is no NIR node")
        inner["type"] = _text(inner["type"])
    lost = {end for edge in edges for end in edge} - set(nodes)
    if lost:
        raise InputError(f"an edge of the file names node {min(lost)!r}, which is not in it")
    metadata = node.get("metadata", {})
    return RawGraph(nodes, edges, metadata if isinstance(metadata, dict) else {}, version)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise ValueError(f"a name is {type(value).__name__}, not text")
    return value


def _check_size(file: h5py.File, path: Path) -> None:
    """Walk the file without loading anything."""
    elements = objects = 0
    pending = [(file, 0)]
    while pending:
        group, depth = pending.pop()
        for name in group:
            objects += 1
            if objects > MAX_OBJECTS or depth > MAX_DEPTH:
                raise InputError(f"{path} holds more than {MAX_OBJECTS} objects or nests deeper than {MAX_DEPTH} groups")
            item = own_member(group, name, path)
            if isinstance(item, h5py.Group):
                pending.append((item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                elements += _elements(item, path)
        if elements > MAX_ELEMENTS:
            raise InputError(f"{path} holds {elements} numbers; networks of at most {MAX_ELEMENTS} are read")


def _elements(item: h5py.Dataset, path: Path) -> int:
    """Size of one array; only plain numbers and text."""
    if item.dtype.kind not in "fiub" and h5py.check_string_dtype(item.dtype) is None:
        raise InputError(f"{path} holds {item.name} of type {item.dtype}; NIR files hold numbers and text only")
    each = max(1, item.dtype.itemsize // 8) if item.dtype.kind in "fiub" else TEXT_COST
    return int(np.prod(item.shape or (), dtype=object)) * each
