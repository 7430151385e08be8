"""The report's section on timesteps: Fisher information, the cut and its tests, the early exit, and
what both save.
"""

from __future__ import annotations

from spikeport.analysis.common.numbers import DASH, Quantity, counted, percent, points, si
from spikeport.analysis.cost.exit_cost import ExitCost
from spikeport.analysis.decision.guarantee import Confirmation, LossLimits
from spikeport.analysis.decision.timestep_cut import Truncation, verdict_in_words
from spikeport.analysis.figures.exit import exit_figure, exit_histogram
from spikeport.analysis.figures.fisher import fisher_figure
from spikeport.analysis.figures.markup import Child, Element, el
from spikeport.analysis.figures.tables import data_table
from spikeport.analysis.pages.page import section, setting
from spikeport.analysis.results.report import Report


def timesteps_section(report: Report) -> Element | None:
    """What was found about time; None where there is no Fisher information and truncation was not
    run.
    """
    fisher, truncation = report.fisher, report.truncation
    if not (fisher and fisher.informative) and not truncation:
        return None
    figure = (
        fisher_figure(fisher, truncation.chosen if truncation else None, truncation.proposal if truncation else None)
        if fisher and fisher.informative
        else None
    )
    return section(
        "Timesteps",
        None,
        el("div", figure, _decision(truncation) if truncation else None, class_="pair"),
        _tests(truncation) if truncation else None,
        _early_exit(truncation) if truncation else None,
        _savings(report, truncation) if truncation else None,
        _conformal(report, truncation) if truncation else None,
    )


def _decision(truncation: Truncation) -> Element:
    return el(
        "div",
        el("p", _statement(truncation)),
        el("p", confirmed(truncation.test, truncation.tolerance)) if truncation.test else None,
        el("p", _lava(truncation)),
    )


def _tests(truncation: Truncation) -> list[Element]:
    """A row for every T', across the page."""
    columns = [
        "T'",
        "accuracy",
        "loss against " + setting("T", truncation.timesteps),
        "loss against float",
        f"below {points(truncation.tolerance)}",
    ]
    rows = [
        [str(s.timesteps), percent(s.accuracy), limits(s.losses.full), limits(s.losses.floating), verdict_in_words(s)]
        for s in truncation.steps
    ]
    return [
        data_table(columns, rows, (0, 1, 2, 3), "Decision on the number of timesteps"),
        el(
            "p",
            f"Losses in percentage points, with limits at the level each was tested at, of {100 * (1 - truncation.confidence):.3g} % in all.",
            class_="aside",
        ),
    ]


def _statement(truncation: Truncation) -> str:
    proposal = f" Fisher information proposed {truncation.proposal}." if truncation.proposal else ""
    if truncation.began:
        proposal += f" The tests began with {truncation.began}, proposed by {truncation.began_by}."
    data = f"({counted(truncation.samples, 'validation sample')}; {truncation.method})"
    if not truncation.shown:
        return (
            f"No number of timesteps was shown to lose less than {points(truncation.tolerance)} against the float network {data}.{proposal}"
        )
    if truncation.chosen == truncation.timesteps:
        return f"No smaller number of timesteps was shown to lose less than {points(truncation.tolerance)} {data}.{proposal}"
    return (
        f"With {100 * truncation.confidence:g} % confidence, {counted(truncation.chosen, 'timestep')} lose{'s' if truncation.chosen == 1 else ''} "
        f"less than {points(truncation.tolerance)} "
        f"against {truncation.timesteps} and against the float network {data}.{proposal}"
    )


def limits(loss: LossLimits) -> Quantity:
    """A loss and its limits, in points."""
    return Quantity(f"{loss.value:.2f} ({loss.low:.2f} to {loss.high:.2f})", loss.value, "points", (loss.low, loss.high))


def confirmed(test: Confirmation, tolerance: float) -> str:
    """What the test data says about a choice."""
    return (
        f"On {counted(test.samples, 'test sample')}: {percent(test.accuracy_chosen)}, against {percent(test.accuracy_full)} at T and "
        f"{percent(test.accuracy_floating)} in float; losses {limits(test.losses.full)} and {limits(test.losses.floating)} points. "
        f"The test data {test.verdict(tolerance)}."
    )


def _lava(truncation: Truncation) -> str:
    lava = truncation.lava
    if lava is None:
        return f"Not confirmed in Lava: {truncation.lava_absent}."
    outcome = "equal spike for spike" if lava.equal else f"DIFFERENT: {lava.first}"
    return (
        f"In real Lava at T' = {lava.timesteps}: {outcome} in {lava.compared:,} neuron-steps ({counted(lava.spikes, 'spike')}) and "
        f"{lava.outputs:,} readout values of {counted(lava.samples, 'test sample')}."
    )


