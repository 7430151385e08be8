"""The documentation names every module, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("export", "hw", "train", "analysis", "spikeport")


def map_of(folder: str) -> set[str]:
    """Module names in a folder's table of docs/architecture.md, nested ones as `engine/plan`."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = re.split(r"^### ", text, flags=re.MULTILINE)
    (rows,) = [re.findall(r"^\| (`.*?) \|", part, flags=re.MULTILINE) for part in section if part.startswith(f"{folder}:")]
    found = set()
    for row in rows:
        nested = ""
        for name in re.findall(r"`([\w/]+)`", row):
            if name.endswith("/"):
                nested = name
            else:
                found.add(nested + name)
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_map_is_complete(folder):
    files = {str(path.relative_to(ROOT / folder).with_suffix("")) for path in (ROOT / folder).rglob("*.py")}
    here = {name for name in files if Path(name).name not in ("__init__", "__main__")}
    there = map_of(folder) - {"__init__", "__main__"}
    assert there == here, f"docs/architecture.md, modules of {folder}: add {sorted(here - there)}, remove {sorted(there - here)}"


def test_links_lead_somewhere():
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
