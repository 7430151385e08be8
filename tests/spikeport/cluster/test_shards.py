"""Shards in one process: where they lie decides nothing; files and programs that differ are told."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.networks.random_networks import random_network, random_stimulus
from support.oracles.same import assert_equal

from spikeport.cli import main
from spikeport.cluster import shards, task
from spikeport.cluster.files import BLOCK, SharedFile
from spikeport.cluster.shards import Files, Run, records, verified
from spikeport.cluster.workers import HERE
from spikeport.export.common.errors import InputError
from spikeport.export.nir.file import read_nir, write_nir
from spikeport.hw.backends.simulate import backend
from spikeport.hw.backends.verify import verify
from spikeport.hw.records.record import join_records
from spikeport.hw.records.stimulus import encode

SAMPLES = 23


class Shuffled:
    """Does tasks in another order than they are given in."""

    def __init__(self, slots: int) -> None:
        self.slots = slots

    def each(self, do, tasks):
        tasks = list(tasks)
        order = np.random.default_rng(self.slots).permutation(len(tasks))
        done = {int(i): do(*tasks[i]) for i in order}
        return iter([done[i] for i in range(len(tasks))])


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A network that draws noise, so that every sample's number matters, and its input, as files."""
    folder = tmp_path_factory.mktemp("given")
    network = random_network(3)
    assert any(p.neuron.noise is not None for p in network.populations)
    array = random_stimulus(3, network, SAMPLES).over_time()
    write_nir(network, folder / "network.nir")
    np.save(folder / "x.npy", array)
    source = Files(read_nir, SharedFile.of(folder / "network.nir"), SharedFile.of(folder / "x.npy"))
    return network, array, Run(source, network.timesteps, SAMPLES, array.nbytes)


@pytest.mark.parametrize("slots", [1, 2, 7])
def test_records_do_not_depend_on_shards(given, slots):
    network, array, run = given
    told: list[int] = []
    expected = backend("engine")(network, encode(network.input, array, network.timesteps), "spikes")
    assert_equal(join_records(records(Shuffled(slots), run, "engine", "spikes", told.append), SAMPLES), expected)
    assert sum(told) == SAMPLES and len(told) > 1


@pytest.mark.parametrize("slots", [1, 2, 7])
def test_verifications_do_not_depend_on_shards(given, tmp_path, slots):
    network, array, run = given
    first = network.populations[0]
    changed = replace(first, neuron=replace(first.neuron, bias_mantissa=first.neuron.bias_mantissa // 2 + 1000))
    other = replace(network, populations=(changed, *network.populations[1:]))
    write_nir(other, tmp_path / "other.nir")
    candidate = Files(read_nir, SharedFile.of(tmp_path / "other.nir"))
    names = ("engine", "onnx")
    for tested, source in ((None, None), (other, candidate)):
        expected = verify(network, encode(network.input, array, network.timesteps), names, candidate=tested)
        assert expected.equal == (tested is None)
        assert verified(Shuffled(slots), run, names, source, lambda count: None) == expected


def test_the_first_difference_is_the_earliest_of_all_backends(given):
    """Not that of the backend that was named first."""
    network, array, _ = given
    stimulus = encode(network.input, array, network.timesteps)

    def wrong_from(sample: int):
        def run(network, part, record="counts", *, progress=None):
            made = backend("engine")(network, part, record)
            name, raster = next(iter(made.spikes.items()))
            return replace(made, spikes={**made.spikes, name: raster ^ (part.samples >= sample).reshape(-1, *[1] * (raster.ndim - 1))})

        return run

    found = verify(network, stimulus, {"late": wrong_from(20), "early": wrong_from(5)})
    assert found.first is not None and (found.first.backend, found.first.sample) == ("early", 5)


def test_shards_fit_into_memory():
    run = Run(SimpleNamespace(), 4, 1000, 1000 * (shards.SHARD_BYTES // 3))
    sizes = [stop - start for start, stop in run.shards(1)]
    assert max(sizes) == 3 and sum(sizes) == 1000


def test_here_does_a_task_when_its_result_is_asked_for():
    done: list[int] = []
    results = HERE.each(lambda i: done.append(i) or i, ((i,) for i in range(3)))
    assert not done and next(results) == 0 and done == [0] and list(results) == [1, 2]


def test_a_file_must_be_the_same_and_be_there(tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(3 * BLOCK))
    file = SharedFile.of(path)
    assert file.checked() == path
    changed = bytearray(3 * BLOCK)
    changed[2 * BLOCK + 5] = 1
    path.write_bytes(changed)
    with pytest.raises(InputError, match="another file on worker"):
        replace(file, path=path.parent / "." / "large.bin", digest=file.digest + "0").checked()
    path.unlink()
    with pytest.raises(InputError, match="cannot be read on worker"):
        replace(file, digest="never seen").checked()


@pytest.mark.parametrize(
    ("field", "value", "told"), [("source", "0" * 64, "spikeport"), ("python", "2.7", "python 3"), ("packages", ("1",) * 4, "dask")]
)
def test_another_program_is_told(field, value, told):
    other = replace(task.program(), **{field: value})
    with pytest.raises(InputError, match=rf"worker .* has {told}.*install the same there"):
        task.perform(other, lambda: None, int)
    assert task.perform(task.program(), lambda: None, int, "7") == 7


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--workers", "0"], "give at least 1"),
        (["--workers", "2", "--scheduler", "tcp://127.0.0.1:9"], "give one of them"),
        (["--scheduler", "tcp://127.0.0.1:9"], "no scheduler answers at tcp://127.0.0.1:9"),
        (["--scheduler", "nonsense://x"], "no scheduler answers at nonsense://x"),
        (["--workers", "2", "--backend", "torch"], "--workers does nothing here"),
        (["--workers", "2", "--profile"], "--workers does nothing here"),
    ],
)
def test_mistakes_are_told_in_one_line(given, tmp_path, capsys, monkeypatch, more, told):
    pytest.importorskip("distributed")
    from spikeport.cluster import dask_workers  # noqa: PLC0415

    monkeypatch.setattr(dask_workers, "REACH", 1.0)
    source = given[2].source
    status = main(["simulate", str(source.place.path), "--input", str(source.input.path), "--out", str(tmp_path / "o.npz"), "-q", *more])
    said = capsys.readouterr().err
    assert status == 2 and told in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_without_dask_the_remedy_is_told(given, tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "spikeport.cluster.dask_workers", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    source = given[2].source
    status = main(["cost", str(source.place.path), "--input", str(source.input.path), "--workers", "2"])
    assert status == 2 and "pip install 'spikeport[scale]'" in capsys.readouterr().err
