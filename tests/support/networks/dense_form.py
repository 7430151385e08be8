"""A connection as one matrix, by brute force."""

import numpy as np

from spikeport.export.model.network import Connection
from spikeport.hw.semantics import reference


def unrolled(connection: Connection, source) -> np.ndarray:
    """The connection as one matrix, by pushing every unit vector through the reference."""
    unit = np.eye(int(np.prod(source)), dtype=np.int64).reshape(-1, *source)
    return reference.synaptic_current(connection, unit).reshape(len(unit), -1)
