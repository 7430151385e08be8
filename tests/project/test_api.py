"""The public names: what is loaded on first use is what editors and type checkers see."""

from __future__ import annotations

import ast
import subprocess
import sys

from support.places import ROOT

import spikeport


def test_type_checkers_see_the_names_that_are_loaded():
    tree = ast.parse((ROOT / "spikeport" / "__init__.py").read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    shown = {alias.asname: node.module for node in imports for alias in node.names if alias.asname == alias.name}
    assert shown == spikeport._HOME


def test_every_name_loads_and_importing_the_package_loads_none():
    made = {name: getattr(spikeport, name) for name in spikeport.__all__ if name != "train"}
    assert all(thing.__module__.startswith("spikeport.") for thing in made.values())
    assert callable(spikeport.train) and spikeport.train.loop  # a function and the folder of its parts
    line = "import sys, spikeport; print([m for m in sys.modules if m.startswith('spikeport.')])"
    said = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.strip() == "[]"
