"""Grey images: handwritten digits (bundled with scikit-learn), MNIST and Fashion-MNIST (idx files)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.train.data.dataset import Dataset, Split, Splits, Task, cut, scaled
from spikeport.train.data.download import download
from spikeport.train.data.formats.event_bins import EventBins
from spikeport.train.data.formats.idx import find_idx, read_idx
from spikeport.train.data.known import check_named

IDX_STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
IDX_FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}


def digits(name: str, data_dir: Path | None, splits: Splits, timesteps: int, bins: EventBins) -> Dataset:
    """1797 scans of 8 x 8 pixels with 17 grey levels (UCI, bundled with scikit-learn), 1037 / 400 /
    360, stratified: choosing T' with confidence takes validation samples.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415  slow to import, seldom needed

    digits = load_digits()
    everything = Split((digits.images[:, None] / 16).astype(np.float32), digits.target.astype(np.int64))
    rest, test = cut(everything, 360, splits.seed)
    train, validation = splits.held_out(rest, 400)
    return Dataset(Task(name, (1, 8, 8), 10, 16), train, validation, test, "scikit-learn load_digits")


def mnist_like(name: str, data_dir: Path | None, splits: Splits, timesteps: int, bins: EventBins) -> Dataset:
    """28 x 28 grey images, 55000 / 5000 / 10000, validation cut from the official training set,
    stratified.
    """
    folder = _idx_folder(IDX_FOLDERS[name], data_dir)
    images, labels, test_images, test_labels = (read_idx(folder[stem]) for stem in IDX_STEMS)
    official, test = _scaled(images, labels, folder[IDX_STEMS[0]]), _scaled(test_images, test_labels, folder[IDX_STEMS[2]])
    train, validation = splits.held_out(official, len(official) // 12)
    shape = official.images.shape[1:]
    remark = check_named(name, official.images[:], str(folder[IDX_STEMS[0]]))
    return Dataset(Task(name, shape, 10, 255), train, validation, test, f"{IDX_FOLDERS[name]} idx files{remark}")


def _idx_folder(name: str, data_dir: Path | None) -> dict[str, Path]:
    """The four idx files of a data set by stem."""
    root = data_dir if data_dir is not None else download(name)
    folders = (root / name / "raw", root / name, root)
    for folder in folders:
        paths = {stem: path for stem in IDX_STEMS if (path := find_idx(folder, stem))}
        if len(paths) == len(IDX_STEMS):
            return paths
    looked = ", ".join(map(str, folders))
    raise InputError(
        f"{name} files ({IDX_STEMS[0]} and its kin, plain or .gz) are in none of {looked}; put them there, or leave out --data-dir to download them"
    )


def _scaled(images: np.ndarray, labels: np.ndarray, path: Path) -> Split:
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise InputError(f"{path} holds images of shape {images.shape}, its labels have shape {labels.shape}; get fresh copies")
    return scaled(images[:, None], labels)
