"""Which lever brings T' <= 2 on Fashion-MNIST: losses that ask for early answers, or fewer
timesteps to begin with. Each plan is one `spikeport run`, printed before it is started.

    python benchmarks/timesteps/fewer.py --data-dir DIR --out runs/fewer [--plans stbp-distilled ...] [--seeds 0 1]

For a calm machine: 10 to 20 minutes a run on one core, longer for noise. Begun again, it goes on
where it was stopped. Writes OUT/table.md after every run. --quick tries all on digits.

What speaks for the plans: at 0.5 points, 5,000 validation images show a loss of 0.1 only where few
answers change between T' and T (sqrt(changed / 5000) is its deviation). The full answer as a strong
teacher makes fewer of them change; so does a T that is near T'. Noise single-step trains at T = 1,
so its T costs no training; DSR's gradient is the same at every timestep, so no loss can make its
early timesteps better than the late ones, and T itself is its lever. The price of a small T is
accuracy at T, which must not fall below that of docs/results.md.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

from spikeport.analysis.common.numbers import percent, si
from spikeport.analysis.results.report import Report, read_report
from spikeport.cli import main as spikeport
from spikeport.export.common.files import write_text

LOGS = Path(__file__).resolve().parents[2] / "docs/logs"
PLANS: dict[str, tuple[str, list[str]]] = {
    "stbp-prefix": ("stbp", ["--loss", "prefix-cross-entropy"]),
    "stbp-distilled": ("stbp", ["--loss", "distilled-cross-entropy-4"]),
    "stbp-distilled-t3": ("stbp", ["--loss", "distilled-cross-entropy-4", "--timesteps", "3"]),
    "stbp-t2": ("stbp", ["--timesteps", "2", "--loss", "prefix-cross-entropy"]),
    "dsr-t3": ("dsr", ["--timesteps", "3", "--loss", "prefix-cross-entropy"]),
    "dsr-t2": ("dsr", ["--timesteps", "2"]),
    "noise-t3": ("noise", ["--timesteps", "3"]),
    "noise-t2": ("noise", ["--timesteps", "2"]),
}
"""Settings of the committed runs of each method, and what differs."""
TODAY = {"stbp": 0.9198, "dsr": 0.9203, "noise": 0.9334}
"""Fixed point at T on all test images, docs/results.md."""
GOAL = 2
QUICK = ["--data", "digits", "--arch", "8C3-P2-20", "--epochs", "2", "--tolerance", "20"]
HEAD = "| plan | seed | T | fixed point at T | T' | fixed point at T' | no lower than today's | samples that T' = 2 needs | early exit | energy at T' |"


def command(plan: str, seed: int, options: argparse.Namespace) -> list[str]:
    """The run of a plan."""
    method, changes = PLANS[plan]
    base = (
        [*QUICK, "--method", method]
        if options.quick
        else ["--config", str(LOGS / f"fashion-{method}.toml"), "--data-dir", options.data_dir]
    )
    samples = ["--lava-samples", "20"]
    return ["run", *base, *changes, *samples, "--seed", str(seed), "--out", str(options.out / f"{plan}-{seed}")]


def row(plan: str, seed: int, report: Report) -> str:
    """What a run reached."""
    cut, cost = report.truncation, report.cost
    assert cut and cut.test and cut.exit and cost
    steps = cut.steps[min(GOAL, cut.timesteps) - 1]
    missing = "shown" if steps.verdict == "shown" else f"{steps.samples_needed:,}" if steps.samples_needed else steps.verdict
    exits = (
        f"{percent(cut.exit.test.accuracy_chosen)} in {cut.exit.mean_steps:.2f}" if cut.exit.threshold and cut.exit.test else "none shown"
    )
    kept = "yes" if cut.test.accuracy_chosen >= TODAY[PLANS[plan][0]] else "no"
    found = f"{cut.chosen}" if cut.shown else f"{cut.chosen}, nothing shown"
    cells = [plan, seed, cut.timesteps, percent(cut.test.accuracy_full), found, percent(cut.test.accuracy_chosen), kept, missing, exits]
    return f"| {' | '.join(map(str, cells))} | {si(cost.dynamic.mean[cut.chosen - 1], 'J')} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", default="", help="folder with Fashion-MNIST's idx files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plans", nargs="+", choices=PLANS, default=list(PLANS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--quick", action="store_true", help="two epochs on digits")
    options = parser.parse_args()
    lines = [HEAD, f"|{'---|' * (HEAD.count('|') - 1)}"]
    for plan, seed in product(options.plans, options.seeds):
        arguments = command(plan, seed, options)
        print("spikeport", *arguments, flush=True)
        if status := spikeport(arguments):
            raise SystemExit(status)
        lines.append(row(plan, seed, read_report(options.out / f"{plan}-{seed}" / "report.json")))
        write_text(options.out / "table.md", "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
