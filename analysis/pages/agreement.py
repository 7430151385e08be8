"""The report's section on float against integers: how far each layer is apart, and which rounding
does it.
"""

from __future__ import annotations

from spikeport.analysis.common.numbers import DASH, count, percent
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.figures.tables import data_table, filled_bar
from spikeport.analysis.pages.page import section
from spikeport.analysis.results.layer_agreement import Agreement, LayerAgreement
from spikeport.analysis.results.loss_split import LossSplit


def agreement_section(agreement: Agreement, loss: LossSplit | None) -> Element:
    """Layers with bars, then the split where it was measured."""
    lead = (
        f"The trained network in float and its integers on the same {agreement.samples:,} samples, {agreement.timesteps} timesteps; "
        f"{percent(agreement.answers_changed, 1)} of the answers differ. Spikes in common: of the spikes that either has, those that both have "
        "at the same neuron and timestep. Potential error: root mean square, as a share of the threshold (of a readout: of its own size)."
    )
    head = ["layer", "spikes, float", "spikes, integers", "in common", "potential error"]
    table = data_table(head, [_layer(layer) for layer in agreement.layers], (1, 2, 3, 4), "Float against integers")
    return section("Float against integers", lead, table, _split(loss) if loss else None)


def _layer(layer: LayerAgreement) -> list[Child]:
    error = filled_bar(layer.potential_error, percent(layer.potential_error, 1))
    if layer.spikes is None:
        return [layer.name, DASH, DASH, DASH, error]
    common = layer.spikes.agreement
    return [layer.name, count(layer.spikes.first), count(layer.spikes.second), filled_bar(common, percent(common, 1)), error]


def _split(loss: LossSplit) -> Element:
    rows: list[list[Child]] = [
        [
            row.rounded,
            filled_bar(row.spikes.agreement, percent(row.spikes.agreement, 1)),
            percent(row.answers_changed, 1),
            DASH if row.accuracy is None else percent(row.accuracy, 1),
        ]
        for row in loss.rows
    ]
    rows.insert(
        0, ["nothing: float", filled_bar(1, percent(1, 1)), percent(0, 1), DASH if loss.accuracy is None else percent(loss.accuracy, 1)]
    )
    return el(
        "div",
        data_table(
            ["in integers, the rest in float", "spikes in common", "answers changed", "accuracy"],
            rows,
            (1, 2, 3),
            "What each rounding costs",
        ),
    )
