"""An estimate as tables: one row a layer, a kind of event, a timestep, a baseline, a doubt.

Each becomes a pandas frame if asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeport.analysis.cost.result import Cost
from spikeport.export.common.errors import InputError
from spikeport.export.common.tabular import Table, Tabular


@dataclass(frozen=True, repr=False)
class CostTable(Tabular):
    """Columns by name, all of one length.

    Units are in the names: joules, seconds, or none for counts and shares.
    """

    name: str
    columns: dict[str, tuple[Any, ...]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    @property
    def rows(self) -> tuple[tuple[Any, ...], ...]:
        """The same, row by row."""
        return tuple(zip(*self.columns.values()))

    def table(self) -> Table:
        """All of it."""
        return Table(f"{self.name}, {len(self)} rows", self.columns)


def cost_tables(cost: Cost, timesteps: int | None = None) -> dict[str, CostTable]:
    """All tables of an estimate by name. timesteps: T' that layers, events and baselines are told
    at, None for all T.

    Raises:
        InputError: T' is out of range.
    """
    at = (timesteps or cost.timesteps) - 1
    if not 0 <= at < cost.timesteps:
        raise InputError(f"timesteps is {timesteps}; this estimate has 1 to {cost.timesteps}")
    made = (
        _timesteps(cost),
        _layers(cost, at),
        _layer_steps(cost),
        _cores(cost),
        _events(cost, at),
        _times(cost),
        _baselines(cost, at),
        _doubts(cost),
    )
    return {table.name: table for table in made}


def _timesteps(cost: Cost) -> CostTable:
    """Every T'."""
    bands = {"dynamic_J": cost.dynamic, "total_J": cost.total, "latency_s": cost.latency, "period_s": cost.pipelined}
    bands |= {"system_J": cost.system} if cost.system else {}
    bands |= {f"{name}_Js": band for name, band in cost.delay_products.items()}
    columns = {
        f"{name}{end}": getattr(band, field)
        for name, band in bands.items()
        for end, field in (("", "mean"), ("_low", "low"), ("_high", "high"))
    }
    return CostTable("timesteps", {"timesteps": tuple(range(1, cost.timesteps + 1)), **columns})


def _layers(cost: Cost, at: int) -> CostTable:
    fields = ("name", "neurons", "cores", "depth", "synapses", "bottleneck", "binding")
    columns = {name: tuple(getattr(x, name) for x in cost.layers) for name in fields}
    columns |= {name: tuple(getattr(x, name)[at] for x in cost.layers) for name in ("spikes", "operations")}
    columns |= {"energy_J": tuple(x.energy[at] for x in cost.layers), "rate": tuple(x.rate(at + 1) for x in cost.layers)}
    columns |= {f"{what}_s": tuple(x.resources[what] for x in cost.layers) for what in cost.layers[0].resources}
    return CostTable("layers", columns)


def _layer_steps(cost: Cost) -> CostTable:
    """Energy of each layer in each timestep by itself."""
    rows = [(x.name, t + 1, energy) for x in cost.layers for t, energy in enumerate(x.step_energy)]
    return _of_rows("layer_steps", ("layer", "timestep", "energy_J"), rows)


def _cores(cost: Cost) -> CostTable:
    """Every core, its place and how full and busy it is."""
    rows = [(x.name, p.chip, p.column, p.row, p.fullest, p.used, p.busy) for x in cost.layers for p in x.places]
    return _of_rows("cores", ("layer", "chip", "column", "row", "fullest", "used", "busy_s"), rows)


def _events(cost: Cost, at: int) -> CostTable:
    rows = [(t.name, t.count[at], t.energy[at] if t.energy else None) for t in cost.terms]
    return _of_rows("events", ("event", "count", "energy_J"), rows)


def _times(cost: Cost) -> CostTable:
    rows = [(t.name, t.seconds[-1] / cost.timesteps if t.seconds else None, t.evidence, t.source) for t in cost.times]
    return _of_rows("times", ("term", "step_s", "evidence", "source"), rows)


def _baselines(cost: Cost, at: int) -> CostTable:
    rows = [
        (b.bits, b.accuracy, b.energy, b.low, b.high, x.name, x.multiplications, x.arithmetic, x.movement, x.rate[at], x.break_even[at])
        for b in cost.compared(at + 1)
        for x in b.layers
    ]
    network = ("bits", "accuracy", "network_J", "network_J_low", "network_J_high")
    layer = ("layer", "multiplications", "arithmetic_J", "movement_J", "rate_in", "break_even_rate")
    return _of_rows("baselines", (*network, *layer), rows)


def _doubts(cost: Cost) -> CostTable:
    rows = [(s.quantity, s.name, s.low, s.high) for s in cost.sensitivity]
    return _of_rows("sensitivity", ("quantity", "number", "low", "high"), rows)


def _of_rows(name: str, head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> CostTable:
    return CostTable(name, {column: tuple(row[i] for row in rows) for i, column in enumerate(head)})
