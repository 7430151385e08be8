"""Sinabs: files of its own exporter, with several spikes a step and with one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nir
import numpy as np
import torch
from cases import CLASSES, HIDDEN, INPUTS, Case, first, louder, spikes
from support.oracles import nir_clients
from torch import nn

DT = 1.0
"""Sinabs counts timesteps."""
read_back = nir_clients.sinabs


def cases() -> Iterator[Case]:
    """IAF and LIF, with each rule of firing and reset."""
    import sinabs.activation as sa  # noqa: PLC0415
    import sinabs.layers as sl  # noqa: PLC0415

    single = ("--no-multi-spike",)
    zero = (*single, "--reset", "zero")
    rules = {
        "its defaults": ({}, ()),
        "SingleSpike": ({"spike_fn": sa.SingleSpike}, single),
        "SingleSpike, MembraneReset": ({"spike_fn": sa.SingleSpike, "reset_fn": sa.MembraneReset()}, zero),
    }
    for name, (options, said) in rules.items():
        yield _case(f"IAF, {name}", lambda n, o=options: sl.IAF(**o), 1.0, said)
        yield _case(
            f"LIF, {name}", lambda n, o=options: sl.LIF(tau_mem=torch.full((n,), 10.0), spike_threshold=torch.ones(n), **o), 10.0, said
        )


def _case(name: str, neuron: Any, factor: float, said: tuple[str, ...]) -> Case:
    from sinabs.nir import to_nir  # noqa: PLC0415

    torch.manual_seed(0)
    module = louder(nn.Sequential(nn.Linear(INPUTS, HIDDEN), neuron(HIDDEN), nn.Linear(HIDDEN, CLASSES), neuron(CLASSES)), factor)
    x = torch.from_numpy(first(spikes()))

    def recorded() -> tuple[np.ndarray, np.ndarray]:
        for layer in module.modules():
            if hasattr(layer, "reset_states"):
                layer.reset_states()
        with torch.no_grad():
            theirs = module(x)
        return x.numpy(), theirs.numpy().astype(np.int32)

    return Case(name, recorded, write=lambda path: nir.write(path, to_nir(module, torch.zeros(1, 1, INPUTS))), options=said)
