"""AEDAT files, iniVation's recordings of event cameras: versions 2.0 and 3.1.

Source: iniVation's documentation "AEDAT File Formats" and libcaer's `events/common.h` and
`events/polarity.h`. Text lines that begin with `#`, the first `#!AER-DAT` and a version, come ahead
of the binary part.

2.0: events of 8 bytes, big endian: 32 bits address, 32 bits microseconds. DVS128's address: bit 0
polarity, bits 1 to 7 x from the right, bits 8 to 14 y from the bottom, bit 15 for what is no pixel.
A 0 means brighter: so jAER, which wrote these files, and its kin read them (`dat2mat.m` of
CIFAR10-DVS, Li et al. 2017; SpikingJelly; DSR's code), against iniVation's page. DAVIS's: bit 10
and bit 31 for what is no pixel, bit 11 polarity, bits 12 to 21 x, bits 22 to 30 y from the bottom;
here a 1 means brighter.

3.1: packets, little endian: a header of 28 bytes (16 bits type and source; 32 bits size of an
event, offset of its time, overflows of the time, capacity, number of events, number of valid ones),
then the events. A polarity event is 32 bits (bit 0 valid, bit 1 polarity, bits 2 to 16 y, bits 17
to 31 x, both from the upper left) and 31 bits of microseconds.
"""

from __future__ import annotations

import re

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.train.data.formats.event_bins import Events

DVS128 = (128, 128)
SENSORS = {"DVS128": DVS128, "240": (180, 240), "346": (260, 346), "640": (480, 640), "128": DVS128}
"""Height and width by what a chip's name contains."""
PACKET_HEADER = np.dtype(
    [("type", "<i2"), ("source", "<i2"), *((name, "<i4") for name in ("size", "offset", "overflows", "capacity", "number", "valid"))]
)
POLARITY_TYPE, POLARITY_BYTES = 1, 8


def read_aedat(raw: bytes, where: str) -> Events:
    """The polarity events of a file.

    Raises:
        InputError: no AEDAT 2.0 or 3.1, a camera that is not known, or a damaged file.
    """
    version = re.match(rb"#!AER-DAT(\d\.\d)", raw)
    if version is None:
        raise InputError(f"{where} does not begin with #!AER-DAT and a version; is it another format?")
    readers = {b"2.0": _read_2, b"3.1": _read_3}
    if version[1] not in readers:
        raise InputError(f"{where} is AEDAT {version[1].decode()}; 2.0 and 3.1 are read, save x, y, t and p of others as .npz")
    return readers[version[1]](raw, where)


def header_end(raw: bytes, mark: bytes) -> int:
    """Where the lines of text that begin with a mark end: no control characters but tabs, and the
    first line's way to end a line.

    Events whose bytes happen to look like such a line are still taken for one: `#` first, then
    nothing but text up to a line's end. Where lines end in CR LF, as jAER writes them, that is one
    recording in millions; where they end in LF alone, up to one DAVIS recording in some thousands.
    What it cuts off is seldom a whole number of events, so that most of these are refused, not
    misread.
    """
    line = mark + rb"[^\x00-\x08\x0a-\x1f\x7f]*"
    header = re.match(line + rb"(\r?\n)(?:" + line + rb"\1)*", raw)
    return header.end() if header else 0


def _read_2(raw: bytes, where: str) -> Events:
    end = header_end(raw, b"#")
    if (len(raw) - end) % 8:
        raise InputError(f"{where} holds {len(raw) - end} bytes of events, no whole number of 8-byte events; get a fresh copy")
    address, time = np.frombuffer(raw, ">u4", offset=end).reshape(-1, 2).astype(np.int64).T
    chip = re.search(rb"# AEChip: *(\S+)", raw[:end])
    name = chip[1].decode("ascii", "replace") if chip else "DVS128"
    if "DAVIS" in name.upper():
        return _davis(address, time, _sensor(name, where))
    if "DVS128" in name:
        return _dvs128(address, time)
    raise InputError(f"{where} was recorded by {name}, whose addresses are not known; save x, y, t and p as .npz")


def _dvs128(address: np.ndarray, time: np.ndarray) -> Events:
    pixel = address & 0x8000 == 0
    a = address[pixel]
    return Events(127 - (a >> 1 & 0x7F), 127 - (a >> 8 & 0x7F), time[pixel], 1 - (a & 1), DVS128)


def _davis(address: np.ndarray, time: np.ndarray, sensor: tuple[int, int]) -> Events:
    pixel = address & 0x80000400 == 0
    a = address[pixel]
    return Events(a >> 12 & 0x3FF, sensor[0] - 1 - (a >> 22 & 0x1FF), time[pixel], a >> 11 & 1, sensor)


def _sensor(name: str, where: str) -> tuple[int, int]:
    for part, sensor in SENSORS.items():
        if part in name:
            return sensor
    raise InputError(f"{where} was recorded by {name}, whose size is not known; save x, y, t and p as .npz")


def _read_3(raw: bytes, where: str) -> Events:
    marker = b"#!END-HEADER\r\n"
    start = raw.find(marker)
    if start < 0:
        raise InputError(f"{where} has no end of its header; get a fresh copy")
    source = re.search(rb"#Source \d+: *(\S+)", raw[:start])
    parts = [np.empty((0, 3), np.int64)]
    at = start + len(marker)
    while at < len(raw):
        at, packet = _packet(raw, at, where)
        parts.append(packet)
    data, time, overflows = np.concatenate(parts).T
    valid = data & 1 == 1
    data = data[valid]
    sensor = _sensor(source[1].decode("ascii", "replace"), where) if source else None
    return Events(data >> 17, data >> 2 & 0x7FFF, (time + (overflows << 31))[valid], data >> 1 & 1, sensor)


def _packet(raw: bytes, at: int, where: str) -> tuple[int, np.ndarray]:
    """Where the next packet begins, and `(events, 3)`: data, time and overflows of polarity events;
    none of other packets.
    """
    body = at + PACKET_HEADER.itemsize
    head = np.frombuffer(raw[at:body], PACKET_HEADER)[0] if body <= len(raw) else None
    if head is None or head["size"] < 1 or not 0 <= head["number"] <= head["capacity"]:
        raise InputError(f"{where} has a damaged packet at byte {at}; get a fresh copy")
    end = body + int(head["size"]) * int(head["capacity"])
    if end > len(raw) or (head["type"] == POLARITY_TYPE and head["size"] != POLARITY_BYTES):
        raise InputError(f"{where} has a damaged packet at byte {at}; get a fresh copy")
    if head["type"] != POLARITY_TYPE:
        return end, np.empty((0, 3), np.int64)
    events = np.frombuffer(raw, "<u4", int(head["number"]) * 2, body).reshape(-1, 2).astype(np.int64)
    return end, np.column_stack([events, np.full(len(events), int(head["overflows"]))])
