"""CIFAR and SVHN: small files written here in the published formats, and what a user hears about
damaged ones.
"""

import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from spikeport.export.common.errors import InputError
from spikeport.train.data import registry as data
from spikeport.train.data.augment import random_flip
from spikeport.train.data.colour import read_cifar, read_jpeg_tar, read_svhn
from spikeport.train.data.registry import load
from spikeport.train.settings.config import TrainConfig


def write_cifar(folder, files, label_bytes, classes, samples=12):
    """Records whose pixels are their place in the file, modulo 251; returns images and labels of
    the last file.
    """
    folder.mkdir(parents=True)
    for file in files:
        images = (np.arange(samples * 3072) % 251).astype(np.uint8).reshape(samples, 3072)
        labels = np.arange(samples) % classes
        coarse = np.full((samples, label_bytes - 1), 7)
        (folder / file).write_bytes(np.concatenate([coarse, labels[:, None], images], axis=1).astype(np.uint8).tobytes())
    return images.reshape(samples, 3, 32, 32), labels


@pytest.mark.parametrize(
    ("name", "folder", "files", "label_bytes", "classes"),
    [
        ("cifar-10", "cifar-10-batches-bin", [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"], 1, 10),
        ("cifar-100", "cifar-100-binary", ["train.bin", "test.bin"], 2, 100),
    ],
)
def test_cifar_binary_files(tmp_path, name, folder, files, label_bytes, classes):
    images, labels = write_cifar(tmp_path / folder, files, label_bytes, classes)
    found = load(name, tmp_path)
    assert found.task == data.Task(name, (3, 32, 32), classes, 255)
    assert len(found.train) + len(found.validation) == 12 * (len(files) - 1)
    assert np.array_equal(np.rint(found.test.images * 255), images) and np.array_equal(found.test.labels, labels)
    assert found.test.images.dtype == np.float32


@pytest.mark.parametrize(
    ("raw", "said"), [(b"\x01" * 3072, "no whole number of records"), (b"\x0a" + bytes(3072), "label 10"), (b"", "0 bytes")]
)
def test_damaged_cifar_is_refused(tmp_path, raw, said):
    (tmp_path / "test_batch.bin").write_bytes(raw)
    with pytest.raises(InputError, match=said):
        read_cifar(tmp_path / "test_batch.bin", 1, 10)


@pytest.mark.parametrize("name", ["cifar-10", "cifar-10-jpeg", "svhn", "n-mnist", "n-mnist-small"])
def test_missing_files_name_where_they_were_looked_for(tmp_path, name):
    with pytest.raises(InputError, match=f"{name}.*{tmp_path}"):
        load(name, tmp_path)


def jpeg(shade, size=(32, 32)):
    buffer = io.BytesIO()
    Image.new("RGB", size, shade).save(buffer, "JPEG")
    return buffer.getvalue()


def write_tar(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, raw in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))


def test_jpeg_folders_are_classes_in_alphabetical_order(tmp_path):
    colours = {"bird": (200, 0, 0), "airplane": (0, 200, 0)}
    for part in ("train", "test"):
        members = {f"{part}/{name}/{i:04}.jpg": jpeg(colour) for name, colour in colours.items() for i in range(3)}
        write_tar(tmp_path / f"cifar10_jpeg_{part}.tar.gz", members)
    test = load("cifar-10-jpeg", tmp_path).test
    assert sorted(test.labels) == [0, 0, 0, 1, 1, 1]
    assert np.array_equal(np.argmax(test.images.mean((2, 3)), axis=1), 1 - test.labels)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, "holds no .jpg"),
        ({"a/b/0.jpg": b"no"}, "cannot be read as an image"),
        ({"a/b/0.jpg": jpeg((0, 0, 0), (8, 8))}, "has 8 x 8 pixels"),
    ],
)
def test_damaged_jpeg_tars_are_refused(tmp_path, members, said):
    write_tar(tmp_path / "x.tar.gz", members)
    with pytest.raises(InputError, match=said):
        read_jpeg_tar(tmp_path / "x.tar.gz")


def test_svhn_files(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 15), np.uint8)
    labels = (1 + np.arange(15) % 10).astype(np.uint8)[:, None]
    for part in ("train", "test"):
        savemat(tmp_path / f"{part}_32x32.mat", {"X": images, "y": labels})
    test = load("svhn", tmp_path).test
    assert test.labels.tolist() == [*range(1, 10), 0, *range(1, 6)]
    assert np.rint(test.images[4, 2, 5, 6] * 255) == images[5, 6, 2, 4]


def test_damaged_svhn_is_refused(tmp_path):
    (tmp_path / "x.mat").write_bytes(b"MATLAB nothing" * 40)
    with pytest.raises(InputError, match=r"x\.mat cannot be read"):
        read_svhn(tmp_path / "x.mat")
    savemat(tmp_path / "x.mat", {"X": np.zeros((8, 8, 3, 2)), "y": np.ones((2, 1))})
    with pytest.raises(InputError, match="shape"):
        read_svhn(tmp_path / "x.mat")


def test_half_of_the_images_are_mirrored():
    images = torch.rand(400, 3, 4, 5)
    flipped = random_flip(images, torch.Generator().manual_seed(0))
    mirrored = [torch.equal(a, b.flip(-1)) for a, b in zip(flipped, images)]
    kept = [torch.equal(a, b) for a, b in zip(flipped, images)]
    assert all(m != k for m, k in zip(mirrored, kept)) and 150 < sum(mirrored) < 250
    assert not TrainConfig().flip
