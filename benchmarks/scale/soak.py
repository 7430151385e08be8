"""Does anything grow in a process that works for hours?

    python benchmarks/scale/soak.py [--minutes 120] [--lava-runs 200]

First so many runs of real Lava in this one process, then the pipeline in a loop: quantize, write
and read the `.nir`, simulate, verify against the reference on the engine and ONNX Runtime, price,
write and read the record. After every round it looks at this process: anonymous resident memory,
how much of it glibc says is in use, Python's blocks, threads, open files, children. Growth is the
difference of the medians of the last and the second quarter of all rounds (the first quarter warms
up). Memory that grows while what is in use does not is the allocator's, which puts what it is
asked for where there is room, and does not always find the same. Writes
benchmarks/results/soak.json.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from measured import held_by

import spikeport as sp
from spikeport.export.common.files import write_json
from spikeport.export.model.network import Connection, Dense, FloatNetwork, FloatNeuron, Input, Population
from spikeport.hw.records.record_file import load_record, save_record

RESULTS = Path(__file__).parents[1] / "results" / "soak.json"
T, INPUTS, HIDDEN, CLASSES = 8, 64, 40, 10
GROWING = ("anonymous", "in_use", "blocks")


class MallInfo(ctypes.Structure):
    """glibc's `struct mallinfo2`: see mallinfo2(3)."""

    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]


mallinfo = ctypes.CDLL("libc.so.6").mallinfo2
mallinfo.restype = MallInfo


def network(seed: int) -> FloatNetwork:
    """Two dense layers, other weights for every seed."""
    rng = np.random.default_rng(seed)
    sizes, names = (INPUTS, HIDDEN, CLASSES), ("input", "hidden", "classes")
    neuron = FloatNeuron(alpha=np.array(0.0), beta=np.array(0.9), threshold=np.array(1.0), bias=np.array(0.0))
    populations = tuple(Population(name, (size,), neuron) for name, size in zip(names[1:], sizes[1:]))
    connections = tuple(
        Connection(f"to_{b}", a, b, Dense(rng.normal(0, 2 / m**0.5, (n, m)))) for a, b, m, n in zip(names, names[1:], sizes, sizes[1:])
    )
    return FloatNetwork(
        Input("input", (INPUTS,)),
        populations,
        connections,
        output="classes",
        readout="spike_count",
        timesteps=T,
        dt=1e-3,
        integrator="euler",
    )


def drawn(i: int, samples: int) -> np.ndarray:
    """Spikes, others for every number."""
    return (np.random.default_rng(i).random((samples, T, INPUTS)) < 0.2).astype(np.uint8)


def one_round(i: int, folder: Path) -> None:
    """The pipeline once."""
    x = drawn(i, 64)
    sp.write_nir(sp.quantize(network(i), x), folder / "network.nir")
    quantized = sp.read_nir(folder / "network.nir")
    record = sp.simulate(quantized, x)
    assert sp.verify(quantized, sp.encode(quantized.input, x[:8], T), ["engine", "onnx"]).equal
    sp.estimate_cost(quantized, record, sp.device("loihi2"))
    save_record(folder / "record.npz", record, {"network": "soak"})
    assert np.array_equal(load_record(folder / "record.npz").output, record.output)


def one_lava_run(i: int, folder: Path) -> None:
    """Lava once, against the engine."""
    x = drawn(i, 16)
    quantized = sp.quantize(network(0), x)
    assert np.array_equal(sp.simulate(quantized, x, backend="lava").output, sp.simulate(quantized, x).output)


def looked_at() -> dict[str, int]:
    """This process now."""
    anonymous, _ = held_by(os.getpid())
    children, heap = Path("/proc/thread-self/children"), mallinfo()
    return {
        "anonymous": anonymous,
        "in_use": heap.uordblks + heap.hblkhd,
        "blocks": sys.getallocatedblocks(),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "children": len(children.read_text().split()) if children.exists() else 0,
        "shared_memory": len(list(Path("/dev/shm").iterdir())),
    }


def rounds(work: Callable[[int, Path], None], enough: Callable[[int], bool], what: str) -> dict:
    """Work until it is enough; what the process held after each round, in short."""
    seen, began, i = {key: array("q") for key in looked_at()}, time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        while not enough(i):
            work(i, Path(folder))
            for key, number in looked_at().items():
                seen[key].append(number)  # 8 bytes; a dictionary a round would be most of what grows
            i += 1
            if i & (i - 1) == 0:
                print(f"{what} {i}: { {key: numbers[-1] for key, numbers in seen.items()} }", flush=True)
    quarter = max(1, i // 4)
    found = {
        "rounds": i,
        "seconds": time.monotonic() - began,
        "growth": {key: median(seen[key][-quarter:]) - median(seen[key][quarter : 2 * quarter] or seen[key]) for key in GROWING},
        "second": {key: numbers[min(quarter, i - 1)] for key, numbers in seen.items()},
        "last": {key: numbers[-1] for key, numbers in seen.items()},
    }
    print(f"{what}: {found}", flush=True)
    return found


def main() -> None:
    """Both, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--lava-runs", type=int, default=200)
    arguments = parser.parse_args()
    found = {}
    if arguments.lava_runs:
        found["lava"] = rounds(one_lava_run, lambda i: i >= arguments.lava_runs, "Lava run")
    end = time.monotonic() + 60 * arguments.minutes
    if arguments.minutes:
        found["pipeline"] = rounds(one_round, lambda i: time.monotonic() > end, "round")
    write_json(RESULTS, {"minutes": arguments.minutes, **found})


if __name__ == "__main__":
    main()
