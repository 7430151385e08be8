"""Time and memory of training on a GPU: a step of a network, and a bare layer of LIF neurons,
against other frameworks.

    python benchmarks/training_gpu.py [--make-rivals] [--quick]

The network is that of benchmarks/training.py, the layer that of Open Neuromorphic's comparison
(16,000 neurons, 500 timesteps, batch 16), forward and backward. Prints the ratios to STBP and
writes benchmarks/results/training-gpu.json. --quick tries everything on small sizes and writes
nothing. What cannot be had here (a framework) is named and left out. Exit status 2 without a GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

import torch
from parts import engine_table, rivals
from training import Worker

from spikeport.export.common.files import write_text

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks/results/training-gpu.json"
REFERENCE = "stbp float32"
OURS = (("stbp", "float32"), ("stbp", "bfloat16"), ("stbp-pytorch", "float32"))
OURS_IN_NETWORKS = (("dsr", "float32"),)
OTHERS = ("spikingjelly", "norse", "snntorch")


def case(what: str, timesteps: int, batch: int, options: argparse.Namespace) -> dict[str, Any]:
    """All contenders at one size, taking turns; seconds of a step are medians over rounds."""
    theirs = str(rivals.PYTHON) if rivals.PYTHON.exists() else sys.executable
    pythons = dict.fromkeys((*OURS, *(OURS_IN_NETWORKS if what == "network" else ())), sys.executable)
    pythons |= {(name, "float32"): theirs for name in OTHERS}
    sizes = [str(n) for n in (timesteps, batch, options.neurons, options.steps)]
    workers = {
        " ".join(who): Worker([python, "-m", "parts.training_gpu_worker", *who, what, *sizes, "cuda"]) for who, python in pythons.items()
    }
    rounds: dict[str, list[float]] = {key: [] for key, worker in workers.items() if "missing" not in worker.started}
    for _ in range(options.rounds):
        for key, times in rounds.items():
            times.append(workers[key].round()["seconds"])
    for worker in workers.values():
        worker.close()
    measured = {key: {"seconds": median(times), "rounds": times} for key, times in rounds.items()}
    return {key: {**measured.get(key, {}), **worker.started} for key, worker in workers.items()}


def table(cases: dict[str, dict[str, Any]]) -> str:
    """Markdown: milliseconds of a step, peak MB, and times STBP's time."""
    names = list(dict.fromkeys(name for found in cases.values() for name in found))
    lines = [f"| ms of a step; peak MB; times {REFERENCE} | " + " | ".join(cases) + " |", "|---|" + "---:|" * len(cases)]
    lines += [
        f"| {name} | " + " | ".join(_cell(found.get(name, {}), found[REFERENCE]) for found in cases.values()) + " |" for name in names
    ]
    reasons = {f"{name}: {entry['missing']}" for found in cases.values() for name, entry in found.items() if "missing" in entry}
    return "\n".join([*lines, *sorted(reasons)])


def _cell(entry: dict[str, Any], reference: dict[str, Any]) -> str:
    if "seconds" not in entry:
        return "-"
    ratio = f"{entry['seconds'] / reference['seconds']:.2f}" if "seconds" in reference else "-"
    return f"{1e3 * entry['seconds']:.2f}; {entry['peak bytes'] / 1e6:.0f}; {ratio}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make-rivals", action="store_true", help="create the other frameworks' environment first")
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written")
    parser.add_argument("--timesteps", type=int, nargs="+", default=[5, 20], help="of the network")
    parser.add_argument("--batch", type=int, default=128, help="of the network")
    parser.add_argument("--neurons", type=int, default=16_000, help="of the layer")
    parser.add_argument("--layer-timesteps", type=int, default=500)
    parser.add_argument("--layer-batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=10, help="steps of a round")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"no GPU: PyTorch {torch.__version__} finds no CUDA device, and this benchmark times nothing else", file=sys.stderr)
        return 2
    if options.quick:
        options.timesteps, options.batch, options.neurons, options.layer_timesteps = [3], 8, 1000, 20
        options.rounds, options.steps = 2, 2
    if options.make_rivals:
        rivals.make()
    device = {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    described = {key: getattr(options, key) for key in ("rounds", "steps", "neurons")}
    results: dict[str, Any] = {"machine": {**engine_table.machine(("torch", "triton")), **device}, **described, "cases": {}}
    sizes = [("network", steps, options.batch) for steps in options.timesteps]
    for what, timesteps, batch in (*sizes, ("layer", options.layer_timesteps, options.layer_batch)):
        results["cases"][f"{what}, T = {timesteps}, batch {batch}"] = case(what, timesteps, batch, options)
        print(table(results["cases"]), flush=True)
        if not options.quick:
            write_text(RESULT, json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
