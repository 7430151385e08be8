"""What finished runs reached: published, float, fixed point, T', energy, latency, Lava, time; one
line per run.

    python benchmarks/results_table.py runs/mnist-noise runs/fashion-noise ... [--into docs/results.md]

Reads report.json and train.json of each folder (spikeport run). Without --into, the Markdown goes
to standard output.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from parts import marks

from spikeport.analysis.common.numbers import percent, si
from spikeport.analysis.results.report import Report, read_report
from spikeport.export.common.errors import InputError

PUBLISHED = {
    ("mnist", "tssl-bp"): "99.50 % (99.40 reproduced), this network, 100 epochs",
    ("mnist", "noise"): "99.61 %, this network",
    ("fashion-mnist", "noise"): "93.89 %, this network",
}
"""Zhang and Li 2020 and its reproduction; Jiang and Zhang 2022, T = 5.

Wu et al. 2018 and Meng et al. 2022 have none on these data and networks.
"""
HEAD = (
    *("data, method", "published", "epochs, seconds", "float", "fixed point at T", "T'", "fixed point at T'"),
    *("worse loss, points (95 %)", "Fisher's T'", "early exit", "energy", "latency", "on Lava"),
)


def line(folder: Path) -> tuple[str, ...]:
    """A run's cells.

    Raises:
        InputError: a report without truncation, cost or verification.
    """
    report = read_report(folder / "report.json")
    cut, cost, verified = report.truncation, report.cost, report.verification
    fixed, floating = report.curve("quantized"), report.curve("float")
    if not (cut and cut.test and cost and verified and fixed and floating):
        raise InputError(f"{folder}/report.json lacks truncation, cost or verification; make it with: spikeport run --out {folder}")
    config, history = report.configuration["train"], json.loads((folder / "train.json").read_text())["history"]
    worse = max(cut.test.losses.full, cut.test.losses.floating, key=lambda loss: loss.value)
    steps = (cut.timesteps, cut.chosen)
    return (
        f"{config['data']}, {config['method']}",
        PUBLISHED.get((config["data"], config["method"]), ""),
        f"{len(history)}, {sum(epoch['seconds'] for epoch in history):.0f}",
        percent(floating.accuracy[-1]),
        percent(fixed.accuracy[-1]),
        f"{cut.timesteps} to {cut.chosen}" if cut.shown and cut.chosen < cut.timesteps else f"{cut.timesteps}, no cut shown",
        percent(fixed.accuracy[cut.chosen - 1]),
        f"{worse.value:.2f} ({worse.low:.2f} to {worse.high:.2f})",
        str(cut.proposal),
        _exit(report),
        " to ".join(si(cost.dynamic.mean[t - 1], "J") for t in steps),
        " to ".join(si(cost.latency.mean[t - 1], "s") for t in steps),
        f"{verified.samples} samples, {verified.differences.get('lava', 'not run')} differences",
    )


def _exit(report: Report) -> str:
    cut = report.truncation
    if not (cut and cut.exit and cut.exit.test and report.exit_cost):
        return "none shown"
    reached, steps = percent(cut.exit.test.accuracy_chosen), f"{cut.exit.mean_steps:.2f} steps"
    return f"{reached}, {steps}, {si(report.exit_cost.dynamic.mean[0], 'J')}"


def markdown(folders: list[Path]) -> str:
    """Runs as rows."""
    rows = [HEAD, ("---",) * len(HEAD), *map(line, folders)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> int:
    """Read and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders that spikeport run wrote")
    parser.add_argument("--into", type=Path, metavar="PAGE.md", help="replace the table in this page")
    arguments = parser.parse_args()
    try:
        marks.publish(arguments.into, "results_table.py", markdown(arguments.runs))
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
