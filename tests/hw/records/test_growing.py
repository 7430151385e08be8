"""A record on disk grows part by part, goes on after a kill, and ends as one that was written
whole.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from spikeport.export.common.arrays import read_npy
from spikeport.export.common.errors import InputError, OutputError
from spikeport.hw.records import growing as module
from spikeport.hw.records.growing import growing, unfinished
from spikeport.hw.records.record_file import read_made_of

ARRAYS = {"output": np.arange(70).reshape(10, 7), "spikes/../a b": np.arange(20).reshape(10, 2) % 3 == 0, "spike_counts/a/b": np.arange(10)}
RUN, MADE_OF = {"backend": "engine"}, {"network": "n", "input": "i"}
TALLY = {"overflows": {"a/b": 3}, "notes": {"c": "slow"}}


def grow(place: Path, sizes: list[int], *, stop: int | None = None, kill: bool = False, **options) -> int:
    """Rows of these sizes, from where it stands; returns where it began."""
    with growing(place, options.pop("run", RUN), MADE_OF, 10, **options) as grown:
        began = grown.done
        for size in sizes:
            if stop is not None and grown.done >= stop:
                raise KeyboardInterrupt
            grown.append({name: array[grown.done : grown.done + size] for name, array in ARRAYS.items()}, TALLY)
            if kill:
                (place.parent / "x.npz.unfinished" / "output.npy").open("ab").write(b"half a row")
                os.kill(os.getpid(), signal.SIGKILL)
    return began


@pytest.mark.parametrize("name", ["x.npz", "x.record"])
def test_what_was_interrupted_goes_on(name, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        grow(tmp_path / name, [4, 4], stop=4)
    assert not (tmp_path / name).exists() and read_made_of(tmp_path / name) is None
    assert read_made_of(unfinished(tmp_path / name)) is None, "an unfinished record is no record"
    assert grow(tmp_path / name, [3, 3]) == 4
    assert read_made_of(tmp_path / name) == MADE_OF and [path.name for path in tmp_path.iterdir()] == [name]
    if name == "x.npz":
        with np.load(tmp_path / name) as found:
            assert found.keys() == {*ARRAYS, "overflows/a/b", "notes/c", "made_of"} and found["overflows/a/b"] == 3
            assert all(np.array_equal(found[key], array) and found[key].dtype == array.dtype for key, array in ARRAYS.items())
    else:
        found = {key: read_npy(path) for key, path in module.arrays_of(tmp_path / name).items()}
        assert found.keys() == ARRAYS.keys() and all(np.array_equal(found[key], array) for key, array in ARRAYS.items())
        assert grow(tmp_path / name, [10]) == 0, "a finished one is made anew"


def test_what_was_killed_goes_on(tmp_path):
    child = multiprocessing.get_context("fork").Process(target=grow, args=(tmp_path / "x.npz", [4]), kwargs={"kill": True})
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL and [path.name for path in tmp_path.iterdir()] == ["x.npz.unfinished"]
    assert grow(tmp_path / "x.npz", [6]) == 4
    with np.load(tmp_path / "x.npz") as found:
        assert all(np.array_equal(found[key], array) for key, array in ARRAYS.items())


def test_a_half_written_array_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        grow(tmp_path / "x.npz", [4, 4], stop=4)
    with pytest.raises(InputError, match="output"):
        read_npy(unfinished(tmp_path / "x.npz") / "output.npy")


def test_another_run_is_not_mixed_in(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        grow(tmp_path / "x.npz", [4, 4], stop=4)
    with pytest.raises(InputError, match="unfinished run of another command; --force"):
        grow(tmp_path / "x.npz", [10], run={"backend": "onnx"})
    assert grow(tmp_path / "x.npz", [10], run={"backend": "onnx"}, force=True) == 0


def test_a_folder_of_the_users_stays(tmp_path):
    theirs = tmp_path / "x.npz.unfinished" / "mine.txt"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    with pytest.raises(InputError, match="no unfinished record of spikeport"):
        grow(tmp_path / "x.npz", [10], force=True)
    assert theirs.read_text() == "mine" and [path.name for path in theirs.parent.iterdir()] == ["mine.txt"]


def test_two_at_once_are_refused(tmp_path):
    with growing(tmp_path / "x.npz", RUN, MADE_OF, 10) as grown:
        with pytest.raises(InputError, match="another process of spikeport is at work"):
            grow(tmp_path / "x.npz", [10])
        grown.append(ARRAYS, TALLY)
    assert (tmp_path / "x.npz").exists()


@pytest.mark.parametrize("name", ["x.npz", "x.record"])
def test_a_full_disk_is_one_line_and_leaves_nothing(name, tmp_path, monkeypatch):
    def full(path, array, done, of):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "_append", full)
    with pytest.raises(OutputError, match=r"cannot write .* \(No space left on device\)"):
        grow(tmp_path / name, [10])
    assert not list(tmp_path.iterdir())


def test_what_nothing_was_done_of_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        grow(tmp_path / "x.npz", [4], stop=0)
    assert not list(tmp_path.iterdir())
