"""A quantized network as an ONNX model in pure integer arithmetic: state in, state out, any number
of timesteps.

Inputs: `input` int32 `(T, N, *shape)`; per population `v/NAME` (and `u/NAME` where the synaptic
current has memory) int32 `(N, *shape)`, zero at rest; `line/NAME` `(D, N, *shape)`, the last D
messages of a population with delayed connections, newest first, zero at rest; with noise also
`samples` int64 `(N,)`, absolute sample numbers, and `first_step` int64, absolute number of the
first timestep.
Outputs: `output` int32 `(T, N, *shape)` (see `Network.readout`), `spikes/NAME` bool `(T, N,
*shape)`, on request `potentials/NAME` int32, and every state as `NAME/next`. T = 1 is one step;
feeding the states back continues a run exactly.

One timestep is the body of a Scan. Weights are unsigned bytes with zero point 128, multiplied by
ConvInteger and MatMulInteger; all other arithmetic is int64.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict
from functools import partial, reduce
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ValueInfoProto, helper

from spikeport.export.common.files import write_bytes
from spikeport.export.model.digest import network_digest
from spikeport.export.model.network import IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Shape
from spikeport.export.onnx.narrow import narrow_bound, narrow_channel, narrow_step
from spikeport.export.onnx.neuron import neuron_step, noise_at, noise_key
from spikeport.export.onnx.ops import Ops, Value
from spikeport.export.onnx.synapse import Signal, channel

OPSET, IR_VERSION = 18, 8
"""The oldest with integer BitwiseXor, so that old runtimes can run the model."""
SEMANTICS = (
    "u = trunc(u*(4095-du)/4096) + 64*a; v = sat24(trunc(v*(4096-dv)/4096) + u + bias + noise); spike = v > 64*threshold, then reset; "
    "a = sum of floor(weights*messages*2**exponent); populations in topological order within a timestep"
)


def to_onnx(network: QuantizedNetwork, *, potentials: Collection[str] = (), narrow: bool = False) -> onnx.ModelProto:
    """The model, checked by ONNX's own checker.

    potentials: populations that also give v after reset at every timestep. narrow: 32 bits and
    float32 sums where proven exact, for ONNX Runtime on the CPU it is made for
    (`spikeport.export.onnx.narrow`); the same bits.
    """
    graph = _Model(network, potentials, narrow).graph()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="spikeport")
    helper.set_model_props(model, _metadata(network))
    onnx.checker.check_model(model, full_check=True)
    return model


def write_onnx(network: QuantizedNetwork, path: Path | str) -> None:
    """Write the model; a reader never sees half a file.

    Raises:
        OutputError: the path cannot be written.
    """
    write_bytes(path, to_onnx(network).SerializeToString())


def state_shapes(network: QuantizedNetwork) -> dict[str, tuple[Shape, type]]:
    """Shape without the sample axis, and type, of every state input; `line/` states have their
    sample axis second.
    """
    states: dict[str, tuple[Shape, type]] = {}
    for p in network.populations:
        states[f"v/{p.name}"] = (p.shape, np.int32)
        if p.neuron.remembers_current:
            states[f"u/{p.name}"] = (p.shape, np.int32)
    for name in [network.input.name, *(p.name for p in network.populations)]:
        reach = max((c.delay for c in network.outgoing(name)), default=0)
        if reach:
            states[f"line/{name}"] = ((reach, *network.shape(name)), np.int32 if name == network.input.name else np.uint8)
    return states


def rest(network: QuantizedNetwork, samples: int) -> dict[str, np.ndarray]:
    """Every state input at rest, for a number of samples."""
    arrays: dict[str, np.ndarray] = {}
    for name, (shape, dtype) in state_shapes(network).items():
        full = (shape[0], samples, *shape[1:]) if name.startswith("line/") else (samples, *shape)
        arrays[name] = np.zeros(full, dtype)
    return arrays


class _Model:
    """Builds the outer graph and, as the body of its Scan, one timestep."""

    def __init__(self, network: QuantizedNetwork, potentials: Collection[str], narrow: bool) -> None:
        self.network, self.potentials, self.narrow = network, potentials, narrow
        self.outer = Ops("", {})
        self.step = Ops("step/", self.outer.constants)
        self.noise = {p.name: p.neuron.noise for p in network.populations if p.neuron.noise}
        self.states = state_shapes(network)
        self.next_states: dict[str, str] = {}
        self.results: list[tuple[ValueInfoProto, ValueInfoProto]] = []
        """What each timestep gives: as an output of the body, and stacked over time."""

    def graph(self) -> GraphProto:
        """The whole model."""
        keys = {name: noise_key(self.outer, noise, "samples") for name, noise in self.noise.items()}
        body = self._body(keys)
        scanned = ["input", self._steps()] if self.noise else ["input"]
        nexts = [_info(f"{name}/next", dtype, _state_axes(name, shape)) for name, (shape, dtype) in self.states.items()]
        outputs = [*nexts, *(stacked for _, stacked in self.results)]
        names = [o.name for o in outputs]
        self.outer.nodes.append(
            helper.make_node("Scan", [*self.states, *scanned], names, "timesteps", body=body, num_scan_inputs=len(scanned))
        )
        constants = list(self.outer.constants.values())
        return helper.make_graph(self.outer.nodes, "spikeport", self._inputs(), outputs[len(nexts) :] + nexts, constants)

    def _inputs(self) -> list[ValueInfoProto]:
        inputs = [_info("input", np.int32, ("T", "N", *self.network.input.shape))]
        inputs += [_info(name, dtype, _state_axes(name, shape)) for name, (shape, dtype) in self.states.items()]
        return inputs + ([_info("samples", np.int64, ("N",)), _info("first_step", np.int64, ())] if self.noise else [])

    def _steps(self) -> str:
        """Absolute numbers of the timesteps, int64 `(T,)`."""
        count = self.outer("Gather", self.outer("Shape", "input"), 0)
        return self.outer("Range", "first_step", self.outer("Add", "first_step", count), 1)

    def _body(self, keys: dict[str, str]) -> GraphProto:
        """One timestep: states and messages in, states and results out."""
        source = self.network.input
        signals = {source.name: Signal("step/input", source.shape, *source.sent)}
        for p in self.network.populations:
            signals[p.name] = self._population(p, signals, keys.get(p.name))
        for name in (n for n in self.states if n.startswith("line/")):
            self._push(name, signals[name.removeprefix("line/")])
        states = [(_info(f"step/{n}", dtype, _state_axes(n, shape)), n) for n, (shape, dtype) in self.states.items()]
        inputs = [info for info, _ in states] + [_info("step/input", np.int32, ("N", *source.shape))]
        inputs += [_info("step/number", np.int64, ())] if self.noise else []
        nexts = [_info(self.next_states[n], self.states[n][1], _state_axes(n, self.states[n][0])) for _, n in states]
        return helper.make_graph(self.step.nodes, "timestep", inputs, nexts + [each for each, _ in self.results])

    def _population(self, p: Population[IntegerNeuron], signals: dict[str, Signal], key: str | None) -> Signal:
        ops = self.step
        if self.narrow and (bound := narrow_bound(self.network, p)) is not None:
            return self._narrow_population(p, signals, bound)
        v = ops.cast(f"step/v/{p.name}", np.int64)
        u = ops.cast(f"step/u/{p.name}", np.int64) if p.neuron.remembers_current else ""
        a = Value(ops("Mul", v, 0), 0)
        for c in self.network.incoming(p.name):
            part = channel(ops, c, self._delayed(signals, c), p.shape)
            a = Value(ops("Add", a.name, part.name) if a.bound else part.name, a.bound + part.bound)
        eta = noise_at(ops, self.noise[p.name], key, "step/number", p.shape) if key else None
        new_u, new_v, spikes = neuron_step(ops, p.neuron, u, v, a, eta)
        if p.neuron.remembers_current:
            self.next_states[f"u/{p.name}"] = ops.cast(new_u, np.int32)
        self.next_states[f"v/{p.name}"] = ops.cast(new_v, np.int32)
        self._record(p, v, new_v, spikes)
        return Signal(ops.cast(spikes, np.uint8), p.shape, 0, 1)

    def _narrow_population(self, p: Population[IntegerNeuron], signals: dict[str, Signal], bound: int) -> Signal:
        ops, u, v = self.step, f"step/u/{p.name}", f"step/v/{p.name}"
        parts = [narrow_channel(ops, c, self._delayed(signals, c), p.shape) for c in self.network.incoming(p.name)]
        a = reduce(partial(ops, "Add"), parts) if parts else ops("Mul", ops.cast(v, np.float32), np.float32(0))
        new_u, new_v, spikes = narrow_step(ops, p.neuron, u, v, Value(a, bound))
        if p.neuron.remembers_current:
            self.next_states[f"u/{p.name}"] = ops.alias(new_u, f"step/u/{p.name}/next")
        self.next_states[f"v/{p.name}"] = ops.alias(new_v, f"step/v/{p.name}/next")
        self._record(p, v, new_v, spikes)
        return Signal(ops.cast(spikes, np.uint8), p.shape, 0, 1)

    def _delayed(self, signals: dict[str, Signal], c: Connection) -> Signal:
        """What the connection carries at this timestep: now, or from the line of past messages."""
        if not c.delay:
            return signals[c.source]
        past = self.step("Gather", f"step/line/{c.source}", c.delay - 1, axis=0)
        return Signal(past, self.network.shape(c.source), *self.network.messages(c.source))

    def _push(self, name: str, signal: Signal) -> None:
        """Newest message first, the oldest falls out."""
        ops, (shape, _) = self.step, self.states[name]
        newest = ops("Unsqueeze", signal.name, np.zeros(1, np.int64))
        kept = ops("Slice", f"step/{name}", np.zeros(1, np.int64), np.array([shape[0] - 1]), np.zeros(1, np.int64))
        self.next_states[name] = ops("Concat", newest, kept, axis=0)

    def _record(self, p: Population[IntegerNeuron], v: str, new_v: str, spikes: str) -> None:
        ops = self.step
        if p.name == self.network.output:
            increment = ops("Sub", new_v, v) if self.network.readout == "accumulated_current" else new_v
            chosen = spikes if self.network.readout == "spike_count" else increment
            self._result("output", ops.cast(chosen, np.int32), np.int32, p.shape)
        self._result(f"spikes/{p.name}", spikes, np.bool_, p.shape)
        if p.name in self.potentials:
            self._result(f"potentials/{p.name}", ops.cast(new_v, np.int32), np.int32, p.shape)

    def _result(self, name: str, value: str, dtype: type, shape: Shape) -> None:
        each = self.step.alias(value, f"step/{name}/now")
        self.results.append((_info(each, dtype, ("N", *shape)), _info(name, dtype, ("T", "N", *shape))))


def _info(name: str, dtype: type, shape: tuple[int | str, ...]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def _state_axes(name: str, shape: Shape) -> tuple[int | str, ...]:
    return (shape[0], "N", *shape[1:]) if name.startswith("line/") else ("N", *shape)


def _metadata(network: QuantizedNetwork) -> dict[str, str]:
    values = {
        "network": network_digest(network),
        "timesteps": network.timesteps,
        "dt": network.dt,
        "integrator": network.integrator,
        "weight_bits": network.weight_bits,
        "readout": network.readout,
        "output": network.output,
        "semantics": SEMANTICS,
        "input": asdict(network.input),
        "scales": {p.name: np.asarray(p.scale).tolist() for p in network.populations},
        "reset": {p.name: p.neuron.reset for p in network.populations},
        "provenance": dict(network.provenance),
    }
    return {f"spikeport.{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
