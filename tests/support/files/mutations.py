"""Seeded damage to files: bytes, structure of HDF5, headers of arrays, values of JSON and TOML."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Mutate = Callable[[bytes, np.random.Generator], bytes]
BIG = (0, -1, 1, 255, 2**31, 2**63, 2**64 - 1, 10**30)
HOSTILE_NAMES = ("\x1b[2J\x07", "a\u202eb", "x" * 100_000, "a\nb", "", "..", "\ud800", "\u0000")
"""A terminal's commands, text turned around, great length, two lines, nothing, half a character."""


def bytes_changed(raw: bytes, rng: np.random.Generator) -> bytes:
    """Flipped bits, a part cut out, doubled, overwritten with one byte or drawn anew, or the end
    missing.
    """
    data = bytearray(raw)
    kind = rng.integers(6)
    a, b = sorted(int(k) for k in rng.integers(0, len(data) + 1, 2))
    b = min(b, a + int(rng.integers(1, 200)))
    if kind == 0:
        for at in rng.integers(0, len(data), int(rng.integers(1, 20))):
            data[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del data[a:b]
    elif kind == 2:
        data[b:b] = data[a:b]
    elif kind == 3:
        data[a:b] = bytes([int(rng.choice([0, 255, 127, 65]))]) * (b - a)
    elif kind == 4:
        data[a:b] = rng.bytes(b - a)
    else:
        del data[int(rng.integers(len(data))) :]
    return bytes(data)


def numbers_in_head(raw: bytes, rng: np.random.Generator) -> bytes:
    """A number of the first 400 bytes, where headers state sizes, overwritten: 1, 2, 4 or 8 bytes
    of an extreme value.
    """
    data, width = bytearray(raw), int(rng.choice([1, 2, 4, 8]))
    at = int(rng.integers(0, max(1, min(len(data), 400) - width)))
    value = int(rng.choice([0, 1, 127, 128, 255])) if width == 1 else BIG[int(rng.integers(len(BIG) - 1))] % (1 << 8 * width)
    data[at : at + width] = value.to_bytes(width, str(rng.choice(["big", "little"])))
    return bytes(data)


def hdf5_changed(raw: bytes, rng: np.random.Generator) -> bytes:
    """One object of an HDF5 file replaced: other shape, type, values or name, a link, a huge
    constant, a group, or nothing.
    """
    memory = io.BytesIO(raw)
    with h5py.File(memory, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = names[int(rng.integers(len(names)))]
        old, kind = file[name], int(rng.integers(12))
        value = old[()] if isinstance(old, h5py.Dataset) else None
        if kind == 0:
            del file[name]
        elif kind == 1 and len(names) > 1:
            other = names[int(rng.integers(len(names)))]
            del file[name]
            file[name] = file[other] if other in file else 1
        elif kind == 2:
            file.move(name, name + HOSTILE_NAMES[int(rng.integers(4))].replace("\x00", ""))
        elif kind == 3:
            del file[name]
            file[name] = h5py.SoftLink("/") if rng.integers(2) else h5py.ExternalLink("/etc/hostname", "/")
        else:
            del file[name]
            _replaced(file, name, value, kind, rng)
    return memory.getvalue()


def _replaced(file: h5py.File, name: str, value: Any, kind: int, rng: np.random.Generator) -> None:
    number = isinstance(value, (np.ndarray, np.generic)) and np.asarray(value).dtype.kind in "fiub"
    array = np.atleast_1d(np.asarray(value)) if number else np.ones(3)
    if kind == 4:
        file.create_dataset(name, shape=(20_000, 6_000), dtype="f4", chunks=(1000, 1000), compression="gzip", fillvalue=1.0)
    elif kind == 5:
        file[name] = array.astype(rng.choice(["f2", ">f8", "u8", "i1", "c8", "?"]))
    elif kind == 6:
        flat = array.astype(np.float64).ravel()
        flat[int(rng.integers(len(flat))) if len(flat) else slice(0)] = rng.choice([np.nan, np.inf, -1.0, 0.0, 1e300, 1e-300, 2.0**63])
        file[name] = flat.reshape(array.shape)
    elif kind == 7:
        file[name] = array.reshape((1,) * int(rng.integers(1, 30)) + array.shape)
    elif kind == 8:
        file[name] = array[: len(array) // 2] if rng.integers(2) else np.concatenate([array, array])
    elif kind == 9:
        file.create_group(name)["type"] = "NIRGraph"
    elif kind == 10:
        file[name] = HOSTILE_NAMES[int(rng.integers(5))] + "LIF"
    else:
        file[name] = json.dumps(json_value(rng)) if rng.integers(2) else int(rng.choice([0, -1, 7, 2**31, 2**62]))


def json_value(rng: np.random.Generator, depth: int = 0) -> Any:
    """Some value."""
    simple = [None, True, 0, -1, 1e308, 2**63, 10**40, "", *HOSTILE_NAMES[:5], "digits", [], {}, [[]], 0.5]
    kind = int(rng.integers(len(simple) + 2))
    if kind < len(simple) or depth > 3:
        return simple[kind % len(simple)]
    return [json_value(rng, depth + 1)] * 3 if kind == len(simple) else {str(json_value(rng, depth + 1)): json_value(rng, depth + 1)}


def json_changed(raw: bytes, rng: np.random.Generator) -> bytes:
    """One value of a JSON text replaced, left out, or given another key; or the whole nested a
    thousand times.
    """
    value = json.loads(raw)
    places: list[tuple[Any, Any]] = []
    pending = [value]
    while pending:
        each = pending.pop()
        keys = each.keys() if isinstance(each, dict) else range(len(each)) if isinstance(each, list) else ()
        places += [(each, key) for key in keys]
        pending += [each[key] for key in keys]
    if not places or rng.integers(40) == 0:
        return b"[" * 100_000 if rng.integers(2) else b'{"a":' * 500 + raw + b"}" * 500
    holder, key = places[int(rng.integers(len(places)))]
    if isinstance(holder, dict) and rng.integers(4) == 0:
        changed = holder.pop(key)
        if rng.integers(2):
            holder[HOSTILE_NAMES[int(rng.integers(5))]] = changed
    else:
        holder[key] = json_value(rng)
    return json.dumps(value).encode()


def toml_changed(raw: bytes, rng: np.random.Generator) -> bytes:
    """One value of a TOML text replaced, one line doubled or missing, or deep nesting."""
    lines = raw.decode().splitlines()
    at = int(rng.integers(len(lines)))
    kind = int(rng.integers(5))
    values = [
        "1e400",
        "nan",
        "-1",
        "0",
        "9" * 5000,
        '"\\u202e"',
        "[1, 2]",
        "{a = 1}",
        "1979-05-27",
        '"' + "x" * 10000 + '"',
        "true",
        "16777217",
    ]
    if kind < 3:
        lines[at] = re.sub(r"=.*", lambda _: "= " + values[int(rng.integers(len(values)))], lines[at])
    elif kind == 3:
        lines.insert(at, lines[int(rng.integers(len(lines)))])
    else:
        lines[at] = "x = " + "[" * 20_000 if rng.integers(2) else "[" + "a." * 20_000 + "b]"
    return "\n".join(lines).encode()


def npy_changed(raw: bytes, rng: np.random.Generator) -> bytes:
    """Another header before the same numbers: odd notation, other shapes and types; version 2 or 3."""
    array = np.load(io.BytesIO(raw))
    shapes = [array.shape, (2**62, 8), (-1,), (True, *array.shape), (), (10**30,), array.shape[::-1], (1,) * 40, "x", (0, 2**61)]
    kinds = [array.dtype.str, ">f4", "|O", "<f16", "<c8", "|S0", "<U9", "|V4", "<M8[s]", "zz", [("a", "<f4"), ("b", "|O")], None]
    head = {
        "descr": kinds[int(rng.integers(len(kinds)))],
        "fortran_order": [False, True, 7][int(rng.integers(3))],
        "shape": shapes[int(rng.integers(len(shapes)))],
    }
    text = [repr(head), repr(head) + "\\\n", "(" * 3000, "{'descr': '<f4', 'shape': (10L,), 'fortran_order': False, }", "\x00", "[" * 90][
        int(rng.integers(6))
    ]
    version, size = (b"\x01\x00", 2) if rng.integers(2) else (bytes([int(rng.integers(1, 4)), 0]), 4)
    return b"\x93NUMPY" + version + len(text).to_bytes(size, "little") + text.encode() + array.tobytes()


def npz_changed(raw: bytes, rng: np.random.Generator) -> bytes:
    """One member replaced, doubled, left out, encrypted by its flag, or full of zeros by the
    gigabyte.
    """
    source, target = zipfile.ZipFile(io.BytesIO(raw)), io.BytesIO()
    names = source.namelist()
    at, kind = int(rng.integers(len(names))), int(rng.integers(6))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as zipped:
        for number, name in enumerate(names):
            data = source.read(name)
            if number == at and kind == 0:
                continue
            if number == at and kind in (1, 2):
                data = npy_changed(data, rng) if kind == 1 else bytes_changed(data, rng)
            if number == at and kind == 3:
                data += bytes(30_000_000)
            zipped.writestr(name if number != at or kind != 4 else HOSTILE_NAMES[int(rng.integers(4))][:60_000], data)
    done = target.getvalue()
    return done.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00") if kind == 5 else done


def gz_changed(raw: bytes, rng: np.random.Generator) -> bytes:
    """What is inside is damaged, then packed again."""
    mutate = bytes_changed if rng.integers(2) else numbers_in_head
    return gzip.compress(mutate(gzip.decompress(raw), rng), 1)


def tar_changed(raw: bytes, rng: np.random.Generator) -> bytes:
    """A member's contents damaged, then packed again."""
    target = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(raw)) as old, tarfile.open(fileobj=target, mode="w:gz") as new:
        members = old.getmembers()
        at = int(rng.integers(len(members)))
        for number, member in enumerate(members):
            data = old.extractfile(member).read()
            data = bytes_changed(data, rng) if number == at else data
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return target.getvalue()


def mutations_for(path: Path) -> tuple[Mutate, ...]:
    """What fits a file; damage to its bytes always does."""
    own: dict[str, tuple[Mutate, ...]] = {
        ".nir": (hdf5_changed, hdf5_changed, hdf5_changed),
        ".net": (hdf5_changed, hdf5_changed, hdf5_changed),
        ".h5": (hdf5_changed, hdf5_changed),
        ".json": (json_changed, json_changed, json_changed),
        ".toml": (toml_changed, toml_changed),
        ".npy": (npy_changed, npy_changed),
        ".npz": (npz_changed, npz_changed),
        ".gz": (tar_changed if ".tar" in path.name else gz_changed,),
    }
    return (bytes_changed, numbers_in_head, *own.get(path.suffix, ()))
