"""A record that grows on disk, some samples after the other, and goes on where a killed process
left it.

Meanwhile it lies in a folder beside its place, `OUT.unfinished`: an `.npy` file per array, and how
many samples all of them hold. In the end the folder takes its place, where that is called
`*.record`, or is packed into an `.npz` file there.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np

from spikeport.export.common.arrays import open_npy
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import check_folder, read_json, write_json, writing, written
from spikeport.export.common.lock import LOCK, locked

FOLDER, UNFINISHED = ".record", ".unfinished"
STATE, MADE_OF = "record.json", "made_of"
COPIED = 1 << 20
"""Bytes of a file that are packed at a time."""


class GrowingRecord:
    """Arrays of samples, the first axis of each. done: samples that they hold. of: how many there
    will be. tally: numbers and text that go with the samples done, as JSON.
    """

    def __init__(self, folder: Path, state: Mapping[str, Any]) -> None:
        self._folder, self._state = folder, state
        self.done: int = state["done"]
        self.of: int = state["of"]
        self.tally: dict[str, Any] = dict(state["tally"])

    def append(self, arrays: Mapping[str, np.ndarray], tally: Mapping[str, Any]) -> None:
        """Add the next samples, as many rows to every array. tally: what holds with them.

        Raises:
            OutputError: the disk is full, or the folder is gone.
        """
        (count,) = {len(array) for array in arrays.values()}
        with writing(self._folder):
            for name, array in arrays.items():
                _append(_file(self._folder, name), array, self.done, self.of)
        self.done, self.tally = self.done + count, dict(tally)
        self.write_state()

    def array(self, name: str) -> np.ndarray:
        """One of the arrays, once it is complete; a large one stays in its file."""
        return open_npy(_file(self._folder, name))

    def write_state(self) -> None:
        """Say on disk how far it is."""
        write_json(self._folder / STATE, {**self._state, "done": self.done, "tally": self.tally})


@contextmanager
def growing(
    place: Path, run: Mapping[str, Any], made_of: Mapping[str, str], samples: int, *, force: bool = False
) -> Iterator[GrowingRecord]:
    """A record on its way to `place`, which is written when the block ends.

    What is unfinished of the same run is gone on with. Where an error of the user's or of the disk
    ends the block, nothing is left; where it is killed or interrupted, or a backend fails, what is
    done stays.

    Args:
        run: what decides on the content, as JSON. made_of: digests of network and input.
        samples: how many there will be.
        force: begin anew where another run is unfinished.

    Raises:
        InputError: another run is unfinished there, or another process is at work.
        OutputError: it cannot be written.
    """
    folder = unfinished(place)
    check_folder(place.parent)
    try:
        with locked(folder):
            grown = _begun(folder, {"run": dict(run), MADE_OF: dict(made_of), "done": 0, "of": samples, "tally": {}}, force)
            try:
                yield grown
                assert grown.done == samples, f"{grown.done} of {samples} samples came"
                with writing(place):
                    (_move if place.suffix == FOLDER else _pack)(folder, place, made_of, grown.tally)
            except BaseException as error:
                if isinstance(error, InputError) or not grown.done:
                    _clear(folder)
                raise
    finally:
        with suppress(OSError):  # it is empty, and an earlier process made it
            folder.rmdir()


def unfinished(place: Path) -> Path:
    """Where a record lies until it is finished."""
    return place.with_name(place.name + UNFINISHED)


def read_state(folder: Path) -> dict[str, Any]:
    """What a record that is a folder says of itself: `run`, `made_of`, `done`, `of` and `tally`;
    empty where it is no such folder, or a damaged one.
    """
    try:
        state = read_json(folder / STATE)
    except InputError:
        return {}
    kinds = {"run": dict, MADE_OF: dict, "done": int, "of": int, "tally": dict}
    return state if isinstance(state, dict) and all(isinstance(state.get(key), kind) for key, kind in kinds.items()) else {}


def _begun(folder: Path, state: dict[str, Any], force: bool) -> GrowingRecord:
    kept = read_state(folder)
    if not kept and [path for path in folder.iterdir() if path.name != LOCK]:
        raise InputError(f"{folder} is no unfinished record of spikeport, or is damaged; move it away, or choose another --out")
    if kept and not force:
        if any(kept[key] != state[key] for key in ("run", MADE_OF, "of")):
            raise InputError(f"{folder} holds an unfinished run of another command; --force begins anew, or choose another --out")
        return GrowingRecord(folder, kept)
    _clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    grown = GrowingRecord(folder, state)
    grown.write_state()
    return grown


def _file(folder: Path, name: str) -> Path:
    """Of an array called `output` or `spikes/<node>`; no name of a node leads out of the folder."""
    group, _, node = name.partition("/")
    return folder / group / f"{quote(node, safe='')}.npy" if node else folder / f"{group}.npy"


def arrays_of(folder: Path) -> dict[str, Path]:
    """Files of the arrays by name."""
    files = sorted([*folder.glob("*.npy"), *folder.glob("*/*.npy")])
    return {"/".join([*path.relative_to(folder).parts[:-1], unquote(path.name.removesuffix(".npy"))]): path for path in files}


def _append(path: Path, array: np.ndarray, done: int, of: int) -> None:
    """Write rows behind the first `done`; what a killed process wrote beyond them goes."""
    path.parent.mkdir(exist_ok=True)
    header = io.BytesIO()
    whole = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": (of, *array.shape[1:])}
    np.lib.format.write_array_header_1_0(header, whole)
    row = array.dtype.itemsize * prod(array.shape[1:])
    with path.open("r+b" if done else "wb") as file:
        if not done:
            file.write(header.getvalue())
        file.truncate(header.tell() + done * row)
        file.seek(0, io.SEEK_END)
        file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _move(folder: Path, place: Path, made_of: Mapping[str, str], tally: Mapping[str, Any]) -> None:
    """The folder itself is the record."""
    if place.is_dir():
        _clear(place)
    folder.replace(place)
    (place / LOCK).unlink(missing_ok=True)


def _pack(folder: Path, place: Path, made_of: Mapping[str, str], tally: Mapping[str, Any]) -> None:
    """An `.npz` file of the arrays and of what goes with them."""
    small = {f"{group}/{name}": value for group in ("overflows", "notes") for name, value in tally.get(group, {}).items()}
    small[MADE_OF] = json.dumps(dict(made_of))
    with written(place) as file, ZipFile(file, "w", ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for name, path in arrays_of(folder).items():
            with path.open("rb") as source, archive.open(_member(name), "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target, COPIED)
        for name, value in small.items():
            with archive.open(_member(name), "w") as target:
                np.lib.format.write_array(target, np.array(value))
    _clear(folder)


def _member(name: str) -> ZipInfo:
    """Of an archive, the same whenever it is made."""
    member = ZipInfo(f"{name}.npy")
    member.compress_type = ZIP_DEFLATED
    return member


def _clear(folder: Path) -> None:
    """Remove what is a record's, and the folders that are then empty."""
    for path in (*arrays_of(folder).values(), folder / STATE, *folder.glob(f".{Path(STATE).stem}-*")):
        path.unlink(missing_ok=True)
    for path in (*(path for path in folder.glob("*") if path.is_dir()), folder):
        with suppress(OSError):
            path.rmdir()
