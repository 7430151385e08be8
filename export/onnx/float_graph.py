"""A float network as an ONNX model, for conventional devices: state in, state out, any number of
timesteps.

Inputs: `input` float32 `(T, N, *shape)` in the values that the network takes (a rate code: the
spikes themselves, times the input's scale); per population `v/NAME` (and `u/NAME` where the
synaptic current has memory) `(N, *shape)`; `line/NAME` `(D, N, *shape)`, the last D messages of a
population with delayed connections, newest first. All zero at rest.
Outputs: `output` float32 `(T, N, *shape)`: spikes, or the readout's increment or potential;
`spikes/NAME` bool; every state as `NAME/next`. The equations are those of
`spikeport.export.model.network`; sums may be taken in another order than elsewhere, so a potential
within rounding of its threshold may decide otherwise.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ValueInfoProto, helper

from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_bytes
from spikeport.export.model.digest import network_digest
from spikeport.export.model.network import FloatNetwork, FloatNeuron, Population
from spikeport.export.model.synapse import Connection, Conv, Dense, Pool, Shape
from spikeport.export.onnx.graph import IR_VERSION, OPSET
from spikeport.export.onnx.ops import Ops

REAL = np.float32


def write_float_onnx(network: FloatNetwork, path: Path | str) -> None:
    """Write the model; a reader never sees half a file.

    Raises:
        InputError: neurons with noise or another firing rule than "single", or a path that cannot
            be written.
    """
    write_bytes(path, float_onnx(network).SerializeToString())


def float_onnx(network: FloatNetwork) -> onnx.ModelProto:
    """The model, checked by ONNX's own checker."""
    noisy = [p.name for p in network.populations if p.neuron.noise]
    if noisy:
        raise InputError(f"population {noisy[0]} has noise, drawn in integers; quantize the network and export that")
    rules = [(p.name, p.neuron.firing) for p in network.populations if p.neuron.firing != "single"]
    if rules:
        raise InputError(
            f"population {rules[0][0]} fires by the rule {rules[0][1]!r}; the ONNX model has single spikes only, so run it in torch"
        )
    graph = _Model(network).graph()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="spikeport")
    helper.set_model_props(model, _metadata(network))
    onnx.checker.check_model(model, full_check=True)
    return model


def state_shapes(network: FloatNetwork) -> dict[str, Shape]:
    """Shape of every state input without the sample axis, which is first, of a `line/` second."""
    states: dict[str, Shape] = {}
    for p in network.populations:
        states[f"v/{p.name}"] = p.shape
        if p.neuron.alpha.any():
            states[f"u/{p.name}"] = p.shape
    for name in [network.input.name, *(p.name for p in network.populations)]:
        if reach := max((c.delay for c in network.outgoing(name)), default=0):
            states[f"line/{name}"] = (reach, *network.shape(name))
    return states


def rest(network: FloatNetwork, samples: int) -> dict[str, np.ndarray]:
    """Every state input at rest."""
    return {name: np.zeros(_axes(name, shape, samples), REAL) for name, shape in state_shapes(network).items()}


