"""ImageNet's folders on tiny images: decoding, crops, resuming, and training through the command."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import read_json
from spikeport.train.data.augment import Augmentation
from spikeport.train.data.batches import shuffled_batches
from spikeport.train.data.imagenet import SIDE, centre, part
from spikeport.train.data.registry import load
from spikeport.train.loop import trainer
from spikeport.train.settings.config import defaults_for

COLOURS = {"n01": (250, 20, 20), "n02": (20, 20, 250)}


def write_images(root, samples=8):
    """One colour a class, sizes and modes that differ."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name, colour in COLOURS.items():
            (root / split / name).mkdir(parents=True)
            for number in range(samples):
                pixels = np.clip(rng.normal(colour, 5, (*rng.integers(20, 60, 2), 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.JPEG", format="PNG" if number == 0 else "JPEG")


def test_splits_labels_and_levels(tmp_path):
    write_images(tmp_path / "imagenet", 30)
    found = load("imagenet", tmp_path)
    assert (len(found.train), len(found.validation), len(found.test)) == (58, 2, 60)
    assert (found.task.shape, found.task.classes, found.task.levels) == ((3, 224, 224), 2, 255)
    assert sorted(found.test.labels) == [0] * 30 + [1] * 30
    images = found.test[np.unique(found.test.labels, return_index=True)[1]].images
    assert images.shape == (2, 3, 224, 224) and images.dtype == np.float32
    assert np.allclose(images.mean((2, 3)) * 255, list(COLOURS.values()), atol=4)
    assert found.train.subset(np.arange(58) < 3).labels.shape == (3,)


def test_the_centre_is_what_resizing_and_cropping_gives(tmp_path):
    """Against the two steps that papers take, on an image so smooth that the order of rounding
    hardly matters.
    """
    ramp = np.linspace(0, 255, 400 * 300).reshape(300, 400).astype(np.uint8)
    for folder in ("train/a", "train/b", "val/a", "val/b"):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(np.stack([ramp, ramp.T.reshape(300, 400), 255 - ramp], -1)).save(tmp_path / folder / "0.png")
    image = Image.open(tmp_path / "val/a/0.png")
    resized = image.resize((round(400 * 256 / 300), 256), Image.Resampling.BILINEAR)
    left, upper = (resized.width - 224) // 2, (256 - 224) // 2
    expected = np.asarray(resized.crop((left, upper, left + 224, upper + 224)), float)
    found = load("imagenet", tmp_path).test.array[0].transpose(1, 2, 0) * 255
    assert np.abs(found[..., 0] - expected[..., 0]).mean() < 2
    assert centre((400, 300)) == (400 / 2 - 131.25, 300 / 2 - 131.25, 400 / 2 + 131.25, 300 / 2 + 131.25)


def test_random_parts_lie_inside_and_have_the_stated_areas_and_aspects():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(500):
        left, upper, right, lower = part((500, 375), rng)
        assert 0 <= left < right <= 500 and 0 <= upper < lower <= 375
        assert 0.74 < (right - left) / (lower - upper) < 1.35
        shares.append((right - left) * (lower - upper) / (500 * 375))
    assert min(shares) < 0.12 and max(shares) > 0.9 and 0.4 < np.mean(shares) < 0.6
    left, upper, right, lower = part((1000, 10), rng)
    assert (right - left) / (lower - upper) == pytest.approx(4 / 3) and (upper, lower) == (0, 10)


def test_batches_depend_on_the_seed_alone(tmp_path):
    write_images(tmp_path)
    train = load("imagenet", tmp_path).train
    one, again, other = ([x for x, _ in shuffled_batches(train, 4, Augmentation(flip=True), seed=seed)] for seed in (1, 1, 2))
    assert len(one) == len(train) // 4 and one[0].shape == (4, 3, SIDE, SIDE)
    assert all(torch.equal(a, b) for a, b in zip(one, again))
    assert not any(torch.equal(a, b) for a, b in zip(one, other))
    assert not np.array_equal(train.images.load(np.array([0]), seed=1), train.images[:1]), "training sees parts"


def test_a_resumed_run_equals_an_unbroken_one(tmp_path, monkeypatch):
    write_images(tmp_path / "data", 6)
    data = load("imagenet", tmp_path / "data")
    config = defaults_for("imagenet", arch="2C7s8-P7", timesteps=2, epochs=3, batch_size=4, threads=1)
    unbroken = trainer.train(config, data, tmp_path / "a", progress=False)

    def stop(epoch, module):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.train(config, data, tmp_path / "b", progress=False, on_epoch=stop)
    resumed = trainer.train(config, data, tmp_path / "b", resume=True, progress=False)
    for name, tensor in unbroken.module.state_dict().items():
        assert torch.equal(tensor, resumed.module.state_dict()[name]), name


def test_through_the_command(tmp_path):
    write_images(tmp_path / "data")
    config = tmp_path / "c.toml"
    config.write_text("[train]\nbatch_size = 5\n[train.optimizer]\nlearning_rate = 0.02\n")
    told = ["--data", "imagenet", "--data-dir", str(tmp_path / "data"), "--arch", "4C7s8-P7", "--timesteps", "2", "--epochs", "20"]
    out = ["--config", str(config), "--backends", "engine", "--verify-samples", "2", "--out", str(tmp_path / "run")]
    assert main(["run", *told, *out]) == 0
    report = read_json(tmp_path / "run/report.json")
    accuracy = {curve["stage"]: curve["accuracy"][-1] for curve in report["accuracy"] if curve["split"] == "test"}
    assert accuracy["float"] > 0.9 and accuracy["quantized"] > 0.9


def test_damaged_and_missing_images(tmp_path):
    with pytest.raises(InputError, match="--data-dir"):
        load("imagenet")
    (tmp_path / "half/train").mkdir(parents=True)
    with pytest.raises(InputError, match=f"no folder val in {tmp_path / 'half'}"):
        load("imagenet", tmp_path / "half")
    write_images(tmp_path, 3)
    (tmp_path / "val/n02/1.JPEG").write_bytes(b"no image")
    data = load("imagenet", tmp_path)
    with pytest.raises(InputError, match=r"n02/1.JPEG cannot be read as an image"):
        data.test.array  # noqa: B018
    cut_short = (tmp_path / "train/n01/1.JPEG").read_bytes()[:-400]
    (tmp_path / "train/n01/1.JPEG").write_bytes(cut_short)
    with pytest.raises(InputError, match=r"n01/1.JPEG cannot be read as an image"):
        for _ in shuffled_batches(replace(data.train), 1, Augmentation(), seed=0):
            pass


def test_only_folders_with_images_are_classes_and_both_splits_have_the_same(tmp_path):
    write_images(tmp_path, 3)
    for folder in ("train/.git", "train/__MACOSX/n01", "val/empty", "train/n01/.thumbnails"):
        (tmp_path / folder).mkdir(parents=True)
    for hidden in ("train/.git/0.png", "train/__MACOSX/n01/._0.JPEG", "train/n01/.thumbnails/0.JPEG", "train/README.png"):
        (tmp_path / hidden).write_bytes(b"no image")
    found = load("imagenet", tmp_path)
    assert found.task.classes == 2 and len(found.train) + len(found.validation) == 6
    (tmp_path / "val/empty/0.JPEG").write_bytes(b"")
    with pytest.raises(InputError, match=r"train has no folder empty .*val has"):
        load("imagenet", tmp_path)
    (tmp_path / "val/empty/0.JPEG").unlink()
    (tmp_path / "val/n02").rename(tmp_path / "val/.n02")
    with pytest.raises(InputError, match="val has no folder n02"):
        load("imagenet", tmp_path)
