"""A figure of a page as an SVG file of its own, for documents that cannot hold a page."""

from __future__ import annotations

from pathlib import Path

from spikeport.analysis.figures.charts import HEIGHT, LEFT, SERIES, WIDTH
from spikeport.analysis.figures.markup import Element, el, html
from spikeport.analysis.pages.page import GENERATOR, style_sheet
from spikeport.export.common.files import write_text

ROW, KEY, LETTER, SPACE = 16, 13, 5.7, 14
"""Of the names beneath: height of a row, width of a colour's square with its gap, mean width of a letter at 11 pixels, gap to the next."""


def write_picture(figure: Element, path: Path) -> None:
    """Write the drawing with the page's colours, light and dark, and the names of its curves beneath."""
    write_text(path, html(picture(figure)))


def picture(figure: Element) -> Element:
    """The same as an element."""
    drawing, caption = figure.find("svg"), figure.find("figcaption")
    assert drawing is not None
    names = [key.tail or "" for key in caption.iter("span") if "key" in key.get("class", "")] if caption is not None else []
    places = _places(names)
    height = HEIGHT + (places[-1][1] + ROW if places else 0) + 4
    ground = el("rect", width=WIDTH, height=height, fill="var(--card)")
    keys = [
        [
            el("rect", x=x, y=HEIGHT + y + 2, width=9, height=9, fill=f"var(--p{i % SERIES})"),
            el("text", name, x=x + KEY, y=HEIGHT + y + 10),
        ]
        for i, (name, (x, y)) in enumerate(zip(names, places))
    ]
    view = {"data-generator": GENERATOR, "viewBox": f"0 0 {WIDTH} {height}", "width": 2 * WIDTH, "xmlns": "http://www.w3.org/2000/svg"}
    return el("svg", el("style", style_sheet()), ground, list(drawing), keys, **view)


def _places(names: list[str]) -> list[tuple[float, float]]:
    """Left and top of every name's square: in rows, a new one where a name would not fit."""
    places: list[tuple[float, float]] = []
    x, y = float(LEFT), 0.0
    for name in names:
        width = KEY + LETTER * len(name)
        if x > LEFT and x + width > WIDTH:
            x, y = float(LEFT), y + ROW
        places.append((x, y))
        x += width + SPACE
    return places
