"""Results of the training benchmark as ratios and a Markdown table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from parts import marks

TITLES = {
    "snntorch float32": "snnTorch",
    "spikingjelly float32": "SpikingJelly",
    "spikingjelly float32 kept": "SpikingJelly, freed memory kept as we do",
    "norse float32": "Norse",
    "stbp float32": "**STBP**",
    "stbp bfloat16": "**STBP, bfloat16**",
    "dsr float32": "**DSR**",
}
RIVALS = ("snntorch float32", "spikingjelly float32", "norse float32")
"""As they come."""
KEPT = "spikingjelly float32 kept"


def ratios(case: dict[str, Any]) -> dict[str, float]:
    """What the goals are about, in processor time: fastest rival over STBP (2; with bfloat16
    2.5), as rivals come and with our setting of memory; DSR over STBP (0.5 and 0.5).
    """
    fastest, kept = min(case[key]["step"]["core"] for key in RIVALS), case[KEPT]["step"]["core"]
    stbp, dsr = case["stbp float32"], case["dsr float32"]
    half = case["stbp bfloat16"]["step"]["core"]
    return {
        "fastest rival / STBP (goal 2)": fastest / stbp["step"]["core"],
        "fastest rival / STBP, bfloat16 (goal 2.5)": fastest / half,
        "SpikingJelly, freed memory kept / STBP": kept / stbp["step"]["core"],
        "SpikingJelly, freed memory kept / STBP, bfloat16": kept / half,
        "DSR / STBP, time (goal 0.5 at T = 20)": dsr["step"]["core"] / stbp["step"]["core"],
        "DSR / STBP, memory (goal 0.5 at T = 20)": dsr["peak bytes"] / stbp["peak bytes"],
    }


def table(results: dict[str, Any]) -> str:
    """Markdown: per contender wall / processor milliseconds of a step, processor seconds of an
    epoch, peak MB; then ratios.
    """
    cases = results["cases"]
    lines = ["| step: wall / core ms; epoch: core s; peak MB | " + " | ".join(cases) + " |", "|---|" + "---:|" * len(cases)]
    for key, title in TITLES.items():
        lines.append(f"| {title} | " + " | ".join(_cell(case[key]) for case in cases.values()) + " |")
    for name in ratios(next(iter(cases.values()))):
        lines.append(f"| {name} | " + " | ".join(f"{ratios(case)[name]:.2f}" for case in cases.values()) + " |")
    return "\n".join(lines) + "\n"


def into_document(path: Path, results: dict[str, Any]) -> None:
    """Replace the measured part of the document."""
    m = results["machine"]
    torches = sorted({entry["torch"] for case in results["cases"].values() for entry in case.values()})
    source = (
        f"{m['date']}, {m['cpu']}, {results['threads']} threads, load {m['load']:.1f} when started; {results['rounds']} rounds of "
        f"{results['steps']} steps; an epoch is {results['images']} images, median of {results['epochs']}; torch {' and '.join(torches)}."
    )
    marks.replace(path, "training.py", f"{table(results)}\n{source}")


def _cell(entry: dict[str, Any]) -> str:
    step = entry["step"]
    return f"{1e3 * step['wall']:.0f} / {1e3 * step['core']:.0f}; {entry['epoch']['core']:.1f}; {entry['peak bytes'] / 1e6:.0f}"
