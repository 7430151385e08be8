"""One sample as a picture: its input image beside the spikes of every layer over time."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from spikeport.analysis.common.numbers import count
from spikeport.analysis.figures.charts import values
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.figures.tables import data_table
from spikeport.analysis.results.rasters import LayerRaster, SampleRaster

CELL, ROW, STRIP = 22.0, 1.6, 30.0
"""Width of a timestep, height of a neuron, least height of a layer, in drawing units."""
LABELS, GAP = 92.0, 16.0


def raster_figure(sample: SampleRaster, chosen: int) -> Element:
    """Image, raster and answer over time of one sample, with a line after the chosen number of
    timesteps.
    """
    title = f"sample {sample.number}" + (f", class {sample.label}" if sample.label is not None else "")
    return el(
        "figure",
        el("div", _image(sample, title), el("p", title), class_="input"),
        _raster(sample, title, chosen),
        values(_counts(sample, title)),
        class_="sample",
    )


def _counts(sample: SampleRaster, title: str) -> Element:
    """Spikes of all neurons, drawn or not, and the answer, over time."""
    head = ["", *(f"t = {t + 1}" for t in range(len(sample.answers)))]
    rows: list[list[Child]] = [[layer.name, *map(count, layer.counts)] for layer in sample.layers]
    return data_table(head, [*rows, ["answer", *map(str, sample.answers)]], range(1, len(head)), f"Spikes of {title}")


def _image(sample: SampleRaster, title: str) -> Element:
    buffer = io.BytesIO()
    Image.fromarray(np.array(sample.image, np.uint8)).save(buffer, "PNG")
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return el("img", src=source, alt=f"input image of {title}")


def _raster(sample: SampleRaster, title: str, chosen: int) -> Element:
    steps = len(sample.answers)
    width = LABELS + steps * CELL + 4
    marks: list[Child] = []
    top = 12.0
    for layer in sample.layers:
        marks += _layer(layer, top, width)
        top += _row(layer) * layer.shown + GAP
    marks += [_step_text(t, str(t + 1), top, "tick middle") for t in range(steps)]
    marks.append(el("text", "timestep", x=LABELS - 8, y=top, class_="tick end"))
    marks += [_step_text(t, str(answer), top + 17, f"answer {_verdict(answer, sample.label)}") for t, answer in enumerate(sample.answers)]
    marks.append(el("text", "answer", x=LABELS - 8, y=top + 17, class_="tick end"))
    if chosen < steps:
        marks.append(el("line", x1=LABELS + chosen * CELL, x2=LABELS + chosen * CELL, y1=4.0, y2=top + 21, class_="mark cut"))
    summary = f"Spikes of {title} in {len(sample.layers)} layers over {steps} timesteps"
    return el("svg", el("title", summary), marks, viewBox=f"0 0 {width:.0f} {top + 24:.0f}", role="img", aria_label=summary)


def _step_text(step: int, text: str, y: float, kind: str) -> Element:
    return el("text", text, x=LABELS + (step + 0.5) * CELL, y=y, class_=kind)


def _layer(layer: LayerRaster, top: float, width: float) -> list[Child]:
    row_height = _row(layer)
    height = layer.shown * row_height
    ticks = "".join(
        f"M{LABELS + t * CELL + 2:.1f} {top + (row + 0.5) * row_height:.1f}h{CELL - 4:.0f}"
        for t, rows in enumerate(layer.spikes)
        for row in rows
    )
    shown = f"{layer.shown} of {layer.neurons:,}" if layer.shown < layer.neurons else f"{layer.neurons}"
    return [
        el("rect", x=LABELS, y=top, width=width - LABELS - 4, height=height, rx=3, class_="strip"),
        el("path", d=ticks, class_="spike") if ticks else None,
        el("text", layer.name, x=LABELS - 8, y=top + height / 2 - 1, class_="label end"),
        el("text", shown, x=LABELS - 8, y=top + height / 2 + 12, class_="tick end"),
    ]


def _row(layer: LayerRaster) -> float:
    return max(ROW, STRIP / layer.shown)


def _verdict(answer: int, label: int | None) -> str:
    return "" if label is None else "right" if answer == label else "wrong"
