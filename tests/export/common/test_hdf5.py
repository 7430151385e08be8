"""HDF5 files of unknown origin: listed and read by a child with limits; what is hostile ends as one
line.
"""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest

from spikeport.export.common import hdf5
from spikeport.export.common.errors import InputError
from spikeport.export.common.hdf5 import opened_hdf5
from spikeport.export.nir.graph import load_graph


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.h5"


def test_numbers_and_text_come_as_they_are(path):
    arrays = {k: np.arange(6).reshape(2, 3).astype(k) for k in ("f4", ">f8", "i8", "u1", "?", "f2", ">i4", "g")}
    with h5py.File(path, "w") as file:
        for kind, array in arrays.items():
            file.create_dataset(f"a/{kind}", data=array, compression="gzip")
        file["a/none"], file["a/one"] = np.zeros((0, 3)), 7.5
        file["text"], file["texts"] = "Größe", [["a", "b"], ["c", "d"]]
    with opened_hdf5(path) as file:
        found = file.read(way for way, entry in file.entries.items() if entry.kind != "group")
        again = file.read([("a", "f4")])
    for kind, array in arrays.items():
        assert np.array_equal(found["a", kind], array) and found["a", kind].dtype.isnative and found["a", kind].dtype.itemsize <= 8
    assert found["a", "none"].shape == (0, 3) and found["a", "one"] == 7.5 and found["a", "one"].shape == ()
    assert (found["text",], found["texts",]) == ("Größe", ["a", "b", "c", "d"]) and np.array_equal(again["a", "f4"], arrays["f4"])


def test_constants_that_unpack_to_far_more_than_the_file(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=(100_000_000,), dtype="f4", chunks=(1_000_000,), fillvalue=1.0)
    assert path.stat().st_size < 1 << 20
    with opened_hdf5(path) as file, pytest.raises(InputError, match="claims 400,000,000 bytes"):
        file.read([("x",)])


def test_one_number_in_an_enormous_chunk(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=(1,), maxshape=(None,), dtype="f8", chunks=(500_000_000,), compression="gzip")
    with opened_hdf5(path) as file, pytest.raises(InputError, match="claims 4,000,000,000 bytes"):
        file.read([("x",)])


@pytest.mark.parametrize("place", ["link", "external", "virtual"])
def test_nothing_of_other_files_is_read(place, path, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.ones(3)
    with h5py.File(path, "w") as file:
        if place == "link":
            file["x"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
        elif place == "external":
            file.create_dataset("x", shape=(3,), dtype="u1", external=[(str(tmp_path / "other.h5"), 0, 3)])
        else:
            layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", shape=(3,))
            file.create_virtual_dataset("x", layout)
    with pytest.raises(InputError, match=r"link|in another file"), opened_hdf5(path):
        pass


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("while True: pass", "more than 1 s"),
        ("import os; os.kill(os.getpid(), 11)", "the HDF5 library fails on it"),
        ("import sys; sys.stdout.write('x' * 100)", "the HDF5 library fails on it"),
        ("import time; time.sleep(60)", "more than 1 s"),
    ],
)
def test_a_child_that_hangs_crashes_or_babbles(code, said, path, tmp_path, monkeypatch):
    """Stands for a file on which HDF5 does so."""
    (tmp_path / "child.py").write_text(code)
    path.touch()
    monkeypatch.setattr(hdf5, "CHILD", tmp_path / "child.py")
    monkeypatch.setattr(hdf5, "SECONDS", 1)
    with pytest.raises(InputError, match=said), opened_hdf5(path):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_memory_in_the_child_is_limited(path, monkeypatch):
    with h5py.File(path, "w") as file:
        file["x"] = np.random.default_rng(0).random(40_000_000, np.float32)
    monkeypatch.setattr(hdf5, "MEMORY", 100 << 20)
    with opened_hdf5(path) as file, pytest.raises(InputError, match=r"memory|MB to be read|allocate"):
        file.read([("x",)])


def nir_file(path, weight_shape, *, beside=6, connected=True):
    """Input of 2000 values, a large weight, `beside` neurons."""
    with h5py.File(path, "w") as file:
        node = file.create_group("node")
        node["type"] = "NIRGraph"
        node["edges"] = [["in", "w"], ["w", "l"]] if connected else [["in", "l"]]
        for name, kind in (("in", "Input"), ("w", "Linear"), ("l", "Threshold")):
            node[f"nodes/{name}/type"] = kind
        node["nodes/in/shape"], node["nodes/l/threshold"] = np.array([2000]), np.ones(beside)
        node["nodes/w"].create_dataset("weight", data=np.random.default_rng(0).integers(0, 9, weight_shape).astype(np.float32))


def test_large_arrays_that_no_neighbour_takes_are_not_loaded(path):
    nir_file(path, (1000, 2000), beside=1000)
    assert load_graph(path).nodes["w"]["weight"].shape == (1000, 2000)
    nir_file(path, (1000, 1500), beside=1000)
    with pytest.raises(InputError, match=r"node in sends 2,000 values to w, which takes 1,500"):
        load_graph(path)
    nir_file(path, (1000, 2000), beside=999)
    with pytest.raises(InputError, match=r"node w sends 1,000 values to l, which takes 999"):
        load_graph(path)
    nir_file(path, (1000, 2000), connected=False)
    with pytest.raises(InputError, match="nothing leads to it"):
        load_graph(path)


def test_a_large_array_of_an_unknown_name_stays_in_the_file(path):
    nir_file(path, (10, 2000), beside=10)
    with h5py.File(path, "r+") as file:
        file["node/nodes/w/notes"] = np.zeros(2_000_000)
    assert set(load_graph(path).nodes["w"]) == {"type", "weight"}
