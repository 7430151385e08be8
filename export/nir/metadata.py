"""The JSON part of a quantized `.nir` file: all that NIR's nodes cannot say, and the way back to
integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from math import prod
from typing import Any

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model import registers as reg
from spikeport.export.model.network import INTEGRATORS, Input, IntegerNeuron, Noise, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Conv, Dense, Elementwise, Op, Pool, Shape
from spikeport.export.nir.build import Built
from spikeport.export.nir.contents import Node
from spikeport.export.nir.graph import MAX_NEURONS
from spikeport.export.nir.nodes import integers
from spikeport.export.quantization.weight_step import step_of

KEY = "spikeport"
"""Name of the JSON text in the graph's metadata."""
FORMAT = 4
READABLE = (1, 2, 3, 4)
"""Format 1 knows neither the offset of an input nor the seed of a rate code; up to 2, integrator
and weight bits stand in the provenance; up to 3, nodes are not written with other readers in mind.
"""
PLAIN_FROM = 4
"""The first format with r folded into weights, a bias on every weight node, Flatten from the last
axis and no Delay of one step on a self-loop.
"""
SEMANTICS = {
    "input": "a value is sent as clip(rint(value / scale), low, high) - offset, or by code rate as 1 with probability value / scale, else 0; "
    "what enters the graph is what is sent times scale",
    "integrator": "euler, synaptic current before membrane potential",
    "fires": "v > v_threshold",
    "order": "populations in topological order within a timestep; only Delay nodes delay, but a loop from a population to itself without one takes a timestep",
    "rounding": "decay toward zero; negative weight exponents down, after the sum",
    "reset by subtraction": "v - (v_threshold - v_reset)",
}
REGISTERS = ("du", "dv", "threshold", "bias_mantissa", "reset_value")
OPS: dict[str, type[Op]] = {"dense": Dense, "conv": Conv, "elementwise": Elementwise}


def plan_of(network: QuantizedNetwork, built: Built) -> dict[str, Any]:
    """Everything that the nodes of the graph do not say, as JSON values."""
    return {
        "format": FORMAT,
        "dt": network.dt,
        "integrator": network.integrator,
        "weight_bits": network.weight_bits,
        "semantics": SEMANTICS,
        "input": asdict(network.input),
        "populations": [_population_plan(p, built.carriers[p.name], built.gains[p.name]) for p in network.populations],
        "connections": [_connection_plan(c, node) for c, node in zip(network.connections, built.weight_nodes)],
        "output": network.output,
        "readout": network.readout,
        "timesteps": network.timesteps,
        "provenance": dict(network.provenance),
    }


def _population_plan(population: Population[IntegerNeuron], carrier: int | None, gain: np.ndarray) -> dict[str, Any]:
    n = population.neuron
    hidden = _hidden(n.spiking, n.reset)
    return {
        "name": population.name,
        "shape": population.shape,
        "scale": np.asarray(population.scale).tolist(),
        "shapes": {name: getattr(n, name).shape for name in REGISTERS if name not in hidden},
        "values": {name: getattr(n, name).tolist() for name in hidden},
        "bias_exponent": n.bias_exponent,
        "bias_node": carrier,
        "r_in_weights": bool((gain != 1).any()),
        "reset": n.reset,
        "spiking": n.spiking,
        "noise": n.noise and asdict(n.noise),
    }


def _hidden(spiking: bool, reset: str) -> tuple[str, ...]:
    """Registers that no parameter of the NIR neuron carries."""
    if not spiking:
        return ("threshold", "reset_value")
    return ("reset_value",) if reset == "zero" else ()


def _connection_plan(connection: Connection, node: str) -> dict[str, Any]:
    op = connection.op
    kind = next(name for name, cls in OPS.items() if isinstance(op, cls))
    geometry = {"stride": op.stride, "padding": op.padding, "dilation": op.dilation, "groups": op.groups} if isinstance(op, Conv) else {}
    return {
        "name": connection.name,
        "source": connection.source,
        "target": connection.target,
        "node": node,
        "op": kind,
        "geometry": geometry,
        "weight_shape": connection.weight.shape,
        "pool": connection.pool and asdict(connection.pool),
        "delay": connection.delay,
        "exponent": connection.exponent,
    }


def network_from(plan: Mapping[str, Any], nodes: Mapping[str, Node]) -> QuantizedNetwork:
    """The network, its integers recovered from the nodes.

    KeyError, TypeError and the like mean a malformed plan.
    """
    plan = _as_of_now(plan)
    source = _input(plan["input"], plan["format"])
    dt = float(plan["dt"])
    _check_neurons([source.shape, *(p["shape"] for p in plan["populations"])])
    bias_nodes = [c["node"] for c in plan["connections"]]
    populations = {p["name"]: _population(p, nodes, bias_nodes, dt) for p in plan["populations"]}
    gains = {p["name"]: _gain(p, populations[p["name"]].neuron.dv) for p in plan["populations"]}
    connections = tuple(_connection(c, nodes[c["node"]], populations[c["target"]], gains[c["target"]], source) for c in plan["connections"])
    return QuantizedNetwork(
        input=source,
        populations=tuple(populations.values()),
        connections=connections,
        output=plan["output"],
        readout=plan["readout"],
        timesteps=int(plan["timesteps"]),
        provenance=plan["provenance"],
        dt=dt,
        integrator=plan["integrator"],
        weight_bits=plan["weight_bits"],
    )


