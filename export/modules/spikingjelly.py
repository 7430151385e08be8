"""SpikingJelly modules as float networks, and what its IF, LIF and PLIF neurons mean.

Equations as documented (SpikingJelly 2.0.0, `activation_based.neuron`); v_r = v_reset, or 0 for a
soft reset:

    IFNode                                  h = v + x
    LIFNode, ParametricLIFNode              h = v + (x - (v - v_r)) / tau    decay_input=True
                                            h = v - (v - v_r) / tau + x      decay_input=False
    all                                     s = h >= v_threshold;  v = v_r where s (hard), or v = h
    - v_threshold s (v_reset=None, soft)

The potential starts at v_r, so v - v_r is a neuron that starts at 0, keeps 1 - 1/tau per step and
fires at v_threshold - v_r. PLIF's 1/tau is sigmoid(w).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import FloatNetwork
from spikeport.export.model.synapse import Shape
from spikeport.export.modules.convert import Framework, Sample, convert
from spikeport.export.modules.reading import ONE, Reading, parameter
from spikeport.export.modules.trace import NeuronCall

CALL = NeuronCall((), "v")
PROBE = torch.tensor([-10.0, -1.0, -1e-3, -1e-9, 0.0, 1e-9, 1e-3, 1.0, 10.0], dtype=torch.float64)
RATES: Mapping[str, Callable[[Any], Any]] = {
    "IFNode": lambda module: 0.0,
    "LIFNode": lambda module: 1 / module.tau,
    "ParametricLIFNode": lambda module: module.w.sigmoid(),
}
"""1 / tau of each neuron with a counterpart."""


def from_spikingjelly(
    module: nn.Module,
    sample: Sample,
    *,
    readout: Literal["spikes", "membrane"] = "spikes",
    timesteps: int | None = None,
    time_axis: int | None = None,
) -> FloatNetwork:
    """A live SpikingJelly module as a float network that fires in the same bins; otherwise as
    `snntorch.from_snntorch`.

    A module in multi-step mode is run step by step on a copy, which SpikingJelly documents as the
    same.

    Args:
        module: IFNode, LIFNode and ParametricLIFNode between linear layers.
        sample: one timestep `(samples, *shape)`, held; or with its `time_axis`, which is 0 where
            the module is in multi-step mode.

    Raises:
        InputError: a neuron, option or layer without an exact counterpart, or a spike that differs.
    """
    if time_axis is None and any(getattr(m, "step_mode", "s") == "m" for m in module.modules()):
        time_axis = 0
    return convert(SPIKINGJELLY, module, sample, readout=readout, timesteps=timesteps, time_axis=time_axis)


def _kind(module: nn.Module) -> str | None:
    """Name of the SpikingJelly neuron that a module is; None for any other module."""
    for cls in type(module).__mro__:
        if cls.__module__.startswith("spikingjelly.") and hasattr(module, "v_threshold"):
            return cls.__name__
    return None


def call_of(module: Any, name: str) -> NeuronCall | None:
    """How a neuron is called, one step at a time; None for a module that is no neuron."""
    if hasattr(module, "step_mode"):
        module.step_mode = "s"
    kind = _kind(module)
    if kind is None:
        return None
    if kind not in RATES:
        raise InputError(f"neuron {name} is a {kind}; only {', '.join(RATES)} have a counterpart")
    return CALL


def prepare(module: Any) -> None:
    """Forget the state that a neuron holds."""
    module.reset()


def read(module: Any, shape: Shape) -> Reading:
    """The meaning of a neuron.

    Raises:
        InputError: an option without counterpart.
    """
    with torch.no_grad():
        fired = module.surrogate_function(PROBE)
    if not torch.equal(fired.double(), (PROBE >= 0).double()):
        raise InputError("its surrogate_function does not fire exactly where the potential reaches the threshold (spiking=False?)")
    kind, soft = str(_kind(module)), module.v_reset is None
    rate = parameter(RATES[kind](module), shape, "1/tau")
    threshold = parameter(module.v_threshold, shape, "v_threshold")
    if soft:
        reading = Reading(1 - rate, threshold, reset="subtract", reset_value=threshold, strict=False, membrane=-threshold, membrane_delay=0)
    else:
        why = "a potential that was set to v_reset is no sum of what came in; use a soft reset for neurons that are read by their potential"
        threshold = np.asarray(threshold - module.v_reset)
        reading = Reading(1 - rate, threshold, strict=False, no_membrane=why)
    if (threshold <= 0).any():
        raise InputError(f"its threshold is {threshold.min():g} above its rest; below or at it, it would fire for ever without input")
    return reading.with_gain(rate if getattr(module, "decay_input", False) else ONE)


SPIKINGJELLY = Framework("spikingjelly", call_of, prepare, read)
