"""HDF5 files of unknown origin, opened in a process of their own: the C library trusts what it
reads.

A damaged file makes HDF5 loop, allocate without end or crash; none of that reaches us, since
`hdf5_child` runs with limits on memory and on the processor's time, and is killed when a clock of
ours runs out. It lists what is in the file; we decide what to ask for, by name, kind and size; it
sends plain numbers and text, which are checked against the list.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from math import prod
from pathlib import Path
from threading import Event, Timer
from typing import IO, Any, TypeAlias

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import check_regular

CHILD = Path(__file__).with_name("hdf5_child.py")
MAX_FILE_BYTES = 1 << 31
MEMORY = 3 << 30
"""Bytes that the child may use beyond its libraries: the largest array that is read, as HDF5
unpacks it, and again in order.
"""
SECONDS = 60
"""Of the processor's time in the child, and of ours for all that is read from a file, twice that.
"""
LINE_MAX = 1 << 26
"""Bytes of one line of what the child says: names and text of a file."""
FREE_BYTES, INFLATION_MAX = 1 << 26, 200
"""Numbers of up to 64 MB are read whatever the file's size, beyond that at most 200 times as many
bytes as it has: trained weights pack 1.1 to 30 times, only constants more.
"""

Way: TypeAlias = "tuple[str, ...]"
"""Names from the root of the file to an object."""
Value: TypeAlias = "np.ndarray | str | list[str]"
"""Numbers in the shape of the dataset, one text, or texts in C order."""


@dataclass(frozen=True)
class Entry:
    """One object. kind: "group", "text", NumPy's kind of numbers ("f", "i", "u", "b"), "ragged" (a
    list of numbers in each place of one axis, see `UntrustedFile.read_ragged`), or "other". chunk:
    numbers unpacked at once.
    """

    number: int
    kind: str
    shape: tuple[int, ...] = ()
    bytes: int = 0
    chunk: int = 0
    type: str = ""

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


class UntrustedFile:
    """An HDF5 file in its child. entries: all objects in it; nothing else is loaded until it is
    asked for.
    """

    def __init__(self, path: Path, process: subprocess.Popen[bytes], late: Event) -> None:
        self.path, self._process, self._late = path, process, late
        self.entries = dict(self._listed())

    def read(self, ways: Iterable[Way]) -> dict[Way, Value]:
        """Values of datasets of numbers or text.

        Raises:
            InputError: they cannot be read, or are larger than the file's size allows.
        """
        asked = list(ways)
        entries = [self.entries[way] for way in asked]
        total = sum(max(entry.size, entry.chunk) * entry.bytes for entry in entries if entry.kind != "text")
        most = FREE_BYTES + INFLATION_MAX * self.path.stat().st_size
        if total > most:
            raise InputError(
                f"{self.path} claims {total:,} bytes of numbers, which is more than a network's file of its size unpacks to ({most:,})"
            )
        self._ask([entry.number for entry in entries])
        return {way: self._value(entry) for way, entry in zip(asked, entries)}

    def read_ragged(self, way: Way, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Lists of numbers in places start .. stop - 1: how long each is, int64, and all numbers
        after one another.

        Raises:
            InputError: they cannot be read, or are larger than the file's size allows.
        """
        entry = self.entries[way]
        self._ask([[entry.number, start, stop]])
        most = FREE_BYTES + INFLATION_MAX * self.path.stat().st_size
        lengths, numbers = self._array(most), self._array(most)
        if len(lengths) != stop - start or lengths.sum() != len(numbers):
            raise InputError(self._unreadable("its lists do not add up"))
        return lengths, numbers

    def _ask(self, what: list[Any]) -> None:
        try:
            self._pipe(self._process.stdin).write(json.dumps(what).encode() + b"\n")
            self._pipe(self._process.stdin).flush()
        except OSError:
            raise self._ended() from None

    def _listed(self) -> Iterator[tuple[Way, Entry]]:
        number = 0
        while line := self._line():
            shape = tuple(map(int, line.get("shape", ())))
            details: dict[str, Any] = {name: line[name] for name in ("bytes", "chunk", "type") if name in line}
            yield tuple(line["way"]), Entry(number, line["kind"], shape, **details)
            number += 1

    def _value(self, entry: Entry) -> Value:
        if entry.kind == "text":
            texts = self._line()["text"]
            return texts[0] if not entry.shape else texts
        return self._array(entry.size * max(8, entry.bytes)).reshape(entry.shape)

    def _array(self, most: int) -> np.ndarray:
        """Numbers that follow their line, of at most so many bytes."""
        line = self._line()
        if line["bytes"] > most:
            raise InputError(self._unreadable(f"it sends {line['bytes']:,} bytes, more than the {most:,} that it may hold"))
        array = np.empty(int(line["bytes"]), np.uint8)
        at = 0
        while at < len(array):
            count = self._pipe(self._process.stdout).readinto(array.data[at:])  # type: ignore[attr-defined]
            if not count:
                raise self._ended()
            at += count
        return array.view(np.dtype(line["dtype"]))

    def _line(self) -> Mapping[str, Any]:
        raw = self._pipe(self._process.stdout).readline(LINE_MAX)
        if not raw.endswith(b"\n"):
            raise self._ended()
        line = json.loads(raw)
        if "error" in line:
            raise InputError(f"{self.path} {line['error']}" if line.get("refused") else self._unreadable(line["error"]))
        return line

    def _ended(self) -> InputError:
        """Why the child says no more."""
        self._process.kill()
        status = self._process.wait()
        if self._late.is_set() or status == -24:  # SIGXCPU
            return InputError(self._unreadable(f"it takes more than {SECONDS} s"))
        return InputError(self._unreadable("the HDF5 library fails on it"))

    def _unreadable(self, reason: str) -> str:
        return f"{self.path} is no readable HDF5 file ({reason}); get a fresh copy, or write it again"

    @staticmethod
    def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
        assert stream is not None, "the child is started with pipes"
        return stream


@cache
def _folders() -> tuple[str, ...]:
    """Where the child finds its two libraries."""
    origins = [Path(spec.origin) for name in ("numpy", "h5py") if (spec := find_spec(name)) and spec.origin]
    return tuple({str(origin.parents[1]): None for origin in origins})


@contextmanager
def opened_hdf5(path: Path) -> Iterator[UntrustedFile]:
    """An HDF5 file, listed by a child process that ends with the context.

    Raises:
        InputError: missing, too large, no HDF5 file, damaged, with links or data in other files, or
            beyond the limits above.
    """
    check_regular(path, MAX_FILE_BYTES)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}  # no filters from elsewhere
    command = [sys.executable, "-I", "-S", str(CHILD), str(path.absolute()), str(MEMORY), str(SECONDS), *_folders()]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    late = Event()

    def expire() -> None:
        late.set()
        process.kill()

    clock = Timer(2 * SECONDS, expire)
    clock.daemon = True
    clock.start()
    try:
        with process:
            try:
                yield UntrustedFile(path, process, late)
            finally:
                process.kill()
    finally:
        clock.cancel()
