"""Files of every kind that is read, in order, and how each is read by the program: a reader
returns, or raises InputError.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import resource
import shutil
import tarfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
from PIL import Image
from scipy.io import savemat
from support.files import event_writers
from support.files.mutations import mutations_for
from support.networks.random_networks import random_network
from support.places import ROOT
from support.stated import INT8

from spikeport.analysis.cost.devices import device_named
from spikeport.cli import main
from spikeport.export.common.errors import InputError
from spikeport.export.floating.file import read_float, write_float
from spikeport.export.floating.simulate import physical_input
from spikeport.export.model.network import Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Conv, Dense
from spikeport.export.netx.file import exported_from, read_netx, write_netx
from spikeport.export.nir.file import is_quantized, read_nir, write_nir
from spikeport.export.nir.foreign.importer import describe, import_nir
from spikeport.export.nir.graph import load_graph
from spikeport.export.quantization.dequantize import dequantize
from spikeport.export.quantization.quantize import quantize
from spikeport.hw.mapping.check import check_network
from spikeport.hw.records.stimulus import encode, load_input
from spikeport.stages.config import run_config
from spikeport.train.data.colour import read_cifar, read_jpeg_tar, read_svhn
from spikeport.train.data.formats.event_bins import EventBins, event_counts
from spikeport.train.data.formats.event_files import read_events
from spikeport.train.data.formats.idx import read_idx
from spikeport.train.data.formats.tar import members
from spikeport.train.data.imagenet import _Pixels

DIRECTORY = "run"
"""A whole run's folder, in which one file is damaged before `spikeport report` reads it."""
OPTIONS = ["--arch", "4C3-P4", "--timesteps", "2", "--epochs", "1", "--backends", "engine", "--verify-samples", "3", "--tolerance", "40"]


def read_any_nir(path: Path) -> None:
    """What check, quantize and simulate do with a network before they compute."""
    graph = load_graph(path)
    if is_quantized(graph):
        check_network(read_nir(graph), "loihi2")
        return
    for row in describe(graph):
        assert isinstance(row.reason, str)
    network = import_nir(graph, dt=1e-3, integrator="euler", reset="zero", timesteps=3)
    quantize(network, np.ones((2, *network.input.shape), np.float32))


def read_any_net(path: Path) -> None:
    """What check, quantize and verify do with lava-dl's file, and what tells who wrote it."""
    check_network(read_netx(path), "loihi2")
    exported_from(path)


def read_any_input(path: Path) -> None:
    """What every backend does with an input."""
    source, array = Input("input", (1, 8, 8), 1 / 16, 0, 16), load_input(path)
    encode(source, array, 1)
    physical_input(source, array, 1)


def read_any_events(path: Path) -> None:
    """A recording as training counts it."""
    events = read_events(path)
    event_counts(events, 4, EventBins(), sensor=events.size, where=str(path))


READERS: dict[str, Callable[[Path], object]] = {
    "quantized.nir": read_any_nir,
    "foreign.nir": read_any_nir,
    "nested.nir": read_any_nir,
    "network.net": read_any_net,
    "float.npz": read_float,
    "x.npy": read_any_input,
    "device.toml": lambda path: device_named(str(path)),
    "c.toml": lambda path: run_config(path, {}, {}),
    **{f"events{suffix}": read_any_events for suffix in (".bin", ".aedat", ".dat", ".npy", ".npz", ".h5")},
    "images.gz": read_idx,
    "images.idx": read_idx,
    "batch.bin": lambda path: read_cifar(path, 1, 10),
    "images.tar.gz": read_jpeg_tar,
    "list.tar.gz": lambda path: dict(members(path)),
    "svhn.mat": read_svhn,
    "image.png": lambda path: _Pixels(path.parent)(path.name),
}


@dataclass(frozen=True)
class Outcome:
    """One damaged file. said: the message it was refused with, "" where it was read. wrong: a
    traceback's last line, else "".
    """

    name: str
    mutation: str
    seconds: float
    said: str
    wrong: str = ""


