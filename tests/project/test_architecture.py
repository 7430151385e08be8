"""The architecture holds: who imports whom, what the ground floor needs, and what each file may
weigh.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from support.places import ROOT

ALLOWED = {
    "export": {"export"},
    "train": {"train", "export"},
    "hw": {"hw", "export"},
    "analysis": {"analysis", "hw", "export"},
}
GROUND_FLOOR = ("common/errors", "common/files", *(f"model/{n}" for n in ("input", "network", "neuron", "noise", "registers", "synapse")))


def imported(path: Path) -> set[str]:
    """Every module a file imports, at any depth of nesting."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} if node.module != "spikeport" else {f"spikeport.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("folder", ALLOWED)
def test_dependencies_run_one_way(folder):
    for path in (ROOT / folder).rglob("*.py"):
        ours = {name.split(".")[1] for name in imported(path) if name.startswith("spikeport.")}
        assert ours <= ALLOWED[folder], f"{path.relative_to(ROOT)} imports {ours - ALLOWED[folder]}"


@pytest.mark.parametrize("name", GROUND_FLOOR)
def test_the_network_description_needs_numpy_only(name):
    others = {n.partition(".")[0] for n in imported(ROOT / "export" / f"{name}.py")} - set(sys.stdlib_module_names)
    assert others <= {"numpy", "spikeport"}


def test_the_engine_knows_nothing_of_training_or_lava():
    code = "import sys, spikeport.hw.engine; print([m for m in sys.modules if m.startswith(('spikeport.train', 'lava'))])"
    assert subprocess.check_output([sys.executable, "-I", "-c", code], text=True).strip() == "[]"


def test_files_stay_small():
    for folder in (*ALLOWED, "spikeport", "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            assert lines <= 300, f"{path.relative_to(ROOT)} has {lines} lines; find its seam"


def test_prose_is_at_most_100_columns_wide():
    """Docstrings, but for tables and what is set off by more indentation (commands, formulas)."""
    for folder in (*ALLOWED, "spikeport", "tests", "benchmarks", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            lines = path.read_text(encoding="utf-8").splitlines()
            for node in ast.walk(ast.parse("\n".join(lines))):
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                    for number in range(node.lineno, node.end_lineno + 1):
                        line = lines[number - 1]
                        set_off = line.startswith(" " * (node.col_offset + 1)) or line.lstrip().startswith("|")
                        assert len(line.removesuffix('"""')) <= 100 or set_off, (
                            f"{path.relative_to(ROOT)}:{number} is {len(line)} columns wide"
                        )


def test_folders_stay_small():
    for top in (*ALLOWED, "spikeport", "benchmarks", "tests/support"):
        for folder in (ROOT / top, *(p for p in (ROOT / top).rglob("*") if p.is_dir())):
            files = [p.name for p in folder.glob("*.py") if p.name != "__init__.py"]
            assert len(files) <= 16, f"{folder.relative_to(ROOT)} holds {len(files)} files; it needs rooms"


def room(module: str) -> str:
    """The folder that a module `spikeport.a.b.c` lies in; a package is its own room."""
    here = ROOT.joinpath(*module.split(".")[1:]) if module.split(".")[1] in ALLOWED else ROOT.joinpath(*module.split("."))
    return str((here if here.is_dir() else here.parent).relative_to(ROOT))


def test_no_two_folders_import_each_other():
    """Neither directly nor around a corner.

    A name of a package (`from a.room import file`) counts as that room.
    """
    imports: dict[str, set[str]] = {}
    for path in (p for top in (*ALLOWED, "spikeport") for p in (ROOT / top).rglob("*.py")):
        here = str(path.parent.relative_to(ROOT))
        imports.setdefault(here, set()).update({room(n) for n in imported(path) if n.startswith("spikeport.")} - {here})
    order = TopologicalSorter(imports)
    order.prepare()  # raises CycleError, which names the circle


def test_type_checkers_see_every_package():
    shown = {p.name for p in (ROOT / ".typing" / "spikeport").iterdir()}
    assert {p.name for p in (ROOT / "spikeport").iterdir() if p.name != "__pycache__"} | set(ALLOWED) == shown


def test_type_checkers_see_the_files_themselves():
    """A copy would be checked in the file's place, and go stale."""
    for entry in (ROOT / ".typing" / "spikeport").iterdir():
        assert entry.is_symlink() and entry.exists(), f"{entry.relative_to(ROOT)} is a copy; make it a link to the file"
