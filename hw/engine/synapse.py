"""One connection's sums of weight times message for a batch, exactly: dense, or by events where
sparse.
"""

from __future__ import annotations

from math import prod

import numpy as np
import torch

from spikeport.export.model.network import Connection, QuantizedNetwork, Shape
from spikeport.hw.engine.compiled.counting import mean_message
from spikeport.hw.engine.dense import dense_product, nanoseconds
from spikeport.hw.engine.events import EventSynapse
from spikeport.hw.engine.layout import order
from spikeport.hw.engine.pooling import SumPool
from spikeport.hw.engine.profile import Profile, timed
from spikeport.hw.semantics.bounds import SumBound, message_interval


class Synapse:
    """One connection, from the messages of its source to the sums that its target receives, both in
    the engine's order.
    """

    def __init__(self, network: QuantizedNetwork, connection: Connection, bound: SumBound, device: torch.device, compiled: bool) -> None:
        shape = network.shape(connection.source)
        low, high = message_interval(network, connection)
        self.connection = connection
        self.pool = SumPool(connection.pool, shape, low, high, compiled) if connection.pool else None
        if connection.pool:
            shape = connection.pool.output_shape(shape)
        self.dense, self.note = dense_product(connection, shape, (low, high), bound, device, compiled)
        self.events = EventSynapse(connection, shape, high) if compiled and EventSynapse.fits(connection, low, high) else None
        self.break_even = self.events.break_even(nanoseconds(self.dense, prod(shape))) if self.events else -1.0
        self.rearranged = _rearrangement(connection.op.output_shape(shape), network.shape(connection.target))

    def __call__(self, x: torch.Tensor, profile: Profile | None = None) -> torch.Tensor:
        """`(n, T, size)` messages to `(n, T, outputs)` sums of any number type."""
        name = self.connection.name
        if self.pool:
            with timed(profile, name, "pooling"):
                x = self.pool(x)
        sparse = self.events if self.break_even > 0 and mean_message(x) < self.break_even else None
        with timed(profile, name, "sums", "events" if sparse else self.dense.kind):
            total = sparse(x) if sparse else self.dense(x)
        return total if self.rearranged is None else total[..., self.rearranged]


def _rearrangement(made: Shape, wanted: Shape) -> torch.Tensor | None:
    """Where each target neuron finds its sum, if the target flattens what the connection makes."""
    if made == wanted or np.array_equal(order(made), order(wanted)):
        return None
    position = np.empty(len(order(made)), np.int64)
    position[order(made)] = np.arange(len(position))
    return torch.from_numpy(position[order(wanted)])
