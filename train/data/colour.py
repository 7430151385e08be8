"""Colour images of 32 x 32 pixels: CIFAR-10 and -100 (binary version), CIFAR-10 as JPEG in tar
files, SVHN (MATLAB files).

The python version of CIFAR is pickled and is not read.
"""

from __future__ import annotations

from io import BytesIO
from math import prod
from pathlib import Path

import numpy as np
from PIL import Image

from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import check_regular, read_bytes, reading
from spikeport.train.data.dataset import Dataset, Split, Splits, Task, scaled
from spikeport.train.data.download import download, download_archive
from spikeport.train.data.formats.event_bins import EventBins
from spikeport.train.data.formats.tar import members
from spikeport.train.data.known import check_named

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
BYTES_MAX, MAT_MAX = 1 << 30, 1 << 31
"""Of a binary file of CIFAR, and numbers in a MATLAB file of SVHN, whose extra images take 1.6 GB.
"""
CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"
CIFAR_FILES = {
    "cifar-10": ("cifar-10-batches-bin", tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin", 1, 10),
    "cifar-100": ("cifar-100-binary", ("train.bin",), "test.bin", 2, 100),
}
"""Folder, training files, test file, label bytes per record (the last is the class), classes."""


def cifar(name: str, data_dir: Path | None, splits: Splits, timesteps: int, bins: EventBins) -> Dataset:
    """50000 / 10000 images (Krizhevsky 2009), a twelfth of the training set for validation,
    stratified.
    """
    folder, training, test, label_bytes, classes = CIFAR_FILES[name]
    root = data_dir if data_dir is not None else download_archive(f"{CIFAR_URL}{name}-binary.tar.gz", folder)
    place = _first_with(test, (root / folder, root / name, root), name)
    official = _joined([read_cifar(place / part, label_bytes, classes) for part in training])
    return _dataset(name, official, read_cifar(place / test, label_bytes, classes), classes, splits, "CIFAR binary files", place)


def read_cifar(path: Path, label_bytes: int, classes: int) -> Split:
    """A file of records: label bytes, then 3072 pixels, channel by channel, row by row.

    Raises:
        InputError: missing, cut short, or a label out of range.
    """
    raw = np.frombuffer(read_bytes(path, BYTES_MAX), np.uint8)
    record = label_bytes + PIXELS
    if not len(raw) or len(raw) % record:
        raise InputError(f"{path} holds {len(raw)} bytes, no whole number of records of {record}; get a fresh copy")
    table = raw.reshape(-1, record)
    labels = table[:, label_bytes - 1]
    if labels.max() >= classes:
        raise InputError(f"{path} has label {labels.max()}, classes go to {classes - 1}; is it another data set?")
    return scaled(table[:, label_bytes:].reshape(-1, *SHAPE), labels)


def cifar_jpeg(name: str, data_dir: Path | None, splits: Splits, timesteps: int, bins: EventBins) -> Dataset:
    """CIFAR-10 from `cifar10_jpeg_{train,test}.tar.gz`, members `SPLIT/CLASS/NUMBER.jpg`; lossy, so
    accuracies compare to within a per cent.
    """
    if data_dir is None:
        raise InputError(f"{name} cannot be downloaded; pass --data-dir with the folder of cifar10_jpeg_train.tar.gz")
    place = _first_with("cifar10_jpeg_test.tar.gz", (data_dir / "CIFAR10-jpeg", data_dir), name)
    official, test = (read_jpeg_tar(place / f"cifar10_jpeg_{part}.tar.gz") for part in ("train", "test"))
    return _dataset(name, official, test, 10, splits, "CIFAR-10 as JPEG", place)


def read_jpeg_tar(path: Path) -> Split:
    """All images of a tar file, labelled by their folder's place in the alphabet.

    Raises:
        InputError: no tar file, or an image in it that cannot be decoded or has another size.
    """
    labelled = [(Path(name).parent.name, _pixels(raw, f"{path}: {name}")) for name, raw in members(path, (".jpg",))]
    if not labelled:
        raise InputError(f"{path} holds no .jpg files; expected SPLIT/CLASS/NUMBER.jpg")
    classes = {name: label for label, name in enumerate(sorted({name for name, _ in labelled}))}
    return scaled(np.stack([pixels for _, pixels in labelled]), np.array([classes[name] for name, _ in labelled]))


def _pixels(raw: bytes, where: str) -> np.ndarray:
    with reading(where, "an image", "get a fresh copy"), Image.open(BytesIO(raw), formats=("JPEG",)) as image:
        if image.size != (SHAPE[2], SHAPE[1]):
            raise InputError(f"{where} has {image.size[0]} x {image.size[1]} pixels, expected {SHAPE[2]} x {SHAPE[1]}")
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def svhn(name: str, data_dir: Path | None, splits: Splits, timesteps: int, bins: EventBins) -> Dataset:
    """73257 / 26032 house numbers (Netzer et al. 2011), a twelfth of the training set for
    validation, stratified.
    """
    root = data_dir if data_dir is not None else download("SVHN", split="train") and download("SVHN", split="test")
    place = _first_with("test_32x32.mat", (root / "SVHN", root), name)
    official, test = (read_svhn(place / f"{part}_32x32.mat") for part in ("train", "test"))
    return _dataset(name, official, test, 10, splits, "SVHN MATLAB files", place)


def read_svhn(path: Path) -> Split:
    """X `(32, 32, 3, samples)` and y, where 10 stands for the digit 0.

    Raises:
        InputError: missing, damaged, or of another shape.
    """
    from scipy.io import loadmat, whosmat  # noqa: PLC0415  slow to import, seldom needed

    with reading(path, "SVHN's MATLAB file", "get a fresh copy"):
        check_regular(path, MAT_MAX)
        claimed = {name: shape for name, shape, _ in whosmat(path, appendmat=False)}
        if sum(prod(claimed[name]) for name in ("X", "y")) > MAT_MAX:
            raise InputError(f"{path} claims {claimed}; at most {MAT_MAX:,} numbers are read; get a fresh copy")
        arrays = loadmat(path, variable_names=("X", "y"), appendmat=False)
        images, labels = arrays["X"].transpose(3, 2, 0, 1), arrays["y"].reshape(-1) % 10
    if images.shape[1:] != SHAPE or len(labels) != len(images):
        raise InputError(f"{path} holds images of shape {images.shape[1:]} and {len(labels)} labels for {len(images)}; get a fresh copy")
    return scaled(images, labels)


def _first_with(file: str, folders: tuple[Path, ...], name: str) -> Path:
    for folder in folders:
        if (folder / file).is_file():
            return folder
    raise InputError(f"{name}: {file} and its kin are in none of {', '.join(map(str, folders))}; put them there")


def _joined(parts: list[Split]) -> Split:
    return Split(np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts]))


def _dataset(name: str, official: Split, test: Split, classes: int, splits: Splits, source: str, place: Path) -> Dataset:
    source += check_named(name, official.images[:], str(place))
    train, validation = splits.held_out(official, len(official) // 12)
    return Dataset(Task(name, SHAPE, classes, 255), train, validation, test, source)
