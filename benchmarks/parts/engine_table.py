"""Results of the engine benchmark as ratios, goals and a Markdown table."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from parts import marks

CONTENDERS = ("lava stock", "lava fast", "snntorch", "spikingjelly", "float32 floor", "int8 floor", "engine")
TITLES = {
    "lava stock": "stock Lava",
    "lava fast": "our Lava backend",
    "snntorch": "snnTorch, float",
    "spikingjelly": "SpikingJelly 2.0, float",
    "float32 floor": "bare products, float32",
    "int8 floor": "bare products, int8",
    "engine": "**engine**",
}


def machine(packages: Sequence[str] = ("torch", "numba", "lava-nc", "snntorch", "numpy")) -> dict[str, Any]:
    """What the numbers were measured on."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), platform.machine()
    )
    return {
        "date": date.today().isoformat(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "packages": {p: metadata.version(p) for p in packages},
    }


AT_MOST = ("engine / float32 products", "engine / int8 products")


def ratios(name: str, micro: dict[str, float], core: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Each goal with what was reached: against Lava in wall time, else in processor time of one
    core. The MLP has goals of its own: a graded image of 784 pixels is most of its work.
    """
    mlp = name.startswith("784")
    rivals = [core[key] for key in ("snntorch", "spikingjelly") if key in core]
    reached = {
        "stock Lava / engine": (micro["lava stock"] / micro["engine"], 300 if mlp else 5000),
        "fastest float framework / engine": (min(rivals) / core["engine"], 3 if mlp else 6),
        "engine / float32 products": (core["engine"] / core["float32 floor"], None if mlp else 0.4),
        "engine / int8 products": (core["engine"] / core["int8 floor"], None if mlp else 1.5),
    }
    return {key: {"reached": value, "goal": goal, "met": _met(key, value, goal)} for key, (value, goal) in reached.items()}


def _met(key: str, value: float, goal: float | None) -> bool:
    return goal is None or (value <= goal if key in AT_MOST else value >= goal)


def table(results: dict[str, Any]) -> str:
    """Markdown: microseconds per sample and timestep, then ratios against goals."""
    networks = results["networks"]
    lines = ["| µs per sample and timestep, wall / one core | " + " | ".join(networks) + " |", "|---|" + "---:|" * len(networks)]
    for key in CONTENDERS:
        cells = [_number(n["microseconds"].get(key), n["core microseconds"].get(key)) for n in networks.values()]
        lines.append(f"| {TITLES[key]} | " + " | ".join(cells) + " |")
    for key in next(iter(networks.values()))["ratios"]:
        cells = [_ratio(n["ratios"][key]) for n in networks.values()]
        lines.append(f"| {key} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def into_document(path: Path, results: dict[str, Any]) -> None:
    """Replace the measured part of the document."""
    m = results["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in m["packages"].items())
    source = f"{m['date']}, {m['cpu']}, {m['threads']} threads, load {m['load']:.1f} when started, Python {m['python']}, {packages}."
    marks.replace(path, "engine.py", f"{table(results)}\n{source}")


def _number(wall: float | None, core: float | None) -> str:
    if wall is None:
        return "not measured"
    return " / ".join(f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in (wall, core) if value)


def _ratio(entry: dict[str, Any]) -> str:
    value = f"{entry['reached']:,.0f}" if entry["reached"] >= 100 else f"{entry['reached']:.2f}"
    return f"{value} (goal {entry['goal']:,}{'' if entry['met'] else ', missed'})" if entry["goal"] else value
