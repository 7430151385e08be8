"""3 GB of input through `spikeport simulate`, `verify` and `cost`, and how much memory that takes.

    python benchmarks/scale/large_input.py [--gigabytes 3] [--folder DIR]

Two files: photographs (3 x 224 x 224 floats, few large samples) through all three, and digits (28 x
28 floats, many small samples) through `simulate` and `cost`, whose records are what is large there.
Networks are small, so that the data are what fills memory. Writes
benchmarks/results/large-input.json; the files go again.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from measured import Use, measured

from spikeport.export.common.files import write_json
from spikeport.export.model.network import Connection, Dense, Input, IntegerNeuron, Pool, Population, QuantizedNetwork
from spikeport.export.nir.file import write_nir

RESULTS = Path(__file__).parents[1] / "results" / "large-input.json"
CLASSES, AT_ONCE = 10, 1 << 22
CASES = {
    "photographs": ((3, 224, 224), 56, 1, ("simulate", "verify", "cost")),
    "digits": ((1, 28, 28), 4, 4, ("simulate", "cost")),
}
"""Shape of a sample, window of the pooling, timesteps, commands."""


def network(shape: tuple[int, int, int], window: int, timesteps: int) -> QuantizedNetwork:
    """Pooled pixels into the classes."""
    pool = Pool((window, window), (window, window), (0, 0))
    reads = shape[0] * (shape[1] // window) * (shape[2] // window)
    op = Dense(np.random.default_rng(0).integers(-100, 100, (CLASSES, reads)).astype(np.int8))
    neuron = IntegerNeuron(*(np.int32(n) for n in (4095, 400, 90, 0)))
    return QuantizedNetwork(
        Input("image", shape, scale=1 / 255, low=0, high=255),
        (Population("classes", (CLASSES,), neuron, scale=np.array(0.1)),),
        (Connection("dense", "image", "classes", op, pool, exponent=-8),),
        output="classes",
        readout="spike_count",
        timesteps=timesteps,
        dt=1e-3,
        integrator="per timestep",
        weight_bits=8,
    )


def write_input(path: Path, shape: tuple[int, int, int], size: int) -> int:
    """So many bytes of floats in 0 .. 1, written some at a time; returns how many samples."""
    row = int(np.prod(shape))
    samples = size // (4 * row)
    drawn = np.random.default_rng(0).random(AT_ONCE + row, np.float32)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (samples, *shape)})
        for i in range(samples):
            at = i * 7919 % AT_ONCE
            file.write(drawn[at : at + row].data)
    return samples


def runs(folder: Path, name: str, size: int) -> tuple[int, list[Use]]:
    """Every command on one file."""
    shape, window, timesteps, commands = CASES[name]
    net, x = folder / f"{name}.nir", folder / f"{name}.npy"
    write_nir(network(shape, window, timesteps), net)
    samples, found = write_input(x, shape, size), []
    options = {"simulate": ("--out", folder / f"{name}.record"), "verify": ("--backends", "engine"), "cost": ()}
    for command in commands:
        found.append(measured(command, command, net, "--input", x, *options[command], out=folder / "said"))
        print(f"{name}, {samples:,} samples: {found[-1]}", flush=True)
        if found[-1].status:
            print((folder / "said").read_text(encoding="utf-8"))
    x.unlink()
    return samples, found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for name in CASES:
            samples, uses = runs(Path(folder), name, int(arguments.gigabytes * 1e9))
            found[name] = {"samples": samples, "runs": [use.to_json() for use in uses]}
    write_json(RESULTS, {"gigabytes": arguments.gigabytes, **found})


if __name__ == "__main__":
    main()
