"""ONNX Runtime as a backend: an independent program that executes the same integers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime

from spikeport.export.model.network import QuantizedNetwork
from spikeport.export.onnx.graph import rest, to_onnx
from spikeport.hw.records.record import RecordLevel, SpikeRecord, check_fits, join_records, record_from_rasters
from spikeport.hw.records.stimulus import Stimulus

CHUNK_NEURONS, CHUNK_SAMPLES = 1 << 18, 256
"""Of a chunk at most: samples times neurons, whose states then about stay in a second-level cache,
and samples.
"""


def run(
    network: QuantizedNetwork,
    stimulus: Stimulus,
    record: RecordLevel = "counts",
    *,
    progress: Callable[[int], None] | None = None,
    narrow: bool = True,
) -> SpikeRecord:
    """Run all samples from rest, in chunks, one on each core.

    Overflows are not counted: ONNX sees none.

    narrow: sums in float32 and states in 32 bits where the weights prove them exact; else the model
    as `spikeport export` writes it.

    progress: called with the number of samples finished since the last call.
    """
    check_fits(network, stimulus, record)
    seen = [p.name for p in network.populations if record == "potentials" or (p.name == network.output and not p.neuron.spiking)]
    model = to_onnx(network, potentials=seen, narrow=narrow)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a core for each chunk rather than all for one
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    chunk = max(1, min(CHUNK_SAMPLES, CHUNK_NEURONS // sum(p.size for p in network.populations)))
    parts = [stimulus[first : first + chunk] for first in range(0, len(stimulus), chunk)]

    def records() -> Iterator[SpikeRecord]:
        with ThreadPoolExecutor(os.cpu_count()) as executor:
            for made in executor.map(lambda part: _run_chunk(network, session, part, record), parts):
                yield made
                if progress:
                    progress(len(made))

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
