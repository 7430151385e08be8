"""Sums by events, in floating point and by sliding windows, against int64 sums that are too slow to
be wrong.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.stated import INT8
from torch.nn import functional

from spikeport.export.model.network import Connection, Conv, Dense, Input, IntegerNeuron, Op, Pool, Population, QuantizedNetwork
from spikeport.hw.engine.dense import FloatProduct, plain_sums
from spikeport.hw.engine.events import EventSynapse, event_budget
from spikeport.hw.engine.geometry import Geometry, engine_weight
from spikeport.hw.engine.layout import from_engine, order, to_engine
from spikeport.hw.engine.pooling import SumPool
from spikeport.hw.semantics import reference
from spikeport.hw.semantics.bounds import FLOAT32_EXACT, SumBound, message_interval, sum_bound

CPU = torch.device("cpu")


def slow_sums(connection: Connection, x: np.ndarray) -> np.ndarray:
    """`(n, T, *shape)` messages to `(n, T, outputs)` sums in the engine's order, by the reference."""
    total = reference.synaptic_current(connection, x.reshape(-1, *x.shape[2:]))
    return to_engine(total, total.shape[1:]).reshape(*x.shape[:2], -1)


def float_product(connection: Connection, source: tuple[int, ...], bound: SumBound) -> FloatProduct:
    return FloatProduct(Geometry.of(connection.op, source), engine_weight(connection.op, source), bound, CPU)


def messages(rng: np.random.Generator, shape: tuple[int, ...], largest: int, density: float) -> np.ndarray:
    return (rng.integers(1, largest + 1, (2, 3, *shape)) * (rng.random((2, 3, *shape)) < density)).astype(np.uint8)


GEOMETRIES = [
    ((7,), Dense(np.zeros((5, 7), np.int8))),
    ((3, 4, 5), Dense(np.zeros((21, 60), np.int8))),
    ((4, 9), Conv(np.zeros((6, 4, 3), np.int8), (1,), (1,), (1,))),
    ((3, 8, 7), Conv(np.zeros((5, 3, 3, 3), np.int8), (1, 1), (1, 1), (1, 1))),
    ((2, 6, 9), Conv(np.zeros((17, 2, 5, 2), np.int8), (1, 1), (3, 0), (1, 1))),
    ((2, 4, 3), Conv(np.zeros((4, 2, 2, 3), np.int8), (1, 1), (0, 4), (1, 1))),
    ((40, 5, 5), Conv(np.zeros((40, 40, 5, 5), np.int8), (1, 1), (2, 2), (1, 1))),
]


@pytest.mark.parametrize("largest", [1, 4, 16])
@pytest.mark.parametrize(("shape", "op"), GEOMETRIES, ids=str)
def test_events_equal_slow_sums(shape: tuple[int, ...], op: Op, largest: int):
    """Kernels, borders and channels of all kinds; weights at the ends of their range make 16-bit
    sums flush.
    """
    rng = np.random.default_rng(largest)
    for density, ends in ((0.0, False), (0.1, False), (0.5, True), (1.0, True)):
        weight = rng.choice([-128, 127], op.weight.shape) if ends else rng.integers(-128, 128, op.weight.shape)
        if density == 1.0:
            weight = np.full(op.weight.shape, -128)  # every sum is as large as can be
        connection = Connection("c", "a", "b", type(op)(**{**vars(op), "weight": weight.astype(np.int8)}))
        x = messages(rng, shape, largest, density)
        if density == 1.0:
            x[:] = largest
        made = EventSynapse(connection, shape, largest)(torch.from_numpy(to_engine(x, shape)))
        assert np.array_equal(made.numpy(), slow_sums(connection, x)), (density, ends)


def test_flushing_is_needed_and_sufficient():
    """The largest case above leaves 16 bits many times over, so a kernel that never flushed would
    fail it.
    """
    assert 40 * 25 * 16 * 128 > 50 * 32767
    assert event_budget(np.array([-128])) * 128 <= 32767 < (event_budget(np.array([-128])) + 1) * 128


def test_what_events_cannot_do_is_left_to_dense():
    conv = Conv(np.zeros((4, 2, 3, 3), np.int8), (2, 1), (0, 0), (1, 1))
    assert not EventSynapse.fits(Connection("c", "a", "b", conv), 0, 1)
    assert not EventSynapse.fits(Connection("c", "a", "b", Dense(np.zeros((2, 2), np.int8))), -1, 1)
    assert not EventSynapse.fits(Connection("c", "a", "b", Dense(np.zeros((2, 2), np.int8))), 0, 255)
    assert EventSynapse.fits(Connection("c", "a", "b", Dense(np.zeros((2, 2), np.int8))), 0, 1)


