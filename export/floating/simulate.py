"""`--backend torch`: a whole array through a `FloatNetwork`, in chunks of samples with bounded
memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from spikeport.export.common.memory import check_memory
from spikeport.export.floating.layers import Step
from spikeport.export.floating.run import FloatModule, Observer
from spikeport.export.model.input_array import shape_input
from spikeport.export.model.network import FloatNetwork, Input

CHUNK_STATES = 1 << 25
"""Neuron states (samples x timesteps x neurons) held at once: about half a gigabyte of float32."""


def physical_input(target: Input, array: np.ndarray, timesteps: int) -> tuple[np.ndarray, bool]:
    """The values that an input array stands for, and whether it is held: integers count in
    `target.scale`, floats are values.

    Intensities of a rate code are rounded to its resolution, so that they mean the same in every
    floating-point type.

    Raises:
        InputError: as `shape_input`.
    """
    array, held = shape_input(target, array, timesteps)
    if array.dtype.kind != "f":
        return array * target.scale, held
    return (target.rounded(array) if target.code == "rate" else array), held


def run_in_chunks(
    module: FloatModule,
    array: np.ndarray,
    timesteps: int,
    *,
    observe: Observer | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[np.ndarray]:
    """Outputs `(samples, timesteps, *output_shape)` of one chunk of samples after another; see
    `FloatModule.forward`.
    """
    values, held = physical_input(module.network.input, array, timesteps)
    dtype = next(module.parameters()).dtype
    widest = max(p.size for p in module.network.populations)
    chunk = max(1, CHUNK_STATES // (4 * widest * timesteps))
    for first in range(0, len(values), chunk):
        x = torch.as_tensor(np.ascontiguousarray(values[first : first + chunk]), dtype=dtype)
        with torch.no_grad():
            output = module(x if held else x.transpose(0, 1), timesteps, first=first, observe=observe)
        yield output.transpose(0, 1).numpy()
        if progress:
            progress(len(x))


def simulate_float(
    network: FloatNetwork,
    array: np.ndarray,
    timesteps: int,
    *,
    record: bool = False,
    dtype: torch.dtype = torch.float32,
    observe: Observer | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Run a float network over an array.

    Args:
        array: `(samples, *shape)` held over time or `(samples, timesteps or more, *shape)`;
            integers count in the input's scale.
        record: also return every spike.
        observe: receives every population's course, chunk after chunk; see `FloatModule.forward`.
        progress: gets the number of samples finished since its last call.

    Returns:
        `output` `(samples, timesteps, *output_shape)`: int32 spikes, or the physical current or
        potential of the readout; with `record` also `spikes/<population>` for every spiking
        population: bool, or int32 counts where a neuron may fire several times.

    Raises:
        InputError: the array does not fit the network.
    """
    kinds = {p.name: np.int32 if p.neuron.firing == "multiple" else bool for p in network.populations if p.neuron.spiking}
    rasters: dict[str, list[np.ndarray]] = {f"spikes/{name}": [] for name in kinds if record}

    def keep(name: str, course: Step) -> None:
        if record and name in kinds:
            rasters[f"spikes/{name}"].append(course.spikes.transpose(0, 1).numpy().astype(kinds[name]))
        if observe:
            observe(name, course)

    neurons = sum(p.size for p in network.populations) if record else 0
    what = f"the record of {len(array):,} samples over {timesteps:,} timesteps"
    needed = 4 * len(array) * timesteps * (int(np.prod(network.shape(network.output))) + neurons / 4)
    check_memory(needed, what, "take fewer of either, or record less")
    module = FloatModule(network, dtype=dtype)
    parts = run_in_chunks(module, array, timesteps, observe=keep if record or observe else None, progress=progress)
    output = np.concatenate(list(parts))
    if network.readout == "spike_count":
        output = output.astype(np.int32)
    return {"output": output, **{name: np.concatenate(r) for name, r in rasters.items()}}
