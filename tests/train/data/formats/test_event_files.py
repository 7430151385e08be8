"""Readers of event files against files written here, and damaged ones."""

import struct
import zipfile

import h5py
import numpy as np
import pytest
from support.files.event_writers import aedat3, columns, dat, davis346, dvs128, hdf5, write

from spikeport.export.common.errors import InputError
from spikeport.train.data.formats.aedat import header_end
from spikeport.train.data.formats.event_bins import EventBins, event_counts
from spikeport.train.data.formats.event_files import read_events

EVENTS = [(0, 0, 0, 1), (33, 0, 40, 0), (0, 33, 40, 1), (5, 7, 99, 0), (33, 33, 8000, 1)]


def as_list(events):
    return list(zip(*(column.tolist() for column in (events.x, events.y, events.t, events.p))))


@pytest.mark.parametrize("suffix", [".bin", ".aedat", ".dat", ".npy", ".npz", ".h5"])
def test_every_format_gives_the_events_back(tmp_path, suffix):
    write(tmp_path / f"r{suffix}", EVENTS)
    found = read_events(tmp_path / f"r{suffix}")
    assert as_list(found) == EVENTS
    assert found.sensor == {".aedat": (128, 128), ".dat": (34, 34)}.get(suffix)


def test_davis_addresses(tmp_path):
    events = [(345, 0, 7, 1), (0, 259, 9, 0), (12, 34, 10, 1)]
    frame = struct.pack(">II", 1 << 31 | 5 << 12, 8) + struct.pack(">II", 1 << 10, 8)
    (tmp_path / "r.aedat").write_bytes(davis346(events) + frame)
    found = read_events(tmp_path / "r.aedat")
    assert as_list(found) == events and found.sensor == (260, 346)


def test_events_that_begin_like_a_header_line(tmp_path):
    """A first byte 0x23 is the mark of a header line and a row of the sensor too."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        events = [tuple(map(int, event)) for event in np.column_stack([rng.integers(0, high, 20) for high in (346, 260, 1 << 31, 2)])]
        events[0] = (events[0][0], 259 - (0x23 << 2 | events[0][1] % 4), *events[0][2:])
        raw = davis346(events)
        assert raw[-160:-159] == b"#"
        (tmp_path / "r.aedat").write_bytes(raw)
        assert as_list(read_events(tmp_path / "r.aedat")) == events


@pytest.mark.parametrize("text", ["# AEChip: DAVIS346\n", "#\n", "#\tJörg, Zürich\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_header_ends_behind_its_last_line(text, newline):
    header = f"#!AER-DAT2.0\n{text}".replace("\n", newline).encode()
    for first in (b"", b"\x00#\r\n", b"#\x0b\xff\n", b"\n#\n"):
        assert header_end(header + first, b"#") == len(header)
    assert header_end(b"no header", b"#") == 0


def test_a_file_of_jaer_that_names_no_chip_is_of_the_dvs128(tmp_path):
    external = struct.pack(">II", 1 << 15, 50)
    (tmp_path / "r.aedat").write_bytes(dvs128(EVENTS, chip="") + external)
    assert as_list(read_events(tmp_path / "r.aedat")) == EVENTS


def test_packets_of_aedat_3(tmp_path):
    events = [*EVENTS, (127, 127, (1 << 31) + 5, 0)]
    raw = bytearray(aedat3(events[:3]) + aedat3(events[3:5]).partition(b"HEADER\r\n")[2] + aedat3(events[5:]).partition(b"HEADER\r\n")[2])
    (tmp_path / "r.aedat").write_bytes(raw)
    found = read_events(tmp_path / "r.aedat")
    assert as_list(found) == events and found.sensor == (128, 128)
    first = raw.index(b"HEADER\r\n") + 8 + 36 + 28
    raw[first] &= 0xFE
    (tmp_path / "r.aedat").write_bytes(raw)
    assert as_list(read_events(tmp_path / "r.aedat")) == events[1:]


def test_structured_arrays_and_other_layouts(tmp_path):
    fields = np.dtype([("t", "<f8"), ("x", "<u2"), ("y", "<u2"), ("p", "?")])
    np.save(tmp_path / "r.npy", np.array([(t / 1e6, x, y, p) for x, y, t, p in EVENTS], fields))
    found = read_events(tmp_path / "r.npy")
    assert as_list(found) == [(x, y, t / 1e6, p) for x, y, t, p in EVENTS]
    hdf5(tmp_path / "r.hdf5", [(x, y, t, 2 * p - 1) for x, y, t, p in EVENTS], group="")
    assert as_list(read_events(tmp_path / "r.hdf5")) == EVENTS


def damaged(raw, name="r.aedat"):
    return lambda folder: (folder / name).write_bytes(raw)


def saved(**arrays):
    return lambda folder: np.savez(folder / "r.npz", **{**columns(EVENTS), **arrays})


def compressed(path):
    """A byte in the middle of a column's compressed part is another."""
    np.savez_compressed(path, **{name: np.tile(column, 200) for name, column in columns(EVENTS).items()})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"x.npy") + 30] ^= 0xFF
    path.write_bytes(raw)


