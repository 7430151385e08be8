"""Files that workers read by themselves, under the same path everywhere."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spikeport.export.common.errors import InputError

BLOCK = 1 << 20
BLOCKS = 64
"""Blocks of a file that are compared, evenly spread; a file of so many or fewer is compared whole.
"""


@dataclass(frozen=True)
class SharedFile:
    """A file as this process sees it. path: absolute. digest: of its size and `BLOCKS` blocks."""

    path: Path
    digest: str

    @classmethod
    def of(cls, path: Path) -> SharedFile:
        """A file that can be read here."""
        return cls(path.resolve(), _digest(path))

    def checked(self) -> Path:
        """The path, once the file there is the same here; looked at once in a process.

        Raises:
            InputError: it cannot be read here, or is another.
        """
        return _checked(self)


@lru_cache(maxsize=64)
def _checked(file: SharedFile) -> Path:
    try:
        here = _digest(file.path)
    except OSError as error:
        raise InputError(
            f"{file.path} cannot be read on worker {socket.gethostname()} ({error.strerror or error}); put it where every worker sees "
            "it under the same path"
        ) from None
    if here != file.digest:
        raise InputError(f"{file.path} is another file on worker {socket.gethostname()}; let every worker see the same one")
    return file.path


def _digest(path: Path) -> str:
    size = path.stat().st_size
    hasher = hashlib.sha256(f"{size}:".encode())
    last = max(0, size - BLOCK)
    starts = range(0, size, BLOCK) if size <= BLOCK * BLOCKS else (last * i // (BLOCKS - 1) for i in range(BLOCKS))
    with path.open("rb") as file:
        for start in starts:
            file.seek(start)
            hasher.update(file.read(BLOCK))
    return hasher.hexdigest()
