"""Whatever goes wrong, Lava's processes end, the reason is told, and nothing is left behind."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.networks.one_layer import network, stimulus
from support.places import TESTS

from spikeport.hw.lava import backend

pytest.importorskip("lava.magma.core.process.process")
from spikeport.export.common.errors import BackendError
from spikeport.hw.lava.neuron import PyStreamingLif, StreamingLIF
from spikeport.hw.lava.runtime import simulation

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at processes and files through /proc"),
]


def living(field: int, value: int) -> set[int]:
    """Processes that are no zombies and whose field of /proc/<pid>/stat, counted after the name,
    has this value.
    """
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        values = readable(entry / "stat").rpartition(")")[2].split()
        tracker = "resource_tracker" in readable(entry / "cmdline")
        if values and values[0] != "Z" and int(values[field]) == value and not tracker:
            found.add(int(entry.name))
    return found


def descendants() -> set[int]:
    """Children of this process, apart from multiprocessing's resource tracker, which serves the
    whole session.
    """
    return living(1, os.getpid())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def shared_memory() -> set[str]:
    """Python's shared memory segments that this process maps, or none at all: other sessions'
    living ones do not count.
    """
    others = [entry / "maps" for entry in Path("/proc").glob("[0-9]*") if int(entry.name) != os.getpid()]
    in_use = "".join(map(readable, others))
    return {p.name for p in Path("/dev/shm").glob("psm_*") if p.name not in in_use or p.name in readable(Path("/proc/self/maps"))}


def readable(path: Path) -> str:
    """A file of /proc, or nothing where its process has just ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


class FailsAtStepSix(PyStreamingLif):
    def run_spk(self):
        if self.time_step == 6:
            raise ValueError("broken on purpose")
        super().run_spk()


class DiesAtStepSix(PyStreamingLif):
    def run_spk(self):
        if self.time_step == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        super().run_spk()


class SleepsAtStepSix(PyStreamingLif):
    def run_spk(self):
        if self.time_step == 6:
            time.sleep(600)
        super().run_spk()


class FailsWhenBuilt(PyStreamingLif):
    def __init__(self, proc_params):
        raise ValueError("cannot be built")


class DiesWhenBuilt(PyStreamingLif):
    def __init__(self, proc_params):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (FailsAtStepSix, r"'lif' ended at timestep 6 \(ValueError: broken on purpose\)"),
        (DiesAtStepSix, r"'lif' ended at timestep 6 \(exit code -9\)"),
        (SleepsAtStepSix, r"stood still at timestep 6 for 4 s"),
        (FailsWhenBuilt, r"did not start: cannot be built"),
        (DiesWhenBuilt, r"did not start: a process ended"),
    ],
)
def test_a_failed_model_is_named_and_leaves_nothing(model, message):
    backend.run(network(), stimulus(1))  # whatever starts once per session has started
    before, files, memory, threads = descendants(), open_files(), shared_memory(), threading.active_count()

    def configuration(models):
        return simulation({p: model if isinstance(p, StreamingLIF) else m for p, m in models.items()})

    began = time.monotonic()
    with pytest.raises(BackendError, match=message):
        backend.run(network(), stimulus(), run_config=configuration, timeout=4)
    assert time.monotonic() - began < 40
    gc.collect()
    assert descendants() == before
    assert shared_memory() <= memory
    assert open_files() <= files
    assert threading.active_count() <= threads


def leak_after(runs: int) -> tuple[int, int, int]:
    """Growth in open files, shared memory segments and resident KiB over so many runs."""
    files, memory, resident = open_files(), len(shared_memory()), resident_kib()
    for _ in range(runs):
        backend.run(network(), stimulus())
    gc.collect()
    assert not descendants()
    return open_files() - files, len(shared_memory()) - memory, resident_kib() - resident


def resident_kib() -> int:
    gc.collect()
    return int(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")))


def test_runs_do_not_leak():
    import logging  # noqa: PLC0415

    from lava.magma.core.process.process import ProcessServer  # noqa: PLC0415

    leak_after(1)
    known, handlers = ProcessServer().num_processes, len(logging.getLogger().handlers)
    files, segments, _ = leak_after(2)
    assert files <= 0 and segments <= 0
    assert ProcessServer().num_processes == known and len(logging.getLogger().handlers) == handlers


@pytest.mark.slow
def test_twenty_runs_do_not_grow():
    """Memory settles; 20 runs may not add more than 8 MiB to it."""
    leak_after(3)
    files, segments, kib = leak_after(20)
    assert files <= 0 and segments <= 0
    assert kib < 8 << 10


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from support.networks.one_layer import network, stimulus
from spikeport.hw.lava import backend
backend.run(network(), stimulus(100_000), progress=lambda n: print(n, flush=True))
"""


@pytest.fixture
def long_run(interruptible):
    """A run that would take minutes, in a session of its own, once it has reported progress."""
    script = SCRIPT.format(tests=str(TESTS))
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert child.stdout.readline().strip().isdigit()
    yield child
    for pid in session(child.pid):
        os.kill(pid, signal.SIGKILL)
    child.stdout.close()
    child.stderr.close()


def session(pid: int) -> set[int]:
    """Living processes of a session."""
    return living(3, pid)


def wait_until_gone(pid: int) -> set[int]:
    deadline = time.monotonic() + 10
    while (left := session(pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def test_control_c_ends_every_process(long_run):
    """As a terminal sends it: to the whole process group.

    The children stay quiet; one traceback at most.
    """
    memory = shared_memory()
    os.killpg(long_run.pid, signal.SIGINT)
    _, errors = long_run.communicate(timeout=20)
    assert long_run.returncode in (1, 130, -signal.SIGINT)
    assert errors.strip().endswith("KeyboardInterrupt") and errors.count("Traceback") == 1
    assert not wait_until_gone(long_run.pid)
    assert shared_memory() <= memory


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_a_killed_parent_takes_its_children_along(long_run):
    assert len(session(long_run.pid)) > 3
    long_run.kill()
    long_run.wait(timeout=10)
    assert not wait_until_gone(long_run.pid)
