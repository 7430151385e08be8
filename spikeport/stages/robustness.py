"""The stage that perturbs test images and runs them in float and in fixed point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from spikeport.analysis.common.jsonable import read_as, to_json
from spikeport.analysis.decision.timestep_cut import Truncation
from spikeport.analysis.pages.robustness import robustness_page
from spikeport.analysis.results.perturbations import PERTURBATIONS, Strengths
from spikeport.analysis.results.perturbed_accuracy import Condition, Robustness, outcome
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_json, write_text
from spikeport.export.model.seed import check_seed
from spikeport.export.nir.file import read_nir
from spikeport.hw.backends.simulate import backend
from spikeport.hw.records.record import correct_over_time
from spikeport.hw.records.stimulus import encode
from spikeport.stages.pipeline import Bar
from spikeport.stages.workspace import Workspace
from spikeport.train.data.batches import epoch_seed
from spikeport.train.data.registry import Dataset, Split
from spikeport.train.loop.checkpoint import Trained
from spikeport.train.loop.evaluation import readout_currents

Run = Callable[[np.ndarray], np.ndarray]
"""Images `(samples, *shape)` or `(samples, T, *shape)` to whether each is right after 1 .. T timesteps, bool `(samples, T)`."""
Deficit = Literal["noise", "blur"]
BATCH = 128
WINDOW = 3
"""Timesteps of a deficit, as published ([t, t + 2])."""


def robustness_stage(
    work: Workspace,
    data: Dataset,
    out: Path,
    bar: Bar,
    *,
    samples: int,
    seed: int,
    strengths: Strengths,
    deficit: Deficit = "noise",
    window: int | None = None,
) -> Robustness:
    """Accuracy under perturbations and under deficits in a sliding window of timesteps; writes JSON and a page beside it.

    samples: the first of the test data. window: timesteps of a deficit, 0 for none, None for `WINDOW` or all where there are fewer.
    A deficit replaces the image by its perturbed version, the same at all timesteps of the window; training is on clean data.

    Raises:
        InputError: recordings of events, which have no pixels; fewer than 1 sample; a window longer than T; a seed out of range.
    """
    trained, part = work.trained(), data.test[: max(samples, 0)]
    timesteps = trained.config.timesteps
    window = min(WINDOW, timesteps) if window is None else window
    check_seed(seed)
    _check(data, part, window, timesteps)
    runs = _runs(work, trained, part)
    perturbed = {name: _perturbed(name, trained, part, strengths, seed, bar) for name in PERTURBATIONS}
    clean = {name: run(part.array) for name, run in runs.items()}

    def condition(name: str, images: np.ndarray, first: int, last: int) -> Condition:
        found = {network: outcome(run(images), clean[network]) for network, run in runs.items()}
        return Condition(name, first, last, found)

    unperturbed = Condition("clean", 1, timesteps, {network: outcome(correct, correct) for network, correct in clean.items()})
    starts = range(1, timesteps - window + 2) if window else ()
    with bar(len(part) * (len(perturbed) + len(starts)), "robustness") as progress:

        def counted(*arguments) -> Condition:
            found = condition(*arguments)
            progress(len(part))
            return found

        result = Robustness(
            samples=len(part),
            seed=seed,
            timesteps=timesteps,
            cut=read_as(Truncation, work.truncation).chosen if work.truncation.exists() else None,
            level=trained.module.encoder.source.resolution,
            strengths=strengths,
            conditions=(unperturbed, *(counted(name, images, 1, timesteps) for name, images in perturbed.items())),
            deficit=deficit,
            windows=tuple(
                counted(deficit, in_window(part.array, perturbed[deficit], timesteps, t, window), t, t + window - 1) for t in starts
            ),
        )
    write_json(out, to_json(result))
    write_text(out.with_suffix(".html"), robustness_page(result, f"{trained.config.arch} on {trained.config.data}"))
    return result


def in_window(images: np.ndarray, deficient: np.ndarray, timesteps: int, first: int, width: int) -> np.ndarray:
    """Images held over time `(samples, T, *shape)`, with deficient ones at timesteps first .. first + width - 1 (from 1)."""
    over_time = np.repeat(images[:, None], timesteps, axis=1)
    over_time[:, first - 1 : first - 1 + width] = deficient[:, None]
    return over_time


def _check(data: Dataset, part: Split, window: int, timesteps: int) -> None:
    if data.task.code != "direct":
        raise InputError(f"{data.task.name} holds recordings of events; noise, blur and attacks are of images with pixels in 0..1")
    if not len(part):
        raise InputError("robustness needs at least 1 test sample; give more with --samples")
    if not 0 <= window <= timesteps:
        raise InputError(f"the window of {window} timesteps must lie in 0..{timesteps}; 0 leaves deficits out")


def _runs(work: Workspace, trained: Trained, part: Split) -> dict[str, Run]:
    """The networks that are there: the trained one, and the quantized one where it was made."""
    timesteps = trained.config.timesteps

    def in_float(images: np.ndarray) -> np.ndarray:
        answers = [currents.cumsum(0).argmax(-1).T for currents in readout_currents(trained.module, images, timesteps)]
        return torch.cat(answers).numpy() == part.labels[:, None]

    if not work.network.exists():
        return {"float": in_float}
    network = read_nir(work.network)

    def in_fixed_point(images: np.ndarray) -> np.ndarray:
        record = backend("engine")(network, encode(network.input, images, timesteps))
        return correct_over_time(record.output, part.labels, network.readout)

    return {"float": in_float, "fixed point": in_fixed_point}


class _From(nn.Module):
    """A model that numbers its samples from `first`: attacks see the spikes that a rate code is going to draw."""

    def __init__(self, model: nn.Module, first: int) -> None:
        super().__init__()
        self.model, self.first = model, first

    def forward(self, x: torch.Tensor, timesteps: int) -> torch.Tensor:
        return self.model(x, timesteps, first=self.first)


def _perturbed(name: str, trained: Trained, part: Split, strengths: Strengths, seed: int, bar: Bar) -> np.ndarray:
    """Every image perturbed, made on the float network; float32 in 0..1."""
    found = []
    with bar(len(part), f"making {name}") as progress:
        for start in range(0, len(part), BATCH):
            batch = part[start : start + BATCH]
            x, y = torch.from_numpy(batch.array), torch.from_numpy(batch.labels)
            made = PERTURBATIONS[name](_From(trained.module, start), x, y, trained.config.timesteps, strengths, epoch_seed(seed, start))
            found.append(made.numpy())
            progress(len(batch))
    return np.concatenate(found)
