"""Spike records as `.npz` files: `output`, and `spikes/<node>`, `spike_counts/<node>`, `synaptic_events/<connection>`, `overflows/<node>`.

`made_of` is JSON text: digests of the network and of the data that the record was made of, by what they are of.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_bytes
from spikeport.hw.records.record import SpikeRecord

MADE_OF = "made_of"
MAPPINGS = tuple(f.name for f in fields(SpikeRecord) if f.name != "output")


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray], made_of: Mapping[str, str]) -> None:
    """Write an `.npz` whole; `read_made_of` gives back what it was made of.

    Raises:
        OutputError: the path cannot be written.
    """
    held = io.BytesIO()
    np.savez_compressed(held, **arrays, **{MADE_OF: np.array(json.dumps(dict(made_of)))})
    write_bytes(path, held.getbuffer())


def save_record(path: Path, record: SpikeRecord, made_of: Mapping[str, str]) -> None:
    """Write a record; everything in it comes back with `load_record`. made_of, errors: as in `save_arrays`."""
    arrays = {"output": record.output}
    for name in MAPPINGS:
        arrays |= {f"{name}/{key}": np.asarray(value) for key, value in getattr(record, name).items()}
    save_arrays(path, arrays, made_of)


def read_made_of(path: Path) -> dict[str, str] | None:
    """Digests of what a file of `save_arrays` was made of; None for any other file, or a damaged one."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            made_of = json.loads(str(arrays[MADE_OF]))
    except (BadZipFile, ValueError, KeyError, OSError, EOFError, TypeError, AttributeError, zlib.error):
        return None
    return made_of if isinstance(made_of, dict) else None


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
    arrays.pop(MADE_OF, None)
    groups: dict[str, dict] = {name: {} for name in MAPPINGS}
    for key, value in arrays.items():
        group, _, name = key.partition("/")
        if group not in groups:
            raise InputError(f"{path} is no spike record (it holds {key!r})")
        groups[group][name] = int(value) if group == "overflows" else value
    return SpikeRecord(output=output, **groups)
