"""What a task costs a scheduler, for `workers.py`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import distributed
import psutil

from spikeport.cluster.dask_workers import DaskWorkers

IDLE = 5.0
"""Seconds of a scheduler with nothing to do."""
START = 120
"""Seconds until a scheduler must have its workers."""
SMALL_WORKERS = """
import asyncio, sys
from distributed import Worker

async def work(place, count):
    workers = [Worker(scheduler_file=place, nthreads=1, memory_limit=0, dashboard=False) for _ in range(count)]
    await asyncio.gather(*workers)
    await asyncio.Event().wait()

asyncio.run(work(sys.argv[1], int(sys.argv[2])))
"""
"""A program of many workers."""


@contextmanager
def scheduler(folder: Path, workers: int) -> Iterator[tuple[psutil.Process, distributed.Client]]:
    """A scheduler that is a process of its own, its so many workers threads of another."""
    place, quiet = folder / "scheduler.json", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    module = [
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        str(place),
    ]
    started = [[sys.executable, *module], [sys.executable, "-c", SMALL_WORKERS, str(place), str(workers)]]
    running = [subprocess.Popen(words, **quiet) for words in started]
    try:
        with distributed.Client(scheduler_file=str(place), timeout=START) as client:
            client.wait_for_workers(workers, timeout=START)
            yield psutil.Process(running[0].pid), client
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()


def overhead(workers: int, tasks: int) -> float:
    """The scheduler's seconds of processor time for a task that does nothing, beyond what its
    workers' heartbeats cost it anyway.
    """
    with tempfile.TemporaryDirectory() as folder, scheduler(Path(folder), workers) as (process, client):
        many = DaskWorkers(client, dict)
        list(many.each(abs, ((-1,) for _ in range(workers))))
        _, idle = scheduled(process, lambda: time.sleep(IDLE))
        seconds, busy = scheduled(process, lambda: list(many.each(abs, ((-i,) for i in range(tasks)))))
    return (busy - seconds * idle / IDLE) / tasks


def scheduled(process: psutil.Process, work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock, and of the process's processor time meanwhile."""
    began, before = time.perf_counter(), process.cpu_times()
    work()
    seconds, after = time.perf_counter() - began, process.cpu_times()
    return seconds, after.user + after.system - before.user - before.system
