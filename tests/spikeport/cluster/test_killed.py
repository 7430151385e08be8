"""Real workers: the same bits as one process, also where they are killed in the middle."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus
from support.oracles.same import assert_equal

from spikeport.cluster.files import SharedFile
from spikeport.cluster.shards import Files, Run, records, verified
from spikeport.export.common.errors import BackendError, InputError
from spikeport.export.nir.file import read_nir, write_nir
from spikeport.hw.backends.simulate import backend
from spikeport.hw.backends.verify import verify
from spikeport.hw.records.record import join_records
from spikeport.hw.records.stimulus import encode

pytest.importorskip("distributed", reason="needs the extra: pip install 'spikeport[scale]'")
from psutil import Process

from spikeport.cluster.dask_workers import local_workers

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed", "ignore::ResourceWarning")
SAMPLES = 64


@pytest.fixture(scope="module")
def workers():
    with local_workers(2, prepare=dict) as made:  # any callable: there is nothing to prepare
        yield made


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    network = random_network(3)
    array = random_stimulus(3, network, SAMPLES).over_time()
    write_nir(network, folder / "network.nir")
    np.save(folder / "x.npy", array)
    source = Files(read_nir, SharedFile.of(folder / "network.nir"), SharedFile.of(folder / "x.npy"))
    return encode(network.input, array, network.timesteps), network, Run(source, network.timesteps, SAMPLES, array.nbytes)


def kill(workers, before: set[int]) -> None:
    """Kill every worker process at once, those that were killed before having been replaced."""
    deadline = time.monotonic() + 120
    while len(alive := {*workers.client.run(os.getpid, on_error="ignore").values()} - before) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    before |= alive


@pytest.mark.parametrize("after", [(3,), pytest.param((1, 3, 5, 7, 9, 11, 13, 15), marks=pytest.mark.slow)])
def test_killed_workers_are_replaced_and_nothing_is_counted_twice(workers, given, after):
    """after: shards, of 16, whose results had come when every worker was killed."""
    stimulus, network, run = given
    told: list[int] = []
    killed: set[int] = set()

    def progress(count: int) -> None:
        told.append(count)
        if len(told) in after:
            kill(workers, killed)

    record = join_records(records(workers, run, "engine", "spikes", progress), SAMPLES)
    assert_equal(record, backend("engine")(network, stimulus, "spikes"))
    assert len(killed) == 2 * len(after) and sum(told) == SAMPLES and len(told) == 16
    found = verified(workers, run, ["engine"], None, lambda count: None)
    assert found == verify(network, stimulus, ["engine"]) and found.samples == SAMPLES


@pytest.mark.slow
def test_workers_may_be_killed_at_any_moment(workers, given):
    """Also while they are being started, and so often that one is away whenever anybody looks."""
    stimulus, network, run = given
    expected = backend("engine")(network, stimulus, "spikes")
    rng = np.random.default_rng(0)
    until = time.monotonic() + 60
    killed = 0

    def kill_now_and_then() -> None:
        nonlocal killed
        while time.monotonic() < until:
            time.sleep(rng.uniform(0.2, 8))
            for process in Process().children(recursive=True):
                if rng.random() < 0.7 and "spawn_main" in " ".join(process.cmdline()):
                    process.kill()
                    killed += 1

    with ThreadPoolExecutor() as pool:
        killer = pool.submit(kill_now_and_then)
        while time.monotonic() < until:
            assert_equal(join_records(records(workers, run, "engine", "spikes", lambda count: None), SAMPLES), expected)
        killer.result()
    assert killed >= 10


@pytest.mark.lava
def test_lava_runs_on_workers(workers, given):
    pytest.importorskip("lava.magma")
    stimulus, network, run = given
    expected = backend("reference")(network, stimulus[:3], "spikes")
    found = join_records(records(workers, Run(run.source, run.timesteps, 3, 1), "lava", "spikes", lambda count: None), 3)
    assert np.array_equal(found.output, expected.output)


def test_what_a_task_finds_wrong_is_told_here(workers, given, tmp_path):
    _, _, run = given
    lost = SharedFile(tmp_path / "gone.npy", "0")
    with pytest.raises(InputError, match=r"gone.npy cannot be read on worker"):
        list(records(workers, Run(Files(read_nir, run.source.place, lost), 4, 8, 8), "engine", "counts", lambda count: None))


@pytest.mark.slow
def test_a_task_that_ends_every_worker_is_given_up(workers):
    with pytest.raises(BackendError, match="workers died of the same task"):
        list(workers.each(os.abort, [()]))
