"""Run a `.nir` file in the frameworks that read NIR, as their own users would: load it, step it,
collect output spikes.

Each function returns spikes bool `(samples, timesteps, classes)` for inputs `(samples, timesteps,
*shape)`.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import nir
import numpy as np
import torch

SNNTORCH_DT = 1e-4
"""Hard-coded in snnTorch 1.0.0."""


def snntorch(path: Path, x: np.ndarray) -> np.ndarray:
    """snnTorch; the file's dt must be its own, `SNNTORCH_DT`.

    It takes a loop of a neuron and one weight node for a layer of its own, and then (1.0.0) sends
    the layer's input through the loop's weights. A Flatten that changes nothing, between the two,
    keeps it from that.
    """
    from snntorch.import_nir import import_from_nir  # noqa: PLC0415

    graph = nir.read(path, type_check=False)
    for neuron, weights in [(a, b) for a, b in graph.edges if (b, a) in graph.edges and hasattr(graph.nodes[a], "v_threshold")]:
        detour = f"{neuron}_detour"
        graph.nodes[detour] = nir.Flatten({"input": graph.nodes[neuron].v_threshold.shape}, start_dim=-1, end_dim=-1)
        graph.edges.remove((neuron, weights))
        graph.edges += [(neuron, detour), (detour, weights)]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it scales
        module = import_from_nir(graph)
    return _stepped(module, x)


def norse(path: Path, x: np.ndarray, dt: float) -> np.ndarray:
    """Norse, told the file's dt."""
    import norse.torch  # noqa: PLC0415

    module = norse.torch.from_nir(nir.read(path, type_check=False), ignore_warnings=True, dt=dt)
    return _stepped(module, x)


def sinabs(path: Path, x: np.ndarray) -> np.ndarray:
    """Sinabs, told to fire once a step and to reset to zero; its own habits are many spikes a step
    and subtraction.
    """
    import sinabs.activation as sa  # noqa: PLC0415
    import sinabs.layers as sl  # noqa: PLC0415
    from sinabs.nir import from_nir  # noqa: PLC0415

    module = from_nir(nir.read(path), batch_size=len(x))
    for layer in module.modules():
        if isinstance(layer, sl.StatefulLayer) and layer.spike_fn is not None:
            layer.spike_fn, layer.reset_fn, layer.min_v_mem = sa.SingleSpike, sa.MembraneReset(), None
    with torch.no_grad():
        flat = torch.from_numpy(x.astype(np.float32)).flatten(0, 1)
        out = module(flat)
    out = out[0] if isinstance(out, tuple) else out
    return out.reshape(*x.shape[:2], -1).numpy() > 0


def _stepped(module: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    """One timestep at a time, the state handed on."""
    spikes, state = [], None
    with torch.no_grad():
        for t in range(x.shape[1]):
            out, state = module(torch.from_numpy(x[:, t].astype(np.float32)), state)
            spikes.append((out[0] if isinstance(out, tuple) else out).numpy() > 0)
    return np.stack(spikes, 1).reshape(*x.shape[:2], -1)
