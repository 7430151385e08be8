"""Signal to quantization noise of every connection, where several enter one neuron: joined,
recurrent and residual networks.

Prints JSON. Networks are drawn from seeds; with `--trained DIR ...` (training directories) also
theirs, against float on test data.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from spikeport.export.floating.simulate import simulate_float
from spikeport.export.model.network import FloatNetwork, FloatNeuron, Input, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Dense
from spikeport.export.quantization.quantize import quantize
from spikeport.hw.backends.simulate import backend
from spikeport.hw.records.stimulus import encode
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.pipeline import CALIBRATION_SAMPLES
from spikeport.train.network.lowering import lower

BITS = (4, 6, 8)
RATIOS = (1.0, 1.1, 1.2, 1.4, 1.7, 2.0, 3.0, 10.0)
SEEDS = range(5)
INPUTS, NEURONS, TIMESTEPS, SAMPLES = 40, 32, 20, 32


def neuron() -> FloatNeuron:
    """A leaky neuron with a threshold of 1 that is reset to zero."""
    return FloatNeuron(alpha=np.float64(0), beta=np.float64(0.9), threshold=np.float64(1), bias=np.float64(0))


def weights(rng: np.random.Generator, sources: int, peak: float) -> Dense:
    """Normal weights, none beyond three deviations, whose largest is `peak`."""
    drawn = np.clip(rng.normal(0, 1, (NEURONS, sources)), -3, 3)
    return Dense(drawn * peak / np.abs(drawn).max())


def joined(seed: int, ratio: float) -> FloatNetwork:
    """Input to `out` straight and by way of `hidden`; the largest weights of the straight path are
    `ratio` times the others'.
    """
    rng = np.random.default_rng(seed)
    populations = (Population("hidden", (NEURONS,), neuron()), Population("out", (NEURONS,), neuron()))
    connections = (
        Connection("into", "in", "hidden", weights(rng, INPUTS, 1.0)),
        Connection("long", "hidden", "out", weights(rng, NEURONS, 0.7)),
        Connection("short", "in", "out", weights(rng, INPUTS, 0.7 * ratio)),
    )
    return FloatNetwork(
        Input("in", (INPUTS,)), populations, connections, "out", "spike_count", TIMESTEPS, dt=1e-3, integrator="per timestep"
    )


def recurrent(seed: int, ratio: float) -> FloatNetwork:
    """One layer with connections among itself; the largest weights of the input are `ratio` times
    theirs.
    """
    rng = np.random.default_rng(seed)
    connections = (
        Connection("input", "in", "out", weights(rng, INPUTS, 0.7 * ratio)),
        Connection("loop", "out", "out", weights(rng, NEURONS, 0.7), delay=1),
    )
    return FloatNetwork(
        Input("in", (INPUTS,)),
        (Population("out", (NEURONS,), neuron()),),
        connections,
        "out",
        "spike_count",
        TIMESTEPS,
        dt=1e-3,
        integrator="per timestep",
    )


def decibels(network: QuantizedNetwork) -> dict[str, float | None]:
    """Of every connection that shares its target with another one."""
    shared = [c.name for c in network.connections if len(network.incoming(c.target)) > 1]
    return {name: network.provenance["quantization"]["connections"][name]["sqnr_db"] for name in shared}


def drawn() -> list[dict]:
    """Worst over seeds, per kind of network, bits and ratio of the largest weights."""
    rows = []
    for kind, make in (("joined", joined), ("recurrent", recurrent)):
        for bits in BITS:
            for ratio in RATIOS:
                found = []
                for seed in SEEDS:
                    x = (np.random.default_rng([seed, 1]).random((SAMPLES, TIMESTEPS, INPUTS)) < 0.2).astype(np.float64)
                    found.append(decibels(quantize(make(seed, ratio), x, weight_bits=bits)))
                worst = {name: min(f[name] for f in found) for name in found[0]}
                rows.append({"network": kind, "bits": bits, "ratio": ratio, "worst_db": {k: round(v, 1) for k, v in worst.items()}})
    return rows


def trained(folder: Path) -> list[dict]:
    """A trained network at every number of bits: decibels of shared connections, and against float
    on test data: accuracy, share of answers changed, and of the spikes of either that both have.
    """
    work = Workspace(folder)
    made = work.trained()
    data = work.dataset(made, None)
    network = lower(made.module)
    x, y = data.test.array, data.test.labels
    real = simulate_float(network, x, network.timesteps, record=True)
    answers = real["output"].sum(axis=1).argmax(axis=1)
    assert network.readout != "membrane_potential"
    rows = []
    for bits in BITS:
        quantized = quantize(network, data.train.images[:CALIBRATION_SAMPLES], weight_bits=bits)
        record = backend("engine")(quantized, encode(quantized.input, x, network.timesteps), "spikes")
        found = record.output.sum(axis=1).argmax(axis=1)
        pairs = [(real[f"spikes/{name}"], raster) for name, raster in record.spikes.items()]
        values = sorted(v for v in decibels(quantized).values() if v is not None)
        rows.append(
            {
                "network": folder.name,
                "bits": bits,
                "connections": len(values),
                "least_db": round(values[0], 1),
                "median_db": round(values[len(values) // 2], 1),
                "accuracy_float": round(float((answers == y).mean()), 4),
                "accuracy_integers": round(float((found == y).mean()), 4),
                "answers_changed": round(float((found != answers).mean()), 4),
                "spikes_in_common": round(sum(int((a & b).sum()) for a, b in pairs) / sum(int((a | b).sum()) for a, b in pairs), 4),
            }
        )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trained", type=Path, nargs="*", default=[], metavar="DIR")
    folders = parser.parse_args().trained
    print(json.dumps([*drawn(), *(row for folder in folders for row in trained(folder))], indent=1))
