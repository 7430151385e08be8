"""What a float network does on sample data: the statistics that quantization weighs its errors
with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spikeport.export.common.errors import InputError
from spikeport.export.floating.layers import Step, SynapseLayer
from spikeport.export.floating.run import FloatModule
from spikeport.export.floating.simulate import run_in_chunks
from spikeport.export.model.network import FloatNetwork, Input
from spikeport.export.model.synapse import Conv, Dense


@dataclass(frozen=True, eq=False)
class Calibration:
    """Statistics over samples and timesteps, in physical units.

    mean: per population and for the input, the mean of what each neuron sends: spikes per timestep,
    or input values.
    squares: per connection, mean square of what each weight is multiplied with; broadcasts against
    the weights.
    current, potential: per population, the largest |u| and |v| (before reset) of each neuron.
    activity: per population, how often a neuron's synaptic current is not zero.
    """

    mean: Mapping[str, np.ndarray]
    squares: Mapping[str, np.ndarray]
    current: Mapping[str, np.ndarray]
    potential: Mapping[str, np.ndarray]
    activity: Mapping[str, float]


class _Statistics:
    """Gathers a `Calibration` as an observer of `FloatModule`."""

    def __init__(self, module: FloatModule) -> None:
        self.module = module
        self.samples = 0
        self.sums: dict[str, dict[str, np.ndarray]] = defaultdict(lambda: defaultdict(lambda: np.zeros(())))
        self.peaks: dict[str, dict[str, np.ndarray]] = defaultdict(lambda: defaultdict(lambda: np.zeros(())))

    def __call__(self, name: str, course: Step) -> None:
        samples = course.spikes.shape[1]
        self.sums["mean"][name] = self.sums["mean"][name] + samples * course.spikes.double().mean((0, 1)).numpy()
        for c in self.module.network.outgoing(name):
            squares = seen_squares(self.module.synapse[c.name], course.spikes)
            self.sums["squares"][c.name] = self.sums["squares"][c.name] + samples * squares
        if name == self.module.network.input.name:
            self.samples += samples
            return
        self.sums["activity"][name] = self.sums["activity"][name] + samples * (course.current != 0).double().mean().numpy()
        for what, state in ("current", course.current), ("potential", course.membrane):
            self.peaks[what][name] = np.maximum(self.peaks[what][name], state.abs().flatten(0, 1).amax(0).double().numpy())

    def result(self) -> Calibration:
        mean = {what: {key: total / self.samples for key, total in sums.items()} for what, sums in self.sums.items()}
        activity = {name: float(share) for name, share in mean["activity"].items()}
        return Calibration(mean["mean"], mean["squares"], self.peaks["current"], self.peaks["potential"], activity)


def calibrate(network: FloatNetwork, data: np.ndarray, *, dtype: torch.dtype = torch.float32) -> Calibration:
    """Run the network over `(samples, *shape)` or `(samples, timesteps or more, *shape)` and gather
    its statistics.

    Raises:
        InputError: the data do not fit the network.
    """
    module = FloatModule(network, dtype=dtype)
    statistics = _Statistics(module)
    for _ in run_in_chunks(module, data, network.timesteps, observe=statistics):
        pass
    return statistics.result()


def seen_squares(layer: SynapseLayer, x: Tensor) -> np.ndarray:
    """Mean square of what each weight of a connection sees, float64, over `(time, samples,
    *source)` and over space.
    """
    squares = layer.pooled(x.flatten(0, 1)).double().square().mean(0)
    op = layer.connection.op
    if isinstance(op, Dense):
        return squares.reshape(1, -1).numpy()
    if isinstance(op, Conv):
        per_group = squares.flatten(1).mean(1).reshape(op.groups, -1).numpy()
        return per_group.repeat(len(op.weight) // op.groups, axis=0).reshape(*op.weight.shape[:2], *(1,) * len(op.kernel))
    return squares.numpy()


def choose_input(declared: Input, values: np.ndarray, bits: int) -> Input:
    """Range and scale of the integers sent in: as the network declares, else from physical values.

    Plain spikes stay spikes of one height, whole numbers are sent as they are, other values get
    `bits` bits: `0..2**bits - 1` where nothing is negative, else symmetric about zero.

    Raises:
        InputError: bits lies outside 2..16.
    """
    if not 2 <= bits <= 16:
        raise InputError(f"input bits is {bits}; choose 2 to 16")
    top, bottom = float(values.max()), float(values.min())
    if declared.code == "rate" or (declared.low, declared.high, declared.scale) != (0, 1, 1.0) or not (top or bottom):
        return declared
    if bottom == 0 and np.isin(values, (0, top)).all():
        return replace(declared, scale=top)
    high = (1 << bits) - 1 if bottom >= 0 else (1 << (bits - 1)) - 1
    whole = bool((values == np.rint(values)).all()) and max(top, -bottom) <= high
    scale = 1.0 if whole else max(top, -bottom) / high
    return replace(declared, low=0 if bottom >= 0 else -high, high=high, scale=scale)


def calibration_notes(sent: Input, values: np.ndarray) -> list[str]:
    """What is suspicious about sample data, physical values, once they are sent as these integers."""
    integers, remedy = sent.levels(values), "calibrate on some hundred samples of the training data"
    notes = []
    low, high, half = sent.low * sent.scale, sent.high * sent.scale, 0.5 * sent.resolution
    outside = (values < low - half) | (values > high + half)
    if outside.any():
        reach = f"{values.min():.4g} to {values.max():.4g}, the input takes {low:.4g} to {high:.4g}"
        notes.append(f"calibration data: {outside.mean():.2%} of the values are out of range and were cut off ({reach}); {remedy}")
    if integers.min() == integers.max():
        same = "has the same intensity" if sent.code == "rate" else f"is sent as {integers.min()}"
        notes.append(f"calibration data: every value {same}, so the integers fit no other input; {remedy}")
    return notes
