"""A network as processes with ports, for a Lava program of one's own: live sources ahead of it,
sinks and actuators behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spikeport.export.common.errors import InputError
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.lava.available import require_lava
from spikeport.hw.lava.timeline import Timeline

if TYPE_CHECKING:
    from spikeport.hw.lava.lower import ProcessModels

FOREVER = (1 << 31) - 1
"""Timesteps between two resets of a network that runs freely."""


@dataclass(frozen=True)
class LavaProcesses:
    """Connected Lava processes of one network.

    s_in: in-port `(*input_shape)` for the integers that the input sends (levels less their offset,
    see `Input`), one message a step.
    s_out: out-port with the output population's spikes. v_out: out-port with its potential after
    reset, in 1/64 of a weight unit, or None where it was not asked for.
    latency: Lava steps from an input to the output that answers it. period: steps from one sample's
    first to the next's, of which the last `period - timesteps` must be silent; None where the
    network is never reset.
    processes: every process by name: populations by their own, "synapse NAME", "axon NAME", and
    "input".
    """

    s_in: Any
    s_out: Any
    v_out: Any | None
    latency: int
    period: int | None
    processes: Mapping[str, Any]
    models: Mapping[Any, type]

    def run_config(self, own: Mapping[Any, type] | None = None) -> Any:
        """Lava's configuration for this program: Loihi 2 on the CPU, in fixed point.

        own: process models of processes of your own that Lava would not find beside them.
        """
        from spikeport.hw.lava.runtime import simulation  # noqa: PLC0415

        return simulation({**self.models, **(own or {})})


def lava_processes(
    network: QuantizedNetwork, *, timesteps: int | None = None, potential: bool = False, process_models: ProcessModels = "fast"
) -> LavaProcesses:
    """Make the processes; connect `s_in` and the out-ports, then run any of them with
    `run_config()`.

    Args:
        timesteps: reset all neurons for a new sample every so many steps (and the longest delay,
            see `period`), each layer at its own time; None: reset once at the start, then run
            freely.
        potential: give the output's potential too; a readout that never fires always gives it.
        process_models: as in `spikeport.hw.lava.backend.run`.

    Raises:
        InputError: Lava is missing, timesteps below 1, or a network that does not lower to it.
    """
    require_lava()
    from spikeport.hw.lava.axon import Axon, PyAxon  # noqa: PLC0415
    from spikeport.hw.lava.graph import ProcessNode  # noqa: PLC0415
    from spikeport.hw.lava.lower import HOST, chip_part  # noqa: PLC0415

    if timesteps is not None and timesteps < 1:
        raise InputError(f"timesteps is {timesteps}; a sample takes at least 1, None runs freely")
    lag = max(network.depths.values())
    line = Timeline.of(network, timesteps) if timesteps else Timeline(FOREVER, FOREVER, lag)
    tapped = [network.output] if potential or network.readout != "spike_count" else []
    graph = chip_part(network, line, 0, process_models, tapped)
    graph.nodes[HOST] = ProcessNode(Axon, {"shape": network.input.shape, "delay": 0, "pool": None}, PyAxon)
    made = graph.make()
    output = made[network.output]
    return LavaProcesses(
        s_in=made[HOST].s_in,
        s_out=output.s_out,
        v_out=output.v_out if tapped else None,
        latency=network.depths[network.output],
        period=line.period if timesteps else None,
        processes={name or "input": process for name, process in made.items()},
        models={process: graph.nodes[name].model for name, process in made.items() if graph.nodes[name].ours},
    )
