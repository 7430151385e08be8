"""Data sets of event recordings: N-MNIST, DVS-CIFAR10, and any folder with a sub-folder per class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import reading
from spikeport.train.data.dataset import Dataset, Split, Splits, Task, cut
from spikeport.train.data.folders import labelled_files
from spikeport.train.data.formats.event_bins import COUNT_MAX, EventBins, Events, event_counts
from spikeport.train.data.formats.event_files import READERS, read_events, read_n_mnist
from spikeport.train.data.formats.tar import members
from spikeport.train.data.on_demand import OnDemand

SENSOR = (34, 34)
DURATION = 300_000
"""Microseconds of an N-MNIST recording that are used: three saccades of 100 ms."""
SMALL = "nmnist_small_bs2.tar.gz"
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FIRST_TEST = 900
"""Number of the first recording of a class that belongs to DVS-CIFAR10's test set."""


def n_mnist(name: str, data_dir: Path | None, splits: Splits, timesteps: int, bins: EventBins) -> Dataset:
    """60000 / 10000 recordings as published: folders `Train/DIGIT/*.bin` and `Test/DIGIT/*.bin`."""
    if data_dir is None:
        raise InputError(f"{name} cannot be downloaded; pass --data-dir with the folder that holds Train and Test")
    for root in (data_dir / "N-MNIST", data_dir):
        if (root / "Train").is_dir() and (root / "Test").is_dir():
            train, test = (_digits(root / part, timesteps, bins) for part in ("Train", "Test"))
            return _dataset(name, train, test, splits, len(train) // 12, 10, "N-MNIST")
    raise InputError(f"{name}: no folders Train and Test in {data_dir / 'N-MNIST'} or {data_dir}; unpack Train.zip and Test.zip there")


def _digits(folder: Path, timesteps: int, bins: EventBins) -> Split:
    paths = sorted(folder.glob("[0-9]/*.bin"))
    if not paths:
        raise InputError(f"{folder} holds no DIGIT/*.bin recordings; unpack N-MNIST there")
    return _split(paths, [int(p.parent.name) for p in paths], _Counts(timesteps, bins, SENSOR, DURATION))


def n_mnist_small(name: str, data_dir: Path | None, splits: Splits, timesteps: int, bins: EventBins) -> Dataset:
    """1000 / 100 recordings in one tar file, as SLAYER ships them: `NUMBER.bs2`, with labels in
    `train1K.txt` and `test100.txt`.

    A quarter of the 1000 is for validation: choosing T' with confidence takes samples.
    """
    if data_dir is None:
        raise InputError(f"{name} cannot be downloaded; pass --data-dir with the folder of {SMALL}")
    for path in (data_dir / "N-MNIST-small" / SMALL, data_dir / SMALL):
        if path.is_file():
            files, counts = _members(path), _Counts(timesteps, bins, SENSOR, DURATION)
            train, test = (_listed(files, listing, counts, path) for listing in ("train1K.txt", "test100.txt"))
            return _dataset(name, train, test, splits, len(train) // 4, 10, "N-MNIST, 1100 recordings")
    raise InputError(f"{name}: {SMALL} is neither in {data_dir / 'N-MNIST-small'} nor in {data_dir}; put it there")


def _members(path: Path) -> dict[str, bytes]:
    """Files of a tar by name, without folders."""
    return {Path(name).name: raw for name, raw in members(path)}


def _listed(files: dict[str, bytes], listing: str, counts: _Counts, path: Path) -> Split:
    """The recordings of a list: a heading, then a number and a label per line."""
    with reading(f"{path}: {listing} or a recording it names", "a list of recordings", "get a fresh copy"):
        pairs = [line.split() for line in files[listing].decode("ascii").splitlines()[1:] if line.strip()]
        recordings = [(f"{path}: {number}.bs2", files[f"{number}.bs2"], int(label)) for number, label in pairs]
    if not recordings or not all(0 <= label < 10 for *_, label in recordings):
        raise InputError(f"{path}: {listing} names no recordings, or labels other than 0..9; get a fresh copy")
    images = np.stack([counts.of(read_n_mnist(raw, where), where) for where, raw, _ in recordings])
    return Split(images, np.array([label for *_, label in recordings]))


def dvs_cifar10(name: str, data_dir: Path | None, splits: Splits, timesteps: int, bins: EventBins) -> Dataset:
    """9000 / 1000 recordings (Li et al. 2017): folders `CLASS/cifar10_CLASS_NUMBER.aedat`; of each
    class 0 to 899 are for training, the rest for testing.

    That is the split of DSR's code (Meng et al. 2022) and others; some papers test on 0 to 99, or
    draw at random. A twelfth of the training set is for validation. Rows and columns are exchanged
    against the sensor's, as in SpikingJelly's reader.
    """
    for root in (data_dir / "DVS-CIFAR10", data_dir) if data_dir else ():
        if all((root / label).is_dir() for label in CIFAR10):
            paths = sorted(root / label / file.name for label in CIFAR10 for file in (root / label).glob("*.aedat"))
            break
    else:
        raise InputError(f"{name}: {data_dir or '--data-dir'} must hold the folders {', '.join(CIFAR10)}; unpack the ten zip files there")
    labels, test = [CIFAR10.index(p.parent.name) for p in paths], np.array([_number(p) >= FIRST_TEST for p in paths], bool)
    if test.all() or not test.any():
        raise InputError(f"{root} holds recordings on one side of number {FIRST_TEST} only; unpack the ten zip files there")
    everything = _split(paths, labels, _Counts(timesteps, bins, (128, 128), turned=True), held=False)
    official, testing = (everything.subset(part).held() for part in (~test, test))
    return _dataset(name, official, testing, splits, len(official) // 12, 10, "CIFAR10-DVS AEDAT files")


def _number(path: Path) -> int:
    match = re.fullmatch(r"cifar10_[a-z]+_(\d+)", path.stem)
    if match is None:
        raise InputError(f"{path} is not named like cifar10_airplane_17.aedat; unpack the ten zip files afresh")
    return int(match[1])


def event_folder(name: str, data_dir: Path | None, splits: Splits, timesteps: int, bins: EventBins) -> Dataset:
    """A folder of recordings (`train.data.formats.event_files`), one sub-folder per class, its
    name's place in the alphabet the label.

    Above the classes there may be `train` and `test`, with the same ones; otherwise a sixth is for
    testing. A twelfth of the rest is for validation.
    """
    if data_dir is None or not data_dir.is_dir():
        raise InputError(
            f"{name}: pass --data-dir with a folder that holds a sub-folder of recordings per class, or train and test of them"
        )
    roots = [data_dir / part for part in ("train", "test") if (data_dir / part).is_dir()]
    roots = roots if len(roots) == 2 else [data_dir]
    classes, labelled = labelled_files(roots, tuple(READERS))
    recordings = [[root / file for file in files] for root, (files, _) in zip(roots, labelled)]
    counts = _Counts(timesteps, bins, _sensor(chain(*recordings), bins))
    parts = [_split(paths, labels, counts) for paths, (_, labels) in zip(recordings, labelled)]
    official, test = parts if len(parts) == 2 else cut(parts[0], max(1, len(parts[0]) // 6), splits.seed)
    return _dataset(name, official, test, splits, len(official) // 12, classes, "folder of event recordings")


def _sensor(paths: Iterable[Path], bins: EventBins) -> tuple[int, int]:
    """Height and width: stated, or the largest of what files say and of the addresses in those that
    do not.
    """
    if bins.height:
        return bins.height, bins.width
    sizes = [read_events(path).size for path in paths]
    return max(height for height, _ in sizes), max(width for _, width in sizes)


class _Counts:
    """From a recording to its counts, in the way that all of a data set are counted. turned: rows
    and columns exchanged.
    """

    def __init__(
        self, timesteps: int, bins: EventBins, sensor: tuple[int, int], duration: int | None = None, *, turned: bool = False
    ) -> None:
        self.timesteps, self.bins, self.sensor, self.duration, self.turned = timesteps, bins, sensor, duration, turned
        self.shape = (timesteps, 2, *bins.map_size(sensor))

    def __call__(self, file: str, rng: np.random.Generator | None = None) -> np.ndarray:
        events = read_events(Path(file))
        return self.of(replace(events, x=events.y, y=events.x) if self.turned else events, file)

    def of(self, events: Events, where: str) -> np.ndarray:
        """Counts of events that were read; `where` names them in errors."""
        return event_counts(events, self.timesteps, self.bins, sensor=self.sensor, where=where, duration=self.duration)


def _split(paths: list[Path], labels: Sequence[int] | np.ndarray, counts: _Counts, *, held: bool = True) -> Split:
    split = Split(OnDemand(np.array([str(p) for p in paths]), counts, counts.shape, np.uint8), np.array(labels, np.int64))
    return split.held() if held else split


def _dataset(name: str, official: Split, test: Split, splits: Splits, validation: int, classes: int, source: str) -> Dataset:
    train, chosen = splits.held_out(official, validation)
    return Dataset(Task(name, tuple(official.images.shape[-3:]), classes, COUNT_MAX, "events"), train, chosen, test, source)
