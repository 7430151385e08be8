"""Every example as a notebook in docs/notebooks, executed: its functions in cells of their own,
what `main` does in steps, its options as they were given.

    python .ci/notebooks.py [NAME ...]
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES, NOTEBOOKS = ROOT / "examples", ROOT / "docs" / "notebooks"
OPTIONS: dict[str, list[str]] = {
    "four_methods": [],
    "lava_program": [],
    "my_parts": [],
    "nir_to_cost": ["zoo/two-layers.nir"],
    "own_data_own_loop": [],
    "prune_and_truncate": [],
    "snntorch_to_report": [],
}
"""What each example is run with; a notebook has no path of its own, from which it could find the
zoo.
"""
MAX_BYTES = 200_000


def cells_of(script: Path, options: list[str]) -> list[tuple[str, str]]:
    """Cells ("markdown" or "code", text): the script's text, statement by statement, and the steps
    of its `main`.
    """
    text = script.read_text(encoding="utf-8")
    tree = ast.parse(text)
    head = [
        f"# {script.stem.replace('_', ' ').capitalize()}",
        ast.get_docstring(tree) or "",
        f"Made from [examples/{script.name}](../../examples/{script.name}), in whose folder it runs.",
    ]
    cells, open_cell = [("markdown", "\n\n".join(head))], False
    main: ast.FunctionDef | None = None
    end = tree.body[0].end_lineno or 0
    for node in tree.body[1:]:
        block, end = "\n".join(text.splitlines()[end : node.end_lineno]), node.end_lineno or 0
        if isinstance(node, ast.If):  # of __name__, which comes last
            break
        if isinstance(node, ast.FunctionDef) and node.name == "main":
            main = node
            continue
        whole = isinstance(node, ast.FunctionDef | ast.ClassDef)
        if open_cell and not whole:
            cells[-1] = ("code", f"{cells[-1][1]}\n{block}")
        else:
            cells.append(("code", block))
        open_cell = not whole
    assert main is not None, f"{script.name} has no main"
    cells += _steps(main, text, options)
    return [(kind, _tidy(block)) for kind, block in cells]


def notebook_of(cells: list[tuple[str, str]]) -> nbformat.NotebookNode:
    """The same as a notebook that was not run yet."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    for number, (kind, text) in enumerate(cells):
        cell = nbformat.v4.new_markdown_cell(text) if kind == "markdown" else nbformat.v4.new_code_cell(text)
        notebook.cells.append({**cell, "id": f"cell-{number}"})
    return nbformat.from_dict(notebook)


def executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook after a run in a copy of examples/, with what it printed and showed."""
    with tempfile.TemporaryDirectory() as place:
        folder = shutil.copytree(EXAMPLES, Path(place) / "examples")
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
        if cell.cell_type == "code":
            cell.outputs = _kept(cell.outputs)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    return notebook


def _steps(main: ast.FunctionDef, text: str, options: list[str]) -> list[tuple[str, str]]:
    """The body of `main` without its docstring: a cell per paragraph, a leading remark as text."""
    lines = text.splitlines()[main.body[0].end_lineno or 0 : main.end_lineno]
    body = "\n".join(line[4:] for line in lines)
    body = re.sub(r"ArgumentParser\(.*\)", "ArgumentParser()", body)
    body = re.sub(r"^return ", "", body, flags=re.MULTILINE)
    body = body.replace("parse_args()", f"parse_args({json.dumps(options)})")
    cells = []
    for block in re.split(r"\n\s*\n(?=\S)", body.strip("\n")):
        remark = re.match(r"(?:# .*\n)+", block)
        if remark:
            cells.append(("markdown", re.sub(r"^# ", "", remark[0], flags=re.MULTILINE)))
        cells.append(("code", block[remark.end() if remark else 0 :]))
    return cells


def _kept(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """What was printed, in one piece, and what was shown; not the progress of trainings, on stderr."""
    printed = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")
    shown = [o for o in outputs if o.output_type != "stream"]
    return [*([nbformat.v4.new_output("stream", name="stdout", text=printed)] if printed else []), *shown]


def _tidy(block: str) -> str:
    return re.sub(r"  # noqa: .*$", "", block, flags=re.MULTILINE).strip("\n")


def main() -> None:
    """Write those that are named, or all."""
    for name in sys.argv[1:] or OPTIONS:
        notebook = executed(notebook_of(cells_of(EXAMPLES / f"{name}.py", OPTIONS[name])))
        text = nbformat.writes(notebook)
        assert len(text) < MAX_BYTES, f"{name}: {len(text)} bytes; print less"
        NOTEBOOKS.mkdir(exist_ok=True)
        (NOTEBOOKS / f"{name}.ipynb").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {len(text):,} bytes")


if __name__ == "__main__":
    main()
