"""One process at a time in a folder: a lock that ends with the process that holds it, however that
ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spikeport.export.common.errors import InputError, OutputError
from spikeport.export.common.files import check_folder

LOCK = ".spikeport.lock"
"""The file that is locked; it goes with the work, and one that a killed process left behind locks
nobody out.
"""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes of spikeport out of a folder, which is made if need be.

    A folder that was made here and is empty in the end goes again.

    Raises:
        InputError: another process holds it.
        OutputError: the folder cannot be made or written to.
    """
    check_folder(folder)
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _opened(folder / LOCK)
    except BlockingIOError:
        raise InputError(
            f"another process of spikeport is at work in {folder}; wait until it has ended, or choose another folder"
        ) from None
    except OSError as error:
        raise OutputError(f"cannot write to {folder} ({error.strerror or error}); choose another place") from None
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / LOCK).unlink()
        os.close(handle)
        if made:
            with suppress(OSError):
                folder.rmdir()


def _opened(path: Path) -> int:
    """The locked file; opened again where whoever held it removed it in between."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
