"""Reader for idx files, the format of MNIST and its kin, plain or gzipped.

Layout (Y. LeCun's description): two zero bytes, a type code, the number of axes, then each axis
length as big-endian uint32, then the values. Only unsigned bytes (type 0x08) are read. The
wrapper's checksum is left to gzip, the file's own
md5 is not compared: recompressed copies of the same data differ in it.
"""

from __future__ import annotations

import gzip
from math import prod
from pathlib import Path

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import check_regular, read_bytes, reading

UNSIGNED_BYTE = 0x08
BYTES_MAX = 1 << 30
"""Of a file, unpacked: about twenty times MNIST."""


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file of unsigned bytes; a name that ends in `.gz` is decompressed first.

    Raises:
        InputError: the file is damaged, of another type, or its length does not fit its header.
    """
    with reading(path, "an idx file", "get a fresh copy"):
        raw = _unpacked(path) if path.suffix == ".gz" else read_bytes(path, BYTES_MAX)
    if len(raw) < 4 or raw[:3] != bytes((0, 0, UNSIGNED_BYTE)):
        raise InputError(f"{path} is no idx file of unsigned bytes (it should start with 00 00 08); get a fresh copy")
    start = 4 + 4 * raw[3]
    shape = tuple(int.from_bytes(raw[i : i + 4], "big") for i in range(4, start, 4))
    if len(raw) != start + prod(shape):
        raise InputError(f"{path} holds {len(raw) - start} values, its header says {shape}; get a fresh copy")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def _unpacked(path: Path) -> bytes:
    check_regular(path, BYTES_MAX)
    with gzip.open(path) as file:
        raw = file.read(BYTES_MAX + 1)
    if len(raw) > BYTES_MAX:
        raise InputError(f"{path} unpacks to more than {BYTES_MAX:,} bytes, the limit of an idx file; get a fresh copy")
    return raw


def find_idx(folder: Path, stem: str) -> Path | None:
    """The file `stem` or `stem.gz` in a folder, the plain one first; None where neither is there."""
    return next((path for path in (folder / stem, folder / f"{stem}.gz") if path.is_file()), None)
