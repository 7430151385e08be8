"""Two workers against one process, and what one more task costs a scheduler.

    python benchmarks/scale/workers.py [--samples 8000] [--into docs/scale.md]

Every figure has its target beside it. Evaluation (`cost`'s record on the engine), comparison
(`verify`) and a sweep of trainings run in one process with one thread, and then on two workers with
one thread each; workers are started before the clock. The scheduler is loaded with empty tasks of
64 workers that are threads of one process. Writes benchmarks/results/scale.json.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import distributed
import numpy as np
import torch

from spikeport.cluster.dask_workers import DaskWorkers, local_workers
from spikeport.cluster.files import SharedFile
from spikeport.cluster.shards import Files, Run, records, verified
from spikeport.cluster.workers import HERE, Workers
from spikeport.export.common.files import write_json
from spikeport.export.common.progress import silent_bar
from spikeport.export.nir.file import read_nir
from spikeport.hw.records.record import join_records
from spikeport.stages.config import SweepConfig
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.pipeline import QuantizationConfig, quantize_stage
from spikeport.stages.sweep import plan, run_sweep
from spikeport.stages.trained import TrainedSession
from spikeport.train.loop.trainer import train
from spikeport.train.settings.training_data import training_data

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `parts` lies

from parts.marks import publish

RESULTS = Path(__file__).parents[1] / "results" / "scale.json"
WORKERS, MANY, TASKS = 2, 64, 2000
SPEED_UP = 1.8
OVERHEAD = 1e-3
"""Seconds of a scheduler for a task, as Dask's documentation has it at most."""


@dataclass(frozen=True)
class Figure:
    """seconds: of one process and of two workers."""

    what: str
    units: int
    one: float
    two: float
    equal: bool

    @property
    def speed_up(self) -> float:
        """Of two workers."""
        return self.one / self.two


def timed(work: Callable[[Workers], object], workers: Workers) -> tuple[float, object]:
    """Seconds, and what came out."""
    began = time.perf_counter()
    made = work(workers)
    return time.perf_counter() - began, made


def compared(what: str, units: int, work: Callable[[Workers], object], workers: Workers, alike: Callable[[object, object], bool]) -> Figure:
    """One process, then workers that have done it once on a few samples."""
    one, here = timed(work, HERE)
    two, there = timed(work, workers)
    return Figure(what, units, one, two, alike(here, there))


def same_records(a, b) -> bool:
    """Outputs and counts."""
    counts = all(np.array_equal(a.spike_counts[k], b.spike_counts[k]) for k in a.spike_counts)
    return np.array_equal(a.output, b.output) and counts and a.overflows == b.overflows


def overhead(workers: int, tasks: int) -> float:
    """Seconds a task that does nothing, with many workers in this process."""
    with (
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        many = DaskWorkers(client, dict)
        list(many.each(abs, ((-1,) for _ in range(workers))))
        began = time.perf_counter()
        found = list(many.each(abs, ((-i,) for i in range(tasks))))
        seconds = time.perf_counter() - began
    assert found == list(range(tasks))
    return seconds / tasks


def measure(samples: int, folder: Path) -> dict:
    """Everything."""
    asked = SweepConfig(train={"epochs": 1, "timesteps": 4}, vary={"seed": [0, 1]})
    points = plan(asked, "benchmark")
    config = points[0].config
    data = training_data(config, None)
    trained = train(config, data, folder / "run")
    session = TrainedSession(Workspace(folder / "run"), trained, data, silent_bar)
    quantize_stage(session, folder / "network.nir", QuantizationConfig())
    network = read_nir(folder / "network.nir")
    np.save(folder / "x.npy", np.resize(data.test.array, (samples, *data.task.shape)))
    source = Files(read_nir, SharedFile.of(folder / "network.nir"), SharedFile.of(folder / "x.npy"))
    whole = Run(source, network.timesteps, samples, (folder / "x.npy").stat().st_size)
    few = Run(source, network.timesteps, 32, whole.bytes * 32 // samples)
    part = Run(source, network.timesteps, max(32, samples // 20), whole.bytes // 20)

    def evaluation(run: Run) -> Callable[[Workers], object]:
        return lambda workers: join_records(records(workers, run, "engine", "counts", lambda count: None), run.count)

    def comparison(run: Run) -> Callable[[Workers], object]:
        return lambda workers: verified(workers, run, ["engine"], None, lambda count: None)

    def sweep(workers: Workers) -> object:
        with tempfile.TemporaryDirectory() as out:
            return run_sweep(asked, points, Path(out), None, silent_bar, lambda: None, workers=workers)

    load_then = os.getloadavg()[0]
    with local_workers(WORKERS, dict) as workers:
        for warm in (evaluation(few), comparison(few)):
            timed(warm, workers), timed(warm, HERE)
        figures = [
            compared("evaluation, samples", samples, evaluation(whole), workers, same_records),
            compared("verify, samples", part.count, comparison(part), workers, lambda a, b: a == b),
            compared("sweep, trainings", len(points), sweep, workers, lambda a, b: a.points == b.points),
        ]
    record = evaluation(few)(HERE)
    back = record.output.nbytes + sum(a.nbytes for m in (record.spike_counts, record.synaptic_events) for a in m.values())
    return {
        "load when started": round(load_then, 1),
        "cores": os.cpu_count(),
        "dask": distributed.__version__,
        "torch": torch.__version__,
        "figures": [{**asdict(f), "speed_up": f.speed_up, "target": SPEED_UP} for f in figures],
        "bytes in a sample": whole.bytes // samples,
        "bytes back a sample": back / few.count,
        "overhead": {"workers": MANY, "tasks": TASKS, "seconds a task": overhead(MANY, TASKS), "target": OVERHEAD},
    }


def table(found: dict) -> str:
    """As Markdown."""
    rows = ["| what | one process | two workers | speed-up | target | same result |", "|---|---|---|---|---|---|"]
    rows += [
        f"| {f['what']} ({f['units']:,}) | {f['one']:.1f} s | {f['two']:.1f} s | {f['speed_up']:.2f} | {f['target']} | {'yes' if f['equal'] else 'NO'} |"
        for f in found["figures"]
    ]
    o = found["overhead"]
    return "\n".join(
        [
            *rows,
            "",
            f"Load of the {found['cores']} cores when it began: {found['load when started']}. Scheduler: {1e3 * o['seconds a task']:.2f} ms a task "
            f"with {o['workers']} workers (target {1e3 * o['target']:g} ms). A sample is {found['bytes in a sample']:,} bytes to read and "
            f"{found['bytes back a sample']:,.0f} bytes to send back.",
        ]
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=8000)
    parser.add_argument("--into", type=Path, metavar="DOC.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(arguments.samples, Path(folder))
    write_json(RESULTS, found)
    publish(arguments.into, "scale/workers.py", table(found))


if __name__ == "__main__":
    main()
