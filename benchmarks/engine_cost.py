"""What the engine's time depends on: batch, timesteps, width and spike rate, as a plot in
docs/engine-cost.png.

    python benchmarks/engine_cost.py [--rounds 7]

15C5-P2-40C5-P2-300-10 on MNIST images, one axis varied at a time, beside the network's bare
products (dense, in float32 and in int8).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from parts import engine_floors, engine_networks, engine_rivals, engine_table

from spikeport.hw import engine

ROOT = Path(__file__).resolve().parents[1]
BASE = {"batch": 128, "timesteps": 8, "width": 1.0, "rate": 0.1}
AXES = {
    "batch": (1, 4, 16, 64, 256, 1024),
    "timesteps": (1, 2, 4, 8, 16, 32),
    "width": (0.25, 0.5, 1.0, 2.0, 4.0),
    "rate": (0.01, 0.05, 0.1, 0.2, 0.5),
}
CURVES = (("engine", "o-", "engine"), ("float32 floor", "s--", "bare products, float32"), ("int8 floor", "^:", "bare products, int8"))
TITLES = {"batch": "images in the batch", "timesteps": "timesteps", "width": "channels, relative", "rate": "spikes per neuron and timestep"}


def point(batch: int, timesteps: int, width: float, rate: float, rounds: int) -> dict[str, float]:
    """Processor microseconds of one core per image and timestep of the engine and of the bare
    products, fastest of several turns.
    """
    network = engine_networks.network(engine_networks.NAMES[1], timesteps, rate, width)
    stimulus = engine_networks.stimulus(network, batch)
    with tempfile.TemporaryDirectory() as folder:
        engine_networks.save(network, stimulus, Path(folder) / "network.npz")
        layers, images, _ = engine_rivals.load(f"{folder}/network.npz")
    floors = {"float32 floor": engine_floors.float32(layers, images, timesteps)[0], "int8 floor": engine_floors.int8(network, batch)[0]}
    contenders = {"engine": lambda: engine.run(network, stimulus), **floors}
    turns = [{key: engine_rivals.core_seconds(run) for key, run in contenders.items()} for _ in range(rounds + 1)]
    return {key: 1e6 * min(turn[key] for turn in turns) / batch / timesteps for key in contenders}


def plot(results: dict[str, Any], path: Path) -> None:
    """One panel an axis."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    for panel, (axis, points) in zip(figure.subplots(2, 2).flat, results["axes"].items()):
        values = [float(value) for value in points]
        for key, style, label in CURVES:
            panel.plot(values, [p[key] for p in points.values()], style, label=label, markersize=4)
        panel.set(xscale="log", xlabel=TITLES[axis], ylabel="core µs per image and timestep")
        panel.set_xticks(values, [f"{v:g}" for v in values])
        panel.minorticks_off()
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    results: dict[str, Any] = {"machine": engine_table.machine(), "base": BASE, "axes": {}}
    for axis, values in AXES.items():
        results["axes"][axis] = {}
        for value in values:
            results["axes"][axis][value] = point(**{**BASE, axis: value}, rounds=rounds)  # type: ignore[arg-type]
            print(axis, value, results["axes"][axis][value], flush=True)
    (ROOT / "benchmarks/results/engine-cost.json").write_text(json.dumps(results, indent=1) + "\n")
    plot(results, ROOT / "docs/engine-cost.png")


if __name__ == "__main__":
    main()
