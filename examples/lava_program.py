"""A quantized network inside a Lava program of your own: a live source of spikes ahead of it, a
sink that acts on the answer.

    python examples/lava_program.py [NET.nir] [--steps 60]

Without a file it takes a network of eight inputs and two neurons, which tell whether the left or
the right half is busier. The source makes its spikes up while Lava runs: a burst that wanders from
left to right and back. The sink counts the spikes of each output over the last steps and says which
leads. Everything runs step by step, without samples and without resets.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import spikeport as sp

sp.require_lava()  # on Python 3.11 and newer this is what lets Lava be imported

from lava.magma.core.decorator import implements, requires, tag  # noqa: E402
from lava.magma.core.model.py.model import PyLoihiProcessModel  # noqa: E402
from lava.magma.core.model.py.ports import PyInPort, PyOutPort  # noqa: E402
from lava.magma.core.model.py.type import LavaPyType  # noqa: E402
from lava.magma.core.process.ports.ports import InPort, OutPort  # noqa: E402
from lava.magma.core.process.process import AbstractProcess  # noqa: E402
from lava.magma.core.process.variable import Var  # noqa: E402
from lava.magma.core.resources import CPU  # noqa: E402
from lava.magma.core.run_conditions import RunSteps  # noqa: E402
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol  # noqa: E402


class Wanderer(AbstractProcess):
    """A sensor: spikes around a place that moves to and fro over the inputs."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape=shape)
        self.s_out = OutPort(shape=shape)


@implements(proc=Wanderer, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyWanderer(PyLoihiProcessModel):
    """Draws its spikes at each step; a camera would be read here."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params) -> None:
        super().__init__(proc_params)
        self.shape = proc_params["shape"]
        self.rng = np.random.default_rng(0)

    def run_spk(self) -> None:
        size = int(np.prod(self.shape))
        centre = (0.5 + 0.5 * np.sin(2 * np.pi * self.time_step / 60)) * (size - 1)
        chance = np.exp(-(((np.arange(size) - centre) / (size / 6)) ** 2))
        self.s_out.send((self.rng.random(size) < chance).astype(np.int32).reshape(self.shape))


class Decision(AbstractProcess):
    """An actuator: keeps the leading output of the last steps. history: -1 for none yet."""

    def __init__(self, shape: tuple[int, ...], steps: int) -> None:
        super().__init__(shape=shape)
        self.s_in = InPort(shape=shape)
        self.history = Var(shape=(steps,), init=np.full(steps, -1))


@implements(proc=Decision, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDecision(PyLoihiProcessModel):
    """Leaky count of each output's spikes; a motor would be driven here."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    history: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params) -> None:
        super().__init__(proc_params)
        self.count = np.zeros(int(np.prod(proc_params["shape"])))

    def run_spk(self) -> None:
        self.count = 0.8 * self.count + self.s_in.recv().ravel()
        if self.count.any() and self.time_step <= len(self.history):
            self.history[self.time_step - 1] = int(self.count.argmax())


def left_or_right() -> sp.QuantizedNetwork:
    """Two neurons, each excited by its own half of eight inputs and held back by the other."""
    weight = np.repeat([[60, -40], [-40, 60]], 4, axis=1).astype(np.int8)
    neuron = sp.IntegerNeuron(du=np.int32(4095), dv=np.int32(800), threshold=np.int32(100), bias_mantissa=np.int32(0))
    return sp.QuantizedNetwork(
        input=sp.Input("sensor", (8,)),
        populations=(sp.Population("side", (2,), neuron),),
        connections=(sp.Connection("synapses", "sensor", "side", sp.Dense(weight)),),
        output="side",
        readout="spike_count",
        timesteps=1,
        dt=1e-3,
        integrator="per timestep",
        weight_bits=8,
    )


def main() -> np.ndarray:
    """Run the program; returns the leading output at each step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="?", type=Path, metavar="NET.nir")
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()
    if arguments.steps < 1:
        parser.error(f"--steps is {arguments.steps}; give at least 1")
    try:
        network = sp.read_nir(arguments.network) if arguments.network else left_or_right()
    except sp.InputError as error:
        parser.error(str(error))
    if network.readout != "spike_count":
        parser.error(f"{network.output} is read by its potential and never spikes; connect v_out in place of s_out for such a network")

    processes = sp.lava_processes(network)
    source, sink = Wanderer(network.input.shape), Decision(processes.s_out.shape, arguments.steps)
    source.s_out.connect(processes.s_in)
    processes.s_out.connect(sink.s_in)
    try:
        source.run(condition=RunSteps(num_steps=arguments.steps), run_cfg=processes.run_config())
        history = sink.history.get().astype(int)
    finally:
        source.stop()
    print(f"an input is answered {processes.latency} step(s) later; leading output at each step:")
    print("".join("." if k < 0 else str(k) for k in history))
    return history


if __name__ == "__main__":
    main()