def _early_exit(truncation: Truncation) -> Element | None:
    early_exit = truncation.exit
    if early_exit is None:
        return None
    if early_exit.threshold is None or early_exit.losses is None or early_exit.test is None:
        return el("p", "Early exit: no margin was shown to be safe, so every sample runs for all timesteps.")
    text = (
        f"Early exit: a sample stops once its largest score leads by {early_exit.threshold:,} (accumulated readout, integers of the chip). With "
        f"{100 * truncation.confidence:g} % confidence this loses less than {points(truncation.tolerance)} against both (validation: "
        f"{limits(early_exit.losses.full)} and {limits(early_exit.losses.floating)} points). {confirmed(early_exit.test, truncation.tolerance)} "
        "Cut and exit are two statements, to be used one or the other."
    )
    figures = el("div", exit_figure(truncation, early_exit), exit_histogram(early_exit), class_="pair")
    return el("div", el("p", text), figures, class_="below")


def _savings(report: Report, truncation: Truncation) -> Element | None:
    """What all timesteps, the cut and the exit cost, beside each other."""
    cost, exits, test, full, cut = report.cost, report.exit_cost, truncation.test, truncation.timesteps, truncation.chosen
    if cost is None or test is None:
        return None
    bands = (cost.dynamic, cost.total, cost.latency)
    most, less = ([b.mean[steps - 1] for b in bands] for steps in (full, cut))
    rows = [
        _row("all " + setting("T", full), full, test.accuracy_full, most, most),
        _row("cut to " + setting("T'", cut), cut, test.accuracy_chosen, less, most),
    ]
    if exits and truncation.exit and truncation.exit.test:
        values = [b.mean[0] for b in (exits.dynamic, exits.total, exits.latency)]
        rows.append(_row("early exit", truncation.exit.mean_steps, truncation.exit.test.accuracy_chosen, values, most))
    head = ["", "timesteps", "test accuracy", "dynamic energy", "total energy", "latency"]
    note = (
        "Means per test sample; in brackets, the change against all T. Energy of a fixed number of timesteps is that of samples streamed back "
        "to back; with early exit they run one after the other, and what the layers have begun when the answer comes out is paid for."
    )
    return el(
        "div",
        el("h3", "What is saved"),
        data_table(head, rows, (1, 2, 3, 4, 5), "What is saved"),
        el("p", note, class_="aside"),
        class_="below",
    )


def _conformal(report: Report, truncation: Truncation) -> Element | None:
    """The early exit beside those that promise something else, on the same records."""
    if not truncation.conformal:
        return None
    costs = dict(zip(truncation.conformal, report.conformal_cost))
    rows = [
        _exit_row(e.name, e.mean_steps, e.accuracy, (percent(e.coverage), f"{e.set_size:.3f}"), costs.get(e)) for e in truncation.conformal
    ]
    own = truncation.exit
    if own and own.test and own.threshold is not None:
        rows.insert(0, _exit_row("margin (ours)", own.mean_steps, own.test.accuracy_chosen, (DASH, DASH), report.exit_cost))
    head = ["exit", "timesteps", "test accuracy", "true class in set", "classes in set", "dynamic energy", "latency"]
    note = (
        "Ours promises how little accuracy is lost against all T and against float, with a confidence over validation sets. Conformal sets "
        "(SpikeCP, Chen, Park and Simeone 2023, arXiv 2305.11322) promise how often the set where a sample stops holds the true class, on "
        f"average over validation sets too; a sample stops once its set has one class. Calibrated on {counted(truncation.samples, 'validation sample')}, "
        "measured on test data. Bonferroni's promise holds without conditions, Simes' where timesteps depend positively."
    )
    return el(
        "div",
        el("h3", "Early exit beside conformal sets"),
        data_table(head, rows, (1, 2, 3, 4, 5, 6), "Early exit beside conformal sets"),
        el("p", note, class_="aside"),
        class_="below",
    )


def _exit_row(name: str, steps: float, accuracy: float, sets: tuple[str | Quantity, str], cost: ExitCost | None) -> list[Child]:
    prices = (
        [Quantity(si(band.mean[0], unit), band.mean[0], unit) for band, unit in ((cost.dynamic, "J"), (cost.latency, "s"))]
        if cost
        else [DASH] * 2
    )
    return [name, Quantity(f"{steps:.3g}", steps), percent(accuracy), *sets, *prices]


def _row(name: str, steps: float, accuracy: float, values: list[float], most: list[float]) -> list[Child]:
    cells = [
        Quantity(si(value, unit) + (f" ({100 * (value / whole - 1):+.0f} %)" if value != whole else ""), value, unit)
        for value, whole, unit in zip(values, most, ("J", "J", "s"))
    ]
    return [name, Quantity(f"{steps:.3g}", steps), percent(accuracy), *cells]
