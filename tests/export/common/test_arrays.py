"""`.npy` and `.npz` of unknown origin: legitimate ones in every layout, others refused before
anything is allocated.
"""

from __future__ import annotations

import io
import os
import zipfile

import numpy as np
import pytest

from spikeport.export.common.arrays import read_npy, read_npz
from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import reading
from spikeport.export.floating.simulate import physical_input
from spikeport.export.model.input import Input
from spikeport.hw.records.stimulus import encode

VALUES = np.arange(24).reshape(2, 3, 4)


@pytest.mark.parametrize("kind", [">f4", "<f8", ">f8", ">i2", "<u8", "f2", "?", "g", ">u4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_layout_gives_the_same_numbers(kind, order, tmp_path):
    np.save(tmp_path / "x.npy", np.asarray(VALUES, kind, order=order))
    array = read_npy(tmp_path / "x.npy")
    assert array.dtype.isnative and array.dtype.itemsize <= 8 and array.flags.writeable
    assert np.array_equal(array, VALUES.astype(kind))


@pytest.mark.parametrize("kind", [">f4", ">i4", "g"])
def test_arrays_of_any_byte_order_mean_the_same_everywhere(kind):
    source, plain = Input("input", (4,), 1.0, 0, 30), VALUES.astype(np.dtype(kind).newbyteorder("=")).astype(kind[-2:].replace("g", "f8"))
    assert np.array_equal(encode(source, VALUES.astype(kind), 3).values, encode(source, plain, 3).values)
    assert np.array_equal(physical_input(source, VALUES.astype(kind), 3)[0], physical_input(source, plain, 3)[0])
    assert physical_input(source, VALUES.astype(kind), 3)[0].dtype.isnative


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header.encode() + data


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (10**12,)}"), "cannot be read"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"), "but holds"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2)}", bytes(8)), "whole numbers"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", bytes(8)), "whole numbers"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", bytes(16)), "holds Python objects"),
        (npy("(" * 5000), "cannot be read"),
        (npy("{}", version=b"\x03\x00"), "version"),
        (b"PK\x03\x04", "is an archive"),
    ],
)
def test_headers_that_lie(raw, said, tmp_path):
    (tmp_path / "x.npy").write_bytes(raw)
    with pytest.raises(InputError, match=said):
        read_npy(tmp_path / "x.npy")


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "x.npy")
    with pytest.raises(InputError, match="a device or a pipe"):
        read_npy(tmp_path / "x.npy")


def test_archives_that_unpack_to_too_much_or_are_encrypted(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(1 << 22))
    with pytest.raises(InputError, match=r"unpacks to 4,194,304 bytes; at most 1,048,576"):
        read_npz(tmp_path / "x.npz", 1 << 20)
    packed = io.BytesIO()
    np.savez(packed, a=VALUES)
    raw = bytearray(packed.getvalue())
    for mark, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        raw[raw.index(mark) + flags] |= 1
    (tmp_path / "y.npz").write_bytes(raw)
    with pytest.raises(InputError, match="encrypted"):
        read_npz(tmp_path / "y.npz")


def test_a_flipped_bit_in_an_archive_is_noticed(tmp_path):
    np.savez(tmp_path / "x.npz", a=VALUES)
    raw = bytearray((tmp_path / "x.npz").read_bytes())
    raw[raw.index(b"\x93NUMPY") + 140] ^= 1
    (tmp_path / "x.npz").write_bytes(raw)
    with pytest.raises(InputError, match="CRC"):
        read_npz(tmp_path / "x.npz")


@pytest.mark.parametrize("error", [RecursionError, ZeroDivisionError, MemoryError, StopIteration, EOFError, OverflowError, AssertionError])
def test_whatever_a_library_throws_names_the_file_and_the_remedy(error):
    with pytest.raises(InputError, match=r"x\.bin cannot be read as a thing .*; get another"), reading("x.bin", "a thing", "get another"):
        raise error


def test_unsigned_integers_beyond_the_registers_are_refused_on_every_backend():
    source, huge = Input("input", (1,), 1.0, 0, 255), np.array([[2**63]], np.uint64)
    for take in (encode, physical_input):
        with pytest.raises(InputError, match=f"integers {2**63}"):
            take(source, huge, 1)
