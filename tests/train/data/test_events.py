"""Event recordings: the reader by hand, damaged files, and the whole path on recordings written
here.
"""

import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.places import SHARED

from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import read_json
from spikeport.train.data.augment import random_shift
from spikeport.train.data.formats.event_bins import EventBins, event_counts
from spikeport.train.data.formats.event_files import read_n_mnist
from spikeport.train.data.registry import load
from spikeport.train.loop.trainer import train
from spikeport.train.settings.config import defaults_for

DATA = SHARED / "data"


def event(x, y, polarity, time):
    return bytes((x, y, polarity << 7 | time >> 16, time >> 8 & 255, time & 255))


def counts(raw, timesteps=3):
    return event_counts(read_n_mnist(raw, "here"), timesteps, EventBins(), sensor=(6, 8), duration=300, where="here")


def test_events_by_hand():
    raw = b"".join((event(7, 5, 1, 0), event(7, 5, 1, 99), event(0, 2, 0, 100), event(1, 1, 0, 299), event(1, 1, 0, 300)))
    expected = np.zeros((3, 2, 6, 8), np.uint8)
    expected[0, 1, 5, 7], expected[1, 0, 2, 0], expected[2, 0, 1, 1] = 2, 1, 1
    assert np.array_equal(counts(raw), expected)
    assert counts(b"").sum() == 0


def test_overflow_marks_move_time_on():
    raw = event(3, 3, 1, 5) + event(200, 240, 0, 0) + event(3, 3, 1, 5)
    found = event_counts(read_n_mnist(raw, "here"), 2, EventBins(), sensor=(6, 8), duration=2 << 13, where="here")
    assert found[:, 1, 3, 3].tolist() == [1, 1] and found.sum() == 2


def test_counts_saturate():
    assert counts(event(1, 1, 1, 0) * 300).max() == 255


@pytest.mark.parametrize(
    ("raw", "said"), [(b"1234", "no whole number"), (event(8, 0, 0, 0), "beyond the sensor"), (event(0, 6, 0, 0), "beyond")]
)
def test_damaged_recordings_are_refused(raw, said):
    with pytest.raises(InputError, match=f"here.*{said}"):
        counts(raw)


def recording(label, rng):
    """Events on a bar whose column says the label."""
    n = 150
    rows, times = rng.integers(0, 34, n), np.sort(rng.integers(0, 300_000, n))
    return b"".join(event(3 * label + 1, int(y), int(y) % 2, int(t)) for y, t in zip(rows, times))


def write_small(folder, train_samples=60, test_samples=20):
    """A tar file like N-MNIST-small's; labels are the number modulo 10."""
    rng, files = np.random.default_rng(0), {}
    for listing, numbers in (("train1K.txt", range(1, 1 + train_samples)), ("test100.txt", range(901, 901 + test_samples))):
        files[listing] = "#sample #class\r\n" + "".join(f"{n}\t{n % 10}\r\n" for n in numbers)
        files |= {f"{n}.bs2": recording(n % 10, rng) for n in numbers}
    with tarfile.open(folder / "nmnist_small_bs2.tar.gz", "w:gz") as tar:
        for name, content in files.items():
            raw = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(f"NMNISTsmall/{name}")
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))


def test_small_tar(tmp_path):
    write_small(tmp_path)
    found = load("n-mnist-small", tmp_path, timesteps=4)
    assert found.test.images.shape == (20, 4, 2, 34, 34) and found.test.images.dtype == np.uint8
    assert (len(found.train), len(found.validation)) == (45, 15)
    assert found.test.labels.tolist() == [n % 10 for n in range(901, 921)]
    columns = found.test.images.sum((1, 2, 3)).argmax(axis=1)
    assert np.array_equal(columns, 3 * found.test.labels + 1) and found.test.images.sum() == 20 * 150


def test_published_folders(tmp_path):
    rng = np.random.default_rng(1)
    for part in ("Train", "Test"):
        for label in range(3):
            folder = tmp_path / "N-MNIST" / part / str(label)
            folder.mkdir(parents=True)
            (folder / "00001.bin").write_bytes(recording(label, rng))
    found = load("n-mnist", tmp_path, timesteps=2)
    assert found.test.labels.tolist() == [0, 1, 2] and found.test.images.sum() == 450


def test_damaged_tar_is_refused(tmp_path):
    (tmp_path / "nmnist_small_bs2.tar.gz").write_bytes(b"no tar")
    with pytest.raises(InputError, match="cannot be read"):
        load("n-mnist-small", tmp_path)


def test_recordings_move_as_a_whole():
    recordings = torch.zeros(20, 3, 2, 6, 6, dtype=torch.uint8)
    recordings[..., 3, 3] = torch.arange(1, 7, dtype=torch.uint8).reshape(3, 2)
    moved = random_shift(recordings, 1, torch.Generator().manual_seed(0))
    assert moved.shape == recordings.shape and moved.dtype == torch.uint8
    for sample in moved:
        places = {tuple(plane.nonzero()[0].tolist()) for plane in sample.flatten(0, 1)}
        assert len(places) == 1
    assert torch.equal(moved.amax((-1, -2)), recordings.amax((-1, -2)))


def test_whole_path_on_events(tmp_path):
    """Train, quantize, engine against reference, Fisher information, truncate, report."""
    write_small(tmp_path, 120, 40)
    out, config = tmp_path / "run", tmp_path / "c.toml"
    config.write_text("[train]\nbatch_size = 10\nshift = 0\n[train.optimizer]\nlearning_rate = 0.01\n")
    said = [
        "--data",
        "n-mnist-small",
        "--data-dir",
        str(tmp_path),
        "--arch",
        "4C5s2-P3-20",
        "--timesteps",
        "3",
        "--epochs",
        "8",
        "--config",
        str(config),
    ]
    assert main(["run", *said, "--backends", "engine", "--verify-samples", "5", "--out", str(out)]) == 0
    report = read_json(out / "report.json")
    accuracy = {curve["stage"]: curve["accuracy"][-1] for curve in report["accuracy"] if curve["split"] == "test"}
    assert accuracy["float"] > 0.5 and accuracy["quantized"] > accuracy["float"] - 0.15


@pytest.mark.skipif(not (DATA / "N-MNIST-small").is_dir(), reason="the real recordings in shared/data are not here")
def test_real_recordings_load_and_train_a_step(tmp_path):
    found = load("n-mnist-small", DATA, timesteps=4)
    assert (len(found.train) + len(found.validation), len(found.test)) == (1000, 100)
    assert found.test.labels[:2].tolist() == [7, 2]
    assert 3000 < found.train.images[0].sum() < 6000 and (found.test.images.sum((0, 3, 4)) > 0).all()
    few = replace(found, train=found.train[:20], validation=found.validation[:10], test=found.test[:10])
    trained = train(defaults_for("n-mnist-small", arch="4C5s2-P4", timesteps=4, epochs=1, batch_size=20), few, tmp_path, progress=False)
    assert np.isfinite(trained.metrics["history"][0]["loss"])
