"""The three networks of the engine benchmark, as integers, with thresholds set so that every layer
spikes at a wanted rate.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikeport.export.model import registers as reg
from spikeport.export.model.network import Connection, Conv, Dense, Input, IntegerNeuron, Op, Pool, Population, QuantizedNetwork
from spikeport.hw import engine
from spikeport.hw.records.stimulus import Stimulus, encode

NAMES = ("784-512-10", "15C5-P2-40C5-P2-300-10", "64C3-AP2-128C3-AP2-128C3-AP2-512FC-10FC")
MNIST = Path(__file__).resolve().parents[3] / "shared/data/MNIST/t10k-images-idx3-ubyte.gz"
WEIGHT_SPREAD = 30
"""Standard deviation of the int8 weights, what 8-bit quantization of trained weights typically
leaves.
"""


def images(count: int) -> np.ndarray:
    """MNIST test images uint8 `(count, 1, 28, 28)` where they lie beside the checkout, else random
    strokes as sparse as they are.
    """
    if MNIST.exists():
        with gzip.open(MNIST) as file:
            pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
        return np.tile(pixels, (-(-count // len(pixels)), 1, 1, 1))[:count]
    rng = np.random.default_rng(0)
    return (rng.integers(1, 256, (count, 1, 28, 28)) * (rng.random((count, 1, 28, 28)) < 0.19)).astype(np.uint8)


def network(name: str, timesteps: int = 8, rate: float = 0.1, width: float = 1.0, seed: int = 0) -> QuantizedNetwork:
    """Build one of `NAMES` with random int8 weights and LIF neurons (half the potential kept),
    every hidden layer at `rate`.

    width: factor on the number of channels of every hidden layer.
    """
    rng = np.random.default_rng(seed)
    tokens = name.split("-")[1:] if name[0:3] == "784" else name.split("-")
    source = Input("input", (1, 28, 28), scale=1 / 15, low=0, high=15)
    populations: list[Population] = []
    connections: list[Connection] = []
    shape, pool = source.shape, None
    for token in tokens:
        if "P2" in token:
            pool = Pool((2, 2), (2, 2), (0, 0))
            continue
        last = token in ("10", "10FC")
        inner = pool.output_shape(shape) if pool else shape
        op = _op(rng, token, inner, 1.0 if last else width, same="AP2" in name)
        previous = populations[-1].name if populations else source.name
        layer = f"layer{len(populations)}"
        connections.append(Connection(f"to_{layer}", previous, layer, op, pool))
        shape, pool = op.output_shape(inner), None
        populations.append(Population(layer, shape, _neuron(1000, spiking=not last)))
    made = QuantizedNetwork(
        source,
        tuple(populations),
        tuple(connections),
        layer,
        "accumulated_current",
        timesteps,
        dt=1e-3,
        integrator="per timestep",
        weight_bits=8,
    )
    return _with_rate(made, rate)


def stimulus(network: QuantizedNetwork, count: int) -> Stimulus:
    """Images held over time, 4 bits a pixel, so that a sum of the first layer fits the stock Conv
    model, which cannot shift.
    """
    return encode(network.input, images(count) >> 4, network.timesteps)


def save(network: QuantizedNetwork, stimulus: Stimulus, path: Path) -> None:
    """What `engine_rivals.load` reads; weights and thresholds in the integer network's own units."""
    layers, arrays = [], {}
    for k, c in enumerate(network.connections):
        threshold = float(network[c.target].neuron.threshold)
        layers.append({"threshold": threshold, "pool": c.pool is not None, "padding": getattr(c.op, "padding", (0,))[0]})
        arrays[f"weight{k}"] = (c.weight * 2.0**c.exponent).astype(np.float32)
    np.savez(path, layers=json.dumps(layers), images=stimulus.values.astype(np.uint8), timesteps=network.timesteps, **arrays)


def _op(rng: np.random.Generator, token: str, shape: tuple[int, ...], width: float, same: bool) -> Op:
    def weights(*size: int) -> np.ndarray:
        return np.clip(np.rint(rng.normal(0, WEIGHT_SPREAD, size)), -127, 127).astype(np.int8)

    if "C" in token and "FC" not in token:
        channels, kernel = (int(n) for n in token.split("C"))
        padding = kernel // 2 if same else 0
        return Conv(weights(round(channels * width), shape[0], kernel, kernel), (1, 1), (padding,) * 2, (1, 1))
    return Dense(weights(round(int(token.removesuffix("FC")) * width), int(np.prod(shape))))


def _neuron(threshold: int, spiking: bool) -> IntegerNeuron:
    """A LIF neuron that keeps half its potential, or a readout that sums all it receives."""
    return IntegerNeuron(
        du=np.array(reg.DU_NO_MEMORY, np.int32),
        dv=np.array(reg.DECAY_UNITY // 2 if spiking else 0, np.int32),
        threshold=np.array(threshold if spiking else reg.THRESHOLD_MAX, np.int32),
        bias_mantissa=np.array(0, np.int32),
        spiking=spiking,
    )


def _with_rate(network: QuantizedNetwork, rate: float) -> QuantizedNetwork:
    """Set thresholds layer by layer, by bisection on 64 images."""
    sample = stimulus(network, 64)
    for population in network.populations[:-1]:
        low, high = 0, reg.THRESHOLD_MAX
        while high - low > max(1, low // 50):
            middle = (low + high) // 2
            network = _replaced(network, replace(population, neuron=_neuron(middle, spiking=True)))
            spikes = engine.run(network, sample).spike_counts[population.name].mean() / population.size
            low, high = (middle, high) if spikes > rate else (low, middle)
    return network


def _replaced(network: QuantizedNetwork, population: Population) -> QuantizedNetwork:
    return replace(network, populations=tuple(population if p.name == population.name else p for p in network.populations))
