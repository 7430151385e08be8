"""The process that opens an HDF5 file of unknown origin for `spikeport.export.common.hdf5`: h5py
and NumPy, limits, nothing else.

Run as `python -I -S hdf5_child.py FILE MEMORY SECONDS FOLDER ...`, the folders those of NumPy and
h5py. Everything it says is a line of JSON on standard output; numbers follow their line as raw
bytes. First comes one line per object of the file, then an empty one; then, for every line on
standard input, a list of numbers of objects in that order, the values of those; in the place of a
number, of ragged data, [number, start, stop]. A line with `error` is the last one.

It is started as a file without site packages and imports nothing of ours: that is what makes it
start within a seventh of a second.
"""

import contextlib
import json
import sys
from math import prod
from typing import IO, Any

MAX_OBJECTS, MAX_DEPTH = 100_000, 32
"""Objects in a file, and groups inside groups."""
MAX_TEXT = 1 << 20
"""Bytes of a piece of text of fixed length: HDF5 would allocate whatever a file says."""


class RefusedError(Exception):
    """What is wrong with a file, in words for its user."""


def limit(memory: int, seconds: int) -> None:
    """No more than so many bytes beyond what is in use, so many seconds of the processor, and no
    file is written.
    """
    import resource  # noqa: PLC0415  # not on Windows

    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        used = int(file.read().split()[0]) * resource.getpagesize()
    limits = {resource.RLIMIT_AS: used + memory, resource.RLIMIT_CPU: seconds, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    for what, most in limits.items():
        hard = resource.getrlimit(what)[1]
        within = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (within, within))


def walk(file: Any) -> "list[tuple[list[str], Any]]":
    """Every object with its way from the root; nothing is loaded, and no link is followed.

    Raises:
        RefusedError: links, data in another file, objects that are neither numbers nor text, or too
            many.
    """
    import h5py  # noqa: PLC0415

    objects: list[tuple[list[str], Any]] = []
    pending: list[tuple[list[str], Any]] = [([], file)]
    while pending:
        way, group = pending.pop()
        for name in group:
            if len(objects) >= MAX_OBJECTS or len(way) > MAX_DEPTH:
                raise RefusedError(f"holds more than {MAX_OBJECTS} objects or nests deeper than {MAX_DEPTH} groups")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise RefusedError(f"holds a link ({name}) instead of data; store the data itself there")
            item = group[name]
            objects.append(([*way, name], item))
            if isinstance(item, h5py.Group):
                pending.append(objects[-1])
    return objects


def entry(way: "list[str]", item: Any) -> "dict[str, Any]":
    """What an object is. kind: group, text, one of NumPy's kinds of numbers, ragged (a list of
    numbers in each place of one axis), or other.

    chunk: numbers that are unpacked at least, where the data lie in chunks.
    """
    import h5py  # noqa: PLC0415

    if isinstance(item, h5py.Group):
        return {"way": way, "kind": "group"}
    if not isinstance(item, h5py.Dataset):
        return {"way": way, "kind": "other", "shape": [], "bytes": 0, "chunk": 0, "type": type(item).__name__}
    if item.is_virtual or item.external:
        raise RefusedError(f"keeps {item.name} in another file; store the data itself there")
    text = h5py.check_string_dtype(item.dtype)
    kind = "text" if text else item.dtype.kind if item.dtype.kind in "fiub" else "other"
    if text and (text.length or 0) > MAX_TEXT:
        raise RefusedError(f"keeps {item.name} as text of {text.length} bytes a piece; at most {MAX_TEXT} are read")
    shape = list(item.shape or ())
    within = h5py.check_vlen_dtype(item.dtype)
    if not text and within is not None and within.kind in "fiu" and len(shape) == 1:
        return {"way": way, "kind": "ragged", "shape": shape, "bytes": within.itemsize, "chunk": 0, "type": str(within)}
    chunk = prod(item.chunks) if item.chunks else 0
    return {"way": way, "kind": kind, "shape": shape, "bytes": item.dtype.itemsize, "chunk": chunk, "type": str(item.dtype)}


def say(out: "IO[bytes]", value: Any) -> None:
    """One line."""
    out.write(json.dumps(value).encode() + b"\n")


def send(out: "IO[bytes]", item: Any) -> None:
    """The value of a dataset: text as a list in C order, numbers as bytes in this machine's order."""
    import h5py  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    value = item[()]
    if h5py.check_string_dtype(item.dtype):
        pieces = [value] if not item.shape else np.asarray(value).ravel().tolist()
        say(out, {"text": [piece.decode() if isinstance(piece, bytes) else piece for piece in pieces]})
        return
    array = np.ascontiguousarray(value)
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 8
    array = array.astype(np.float64 if wide else array.dtype.newbyteorder("="), copy=False)
    say(out, {"dtype": array.dtype.str, "bytes": array.nbytes})
    out.write(array.reshape(-1).view(np.uint8).data)


def send_ragged(out: "IO[bytes]", item: Any, start: int, stop: int) -> None:
    """Lists of numbers of so many places: how long each is, then all numbers after one another."""
    import h5py  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    lists = list(item[start:stop])
    kind = h5py.check_vlen_dtype(item.dtype).newbyteorder("=")
    for array in (np.array([len(each) for each in lists], np.int64), np.concatenate([*lists, np.empty(0, kind)]).astype(kind)):
        say(out, {"dtype": array.dtype.str, "bytes": array.nbytes})
        out.write(array.view(np.uint8).data)


def serve(path: str, out: "IO[bytes]", requests: "IO[bytes]") -> None:
    """One file, from its list of contents to the last value that is asked for."""
    import h5py  # noqa: PLC0415

    with h5py.File(path, "r") as file:
        objects = walk(file)
        for way, item in objects:
            say(out, entry(way, item))
        say(out, {})
        out.flush()
        for request in requests:
            for asked in json.loads(request):
                if isinstance(asked, list):
                    send_ragged(out, objects[asked[0]][1], *asked[1:])
                else:
                    send(out, objects[asked][1])
            out.flush()


def main() -> None:
    """Serve the file that the command line names, within the limits that it states."""
    sys.path += sys.argv[4:]
    import h5py  # noqa: F401, PLC0415  # before the limits are set
    import numpy as np  # noqa: F401, PLC0415

    path, memory, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with contextlib.suppress(ImportError, OSError, ValueError):  # systems that know no such limits; the parent's clock is left
        limit(memory, seconds)
    out = sys.stdout.buffer
    try:
        serve(path, out, sys.stdin.buffer)
    except RefusedError as error:
        say(out, {"error": str(error), "refused": True})
    except MemoryError:
        say(out, {"error": f"it needs more than {memory >> 20} MB to be read"})
    except Exception as error:
        say(out, {"error": (str(error).splitlines() or [type(error).__name__])[0]})
    out.flush()


if __name__ == "__main__":
    main()
