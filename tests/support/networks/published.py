"""Published networks with random weights: their shapes are what placement and counts depend on."""

from __future__ import annotations

from math import prod
from typing import TypeAlias

import numpy as np

from spikeport.export.model.network import Connection, Conv, Dense, Elementwise, Input, IntegerNeuron, Pool, Population, QuantizedNetwork

Pair: TypeAlias = "int | tuple[int, int]"


def _pair(value: Pair) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


class Builder:
    """Adds populations one after the other; average pooling is folded into the connection behind
    it.
    """

    def __init__(self, shape: tuple[int, ...], high: int = 1) -> None:
        self.input = Input("input", shape, low=0, high=high)
        self.populations: list[Population] = []
        self.connections: list[Connection] = []
        self.shapes = {"input": shape}
        self.rng = np.random.default_rng(0)

    def conv(self, name: str, source: str, channels: int, kernel: int, *, stride: Pair = 1, padding: Pair = 0, pool: int = 1) -> None:
        """A convolution into a population, new or there already."""
        weight = self._weights(channels, self.shapes[source][0], kernel, kernel)
        self._connect(name, source, Conv(weight, _pair(stride), _pair(padding), (1, 1)), pool)

    def dense(self, name: str, source: str, neurons: int, *, pool: int = 1) -> None:
        """All to all."""
        inputs = prod(self.shapes[source]) // pool**2
        self._connect(name, source, Dense(self._weights(neurons, inputs)), pool)

    def skip(self, name: str, source: str) -> None:
        """Each neuron to its like."""
        self._connect(name, source, Elementwise(np.array(10, np.int8)), 1)

    def _weights(self, *shape: int) -> np.ndarray:
        return self.rng.integers(1, 100, shape).astype(np.int8)

    def _connect(self, name: str, source: str, op, pool: int) -> None:
        window = Pool((pool,) * 2, (pool,) * 2, (0, 0)) if pool > 1 else None
        connection = Connection(f"{source}-{name}", source, name, op, window)
        if name not in self.shapes:
            self.shapes[name] = connection.output_shape(self.shapes[source])
            zero = np.array(0)
            self.populations.append(Population(name, self.shapes[name], IntegerNeuron(np.array(4095), zero, np.array(50), zero)))
        self.connections.append(connection)

    def network(self, timesteps: int = 4) -> QuantizedNetwork:
        """The last population is the output."""
        return QuantizedNetwork(
            self.input,
            tuple(self.populations),
            tuple(self.connections),
            self.populations[-1].name,
            "spike_count",
            timesteps=timesteps,
            dt=1e-3,
            integrator="euler",
            weight_bits=8,
        )


def lenet() -> QuantizedNetwork:
    """15C5-P2-40C5-P2-300-10 on 28 x 28."""
    made = Builder((1, 28, 28))
    made.conv("conv1", "input", 15, 5)
    made.conv("conv2", "conv1", 40, 5, pool=2)
    made.dense("dense", "conv2", 300, pool=2)
    made.dense("output", "dense", 10)
    return made.network()


def vgg11() -> QuantizedNetwork:
    """VGG-11 on 32 x 32 (Simonyan and Zisserman 2015, table 1, A), with one dense layer."""
    made, source = Builder((3, 32, 32)), "input"
    for i, (channels, pool) in enumerate(((64, 1), (128, 2), (256, 2), (256, 1), (512, 2), (512, 1), (512, 2), (512, 1))):
        made.conv(f"conv{i + 1}", source, channels, 3, padding=1, pool=pool)
        source = f"conv{i + 1}"
    made.dense("output", source, 10, pool=2)
    return made.network()


