"""What is the same for every range of sums, in physical units or in integers: from weights to
outputs, from outputs to neurons.
"""

from __future__ import annotations

import numpy as np

from spikeport.export.model.network import Network
from spikeport.export.model.synapse import Connection, Conv, Dense


def per_output(connection: Connection, terms: np.ndarray) -> np.ndarray:
    """Sum of terms, one a weight, over all weights into each output; broadcasts against the
    connection's output shape.
    """
    if isinstance(connection.op, Dense):
        return terms.sum(axis=1)
    if isinstance(connection.op, Conv):
        return terms.reshape(len(terms), -1).sum(axis=1).reshape(-1, *(1,) * len(connection.op.kernel))
    return terms


def on_target(network: Network, connection: Connection, values: np.ndarray) -> np.ndarray:
    """What broadcasts against a connection's output, against its target; written out only where a
    flatten lies between.
    """
    made, shape = connection.output_shape(network.shape(connection.source)), network.shape(connection.target)
    return values if made == shape else np.broadcast_to(values, made).reshape(shape)
