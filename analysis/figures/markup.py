"""HTML and SVG as trees, so that nothing reaches the page unescaped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias
from xml.etree import ElementTree

Element: TypeAlias = ElementTree.Element
Child: TypeAlias = "Element | str | Iterable[Child] | None"


def el(tag: str, *children: Child, **attributes: object) -> Element:
    """An element.

    Attribute names: `class_` is class, `stroke_width` is stroke-width; None leaves one out. None
    children vanish.
    """
    node = ElementTree.Element(tag, {k.rstrip("_").replace("_", "-"): _plain(v) for k, v in attributes.items() if v is not None})
    for child in children:
        _append(node, child)
    return node


def html(node: Element) -> str:
    """The tree as HTML text."""
    return ElementTree.tostring(node, encoding="unicode", method="html")


def _append(node: Element, child: Child) -> None:
    if child is None:
        return
    if isinstance(child, ElementTree.Element):
        node.append(child)
    elif isinstance(child, str):
        if len(node):
            node[-1].tail = (node[-1].tail or "") + child
        else:
            node.text = (node.text or "") + child
    else:
        for part in child:
            _append(node, part)


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
