"""Two sweeps at once on one machine: each ends as if it were alone, and a folder has one owner."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spikeport.export.common.files import read_json

SWEEP = ["sweep", "--arch", "4C3-P2-16", "--epochs", "2", "--samples", "32", "--vary", "timesteps=2,3", "-q"]


def started(out: Path, seed: int = 0) -> subprocess.Popen:
    command = [sys.executable, "-m", "spikeport", *SWEEP, "--seed", str(seed), "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen) -> tuple[int, str]:
    error = process.communicate()[1]
    return process.returncode, error


@pytest.mark.slow
def test_two_sweeps_at_once(tmp_path):
    assert ended(started(tmp_path / "alone"))[0] == 0
    both = [started(tmp_path / "one"), started(tmp_path / "two", seed=1)]
    while not (tmp_path / "one" / ".spikeport.lock").exists() and both[0].poll() is None:
        time.sleep(0.05)
    both[0].send_signal(signal.SIGSTOP)  # still at work when the third looks, however long that takes to start
    status, error = ended(started(tmp_path / "one"))
    both[0].send_signal(signal.SIGCONT)
    assert status == 2 and "another process of spikeport is at work" in error and error.count("\n") == 1
    assert [ended(process)[0] for process in both] == [0, 0]
    assert read_json(tmp_path / "one" / "sweep.json") == read_json(tmp_path / "alone" / "sweep.json")
    assert read_json(tmp_path / "two" / "sweep.json") != read_json(tmp_path / "one" / "sweep.json")
    names = [
        sorted(str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("*") if not path.name.startswith("events."))
        for name in ("alone", "one")
    ]
    assert names[0] == names[1], "a refused sweep leaves nothing"
