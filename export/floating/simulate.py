"""`--backend torch`: a whole array through a `FloatNetwork`, in chunks of samples with bounded
memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

import numpy as np
import torch

from spikeport.export.common.arrays import native
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
    array = native(array)
    if array.dtype.kind != "f":
        return array * target.scale, held
    return (target.rounded(array) if target.code == "rate" else array), held


def run_in_chunks(
    module: FloatModule,
    array: np.ndarray,
    timesteps: int,
    *,
    first: int = 0,
    observe: Observer | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[np.ndarray]:
    """Outputs `(samples, timesteps, *output_shape)` of one chunk of samples after another; see
    `FloatModule.forward`.

    array: may be larger than memory; all of it is checked before the first chunk. first: the sample
    to begin with.
    """
    network = module.network
    shape_input(network.input, array, timesteps)
    dtype = next(module.parameters()).dtype
    chunk = max(1, CHUNK_STATES // (4 * module.widest * timesteps))
    for start in range(first, len(array), chunk):
        values, held = physical_input(network.input, array[start : start + chunk], timesteps)
        x = torch.as_tensor(np.require(values, requirements=["C", "W"]), dtype=dtype)
        with torch.no_grad():
            output = module(x if held else x.transpose(0, 1), timesteps, first=start, observe=observe)
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
    _check_fits(network, len(array), timesteps, record)
    parts = list(float_parts(network, array, timesteps, record=record, dtype=dtype, observe=observe, progress=progress))
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def float_parts(
    network: FloatNetwork,
    array: np.ndarray,
    timesteps: int,
    *,
    first: int = 0,
    record: bool = False,
    dtype: torch.dtype = torch.float32,
    observe: Observer | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[dict[str, np.ndarray]]:
    """What `simulate_float` returns, some samples after the other, for arrays and results that are
    larger than memory. first: the sample to begin with.
    """
    kinds = {p.name: np.int32 if p.neuron.firing == "multiple" else bool for p in network.populations if p.neuron.spiking}
    rasters: dict[str, np.ndarray] = {}

    def keep(name: str, course: Step) -> None:
        if record and name in kinds:
            rasters[f"spikes/{name}"] = course.spikes.transpose(0, 1).numpy().astype(kinds[name])
        if observe:
            observe(name, course)

    _check_fits(network, 1, timesteps, record)
    module = FloatModule(network, dtype=dtype)
    seen = keep if record or observe else None
    for output in run_in_chunks(module, array, timesteps, first=first, observe=seen, progress=progress):
        counted = output.astype(np.int32) if network.readout == "spike_count" else output
        yield {"output": counted, **rasters}


def _check_fits(network: FloatNetwork, samples: int, timesteps: int, record: bool) -> None:
    """Refuse results that memory cannot hold; raises InputError."""
    neurons = sum(p.size for p in network.populations) if record else 0
    needed = samples * timesteps * (4 * prod(network.shape(network.output)) + neurons)
    what = f"the record of {samples:,} samples over {timesteps:,} timesteps"
    check_memory(needed, what, "take fewer of either, or record less")
