"""Run a quantized network on Intel's Lava: real Lava processes, fixed point, many samples side by
side unless told otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.lava import backend
from spikeport.hw.lava.available import require_lava
from spikeport.hw.records.record import RecordLevel, SpikeRecord, check_fits, join_records
from spikeport.hw.records.stimulus import Stimulus

if TYPE_CHECKING:
    from spikeport.hw.lava.runtime import RunConfigFactory


def run(
    network: QuantizedNetwork,
    stimulus: Stimulus,
    record: RecordLevel = "counts",
    *,
    progress: Callable[[int], None] | None = None,
    process_models: Literal["batch", "fast", "stock"] = "batch",
    run_config: RunConfigFactory | None = None,
    timeout: float = 120.0,
    seconds: float = math.inf,
) -> SpikeRecord:
    """Run all samples from rest as Lava processes.

    See `SpikeRecord` for what comes back; overflows are invisible here.

    process_models: "batch" carries many samples side by side in process models of ours with the
    bits of the stock ones; "fast" and "stock", and the rest, as in `spikeport.hw.lava.backend.run`,
    which runs those. seconds: not of "batch"; see `records`.

    Raises:
        InputError: Lava is missing, or the network does not lower to it.
        BackendError: a process failed or stood still.
    """
    check_fits(network, stimulus, record)
    if process_models != "batch":
        options: dict[str, Any] = {"run_config": run_config, "timeout": timeout, "seconds": seconds}
        return backend.run(network, stimulus, record, progress=progress, process_models=process_models, **options)

    def told() -> Iterator[SpikeRecord]:
        for _, made in records(network, [stimulus], record, run_config=run_config, timeout=timeout):
            yield made
            if progress:
                progress(len(made))

    return join_records(told(), len(stimulus))


def records(
    network: QuantizedNetwork,
    parts: Iterable[Stimulus],
    record: RecordLevel = "counts",
    *,
    run_config: RunConfigFactory | None = None,
    timeout: float = 120.0,
) -> Generator[tuple[Stimulus, SpikeRecord], None, None]:
    """Stimuli and records of a few hundred samples each, in order, from one run of "batch"; to stop
    early, close it.

    parts: stimuli that follow each other, each of which but the last holds a multiple of 256
    samples. Otherwise as `run`.
    """
    require_lava()
    from spikeport.hw.lava.batch.stream import lane_records  # noqa: PLC0415
    from spikeport.hw.lava.runtime import simulation  # noqa: PLC0415

    return lane_records(network, parts, record, run_config or simulation, timeout)
