"""The stage that perturbs test images and runs them in float and in fixed point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from spikeport.analysis.decision.timestep_cut import Truncation
from spikeport.analysis.pages.beside import write_beside
from spikeport.analysis.pages.robustness import robustness_page
from spikeport.analysis.results.perturbations import PERTURBATIONS, Strengths
from spikeport.analysis.results.perturbed_accuracy import Condition, Robustness, outcome
from spikeport.cluster.workers import HERE, Workers
from spikeport.export.common.errors import InputError
from spikeport.export.model.seed import check_seed
from spikeport.hw.backends.simulate import backend
from spikeport.hw.records.record import correct_over_time
from spikeport.hw.records.stimulus import encode
from spikeport.stages.folder.claims import check_kept, check_output, json_origin, page_origin
from spikeport.stages.session import Session
from spikeport.train.data.batches import epoch_seed
from spikeport.train.data.registry import Split

Run = Callable[[np.ndarray], np.ndarray]
"""Images `(samples, *shape)` or `(samples, T, *shape)` to whether each is right after 1 .. T
timesteps, bool `(samples, T)`.
"""
Deficit = Literal["noise", "blur"]
CLEAN = "clean"
BATCH = 128
WINDOW = 3
"""Timesteps of a deficit, as published ([t, t + 2])."""


@dataclass(frozen=True, kw_only=True)
class RobustnessConfig:
    """What is asked for. samples: the first of the test data. seed: of noise and of attacks.

    deficit: what an image becomes in a window of timesteps, the same at all of them; training is on
    clean data.
    window: timesteps of a deficit, 0 for none, None for `WINDOW` or all where there are fewer.
    """

    samples: int = 1000
    seed: int = 0
    strengths: Strengths = field(default_factory=Strengths)
    deficit: Deficit = "noise"
    window: int | None = None

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.samples < 1:
            raise InputError("robustness needs at least 1 test sample; give more with --samples")


@dataclass(frozen=True)
class Case:
    """Images to run. name: a perturbation, or `CLEAN`. first, last: timesteps (from 1) that are
    perturbed. window: they are a window, and the others clean.
    """

    name: str
    first: int
    last: int
    window: bool = False


class Trials:
    """The networks of a folder on test images, perturbed as asked."""

    def __init__(self, session: Session, config: RobustnessConfig) -> None:
        self.session, self.config = session, config
        self.part = session.split("test")[: config.samples]
        self.runs = _runs(session, self.part)
        self._made: dict[str, np.ndarray] = {}

    def right(self, case: Case) -> dict[str, np.ndarray]:
        """Whether each network is right after 1 .. T timesteps, bool `(samples, T)`."""
        images = self._images(case.name)
        if case.window:
            images = in_window(self.part.array, images, self.session.timesteps, case.first, case.last - case.first + 1)
        return {name: run(images) for name, run in self.runs.items()}

    def _images(self, name: str) -> np.ndarray:
        if name == CLEAN:
            return self.part.array
        if name not in self._made:  # the windows of a deficit, one after the other, take the same
            self._made = {name: _perturbed(name, self.session, self.part, self.config)}
        return self._made[name]


def robustness_stage(
    session: Session,
    out: Path,
    config: RobustnessConfig,
    *,
    force: bool = False,
    workers: Workers = HERE,
    opened: Callable[[], Session] | None = None,
) -> Robustness:
    """Accuracy under perturbations and under deficits in a sliding window of timesteps; writes JSON
    and a page beside it.

    opened: gives workers of other processes their own session, the same one in a process; a value
    (`spikeport.cluster.workers.Task`).

    Raises:
        InputError: recordings of events, which have no pixels; a window longer than T; files of
            others where the results go.
    """
    timesteps = session.timesteps
    window = min(WINDOW, timesteps) if config.window is None else config.window
    session.check_pixels()
    _check(window, timesteps)
    names = session.with_network("trained", "test")
    check_output(out, json_origin(Robustness), session.made_of(*names), force=force, home=session.work.root)
    check_output(out.with_suffix(".html"), page_origin, {}, force=force)
    check_kept(out.with_suffix(".html"), force=force)
    conditions, windows = _conditions(session, config, _cases(timesteps, config.deficit, window), workers, opened)
    cut = session.kept(Truncation, session.work.truncation, *session.with_network("trained", "validation", "test"))
    result = Robustness(
        samples=len(session.split("test")[: config.samples]),
        seed=config.seed,
        timesteps=timesteps,
        cut=cut.chosen if cut else None,
        level=session.lowered().input.resolution,
        strengths=config.strengths,
        conditions=conditions,
        deficit=config.deficit,
        windows=windows,
    )
    session.keep(out, result, *names)
    made_of = session.made_of(*names)
    write_beside(out.with_suffix(".html"), made_of, lambda beside: robustness_page(result, session.title, beside))
    return result


def _cases(timesteps: int, deficit: Deficit, window: int) -> list[Case]:
    """Every perturbation at all timesteps, the clean images first; and the deficit in every window."""
    slid = range(1, timesteps - window + 2) if window else ()
    return [*(Case(name, 1, timesteps) for name in (CLEAN, *PERTURBATIONS)), *(Case(deficit, t, t + window - 1, True) for t in slid)]


def _conditions(
    session: Session, config: RobustnessConfig, cases: list[Case], workers: Workers, opened: Callable[[], Session] | None
) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """What became of the accuracy at all timesteps, and in windows. Cases are shared out rather
    than samples: a network that draws noise draws it for a whole set.
    """
    samples = len(session.split("test")[: config.samples])
    if opened is None:
        answers = workers.each(Trials(session, config).right, ((case,) for case in cases))
    else:
        answers = workers.each(_right, ((opened, config, case) for case in cases))
    found: list[Condition] = []
    clean: dict[str, np.ndarray] = {}
    with session.bar(len(cases) * samples, "robustness") as progress:
        for case, right in zip(cases, answers):
            clean = clean or right
            found.append(Condition(case.name, case.first, case.last, {name: outcome(right[name], clean[name]) for name in right}))
            progress(samples)
    return tuple(c for c, case in zip(found, cases) if not case.window), tuple(c for c, case in zip(found, cases) if case.window)


def _right(opened: Callable[[], Session], config: RobustnessConfig, case: Case) -> dict[str, np.ndarray]:
    return _trials(opened, config).right(case)


@lru_cache(maxsize=1)
def _trials(opened: Callable[[], Session], config: RobustnessConfig) -> Trials:
    return Trials(opened(), config)


def in_window(images: np.ndarray, deficient: np.ndarray, timesteps: int, first: int, width: int) -> np.ndarray:
    """Images held over time `(samples, T, *shape)`, with deficient ones at timesteps first .. first
    + width - 1 (from 1).
    """
    over_time = np.repeat(images[:, None], timesteps, axis=1)
    over_time[:, first - 1 : first - 1 + width] = deficient[:, None]
    return over_time


def _check(window: int, timesteps: int) -> None:
    if not 0 <= window <= timesteps:
        raise InputError(f"the window of {window} timesteps must lie in 0..{timesteps}; 0 leaves deficits out")


def _runs(session: Session, part: Split) -> dict[str, Run]:
    """The networks that are there: the float one, and the quantized one where it was made."""

    def in_float(images: np.ndarray) -> np.ndarray:
        return session.float_right(Split(images, part.labels), lambda count: None)

    if "network" not in session.with_network():
        return {"float": in_float}
    network = session.network

    def in_fixed_point(images: np.ndarray) -> np.ndarray:
        record = backend("engine")(network, encode(network.input, images, network.timesteps))
        return correct_over_time(record.output, part.labels, network.readout)

    return {"float": in_float, "fixed point": in_fixed_point}


class _From(nn.Module):
    """A model that numbers its samples from `first`: attacks see the spikes that a rate code is
    going to draw.
    """

    def __init__(self, model: nn.Module, first: int) -> None:
        super().__init__()
        self.model, self.first = model, first

    def forward(self, x: torch.Tensor, timesteps: int) -> torch.Tensor:
        return self.model(x, timesteps, first=self.first)


def _perturbed(name: str, session: Session, part: Split, config: RobustnessConfig) -> np.ndarray:
    """Every image perturbed, made on the float network; float32 in 0..1."""
    attacked, made = session.attacked(), []
    with session.bar(len(part), f"making {name}") as progress:
        for start in range(0, len(part), BATCH):
            batch = part[start : start + BATCH]
            x, y = torch.from_numpy(batch.array), torch.from_numpy(batch.labels)
            model, seed = _From(attacked, start), epoch_seed(config.seed, start)
            made.append(PERTURBATIONS[name](model, x, y, session.timesteps, config.strengths, seed).numpy())
            progress(len(batch))
    return np.concatenate(made)
