"""Writing files so that nothing half-written is ever seen: beside first, then renamed. JSON, out and back."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import read_bytes, reading

JSON_DEPTH = 64
"""Values inside values; our own files nest about ten deep."""


def check_file(path: Path) -> None:
    """Refuse a place where no file can be written.

    Raises:
        InputError: a folder, or a place below a file or in a folder that is closed to us.
    """
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a directory; name a file")
    check_folder(path.parent)


def check_folder(path: Path) -> None:
    """Refuse a place where no folder is, nor one can be made and written to.

    Raises:
        InputError: it is, or lies below, a file or a folder that is closed to us.
    """
    try:
        nearest = next(place for place in (path, *path.parents) if place.exists())
    except OSError as error:
        raise InputError(f"cannot write to {path} ({error.strerror}); choose another place") from None
    if not nearest.is_dir():
        raise InputError(f"cannot write to {path}: {nearest} is a file, not a directory; choose another place")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to {path}: no permission to write in {nearest}; choose another place")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same directory; rename it to `path` on success, remove it on any error.

    Raises:
        InputError: `path` is a directory, or its own cannot be made or written to.
    """
    check_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}); choose another place with --out") from None
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        beside.chmod(0o644)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8")


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
    """JSON as we write it: UTF-8, every number finite, nested at most `JSON_DEPTH` deep; `where` names it in errors.

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
