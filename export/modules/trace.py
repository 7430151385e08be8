"""One forward pass on a sample, watched: which neuron reads which layers of what, at which
timestep, and what it fired.

Torch functions are seen as they are called (`TorchFunctionMode`), so plain modules, loops over time
and functional layers all show their order and shapes; a neuron module is one step, its inside is
not looked into.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from spikeport.export.common.errors import InputError
from spikeport.export.model.synapse import Pool, Shape
from spikeport.export.modules.layers import MAX_POOLS, SAME, as_double, or_pool
from spikeport.export.modules.signals import linear_result, raw_result, signal
from spikeport.export.modules.value import Derived, RawInput, Term, Tracked, Value, starting

INPUT = "input"
"""Name of the network's input."""


@dataclass
class Group:
    """Neurons with one state: a neuron module, or as many as it has states for; `pool`: a max
    pooling of spikes instead.

    inputs: what it read at each timestep, and `bias` what was added to it. spikes, potentials: what
    came out, `(samples, *shape)` each.
    """

    name: str
    module: nn.Module | None
    shape: Shape
    pool: Pool | None = None
    inputs: list[tuple[Term, ...]] = field(default_factory=list)
    bias: np.ndarray = field(default_factory=lambda: np.zeros(()))
    spikes: list[Tensor] = field(default_factory=list)
    potentials: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class NeuronCall:
    """How a framework's neuron is called. states: names of its state tensors, in the order of its
    arguments after the input.

    spikes: names the state among them that is its own last spikes, if one is. potential: the
    membrane potential's name.
    """

    states: tuple[str, ...]
    potential: str
    spikes: str | None = None


