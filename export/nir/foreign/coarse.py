"""How long a timestep is beside the time constants of a network: where it is not short, results
hang on the integrator.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeport.export.model.network import FloatNetwork
from spikeport.export.nir.foreign.flat import flatten, numbers
from spikeport.export.nir.graph import RawGraph, load_graph

COARSE = 0.1
"""Share of a time constant from which on a timestep is long."""


def shortest_tau(source: Path | RawGraph) -> float:
    """The smallest time constant of any neuron in a file, in its own unit; infinite where it has
    none.

    Raises:
        InputError: not a NIR file, or a time constant that is no number.
    """
    flat = flatten(load_graph(source))
    taus = [
        float(numbers(node, name, key).min(initial=np.inf))
        for name, node in flat.nodes.items()
        for key in ("tau", "tau_mem", "tau_syn")
        if key in node
    ]
    return min(taus, default=np.inf)


def coarse_steps(network: FloatNetwork, dt: float) -> list[str]:
    """One line per population whose timestep is a large part of a time constant."""
    euler = network.integrator == "euler"
    notes = []
    for p in network.populations:
        shares = [float((1 - keep if euler else -np.log(keep)).max()) for keep in (p.neuron.alpha, p.neuron.beta) if keep.all()]
        if (share := max(shares, default=0.0)) > COARSE:
            notes.append(
                f"{p.name}: dt {dt:g} is {share:.0%} of a time constant; integrators differ there, so make sure that dt and its unit are "
                "those of the framework"
            )
    return notes
