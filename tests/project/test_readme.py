"""What the README says can be done."""

from __future__ import annotations

import re

import nir
import numpy as np
import pytest
from support.places import ROOT

from spikeport.cli import COMMANDS

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.lava
def test_the_python_lines_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("lava")
    monkeypatch.chdir(tmp_path)
    ends = {"input": nir.Input({"input": np.array([2])}), "output": nir.Output({"output": np.array([2])})}
    lif = nir.LIF(*(np.full(2, value) for value in (1e-3, 1.0, 0.0, 0.1)))
    graph = nir.NIRGraph({**ends, "w": nir.Linear(np.eye(2)), "lif": lif}, [("input", "w"), ("w", "lif"), ("lif", "output")])
    nir.write("anyone.nir", graph)
    np.save("samples.npy", np.random.default_rng(0).integers(0, 2, (3, 32, 2)))
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out == "True\n"


def test_every_command_it_names_exists():
    named = set(re.findall(r"^spikeport (\w+)", README, re.MULTILINE))
    assert named and named <= set(COMMANDS)


def test_every_file_it_links_exists():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("https://")]
    root = ROOT
    assert links and all((root / link).exists() for link in links)