class Trace(TorchFunctionMode):
    """Watches a module while it is active. neurons: for each neuron module, its name and how it is
    called.
    """

    def __init__(self, module: nn.Module, neurons: dict[nn.Module, NeuronCall]) -> None:
        super().__init__()
        self.neurons, self.names = neurons, {m: name or type(m).__name__ for name, m in module.named_modules()}
        self.groups: dict[str, Group] = {}
        self.time_axis: int | None = None
        self.input_axes = 0
        self.tracked: Any = WeakIdKeyDictionary()
        self.states: Any = WeakIdKeyDictionary()
        self.latest: dict[int, Tensor] = {}
        self._inside: list[nn.Module] = []
        self._hooks = [m.register_forward_pre_hook(self._enter) for m in self.names]
        self._hooks += [m.register_forward_hook(self._leave, with_kwargs=True) for m in self.names]

    def release(self) -> None:
        """Take the hooks off the module."""
        for hook in self._hooks:
            hook.remove()

    def feed(self, x: Tensor, step: int | None) -> None:
        """Declare the sample: one timestep of it, or (step None) whole, its axes to be found out."""
        self.input_axes = x.dim()
        self.tracked[x] = RawInput(tuple(range(x.dim()))) if step is None else starting(INPUT, step, x)

    def _enter(self, module: nn.Module, args: Any) -> None:
        self._inside.append(module)

    def _leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if module in self.neurons and not any(m in self.neurons for m in self._inside[:-1]):
            with torch._C.DisableTorchFunction():
                self._fired(module, args, kwargs, output)
        self._inside.pop()

    @property
    def here(self) -> str:
        """Name of the innermost module that is running."""
        return self.names[self._inside[-1]] if self._inside else "forward"

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", str(func))
        if any(m in self.neurons for m in self._inside):
            return func(*args, **kwargs)
        if name in ("float", "half", "bfloat16"):
            func, name = torch.Tensor.double, "double"
        if name in SAME:
            args, kwargs = as_double(args), {k: as_double((v,))[0] for k, v in kwargs.items()}
        out = func(*args, **kwargs)
        out = list(out) if name == "__iter__" else out
        self._follow(name, func, args, kwargs, out)
        return iter(out) if name == "__iter__" else out

    def _lookup(self, value: Any) -> Tracked | None:
        known = self.tracked.get(value) if isinstance(value, Tensor) else None
        return signal(known, value, INPUT, self.input_axes) if known is not None else None

    def _follow(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Note what a function's result stands for."""
        if name in SAME and args and isinstance(args[0], Tensor) and args[0] in self.states:
            self.states[out] = self.states[args[0]]
        read = [a for a in _tensors((args, kwargs)) if a in self.tracked]
        made = _tensors(out)
        if not read or not made:
            return
        if isinstance(self.tracked[read[0]], RawInput) and self._raw(name, read[0], args, kwargs, out):
            return
        try:
            self._signals(name, func, args, kwargs, out, read[-1])
        except InputError as error:
            whole = any(isinstance(self.tracked[a], RawInput) for a in read)
            remedy = "; if the sample has a time axis and the forward takes one timestep, say time_axis" if whole else ""
            raise InputError(f"layer {self.here}: {getattr(error, 'reason', error)}{remedy}") from None

    def _raw(self, name: str, x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> bool:
        parts = raw_result(name, self.tracked[x], args, kwargs, out)
        for tensor, raw, step in parts or ():
            if step is None:
                self.tracked[tensor] = raw
                continue
            (axis,) = set(range(self.input_axes)) - set(raw.axes)
            if list(raw.axes) != sorted(raw.axes):
                raise InputError(
                    "the sample's axes are not batch and features, in this order, once a timestep is taken; do not permute them"
                )
            self.time_axis = axis
            self.tracked[tensor] = starting(INPUT, step, tensor)
        return parts is not None

    def _signals(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], out: Any, read: Tensor) -> None:
        if name in MAX_POOLS:
            self._or(out, args, kwargs)
            return
        if isinstance(out, Tensor):
            value = linear_result(name, func, args, kwargs, out, self._lookup, self.here)
            if value:
                self.tracked[out] = value
                return
        known = self._lookup(read)
        made = known if isinstance(known, Derived) else Derived(name, known if isinstance(known, Value) else None, read)
        for tensor in _tensors(out):
            self.tracked[tensor] = made

    def _or(self, out: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Max pooling of spikes: neurons that fire where any of their window does."""
        value, pool = self._lookup(args[0]), or_pool(*args, **kwargs)
        term = value.terms[0] if isinstance(value, Value) and len(value.terms) == 1 else None
        if not isinstance(value, Value) or term is None or not term.bare or term.source not in self.groups or value.at_zero.any():
            raise InputError(
                "max pooling of anything but spikes is no sum of synapses; put it directly behind a neuron, where it is a logical or, "
                "or use average pooling"
            )
        shape = tuple(out.shape[1:])
        if pool.output_shape(term.start) != shape:
            raise InputError(f"max pooling with ceil_mode makes {shape}; windows beyond the map have no counterpart, use ceil_mode=False")
        name = f"{term.source}_max_pool"
        while name in self.groups and self.groups[name].pool != pool:
            name += "_"
        self._append(self.groups.setdefault(name, Group(name, None, shape, pool)), value, out, term.step)

    def _append(self, group: Group, value: Value, spikes: Tensor, step: int) -> None:
        if step != len(group.spikes):
            raise InputError(f"{group.name} runs {len(group.spikes) + 1} times by timestep {step + 1}; it must run once per timestep")
        if step and not np.allclose(value.bias, group.bias, rtol=1e-9, atol=1e-12):
            raise InputError(
                f"the layers ahead of {group.name} add another bias at timestep {step + 1} than before; a chip has one for all steps"
            )
        group.inputs.append(value.terms)
        group.bias = value.bias
        group.spikes.append(spikes.detach().ne(0))
        self.tracked[spikes] = starting(group.name, step, spikes)

    def _fired(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """One timestep of a neuron module."""
        name, call = self.names[module], self.neurons[module]
        x, *given = args
        states = {**dict(zip(call.states, given)), **{k: v for k, v in kwargs.items() if k in call.states}}
        value = self._read(x, name)
        group = self._group(name, module, {k: s for k, s in states.items() if s is not None}, value.shape)
        spikes = output if isinstance(output, Tensor) else output[0]
        self._append(group, value, spikes, len(group.spikes))
        group.potentials.append(getattr(module, call.potential).detach().clone())
        for key in call.states:
            if key in states and isinstance(states[key], Tensor):
                self.latest[id(states[key])] = getattr(module, key)
            self.states[getattr(module, key)] = (group.name, len(group.spikes), key)

    def _read(self, x: Tensor, name: str) -> Value:
        known = self._lookup(x)
        if isinstance(known, Value):
            return known
        if x in self.states:
            raise InputError(f"neuron {name} reads the state of {self.states[x][0]}, not its spikes; synapses carry spikes only")
        made = f"the result of {known.by}" if isinstance(known, Derived) else "something that comes neither from the sample nor from spikes"
        raise InputError(f"neuron {name} reads {made}; between neurons only linear layers, sums, average pooling and reshapes are synapses")

    def _group(self, name: str, module: nn.Module, states: dict[str, Tensor], shape: Shape) -> Group:
        """The neurons whose state is used: the module's own, those whose last state is passed, or
        new ones for a state of zeros.
        """
        owners = {self.states[s][:2] for s in states.values() if s in self.states and s.numel()}
        fresh = [s for s in states.values() if s not in self.states or not s.numel()]
        if not states:
            return self.groups.setdefault(name, Group(name, module, shape))
        if len(owners) == 1 and not fresh:
            ((owner, step),) = owners
            if self.groups[owner].module is module and step == len(self.groups[owner].spikes):
                return self.groups[owner]
        if owners or any(s.any() for s in fresh):
            raise InputError(
                f"neuron {name} gets a state that is not its own of the timestep before, and not zero; pass on what it returned"
            )
        taken = [n for n, g in self.groups.items() if g.module is module]
        made = name if not taken else f"{name}_{len(taken) + 1}"
        return self.groups.setdefault(made, Group(made, module, shape))


def _tensors(value: Any) -> list[Tensor]:
    """Every tensor in nested tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return []
    return [t for v in value for t in _tensors(v)]
