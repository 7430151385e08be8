"""Layers of lava-dl's description to the network that netx makes of them on Lava, bit for bit.

As netx has it: LIF in fixed point, bias and threshold in weight units; the weights as they stand,
without exponent; every layer one timestep, which `Network.depths` takes back; a layer's delay in
front of its neurons. An input layer with neurons takes its bias, in whole weight units, from its
user at every sample: netx itself does nothing with the layer's `weight` w and `bias` b, by which
lava-dl's data sets turn pixels of 0 to 1 into it, `(2 * w * pixel - w + b)` without what is behind
the point. So the network's input is that bias, from `b - w` to `b + w`. `pool` layers, which netx
refuses, are what lava-dl's own blocks compute: a convolution of each channel with one kernel.
`average` sums the groups' spikes in a readout.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model import registers as reg
from spikeport.export.model.network import Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Conv, Dense, Elementwise, Op, Shape
from spikeport.export.netx.layers import Layer

MAX_NEURONS = 16_000_000
DEFAULT_NEURON = {"type": "CUBA", "iDecay": np.int64(0), "vDecay": np.int64(reg.DECAY_UNITY), "vThMant": np.int64(1 << 17)}
"""netx's neuron of a dense layer without one: it adds up its input and never fires."""


class _Reader:
    """Populations and connections so far; `shape` is what the next layer reads, from `source`."""

    def __init__(self, plan: Mapping[str, Any] | None) -> None:
        self.named = [dict(p) for p in plan["populations"]] if plan else []
        self.input: Input | None = _input(plan["input"]) if plan else None
        self.highest = reg.THRESHOLD_MAX if plan else reg.THRESHOLD_MAX - 1  # lava-dl's readouts have the largest threshold, or more
        self.shape: Shape = ()
        self.source = ""
        self.populations: list[Population[IntegerNeuron]] = []
        self.connections: list[Connection] = []
        self.told: dict[str, Any] = {"format": "netx"}

    def start(self, shape: Shape, low: int = 0, high: int = 1) -> None:
        """The network's input."""
        self.input = self.input or Input("input", shape, low=low, high=high)
        if prod(self.input.shape) != prod(shape):
            raise InputError(f"its input has shape {shape}, its description says {self.input.shape}")
        self.shape, self.source = (self.input.shape if len(self.input.shape) <= 2 else shape), self.input.name

    def add(
        self, layer: Layer, number: int, shape: Shape, ops: list[tuple[Op, int, int]], loop: np.ndarray | None = None, **changes: Any
    ) -> None:
        """A population behind connections (op, exponent, delay)."""
        named: dict[str, Any] = (
            self.named[len(self.populations)] if self.named else {"name": f"layer{number}", "shape": shape, "scale": 1.0}
        )
        name, own = str(named["name"]), tuple(map(int, named["shape"]))
        if prod(own) != prod(shape) or prod(own) > MAX_NEURONS:
            raise InputError(f"layer {number} has shape {shape}, its description says {own}; at most {MAX_NEURONS} neurons are read")
        self.populations.append(
            Population(name, own, _neuron(layer, number, shape, own, self.highest, **changes), np.array(named["scale"], np.float64))
        )
        for i, (op, exponent, delay) in enumerate(ops):
            self.connections.append(
                Connection(f"{self.source}->{name}" + (f"#{i}" if i else ""), self.source, name, op, None, delay, exponent)
            )
        for i, (weight, exponent) in enumerate(split(loop, number) if loop is not None else []):
            self.connections.append(Connection(f"{name}->{name}" + (f"#{i}" if i else ""), name, name, Dense(weight), None, 1, exponent))
        self.shape, self.source = shape, name


def network_of(layers: list[Layer], plan: Mapping[str, Any] | None, timesteps: int) -> QuantizedNetwork:
    """The network of all layers; plan: what `write_netx` added.

    Whatever is malformed raises some error or other.
    """
    made = _Reader(plan)
    for number, layer in enumerate(layers):
        kind = _text(layer["type"])
        if kind not in KINDS:
            raise InputError(f"layer {number} is of type {kind!r}; {', '.join(KINDS)} are read")
        KINDS[kind](made, layer, number)
    if not made.populations or made.input is None:
        raise InputError("it has no layer of neurons")
    last = made.populations[-1]
    readout: Any = plan["readout"] if plan else "spike_count" if last.neuron.spiking else "membrane_potential"
    told = {key: plan[key] for key in ("dt", "integrator", "weight_bits", "provenance")} if plan else {**UNTOLD, "provenance": made.told}
    return QuantizedNetwork(
        input=made.input,
        populations=tuple(made.populations),
        connections=tuple(made.connections),
        output=last.name,
        readout=readout,
        timesteps=timesteps,
        **told,
    )


