"""From the trained module to the network in physical units, exactly: BatchNorm, average pooling and
gains go into the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import NOMINAL_DT, Connection, Elementwise, FloatNetwork, FloatNeuron, Pool, Population
from spikeport.train.network.architecture import MaxPool
from spikeport.train.network.layers import Synapses
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.network.topology import INPUT, READOUT, Projection, Stage
from spikeport.train.neurons.base import LoweredNeuron


def lower(network: SpikingNetwork, timesteps: int | None = None) -> FloatNetwork:
    """The network as `FloatModule` runs it: equal spikes in evaluation mode, up to rounding at the
    threshold.

    What is sent is the encoder's: levels, less their channel's mean where images are normalised, or
    spikes. Max pooling becomes neurons without memory that fire when
    any of their inputs does. timesteps: T, None for the trained one.
    """
    stages = [stage for stage in network.stages if stage.kind != "stream"]
    neurons = {stage.name: _neuron_of(network, stage) for stage in stages}
    heights, traces = _heights(network, stages, neurons), _traces(network, neurons)
    populations, connections = [], []
    for number, stage in enumerate(stages):
        incoming, bias = _incoming(network, stage, neurons[stage.name].gain, heights)
        neuron = _placed(neurons[stage.name].neuron, bias, _input_memory(stage, traces), number)
        populations.append(Population(stage.name, stage.shape, neuron))
        connections += incoming
    return FloatNetwork(
        input=network.encoder.source,
        populations=tuple(populations),
        connections=tuple(connections),
        output=READOUT,
        readout="spike_count" if network.readout == "spikes" else "accumulated_current",
        timesteps=timesteps or network.timesteps,
        dt=NOMINAL_DT,
        integrator="per timestep",
        provenance={
            "framework": f"spikeport {version('spikeport')}",
            "data": network.task.name,
            "trained_timesteps": network.timesteps,
        },
    )


def _neuron_of(network: SpikingNetwork, stage: Stage) -> LoweredNeuron:
    """The neurons of a stage, before what their synapses add to them."""
    if stage.kind == "max_pool":
        return LoweredNeuron(neuron=_neuron(threshold=0.0, beta=0.0, spiking=True))
    if stage.name in network.neurons:
        return network.neuron(stage.name).lowered()
    # The readout adds up its current for ever; its threshold is never asked.
    return LoweredNeuron(neuron=_neuron(threshold=1.0, beta=1.0, spiking=False))


def _heights(network: SpikingNetwork, stages: list[Stage], neurons: Mapping[str, LoweredNeuron]) -> dict[str, float | np.ndarray]:
    """What a spike of each stage, or a message of the input, stands for; max pooling passes its
    source's on.
    """
    heights: dict[str, float | np.ndarray] = {INPUT: network.encoder.height / network.neuron_config.input_filter}
    for stage in stages:
        heights[stage.name] = heights[stage.incoming[0].source] if stage.kind == "max_pool" else neurons[stage.name].height
    return heights


def _incoming(
    network: SpikingNetwork, stage: Stage, gain: float, heights: Mapping[str, float | np.ndarray]
) -> tuple[list[Connection], np.ndarray]:
    """Connections into a stage, and the bias they leave to it, shaped to broadcast against its
    population.
    """
    if stage.kind == "max_pool":
        return [_or_connection(stage.incoming[0], stage.name)], np.zeros(())
    connections, bias = _gathered(network, stage.name, stage.name, np.array(gain), heights)
    return connections, bias.reshape(-1, *(1,) * (len(stage.shape) - 1))


def _gathered(
    network: SpikingNetwork, stage: str, target: str, gain: np.ndarray, heights: Mapping[str, float | np.ndarray]
) -> tuple[list[Connection], np.ndarray]:
    """What enters a stage, a stream or the target itself, as connections to the target and their
    bias.
    """
    connections: list[Connection] = []
    bias = np.zeros(())
    for synapses in network.synapses_of(stage):
        followed, left = _followed(network, synapses, target, gain, heights)
        connections, bias = connections + followed, bias + left
    return connections, bias


def _followed(
    network: SpikingNetwork, synapses: Synapses, target: str, gain: np.ndarray, heights: Mapping[str, float | np.ndarray]
) -> tuple[list[Connection], np.ndarray]:
    """Connections along one path, through streams back to spikes: a stream is linear, so factors
    and biases multiply out.
    """
    source = synapses.path.source
    if source in heights:
        return synapses.lowered(target, gain, heights[source])
    assert synapses.path.pool == 1, "pooled currents are no connection"
    factor, offset = synapses.folded()
    connections, bias = _gathered(network, source, target, gain * factor, heights)
    return connections, bias + gain * offset


def _traces(network: SpikingNetwork, neurons: Mapping[str, LoweredNeuron]) -> dict[str, float]:
    """Fraction of what each stage sends that is kept per timestep; a stream keeps what its sources
    do.
    """
    traces = {INPUT: 1 - 1 / network.neuron_config.input_filter}
    for stage in network.stages:
        traces[stage.name] = neurons[stage.name].trace if stage.name in neurons else traces[stage.incoming[0].source]
    return traces


def _input_memory(stage: Stage, traces: Mapping[str, float]) -> float:
    """Fraction of the synaptic current kept per timestep: the filter behind a source's spikes moves
    into its targets.
    """
    (memory,) = {traces[path.source] for path in stage.incoming}
    if memory and stage.kind == "max_pool":
        raise InputError(f"{stage.name}: max pooling of post-synaptic currents is no logical or; use average pooling with this method")
    return memory


def _placed(neuron: FloatNeuron, bias: np.ndarray, memory: float, number: int) -> FloatNeuron:
    """The neuron in its stage: with its synapses' bias and memory, and noise of its own."""
    noise = replace(neuron.noise, seed=number) if neuron.noise else None
    return replace(neuron, bias=neuron.bias + bias, alpha=np.array(memory), noise=noise)


def _neuron(*, threshold: float, beta: float, spiking: bool) -> FloatNeuron:
    zero = np.array(0.0)
    return FloatNeuron(alpha=zero, beta=np.array(beta), threshold=np.array(threshold), bias=zero, spiking=spiking)


def _or_connection(path: Projection, target: str) -> Connection:
    assert isinstance(path.layer, MaxPool)
    k = path.pool * path.layer.size
    return Connection(f"{path.source}->{target}", path.source, target, Elementwise(np.ones(())), Pool((k, k), (k, k), (0, 0)))
