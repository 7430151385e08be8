"""Several runs side by side, as values that go to JSON and back: what may be compared, and who is
better at what.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spikeport.analysis.cost.intervals import Band
from spikeport.analysis.cost.result import Cost
from spikeport.analysis.decision.guarantee import LossLimits
from spikeport.analysis.results.report import AccuracyCurve, Report
from spikeport.export.common.digest import content_digest
from spikeport.hw.backends.verify import Verification


@dataclass(frozen=True)
class ComparedCost:
    """Of a run's energy and latency, what is compared; bands as in `analysis.cost.estimate.Cost`.
    prices: digest of the whole profile.
    """

    device: str
    prices: str
    calibrated: bool
    samples: int
    cores: int
    dynamic: Band
    total: Band
    latency: Band


@dataclass(frozen=True)
class ComparedRun:
    """One run. name: its folder, as far as it differs from the others'. report: where all of it
    stands.

    test_data: which samples accuracy and cost are of; empty where the report does not say.
    settings: configuration and meaning, by dotted
    name. date: of its report. floating, quantized: accuracy on test data, on validation data where
    none was measured. loss: against the first run that was measured on the same test data, which
    `against` names, each at its T', percentage points; None where that was not measured.
    """

    name: str
    report: str
    title: str
    made_of: Mapping[str, str]
    test_data: str
    settings: Mapping[str, str]
    weight_bits: int | None
    timesteps: int
    chosen: int
    floating: AccuracyCurve | None
    quantized: AccuracyCurve | None
    verification: Verification | None
    cost: ComparedCost | None
    against: str | None
    loss: LossLimits | None
    warnings: tuple[str, ...]
    date: str = ""

    @property
    def method(self) -> str:
        """What it was trained with."""
        return self.settings.get("train.method", "imported")

    @property
    def points(self) -> list[tuple[float, float]]:
        """Mean total energy in joules and accuracy of the quantized network, for T' = 1 .. T; empty
        where either is missing.
        """
        return list(zip(self.cost.total.mean, self.quantized.accuracy)) if self.cost and self.quantized else []

    @property
    def deployed(self) -> tuple[float, float] | None:
        """The same at the chosen T'."""
        return self.points[self.chosen - 1] if self.chosen <= len(self.points) else None


@dataclass(frozen=True)
class Comparison:
    """Runs in the order asked for. groups: names of runs that share test data and prices; across
    groups nothing is compared.

    beaten: for every run with accuracy and energy, the runs of its group that are at least as
    accurate at no more total energy, each at its T', and better in one of them (means only).
    differences: settings that are not the same in all runs, None where a run has none.
    remarks: what to know before comparing.
    """

    runs: tuple[ComparedRun, ...]
    groups: tuple[tuple[str, ...], ...]
    beaten: Mapping[str, tuple[str, ...]]
    differences: Mapping[str, tuple[str | None, ...]]
    remarks: tuple[str, ...]

    def of(self, group: Sequence[str]) -> list[ComparedRun]:
        """The runs of a group."""
        return [run for run in self.runs if run.name in group]


def compared_run(name: str, place: str, report: Report, against: str | None = None, loss: LossLimits | None = None) -> ComparedRun:
    """What is compared of a report. against, loss: as in `ComparedRun`."""
    return ComparedRun(
        name=name,
        report=place,
        title=report.title,
        made_of=report.made_of,
        test_data=test_data(report),
        settings=_settings(report),
        weight_bits=report.network.weight_bits,
        timesteps=report.network.timesteps,
        chosen=report.chosen,
        floating=report.curve("float"),
        quantized=report.curve("quantized"),
        verification=report.verification,
        cost=_cost(report.cost) if report.cost else None,
        against=against,
        loss=loss,
        date=report.date,
        warnings=(*report.all_warnings, *([f"not run: {', '.join(report.absent)}"] if report.absent else ())),
    )


def test_data(report: Report) -> str:
    """Which samples a report's accuracy is of; "" where unknown."""
    return report.made_of.get("test", "")


def compare(runs: Sequence[ComparedRun]) -> Comparison:
    """Group, rank and tell apart."""
    groups: dict[tuple[str, ...], list[ComparedRun]] = {}
    for run in runs:
        groups.setdefault((run.test_data or run.name, run.cost.prices if run.cost else ""), []).append(run)
    return Comparison(
        runs=tuple(runs),
        groups=tuple(tuple(run.name for run in group) for group in groups.values()),
        beaten={run.name: _beating(run, group) for group in groups.values() for run in group if run.deployed},
        differences=_differences(runs),
        remarks=tuple(_remarks(runs)),
    )


def _cost(cost: Cost) -> ComparedCost:
    return ComparedCost(
        cost.device.title,
        content_digest("prices", cost.device),
        cost.device.calibrated,
        cost.samples,
        cost.cores,
        cost.dynamic,
        cost.total,
        cost.latency,
    )


def _settings(report: Report) -> dict[str, str]:
    seeds = {} if "train" in report.configuration else report.seeds  # of a training it is one of the settings
    parts = {**report.configuration, **seeds, "meaning": report.semantics, "version": report.versions}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in flat(parts)}


def flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Dotted names and values that are no tables."""
    if not isinstance(value, Mapping):
        return [(name, value)]
    return [pair for key, item in value.items() for pair in flat(item, f"{name}.{key}" if name else str(key))]


def _beating(run: ComparedRun, group: Sequence[ComparedRun]) -> tuple[str, ...]:
    assert run.deployed
    energy, accuracy = run.deployed
    others = [(other.name, other.deployed) for other in group if other.deployed and other.deployed != run.deployed]
    return tuple(name for name, (joules, right) in others if joules <= energy and right >= accuracy)


def _differences(runs: Sequence[ComparedRun]) -> dict[str, tuple[str | None, ...]]:
    names = dict.fromkeys(name for run in runs for name in run.settings)
    values = {name: tuple(run.settings.get(name) for run in runs) for name in names}
    return {name: row for name, row in values.items() if len(set(row)) > 1}


def _remarks(runs: Sequence[ComparedRun]) -> list[str]:
    """What forbids, or weakens, a comparison."""
    data = _alike((run.name, run.test_data) for run in runs if run.test_data)
    prices = _alike((run.name, run.cost.prices) for run in runs if run.cost)
    networks = _alike((run.name, digest) for run in runs if (digest := run.made_of.get("network")))
    remarks = [f"{run.name} does not say which test data it was measured on: it is not comparable" for run in runs if not run.test_data]
    if len(data) > 1:
        split = "; a data set without a test part of its own is split by the seed" if _same(runs, "train.data") else ""
        remarks.append(f"measured on different test data, and not comparable: {_against(data)}{split}")
    if len(prices) > 1:
        remarks.append(f"priced with different device profiles, and energy and latency are not comparable: {_against(prices)}")
    remarks += [f"{_and(names)} are the same quantized network" for names in networks if len(names) > 1]
    unproven = [run.name for run in runs if run.verification is None]
    different = [run.name for run in runs if run.verification and not run.verification.equal]
    remarks += [f"not verified: {_and(unproven)}"] if unproven else []
    remarks += [f"verification found differences: {_and(different)}"] if different else []
    return remarks


def _same(runs: Sequence[ComparedRun], setting: str) -> bool:
    return len({run.settings.get(setting) for run in runs}) == 1


def _alike(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Names by what they share, in order."""
    shared: dict[str, list[str]] = {}
    for name, key in pairs:
        shared.setdefault(key, []).append(name)
    return list(shared.values())


def _against(groups: Sequence[Sequence[str]]) -> str:
    return " against ".join(map(_and, groups))


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
