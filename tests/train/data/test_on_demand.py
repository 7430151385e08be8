"""Reading on demand: which threads read, how far ahead, and what they do with errors."""

import os
import threading

import numpy as np
import pytest

from spikeport.train.data.on_demand import OnDemand, in_batches


def on_demand(read, samples=24):
    return OnDemand(np.arange(samples).astype(str), read, (1,), np.float32)


def test_a_pass_has_as_many_threads_as_cores(monkeypatch):
    """Three read at the same time, or the barrier breaks; and the same three from the first batch
    to the last.
    """
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    together, names = threading.Barrier(3, timeout=20), set()

    def read(file, rng):
        together.wait()
        names.add(threading.current_thread().name)
        return np.array([int(file)])

    parts = np.random.default_rng(0).permutation(24).reshape(4, 6)
    found = list(in_batches(on_demand(read), parts))
    assert np.array_equal(np.stack(found)[..., 0], parts) and len(names) == 3


def test_one_batch_is_read_ahead_and_no_more():
    asked, read_ = [], threading.Event()

    def parts():
        for start in range(0, 24, 6):
            asked.append(start)
            yield slice(start, start + 6)

    def read(file, rng):
        if file == "11":
            read_.set()
        return np.array([int(file)])

    batches = in_batches(on_demand(read), parts())
    assert next(batches)[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert read_.wait(20) and asked == [0, 6]
    batches.close()


def test_an_error_of_a_reader_ends_the_pass():
    def read(file, rng):
        if file == "7":
            raise ValueError(file)
        return np.zeros(1)

    batches = in_batches(on_demand(read), [slice(0, 6), slice(6, 12), slice(12, 18)])
    next(batches)
    with pytest.raises(ValueError, match="7"):
        next(batches)
