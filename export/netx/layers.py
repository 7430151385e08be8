"""Layers of lava-dl's description out of a network in a row: shapes as (channels, height, width),
kernels as PyTorch has them.

| ours                              | layer       | as netx reads it                                                         |
|-----------------------------------|-------------|--------------------------------------------------------------------------|
| input                             | `input`     | a shape, no neurons                                                      |
| Dense, Elementwise, pooled Dense  | `dense`     | weight (out, in); `delay`: one for all, or one per synapse               |
| Dense and a self-loop of one step | `dense_rec` | `weight`, `weight_rec`                                                   |
| Conv, pooled Conv                 | `conv`      | stride, padding, dilation, groups; over one axis with height 1           |
| a map into a dense layer          | `flatten`   | before it                                                                |
| a readout that never fires        | any         | `vThMant` 2**18 - 1, as lava-dl's own readouts have it                   |
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, TypeAlias

import numpy as np
from scipy.sparse import csr_matrix

from spikeport.export.common.errors import InputError
from spikeport.export.model import registers as reg
from spikeport.export.model.fold import folded_synapses
from spikeport.export.model.network import IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Conv, Dense, Elementwise, Shape

Layer: TypeAlias = "Mapping[str, Any]"
"""Datasets of one layer by path."""
NEVER_FIRES = (1 << 18) - 1
MAX_MATRIX = 1 << 26
"""Weights of a matrix that pooling or an elementwise connection is written out as."""


def layers_of(network: QuantizedNetwork) -> list[Layer]:
    """All layers in order, for a network whose registers fit (`fit.fitted`).

    Raises:
        InputError: the network is no row of populations, or a connection that lava-dl has no layer
            for.
    """
    shape, before = network.input.shape, network.input.name
    layers: list[Layer] = [{"type": "input", "shape": np.array(_cubic(shape))}]
    for p in network.populations:
        forward, loop = _in_a_row(network, p, before)
        described, made = _layer(network, p, forward, loop, shape)
        if len(made) == 1 and len(shape) > 1:
            layers.append({"type": "flatten", "shape": np.array([1, 1, prod(shape)])})
        layers.append(described)
        shape, before = made, p.name
    if before != network.output:
        raise InputError(f"the output {network.output} is not the last population; a .net file ends in its output")
    return layers


def _in_a_row(network: QuantizedNetwork, p: Population[IntegerNeuron], before: str) -> tuple[list[Connection], Connection | None]:
    """Connections from the population before, and the loop of a population to itself."""
    incoming = network.incoming(p.name)
    for c in incoming:
        if c.source not in (before, p.name):
            raise InputError(
                f"connection {c.name} joins {c.source} and {c.target}; a .net file holds layers in a row, so export to onnx or nir"
            )
    forward, loops = [c for c in incoming if c.source == before], [c for c in incoming if c.source == p.name]
    if not forward or len(loops) > 1 or any(not isinstance(c.op, Dense) or c.pool or c.delay != 1 for c in loops):
        raise InputError(f"population {p.name}: a .net layer has one input and at most one dense loop of one timestep")
    return forward, loops[0] if loops else None


def _layer(
    network: QuantizedNetwork, p: Population[IntegerNeuron], forward: list[Connection], loop: Connection | None, source: Shape
) -> tuple[Layer, Shape]:
    """The layer, and the shape of what it sends."""
    folded = [_folded(c, network.shape(c.source), source) for c in forward]
    delays = [c.delay for c in forward]
    if isinstance(folded[0], Conv):
        if len(folded) > 1 or delays[0] or loop:
            raise InputError(f"population {p.name}: a convolution in a .net file has no delay, no loop and no connection beside it")
        op = folded[0]
        shape = op.output_shape(source)
        layer = {"type": "conv", "shape": np.array(_cubic(shape)), **_convolution(op, forward[0].exponent, source)}
    else:
        shape = (p.size,)
        weight = sum(matrix.astype(np.int64) << c.exponent for matrix, c in zip(folded, forward))
        layer = {
            "type": "dense_rec" if loop else "dense",
            "shape": np.array(shape),
            "inFeatures": weight.shape[1],
            "outFeatures": weight.shape[0],
        }
        if weight.max() > 254 or weight.min() < -256:
            raise InputError(
                f"population {p.name}: connections beside each other add up to weights of {weight.min()}..{weight.max()}, beyond 8 bits"
            )
        layer |= {"weight": weight, **_delay(p, folded, delays, bool(loop))}
        if loop:
            layer["weight_rec"] = loop.weight.astype(np.int64) << loop.exponent
    return {**layer, **_neuron(p, shape)}, shape


def _folded(c: Connection, shape: Shape, written: Shape) -> Any:
    """The connection's weights with pooling in them: a convolution or a matrix. written: shape that
    the file gives the source.
    """
    op = c.op
    if isinstance(op, Elementwise) and len(shape) == 3 and op.weight.size in (1, shape[0]) and not c.pool:
        op = Conv(np.broadcast_to(op.weight.reshape(-1, 1, 1, 1), (shape[0], 1, 1, 1)).copy(), (1, 1), (0, 0), (1, 1), shape[0])
    if isinstance(op, Conv) and shape != written:
        raise InputError(f"connection {c.name} reads a map that was reshaped, which a .net file cannot say")
    folded: Any = folded_synapses(op, c.pool, shape)
    if folded is None:
        raise InputError(
            f"connection {c.name}: its pooling does not go into 8-bit weights exactly, and netx has no pooling layer; use a stride of the kernel's size"
        )
    if isinstance(folded, csr_matrix):
        if prod(folded.shape) > MAX_MATRIX:
            raise InputError(f"connection {c.name} would be a matrix of {prod(folded.shape)} weights; at most {MAX_MATRIX} are written")
        folded = folded.toarray()
    return folded


def _convolution(op: Conv, exponent: int, source: Shape) -> dict[str, Any]:
    flat = len(op.kernel) == 1
    weight = (op.weight[:, :, None] if flat else op.weight).astype(np.int64) << exponent
    stride, padding, dilation = (((fill, *v) if flat else v) for v, fill in ((op.stride, 1), (op.padding, 0), (op.dilation, 1)))
    return {
        "inChannels": source[0],
        "outChannels": len(weight),
        "kernelSize": np.array(weight.shape[2:]),
        "stride": np.array(stride),
        "padding": np.array(padding),
        "dilation": np.array(dilation),
        "groups": op.groups,
        "weight": weight,
    }


def _delay(p: Population[IntegerNeuron], folded: list[np.ndarray], delays: list[int], loop: bool) -> dict[str, Any]:
    """One delay for all synapses, or one for each where connections of unlike delay share none."""
    if max(delays) > reg.DELAY_MAX or (loop and any(delays)):
        raise InputError(f"population {p.name}: delays in a .net file are at most {reg.DELAY_MAX} timesteps, and none beside a loop")
    if len(set(delays)) == 1:
        return {"delay": np.int64(delays[0])} if delays[0] else {}
    if (sum((matrix != 0).astype(int) for matrix in folded) > 1).any():
        raise InputError(f"population {p.name}: a pair of neurons has synapses of unlike delay, which a .net file cannot hold")
    return {"delay": sum((matrix != 0) * np.int64(delay) for matrix, delay in zip(folded, delays))}


def _neuron(p: Population[IntegerNeuron], shape: Shape) -> dict[str, Any]:
    n = p.neuron
    threshold = n.threshold if n.spiking else np.int32(NEVER_FIRES)
    registers = {"iDecay": n.du + 1, "vDecay": n.dv, "vThMant": threshold}
    layer: dict[str, Any] = {f"neuron/{key}": _parameter(np.asarray(value), p.shape, shape) for key, value in registers.items()}
    layer |= {"neuron/type": "CUBA", "neuron/refDelay": 1, "neuron/gradedSpike": False}
    bias = n.bias >> reg.STATE_SHIFT
    return layer | ({"bias": np.atleast_1d(_parameter(np.broadcast_to(bias, p.shape), p.shape, shape, whole=True))} if bias.any() else {})


def _parameter(values: np.ndarray, own: Shape, shape: Shape, whole: bool = False) -> Any:
    """One number, one per channel, or one per neuron as `(width, height, channels)`, as Lava lays
    maps out.
    """
    if values.size == 1 and not whole:
        return np.int64(values.item())
    full = np.broadcast_to(values, own).reshape(_cubic(shape)).astype(np.int64)
    if len(shape) > 1 and (full == full[:, :1, :1]).all():
        return full[:, 0, 0]
    return full.transpose(2, 1, 0) if len(shape) > 1 else full


def _cubic(shape: Shape) -> Shape:
    """A map over one axis has height 1."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape
