"""Braille letters under a fingertip (Mueller-Cleve 2022) as events: the pressures of 12 sensors over
77 timesteps become counts of levels crossed, upwards and downwards.

    python experiments/braille.py ../shared/data/Braille/braille_letters.npz runs/braille.npz
    spikeport run --data runs/braille.npz --arch 128R --timesteps 77 --epochs 100 --out runs/braille

Repetitions 0 to 29 of each of the 27 letters are for training, 30 to 39 for validation, 40 to 49 for
testing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

STEP = 5
"""Between two levels, of the 200 that pressure takes."""


def events(pressure: np.ndarray) -> np.ndarray:
    """Counts `(recordings, timesteps, 2 * sensors, 1, 1)` from pressures `(recordings, timesteps,
    sensors)`: levels crossed since the timestep before, upwards first.
    """
    levels = pressure.astype(np.int16) // STEP
    crossed = np.diff(levels, axis=1, prepend=levels[:, :1])
    counts = np.concatenate([crossed.clip(0), (-crossed).clip(0)], axis=2)
    return counts.astype(np.uint8)[..., None, None]


def main() -> None:
    """Read, convert, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("letters", type=Path, help="braille_letters.npz")
    parser.add_argument("out", type=Path, help="data set of your own, for --data")
    options = parser.parse_args()
    with np.load(options.letters) as letters:
        pressure, length = 255 - letters["taxel"], letters["length"]
        label, repetition = letters["label"], letters["repetition"]
    after = np.arange(pressure.shape[1]) >= length[:, None]  # padded; the last value is held
    pressure = np.where(after[..., None], pressure[np.arange(len(length)), length - 1][:, None], pressure)
    np.savez_compressed(options.out, x=events(pressure), y=label.astype(np.int64), split=np.digitize(repetition, (30, 40)))


if __name__ == "__main__":
    main()
