"""What `spikeport run` prints at its end, of a network that was trained here or brought along."""

from __future__ import annotations

from spikeport.analysis.common.numbers import counted, si
from spikeport.analysis.results.report import Report
from spikeport.commands.parts.options import table
from spikeport.export.common.digest import short
from spikeport.hw.backends.through_lava import LavaProof
from spikeport.stages.folder.workspace import Workspace


def describe(report: Report, work: Workspace) -> str:
    """The result table, their spikes against ours where they are known, the stamp, and where the
    report lies.
    """
    stamp = report.verification
    assert stamp
    verdict = "equal, spike for spike" if stamp.equal else f"DIFFERENT: {stamp.first}"
    what = ", ".join(counted(n, s) for n, s in ((stamp.compared, "neuron-step"), (stamp.spikes, "spike"), (stamp.samples, "sample")))
    proof = f"{', '.join(stamp.backends)} and reference: {verdict} ({what})"
    place = f"report: {work.report.with_suffix('.html')} of network {short(report.made_of['network'])}"
    return "\n".join(
        [
            _table(report),
            *_describe_links(report),
            *_describe_exit(report),
            *_describe_conformal(report),
            proof,
            *describe_lava(report.lava),
            place,
        ]
    )


def describe_lava(proof: LavaProof | None) -> list[str]:
    """How much went through real Lava, and what came out."""
    return [f"engine and real Lava: {proof.sentences[0]}", f"  {proof.sentences[1]}"] if proof else []


def proven(report: Report) -> bool:
    """Whether every backend, Lava on the test set and at T', and recorded spikes in float gave the
    same in every bin.
    """
    cut = report.truncation.lava if report.truncation else None
    equal = report.verification is not None and all(proof.equal for proof in (report.verification, cut, report.lava) if proof)
    return equal and all(link.equal for link in report.expected if link.kind == "float")


def _table(report: Report) -> str:
    full, cut = report.network.timesteps, report.chosen
    rows = []
    for curve in (c for c in report.accuracy if c.split == "test"):
        at_full, at_cut = curve.at(full), curve.at(cut)
        assert at_full is not None and at_cut is not None
        rows.append((f"{curve.stage} accuracy", f"{at_full:.2%}", f"{at_cut:.2%}", counted(curve.samples, "test sample")))
    if cost := report.cost:
        sure = "" if cost.device.calibrated else ", uncalibrated"
        bands = (("energy per sample, dynamic", cost.dynamic, "J", sure), ("energy per sample, total", cost.total, "J", sure))
        for name, band, unit, doubt in (*bands, ("latency per sample", cost.latency, "s", "")):
            rows.append((name, si(band.mean[full - 1], unit), si(band.mean[cut - 1], unit), f"{cost.device.title}{doubt}"))
    return table(rows, ("", f"T = {full}", f"T' = {cut}", ""))


def _describe_links(report: Report) -> list[str]:
    return [
        f"your spikes against {'ours in float' if link.kind == 'float' else 'the integers'}: "
        f"{'equal in every bin' if link.equal else f'{link.output.different:,} of {link.output.bins:,} output bins differ'}, "
        f"the same class for {link.same_classes:,} of {link.samples:,} samples"
        for link in report.expected
    ]


def _describe_exit(report: Report) -> list[str]:
    early_exit, cost = report.truncation.exit if report.truncation else None, report.exit_cost
    if not (early_exit and early_exit.test and cost):
        return []
    price = f"{si(cost.dynamic.mean[0], 'J')}, {si(cost.latency.mean[0], 's')}"
    return [
        f"early exit at a margin of {early_exit.threshold}: {early_exit.test.accuracy_chosen:.2%} in {early_exit.mean_steps:.2f} timesteps, {price}"
    ]


def _describe_conformal(report: Report) -> list[str]:
    """Bonferroni's, whose promise holds without conditions."""
    exits = zip(report.truncation.conformal, report.conformal_cost) if report.truncation else ()
    return [
        f"{e.name}: {e.accuracy:.2%} in {e.mean_steps:.2f} timesteps, {si(cost.dynamic.mean[0], 'J')}; true class in {e.coverage:.2%} of the sets"
        for e, cost in exits
        if e.correction == "Bonferroni"
    ]
