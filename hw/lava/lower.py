"""From a quantized network to Lava processes.

Each line of the tables is exact; what is not is refused.

| ours                          | Lava process                  | note                                                          |
|-------------------------------|-------------------------------|---------------------------------------------------------------|
| reset to zero                 | LIFReset                      | interval: the sample's period, offset: depth + 1              |
| other resets, noise, readout  | StreamingLIF (ours)           | also where delayed spikes ask for silence between samples     |
| Dense                         | Dense, DelayDense             | w << 1 with weight_exp - 1: MIXED signs cost the lowest bit   |
| Elementwise                   | Sparse, DelaySparse           | as above                                                      |
| Conv                          | Conv                          | channels last, kernel flipped                                 |
| Pool                          | folded into the synapses      | else an Axon (ours) ahead                                     |
| delay                         | DelayDense, DelaySparse       | ahead of a Conv an Axon (ours)                                |
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, TypeAlias

import numpy as np
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv as ConvProcess
from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
from lava.proc.dense.process import DelayDense
from lava.proc.dense.process import Dense as DenseProcess
from lava.proc.lif.models import PyLifResetModelBitAcc
from lava.proc.lif.process import LIFReset
from lava.proc.sparse.models import PyDelaySparseModelBitAcc, PySparseModelBitAcc
from lava.proc.sparse.process import DelaySparse
from lava.proc.sparse.process import Sparse as SparseProcess
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

from spikeport.export.common.errors import InputError
from spikeport.export.model import registers as reg
from spikeport.export.model.fold import Folded, folded_synapses
from spikeport.export.model.network import IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Conv, Shape
from spikeport.hw.lava.axon import Axon, PyAxon
from spikeport.hw.lava.convolution import PyFastConv
from spikeport.hw.lava.graph import Graph, ProcessNode, Wire
from spikeport.hw.lava.host import Host, host_model
from spikeport.hw.lava.neuron import PyStreamingLif, StreamingLIF
from spikeport.hw.lava.tape import Tape
from spikeport.hw.lava.timeline import Timeline

ProcessModels: TypeAlias = Literal["fast", "stock"]
"""fast: our process model for `Conv`; stock: Lava's own wherever it has one."""
HOST = ""
"""Populations have names, so this one is free."""


def lower(network: QuantizedNetwork, tape: Tape, first_sample: int, process_models: ProcessModels, tapped: Collection[str]) -> Graph:
    """The network as Lava processes that read from and write to a tape.

    tapped: populations whose potential is sent to the tape, which Lava's own LIF cannot do.

    Raises:
        InputError: a connection whose delay or sums the registers cannot hold, or that Lava's stock
            models cannot run.
    """
    graph = chip_part(network, tape.timeline, first_sample, process_models, tapped)
    add_host(graph, tape, tapped)
    return graph


def chip_part(
    network: QuantizedNetwork, line: Timeline, first_sample: int, process_models: ProcessModels, tapped: Collection[str]
) -> Graph:
    """Neurons and synapses alone, wired to a process named `HOST` that whoever calls adds: its
    `s_out` is the input.
    """
    graph = Graph()
    for population in network.populations:
        graph.nodes[population.name] = neuron_node(network, population, line, first_sample, population.name in tapped)
    for connection in network.connections:
        add_connection(graph, network, connection, process_models == "stock")
    return graph


def neuron_node(
    network: QuantizedNetwork, population: Population[IntegerNeuron], line: Timeline, first_sample: int, tapped: bool
) -> ProcessNode:
    """Lava's LIFReset where it will do."""
    neuron, depth = population.neuron, network.depths[population.name]
    registers = {
        "shape": population.shape,
        "du": scalar_or_full(neuron.du, population.shape),
        "dv": scalar_or_full(neuron.dv, population.shape),
        "vth": scalar_or_full(neuron.threshold, population.shape),
        "bias_mant": np.broadcast_to(neuron.bias_mantissa, population.shape),
        "bias_exp": neuron.bias_exponent,
    }
    reaches_across = any(c.delay for c in network.outgoing(population.name))
    if neuron.reset == "zero" and neuron.noise is None and not tapped and not reaches_across:
        return ProcessNode(LIFReset, registers | {"reset_interval": line.period, "reset_offset": depth + 1}, PyLifResetModelBitAcc)
    streaming = {
        "period": line.period,
        "depth": depth,
        "timesteps": line.timesteps,
        "reset": neuron.reset,
        "reset_value": neuron.reset_value,
        "noise": neuron.noise,
        "first_sample": first_sample,
        "lanes": 1,
    }
    return ProcessNode(StreamingLIF, registers | streaming, PyStreamingLif)


def scalar_or_full(register: np.ndarray, shape: Shape) -> Any:
    """One number for the whole population, as the chip has it, or one per neuron, as the CPU also
    takes.
    """
    return int(register.item()) if register.size == 1 else np.broadcast_to(register, shape)


def add_connection(graph: Graph, network: QuantizedNetwork, c: Connection, stock: bool) -> None:
    """Processes and wires from the source's spikes to the target's input."""
    source = HOST if c.source == network.input.name else c.source
    shape, delay = network.shape(c.source), extra_delay(network, c)
    messages, pool = network.messages(c.source), None
    folded = folded_synapses(c.op, c.pool, shape)
    if folded is None and c.pool:
        pool = c.pool
        folded = folded_synapses(c.op, None, pool.output_shape(shape))
        messages = (messages[0] * pool.area, messages[1] * pool.area)
    if pool or (delay and isinstance(folded, Conv)):
        source = add_axon(graph, source, c, ProcessNode(Axon, {"shape": shape, "delay": delay, "pool": pool}, PyAxon))
        shape, delay = pool.output_shape(shape) if pool else shape, 0
    name = f"synapse {c.name}"
    assert folded is not None, "int8 weights without pooling always fit"
    graph.nodes[name] = synapse_node(c, folded, shape, delay, messages, stock)
    channels_last, channels_first = None, None
    if isinstance(folded, Conv):
        channels_last, channels_first = (*range(1, len(shape)), 0), (2, 0, 1)
    graph.wires.append(Wire(source, "s_out", name, "s_in", channels_last))
    graph.wires.append(Wire(name, "a_out", c.target, "a_in", channels_first))


