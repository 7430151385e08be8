"""NumPy's `.npy` and `.npz` files of unknown origin: what a header claims is checked before
anything is loaded, nothing is unpickled.

Numbers of any byte order come back in this machine's, and long doubles, which no other part of the
pipeline knows, as float64.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, TypeAlias
from zipfile import ZipFile

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import check_regular, reading

NPY_MAX = 1 << 40
"""Bytes of an `.npy` file: no limit but that of a length, since it holds no more numbers than it
has bytes.
"""
NPZ_MAX = 1 << 31
"""Bytes of all arrays of an `.npz` file together, unpacked."""
MAPPED_FROM = 1 << 26
"""Bytes from which `open_npy` leaves an array in its file: 64 MB."""
BLOCK_BYTES = 1 << 24
"""What `blocks` gives at a time: small beside what else a command holds, large beside a call."""
NPY_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class Claim:
    """What the header of an `.npy` file says. order: "C" or "F"."""

    shape: tuple[int, ...]
    dtype: np.dtype
    order: str

    @property
    def bytes(self) -> int:
        """Length of the numbers."""
        return prod(self.shape) * self.dtype.itemsize


Check: TypeAlias = "Callable[[Claim], None]"
"""Refuses, with an InputError, what the caller cannot use, before it is loaded."""


def native(array: np.ndarray) -> np.ndarray:
    """The same numbers in this machine's byte order, long doubles as float64; no copy where they
    are so already.
    """
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        with np.errstate(over="ignore"):  # becomes infinite, which whoever uses it refuses
            return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def read_npy(path: Path, check: Check = lambda claim: None) -> np.ndarray:
    """The array of an `.npy` file.

    Raises:
        InputError: missing, damaged, an archive, or of objects.
    """
    with reading(path, "a plain .npy array", "save one with numpy.save"):
        check_regular(path, NPY_MAX)
        size = path.stat().st_size
        with path.open("rb") as file:
            if file.read(4) == b"PK\x03\x04":
                raise InputError(f"{path} is an archive of arrays (.npz), where one array is expected; save it with numpy.save")
            file.seek(0)
            return read_array(file, str(path), _both(size, str(path), check))


def open_npy(path: Path) -> np.ndarray:
    """As `read_npy`; a large array stays in its file, is read where it is used, and cannot be
    written to. Its numbers are then in the file's byte order: see `native`.

    The file must stay as it is until the array is gone.
    """
    with reading(path, "a plain .npy array", "save one with numpy.save"):
        check_regular(path, NPY_MAX)
        if path.stat().st_size < MAPPED_FROM:
            return read_npy(path)
        with path.open("rb") as file:
            claim = read_claim(file, str(path))
            _both(path.stat().st_size, str(path), lambda claim: None)(claim)
            mapped = np.memmap(file, claim.dtype, "r", file.tell(), claim.shape, claim.order)  # type: ignore[call-overload]
        return mapped.view(np.ndarray)


def blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Consecutive parts along the first axis, of `BLOCK_BYTES` or one row, so that what is made of
    each is small; one part of an array without rows.
    """
    rows = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, max(1, len(array)), rows):
        yield array[start : start + rows]


def read_npz(path: Path, limit: int = NPZ_MAX, checks: Mapping[str, Check] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name. limit: bytes of all together, unpacked. checks: of the
    arrays that are read, None for all.

    Raises:
        InputError: missing, damaged, encrypted, larger than the limit, without one of the arrays,
            or of objects.
    """
    with reading(path, "an archive of arrays", "save one with numpy.savez, or make it again"):
        check_regular(path, limit)
        with ZipFile(path) as archive:
            sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()}
            if (total := sum(sizes.values())) > limit:
                raise InputError(f"{path} unpacks to {total:,} bytes; at most {limit:,} are read")
            arrays = {}
            for name in sizes if checks is None else checks:
                with archive.open(f"{name}.npy") as file:
                    check = (checks or {}).get(name, lambda claim: None)
                    arrays[name] = read_array(file, f"{path}: {name}", _both(sizes[name], f"{path}: {name}", check))
                    file.read(1)  # the end, where the checksum is compared
            return arrays


def _both(size: int, where: str, check: Check) -> Check:
    """First whether so many bytes can hold it, then the caller's own check."""

    def checked(claim: Claim) -> None:
        if claim.bytes > size:
            raise InputError(
                f"{where} claims shape {claim.shape} of {claim.dtype}, {claim.bytes:,} bytes, but holds {size:,}; save it again"
            )
        check(claim)

    return checked


def read_array(file: IO[bytes], where: str, check: Check) -> np.ndarray:
    """One array from an open file, in this machine's byte order; `check` sees what its header
    claims before it is loaded.

    Raises:
        InputError: of objects, or what `check` refuses. Any other exception means a damaged file;
            see `reading`.
    """
    claim = read_claim(file, where)
    check(claim)
    raw = np.empty(claim.bytes, np.uint8)
    at = 0
    while at < len(raw):
        count = file.readinto(raw.data[at:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError(f"it ends after {at:,} of {len(raw):,} bytes of numbers")
        at += count
    return native(raw.view(claim.dtype).reshape(claim.shape, order=claim.order))  # type: ignore[call-overload]


def read_claim(file: IO[bytes], where: str) -> Claim:
    """The header."""
    version = np.lib.format.read_magic(file)
    if version not in NPY_HEADERS:
        raise InputError(f"{where} is of .npy version {version}; versions 1 and 2 are read, as numpy.save writes numbers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python 2's notation, which is read
        shape, fortran, dtype = NPY_HEADERS[version](file)
    if any(type(axis) is not int or axis < 0 for axis in shape):
        raise InputError(f"{where} claims shape {shape}; axes are whole numbers, 0 or more")
    if dtype.hasobject:
        raise InputError(f"{where} holds Python objects ({dtype}); save numbers with numpy.save")
    return Claim(shape, dtype, "F" if fortran else "C")
