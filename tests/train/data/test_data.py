"""Data sets: the idx reader on files written here, splits, and what a user gets to hear."""

import gzip
import subprocess
import sys

import numpy as np
import pytest
import torch
import torchvision

from spikeport.export.common.errors import InputError
from spikeport.train.data import registry as data
from spikeport.train.data.augment import Augmentation, random_cutout, random_shift
from spikeport.train.data.dataset import Split, in_mixed_order
from spikeport.train.data.formats.idx import read_idx


def idx_bytes(array):
    header = bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_mnist(folder, *, gzipped, samples=60):
    """A small data set in MNIST's files; each image holds its own number and label."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", samples), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28))
        for stem, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", np.arange(count) % 10)):
            raw = idx_bytes(array)
            path = folder / (f"{stem}.gz" if gzipped else stem)
            path.write_bytes(gzip.compress(raw) if gzipped else raw)


@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize("place", ["MNIST/raw", "MNIST", "."])
def test_idx_files_are_found_and_read(tmp_path, gzipped, place):
    write_mnist(tmp_path / place, gzipped=gzipped)
    mnist = data.load("mnist", tmp_path)
    assert mnist.task == data.Task("mnist", (1, 28, 28), 10, 255)
    assert (len(mnist.train), len(mnist.validation), len(mnist.test)) == (55, 5, 20)
    suffix = ".gz" if gzipped else ""
    test_images = read_idx(tmp_path / place / f"t10k-images-idx3-ubyte{suffix}")
    assert np.array_equal(np.rint(mnist.test.images[:, 0] * 255), test_images)
    assert mnist.test.images.dtype == np.float32 and mnist.test.images.max() <= 1
    assert np.array_equal(mnist.test.labels, np.arange(20) % 10)


@pytest.mark.parametrize(
    ("name", "mean", "said"),
    [
        ("mnist", 0.286, "holds fashion-mnist, not mnist.*0.28.*0.131; say --data fashion-mnist"),
        ("fashion-mnist", 0.1307, "holds mnist, not fashion-mnist.*say --data mnist"),
        ("fashion-mnist", 0.1918, "holds Kuzushiji-MNIST, not fashion-mnist.*data of your own"),
    ],
)
def test_another_published_data_set_is_noticed(tmp_path, name, mean, said):
    write_mnist(tmp_path, gzipped=False)
    images = np.random.default_rng(0).random((60, 28, 28)) < mean
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(255 * images))
    with pytest.raises(InputError, match=said):
        data.load(name, tmp_path)


def test_images_that_are_nobodys_are_told_in_one_line(tmp_path, capsys):
    write_mnist(tmp_path, gzipped=False)
    source = data.load("mnist", tmp_path).source
    assert "not as published (pixels are 0.49" in source and "there 0.131" in source
    told = capsys.readouterr().err
    assert told.startswith("note: ") and told.count("\n") == 1
    images = np.random.default_rng(0).random((60, 28, 28)) < 0.1307
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(255 * images))
    assert data.load("mnist", tmp_path).source == "MNIST idx files" and not capsys.readouterr().err


def test_missing_files_name_where_they_were_looked_for(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}/FashionMNIST/raw.*--data-dir"):
        data.load("fashion-mnist", tmp_path)


def test_one_missing_file_is_missing(tmp_path):
    write_mnist(tmp_path, gzipped=False)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match="none of"):
        data.load("mnist", tmp_path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda raw: raw[:-3], "its header says"),
        (lambda raw: b"\x89PNG" + raw, "no idx file"),
        (lambda raw: b"", "no idx file"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, damage, said):
    path = tmp_path / "images"
    path.write_bytes(damage(idx_bytes(np.zeros((3, 4, 4)))))
    with pytest.raises(InputError, match=said):
        read_idx(path)


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"no gzip at all"])
def test_damaged_gzip_is_refused(tmp_path, damage):
    path = tmp_path / "images.gz"
    path.write_bytes(damage(gzip.compress(idx_bytes(np.arange(48).reshape(3, 4, 4)))))
    with pytest.raises(InputError, match="cannot be read"):
        read_idx(path)


def test_failed_download_says_how_to_do_without(tmp_path, monkeypatch):
    def refuse(root, download):
        raise OSError("network is unreachable")

    monkeypatch.setenv("SPIKEPORT_DATA", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "MNIST", refuse)
    with pytest.raises(InputError, match=r"network is unreachable.*--data-dir"):
        data.load("mnist")


def test_downloaded_files_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKEPORT_DATA", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "MNIST", lambda root, download: write_mnist(tmp_path / "MNIST/raw", gzipped=False))
    assert len(data.load("mnist").test) == 20


def test_torchvision_waits_for_a_download():
    code = "import sys, spikeport.train.data.registry; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def keys(split):
    return {image.tobytes() for image in split.images}


def test_digits_splits_are_disjoint_complete_and_stratified():
    digits = data.load("digits", seed=3)
    splits = (digits.train, digits.validation, digits.test)
    assert [len(s) for s in splits] == [1037, 400, 360]
    assert len(set().union(*map(keys, splits))) == sum(len(keys(s)) for s in splits) == 1797
    for split in splits:
        share = np.bincount(split.labels, minlength=10) / len(split)
        assert np.abs(share - 0.1).max() < 0.015
    levels = digits.train.images * 16
    assert np.array_equal(levels, np.rint(levels)) and levels.max() == 16


def test_splits_follow_the_seed():
    first, again, other = (data.load("digits", seed=s) for s in (0, 0, 1))
    for name in ("train", "validation", "test"):
        assert np.array_equal(getattr(first, name).images, getattr(again, name).images)
        assert not np.array_equal(getattr(first, name).labels, getattr(other, name).labels)


def test_mnists_test_set_does_not_depend_on_the_seed(tmp_path):
    write_mnist(tmp_path, gzipped=False)
    first, other = (data.load("mnist", tmp_path, seed) for seed in (0, 1))
    assert np.array_equal(first.test.images, other.test.images)
    assert keys(first.train) | keys(first.validation) == keys(other.train) | keys(other.validation)
    assert keys(first.validation) != keys(other.validation)


def test_unknown_data_set():
    with pytest.raises(InputError, match="choose one of digits, mnist, fashion-mnist"):
        data.load("nosuch")


def test_random_shift_moves_and_fills_with_zeros():
    images = torch.arange(1.0, 1 + 50 * 2 * 5 * 4).reshape(50, 2, 5, 4)
    moved = random_shift(images, 1, torch.Generator().manual_seed(0))
    seen = set()
    for before, after in zip(images, moved):
        offsets = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if torch.equal(shifted_by_hand(before, dy, dx), after)]
        assert len(offsets) == 1
        seen.add(offsets[0])
    assert len(seen) == 9


def shifted_by_hand(image, dy, dx):
    out = torch.zeros_like(image)
    _, height, width = image.shape
    for y in range(height):
        for x in range(width):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                out[:, y, x] = image[:, y + dy, x + dx]
    return out


@pytest.mark.parametrize("shape", [(2, 5, 4), (3, 2, 5, 4)])
def test_cutout_blanks_one_square_around_any_place(shape):
    images = torch.rand(400, *shape) + 1
    cut = random_cutout(images, 3, torch.Generator().manual_seed(0))
    seen = set()
    for before, after in zip(images, cut):
        centres = [(y, x) for y in range(5) for x in range(4) if torch.equal(blanked_by_hand(before, y, x), after)]
        assert len(centres) == 1
        seen.add(centres[0])
    assert len(seen) == 20, "a centre may be any pixel"


def blanked_by_hand(image, y, x):
    out = image.clone()
    out[..., max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = 0
    return out


def test_augmentation_follows_its_seed_and_changes_nothing_unless_told():
    images = torch.rand(6, 1, 8, 8) + 1

    def changed(seed, **settings):
        return Augmentation(**settings).of(images, torch.Generator().manual_seed(seed))

    assert torch.equal(changed(1), images)
    for settings in ({"shift": 2}, {"flip": True}, {"cutout": 4}):
        assert torch.equal(changed(1, **settings), changed(1, **settings))
        assert not torch.equal(changed(1, **settings), changed(2, **settings))


def test_more_samples_for_validation_leave_the_test_set_as_it_is():
    usual, more = data.load("digits", seed=3), data.load("digits", seed=3, validation=700)
    assert (len(more.train), len(more.validation)) == (1437 - 700, 700)
    np.testing.assert_array_equal(more.test.array, usual.test.array)
    samples = {image.tobytes() for part in (usual.train, usual.validation) for image in part.array}
    assert {image.tobytes() for part in (more.train, more.validation) for image in part.array} == samples
    assert np.ptp(np.bincount(more.validation.labels) / np.bincount(more.train.labels)) < 0.05, "classes in proportion"
    with pytest.raises(InputError, match=r"validation is 1,437, but there are 1,437 samples to train on; set aside fewer"):
        data.load("digits", validation=1437)


def test_what_comes_class_by_class_is_mixed_and_stays_the_same_samples():
    labels = np.repeat(np.arange(10), 50)
    split = Split(labels[:, None, None, None] * np.ones((1, 1, 2, 2), np.float32), labels)
    mixed, again = in_mixed_order(split), in_mixed_order(split)
    assert set(mixed.labels[:60]) == set(range(10)), "the first so many are of every class"
    assert np.array_equal(mixed.labels, again.labels) and np.array_equal(np.sort(mixed.labels), labels)
    assert np.array_equal(mixed.images[:, 0, 0, 0], mixed.labels), "each image keeps its label"


def test_what_comes_in_any_order_keeps_it():
    labels = np.random.default_rng(1).integers(0, 10, 500)
    for order in (labels, np.arange(500) % 10, np.zeros(500, np.int64), labels[:1], labels[:0]):
        split = Split(np.zeros((len(order), 1, 1, 1), np.float32), order)
        assert in_mixed_order(split) is split
