"""The report: everything that was found about one network, as one value; JSON out and back.

A stage that was not run is None or empty, and `Report.absent` says so; nothing is filled in.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.analysis.common.jsonable import read_as, to_json
from spikeport.analysis.cost.exit_cost import ExitCost
from spikeport.analysis.cost.result import Cost
from spikeport.analysis.decision.timestep_cut import Truncation
from spikeport.analysis.information.fisher import FisherResult
from spikeport.analysis.information.history import FisherHistory
from spikeport.analysis.results.chip_use import ChipUse
from spikeport.analysis.results.layer_agreement import Agreement
from spikeport.analysis.results.loss_split import LossSplit
from spikeport.analysis.results.perturbed_accuracy import Robustness
from spikeport.analysis.results.pruning_cycles import Pruning
from spikeport.analysis.results.rasters import SampleRaster
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import read_json, write_json
from spikeport.export.common.tabular import Table, Tabular
from spikeport.export.model.network import Input, QuantizedNetwork
from spikeport.hw.backends.expect import Expectation
from spikeport.hw.backends.through_lava import LavaProof
from spikeport.hw.backends.verify import Verification
from spikeport.hw.records.fanout import synapse_count

VERSION = 3
"""Raised whenever a field changes its meaning or goes away."""

INTEGRATORS = {
    "euler": "forward Euler of the neurons' equations",
    "exponential": "exact solution of the neurons' equations over a timestep",
    "impulse": "decays of the exact solution, driven by dt / tau (Rockpool)",
    "per timestep": "decay factors per timestep, trained as such; dt only names the step's length",
}
"""`Network.integrator` in words."""

PACKAGES = ("spikeport", "torch", "numpy", "lava-nc", "nir", "onnxruntime")


@dataclass(frozen=True)
class AccuracyCurve:
    """Accuracy of one stage ("float", "quantized", "Lava") on one split after 1 .. T timesteps, as
    fractions.
    """

    stage: str
    split: str
    samples: int
    accuracy: tuple[float, ...]

    def at(self, timesteps: int) -> float | None:
        """After T' timesteps, if it ran that far."""
        return self.accuracy[timesteps - 1] if timesteps <= len(self.accuracy) else None


@dataclass(frozen=True)
class NetworkFacts:
    """Size of the quantized network. synapses: nonzero, weight sharing unrolled. layers: name and
    shape, in order.

    weight_bits: that weights were rounded to; None in reports of before they said so.
    """

    timesteps: int
    neurons: int
    synapses: int
    depth: int
    input_shape: tuple[int, ...]
    layers: tuple[tuple[str, tuple[int, ...]], ...]
    weight_bits: int | None = None


@dataclass(frozen=True, repr=False)
class Report(Tabular):
    """All results on one network.

    title, subtitle: what it is, for people. semantics: what is never left to a default, in words.
    seeds, versions,
    configuration: all that is needed to get the same again. warnings: one sentence each. made_of:
    content digests of the trained and the quantized network and of the data that the report speaks
    of, by name. expected: spikes recorded in another framework against
    ours, in float and in integers. lava: samples that went through real Lava. date: the day that
    these values were first found, "" in reports of before they said so. agreement, loss: integers
    against the float network, by layer and by kind of rounding. conformal_cost: of the truncation's
    `conformal`, in its order. chip: the cores that `cost` is of.
    These, lava, robustness and pruning are never missed in `absent`.
    """

    title: str
    subtitle: str
    network: NetworkFacts
    semantics: Mapping[str, str]
    accuracy: tuple[AccuracyCurve, ...] = ()
    fisher: FisherResult | None = None
    fisher_history: FisherHistory | None = None
    truncation: Truncation | None = None
    cost: Cost | None = None
    exit_cost: ExitCost | None = None
    conformal_cost: tuple[ExitCost, ...] = ()
    chip: ChipUse | None = None
    verification: Verification | None = None
    lava: LavaProof | None = None
    expected: tuple[Expectation, ...] = ()
    agreement: Agreement | None = None
    loss: LossSplit | None = None
    robustness: Robustness | None = None
    pruning: Pruning | None = None
    samples: tuple[SampleRaster, ...] = ()
    seeds: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    made_of: Mapping[str, str] = field(default_factory=dict)
    date: str = ""
    version: int = VERSION

    @property
    def chosen(self) -> int:
        """T': chosen by truncation, else T."""
        return self.truncation.chosen if self.truncation else self.network.timesteps

    @property
    def absent(self) -> tuple[str, ...]:
        """Stages that were not run."""
        stages = {
            "accuracy": self.accuracy,
            "verification": self.verification,
            "Fisher information": self.fisher,
            "truncation": self.truncation,
            "energy and latency": self.cost,
            "sample rasters": self.samples,
        }
        return tuple(name for name, result in stages.items() if not result)

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """Warnings of the report and of its parts."""
        truncation = self.truncation.warning if self.truncation else None
        return (*self.warnings, *((truncation,) if truncation else ()), *(self.cost.warnings if self.cost else ()))

    def table(self) -> Table:
        """Accuracy after every number of timesteps, a column per stage and split."""
        steps = range(1, self.network.timesteps + 1)
        curves = {f"{c.stage}, {c.split}": [c.at(t) for t in steps] for c in self.accuracy}
        proof = self.verification
        said = "not verified" if not proof else "verified equal" if proof.equal else "DIFFERENT"
        title = f"{self.title}: T' = {self.chosen} of {self.network.timesteps}, {said}"
        return Table(title, {"timesteps": steps, **curves}, "timesteps", tuple(curves), "accuracy")

    def curve(self, *stages: str) -> AccuracyCurve | None:
        """Accuracy of the first of these stages that was measured, on test data where there is
        some.
        """
        curves = [c for stage in stages for c in self.accuracy if c.stage == stage]
        return next((c for c in curves if c.split == "test"), curves[0] if curves else None)


