"""Writing files so that nothing half-written is ever seen: beside first, then renamed."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spikeport.export.common.errors import InputError


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
        InputError: missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error})") from None
