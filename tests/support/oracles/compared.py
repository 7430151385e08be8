"""Runs to compare that have one timestep, for tests of comparisons."""

from __future__ import annotations

from dataclasses import replace

from support.pages.reports import full_report

from spikeport.analysis.cost.estimate import Band
from spikeport.analysis.results.comparison import ComparedRun, compared_run
from spikeport.analysis.results.report import AccuracyCurve

REPORT = full_report()


def run_at(name: str, energy: float, accuracy: float, test: str = "t", **changes) -> ComparedRun:
    """A run with this total energy and accuracy, on test data of this digest."""
    run = compared_run(name, f"{name}/report.json", replace(REPORT, made_of={"network": name, "test": test}))
    cost = replace(run.cost, total=Band((energy,), (energy / 2,), (energy * 2,)))
    return replace(run, cost=cost, timesteps=1, chosen=1, quantized=AccuracyCurve("quantized", "test", 100, (accuracy,)), **changes)