def header(shape, descr="<f8", version=1):
    """A .npy file's header, without the numbers that it claims."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY" + bytes((version, 0)) + struct.pack("<H" if version == 1 else "<I", len(text)) + text


def zipped(raw):
    def make(folder):
        with zipfile.ZipFile(folder / "r.npz", "w") as parts:
            for name in "xytp":
                parts.writestr(f"{name}.npy", raw)

    return make


def hdf5_with(**members):
    """x, y, t and p, some of them made by functions of the file, their name and the folder."""

    def make(folder):
        with h5py.File(folder / "r.h5", "w") as file:
            for name, column in columns(EVENTS).items():
                if name in members:
                    members[name](file, name, folder)
                else:
                    file[name] = column
            for name in members.keys() - columns(EVENTS).keys():
                members[name](file, name, folder)

    return make


def outside(file, name, folder):
    file.create_dataset(name, (5,), "u1", external=[(__file__, 0, 5)])


def virtual(file, name, folder):
    layout = h5py.VirtualLayout((5,), "i8")
    layout[:] = h5py.VirtualSource(__file__, "x", (5,))
    file.create_virtual_dataset(name, layout)


def linked(link):
    return lambda file, name, folder: file.__setitem__(name, link)


def listed(*args, **options):
    return lambda file, name, folder: file.create_dataset(name, *args, **options)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (damaged(b"1234", "r.bin"), "no whole number"),
        (damaged(b"12345678"), "does not begin with #!AER-DAT"),
        (damaged(dvs128(EVENTS)[:-3]), "no whole number"),
        (damaged(dvs128(EVENTS, "# AEChip: Tmpdiff128\r\n")), "Tmpdiff128"),
        (damaged(dvs128(EVENTS, "# AEChip: DAVIS77\r\n")), "size is not known"),
        (damaged(b"#!AER-DAT4.0\r\n"), "AEDAT 4.0; 2.0 and 3.1 are read"),
        (damaged(b"#!AER-DAT3.1\r\n#Format: RAW\r\n"), "no end of its header"),
        (damaged(aedat3(EVENTS)[:-1]), "damaged packet"),
        (damaged(aedat3(EVENTS) + b"x"), "damaged packet"),
        (damaged(b"% Version 1\n\x00\x08", "r.dat"), "version 1"),
        (damaged(b"% Version 2\n\x0c\x08123", "r.dat"), "no 8-byte"),
        (damaged(b"% Version 2\n", "r.dat"), "no 8-byte"),
        (damaged(b"no array", "r.npy"), "cannot be read"),
        (damaged(b"no zip", "r.npz"), "cannot be read"),
        (damaged(b"no file", "r.h5"), "no readable HDF5 file"),
        (damaged(b"", "r.txt"), "no recording that is known"),
        (lambda folder: np.save(folder / "r.npy", np.zeros((3, 5))), r"expected \(events, 4\)"),
        (lambda folder: np.save(folder / "r.npy", np.array([{}]), allow_pickle=True), "holds Python objects"),
        (lambda folder: np.savez(folder / "r.npz", x=np.zeros(3)), "cannot be read"),
        (lambda folder: compressed(folder / "r.npz"), "cannot be read"),
        (lambda folder: np.savez(folder / "r", **columns(EVENTS)) or (folder / "r.npz").rename(folder / "r.npy"), "is an archive"),
        (damaged(header((1 << 46, 4)), "r.npy"), "claims shape"),
        (damaged(header((1 << 62, 4), version=2), "r.npy"), "claims shape"),
        (damaged(header((5, 4), version=3), "r.npy"), "version"),
        (damaged(header((1 << 20,), "<U1000000"), "r.npy"), "claims shape"),
        (damaged(header((5, 4)), "r.npy"), "but holds"),
        (damaged(header(())[:20], "r.npy"), "cannot be read"),
        (damaged(b"\x93NUMPY\x01\x00\x05\x00((((\n", "r.npy"), "cannot be read"),
        (zipped(header((1 << 46,))), "claims shape"),
        (zipped(b"no array"), "cannot be read"),
        (hdf5_with(x=outside), "in another file"),
        (hdf5_with(t=virtual), "in another file"),
        (hdf5_with(x=linked(h5py.ExternalLink("other.h5", "/x"))), "link"),
        (hdf5_with(events=linked(h5py.ExternalLink("other.h5", "/"))), "link"),
        (hdf5_with(t=linked(h5py.SoftLink("/x"))), "link"),
        (hdf5_with(y=lambda file, name, folder: None), "is no list of numbers"),
        (hdf5_with(events=listed((5,), "i8")), "no group"),
        (hdf5_with(x=listed((5,), h5py.string_dtype())), "no list of numbers"),
        (hdf5_with(x=listed(data=h5py.Empty("i8"))), "no list of numbers"),
        (hdf5_with(x=listed(((1 << 26) + 1,), "i1", chunks=(1 << 20,))), "claims"),
        (hdf5_with(x=listed((5,), "i1", chunks=((1 << 26) + 1,), maxshape=(None,))), "limit"),
        (saved(x=np.zeros(2)), "equally long"),
        (saved(x=np.full(5, "a")), "lists of numbers"),
        (saved(t=np.full(5, np.nan)), "not finite"),
        (saved(t=np.array([0, 1, 2, 3, -np.inf])), "not finite"),
        (saved(t=np.array([-1e308, 0, 1, 2, 1e308])), "2\\^62"),
        (saved(t=np.array([0, 1, 2, 3, 1 << 63], np.uint64)), "2\\^62"),
        (saved(t=np.array([0, 1, 2, 3, -(1 << 63)])), "2\\^62"),
        (damaged(dat(EVENTS, width=99999999999), "r.dat"), "34 x 99999999999"),
        (damaged(dat(EVENTS, height=0), "r.dat"), "0 x 34"),
        (damaged(dat([*EVENTS, (2048, 5, 9000, 1)]), "r.dat"), "pixels beyond"),
        (damaged(aedat3([*EVENTS, (5, 16000, 9000, 1)])), "pixels beyond"),
        (damaged(davis346([*EVENTS, (5, -252, 9000, 1)])), "pixels beyond"),
        (saved(y=np.full(5, np.nan)), "pixels beyond"),
        (saved(x=np.full(5, -1)), "pixels beyond"),
        (saved(p=np.full(5, 2)), "polarities"),
    ],
)
def test_damaged_files_are_one_clear_error(tmp_path, make, said):
    make(tmp_path)
    (path,) = tmp_path.iterdir()
    with pytest.raises(InputError, match=said) as error:
        read_events(path)
    assert str(error.value).count(str(path)) == 1 and "\n" not in str(error.value)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_events(tmp_path / "r.npz")


def test_the_largest_addresses_and_times_are_read(tmp_path):
    last = (1 << 62) - 1024
    np.savez(
        tmp_path / "r.npz", x=np.array([0, 2047.0]), y=np.array([True, False]), t=np.array([-last, last]), p=np.array([0, 1], np.uint8)
    )
    found = read_events(tmp_path / "r.npz")
    assert found.size == (2, 2048) and [column.dtype for column in (found.x, found.y, found.t)] == [np.int64] * 3
    assert as_list(found) == [(0, 1, -last, 0), (2047, 0, last, 1)]
    assert event_counts(found, 3, EventBins(size=2), sensor=found.size, where="here").nonzero()[0].tolist() == [0, 2]
