"""What fixes a training run, as frozen dataclasses and as readable TOML."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from spikeport.export.common.errors import BY_PLUGIN, InputError, unknown
from spikeport.export.common.files import write_text
from spikeport.export.common.guard import reading
from spikeport.export.common.toml import read_toml
from spikeport.export.model.seed import check_seed
from spikeport.train.data.augment import Augmentation
from spikeport.train.data.formats.event_bins import EventBins
from spikeport.train.data.own import is_own
from spikeport.train.neurons.base import NeuronConfig
from spikeport.train.neurons.stbp import LIFConfig
from spikeport.train.settings.initial_weights import check_initial
from spikeport.train.settings.methods import METHODS
from spikeport.train.settings.named_losses import check_neuron, check_training_timesteps, loss_named, of_every_prefix
from spikeport.train.settings.optimization import OptimizerConfig
from spikeport.train.settings.tables import flat, parse_table, to_toml

TIMESTEPS_MAX = 10_000
"""Of a training, which keeps every neuron's state at every timestep; the longest published runs
here have some hundred.
"""
NormOver = Literal["time", "timestep"]
THREADS_MAX = 1024
"""About the processors of the largest machines that run one Linux; not this machine's, since its
networks are read on others too.
"""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run.

    What is left out of loss, readout, initial and neuron is the method's own
    (`train.settings.methods`).

    loss: see `train.settings.named_losses`. initial: weights, see `train.settings.initial_weights`.
    norm_over: BatchNorm's statistics in training are taken over "time" too, or at each "timestep".
    stem_bias: whether the first layer of a pre-activation network has a bias, which BatchNorm takes
    off again.
    tdbn_alpha: threshold-dependent BatchNorm (Zheng et al. 2020) with this alpha, 1 as published; 0
    for plain BatchNorm.
    normalise: images are centred and scaled per channel (`train.network.encoder`). input_code: of
    images, "direct" for pixels held over time, "rate" for a spike with the pixel as its probability
    at every timestep; recordings of events are sent as they are.
    dropout: probability in training, of what each layer but the first receives from others
    (`train.network.dropout`).
    without_spikes_epochs: epochs that a network first trains with ReLU in place of neurons; DSR's
    thresholds then begin with percentiles of the activations, other methods' stay as they are
    (`train.loop.without_spikes`).
    shift: images move by up to so many pixels in training. flip: half of them are mirrored, left to
    right. cutout: a square of so many pixels is blanked in each (`train.data.augment`). seed: of
    weights, order, augmentation and splits.
    validation: training samples set aside to choose the epoch and T', 0 for the data set's own
    number (docs/data.md). More of them show a smaller T', and leave fewer to train on.
    events: how recordings of event cameras become counts per timestep.

    accumulate: gradients of so many parts of a batch are added up before a step, for less memory;
    BatchNorm's statistics are then those of a part.

    threads: of torch's operators, 0 for torch's own choice; part of the configuration because sums,
    and so the last bits of a result, depend on it. Networks on 8 x 8 pixels gain little from a
    second thread and lose much where it has to share its core.

    precision: of synapses and neurons while training, weights and optimizer always float32 (mixed
    precision). bfloat16 is faster where the processor has it (avx512_bf16, amx_bf16, or a GPU),
    slower elsewhere. Evaluation and all that is deployed is float32 or better.

    recompute: keep of each layer only what its weights receive for the backward pass, and compute
    currents and potentials again: the same weights to the last bit, in less memory and more time
    (docs/training-speed.md).
    """

    data: str = "digits"
    arch: str = "digits"
    method: str = "stbp"
    loss: str = ""
    readout: str = ""
    timesteps: int = 4
    epochs: int = 30
    without_spikes_epochs: int = 0
    batch_size: int = 64
    accumulate: int = 1
    batch_norm: bool = True
    bias: bool = True
    tdbn_alpha: float = 0.0
    norm_over: NormOver = "time"
    stem_bias: bool = True
    initial: str = ""
    normalise: bool = False
    input_code: Literal["direct", "rate"] = "direct"
    dropout: float = 0.0
    shift: int = 0
    flip: bool = False
    cutout: int = 0
    seed: int = 0
    validation: int = 0
    threads: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    recompute: bool = False
    events: EventBins = field(default_factory=EventBins)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    neuron: NeuronConfig = None  # type: ignore[assignment]  # filled in below

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown("method", self.method, METHODS, BY_PLUGIN)
        method = METHODS[self.method]
        for name, own in (("loss", method.loss), ("readout", method.readout), ("initial", method.initial), ("neuron", method.neuron)):
            object.__setattr__(self, name, getattr(self, name) or own)
        if type(self.neuron) is not type(method.neuron):
            raise InputError(f"method {self.method} has neurons of {type(method.neuron).__name__}, got {type(self.neuron).__name__}")
        loss_named(self.loss)
        check_training_timesteps(self.loss, method.training_timesteps or self.timesteps)
        check_neuron(self.loss, self.neuron)
        check_initial(self.initial)
        if method.training_timesteps == 1 and of_every_prefix(self.loss):
            raise InputError(
                f"loss {self.loss} needs several timesteps in training; method {self.method} trains with one, so take {method.loss}"
            )
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"precision {self.precision!r} is unknown; choose float32 or bfloat16")
        if self.readout not in ("current", "spikes"):
            raise InputError(f"readout {self.readout!r} is unknown; choose current or spikes")
        for name in ("timesteps", "epochs", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.timesteps > TIMESTEPS_MAX:
            raise InputError(
                f"timesteps is {self.timesteps}; training takes at most {TIMESTEPS_MAX:,}, count the input into fewer, longer ones"
            )
        for name in ("shift", "cutout", "validation", "threads", "tdbn_alpha", "without_spikes_epochs"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        if self.threads > THREADS_MAX:
            raise InputError(f"threads is {self.threads}; at most {THREADS_MAX}, or 0 for torch's own choice")
        check_seed(self.seed)
        self._check_layers()

    @property
    def augmentation(self) -> Augmentation:
        """What becomes of images in training."""
        return Augmentation(shift=self.shift, flip=self.flip, cutout=self.cutout)

    def _check_layers(self) -> None:
        """What the input and what each layer receives, what a network begins with and keeps."""
        if self.recompute and (METHODS[self.method].training_timesteps == 1 or self.neuron.rate_weights(self.timesteps)):
            raise InputError(
                f"recompute saves nothing with method {self.method}, which keeps one timestep of a layer already; leave it out"
            )
        if self.without_spikes_epochs and self.method != "dsr" and not self.batch_norm:
            raise InputError(
                f"without_spikes_epochs needs batch_norm with method {self.method}, whose thresholds are fixed: "
                "without it, currents have the scale that ReLU left them"
            )
        if self.without_spikes_epochs and self.input_code == "rate":
            raise InputError("without_spikes_epochs sends an image once, which a rate code has no timesteps for; take input_code direct")
        if self.norm_over not in get_args(NormOver):
            raise InputError(f"norm_over {self.norm_over!r} is unknown; choose one of {', '.join(get_args(NormOver))}")
        if not self.batch_norm and (self.tdbn_alpha or self.norm_over != "time"):
            raise InputError("tdbn_alpha and norm_over are BatchNorm's, and batch_norm is false; leave them out")
        if self.input_code not in ("direct", "rate"):
            raise InputError(f"input_code {self.input_code!r} is unknown; choose direct or rate")
        if self.normalise and self.input_code == "rate":
            raise InputError("normalise and input_code rate exclude each other: probabilities are the pixels in 0..1")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}; it must lie in 0..1, below 1")


CIFAR = ("cifar-10", "cifar-100", "cifar-10-jpeg")
SPEECH = ("shd", "ssc")
DATA_DEFAULTS = {
    "digits": TrainConfig(timesteps=4, epochs=40, shift=1, threads=1),
    "mnist": TrainConfig(data="mnist", arch="mnist", epochs=4, batch_size=128),
    "fashion-mnist": TrainConfig(data="fashion-mnist", arch="mnist", epochs=8, batch_size=128),
    **{name: TrainConfig(data=name, arch="resnet-19", epochs=100, batch_size=128, shift=4, flip=True) for name in CIFAR},
    "svhn": TrainConfig(data="svhn", arch="resnet-19", epochs=50, batch_size=128, shift=4),
    "n-mnist": TrainConfig(data="n-mnist", arch="12C5-P2-64C5-P2", timesteps=10, epochs=10),
    "n-mnist-small": TrainConfig(data="n-mnist-small", arch="12C5-P2-64C5-P2", timesteps=10, epochs=20, batch_size=32, shift=2),
    "dvs-cifar10": TrainConfig(
        data="dvs-cifar10", arch="dsr-vgg-11", timesteps=10, epochs=100, shift=4, events=EventBins(by="count", size=48)
    ),
    **{name: TrainConfig(data=name, arch="128R", timesteps=50, epochs=40, events=EventBins(size=140)) for name in SPEECH},
    "events": TrainConfig(data="events", arch="12C5-P2-64C5-P2", timesteps=10, epochs=30),
    "imagenet": TrainConfig(data="imagenet", arch="resnet-18", epochs=90, batch_size=128, flip=True),
}
"""A sensible run for each data set."""
FITTED: dict[tuple[str, str], dict[str, Any]] = {
    ("digits", "tssl-bp"): {"optimizer": OptimizerConfig(learning_rate=1e-2, clip_norm=1.0, clip_weights=4.0)},
    **{(name, "stbp"): {"neuron": LIFConfig(decay=0.9)} for name in SPEECH},
}
"""Settings of a data set and a method together, where neither's own will do: 1257 digits make few
steps; words last many timesteps.
"""


def defaults_for(data: str, **changes: Any) -> TrainConfig:
    """The run for a data set with some fields changed.

    Raises:
        InputError: no such data set, or a value out of range.
    """
    if data not in DATA_DEFAULTS and not is_own(data):
        raise unknown("data set", data, DATA_DEFAULTS, "or give the place of your own, own.npz")
    usual = DATA_DEFAULTS.get(data) or TrainConfig(data=data, arch="100", epochs=20)
    name = changes.get("method", usual.method)
    own: dict[str, Any] = {}
    if name in METHODS:
        method = METHODS[name]
        own = {
            "neuron": method.neuron,
            "loss": method.loss,
            "readout": method.readout,
            "initial": method.initial,
            **method.settings,
            **FITTED.get((data, name), {}),
        }
    return replace(usual, **{**own, **changes})


def write_config(path: Path, config: TrainConfig) -> None:
    """Write a configuration as TOML."""
    write_text(path, to_toml(asdict(config)))


def read_config(path: Path) -> TrainConfig:
    """Read a configuration; fields that are left out take their defaults.

    Raises:
        InputError: missing file, no TOML, unknown fields, wrong types, values out of range.
    """
    with reading(path, "a configuration", "mend it, or write it anew"):
        return from_table(read_toml(path), str(path))


def from_table(table: dict[str, Any], where: str) -> TrainConfig:
    """A configuration from a parsed table; `where` names it in errors."""
    method = METHODS.get(name := table.get("method", TrainConfig.method))
    if method is None and isinstance(name, str):
        raise unknown(f"{where}: method", name, METHODS, BY_PLUGIN)
    return parse_table(TrainConfig, table, where, hints={"neuron": type(method.neuron)} if method else {})


def difference(kept: TrainConfig, asked: TrainConfig) -> str:
    """The first field that differs, in words; "" where none does."""
    there, here = (dict(flat(asdict(config))) for config in (kept, asked))
    return next((f"{name} is {there[name]!r} there, {here[name]!r} here" for name in here if there.get(name) != here[name]), "")