def prepare(folder: Path) -> None:
    """Write one file in order for each reader, and a whole run."""
    rng = np.random.default_rng(0)
    write_nir(random_network(4), folder / "quantized.nir")
    write_netx(netx_network(rng), folder / "network.net")
    write_float(dequantize(random_network(4)), folder / "float.npz")
    nir.write(folder / "foreign.nir", _foreign(rng))
    nir.write(folder / "nested.nir", _nested(rng))
    np.save(folder / "x.npy", rng.integers(0, 16, (4, 1, 8, 8)).astype(np.float32) / 16)
    events = [(i % 30, i // 5, 1000 * i, i % 2) for i in range(40)]
    for suffix in (".bin", ".aedat", ".dat", ".npy", ".npz", ".h5"):
        event_writers.write(folder / f"events{suffix}", events)
    head = bytes((0, 0, 8, 3)) + b"".join(int(n).to_bytes(4, "big") for n in (5, 28, 28))
    (folder / "images.idx").write_bytes(head + rng.bytes(5 * 28 * 28))
    (folder / "images.gz").write_bytes(gzip.compress((folder / "images.idx").read_bytes()))
    (folder / "batch.bin").write_bytes(b"".join(bytes([label]) + rng.bytes(3072) for label in range(10)))
    savemat(
        folder / "svhn.mat",
        {"X": rng.integers(0, 255, (32, 32, 3, 4)).astype(np.uint8), "y": np.ones((4, 1), np.uint8)},
        do_compression=True,
    )
    Image.fromarray(rng.integers(0, 255, (40, 50, 3)).astype(np.uint8)).save(folder / "image.png")
    for name in ("images.tar.gz", "list.tar.gz"):
        with tarfile.open(folder / name, "w:gz") as tar:
            for label in "ab":
                picture = io.BytesIO()
                Image.new("RGB", (32, 32), (9, 9, 9)).save(picture, "JPEG")
                member = tarfile.TarInfo(f"test/{label}/1.jpg")
                member.size = picture.tell()
                tar.addfile(member, io.BytesIO(picture.getvalue()))
    run = str(folder / DIRECTORY)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert main(["run", *OPTIONS, "--out", run]) == 0
        assert main(["tic", run, "--out", f"{run}/tic.json", "--samples", "20"]) == 0
    shutil.copy(ROOT / "analysis" / "cost" / "loihi1.toml", folder / "device.toml")
    (folder / "c.toml").write_text(
        "verify_samples = 7\n[train]\n" + (folder / DIRECTORY / "config.toml").read_text().replace("[", "[train.")
    )


def netx_network(rng: np.random.Generator) -> QuantizedNetwork:
    """A convolution and a dense layer, as lava-dl has them."""
    leaky = lambda threshold: IntegerNeuron(np.int32(4095), np.int32(300), np.int32(threshold), np.int32(2))  # noqa: E731
    drawn = lambda *shape: 2 * rng.integers(-20, 30, shape).astype(np.int8)  # noqa: E731
    return QuantizedNetwork(
        Input("input", (1, 8, 8)),
        (Population("a", (3, 6, 6), leaky(50)), Population("b", (5,), leaky(90))),
        (Connection("c", "input", "a", Conv(drawn(3, 1, 3, 3), (1, 1), (0, 0), (1, 1))), Connection("d", "a", "b", Dense(drawn(5, 108)))),
        "b",
        "spike_count",
        3,
        **INT8,
    )


def _foreign(rng: np.random.Generator) -> nir.NIRGraph:
    ones = np.ones((4, 6, 6))
    nodes = {
        "input": nir.Input({"input": np.array((1, 8, 8))}),
        "c": nir.Conv2d((8, 8), rng.normal(size=(4, 1, 3, 3)), (1, 1), (0, 0), (1, 1), 1, rng.normal(size=4)),
        "if": nir.IF(ones * 1000, ones, ones * 0),
        "pool": nir.AvgPool2d(np.array((2, 2)), np.array((2, 2)), np.array((0, 0))),
        "fl": nir.Flatten({"input": np.array((4, 3, 3))}, 0, -1),
        "fc": nir.Linear(rng.normal(size=(5, 36))),
        "o": nir.LIF(np.full(5, 0.01), np.ones(5), np.zeros(5), np.ones(5), np.zeros(5)),
        "output": nir.Output({"output": np.array((5,))}),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)


def _nested(rng: np.random.Generator) -> nir.NIRGraph:
    def inner() -> nir.NIRGraph:
        lif = nir.CubaLIF(*(np.full(3, v) for v in (0.01, 0.02, 1.0, 0.0, 1.0, 0.0)))
        nodes = {"in": nir.Input({"input": np.array((3,))}), "l": lif, "out": nir.Output({"output": np.array((3,))})}
        return nir.NIRGraph(nodes, [("in", "l"), ("l", "out")], type_check=False)

    nodes = {
        "input": nir.Input({"input": np.array((4,))}),
        "a": nir.Affine(rng.normal(size=(3, 4)), rng.normal(size=3)),
        "sub": inner(),
        "b": nir.Linear(rng.normal(size=(3, 3))),
        "sub2": inner(),
        "output": nir.Output({"output": np.array((3,))}),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)


def damage_and_read(folder: Path, seed: int, *, whole_runs: bool = True) -> Outcome:
    """Damage one file, chosen by the seed, and read it. whole_runs: files of a run too, through the
    command line.
    """
    rng = np.random.default_rng(seed)
    place = folder / "damaged"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    if whole_runs and rng.integers(8) == 0:
        shutil.copytree(folder / DIRECTORY, place / DIRECTORY)
        kept = sorted(
            p.name
            for p in (place / DIRECTORY).iterdir()
            if p.suffix in (".json", ".toml", ".nir", ".npz", ".safetensors") and p.stem != "report"
        )
        path = place / DIRECTORY / kept[int(rng.integers(len(kept)))]
        read: Callable[[Path], object] = _report
    else:
        path = place / sorted(READERS)[int(rng.integers(len(READERS)))]
        shutil.copy(folder / path.name, path)
        read = READERS[path.name]
    choices = mutations_for(path)
    mutate = choices[int(rng.integers(len(choices)))]
    try:
        path.write_bytes(mutate(path.read_bytes(), rng))
    except (ValueError, OSError, KeyError, TypeError, RuntimeError, UnicodeEncodeError):  # HDF5 itself refuses such damage
        path.write_bytes(path.read_bytes()[:-1])
    start = time.perf_counter()
    said = wrong = ""
    try:
        result = read(path)
        said = result if isinstance(result, str) else ""
    except InputError as error:
        said = str(error)
    except BaseException as error:  # that is what is looked for
        wrong = f"{type(error).__name__}: {error} at {traceback.format_tb(error.__traceback__)[-1]}"
    if said and not (said.isprintable() and len(said) <= 3000):
        wrong = f"unprintable: {said[:200]!r}"
    return Outcome(path.name, mutate.__name__, time.perf_counter() - start, said[:300], wrong)


def _report(path: Path) -> str:
    """What `spikeport report` says on standard error; status 0 or 2."""
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        status = main(["report", str(path.parent)])
    assert status in (0, 2), status
    return said.getvalue().splitlines()[-1] if status else ""


def main_loop(folder: Path, first: int, count: int, memory: int) -> None:
    """Damage and read so many files under a limit of so many bytes of memory; a line of JSON for
    each, at last the peaks in MB.
    """
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for seed in range(first, first + count):
        print(json.dumps(vars(damage_and_read(folder, seed)) | {"seed": seed}), flush=True)
    peaks = {
        name: resource.getrusage(who).ru_maxrss >> 10 for name, who in (("own", resource.RUSAGE_SELF), ("child", resource.RUSAGE_CHILDREN))
    }
    print(json.dumps({"megabytes": peaks}), flush=True)
