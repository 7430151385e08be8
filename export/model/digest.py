"""Which network a result speaks of: a digest of a network's meaning."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from spikeport.export.common.digest import content_digest
from spikeport.export.model.network import Network


def network_digest(network: Network[Any]) -> str:
    """A digest of everything that decides what a network computes, float or quantized; 64
    hexadecimal digits.

    Topology, names, shapes, weights, registers, scales, input, readout and T are in it; where the
    network came from (`provenance`) is not. A network read back from a `.nir` has the digest of the
    one that was written.
    """
    return content_digest(
        "network", type(network).__name__, {f.name: getattr(network, f.name) for f in fields(network) if f.name != "provenance"}
    )


def part_digests(network: Network[Any]) -> dict[str, str]:
    """A digest of each population and connection, and of the input, by what and name, to tell which
    of them was changed.
    """
    parts: list[tuple[str, str, Any]] = [("input", network.input.name, network.input)]
    parts += [("population", p.name, p) for p in network.populations]
    parts += [("connection", c.name, c) for c in network.connections]
    return {f"{what} {name}": content_digest(what, part) for what, name, part in parts}
