"""One line that says which result this is: the network by its digest, the data, the version, what
came out, and the day.
"""

from __future__ import annotations

from collections.abc import Mapping

from spikeport.analysis.common.numbers import counted, percent
from spikeport.analysis.results.comparison import Comparison
from spikeport.analysis.results.report import Report
from spikeport.export.common.digest import short


def citation(report: Report) -> str:
    """Of one network's report."""
    facts, version = report.network, report.versions.get("spikeport", "")
    bits = f"{facts.weight_bits}-bit weights, " if facts.weight_bits else ""
    data = [f"{name} data {short(digest)}" for name in ("test", "input") if (digest := report.made_of.get(name))]
    parts = [
        f"quantized network {short(report.made_of.get('network', ''))} ({bits}T = {facts.timesteps}, T' = {report.chosen})",
        *data,
        *_accuracy(report),
        *_proof(report),
        *_cost(report),
    ]
    return (
        f"{report.title}, {report.subtitle}: {', '.join(parts)}. spikeport{f' {version}' if version else ''}, {report.date or 'undated'}."
    )


def comparison_citation(comparison: Comparison) -> str:
    """Of several side by side; its day is the last one of theirs."""
    runs = [f"{run.name} (network {short(run.made_of.get('network', ''))}, T' = {run.chosen})" for run in comparison.runs]
    data = list(dict.fromkeys(f"test data {short(run.test_data)}" for run in comparison.runs if run.test_data))
    versions = sorted({version for run in comparison.runs if (version := run.settings.get("version.spikeport"))})
    day = max(run.date for run in comparison.runs) or "undated"
    return f"Runs side by side: {'; '.join([*runs, *data])}. spikeport{''.join(f' {v}' for v in versions)}, {day}."


def about(made_of: Mapping[str, str]) -> str:
    """What a picture says of itself: the digests of what it was made of, whole."""
    named = ", ".join(f"{name} {digest}" for name, digest in made_of.items())
    return f"Made with spikeport, by content, of {named}" if named else "Made with spikeport"


def _accuracy(report: Report) -> list[str]:
    curve = report.curve("quantized", "Lava", "float")
    accuracy = curve.at(report.chosen) if curve else None
    return (
        [f"accuracy {percent(accuracy)} ({curve.stage}, {counted(curve.samples, f'{curve.split} sample')})"] if curve and accuracy else []
    )


def _proof(report: Report) -> list[str]:
    proof = report.verification
    if proof is None:
        return ["not verified"]
    return [f"{counted(sum(proof.differences.values()), 'difference')} between reference and {', '.join(proof.backends)}"]


def _cost(report: Report) -> list[str]:
    return [f"priced as {report.cost.device.title}{'' if report.cost.device.calibrated else ', uncalibrated'}"] if report.cost else []
