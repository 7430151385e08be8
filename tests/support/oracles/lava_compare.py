"""Helper: how two records differ."""

import numpy as np

from spikeport.hw.records.record import SpikeRecord


def differences(expected: SpikeRecord, actual: SpikeRecord) -> list[str]:
    """Names of the tracks that are not equal, bit for bit; the recorded potentials and spikes
    included.
    """
    found = [] if np.array_equal(expected.output, actual.output) else ["output"]
    for kind in ("spike_counts", "synaptic_events", "spikes", "potentials"):
        ours, theirs = getattr(expected, kind), getattr(actual, kind)
        assert set(ours) == set(theirs), f"{kind}: {set(ours)} and {set(theirs)}"
        found += [f"{kind}/{name}" for name in ours if not np.array_equal(ours[name], theirs[name])]
    return found
