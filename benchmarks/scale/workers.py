"""Two workers against one process, and what one more task costs a scheduler.

    python benchmarks/scale/workers.py [--samples 400000] [--into docs/scale.md]

Every figure has its target beside it. Evaluation (`cost`'s record on the engine), comparison
(`verify`) and a sweep of trainings run in one process with one thread, and then on two workers
with one thread each; they take turns, and the fastest of three rounds counts. So that it shows
what is the workers' and what the machine's, two plain processes do a half each at the same time
too: two cores that share caches and memory do less than twice the work of one. All are started,
and have done each kind of work once, before the clock.

What a task costs the scheduler is its processor time, for empty tasks of 8, 32 and 128 workers that
are threads of another process. Writes benchmarks/results/scale.json.
"""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import distributed
import numpy as np
import torch

from spikeport.cluster.dask_workers import local_workers
from spikeport.cluster.files import SharedFile
from spikeport.cluster.shards import Files, Run, records, verified
from spikeport.cluster.workers import HERE, Task, Workers
from spikeport.export.common.digest import content_digest
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
from scheduler import overhead

RESULTS = Path(__file__).parents[1] / "results" / "scale.json"
WORKERS, MANY, TASKS = 2, (8, 32, 128), 400
SENT = 1 << 12
"""Samples of the record whose bytes are counted as it is sent."""
SPEED_UP = 1.8
HEAD = "| what | one process | two plain processes, a half each; speed-up | two workers; speed-up | target | same result |"
OVERHEAD = 1e-3
"""Seconds of a scheduler for a task, as Dask's documentation has it at most."""


@dataclass(frozen=True)
class Work:
    """One kind. whole, half, few: the work, half of it, and little of it to warm up; each a
    function of a module and its arguments, but for the workers.
    """

    what: str
    units: int
    whole: Task
    half: Task
    few: Task


@dataclass(frozen=True)
class Figure:
    """seconds: of one process, of two plain processes with a half each, and of two workers; caller:
    of those, processor time of the process that has the workers.
    """

    what: str
    units: int
    one: float
    plain: float
    two: float
    caller: float
    equal: bool

    @property
    def speed_up(self) -> float:
        """Of two workers."""
        return self.one / self.two

    @property
    def possible(self) -> float:
        """Of two processes that know nothing of each other."""
        return self.one / self.plain


def evaluation(run: Run, workers: Workers) -> object:
    """What `cost` counts: outputs, counts, overflows."""
    record = join_records(records(workers, run, "engine", "counts", lambda count: None), run.count)
    return content_digest("evaluation", record.output, record.spike_counts, record.overflows)


def comparison(run: Run, workers: Workers) -> object:
    """`verify` of the engine."""
    return verified(workers, run, ["engine"], None, lambda count: None)


def sweep(seeds: list[int], epochs: int, workers: Workers) -> object:
    """Trainings, up to their accuracies."""
    asked = SweepConfig(train={"epochs": epochs, "timesteps": 4}, vary={"seed": seeds})
    with tempfile.TemporaryDirectory() as out:
        found = run_sweep(asked, plan(asked, "benchmark"), Path(out), None, silent_bar, lambda: None, workers=workers)
    return found.points


def here(task: Task) -> object:
    """Work in this process."""
    return task[0](*task[1:], HERE)


def timed(work: Callable[[], object]) -> tuple[float, float, object]:
    """Seconds, those of this process's processor time, and what came out."""
    began, busy = time.perf_counter(), time.process_time()
    made = work()
    return time.perf_counter() - began, time.process_time() - busy, made


def compared(work: Work, pool: Pool, workers: Workers, rounds: int) -> Figure:
    """Warmed up, then by turns; the fastest of each counts."""
    here(work.few), pool.map(here, [work.few] * WORKERS, chunksize=1), work.few[0](*work.few[1:], workers)
    ways: list[Callable[[], object]] = [
        lambda: here(work.whole),
        lambda: pool.map(here, [work.half] * WORKERS, chunksize=1),
        lambda: work.whole[0](*work.whole[1:], workers),
    ]
    turns = [[timed(way) for way in ways] for _ in range(rounds)]
    one, plain, two = (min(seconds for seconds, _, _ in times) for times in zip(*turns))
    caller = min(busy for _, _, (_, busy, _) in turns)
    return Figure(work.what, work.units, one, plain, two, caller, all(alone == shared for (*_, alone), _, (*_, shared) in turns))


