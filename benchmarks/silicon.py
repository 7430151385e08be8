"""Predicted energy, time and cores of published networks against what was measured on chips.

Each network is rebuilt in its published shape with random weights; its spikes are drawn at the published rate, independent of each other, and
go through the whole estimate: placement, loads of cores, prices. Writes benchmarks/results/silicon.json and docs/silicon.md.

    python benchmarks/silicon.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from spikeport.analysis.common.numbers import si
from spikeport.analysis.cost.devices import device_named
from spikeport.analysis.cost.estimate import estimate_cost
from spikeport.analysis.cost.result import Cost
from spikeport.export.common.files import write_json, write_text
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.mapping.cores import map_network
from spikeport.hw.mapping.loads import core_loads
from spikeport.hw.records.record import record_from_rasters
from spikeport.hw.records.stimulus import encode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from support.published import keyword_spotting, pilotnet  # noqa: E402

SAMPLES = 4
GOALS = {"PilotNet, energy": 0.15, "PilotNet, time": 0.25, "PilotNet, cores": 0.10}


@dataclass(frozen=True)
class Row:
    """One figure: `what` in words, in SI units (cores in pieces); the interval is 95 %, None where the estimate has none."""

    network: str
    what: str
    unit: str
    predicted: float
    low: float | None
    high: float | None
    published: float
    why: str

    @property
    def ratio(self) -> float:
        """Predicted over published."""
        return self.predicted / self.published

    @property
    def inside(self) -> bool | None:
        """Whether the published figure lies in the stated interval."""
        return None if self.low is None or self.high is None else self.low <= self.published <= self.high


def estimated(network: QuantizedNetwork, device: str, rate: float, seed: int = 0) -> Cost:
    """The whole estimate on spikes drawn at a rate; every neuron holds a membrane potential."""
    rng, chip = np.random.default_rng(seed), device_named(device)
    steps = network.timesteps
    values = (rng.random((SAMPLES, steps, *network.input.shape)) < (rate if network.input.binary else 1)).astype(np.int32)
    stimulus = encode(network.input, values, steps)
    rasters = {network.input.name: values} | {p.name: rng.random((SAMPLES, steps, *p.shape)) < rate for p in network.populations}
    potentials = {p.name: np.ones((SAMPLES, steps, *p.shape), np.int32) for p in network.populations}
    record = record_from_rasters(network, rasters, potentials, {p.name: 0 for p in network.populations}, "potentials")
    loads = core_loads(network, map_network(network, chip.chip), stimulus, record)
    return estimate_cost(network, record, chip, loads=loads)


def pilotnet_rows() -> list[Row]:
    """lava-dl's PilotNet LIF on Loihi 2: 74 cores, 152.8 us a step, 1.661 mJ a frame, 1.094 of it dynamic, at 15.6 % spikes."""
    network = pilotnet()
    cost, steps, last = estimated(network, "loihi2", 0.156), network.timesteps, network.timesteps - 1
    scale = cost.latency.mean[last]
    period = cost.period[last] / steps
    return [
        Row("PilotNet", "cores", "", cost.cores, None, None, 74, "a compiler's own blocks; ours are as few as fit"),
        Row(
            "PilotNet",
            "time",
            "s",
            period,
            period * cost.latency.low[last] / scale,
            period * cost.latency.high[last] / scale,
            152.8e-6,
            "a step, pipelined",
        ),
        Row(
            "PilotNet",
            "energy",
            "J",
            cost.dynamic.mean[last],
            cost.dynamic.low[last],
            cost.dynamic.high[last],
            1.094e-3,
            "dynamic, a frame",
        ),
        Row("PilotNet", "total energy", "J", cost.total.mean[last], cost.total.low[last], cost.total.high[last], 1.661e-3, "a frame"),
    ]


def keyword_rows() -> list[Row]:
    """Blouw et al. 2019 on Loihi 1: 337 us a step; of 272 uJ dynamic an inference about 36 are the cores'. Its spike rates are not published."""
    rows, network = [], keyword_spotting()
    for rate in (0.1, 0.2, 0.5):
        cost, last = estimated(network, "loihi1", rate), network.timesteps - 1
        scale, period = cost.latency.mean[last], cost.period[last] / network.timesteps
        name = f"keyword spotting, {rate:.0%} spikes"
        why = "host, input injection and management per step are not in the model"
        low, high = (period * edge[last] / scale for edge in (cost.latency.low, cost.latency.high))
        rows += [
            Row(name, "time", "s", period, low, high, 337e-6, f"a step; {why}"),
            Row(
                name, "energy", "J", cost.dynamic.mean[last], cost.dynamic.low[last], cost.dynamic.high[last], 36e-6, "dynamic, without x86"
            ),
        ]
    return rows


def page(rows: list[Row]) -> str:
    """Markdown."""
    lines = [
        "# Held against silicon",
        "",
        "Made by `python benchmarks/silicon.py`: each published network is rebuilt in its shape with random",
        "weights, its spikes are drawn at the published rate, and the whole estimate runs on it: placement, loads",
        "of every core, prices. What was never fitted to these figures can be believed as far as this table says.",
        "",
        "| network | figure | predicted | 95 % interval | published | ratio | inside | what to know |",
        "|---|---|---:|---|---:|---:|---|---|",
    ]
    for r in rows:
        show: Callable[[float], str] = (lambda x, unit=r.unit: si(x, unit)) if r.unit else (lambda x: f"{x:.0f}")
        interval = "none" if r.low is None or r.high is None else f"{show(r.low)} .. {show(r.high)}"
        inside = {None: "", True: "yes", False: "**no**"}[r.inside]
        lines.append(
            f"| {r.network} | {r.what} | {show(r.predicted)} | {interval} | {show(r.published)} | {r.ratio:.2f} | {inside} | {r.why} |"
        )
    lines += ["", "Goals: PilotNet's energy within 15 %, time within 25 %, cores within 10 %.", ""]
    for name, goal in GOALS.items():
        row = next(r for r in rows if f"{r.network}, {r.what}" == name)
        lines.append(f"- {name}: {abs(row.ratio - 1):.0%} off, goal {goal:.0%}: {'met' if abs(row.ratio - 1) <= goal else 'missed'}.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    rows = [*pilotnet_rows(), *keyword_rows()]
    write_json(ROOT / "benchmarks" / "results" / "silicon.json", [asdict(r) | {"ratio": r.ratio, "inside": r.inside} for r in rows])
    write_text(ROOT / "docs" / "silicon.md", page(rows))
    print(page(rows))
