"""From the trained module to the network in physical units, exactly: BatchNorm, average pooling and gains go into the weights."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from spikeport.export.network import Connection, Elementwise, FloatNetwork, FloatNeuron, Input, Pool, Population
from spikeport.train.architecture import MaxPool
from spikeport.train.neurons.base import LoweredNeuron
from spikeport.train.topology import INPUT, READOUT, Path, Stage

if TYPE_CHECKING:
    from spikeport.train.network import SpikingNetwork

NOMINAL_DT = 1e-3
"""Seconds that a timestep stands for in files. Training knows no seconds: decays are per timestep."""


def lower(network: SpikingNetwork, timesteps: int) -> FloatNetwork:
    """The network as `FloatModule` runs it: equal spikes in evaluation mode, up to rounding at the threshold.

    Pixels are levels of the task, sent as they are (direct coding). Max pooling becomes neurons without memory that fire when
    any of their inputs does.
    """
    lowered = [_lower_stage(network, stage) for stage in network.stages]
    return FloatNetwork(
        input=Input(INPUT, network.task.shape, 1 / network.task.levels, 0, network.task.levels, "direct"),
        populations=tuple(population for population, _ in lowered),
        connections=tuple(c for _, connections in lowered for c in connections),
        output=READOUT,
        readout="accumulated_current",
        timesteps=timesteps,
        provenance={
            "dt": NOMINAL_DT,
            "integrator": "decay factors per timestep, trained as such; dt only names the step's length",
            "framework": f"spikeport {version('spikeport')}",
            "data": network.task.name,
            "trained_timesteps": network.timesteps,
        },
    )


def _lower_stage(network: SpikingNetwork, stage: Stage) -> tuple[Population, list[Connection]]:
    if stage.kind == "max_pool":
        return Population(stage.name, stage.shape, _or_neuron()), [_or_connection(stage.incoming[0], stage.name)]
    neuron = _readout() if stage.kind == "readout" else network.neuron(stage.name).lowered()
    pairs = [s.lowered(stage.name, neuron.gain) for s in network.synapses_of(stage.name)]
    bias = np.sum([b for _, b in pairs], axis=0).reshape(-1, *(1,) * (len(stage.shape) - 1))
    return Population(stage.name, stage.shape, replace(neuron.neuron, bias=bias)), [c for c, _ in pairs]


def _neuron(*, threshold: float, beta: float, spiking: bool) -> FloatNeuron:
    zero = np.array(0.0)
    return FloatNeuron(alpha=zero, beta=np.array(beta), threshold=np.array(threshold), bias=zero, spiking=spiking)


def _readout() -> LoweredNeuron:
    """Adds up its current for ever; the threshold is never asked."""
    return LoweredNeuron(neuron=_neuron(threshold=1.0, beta=1.0, spiking=False), gain=1.0)


def _or_neuron() -> FloatNeuron:
    return _neuron(threshold=0.0, beta=0.0, spiking=True)


def _or_connection(path: Path, target: str) -> Connection:
    assert isinstance(path.layer, MaxPool)
    k = path.pool * path.layer.size
    return Connection(f"{path.source}->{target}", path.source, target, Elementwise(np.ones(())), Pool((k, k), (k, k), (0, 0)))
