"""The stage that decides how many timesteps are run: a cut for all samples, and an early exit for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spikeport.analysis.common.jsonable import to_json
from spikeport.analysis.decision.early_exit import choose_threshold, exit_confirmed, margins_over_time
from spikeport.analysis.decision.timestep_cut import Truncation, confirmed, truncate, with_proposal
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_json
from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.nir.file import write_nir
from spikeport.hw.backends.simulate import backend
from spikeport.hw.backends.verify import verify
from spikeport.hw.records.record import SpikeRecord, correct_over_time
from spikeport.hw.records.stimulus import encode
from spikeport.stages.pipeline import Bar, records, split_of
from spikeport.stages.tic import kept_tic
from spikeport.stages.workspace import Workspace
from spikeport.train.data.registry import Dataset, Split
from spikeport.train.loop.checkpoint import Trained
from spikeport.train.loop.evaluation import right_over_time

LAVA_SAMPLES = 20
"""Test samples that T' is confirmed on in real Lava, unless said otherwise."""


@dataclass(frozen=True)
class Answers:
    """One split: right or not, and by what margin, after 1 .. T timesteps in fixed point; right or not in float after T."""

    correct: np.ndarray
    margins: np.ndarray
    floating: np.ndarray


def truncate_stage(
    work: Workspace, data: Dataset, out: Path, bar: Bar, *, tolerance: float, lava_samples: int = LAVA_SAMPLES
) -> Truncation:
    """Choose T' and the exit threshold on validation data, confirm both once on test data, and write the network that is deployed.

    lava_samples: test samples run at T' in real Lava and compared spike for spike, 0 for none.
    """
    if lava_samples < 0:
        raise InputError(f"--lava-samples is {lava_samples}; give 0 for none, or more")
    network, found = records(work, data, bar)
    trained = work.trained()
    validation, test = (_answers(network, trained, split_of(data, name), found[name], bar) for name in ("validation", "test"))
    result = truncate(validation.correct, validation.floating, tolerance)
    if fisher := kept_tic(work.tic, network.timesteps):
        result = with_proposal(result, fisher)
    result = confirmed(result, test.correct, test.floating)
    exits = choose_threshold(validation.correct, validation.margins, validation.floating, tolerance)
    result = replace(result, exit=exit_confirmed(exits, test.correct, test.margins, test.floating))
    deployed = network.with_timesteps(result.chosen)
    result = _confirmed_in_lava(result, deployed, data.test[:lava_samples], bar)
    write_nir(deployed, work.deployed)
    write_json(out, to_json(result))
    return result


def _answers(network: QuantizedNetwork, trained: Trained, part: Split, record: SpikeRecord, bar: Bar) -> Answers:
    floating = []
    with bar(len(part), "float reference") as progress:
        for right in right_over_time(trained.module, part.images, part.labels, trained.config.timesteps):
            floating.append(right[:, -1])
            progress(len(right))
    return Answers(
        correct=correct_over_time(record.output, part.labels, network.readout),
        margins=margins_over_time(record.output, network.readout),
        floating=np.concatenate(floating),
    )


def _confirmed_in_lava(result: Truncation, deployed: QuantizedNetwork, part: Split, bar: Bar) -> Truncation:
    """Compare T' timesteps in real Lava with the reference, or say why that was not done."""
    if not len(part):
        return replace(result, lava_absent="no samples were asked for")
    try:
        lava = backend("lava")
    except InputError as error:
        return replace(result, lava_absent=str(error))
    with bar(len(part), f"Lava, T' = {result.chosen}") as progress:
        stimulus = encode(deployed.input, part.array, deployed.timesteps)
        return replace(result, lava=verify(deployed, stimulus, {"lava": lava}, progress=progress), lava_absent="")
