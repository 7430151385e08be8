"""Workers of a Dask cluster: of this machine, or of many."""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

from spikeport.cluster.task import perform, program
from spikeport.cluster.workers import Task
from spikeport.export.common.errors import BackendError, InputError

try:
    import dask
    import distributed
    from distributed.scheduler import KilledWorker
except ImportError as error:
    raise InputError(f"work on many workers needs Dask ({error.name} is missing); pip install 'spikeport[scale]'") from None

T = TypeVar("T")
AHEAD = 4
"""Tasks of every slot that are sent before the first result is taken: enough that no slot waits for
this process, few enough that results do not pile up.
"""
REACH = 10.0
"""Seconds until a scheduler must answer."""
START = 120.0
"""Seconds until a cluster must have its first worker, or another after the last died."""
LOOK = 5.0
"""Seconds between looks at whether anybody is left."""
LOCAL: dict[str, Any] = {
    "distributed.worker.daemon": False,  # a worker may have children: Lava's processes
    "distributed.scheduler.allowed-failures": 5,  # whoever kills workers at random seldom hits a task so often
    "distributed.scheduler.worker-saturation": 1.0,  # nor is a task that only waited at a worker blamed for its death
    # Dask looks so long after a death whether the worker is there, and gives it up for good if not: also where it is
    # being started, anew or again. Who starts it tells of failures anyway.
    "distributed.deploy.lost-worker-timeout": "1000 days",
    "distributed.worker.profile.enabled": False,  # a hundred looks a second at what a worker does take 8 % of its core
    # Dask's own MALLOC_TRIM_THRESHOLD_ makes glibc map every larger array anew: neurons in NumPy took four times as long.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 1 << 28,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 1 << 25,
}


class DaskWorkers:
    """`spikeport.cluster.workers.Workers` of a cluster. prepare: as in `perform`.

    Raises:
        InputError: a worker has no spikeport, or another.
    """

    def __init__(self, client: distributed.Client, prepare: Callable[[], None]) -> None:
        self.client, self.prepare = client, prepare
        self._check()
        self.slots = sum(client.nthreads().values())

    def _check(self) -> None:
        """InputError where a worker has no spikeport, or another: tasks of ours would end it."""
        for address, found in self.client.run(program, on_error="return").items():
            if isinstance(found, ModuleNotFoundError):
                raise InputError(f"worker {address} has no {found.name}; install there what is installed here")
            if isinstance(found, Exception):
                raise InputError(f"worker {address} cannot say what it runs ({found}); install there what is installed here")
            if difference := program().differs(found):
                raise InputError(f"worker {address} has {difference}; install the same there")

    @property
    def dashboard(self) -> str:
        """Address of the page that shows what every worker does."""
        return str(self.client.dashboard_link)

    def each(self, do: Callable[..., T], tasks: Iterable[Task]) -> Iterator[T]:
        """As `Workers.each`.

        Raises:
            InputError: a worker that came later runs another spikeport.
            BackendError: a task ended every worker that tried it, or nobody is left.
        """
        sent: deque[Any] = deque()
        try:
            for task in tasks:
                sent.append(self.client.submit(perform, program(), self.prepare, do, *task, pure=False))
                if len(sent) >= AHEAD * self.slots:
                    yield self._result(sent.popleft())
            while sent:
                yield self._result(sent.popleft())
        finally:
            self.client.cancel(list(sent))

    def _result(self, future: Any) -> Any:
        # Asked for once, and waited for beside looks at the workers: a result that came may be lost with its worker
        # before it is here, and Dask's own wait then has no end where nobody is left to make it anew.
        loop: Any = self.client.loop
        result = asyncio.run_coroutine_threadsafe(self.client.gather(future, asynchronous=True), loop.asyncio_loop)
        seen = monotonic()
        try:
            while not wait([result], timeout=LOOK).done:
                if self.client.status != "running":
                    raise BackendError("the scheduler went away; what was not finished is lost, begin again")
                if self.client.nthreads():
                    seen = monotonic()
                elif monotonic() - seen > START:
                    raise BackendError(f"no worker is left, and for {START:g} s none came; start some and begin again")
            return result.result()
        except KilledWorker as error:
            raise BackendError(
                f"{error.allowed_failures + 1} workers died of the same task; give them more memory, or take fewer of them"
            ) from None
        except distributed.client.FutureCancelledError:
            raise BackendError("the scheduler went away; what was not finished is lost, begin again") from None
        finally:
            result.cancel()


@contextmanager
def local_workers(count: int, prepare: Callable[[], None]) -> Iterator[DaskWorkers]:
    """So many processes of this machine, which share its cores; those that die are started anew.

    Raises:
        InputError: fewer than 1.
    """
    if count < 1:
        raise InputError(f"--workers is {count}; give at least 1")
    threads = max(1, (os.cpu_count() or 1) // count)
    settings = {**LOCAL, "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": threads}
    options: dict[str, Any] = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(n_workers=count, silence_logs=logging.CRITICAL, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield DaskWorkers(client, prepare)


@contextmanager
def remote_workers(address: str, prepare: Callable[[], None]) -> Iterator[DaskWorkers]:
    """Those of a scheduler, such as tcp://10.0.0.1:8786.

    Raises:
        InputError: it cannot be reached, or has no workers.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", distributed.versions.VersionMismatchWarning)  # tasks look at versions themselves
            client = distributed.Client(address, timeout=REACH)
    except (OSError, ValueError, distributed.TimeoutError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"no scheduler answers at {address} ({reason}); start one with 'dask scheduler', or use --workers N on this machine"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=REACH)
        except (TimeoutError, distributed.TimeoutError):
            raise InputError(f"the scheduler at {address} has no workers; start some with 'dask worker {address}'") from None
        yield DaskWorkers(client, prepare)
