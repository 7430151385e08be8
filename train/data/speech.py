"""Spoken words as spikes of 700 cochlear channels: the Heidelberg Spiking Datasets SHD and SSC
(Cramer, Stradmann, Schemmel and Zenke 2022).

HDF5 files with `spikes/times` (seconds) and `spikes/units` (0..699), a list of each recording, and
`labels`. What is read is checked; files are opened as those of unknown origin
(`export.common.hdf5`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.hdf5 import UntrustedFile, opened_hdf5
from spikeport.train.data.dataset import Dataset, Split, Splits, Task
from spikeport.train.data.formats.event_bins import COUNT_MAX, EventBins

UNITS = 700
CLASSES = {"shd": 20, "ssc": 35}
SECONDS = {"shd": 1.4, "ssc": 1.0}
"""Of time bins, from 0; what comes later is left out.

The longest recording of SHD has 1.37 s; SSC's words were cut to a second.
"""
ROWS = 2048
"""Recordings read at a time."""
TIMES, PLACES, LABELS = ("spikes", "times"), ("spikes", "units"), ("labels",)


def speech(name: str, data_dir: Path | None, splits: Splits, timesteps: int, bins: EventBins) -> Dataset:
    """`NAME_train.h5` and `NAME_test.h5`, for SSC `ssc_valid.h5` too; of SHD a twelfth of the
    training set is for validation, classes in proportion.

    Counts of spikes `(samples, timesteps, units, 1, 1)`, saturated at 255, each unit a channel
    (with an axonal delay of its own); `bins.size` joins the 700 units to so many. Two of SHD's
    twelve speakers are in its test set alone (Cramer et al. 2022), so validation data flatters.

    Raises:
        InputError: missing, damaged or other files.
    """
    if data_dir is None:
        raise InputError(f"{name} cannot be downloaded; pass --data-dir with the folder of {name}_train.h5")
    if bins.by != "time" or bins.height or bins.size > UNITS:
        raise InputError(f"{name} is counted by time in up to {UNITS} units; leave events.by, height and width as they are")
    parts = {part: _read(_place(name, part, data_dir), name, timesteps, bins) for part in ("train", "test")}
    train, test = parts["train"], parts["test"]
    if name == "ssc":
        splits.refuse_own_number("SSC")
        validation = _read(_place(name, "valid", data_dir), name, timesteps, bins)
    else:
        train, validation = splits.held_out(train, len(train) // 12)
    shape = (bins.size or UNITS, 1, 1)
    return Dataset(Task(name, shape, CLASSES[name], COUNT_MAX, "events"), train, validation, test, f"{name.upper()} HDF5 files")


def _place(name: str, part: str, data_dir: Path) -> Path:
    file = f"{name}_{part}.h5"
    for path in (data_dir / name.upper() / file, data_dir / file):
        if path.is_file():
            return path
    raise InputError(f"{name}: {file} is neither in {data_dir / name.upper()} nor in {data_dir}; unpack it there")


def _read(path: Path, name: str, timesteps: int, bins: EventBins) -> Split:
    with opened_hdf5(path) as file:
        labels = _labels(file, name)
        units = bins.size or UNITS
        counts = np.zeros((len(labels), timesteps, units, 1, 1), np.uint8)
        for start in range(0, len(labels), ROWS):
            stop = min(start + ROWS, len(labels))
            (lengths, times), (others, places) = (file.read_ragged(way, start, stop) for way in (TIMES, PLACES))
            if not np.array_equal(lengths, others):
                raise InputError(f"{path}: a recording has more spikes than units or fewer; get a fresh copy")
            counts[start:stop, ..., 0, 0] = _counts(lengths, times, places, (timesteps, units), SECONDS[name], path)
    return Split(counts, labels)


def _labels(file: UntrustedFile, name: str) -> np.ndarray:
    """The labels, in a file of the right form."""
    kinds = {TIMES: ("ragged",), PLACES: ("ragged",), LABELS: ("i", "u")}
    if any(way not in file.entries or file.entries[way].kind not in kind for way, kind in kinds.items()):
        raise InputError(f"{file.path} holds no lists spikes/times and spikes/units with labels; is it another data set?")
    labels = np.asarray(file.read([LABELS])[LABELS])
    rows = {file.entries[way].shape for way in (TIMES, PLACES)}
    if labels.ndim != 1 or rows != {labels.shape} or not len(labels):
        raise InputError(f"{file.path} has {labels.shape} labels for recordings of shape {rows}; get a fresh copy")
    if labels.min() < 0 or labels.max() >= CLASSES[name]:
        raise InputError(f"{file.path} has labels in {labels.min()}..{labels.max()}; {name} has 0..{CLASSES[name] - 1}")
    return labels.astype(np.int64)


def _counts(lengths: np.ndarray, times: np.ndarray, places: np.ndarray, shape: tuple[int, int], seconds: float, path: Path) -> np.ndarray:
    """Spikes of recordings by timestep and unit, uint8 `(recordings, timesteps, units)`."""
    timesteps, units = shape
    times, places = times.astype(np.float64), places.astype(np.int64)
    if not np.isfinite(times).all() or (len(times) and times.min() < 0):
        raise InputError(f"{path} has times that are no numbers, or negative; get a fresh copy")
    if len(places) and (places.min() < 0 or places.max() >= UNITS):
        raise InputError(f"{path} has units in {places.min()}..{places.max()}; expected 0..{UNITS - 1}")
    row, heard = np.repeat(np.arange(len(lengths)), lengths), times < seconds
    step = np.minimum(np.floor(times[heard] * timesteps / seconds).astype(np.int64), timesteps - 1)
    at = (row[heard] * timesteps + step) * units + places[heard] * units // UNITS
    counts = np.bincount(at, minlength=len(lengths) * timesteps * units)
    return np.minimum(counts, COUNT_MAX).astype(np.uint8).reshape(-1, timesteps, units)
