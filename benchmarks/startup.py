"""Seconds from the command to the end: `spikeport simulate` on a few images, beside what Python and
PyTorch take by themselves.

    python benchmarks/startup.py [--rounds 9] [--into docs/engine.md]

The network is the MLP of benchmarks/engine.py, 16 images, as a second run finds it: compiled
kernels and Python's bytecode are there. Commands take turns; the median counts, wall time and
processor time. Writes benchmarks/results/startup.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from parts import engine_networks, engine_table, marks

from spikeport.export.common.files import write_json
from spikeport.export.nir.file import write_nir

RESULT = Path(__file__).parent / "results" / "startup.json"
IMAGES, TARGET = 16, 2.0
HEAD = "| command | wall, s | processor, s | target, wall |"


def spent(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one run."""
    before, begun = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - begun, os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def table(found: dict[str, tuple[float, float]]) -> str:
    """As Markdown."""
    targets = {name: f"{TARGET:g}" if name.startswith("spikeport simulate") else "" for name in found}
    lines = [f"| `{name}` | {wall:.2f} | {core:.2f} | {targets[name]} |" for name, (wall, core) in found.items()]
    here = engine_table.machine(("torch", "numba"))
    told = f"{here['date']}, {here['cpu']}, torch {here['packages']['torch']}, load {here['load']:.1f}."
    return "\n".join([HEAD, "|---|---:|---:|---:|", *lines, "", told])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    network = engine_networks.network(engine_networks.NAMES[0])
    program = str(Path(sys.executable).with_name("spikeport"))
    with tempfile.TemporaryDirectory() as folder:
        file, images = f"{folder}/network.nir", f"{folder}/x.npy"
        write_nir(network, Path(file))
        np.save(images, (engine_networks.images(IMAGES) / 255).astype(np.float32))
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            'python -c "import torch"': [sys.executable, "-c", "import torch"],
            "spikeport --version": [program, "--version"],
            "spikeport simulate network.nir --input x.npy --out out.npz": [
                program,
                "simulate",
                file,
                "--input",
                images,
                "--out",
                f"{folder}/out.npz",
                "--force",
                "--quiet",
            ],
        }
        for command in commands.values():
            spent(command)
        rounds = [{name: spent(command) for name, command in commands.items()} for _ in range(options.rounds)]
    found = {name: (median(r[name][0] for r in rounds), median(r[name][1] for r in rounds)) for name in commands}
    write_json(RESULT, {"machine": engine_table.machine(("torch", "numba")), "target": TARGET, "seconds": found})
    marks.publish(options.into, "startup.py", table(found))


if __name__ == "__main__":
    main()
