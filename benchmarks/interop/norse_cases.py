"""Norse: files of its own exporter, with the neurons that it exports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from cases import CLASSES, HIDDEN, INPUTS, Case, first, louder, spikes
from support.oracles import nir_clients
from torch import nn

DT = 1e-3
"""Norse's own, and what it is told of our files."""


def read_back(path: Path, x: np.ndarray) -> np.ndarray:
    """As `nir_clients.norse`."""
    return nir_clients.norse(path, x, DT)


def cases() -> Iterator[Case]:
    """The neurons whose parameters NIR has."""
    import norse.torch as norse  # noqa: PLC0415

    box = lambda n: norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=torch.full((n,), 100.0), **_rest(n)))  # noqa: E731
    cuba = lambda n: norse.LIFCell(  # noqa: E731
        norse.LIFParameters(tau_syn_inv=torch.full((n,), 200.0), tau_mem_inv=torch.full((n,), 100.0), **_rest(n))
    )
    iaf = lambda n: norse.IAFCell(norse.IAFParameters(v_th=torch.ones(n), v_reset=torch.zeros(n)))  # noqa: E731
    yield _case("LIFBoxCell", norse, box, 30.0)
    yield _case("LIFCell", norse, cuba, 30.0)
    yield _case("IAFCell", norse, iaf, 1.0)


def _rest(n: int) -> dict[str, torch.Tensor]:
    """A value for each neuron: nir 1.0.8 writes no single numbers."""
    return {"v_th": torch.ones(n), "v_leak": torch.zeros(n), "v_reset": torch.zeros(n)}


def _case(name: str, norse: Any, cell: Any, factor: float) -> Case:
    torch.manual_seed(0)
    module = louder(norse.SequentialState(nn.Linear(INPUTS, HIDDEN), cell(HIDDEN), nn.Linear(HIDDEN, CLASSES), cell(CLASSES)), factor)

    def recorded() -> tuple[np.ndarray, np.ndarray]:
        state, out = None, []
        with torch.no_grad():
            for step in spikes():
                spike, state = module(step, state)
                out.append(spike)
        return first(spikes()), first(torch.stack(out)).astype(np.int32)

    return Case(name, recorded, write=lambda path: nir.write(path, norse.to_nir(module, torch.zeros(1, INPUTS), dt=DT)))
