"""A CPU process model for Lava's own `Conv`, equal to the stock one bit for bit and many times faster.

The stock model runs `scipy.signal.convolve2d` once per pair of channels, ignores `weight_exp` and keeps its geometry in
int8. This one adds the kernel of each message that arrives to the outputs it reaches, as the chip does, so that silence
costs nothing.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv
from lava.proc.conv.utils import signed_clamp

from spikeport.export.registers import STATE_BITS


@numba.njit("void(i4[:,:,::1], i8[:,:,:,::1], i8[:,:,::1], i8[::1], i8[::1], i8[::1], i8)", cache=True, nogil=True)
def scatter(messages, weight, total, stride, padding, dilation, groups):  # type: ignore[no-untyped-def]
    """Add every message's kernel to `total` (X, Y, outputs); weight `(kx, ky, inputs, outputs / groups)`, a correlation."""
    width = weight.shape[3]
    for x, y, channel in np.ndindex(messages.shape):
        message = np.int64(messages[x, y, channel])
        if message == 0:
            continue
        first = channel // (messages.shape[2] // groups) * width
        for i in range(weight.shape[0]):
            X, left = divmod(x + padding[0] - i * dilation[0], stride[0])
            if left or X < 0 or X >= total.shape[0]:
                continue
            for j in range(weight.shape[1]):
                Y, left = divmod(y + padding[1] - j * dilation[1], stride[1])
                if left or Y < 0 or Y >= total.shape[1]:
                    continue
                for k in range(width):
                    total[X, Y, first + k] += message * weight[i, j, channel, k]


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFastConv(PyConvModelFixed):
    """Same ports, same one step of delay, same wrap to 24 bits. `weight_exp` shifts the sum, rounding down when negative."""

    stride: np.ndarray = LavaPyType(np.ndarray, np.int64)
    padding: np.ndarray = LavaPyType(np.ndarray, np.int64)
    dilation: np.ndarray = LavaPyType(np.ndarray, np.int64)
    kernel_size: np.ndarray = LavaPyType(np.ndarray, np.int64)
    groups: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.taps: np.ndarray | None = None

    def run_spk(self) -> None:
        self.a_out.send(self.a_buf)
        if self.taps is None:
            self.taps = self.correlation_taps()
        messages = self.s_in.recv()
        if self.num_message_bits.item() == 0:
            messages = messages.astype(bool)
        total = np.zeros(self.a_buf.shape, np.int64)
        ordered = np.ascontiguousarray(messages, np.int32)
        scatter(ordered, self.taps, total, self.stride, self.padding, self.dilation, self.groups.item())
        self.a_buf = self.shifted(total)

    def correlation_taps(self) -> np.ndarray:
        """The kernel turned back to a correlation, int64 `(kx, ky, inputs, outputs / groups)`."""
        outputs, kx, ky, per_group = self.weight.shape
        groups = self.groups.item()
        flipped = self.weight[:, ::-1, ::-1].reshape(groups, outputs // groups, kx, ky, per_group)
        return np.ascontiguousarray(flipped.transpose(2, 3, 0, 4, 1).reshape(kx, ky, groups * per_group, -1), np.int64)

    def shifted(self, total: np.ndarray) -> np.ndarray:
        """Sums times 2^weight_exp, rounded down, wrapped to 24 bits."""
        exponent = self.weight_exp.item()
        return signed_clamp(total << exponent if exponent >= 0 else total >> -exponent, STATE_BITS).astype(np.int32)
