"""Choose a backend and run a quantized network on it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from spikeport.export.common.errors import InputError, unknown
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.lava.available import require_lava
from spikeport.hw.records.record import RecordLevel, SpikeRecord
from spikeport.hw.records.stimulus import Stimulus

BACKENDS = {
    "engine": "spikeport.hw.engine",
    "lava": "spikeport.hw.lava.batch.backend",
    "onnx": "spikeport.hw.backends.onnx_backend",
    "reference": "spikeport.hw.semantics.reference",
}
"""Name of each integer backend and the module whose `run` it is.

Loaded on first use: Lava and ONNX Runtime are slow to import.
"""


USUAL = ("engine", "lava")
"""What is compared with the reference where nothing is said."""


class Backend(Protocol):
    """Runs all samples of a stimulus from rest; equal integers whatever the backend.

    progress is called with the number of samples finished since the last call (fit for
    `tqdm.update`).
    """

    def __call__(
        self, network: QuantizedNetwork, stimulus: Stimulus, record: RecordLevel = ..., *, progress: Callable[[int], None] | None = ...
    ) -> SpikeRecord: ...


def backend(name: str) -> Backend:
    """The backend of this name.

    Raises:
        InputError: no such backend, or its library cannot be imported on this Python.
    """
    if name not in BACKENDS:
        raise unknown("backend", name, BACKENDS)
    if name == "lava":
        require_lava()
    return import_module(BACKENDS[name]).run


def usual_backends() -> tuple[list[str], str]:
    """The backends that are compared where nothing is said, and a note of one that cannot be
    imported here; "" where all can.
    """
    try:
        require_lava()
    except InputError as error:
        return [name for name in USUAL if name != "lava"], f"Lava is left out: {error}"
    return list(USUAL), ""
