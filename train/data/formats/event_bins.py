"""Events of a camera, and how they become counts per timestep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from spikeport.export.common.errors import InputError

COUNT_MAX = 255
SENSOR_MAX = 2048
"""Pixels along an axis; the largest sensors have 1280 x 960.

What is counted grows with their square.
"""
TIME_MAX = 1 << 62
"""Of |t|, so that no difference of two overflows 64 bits."""


@dataclass(frozen=True, eq=False)
class Events:
    """One recording. x, y: pixels from the upper left corner, int64. t: time in any unit, int64 or
    float64, |t| < 2^62. p: 1 brighter, 0 darker.

    sensor: height and width, None where the file does not say.
    """

    x: np.ndarray
    y: np.ndarray
    t: np.ndarray
    p: np.ndarray
    sensor: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width: what the file says, else of the largest addresses."""
        return self.sensor or (int(self.y.max(initial=0)) + 1, int(self.x.max(initial=0)) + 1)


@dataclass(frozen=True, kw_only=True)
class EventBins:
    """by: timesteps of equal "time", or of equal "count" of events. size: height and width of the
    map that the sensor is reduced to, 0 for its own.

    height, width: the sensor's, 0 for what files say or, where they do not, the largest addresses
    in them; then all are read to find out.
    """

    by: Literal["time", "count"] = "time"
    size: int = 0
    height: int = 0
    width: int = 0

    def __post_init__(self) -> None:
        if self.by not in ("time", "count"):
            raise InputError(f"events: by is {self.by!r}; choose time or count")
        for name in ("size", "height", "width"):
            if not 0 <= getattr(self, name) <= SENSOR_MAX:
                raise InputError(f"events: {name} is {getattr(self, name)}; it must be 0..{SENSOR_MAX}")
        if (self.height > 0) != (self.width > 0):
            raise InputError(f"events: the sensor is {self.height} x {self.width}; state height and width, or neither")

    def map_size(self, sensor: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the counts.

        Raises:
            InputError: a map larger than the sensor.
        """
        if self.size > min(sensor):
            raise InputError(f"events: size {self.size} is more than the sensor's {sensor[0]} x {sensor[1]} pixels; choose a smaller one")
        return (self.size, self.size) if self.size else sensor


def event_counts(
    events: Events, timesteps: int, bins: EventBins, *, sensor: tuple[int, int], where: str, duration: float | None = None
) -> np.ndarray:
    """Events per timestep, polarity and place, uint8 `(timesteps, 2, height, width)`, saturated at
    255; polarity 0 is darker.

    A reduced map sums the events of the pixels that fall into a place: pixel x of W goes to `x *
    size // W`.

    duration: of time bins, from time 0, in the unit of t; what comes later is left out. None for
    from the first event to the last.

    Raises:
        InputError: an event beyond the sensor.
    """
    height, width = sensor
    if len(events.x) and (min(events.x.min(), events.y.min()) < 0 or events.x.max() >= width or events.y.max() >= height):
        raise InputError(f"{where} has events beyond the sensor of {height} x {width} pixels; is it another format, or a larger sensor?")
    step = _by_count(events.t, timesteps) if bins.by == "count" else _by_time(events.t, timesteps, duration)
    rows, columns = bins.map_size(sensor)
    row, column = (np.arange(height) * rows // height)[events.y], (np.arange(width) * columns // width)[events.x]
    place = ((step * 2 + events.p) * rows + row) * columns + column
    size = timesteps * 2 * rows * columns
    counts = np.bincount(place if duration is None else place[step < timesteps], minlength=size)
    return np.minimum(counts, COUNT_MAX).astype(np.uint8).reshape(timesteps, 2, rows, columns)


def _by_time(t: np.ndarray, timesteps: int, duration: float | None) -> np.ndarray:
    """Timestep of every event; the last instant of a recording belongs to its last timestep."""
    if duration is not None or not len(t):
        return np.floor(t * timesteps / (duration or 1)).astype(np.int64)
    elapsed = (t - t.min()).astype(np.float64)
    return np.minimum(np.floor(elapsed * timesteps / (elapsed.max() or 1)).astype(np.int64), timesteps - 1)


def _by_count(t: np.ndarray, timesteps: int) -> np.ndarray:
    """Timestep of every event by its rank in time."""
    step = np.empty(len(t), np.int64)
    step[np.argsort(t, kind="stable")] = np.arange(len(t)) * timesteps // max(len(t), 1)
    return step
