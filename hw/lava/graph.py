"""A network as Lava processes and the wires between their ports, described before any of it exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lava.magma.core.model.py.model import AbstractPyProcessModel
from lava.magma.core.process.process import AbstractProcess


@dataclass(frozen=True)
class ProcessNode:
    """A process to be made, and the process model that runs it on a CPU."""

    process: type[AbstractProcess]
    params: Mapping[str, Any]
    model: type[AbstractPyProcessModel]

    @property
    def ours(self) -> bool:
        """Whether the process model is not Lava's own, so that the run configuration has to be told
        of it.
        """
        return self.model.__module__.startswith("spikeport")


@dataclass(frozen=True)
class Wire:
    """From an out-port to an in-port: axes permuted first, then reshaped to the in-port's shape."""

    source: str
    out_port: str
    target: str
    in_port: str
    axes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Graph:
    """Processes by name, and wires."""

    nodes: dict[str, ProcessNode] = field(default_factory=dict)
    wires: list[Wire] = field(default_factory=list)

    def make(self) -> dict[str, AbstractProcess]:
        """The Lava processes, connected."""
        processes = {name: node.process(**node.params) for name, node in self.nodes.items()}
        for wire in self.wires:
            port = getattr(processes[wire.source], wire.out_port)
            end = getattr(processes[wire.target], wire.in_port)
            if wire.axes:
                port = port.transpose(wire.axes)
            if port.shape != end.shape:
                port = port.reshape(end.shape)
            port.connect(end)
        return processes
