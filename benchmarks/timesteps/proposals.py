"""How good the proposal of T' by Fisher information is against the exhaustive answer, over finished
run folders.

    python benchmarks/timesteps/proposals.py runs/* [--json benchmarks/results/proposals.json] [--into docs/results.md]

Reads each folder's report.json (spikeport run). Exhaustive answers are two: T' as it was shown on
validation data, with its confidence, and the smallest T' whose loss on the test data, as measured,
stays below the tolerance (in hindsight: no one can choose by it). Losses are those on test data
against the worse reference, T timesteps in fixed point or the float network. Without --into, the
Markdown goes to standard output; with it, it replaces what lies between the two marks in that file.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from spikeport.analysis.common.numbers import percent, points, si
from spikeport.analysis.results.report import Report, read_report
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import write_json

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `parts` lies

from parts import marks

SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of information still to come at which the proposals are compared."""
HEAD = (
    *("data, method", "T", "tolerance", "T' shown", "T' in hindsight", "T' proposed", "loss at T' shown", "loss at T' proposed"),
    *("energy at T", "energy at T' shown", "energy at T' proposed", "early exit"),
)


@dataclass(frozen=True)
class Row:
    """One run. losses: percentage points on test data at T' = 1 .. T; energies: dynamic joules per
    sample at T' = 1 .. T.

    proposals: T' by share still to come. exit_steps, exit_loss, exit_energy: of the early exit,
    None where none was shown.
    """

    name: str
    data: str
    method: str
    timesteps: int
    tolerance: float
    shown: int | None
    hindsight: int | None
    proposal: int
    proposals: dict[str, int]
    losses: tuple[float, ...]
    energies: tuple[float, ...]
    exit_steps: float | None
    exit_loss: float | None
    exit_energy: float | None


def row(folder: Path) -> Row:
    """What a folder's report says.

    Raises:
        InputError: no report there, or one without Fisher information, truncation or cost.
    """
    report = read_report(folder / "report.json")
    fisher, cut, cost = report.fisher, report.truncation, report.cost
    if not (fisher and cut and cut.proposal and cut.test and cost):
        raise InputError(f"{folder}/report.json lacks Fisher information, truncation or cost; make it with: spikeport run --out {folder}")
    losses, exits = _losses(report), cut.exit if report.exit_cost else None
    return Row(
        name=folder.name,
        data=report.configuration["train"]["data"],
        method=report.configuration["train"]["method"],
        timesteps=cut.timesteps,
        tolerance=cut.tolerance,
        shown=cut.chosen if cut.shown else None,
        hindsight=next((t for t, loss in enumerate(losses, 1) if loss < cut.tolerance), None),
        proposal=cut.proposal,
        proposals={f"{share:g}": fisher.proposal(share) for share in SHARES},
        losses=losses,
        energies=cost.dynamic.mean,
        exit_steps=exits.mean_steps if exits else None,
        exit_loss=max(exits.test.losses.full.value, exits.test.losses.floating.value) if exits and exits.test else None,
        exit_energy=report.exit_cost.dynamic.mean[0] if report.exit_cost else None,
    )


def _losses(report: Report) -> tuple[float, ...]:
    curve, cut = report.curve("quantized"), report.truncation
    assert curve and curve.split == "test" and cut and cut.test
    best = max(cut.test.accuracy_full, cut.test.accuracy_floating)
    return tuple(100 * (best - accuracy) for accuracy in curve.accuracy)


def markdown(rows: list[Row]) -> str:
    """The table of runs, and how the proposals compare at every share."""
    lines = [_line(HEAD), _line(["---", *["---:"] * (len(HEAD) - 1)]), *(_line(_cells(r)) for r in rows), ""]
    lines += ["The proposed T' by share of information still to come, in runs:", ""]
    lines.append(
        _line(("share still to come", "as shown", "later (timesteps wasted)", "earlier (not shown)", "loses the tolerance on test data"))
    )
    lines.append(_line(["---:"] * 5))
    lines += [_line(_compared(share, rows)) for share in rows[0].proposals]
    return "\n".join(lines)


def _cells(r: Row) -> list[str]:
    def at(values: tuple[float, ...], steps: int | None, unit: str) -> str:
        return "none" if steps is None else si(values[steps - 1], unit) if unit else f"{values[steps - 1]:.2f}"

    leave = "none" if r.exit_energy is None else f"{si(r.exit_energy, 'J')} ({r.exit_steps:.2f} steps, {r.exit_loss:.2f} points)"
    answers = [str(t) if t else "none" for t in (r.shown, r.hindsight, r.proposal)]
    losses = [at(r.losses, r.shown, ""), at(r.losses, r.proposal, "")]
    energies = [at(r.energies, t, "J") for t in (r.timesteps, r.shown, r.proposal)]
    return [f"{r.data}, {r.method}", str(r.timesteps), points(r.tolerance), *answers, *losses, *energies, leave]


def _compared(share: str, rows: list[Row]) -> list[str]:
    pairs = [(r.proposals[share], r) for r in rows if r.shown]
    same, late, early = (sum(test) for test in zip(*((t == r.shown, t > r.shown, t < r.shown) for t, r in pairs))) if pairs else (0, 0, 0)
    lost = sum(r.losses[r.proposals[share] - 1] >= r.tolerance for r in rows)
    return [percent(float(share), 0), f"{same} of {len(pairs)}", str(late), str(early), f"{lost} of {len(rows)}"]


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    """Read, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders that spikeport run wrote")
    parser.add_argument("--json", type=Path, metavar="OUT.json", help="write all numbers as JSON too")
    parser.add_argument("--into", type=Path, metavar="PAGE.md", help="replace the table in this page")
    arguments = parser.parse_args()
    try:
        rows = sorted((row(folder) for folder in arguments.runs), key=lambda r: (r.data, r.method, r.name))
        marks.publish(arguments.into, "timesteps/proposals.py", markdown(rows))
        if arguments.json:
            write_json(arguments.json, json.loads(json.dumps([asdict(r) for r in rows])))
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
