"""Reading what nobody vouches for: whatever a library throws on the way becomes one line that names
the file and the remedy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spikeport.export.common.errors import InputError

TEXT_MAX = 1 << 28
"""Bytes of a text file that are read: 256 MB, some ten times the largest report."""


def as_path(place: str | os.PathLike[str]) -> Path:
    """Where a user says that a file is, as text or as a `Path`; raises InputError for anything
    else.
    """
    try:
        return Path(place)
    except TypeError:
        raise InputError(f"{place!r:.80} is no path of a file ({type(place).__name__}); give text or a pathlib.Path") from None


@contextmanager
def reading(where: Path | str, kind: str, remedy: str) -> Iterator[None]:
    """Inside, every exception but `InputError` means that the file is damaged or hostile.

    Libraries throw what they like over such a file: zlib's own error, the end of the file,
    recursion, overflow, division by zero, a failed assertion, a failed decoding, no memory. So no
    list of types is kept here; the reader's tests show that it reads what is in order.

    Args:
        where: the file, or the file and the part of it.
        kind: what it should be, after "cannot be read as".
        remedy: what to do about it.

    Raises:
        InputError: instead of any other exception.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{where} does not exist; {remedy}") from error
    except MemoryError as error:
        raise InputError(f"{where} cannot be read as {kind} (it asks for more memory than there is); {remedy}") from error
    except Exception as error:
        raise InputError(f"{where} cannot be read as {kind} ({reason(error)}); {remedy}") from error


def reason(error: BaseException) -> str:
    """The first line of what an exception says, or its type where it says nothing or but a name."""
    lines = str(error).strip().splitlines()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if not lines or isinstance(error, (KeyError, StopIteration)):
        return " ".join([type(error).__name__, *lines[:1]])
    return lines[0]


def check_regular(path: Path, limit: int) -> None:
    """Refuse what is no file of at most `limit` bytes: a folder, a device or a pipe, which would
    never end.

    Raises:
        InputError: missing, no regular file, or too large.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if not path.is_file():
        raise InputError(f"{path} is {'a directory' if path.is_dir() else 'a device or a pipe'}, not a file; give a file")
    if (size := path.stat().st_size) > limit:
        raise InputError(f"{path} has {size:,} bytes; at most {limit:,} are read")


def read_bytes(path: Path, limit: int = TEXT_MAX) -> bytes:
    """A whole file of at most `limit` bytes.

    Raises:
        InputError: as `check_regular`, or not readable.
    """
    with reading(path, "a file", "check the path and its permissions"):
        check_regular(path, limit)
        return path.read_bytes()
