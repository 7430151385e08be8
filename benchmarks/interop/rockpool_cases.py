"""Rockpool: files of its own exporter, with several spikes a step and with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import nir
import numpy as np
import torch
from cases import CLASSES, HIDDEN, INPUTS, Case, first, spikes

DT = 1e-3


def cases() -> Iterator[Case]:
    """Neurons with and without synapses, with each limit of spikes; dt comes out of the file."""
    import rockpool.nn.modules as rockpool  # noqa: PLC0415
    from rockpool.nn.combinators import Sequential  # noqa: PLC0415

    once, single = {"max_spikes_per_dt": 1}, ("--no-multi-spike",)
    synapse = lambda **options: lambda n: rockpool.LIFTorch(n, tau_mem=0.02, tau_syn=0.01, bias=0.0, **_rest(options))  # noqa: E731
    each = lambda n: rockpool.LIFTorch(  # noqa: E731
        n, tau_mem=torch.linspace(0.01, 0.03, n), tau_syn=torch.linspace(0.005, 0.02, n)[:, None], bias=0.0, **_rest(once)
    )
    plain = lambda **options: lambda n: rockpool.LIFNeuronTorch(n, tau_mem=0.02, bias=0.0, **_rest(options))  # noqa: E731
    yield _case("LIFTorch, its defaults", rockpool, Sequential, synapse(), ())
    yield _case("LIFTorch, max_spikes_per_dt=1", rockpool, Sequential, synapse(**once), single)
    yield _case("LIFTorch, a time constant for each neuron, max_spikes_per_dt=1", rockpool, Sequential, each, single)
    yield _case("LIFNeuronTorch, its defaults", rockpool, Sequential, plain(), ())
    yield _case("LIFNeuronTorch, max_spikes_per_dt=1", rockpool, Sequential, plain(**once), single)


def _rest(options: dict[str, int]) -> dict[str, float]:
    return {"dt": DT, "threshold": 1.0, **options}


def _case(name: str, rockpool: Any, sequential: Any, lif: Callable[[int], Any], said: tuple[str, ...]) -> Case:
    torch.manual_seed(0)
    dense = lambda *shape: rockpool.LinearTorch(shape, has_bias=False)  # noqa: E731
    module = sequential(dense(INPUTS, HIDDEN), lif(HIDDEN), dense(HIDDEN, CLASSES), lif(CLASSES))
    x = torch.from_numpy(first(spikes()))

    def recorded() -> tuple[np.ndarray, np.ndarray]:
        module.reset_state()
        with torch.no_grad():
            theirs, _, _ = module(x)
        return x.numpy(), theirs.numpy().astype(np.int32)

    return Case(name, recorded, write=lambda path: nir.write(path, rockpool.to_nir(module, torch.zeros(1, INPUTS))), options=said)
