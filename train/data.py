"""Data sets with splits fixed by a seed: handwritten digits (bundled), MNIST and Fashion-MNIST (idx files).

Timesteps are chosen on validation data and reported on test data, so every data set has all three splits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from spikeport.export.errors import InputError
from spikeport.train.download import download
from spikeport.train.idx import find_idx, read_idx

IDX_STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
IDX_FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}


@dataclass(frozen=True)
class Task:
    """What a network must fit. shape: `(channels, height, width)`. levels: pixels are integers 0..levels, divided by levels."""

    name: str
    shape: tuple[int, ...]
    classes: int
    levels: int


@dataclass(frozen=True, eq=False)
class Split:
    """images: float32 in [0, 1], `(samples, channels, height, width)`; labels: int64 `(samples,)`."""

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        assert len(self.images) == len(self.labels), (self.images.shape, self.labels.shape)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice | np.ndarray) -> Split:
        return Split(self.images[part], self.labels[part])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A classification task with its three disjoint splits. source: where the data came from, for the report."""

    task: Task
    train: Split
    validation: Split
    test: Split
    source: str


def load(name: str, data_dir: Path | None = None, seed: int = 0) -> Dataset:
    """Load a data set by name. The seed decides who is in which split, nothing else; MNIST's official test set stays the test set.

    data_dir: folder that holds the files, as `NAME/raw`, as `NAME` or itself; without it they are downloaded once into the
    user's cache. The bundled digits need neither.

    Raises:
        InputError: unknown name, missing or damaged files.
    """
    if name not in DATASETS:
        raise InputError(f"data set {name!r} is unknown; choose one of {', '.join(DATASETS)}")
    return DATASETS[name](name, data_dir, seed)


def _digits(name: str, data_dir: Path | None, seed: int) -> Dataset:
    """1797 scans of 8 x 8 pixels with 17 grey levels (UCI, bundled with scikit-learn), 1037 / 400 / 360, stratified: choosing T' with confidence takes validation samples."""
    digits = load_digits()
    everything = Split((digits.images[:, None] / 16).astype(np.float32), digits.target.astype(np.int64))
    rest, test = _cut(everything, 360, seed)
    train, validation = _cut(rest, 400, seed)
    return Dataset(Task(name, (1, 8, 8), 10, 16), train, validation, test, "scikit-learn load_digits")


def _mnist_like(name: str, data_dir: Path | None, seed: int) -> Dataset:
    """28 x 28 grey images, 55000 / 5000 / 10000, validation cut from the official training set, stratified."""
    folder = _idx_folder(IDX_FOLDERS[name], data_dir)
    images, labels, test_images, test_labels = (read_idx(folder[stem]) for stem in IDX_STEMS)
    official, test = _scaled(images, labels, folder[IDX_STEMS[0]]), _scaled(test_images, test_labels, folder[IDX_STEMS[2]])
    train, validation = _cut(official, max(1, len(official) // 12), seed)
    shape = official.images.shape[1:]
    return Dataset(Task(name, shape, 10, 255), train, validation, test, f"{IDX_FOLDERS[name]} idx files")


def _idx_folder(name: str, data_dir: Path | None) -> dict[str, Path]:
    """The four idx files of a data set by stem."""
    root = data_dir if data_dir is not None else download(name)
    folders = (root / name / "raw", root / name, root)
    for folder in folders:
        found = {stem: path for stem in IDX_STEMS if (path := find_idx(folder, stem))}
        if len(found) == len(IDX_STEMS):
            return found
    looked = ", ".join(map(str, folders))
    raise InputError(
        f"{name} files ({IDX_STEMS[0]} and its kin, plain or .gz) are in none of {looked}; put them there, or leave out --data-dir to download them"
    )


def _scaled(images: np.ndarray, labels: np.ndarray, path: Path) -> Split:
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise InputError(f"{path} holds images of shape {images.shape}, its labels have shape {labels.shape}; get fresh copies")
    return Split((images[:, None] / np.float32(255)).astype(np.float32), labels.astype(np.int64))


def _cut(split: Split, size: int, seed: int) -> tuple[Split, Split]:
    """Two disjoint parts in their original order, the second with `size` samples and the classes in proportion.

    Shuffled, then sorted by class, then every n-th: exact for any size, where a class may be missing from a small part.
    """
    shuffled = np.random.default_rng(seed).permutation(len(split))
    by_class = shuffled[np.argsort(split.labels[shuffled], kind="stable")]
    chosen = np.zeros(len(split), bool)
    chosen[by_class[np.arange(size) * len(split) // size]] = True
    return split[~chosen], split[chosen]


DATASETS: dict[str, Callable[[str, Path | None, int], Dataset]] = {
    "digits": _digits,
    "mnist": _mnist_like,
    "fashion-mnist": _mnist_like,
}
"""Loader by the name given on the command line."""
