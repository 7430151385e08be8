"""The graph of a NIR file that nobody vouches for: nodes and edges, nothing executed, one clear
error.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import as_path, reading
from spikeport.export.common.hdf5 import opened_hdf5
from spikeport.export.nir.contents import Node, contents

MAX_NEURONS = 16_000_000
"""Neurons of a network, and values of one input: about sixteen Loihi 2 chips."""
MAX_DEPTH = 32
"""Graphs inside graphs."""


@dataclass(frozen=True)
class RawGraph:
    """Nodes and edges of a file, nested graphs still nested, types not checked. version: of the nir
    library that wrote it.

    path: of the file.
    """

    nodes: dict[str, Node]
    edges: list[tuple[str, str]]
    metadata: dict[str, Any]
    version: str
    path: Path = Path()


def load_graph(source: Path | str | RawGraph) -> RawGraph:
    """Read the graph of a `.nir` file; one that has been read stays as it is.

    Raises:
        InputError: missing, no HDF5, damaged, no NIR, larger than the limits, or holding links or
            data of other files; see `spikeport.export.common.hdf5` and
            `spikeport.export.nir.contents`.
    """
    if isinstance(source, RawGraph):
        return source
    path = as_path(source)
    with nir_errors(path), opened_hdf5(path) as file:
        kind = file.entries.get(("version",))
        version = file.read([("version",)])[("version",)] if kind and kind.kind == "text" else "unknown"
        return replace(as_graph(contents(file), str(version)), path=path)


def nir_errors(path: Path) -> AbstractContextManager[None]:
    """Inside, whatever goes wrong is the file's fault, and told so."""
    return reading(path, "a NIR file", "write one with nir.write or spikeport quantize")


def as_graph(node: Node, version: str = "") -> RawGraph:
    """A (nested) graph node as nodes and edges; a lone node, as old files hold, becomes a graph of
    its own.

    Raises:
        InputError: nodes without a type, or edges that are no pairs of names of nodes.
    """
    if _text(node["type"]) != "NIRGraph":
        return RawGraph({"node": node}, [], {}, version)
    nodes = node.get("nodes", {})
    if not isinstance(nodes, dict):
        raise InputError("the nodes of a graph in the file are no group; it is no NIR graph")
    for name, inner in nodes.items():
        if not isinstance(inner, dict) or "type" not in inner:
            raise InputError(f"node {name} of the file has no type; it is no NIR node")
        inner["type"] = _text(inner["type"])
    edges = _edges(node.get("edges", ()))
    lost = {end for edge in edges for end in edge} - set(nodes)
    if lost:
        raise InputError(f"an edge of the file names node {min(lost)!r}, which is not in it")
    metadata = node.get("metadata", {})
    return RawGraph(nodes, edges, metadata if isinstance(metadata, dict) else {}, version)


def _edges(stored: Any) -> list[tuple[str, str]]:
    pairs = np.asarray(stored)
    if not pairs.size:
        return []
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise InputError(f"the edges of a graph in the file have shape {pairs.shape}; expected pairs of names")
    return [(_text(a), _text(b)) for a, b in pairs]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"a name or type in the file is {type(value).__name__}, not text; it is no NIR graph")
    return value
