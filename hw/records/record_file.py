"""Spike records as `.npz` files: `output`, and `spikes/<node>`, `spike_counts/<node>`,
`synaptic_events/<connection>`, `overflows/<node>`, `notes/<connection>`.

`made_of` is JSON text: digests of the network and of the data that the record was made of, by what
they are of.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np

from spikeport.export.common.arrays import Check, Claim, read_npz
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_bytes
from spikeport.export.common.guard import reading
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.records.growing import MADE_OF, read_state
from spikeport.hw.records.record import SpikeRecord

COUNT_MAX = 1 << 40
"""Of events at one timestep of one sample: far more than any chip's synapses, and millions of sums
of them stay below 2^63.
"""
LOWEST = {"output": -(1 << 31), "potentials": -(1 << 31)}
"""Of what may be negative."""
MAPPINGS = tuple(f.name for f in fields(SpikeRecord) if f.name != "output")
ARRAYS = tuple(name for name in MAPPINGS if name not in ("overflows", "notes"))


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray], made_of: Mapping[str, str]) -> None:
    """Write an `.npz` whole; `read_made_of` gives back what it was made of.

    Raises:
        OutputError: the path cannot be written.
    """
    held = io.BytesIO()
    np.savez_compressed(held, **arrays, **{MADE_OF: np.array(json.dumps(dict(made_of)))})
    write_bytes(path, held.getbuffer())


def save_record(path: Path, record: SpikeRecord, made_of: Mapping[str, str]) -> None:
    """Write a record; everything in it comes back with `load_record`. made_of, errors: as in
    `save_arrays`.
    """
    small = {f"{name}/{key}": np.asarray(value) for name in ("overflows", "notes") for key, value in getattr(record, name).items()}
    save_arrays(path, {**arrays_by_name(record), **small}, made_of)


def arrays_by_name(record: SpikeRecord) -> dict[str, np.ndarray]:
    """The arrays of a record under their names in a file, samples first."""
    named = {f"{group}/{key}": array for group in ARRAYS for key, array in getattr(record, group).items()}
    return {"output": record.output, **named}


def read_made_of(path: Path) -> dict[str, str] | None:
    """Digests of what a file of `save_arrays` was made of; None for any other file, or a damaged
    one.
    """
    if path.is_dir():
        state = read_state(path)
        return state[MADE_OF] if state and state["done"] == state["of"] else None
    try:
        with reading(path, "a record", "make it again"), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            made_of = json.loads(str(arrays[MADE_OF]))
    except InputError:
        return None
    return made_of if isinstance(made_of, dict) else None


def load_record(path: Path, network: QuantizedNetwork | None = None, samples: int | None = None) -> SpikeRecord:
    """Read a record. network, samples: what it must be of; shapes are then compared before the
    arrays are loaded.

    Raises:
        InputError: missing, not written by `save_record`, or of other shapes than a run of the
            network over so many samples has.
    """
    with reading(path, "a spike record", "run the stage that makes it"):
        checks = None
        if network is not None and samples is not None:
            checks = {key: _of_shape(f"{path}: {key}", shape) for key, shape in expected_shapes(network, samples).items()}
        arrays = read_npz(path, checks=checks)
        output = _integers(arrays.pop("output"), f"{path}: output", LOWEST["output"])
        arrays.pop(MADE_OF, None)
        groups: dict[str, dict] = {name: {} for name in MAPPINGS}
        for key, value in arrays.items():
            group, _, name = key.partition("/")
            if group not in groups:
                raise InputError(f"{path} is no spike record (it holds {key!r})")
            groups[group][name] = value if group in ("spikes", "notes") else _integers(value, f"{path}: {key}", LOWEST.get(group, 0))
        groups["overflows"] = {name: int(count) for name, count in groups["overflows"].items()}
        groups["notes"] = {name: str(note) for name, note in groups["notes"].items()}
        return SpikeRecord(output=output, **groups)


def expected_shapes(network: QuantizedNetwork, samples: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of a record of counts, by name in the file."""
    over_time = (samples, network.timesteps)
    return {
        "output": (*over_time, *network[network.output].shape),
        **{f"spike_counts/{name}": over_time for name in (network.input.name, *(p.name for p in network.populations))},
        **{f"synaptic_events/{c.name}": over_time for c in network.connections},
        **{f"overflows/{p.name}": () for p in network.populations},
    }


def _of_shape(where: str, shape: tuple[int, ...]) -> Check:
    def check(claim: Claim) -> None:
        if claim.shape != shape:
            raise InputError(f"{where} has shape {claim.shape}, the network and the data make {shape}; delete the file, it is made again")

    return check


def _integers(array: np.ndarray, where: str, low: int = 0) -> np.ndarray:
    """int64 numbers from `low` to what sums of them can bear; outputs, which may be negative, fit
    int32 and stay so.
    """
    high = COUNT_MAX if low == 0 else (1 << 31) - 1
    if array.dtype.kind not in "iu" or (array.size and not low <= int(array.min()) <= int(array.max()) <= high):
        raise InputError(f"{where} holds other numbers than a record's, integers in {low}..{high}; delete the file, it is made again")
    return array.astype(np.int64 if low == 0 else np.int32, copy=False)
