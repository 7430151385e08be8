"""Recordings of event cameras by suffix; nothing is ever unpickled.

| suffix | format |
|---|---|
| `.bin`, `.bs2` | N-MNIST's (Orchard et al. 2015): 5 bytes an event: x, y, then 1 bit polarity and 23 bits microseconds, big endian |
| `.aedat` | AEDAT 2.0 and 3.1 (`train.data.formats.aedat`) |
| `.dat` | Prophesee's DAT, version 2 ("DAT File Format", Metavision documentation): lines that begin with %, a byte type, a byte size, then 32 bits microseconds, 14 bits x, 14 bits y, 4 bits polarity, little endian |
| `.npy` | a structured array with fields x, y, t, p, or four columns in this order |
| `.npz`, `.h5`, `.hdf5` | arrays x, y, t, p; in HDF5 also in a group `events` |

In N-MNIST's format y = 240 marks that 2^13 microseconds more have passed, for all that follow; it
is no event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.export.common.arrays import Check, Claim, read_npy, read_npz
from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import check_regular, read_bytes, reading
from spikeport.export.common.hdf5 import Entry, opened_hdf5
from spikeport.train.data.formats.aedat import header_end, read_aedat
from spikeport.train.data.formats.event_bins import SENSOR_MAX, TIME_MAX, Events

N_MNIST_BYTES, OVERFLOW_ROW, OVERFLOW_TIME = 5, 240, 1 << 13
DAT_TYPES = (0, 12)
"""Event2d and EventCD."""
COLUMNS = ("x", "y", "t", "p")
EVENTS_MAX = 1 << 26
"""Of one recording in a file that may be compressed and so claim anything: a minute at a million
events a second, 0.5 GB a column.
"""
BYTES_MAX = 4 * 8 * EVENTS_MAX
"""Of one recording, unpacked."""


def read_events(path: Path) -> Events:
    """The events of a file, in its own order.

    Raises:
        InputError: an unknown suffix, a missing or damaged file, or values that are no events.
    """
    if path.suffix.lower() not in READERS:
        raise InputError(f"{path} is no recording that is known; read are {', '.join(READERS)}")
    with reading(path, f"{path.suffix} events", "get a fresh copy"):
        check_regular(path, BYTES_MAX)
        return _checked(READERS[path.suffix.lower()](path), str(path))


def read_n_mnist(raw: bytes, where: str) -> Events:
    """N-MNIST's format.

    Raises:
        InputError: no whole number of events.
    """
    if len(raw) % N_MNIST_BYTES:
        raise InputError(f"{where} holds {len(raw)} bytes, no whole number of {N_MNIST_BYTES}-byte events; get a fresh copy")
    x, y, high, middle, low = np.frombuffer(raw, np.uint8).reshape(-1, N_MNIST_BYTES).T.astype(np.int64)
    marks = y == OVERFLOW_ROW
    time = ((high & 0x7F) << 16 | middle << 8 | low) + OVERFLOW_TIME * np.cumsum(marks)
    return Events(x[~marks], y[~marks], time[~marks], (high >> 7)[~marks])


def read_dat(raw: bytes, where: str) -> Events:
    """Prophesee's DAT.

    Raises:
        InputError: another version or kind of event, or no whole number of events.
    """
    at = header_end(raw, b"%")
    said = dict(re.findall(rb"% (Version|Width|Height) +(\d+)", raw[:at]))
    if said.get(b"Version", b"2") != b"2":
        raise InputError(f"{where} is DAT version {int(said[b'Version'])}; version 2 is read")
    if len(raw) < at + 2 or raw[at] not in DAT_TYPES or raw[at + 1] != 8 or (len(raw) - at - 2) % 8:
        raise InputError(f"{where} holds no 8-byte change detection events behind its header; is it another format, or cut short?")
    time, data = np.frombuffer(raw, "<u4", offset=at + 2).reshape(-1, 2).astype(np.int64).T
    size = (int(said[b"Height"]), int(said[b"Width"])) if {b"Height", b"Width"} <= said.keys() else None
    return Events(data & 0x3FFF, data >> 14 & 0x3FFF, time, _polarity(data >> 28, where), size)


def _npy(path: Path) -> Events:
    array = read_npy(path, _of_events(str(path), len(COLUMNS)))
    if array.dtype.names:
        return _columns(array, str(path))
    if array.ndim != 2 or array.shape[1] != len(COLUMNS):
        raise InputError(f"{path} has shape {array.shape}; expected (events, 4) with columns x, y, t, p, or fields of these names")
    return _columns(dict(zip(COLUMNS, array.T)), str(path))


def _npz(path: Path) -> Events:
    checks = {name: _of_events(f"{path}: {name}", 1) for name in COLUMNS}
    return _columns(read_npz(path, BYTES_MAX, checks), str(path))


def _of_events(where: str, numbers: int) -> Check:
    """Refuses more than so many numbers an event: whatever an array claims would be allocated."""

    def check(claim: Claim) -> None:
        if claim.bytes > 8 * numbers * EVENTS_MAX:
            raise InputError(
                f"{where} claims shape {claim.shape} of {claim.dtype}; {EVENTS_MAX} events of {8 * numbers} bytes are the limit"
            )

    return check


def _hdf5(path: Path) -> Events:
    with opened_hdf5(path) as file:
        group = ("events",) if ("events",) in file.entries else ()
        if group and file.entries[group].kind != "group":
            raise InputError(f"{path}: events is no group; store x, y, t and p in it, or without it")
        ways = {name: (*group, name) for name in COLUMNS}
        for name, way in ways.items():
            _check_column(file.entries.get(way), f"{path}: {name}")
        values = file.read(ways.values())
        return _columns({name: values[way] for name, way in ways.items()}, str(path))


def _check_column(entry: Entry | None, where: str) -> None:
    """A list of numbers, and how many; of a list in chunks, a whole chunk is read at least."""
    if entry is None or entry.kind not in "biuf" or len(entry.shape) != 1:
        raise InputError(f"{where} is no list of numbers; store x, y, t and p, each as one")
    if max(entry.size, entry.chunk) > EVENTS_MAX:
        raise InputError(f"{where} claims {entry.size} numbers, in chunks of {entry.chunk}; {EVENTS_MAX} events are the limit")


def _columns(columns: Mapping[str, Any] | np.ndarray, where: str) -> Events:
    """Columns of equal length, their numbers as they are stored."""
    x, y, t, p = (np.asarray(columns[name]) for name in COLUMNS)
    if any(column.ndim != 1 or column.shape != x.shape or column.dtype.kind not in "biuf" for column in (x, y, t, p)):
        raise InputError(f"{where}: x, y, t and p must be lists of numbers, equally long")
    return Events(x, y, t, _polarity(p, where))


def _checked(events: Events, where: str) -> Events:
    """The events in the types that `Events` promises, their sensor and times within its bounds."""
    if not all(_within(axis, 0, SENSOR_MAX) for axis in (events.x, events.y)):
        raise InputError(f"{where} holds pixels beyond 0..{SENSOR_MAX - 1}; is it another format?")
    if not all(1 <= side <= SENSOR_MAX for side in events.size):
        raise InputError(
            f"{where} says that its sensor has {events.size[0]} x {events.size[1]} pixels; 1..{SENSOR_MAX} along an axis are read"
        )
    if not _within(events.t, -TIME_MAX + 1, TIME_MAX):
        raise InputError(f"{where} holds times that are not finite or of 2^62 and more; is it another format?")
    x, y = (axis.astype(np.int64, copy=False) for axis in (events.x, events.y))
    return replace(events, x=x, y=y, t=events.t.astype(np.float64 if events.t.dtype.kind == "f" else np.int64, copy=False))


def _within(values: np.ndarray, low: int, high: int) -> bool:
    """Whether all are numbers from low to below high, and 0 is."""
    return low <= float(values.min(initial=0)) and float(values.max(initial=0)) < high


def _polarity(p: np.ndarray, where: str) -> np.ndarray:
    """1 for brighter, 0 for darker, from 1 and 0 or 1 and -1."""
    if not np.isin(p, (-1, 0, 1)).all():
        raise InputError(f"{where} has polarities other than 0 and 1, or -1 and 1; is it another format?")
    return (p == 1).astype(np.int64)


READERS: dict[str, Callable[[Path], Events]] = {
    **dict.fromkeys((".bin", ".bs2"), lambda path: read_n_mnist(read_bytes(path, BYTES_MAX), str(path))),
    ".aedat": lambda path: read_aedat(read_bytes(path, BYTES_MAX), str(path)),
    ".dat": lambda path: read_dat(read_bytes(path, BYTES_MAX), str(path)),
    ".npy": _npy,
    ".npz": _npz,
    **dict.fromkeys((".h5", ".hdf5"), _hdf5),
}
"""Reader by suffix."""