UNTOLD: dict[str, Any] = {"dt": 1e-3, "integrator": "per timestep", "weight_bits": 8}


def _input_layer(made: _Reader, layer: Layer, number: int) -> None:
    if made.source:
        raise InputError(f"layer {number} is a second input")
    shape = _shape(layer["shape"])
    if not any(key.startswith("neuron/") for key in layer):
        made.start(shape)
        return
    weight, bias = (
        int(_whole(np.ravel(layer.get(key, usual))[0], f"{key} of layer {number}")) for key, usual in (("weight", 64), ("bias", 0))
    )
    made.start(shape, min(0, bias - abs(weight)), max(1, bias + abs(weight)))
    made.told["input"] = f"the input neurons' bias as whole numbers, in lava-dl {2 * weight} * pixel + {bias - weight} for pixels of 0 to 1"
    one_to_one = Elementwise(np.ones((1,) * len(made.shape), np.int8))
    made.add({k: v for k, v in layer.items() if k != "bias"}, number, shape, [(one_to_one, 0, 0)], du=np.int32(reg.DU_NO_MEMORY))


def _flatten(made: _Reader, layer: Layer, number: int) -> None:
    made.shape = (prod(made.shape),)


def _dense(made: _Reader, layer: Layer, number: int) -> None:
    outputs = prod(_shape(layer["shape"]))
    weight = _whole(layer["weight"], f"weight of layer {number}").reshape(outputs, -1)
    if not made.source:
        made.start((weight.shape[1],))
    rec = (
        _whole(layer["weight_rec"], f"weight_rec of layer {number}").reshape(outputs, outputs)
        if _text(layer["type"]) == "dense_rec"
        else None
    )
    delay = np.broadcast_to(_delays(layer.get("delay", 0), weight.shape, number), weight.shape)
    if rec is not None and delay.any():
        raise InputError(f"layer {number} has delays beside a loop, which netx does not run; leave them out")
    ops: list[tuple[Op, int, int]] = []
    for steps in np.unique(delay) if delay.size else [0]:
        ops += [(Dense(w), e, int(steps)) for w, e in split(np.where(delay == steps, weight, 0), number)]
    made.add(layer, number, (outputs,), ops, rec)


def _delays(value: Any, shape: Shape, number: int) -> np.ndarray:
    """As netx takes them: one, one per neuron, one per input, or one per synapse."""
    delay = _whole(value, f"delay of layer {number}", floor=True)
    if delay.size and (delay.min() < 0 or delay.max() > reg.DELAY_MAX):
        raise InputError(f"layer {number} has delays of {delay.min()}..{delay.max()} timesteps; 0 to {reg.DELAY_MAX} are read")
    if delay.size == 1:
        return delay.reshape(1, 1)
    if delay.shape == (shape[0],):
        return delay[:, None]
    return delay[None] if delay.shape == (shape[1],) else delay.reshape(shape)


def _conv(made: _Reader, layer: Layer, number: int) -> None:
    pool = _text(layer["type"]) == "pool"
    weight = _whole(layer["weight"], f"weight of layer {number}")
    weight = weight.reshape(weight.shape[:4])
    shape = _shape(layer["shape"])
    if not made.source:
        made.start((weight.shape[1], *shape[1:]))
    if _whole(layer.get("delay", 0), f"delay of layer {number}").any():
        raise InputError(f"layer {number} is a convolution with delays, which netx passes over; leave them out")
    groups = made.shape[0] if pool else int(np.ravel(layer["groups"])[0])
    if pool:
        weight = np.broadcast_to(weight.reshape(1, 1, *weight.shape[-2:]), (groups, 1, *weight.shape[-2:]))
    sizes = [_pair(layer[key], number) for key in ("stride", "padding", "dilation")]
    flat = len(made.shape) == 2  # over one axis the file has a height of 1
    if flat:
        weight, sizes = weight[:, :, 0], [s[1:] for s in sizes]
    stride, padding, dilation = sizes
    ops: list[tuple[Op, int, int]] = [(Conv(w, stride, padding, dilation, groups), e, 0) for w, e in split(weight, number, truncated=False)]
    output = ops[0][0].output_shape(made.shape)
    if prod(output) != prod(shape):
        raise InputError(f"layer {number} says shape {shape}; its convolution makes {output}")
    made.add(layer, number, output, ops)


