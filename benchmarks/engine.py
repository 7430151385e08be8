"""Time per sample and timestep of one network on stock Lava, our Lava backend, the engine, float
frameworks and bare products.

    python benchmarks/engine.py [--make-rivals] [--quick] [--only NAME ...]

Same network, same images, one run. Writes benchmarks/results/engine.json and the table in
docs/engine.md. SpikingJelly 2 needs Python 3.11 and lives in an environment of its own,
.venv-rivals, which --make-rivals creates. Contenders take turns, and each is given its fastest
round, so that other work on the machine harms all alike; the load is recorded. Lava's start-up is
not counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from parts import engine_floors, engine_lava, engine_networks, engine_rivals, engine_table, rivals

from spikeport.hw import engine
from spikeport.hw.records.record import class_scores
from spikeport.hw.semantics.bounds import Bounds

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks/results/engine.json"
IMAGES = dict(zip(engine_networks.NAMES, (2048, 128, 16)))
LAVA_STEPS = {"stock": dict(zip(engine_networks.NAMES, (100, 8, 2))), "fast": dict(zip(engine_networks.NAMES, (100, 40, 10)))}
"""Timesteps of one round of Lava."""
LAVA_ROUNDS = 9


def subprocess_rounds(framework: str, path: Path, rounds: int) -> dict[str, Any]:
    """One round of a framework in the rivals' environment; an error where that is missing."""
    if not rivals.PYTHON.exists():
        return {"missing": f"no environment at {rivals.FOLDER.name}; run with --make-rivals"}
    command = [rivals.PYTHON, "-m", "parts.engine_rivals", framework, path, str(rounds)]
    done = subprocess.run(command, env=rivals.ENVIRONMENT, capture_output=True, text=True, check=False)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"missing": done.stderr.strip().splitlines()[-1]}


def measure(name: str, rounds: int) -> dict[str, Any]:
    """All contenders on one network; microseconds per sample and timestep."""
    network = engine_networks.network(name)
    stimulus = engine_networks.stimulus(network, IMAGES[name])
    steps = len(stimulus) * network.timesteps
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.npz"
        engine_networks.save(network, stimulus, path)
        layers, images, timesteps = engine_rivals.load(str(path))
        contenders: dict[str, Callable[[], Any]] = {"engine": lambda: engine.run(network, stimulus)}
        settings: dict[str, Any] = {}
        contenders["float32 floor"], settings["float32 floor"] = engine_floors.float32(layers, images, timesteps)
        contenders["int8 floor"], settings["int8 floor"] = engine_floors.int8(network, len(stimulus))
        contenders["snntorch"], settings["snntorch"] = engine_rivals.best_setting("snntorch", layers, images, timesteps)
        times: dict[str, list[float]] = {key: [] for key in contenders}
        core_times: dict[str, list[float]] = {key: [] for key in contenders}
        contenders["engine"]()  # compiled kernels are loaded
        for _ in range(rounds):
            for key, run in contenders.items():
                times[key].append(engine_rivals.seconds(run))
                core_times[key].append(engine_rivals.core_seconds(run))
        jelly = subprocess_rounds("spikingjelly", path, rounds)
    if "seconds" in jelly:
        times["spikingjelly"], core_times["spikingjelly"] = jelly["seconds"], jelly["core seconds"]
    for models, counts in LAVA_STEPS.items():
        times[f"lava {models}"] = [s * steps for s in engine_lava.rounds(network, stimulus, models, counts[name], LAVA_ROUNDS)]
    micro, core = ({key: 1e6 * min(values) / steps for key, values in t.items()} for t in (times, core_times))
    record = contenders["engine"]()
    classes = class_scores(record.output, network.readout)[:, -1].argmax(1)
    floats = {"snntorch": contenders["snntorch"]().argmax(1).numpy(), "spikingjelly": np.array(jelly.get("classes", []))}
    agreement = {key: float((classes == found).mean()) for key, found in floats.items() if len(found)}
    return {
        "microseconds": micro,
        "core microseconds": core,
        "median": {key: 1e6 * float(np.median(values)) / steps for key, values in times.items()},
        "rounds": {key: len(values) for key, values in times.items()},
        "settings": settings | {"spikingjelly": jelly.get("setting", jelly.get("missing"))},
        "versions": jelly.get("versions", {}),
        "classes equal to the engine's": agreement,
        "samples": len(stimulus),
        "timesteps": network.timesteps,
        "spike rates": {p.name: float(record.spike_counts[p.name].mean() / p.size) for p in network.populations if p.neuron.spiking},
        "overflow excluded": Bounds(network).overflow_excluded,
        "overflows": sum(record.overflows.values()),
        "ratios": engine_table.ratios(name, micro, core),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make-rivals", action="store_true", help="create the environment for SpikingJelly 2 first")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--only", nargs="+", choices=engine_networks.NAMES, default=engine_networks.NAMES)
    options = parser.parse_args()
    if options.make_rivals:
        rivals.make()
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {"networks": {}}
    results["machine"] = engine_table.machine()
    for name in options.only:
        results["networks"][name] = measure(name, options.rounds)
        print(engine_table.table({"networks": {name: results["networks"][name]}}), flush=True)
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(results, indent=1) + "\n")
    engine_table.into_document(ROOT / "docs/engine.md", results)


if __name__ == "__main__":
    main()
