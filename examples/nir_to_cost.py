"""A `.nir` file of another framework: what it means, the integers it becomes, proof, and what a
sample costs.

    python examples/nir_to_cost.py [NET.nir] [--dt 1e-3] [--device loihi1]

Without a file it takes examples/zoo/two-layers.nir, which was written with the `nir` package alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import spikeport as sp


def main() -> sp.Cost:
    """Import, quantize, verify, price."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="?", metavar="NET.nir")
    parser.add_argument("--dt", type=float, default=1e-3, help="seconds per timestep; the file does not say")
    parser.add_argument("--device", default="loihi2")
    arguments = parser.parse_args()

    # What the file leaves unsaid is stated, never guessed.
    file = arguments.network or Path(__file__).with_name("zoo") / "two-layers.nir"
    network = sp.import_nir(file, dt=arguments.dt, integrator="euler", reset="zero")
    print(network)
    spikes = np.random.default_rng(0).random((64, 40, *network.input.shape)) < 0.15
    quantized = sp.quantize(network.with_timesteps(40), spikes)

    proof = sp.verify(quantized, sp.encode(quantized.input, spikes[:8], 40), ["engine", "onnx"])
    print(proof)
    theirs = sp.simulate_float(network, spikes, 40)["output"].sum(axis=1)
    ours = sp.simulate(quantized, spikes)
    agree = (theirs.argmax(axis=1) == ours.output.sum(axis=1).argmax(axis=1)).mean()
    print(f"float and integers choose the same output for {agree:.1%} of {len(spikes)} samples")

    cost = sp.estimate_cost(quantized, ours, sp.device(arguments.device))
    print(cost)
    for layer in cost.layers:
        print(
            f"  {layer.name}: {layer.spikes[-1]:.1f} spikes, {layer.operations[-1]:.0f} synaptic operations, {1e9 * layer.energy[-1]:.2f} nJ"
        )
    return cost


if __name__ == "__main__":
    main()
