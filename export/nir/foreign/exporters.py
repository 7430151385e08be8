"""Constants that an exporter writes which are not those of the network it was given, and what its
network computes.

Norse 1.1.0's LIFCell counts its input whole; the file has w_in = 1 and r = 1, with which NIR's
equation counts dt / tau_syn of it. Its IAFCell has no time constant and counts its input whole,
too; the file has r = 1, which counts dt of it.

Rockpool 3.1.0 writes r = tau_mem exp(-dt / tau_mem) / dt for every neuron. Its LIFTorch adds the
input and then decays the current, `i <- exp(-dt / tau_syn) (i + S)`, before the potential takes it
whole, `v <- exp(-dt / tau_mem) v + i`: the factor is that of the synapse, and the file has w_in =
1. Its LIFNeuronTorch decays before it adds, so that the input counts whole. Its ExpSynTorch (LI) is
as r says. Such an r also says dt, which the file says nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from spikeport.export.nir.contents import Node
from spikeport.export.nir.foreign.flat import FlatGraph, flatten, numbers
from spikeport.export.nir.graph import RawGraph, load_graph

WRITTEN = 1e-5
"""Relative difference from what an exporter writes that is float32's rounding."""
DIGITS = 6
"""Of a dt that is found from float32."""


@dataclass(frozen=True)
class Exporter:
    """right: a neuron node and dt -> the node of the network that was exported, or None where it is
    not one of the exporter's.

    concerns: node types that are written wrongly. said: what is done to them, in words.
    """

    right: Callable[[Node, str, float], Node | None]
    concerns: tuple[str, ...]
    said: str


def _norse(node: Node, name: str, dt: float) -> Node | None:
    if (numbers(node, name, "r") != 1).any() or (numbers(node, name, "w_in", 1.0) != 1).any():
        return None
    return {**node, "r": numbers(node, name, "r") / dt} if node["type"] == "IF" else {**node, "w_in": numbers(node, name, "tau_syn") / dt}


def _rockpool(node: Node, name: str, dt: float) -> Node | None:
    cuba = node["type"] == "CubaLIF"
    tau, r = numbers(node, name, "tau_mem" if cuba else "tau"), numbers(node, name, "r")
    written = np.allclose(r * dt, tau * np.exp(-dt / tau), rtol=WRITTEN, atol=0) and (numbers(node, name, "w_in", 1.0) == 1).all()
    if not written:
        return None
    synapse = numbers(node, name, "tau_syn") if cuba else tau
    return {**node, "r": tau / dt} | ({"w_in": synapse / dt * np.exp(-dt / synapse)} if cuba else {})


EXPORTERS = {
    "norse": Exporter(
        _norse,
        ("CubaLIF", "IF"),
        "the 1 of Norse's exporter read as w_in = tau_syn/dt (LIFCell) or r = 1/dt (IAFCell), since these count their input whole",
    ),
    "rockpool": Exporter(
        _rockpool,
        ("CubaLIF", "LIF"),
        "r and w_in of Rockpool's exporter replaced: its neurons count their input whole, LIFTorch's decayed by exp(-dt/tau_syn)",
    ),
}


def corrected(flat: FlatGraph, framework: str, dt: float) -> tuple[FlatGraph, list[str]]:
    """The graph with an exporter's constants put right, and in words where that was done and where
    not.

    dt: in the file's unit. A node whose constants are not the exporter's stays as it is.

    Raises:
        NodeError: a parameter is missing or no finite number.
    """
    exporter = EXPORTERS[framework]
    concerned = [name for name in flat.nodes if flat.kind(name) in exporter.concerns]
    right = {name: exporter.right(flat.nodes[name], name, dt) for name in concerned}
    done, left = [name for name in concerned if right[name]], [name for name in concerned if not right[name]]
    notes = [f"{', '.join(done)}: {exporter.said}"] if done else []
    notes += [f"{', '.join(left)}: read as the file has it; these are not constants that {framework} writes at dt {dt:g}"] if left else []
    return replace(flat, nodes=flat.nodes | {name: node for name, node in right.items() if node}), notes


def dt_of_rockpool(graph: RawGraph) -> float | None:
    """The dt, in the file's unit, at which Rockpool wrote every neuron's r; None where there is no
    such dt.
    """
    from scipy.special import lambertw  # noqa: PLC0415  slow to import, seldom needed

    flat, found = flatten(load_graph(graph)), []
    for name, node in flat.nodes.items():
        if node["type"] in ("CubaLIF", "LIF", "LI"):
            tau, r = numbers(node, name, "tau_mem" if "tau_mem" in node else "tau"), numbers(node, name, "r")
            if not ((r > 0).all() and (tau > 0).all()):
                return None
            found.append(np.ravel(tau * lambertw(1 / r).real))  # the x = dt / tau of r = exp(-x) / x
    every = np.concatenate(found) if found else np.zeros(0)
    if not every.size or np.ptp(every) > 10 * WRITTEN * every.min():
        return None
    return float(f"{np.median(every):.{DIGITS}g}")
