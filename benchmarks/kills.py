"""Kills `spikeport run` at random moments and runs it again: is what it left readable, and does it
end as an undisturbed run does?

    python benchmarks/kills.py [--kills 50] [--seed 0]

Each kill (SIGKILL, so nothing can be tidied up) comes at a moment drawn over the length of an
undisturbed run after its imports. The same command is then started again, up to three kills a
folder; then it runs to its end, and its weights and its report are compared with those of the
undisturbed run. Writes benchmarks/results/kills.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from spikeport.export.common.files import read_json, write_json

RESULTS = Path(__file__).parent / "results" / "kills.json"
RUN = ["run", "--epochs", "4", "--tolerance", "5", "--backends", "engine"]
KILLS_A_FOLDER = 3
STAGES = ("config.toml", "model.safetensors", "network.nir", "tic.json", "truncation.json", "verify.json", "report.json")


@dataclass
class Outcome:
    """kills: that hit a running process. reached: kills by the last file that was there. left:
    files beside the known ones.
    """

    kills: int = 0
    folders: int = 0
    reached: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)


def command(out: Path) -> list[str]:
    """The run, as its user types it."""
    return [sys.executable, "-m", "spikeport", *RUN, "--out", str(out)]


def finished(out: Path) -> subprocess.CompletedProcess:
    """To its end."""
    return subprocess.run(command(out), capture_output=True, text=True, check=False)


def content(out: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Weights, and the report but for what names the day."""
    report = read_json(out / "report.json")
    return load_file(out / "model.safetensors"), {k: v for k, v in report.items() if k not in ("date", "warnings")}


def same(a: Path, b: Path) -> bool:
    """Whether two runs ended alike, bit for bit."""
    (weights, report), (others, other) = content(a), content(b)
    return weights.keys() == others.keys() and all(np.array_equal(weights[k], others[k]) for k in weights) and report == other


def killed(out: Path, moment: float) -> bool:
    """Whether the kill hit."""
    child = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        child.wait(moment)
        return False
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return True


def main() -> None:
    """Run, kill, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, outcome = np.random.default_rng(arguments.seed), Outcome()
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        start = time.perf_counter()
        finished(whole)
        length = time.perf_counter() - start
        known = {path.name for path in whole.rglob("*")}
        while outcome.kills < arguments.kills:
            out = Path(place) / f"run{outcome.folders}"
            outcome.folders += 1
            for _ in range(min(KILLS_A_FOLDER, arguments.kills - outcome.kills)):
                outcome.kills += killed(out, rng.uniform(0.3, 1.0) * length)
                reached = next((name for name in reversed(STAGES) if (out / name).exists()), "nothing")
                outcome.reached[reached] = outcome.reached.get(reached, 0) + 1
            ended = finished(out)
            if ended.returncode:
                outcome.failed.append(ended.stderr.strip().splitlines()[-1] if ended.stderr.strip() else f"exit {ended.returncode}")
            elif not same(whole, out):
                outcome.different.append(out.name)
            outcome.left += [p.name for p in out.rglob("*") if p.name not in known and "tfevents" not in p.name]
            print(
                f"{outcome.kills} kills, {outcome.folders} folders, {len(outcome.failed)} failed, {len(outcome.different)} different",
                flush=True,
            )
    write_json(RESULTS, asdict(outcome) | {"seconds": length})
    print(outcome)


if __name__ == "__main__":
    main()
