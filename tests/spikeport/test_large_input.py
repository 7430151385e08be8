"""Inputs and records that memory need not hold: the same numbers part by part, from a mapped file,
after a kill; and the memory that it takes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spikeport.cli import main
from spikeport.export.common import arrays
from spikeport.export.model.network import Connection, Dense, Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Pool
from spikeport.export.nir.file import write_nir
from spikeport.hw.backends import parts
from spikeport.hw.records.growing import GrowingRecord

SIDE, STEPS, CLASSES = 64, 2, 3
MEASURE = """
import sys, threading, time
from pathlib import Path
from spikeport.cli import main
from spikeport.analysis.cost import averages
from spikeport.hw.backends import parts
def held():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")) << 10
def peak(name):
    highest, ended = [held()], threading.Event()
    def look():
        while not ended.wait(0.005):
            highest.append(held())
    thread = threading.Thread(target=look)
    thread.start()
    for command in (["simulate", "--out", f"{name}.record"], ["verify", "--backends", "engine"], ["cost"]):
        assert main([command[0], "n.nir", "--input", f"{name}.npy", "--timesteps", "1", "-q", *command[1:]]) == 0
    ended.set()
    thread.join()
    return max(highest)
parts.PART_BYTES, averages.UNITS = 1 << 24, 1 << 10
before = peak("small")
print("grew", peak("large") - before)
"""


def network(low: int = 0) -> QuantizedNetwork:
    """An image, pooled, into three classes."""
    neuron = IntegerNeuron(*(np.int32(n) for n in (4095, 400, 90, 0)))
    op = Dense(np.random.default_rng(0).integers(-100, 100, (CLASSES, (SIDE // 16) ** 2)).astype(np.int8))
    return QuantizedNetwork(
        Input("image", (1, SIDE, SIDE), scale=1 / 255, low=low, high=255),
        (Population("classes", (CLASSES,), neuron, scale=np.array(0.1)),),
        (Connection("dense", "image", "classes", op, Pool((16, 16), (16, 16), (0, 0)), exponent=-6),),
        output="classes",
        readout="spike_count",
        timesteps=STEPS,
        dt=1e-3,
        integrator="per timestep",
        weight_bits=8,
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_nir(network(), tmp_path / "n.nir")
    np.save("x.npy", np.random.default_rng(1).integers(0, 256, (40, 1, SIDE, SIDE), np.uint8))
    return tmp_path


def run(*words: str) -> list[str]:
    return ["simulate", "n.nir", "--input", "x.npy", *words]


@pytest.mark.parametrize("kind", ["u1", ">f4", ">i2"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("backend", ["engine", "torch"])
def test_a_mapped_input_in_parts_gives_the_same_numbers(kind, order, backend, here, monkeypatch, capsys):
    x = np.load("x.npy").astype(kind)
    np.save("x.npy", np.asarray(x / 255 if "f" in kind else x, kind, order=order))
    whole = ["--backend", backend, "--record", "all", "--timesteps", str(STEPS)]
    assert main(run("--out", "whole.npz", *whole, "--json")) == 0
    first = json.loads(capsys.readouterr().out)
    monkeypatch.setattr(arrays, "MAPPED_FROM", 0)
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 5000)
    monkeypatch.setattr(parts, "PART_SAMPLES", 8)
    monkeypatch.setattr("spikeport.export.floating.simulate.CHUNK_STATES", 8 * 4 * SIDE * SIDE * STEPS)
    assert not arrays.open_npy(Path("x.npy")).flags.owndata
    assert main(run("--out", "parts.npz", *whole, "--json")) == 0
    assert json.loads(capsys.readouterr().out) == first
    with np.load("whole.npz") as a, np.load("parts.npz") as b:
        assert a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def test_verify_and_cost_in_parts_say_the_same(here, monkeypatch, capsys):
    commands = [
        ["verify", "n.nir", "--input", "x.npy", "--backends", "engine,onnx", "--json"],
        ["cost", "n.nir", "--input", "x.npy", "--json"],
    ]
    said = []
    for size in (1 << 14, 8):
        monkeypatch.setattr(parts, "PART_SAMPLES", size)
        assert [main(command) for command in commands] == [0, 0]
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


def test_what_is_wrong_in_the_last_sample_is_told_before_anything_runs(here, monkeypatch, capsys):
    x = np.load("x.npy").astype(np.float32)
    x[-1, 0, -1, -1] = np.nan
    np.save("x.npy", x)
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 5000)
    monkeypatch.setattr(parts, "run_parts", None)
    for command in (run("--out", "out.npz"), ["cost", "n.nir", "--input", "x.npy"], ["verify", "n.nir", "--input", "x.npy"]):
        assert main(command) == 2
        assert "NaN" in capsys.readouterr().err
    assert sorted(path.name for path in here.iterdir()) == ["n.nir", "x.npy"]


def test_a_killed_run_goes_on_with_the_same_command(here, monkeypatch, capsys):
    assert main(run("--out", "whole.npz", "--record", "all")) == 0
    monkeypatch.setattr(parts, "PART_SAMPLES", 8)
    append, pid = GrowingRecord.append, os.fork()
    if not pid:

        def killed(record, *arguments):
            append(record, *arguments)
            if record.done == 16:
                os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(GrowingRecord, "append", killed)
        main(run("--out", "out.npz", "--record", "all"))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    capsys.readouterr()
    assert main(run("--out", "out.npz", "--record", "all")) == 0
    assert "went on after 16 samples that an earlier run had done" in capsys.readouterr().out
    with np.load("whole.npz") as a, np.load("out.npz") as b:
        assert a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


@pytest.mark.slow
def test_memory_does_not_follow_the_input(here):
    """80 MB of pixels through simulate, verify and cost, in parts of at most 16 MB and units that
    are few.
    """
    for name, samples in (("small", 8), ("large", 20_000)):
        images = np.lib.format.open_memmap(f"{name}.npy", "w+", np.uint8, (samples, 1, SIDE, SIDE))
        images[:: max(1, samples // 100), :, ::8] = 200
        del images
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split("grew")[1]) < 60e6, done.stdout
