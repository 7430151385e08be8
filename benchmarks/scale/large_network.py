"""Time and memory of a `.nir` file with 50 million weights on its way to the engine.

    python benchmarks/scale/large_network.py [--weights 50] [--folder DIR]

Writes such a file (dense layers, as many neurons each, drawn weights), then runs `spikeport check`,
`quantize`, `check` and `map` of what came out, and `simulate`; writes
benchmarks/results/large-network.json. The files go again.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import pairwise
from math import isqrt
from pathlib import Path

import nir
import numpy as np
from measured import Use, measured

from spikeport.export.common.files import write_json

RESULTS = Path(__file__).parents[1] / "results" / "large-network.json"
STATED = ("--dt", "1", "--integrator", "euler", "--reset", "zero")
SAMPLES, STEPS, LAYERS, CLASSES = 64, 8, 2, 10


def write_network(path: Path, weights: int) -> int:
    """A foreign file of about so many weights, of neurons that fire at a few per cent; returns how
    many neurons a layer has.
    """
    rng, width = np.random.default_rng(0), isqrt(weights // LAYERS)
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array([width])})}
    sizes = [width] * (LAYERS + 1) + [CLASSES]
    for i, (source, target) in enumerate(pairwise(sizes)):
        weight = (rng.standard_normal((target, source), np.float32) * (4 / source**0.5)).astype(np.float32)
        nodes[f"dense{i}"] = nir.Affine(weight, np.zeros(target, np.float32))
        ones = np.ones(target, np.float32)
        nodes[f"lif{i}"] = nir.LIF(tau=2 * ones, r=2 * ones, v_leak=0 * ones, v_threshold=2 * ones, v_reset=0 * ones)
    nodes["output"] = nir.Output({"output": np.array([CLASSES])})
    names = list(nodes)
    nir.write(path, nir.NIRGraph(nodes, list(pairwise(names))))
    return width


def runs(folder: Path, weights: int) -> list[Use]:
    """Every command, one after the other."""
    foreign, quantized, x, out = (folder / name for name in ("foreign.nir", "quantized.nir", "x.npy", "out.npz"))
    width = write_network(foreign, weights)
    np.save(x, (np.random.default_rng(1).random((SAMPLES, STEPS, width)) < 0.1).astype(np.uint8))
    steps = [
        ("check, foreign", "check", foreign),
        ("quantize", "quantize", foreign, *STATED, "--calibration", x, "--out", quantized),
        ("check, quantized", "check", quantized),
        ("map", "map", quantized, "--device", "loihi2"),
        ("simulate", "simulate", quantized, "--input", x, "--timesteps", str(STEPS), "--out", out),
        ("cost", "cost", quantized, "--input", x, "--timesteps", str(STEPS)),
    ]
    found = []
    for name, *arguments in steps:
        found.append(measured(name, *arguments, out=folder / "said"))
        print(
            found[-1], "\n   ", (folder / "said").read_text(encoding="utf-8").strip().replace("\r", "\n").splitlines()[-1][:200], flush=True
        )
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=float, default=50, help="millions")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        found = runs(Path(folder), int(arguments.weights * 1e6))
    write_json(
        RESULTS, {"weights": int(arguments.weights * 1e6), "samples": SAMPLES, "timesteps": STEPS, "runs": [use.to_json() for use in found]}
    )


if __name__ == "__main__":
    main()
