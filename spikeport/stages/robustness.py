"""The stage that perturbs test images and runs them in float and in fixed point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
class Trial:
    """The networks that are there, and whether each is right on the clean images after 1 .. T
    timesteps.
    """

    runs: Mapping[str, Run]
    clean: Mapping[str, np.ndarray]
    timesteps: int

    def condition(self, name: str, images: np.ndarray, first: int, last: int) -> Condition:
        """What becomes of the accuracy with these images, perturbed at timesteps first .. last
        (from 1).
        """
        return Condition(name, first, last, {network: outcome(run(images), self.clean[network]) for network, run in self.runs.items()})

    def unperturbed(self) -> Condition:
        """The clean images."""
        return Condition("clean", 1, self.timesteps, {network: outcome(right, right) for network, right in self.clean.items()})


def robustness_stage(session: Session, out: Path, config: RobustnessConfig, *, force: bool = False) -> Robustness:
    """Accuracy under perturbations and under deficits in a sliding window of timesteps; writes JSON
    and a page beside it.

    Raises:
        InputError: recordings of events, which have no pixels; a window longer than T; files of
            others where the results go.
    """
    part, timesteps = session.split("test")[: config.samples], session.timesteps
    window = min(WINDOW, timesteps) if config.window is None else config.window
    session.check_pixels()
    _check(window, timesteps)
    names = session.with_network("trained", "test")
    check_output(out, json_origin(Robustness), session.made_of(*names), force=force, home=session.work.root)
    check_output(out.with_suffix(".html"), page_origin, {}, force=force)
    check_kept(out.with_suffix(".html"), force=force)
    runs = _runs(session, part)
    trial = Trial(runs, {name: run(part.array) for name, run in runs.items()}, timesteps)
    perturbed = {name: _perturbed(name, session, part, config) for name in PERTURBATIONS}
    conditions, windows = _conditions(session, trial, part, perturbed, config.deficit, window)
    cut = session.kept(Truncation, session.work.truncation, *session.with_network("trained", "validation", "test"))
    result = Robustness(
        samples=len(part),
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


def _conditions(
    session: Session, trial: Trial, part: Split, perturbed: Mapping[str, np.ndarray], deficit: Deficit, window: int
) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """Every perturbation at all timesteps, the clean images first; and the deficit in every window."""
    last = trial.timesteps
    cases: list[tuple[str, int, int]] = [(name, 1, last) for name in perturbed]
    slid = [(deficit, t, t + window - 1) for t in (range(1, last - window + 2) if window else ())]
    results: list[Condition] = []
    with session.bar(len(part) * (len(cases) + len(slid)), "robustness") as progress:
        for number, (name, start, end) in enumerate([*cases, *slid]):
            images = perturbed[name]
            if number >= len(cases):
                images = in_window(part.array, images, last, start, window)
            results.append(trial.condition(name, images, start, end))
            progress(len(part))
    return (trial.unperturbed(), *results[: len(cases)]), tuple(results[len(cases) :])


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
