"""From a live module and a sample to a float network: run watched, assemble, and run again to
compare every spike.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.export.common.errors import InputError, unknown
from spikeport.export.model.network import FloatNetwork
from spikeport.export.model.synapse import Shape
from spikeport.export.modules.assemble import assemble
from spikeport.export.modules.compare import compare
from spikeport.export.modules.reading import Reading
from spikeport.export.modules.trace import NeuronCall, Trace
from spikeport.export.nir.foreign.importer import TIMESTEPS_DEFAULT

Sample: TypeAlias = Tensor | np.ndarray | Sequence[Any]
READOUTS = ("spikes", "membrane")


@dataclass(frozen=True)
class Framework:
    """Where neurons come from. call_of: how a module of this name is called, None if it is no
    neuron; prepare: forget its state, on a copy in float64; read: its meaning, for neurons of a
    shape.
    """

    name: str
    call_of: Callable[[nn.Module, str], NeuronCall | None]
    prepare: Callable[[nn.Module], None]
    read: Callable[[Any, Shape], Reading]


def convert(
    framework: Framework,
    module: nn.Module,
    sample: Sample,
    *,
    readout: Literal["spikes", "membrane"],
    timesteps: int | None,
    time_axis: int | None,
) -> FloatNetwork:
    """See `snntorch.from_snntorch`."""
    if readout not in READOUTS:
        raise unknown("readout", readout, READOUTS)
    if timesteps is not None and timesteps < 1:
        raise InputError(f"timesteps is {timesteps}; a network runs for at least 1")
    arguments = _arguments(sample)
    module = _private_copy(module)
    neurons = {m: c for name, m in module.named_modules() if (c := framework.call_of(m, name or type(m).__name__))}
    if not neurons:
        raise InputError(f"the module has no {framework.name} neuron; give the network that holds them")
    for neuron in neurons:
        framework.prepare(neuron)
    trace, returned = _watch(Trace(module, neurons), module, arguments, timesteps, time_axis)
    network = assemble(trace, returned, framework.read, readout)
    return compare(trace, network, arguments[0], framework.name, timesteps)


def _arguments(sample: Sample) -> list[Any]:
    """The forward's arguments, floats as float64."""
    parts = list(sample) if isinstance(sample, (tuple, list)) else [sample]
    made = [torch.as_tensor(p) if isinstance(p, np.ndarray) else p for p in parts]
    if not made or not isinstance(made[0], Tensor) or made[0].dim() < 2:
        raise InputError("the sample is a tensor of a few inputs, (samples, *shape), or with a time axis; or a tuple that starts with one")
    return [p.detach().cpu().double() if isinstance(p, Tensor) else p for p in made]


def _private_copy(module: nn.Module) -> nn.Module:
    """A copy in float64, for evaluation, that shares nothing with the user's; what its last
    training step left behind is cut off.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in (*part.__dict__.values(), *part.__dict__["_buffers"].values()):
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(module, memo).cpu().double().eval()


@contextmanager
def _in_float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _watch(trace: Trace, module: nn.Module, arguments: list[Any], timesteps: int | None, time_axis: int | None) -> tuple[Trace, Any]:
    """Run the forward; as often as there are timesteps, if one call is one timestep.

    Returns what it returned last, too.
    """
    x = arguments[0]
    if time_axis is not None and not -x.dim() <= time_axis < x.dim():
        raise InputError(f"time_axis is {time_axis}; the sample has {x.dim()} axes")
    steps = [x] if time_axis is None else list(x.unbind(time_axis))
    count = timesteps or (len(steps) if time_axis is not None else TIMESTEPS_DEFAULT)
    if time_axis is not None and count > len(steps):
        raise InputError(f"timesteps is {count}; the sample has {len(steps)}")
    try:
        with torch.no_grad(), _in_float64():
            states = arguments[1:]
            returned = _step(trace, module, steps[0], 0 if time_axis is not None else None, states)
            if trace.time_axis is not None or any(len(g.spikes) != 1 for g in trace.groups.values()):
                if time_axis is not None:
                    raise InputError("the forward loops over time itself; leave time_axis out")
                return trace, returned
            for t in range(1, count):
                x, states = steps[t] if time_axis is not None else steps[0].clone(), _next_states(trace, states)
                returned = _step(trace, module, x, t if time_axis is not None else None, states)
    finally:
        trace.release()
    trace.time_axis = time_axis if time_axis is None else time_axis % arguments[0].dim()
    return trace, returned


def _step(trace: Trace, module: nn.Module, x: Tensor, step: int | None, rest: list[Any]) -> Any:
    trace.feed(x, step)
    try:
        with trace:
            return module(x, *rest)
    except InputError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"the module itself fails on the sample, in float64 and evaluation mode: {reason}") from error


def _next_states(trace: Trace, given: list[Any]) -> list[Any]:
    """The state arguments of the next call: those that a neuron took are replaced by what it holds
    now.
    """
    return [trace.latest.get(id(value), value) if isinstance(value, Tensor) else value for value in given]
