"""A command's time and memory, from outside: what it and its children hold that is no file's page."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

EVERY = 0.05
"""Seconds between two looks."""


@dataclass(frozen=True)
class Use:
    """status: exit status. seconds: by the clock. processor: seconds of processor time, children's
    included. anonymous: peak over looks of the anonymous
    resident bytes of the process and its children together; the kernel drops pages of mapped files
    as it likes. resident: the peak with those.
    """

    command: str
    status: int
    seconds: float
    processor: float
    anonymous: int
    resident: int

    def __str__(self) -> str:
        return f"{self.command}: exit {self.status}, {self.seconds:.1f} s ({self.processor:.1f} s of processor time), {self.anonymous / 1e6:,.0f} MB anonymous ({self.resident / 1e6:,.0f} MB resident)"

    def to_json(self) -> dict:
        """JSON values."""
        return asdict(self)


def measured(name: str, *arguments: str | Path, out: Path | None = None) -> Use:
    """Run `spikeport ARGUMENTS`, its output to a file where one is given, and look at it until it
    ends.
    """
    began, peaks = time.monotonic(), (0, 0)
    with (out or Path("/dev/null")).open("w") as file:
        child = subprocess.Popen([sys.executable, "-m", "spikeport", *map(str, arguments)], stdout=file, stderr=subprocess.STDOUT)
        while not (ended := os.wait4(child.pid, os.WNOHANG))[0]:
            now = held_by(child.pid)
            peaks = (max(peaks[0], now[0]), max(peaks[1], now[1]))
            time.sleep(EVERY)
    child.returncode = os.waitstatus_to_exitcode(ended[1])
    return Use(name, child.returncode, time.monotonic() - began, ended[2].ru_utime + ended[2].ru_stime, *peaks)


def held_by(pid: int) -> tuple[int, int]:
    """Anonymous and all resident bytes of a process and its children now, 0 of those that are gone."""
    anonymous = resident = 0
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        values = {
            key: int(value.split()[0]) << 10 for key, _, value in (line.partition(":") for line in lines) if key in ("RssAnon", "VmRSS")
        }
        anonymous, resident = values.get("RssAnon", 0), values.get("VmRSS", 0)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    except OSError:
        return anonymous, resident
    for child in children:
        anonymous, resident = (a + b for a, b in zip((anonymous, resident), held_by(int(child))))
    return anonymous, resident
