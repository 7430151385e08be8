"""Images a second of `spikeport train`: two processes under torchrun, one thread each, against one
process with one thread and with two.

    python benchmarks/ranks.py [--images 768] [--rounds 3]

The network is Wu et al.'s for MNIST (15C5-P2-40C5-P2-300) on images of noise, 28 x 28, T = 10, batch
128. A run has two epochs, of which the second counts, validation (16 images) included. Runs take
turns; the median counts. Writes benchmarks/results/ranks.json and the table in docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from parts import engine_table, marks

from spikeport.export.common.files import write_text

ROOT = Path(__file__).resolve().parents[1]
RESULT, DOCUMENT = ROOT / "benchmarks/results/ranks.json", ROOT / "docs/scale.md"
WAYS = {"one process, 1 thread": (1, 1), "one process, 2 threads": (1, 2), "two processes, 1 thread each": (2, 1)}
METHODS = ("stbp", "dsr", "tssl-bp", "noise")


def write_data(place: Path, images: int) -> None:
    """Noise, with a few samples for validation and for test."""
    rng, total = np.random.default_rng(0), images + 32
    split = np.repeat(["train", "validation", "test"], [images, 16, 16])
    np.savez(place, x=rng.integers(0, 256, (total, 1, 28, 28), np.uint8), y=np.arange(total) % 10, split=split)


def images_a_second(method: str, processes: int, threads: int, data: Path, images: int, work: Path) -> float:
    """Of the second epoch of a run."""
    settings, out = work / "settings.toml", work / f"run-{time.time_ns()}"
    settings.write_text(f"[train]\nbatch_size = 128\nthreads = {threads}\n", encoding="utf-8")
    words = ["-m", "spikeport", "train", "--quiet", "--data", data, "--arch", "15C5-P2-40C5-P2-300", "--method", method]
    words += ["--timesteps", "10", "--epochs", "2", "--config", settings, "--out", out]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes] if processes > 1 else []
    subprocess.run([sys.executable, *map(str, launcher + words)], check=True, stdout=subprocess.DEVNULL)
    return images / json.loads((out / "train.json").read_text(encoding="utf-8"))["history"][1]["seconds"]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    m = engine_table.machine(("torch",))
    rates: dict[str, dict[str, list[float]]] = {method: {way: [] for way in WAYS} for method in METHODS}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "noise.npz"
        write_data(data, given.images)
        for _ in range(given.rounds):
            for method, ways in rates.items():
                for way, (processes, threads) in WAYS.items():
                    ways[way].append(images_a_second(method, processes, threads, data, given.images, Path(folder)))
    rows = {method: {way: median(each) for way, each in ways.items()} for method, ways in rates.items()}
    write_text(RESULT, json.dumps({"machine": m, "images": given.images, "rounds": given.rounds, "images_a_second": rows}, indent=1))
    said = f"{m['date']}, {m['cpu']}, {m['cores']} cores, load {m['load']:.1f} when started; {given.rounds} rounds, torch {m['packages']['torch']}"
    lines = [f"| images/s | {' | '.join(WAYS)} | two processes / one with 2 threads |", f"|---|{'---:|' * (len(WAYS) + 1)}"]
    for method, row in rows.items():
        _, threads, processes = row.values()
        lines.append(f"| {method} | {' | '.join(f'{rate:.0f}' for rate in row.values())} | {processes / threads:.2f} |")
    marks.replace(DOCUMENT, "benchmarks/ranks.py", "\n".join([*lines, "", said + "."]))


if __name__ == "__main__":
    main()
