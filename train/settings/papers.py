"""The papers' settings of every recipe, typed off papers and authors' code, and why a recipe
differs (`train.settings.published`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from spikeport.train.settings.papers_dsr import dsr, dsr_dvs, dsr_imagenet
from spikeport.train.settings.published import BEST, CROP, HELD_OUT, PLAIN, Paper, of_sgd
from spikeport.train.settings.recipes import PUBLISHED

TSSL = {
    **PLAIN,
    "method": "tssl-bp",
    "loss": "kernel",
    "readout": "spikes",
    "timesteps": 5,
    "batch_norm": False,
    "bias": False,
    "initial": "tssl",
    "normalise": True,
    "batch_size": 50,
    "epochs": 100,
    "optimizer.kind": "adamw",
    "optimizer.learning_rate": 5e-4,
    "optimizer.weight_decay": 1e-2,
    "optimizer.course": "constant",
    "optimizer.clip_norm": 1.0,
    "optimizer.clip_weights": 4.0,
    "neuron.tau_m": 5.0,
    "neuron.tau_s": 3.0,
    "neuron.threshold": 1.0,
    "neuron.rule": "released",
    "neuron.warm_up": "inactive",
}
TSSL_SOURCE = "Zhang and Li 2020 in its reproduction, and released code"


def _tssl(name: str) -> Paper:
    changes, beyond = TSSL_CHANGES[name]
    return Paper(source=TSSL_SOURCE, published={**TSSL, **changes}, open=TSSL_OPEN.get(name, {}), beyond=(HELD_OUT, BEST, *beyond))


MEANS = ("mean and deviation", "MNIST's (0.1307, 0.3081)", "Fashion-MNIST's own (0.2860, 0.3530)", "one table of statistics by data set")
ROUNDED = ("mean in normalisation", "as it is", "rounded to a whole level of 255", "so that it is exact on a chip")
CIFAR_TSSL = {**CROP, "data": "cifar-10", "initial": "tssl-5", "dropout": 0.2, "epochs": 150, "optimizer.learning_rate": 2e-4}
TSSL_CHANGES: dict[str, tuple[dict[str, Any], tuple[tuple[str, str, str, str], ...]]] = {
    "tssl-mnist-t5": ({"data": "mnist", "arch": "tssl-mnist"}, (ROUNDED,)),
    "tssl-paper-mnist-t5": ({"data": "mnist", "arch": "tssl-mnist", "neuron.rule": "paper", "loss": "kernel-once"}, (ROUNDED,)),
    "tssl-fashion-mnist-t5": ({"data": "fashion-mnist", "arch": "32C5p2-P2-64C5p2-P2-1024"}, (MEANS, ROUNDED)),
    "tssl-fashion-mnist-dense-t5": ({"data": "fashion-mnist", "arch": "400-400", "batch_size": 100}, (MEANS, ROUNDED)),
    "tssl-cifar10-cnn1-t5": ({**CIFAR_TSSL, "arch": "tssl-cnn1"}, (ROUNDED,)),
    "tssl-cifar10-cnn2-t5": ({**CIFAR_TSSL, "arch": "tssl-cnn2"}, (ROUNDED,)),
    "tssl-nmnist-t30": (
        {
            "data": "n-mnist",
            "arch": "12C5p1-P2-64C5-P2",
            "timesteps": 30,
            "loss": "count-15-3",
            "normalise": False,
            "neuron.tau_m": 8.0,
            "neuron.tau_s": 4.0,
        },
        (
            (
                "recordings",
                "stabilised by a Matlab script, 0 or 1 at each pixel and step",
                "as recorded, counts",
                "raw files are what people have",
            ),
        ),
    ),
}
TSSL_OPEN = {
    "tssl-nmnist-t30": {
        "events.by": "30 steps of equal time; the authors' script bins",
        "events.size": "the sensor's own 34 x 34",
        "events.height": "the files say",
        "events.width": "the files say",
    }
}

NOISE = {
    **PLAIN,
    "method": "noise",
    "loss": "rate-mse",
    "optimizer.kind": "adam",
    "optimizer.learning_rate": 1e-4,
    "optimizer.restart_epochs": 100.0,
    "neuron.noise": "gaussian",
    "neuron.alpha": 4.0,
    "neuron.beta": 0.5,
}
NOISE_OPEN = {
    "readout": "accumulated current",
    "bias": "torch's default",
    "initial": "torch's default",
    "normalise": "pixels in 0..1 as they are",
    "batch_size": "usual",
    "optimizer.weight_decay": "none, as torch's Adam",
    "neuron.decay": "lambda has no value in the paper",
    "neuron.threshold": "V_th has no value in the paper",
    "neuron.surrogate.kind": "the paper names no surrogate",
    "neuron.surrogate.width": "the paper names no surrogate",
}
NOISE_EPOCHS = {"mnist": 100, "fashion-mnist": 200, "vgg16": 1000, "resnet18": 800}


def _noise(name: str) -> Paper:
    *parts, t = name.removeprefix("noise-").split("-t")
    what = parts[0]
    colour = what.startswith("cifar10")
    arch = what.removeprefix("cifar10-") if colour else "noise-mnist"
    published = {
        **NOISE,
        "data": "cifar-10" if colour else what,
        "arch": {"vgg16": "vgg-16", "resnet18": "resnet-18"}.get(arch, arch),
        "timesteps": int(t),
        "epochs": NOISE_EPOCHS[arch if colour else what],
        **({} if colour else {"batch_norm": False}),
    }
    deep = {
        "batch_norm": "table 1 lists no BatchNorm; these two networks usually have it",
        "norm_over": "training has one timestep",
        "tdbn_alpha": "plain",
        "shift": "the usual augmentation; the paper does not say",
        "flip": "the usual augmentation; the paper does not say",
    }
    opened = {**NOISE_OPEN, **(deep if colour else {})}
    published = {key: value for key, value in published.items() if key not in opened}
    beyond = (
        HELD_OUT,
        (
            "noise",
            "Gaussian in 0..1, not said how bounded",
            "sum of four uniform bytes, in 0..1",
            "the chip's generator, the same in training",
        ),
        ("statistics of the potential", "of each timestep and layer", "frozen by calibration once deployed", "a chip cannot take them"),
    )
    return Paper(source="Jiang and Zhang 2022, section 3 and table 1; no code is public", published=published, open=opened, beyond=beyond)


TIC = {
    **PLAIN,
    **CROP,
    **of_sgd(0.3),
    "method": "stbp",
    "arch": "tic-resnet-19",
    "readout": "current",
    "timesteps": 10,
    "epochs": 300,
    "batch_size": 128,
    "batch_norm": True,
    "norm_over": "timestep",
    "bias": True,
    "initial": "torch",
    "normalise": True,
    "neuron.threshold": 1.0,
    "neuron.decay": 0.5,
    "neuron.gain": 0.5,
    "neuron.strict": False,
    "neuron.reset": "zero",
    "neuron.detach_reset": True,
    "neuron.learned": "nothing",
    "neuron.surrogate.kind": "arctan",
    "neuron.surrogate.width": 1.0,
}
TIC_DATA = {
    "svhn": {"data": "svhn", "loss": "alpha-0.0001"},
    "cifar10": {"data": "cifar-10", "loss": "alpha-0.001"},
    "cifar100": {"data": "cifar-100", "loss": "alpha-0.0001"},
}


def _tic(name: str) -> Paper:
    data = name.split("-")[1]
    svhn = dict.fromkeys(("normalise", "shift", "flip"), "no code is public for SVHN; digits are not mirrored") if data == "svhn" else {}
    published = {key: value for key, value in {**TIC, **TIC_DATA[data]}.items() if key not in svhn}
    fisher = ("Fisher information", "training samples, a batch's gradient squared", "training samples, each sample's own", "equation 6")
    return Paper(source="Kim et al. 2023 and code", published=published, open=svhn, beyond=(HELD_OUT, BEST, fisher))


WU = Paper(
    source="Wu et al. 2018, section 3 and released code",
    published={
        **PLAIN,
        "data": "mnist",
        "arch": "tssl-mnist",
        "method": "stbp",
        "loss": "rate-mse",
        "readout": "spikes",
        "timesteps": 20,
        "epochs": 100,
        "batch_size": 100,
        "batch_norm": False,
        "bias": True,
        "initial": "torch",
        "normalise": False,
        "input_code": "rate",
        "optimizer.kind": "adam",
        "optimizer.learning_rate": 1e-3,
        "optimizer.weight_decay": 0.0,
        "optimizer.course": "steps",
        "neuron.threshold": 0.5,
        "neuron.decay": 0.2,
        "neuron.gain": 1.0,
        "neuron.strict": True,
        "neuron.reset": "zero",
        "neuron.detach_reset": False,
        "neuron.learned": "nothing",
        "neuron.surrogate.kind": "rectangle",
        "neuron.surrogate.width": 0.5,
    },
    reasons={"optimizer.course": "the released code divides the rate by 10 every 40 epochs; courses here are cosine and constant"},
    beyond=(HELD_OUT, BEST),
)
SMALL = "a core or two, hours instead of weeks"
FEW_HELD_OUT = ("training data", "all", "19/20", "2,500 images are kept for validation, which chooses epoch and T'")
BEGUN = {"without_spikes_epochs": "weights begin with those of ReLU, which learn faster on a CPU (Rathi et al. 2020)"}
REGULAR = "few epochs, and training images are learned faster than others"
CPU_REASONS = {
    "arch": SMALL,
    "timesteps": SMALL,
    "epochs": SMALL,
    "cutout": REGULAR,
    "optimizer.kind": "Adam needs fewer epochs",
    "optimizer.learning_rate": "few epochs",
}
CPU_STBP_REASONS = {
    **CPU_REASONS,
    "optimizer.weight_decay": REGULAR,
    "batch_size": "more steps in few epochs",
    "loss": "early answers are trained, so that fewer timesteps can be shown",
    "norm_over": "the usual; one statistic over two timesteps",
    "neuron.gain": "currents as BatchNorm leaves them",
    "neuron.strict": "what the chip does",
}
CPU_NOISE_REASONS = {
    **CPU_REASONS,
    "loss": "began with in the epochs without spikes, and learns faster",
    "optimizer.restart_epochs": "one cosine over few epochs",
}


def _cpu(name: str) -> Paper:
    if "stbp" in name:
        paper = _tic("tic-cifar10-t10")
        return replace(paper, reasons=CPU_STBP_REASONS, open={**paper.open, **BEGUN}, beyond=_few_held_out(paper))
    paper = _noise("noise-cifar10-vgg16-t5")
    own = {
        **BEGUN,
        "batch_size": "more steps in few epochs",
        "normalise": "pixels centred, as colour networks usually have it",
        "optimizer.weight_decay": REGULAR,
    }
    return replace(paper, reasons=CPU_NOISE_REASONS, open={**paper.open, **own}, beyond=_few_held_out(paper))


def _few_held_out(paper: Paper) -> tuple[tuple[str, str, str, str], ...]:
    return tuple(FEW_HELD_OUT if row is HELD_OUT else row for row in paper.beyond)


FAMILIES = {
    "cifar10-cpu": _cpu,
    "dsr-dvs": dsr_dvs,
    "dsr-imagenet": dsr_imagenet,
    "dsr": dsr,
    "tssl": _tssl,
    "noise": _noise,
    "tic": _tic,
    "stbp": lambda _: WU,
}


def paper_of(name: str) -> Paper:
    """What is published of a recipe."""
    return next(make for prefix, make in FAMILIES.items() if name.startswith(prefix))(name)


PAPERS = {name: paper_of(name) for name in PUBLISHED}
"""By recipe."""
