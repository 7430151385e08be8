"""Whole test sets through real Lava, ONNX Runtime beside the engine, and the start of a command;
each figure with its target.

    python benchmarks/lava_set.py [--only set rates start] [--networks NAME ...]

set: MNIST's 10,000 test images through real Lava on 15C5-P2-40C5-P2-300-10 (T = 8, random int8
weights, thresholds set so that every layer spikes at 10 %), every spike against the engine. rates:
time per sample and timestep of stock Lava, Lava side by side, ONNX Runtime and the engine; Lava's
start is not counted. start: `spikeport simulate` from the command to its end on 8 samples, a second
run. Parts that are not run keep what was measured of them before. Writes
benchmarks/results/lava_set.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from parts import engine_lava, engine_networks, engine_table, marks

from spikeport.export.common.files import write_json
from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.nir.file import write_nir
from spikeport.hw.backends.simulate import backend
from spikeport.hw.backends.through_lava import through_lava
from spikeport.hw.lava.batch.backend import records
from spikeport.hw.records.stimulus import Stimulus

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "lava.md"
RESULT = Path(__file__).parent / "results" / "lava_set.json"
SET_NETWORK, SET_IMAGES, SET_SECONDS = "15C5-P2-40C5-P2-300-10", 10_000, 120
TIMES_STOCK = dict(zip(engine_networks.NAMES, (20, 50, 50)))
START_SECONDS, STARTS = 2.0, 3
STOCK_STEPS = dict(zip(engine_networks.NAMES, (100, 8, 2)))
SAMPLES = dict(zip(engine_networks.NAMES, (4096, 1024, 64)))


def whole_set() -> dict[str, Any]:
    """The test set in one run."""
    network = engine_networks.network(SET_NETWORK)
    stimulus = engine_networks.stimulus(network, SET_IMAGES)
    proof, _ = through_lava(network, [stimulus], SET_IMAGES, 10 * SET_SECONDS, lambda count: None)
    print("\n".join(proof.sentences))
    memory = {who: resource.getrusage(code).ru_maxrss / 1024 for who, code in MEMORY.items()}
    return {
        "network": f"{SET_NETWORK}, random int8 weights, 10 % spikes, T = {network.timesteps}",
        "images": "MNIST test images" if engine_networks.MNIST.exists() else "random strokes",
        "samples": proof.samples,
        "differences": {"reached": proof.differences, "target": 0, "met": proof.differences == 0},
        "seconds": {"reached": proof.seconds, "target": SET_SECONDS, "met": proof.seconds <= SET_SECONDS},
        "neuron-steps compared": proof.batch.compared,
        "in Lava's own process models": proof.stock.samples if proof.stock else proof.stock_absent,
        "largest resident MB": memory,
    }


MEMORY = {"parent": resource.RUSAGE_SELF, "largest Lava process": resource.RUSAGE_CHILDREN}


def rates(name: str) -> dict[str, Any]:
    """Microseconds per sample and timestep, contenders one after the other."""
    network = engine_networks.network(name)
    stimulus = engine_networks.stimulus(network, SAMPLES[name])
    steps = len(stimulus) * network.timesteps
    seconds = {"stock Lava": min(engine_lava.rounds(network, stimulus, "stock", STOCK_STEPS[name], 3)) * steps}
    seconds["Lava side by side"] = side_by_side(network, stimulus)
    outputs = []
    for each in ("onnx", "engine"):
        run = backend(each)
        run(network, stimulus[:64])  # compiled kernels are loaded
        began = time.perf_counter()
        record = run(network, stimulus)
        seconds[each] = time.perf_counter() - began
        outputs.append(record.output)
    assert np.array_equal(*outputs), "bits differ"
    micro = {key: 1e6 * value / steps for key, value in seconds.items()}
    ratio = micro["stock Lava"] / micro["Lava side by side"]
    print(name, {key: round(value, 1) for key, value in micro.items()}, f"Lava side by side: {ratio:.0f} times stock", flush=True)
    target = TIMES_STOCK[name]
    return {
        "microseconds": micro,
        "samples": len(stimulus),
        "Lava side by side against stock": {"reached": ratio, "target": target, "met": ratio >= target},
        "10,000 samples in ONNX Runtime, seconds": micro["onnx"] * network.timesteps * 1e-2,
    }


def side_by_side(network: QuantizedNetwork, stimulus: Stimulus) -> float:
    """Seconds for all samples at the pace of all but the first piece, during which Lava starts."""
    times, counts = [], []
    for _, record in records(network, [stimulus]):
        times.append(time.perf_counter())
        counts.append(len(record))
    return (times[-1] - times[0]) / sum(counts[1:]) * len(stimulus)


def start() -> dict[str, Any]:
    """Wall and processor seconds, the shortest of a few after one to fill the caches, and what
    importing PyTorch takes of it.
    """
    network = engine_networks.network(SET_NETWORK)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_nir(network, place / "network.nir")
        np.save(place / "x.npy", engine_networks.images(8) >> 4)
        simulate = ["-m", "spikeport", "simulate", "network.nir", "--input", "x.npy", "--out", "out.npz", "--force"]
        commands = {"simulate": simulate, "import torch alone": ["-c", "import torch"]}
        times: dict[str, list[tuple[float, float]]] = {key: [] for key in commands}
        for _ in range(STARTS + 1):
            for key, command in commands.items():
                times[key].append(_timed(command, place))
    best = {key: {"wall": min(w for w, _ in t[1:]), "processor": min(c for _, c in t[1:])} for key, t in times.items()}
    wall = best["simulate"]["wall"]
    print("start", best, flush=True)
    return {"seconds": best, "from command to end": {"reached": wall, "target": START_SECONDS, "met": wall <= START_SECONDS}}


def _timed(command: list[str], place: Path) -> tuple[float, float]:
    used, began = os.times(), time.perf_counter()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": str(place / "cache")}
    subprocess.run([sys.executable, *command], cwd=place, env=environment, check=True, capture_output=True)
    wall, now = time.perf_counter() - began, os.times()
    return wall, now.children_user + now.children_system - used.children_user - used.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=("set", "rates", "start"), default=("set", "rates", "start"))
    parser.add_argument("--networks", nargs="+", choices=engine_networks.NAMES, default=engine_networks.NAMES)
    options = parser.parse_args()
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}

    def keep(part: str, measured: dict[str, Any]) -> None:
        results[part] = measured | {"machine": machine}
        write_json(RESULT, results)

    machine = engine_table.machine(("torch", "numba", "lava-nc", "onnxruntime", "numpy"))
    if "start" in options.only:
        keep("start", start())
    if "set" in options.only:
        keep("set", whole_set())
    if "rates" in options.only:
        for name in options.networks:
            keep(f"rates {name}", rates(name))
    marks.replace(DOCUMENT, "lava_set.py", described(results))


def described(results: dict[str, Any]) -> str:
    """Markdown: the table of rates, the whole set, the start."""
    lines = ["| µs per sample and timestep, T = 8 | stock Lava | batch | times (target) | ONNX Runtime | engine |", "|---|" + "---:|" * 5]
    for name in (n for n in engine_networks.NAMES if f"rates {n}" in results):
        micro, gain = results[f"rates {name}"]["microseconds"], results[f"rates {name}"]["Lava side by side against stock"]
        stock, batch, onnx, engine = (f"{micro[key]:,.0f}" for key in ("stock Lava", "Lava side by side", "onnx", "engine"))
        lines.append(f"| {name} | {stock} | {batch} | {gain['reached']:,.0f} ({gain['target']}) | {onnx} | {engine} |")
    if whole := results.get("set"):
        memory = whole["largest resident MB"]
        lines.append(
            f"\nThe test set ({whole['images']}, {whole['network']}) through Lava: {whole['differences']['reached']:,} differences from the engine in "
            f"{whole['neuron-steps compared']:,} neuron-steps\nof {whole['samples']:,} samples, {whole['seconds']['reached']:.0f} s (target "
            f"{whole['seconds']['target']}) with load {whole['machine']['load']:.0f} when started; at most {memory['parent']:,.0f} MB in the parent, "
            f"{memory['largest Lava process']:,.0f} MB in a Lava process.\n"
        )
    if begun := results.get("start"):
        ours, torch = begun["seconds"]["simulate"], begun["seconds"]["import torch alone"]
        lines.append(
            f"From the command `spikeport simulate` to its end on 8 samples, a second run: {ours['wall']:.1f} s, {ours['processor']:.1f} s of a "
            f"processor (target {START_SECONDS:g}); importing\nPyTorch alone: {torch['wall']:.1f} and {torch['processor']:.1f} s; load "
            f"{begun['machine']['load']:.0f} when started.\n"
        )
    machine = next(iter(results.values()))["machine"]
    lines.append(f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores shared with other work, Python {machine['python']}.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
