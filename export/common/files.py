"""Writing files so that nothing half-written is ever seen: beside first, then renamed.

JSON, out and back.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from spikeport.export.common.errors import InputError, OutputError
from spikeport.export.common.guard import as_path, read_bytes, reading

JSON_DEPTH = 64
"""Values inside values; our own files nest about ten deep."""


def check_file(path: Path) -> None:
    """Refuse a place where no file can be written.

    Raises:
        OutputError: a folder, or a place below a file or in a folder that is closed to us.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a directory; name a file")
    check_folder(path.parent)


def check_folder(path: Path) -> None:
    """Refuse a place where no folder is, nor one can be made and written to.

    Raises:
        OutputError: it is, or lies below, a file or a folder that is closed to us.
    """
    try:
        nearest = next(place for place in (path, *path.parents) if place.exists())
    except OSError as error:
        raise OutputError(f"cannot write to {path} ({error.strerror}); choose another place") from None
    if not nearest.is_dir():
        raise OutputError(f"cannot write to {path}: {nearest} is a file, not a directory; choose another place")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write to {path}: no permission to write in {nearest}; choose another place")


def write_bytes(path: Path | str, content: bytes | memoryview) -> None:
    """Write a file whole: beside first, then renamed, so that a reader sees the file before or the
    file after, never a part.

    What fits into memory is built there first: a library that writes by itself (HDF5, ONNX,
    safetensors) fails in its own ways on a full disk.

    Raises:
        OutputError: the disk is full, the place is read-only or gone, or `path` is a directory;
            what was there before stays.
    """
    with written(as_path(path)) as file:
        file.write(content)


@contextmanager
def written(path: Path) -> Iterator[WholeWrites]:
    """A file to write piece by piece, which takes the place of `path` in the end and leaves nothing
    on an error; errors as in `write_bytes`.
    """
    check_file(path)
    beside: Path | None = None
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:64]}-", suffix=path.suffix)
            beside = Path(name)
            with os.fdopen(handle, "wb", buffering=0) as file:
                yield WholeWrites(file)
            beside.chmod(0o644)
            beside.replace(path)
        finally:
            if beside:
                with suppress(OSError):
                    beside.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Inside, an error of the disk becomes the OutputError that says so of `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path} ({error.strerror or error}); free some space there or choose another place") from None


class WholeWrites:
    """A file of which every `write` writes all that it is given, or raises."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file
        self.tell, self.seek, self.flush, self.seekable = file.tell, file.seek, file.flush, file.seekable

    def write(self, content: bytes | memoryview) -> int:
        """Returns the number of bytes."""
        _write_all(self._file, memoryview(content))
        return memoryview(content).nbytes


def _write_all(file: io.RawIOBase, rest: memoryview) -> None:
    """A system may take only a part of what it is given, such as the last bytes that fit on the
    disk.
    """
    rest = rest.cast("B")
    while rest:
        rest = rest[file.write(rest) :]


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole; errors as in `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole, indented; NaN and infinity are refused, since they are not JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: missing, too large, or no JSON; see `parse_json`.
    """
    return parse_json(read_bytes(path), str(path))


def parse_json(text: str | bytes, where: str) -> Any:
    """JSON as we write it: UTF-8, every number finite, nested at most `JSON_DEPTH` deep; `where`
    names it in errors.

    Raises:
        InputError: anything else.
    """
    with reading(where, "JSON", "make it again with this version of spikeport"):
        value = json.loads(text.decode("utf-8") if isinstance(text, bytes) else text, parse_constant=_refuse_constant)
    level = [value]
    for _ in range(JSON_DEPTH):
        level = [item for each in level if isinstance(each, (dict, list)) for item in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return value
    raise InputError(f"{where} cannot be read as JSON (it nests deeper than {JSON_DEPTH}); make it again with this version of spikeport")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
