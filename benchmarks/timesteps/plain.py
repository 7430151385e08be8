"""Fisher information as a proposal of T', against plain ones at no greater cost, over finished run
folders.

    python benchmarks/timesteps/plain.py runs/* [--samples 256] [--data-dir DIR] [--json OUT.json] [--into docs/results.md]

All look at the same training samples, run in float for all T timesteps; Fisher information needs
gradients too. Each has one number, the rule: T' is the first timestep after which less than that is
missing of what T timesteps bring. The rule is chosen on all runs but one and tried on that one, for
each run in turn: by the runs in which it comes within one timestep of what was shown on validation
data, then by the mean distance. Runs in which nothing was shown are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from spikeport.analysis.results.report import read_report
from spikeport.export.common.files import write_json
from spikeport.export.common.progress import silent_bar
from spikeport.stages.tic import TicConfig
from spikeport.stages.trained import TrainedSession
from spikeport.train.loop.evaluation import readout_currents

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `parts` lies

from parts import marks

RULES = {
    "Fisher information, share still to come": (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
    "accuracy lost against T": (0.0, 0.002, 0.004, 0.008, 0.012, 0.016, 0.02, 0.03),
    "answers that differ from T's": (0.0, 0.004, 0.008, 0.012, 0.016, 0.02, 0.03, 0.05, 0.08),
    "KL divergence to T's answer, nats": (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.02, 0.03, 0.05, 0.1),
    "margin lacking of T's": (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4),
    "none: always so many timesteps": (1, 2, 3, 4, 5, 6),
}
"""What may be missing, by proposal; the last looks at nothing."""
TRUNCATE = "accuracy lost on 5,000 samples, half the tolerance (`truncate`)"
"""Has its rule already."""
NEAR = 1
GOAL = 0.8


@dataclass(frozen=True)
class Run:
    """missing: by proposal, what T timesteps bring beyond the first t, for t = 1 .. T. began: what
    `spikeport truncate` began its tests with.
    """

    name: str
    timesteps: int
    shown: int
    began: int
    missing: Mapping[str, tuple[float, ...]]

    def proposed(self, proposal: str, most: float) -> int:
        """T' by a rule."""
        return next((t for t, rest in enumerate(self.missing[proposal], 1) if rest <= most), self.timesteps)


def read(folder: Path, data_dir: Path | None, samples: int) -> Run | None:
    """A run, or none where nothing was shown."""
    cut = read_report(folder / "report.json").truncation
    if not cut or not cut.shown:
        return None
    session = TrainedSession.opened(folder, data_dir, silent_bar)
    part, timesteps = session.training[:samples], session.timesteps
    currents = torch.cat(list(readout_currents(session.trained.module, part.images, timesteps)), dim=1)
    scores = currents.cumsum(0) / torch.arange(1, timesteps + 1)[:, None, None]
    answers, log_p, best = scores.argmax(2), scores.log_softmax(2), scores.topk(2, dim=2).values
    right = (answers == torch.from_numpy(part.labels)).double().mean(1)
    margin = (best[..., 0] - best[..., 1]).double().mean(1)
    fisher = session.information(TicConfig(samples=len(part), seed=session.seed), lambda count: None)
    missing = (
        np.array(fisher.to_come),
        (right[-1] - right).numpy(),
        (answers != answers[-1]).double().mean(1).numpy(),
        (log_p[-1].exp() * (log_p[-1] - log_p)).double().sum(2).mean(1).numpy(),
        (1 - margin / margin[-1]).numpy(),
        -np.arange(1, timesteps + 1.0),  # "at most -n" is met from timestep n on
    )
    found = {name: tuple(map(float, values)) for name, values in zip(RULES, missing)}
    return Run(folder.name, timesteps, cut.chosen, cut.began or timesteps, found)


def rules(proposal: str) -> tuple[float, ...]:
    """What is tried."""
    return tuple(-n for n in RULES[proposal]) if proposal.startswith("none") else RULES[proposal]


def distances(runs: list[Run], proposal: str, most: float) -> np.ndarray:
    """Timesteps between what a rule proposes and what was shown."""
    return np.array([abs(run.proposed(proposal, most) - run.shown) for run in runs])


def chosen(runs: list[Run], proposal: str) -> float:
    """The rule that does best on these runs."""

    def badness(most: float) -> tuple[float, float]:
        off = distances(runs, proposal, most)
        return -(off <= NEAR).mean(), off.mean()

    return min(rules(proposal), key=badness)


def left_out(runs: list[Run], proposal: str) -> list[int]:
    """For each run, what the rule proposes that was chosen on the others."""
    return [run.proposed(proposal, chosen([other for other in runs if other is not run], proposal)) for run in runs]


def table(runs: list[Run]) -> str:
    """As Markdown: every run, then every proposal."""
    found = {**{proposal: left_out(runs, proposal) for proposal in RULES}, TRUNCATE: [run.began for run in runs]}
    short = [*(name.partition(",")[0].partition(":")[0] for name in RULES), "`truncate`"]
    lines = [f"| run | T | T' shown | {' | '.join(short)} |", "|---|" + "---:|" * (2 + len(short))]
    lines += [
        f"| {run.name} | {run.timesteps} | {run.shown} | {' | '.join(str(values[i]) for values in found.values())} |"
        for i, run in enumerate(runs)
    ]
    lines += [
        "",
        f"| proposal | within one timestep (goal {GOAL:.0%}) | the same | too early | mean distance |",
        "|---|---:|---:|---:|---:|",
    ]
    for proposal, values in found.items():
        off = np.array(values) - [run.shown for run in runs]
        near = f"{(abs(off) <= NEAR).sum()} of {len(runs)}"
        lines.append(f"| {proposal} | {near} | {(off == 0).sum()} | {(off < 0).sum()} | {abs(off).mean():.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Read, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders that spikeport run wrote")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--json", type=Path, metavar="OUT.json")
    parser.add_argument("--into", type=Path, metavar="PAGE.md")
    options = parser.parse_args()
    runs = [run for folder in options.runs if (run := read(folder, options.data_dir, options.samples))]
    marks.publish(options.into, "timesteps/plain.py", table(runs))
    if options.json:
        write_json(options.json, {"samples": options.samples, "runs": [asdict(run) for run in runs]})


if __name__ == "__main__":
    main()
