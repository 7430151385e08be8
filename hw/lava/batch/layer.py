"""A population and the synapses that end in it, for many samples side by side: one Lava process,
one message per source and step.

What Lava does in a process for each connection and another for the neurons, with the same step of
delay in between, is done in one, so that sums need not travel. Sums as in Lava's `Dense`, `Sparse`
and `Conv`, neurons as in its fixed-point LIF, resets and noise as in `spikeport.hw.lava.neuron`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeport.export.model import registers as reg
from spikeport.export.model.network import IntegerNeuron, Population
from spikeport.export.model.noise import integer_noise
from spikeport.export.model.synapse import Connection, Conv, Shape
from spikeport.hw.lava.batch.kernels import advance, deliver
from spikeport.hw.lava.batch.sums import make_sums
from spikeport.hw.lava.batch.tape import LaneTape
from spikeport.hw.semantics.bounds import SumBound


@dataclass(frozen=True)
class Incoming:
    """A connection that ends in the population. source: shape of one sample. delay: steps beyond
    the one that every synapse takes.

    graded: messages are integers, not spikes.
    """

    connection: Connection
    source: Shape
    delay: int
    bound: SumBound
    graded: bool


class LaneLayer(AbstractProcess):
    """In-port `s_in<i>` per connection and out-port `s_out`, all `(neurons, lanes)`; spikes, and v
    after reset, go to the tape.

    depth: rows by which the population lags the input. first_sample: absolute number of the first
    sample, for the noise.
    """

    def __init__(
        self, *, population: Population[IntegerNeuron], incoming: Sequence[Incoming], tape: LaneTape, depth: int, first_sample: int
    ) -> None:
        super().__init__(population=population, incoming=incoming, tape=tape, depth=depth, first_sample=first_sample)
        self.s_out = OutPort(shape=(population.size, tape.lanes))
        for i, connection in enumerate(incoming):
            setattr(self, f"s_in{i}", InPort(shape=(prod(connection.source), tape.lanes)))


@implements(proc=LaneLayer, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyLaneLayer(PyLoihiProcessModel):
    """Base of the models that `layer_model` makes: one in-port per connection."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.bool_)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        torch.set_num_threads(1)  # each process has a core to itself at best
        self.tape, self.depth, self.first_sample = (proc_params[k] for k in ("tape", "depth", "first_sample"))
        population: Population[IntegerNeuron] = proc_params["population"]
        self.name, self.neuron = population.name, population.neuron
        shape = (population.size, self.tape.lanes)
        self.registers = registers_of(population)
        self.u, self.v, self.arriving = (np.zeros(shape, np.int32) for _ in range(3))
        self.spikes, self.silent = np.zeros(shape, bool), np.zeros((population.size, 0), np.int32)
        self.synapses = [Synapses(i, self.tape.lanes) for i in proc_params["incoming"]]

    def run_spk(self) -> None:
        row, line = self.time_step - 1, self.tape.timeline
        sample, step = divmod(row - self.depth, line.period)
        if step == 0 or step >= line.timesteps:
            self.u[:] = 0
            self.v[:] = 0
        if step < line.timesteps:
            subtract = self.neuron.reset == "subtract"
            advance(self.arriving, self.noise(sample, step), self.registers, self.u, self.v, subtract, self.spikes)
        else:
            self.spikes[:] = False
        self.s_out.send(self.spikes)
        self.tape.keep(self.name, row, self.spikes, self.v)
        self.arriving[:] = 0
        for i, synapses in enumerate(self.synapses):
            synapses.add(getattr(self, f"s_in{i}").recv(), self.arriving)

    def noise(self, group: int, step: int) -> np.ndarray:
        """Of every neuron and lane, in state units; without lanes where there is none."""
        if self.neuron.noise is None:
            return self.silent
        lanes = np.arange(self.tape.lanes)
        drawn = integer_noise(self.neuron.noise, self.first_sample + group * len(lanes) + lanes, step, len(self.v))
        return np.ascontiguousarray(drawn.T, np.int32)


class Synapses:
    """What a connection delivers, message after message."""

    def __init__(self, incoming: Incoming, lanes: int) -> None:
        self.connection = incoming.connection
        self.sums = make_sums(self.connection, incoming.source, incoming.bound)
        silence = np.zeros((prod(incoming.source), lanes), np.int32 if incoming.graded else np.bool_)
        self.line = deque([silence] * incoming.delay)
        self.seen, self.total = silence, self.sums(silence)

    def add(self, message: np.ndarray, arriving: np.ndarray) -> None:
        """Take a step's message, and add what the one from `delay` steps ago comes to."""
        self.line.append(message)
        message = self.line.popleft()
        if not np.array_equal(message, self.seen):  # as an image held over time is
            self.seen, self.total = message, self.sums(message)
        deliver(self.total, self.connection.exponent, isinstance(self.connection.op, Conv), arriving)


def registers_of(population: Population[IntegerNeuron]) -> np.ndarray:
    """What `advance` takes, int32 `(5, neurons)`."""
    neuron = population.neuron
    value = neuron.reset_value << reg.STATE_SHIFT if neuron.reset != "zero" else np.zeros((), np.int32)
    rows = (neuron.keep_current, neuron.keep_potential, neuron.threshold << reg.STATE_SHIFT, neuron.bias, value)
    return np.array([np.broadcast_to(row, population.shape).ravel() for row in rows], np.int32)


def layer_model(graded: Sequence[bool]) -> type[PyLaneLayer]:
    """Lava declares ports on the model's class, so a layer with such connections is a class of its
    own.
    """
    ports = {f"s_in{i}": LavaPyType(PyInPort.VEC_DENSE, np.int32 if g else np.bool_) for i, g in enumerate(graded)}
    return type("PyLaneLayer", (PyLaneLayer,), {"__module__": __name__, **ports})