def _as_of_now(plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """The plan with integrator and weight bits where the present format has them.

    Formats 1 and 2 keep them in the provenance: an integrator's name or a sentence on trained
    decays, and the bits in the report of the quantization, 8 where there is none.
    """
    if plan["format"] > 2:
        return plan
    provenance = dict(plan["provenance"])
    provenance.pop("dt", None)
    integrator = provenance.pop("integrator", None)
    bits = provenance.get("quantization", {}).get("weight_bits", reg.WEIGHT_BITS_MAX)
    known = integrator if integrator in INTEGRATORS else "per timestep"
    return {**plan, "integrator": known, "weight_bits": bits, "provenance": provenance}


def _input(plan: Mapping[str, Any], version: int) -> Input:
    shape, scale = tuple(map(int, plan["shape"])), float(plan["scale"])
    source = Input(str(plan["name"]), shape, scale, int(plan["low"]), int(plan["high"]), plan["code"])
    return source if version == 1 else replace(source, offset=tuple(map(int, plan["offset"])), seed=int(plan["seed"]))


def _check_neurons(shapes: list[Shape]) -> None:
    count = sum(prod(map(int, shape)) for shape in shapes)
    if count > MAX_NEURONS or min(min(shape, default=1) for shape in shapes) < 1:
        raise InputError(f"the network has {count} neurons; 1 to {MAX_NEURONS} are read")


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples they were."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _population(plan: Mapping[str, Any], nodes: Mapping[str, Node], bias_nodes: list[str], dt: float) -> Population[IntegerNeuron]:
    name, shape = plan["name"], tuple(plan["shape"])
    scale = np.array(plan["scale"], np.float64)
    bias = None if plan["bias_node"] is None else nodes[bias_nodes[plan["bias_node"]]]["bias"]
    exact = _registers(nodes[name], plan, np.broadcast_to(scale, shape), bias, dt)
    registers = {key: _collapse(exact[key], tuple(small), f"{key} of node {name}") for key, small in plan["shapes"].items()}
    registers |= {key: np.array(values, np.int64) for key, values in plan["values"].items()}
    noise = Noise(**plan["noise"]) if plan["noise"] else None
    neuron = IntegerNeuron(
        **registers, bias_exponent=int(plan["bias_exponent"]), reset=plan["reset"], spiking=bool(plan["spiking"]), noise=noise
    )
    return Population(name, shape, neuron, scale)


def _registers(node: Node, plan: Mapping[str, Any], scale: np.ndarray, bias: np.ndarray | None, dt: float) -> dict[str, np.ndarray]:
    """All registers of a population in its full shape, from the physical parameters (the inverse of
    `nir_nodes.neuron_node`).
    """
    name, shape = plan["name"], scale.shape
    tau = node.get("tau_mem", node.get("tau"))
    registers = {"dv": _decay(tau, dt, shape), "du": np.full(shape, reg.DU_NO_MEMORY)}
    if "tau_syn" in node:
        registers["du"] = _decay(node["tau_syn"], dt, shape) - 1
    per_step = np.zeros(shape)
    if bias is not None:
        per_step = np.repeat(bias, prod(shape) // len(bias)).reshape(shape) / _gain(plan, registers["dv"])
    elif "v_leak" in node:
        per_step = node["v_leak"] * dt / tau
    registers["bias_mantissa"] = integers(per_step, scale * 2.0 ** (int(plan["bias_exponent"]) - reg.STATE_SHIFT), f"bias of node {name}")
    if plan["spiking"]:
        registers["threshold"] = integers(node["v_threshold"], scale, f"v_threshold of node {name}")
        reset_value = integers(node.get("v_reset", np.zeros(shape)), scale, f"v_reset of node {name}")
        registers["reset_value"] = registers["threshold"] - reset_value if plan["reset"] == "subtract" else reset_value
    return registers


def _decay(tau: np.ndarray | None, dt: float, shape: Shape) -> np.ndarray:
    """Decay in 1/4096 per step, int64; no time constant means none."""
    if tau is None:
        return np.zeros(shape, np.int64)
    return integers(dt * reg.DECAY_UNITY / tau, 1.0, "a time constant")


def _collapse(values: np.ndarray, small: Shape, what: str) -> np.ndarray:
    """The array of shape `small` that broadcasts to these values."""
    aligned = (1,) * (values.ndim - len(small)) + small
    array = values[tuple(slice(0, 1) if n == 1 else slice(None) for n in aligned)].reshape(small)
    if (np.broadcast_to(array, values.shape) != values).any():
        raise InputError(f"{what} no longer has one value per neuron group: changed by another tool; quantize the file again")
    return array


def _gain(plan: Mapping[str, Any], decay: np.ndarray) -> np.ndarray:
    """What the weights and the bias of a population are multiplied by in the file; see
    `nodes.folded_gain`.
    """
    return reg.DECAY_UNITY / decay if plan.get("r_in_weights") else np.ones(())


def _connection(plan: Mapping[str, Any], node: Node, target: Population[IntegerNeuron], gain: np.ndarray, source: Input) -> Connection:
    op, exponent = OPS[plan["op"]], int(plan["exponent"])
    written = node["scale" if op is Elementwise else "weight"]
    what = f"weight of node {plan['node']}"
    step = step_of(target, target.scale * gain, op, written.shape, exponent, source.scale if plan["source"] == source.name else 1.0)
    weight = _collapse(integers(written, step, what), tuple(plan["weight_shape"]), what)
    if weight.size and (weight.min() < -128 or weight.max() > 127):
        raise InputError(f"{what} spans {weight.min()}..{weight.max()} steps, outside int8; quantize the file again")
    pool = Pool(**_tuples(plan["pool"])) if plan["pool"] else None
    weighted = op(weight.astype(np.int8), **_tuples(plan["geometry"]))
    return Connection(plan["name"], plan["source"], plan["target"], weighted, pool, int(plan["delay"]), exponent)
