"""SHD and SSC in their HDF5 form, generated: counts by hand, bad files in one line, and a recurrent
network that learns them.
"""

import h5py
import numpy as np
import pytest

from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.export.nir.file import read_nir
from spikeport.hw.backends.simulate import backend
from spikeport.hw.backends.verify import verify
from spikeport.hw.records.stimulus import encode
from spikeport.stages.folder.workspace import Workspace
from spikeport.train.data.formats.event_bins import EventBins
from spikeport.train.data.registry import load

BINS = EventBins(size=140)


def write(path, times, units, labels, dtypes=(np.float16, np.uint16)):
    """A file as the authors write them: lists of numbers, `labels`, and `extra`."""
    with h5py.File(path, "w") as file:
        for name, lists, kind in (("times", times, dtypes[0]), ("units", units, dtypes[1])):
            data = file.create_dataset(f"spikes/{name}", (len(lists),), dtype=h5py.vlen_dtype(kind))
            for i, each in enumerate(lists):
                data[i] = np.asarray(each, kind)
        file["labels"] = np.asarray(labels, np.uint16)
        file.create_dataset("extra/keys", data=[b"zero", b"one"])
        file["extra/speaker"] = np.zeros(len(labels), np.uint16)


def words(samples, seed, classes=20):
    """Class c: spikes around unit 35 c that rise in even classes and fall in odd ones."""
    rng = np.random.default_rng(seed)
    labels = np.arange(samples) % classes
    times, units = [], []
    for label in labels:
        t = np.sort(rng.random(60))
        rising = t if label % 2 == 0 else 1 - t
        units.append(np.clip(70 * (label // 2) + 69 * rising + rng.normal(0, 2, 60), 0, 699).astype(int))
        times.append(t)
    return times, units, labels


@pytest.fixture
def shd(tmp_path):
    for part, samples, seed in (("train", 240, 0), ("test", 60, 1)):
        write(tmp_path / f"shd_{part}.h5", *words(samples, seed))
    return tmp_path


def test_counts_by_hand(tmp_path):
    recordings = [[0.0, 0.7, 0.7, 1.399, 1.4, 2.0], [], [0.1]], [[0, 699, 698, 5, 5, 5], [], [350]], [3, 19, 0]
    for part in ("train", "test"):
        write(tmp_path / f"shd_{part}.h5", *recordings, dtypes=(np.float64, np.uint16))
    test = load("shd", tmp_path, 0, 2, BINS).test
    assert test.images.shape == (3, 2, 140, 1, 1) and test.images.dtype == np.uint8 and test.labels.tolist() == [3, 19, 0]
    found = {tuple(map(int, at)): int(test.images[at]) for at in zip(*np.nonzero(test.images))}
    # 0.7 s is the first instant of the second half; 1.4 s and later are left out; 700 units join by
    # fives
    assert found == {(0, 0, 0, 0, 0): 1, (0, 1, 139, 0, 0): 2, (0, 1, 1, 0, 0): 1, (2, 0, 70, 0, 0): 1}


def test_more_recordings_than_are_read_at_a_time(shd, monkeypatch):
    whole = load("shd", shd, 3, 20, BINS)
    monkeypatch.setattr("spikeport.train.data.speech.ROWS", 7)
    parts = load("shd", shd, 3, 20, BINS)
    for name in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(whole, name).images, getattr(parts, name).images)
    assert (len(whole.train), len(whole.validation), len(whole.test)) == (220, 20, 60)
    assert sorted(whole.validation.labels) == list(range(20)) and whole.task.shape == (140, 1, 1)


def test_ssc_has_a_validation_file(tmp_path):
    for part, samples in (("train", 70), ("valid", 35), ("test", 35)):
        write(tmp_path / f"ssc_{part}.h5", *words(samples, 2, 35))
    data = load("ssc", tmp_path, 0, 10, EventBins())
    assert (len(data.train), len(data.validation), data.task.classes, data.task.shape) == (70, 35, 35, (700, 1, 1))


def bad(folder, change):
    path = folder / "shd_test.h5"
    times, units, labels = words(20, 4)
    change(times, units, labels)
    write(path, times, units, labels)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t, u, y: t.__setitem__(0, t[0][:-1]), "more spikes than units or fewer"),
        (lambda t, u, y: u.__setitem__(0, u[0] + 650), "expected 0..699"),
        (lambda t, u, y: t.__setitem__(2, np.full(60, np.nan)), "times that are no numbers"),
        (lambda t, u, y: t.__setitem__(2, -t[2]), "or negative"),
        (lambda t, u, y: y.__setitem__(0, 20), "labels in 1..20; shd has 0..19"),
    ],
)
def test_bad_files_are_one_line(shd, change, said):
    bad(shd, change)
    with pytest.raises(InputError, match=said):
        load("shd", shd, 0, 10, BINS)


def test_other_files_and_settings_are_one_line(shd, tmp_path):
    with pytest.raises(InputError, match="cannot be downloaded"):
        load("ssc", None, 0, 10, BINS)
    with pytest.raises(InputError, match=r"ssc_train.h5 is neither in"):
        load("ssc", shd, 0, 10, BINS)
    with pytest.raises(InputError, match="counted by time"):
        load("shd", shd, 0, 10, EventBins(by="count"))
    with h5py.File(shd / "shd_test.h5", "w") as file:
        file["labels"] = np.zeros(3, np.uint16)
    with pytest.raises(InputError, match="is it another data set"):
        load("shd", shd, 0, 10, BINS)
    (shd / "shd_test.h5").write_bytes((shd / "shd_train.h5").read_bytes()[:3000])
    with pytest.raises(InputError, match="no readable HDF5 file"):
        load("shd", shd, 0, 10, BINS)


def test_a_recurrent_network_learns_words_and_runs_in_integers(shd):
    run = shd / "run"
    config = shd / "c.toml"
    config.write_text("[train]\nbatch_size = 20\n[train.events]\nsize = 140\n")
    words = ["--data", "shd", "--data-dir", str(shd), "--arch", "32RD4", "--timesteps", "15", "--epochs", "12", "--config", str(config)]
    assert main(["train", *words, "--out", str(run)]) == 0
    assert main(["quantize", str(run), "--out", str(run / "network.nir")]) == 0
    network, array = read_nir(run / "network.nir"), load("shd", shd, 0, 15, BINS).test.array[:20]
    assert len({c.delay for c in network.connections if c.source == "input"}) > 2  # trained, and unlike
    stimulus = encode(network.input, array, 15)
    assert verify(network, stimulus, {"engine": backend("engine")}).equal
    assert Workspace(run).trained().metrics["test_accuracy"][-1] > 0.8