def _average(made: _Reader, layer: Layer, number: int) -> None:
    outputs, inputs = prod(_shape(layer["shape"])), prod(made.shape)
    if inputs % outputs:
        raise InputError(f"layer {number} averages {inputs} neurons in {outputs} groups, which are not of one size")
    weight = np.repeat(np.eye(outputs, dtype=np.int8), inputs // outputs, axis=1)
    made.add({}, number, (outputs,), [(Dense(weight), 0, 0)], du=np.int32(reg.DU_NO_MEMORY), dv=np.int32(0))


KINDS = {
    "input": _input_layer,
    "flatten": _flatten,
    "dense": _dense,
    "dense_rec": _dense,
    "conv": _conv,
    "pool": _conv,
    "average": _average,
}


def split(weight: np.ndarray, number: int, *, truncated: bool = True) -> list[tuple[np.ndarray, int]]:
    """Whole weights of -256 to 255 as 8-bit ones with exponents: one connection, or two of which
    one has the lowest bits.

    truncated: as Lava's dense synapses do and its convolutions do not, weights of both signs lose
    their lowest bit.
    """
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    if low < -256 or high > 255:
        raise InputError(f"layer {number} has weights of {low}..{high}; synapses hold -256 to 255")
    if -128 <= low and high <= 127:
        return [(weight.astype(np.int8), 0)]
    parts = [((weight >> 1).astype(np.int8), 1)]
    if (truncated and low < 0) or not (weight & 1).any():
        return parts
    return [*parts, ((weight & 1).astype(np.int8), 0)]


def _neuron(layer: Layer, number: int, shape: Shape, own: Shape, highest: int, **changes: Any) -> IntegerNeuron:
    values: dict[str, Any] = {key[7:]: value for key, value in layer.items() if key.startswith("neuron/")} or DEFAULT_NEURON
    kind = _text(values["type"])
    if kind not in ("CUBA", "LOIHI"):
        raise InputError(f"layer {number} has {kind} neurons; CUBA and LOIHI are read")
    if not np.all(np.ravel(values.get("refDelay", 1)) == 1):
        raise InputError(f"layer {number} has a refractory delay, which netx passes over; set refDelay to 1")
    if np.any(np.ravel(values.get("gradedSpike", 0)) != 0):
        raise InputError(f"layer {number} sends graded spikes; neurons here send single ones")
    threshold = _parameter(values["vThMant"], shape, own, f"vThMant of layer {number}")
    bias = _parameter(layer.get("bias", 0), shape, own, f"bias of layer {number}")
    registers = {
        "du": _parameter(values["iDecay"], shape, own, f"iDecay of layer {number}") - 1,
        "dv": _parameter(values["vDecay"], shape, own, f"vDecay of layer {number}"),
        "threshold": np.minimum(threshold, reg.THRESHOLD_MAX),
        "bias_mantissa": bias,
        **changes,
    }
    return IntegerNeuron(**registers, bias_exponent=reg.STATE_SHIFT, spiking=bool(threshold.min() <= highest))


def _parameter(value: Any, shape: Shape, own: Shape, what: str) -> np.ndarray:
    """One number, or one per channel or per neuron, int32, to broadcast against the population's
    own shape.
    """
    whole = _whole(value, what)
    if whole.size == 1:
        return whole.reshape(()).astype(np.int32)
    if len(shape) > 1 and whole.size == shape[0]:
        whole = np.broadcast_to(whole.reshape(-1, *(1,) * (len(shape) - 1)), shape)
    elif len(shape) > 1:
        whole = whole.transpose(2, 1, 0).reshape(shape)
    return np.ascontiguousarray(whole.reshape(own)).astype(np.int32)


def _input(plan: Mapping[str, Any]) -> Input:
    tuples: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in plan.items()}
    return Input(**tuples)


def _whole(value: Any, what: str, floor: bool = False) -> np.ndarray:
    """Numbers as int64; netx cuts what is behind the point, so anything there is refused unless
    `floor`.
    """
    array = np.asarray(value, np.float64)
    if not np.isfinite(array).all() or np.abs(array).max(initial=0) > 1 << 31 or not (floor or (array == np.rint(array)).all()):
        raise InputError(f"{what} is not whole; lava-dl's files hold Loihi's integers")
    return np.floor(array).astype(np.int64)


def _shape(value: Any) -> Shape:
    shape = tuple(int(n) for n in np.ravel(value))
    if not 1 <= len(shape) <= 3 or min(shape) < 1 or prod(shape) > MAX_NEURONS:
        raise InputError(f"a layer has shape {shape}; 1 to 3 axes and up to {MAX_NEURONS} neurons are read")
    return shape


def _pair(value: Any, number: int) -> Shape:
    pair = tuple(int(n) for n in np.ravel(value))
    if len(pair) not in (1, 2):
        raise InputError(f"layer {number} has a stride, padding or dilation of {len(pair)} numbers; expected 2")
    return pair * (2 // len(pair))


def _text(value: Any) -> str:
    return str(value[0]) if isinstance(value, list) else str(value)
