"""Many trainings that differ in a few settings: planned before anything runs, finished one after the other, taken up after a kill."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from spikeport.analysis.fisher import FisherResult
from spikeport.analysis.jsonable import from_json, to_json
from spikeport.analysis.perturbations import Strengths
from spikeport.analysis.robustness import Robustness
from spikeport.analysis.sweep import Sweep, SweepPoint
from spikeport.analysis.sweep_page import sweep_page
from spikeport.config import training_config
from spikeport.export.errors import InputError
from spikeport.export.files import read_json, write_json, write_text
from spikeport.pipeline import Bar, quantize_stage, tic_stage
from spikeport.robustness import robustness_stage
from spikeport.tic import TicConfig
from spikeport.train.checkpoint import CONFIG
from spikeport.train.config import TrainConfig, read_config
from spikeport.train.data import Dataset, load
from spikeport.train.trainer import DivergedError, train
from spikeport.workspace import Workspace

GRID = "all combinations"
SEED = 0
"""Of noise and of attacks, the same for all points."""


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """A sweep, as its TOML file says it.

    recipe: a published run to start from, "" for the data set's own. train: what all points share, as in a [train] table.
    vary: lists of values by field of `TrainConfig`; nested fields as tables or dotted names; a value that is a table sets
    several fields together. grid: every combination; else one field at a time, the others as shared.
    robustness: of every point too, in float and, after quantization to 8 bits, in fixed point. samples: validation samples for
    Fisher information. robustness_samples: test samples.
    """

    title: str = "Sweep"
    recipe: str = ""
    grid: bool = False
    robustness: bool = False
    samples: int = TicConfig.samples
    robustness_samples: int = 1000
    train: dict = field(default_factory=dict)
    vary: dict = field(default_factory=dict)


Choice = Mapping[str, Any]
"""Values by dotted name of a field, such as {"neuron.decay": 0.5}."""


@dataclass(frozen=True)
class Planned:
    """A training to do; fields as in `SweepPoint`."""

    name: str
    labels: Mapping[str, str]
    settings: Choice
    config: TrainConfig


def plan(config: SweepConfig, where: str) -> list[Planned]:
    """All points, every one checked; those that are the same training are one.

    Raises:
        InputError: nothing to vary, or a point that cannot be trained.
    """
    fields = _choices(config.vary, where)
    names = list(dict.fromkeys(name for choices in fields.values() for choice in choices for name in choice))
    found: dict[TrainConfig, Planned] = {}
    for figure, choice in _combinations(fields, config.grid):
        label = ", ".join(f"{name}={value}" for name, value in choice.items())
        trained = training_config(config.train, _nested(choice), f"{where}: {label}", config.recipe or None)
        flat = dict(_flat(asdict(trained)))
        same = found.get(trained, Planned(_folder(label), {}, {name: flat.get(name) for name in names}, trained))
        found[trained] = replace(same, labels={**same.labels, figure: label})
    return list(found.values())


def _choices(vary: Mapping[str, Any], where: str) -> dict[str, list[Choice]]:
    fields = dict(_flat(vary))
    if not fields:
        raise InputError(f"{where}: nothing to vary; give lists of values, such as --vary timesteps=4,6,8")
    for name, values in fields.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"{where}: vary {name} must be a list of values, got {values!r}")
    return {name: [dict(_flat(value, name)) for value in values] for name, values in fields.items()}


def _combinations(fields: Mapping[str, list[Choice]], grid: bool) -> Iterator[tuple[str, Choice]]:
    """Names of figures, and what is set for a point of them."""
    if grid:
        for together in product(*fields.values()):
            yield GRID, {name: value for choice in together for name, value in choice.items()}
    else:
        for name, choices in fields.items():
            yield from ((name, choice) for choice in choices)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """What lies at the ends of nested tables, by dotted name."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}".strip("."))
    else:
        yield name, value


def _nested(choice: Choice) -> dict[str, Any]:
    """Nested tables from dotted names."""
    tables: dict[str, Any] = {}
    for name, value in choice.items():
        *path, last = name.split(".")
        table = tables
        for part in path:
            table = table.setdefault(part, {})
        table[last] = value
    return tables


def _folder(label: str) -> str:
    """A label as the name of a folder."""
    return re.sub(r"[^\w.=+-]+", "_", label)


def run_sweep(
    config: SweepConfig, points: list[Planned], out: Path, data_dir: Path | None, bar: Bar, finished: Callable[[], None]
) -> Sweep:
    """Train and measure every point in its folder below `out`; sweep.json and sweep.html are written anew after each.

    What is finished is kept; a training under way goes on where it was stopped. One that diverges is told, and the others go on.

    Raises:
        InputError: a folder holds a training with other settings; nothing is trained then.
    """
    for point in points:
        kept = out / point.name / CONFIG
        if kept.is_file() and read_config(kept) != point.config:
            raise InputError(f"{kept.parent} holds a training with other settings; choose another --out")
    sweep = Sweep(config.title, len(points), config.train)
    for point in points:
        try:
            sweep = replace(sweep, points=(*sweep.points, _measured(config, point, Workspace(out / point.name), data_dir, bar)))
        except DivergedError as error:
            sweep = replace(sweep, failed={**sweep.failed, point.name: str(error)})
        write_json(out / "sweep.json", to_json(sweep))
        write_text(out / "sweep.html", sweep_page(sweep))
        finished()
    return sweep


def _measured(config: SweepConfig, point: Planned, work: Workspace, data_dir: Path | None, bar: Bar) -> SweepPoint:
    """One point, with whatever of it is there already."""
    c = point.config
    data = load(c.data, data_dir, c.seed, c.timesteps, c.events)
    trained = train(c, data, work.root, resume=True)
    work.remember_data(data_dir)
    return SweepPoint(
        name=point.name,
        labels=point.labels,
        settings=point.settings,
        accuracy=tuple(trained.metrics["test_accuracy"]),
        validation=tuple(epoch["validation_accuracy"] for epoch in trained.metrics["history"]),
        fisher=_fisher(work, data, config.samples, bar),
        robustness=_robustness(work, data, config.robustness_samples, bar) if config.robustness else None,
    )


def _fisher(work: Workspace, data: Dataset, samples: int, bar: Bar) -> FisherResult:
    if work.tic.exists():
        kept = from_json(FisherResult, read_json(work.tic))
        if kept.samples == min(samples, len(data.validation)) and kept.labels == "true":
            return kept
    return tic_stage(work, data, work.tic, bar, samples=samples)


def _robustness(work: Workspace, data: Dataset, samples: int, bar: Bar) -> Robustness:
    """With the paper's strengths, without windows, which have a command of their own."""
    if work.robustness.exists():
        kept = from_json(Robustness, read_json(work.robustness))
        asked = (min(samples, len(data.test)), SEED, Strengths())
        if (kept.samples, kept.seed, kept.strengths) == asked and "fixed point" in kept.networks:
            return kept
    if not work.network.exists():
        quantize_stage(work, data, work.network, weight_bits=8, per_channel=False, finetune_epochs=0)
    return robustness_stage(work, data, work.robustness, bar, samples=samples, seed=SEED, strengths=Strengths(), window=0)
