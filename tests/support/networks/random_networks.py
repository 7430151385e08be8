"""Random quantized networks over every layer, neuron and input the types allow, for property tests."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model import registers as reg
from spikeport.export.model.network import INTEGRATORS, Input, IntegerNeuron, Noise, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Conv, Dense, Elementwise, Op, Pool, Shape
from spikeport.hw.records.stimulus import Stimulus, encode

INPUT_RANGES = [(0, 1), (0, 255), (-128, 127), (0, 3)]


def random_network(seed: int, *, edge: bool = False, loops: bool = True, noise: bool = True) -> QuantizedNetwork:
    """A small network of 1 to 4 populations. edge: drive registers to and past the ends of their
    ranges.

    loops: allow recurrence and axonal delays. noise: allow noisy neurons. Same seed and options,
    same network.
    """
    rng = np.random.default_rng([seed, edge, loops, noise])
    low, high = INPUT_RANGES[rng.integers(len(INPUT_RANGES))]
    source = Input("input", _random_shape(rng), scale=1 / high, low=low, high=high)
    shapes: dict[str, Shape] = {"input": source.shape}
    connections: list[Connection] = []
    count = int(rng.integers(1, 5))
    for i in range(count):
        name, previous = f"pop{i}", list(shapes)[-1]
        connection = _random_connection(rng, f"syn{i}", previous, name, shapes[previous], edge)
        if rng.random() < 0.15:  # a later flatten is a reshape of the target
            shape: Shape = (prod(connection.output_shape(shapes[previous])),)
        else:
            shape = connection.output_shape(shapes[previous])
        shapes[name] = shape
        connections.append(connection)
    names = list(shapes)[1:]
    connections += _random_joins(rng, shapes, names, loops)
    readout = str(rng.choice(["spike_count", "accumulated_current", "membrane_potential"]))
    populations = tuple(
        Population(
            n,
            shapes[n],
            _random_neuron(rng, shapes, connections, n, n != names[-1] or readout == "spike_count", edge, noise),
            scale=np.array(0.01),
        )
        for n in names
    )
    return QuantizedNetwork(
        input=source,
        populations=populations,
        connections=tuple(connections),
        output=names[-1],
        readout=readout,  # type: ignore[arg-type]
        timesteps=int(rng.integers(1, 9)),
        provenance={"seed": seed},
        dt=(1e-3, 1e-4, 0.5)[seed % 3],
        integrator=INTEGRATORS[seed % 3],  # type: ignore[arg-type]
        weight_bits=8,
    )


def random_stimulus(seed: int, network: QuantizedNetwork, samples: int = 3) -> Stimulus:
    """Integers over the whole input range, sparse or dense, held or changing over time."""
    rng = np.random.default_rng([seed, 1])
    held = rng.random() < 0.4
    shape = (samples, *(() if held else (network.timesteps,)), *network.input.shape)
    values = rng.integers(network.input.low, network.input.high + 1, shape) * (rng.random(shape) < rng.uniform(0.1, 1))
    return encode(network.input, values, network.timesteps)


def overdriven(network: QuantizedNetwork) -> QuantizedNetwork:
    """Currents that never decay, weights and biases at their largest exponent: u wraps, v
    saturates, channels wrap.
    """
    populations = [replace(p, neuron=replace(p.neuron, du=np.int32(-1), bias_exponent=7)) for p in network.populations]
    connections = [replace(c, exponent=7) for c in network.connections]
    return replace(network, populations=tuple(populations), connections=tuple(connections))


def _random_shape(rng: np.random.Generator) -> Shape:
    axes = rng.integers(3)
    sizes = [int(rng.integers(1, 5)), *(int(n) for n in rng.integers(3, 8, axes))]
    return tuple(sizes) if axes else (int(rng.integers(1, 12)),)


def _random_connection(rng, name: str, source: str, target: str, shape: Shape, edge: bool) -> Connection:
    """Draw until the geometry fits the source's shape."""
    while True:
        axes = len(shape) - 1
        pool = _random_pool(rng, axes) if axes and rng.random() < 0.3 else None
        exponent = int(rng.integers(0, 7)) if edge else int(rng.integers(-3, 3))
        try:
            inner = pool.output_shape(shape) if pool else shape
            op = _random_op(rng, inner, edge)
            connection = Connection(name, source, target, op, pool, delay=0, exponent=exponent)
            connection.output_shape(shape)
        except InputError:
            continue
        return connection


