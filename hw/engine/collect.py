"""Where the chunks of a run leave their results: arrays of the whole run, made once, each chunk
writing its own samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

import numpy as np
import torch

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.engine.compiled.counting import count_messages
from spikeport.hw.engine.layout import from_engine
from spikeport.hw.engine.neurons import Trace
from spikeport.hw.records.record import RecordLevel, SpikeRecord
from spikeport.hw.records.stimulus import Stimulus


class Collector:
    """Collects traces into a `SpikeRecord`."""

    def __init__(self, network: QuantizedNetwork, stimulus: Stimulus, level: RecordLevel, notes: Mapping[str, str]) -> None:
        self.network, self.level, self.notes, self.lock = network, level, notes, Lock()
        shape = self.shape = (len(stimulus), stimulus.timesteps)
        populations = network.populations
        self.output = np.empty((*shape, *network.shape(network.output)), np.int32)
        self.counts = {name: np.empty(shape, np.int64) for name in (network.input.name, *(p.name for p in populations))}
        self.events = {c.name: np.empty(shape, np.int64) for c in network.connections}
        self.overflows = {p.name: 0 for p in populations}
        kept = populations if level != "counts" else ()
        self.spikes = {p.name: np.empty((*shape, *p.shape), bool) for p in kept if p.neuron.spiking}
        kept = populations if level == "potentials" else ()
        self.potentials = {p.name: np.empty((*shape, *p.shape), np.int32) for p in kept}

    def needs_potentials(self, name: str) -> bool:
        """Whether a population's membrane potentials are asked for, or read by the readout."""
        return self.level == "potentials" or (name == self.network.output and self.network.readout != "spike_count")

    def add_input(self, part: slice, messages: torch.Tensor, reach: np.ndarray) -> None:
        """Count the input's messages, `(n, T or 1, size)`, and their synaptic events; reach
        `(connections, size)`.
        """
        name = self.network.input.name
        self.counts[name][part], events = count_messages(messages, reach)
        for connection, reached in zip(self.network.outgoing(name), events):
            self.events[connection.name][part] = reached

    def add(self, part: slice, name: str, trace: Trace) -> None:
        """Take one population's trace of the samples in `part`."""
        self.counts[name][part] = trace.counts.cpu().numpy()
        for connection, events in zip(self.network.outgoing(name), trace.events):
            self.events[connection.name][part] = events.cpu().numpy()
        with self.lock:
            self.overflows[name] += trace.overflows
        shape = self.network.shape(name)
        if name in self.spikes:
            self.spikes[name][part] = from_engine(trace.spikes.cpu().numpy(), shape)
        if name in self.potentials and trace.potentials is not None:
            self.potentials[name][part] = from_engine(trace.potentials.cpu().numpy(), shape)
        if name == self.network.output:
            self.output[part] = from_engine(self._readout(trace), shape)

    def _readout(self, trace: Trace) -> np.ndarray:
        """See `Network.readout`."""
        if self.network.readout == "spike_count":
            return trace.spikes.cpu().numpy()
        assert trace.potentials is not None
        potentials = trace.potentials.cpu().numpy()
        return potentials if self.network.readout == "membrane_potential" else np.diff(potentials, axis=1, prepend=np.int32(0))

    def record(self) -> SpikeRecord:
        """The finished record."""
        return SpikeRecord(self.output, self.counts, self.events, self.overflows, self.spikes, self.potentials, self.notes)
