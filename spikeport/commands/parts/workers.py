"""`--workers` and `--scheduler`: one work on many processes or machines."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from spikeport.cluster.files import SharedFile
from spikeport.cluster.shards import Files, Run, Source, records
from spikeport.cluster.workers import HERE, Workers
from spikeport.commands.parts.options import progress_bar
from spikeport.commands.parts.sources import load_quantized
from spikeport.export.common.errors import InputError
from spikeport.export.common.progress import LOUDNESS, say
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.backends.parts import parts_of, run_parts
from spikeport.hw.backends.simulate import Backend
from spikeport.hw.records.record import RecordLevel, SpikeRecord

MANY = ("workers", "scheduler")
"""Arguments of `add_workers`."""


def add_workers(parser: argparse.ArgumentParser) -> None:
    """`--workers` and `--scheduler`."""
    group = parser.add_argument_group("many processes, or machines, with the same result (docs/scale.md)")
    group.add_argument("--workers", type=int, metavar="N", help="share the work among N processes of this machine")
    group.add_argument("--scheduler", metavar="ADDRESS", help="or among the workers of a Dask cluster, such as tcp://10.0.0.1:8786")


def many(arguments: argparse.Namespace) -> bool:
    """Whether the work is to be shared out."""
    return arguments.workers is not None or arguments.scheduler is not None


@contextmanager
def workers_of(arguments: argparse.Namespace) -> Iterator[Workers]:
    """Those that were asked for, with a line of where to watch them; this process where none were.

    Raises:
        InputError: Dask is missing, or there is no such cluster.
    """
    if not many(arguments):
        yield HERE
        return
    if arguments.workers is not None and arguments.scheduler is not None:
        raise InputError("--workers are of this machine, --scheduler has workers of its own; give one of them")
    from spikeport.cluster.dask_workers import local_workers, remote_workers  # noqa: PLC0415  an extra, and slow to import

    prepare = partial(_load, tuple(path.resolve() for path in arguments.plugin))
    opened = local_workers(arguments.workers, prepare) if arguments.scheduler is None else remote_workers(arguments.scheduler, prepare)
    with opened as workers:
        if not LOUDNESS.quiet:
            say(f"{workers.slots} at a time; dashboard {workers.dashboard}")
        yield workers


def files_of(network: Path, array: Path) -> Files:
    """A quantized network and an `.npy` file that were read here, for workers to read."""
    return Files(load_quantized, SharedFile.of(network), SharedFile.of(array))


@contextmanager
def records_of(
    arguments: argparse.Namespace,
    network: QuantizedNetwork,
    array: np.ndarray,
    timesteps: int,
    *,
    source: Callable[[], Source],
    name: str = "engine",
    level: RecordLevel = "counts",
    run: Backend | None = None,
    what: str = "",
    first: int = 0,
) -> Iterator[Iterator[SpikeRecord]]:
    """A backend's records of an input from sample `first` on, part after part, here or on workers.

    source: where those find the input. run: what runs here, the backend of that name unless given.
    what: on the progress bar, for that name.
    """
    with ExitStack() as stack:
        if many(arguments):
            whole = Run(source(), timesteps, len(array), array.nbytes, first)
            workers = stack.enter_context(workers_of(arguments))
            progress = stack.enter_context(progress_bar(len(array), what or name))
            progress(first)
            yield records(workers, whole, name, level, progress)
            return
        parts = parts_of(network, array, timesteps, level, first=first)
        progress = stack.enter_context(progress_bar(len(array), what or name))
        progress(first)
        yield run_parts(name, network, parts, level, run=run, progress=progress)


def _load(plugins: tuple[Path, ...]) -> None:
    """Parts of one's own, in a worker; those that are there already stay."""
    if plugins:
        from spikeport.api.parts import load_plugin  # noqa: PLC0415  loads the training package

        for file in plugins:
            load_plugin(file)
