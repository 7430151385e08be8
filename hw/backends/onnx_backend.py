"""ONNX Runtime as a backend: an independent program that executes the same integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnxruntime

from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.onnx.graph import rest, to_onnx
from spikeport.hw.records.record import RecordLevel, SpikeRecord, join_records, record_from_rasters
from spikeport.hw.records.stimulus import Stimulus

CHUNK_STATES = 1 << 25
"""Neuron states (samples x timesteps x neurons) held at once."""
CHUNK_SAMPLES = 256


def run(
    network: QuantizedNetwork, stimulus: Stimulus, record: RecordLevel = "counts", *, progress: Callable[[int], None] | None = None
) -> SpikeRecord:
    """Run all samples from rest, in chunks of bounded memory. Overflows are not counted: ONNX sees none.

    progress: called with the number of samples finished since the last call.
    """
    seen = [p.name for p in network.populations if record == "potentials" or (p.name == network.output and not p.neuron.spiking)]
    model = to_onnx(network, potentials=seen)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    neurons = sum(p.size for p in network.populations)
    chunk = max(1, min(CHUNK_SAMPLES, CHUNK_STATES // (neurons * stimulus.timesteps)))

    def records() -> Iterator[SpikeRecord]:
        for first in range(0, len(stimulus), chunk):
            part = stimulus[first : first + chunk]
            yield _run_chunk(network, session, part, record)
            if progress:
                progress(len(part))

    return join_records(records(), len(stimulus))


def _run_chunk(network: QuantizedNetwork, session: onnxruntime.InferenceSession, stimulus: Stimulus, record: RecordLevel) -> SpikeRecord:
    messages = stimulus.over_time()
    feeds = {"input": np.ascontiguousarray(np.swapaxes(messages, 0, 1)), **rest(network, len(stimulus))}
    if any(p.neuron.noise for p in network.populations):
        feeds |= {"samples": stimulus.samples, "first_step": np.array(0, np.int64)}
    names = [o.name for o in session.get_outputs() if not o.name.endswith("/next")]
    outputs = {name: np.swapaxes(value, 0, 1) for name, value in zip(names, session.run(names, feeds))}
    rasters = {network.input.name: messages, **_named(outputs, "spikes/")}
    return record_from_rasters(network, rasters, _named(outputs, "potentials/"), {}, record)


def _named(outputs: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in outputs.items() if name.startswith(prefix)}
