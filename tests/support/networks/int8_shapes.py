"""Products of every geometry and the message ranges that decide whether they may run on integer
units.
"""

from __future__ import annotations

import numpy as np
import torch

from spikeport.export.model.network import Connection, Conv, Dense
from spikeport.hw.engine.dense import dense_product
from spikeport.hw.engine.layout import to_engine
from spikeport.hw.semantics import reference
from spikeport.hw.semantics.bounds import sum_bound

RANGES = [(0, 1), (0, 4), (0, 127), (-63, 64), (0, 255), (-128, 127), (-255, 0)]


def ops() -> list[tuple[tuple[int, ...], Conv | Dense]]:
    def zeros(*size: int) -> np.ndarray:
        return np.zeros(size, np.int8)

    return [
        ((70,), Dense(zeros(5, 70))),
        ((3, 4, 5), Dense(zeros(21, 60))),
        ((4, 9), Conv(zeros(6, 4, 3), (1,), (1,), (1,))),
        ((1, 9, 9), Conv(zeros(15, 1, 5, 5), (1, 1), (2, 2), (1, 1))),
        ((16, 8, 7), Conv(zeros(24, 16, 3, 3), (1, 1), (1, 1), (1, 1))),
        ((6, 8, 9), Conv(zeros(4, 3, 3, 2), (2, 1), (0, 3), (2, 1), 2)),
        ((8, 6, 6), Conv(zeros(8, 1, 3, 3), (1, 1), (1, 1), (1, 1), 8)),
    ]


SHAPES = ops()


def check_sums(shape: int, low: int, high: int, device: str | None = None) -> bool:
    """Whether what runs for one of `SHAPES` on this processor is exact for the ends of weights and
    messages; must always be. device: of PyTorch, in the place of compiled code on the processor.
    """
    source, op = SHAPES[shape]
    rng = np.random.default_rng(shape)
    for weight in (np.full(op.weight.shape, 127), np.full(op.weight.shape, -128), rng.choice([-128, 127], op.weight.shape)):
        connection = Connection("c", "a", "b", type(op)(**{**vars(op), "weight": weight.astype(np.int8)}))
        bound, place = sum_bound(connection, low, high), torch.device(device or "cpu")
        product, note = dense_product(connection, source, (low, high), bound, place, compiled=device is None)
        x = rng.choice([low, high], (2, 3, *source))
        x[0, 0], x[1, 2] = high, low
        exact = reference.synaptic_current(connection, x.reshape(-1, *source).astype(np.int64))
        sums = product(torch.from_numpy(to_engine(x, source)).to(place)).cpu().numpy()
        assert np.array_equal(sums.reshape(6, -1), to_engine(exact, exact.shape[1:]))
        assert device or (product.kind == "int8") == (note is None)
    return product.kind == "int8"
