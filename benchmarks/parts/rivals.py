"""The environment of other frameworks: SpikingJelly 2 needs Python 3.11, which Lava does not allow."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".venv-rivals"
PYTHON = FOLDER / "bin/python"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
"""For a worker of `parts`, run by this or another interpreter as `-m parts.NAME`."""
FRAMEWORKS = ("spikingjelly==2.0.0", "snntorch==1.0.0", "norse==1.1.0")
NEEDED = ("loguru", "matplotlib", "nir", "nirtorch", "pyyaml", "scipy", "tqdm")


def make() -> None:
    """Create the environment.

    Frameworks come without what they ask for (torchvision, torchaudio: would replace torch, not
    used here).
    """
    python = next(Path.home().glob(".pyenv/versions/3.11*/bin/python"), "python3.11")
    subprocess.run([str(python), "-m", "venv", FOLDER], check=True)
    for packages in (("torch==2.13.0", *NEEDED), ("--no-deps", *FRAMEWORKS)):
        subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", *packages], check=True)
