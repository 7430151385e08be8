"""Loss, accuracies and learning rate over epochs, as a file that TensorBoard reads; built in memory
and written whole.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from spikeport.export.common.files import write_bytes

CURVES = "tensorboard/events.out.tfevents.spikeport"
"""One file for the whole training, however often it is taken up: TensorBoard finds files by
`tfevents` in their names.
"""
VERSION = "brain.Event:2"


def write_curves(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write one point per epoch and quantity. history: quantities by name, `seconds` among them;
    the last epoch ends now.

    Raises:
        OutputError: the path cannot be written.
    """
    # imported here: it takes half a second
    from tensorboard.compat.proto.event_pb2 import Event  # noqa: PLC0415
    from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415
    from tensorboard.summary.writer.record_writer import RecordWriter  # noqa: PLC0415

    ended = time.time() - sum(epoch["seconds"] for epoch in history)
    held = io.BytesIO()
    records = RecordWriter(held)
    records.write(Event(wall_time=ended, file_version=VERSION).SerializeToString())
    for number, epoch in enumerate(history, start=1):
        ended += epoch["seconds"]
        points = [Summary.Value(tag=name, simple_value=value) for name, value in epoch.items()]
        records.write(Event(wall_time=ended, step=number, summary=Summary(value=points)).SerializeToString())
    write_bytes(path, held.getbuffer())
