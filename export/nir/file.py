"""Quantized networks as `.nir` files, out and back bit for bit.

The file is NIR as everybody reads it (physical parameters, see `nir_nodes`) plus one JSON text in
the graph's metadata that says
what NIR cannot: dt, integrator, reset kind, input code, readout, exponents, scales, T. The integers
are recovered from the physical numbers; then the file is compared with what we would have written,
so that no change by another tool goes unseen. The JSON carries digests of the integers, part by
part, and of itself: a damaged bit is refused, and the part is named.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from spikeport.export.common.digest import content_digest, short
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import parse_json, write_bytes
from spikeport.export.common.guard import reading
from spikeport.export.model.digest import network_digest, part_digests
from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.nir.build import build_graph
from spikeport.export.nir.graph import RawGraph, load_graph
from spikeport.export.nir.metadata import FORMAT, KEY, PLAIN_FROM, READABLE, network_from, plan_of

DIGESTS, NETWORK, OWN = "digests", "network", "digest"
"""In the JSON: digests of the network and of its parts, and one of the JSON's other fields."""
CHANGE_TOLERANCE = 1e-3
"""Relative change of a number in the file that still counts as rounding by another tool."""


def write_nir(network: QuantizedNetwork, path: Path | str) -> None:
    """Write a quantized network; a reader never sees half a file.

    Raises:
        InputError: a name, scale or provenance that the file cannot hold.
        OutputError: a path that cannot be written.
    """
    built = build_graph(network)
    try:
        plan = json.loads(json.dumps(plan_of(network, built), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"the network's provenance is not JSON ({error}); keep numbers, text, lists and mappings in it") from None
    plan[DIGESTS] = {NETWORK: network_digest(network), **part_digests(network)}
    built.graph.metadata = {KEY: json.dumps({**plan, OWN: content_digest("plan", plan)})}
    held = io.BytesIO()  # on a full disk, HDF5 itself would crash
    nir.write(held, built.graph)
    _leave_out_resets_to_zero(held)
    write_bytes(path, held.getbuffer())


def _leave_out_resets_to_zero(held: io.BytesIO) -> None:
    """Readers with nir 1.0.4, as Sinabs 3.1 has, refuse v_reset; a file without it means zero to
    all.
    """
    with h5py.File(held, "a") as file:
        for node in file["node/nodes"].values():
            if "v_reset" in node and not node["v_reset"][()].any():
                del node["v_reset"]


def read_nir(source: Path | str | RawGraph) -> QuantizedNetwork:
    """Read a network that `write_nir` wrote: equal to it in every array, type and field. source:
    the file, or its graph as read.

    Raises:
        InputError: no NIR file, not quantized, of an unknown format, larger than the limits,
            damaged, or changed by another tool.
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
                _compare(raw, build_graph(network, plain=version >= PLAIN_FROM).graph, exact=DIGESTS in plan)
                _check_digests(plan, network)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        return network


def is_quantized(source: Path | str | RawGraph) -> bool:
    """Whether a NIR file holds a network that `write_nir` wrote; raises InputError if it is no NIR
    file.
    """
    return KEY in load_graph(source).metadata


def _compare(raw: RawGraph, expected: nir.NIRGraph, *, exact: bool) -> None:
    """Refuse a file that differs from what we would have written for the network read from it.

    exact: numbers of the type that we write must be ours to the last bit; only other types of float
    may be rounded.
    """
    if set(raw.nodes) != set(expected.nodes) or sorted(raw.edges) != sorted(expected.edges):
        raise InputError("nodes or edges were changed by another tool; quantize the file again")
    for name, node in expected.nodes.items():
        for key, value in node.to_dict().items():
            absent = np.zeros_like(value) if key == "v_reset" else None
            if key != "metadata" and not _same(raw.nodes[name].get(key, absent), value, exact):
                raise InputError(f"{key} of node {name} was damaged, or changed by another tool; quantize the file again")


def _same(there: Any, expected: Any, exact: bool) -> bool:
    if isinstance(expected, str) or there is None:
        return there == expected
    there, expected = np.asarray(there), np.asarray(expected)
    if there.shape != expected.shape or (expected.dtype.kind == "f" and there.dtype.kind != "f"):
        return False
    if exact and there.dtype == expected.dtype:
        return np.array_equal(there, expected)
    return np.allclose(there, expected, rtol=CHANGE_TOLERANCE, atol=0)


def _check_digests(plan: Mapping[str, Any], network: QuantizedNetwork) -> None:
    """Refuse a network that is not the one the file was written for; files of versions before carry
    no digests.
    """
    if DIGESTS not in plan:
        return
    kept = dict(plan[DIGESTS])
    if kept.pop(NETWORK, None) != network_digest(network):
        now = part_digests(network)
        other = next((name for name in {**kept, **now} if kept.get(name) != now.get(name)), "network")
        raise InputError(f"{other} is not what the file was written with (digest {short(now.get(other, ''))}): damaged; quantize again")
    plain = dict(plan)
    if plain.pop(OWN, None) != content_digest("plan", plain):
        raise InputError("its metadata of spikeport is not what the file was written with: damaged; quantize again")
