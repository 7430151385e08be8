"""Networks written as in the papers: `15C5-P2-40C5-P2-300`.

| token | layer |
|---|---|
| `15C5` | convolution, 15 channels, kernel 5 x 5; `s2` appends a stride, `p2` a padding: `15C5s2p2` |
| `P2`, `AP2` | average pooling, window and stride 2 |
| `MP2` | max pooling of spikes (a logical or), window and stride 2 |
| `300`, `300FC` | dense |
| `300R` | dense, and recurrent: its spikes come back through weights of their own a timestep later (STBP only) |
| `300D8`, `15C5D8`, `300RD8` | what it receives has axonal delays of 0 to 8 timesteps, trained, one for each neuron or channel that sends |

Without `p`, kernels of 3 keep the map's size (padding 1) and all others have no padding. That is
how the papers count: 15C5-P2-40C5-P2-300 has the 210,375 parameters of the TSSL-BP reproduction
(section 4) only without padding, and the networks of 3 x 3 kernels keep theirs through up to four
pools. A readout of as many neurons as classes follows the last token, unless that is a dense layer
of just that size (`...-512FC-10FC`), which then is the readout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from spikeport.export.common.errors import InputError, nearest
from spikeport.export.model.registers import DELAY_MAX
from spikeport.train.network.residual_plans import RESIDUAL

TOKEN = re.compile(
    r"(?P<channels>[1-9]\d*)C(?P<kernel>[1-9]\d*)(s(?P<stride>[1-9]\d*))?(p(?P<padding>\d+))?(D(?P<late>[1-9]\d*))?"
    r"|(?P<pool>AP|MP|P)(?P<size>[1-9]\d*)"
    r"|(?P<features>[1-9]\d*)(FC)?(?P<recurrent>R)?(D(?P<delays>[1-9]\d*))?"
)

ARCHITECTURES = {
    "digits": "16C3-P2-32C3-P2-64",
    "mnist": "16C5-P2-32C5-P2-128",
    "tssl-mnist": "15C5-P2-40C5-P2-300",
    "noise-mnist": "64C3-AP2-128C3-AP2-128C3-AP2-512FC-10FC",
    "tssl-cnn1": "96C3-256C3-P2-384C3-P2-384C3-256C3-1024-1024",
    "tssl-cnn2": "128C3-256C3-P2-512C3-P2-1024C3-512C3-1024-512",
    "vgg-11": "64C3-P2-128C3-P2-256C3-256C3-P2-512C3-512C3-P2-512C3-512C3-P2-4096-4096",
    "dsr-vgg-11": "64C3-P2-128C3-P2-256C3-256C3-P2-512C3-512C3-P2-512C3-512C3-P2",
    "vgg-16": "64C3-64C3-P2-128C3-128C3-P2-256C3-256C3-256C3-P2-512C3-512C3-512C3-P2-512C3-512C3-512C3-P2-4096-4096",
    "alexnet": "96C3-P2-256C3-P2-384C3-384C3-256C3-P2-4096-4096",
}
"""Networks by name: ours for two data sets, then those of TSSL-BP (MNIST), noise single-step
(MNIST), TSSL-BP (CIFAR-10, twice).

VGG: Simonyan and Zisserman 2015, configurations A and D, with average pooling; DSR's for
DVS-CIFAR10 (Meng et al. 2022, code) has no dense layers but the readout, whose repeated average
over 7 x 7 places of one pixel is left out here. AlexNet: Krizhevsky et al. 2012 for small images,
all kernels 3 x 3. Pools of these three that find a map of 1 pixel are left out (`SHRINKING`).
"""
SHRINKING = ("vgg-11", "vgg-16", "alexnet")


def paper_padding(kernel: int) -> int:
    """Padding of a convolution that states none."""
    return 1 if kernel == 3 else 0


def _delays(largest: int) -> str:
    return f"D{largest}" if largest else ""


@dataclass(frozen=True)
class ConvLayer:
    """Square convolution followed by neurons. delays: the largest axonal delay of what it receives,
    in timesteps; 0 for none.
    """

    channels: int
    kernel: int
    stride: int
    padding: int
    delays: int = 0

    def __str__(self) -> str:
        stride = f"s{self.stride}" if self.stride != 1 else ""
        padding = f"p{self.padding}" if self.padding != paper_padding(self.kernel) else ""
        return f"{self.channels}C{self.kernel}{stride}{padding}{_delays(self.delays)}"


@dataclass(frozen=True)
class DenseLayer:
    """Dense layer followed by neurons. recurrent: whether they send to themselves too. delays: as
    in `ConvLayer`.
    """

    features: int
    recurrent: bool = False
    delays: int = 0

    def __str__(self) -> str:
        return f"{self.features}{'R' if self.recurrent else ''}{_delays(self.delays)}"


@dataclass(frozen=True)
class AveragePool:
    """Mean over windows that do not overlap."""

    size: int

    def __str__(self) -> str:
        return f"P{self.size}"


@dataclass(frozen=True)
class MaxPool:
    """Logical or of the spikes in windows that do not overlap."""

    size: int

    def __str__(self) -> str:
        return f"MP{self.size}"


@dataclass(frozen=True)
class Skip:
    """One to one: the source itself.

    Part of residual networks only, the notation has no token for it.
    """


Layer: TypeAlias = "ConvLayer | DenseLayer | AveragePool | MaxPool"


@dataclass(frozen=True)
class Architecture:
    """A chain of layers; `str` gives the notation back, `parse` reads it."""

    layers: tuple[Layer, ...]

    def __str__(self) -> str:
        return "-".join(map(str, self.layers))


def parse(text: str) -> Architecture:
    """Read a name from `ARCHITECTURES` or the notation above.

    Raises:
        InputError: a token that is not understood.
    """
    notation = ARCHITECTURES.get(text, text)
    return Architecture(tuple(_layer(token, text) for token in notation.split("-")))


def _layer(token: str, text: str) -> Layer:
    match = TOKEN.fullmatch(token)
    if match is None:
        names = ", ".join((*ARCHITECTURES, *RESIDUAL))
        near = nearest(text, (*ARCHITECTURES, *RESIDUAL))
        hint = f"; did you mean {near}?" if near else ""
        raise InputError(f"architecture {text!r}: {token!r} is neither like 15C5, P2, MP2 or 300, nor the whole one of {names}{hint}")
    numbers = {key: int(value) for key, value in match.groupdict().items() if value and value.isdigit()}
    if max(numbers.get("late", 0), numbers.get("delays", 0)) > DELAY_MAX:
        raise InputError(f"architecture {text!r}: {token!r} has delays of more than {DELAY_MAX} timesteps, which no chip has")
    if "channels" in numbers:
        kernel = numbers["kernel"]
        padding = numbers.get("padding", paper_padding(kernel))
        return ConvLayer(numbers["channels"], kernel, numbers.get("stride", 1), padding, numbers.get("late", 0))
    if "features" in numbers:
        return DenseLayer(numbers["features"], bool(match["recurrent"]), numbers.get("delays", 0))
    return MaxPool(numbers["size"]) if match["pool"] == "MP" else AveragePool(numbers["size"])
