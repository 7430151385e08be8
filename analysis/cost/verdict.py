"""In plain words: whether the spiking network wins against the same network without spikes, and by
how much.
"""

from __future__ import annotations

from spikeport.analysis.common.numbers import count, percent, si, significant
from spikeport.analysis.cost.baselines import Baseline
from spikeport.analysis.cost.result import Cost


def verdict(cost: Cost, timesteps: int) -> tuple[str, ...]:
    """One sentence for each baseline that T' timesteps stand against, on the device and at equal
    prices.
    """
    return tuple(_sentence(cost, baseline, timesteps) for baseline in cost.compared(timesteps))


def _sentence(cost: Cost, baseline: Baseline, timesteps: int) -> str:
    at = timesteps - 1
    low, mid, high = (cost.dynamic.low[at] / baseline.high, cost.dynamic.mean[at] / baseline.energy, cost.dynamic.high[at] / baseline.low)
    return (
        f"against {baseline.bits}-bit activations without spikes ({si(baseline.energy, 'J')}, {si(baseline.low, 'J')} .. "
        f"{si(baseline.high, 'J')}, on an accelerator of 45 nm; accuracy {_accuracy(baseline)}): {_wins(low, mid, high, cost.device.title)}; "
        f"{_operations(cost.operations[at], baseline.multiplications)}; on equal hardware, nothing reused, {_equal(baseline, timesteps)}"
        if baseline.multiplications
        else f"{baseline.bits}-bit activations without spikes: no multiplications, nothing to compare"
    )


def _accuracy(baseline: Baseline) -> str:
    return "not measured" if baseline.accuracy is None else f"{percent(baseline.accuracy)} on test data"


def _wins(low: float, mid: float, high: float, device: str) -> str:
    span = f"{_times(mid)} ({_times(low)} .. {_times(high)}) the energy, dynamic"
    if low > 1:
        return f"the spiking network on {device} does not win: it takes {span}"
    if high < 1:
        return f"the spiking network on {device} wins: it takes {span}"
    return f"whether the spiking network on {device} wins cannot be told: it takes {span}"


def _operations(events: float, multiplications: int) -> str:
    return f"{count(events)} synaptic operations are {_times(events / multiplications)} its {multiplications:,} multiply-accumulates"


def _equal(baseline: Baseline, timesteps: int) -> str:
    ratio = baseline.spiking(timesteps) / baseline.unshared
    losers = [x.name for x in baseline.layers if x.rate[timesteps - 1] > x.break_even[timesteps - 1]]
    total = len(baseline.layers)
    where = (
        f"{len(losers)} of {total} layers spike above their break-even rate" if losers else "every layer spikes below its break-even rate"
    )
    return f"it takes {_times(ratio)} as much and {'does not win' if ratio >= 1 else 'wins'}: {where}"


def _times(ratio: float) -> str:
    return f"{significant(ratio, 2)} times"
