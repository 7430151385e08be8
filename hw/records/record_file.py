"""Spike records as `.npz` files: `output`, and `spikes/<node>`, `spike_counts/<node>`, `synaptic_events/<connection>`, `overflows/<node>`,
`notes/<connection>`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.files import written_whole
from spikeport.hw.records.record import SpikeRecord

MAPPINGS = tuple(f.name for f in fields(SpikeRecord) if f.name != "output")


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an `.npz` whole."""
    with written_whole(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def save_record(path: Path, record: SpikeRecord) -> None:
    """Write a record; everything in it comes back with `load_record`."""
    arrays = {"output": record.output}
    for name in MAPPINGS:
        arrays |= {f"{name}/{key}": np.asarray(value) for key, value in getattr(record, name).items()}
    save_arrays(path, arrays)


def load_record(path: Path) -> SpikeRecord:
    """Read a record.

    Raises:
        InputError: missing, or not written by `save_record`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        output = arrays.pop("output")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run the stage that makes it") from None
    except (BadZipFile, ValueError, KeyError, OSError) as error:
        raise InputError(f"{path} is no spike record ({error})") from None
    groups: dict[str, dict] = {name: {} for name in MAPPINGS}
    for key, value in arrays.items():
        group, _, name = key.partition("/")
        if group not in groups:
            raise InputError(f"{path} is no spike record (it holds {key!r})")
        groups[group][name] = value.item() if group in ("overflows", "notes") else value
    return SpikeRecord(output=output, **groups)
