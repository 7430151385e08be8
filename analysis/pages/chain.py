"""The chain of proof from another framework's spikes to Lava, link by link."""

from __future__ import annotations

from spikeport.analysis.common.numbers import Quantity, count, counted, percent
from spikeport.analysis.figures.markup import Child, Element
from spikeport.analysis.figures.tables import data_table
from spikeport.analysis.pages.page import section
from spikeport.analysis.results.report import Report
from spikeport.hw.backends.expect import Expectation, NodeAgreement

LEAD = (
    "Each row compares two runs on the same input, bin by bin (a bin is one neuron at one timestep of one sample). Float must be equal; "
    "integers are an approximation, told by its size; backends must be equal again."
)


def chain_section(report: Report) -> Element | None:
    """Their spikes = ours in float -> integers -> backends; None where no spikes of theirs are
    known.
    """
    if not report.expected:
        return None
    rows = [_link(link) for link in report.expected]
    if (stamp := report.verification) is not None:
        differences = sum(stamp.differences.values())
        rows.append(
            [f"integers = {', '.join(stamp.backends)}", counted(stamp.samples, "sample"), count(stamp.compared), count(differences), "0"]
        )
    first = next((str(link.first) for link in report.expected if link.first), None)
    lead = LEAD if first is None else f"{LEAD} {first}."
    return section(
        "From your framework to the chip", lead, data_table(["link", "samples", "bins", "differ", "answers changed"], rows, (2, 3, 4))
    )


def _link(link: Expectation) -> list[Child]:
    nodes: tuple[NodeAgreement, ...] = (link.output, *link.nodes)
    bins, different = sum(n.bins for n in nodes), sum(n.different for n in nodes)
    name = "your spikes = ours in float" if link.kind == "float" else "your spikes ~ integers"
    share = "" if not different else f" ({percent(different / bins, 2)})"
    return [
        name,
        counted(link.samples, "sample"),
        count(bins),
        Quantity(f"{different:,}{share}", different),
        count(link.samples - link.same_classes),
    ]
