"""Many trainings that differ in a few settings: planned before anything runs, finished one after
the other, taken up after a kill.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

from spikeport.analysis.common.jsonable import read_as, to_json
from spikeport.analysis.information.fisher import FisherResult
from spikeport.analysis.information.history import FisherHistory
from spikeport.analysis.pages.beside import write_beside
from spikeport.analysis.pages.kept import folder_of, forget_kept
from spikeport.analysis.pages.sweep import sweep_page
from spikeport.analysis.results.perturbed_accuracy import Robustness
from spikeport.analysis.results.training_comparison import Sweep, SweepPoint
from spikeport.cluster.workers import HERE, Workers
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import read_json, write_json
from spikeport.export.quantization.quantize import quantize
from spikeport.hw.records.record import accuracy_over_time
from spikeport.stages.config import SweepConfig, training_config
from spikeport.stages.folder.bound import read_bound
from spikeport.stages.folder.claims import check_kept, claimed, forget_run
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.pipeline import CALIBRATION_SAMPLES, QuantizationConfig, quantize_stage
from spikeport.stages.robustness import RobustnessConfig, robustness_stage
from spikeport.stages.session import Bar, Session, engine_record
from spikeport.stages.tic import TicConfig, kept_tic, recorder, tic_stage
from spikeport.stages.trained import TrainedSession
from spikeport.train.loop.checkpoint import CONFIG, METRICS, checked_metrics, settings_digest
from spikeport.train.loop.resume import epochs_done
from spikeport.train.loop.trainer import DivergedError, train
from spikeport.train.settings.config import TrainConfig, difference, read_config
from spikeport.train.settings.tables import flat
from spikeport.train.settings.training_data import training_data

SWEEP, PAGE = "sweep.json", "sweep.html"
GRID = "all combinations"
SEED = 0
"""Of noise and of attacks, the same for all points, and of the points that are drawn."""


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
    trainings: dict[TrainConfig, Planned] = {}
    for figure, choice in _drawn(list(_combinations(fields, config.grid)), config.draw):
        label = ", ".join(f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in choice.items())
        trained = training_config(config.train, _nested(choice), f"{where}: {label}", config.recipe or None)
        values = dict(flat(asdict(trained)))
        same = trainings.get(trained, Planned(_folder(label), {}, {name: values.get(name) for name in names}, trained))
        trainings[trained] = replace(same, labels={**same.labels, figure: label})
    return list(trainings.values())


def _choices(vary: Mapping[str, Any], where: str) -> dict[str, list[Choice]]:
    fields = dict(flat(vary))
    if not fields:
        raise InputError(f"{where}: nothing to vary; give lists of values, such as --vary timesteps=4,6,8")
    for name, values in fields.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"{where}: vary {name} must be a list of values, got {values!r}")
    return {name: [dict(flat(value, name)) for value in values] for name, values in fields.items()}


def _combinations(fields: Mapping[str, list[Choice]], grid: bool) -> Iterator[tuple[str, Choice]]:
    """Names of figures, and what is set for a point of them."""
    if grid:
        for together in product(*fields.values()):
            yield GRID, {name: value for choice in together for name, value in choice.items()}
    else:
        for name, choices in fields.items():
            yield from ((name, choice) for choice in choices)


def _drawn(points: list[tuple[str, Choice]], count: int) -> list[tuple[str, Choice]]:
    """So many of them, the same every time, in their order; all for 0."""
    if not count:
        return points
    order = Random(SEED).sample(range(len(points)), len(points))
    return [points[n] for n in sorted(order[:count])]


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
    config: SweepConfig,
    points: list[Planned],
    out: Path,
    data_dir: Path | None,
    bar: Bar,
    finished: Callable[[], None],
    accelerator: str = "cpu",
    workers: Workers = HERE,
    *,
    force: bool = False,
) -> Sweep:
    """Train and measure every point in its folder below `out`.

    sweep.json, sweep.html and its figures and tables as files in sweep_files are written anew after
    each.

    What is finished is kept; a training under way goes on where it was stopped. One that diverges
    is told, and the others go on. force: the sweep that lies in `out` goes first, with its points.

    Raises:
        InputError: a folder holds a training with other settings, or one that was not followed as
            asked, or `out` holds a sweep with points that are not planned; nothing is trained then,
            nor written.
    """
    if force:
        _forget(points, out)
    _check_former(points, out)
    for point in points:
        kept = out / point.name
        if (kept / CONFIG).is_file() and (mismatch := difference(read_config(kept / CONFIG), point.config)):
            raise InputError(
                f"{kept} holds a training with other settings ({mismatch}); --force replaces the sweep, or choose another --out"
            )
        ended = (kept / METRICS).is_file() and "test_accuracy" in checked_metrics(read_json(kept / METRICS), kept / METRICS)
        _history(Workspace(kept), point.config, point.config.epochs if ended else epochs_done(kept), config.tic_every)
    sweep = Sweep(config.title, len(points), config.train)
    tasks = ((config, point, out.resolve(), data_dir and data_dir.resolve(), bar, accelerator) for point in points)
    for point, measured in zip(points, workers.each(_measured, tasks)):
        if isinstance(measured, SweepPoint):
            sweep = replace(sweep, points=(*sweep.points, measured))
        else:
            sweep = replace(sweep, failed={**sweep.failed, point.name: measured})
        _write(sweep, out)
        finished()
    return sweep


def _forget(points: list[Planned], out: Path) -> None:
    """Delete the sweep in `out`: every point of it or to come, by our names, then what it ended in."""
    try:
        former = read_as(Sweep, out / SWEEP) if (out / SWEEP).exists() else None
    except InputError:
        former = None  # damaged, or not ours: nothing is known of its points
    done = (*(point.name for point in former.points), *former.failed) if former else ()
    for name in {*done, *(point.name for point in points)}:
        if name == Path(_folder(name)).name and (out / name).is_dir():
            forget_run(Workspace(out / name))
    forget_kept(folder_of(out / PAGE))
    for name in (SWEEP, PAGE):
        (out / name).unlink(missing_ok=True)


def _check_former(points: list[Planned], out: Path) -> None:
    """Points of an earlier sweep must be among those to come, since sweep.json and sweep.html are
    of one sweep; and the page's files must be ours.
    """
    check_kept(out / PAGE, force=False)
    path = out / SWEEP
    if not path.exists():
        return
    former = read_as(Sweep, path)
    planned = {point.name for point in points}
    if lost := [name for name in (*(point.name for point in former.points), *former.failed) if name not in planned]:
        raise InputError(
            f"{path} is of a sweep with other points, such as {lost[0]}; vary that too, choose another --out, or --force replaces it"
        )


def _write(sweep: Sweep, out: Path) -> None:
    """Instead of what was there before."""
    write_json(out / SWEEP, to_json(sweep))
    write_beside(out / PAGE, {}, lambda beside: sweep_page(sweep, beside))


def _measured(config: SweepConfig, point: Planned, out: Path, data_dir: Path | None, bar: Bar, accelerator: str) -> SweepPoint | str:
    """One point, with whatever of it is there already; of a training that diverged, how."""
    c, work = point.config, Workspace(out / point.name)
    data = training_data(c, data_dir)
    looks, settings = TicConfig(samples=config.samples, seed=c.seed), {"settings": settings_digest(c)}
    follow = recorder(work.tic_history, data.train, config.tic_every, looks, settings) if config.tic_every else None
    with claimed(work, force=False):
        try:
            trained = train(c, data, work.root, resume=True, accelerator=accelerator, on_epoch=follow)
        except DivergedError as error:
            return str(error)
        work.remember_data(data_dir)
        session = TrainedSession(work, trained, data, bar)
        return SweepPoint(
            name=point.name,
            labels=point.labels,
            settings=point.settings,
            accuracy=tuple(trained.metrics["test_accuracy"]),
            validation=tuple(epoch["validation_accuracy"] for epoch in trained.metrics["history"]),
            fisher=_fisher(session, looks),
            robustness=_robustness(session, config.robustness_samples) if config.robustness else None,
            history=_history(work, c, c.epochs, config.tic_every),
            fixed_point=_quantized(session, config.weight_bits) if config.weight_bits else {},
        )


def _history(work: Workspace, config: TrainConfig, epochs: int, every: int) -> FisherHistory:
    """What was found in the first so many epochs of a training; refused where it is not of the
    epochs asked for.
    """
    history = read_bound(FisherHistory, work.tic_history, {"settings": settings_digest(config)})[0] or FisherHistory()
    if every and tuple(epoch for epoch in history.epochs if epoch <= epochs) != tuple(range(every, epochs + 1, every)):
        raise InputError(
            f"{work.root} was not trained with --tic-every {every} from its first epoch on; --force replaces the sweep, or choose another --out"
        )
    return history


def _fisher(session: TrainedSession, config: TicConfig) -> FisherResult:
    asked = {"samples": min(config.samples, len(session.calibration)), "estimator": config.estimator, "labels": config.labels}
    tic = session.work.tic
    return kept_tic(session, tic, session.trained.config.timesteps, **asked) or tic_stage(session, tic, config)


def _quantized(session: Session, weight_bits: Iterable[int]) -> dict[str, tuple[float, ...]]:
    """By bits of a weight, accuracy of the integers on test data after 1 .. T timesteps; the
    networks are not kept.
    """
    test, lowered, images = session.split("test"), session.lowered(), session.calibration.images[:CALIBRATION_SAMPLES]
    found = {}
    for bits in weight_bits:
        network = quantize(lowered, images, weight_bits=bits)
        with session.bar(len(test), f"engine, {bits} bits") as progress:
            record = engine_record(network, test, progress)
        found[str(bits)] = tuple(accuracy_over_time(record.output, test.labels, network.readout).tolist())
    return found


def _robustness(session: TrainedSession, samples: int) -> Robustness:
    """With the paper's strengths, without windows, which have a command of their own."""
    work, config = session.work, RobustnessConfig(samples=samples, seed=SEED, window=0)
    kept = session.kept(Robustness, work.robustness, *session.with_network("trained", "test"))
    asked = (min(samples, len(session.data.test)), SEED, config.strengths)
    if kept and (kept.samples, kept.seed, kept.strengths) == asked and "fixed point" in kept.networks:
        return kept
    if "network" not in session.with_network():
        quantize_stage(session, work.network, QuantizationConfig())
    return robustness_stage(session, work.robustness, config)