def accuracy_curve(stage: str, split: str, correct: np.ndarray) -> AccuracyCurve:
    """From correctness over time, bool `(samples, T)` (`hw.records.record.correct_over_time`)."""
    return AccuracyCurve(stage, split, len(correct), tuple(correct.mean(axis=0).tolist()))


def network_facts(network: QuantizedNetwork) -> NetworkFacts:
    """Sizes of a network."""
    return NetworkFacts(
        timesteps=network.timesteps,
        neurons=sum(p.size for p in network.populations),
        synapses=sum(synapse_count(c, network.shape(c.source)) for c in network.connections),
        depth=max(network.depths.values()),
        input_shape=network.input.shape,
        layers=tuple((p.name, p.shape) for p in network.populations),
        weight_bits=network.weight_bits,
    )


def semantics_of(network: QuantizedNetwork) -> dict[str, str]:
    """What the network means, in words: everything that frameworks tend to leave unsaid."""
    spiking = [p for p in network.populations if p.neuron.spiking]
    resets = sorted({p.neuron.reset for p in spiking})
    programs = [*(r for r in resets if r != "zero"), *(["noise"] if any(p.neuron.noise for p in spiking) else [])]
    return {
        "time": f"{network.timesteps} timesteps of {network.dt:g} s",
        "integrator": INTEGRATORS[network.integrator],
        "threshold": "strict: fires on v > threshold",
        "reset": ", ".join({"zero": "to zero", "value": "to a value", "subtract": "by subtraction"}[r] for r in resets) or "none",
        "bias": "enters the membrane potential at every step",
        "input": _input_meaning(network.input),
        "readout": network.readout.replace("_", " "),
        "rounding": "decay toward zero, weight exponents down (floor), as Lava's fixed point",
        "neuron model": f"needs microcode on the chip: {', '.join(programs)}" if programs else "Loihi's own, fixed function",
    }


def _input_meaning(source: Input) -> str:
    if source.code == "rate":
        return f"rate code, binary spikes with the intensity as their probability at every step, from counter-based generator {source.seed}"
    if source.binary:
        return f"{source.code} code, binary spikes"
    low, high = source.sent
    taken = f", {', '.join(map(str, source.offset))} levels taken off the channels" if source.offset else ""
    return f"{source.code} code, graded spikes {low}..{high}, one unit is {source.scale:g}{taken}"


def installed_versions() -> dict[str, str]:
    """Python and the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def write_report(report: Report, path: Path) -> None:
    """Write `report.json`, whole."""
    write_json(path, to_json(report))


def read_report(path: Path) -> Report:
    """Read what `write_report` wrote.

    Raises:
        InputError: no such file, no report, or one of another version.
    """
    value = read_json(path)
    version = value.get("version") if isinstance(value, dict) else None
    if version != VERSION:
        raise InputError(f"{path} is a report of version {version}, this spikeport reads version {VERSION}; run spikeport again")
    return read_as(Report, path)
