"""Registers to NIR's physical parameters and back: the numbers that any other NIR reader expects.

With `dt` seconds per timestep and `scale` the physical potential of one weight unit, forward Euler
of NIR's equations is our step:

    tau      = dt * 4096 / dv          beta = 1 - dt/tau = 1 - dv/4096
    tau_syn  = dt * 4096 / (du + 1)    alpha = 1 - dt/tau_syn; the current is updated before the
    potential r        = tau / dt                so that a unit of current moves the potential by
    one (IF and I: 1 / dt) w_in     = tau_syn / dt            so that a weight is the jump of the
    current weight   = integer * 2**exponent * scale (/ input scale: NIR sees the values that the
    input integers stand for)
               LIF and LI: r = 1 instead, and weight and bias times tau / dt, since Norse and Sinabs
                   pass over r; where one weight
               serves neurons of unlike tau, or some neurons have no decay, r stays as above
    v_threshold = threshold * scale    fires on v > threshold in both
    v_reset  = 0; reset_value * scale; by subtraction (threshold - reset_value) * scale: NIR cannot
    say which, metadata does bias     = bias_mantissa * 2**(bias_exponent - 6) * scale, on the
    Affine or Conv if the neuron has no synaptic memory, else as
               v_leak = bias * tau / dt, which Euler adds to the potential at every step.

A decay of zero beside others that are not becomes a time constant of 2**32 steps. Every weight node
has a bias (Sinabs knows no Linear), a Flatten counts its axes from the last (so that it also fits
where readers put a batch axis first), and a connection of one timestep that closes a loop has no
Delay node: every reader takes a loop one step later.
"""

from __future__ import annotations

import nir
import numpy as np
import numpy.typing as npt

from spikeport.export.common.errors import InputError
from spikeport.export.model import registers as reg
from spikeport.export.model.network import Connection, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Conv, Dense, Elementwise, Op, Pool, Shape
from spikeport.export.quantization.weight_step import same_in_channel, weight_step

SMALLEST_DECAY = 2.0**-20
"""Stands for a decay of 0 (in 1/4096 per step) where NIR wants a finite time constant."""
MULTIPLE_TOLERANCE = 0.05
"""How far a number may lie from an integer multiple of its step; float32 keeps 17-bit thresholds to
0.008.
"""


def time_constant(decay: np.ndarray, dt: float) -> np.ndarray:
    """Seconds, for a decay in 1/4096 per step."""
    return dt * reg.DECAY_UNITY / np.maximum(decay, SMALLEST_DECAY)


def integers(values: np.ndarray, unit: np.ndarray | float, what: str) -> np.ndarray:
    """Physical values back to the integers that made them, int64.

    Raises:
        InputError: a value is NaN, infinite or no multiple of `unit`: the file was changed by
            another tool.
    """
    multiple = np.asarray(values, np.float64) / unit
    nearest = np.rint(multiple)
    if not np.isfinite(multiple).all():
        raise InputError(f"{what} holds NaN or infinity; every parameter must be finite")
    if (multiple.size and np.abs(multiple - nearest).max() > MULTIPLE_TOLERANCE) or np.abs(nearest).max(initial=0) > 2**31:
        raise InputError(f"{what} is no longer a multiple of its quantization step: changed by another tool; quantize the file again")
    return nearest.astype(np.int64)


def full(array: npt.ArrayLike, shape: Shape) -> np.ndarray:
    """A parameter for every neuron, float32, as NIR wants it."""
    return np.broadcast_to(array, shape).astype(np.float32)


def folded_gain(network: QuantizedNetwork, population: Population[IntegerNeuron]) -> np.ndarray:
    """r in steps (tau / dt) that stands in the weights of a leaky population without synaptic
    memory; 1 where r itself stands in the file.
    """
    decay, shape = population.neuron.dv, population.shape
    if population.neuron.remembers_current or not decay.all():
        return np.ones(())
    shared = [c for c in network.incoming(population.name) if isinstance(c.op, Conv)]
    if not all(same_in_channel(decay, shape, len(c.weight)) for c in shared):
        return np.ones(())
    return reg.DECAY_UNITY / decay


def neuron_node(population: Population[IntegerNeuron], dt: float, leak_carries_bias: bool, gain: np.ndarray) -> nir.NIRNode:
    """The NIR neuron of a population; every parameter has the population's shape. gain: what of r
    stands in the weights.
    """
    n, shape = population.neuron, population.shape
    bias = physical_bias(population) if leak_carries_bias else np.float64(0)
    tau, tau_syn = time_constant(n.dv, dt), time_constant(n.du + 1, dt)
    leaky, cuba = bool(n.dv.any() or np.any(bias)), n.remembers_current
    membrane = {"tau_mem" if cuba else "tau": full(tau, shape), "v_leak": full(bias * tau / dt, shape)} if leaky or cuba else {}
    synapse = {"tau_syn": full(tau_syn, shape), "w_in": full(tau_syn / dt, shape)} if cuba else {}
    r = full(tau / dt / gain if leaky or cuba else 1 / dt, shape)
    kind = ("CubaLI" if cuba else "LI" if leaky else "I") + ("F" if n.spiking else "")
    firing = {}
    if n.spiking:
        firing = {"v_threshold": full(n.threshold * population.scale, shape), "v_reset": full(_v_reset(n) * population.scale, shape)}
    return getattr(nir, kind)(r=r, **membrane, **synapse, **firing)


