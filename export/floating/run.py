"""Run a `FloatNetwork` in PyTorch: layer by layer with time inside the layer, step by step only
where there are loops.

Shapes are time-first: T timesteps, N samples. Semantics: `spikeport.export.model.network`, in
floating point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from spikeport.export.common.errors import InputError
from spikeport.export.floating.input import InputLayer
from spikeport.export.floating.layers import NeuronLayer, SpikeFunction, Step, SynapseLayer
from spikeport.export.model.network import Connection, FloatNetwork, Network

Observer = Callable[[str, Step], None]
"""Called once per population with its whole course of time, every tensor `(T, N, *shape)`."""


class FloatModule(nn.Module):
    """A network in physical units as a torch module; weights and biases are trainable parameters.

    spike: replaces the hard threshold by a function of membrane minus threshold, for training
    through a surrogate gradient; it
    then decides on strictness too. dtype: float64 where values must be exact.
    """

    def __init__(self, network: FloatNetwork, *, spike: SpikeFunction | None = None, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.network, self.input = network, InputLayer(network.input)
        self.neuron = {p.name: NeuronLayer(p, spike, dtype) for p in network.populations}
        self.synapse = {c.name: SynapseLayer(c, network.shape(c.source), network[c.target].shape, dtype) for c in network.connections}
        # Dictionaries keep any name; these lists make the layers known to torch.
        self.neurons, self.synapses = nn.ModuleList(self.neuron.values()), nn.ModuleList(self.synapse.values())
        self._stages = causal_stages(network)

    @property
    def weights(self) -> Mapping[str, nn.Parameter]:
        """Weights by connection name, shaped as in the network."""
        return {name: layer.weight for name, layer in self.synapse.items()}

    @property
    def biases(self) -> Mapping[str, nn.Parameter]:
        """Membrane biases by population name, shaped as in the network."""
        return {name: layer.bias for name, layer in self.neuron.items()}

    @property
    def widest(self) -> int:
        """Size of the largest population, the input among them."""
        return max(prod(self.network.input.shape), *(p.size for p in self.network.populations))

    def forward(self, x: Tensor, timesteps: int | None = None, *, first: int = 0, observe: Observer | None = None) -> Tensor:
        """Run from rest.

        Args:
            x: `(T, N, *input_shape)`, or `(N, *input_shape)` held over `timesteps` steps; values as
                `Input` takes them.
            timesteps: T; may be left out where x has a time axis, and cuts it where smaller.
            first: absolute number of the first sample, from which random generators count.
            observe: receives the input's name and every population's, with all that happened there.

        Returns:
            `(T, N, *output_shape)`: spikes, membrane increments or membrane potentials, as
            `Network.readout` says.
        """
        x, timesteps = self._over_time(x, timesteps)
        x = self.input(x, timesteps, first)
        if observe:
            observe(self.network.input.name, Step(x, x, x, x))
        signals = {self.network.input.name: x}
        for stage in self._stages:
            for name, steps in self._run(stage, signals, timesteps, first).items():
                signals[name] = torch.stack([step.spikes for step in steps])
                if observe:
                    observe(name, Step(*map(torch.stack, zip(*steps))))
                if name == self.network.output:
                    output = signals[name] if self.neuron[name].spiking else self._readout([step.potential for step in steps])
        return output

    def _over_time(self, x: Tensor, timesteps: int | None) -> tuple[Tensor, int]:
        """Give a held input a time axis of length 1, so that its synapses are computed once."""
        shape = self.network.input.shape
        if x.shape[1:] == shape and timesteps:
            return x[None], timesteps
        if x.shape[2:] != shape or len(x) < (timesteps or 1):
            raise InputError(
                f"input has shape {tuple(x.shape)}; expected (timesteps, samples, *{shape}), or (samples, *{shape}) and timesteps"
            )
        return x[:timesteps], timesteps or len(x)

    def _readout(self, potentials: list[Tensor]) -> Tensor:
        v = torch.stack(potentials)
        return torch.diff(v, dim=0, prepend=torch.zeros_like(v[:1])) if self.network.readout == "accumulated_current" else v

    def _run(self, stage: list[str], signals: Mapping[str, Tensor], timesteps: int, first: int) -> dict[str, list[Step]]:
        """Populations that depend on one another, over all time; what comes from outside is
        computed beforehand.
        """
        samples = signals[self.network.input.name].shape[1]
        outside = {name: self._outside_current(name, signals, timesteps, samples).unbind(0) for name in stage}
        inner = {name: [(c, s) for c, s in self._incoming(name) if c.source in stage] for name in stage}
        course: dict[str, list[Step]] = {name: [] for name in stage}
        for t in range(timesteps):
            for name in stage:
                neuron, a = self.neuron[name], outside[name][t]
                for c, synapse in inner[name]:
                    if t >= c.delay:
                        a = a + synapse(course[c.source][t - c.delay].spikes[None])[0]
                before = course[name][-1] if t else neuron.rest(samples)
                course[name].append(neuron(before, a, neuron.noise_at(first, samples, t)))
        return course

    def _incoming(self, name: str) -> list[tuple[Connection, SynapseLayer]]:
        return [(c, self.synapse[c.name]) for c in self.network.incoming(name)]

    def _outside_current(self, name: str, signals: Mapping[str, Tensor], timesteps: int, samples: int) -> Tensor:
        """Sum of currents `(T, N, *shape)` from populations that are complete."""
        total = self.neuron[name].bias.new_zeros(1, 1, *self.neuron[name].shape)
        for c, synapse in self._incoming(name):
            if c.source in signals:
                current = synapse(signals[c.source])
                current = current.expand(timesteps, *current.shape[1:])
                total = total + delayed(current, c.delay)
        return total.expand(timesteps, samples, *total.shape[2:])


def delayed(x: Tensor, delay: int) -> Tensor:
    """`x[t - delay]` along the first axis, zero before the start."""
    if not delay:
        return x
    return torch.cat([torch.zeros_like(x[:delay]), x[: max(len(x) - delay, 0)]])


def causal_stages(network: Network) -> list[list[str]]:
    """Groups of populations that depend on one another through loops (mostly single ones), each
    after all it needs.
    """
    names = [p.name for p in network.populations]
    reach = np.eye(len(names), dtype=np.int64)
    for c in network.connections:
        if c.source in names:
            reach[names.index(c.source), names.index(c.target)] = 1
    for _ in range(len(names).bit_length()):
        reach = np.minimum(reach @ reach, 1)
    mutual = reach * reach.T
    firsts = [i for i in range(len(names)) if mutual[i].argmax() == i]
    # Whatever a group needs has fewer ancestors than the group itself.
    firsts.sort(key=lambda i: int(reach[:, i].sum()))
    return [[names[j] for j in np.flatnonzero(mutual[i])] for i in firsts]
