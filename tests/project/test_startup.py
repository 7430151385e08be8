"""What every command waits for stays small: slow libraries are imported where they are needed."""

from __future__ import annotations

import subprocess
import sys

SELDOM = ("scipy.stats", "scipy.special", "scipy.io", "sklearn", "onnx", "onnxruntime", "lava", "matplotlib", "tensorboard", "torchvision")


def test_simulate_imports_what_it_uses():
    code = f"import sys, spikeport.commands.simulate, spikeport.hw.engine; print([m for m in {SELDOM} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
