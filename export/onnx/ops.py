"""Integer arithmetic out of ONNX operators, each exact in ONNX Runtime on CPUs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

BYTE = 256


@dataclass(frozen=True)
class Value:
    """A tensor of integers by name, all within +-bound."""

    name: str
    bound: int


@dataclass
class Ops:
    """Collects nodes of one graph; constants may be shared with the graph around it. prefix keeps
    names apart.
    """

    prefix: str
    constants: dict[tuple[str, tuple[int, ...], bytes], TensorProto]
    nodes: list[NodeProto] = field(default_factory=list)

    def __call__(self, kind: str, *inputs: str | np.ndarray | np.number | int, **attributes: Any) -> str:
        """Append a node and name its output. Arrays become constants, Python integers int64 ones."""
        name = f"{self.prefix}{kind}_{len(self.nodes)}"
        names = [i if isinstance(i, str) else self.constant(np.asarray(i)) for i in inputs]
        self.nodes.append(helper.make_node(kind, names, [name], name=name, **attributes))
        return name

    def constant(self, array: np.ndarray) -> str:
        """Name of a constant; equal ones are stored once."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(np.array(array, order="C"), f"constant_{len(self.constants)}")
        return self.constants[key].name

    def alias(self, source: str, name: str) -> str:
        """Give a value the name that a graph's output needs."""
        self.nodes.append(helper.make_node("Identity", [source], [name]))
        return name

    def cast(self, x: str, dtype: np.dtype | type) -> str:
        """Change the integer type; the value must fit."""
        return self("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def reshape(self, x: str, *shape: int) -> str:
        """New shape, batch kept as -1."""
        return self("Reshape", x, np.array((-1, *shape), np.int64))

    def shift(self, x: Value, exponent: int) -> Value:
        """`x * 2**exponent`, rounded down: ONNX's BitShift has no signed types, so division of what
        divides exactly.
        """
        scale = 1 << abs(exponent)
        if exponent >= 0:
            return Value(self("Mul", x.name, scale), x.bound * scale) if exponent else x
        whole = self("Sub", x.name, self("Mod", x.name, scale))  # Mod has the divisor's sign
        return Value(self("Div", whole, scale), x.bound // scale + 1)

    def wrap(self, x: Value, bits: int) -> Value:
        """Two's complement wrap-around; nothing where the bound shows that it cannot happen."""
        half = 1 << (bits - 1)
        if x.bound < half:
            return x
        return Value(self("Sub", self("Mod", self("Add", x.name, half), 2 * half), half), half)

    def clip(self, x: str, limit: int) -> str:
        """Saturate to +-limit."""
        return self("Clip", x, -limit, limit)


def planes(ops: Ops, x: str, low: int, high: int) -> list[tuple[str, int, int]]:
    """Split integers `low..high` into unsigned bytes: (tensor, zero point, factor), whose `factor *
    (byte - zero)` add up to x.

    ONNX Runtime multiplies unsigned bytes only (ConvInteger), and those exactly on every processor.
    """
    if high - low < BYTE and low > -BYTE:
        shifted = ops("Sub", ops.cast(x, np.int32), np.int32(low)) if low else x
        return [(ops.cast(shifted, np.uint8), -low, 1)]
    count = next(n for n in range(2, 9) if max(high, -low - 1) < 1 << (8 * n - 1))
    rest = ops("Add", ops.cast(x, np.int64), 1 << (8 * count - 1))
    parts = []
    for index in range(count):
        byte = ops("Mod", ops("Div", rest, BYTE**index), BYTE)
        parts.append((ops.cast(byte, np.uint8), 128 if index == count - 1 else 0, BYTE**index))
    return parts
