"""The pictures of docs/tic.md, from a real run.

spikeport train --data digits --timesteps 8 --epochs 30 --tic-every 1 --seed 0 --out runs/tic
spikeport tic runs/tic
python benchmarks/fisher_pictures.py runs/tic
"""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

from spikeport.analysis.charts import HEIGHT, WIDTH
from spikeport.analysis.fisher import FisherResult
from spikeport.analysis.fisher_figures import blocks_figure, centroid_figure, epochs_figure, fisher_figure
from spikeport.analysis.fisher_history import read_history
from spikeport.analysis.jsonable import from_json
from spikeport.analysis.markup import Node, el, html
from spikeport.export.files import read_json, write_text

DOCS = Path(__file__).resolve().parents[1] / "docs"


def alone(figure: Node) -> str:
    """A figure's drawing as a file of its own, with the page's colours and the names of its curves beneath."""
    drawing, caption = figure.find("svg"), figure.find("figcaption")
    assert drawing is not None
    names = [key.tail or "" for key in caption.iter("span") if "key" in key.get("class", "")] if caption is not None else []
    style = resources.files("spikeport.analysis").joinpath("report.css").read_text(encoding="utf-8")
    low = HEIGHT + 16 * -(-len(names) // 4)
    ground = el("rect", width=WIDTH, height=low + 4, fill="var(--card)")
    keys = [
        [
            el("rect", x=46 + 78 * (i % 4), y=HEIGHT + 16 * (i // 4) + 2, width=9, height=9, fill=f"var(--p{i})"),
            el("text", name, x=59 + 78 * (i % 4), y=HEIGHT + 16 * (i // 4) + 10),
        ]
        for i, name in enumerate(names)
    ]
    view = {"viewBox": f"0 0 {WIDTH} {low + 4}", "width": 2 * WIDTH, "xmlns": "http://www.w3.org/2000/svg"}
    return html(el("svg", el("style", style), ground, list(drawing), keys, **view))


def main() -> None:
    folder = Path(sys.argv[1])
    fisher, history = from_json(FisherResult, read_json(folder / "tic.json")), read_history(folder / "tic_history.json")
    assert history
    pictures = {
        "curve": fisher_figure(fisher, proposal=fisher.proposal()),
        "blocks": blocks_figure(fisher),
        "centroid": centroid_figure(history),
        "epochs": epochs_figure(history),
    }
    for name, figure in pictures.items():
        write_text(DOCS / f"tic-{name}.svg", alone(figure))


if __name__ == "__main__":
    main()
