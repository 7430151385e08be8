"""What runs side by side come to, in four numbers: who is most accurate, who needs least energy,
who is fastest, and what is proven.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from spikeport.analysis.common.numbers import percent, si
from spikeport.analysis.figures.markup import Element, el
from spikeport.analysis.pages.page import fact, setting
from spikeport.analysis.results.comparison import ComparedCost, ComparedRun, Comparison


def headlines(comparison: Comparison) -> Element | None:
    """Of runs that may all be compared, and were all measured; None of any others.

    Means only, each run at its T'.
    """
    runs = [(run, run.cost) for run in comparison.runs if run.deployed and run.cost]
    if len(comparison.groups) > 1 or len(runs) < len(comparison.runs) or len(runs) < 2:
        return None
    accuracy, right = _best(comparison.runs, lambda run: -run.deployed[1] if run.deployed else 0.0)
    energy, frugal = _best(comparison.runs, lambda run: _at(run, run.cost, "total"))
    latency, fast = _best(comparison.runs, lambda run: _at(run, run.cost, "latency"))
    proven = [run for run in comparison.runs if run.verification and run.verification.equal]
    sure = "" if all(cost.calibrated for _, cost in runs) else ", uncalibrated"
    device = f"{runs[0][1].device}{sure}"
    facts = [
        fact("Most accurate", percent(-accuracy), right),
        fact("Least total energy", si(energy, "J"), f"{frugal}; {device}"),
        fact("Fastest", si(latency, "s"), f"{fast}; {device}"),
        fact("Equal spike for spike", f"{len(proven)} of {len(comparison.runs)}", "runs, against the reference"),
    ]
    return el("section", facts, class_="facts")


def _best(runs: Sequence[ComparedRun], by: Callable[[ComparedRun], float]) -> tuple[float, str]:
    """The least value, and the runs that have it with their T', or how many they are."""
    least = min(map(by, runs))
    best = [run.name + " at " + setting("T'", run.chosen) for run in runs if by(run) == least]
    return least, " and ".join(best) if len(best) < 3 else f"{len(best)} runs"


def _at(run: ComparedRun, cost: ComparedCost | None, name: str) -> float:
    assert cost
    return getattr(cost, name).mean[run.chosen - 1]
