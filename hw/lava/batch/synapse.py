"""The synapses of one connection for many samples at once: a Lava process of ours with the meaning of Lava's `Dense`, `Sparse` and `Conv`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeport.export.model.fold import folded_synapses, pool_matrix
from spikeport.export.model.registers import STATE_LIMIT
from spikeport.export.model.synapse import Connection, Conv, Shape
from spikeport.hw.lava.convolution import scatter
from spikeport.hw.semantics.bounds import FLOAT32_EXACT, INT32_EXACT

Sums = Callable[[np.ndarray], np.ndarray]
"""`(lanes, inputs)` int32 messages to `(lanes, outputs)` int64 sums, before the exponent."""


class LaneSynapses(AbstractProcess):
    """Sends what the messages of `delay` steps ago (and the one step that every synapse takes) add up to.

    lanes: samples side by side. source, target: shapes of one sample. connection: its weights, pooling and exponent. largest:
    magnitude of any message.
    """

    def __init__(self, *, lanes: int, source: Shape, target: Shape, connection: Connection, delay: int, largest: int) -> None:
        super().__init__(lanes=lanes, source=source, target=target, connection=connection, delay=delay, largest=largest)
        self.s_in = InPort(shape=(lanes, *source))
        self.a_out = OutPort(shape=(lanes, *target))


@implements(proc=LaneSynapses, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyLaneSynapses(PyLoihiProcessModel):
    """Integers in, integers out; a convolution's sum wraps at 24 bits, as Lava's does."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        lanes, source, target = (proc_params[k] for k in ("lanes", "source", "target"))
        self.connection: Connection = proc_params["connection"]
        self.sums = make_sums(self.connection, source, proc_params["largest"])
        self.shape = (lanes, *target)
        self.line = deque([np.zeros((lanes, *source), np.int32)] * proc_params["delay"])
        self.arriving = np.zeros(self.shape, np.int32)
        self.seen: np.ndarray | None = None

    def run_spk(self) -> None:
        self.a_out.send(self.arriving)
        self.line.append(self.s_in.recv())
        messages = self.line.popleft()
        if self.seen is not None and np.array_equal(messages, self.seen):  # an image held over time
            return
        self.seen = messages.copy()
        total = self.sums(np.ascontiguousarray(messages, np.int32).reshape(len(messages), -1))
        exponent = self.connection.exponent
        total = total << exponent if exponent >= 0 else total >> -exponent
        if isinstance(self.connection.op, Conv):
            total = ((total + STATE_LIMIT) & (2 * STATE_LIMIT - 1)) - STATE_LIMIT
        self.arriving = total.astype(np.int32).reshape(self.shape)


def make_sums(connection: Connection, source: Shape, largest: int) -> Sums:
    """The connection's sums, pooling folded into the weights where that is exact, else ahead of them."""
    folded, pool = folded_synapses(connection.op, connection.pool, source), None
    if folded is None:
        assert connection.pool is not None, "int8 weights without pooling always fit"
        pool, source = pool_matrix(connection.pool, source), connection.pool.output_shape(source)
        folded, largest = folded_synapses(connection.op, None, source), largest * connection.pool.area
    plain = _convolution(folded, source, largest) if isinstance(folded, Conv) else _matrix(folded, largest)
    return plain if pool is None else lambda x: plain(np.asarray((pool @ x.T).T))


def _matrix(weight: Any, largest: int) -> Sums:
    """Products in floating point, in float32 where that is exact; float64 is for all sums of int8 weights and 32-bit messages."""
    bound = int(abs(weight.astype(np.int64)).sum(axis=1).max()) * largest
    transposed = weight.T.astype(np.float32 if bound < FLOAT32_EXACT else np.float64)
    return lambda x: np.asarray(x.astype(transposed.dtype) @ transposed).astype(np.int64)


def _convolution(conv: Conv, source: Shape, largest: int) -> Sums:
    """By the messages that arrive, as `spikeport.hw.lava.convolution` does for one sample."""
    bound = int(np.abs(conv.weight.astype(np.int64)).sum(axis=tuple(range(1, conv.weight.ndim))).max()) * largest
    dtype = np.int32 if bound < INT32_EXACT else np.int64
    outputs, per_group, *kernel = conv.weight.shape
    kx, ky = (*kernel, 1)[:2]
    grouped = conv.weight.reshape(conv.groups, outputs // conv.groups, per_group, kx, ky)
    taps = np.array(grouped.transpose(3, 4, 0, 2, 1).reshape(kx, ky, conv.groups * per_group, -1), dtype, order="C")
    stride, padding, dilation = (
        np.array((*values, missing)[:2]) for values, missing in ((conv.stride, 1), (conv.padding, 0), (conv.dilation, 1))
    )
    sizes = (*source[1:], 1)[:2]
    made = (*conv.output_shape(source)[1:], 1)[:2]

    def sums(x: np.ndarray) -> np.ndarray:
        messages = np.ascontiguousarray(np.moveaxis(x.reshape(-1, source[0], *sizes), 1, -1), np.int32)
        total = np.zeros((len(x), *made, outputs), dtype)
        scatter_lanes(messages, taps, total, stride, padding, dilation, conv.groups)
        return np.moveaxis(total, -1, 1).reshape(len(x), -1).astype(np.int64)

    return sums


@numba.njit(cache=True, nogil=True)
def scatter_lanes(messages, weight, total, stride, padding, dilation, groups):
    """`scatter` for every sample."""
    for lane in range(len(messages)):
        scatter(messages[lane], weight, total[lane], stride, padding, dilation, groups)