class _Model:
    """Builds the outer graph and, as the body of its Scan, one timestep."""

    def __init__(self, network: FloatNetwork) -> None:
        self.network, self.states = network, state_shapes(network)
        self.outer = Ops("", {})
        self.step = Ops("step/", self.outer.constants)
        self.next_states: dict[str, str] = {}
        self.results: list[tuple[ValueInfoProto, ValueInfoProto]] = []

    def graph(self) -> GraphProto:
        """The whole model."""
        body = self._body()
        nexts = [_info(f"{name}/next", REAL, _axes(name, shape)) for name, shape in self.states.items()]
        outputs = [*nexts, *(stacked for _, stacked in self.results)]
        names = [o.name for o in outputs]
        scan = helper.make_node("Scan", [*self.states, "input"], names, "timesteps", body=body, num_scan_inputs=1)
        inputs = [_info("input", REAL, ("T", "N", *self.network.input.shape))]
        inputs += [_info(name, REAL, _axes(name, shape)) for name, shape in self.states.items()]
        constants = list(self.outer.constants.values())
        return helper.make_graph([scan], "spikeport", inputs, outputs[len(nexts) :] + nexts, constants)

    def _body(self) -> GraphProto:
        source, ops = self.network.input, self.step
        x = "step/input"
        if source.offset:
            x = ops("Sub", x, (source.offsets * source.scale).astype(REAL))
        signals = {source.name: x}
        for p in self.network.populations:
            signals[p.name] = self._population(p, signals)
        for name in (n for n in self.states if n.startswith("line/")):
            self._push(name, signals[name.removeprefix("line/")])
        inputs = [_info(f"step/{name}", REAL, _axes(name, shape)) for name, shape in self.states.items()]
        inputs.append(_info("step/input", REAL, ("N", *source.shape)))
        nexts = [_info(self.next_states[name], REAL, _axes(name, shape)) for name, shape in self.states.items()]
        return helper.make_graph(ops.nodes, "timestep", inputs, nexts + [each for each, _ in self.results])

    def _population(self, p: Population[FloatNeuron], signals: dict[str, str]) -> str:
        """One timestep: `u = alpha u + a`, `v = beta v + u + bias`, then spikes and reset."""
        ops, n = self.step, p.neuron
        before = f"step/v/{p.name}"
        a = ops("Mul", before, np.zeros((), REAL))
        for c in self.network.incoming(p.name):
            a = ops("Add", a, self._current(c, self._delayed(c, signals), p.shape))
        if n.current_bias.any():
            a = ops("Add", a, n.current_bias.astype(REAL))
        if n.alpha.any():
            a = ops("Add", ops("Mul", f"step/u/{p.name}", n.alpha.astype(REAL)), a)
            self.next_states[f"u/{p.name}"] = a
        v = ops("Add", ops("Add", ops("Mul", before, n.beta.astype(REAL)), a), n.bias.astype(REAL))
        spikes = ops("Greater" if n.strict else "GreaterOrEqual", v, n.threshold.astype(REAL))
        after = ops("Where", spikes, self._after_reset(n, v), v) if n.spiking else v
        self.next_states[f"v/{p.name}"] = after
        sent = ops.cast(spikes, REAL)
        if p.name == self.network.output:
            value = ops("Sub", v, before) if self.network.readout == "accumulated_current" else v
            self._result("output", sent if self.network.readout == "spike_count" else value, REAL, p.shape)
        if n.spiking:
            self._result(f"spikes/{p.name}", spikes, np.bool_, p.shape)
        return sent

    def _after_reset(self, neuron: FloatNeuron, v: str) -> str | np.ndarray:
        value = neuron.reset_value.astype(REAL)
        if neuron.reset == "subtract":
            return self.step("Sub", v, value)
        return value if neuron.reset == "value" else np.zeros((), REAL)

    def _current(self, c: Connection, x: str, target: Shape) -> str:
        ops, op, weight = self.step, c.op, c.weight.astype(REAL)
        if c.pool:
            x = _pooled(ops, c.pool, x)
        if isinstance(op, Dense):
            y = ops("MatMul", ops("Flatten", x), weight.T)
        elif isinstance(op, Conv):
            geometry = {"strides": op.stride, "pads": (*op.padding, *op.padding), "dilations": op.dilation, "group": op.groups}
            y = ops("Conv", x, weight, **geometry)
        else:
            y = ops("Mul", x, weight)
        return ops.reshape(y, *target)

    def _delayed(self, c: Connection, signals: dict[str, str]) -> str:
        return self.step("Gather", f"step/line/{c.source}", c.delay - 1, axis=0) if c.delay else signals[c.source]

    def _push(self, name: str, signal: str) -> None:
        """Newest message first, the oldest falls out."""
        ops = self.step
        newest = ops("Unsqueeze", signal, np.zeros(1, np.int64))
        kept = ops("Slice", f"step/{name}", np.zeros(1, np.int64), np.array([self.states[name][0] - 1]), np.zeros(1, np.int64))
        self.next_states[name] = ops("Concat", newest, kept, axis=0)

    def _result(self, name: str, value: str, dtype: type, shape: Shape) -> None:
        each = self.step.alias(value, f"step/{name}/now")
        self.results.append((_info(each, dtype, ("N", *shape)), _info(name, dtype, ("T", "N", *shape))))


def _pooled(ops: Ops, pool: Pool, x: str) -> str:
    """Sum over windows: the average with padding counted, times their size."""
    average = ops("AveragePool", x, kernel_shape=pool.kernel, strides=pool.stride, pads=(*pool.padding, *pool.padding), count_include_pad=1)
    return ops("Mul", average, np.array(pool.area, REAL))


def _info(name: str, dtype: type, shape: tuple[int | str, ...]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)


def _axes(name: str, shape: Shape, samples: int | str = "N") -> tuple:
    return (shape[0], samples, *shape[1:]) if name.startswith("line/") else (samples, *shape)


def _metadata(network: FloatNetwork) -> dict[str, str]:
    values = {
        "network": network_digest(network),
        "arithmetic": "float32",
        "timesteps": network.timesteps,
        "readout": network.readout,
        "output": network.output,
        "dt": network.dt,
        "integrator": network.integrator,
        "input": asdict(network.input),
        "reset": {p.name: p.neuron.reset for p in network.populations},
        "strict": {p.name: p.neuron.strict for p in network.populations},
        "provenance": dict(network.provenance),
    }
    return {f"spikeport.{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
