"""Train a small snnTorch network, import it alive, prove it equal, and take it to Lava: integers,
fewer timesteps, price, report.

    python examples/snntorch_to_report.py                                   scikit-learn's digits, under a minute
    python examples/snntorch_to_report.py --fashion-mnist DIR --epochs 2    Fashion-MNIST, its four idx files in DIR

Needs snnTorch: pip install 'spikeport[snntorch]'. Writes report.html, network.nir and the rest into
--out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import spikeport as sp

TEST_IMAGES = 1000
LAVA_IMAGES = 2


class Net(nn.Module):
    """A convolutional network in the style of snnTorch's tutorials: the image is the current of
    every timestep.
    """

    def __init__(self, side: int, timesteps: int) -> None:
        super().__init__()
        self.timesteps = timesteps
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.lif1 = snn.Leaky(beta=0.7)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(24)
        self.lif2 = snn.Leaky(beta=0.7, learn_beta=True, learn_threshold=True)
        self.average = nn.AvgPool2d(2)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(24 * (side // 4) ** 2, 10)
        self.lif3 = snn.Leaky(beta=0.9)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, 1, side, side)` -> spikes `(T, N, 10)`."""
        mem1, mem2, mem3 = self.lif1.reset_mem(), self.lif2.reset_mem(), self.lif3.reset_mem()
        spikes = []
        for _ in range(self.timesteps):
            spk1, mem1 = self.lif1(self.conv1(x), mem1)
            spk2, mem2 = self.lif2(self.norm(self.conv2(self.pool(spk1))), mem2)
            spk3, mem3 = self.lif3(self.fc(self.dropout(self.average(spk2).flatten(1))), mem3)
            spikes.append(spk3)
        return torch.stack(spikes)


def images(folder: Path | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Train and test images `(N, 1, side, side)` in 0..1, and their classes."""
    data = sp.load_data("fashion-mnist", folder) if folder else sp.load_data("digits")
    return data.train.array, data.train.labels, data.test.array, data.test.labels


def train(net: Net, x: np.ndarray, y: np.ndarray, epochs: int, rate: float) -> None:
    """Cross entropy of spike counts, Adam."""
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for batch in torch.randperm(len(x)).split(64):
            loss = F.cross_entropy(net(torch.from_numpy(x[batch.numpy()])).sum(0), torch.from_numpy(y[batch.numpy()]).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        print(f"epoch {epoch + 1}: loss {total / len(x):.3f}", flush=True)


def own_spikes(net: Net, x: np.ndarray) -> np.ndarray:
    """What snnTorch itself fires, `(N, T, 10)`."""
    net.eval()
    with torch.no_grad():
        return torch.cat([net(part) for part in torch.from_numpy(x).split(100)], dim=1).transpose(0, 1).numpy().astype(np.int32)


def accuracy(spikes: np.ndarray, y: np.ndarray) -> float:
    """Share of samples whose class fires most, in percent."""
    return float(100 * (spikes.sum(1).argmax(1) == y).mean())


def main() -> None:
    """The whole path."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--fashion-mnist", type=Path, metavar="DIR", help="folder with the four idx files; without it, scikit-learn's digits"
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--timesteps", type=int, default=6)
    parser.add_argument("--train-images", type=int, default=8000)
    parser.add_argument("--out", type=Path, default=Path("runs/snntorch"))
    parser.add_argument("--force", action="store_true", help="replace what an earlier run left in --out")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    x_train, y_train, x_test, y_test = images(arguments.fashion_mnist)
    x_train, y_train = x_train[: arguments.train_images], y_train[: arguments.train_images]
    x_test, y_test = x_test[:TEST_IMAGES], y_test[:TEST_IMAGES]

    net = Net(x_train.shape[-1], arguments.timesteps)
    train(net, x_train, y_train, arguments.epochs, rate=2e-3 if arguments.fashion_mnist else 5e-3)
    theirs = own_spikes(net, x_test)

    # Alive into a float network: every spike on the sample is compared in float64 while it is
    # imported.
    network = sp.from_snntorch(net, x_train[:8])
    print("imported:", network.provenance["compared"])

    # Integers for Loihi, the same spikes on the engine and on Intel's Lava, fewer timesteps, a
    # price, and a page for people.
    report = sp.deploy(
        network,
        x_test,
        y_test,
        arguments.out,
        expected={"output": theirs},
        name="snnTorch network",
        tolerance=5.0,
        verify_samples=LAVA_IMAGES,
        force=arguments.force,
    )
    theirs_in_float, theirs_in_integers = report.expected
    print(f"accuracy of snnTorch on all {len(x_test)} test images: {accuracy(theirs, y_test):.2f} %")
    for curve in (c for c in report.accuracy if c.split == "test"):
        print(f"accuracy of {curve.stage}, {curve.samples} of them: {100 * curve.accuracy[-1]:.2f} %")
    print(f"float: {theirs_in_float.output.different} of {theirs_in_float.output.bins} bins differ from snnTorch")
    print(f"8 bits: the same class for {theirs_in_integers.same_classes} of {theirs_in_integers.samples} images")
    proof, cost = report.verification, report.cost
    assert proof and cost
    print(f"engine and Lava equal to the reference: {proof.equal}, {proof.compared:,} neuron-steps")
    print(f"timesteps: {report.network.timesteps}, of which {report.chosen} are needed")
    print(f"energy per image on {cost.device.title}, uncalibrated: {cost.total.mean[report.chosen - 1]:.3g} J")
    print(f"report: {arguments.out / 'report.html'}")


if __name__ == "__main__":
    main()
