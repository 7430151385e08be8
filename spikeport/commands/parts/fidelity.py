"""How commands print float against integers: a line per layer, and one per kind of rounding."""

from __future__ import annotations

from spikeport.analysis.results.layer_agreement import Agreement
from spikeport.analysis.results.loss_split import LossSplit
from spikeport.commands.parts.options import table


def agreement_text(agreement: Agreement) -> str:
    """A line per layer: spikes in float and in integers, how many both have, and how far the
    potentials are apart.
    """
    rows = [
        (
            layer.name,
            f"{layer.spikes.first:,} -> {layer.spikes.second:,}" if layer.spikes else "-",
            f"{layer.spikes.agreement:.2%}" if layer.spikes else "-",
            f"{layer.potential_error:.2%} of the {'threshold' if layer.spikes else 'potential'}",
        )
        for layer in agreement.layers
    ]
    head = f"float against integers, {agreement.samples} samples: {agreement.answers_changed:.2%} of the answers differ"
    return f"{head}\n{table(rows, ('layer', 'spikes', 'in common', 'potential error'))}"


def loss_text(loss: LossSplit) -> str:
    """A line per kind of rounding, everything else left in float."""
    rows = [(row.rounded, f"{row.spikes.agreement:.2%}", f"{row.answers_changed:.2%}", _accuracy(row.accuracy)) for row in loss.rows]
    rows.insert(0, ("nothing: float", f"{1:.2%}", f"{0:.2%}", _accuracy(loss.accuracy)))
    head = f"one kind of parameter at a time as the integers have it, the rest in float, {loss.samples} samples"
    return f"{head}\n{table(rows, ('in integers', 'spikes in common', 'answers changed', 'accuracy'))}"


def _accuracy(accuracy: float | None) -> str:
    return "-" if accuracy is None else f"{accuracy:.2%}"
