"""A CPU process model for Lava's own `Conv`, equal to the stock one bit for bit and many times faster.

The stock model runs `scipy.signal.convolve2d` once per pair of channels, ignores `weight_exp` and keeps its geometry in
int8. This one gathers the windows once and lets one matrix product do the rest. The product is taken in floating point,
where sums below 2^24 (float32) or 2^53 (float64) are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv
from lava.proc.conv.utils import signed_clamp

from spikeport.export.registers import STATE_BITS

EXACT_IN_FLOAT32 = 1 << 24


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFastConv(PyConvModelFixed):
    """Same ports, same one step of delay, same wrap to 24 bits. `weight_exp` shifts the sum, rounding down when negative."""

    kernel_size: np.ndarray = LavaPyType(np.ndarray, np.int32)
    stride: np.ndarray = LavaPyType(np.ndarray, np.int32)
    padding: np.ndarray = LavaPyType(np.ndarray, np.int32)
    dilation: np.ndarray = LavaPyType(np.ndarray, np.int32)
    groups: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.matrix: np.ndarray | None = None

    def run_spk(self) -> None:
        self.a_out.send(self.a_buf)
        if self.matrix is None:
            self.prepare()
        messages = self.s_in.recv()
        graded = self.num_message_bits.item() > 0
        self.a_buf = self.convolve(messages if graded else messages.astype(bool))

    def prepare(self) -> None:
        """Weights as matrices `(groups, taps * inputs, outputs)`, kernel flipped back to a correlation."""
        outputs, _, _, inputs = self.weight.shape
        groups = self.groups.item()
        total = np.abs(self.weight.astype(np.int64)).sum(axis=(1, 2, 3)).max()
        binary = self.num_message_bits.item() == 0
        dtype = np.float32 if binary and total < EXACT_IN_FLOAT32 else np.float64
        flipped = self.weight[:, ::-1, ::-1].reshape(groups, outputs // groups, -1)
        self.matrix = np.ascontiguousarray(flipped.transpose(0, 2, 1), dtype)
        self.window = (*self.kernel_size.tolist(), inputs)

    def convolve(self, messages: np.ndarray) -> np.ndarray:
        """One step's output, int32 `(X, Y, outputs)`, for messages `(x, y, inputs)`."""
        px, py = self.padding
        padded = np.zeros((messages.shape[0] + 2 * px, messages.shape[1] + 2 * py, messages.shape[2]), self.matrix.dtype)
        padded[px : px + messages.shape[0], py : py + messages.shape[1]] = messages
        columns = self.windows(padded)
        total = (columns @ self.matrix).transpose(1, 0, 2).reshape(self.a_buf.shape).astype(np.int64)
        exponent = self.weight_exp.item()
        shifted = total << exponent if exponent >= 0 else total >> -exponent
        return signed_clamp(shifted, STATE_BITS).astype(np.int32)

    def windows(self, padded: np.ndarray) -> np.ndarray:
        """Every output's window as one row, `(groups, X * Y, taps * inputs)`."""
        (kx, ky, inputs), groups = self.window, self.groups.item()
        (sx, sy), (dx, dy) = self.stride.tolist(), self.dilation.tolist()
        X, Y, _ = self.a_buf.shape
        x, y, c = padded.strides
        shape = (groups, X, Y, kx, ky, inputs)
        strides = (inputs * c, sx * x, sy * y, dx * x, dy * y, c)
        view = np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)
        return view.reshape(groups, X * Y, kx * ky * inputs)
