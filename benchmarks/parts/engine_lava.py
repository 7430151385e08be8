"""Time of one timestep of a running Lava network; compiling, starting and stopping it are not
counted.
"""

from __future__ import annotations

from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.lava.lower import ProcessModels, lower
from spikeport.hw.lava.runtime import LavaRuntime, simulation
from spikeport.hw.lava.stream import tapped_potentials
from spikeport.hw.lava.tape import Tape
from spikeport.hw.lava.timeline import Timeline
from spikeport.hw.records.stimulus import Stimulus

from parts import engine_rivals  # isort: skip


def rounds(network: QuantizedNetwork, stimulus: Stimulus, models: ProcessModels, steps: int, count: int) -> list[float]:
    """Seconds per timestep of `count` rounds of `steps` timesteps each, after one round to warm up."""
    timeline = Timeline.of(network, network.timesteps)
    samples = -(-steps * (count + 1) // timeline.period)
    tape = Tape(network, timeline, samples, tapped_potentials(network, "counts"))
    tape.write(0, timeline.input_rows(stimulus[:samples], 0, tape.length))
    graph = lower(network, tape, 0, models, tapped=tape.potentials)
    with LavaRuntime(graph, tape, simulation, timeout=600) as lava:
        lava.advance(steps)
        return [engine_rivals.seconds(lambda: lava.advance(steps)) / steps for _ in range(count)]
