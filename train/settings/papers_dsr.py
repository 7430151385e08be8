"""What Meng et al. 2022 and their code say of each DSR recipe, and why it differs
(`train.settings.published`).
"""

from __future__ import annotations

from typing import Any

from spikeport.train.settings.published import BEST, CROP, HELD_OUT, PLAIN, Paper, of_sgd

DSR_LIF = {
    20: {"neuron.threshold": 0.3, "neuron.alpha": 0.3, "neuron.bound": 5e-4, "neuron.dt": 0.05},
    5: {"neuron.threshold": 0.6, "neuron.alpha": 0.5, "neuron.bound": 0.001, "neuron.dt": 0.1},
}
DSR_IF = {"neuron.kind": "if", "neuron.threshold": 6.0, "neuron.alpha": 0.5, "neuron.bound": 0.01}


def _dsr_neuron(kind: str, timesteps: int) -> dict[str, Any]:
    trained = {"neuron.trained_threshold": True, "timesteps": timesteps}
    if kind == "if":
        return {**trained, **DSR_IF}
    return {**trained, "neuron.kind": "lif", "neuron.tau": 1.0, "neuron.threshold_gradient": "code", **DSR_LIF[timesteps]}


DSR = {
    **PLAIN,
    "method": "dsr",
    "loss": "weighted-cross-entropy",
    "readout": "spikes",
    "batch_norm": True,
    "bias": True,
    "stem_bias": False,
    "initial": "kaiming-fan-out",
    "normalise": True,
    **CROP,
    "arch": "dsr-preact-resnet-18",
    "epochs": 200,
    "batch_size": 128,
}
DSR_SOURCE = "Meng et al. 2022, supplement and code"
ITERATIONS = {"optimizer.warmup_epochs": "as many iterations, in epochs of the data that is left for training"}


def dsr(name: str) -> Paper:
    _, data, kind, t = name.split("-")
    timesteps = int(t[1:])
    published = {
        **DSR,
        **_dsr_neuron(kind, timesteps),
        **of_sgd(0.1 if timesteps == 20 else 0.05),
        "data": {"cifar10": "cifar-10", "cifar100": "cifar-100"}[data],
        "optimizer.warmup_epochs": 400 / 391,
    }
    return Paper(source=DSR_SOURCE, published=published, reasons=ITERATIONS, beyond=(HELD_OUT, BEST))


def dsr_dvs(name: str) -> Paper:
    published = {
        **DSR,
        **_dsr_neuron(name.split("-")[3], 20),
        **of_sgd(0.05),
        "data": "dvs-cifar10",
        "arch": "dsr-vgg-11",
        "initial": "kaiming-fan-out-0.01",
        "normalise": False,
        "dropout": 0.1,
        "flip": False,
        "epochs": 300,
        "events.by": "count",
        "events.size": 48,
        "optimizer.warmup_epochs": 400 / 71,
    }
    place = {"events.height": "the files say the sensor's size", "events.width": "the files say the sensor's size"}
    beyond = (
        HELD_OUT,
        BEST,
        ("reduction of the sensor", "bilinear", "counts are added up over pixels", "whole counts, which a chip can be sent"),
        ("dropout", "of values, anew at each timestep", "of rows, held over time", "one kind of dropout for all methods, TSSL-BP's"),
        ("head", "mean repeated over 7 x 7 places", "one place", "the same function: the map is one pixel there"),
    )
    return Paper(source=DSR_SOURCE, published=published, reasons=ITERATIONS, open=place, beyond=beyond)


def dsr_imagenet(name: str) -> Paper:
    published = {
        **DSR,
        **_dsr_neuron("if", 50),
        "data": "imagenet",
        "epochs": 90,
        "batch_size": 144,
        "shift": 0,
        "optimizer.kind": "adam",
        "optimizer.learning_rate": 1e-3,
        "optimizer.weight_decay": 0.0,
        "optimizer.warmup_epochs": 5000 / 8898,
        "neuron.percentile": 99.9,
    }
    began = {"without_spikes_epochs": "how long the network without spikes was trained is not said; as long as with spikes"}
    beyond = (
        ("training data", "all", "24/25", "a twenty-fifth is kept for validation"),
        BEST,
        (
            "samples of the percentiles",
            "5 batches of validation data",
            "5 batches of training data",
            "validation data chooses, and nothing else",
        ),
        ("pooling behind the stem", "3 x 3, stride 2, mean", "2 x 2, mean", "windows that overlap are not offered"),
        ("shortcuts that change the map", "1 x 1 convolution and BatchNorm", "1 x 1 convolution", "one kind of PreAct-ResNet, CIFAR-10's"),
    )
    return Paper(source=DSR_SOURCE, published=published, reasons=ITERATIONS, open=began, beyond=beyond)
