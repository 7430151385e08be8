"""A figure of a page as an SVG file of its own, for documents that cannot hold a page."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from spikeport.analysis.figures.charts import LEFT, SERIES
from spikeport.analysis.figures.markup import Element, el
from spikeport.analysis.pages.page import GENERATOR, figure_sheet
from spikeport.export.common.files import write_text

ROW, KEY, LETTER, SPACE = 16, 13, 5.7, 14
"""Of the names beneath: height of a row, width of a colour's square with its gap, mean width of a
letter at 11 pixels, gap to the next.
"""


def write_picture(figure: Element, path: Path) -> None:
    """Write the drawing with the page's colours, light and dark, and the names of its curves
    beneath.
    """
    write_text(path, picture(figure))


def picture(figure: Element, about: str | None = None) -> str:
    """The same as text. about: what the file says of itself, besides its title."""
    drawing, caption = figure.find("svg"), figure.find("figcaption")
    assert drawing is not None
    width, height = map(float, drawing.get("viewBox", "").split()[2:])
    names = [key.tail or "" for key in caption.iter("span") if "key" in key.get("class", "").split()] if caption is not None else []
    places = _places(names, width)
    whole = height + (places[-1][1] + ROW if places else 0) + 4
    keys = [
        [
            el("rect", x=x, y=height + y + 2, width=9, height=9, class_=f"bar s{i % SERIES}"),
            el("text", name, x=x + KEY, y=height + y + 10),
        ]
        for i, (name, (x, y)) in enumerate(zip(names, places))
    ]
    view = {"data-generator": GENERATOR, "viewBox": f"0 0 {width:g} {whole:g}", "width": 2 * width, "xmlns": "http://www.w3.org/2000/svg"}
    title, *marks = drawing
    ground = el("rect", width=width, height=whole, class_="ground")
    node = el("svg", title, el("desc", about) if about else None, el("style", colours(figure_sheet())), ground, marks, keys, **view)
    return ElementTree.tostring(node, encoding="unicode")


def colours(sheet: str) -> str:
    """A style sheet without variables, which only browsers know: its rules with the light colours,
    and again with the dark ones.
    """
    (light, dark), rules = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL), sheet.rsplit("\n}\n", maxsplit=1)[-1]

    def resolved(block: str) -> str:
        known = dict(re.findall(r"--([\w-]+): ([^;]+);", block))
        return re.sub(r"var\(--([\w-]+)\)", lambda use: known[use[1]], rules)

    coloured = "\n".join(line for line in resolved(dark).splitlines() if re.search(r"#[0-9a-f]{6}", line))
    return f"{resolved(light)}@media (prefers-color-scheme: dark) {{\n{coloured}\n}}\n"


def _places(names: list[str], most: float) -> list[tuple[float, float]]:
    """Left and top of every name's square: in rows, a new one where a name would not fit."""
    places: list[tuple[float, float]] = []
    x, y = float(LEFT), 0.0
    for name in names:
        width = KEY + LETTER * len(name)
        if x > LEFT and x + width > most:
            x, y = float(LEFT), y + ROW
        places.append((x, y))
        x += width + SPACE
    return places
