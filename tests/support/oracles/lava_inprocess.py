"""Execute a graph of Lava process models inside this process, with queues of one message in place
of Lava's channels.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
from lava.magma.compiler.builders.py_builder import PyProcessBuilder
from lava.magma.compiler.utils import VarInitializer
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.process.process import AbstractProcess

from spikeport.hw.lava.graph import Graph, ProcessNode, Wire
from spikeport.hw.lava.registry import forget_processes
from spikeport.hw.lava.tape import Tape


class NothingSentYet(Exception):
    """A model waits for a message that its sender has not sent in this timestep."""


class OutPort:
    """Keeps this timestep's message, in the type that the channel would carry.

    Sending again in a timestep changes nothing.
    """

    def __init__(self, dtype: type) -> None:
        self.dtype = dtype
        self.message: np.ndarray | None = None

    def send(self, data: np.ndarray) -> None:
        if self.message is None:
            self.message = np.array(data).astype(self.dtype)


class InPort:
    """The sum of what its senders have sent, as Lava's dense in-port takes it."""

    def __init__(self, shape: tuple[int, ...], dtype: type) -> None:
        self.empty: np.ndarray = np.zeros(shape, dtype)
        self.senders: list[tuple[OutPort, Wire]] = []

    def recv(self) -> np.ndarray:
        if any(port.message is None for port, _ in self.senders):
            raise NothingSentYet
        return reduce(lambda total, sender: total + self._arrived(*sender), self.senders, self.empty.copy())

    def _arrived(self, port: OutPort, wire: Wire) -> np.ndarray:
        assert port.message is not None
        message = port.message if wire.axes is None else port.message.transpose(wire.axes)
        return message.reshape(self.empty.shape)


class InProcess:
    """Runs a graph step by step.

    A model that has to wait is called again later in the step: none changes its state before it has
    received everything, and every synapse process sends before it receives, so each step comes to
    an end.
    """

    def __init__(self, graph: Graph, tape: Tape) -> None:
        self.tape = tape
        with forget_processes():
            processes = {name: node.process(**node.params) for name, node in graph.nodes.items()}
            self.models = {name: build(graph.nodes[name], process) for name, process in processes.items()}
            ports = {name: connect(self.models[name], process) for name, process in processes.items()}
        for wire in graph.wires:
            sender, receiver = ports[wire.source][wire.out_port], ports[wire.target][wire.in_port]
            assert isinstance(sender, OutPort) and isinstance(receiver, InPort)
            receiver.senders.append((sender, wire))
        self.out_ports = [p for by_name in ports.values() for p in by_name.values() if isinstance(p, OutPort)]

    def advance(self, steps: int) -> None:
        """Execute so many timesteps."""
        for _ in range(steps):
            for port in self.out_ports:
                port.message = None
            for model in self.models.values():
                model.time_step += 1
            self._run_all(list(self.models.values()))
            for name, track in self.tape.potentials.items():
                track[(int(self.tape.done[0]) - 1) % self.tape.length] = self.models[name].v

    def _run_all(self, waiting: list[PyLoihiProcessModel]) -> None:
        while waiting:
            before = self._sent()
            still = [model for model in waiting if not ran(model)]
            assert len(still) < len(waiting) or self._sent() > before, "the models wait for each other"
            waiting = still

    def _sent(self) -> int:
        return sum(port.message is not None for port in self.out_ports)


def ran(model: PyLoihiProcessModel) -> bool:
    """Call a model's spiking phase; False if it has to wait."""
    try:
        model.run_spk()
    except NothingSentYet:
        return False
    return True


def build(node: ProcessNode, process: AbstractProcess) -> PyLoihiProcessModel:
    """The process model as Lava's own builder makes it, without channels."""
    builder = PyProcessBuilder(node.model, 0, process.proc_params)
    builder.set_variables([VarInitializer(v.name, v.shape, v.init, v.id) for v in process.vars])
    return builder.build()


def connect(model: PyLoihiProcessModel, process: AbstractProcess) -> dict[str, InPort | OutPort]:
    """Ports of the model, by name."""
    ports: dict[str, InPort | OutPort] = {}
    for port in process.in_ports:
        ports[port.name] = InPort(port.shape, getattr(type(model), port.name).d_type)
    for port in process.out_ports:
        ports[port.name] = OutPort(getattr(type(model), port.name).d_type)
    for name, port in ports.items():
        setattr(model, name, port)
    return ports
