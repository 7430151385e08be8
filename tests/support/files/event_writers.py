"""Event files written with struct from the formats' descriptions, independently of the readers.

An event is (x, y, t, p), p 1 for brighter.
"""

import struct

import h5py
import numpy as np


def n_mnist(events):
    return b"".join(bytes((x, y)) + struct.pack(">I", p << 23 | t)[1:] for x, y, t, p in events)


def dvs128(events, chip="# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n"):
    header = f"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n{chip}".encode()
    return header + b"".join(struct.pack(">II", 127 - y << 8 | 127 - x << 1 | 1 - p, t) for x, y, t, p in events)


def davis346(events):
    header = b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.Davis346blue\r\n"
    return header + b"".join(struct.pack(">II", 259 - y << 22 | x << 12 | p << 11, t) for x, y, t, p in events)


def aedat3(events, packet=3):
    """Packets of three events, every fourth behind one of another type; times of the second half
    have overflown once.
    """
    raw = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#Start-Time: 2016-09-01\r\n#!END-HEADER\r\n"
    for start in range(0, len(events), packet):
        raw += struct.pack("<hhiiiiii", 0, 1, 8, 4, 0, 1, 1, 1) + bytes(8)
        part = events[start : start + packet]
        overflows = part[0][2] >> 31
        raw += struct.pack("<hhiiiiii", 1, 1, 8, 4, overflows, len(part), len(part), len(part))
        raw += b"".join(struct.pack("<Ii", x << 17 | y << 2 | p << 1 | 1, t & 0x7FFFFFFF) for x, y, t, p in part)
    return raw


def dat(events, width=34, height=34):
    header = f"% Data file containing CD events\n% Version 2\n% Width {width}\n% Height {height}\n".encode()
    return header + bytes((12, 8)) + b"".join(struct.pack("<II", t, p << 28 | y << 14 | x) for x, y, t, p in events)


def columns(events):
    return {name: np.array(column) for name, column in zip("xytp", zip(*events))}


def hdf5(path, events, group="events/"):
    with h5py.File(path, "w") as file:
        for name, column in columns(events).items():
            file[group + name] = column


def write(path, events):
    """A file of the format that its suffix names."""
    by_suffix = {".bin": n_mnist, ".aedat": dvs128, ".dat": dat}
    if path.suffix in by_suffix:
        path.write_bytes(by_suffix[path.suffix](events))
    elif path.suffix == ".npy":
        np.save(path, np.array(events))
    elif path.suffix == ".npz":
        np.savez(path, **columns(events))
    else:
        hdf5(path, events)
