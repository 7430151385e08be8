"""A quantized network with everything a `.nir` file must keep, and a way to change a file's JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
from support.stated import INT8

from spikeport.export.model.network import Input, IntegerNeuron, Population, QuantizedNetwork
from spikeport.export.model.synapse import Connection, Conv, Dense, Pool
from spikeport.export.nir.build import build_graph
from spikeport.export.nir.metadata import plan_of


def conv_network(**options) -> QuantizedNetwork:
    """conv -> LIF -> pooled dense -> readout, with scales per channel."""
    rng = np.random.default_rng(0)
    neuron = IntegerNeuron(
        np.int32(4095), np.int32(400), np.array([90, 80, 70], np.int32).reshape(3, 1, 1), np.array([5, -3, 0], np.int32).reshape(3, 1, 1)
    )
    readout = IntegerNeuron(np.int32(4095), np.int32(0), np.int32(131071), np.int32(0), spiking=False)
    return QuantizedNetwork(
        Input("image", (1, 8, 8), scale=1 / 16, low=0, high=16),
        (Population("conv", (3, 8, 8), neuron, scale=np.array([0.1, 0.02, 0.3]).reshape(3, 1, 1)), Population("classes", (5,), readout, scale=np.array(0.007))),
        (
            Connection("kernel", "image", "conv", Conv(rng.integers(-128, 128, (3, 1, 3, 3)).astype(np.int8), (1, 1), (1, 1), (1, 1)), exponent=-4),
            Connection("dense", "conv", "classes", Dense(rng.integers(-128, 128, (5, 48)).astype(np.int8)), Pool((2, 2), (2, 2), (0, 0))),
        ),
        **{"output": "classes", "readout": "accumulated_current", "timesteps": 8, "provenance": {"data": {"name": "digits", "seeds": [1, 2]}}, **INT8, "dt": 2e-3, **options},
    )  # fmt: skip


def write_of_format_3(network: QuantizedNetwork, path: Path) -> None:
    """The file as formats up to 3 hold it: r beside the weights, Flatten from axis 0, Linear, a
    Delay in every loop.
    """
    built = build_graph(network, plain=False)
    plan = {**plan_of(network, built), "format": 3}
    for population in plan["populations"]:
        del population["r_in_weights"]
    built.graph.metadata = {"spikeport": json.dumps(plan)}
    nir.write(path, built.graph)


def change_metadata(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Edit the JSON text of a quantized file in place."""
    with h5py.File(path, "a") as file:
        plan = json.loads(file["node/metadata/spikeport"][()])
        change(plan)
        del file["node/metadata/spikeport"]
        file["node/metadata/spikeport"] = json.dumps(plan)