def extra_delay(network: QuantizedNetwork, c: Connection) -> int:
    """Timesteps beyond the one that every connection takes."""
    delay = network.hardware_delay(c)
    if delay > reg.DELAY_MAX:
        raise InputError(f"connection {c.name} takes {delay} timesteps on hardware, the limit is {reg.DELAY_MAX}; shorten its delay")
    return delay - 1


def add_axon(graph: Graph, source: str, connection: Connection, axon: ProcessNode) -> str:
    """An axon between the source and the connection's synapses; returns its name."""
    name = f"axon {connection.name}"
    graph.nodes[name] = axon
    graph.wires.append(Wire(source, "s_out", name, "s_in"))
    return name


def message_bits(messages: tuple[int, int]) -> int:
    """Lava's num_message_bits: 0 for plain spikes, else magnitude and sign."""
    return 0 if messages == (0, 1) else 1 + max(-messages[0], messages[1]).bit_length()


def synapse_node(c: Connection, folded: Folded, shape: Shape, delay: int, messages: tuple[int, int], stock: bool) -> ProcessNode:
    """Lava's process for a convolution, a full or a sparse matrix."""
    if isinstance(folded, Conv):
        return convolution_node(c, folded, shape, messages, stock)
    check_sum(c, int(abs(folded.astype(np.int64)).sum(axis=1).max()) << 1, messages)
    params = {"weight_exp": c.exponent - 1, "sign_mode": SignMode.MIXED, "num_message_bits": message_bits(messages)}
    params["weights"] = folded.astype(np.int32) * 2
    if isinstance(folded, csr_matrix):
        pattern = csr_matrix((np.full(folded.nnz, delay), folded.indices, folded.indptr), folded.shape)
        delayed, plain, delays = (DelaySparse, PyDelaySparseModelBitAcc), (SparseProcess, PySparseModelBitAcc), pattern
    else:
        delayed, plain, delays = (DelayDense, PyDelayDenseModelBitAcc), (DenseProcess, PyDenseModelBitAcc), delay
    if delay:
        return ProcessNode(delayed[0], params | {"delays": delays, "max_delay": delay}, delayed[1])
    return ProcessNode(plain[0], params, plain[1])


def convolution_node(c: Connection, conv: Conv, shape: Shape, messages: tuple[int, int], stock: bool) -> ProcessNode:
    """Lava's Conv: input `(x, y, channels)`, kernel flipped; a convolution over one axis has y = 1."""
    plane = len(shape) == 3
    weight = conv.weight.astype(np.int32).reshape(*conv.weight.shape[:3], -1)[:, :, ::-1, ::-1].transpose(0, 2, 3, 1)
    params = {
        "weight": weight,
        "weight_exp": c.exponent,
        "input_shape": (*shape[1:], shape[0]) if plane else (shape[1], 1, shape[0]),
        "stride": conv.stride if plane else (*conv.stride, 1),
        "padding": conv.padding if plane else (*conv.padding, 0),
        "dilation": conv.dilation if plane else (*conv.dilation, 1),
        "groups": conv.groups,
        "num_message_bits": message_bits(messages),
    }
    if not stock:
        return ProcessNode(ConvProcess, params, PyFastConv)
    check_stock_convolution(c, conv)
    check_sum(c, int(np.abs(weight.astype(np.int64)).sum(axis=(1, 2, 3)).max()) << c.exponent, messages)
    return ProcessNode(ConvProcess, params | {"weight": weight << c.exponent, "weight_exp": 0}, PyConvModelFixed)


def check_stock_convolution(c: Connection, conv: Conv) -> None:
    """Stock Lava's Conv takes no exponent (lava issue 803) and keeps its geometry in signed bytes."""
    largest = max(conv.kernel + conv.stride + conv.padding + conv.dilation + (conv.groups,))
    if c.exponent < 0 or largest > 127:
        limit = f"weight exponents below 0 (here {c.exponent})" if c.exponent < 0 else f"geometry above 127 (here {largest})"
        raise InputError(f"connection {c.name}: Lava's stock Conv model cannot run {limit}; use process models 'fast'")


def check_sum(c: Connection, weights: int, messages: tuple[int, int]) -> None:
    """Where a sum may leave 32 bits, Lava's result depends on numpy's types, not on Loihi."""
    bound = weights * max(-messages[0], messages[1])
    if bound >= 1 << 31:
        raise InputError(f"connection {c.name} may sum to {bound}, beyond Lava's 32-bit registers; send smaller graded values")


def add_host(graph: Graph, tape: Tape, tapped: Collection[str]) -> None:
    """The host, wired to every population's spikes and to the tapped potentials."""
    taps = [(name, "s_out", track) for name, track in tape.spikes.items()]
    taps += [(name, "v_out", tape.potentials[name]) for name in tapped]
    graph.nodes[HOST] = ProcessNode(Host, {"tape": tape, "tracks": [track for _, _, track in taps]}, host_model(len(taps)))
    graph.wires.extend(Wire(name, port, HOST, f"tap{i}") for i, (name, port, _) in enumerate(taps))
