"""DVS-CIFAR10 and folders of recordings: splits, sensors, what is held in memory, and training
through the command.
"""

import numpy as np
import pytest
from support.files.event_writers import write
from support.networks.random_networks import random_network, random_stimulus

from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import read_json
from spikeport.hw import engine
from spikeport.hw.records.stimulus import encode
from spikeport.stages import session
from spikeport.train.data import on_demand
from spikeport.train.data.events import CIFAR10
from spikeport.train.data.registry import EventBins, Split, load
from spikeport.train.settings.config import DATA_DEFAULTS


def bar(column, rng, count=120, sensor=(34, 34)):
    """Events on one column, in order of time."""
    times = np.sort(rng.integers(0, 8000, count))
    return [(column, int(y), int(t), int(y) % 2) for y, t in zip(rng.integers(0, sensor[0], count), times)]


def write_folder(root, suffix=".npz", samples=12, classes=("left", "right"), parts=("",)):
    rng = np.random.default_rng(0)
    for part in parts:
        for label, name in enumerate(classes):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(samples):
                write(folder / f"{number}{suffix}", bar(8 + 16 * label, rng))


def write_cifar10(root, numbers=(0, 1, 2, 899, 900, 999)):
    rng = np.random.default_rng(0)
    for label, name in enumerate(CIFAR10):
        (root / name).mkdir(parents=True)
        for number in numbers:
            write(root / name / f"cifar10_{name}_{number}.aedat", bar(12 * label, rng, sensor=(128, 128)))


def test_cifar10_dvs(tmp_path):
    write_cifar10(tmp_path / "DVS-CIFAR10")
    found = load("dvs-cifar10", tmp_path, timesteps=4, bins=EventBins(by="count"))
    assert (len(found.train) + len(found.validation), len(found.test)) == (40, 20)
    assert found.task.shape == (2, 128, 128) and found.task.classes == 10
    assert found.test.array.shape == (20, 4, 2, 128, 128)
    assert (found.test.array.sum((2, 3, 4)) == 30).all()
    rows = found.test.array.sum((1, 2, 4)).argmax(1)
    assert np.array_equal(rows, 12 * found.test.labels), "columns of the sensor are rows of the data"
    assert np.array_equal(np.bincount(found.test.labels), [2] * 10)


def test_cifar10_dvs_that_is_not_whole(tmp_path):
    with pytest.raises(InputError, match="airplane, automobile"):
        load("dvs-cifar10", tmp_path)
    write_cifar10(tmp_path, (1, 2))
    with pytest.raises(InputError, match="one side of number 900"):
        load("dvs-cifar10", tmp_path)
    (tmp_path / "airplane" / "other.aedat").write_bytes(b"")
    with pytest.raises(InputError, match=r"other.aedat is not named like"):
        load("dvs-cifar10", tmp_path)


@pytest.mark.parametrize("suffix", [".bin", ".dat", ".npy", ".h5"])
def test_folder_of_every_format(tmp_path, suffix):
    write_folder(tmp_path, suffix)
    found = load("events", tmp_path, timesteps=3)
    height, width = found.task.shape[1:]
    assert (len(found.train), len(found.validation), len(found.test)) == (19, 1, 4)
    assert (height, width) == ((34, 34) if suffix == ".dat" else (34, 25)), "stated by the file, or its largest addresses"
    assert np.array_equal(found.train.array.sum((1, 2, 3)).argmax(1), 8 + 16 * found.train.labels)
    assert (found.train.array.sum((1, 2, 3, 4), dtype=int) == 120).all()


def test_folder_with_its_own_test_set_and_a_stated_sensor(tmp_path):
    write_folder(tmp_path, parts=("train", "test"))
    found = load("events", tmp_path, timesteps=3, bins=EventBins(height=40, width=34, size=17))
    assert found.task.shape == (2, 17, 17) and len(found.test) == 24
    assert np.array_equal(found.test.array.sum((1, 2, 3)).argmax(1), 4 + 8 * found.test.labels)
    with pytest.raises(InputError, match="beyond the sensor of 20 x 20"):
        load("events", tmp_path, bins=EventBins(height=20, width=20))


def test_folders_without_recordings(tmp_path):
    with pytest.raises(InputError, match="--data-dir"):
        load("events")
    write_folder(tmp_path, classes=("one",))
    with pytest.raises(InputError, match="two sub-folders"):
        load("events", tmp_path)


