"""Time of one step of a convolution: Lava's stock process model against ours, same weights and
input, equal bits checked.

    python benchmarks/lava_conv.py [--out FILE.json]

34 x 34 x 16 -> 32 channels, kernel 3, padding 1, over spike rates, and a graded 8-bit input.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv

from spikeport.export.common.files import write_json
from spikeport.hw.lava.convolution import PyFastConv
from spikeport.hw.lava.graph import ProcessNode

GOAL = 20
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.oracles.lava_inprocess import build  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "lava_conv.json"
REPEATS = {PyConvModelFixed: 15, PyFastConv: 501}


class Port:
    """Hands the model its input and keeps its output."""

    def __init__(self, messages: np.ndarray) -> None:
        self.messages = messages

    def recv(self) -> np.ndarray:
        return self.messages

    def send(self, data: np.ndarray) -> None:
        self.sent = data


def step_seconds(model: type, params: dict[str, Any], messages: np.ndarray) -> tuple[float, np.ndarray]:
    """Shortest time of one step, which other work on the machine disturbs least, and what the model
    sends.
    """
    running = build(ProcessNode(Conv, params, model), Conv(**params))
    running.s_in = running.a_out = Port(messages)
    times = []
    for _ in range(REPEATS[model]):
        start = time.perf_counter()
        running.run_spk()
        times.append(time.perf_counter() - start)
    return min(times), running.a_out.sent


def compare(name: str, messages: np.ndarray, message_bits: int) -> dict[str, Any]:
    """One line of the table."""
    weight = np.random.default_rng(0).integers(-128, 128, (32, 3, 3, 16)).astype(np.int32)
    params = {"weight": weight, "input_shape": (34, 34, 16), "padding": (1, 1), "num_message_bits": message_bits}
    stock, expected = step_seconds(PyConvModelFixed, params, messages)
    ours, actual = step_seconds(PyFastConv, params, messages)
    assert np.array_equal(expected, actual), f"{name}: bits differ"
    print(f"{name:>14}: stock {stock * 1e3:8.2f} ms   ours {ours * 1e3:6.3f} ms   {stock / ours:6.0f} times", flush=True)
    return {"input": name, "stock_seconds": stock, "ours_seconds": ours, "ratio": stock / ours}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the results are written")
    out = parser.parse_args().out
    load = os.getloadavg()[0]
    rng = np.random.default_rng(1)
    shape = (34, 34, 16)
    results = [compare(f"{rate:.0%} spikes", (rng.random(shape) < rate).astype(np.int32), 0) for rate in (0.02, 0.1, 0.3, 1.0)]
    results.append(compare("graded 8 bit", rng.integers(1, 256, shape).astype(np.int32), 9))
    versions = {name: metadata.version(name) for name in ("lava-nc", "numpy", "numba")}
    machine = {"cores": os.cpu_count(), "load when started": round(load, 1), "python": platform.python_version(), **versions}
    write_json(out, {"machine": machine, "results": results})
    worst = min(r["ratio"] for r in results)
    print(f"goal {GOAL} times, worst {worst:.0f}: {'reached' if worst >= GOAL else 'missed'}; written to {out}")


if __name__ == "__main__":
    main()
