"""A set of samples through real Lava, as many as fit into a given time, spike for spike; the first
few in Lava's own process models too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np

from spikeport.export.common.errors import InputError, OutOfTime
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.backends.simulate import backend
from spikeport.hw.backends.verify import Tally, Verification, verify
from spikeport.hw.lava.batch.backend import records, run
from spikeport.hw.records.stimulus import Stimulus

STOCK_SAMPLES, STOCK_SHARE = 2, 0.25
"""Samples that Lava's own process models run, and the share of the time that they may take."""


@dataclass(frozen=True)
class LavaProof:
    """What went through real Lava and what came out.

    of: samples of the whole set. seconds: taken, of at most `limit` and the rest of what had begun;
    Lava's start counts.
    batch: samples side by side in process models of ours ("batch"), against the engine. stock: the
    first few of them in Lava's own process models wherever it has one ("stock"), against the
    reference; None, and stock_absent says why.
    """

    of: int
    seconds: float
    limit: float
    batch: Verification
    stock: Verification | None
    stock_absent: str = ""

    @property
    def samples(self) -> int:
        """How many went through Lava."""
        return self.batch.samples

    @property
    def sentences(self) -> tuple[str, str]:
        """What ran in which process models and came to what; the first of many samples, the second
        of few.
        """
        few = f"not run: {self.stock_absent}" if self.stock is None else f"{_outcome(self.stock)}, {self.stock.samples} samples"
        return (
            f"{_outcome(self.batch)}, {self.samples:,} of {self.of:,} samples side by side (process models 'batch', {self.batch.compared:,} "
            f"neuron-steps, {self.batch.spikes:,} spikes) in {self.seconds:.1f} s of {self.limit:g} s",
            f"in Lava's own process models ('stock', against the reference): {few}",
        )

    @property
    def differences(self) -> int:
        """Spikes and outputs that differed."""
        return sum(sum(v.differences.values()) for v in (self.batch, self.stock) if v)

    @property
    def equal(self) -> bool:
        """Whether no spike and no output differed."""
        return not self.differences


def _outcome(verification: Verification) -> str:
    return "equal, spike for spike" if verification.equal else f"DIFFERENT: {verification.first}"


def through_lava(
    network: QuantizedNetwork, parts: Iterable[Stimulus], of: int, seconds: float, progress: Callable[[int], None]
) -> tuple[LavaProof, np.ndarray]:
    """Run samples until they or the time are at an end; the proof, and Lava's output of those that
    ran.

    parts: stimuli that follow each other, as `spikeport.hw.lava.batch.backend.records` takes them.
    of: samples of the whole set.
    progress: samples finished.

    Raises:
        InputError: Lava is missing, or the network does not lower to it.
        BackendError: a process failed or stood still.
    """
    lava, engine, began = backend("lava"), backend("engine"), time.monotonic()
    remaining = iter(parts)
    first = next(remaining)
    stock, absent = _stock(network, first[:STOCK_SAMPLES], STOCK_SHARE * seconds)
    tally = Tally(network, network, {"lava": lava}, engine, "engine")
    outputs = []
    running = records(network, chain([first], remaining), "spikes")
    for part, record in running:
        tally.add(part, [record])
        outputs.append(record.output)
        progress(len(record))
        if time.monotonic() - began > seconds:
            running.close()
    proof = LavaProof(of, time.monotonic() - began, seconds, tally.verification(first.timesteps), stock, absent)
    return proof, np.concatenate(outputs)


def _stock(network: QuantizedNetwork, part: Stimulus, seconds: float) -> tuple[Verification | None, str]:
    """The first samples in Lava's own process models, or why not."""
    try:
        return verify(network, part, {"stock": partial(run, process_models="stock", seconds=seconds)}), ""
    except OutOfTime:
        return None, f"{len(part)} samples take more than {math.ceil(seconds)} s"
    except InputError as error:
        return None, str(error)
