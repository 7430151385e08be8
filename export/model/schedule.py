"""When populations answer on hardware, where every connection costs at least one timestep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spikeport.export.common.errors import InputError
from spikeport.export.model.synapse import Connection


class LoopError(InputError):
    """A loop with less delay than connections, and the delay that would make it run."""

    def __init__(self, loop: Sequence[Connection]) -> None:
        delay = sum(c.delay for c in loop)
        longest = max(loop, key=lambda c: c.delay)
        ring = " -> ".join([*(c.source for c in loop), loop[0].source])
        needed = longest.delay + len(loop) - delay
        super().__init__(
            f"the loop {ring} has {delay} timestep(s) of delay for {len(loop)} connections; Loihi needs one timestep per connection: make the "
            f"delay of connection {longest.name} ({longest.source} -> {longest.target}) {needed} timesteps (a Delay node of "
            f"{needed} x dt beside its weights) and train or check the network with it"
        )
        self.loop = tuple(loop)


def hardware_depths(names: Iterable[str], connections: Sequence[Connection]) -> dict[str, int]:
    """Timesteps by which each population lags the input: the smallest at which every connection
    takes at least one.

    Raises:
        LoopError: there are none.
    """
    depths = dict.fromkeys(names, 0)
    last: dict[str, Connection] = {}
    for _ in range(len(depths) + 1):
        changed = ""
        for c in connections:
            earliest = depths[c.source] + 1 - c.delay
            if depths[c.target] < earliest:
                depths[c.target], last[c.target], changed = earliest, c, c.target
        if not changed:
            return depths
    raise LoopError(_loop(last, changed, len(depths)))


def _loop(last: dict[str, Connection], name: str, count: int) -> list[Connection]:
    """The loop that never settles: walk back along the connections that were last to push, first
    into it, then round it.
    """
    for _ in range(count):
        name = last[name].source
    loop = [last[name]]
    while loop[0].source != name:
        loop.insert(0, last[loop[0].source])
    return loop
