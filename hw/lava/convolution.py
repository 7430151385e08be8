"""A CPU process model for Lava's own `Conv`, equal to the stock one bit for bit and many times
faster.

The stock model runs `scipy.signal.convolve2d` once per pair of channels, ignores `weight_exp` and
keeps its geometry in int8. This one adds the kernel of each message that arrives to the outputs it
reaches, as the chip does, so that silence costs nothing.
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

from spikeport.export.model.registers import STATE_LIMIT

GEOMETRY = "i8[::1], i8[::1], i8[::1], i8"
TOGETHER = 4
"""Messages of a pixel that are added in one pass over the outputs, which saves loading and storing
these.
"""


@numba.njit
def senders(messages, x, y, group, channels, values):
    """Channels of a pixel's group that send, and what; returns how many.

    The values behind are 0, to fill the last pass.
    """
    count, per_group = 0, len(channels) - TOGETHER
    for channel in range(group * per_group, (group + 1) * per_group):
        if messages[x, y, channel] != 0:
            channels[count], values[count] = channel, messages[x, y, channel]
            count += 1
    values[count : count + TOGETHER] = 0
    return count


@numba.njit([f"void(i4[:,:,::1], {t}[:,:,:,::1], {t}[:,:,::1], {GEOMETRY})" for t in ("i4", "i8")], cache=True, nogil=True)
def scatter(messages, weight, total, stride, padding, dilation, groups):
    """Add every message's kernel to `total` (X, Y, outputs); weight `(kx, ky, inputs, outputs /
    groups)`, a correlation.
    """
    width, per_group = weight.shape[3], messages.shape[2] // groups
    c, m = np.zeros(per_group + TOGETHER, np.int64), np.zeros(per_group + TOGETHER, total.dtype)
    for x, y, group in np.ndindex(messages.shape[0], messages.shape[1], groups):
        count = senders(messages, x, y, group, c, m)
        for i in range(weight.shape[0] if count else 0):
            X, left = divmod(x + padding[0] - i * dilation[0], stride[0])
            if left or X < 0 or X >= total.shape[0]:
                continue
            for j in range(weight.shape[1]):
                Y, left = divmod(y + padding[1] - j * dilation[1], stride[1])
                if left or Y < 0 or Y >= total.shape[1]:
                    continue
                reached, w = total[X, Y, group * width : (group + 1) * width], weight[i, j]
                for n in range(0, count, TOGETHER):
                    m0, m1, m2, m3 = m[n], m[n + 1], m[n + 2], m[n + 3]
                    w0, w1, w2, w3 = w[c[n]], w[c[n + 1]], w[c[n + 2]], w[c[n + 3]]
                    for k in range(width):
                        reached[k] += m0 * w0[k] + m1 * w1[k] + m2 * w2[k] + m3 * w3[k]


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFastConv(PyConvModelFixed):
    """Same ports, same one step of delay, same wrap to 24 bits.

    `weight_exp` shifts the sum, rounding down when negative.
    """

    a_buf: Any = LavaPyType(np.ndarray, np.int32, precision=24)
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
        total = np.zeros(self.a_buf.shape, self.taps.dtype)
        ordered = np.ascontiguousarray(messages, np.int32)
        scatter(ordered, self.taps, total, self.stride, self.padding, self.dilation, self.groups.item())
        self.a_buf = self.shifted(total)

    def correlation_taps(self) -> np.ndarray:
        """The kernel turned back to a correlation, `(kx, ky, inputs, outputs / groups)`, in the
        type that sums are taken in.

        32 bits do wherever the sum fits, and for all exponents of 0 and more, since 24 bits of it
        are what counts in the end.
        """
        outputs, kx, ky, per_group = self.weight.shape
        groups = self.groups.item()
        largest = int(np.abs(self.weight.astype(np.int64)).sum(axis=(1, 2, 3)).max()) << self.num_message_bits.item()
        dtype = np.int32 if self.weight_exp.item() >= 0 or largest < 1 << 31 else np.int64
        flipped = self.weight[:, ::-1, ::-1].reshape(groups, outputs // groups, kx, ky, per_group)
        return np.ascontiguousarray(flipped.transpose(2, 3, 0, 4, 1).reshape(kx, ky, groups * per_group, -1), dtype)

    def shifted(self, total: np.ndarray) -> np.ndarray:
        """Sums times 2^weight_exp, rounded down, wrapped to 24 bits."""
        exponent = self.weight_exp.item()
        shifted = total << exponent if exponent >= 0 else total >> -exponent
        return (((shifted + STATE_LIMIT) & (2 * STATE_LIMIT - 1)) - STATE_LIMIT).astype(np.int32)
