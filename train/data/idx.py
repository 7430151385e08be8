"""Reader for idx files, the format of MNIST and its kin, plain or gzipped.

Layout (Y. LeCun's description): two zero bytes, a type code, the number of axes, then each axis length as big-endian
uint32, then the values. Only unsigned bytes (type 0x08) are read. The wrapper's checksum is left to gzip, the file's own
md5 is not compared: recompressed copies of the same data differ in it.
"""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np

from spikeport.export.common.errors import InputError

UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file of unsigned bytes; a name that ends in `.gz` is decompressed first.

    Raises:
        InputError: the file is damaged, of another type, or its length does not fit its header.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read {path}: {error}; get a fresh copy") from None
    if len(raw) < 4 or raw[:3] != bytes((0, 0, UNSIGNED_BYTE)):
        raise InputError(f"{path} is no idx file of unsigned bytes (it should start with 00 00 08); get a fresh copy")
    start = 4 + 4 * raw[3]
    shape = tuple(int.from_bytes(raw[i : i + 4], "big") for i in range(4, start, 4))
    if len(raw) != start + prod(shape):
        raise InputError(f"{path} holds {len(raw) - start} values, its header says {shape}; get a fresh copy")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def find_idx(folder: Path, stem: str) -> Path | None:
    """The file `stem` or `stem.gz` in a folder, the plain one first; None where neither is there."""
    return next((path for path in (folder / stem, folder / f"{stem}.gz") if path.is_file()), None)
