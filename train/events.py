"""Recordings of event cameras in N-MNIST's format (Orchard et al. 2015), counted in bins of time.

An event is 5 bytes: x, y, then 1 bit polarity and 23 bits of time in microseconds, big endian. y = 240 marks that 2^13 microseconds
more have passed, for all that follow; it is no event.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from spikeport.export.errors import InputError
from spikeport.train.dataset import Dataset, Split, Task, cut

EVENT_BYTES, OVERFLOW_ROW, OVERFLOW_TIME = 5, 240, 1 << 13
SENSOR = (34, 34)
DURATION = 300_000
"""Microseconds of an N-MNIST recording that are used: three saccades of 100 ms."""
COUNT_MAX = 255
SMALL = "nmnist_small_bs2.tar.gz"


def event_counts(raw: bytes, timesteps: int, *, sensor: tuple[int, int], duration: int, where: str) -> np.ndarray:
    """Events per bin, polarity and pixel, uint8 `(timesteps, 2, height, width)`, saturated at 255; polarity 0 is darker.

    duration: microseconds that the bins share evenly; what comes later is left out. where: names the recording in errors.

    Raises:
        InputError: no whole number of events, or one beyond the sensor.
    """
    if len(raw) % EVENT_BYTES:
        raise InputError(f"{where} holds {len(raw)} bytes, no whole number of {EVENT_BYTES}-byte events; get a fresh copy")
    x, y, high, middle, low = np.frombuffer(raw, np.uint8).reshape(-1, EVENT_BYTES).T.astype(np.int64)
    marks = y == OVERFLOW_ROW
    time = ((high & 0x7F) << 16 | middle << 8 | low) + OVERFLOW_TIME * np.cumsum(marks)
    height, width = sensor
    if ((x >= width) | (y >= height))[~marks].any():
        raise InputError(f"{where} has events beyond the sensor of {height} x {width} pixels; is it another format?")
    kept = ~marks & (time < duration)
    index = np.ravel_multi_index(
        ((time * timesteps // duration)[kept], (high >> 7)[kept], y[kept], x[kept]), (shape := (timesteps, 2, *sensor))
    )
    return np.minimum(np.bincount(index, minlength=int(np.prod(shape))), COUNT_MAX).astype(np.uint8).reshape(shape)


def n_mnist(name: str, data_dir: Path | None, seed: int, timesteps: int) -> Dataset:
    """60000 / 10000 recordings as published: folders `Train/DIGIT/*.bin` and `Test/DIGIT/*.bin`."""
    if data_dir is None:
        raise InputError(f"{name} cannot be downloaded; pass --data-dir with the folder that holds Train and Test")
    for root in (data_dir / "N-MNIST", data_dir):
        if (root / "Train").is_dir() and (root / "Test").is_dir():
            return _dataset(name, _folder(root / "Train", timesteps), _folder(root / "Test", timesteps), seed, "N-MNIST")
    raise InputError(f"{name}: no folders Train and Test in {data_dir / 'N-MNIST'} or {data_dir}; unpack Train.zip and Test.zip there")


def _folder(folder: Path, timesteps: int) -> Split:
    paths = sorted(folder.glob("[0-9]/*.bin"))
    if not paths:
        raise InputError(f"{folder} holds no DIGIT/*.bin recordings; unpack N-MNIST there")
    return Split(np.stack([_counts(p.read_bytes(), timesteps, str(p)) for p in paths]), np.array([int(p.parent.name) for p in paths]))


def n_mnist_small(name: str, data_dir: Path | None, seed: int, timesteps: int) -> Dataset:
    """1000 / 100 recordings in one tar file, as SLAYER ships them: `NUMBER.bs2`, with labels in `train1K.txt` and `test100.txt`."""
    if data_dir is None:
        raise InputError(f"{name} cannot be downloaded; pass --data-dir with the folder of {SMALL}")
    for path in (data_dir / "N-MNIST-small" / SMALL, data_dir / SMALL):
        if path.is_file():
            files = _members(path)
            train, test = (_listed(files, listing, timesteps, path) for listing in ("train1K.txt", "test100.txt"))
            return _dataset(name, train, test, seed, "N-MNIST, 1100 recordings")
    raise InputError(f"{name}: {SMALL} is neither in {data_dir / 'N-MNIST-small'} nor in {data_dir}; put it there")


def _members(path: Path) -> dict[str, bytes]:
    """Files of a tar by name, without folders."""
    try:
        with tarfile.open(path) as tar:
            return {Path(m.name).name: file.read() for m in tar if m.isfile() and (file := tar.extractfile(m))}
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"cannot read {path}: {error}; get a fresh copy") from None


def _listed(files: dict[str, bytes], listing: str, timesteps: int, path: Path) -> Split:
    """The recordings of a list: a heading, then a number and a label per line."""
    try:
        pairs = [line.split() for line in files[listing].decode("ascii").splitlines()[1:] if line.strip()]
        recordings = [(number, files[f"{number}.bs2"], int(label)) for number, label in pairs]
    except (KeyError, ValueError) as error:
        raise InputError(f"{path}: {listing} or a recording it names is missing or damaged ({error}); get a fresh copy") from None
    counts = np.stack([_counts(raw, timesteps, f"{path}: {number}.bs2") for number, raw, _ in recordings])
    return Split(counts, np.array([label for *_, label in recordings]))


def _counts(raw: bytes, timesteps: int, where: str) -> np.ndarray:
    return event_counts(raw, timesteps, sensor=SENSOR, duration=DURATION, where=where)


def _dataset(name: str, official: Split, test: Split, seed: int, source: str) -> Dataset:
    train, validation = cut(official, max(1, len(official) // 12), seed)
    return Dataset(Task(name, (2, *SENSOR), 10, COUNT_MAX, "events"), train, validation, test, source)
