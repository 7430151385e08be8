"""Writing may fail at any byte: the error is one line, what was there before stays, and nothing
half-written is left.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from support.networks.nir_files import conv_network

from spikeport.analysis.figures.markup import el
from spikeport.analysis.pages.picture import write_picture
from spikeport.export.common import files
from spikeport.export.common.errors import InputError, OutputError
from spikeport.export.common.lock import LOCK, locked
from spikeport.export.nir.file import write_nir
from spikeport.export.onnx.graph import write_onnx
from spikeport.hw.records.record_file import save_arrays
from spikeport.train.loop.checkpoint import save_tensors
from spikeport.train.loop.curves import write_curves

EPOCH = {"loss": 1.0, "seconds": 2.0}
FIGURE = el("figure", el("svg", el("title", "drawn"), el("path", d="M0 0" * 300), viewBox="0 0 360 244"))
WRITERS = {
    "text": lambda path: files.write_text(path, "words " * 500),
    "json": lambda path: files.write_json(path, list(range(2000))),
    "nir": lambda path: write_nir(conv_network(), path),
    "onnx": lambda path: write_onnx(conv_network(), path),
    "npz": lambda path: save_arrays(path, {"output": np.random.default_rng(0).random(1000)}, {"network": "x"}),
    "safetensors": lambda path: save_tensors(path, {"w": torch.zeros(1000)}),
    "curves": lambda path: write_curves(path, [EPOCH] * 60),
    "svg": lambda path: write_picture(FIGURE, path),
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("room", [0, 1, 700, 2000])
def test_a_disk_that_fills_up_at_any_byte(kind, room, tmp_path, monkeypatch):
    path = tmp_path / f"file.{kind}"
    path.write_bytes(b"before")
    taken = []

    def filling(file, rest):
        fits = room - sum(taken)
        taken.append(min(len(rest), fits))
        file.write(rest[:fits])
        if fits < len(rest):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "_write_all", filling)
    with pytest.raises(OutputError, match=r"cannot write .*file.* \(No space left on device\)") as caught:
        WRITERS[kind](path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"before" and [p.name for p in tmp_path.iterdir()] == [path.name]


def _limited(kind: str, path: Path, size: int) -> None:
    """In a process of its own: files of more than so many bytes fail as a full disk does, in the
    kernel.
    """
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        WRITERS[kind](path)
    except OutputError:
        os._exit(7)
    os._exit(0)


@pytest.mark.parametrize("kind", ["nir", "onnx", "npz", "safetensors"])
def test_the_kernel_stops_a_write(kind, tmp_path):
    child = multiprocessing.get_context("fork").Process(target=_limited, args=(kind, tmp_path / "file", 512))
    child.start()
    child.join(60)
    assert child.exitcode == 7 and not list(tmp_path.iterdir())


def test_short_writes_go_on_where_they_stopped(tmp_path):
    class Slow:
        def __init__(self) -> None:
            self.got = b""

        def write(self, data) -> int:
            self.got += bytes(data[:3])
            return min(3, len(data))

    slow = Slow()
    files._write_all(slow, memoryview(b"0123456789"))
    assert slow.got == b"0123456789"


def test_a_folder_that_vanishes_is_made_again_and_a_closed_one_is_told(tmp_path):
    files.write_text(tmp_path / "a" / "b" / "x.txt", "x")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="is a file, not a directory"):
        files.write_text(tmp_path / "file" / "x.txt", "x")


HOLD = "import sys, time; from pathlib import Path; from spikeport.export.common.lock import locked\nwith locked(Path(sys.argv[1])): print('in', flush=True); time.sleep(60)"


def test_a_lock_dies_with_its_process(tmp_path):
    folder = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout and holder.stdout.readline() == "in\n"
    with pytest.raises(InputError, match="another process of spikeport is at work in"), locked(folder):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert (folder / LOCK).exists()
    for _ in range(2):
        with locked(folder):
            (folder / "x").touch()
    assert [p.name for p in folder.iterdir()] == ["x"]


def test_a_folder_made_for_nothing_goes_again(tmp_path):
    with pytest.raises(ValueError, match="no"), locked(tmp_path / "new"):
        raise ValueError("no")
    assert not (tmp_path / "new").exists()


def test_curves_are_what_tensorboard_reads(tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    now = time.time()
    write_curves(tmp_path / "events.out.tfevents.x", [{"loss": 2.0, "seconds": 5.0}, {"loss": 1.5, "seconds": 3.0}])
    events = event_accumulator.EventAccumulator(str(tmp_path / "events.out.tfevents.x"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 2.0), (2, 1.5)]
    first, second = (e.wall_time for e in events.Scalars("loss"))
    assert second - first == pytest.approx(3) and abs(second - now) < 60
