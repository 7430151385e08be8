"""The one process at the border between the chip and the computer: it sends the input and writes
down what comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeport.hw.lava.tape import Tape


class Host(AbstractProcess):
    """Sends the tape's messages through `s_out` and writes what arrives at in-port `tap<i>` to
    `tracks[i]` of the tape.

    On a chip it is the embedded processor's spike input and output.
    """

    def __init__(self, *, tape: Tape, tracks: Sequence[np.ndarray]) -> None:
        super().__init__(tape=tape, tracks=tracks)
        self.s_out = OutPort(shape=tape.messages.shape[1:])
        for i, track in enumerate(tracks):
            setattr(self, f"tap{i}", InPort(shape=track.shape[1:]))


@implements(proc=Host, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyHost(PyLoihiProcessModel):
    """Base of the models that `host_model` makes: one in-port per track."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.tape: Tape = proc_params["tape"]
        self.tracks: Sequence[np.ndarray] = proc_params["tracks"]

    def run_spk(self) -> None:
        row = (self.time_step - 1) % self.tape.length
        self.s_out.send(self.tape.messages[row])
        for i, track in enumerate(self.tracks):
            track[row] = getattr(self, f"tap{i}").recv()
        self.tape.done[0] = self.time_step


def host_model(taps: int) -> type[PyHost]:
    """Lava declares ports on the model's class, so a host with so many taps is a class of its own."""
    ports = {f"tap{i}": LavaPyType(PyInPort.VEC_DENSE, np.int32) for i in range(taps)}
    return type("PyHost", (PyHost,), {"__module__": __name__, **ports})
