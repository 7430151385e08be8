"""Run a quantized network on Intel's Lava: real Lava processes, fixed point, many samples back to
back in one runtime.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.lava.available import require_lava
from spikeport.hw.lava.stream import stream
from spikeport.hw.lava.tape import Tape
from spikeport.hw.records.record import RecordLevel, SpikeRecord
from spikeport.hw.records.stimulus import Stimulus

if TYPE_CHECKING:
    from spikeport.hw.lava.lower import ProcessModels
    from spikeport.hw.lava.runtime import LavaRuntime, RunConfigFactory


def run(
    network: QuantizedNetwork,
    stimulus: Stimulus,
    record: RecordLevel = "counts",
    *,
    progress: Callable[[int], None] | None = None,
    process_models: ProcessModels = "fast",
    run_config: RunConfigFactory | None = None,
    timeout: float = 120.0,
    seconds: float = math.inf,
) -> SpikeRecord:
    """Run all samples from rest as Lava processes.

    See `SpikeRecord` for what comes back; overflows are invisible here.

    process_models: "fast" runs `Conv` with our process model (equal bits), "stock" with Lava's own.
    run_config: makes Lava's run configuration from the processes that need a process model of ours;
    `Loihi2SimCfg` in fixed point if not given, and the place to pass `Loihi2HwCfg` where the
    vendor's package is installed. timeout: seconds without a finished timestep before giving up.
    seconds: of the whole run before giving up.

    Raises:
        InputError: Lava is missing, or the network does not lower to it (see
            `spikeport.hw.lava.lower.lower`).
        BackendError: a process failed or stood still.
        OutOfTime: the seconds are over.
    """
    require_lava()
    from spikeport.hw.lava.lower import lower  # noqa: PLC0415
    from spikeport.hw.lava.runtime import LavaRuntime, simulation  # noqa: PLC0415

    def start(tape: Tape) -> LavaRuntime:
        graph = lower(network, tape, stimulus.first, process_models, tapped=tape.potentials)
        return LavaRuntime(graph, tape, run_config or simulation, timeout, seconds)

    return stream(network, stimulus, record, start, progress)
