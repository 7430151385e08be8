"""snnTorch 1.0 modules as float networks, and what each of its neurons means.

Equations read from snnTorch 1.0.0's neurons; x is what comes in, m the membrane before its reset, r
= [m_before > theta]:

    Leaky, RLeaky         m = beta m + x - theta r                subtract, one step late (`reset_delay=True`, the default)
    Synaptic, RSynaptic   the same with x = syn = alpha syn + x
    Lapicque              m = (1 - dt/RC) m + (dt/C) x - theta r  always late

A reset by subtraction that is late and undecayed equals one of theta / beta at once. Late resets to
zero: Leaky zeroes its old state before it decays, which is a reset at once; the others leave out
the whole step after a spike (`firing="refractory"`). `reset_delay=False` resets at once, but in a
step that began above the threshold the threshold counts twice (`firing="deferred"`); to zero that
never happens. The recurrent ones get their last spikes through a layer, with its bias at every
step. alpha and beta are clamped to 0..1 as in snnTorch's forward; Lapicque's decay is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import FloatNetwork
from spikeport.export.model.neuron import late_reset_value
from spikeport.export.model.synapse import Shape
from spikeport.export.modules.convert import Framework, Sample, convert
from spikeport.export.modules.reading import Reading, parameter
from spikeport.export.modules.trace import NeuronCall

CALLS: Mapping[str, NeuronCall] = {
    "Leaky": NeuronCall(("mem",), "mem"),
    "Lapicque": NeuronCall(("mem",), "mem"),
    "Synaptic": NeuronCall(("syn", "mem"), "mem"),
    "RLeaky": NeuronCall(("spk", "mem"), "mem", spikes="spk"),
    "RSynaptic": NeuronCall(("spk", "syn", "mem"), "mem", spikes="spk"),
}
REFUSED = {
    "Alpha": "its potential is the difference of two synaptic currents, which its reset clears too; no register of a chip does that; use Synaptic",
    "SLSTM": "it is a long short-term memory, whose gates are no spiking neuron; use RSynaptic",
    "SConv2dLSTM": "it is a long short-term memory, whose gates are no spiking neuron; use RSynaptic",
}
PROBE = torch.tensor([-10.0, -1.0, -1e-3, -1e-9, 0.0, 1e-9, 1e-3, 1.0, 10.0], dtype=torch.float64)


def from_snntorch(
    module: nn.Module,
    sample: Sample,
    *,
    readout: Literal["spikes", "membrane"] = "spikes",
    timesteps: int | None = None,
    time_axis: int | None = None,
) -> FloatNetwork:
    """A live snnTorch module as a float network that fires in the same bins.

    The module is copied, set to evaluation and float64, and run on the sample once, watched; then
    the network runs on the sample too, and every spike of every neuron at every timestep must be
    the module's own. What cannot be equal is refused by name.

    Args:
        module: any module of snnTorch neurons (Leaky, Synaptic, RLeaky, RSynaptic, Lapicque),
            linear layers, convolutions, average pooling, max pooling of spikes, batch norm, dropout
            and reshapes. Its forward loops over time, or takes one timestep.
        sample: what its forward takes, batch first once a timestep is taken; a tuple where it takes
            states too. A few samples will do.
        readout: "spikes" of the last neuron, or its "membrane" (snnTorch's `mem`), classes by its
            value at the last step.
        timesteps: T, where the forward takes one timestep (default: 32, or the length of
            `time_axis`).
        time_axis: axis of the sample that is time, where the forward takes one timestep; None: the
            sample is held.

    Returns:
        The network, its input binary or graded as quantization finds it; `provenance` says what was
        compared.

    Raises:
        InputError: a neuron, option or layer without an exact counterpart, or a spike that differs.
    """
    return convert(SNNTORCH, module, sample, readout=readout, timesteps=timesteps, time_axis=time_axis)


def kind_of(module: nn.Module) -> str | None:
    """Name of the snnTorch neuron that a module is; None for any other module."""
    for cls in type(module).__mro__:
        if cls.__module__.startswith("snntorch.") and (cls.__name__ in CALLS or hasattr(module, "reset_mechanism_val")):
            return cls.__name__
        if cls.__module__.startswith("snntorch.") and cls.__name__ in REFUSED:
            return cls.__name__
    return None


def call_of(module: nn.Module, name: str) -> NeuronCall | None:
    """How a neuron is called; None for a module that is no neuron."""
    kind = kind_of(module)
    if kind is None:
        return None
    if kind not in CALLS:
        reason = REFUSED.get(kind, f"only {', '.join(CALLS)} have a counterpart")
        raise InputError(f"neuron {name} is a {kind}: {reason}")
    return CALLS[kind]


def prepare(module: Any) -> None:
    """Forget the state that a neuron holds, and let it fire in float64: snnTorch's surrogates make
    every spike a float32.
    """
    for key in CALLS[str(kind_of(module))].states:
        setattr(module, key, torch.zeros(0))
    fire = module.spike_grad
    module._modules.pop("spike_grad", None)
    module.spike_grad = lambda above: fire(above).to(above.dtype)


def read(module: Any, shape: Shape) -> Reading:
    """The meaning of a neuron.

    Raises:
        InputError: an option without counterpart.
    """
    _check_options(module)
    kind, threshold = str(kind_of(module)), parameter(module.threshold, shape, "threshold")
    if (threshold < 0).any():
        raise InputError(f"its threshold is {threshold.min():g}; a neuron at rest would fire for ever, and a chip has no such threshold")
    beta = _lapicque_decay(module, shape) if kind == "Lapicque" else parameter(module.beta.clamp(0, 1), shape, "beta")
    alpha = parameter(module.alpha.clamp(0, 1), shape, "alpha") if "Synaptic" in kind else np.zeros(())
    reading = Reading(beta, threshold, alpha, feedback=getattr(module, "recurrent", None))
    if kind == "Lapicque":
        reading = replace(reading, gain=parameter(module.R * (1 / (module.R * module.C)) * module.time_step, shape, "1/C"))
    # RSynaptic computes its reset without delay on a copy that it throws away: it resets late
    # whatever it is told.
    late = getattr(module, "reset_delay", True) or kind == "RSynaptic"
    return RESETS[module.reset_mechanism](reading, kind, late)


def _subtract(reading: Reading, kind: str, late: bool) -> Reading:
    synaptic = bool(reading.alpha.any())
    membrane = None if synaptic else -reading.threshold
    why = "its reset would have to pass the synaptic current's memory" if synaptic else ""
    if not late:
        reading = replace(reading, reset="subtract", reset_value=reading.threshold, firing="deferred")
        return replace(reading, membrane=membrane, membrane_delay=0, no_membrane=why)
    reading = replace(reading, reset="subtract", membrane=membrane, no_membrane=why)
    if (reading.beta > 0).all():
        return replace(reading, reset_value=late_reset_value(reading.threshold, reading.beta))
    if synaptic:
        raise InputError(
            "beta is 0 and reset_mechanism is 'subtract': the late reset would need the potential of the step before; use beta > 0"
        )
    return replace(reading, self_weight=np.asarray(-reading.threshold))


def _zero(reading: Reading, kind: str, late: bool) -> Reading:
    why = "a potential that was set to zero is no sum of what came in; use reset_mechanism='none' for neurons that are read by their potential"
    held = late and kind != "Leaky"
    return replace(reading, reset="zero", firing="refractory" if held else "single", no_membrane=why)


def _none(reading: Reading, kind: str, late: bool) -> Reading:
    return replace(reading, reset="subtract", membrane=np.zeros(()))


RESETS: Mapping[str, Callable[[Reading, str, bool], Reading]] = {"subtract": _subtract, "zero": _zero, "none": _none}


def _lapicque_decay(module: Any, shape: Shape) -> np.ndarray:
    decay = parameter(1 - module.time_step / (module.R * module.C), shape, "1 - time_step/(R C)")
    if not ((decay >= 0) & (decay <= 1)).all():
        raise InputError(
            f"a Lapicque step keeps 1 - time_step/(R C) = {decay.min():g} of its potential (1 + log(beta) where beta is given); "
            "a chip keeps 0 to 1: use beta >= 0.37, or R C >= time_step"
        )
    return decay


def _check_options(module: Any) -> None:
    if module.inhibition:
        raise InputError(
            "inhibition=True lets one neuron of a layer fire at a time, which needs all the others' potentials; use inhibition=False"
        )
    if module.state_quant:
        raise InputError("state_quant rounds its state in its own way; leave it out, and quantize here instead")
    if not torch.equal(module.graded_spikes_factor.double(), torch.ones_like(module.graded_spikes_factor, dtype=torch.float64)):
        raise InputError("graded_spikes_factor is not 1; move it into the weights that read its spikes")
    with torch.no_grad():
        fired = module.spike_grad(PROBE)
    if not torch.equal(fired.double(), (PROBE > 0).double()):
        raise InputError(
            "its spike_grad does not fire exactly where the potential is above the threshold; use one of snnTorch's Heaviside surrogates"
        )


SNNTORCH = Framework("snntorch", call_of, prepare, read)
