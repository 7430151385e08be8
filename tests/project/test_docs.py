"""The documentation draws every room, and its links lead somewhere."""

from __future__ import annotations

import re

from support.places import ROOT

FOLDERS = ("export", "hw", "train", "analysis", "spikeport")


def test_the_drawing_shows_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawing = text.split("## Rooms")[1].split("```")[1]
    shown, top = set(), ""
    for indent, name in re.findall(r"^( *)([\w/]+)/ ", drawing, flags=re.MULTILINE):
        top = name if not indent else top
        shown.add(f"{top}/{name}" if indent else name)
    here = {str(p.parent.relative_to(ROOT)) for folder in FOLDERS for p in (ROOT / folder).rglob("__init__.py")}
    assert shown == here


def test_links_lead_somewhere():
    for page in (ROOT / "docs").rglob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
