"""One dense layer that fires, and what to send into it."""

import numpy as np
from support.stated import INT8

from spikeport.export.model.network import Connection, Dense, Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.hw.records.stimulus import Stimulus, encode


def network(reset: str = "subtract") -> QuantizedNetwork:
    weights = Connection("syn", "in", "lif", Dense(np.full((40, 30), 20, np.int8)))
    registers = {k: np.int32(v) for k, v in {"du": 4095, "dv": 100, "threshold": 90, "bias_mantissa": 0, "reset_value": 90}.items()}
    population = Population("lif", (40,), IntegerNeuron(**registers, reset=reset))
    return QuantizedNetwork(Input("in", (30,)), (population,), (weights,), "lif", "spike_count", timesteps=5, **INT8)


def stimulus(samples: int = 4) -> Stimulus:
    return encode(network().input, np.ones((samples, 30), np.int32), 5)