def _random_pool(rng, axes: int) -> Pool:
    kernel = tuple(int(k) for k in rng.integers(1, 4, axes))
    stride = kernel if rng.random() < 0.7 else tuple(int(s) for s in rng.integers(1, 4, axes))
    padding = tuple(int(rng.integers(0, k // 2 + 1)) if rng.random() < 0.2 else 0 for k in kernel)
    return Pool(kernel, stride, padding)


def _random_op(rng, shape: Shape, edge: bool) -> Op:
    def weights(*size: int) -> np.ndarray:
        bound = 128 if edge else int(rng.choice([4, 32, 128]))
        values = rng.integers(-bound, bound, size)
        return (values * (rng.random(size) > rng.choice([0.0, 0.5]))).astype(np.int8)

    axes = len(shape) - 1
    kind = rng.choice(["dense", "conv", "elementwise"], p=[0.3, 0.55, 0.15] if axes else [0.8, 0.0, 0.2])
    if kind == "dense":
        return Dense(weights(int(rng.integers(1, 12)), prod(shape)))
    if kind == "elementwise":
        size = [shape, (shape[0], *(1,) * axes), ()][rng.integers(3)]
        return Elementwise(np.asarray(weights(*size)))
    groups = int(rng.choice([g for g in range(1, shape[0] + 1) if shape[0] % g == 0]))
    kernel = [int(k) for k in rng.integers(1, 4, axes)]
    draw = lambda high: tuple(int(v) for v in rng.integers(1, high, axes))  # noqa: E731
    padding = tuple(int(v) for v in rng.integers(0, 3, axes))
    return Conv(weights(groups * int(rng.integers(1, 4)), shape[0] // groups, *kernel), draw(3), padding, draw(3), groups)


def _random_joins(rng, shapes: dict[str, Shape], names: list[str], loops: bool) -> list[Connection]:
    """Skip connections, recurrence and axonal delays, as dense connections with weights and
    exponents of their own.
    """

    def join(name: str, source: str, target: str, delay: int) -> Connection:
        weight = rng.integers(-40, 40, (prod(shapes[target]), prod(shapes[source]))).astype(np.int8)
        return Connection(name, source, target, Dense(weight), delay=delay, exponent=int(rng.integers(-2, 2)))

    joins = []
    if len(names) > 1 and rng.random() < 0.4:
        first, second = sorted(rng.choice(len(names), 2, replace=False))
        joins.append(join("skip", names[first], names[second], int(rng.integers(0, 3)) if loops else 0))
    if loops and rng.random() < 0.3:
        end = int(rng.integers(len(names)))
        start = int(rng.integers(end + 1))
        slack = len(names) + 2 + 2 * len(joins)  # enough steps for the hardware's one per connection
        joins.append(join("loop", names[end], names[start], 1 if start == end else slack))
    return joins


def _random_neuron(rng, shapes, connections, name: str, spiking: bool, edge: bool, noise: bool) -> IntegerNeuron:
    shape = shapes[name]
    spread = 1 + max(float(np.abs(c.weight).mean()) * 2.0**c.exponent * 4 for c in connections if c.target == name)
    channel = (shape[0], *(1,) * (len(shape) - 1))

    def maybe_array(low: int, high: int) -> np.ndarray:
        size = [(), channel, shape][int(rng.choice(3, p=[0.6, 0.2, 0.2]))]
        return rng.integers(low, high + 1, size, dtype=np.int32)

    du = rng.choice([reg.DU_NO_MEMORY, -1, int(rng.integers(0, 4096))], p=[0.6, 0.1, 0.3])
    dv = rng.choice([0, reg.DECAY_UNITY, int(rng.integers(0, 4096))], p=[0.3, 0.1, 0.6])
    top = reg.THRESHOLD_MAX if edge else min(reg.THRESHOLD_MAX, int(spread * rng.choice([0.5, 2, 8])))
    kind = str(rng.choice(["uniform", "gaussian"]))
    return IntegerNeuron(
        du=np.int32(du),
        dv=np.int32(dv) if rng.random() < 0.8 else maybe_array(0, 4096),
        threshold=maybe_array(top // 4, top) if spiking else np.int32(reg.THRESHOLD_MAX),
        bias_mantissa=maybe_array(-4096, 4095) if edge or rng.random() < 0.3 else np.int32(0),
        bias_exponent=int(rng.integers(0, 8)) if edge else int(rng.integers(0, 3)),
        reset=str(rng.choice(["zero", "zero", "value", "subtract"])) if spiking else "zero",  # type: ignore[arg-type]
        reset_value=maybe_array(0, top),
        spiking=spiking,
        noise=Noise(kind, int(rng.integers(1, 64 * top + 2)), seed=int(rng.integers(2**31))) if noise and rng.random() < 0.2 else None,  # type: ignore[arg-type]
    )
