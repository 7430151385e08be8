"""Members of tar files of unknown origin, compressed or not: how much they unpack to is checked
before they are read.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import check_regular, reading

BYTES_MAX, MEMBERS_MAX = 1 << 31, 1 << 20
"""Of all members together, unpacked: CIFAR-10's images as JPEG take a tenth of it."""


def members(path: Path, suffixes: tuple[str, ...] = ("",)) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files in a tar file whose names end so, in its order; nothing is
    written anywhere.

    Raises:
        InputError: missing, damaged, or larger than the limits.
    """
    with reading(path, "a tar file", "get a fresh copy"):
        check_regular(path, BYTES_MAX)
        unpacked = 0
        with tarfile.open(path) as tar:
            for number, member in enumerate(tar):
                unpacked += max(member.size, 0) + tarfile.BLOCKSIZE
                if unpacked > BYTES_MAX or number >= MEMBERS_MAX:
                    raise InputError(
                        f"{path} unpacks to more than {BYTES_MAX:,} bytes or {MEMBERS_MAX:,} files, the limits; get a fresh copy"
                    )
                if member.isfile() and member.name.endswith(suffixes) and (file := tar.extractfile(member)):
                    yield member.name, file.read()
