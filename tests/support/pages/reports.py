"""Reports with every stage in them, for tests of pages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.networks.random_networks import random_network, random_stimulus

from spikeport.analysis.cost.devices import device_named
from spikeport.analysis.cost.estimate import estimate_cost
from spikeport.analysis.cost.exit_cost import exit_cost
from spikeport.analysis.decision.conformal import ConformalExit, conformal_exits
from spikeport.analysis.decision.early_exit import choose_threshold, exit_confirmed
from spikeport.analysis.decision.timestep_cut import Truncation, confirmed, truncate, with_proposal
from spikeport.analysis.information.fisher import FisherResult
from spikeport.analysis.results.chip_use import chip_use
from spikeport.analysis.results.layer_agreement import Agreement, LayerAgreement
from spikeport.analysis.results.loss_split import LossRow, LossSplit
from spikeport.analysis.results.paired_runs import SpikeOverlap
from spikeport.analysis.results.rasters import sample_rasters
from spikeport.analysis.results.report import (
    Report,
    accuracy_curve,
    installed_versions,
    network_facts,
    semantics_of,
)
from spikeport.hw.backends.verify import Difference, Verification
from spikeport.hw.mapping.cores import map_network
from spikeport.hw.semantics import reference

LOIHI2 = device_named("loihi2")


def verification(differences: int = 0) -> Verification:
    first = Difference("lava", "pop0", 3, 2, (1, 4), 1, 0, 0, 77) if differences else None
    return Verification(("engine", "lava"), 50, 6, ("pop0",), 12_345_678, 98_765, 3000, {"engine": 0, "lava": differences}, first)


def full_truncation(correct: np.ndarray, fisher: FisherResult) -> Truncation:
    """Cut and exit, both shown: the margin grows with the timesteps, and is 9 where the answer is
    wrong.
    """
    floating = correct[:, -1]
    margins = np.where(correct, 100 * np.arange(1, 7), 9)
    found = confirmed(with_proposal(truncate(correct, floating, 1.0), fisher), correct[:100], floating[:100])
    exits = exit_confirmed(choose_threshold(correct, margins, floating, 1.0), correct[:100], margins[:100], floating[:100])
    return replace(found, exit=exits, conformal=_conformal(correct), lava=verification(), lava_absent="")


def _conformal(correct: np.ndarray) -> tuple[ConformalExit, ...]:
    """Of two classes; the first is true, and leads by 100 a timestep where the answer is right."""
    scores = np.stack([np.where(correct, 100 * np.arange(1, 7), -9), np.zeros(correct.shape, int)], axis=2)
    zeros = np.zeros(len(correct), int)
    return conformal_exits(scores, zeros, scores[:100], zeros[:100])


def full_report(seed: int = 8, text: str = "digits") -> Report:
    """A report with every stage, on a random network's real record; accuracies are drawn, alike for
    every seed.
    """
    network = random_network(seed).with_timesteps(6)
    stimulus = random_stimulus(seed, network)
    record = reference.run(network, stimulus, "spikes")
    correct = np.random.default_rng(8).random((800, 6)) < [0.5, 0.9, 1, 1, 1, 1]
    fisher = FisherResult(
        (4.0, 3.0, 2.0, 1.0, 1.0, 1.0), (0.1,) * 6, (4.0, 1.0, 0.5, 0.0, 0.0, 0.0), {text: (1.0,) * 6}, 64, "true", "mean", 0
    )
    return Report(
        title=text,
        subtitle=text,
        network=network_facts(network),
        semantics={**semantics_of(network), text: text},
        accuracy=(
            accuracy_curve("float", text, correct),
            accuracy_curve("quantized", "test", correct),
            accuracy_curve(text, "test", correct[:50]),
        ),
        fisher=fisher,
        truncation=full_truncation(correct, fisher),
        exit_cost=exit_cost(network, record, LOIHI2, np.full(len(record), 4)),
        conformal_cost=tuple(exit_cost(network, record, LOIHI2, np.full(len(record), 1 + n % 6)) for n in range(6)),
        cost=estimate_cost(network, record, LOIHI2),
        chip=chip_use(map_network(network, LOIHI2.chip)),
        verification=verification(),
        agreement=Agreement(
            64, 6, 1 / 64, (LayerAgreement(text, 4800, SpikeOverlap(90, 85, 80), 0.0421), LayerAgreement("out", 480, None, 0.0137))
        ),
        loss=LossSplit(64, 6, 0.96875, (LossRow(text, SpikeOverlap(90, 88, 86), 0.03125, 0.953125),)),
        samples=sample_rasters(network, stimulus, record, np.array([0, 1, 2])),
        seeds={"training": 7},
        versions=installed_versions(),
        configuration={text: text, "nested": {"epochs": [1, 2]}},
        warnings=(text,),
    )