def trained_source(samples: int, folder: Path) -> Files:
    """A network trained on the digits, and so many of them."""
    config = plan(SweepConfig(train={"epochs": 1, "timesteps": 4}, vary={"seed": [0]}), "benchmark")[0].config
    data = training_data(config, None)
    session = TrainedSession(Workspace(folder / "run"), train(config, data, folder / "run"), data, silent_bar)
    quantize_stage(session, folder / "network.nir", QuantizationConfig())
    np.save(folder / "x.npy", np.resize(data.test.array, (samples, *data.task.shape)))
    return Files(read_nir, SharedFile.of(folder / "network.nir"), SharedFile.of(folder / "x.npy"))


def measure(samples: int, epochs: int, rounds: int, folder: Path) -> dict:
    """Everything."""
    source = trained_source(samples, folder)
    size = (folder / "x.npy").stat().st_size // samples

    def run(count: int) -> Run:
        return Run(source, source.network().timesteps, count, size * count)

    few, part = run(32), samples // 80
    works = [
        Work("evaluation, samples", samples, (evaluation, run(samples)), (evaluation, run(samples // 2)), (evaluation, few)),
        Work("verify, samples", part, (comparison, run(part)), (comparison, run(part // 2)), (comparison, few)),
        Work(f"sweep, trainings of {epochs} epochs", 2, (sweep, [0, 1], epochs), (sweep, [0], epochs), (sweep, [0, 1], 1)),
    ]
    load_then = os.getloadavg()[0]
    with get_context("spawn").Pool(WORKERS) as pool, local_workers(WORKERS, dict) as workers:
        figures = [compared(work, pool, workers, rounds) for work in works]
    record = join_records(records(HERE, run(SENT), "engine", "counts", lambda count: None), SENT)
    return {
        "load when started": round(load_then, 1),
        "cores": os.cpu_count(),
        "dask": distributed.__version__,
        "torch": torch.__version__,
        "figures": [{**asdict(f), "speed_up": f.speed_up, "possible": f.possible, "target": SPEED_UP} for f in figures],
        "bytes in a sample": size,
        "bytes back a sample": len(pickle.dumps(record)) / SENT,
        "overhead": {"tasks": TASKS, "seconds a task": {str(many): overhead(many, TASKS) for many in MANY}, "target": OVERHEAD},
    }


def table(found: dict) -> str:
    """As Markdown."""
    rows = [HEAD, f"|{'---|' * (HEAD.count('|') - 1)}"]
    rows += [
        f"| {f['what']} ({f['units']:,}) | {f['one']:.1f} s | {f['plain']:.1f} s; {f['possible']:.2f} | "
        f"{f['two']:.1f} s; {f['speed_up']:.2f} | {f['target']} | {'yes' if f['equal'] else 'NO'} |"
        for f in found["figures"]
    ]
    overheads = found["overhead"]["seconds a task"]
    told = ", ".join(f"{1e3 * seconds:.2f} ms with {many}" for many, seconds in overheads.items())
    return "\n".join(
        [
            *rows,
            "",
            f"Load of the {found['cores']} cores when it began: {found['load when started']}. The scheduler's processor time "
            f"for a task: {told} workers (target {1e3 * OVERHEAD:g} ms). A sample is {found['bytes in a sample']:,} bytes to read and "
            f"{found['bytes back a sample']:,.0f} bytes to send back; putting records together takes this process "
            f"{1e6 * found['figures'][0]['caller'] / found['figures'][0]['units']:.1f} µs of processor time a sample.",
        ]
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=400_000)
    parser.add_argument("--epochs", type=int, default=15, help="of each of a sweep's two trainings")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--into", type=Path, metavar="DOC.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(arguments.samples, arguments.epochs, arguments.rounds, Path(folder))
    write_json(RESULTS, found)
    publish(arguments.into, "scale/workers.py", table(found))


if __name__ == "__main__":
    main()
