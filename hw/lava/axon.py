"""An axon of its own, for what Lava's synapse processes cannot take in: a delay ahead of a
convolution, odd pooling.

It adds no timestep. On a chip: the delay is the synapse's delay field; pooling that does not fold
into the kernel takes one synapse per window that a neuron is in (see
`spikeport.export.model.fold`).
"""

from __future__ import annotations

from collections import deque
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

from spikeport.export.model.fold import pool_matrix
from spikeport.export.model.synapse import Pool, Shape


class Axon(AbstractProcess):
    """Sends what it received `delay` steps ago, summed over pooling windows if `pool` is given."""

    def __init__(self, *, shape: Shape, delay: int, pool: Pool | None) -> None:
        super().__init__(shape=shape, delay=delay, pool=pool)
        self.s_in = InPort(shape=shape)
        self.s_out = OutPort(shape=pool.output_shape(shape) if pool else shape)


@implements(proc=Axon, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyAxon(PyLoihiProcessModel):
    """Integers in, integers out."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        shape, delay, self.pool = proc_params["shape"], proc_params["delay"], proc_params["pool"]
        self.matrix: Any = pool_matrix(self.pool, shape) if self.pool else None
        self.line = deque([np.zeros(shape, np.int32)] * delay)

    def run_spk(self) -> None:
        self.line.append(self.s_in.recv())
        messages = self.line.popleft()
        if self.pool:
            messages = (self.matrix @ messages.ravel()).reshape(self.pool.output_shape(messages.shape))
        self.s_out.send(messages)
