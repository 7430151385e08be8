"""Devices, runs and reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spikeport.analysis.cost.devices import Device, device_named
from spikeport.analysis.results.report import Report
from spikeport.analysis.results.report import read_report as read
from spikeport.export.common.guard import as_path
from spikeport.export.common.progress import silent_bar
from spikeport.export.model.network import QuantizedNetwork
from spikeport.hw.backends.simulate import backend as backend_named
from spikeport.hw.records.record import RecordLevel, SpikeRecord
from spikeport.hw.records.stimulus import encode
from spikeport.stages.folder.claims import check_report, held
from spikeport.stages.folder.workspace import Workspace
from spikeport.stages.imported import open_session
from spikeport.stages.pipeline import report_stage


def device(name: str | Path = "loihi2") -> Device:
    """A chip's prices and limits, each price with its source: "loihi2", "loihi1", or a profile of
    your own (`D.toml`).

    Raises:
        InputError: there is none, or the file is no profile.
    """
    return device_named(str(as_path(name)))


def simulate(
    network: QuantizedNetwork, x: Any, *, timesteps: int | None = None, backend: str = "engine", record: RecordLevel = "counts"
) -> SpikeRecord:
    """Run a quantized network in integers.

    Args:
        x: `(samples, *shape)` held over time, or `(samples, timesteps, *shape)`; integers are
            levels as they are, floats are scaled.
        timesteps: T, None for the network's. backend: "engine", "lava", "onnx" or "reference";
            equal integers from all.
        record: "counts", "spikes" for every spike too, "potentials" for those as well.

    Raises:
        InputError: an input that does not fit, or a backend that is not there.
    """
    stimulus = encode(network.input, np.asarray(x), network.timesteps if timesteps is None else timesteps)
    return backend_named(backend)(network, stimulus, record)


def report(folder: str | Path, *, device: str | Path = "loihi2", data_dir: str | Path | None = None, force: bool = False) -> Report:
    """Gather what lies in a training folder into `report.json` and `report.html` there, as
    `spikeport report` does.

    Args:
        folder: with a trained and a quantized network in it (`network.nir`).
        device: as in `device`. data_dir: where the data set's files are, None for where training
            found them.
        force: replace a report that spikeport did not write.

    Raises:
        InputError: no training or no quantized network in the folder.
    """
    work = Workspace(as_path(folder))
    with held(work.root):
        session = open_session(work.root, as_path(data_dir) if data_dir else None, silent_bar)
        if not force:
            check_report(work)
        return report_stage(session, device=str(device))


def read_report(path: str | Path) -> Report:
    """Read a `report.json`, or that of a folder.

    Raises:
        InputError: no such file, no report, or one of another version.
    """
    place = as_path(path)
    return read(place / "report.json" if place.is_dir() else place)
