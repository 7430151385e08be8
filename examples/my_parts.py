"""Parts of one's own, known by name once this file is loaded (docs/own-parts.md):

    spikeport train --plugin examples/my_parts.py --method soft-lif --loss margin --data stripes --out runs/own-parts

A surrogate, a loss, a method with a neuron, and a data set. Run by itself, this file trains with
all four:

    python examples/my_parts.py --epochs 5
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

import spikeport as sp


def cosine(x: torch.Tensor, width: float) -> torch.Tensor:
    """A raised cosine over |x| < width; x, the potentials less the threshold, may be overwritten."""
    return x.div_(width).clamp_(-1, 1).mul_(torch.pi).cos_().add_(1).mul_(0.5)


def margin(output: torch.Tensor, labels: torch.Tensor, neuron: sp.NeuronConfig) -> torch.Tensor:
    """The right class must lead every other by 1, of outputs `(T, N, classes)` averaged over time."""
    return torch.nn.functional.multi_margin_loss(output.mean(0), labels)


@dataclass(frozen=True, kw_only=True)
class SoftLIFConfig(sp.NeuronConfig):
    """A leaky neuron that is reset by half its threshold.

    Fields are plain numbers and texts, so that a configuration can keep them.
    """

    threshold: float = 1.0
    decay: float = 0.6
    surrogate: sp.Surrogate = field(default_factory=lambda: sp.Surrogate(kind="cosine", width=1.0))

    def build(self) -> SoftLIF:
        """The neurons of one layer."""
        return SoftLIF(self)


class SoftLIF(sp.Neuron):
    """v = decay v + x; a spike where v > threshold; then v less threshold / 2.

    Gradients are autograd's, through the surrogate.
    """

    def __init__(self, config: SoftLIFConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, currents: torch.Tensor, timesteps: int) -> torch.Tensor:
        """Currents `(T, N, ...)`, or `(1, N, ...)` where they are held, to spikes `(T, N, ...)`."""
        c, v, spikes = self.config, torch.zeros_like(currents[0]), []
        for t in range(timesteps):
            v = c.decay * v + currents[t if len(currents) > 1 else 0]
            spikes.append(c.surrogate.spike(v - c.threshold))
            v = v - 0.5 * c.threshold * spikes[-1].detach()
        return torch.stack(spikes)

    def lowered(self) -> sp.LoweredNeuron:
        """The same dynamics in the terms of a chip.

        Without this method such neurons train, but nothing beyond `train` takes them.
        """
        c = self.config
        neuron = sp.FloatNeuron(
            alpha=np.array(0.0),  # of the synaptic current, kept per timestep
            beta=np.array(c.decay),  # of the membrane potential
            threshold=np.array(c.threshold),
            bias=np.array(0.0),
            reset="subtract",
            reset_value=np.array(0.5 * c.threshold),
        )
        return sp.LoweredNeuron(neuron=neuron)


def stripes(folder: Path | None, seed: int, timesteps: int) -> sp.Dataset:
    """Rows or columns of 8 x 8 pixels, noisy; `folder` is --data-dir."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 600)
    lines = np.repeat(rng.random((600, 8, 1)) < 0.5, 8, axis=2)
    x = np.where(y[:, None, None] == 0, lines, lines.swapaxes(1, 2)) * 0.7 + 0.3 * rng.random((600, 8, 8))
    return sp.dataset((x, y), seed=seed)


sp.add_surrogate("cosine", cosine)
sp.add_loss("margin", margin)
sp.add_method("soft-lif", sp.Method(neuron=SoftLIFConfig()))
sp.add_data("stripes", stripes, arch="8C3-P2-16", epochs=5, timesteps=4)


def main() -> sp.Trained:
    """Train the method on the data with the loss, and see that integers answer as well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()

    data = sp.load_data("stripes")
    network = sp.build("8C3-P2-16", data, method="soft-lif", timesteps=4)
    trained = sp.train(network, data, epochs=arguments.epochs, loss="margin")

    # The neuron says what it is on a chip, so the network goes the whole way.
    quantized = sp.quantize(sp.lower(trained), data.train.array[:256])
    record = sp.simulate(quantized, data.test.array)
    accuracy = sp.accuracy_over_time(record.output, data.test.labels, quantized.readout)
    print(f"{accuracy[-1]:.2%} of {len(data.test)} test samples in 8 bits")
    return trained


if __name__ == "__main__":
    main()
