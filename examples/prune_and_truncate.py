"""Fewer weights, then fewer timesteps: prune, retrain with zeros kept, quantize, and cut T with a
statement that holds.

    python examples/prune_and_truncate.py
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

import spikeport as sp


def main() -> sp.Truncation:
    """The whole path on digits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--cycles", type=int, default=2, help="of pruning half the weights that are left")
    parser.add_argument("--tolerance", type=float, default=4.0, help="accuracy loss in percentage points that T' may cost")
    arguments = parser.parse_args()

    data = sp.load_data("digits")
    network = sp.build("16C3-P2-32C3-P2-64", data, timesteps=6)
    print(sp.train(network, data, epochs=arguments.epochs))
    for _ in range(arguments.cycles):
        sp.prune(network, 0.5)
        print(sp.train(network, data, epochs=max(1, arguments.epochs // 4)))  # weights that are zero stay zero

    floating = sp.lower(network)
    quantized = sp.quantize(floating, data.train.array[:256])
    weights = [c.weight for c in quantized.connections]
    print(f"{sum(map(np.count_nonzero, weights)):,} of {sum(w.size for w in weights):,} weights are left")

    batches = [(torch.from_numpy(data.validation.array[:128]), torch.from_numpy(data.validation.labels[:128]))]
    print(sp.fisher_information(network, batches, timesteps=6))

    split = data.validation
    record = sp.simulate(quantized, split.array)
    correct = sp.correct_over_time(record.output, split.labels, quantized.readout)
    output = sp.simulate_float(floating, split.array, 6)["output"]
    right_in_float = sp.correct_over_time(output, split.labels, floating.readout)[:, -1]
    cut = sp.truncate(correct, right_in_float, arguments.tolerance)
    print(cut)
    print(cut.warning or f"every image may stop after {cut.chosen} of {cut.timesteps} timesteps")
    return cut


if __name__ == "__main__":
    main()
