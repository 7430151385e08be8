"""Four training methods side by side: the same data, network and seed; accuracy in float and in
integers, spikes, energy.

    python examples/four_methods.py --epochs 10

One seed is a look, not a comparison: for one that holds, see `spikeport sweep` and `spikeport
report DIR DIR`.
"""

from __future__ import annotations

import argparse

import spikeport as sp

METHODS = ("stbp", "dsr", "tssl-bp", "noise")


def main() -> dict[str, tuple[float, float, float]]:
    """Train all four; returns test accuracy in float and integers, and joules per image, by method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--timesteps", type=int, default=5)
    parser.add_argument("--arch", default="12C3-P2-24C3-P2-48")
    arguments = parser.parse_args()

    data, chip = sp.load_data("digits"), sp.device("loihi2")
    found = {}
    for method in METHODS:
        network = sp.build(arguments.arch, data, method=method, timesteps=arguments.timesteps)
        trained = sp.train(network, data, epochs=arguments.epochs)
        quantized = sp.quantize(sp.lower(trained), data.train.array[:256])
        record = sp.simulate(quantized, data.test.array)
        integers = sp.accuracy_over_time(record.output, data.test.labels, quantized.readout)[-1]
        energy = sp.estimate_cost(quantized, record, chip).dynamic.mean[-1]
        found[method] = (trained.metrics["test_accuracy"][-1], float(integers), energy)

    print(f"{arguments.arch} on digits, T = {arguments.timesteps}, {arguments.epochs} epochs, {len(data.test)} test images")
    print("method   float    8 bits   dynamic energy per image (Loihi 2, uncalibrated)")
    for method, (floating, fixed, energy) in found.items():
        print(f"{method:8} {floating:7.2%}  {fixed:7.2%}  {1e9 * energy:.0f} nJ")
    return found


if __name__ == "__main__":
    main()
