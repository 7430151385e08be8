"""Code blocks of the documentation, and a folder in which they can be followed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nir
import numpy as np
from support.places import ROOT

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "examples" / "zoo" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def named(page: Path) -> str:
    """A page's name in tests."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of every block."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def python_of(page: Path) -> str:
    """All Python of a page, in order, as one script."""
    return "\n".join(text for language, text in blocks(page) if language == "python")


def commands_of(page: Path) -> list[str]:
    """Every line of a block that is a command of ours, without its remark."""
    lines = [line for language, text in blocks(page) if language in ("", "bash") for line in text.splitlines()]
    return [re.sub(r"\s+#.*$", "", line) for line in lines if line.startswith("spikeport ")]


def furnish(place: Path) -> None:
    """The files that pages speak of, small: networks of others, arrays, a plugin."""
    rng = np.random.default_rng(0)
    _foreign(place / "anyone.nir")
    shutil.copy(place / "anyone.nir", place / "net.nir")
    zoo = ROOT / "examples" / "zoo" / "digits"
    shutil.copy(zoo / "network.nir", place / "network.nir")
    spikes = rng.integers(0, 2, (12, 32, 2))
    for name in ("samples.npy", "x.npy"):
        np.save(place / name, spikes)
    np.save(place / "y.npy", rng.integers(0, 2, 12))
    np.savez(place / "own.npz", x=rng.random((200, 1, 8, 8)), y=np.arange(200) % 4)
    (place / "my_parts.py").symlink_to(ROOT / "examples" / "my_parts.py")  # one file, of which a process knows the parts once


def _foreign(path: Path) -> None:
    """Two neurons that fire about as their inputs do."""
    ends = {"input": nir.Input({"input": np.array([2])}), "output": nir.Output({"output": np.array([2])})}
    lif = nir.LIF(*(np.full(2, value) for value in (1e-2, 1.0, 0.0, 0.1)))
    graph = nir.NIRGraph({**ends, "w": nir.Linear(np.eye(2)), "lif": lif}, [("input", "w"), ("w", "lif"), ("lif", "output")])
    nir.write(path, graph)
