"""The published settings as named runs: `spikeport train --recipe dsr-cifar10-lif-t20`.

What a paper leaves open is as its authors' code has it. What differs, and why, is said in
`train.settings.published`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from spikeport.export.common.errors import unknown
from spikeport.train.data.formats.event_bins import EventBins
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.neurons.stbp import LIFConfig, tic_lif, wu_lif
from spikeport.train.neurons.tsslbp import TSSLConfig
from spikeport.train.settings.config import TrainConfig
from spikeport.train.settings.optimization import OptimizerConfig

DATA = {"cifar10": "cifar-10", "cifar100": "cifar-100"}
WARM_UP = 400 / 358
"""Epochs: DSR's 400 iterations, of which an epoch on 11/12 of 50,000 images has 358 whole batches.
"""
DVS_WARM_UP, IMAGENET_WARM_UP = 400 / 64, 5000 / 8541
"""Of 11/12 of 9,000 recordings, and of 24/25 of 1,281,167 images in batches of 144."""

DSR_NEURONS = {
    "lif-t20": (20, DSRConfig(kind="lif", threshold=0.3, alpha=0.3, bound=5e-4, dt=0.05), 0.1),
    "if-t20": (20, DSRConfig(kind="if", threshold=6.0, alpha=0.5, bound=0.01), 0.1),
    "lif-t5": (5, DSRConfig(kind="lif", threshold=0.6, alpha=0.5, bound=0.001, dt=0.1), 0.05),
    "if-t5": (5, DSRConfig(kind="if", threshold=6.0, alpha=0.5, bound=0.01), 0.05),
}
"""T, neuron and learning rate (Meng et al. 2022, supplement and code)."""
TIC_ALPHA = {"svhn": "alpha-0.0001", "cifar10": "alpha-0.001", "cifar100": "alpha-0.0001"}
"""Kim et al. 2023, table 1: low alpha."""


def _dsr(data: str, timesteps: int, neuron: DSRConfig, rate: float) -> TrainConfig:
    return TrainConfig(
        data=DATA[data],
        arch="dsr-preact-resnet-18",
        method="dsr",
        loss="weighted-cross-entropy",
        readout="spikes",
        timesteps=timesteps,
        epochs=200,
        batch_size=128,
        initial="kaiming-fan-out",
        stem_bias=False,
        normalise=True,
        shift=4,
        flip=True,
        neuron=neuron,
        optimizer=OptimizerConfig(kind="sgd", learning_rate=rate, weight_decay=5e-4, warmup_epochs=WARM_UP),
    )


def _dsr_dvs(neuron: DSRConfig) -> TrainConfig:
    """Neuron and T as on CIFAR-10, rate 0.05, 300 epochs, VGG-11, events in bins of equal count on
    48 x 48 places, moved by up to 4 (code).
    """
    return replace(
        _dsr("cifar10", 20, neuron, 0.05),
        data="dvs-cifar10",
        normalise=False,
        arch="dsr-vgg-11",
        initial="kaiming-fan-out-0.01",
        stem_bias=True,
        dropout=0.1,
        epochs=300,
        flip=False,
        events=EventBins(by="count", size=48),
        optimizer=OptimizerConfig(kind="sgd", learning_rate=0.05, weight_decay=5e-4, warmup_epochs=DVS_WARM_UP),
    )


def _dsr_imagenet() -> TrainConfig:
    """T = 50, IF, Adam at 1e-3 without decay, 90 epochs of batches of 144, 5000 iterations of
    warm-up, begun with a network without spikes (code).
    """
    return replace(
        _dsr("cifar10", 50, DSR_NEURONS["if-t20"][1], 1e-3),
        data="imagenet",
        epochs=90,
        without_spikes_epochs=90,
        batch_size=144,
        shift=0,
        optimizer=OptimizerConfig(kind="adam", learning_rate=1e-3, weight_decay=0.0, warmup_epochs=IMAGENET_WARM_UP),
    )


def _tssl(data: str, arch: str, epochs: int, rate: float) -> TrainConfig:
    """Zhang and Li 2020 with the released rule: epochs and batches as in the reproduction, the rest
    as in the released code.
    """
    colour = data == "cifar-10"
    return TrainConfig(
        data=data,
        arch=arch,
        method="tssl-bp",
        timesteps=5,
        epochs=epochs,
        batch_size=50,
        batch_norm=False,
        bias=False,
        initial="tssl-5" if colour else "tssl",
        normalise=data != "n-mnist",
        dropout=0.2 if colour else 0.0,
        shift=4 if colour else 0,
        flip=colour,
        optimizer=OptimizerConfig(learning_rate=rate, course="constant", clip_norm=1.0, clip_weights=4.0),
    )


def _tssl_nmnist() -> TrainConfig:
    """T = 30, count loss of 15 against 3 spikes, padding 1 on the first convolution (released
    code).
    """
    usual = _tssl("n-mnist", "12C5p1-P2-64C5-P2", 100, 5e-4)
    return replace(usual, timesteps=30, loss="count-15-3", neuron=TSSLConfig(tau_m=8.0, tau_s=4.0))


NOISE_EPOCHS = {
    ("mnist", "noise-mnist"): 100,
    ("fashion-mnist", "noise-mnist"): 200,
    ("cifar-10", "vgg-16"): 1000,
    ("cifar-10", "resnet-18"): 800,
}
"""Jiang and Zhang 2022, table 1."""


def _noise(data: str, arch: str, timesteps: int) -> TrainConfig:
    """Jiang and Zhang 2022, section 3 and table 1."""
    optimizer = OptimizerConfig(kind="adam", learning_rate=1e-4, weight_decay=0.0, restart_epochs=100.0)
    colour = data == "cifar-10"
    return TrainConfig(
        data=data,
        arch=arch,
        method="noise",
        timesteps=timesteps,
        epochs=NOISE_EPOCHS[data, arch],
        batch_size=128,
        batch_norm=colour,
        shift=4 if colour else 0,
        flip=colour,
        optimizer=optimizer,
    )


def _tic(data: str) -> TrainConfig:
    """Kim et al. 2023: T = 10, tau = 2, 300 epochs.

    Their code normalises CIFAR; none is public for SVHN.
    """
    return TrainConfig(
        data=DATA.get(data, data),
        arch="tic-resnet-19",
        norm_over="timestep",
        loss=TIC_ALPHA[data],
        timesteps=10,
        epochs=300,
        batch_size=128,
        normalise=data != "svhn",
        shift=4,
        flip=data != "svhn",
        neuron=tic_lif(2.0),
        optimizer=OptimizerConfig(kind="sgd", learning_rate=0.3, weight_decay=5e-4),
    )


def _wu() -> TrainConfig:
    """Wu et al. 2018 with the network of their section 3: Bernoulli spikes in, mean square error on
    the rate of spiking readouts, Adam.

    Decay, threshold, batches, epochs and T as in their released code.
    """
    return TrainConfig(
        data="mnist",
        arch="tssl-mnist",
        loss="rate-mse",
        readout="spikes",
        timesteps=20,
        epochs=100,
        batch_size=100,
        batch_norm=False,
        input_code="rate",
        neuron=wu_lif(),
        optimizer=OptimizerConfig(kind="adam", learning_rate=1e-3, weight_decay=0.0),
    )


CPU_VGG = "48C3-P2-128C3-P2-256C3-256C3-P2-512C3-P2"
"""91 million multiply-accumulates at a timestep: hours of training on a core."""
CPU_OPTIMIZER = OptimizerConfig(learning_rate=1e-3, weight_decay=0.05)


def _cpu(config: TrainConfig, optimizer: OptimizerConfig, epochs: int, **changes: Any) -> TrainConfig:
    """A published run on CIFAR-10 made small enough for a core or two that have bfloat16."""
    small = {"arch": CPU_VGG, "epochs": epochs, "batch_size": 64}
    small |= {"normalise": True, "cutout": 8, "validation": 2500, "precision": "bfloat16", "threads": 1}
    return replace(config, optimizer=optimizer, **{**small, **changes})


PUBLISHED = {
    **{f"dsr-{data}-{name}": _dsr(data, *settings) for data in DATA for name, settings in DSR_NEURONS.items()},
    **{f"dsr-dvs-cifar10-{name}": _dsr_dvs(DSR_NEURONS[name][1]) for name in ("lif-t20", "if-t20")},
    "dsr-imagenet-if-t50": _dsr_imagenet(),
    "tssl-mnist-t5": _tssl("mnist", "tssl-mnist", 100, 5e-4),
    "tssl-paper-mnist-t5": replace(_tssl("mnist", "tssl-mnist", 100, 5e-4), neuron=TSSLConfig(rule="paper"), loss="kernel-once"),
    "tssl-cifar10-cnn1-t5": _tssl("cifar-10", "tssl-cnn1", 150, 2e-4),
    "tssl-cifar10-cnn2-t5": _tssl("cifar-10", "tssl-cnn2", 150, 2e-4),
    "tssl-fashion-mnist-t5": _tssl("fashion-mnist", "32C5p2-P2-64C5p2-P2-1024", 100, 5e-4),
    "tssl-fashion-mnist-dense-t5": replace(_tssl("fashion-mnist", "400-400", 100, 5e-4), batch_size=100),
    "tssl-nmnist-t30": _tssl_nmnist(),
    **{f"noise-{data}-t{t}": _noise(data, "noise-mnist", t) for data in ("mnist", "fashion-mnist") for t in (5, 10)},
    **{f"noise-cifar10-{arch.replace('-', '')}-t{t}": _noise("cifar-10", arch, t) for arch in ("vgg-16", "resnet-18") for t in (5, 10)},
    **{f"tic-{data}-t10": _tic(data) for data in TIC_ALPHA},
    "stbp-mnist-wu": _wu(),
    "cifar10-cpu-stbp-t3": _cpu(
        _tic("cifar10"),
        CPU_OPTIMIZER,
        20,
        timesteps=3,
        without_spikes_epochs=12,
        threads=2,
        loss="prefix-cross-entropy",
        norm_over="time",
        neuron=LIFConfig(),
    ),
    "cifar10-cpu-noise-t3": _cpu(
        _noise("cifar-10", "vgg-16", 5), CPU_OPTIMIZER, 31, timesteps=3, without_spikes_epochs=10, loss="cross-entropy"
    ),
}
"""Runs by name. TSSL-BP's come with the released rule unless they say "paper"; those named "cpu"
are smaller than what their papers have.
"""


def published(name: str) -> TrainConfig:
    """A published run.

    Raises:
        InputError: no such recipe.
    """
    if name not in PUBLISHED:
        raise unknown("recipe", name, PUBLISHED)
    return PUBLISHED[name]
