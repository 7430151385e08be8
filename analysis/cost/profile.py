"""How events spread over cores: measured on some samples, applied to a whole record.

A record counts events per layer. Which cores they fall on needs every spike, which is kept for a
few samples only; from them come, for every timestep, messages per spike, active neurons, and how
much busier than the mean the busiest core is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikeport.analysis.cost.devices import ACCESS, AXON_IN, AXON_OUT, SPIKE, UPDATE, Device
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.backends.simulate import backend
from spikeport.hw.mapping.cores import map_network
from spikeport.hw.mapping.loads import CoreLoads, NetworkLoads, core_loads
from spikeport.hw.records.stimulus import Stimulus

PROFILE_SAMPLES = 64
PROFILE_BYTES = 1 << 28
"""Most memory that rasters and potentials may take; a large network is profiled on fewer samples.
"""
STATE_BYTES = 16
"""Of one neuron at one timestep: spike, potential, and their products' copies."""


def profile_cores(network: QuantizedNetwork, stimulus: Stimulus, device: Device) -> NetworkLoads:
    """Loads of every core on the first samples of a stimulus, as many as memory allows, at most
    `PROFILE_SAMPLES`.
    """
    neurons = sum(p.size for p in network.populations) + int(np.prod(network.input.shape))
    part = stimulus[: max(1, min(PROFILE_SAMPLES, PROFILE_BYTES // (neurons * stimulus.timesteps * STATE_BYTES)))]
    record = backend("engine")(network, part, "potentials")
    return core_loads(network, map_network(network, device.chip), part, record)


def per_event(loads: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Loads, `(samples, T, cores)`, for each of the events, `(samples, T)`, that caused them:
    float64 `(T,)`.

    A timestep without events takes the mean of all.
    """
    caused, events = loads.sum(axis=(0, 2)), events.sum(axis=0)
    overall = caused.sum() / max(1, events.sum())
    return np.where(events > 0, caused / np.maximum(1, events), overall)


def core_time(loads: CoreLoads, terms: Mapping[str, str], device: Device) -> np.ndarray:
    """Nanoseconds that each core works, float64 `(samples, T, cores)`. terms: kind of event, by
    connection.
    """
    counts = [(AXON_IN, loads.axons_in), (SPIKE, loads.spikes), (AXON_OUT, loads.axons_out), (UPDATE, loads.active)]
    counts += [(terms[name], read) for name, read in loads.read.items()]
    timed = [n * device.time[term].value for term, n in counts if term in device.time]
    visits = device.time[ACCESS].value * loads.neurons if ACCESS in device.time else 0
    return np.sum(timed, axis=0) + visits + np.zeros(loads.active.shape)


def peak(busy: np.ndarray) -> np.ndarray:
    """How many times the mean core's time the busiest core takes, float64 `(T,)`, from the time of
    each.
    """
    mean = busy.mean(axis=2).sum(axis=0)
    return np.where(mean > 0, busy.max(axis=2).sum(axis=0) / np.where(mean > 0, mean, 1), 1.0)