def vgg16(timesteps: int) -> QuantizedNetwork:
    """VGG-16 on 32 x 32 (Simonyan and Zisserman 2015, table 1, D), with one dense layer."""
    made, source = Builder((3, 32, 32)), "input"
    plan = ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (256, 1), (512, 2), (512, 1), (512, 1), (512, 2), (512, 1), (512, 1))
    for i, (channels, pool) in enumerate(plan):
        made.conv(f"conv{i + 1}", source, channels, 3, padding=1, pool=pool)
        source = f"conv{i + 1}"
    made.dense("output", source, 10, pool=2)
    return made.network(timesteps)


def resnet18() -> QuantizedNetwork:
    """ResNet-18 on 32 x 32 (He et al. 2016), every block joined before its neurons."""
    made, source = Builder((3, 32, 32)), "stem"
    made.conv("stem", "input", 64, 3, padding=1)
    for group, channels in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride, first, second = 2 if group and not block else 1, f"group{group}block{block}a", f"group{group}block{block}b"
            made.conv(first, source, channels, 3, stride=stride, padding=1)
            made.conv(second, first, channels, 3, padding=1)
            if stride > 1:
                made.conv(second, source, channels, 1, stride=stride)
            else:
                made.skip(second, source)
            source = second
    made.dense("output", source, 10, pool=4)
    return made.network()


def pilotnet(*, pixels: bool = True) -> QuantizedNetwork:
    """PilotNet as lava-dl runs it on Loihi 2: the picture as neurons, five convolutions, four dense
    layers, T = 16. pixels: False for its sigma-delta version, whose picture comes from outside.
    """
    made = Builder((3, 66, 200), high=255)
    if pixels:
        made.skip("pixels", "input")
    made.conv("conv1", "pixels" if pixels else "input", 24, 3, stride=2)
    made.conv("conv2", "conv1", 36, 3, stride=2)
    made.conv("conv3", "conv2", 48, 3, stride=2)
    made.conv("conv4", "conv3", 64, 3, stride=(2, 1), padding=(1, 0))
    made.conv("conv5", "conv4", 64, 3)
    source = "conv5"
    for i, neurons in enumerate((100, 50, 10, 1)):
        made.dense(f"dense{i + 1}", source, neurons)
        source = f"dense{i + 1}"
    return made.network(16)


def layers_of(inputs: int, *neurons: int, timesteps: int = 4) -> QuantizedNetwork:
    """Dense layers, one after the other."""
    made, source = Builder((inputs,)), "input"
    for i, count in enumerate(neurons):
        made.dense(f"dense{i + 1}", source, count)
        source = f"dense{i + 1}"
    return made.network(timesteps)


def yolo_kp() -> QuantizedNetwork:
    """YOLO-KP as lava-dl runs it on Loihi 2: ten convolutions on 448 x 448."""
    made, source = Builder((3, 448, 448), high=255), "input"
    for i, (channels, stride) in enumerate(((16, 2), (32, 2), (64, 2), (128, 2), (256, 1), (256, 2), (512, 1))):
        made.conv(f"conv{i + 1}", source, channels, 3, stride=stride, padding=1)
        source = f"conv{i + 1}"
    made.conv("conv8", source, 256, 1)
    made.conv("conv9", "conv8", 512, 3, padding=1)
    made.conv("conv10", "conv9", 48, 1)
    return made.network()


def gestures() -> QuantizedNetwork:
    """The network on gestures that SANA-FE was held against on Loihi 1: a held 32 x 32 picture as
    neurons, four convolutions, a dense layer.
    """
    made, source = Builder((1, 32, 32), high=255), "pixels"
    made.skip("pixels", "input")
    for i, (channels, stride) in enumerate(((16, 2), (32, 1), (64, 1), (11, 1))):
        made.conv(f"conv{i + 1}", source, channels, 3, stride=stride)
        source = f"conv{i + 1}"
    made.dense("output", source, 11)
    return made.network(16)


def keyword_spotting() -> QuantizedNetwork:
    """390-256-256-29 over 10 timesteps (Blouw et al. 2019)."""
    return layers_of(390, 256, 256, 29, timesteps=10)
