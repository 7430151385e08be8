"""Recordings of event cameras by suffix; nothing is ever unpickled.

| suffix | format |
|---|---|
| `.bin`, `.bs2` | N-MNIST's (Orchard et al. 2015): 5 bytes an event: x, y, then 1 bit polarity and 23 bits microseconds, big endian |
| `.aedat` | AEDAT 2.0 and 3.1 (`train.data.aedat`) |
| `.dat` | Prophesee's DAT, version 2 ("DAT File Format", Metavision documentation): lines that begin with %, a byte type, a byte size, then 32 bits microseconds, 14 bits x, 14 bits y, 4 bits polarity, little endian |
| `.npy` | a structured array with fields x, y, t, p, or four columns in this order |
| `.npz`, `.h5`, `.hdf5` | arrays x, y, t, p; in HDF5 also in a group `events` |

In N-MNIST's format y = 240 marks that 2^13 microseconds more have passed, for all that follow; it is no event.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from lzma import LZMAError
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import h5py
import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.hdf5 import own_member
from spikeport.train.data.aedat import header_end, read_aedat
from spikeport.train.data.event_bins import SENSOR_MAX, TIME_MAX, Events

N_MNIST_BYTES, OVERFLOW_ROW, OVERFLOW_TIME = 5, 240, 1 << 13
DAT_TYPES = (0, 12)
"""Event2d and EventCD."""
COLUMNS = ("x", "y", "t", "p")
EVENTS_MAX = 1 << 26
"""Of one recording in a file that may be compressed and so claim anything: a minute at a million events a second, 0.5 GB a column."""

NPY_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    BadZipFile,
    LZMAError,
    TokenError,
    zlib.error,
)
"""What h5py's, Python's and NumPy's readers raise where a file is damaged; NumPy's headers are Python's notation."""


def read_events(path: Path) -> Events:
    """The events of a file, in its own order.

    Raises:
        InputError: an unknown suffix, a missing or damaged file, or values that are no events.
    """
    if path.suffix.lower() not in READERS:
        raise InputError(f"{path} is no recording that is known; read are {', '.join(READERS)}")
    try:
        return _checked(READERS[path.suffix.lower()](path), str(path))
    except InputError:
        raise
    except DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as {path.suffix} events ({reason}); get a fresh copy") from None


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
    with path.open("rb") as file:
        array = _array(file, str(path), len(COLUMNS))
    if array.dtype.names:
        return _columns(array, str(path))
    if array.ndim != 2 or array.shape[1] != len(COLUMNS):
        raise InputError(f"{path} has shape {array.shape}; expected (events, 4) with columns x, y, t, p, or fields of these names")
    return _columns(dict(zip(COLUMNS, array.T)), str(path))


def _npz(path: Path) -> Events:
    columns = {}
    with ZipFile(path) as parts:
        for name in COLUMNS:
            with parts.open(f"{name}.npy") as file:
                columns[name] = _array(file, f"{path}: {name}", 1)
    return _columns(columns, str(path))


def _array(file: IO[bytes], where: str, numbers: int) -> np.ndarray:
    """A NumPy array of so many numbers an event, once its header is checked: whatever it claims would be allocated."""
    version = np.lib.format.read_magic(file)
    if version not in NPY_HEADERS:
        raise InputError(f"{where} is of .npy version {version}; versions 1 and 2 are read, as numpy.save writes numbers")
    shape, _, dtype = NPY_HEADERS[version](file)
    if not 0 <= prod(shape) * dtype.itemsize <= 8 * numbers * EVENTS_MAX:
        raise InputError(f"{where} claims shape {shape} of {dtype}; {EVENTS_MAX} events of {8 * numbers} bytes are the limit")
    file.seek(0)
    array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _hdf5(path: Path) -> Events:
    with h5py.File(path, "r") as file:
        group = own_member(file, "events", path) if "events" in list(file) else file
        if not isinstance(group, h5py.Group):
            raise InputError(f"{path}: events is no group; store x, y, t and p in it, or without it")
        return _columns({name: _stored(own_member(group, name, path), f"{path}: {name}") for name in COLUMNS}, str(path))


def _stored(item: Any, where: str) -> np.ndarray:
    """A list of numbers, once it is known how many; of a list in chunks, a whole chunk is read at least."""
    if not isinstance(item, h5py.Dataset) or item.ndim != 1 or item.dtype.kind not in "biuf":
        raise InputError(f"{where} is no list of numbers")
    if max((item.size, *(item.chunks or ()))) > EVENTS_MAX:
        raise InputError(f"{where} claims {item.size} numbers, in chunks of {item.chunks}; {EVENTS_MAX} events are the limit")
    array: np.ndarray = item[()]
    return array


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
    **dict.fromkeys((".bin", ".bs2"), lambda path: read_n_mnist(path.read_bytes(), str(path))),
    ".aedat": lambda path: read_aedat(path.read_bytes(), str(path)),
    ".dat": lambda path: read_dat(path.read_bytes(), str(path)),
    ".npy": _npy,
    ".npz": _npz,
    **dict.fromkeys((".h5", ".hdf5"), _hdf5),
}
"""Reader by suffix."""
