"""Every spike of an imported network against those that the module fired on the sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from spikeport.export.common.errors import InputError
from spikeport.export.floating.layers import Step
from spikeport.export.floating.run import FloatModule
from spikeport.export.model.network import FloatNetwork
from spikeport.export.modules.trace import Trace

POTENTIAL_TOLERANCE = 1e-9
"""Relative difference of potentials in float64 that is rounding."""


def compare(trace: Trace, network: FloatNetwork, sample: Tensor, framework: str, timesteps: int | None) -> FloatNetwork:
    """The network, with what was compared in its provenance.

    Raises:
        InputError: a spike, or a potential that is read out, is not the module's own; names the
            first.
    """
    ours: dict[str, Step] = {}
    x = sample if trace.time_axis is None else sample.movedim(trace.time_axis, 0)
    with torch.no_grad():
        FloatModule(network, dtype=torch.float64)(x.double(), network.timesteps, observe=ours.__setitem__)
    compared = spikes = 0
    for name, group in trace.groups.items():
        theirs = torch.stack(group.spikes).cpu()
        if network[name].neuron.spiking:
            _equal(name, theirs, ours[name].spikes.bool(), ours[name].membrane)
            compared, spikes = compared + theirs.numel(), spikes + int(theirs.sum())
    _equal_potential(trace, network, ours)
    notes = [] if spikes else [f"no neuron fires in the sample of {framework}: that both are equal says little here"]
    provenance = {
        "source": framework,
        "compared": {"neuron_steps": compared, "spikes": spikes, "timesteps": network.timesteps},
        "notes": notes,
    }
    return replace(network, provenance=provenance, timesteps=timesteps or network.timesteps)


def _equal(name: str, theirs: Tensor, ours: Tensor, potentials: Tensor) -> None:
    wrong = (theirs != ours).nonzero()
    if len(wrong):
        t, sample, *neuron = wrong[0].tolist()
        raise InputError(
            f"neuron {name}: {len(wrong):,} of {theirs.numel():,} bins differ from the module's own spikes, first at timestep {t + 1}, "
            f"sample {sample}, neuron {tuple(neuron)} (potential {potentials[tuple(wrong[0])]:g}); its forward does something between "
            "neurons that is not seen, or another thing at another timestep"
        )


def _equal_potential(trace: Trace, network: FloatNetwork, ours: dict[str, Step]) -> None:
    """Where the readout is a potential, compare it too."""
    name = network.output.removesuffix("_membrane") if network.output not in trace.groups else network.output
    if network.readout != "membrane_potential" or name not in trace.groups:
        return
    theirs, mine = torch.stack(trace.groups[name].potentials).cpu().numpy(), ours[network.output].potential.numpy()
    if not np.allclose(mine, theirs, rtol=POTENTIAL_TOLERANCE, atol=POTENTIAL_TOLERANCE * max(np.abs(theirs).max(), 1.0)):
        raise InputError(f"neuron {name}: its potential differs from the module's own by up to {np.abs(mine - theirs).max():g}")