@pytest.mark.parametrize("images", [1, 3, 20])
@pytest.mark.parametrize(
    ("channels", "size", "kernel", "groups"), [(1, 28, 5, 1), (16, 14, 3, 1), (64, 7, 3, 1), (32, 16, 3, 32), (8, 30, 3, 2)]
)
def test_float32_convolution_is_exact_up_to_its_bound(images, channels, size, kernel, groups):
    """Shapes for which libraries like to pick Winograd, Fourier or blocked algorithms; partial sums
    up to nearly 2**24.
    """
    rng = np.random.default_rng(kernel * images)
    weight = rng.choice([-127, 127], (channels, channels // groups, kernel, kernel)).astype(np.int8)
    connection = Connection("c", "a", "b", Conv(weight, (1, 1), (1, 1), (1, 1), groups))
    largest = (FLOAT32_EXACT - 1) // (127 * weight[0].size)
    bound = sum_bound(connection, -largest, largest)
    assert bound.float32_exact and not sum_bound(connection, -largest - 1, largest + 1).float32_exact
    x = rng.choice([-largest, largest - 1, largest], (images, 1, channels, size, size))
    synapse = float_product(connection, x.shape[2:], bound)
    assert synapse.dtype == torch.float32
    with plain_sums():
        made = synapse(torch.from_numpy(to_engine(x, x.shape[2:])))
    assert np.array_equal(made.to(torch.int64).numpy(), slow_sums(connection, x))


def test_beyond_the_bound_float32_would_be_wrong_and_float64_is_not():
    weight = np.full((1, 1000), 127, np.int8)
    weight[0, -1] = 1
    connection = Connection("c", "a", "b", Dense(weight))
    x = np.full((1, 1, 1000), 255)
    x[..., -1] = 1
    synapse = float_product(connection, (1000,), sum_bound(connection, 0, 255))
    exact = slow_sums(connection, x).item()
    assert synapse.dtype == torch.float64 and exact > FLOAT32_EXACT
    assert synapse(torch.from_numpy(x)).item() == exact
    rounding = float_product(connection, (1000,), SumBound(np.zeros(1), np.zeros(1), 0, 0))
    assert rounding(torch.from_numpy(x)).item() != exact


def test_plain_sums_restores_what_it_changes():
    torch.set_float32_matmul_precision("medium")
    try:
        with plain_sums():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.enabled
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.backends.cudnn.enabled
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("shape", "pool"),
    [
        ((3, 8), Pool((2,), (2,), (0,))),
        ((5, 6, 7), Pool((2, 2), (2, 2), (0, 0))),
        ((2, 9, 8), Pool((3, 2), (2, 1), (1, 1))),
        ((1, 4, 4), Pool((2, 2), (3, 3), (2, 2))),
    ],
    ids=str,
)
@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 200), (-128, 127)])
def test_pooling_equals_slow_sums(shape, pool, low, high, compiled):
    x = np.random.default_rng(0).integers(low, high + 1, (2, 3, *shape)).astype(np.uint8 if low == 0 else np.int32)
    window = int(np.prod(pool.kernel))
    made = SumPool(pool, shape, low * window, high * window, compiled)(torch.from_numpy(to_engine(x, shape)))
    expected = reference.sum_pool(x.reshape(-1, *shape).astype(np.int64), pool)
    assert np.array_equal(made.to(torch.int64).numpy(), to_engine(expected, expected.shape[1:]).reshape(2, 3, -1))


def test_average_pooling_in_float_is_the_same_sum():
    """The fold's claim: torch's average pooling times the window is what the connection sums."""
    x = np.random.default_rng(0).integers(0, 2, (2, 3, 6, 6))
    averaged = functional.avg_pool2d(torch.from_numpy(x).double(), 2) * 4
    assert np.array_equal(averaged.numpy(), reference.sum_pool(x, Pool((2, 2), (2, 2), (0, 0))))


def test_engine_order_goes_there_and_back():
    for shape in ((5,), (3, 4), (2, 3, 4)):
        x = np.arange(2 * np.prod(shape)).reshape(2, *shape)
        assert np.array_equal(from_engine(to_engine(x, shape), shape), x)
        assert np.array_equal(to_engine(x, shape)[0], x[0].ravel()[order(shape)])


def test_message_intervals_follow_the_source_and_the_pool():
    neuron = IntegerNeuron(np.array(0, np.int32), np.array(0, np.int32), np.array(1, np.int32), np.array(0, np.int32))
    conv = Conv(np.ones((1, 1, 1, 1), np.int8), (1, 1), (0, 0), (1, 1))
    pool = Pool((2, 2), (2, 2), (0, 0))
    first, second = Connection("1", "input", "a", conv, pool), Connection("2", "a", "b", conv, pool)
    populations = (Population("a", (1, 4, 4), neuron), Population("b", (1, 2, 2), neuron))
    network = QuantizedNetwork(Input("input", (1, 8, 8), low=-5, high=9), populations, (first, second), "b", "spike_count", 1, **INT8)
    assert message_interval(network, first) == (-20, 36)
    assert message_interval(network, second) == (0, 4)
