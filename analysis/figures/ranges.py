"""How sure, and against what: what one number alone does to the estimate (tornado), and energy with
and without spikes.
"""

from __future__ import annotations

from spikeport.analysis.common.numbers import si, si_scale
from spikeport.analysis.cost.result import Cost, Sensitivity
from spikeport.analysis.figures.charts import Curve, chart
from spikeport.analysis.figures.markup import Element, el
from spikeport.analysis.figures.rows import FOOT, Rows, decades

MOST, LEAST = 7, 0.01
"""Numbers that are drawn, of each quantity, and how far they must move it, as a share; all stand in
the tables of `cost_tables`.
"""


def tornado_figure(cost: Cost, quantity: str) -> Element | None:
    """The numbers that move total energy or latency most, each alone to both ends of its range."""
    unit_name, base = ("J", cost.total.mean[-1]) if quantity == "total energy" else ("s", cost.latency.mean[-1])
    found = [s for s in cost.sensitivity if s.quantity == quantity and s.high - s.low >= LEAST * base][:MOST]
    if not found:
        return None
    unit, prefix = si_scale(base)
    rows = Rows(len(found), min(0.0, *(s.low for s in found)), max(s.high for s in found) * 1.02)
    label = f"{quantity} per sample, {prefix}{unit_name}"
    at = rows.x(base)
    marks = [*rows.axes(label, unit), el("line", x1=at, x2=at, y1=0, y2=rows.height - FOOT + 2, class_="mark faint")]
    for row, s in enumerate(found):
        marks += [*rows.name(row, s.name, _span(s, unit_name)), rows.bar(row, s.low, s.high, "s0", f"{s.name}: {_span(s, unit_name)}")]
    curves = [Curve("estimate", ["all as they are"], [base / unit], [(base / unit, base / unit)])]
    curves += [Curve(s.name, ["alone"], [base / unit], [(s.low / unit, s.high / unit)]) for s in found]
    summary = f"What moves {quantity} most: " + ", ".join(f"{s.name} {_span(s, unit_name)}" for s in found)
    caption = f"each number alone at both ends of its 95 % range; dashed: the estimate, {si(base, unit_name)} at T = {cost.timesteps}"
    return chart(f"In doubt: {quantity}", summary, marks, curves=curves, labels=("moved", label), caption=caption, height=rows.height)


def _span(s: Sensitivity, unit: str) -> str:
    return f"{si(s.low, unit, 2)} to {si(s.high, unit, 2)}"


def beside_figure(cost: Cost, timesteps: int) -> Element | None:
    """Dynamic energy of T' timesteps with spikes, and of the same network without."""
    at, without = timesteps - 1, [b for b in cost.compared(timesteps) if b.energy > 0]
    held = [(f"{cost.device.title}, spikes, {timesteps} timesteps", cost.dynamic.low[at], cost.dynamic.mean[at], cost.dynamic.high[at])]
    held += [(f"{b.accelerator}, {b.bits}-bit activations, no spikes", b.low, b.energy, b.high) for b in without]
    held = [one for one in held if one[1] > 0]
    if not without or len(held) == len(without):
        return None
    rows = Rows(len(held), *decades([value for _, *ends in held for value in ends]), log=True)
    unit, prefix = si_scale(held[0][2])
    label = f"energy an answer, {prefix}J"
    marks = rows.axes(label, unit)
    for row, (name, low, mid, high) in enumerate(held):
        shown = f"{si(mid, 'J')} ({si(low, 'J', 2)} to {si(high, 'J', 2)})"
        marks += [*rows.name(row, name, si(mid, "J")), *rows.interval(row, low, mid, high, f"s{min(row, 1)}", f"{name}: {shown}")]
    curves = [Curve(name, ["dynamic"], [mid / unit], [(low / unit, high / unit)]) for name, low, mid, high in held]
    summary = "Energy with and without spikes: " + ", ".join(f"{name} {si(mid, 'J')}" for name, _, mid, _ in held)
    caption = "lines: 95 % interval with spikes, prices and reuse at their ends without; every tick ten times the last"
    return chart("With and without spikes", summary, marks, curves=curves, labels=("energy", label), caption=caption, height=rows.height)