def physical_bias(population: Population[IntegerNeuron]) -> np.ndarray:
    """Potential added at every timestep."""
    return population.neuron.bias * reg.STATE_UNIT * population.scale


def _v_reset(neuron: IntegerNeuron) -> np.ndarray:
    if neuron.reset == "subtract":
        return neuron.threshold - neuron.reset_value
    return neuron.reset_value if neuron.reset == "value" else np.zeros((), np.int32)


def bias_carrier(network: QuantizedNetwork, population: Population[IntegerNeuron]) -> int | None:
    """Index of the connection whose Affine or Conv node carries the bias; None: it is zero, or
    v_leak carries it.
    """
    if not population.neuron.bias_mantissa.any() or population.neuron.remembers_current:
        return None
    bias = physical_bias(population)
    for index, c in enumerate(network.connections):
        if c.target != population.name:
            continue
        if isinstance(c.op, Dense) or (isinstance(c.op, Conv) and same_in_channel(bias, population.shape, len(c.weight))):
            return index
    return None


def connection_nodes(
    network: QuantizedNetwork, connection: Connection, with_bias: bool, gain: np.ndarray, plain: bool
) -> dict[str, nir.NIRNode]:
    """Nodes from source to target in order, by suffix; "" is the one with the weights. gain: see
    `folded_gain`. plain: for other readers.
    """
    shape, target, nodes = network.shape(connection.source), network[connection.target], {}
    if connection.delay and not (plain and connection.delay == 1 and connection.source == connection.target):
        nodes[".delay"] = nir.Delay(full(np.float64(connection.delay * network.dt), shape))
    if connection.pool:
        nodes[".pool"] = _pool_node(connection.pool, shape)
        shape = connection.pool.output_shape(shape)
    if isinstance(connection.op, Dense) and len(shape) > 1:
        nodes[".flatten"] = _flatten(shape, plain)
    weight = (connection.weight * weight_step(network, connection, target.scale * gain)).astype(np.float32)
    if isinstance(connection.op, Elementwise):
        weight = full(weight, shape)
    bias = np.broadcast_to(physical_bias(target) * gain, target.shape).ravel() if with_bias else None
    if bias is None and plain and isinstance(connection.op, Dense):
        bias = np.zeros(len(weight))
    nodes[""] = _weighted_node(connection.op, weight, bias, shape)
    current = connection.op.output_shape(shape)
    if len(current) > 1 and len(target.shape) == 1:
        nodes[".reshape"] = _flatten(current, plain)
    return nodes


def _weighted_node(op: Op, weight: np.ndarray, bias: np.ndarray | None, source: Shape) -> nir.NIRNode:
    """bias: one value per neuron, flat; a convolution takes the first of each channel."""
    if isinstance(op, Conv):
        by_channel = np.zeros(len(weight)) if bias is None else bias.reshape(len(weight), -1)[:, 0]
        return _conv_node(source[1:], weight, op, by_channel.astype(np.float32))
    if isinstance(op, Dense):
        return nir.Linear(weight) if bias is None else nir.Affine(weight, bias.astype(np.float32))
    return nir.Scale(weight)


def _conv_node(spatial: Shape, weight: np.ndarray, geometry: Conv, bias: np.ndarray) -> nir.NIRNode:
    stride, padding, dilation = geometry.stride, geometry.padding, geometry.dilation
    if len(spatial) == 1:
        return nir.Conv1d(spatial[0], weight, stride[0], padding[0], dilation[0], geometry.groups, bias)
    return nir.Conv2d(spatial, weight, stride, padding, dilation, geometry.groups, bias)


def _pool_node(pool: Pool, source: Shape) -> nir.NIRNode:
    """Sum pooling; NIR has it over two axes only, over one it is a convolution with ones (not
    grouped, so that NIR infers its shape).
    """
    if len(pool.kernel) == 2:
        return nir.SumPool2d(np.array(pool.kernel), np.array(pool.stride), np.array(pool.padding))
    ones = np.repeat(np.eye(source[0], dtype=np.float32)[:, :, None], pool.kernel[0], axis=2)
    return _conv_node(source[1:], ones, Conv(ones, pool.stride, pool.padding, (1,)), np.zeros(source[0], np.float32))


def _flatten(shape: Shape, from_last: bool) -> nir.NIRNode:
    return nir.Flatten({"input": np.array(shape)}, start_dim=-len(shape) if from_last else 0, end_dim=-1)
