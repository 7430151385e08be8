"""ImageNet (ILSVRC 2012) as a folder: `train/CLASS/*.JPEG` and `val/CLASS/*.JPEG`, torchvision's
ImageFolder layout.

Images are decoded when a batch asks for them. In training a random part of the image, 8 to 100 % of
its area at an aspect of 3:4 to 4:3, becomes 224 x 224 pixels (Szegedy et al. 2015, as torchvision's
RandomResizedCrop draws it); otherwise the shorter side becomes 256 pixels and the centre is taken
(Krizhevsky et al. 2012). The folder `val` is the test set, as papers use it; validation data are
cut from `train`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt
from pathlib import Path

import numpy as np
from PIL import Image

from spikeport.export.common.errors import InputError
from spikeport.export.common.guard import reading
from spikeport.train.data.dataset import Dataset, Split, Splits, Task
from spikeport.train.data.folders import labelled_files
from spikeport.train.data.formats.event_bins import EventBins
from spikeport.train.data.on_demand import OnDemand

SIDE, SHORTER = 224, 256
AREA, ASPECT, ATTEMPTS = (0.08, 1.0), (3 / 4, 4 / 3), 10
SUFFIXES = (".jpeg", ".jpg", ".png")
PIXELS_MAX = 1 << 26
"""Of one image as it is stored; ImageNet's largest has 17 million."""


def imagenet(name: str, data_dir: Path | None, splits: Splits, timesteps: int, bins: EventBins) -> Dataset:
    """1.28 million / 50000 images of 1000 classes, or any other folders in the same layout; a
    twenty-fifth of `train` for validation, stratified.
    """
    for root in (data_dir / "imagenet", data_dir) if data_dir else ():
        if (root / "train").is_dir() and (root / "val").is_dir():
            break
    else:
        missing = " and ".join(part for part in ("train", "val") if not (root / part).is_dir()) if data_dir else ""
        reason = f"no folder {missing} in {root}" if missing else "it cannot be downloaded"
        raise InputError(f"{name}: {reason}; pass --data-dir with the folder that holds train/CLASS/*.JPEG and val/CLASS/*.JPEG")
    folders = [root / part for part in ("train", "val")]
    classes, labelled = labelled_files(folders, SUFFIXES)
    official, test = (_split(folder, *files) for folder, files in zip(folders, labelled))
    train, validation = splits.held_out(official, len(official) // 25)
    return Dataset(Task(name, (3, SIDE, SIDE), classes, 255), train, validation, test, "ImageNet folders")


def _split(folder: Path, files: list[str], labels: np.ndarray) -> Split:
    return Split(OnDemand(np.array(files), _Pixels(folder), (3, SIDE, SIDE), np.float32), labels)


@dataclass(frozen=True)
class _Pixels:
    """From a file below a folder to levels in [0, 1], float32 `(3, 224, 224)`."""

    folder: Path

    def __call__(self, file: str, rng: np.random.Generator | None = None) -> np.ndarray:
        path = self.folder / file
        with reading(path, "an image", "get a fresh copy"), Image.open(path, formats=("JPEG", "PNG")) as image:
            if (count := image.size[0] * image.size[1]) > PIXELS_MAX:
                raise InputError(f"{path} has {count:,} pixels; at most {PIXELS_MAX:,} are read")
            box = centre(image.size) if rng is None else part(image.size, rng)
            pixels = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)
        return np.asarray(pixels, np.float32).transpose(2, 0, 1) / np.float32(255)


Box = tuple[float, float, float, float]
"""Left, upper, right, lower edge, in pixels."""


def centre(size: tuple[int, int]) -> Box:
    """The square in the middle that is 224 pixels wide once the shorter side has 256."""
    width, height = size
    side = min(size) * SIDE / SHORTER
    left, upper = (width - side) / 2, (height - side) / 2
    return left, upper, left + side, upper + side


def part(size: tuple[int, int], rng: np.random.Generator) -> Box:
    """A random part, see above; the whole image as far as its aspect is allowed, if ten attempts do
    not fit it.
    """
    width, height = size
    for _ in range(ATTEMPTS):
        area, aspect = width * height * rng.uniform(*AREA), exp(rng.uniform(log(ASPECT[0]), log(ASPECT[1])))
        w, h = round(sqrt(area * aspect)), round(sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, upper = rng.integers(width - w + 1), rng.integers(height - h + 1)
            return float(left), float(upper), float(left + w), float(upper + h)
    widest, highest = min(width, height * ASPECT[1]), min(height, width / ASPECT[0])
    return (width - widest) / 2, (height - highest) / 2, (width + widest) / 2, (height + highest) / 2
