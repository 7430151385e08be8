"""Lava's runtime under supervision: whatever happens, it ends, says why, and leaves nothing behind.

Lava waits without limit for a process that has died (lava issues 247, 826) and cannot be
interrupted cleanly, so this watches the processes while they run, and on any trouble kills them
instead of asking them to stop.
"""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeAlias

from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg, RunConfig
from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal

from spikeport.export.common.errors import BackendError, OutOfTime
from spikeport.hw.lava.children import guarded_children
from spikeport.hw.lava.graph import Graph
from spikeport.hw.lava.registry import forget_processes
from spikeport.hw.lava.tape import Tape

RunConfigFactory: TypeAlias = "Callable[[Mapping[AbstractProcess, type]], RunConfig]"
"""Makes Lava's run configuration from the processes whose process model is ours (its
`exception_proc_model_map`).
"""
STOP_SECONDS, POLL_SECONDS, CHECK_SECONDS = 10.0, 0.001, 0.1


def simulation(models: Mapping[AbstractProcess, type]) -> RunConfig:
    """Loihi 2 simulated on the CPU in fixed point; without the tag Lava silently picks float
    models.
    """
    return Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=dict(models))


class LavaRuntime:
    """Executes a graph as Lava processes; a context manager.

    timeout: seconds without a finished timestep before it gives up. seconds: of all timesteps
    together, likewise.
    """

    def __init__(self, graph: Graph, tape: Tape, run_config: RunConfigFactory, timeout: float, seconds: float = math.inf) -> None:
        self.tape, self.timeout, self.seconds, self.deadline = tape, timeout, seconds, time.monotonic() + seconds
        with forget_processes():
            self.processes = graph.make()
            ours = {p: graph.nodes[name].model for name, p in self.processes.items() if graph.nodes[name].ours}
            self.any_process = next(iter(self.processes.values()))
            self.executable = self.any_process.compile(run_config(ours))

    @property
    def runtime(self) -> Any:
        """Lava's own runtime, None before it is made."""
        return self.any_process.runtime

    def __enter__(self) -> LavaRuntime:
        watch = _StartWatch(self)
        try:
            with guarded_children(), contextlib.redirect_stdout(sys.stderr):  # Lava prints there what it then raises
                watch.start()
                self.any_process.create_runtime(executable=self.executable)
        except Exception as error:
            self.kill()
            raise BackendError(f"Lava did not start: {error}") from error
        except BaseException:
            self.kill()
            raise
        finally:
            watch.over.set()
            watch.join(STOP_SECONDS)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if error is None:
                stopping = threading.Thread(target=self.runtime.stop, daemon=True)
                stopping.start()
                stopping.join(STOP_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """End every process, and let go of channels and shared memory.

        Does nothing more after an orderly stop.
        """
        runtime = self.runtime
        for process in self.processes.values():
            process.runtime = None  # else Lava stops the runtime once more when the process is collected
        if runtime is None or (infrastructure := runtime._messaging_infrastructure) is None:
            return
        for actor in infrastructure.actors:
            if not actor._is_done:
                actor.kill()
        runtime._is_started = False
        runtime.join()
        infrastructure.stop()

    def advance(self, steps: int) -> None:
        """Execute so many timesteps.

        Raises:
            BackendError: a process model failed or died, or no timestep was finished within the
                timeout.
        OutOfTime: the seconds are over.
        """
        self.runtime.start(RunSteps(num_steps=steps, blocking=False))
        answers = self.runtime.service_to_runtime
        self._watch_until(lambda: all(port.probe() for port in answers))
        if not all(enum_equal(port.peek(), MGMT_RESPONSE.DONE) for port in answers):
            self.check_alive()
            raise BackendError(f"Lava reported an error at timestep {int(self.tape.done[0]) + 1}")
        self.runtime.wait()

    def _watch_until(self, finished: Callable[[], bool]) -> None:
        seen, since, checked = -1, time.monotonic(), 0.0
        while not finished():
            time.sleep(POLL_SECONDS)
            if (now := time.monotonic()) - checked < CHECK_SECONDS:
                continue
            self.check_alive()
            if now > self.deadline:
                raise OutOfTime(f"Lava needs more than {self.seconds:g} s; its processes were killed")
            checked, done = now, int(self.tape.done[0])
            if done != seen:
                seen, since = done, now
            elif now - since > self.timeout:
                raise BackendError(f"Lava stood still at timestep {seen + 1} for {self.timeout:g} s; its processes were killed")

    def check_alive(self) -> None:
        """Raise if any process has ended."""
        for i, actor in enumerate(self.runtime._messaging_infrastructure.actors):
            if actor.exitcode is not None:
                cause = actor.exception
                what = f"{type(cause[0]).__name__}: {cause[0]}" if cause else f"exit code {actor.exitcode}"
                raise BackendError(f"Lava's process for {self._role(i)!r} ended at timestep {int(self.tape.done[0]) + 1} ({what})")

    def _role(self, actor: int) -> str:
        """What an actor stands for: Lava starts one per process, in the order of the executable,
        then its runtime services.
        """
        made = list(self.executable.proc_builders)
        names = {process: name or "host" for name, process in self.processes.items()}
        return names[made[actor]] if actor < len(made) else "runtime service"


class _StartWatch(threading.Thread):
    """While the runtime starts, Lava waits for a word from each process; gives it one for those
    that died without.
    """

    def __init__(self, lava: LavaRuntime) -> None:
        super().__init__(daemon=True)
        self.lava, self.over = lava, threading.Event()

    def run(self) -> None:
        deadline = time.monotonic() + self.lava.timeout
        while not self.over.wait(0.2):
            runtime = self.lava.runtime
            actors = getattr(runtime and runtime._messaging_infrastructure, "actors", [])
            if any(not a._is_done and a.exitcode for a in list(actors)) or time.monotonic() > deadline:
                error = BackendError("a process ended or stood still while it was being built")
                error.trace = ""  # type: ignore[attr-defined]  # Lava prints it
                for queue in getattr(runtime, "exception_q", []):
                    queue.put(error)
                return
