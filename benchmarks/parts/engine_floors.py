"""A network's dense products alone, without neurons, pooling and counting: what no dense engine can
be faster than.

In float32, and in int8 by oneDNN, as the engine itself uses them; both on ready-made inputs of the
right shape (zeros cost the same), the held input's products once per image, at the batch that suits
them best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from parts import engine_rivals
from torch import nn

from spikeport.export.model.network import Conv, Dense, QuantizedNetwork
from spikeport.hw.engine.geometry import Geometry, engine_weight
from spikeport.hw.engine.int8 import Int8Product

Run = Callable[[], Any]


def float32(layers: Sequence[dict[str, Any]], images: torch.Tensor, timesteps: int) -> tuple[Run, str]:
    """PyTorch's own products, contiguous or channels last."""
    matrices = layers[0]["weight"].ndim == 2
    formats = {"contiguous": torch.contiguous_format} if matrices else engine_rivals.FORMATS
    trials = {
        f"batch {batch}, {label}": _float_run(layers, images, timesteps, batch, memory_format)
        for batch in _batches(len(images))
        for label, memory_format in formats.items()
    }
    return _fastest(trials)


def int8(network: QuantizedNetwork, count: int) -> tuple[Run, str]:
    """oneDNN's, unsigned bytes times int8."""
    return _fastest({f"batch {batch}": _int8_run(network, count, batch) for batch in _batches(count)})


@torch.inference_mode()
def _float_run(layers, images: torch.Tensor, timesteps: int, batch: int, memory_format: torch.memory_format) -> Run:
    linears, inputs = [], []
    x = images[:1].flatten(1) if layers[0]["weight"].ndim == 2 else images[:1]
    for k, layer in enumerate(layers):
        linear = engine_rivals.synapse({**layer, "pool": False}, memory_format)[-1]
        pooled = nn.functional.avg_pool2d(x, 2) if layer["pool"] else x
        pooled = pooled if isinstance(linear, nn.Conv2d) else pooled.flatten(1)
        x = linear(pooled)
        whole = torch.zeros(batch * (timesteps if k else 1), *pooled.shape[1:])
        linears.append(linear)
        inputs.append(whole.contiguous(memory_format=memory_format) if whole.ndim == 4 else whole)

    @torch.inference_mode()
    def run() -> None:
        for _ in range(len(images) // batch):
            for linear, ready in zip(linears, inputs):
                linear(ready)

    return run


def _int8_run(network: QuantizedNetwork, count: int, batch: int) -> Run:
    products = []
    for k, connection in enumerate(network.connections):
        op, source = connection.op, network.shape(connection.source)
        assert isinstance(op, (Conv, Dense))
        read = connection.pool.output_shape(source) if connection.pool else source
        messages = torch.zeros(batch, network.timesteps if k else 1, int(np.prod(read)), dtype=torch.uint8)
        products.append((Int8Product(Geometry.of(op, read), engine_weight(op, read), 0), messages))

    @torch.inference_mode()
    def run() -> None:
        for _ in range(count // batch):
            for product, messages in products:
                product(messages)

    return run


def _batches(count: int) -> list[int]:
    """Batch sizes to try, all of which divide the number of images."""
    return sorted({min(batch, count) for batch in engine_rivals.BATCHES})


def _fastest(trials: dict[str, Run]) -> tuple[Run, str]:
    best = min(trials, key=lambda label: min(engine_rivals.core_seconds(trials[label]) for _ in range(3)))
    return trials[best], best
