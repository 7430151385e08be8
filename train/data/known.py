"""Whether images are of the data set that they are called. The mean over all training pixels tells
the published sets apart, and a part of a set too.
"""

from __future__ import annotations

import numpy as np

from spikeport.export.common.errors import InputError
from spikeport.export.common.progress import LOUDNESS, say

MEANS = {
    "mnist": (0.1307,),
    "fashion-mnist": (0.2860,),
    "Kuzushiji-MNIST": (0.1918,),
    "cifar-10": (0.4914, 0.4822, 0.4465),
    "cifar-10-jpeg": (0.4914, 0.4822, 0.4465),
    "cifar-100": (0.5071, 0.4865, 0.4409),
    "svhn": (0.4377, 0.4438, 0.4728),
}
"""Of the training pixels in 0..1, by channel, as everybody normalises with them."""
ALIKE = 0.008
"""Means this near are the same: a thousand samples lie within it, two sets are further apart."""


def check_named(name: str, images: np.ndarray, place: str) -> str:
    """What a source of training images in 0..1, `(samples, channels, height, width)`, is to say,
    after a note on standard error; "" where they are as published.

    Raises:
        InputError: their mean is that of another published data set.
    """
    means = images.mean(axis=(0, 2, 3), dtype=np.float64)
    if _alike(means, MEANS[name]):
        return ""
    here, there = (" / ".join(f"{mean:.3f}" for mean in values) for values in (means, MEANS[name]))
    if other := next((known for known, published in MEANS.items() if _alike(means, published)), None):
        remedy = f"say --data {other}" if other == other.lower() else "bring it as data of your own (--data own.npz)"
        raise InputError(f"{place} holds {other}, not {name}: its pixels are {here} on average, those of {name} {there}; {remedy}")
    if not LOUDNESS.quiet:
        say(f"note: {place} is not {name} as published: its pixels are {here} on average, there {there}")
    return f", not as published (pixels are {here} on average, there {there})"


def _alike(means: np.ndarray, published: tuple[float, ...]) -> bool:
    return len(means) == len(published) and bool(np.abs(means - published).max() < ALIKE)
