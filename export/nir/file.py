"""Quantized networks as `.nir` files, out and back bit for bit.

The file is NIR as everybody reads it (physical parameters, see `nir_nodes`) plus one JSON text in the graph's metadata that says
what NIR cannot: dt, integrator, reset kind, input code, readout, exponents, scales, T. The integers are recovered from the
physical numbers; then the file is compared with what we would have written, so that no change by another tool goes unseen.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.files import parse_json, written_whole
from spikeport.export.common.guard import reading
from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.nir.build import build_graph
from spikeport.export.nir.graph import RawGraph, load_graph
from spikeport.export.nir.metadata import FORMAT, KEY, PLAIN_FROM, READABLE, network_from, plan_of

CHANGE_TOLERANCE = 1e-3
"""Relative change of a number in the file that still counts as rounding by another tool."""


def write_nir(network: QuantizedNetwork, path: Path) -> None:
    """Write a quantized network; a reader never sees half a file.

    Raises:
        InputError: a name, scale or provenance that the file cannot hold, or a path that cannot be written.
    """
    built = build_graph(network)
    try:
        text = json.dumps(plan_of(network, built), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the network's provenance is not JSON ({error}); keep numbers, text, lists and mappings in it") from None
    built.graph.metadata = {KEY: text}
    with written_whole(path) as beside:
        nir.write(beside, built.graph)
        _leave_out_resets_to_zero(beside)


def _leave_out_resets_to_zero(path: Path) -> None:
    """Readers with nir 1.0.4, as Sinabs 3.1 has, refuse v_reset; a file without it means zero to all."""
    with h5py.File(path, "a") as file:
        for node in file["node/nodes"].values():
            if "v_reset" in node and not node["v_reset"][()].any():
                del node["v_reset"]


def read_nir(source: Path | RawGraph) -> QuantizedNetwork:
    """Read a network that `write_nir` wrote: equal to it in every array, type and field. source: the file, or its graph as read.

    Raises:
        InputError: no NIR file, not quantized, of an unknown format, larger than the limits, or changed by another tool.
    """
    raw = load_graph(source)
    path = raw.path
    if not is_quantized(raw):
        raise InputError(f"{path} holds no integers of spikeport; run `spikeport quantize` on it first")
    plan = parse_json(str(raw.metadata[KEY]), f"{path}: metadata {KEY}")
    version = plan.get("format") if isinstance(plan, dict) else None
    if version not in READABLE:
        raise InputError(f"{path} has format {version!r}, this version of spikeport reads up to {FORMAT}; use the one that wrote it")
    with reading(path, "a quantized network", "quantize again, or get a fresh copy"):
        try:
            with np.errstate(all="ignore"):  # nonsense in the file ends as NaN, which is refused
                network = network_from(plan, raw.nodes)
                _compare(raw, build_graph(network, plain=version >= PLAIN_FROM).graph)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        return network


def is_quantized(source: Path | RawGraph) -> bool:
    """Whether a NIR file holds a network that `write_nir` wrote; raises InputError if it is no NIR file."""
    return KEY in load_graph(source).metadata


def _compare(raw: RawGraph, expected: nir.NIRGraph) -> None:
    """Refuse a file that differs from what we would have written for the network read from it."""
    if set(raw.nodes) != set(expected.nodes) or sorted(raw.edges) != sorted(expected.edges):
        raise InputError("nodes or edges were changed by another tool; quantize the file again")
    for name, node in expected.nodes.items():
        for key, value in node.to_dict().items():
            absent = np.zeros_like(value) if key == "v_reset" else None
            if key != "metadata" and not _same(raw.nodes[name].get(key, absent), value):
                raise InputError(f"{key} of node {name} was changed by another tool; quantize the file again")


def _same(found: Any, expected: Any) -> bool:
    if isinstance(expected, str) or found is None:
        return found == expected
    found, expected = np.asarray(found), np.asarray(expected)
    return found.shape == expected.shape and np.allclose(found, expected, rtol=CHANGE_TOLERANCE, atol=0)