def test_only_folders_with_recordings_are_classes(tmp_path):
    write_folder(tmp_path)
    plain = load("events", tmp_path, timesteps=3)
    for extra in (".git/objects", "__MACOSX/left", "notes", "left/deeper"):
        (tmp_path / extra).mkdir(parents=True)
    for file in (".git/objects/0.npz", "__MACOSX/left/._0.npz", "notes/plan.txt", "0.npz"):
        (tmp_path / file).write_bytes(b"no recording")
    (tmp_path / "left/9.npz").rename(tmp_path / "left/deeper/0.npz")
    found = load("events", tmp_path, timesteps=3)
    assert found.task.classes == 2 and np.array_equal(found.train.labels, plain.train.labels)
    assert np.array_equal(found.train.array.sum((1, 2, 3)).argmax(1), 8 + 16 * found.train.labels)


def test_train_and_test_have_the_same_classes(tmp_path):
    write_folder(tmp_path, parts=("train", "test"), samples=2)
    (tmp_path / "test/left").rename(tmp_path / "test/centre")
    with pytest.raises(InputError, match=r"train has no folder centre .*test has"):
        load("events", tmp_path)
    (tmp_path / "test/centre").rename(tmp_path / "other")
    with pytest.raises(InputError, match="test has no folder left"):
        load("events", tmp_path)


def test_what_does_not_fit_is_read_on_demand_and_is_the_same(tmp_path, monkeypatch):
    write_folder(tmp_path)
    held = load("events", tmp_path, timesteps=3)
    monkeypatch.setattr(on_demand, "HELD_BYTES", 0)
    lazy = load("events", tmp_path, timesteps=3)
    assert isinstance(lazy.train.images, on_demand.OnDemand) and isinstance(held.train.images, np.ndarray)
    for name in ("train", "validation", "test"):
        one, other = getattr(held, name), getattr(lazy, name)
        assert np.array_equal(one.array, other.array) and np.array_equal(one.labels, other.labels)
    assert np.array_equal(held.train[3:5].images, lazy.train[3:5].images)


def test_a_run_on_demand_equals_one_in_memory(tmp_path, monkeypatch):
    """Through the whole command: train, quantize, engine, Fisher information, truncate, report."""
    write_folder(tmp_path / "data", samples=24)
    config = tmp_path / "c.toml"
    config.write_text(
        '[train]\nbatch_size = 8\nshift = 1\n[train.optimizer]\nlearning_rate = 0.02\n[train.events]\nby = "count"\nsize = 17\nheight = 34\nwidth = 34\n'
    )
    told = ["--data", "events", "--data-dir", str(tmp_path / "data"), "--arch", "4C5s2-P2-8", "--timesteps", "3", "--epochs", "20"]
    reports = []
    for name, limit in (("held", 1 << 30), ("lazy", 0)):
        monkeypatch.setattr(on_demand, "HELD_BYTES", limit)
        out = ["--config", str(config), "--backends", "engine", "--verify-samples", "3", "--out", str(tmp_path / name)]
        assert main(["run", *told, *out]) == 0
        reports.append(read_json(tmp_path / name / "report.json"))
    assert reports[0]["accuracy"] == reports[1]["accuracy"]
    curves = {curve["stage"]: curve["accuracy"][-1] for curve in reports[0]["accuracy"] if curve["split"] == "test"}
    assert curves["float"] > 0.9 and curves["quantized"] > 0.9


def test_training_on_cifar10_dvs(tmp_path):
    write_cifar10(tmp_path)
    told = ["--data", "dvs-cifar10", "--data-dir", str(tmp_path), "--arch", "4C5s3-P4", "--timesteps", "2", "--epochs", "1"]
    assert main(["train", *told, "--out", str(tmp_path / "run")]) == 0
    assert read_json(tmp_path / "run/train.json")["task"]["shape"] == [2, 48, 48]
    assert DATA_DEFAULTS["dvs-cifar10"].events == EventBins(by="count", size=48)


def test_a_split_in_parts_is_recorded_as_a_whole(monkeypatch):
    """Neurons with noise too, whose generator counts samples from the first of the split."""
    network = next(n for n in map(random_network, range(100)) if any(p.neuron.noise for p in n.populations))
    images = random_stimulus(1, network, samples=9).values
    part = Split(images, np.zeros(9, np.int64))
    monkeypatch.setattr(session, "ENGINE_SAMPLES", 4)
    counted = []
    found = session.engine_record(network, part, counted.append)
    expected = engine.run(network, encode(network.input, images, network.timesteps))
    assert np.array_equal(found.output, expected.output) and found.overflows == expected.overflows and sum(counted) == 9
    assert all(np.array_equal(found.spike_counts[name], counts) for name, counts in expected.spike_counts.items())
