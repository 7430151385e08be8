"""Rockpool: files of its own exporter, with several spikes a step and with one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nir
import numpy as np
import torch
from cases import CLASSES, HIDDEN, INPUTS, Case, first, spikes

DT = 1e-3


def cases() -> Iterator[Case]:
    """LIF with synapses, with each limit of spikes."""
    import rockpool.nn.modules as rockpool  # noqa: PLC0415
    from rockpool.nn.combinators import Sequential  # noqa: PLC0415

    given = ("--dt", str(DT))
    yield _case("LIFTorch, its defaults", rockpool, Sequential, {}, given)
    yield _case("LIFTorch, max_spikes_per_dt=1", rockpool, Sequential, {"max_spikes_per_dt": 1}, (*given, "--no-multi-spike"))


def _case(name: str, rockpool: Any, sequential: Any, options: dict[str, int], said: tuple[str, ...]) -> Case:
    torch.manual_seed(0)
    lif = lambda n: rockpool.LIFTorch(n, tau_mem=0.02, tau_syn=0.01, dt=DT, bias=0.0, threshold=1.0, **options)  # noqa: E731
    dense = lambda *shape: rockpool.LinearTorch(shape, has_bias=False)  # noqa: E731
    module = sequential(dense(INPUTS, HIDDEN), lif(HIDDEN), dense(HIDDEN, CLASSES), lif(CLASSES))
    x = torch.from_numpy(first(spikes()))

    def recorded() -> tuple[np.ndarray, np.ndarray]:
        module.reset_state()
        with torch.no_grad():
            theirs, _, _ = module(x)
        return x.numpy(), theirs.numpy().astype(np.int32)

    return Case(name, recorded, write=lambda path: nir.write(path, rockpool.to_nir(module, torch.zeros(1, INPUTS))), options=said)
