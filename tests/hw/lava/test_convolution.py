"""Our process model for Lava's `Conv` against the stock one, bit for bit."""

import numpy as np
import pytest

pytest.importorskip("lava.magma.core.process.process")
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv
from support.oracles.lava_inprocess import build

from spikeport.hw.lava.convolution import PyFastConv
from spikeport.hw.lava.graph import ProcessNode

pytestmark = pytest.mark.lava


class Port:
    """Hands a model its input and keeps what it sends."""

    def __init__(self, messages):
        self.messages = messages
        self.sent = []

    def recv(self):
        return self.messages

    def send(self, data):
        self.sent.append(np.array(data))


def sent(model, params, messages) -> np.ndarray:
    """What a fresh model sends in its second step: the answer to the first."""
    running = build(ProcessNode(Conv, params, model), Conv(**params))
    running.s_in = running.a_out = port = Port(messages)
    running.run_spk()
    running.run_spk()
    assert not port.sent[0].any()
    return port.sent[1]


def random_case(seed: int, message_bits: int) -> tuple[dict, np.ndarray]:
    rng = np.random.default_rng([seed, message_bits])
    groups, per_group, outputs = (int(n) for n in rng.integers(1, 4, 3))
    size, kernel, stride, dilation, padding = (
        tuple(map(int, rng.integers(low, high, 2))) for low, high in ((5, 10), (1, 4), (1, 4), (1, 3), (0, 4))
    )
    weight = rng.integers(-128, 128, (groups * outputs, *kernel, per_group))
    params = {"input_shape": (*size, groups * per_group), "stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
    low, high = (0, 2) if message_bits == 0 else (-(1 << message_bits - 2), 1 << message_bits - 2)
    messages = rng.integers(low, high, params["input_shape"]) * (rng.random(params["input_shape"]) < 0.6)
    return params | {"weight": weight, "num_message_bits": message_bits}, messages.astype(np.int32)


@pytest.mark.parametrize("message_bits", [0, 9, 20])
@pytest.mark.parametrize("seed", range(20))
def test_equal_bits(seed, message_bits):
    """Over stride, padding, dilation, groups; with 20-bit messages the 24 bits wrap."""
    params, messages = random_case(seed, message_bits)
    assert np.array_equal(sent(PyConvModelFixed, params, messages), sent(PyFastConv, params, messages))


@pytest.mark.parametrize("seed", range(20))
def test_a_positive_exponent_scales_the_weights(seed):
    """Which is how the stock model has to be given it; binary messages, channels beyond 24 bits."""
    params, messages = random_case(seed, 0)
    scaled = params | {"weight": params["weight"] << 14}
    assert np.abs(sent(PyConvModelFixed, scaled, messages)).max() > 1 << 20
    assert np.array_equal(sent(PyConvModelFixed, scaled, messages), sent(PyFastConv, params | {"weight_exp": 14}, messages))


@pytest.mark.parametrize("message_bits", [0, 9, 20])
def test_a_negative_exponent_rounds_the_sum_down(message_bits):
    """Also where the sum needs more than 32 bits before the shift."""
    params, messages = random_case(3, message_bits)
    params["weight"] = params["weight"] << (14 if message_bits == 20 else 0)  # sums beyond 32 bits
    exact = exact_convolution(params, messages)
    assert (np.abs(exact).max() >= 1 << 31) == (message_bits == 20)
    expected = ((exact >> 5) + (1 << 23)) % (1 << 24) - (1 << 23)
    assert np.array_equal(expected, sent(PyFastConv, params | {"weight_exp": -5}, messages))


def exact_convolution(params, messages) -> np.ndarray:
    """Straight from the definition, in Python's loops and int64."""
    weight, groups = params["weight"].astype(np.int64)[:, ::-1, ::-1], params["groups"]
    outputs, kx, ky, inputs = weight.shape
    (px, py), (sx, sy), (dx, dy) = params["padding"], params["stride"], params["dilation"]
    padded = np.pad(messages.astype(np.int64), ((px, px), (py, py), (0, 0)))
    shape = [(padded.shape[i] - d * (k - 1) - 1) // s + 1 for i, (k, s, d) in enumerate(((kx, sx, dx), (ky, sy, dy)))]
    total = np.zeros((*shape, outputs), np.int64)
    for x, y, o in np.ndindex(total.shape):
        start = o // (outputs // groups) * inputs
        window = padded[x * sx : x * sx + dx * (kx - 1) + 1 : dx, y * sy : y * sy + dy * (ky - 1) + 1 : dy, start : start + inputs]
        total[x, y, o] = (window * weight[o]).sum()
    return total
