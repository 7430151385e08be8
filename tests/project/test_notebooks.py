"""The notebooks in docs/notebooks are the examples, cell for cell, and what a run of them prints."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from support.places import ROOT

SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
NEEDS = {"lava_program": "lava", "snntorch_to_report": "snntorch"}


@pytest.fixture(scope="module")
def making() -> ModuleType:
    """.ci/notebooks.py"""
    pytest.importorskip("nbclient")
    spec = spec_from_file_location("making_notebooks", ROOT / ".ci" / "notebooks.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kept(making: ModuleType, script: Path):
    return making.nbformat.read(making.NOTEBOOKS / f"{script.stem}.ipynb", as_version=4)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_is_its_script(making, script):
    cells = making.cells_of(script, making.OPTIONS[script.stem])
    assert [(c.cell_type, c.source) for c in kept(making, script).cells] == cells, "run: make notebooks"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_keeps_every_statement_of_its_script(making, script):
    """But for the two that a notebook cannot mean: what `main` returns and who calls it."""
    code = "\n".join(text for kind, text in making.cells_of(script, []) if kind == "code")
    lines = {re.sub(r"  # noqa.*", "", line).strip() for line in script.read_text(encoding="utf-8").splitlines()}
    lost = {line for line in lines - {line.strip() for line in code.splitlines()} if line and not line.startswith("#")}
    prose = script.read_text(encoding="utf-8").split('"""')[1]
    changed = re.compile(r'""".*"""|"""|def main\(|return |if __name__|main\(\)|.*ArgumentParser\(|.*parse_args\(\)')
    assert not {line for line in lost if line not in prose and not changed.match(line)}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_was_run_whole_and_is_small(making, script):
    path = making.NOTEBOOKS / f"{script.stem}.ipynb"
    code = [c for c in kept(making, script).cells if c.cell_type == "code"]
    assert path.stat().st_size < making.MAX_BYTES
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    kinds = {kind for c in code for o in c.outputs for kind in (o.get("data") or {"text/plain": ""})}
    assert kinds <= {"text/plain", "text/html", "image/svg+xml"}
    assert "/tmp/" not in path.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_and_notebook_print_the_same(making, script, tmp_path):
    """But for numbers, in whose last digits processors differ."""
    if script.stem in NEEDS:
        pytest.importorskip(NEEDS[script.stem])
    printed = "".join(o.text for c in kept(making, script).cells for o in c.get("outputs", []) if o.output_type == "stream")
    command = [sys.executable, script.name, *making.OPTIONS[script.stem]]
    told = {**os.environ, "OMP_NUM_THREADS": "1"}
    place = shutil.copytree(script.parent, tmp_path / "examples")
    ran = subprocess.run(command, cwd=place, env=told, capture_output=True, text=True, check=True, timeout=600)
    masked = [re.sub(r"[\d.,]+", "#", re.sub(r"\s+", " ", text)) for text in (ran.stdout, printed)]
    assert masked[0] == masked[1]
