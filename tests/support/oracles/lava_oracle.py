"""Lava without its operating-system processes: the same process models, called one after another in
this process.

Lava's processes, process models and connections are the ones that the backend runs; only the
channels between them are replaced, and potentials are read from the models themselves, Lava's own
LIF included. That makes the stock models usable as an oracle for hundreds of networks in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.lava.available import require_lava
from spikeport.hw.lava.stream import stream
from spikeport.hw.lava.tape import Tape
from spikeport.hw.records.record import RecordLevel, SpikeRecord
from spikeport.hw.records.stimulus import Stimulus

if TYPE_CHECKING:
    from support.oracles.lava_inprocess import InProcess

    from spikeport.hw.lava.lower import ProcessModels


def run(
    network: QuantizedNetwork,
    stimulus: Stimulus,
    record: RecordLevel = "counts",
    *,
    progress: Callable[[int], None] | None = None,
    process_models: ProcessModels = "fast",
) -> SpikeRecord:
    """Run all samples from rest through Lava's process models.

    See `SpikeRecord` for what comes back.

    Raises:
        InputError: Lava is missing, or the network does not lower to it (see
            `spikeport.hw.lava.lower.lower`).
    """
    require_lava()
    from support.oracles.lava_inprocess import InProcess  # noqa: PLC0415

    from spikeport.hw.lava.lower import lower  # noqa: PLC0415

    @contextmanager
    def start(tape: Tape) -> Iterator[InProcess]:
        yield InProcess(lower(network, tape, stimulus.first, process_models, tapped=()), tape)

    return stream(network, stimulus, record, start, progress)
