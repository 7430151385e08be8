"""From a quantized network to Lava processes that carry many samples side by side, in lanes: one
process per population.
"""

from __future__ import annotations

from spikeport.export.model.network import Connection, QuantizedNetwork
from spikeport.hw.lava.batch.layer import Incoming, LaneLayer, layer_model
from spikeport.hw.lava.batch.tape import LaneTape
from spikeport.hw.lava.graph import Graph, ProcessNode, Wire
from spikeport.hw.lava.host import Host, host_model
from spikeport.hw.lava.lower import HOST, extra_delay
from spikeport.hw.semantics.bounds import Bounds


def lower_lanes(network: QuantizedNetwork, tape: LaneTape, first_sample: int) -> Graph:
    """The host sends the input; every population takes its sources' messages and leaves what it did
    on the tape.

    Raises:
        InputError: a connection whose delay the hardware cannot hold.
    """
    graph, sums = Graph(), Bounds(network, tape.timeline.timesteps).sums

    def incoming(c: Connection) -> Incoming:
        graded = c.source == network.input.name
        return Incoming(c, network.shape(c.source), extra_delay(network, c), sums[c.name], graded)

    graph.nodes[HOST] = ProcessNode(Host, {"tape": tape, "tracks": []}, host_model(0))
    for population in network.populations:
        name, connections = population.name, [incoming(c) for c in network.incoming(population.name)]
        params = {"population": population, "incoming": connections, "tape": tape, "depth": network.depths[name]}
        model = layer_model([i.graded for i in connections])
        graph.nodes[name] = ProcessNode(LaneLayer, params | {"first_sample": first_sample}, model)
        for i, each in enumerate(connections):
            graph.wires.append(Wire(HOST if each.graded else each.connection.source, "s_out", name, f"s_in{i}"))
    return graph
