"""Where settings come from: the one place in which recipes, files and the command line become a
configuration.

The later overrules the earlier, field by field (docs/configuration.md): defaults; the recipe that
is named, else that of the data set and the method; the TOML file; the command line.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from spikeport.analysis.cost.devices import device_named
from spikeport.analysis.decision.guarantee import check_statement
from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import reading
from spikeport.export.common.toml import read_toml
from spikeport.export.model.network import check_weight_bits
from spikeport.stages.tic import TicConfig
from spikeport.train.settings.config import TrainConfig, defaults_for, from_table
from spikeport.train.settings.recipes import published
from spikeport.train.settings.tables import parse_table


@dataclass(frozen=True)
class LavaSettings:
    """How much of a test set goes through real Lava. samples: "all", or how many at most, in
    digits. seconds: that it may take.
    """

    samples: str
    seconds: float

    def __post_init__(self) -> None:
        if self.samples != "all" and not (self.samples.isascii() and self.samples.isdigit()):
            raise InputError(f"lava_samples is {self.samples!r}; give all, or how many, 0 for none")
        if not self.seconds > 0:
            raise InputError(f"lava_seconds is {self.seconds:g}; give more than 0, or no samples")

    def of(self, total: int) -> int:
        """How many of a set's samples are asked for."""
        return total if self.samples == "all" else min(total, int(self.samples))


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run of the whole path. data_dir: where the data set's files are, "" for where the loader
    finds them.

    finetune_epochs: of quantization-aware fine-tuning, 0 for none. tolerance: accuracy loss in
    percentage points that T' may cost.
    verify_samples: test samples that `verify_backends` are compared on with the reference, spike
    for spike. lava_samples, lava_seconds: as `LavaSettings`, where Lava is one of them. baselines:
    train the same network without spikes too.
    """

    train: TrainConfig
    data_dir: str = ""
    weight_bits: int = 8
    per_channel: bool = False
    finetune_epochs: int = 0
    tolerance: float = 1.0
    device: str = "loihi2"
    verify_backends: str = "engine,lava"
    verify_samples: int = 50
    baselines: bool = False
    lava_samples: str = "all"
    lava_seconds: float = 120.0

    @property
    def lava(self) -> LavaSettings:
        """How much of the test set goes through Lava."""
        return LavaSettings(self.lava_samples, self.lava_seconds)

    def __post_init__(self) -> None:
        device_named(self.device)
        _ = self.lava
        check_weight_bits(self.weight_bits)
        check_statement(1, self.tolerance, 0.95)
        if self.finetune_epochs < 0:
            raise InputError(f"finetune_epochs is {self.finetune_epochs}; give 0 for none, or more")
        if self.verify_samples < 1:
            raise InputError(f"verify_samples is {self.verify_samples}; compare at least 1")


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """A sweep, as its TOML file says it.

    recipe: a published run to start from, "" for the data set's own. train: what all points share,
    as in a [train] table.
    vary: lists of values by field of `TrainConfig`; nested fields as tables or dotted names; a
    value that is a table sets
    several fields together. grid: every combination; else one field at a time, the others as
    shared. draw: of every combination so many at random, 0 for all; more later keep those before.
    robustness: of every point too, in float and, after quantization to 8 bits, in fixed point.
    weight_bits: every point is quantized to each of these, and its accuracy in fixed point
    measured.
    samples: training samples for
    Fisher information. robustness_samples: test samples. tic_every: epochs from one look at Fisher
    information in training to the next, 0 for none.
    """

    title: str = "Sweep"
    recipe: str = ""
    grid: bool = False
    draw: int = 0
    robustness: bool = False
    weight_bits: list[int] = field(default_factory=list)
    samples: int = TicConfig.samples
    robustness_samples: int = 1000
    tic_every: int = 0
    train: dict = field(default_factory=dict)
    vary: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.draw < 0 or (self.draw and not self.grid):
            raise InputError(f"draw is {self.draw}: it is a number of combinations, so set grid too, or leave it 0")
        for bits in self.weight_bits:
            check_weight_bits(bits)
        if self.tic_every < 0:
            raise InputError(f"tic_every is {self.tic_every}; it counts epochs, 0 for never")


def said(kind: type, arguments: Namespace) -> dict[str, Any]:
    """What the command line says of a configuration: arguments that were given, by the names of its
    fields.
    """
    given = {f.name: getattr(arguments, f.name, None) for f in fields(kind)}
    return {name: str(value) if isinstance(value, Path) else value for name, value in given.items() if value is not None}


def run_config(
    path: Path | None, train_changes: Mapping[str, Any], changes: Mapping[str, Any], published_as: str | None = None
) -> RunConfig:
    """The recipe, overlaid by the file, overlaid by what was said on the command line.

    published_as: name of a published recipe; else it is that of the data set and the method.

    Raises:
        InputError: missing file, unknown fields, wrong types, values out of range.
    """
    if path:
        with reading(path, "a configuration", "mend it, or write it anew"):
            return _resolved(read_toml(path), str(path), train_changes, changes, published_as)
    return _resolved({}, "command line", train_changes, changes, published_as)


def _resolved(
    table: dict[str, Any], where: str, train_changes: Mapping[str, Any], changes: Mapping[str, Any], published_as: str | None
) -> RunConfig:
    said = table.pop("train", {})
    if not isinstance(said, dict):
        raise InputError(f"{where}: train must be a table, got {said!r}")
    training = training_config(said, train_changes, f"{where}: train", published_as)
    defaults = {f.name: f.default for f in fields(RunConfig) if f.name != "train"}
    return parse_table(RunConfig, {**defaults, **table, **changes}, where, train=training)


def sweep_config(path: Path | None, changes: Mapping[str, Any], train_changes: Mapping[str, Any], varied: Mapping[str, Any]) -> SweepConfig:
    """The file, overlaid by what was said on the command line; of each point, `training_config`
    says the rest.

    Raises:
        InputError: as in `run_config`.
    """
    table = read_toml(path) if path else {}
    for name in ("train", "vary"):
        if not isinstance(table.get(name, {}), dict):
            raise InputError(f"{path}: {name} must be a table, got {table[name]!r}")
    merged = {
        **table,
        **changes,
        "train": {**table.get("train", {}), **train_changes},
        "vary": {**table.get("vary", {}), **varied},
    }
    return parse_table(SweepConfig, merged, str(path or "command line"))


def training_config(said: Mapping[str, Any], changes: Mapping[str, Any], where: str, published_as: str | None = None) -> TrainConfig:
    """The recipe, overlaid by what a file said, overlaid by changes, both nested tables; arguments
    and errors as in `run_config`.
    """
    base = asdict(published(published_as) if published_as else _usual({**said, **changes}))
    return from_table(_overlaid(_overlaid(base, said), changes), where)


def _usual(said: Mapping[str, Any]) -> TrainConfig:
    """The recipe of the data set and the method that are named: a method brings its own neurons,
    loss and optimizer.
    """
    return defaults_for(said.get("data", TrainConfig.data), **({"method": said["method"]} if "method" in said else {}))


def _overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the entries of `over`, tables merged."""
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _overlaid(base[key], value) if isinstance(value, Mapping) and isinstance(base.get(key), Mapping) else value
    return merged
