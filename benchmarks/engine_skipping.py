"""What skipping work would gain over the engine's int8 products: tables for weights of 4 bits,
lists for pruned weights, and windows that repeat.

    python benchmarks/engine_skipping.py [--rounds 7]

One layer of 1024 inputs and 300 outputs, one thread, processor time, shortest of several turns; the
engine's own two ways (int8 products, events) beside. Tables: for every 4 inputs the 16 sums that
their spikes can make, added as runs of bytes (T-MAC, arXiv 2407.00088, for spikes in the place of
weight bits). Lists: for every input the outputs that its weights are not zero for. Windows: how
many that hold a spike at all were seen at an earlier timestep of the same sample (product sparsity,
arXiv 2503.03379), in networks with random weights and in the trained one of examples/zoo. Writes
benchmarks/results/engine-skipping.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numba
import numpy as np
import torch
from parts import engine_networks, engine_table
from torch.nn import functional

from spikeport.export.model.network import Connection, Conv, Dense, Pool, QuantizedNetwork
from spikeport.export.nir.file import read_nir
from spikeport.hw import engine
from spikeport.hw.engine.dense import one_thread
from spikeport.hw.engine.events import EventSynapse
from spikeport.hw.engine.geometry import Geometry
from spikeport.hw.engine.int8 import Int8Product
from spikeport.hw.records.stimulus import Stimulus, encode

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks/results/engine-skipping.json"
INPUTS, OUTPUTS, ROWS = 1024, 300, 512
RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
KEPT = (0.1, 0.03, 0.01)
"""Shares of weights that pruning leaves."""
ADDED_AS_BYTES = 4
"""Entries of tables that add up within a byte: 4 weights of at most 8 make 32 each."""


@numba.njit(nogil=True)
def by_tables(spikes, tables, total):  # pragma: no cover
    """Sums `(rows, outputs)` int32 of 0/1 spikes `(rows, inputs)`; tables int8 `(groups, 16,
    outputs)`.
    """
    rows, outputs = total.shape
    narrow, wide = np.zeros(outputs, np.int8), np.zeros(outputs, np.int16)
    for r in range(rows):
        wide[:] = 0
        pending = 0
        for g in range(len(tables)):
            which = spikes[r, 4 * g] | spikes[r, 4 * g + 1] << 1 | spikes[r, 4 * g + 2] << 2 | spikes[r, 4 * g + 3] << 3
            if which:
                run = tables[g, which]
                for o in range(outputs):
                    narrow[o] = np.int8(narrow[o] + run[o])
                pending += 1
                if pending == ADDED_AS_BYTES - 1:
                    for o in range(outputs):
                        wide[o] = np.int16(wide[o] + narrow[o])
                        narrow[o] = 0
                    pending = 0
        for o in range(outputs):
            total[r, o] = np.int32(wide[o]) + np.int32(narrow[o])
            narrow[o] = 0


@numba.njit(nogil=True)
def by_lists(spikes, starts, targets, weights, total):  # pragma: no cover
    """The same sums, weight by weight that is not zero."""
    for r in range(len(total)):
        total[r] = 0
        for i in range(spikes.shape[1]):
            if spikes[r, i]:
                for k in range(starts[i], starts[i + 1]):
                    total[r, targets[k]] += weights[k]


def fastest(run: Callable[[], Any], rounds: int) -> float:
    """Processor microseconds a row, after one call to warm up."""
    run()
    tries = []
    with one_thread():
        for _ in range(rounds):
            start = process_time()
            run()
            tries.append(process_time() - start)
    return 1e6 * min(tries) / ROWS


def sums(rate: float, rounds: int) -> dict[str, float]:
    """Microseconds a row by every way, all with equal sums."""
    rng = np.random.default_rng(0)
    spikes = (rng.random((ROWS, INPUTS)) < rate).astype(np.uint8)
    rows = torch.from_numpy(spikes)[None]
    weight = rng.integers(-8, 8, (OUTPUTS, INPUTS)).astype(np.int8)
    product = Int8Product(Geometry((OUTPUTS, INPUTS), (1, 1, INPUTS)), weight, 0)
    events = EventSynapse(Connection("c", "a", "b", Dense(weight)), (INPUTS,), 1)
    total = np.zeros((ROWS, OUTPUTS), np.int32)
    bits = np.arange(16)[:, None] >> np.arange(4) & 1
    tables = np.einsum("kb,ogb->gko", bits, weight.reshape(OUTPUTS, -1, 4).astype(int)).astype(np.int8)
    tables = np.ascontiguousarray(tables)
    exact = spikes.astype(np.int32) @ weight.T.astype(np.int32)
    found = {
        "int8 products": fastest(lambda: product(rows), rounds),
        "events": fastest(lambda: events(rows), rounds),
        "tables, 4-bit weights": fastest(lambda: by_tables(spikes, tables, total), rounds),
    }
    assert np.array_equal(total, exact)
    assert np.array_equal(product(rows)[0].numpy(), exact)
    for kept in KEPT:
        pruned = np.where(rng.random(weight.shape) < kept, weight, 0).astype(np.int8)
        targets = [np.flatnonzero(column) for column in pruned.T]
        starts = np.concatenate([[0], np.cumsum([len(t) for t in targets])])
        listed = np.concatenate([column[t] for column, t in zip(pruned.T, targets)]).astype(np.int32)
        flat = np.concatenate(targets)
        found[f"lists, {kept:.0%} of weights kept"] = fastest(lambda: by_lists(spikes, starts, flat, listed, total), rounds)  # noqa: B023
        assert np.array_equal(total, spikes.astype(np.int32) @ pruned.T.astype(np.int32))
    return found


def repeats(network: QuantizedNetwork, stimulus: Stimulus) -> dict[str, dict[str, float]]:
    """Per connection from a spiking population: the share of windows without a spike, and of the
    others the share seen at an earlier timestep of the same sample.
    """
    record = engine.run(network, stimulus, "spikes")
    found = {}
    for connection in network.connections:
        if connection.source == network.input.name:
            continue
        windows = _windows(connection, torch.from_numpy(np.asarray(record.spikes[connection.source])))
        silent = ~windows.any(-1)
        seen = np.zeros_like(silent)
        for t in range(1, windows.shape[1]):
            for before in range(t):
                seen[:, t] |= (windows[:, t] == windows[:, before]).all(-1)
        found[connection.name] = {"silent": float(silent.mean()), "repeated": float((seen & ~silent).sum() / max(1, (~silent).sum()))}
    return found


def _windows(connection: Connection, spikes: torch.Tensor) -> np.ndarray:
    """`(n, T, *shape)` spikes to what every output position reads, `(n, T, positions, inputs)`."""
    op = connection.op
    x = spikes.flatten(0, 1).float()
    if isinstance(connection.pool, Pool):
        x = functional.avg_pool2d(x, connection.pool.kernel, connection.pool.stride, connection.pool.padding, divisor_override=1)
    if isinstance(op, Conv):
        rows = functional.unfold(x, op.kernel, op.dilation, op.padding, op.stride).transpose(1, 2)
    else:
        rows = x.flatten(1)[:, None]
    return rows.reshape(*spikes.shape[:2], *rows.shape[1:]).to(torch.uint8).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    results: dict[str, Any] = {"machine": engine_table.machine(), "microseconds a row by spike rate": {}, "windows": {}}
    for rate in RATES:
        results["microseconds a row by spike rate"][rate] = sums(rate, rounds)
        print(rate, {k: round(v, 3) for k, v in results["microseconds a row by spike rate"][rate].items()}, flush=True)
    for name in engine_networks.NAMES[1:]:
        network = engine_networks.network(name)
        results["windows"][f"{name}, random weights"] = repeats(network, engine_networks.stimulus(network, 16))
    zoo = read_nir(ROOT / "examples/zoo/digits/network.nir")
    from sklearn.datasets import load_digits  # noqa: PLC0415

    images = load_digits().images[-64:, None] / 16.0
    results["windows"]["examples/zoo/digits, trained"] = repeats(zoo, encode(zoo.input, images, zoo.timesteps))
    print(json.dumps(results["windows"], indent=1))
    RESULT.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
