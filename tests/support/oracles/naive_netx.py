"""A second reading of `.net` files, after the rules of lava-dl's netx and Lava's fixed-point LIF:
loops over time, plain h5py.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import torch
import torch.nn.functional as F


def spikes_of(path: Path, x: np.ndarray) -> np.ndarray:
    """Spikes of the last layer, bool `(T, neurons)`, for integers `(T, *input_shape)` of one
    sample, an input layer's bias where that has neurons; each layer's own step taken off.
    """
    with h5py.File(path) as file:
        layers = [{k: _value(v) for k, v in _datasets(file[f"layer/{i}"]).items()} for i in range(len(file["layer"]))]
    signal = list(x)
    for layer in layers:
        kind = layer["type"]
        if kind == "input" and "neuron/type" not in layer:
            signal = [np.reshape(row, layer["shape"]) for row in signal]
        elif kind == "input":
            signal = _lif({**layer, "bias": 0}, [np.reshape(row, layer["shape"]) for row in signal])
        elif kind == "flatten":
            signal = [row.ravel() for row in signal]
        elif kind in ("dense", "dense_rec", "conv"):
            signal = _lif(layer, signal)
    return np.stack([row.ravel() for row in signal])


def _lif(layer: dict, signal: list[np.ndarray]) -> list[np.ndarray]:
    shape = tuple(np.ravel(layer["shape"]))
    u = v = np.zeros(shape, np.int64)
    out: list[np.ndarray] = []
    keep_u, keep_v = 4096 - _along(layer["neuron/iDecay"], shape), 4096 - _along(layer["neuron/vDecay"], shape)
    for t in range(len(signal)):
        a = _synapses(layer, signal, t).reshape(shape)
        if layer["type"] == "dense_rec" and t:
            a = a + layer["weight_rec"].astype(int) @ out[t - 1]
        u = np.sign(u) * (np.abs(u) * keep_u >> 12) + (a << 6)
        v = np.sign(v) * (np.abs(v) * keep_v >> 12) + u + (_along(layer.get("bias", 0), shape) << 6)
        v = np.clip(v, -(2**23 - 1), 2**23 - 1)
        s = v > _along(layer["neuron/vThMant"], shape) << 6
        v = np.where(s, 0, v)
        out.append(s.astype(np.int64))
    return out


def _synapses(layer: dict, signal: list[np.ndarray], t: int) -> np.ndarray:
    if layer["type"] == "input":
        return signal[t]
    weight = layer["weight"].astype(int)
    if layer["type"] == "conv":
        options = {k: tuple(np.ravel(layer[k])) for k in ("stride", "padding", "dilation")}
        x = torch.tensor(signal[t][None], dtype=torch.float64)
        y = F.conv2d(x, torch.tensor(weight, dtype=torch.float64), groups=int(layer["groups"]), **options)
        return y[0].numpy().astype(np.int64)
    delay = np.broadcast_to(layer.get("delay", 0), weight.shape)
    total = np.zeros(len(weight), np.int64)
    for steps in np.unique(delay):
        if t >= steps:
            total += np.where(delay == steps, weight, 0) @ signal[t - steps].ravel()
    return total


def _along(value, shape) -> np.ndarray:
    """One number, one per channel, or `(width, height, channels)`."""
    value = np.asarray(value).astype(np.int64)
    if value.size > 1 and len(shape) == 3:
        return value.reshape(-1, 1, 1) if value.ndim == 1 else value.transpose(2, 1, 0)
    return value.reshape(()) if value.size == 1 else value


def _datasets(group: h5py.Group) -> dict[str, h5py.Dataset]:
    made: dict[str, h5py.Dataset] = {}
    group.visititems(lambda name, item: made.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return made


def _value(item: h5py.Dataset):
    value = item[()]
    value = value[0] if item.dtype.kind in "SO" and item.shape else value
    return value.decode() if isinstance(value, bytes) else value
