"""A folder of as many pictures as ImageNet has: how long it takes to open, what that holds, and how
many pictures a second are read from it.

    python benchmarks/scale/image_folder.py [--pictures 1281167] [--folder DIR]

Writes 200 JPEG files of ImageNet's common size, 500 x 375, and a folder of hard links to them in
1,000 classes, beside 50,000 for testing; opens it as `--data imagenet` does, and reads random
batches as training does, by one thread and by as many as there are cores. Writes
benchmarks/results/image-folder.json; the files go again.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from measured import held_by
from PIL import Image

from spikeport.export.common.files import write_json
from spikeport.train.data.on_demand import OnDemand, readers
from spikeport.train.data.registry import load

RESULTS = Path(__file__).parents[1] / "results" / "image-folder.json"
CLASSES, TESTED, DIFFERENT, SIZE = 1000, 50_000, 200, (500, 375)
BATCH, BATCHES = 128, 16


def write_pictures(folder: Path) -> list[Path]:
    """Different ones, coarse and fine patterns, about as many bytes each as ImageNet's."""
    rng, made = np.random.default_rng(0), []
    for i in range(DIFFERENT):
        layers = [
            Image.fromarray(rng.integers(0, 256, (h, w, 3), np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
            for w, h in ((8, 6), (125, 94))
        ]
        made.append(folder / f"{i}.jpeg")
        Image.blend(*layers, 0.4).save(made[-1], quality=95)
    return made


def write_folder(root: Path, pictures: list[Path], counts: dict[str, int]) -> None:
    """Hard links, shared out evenly among the classes."""
    for split, count in counts.items():
        for number in range(CLASSES):
            (root / split / f"n{number:08}").mkdir(parents=True)
        for i in range(count):
            os.link(pictures[i % len(pictures)], root / split / f"n{i % CLASSES:08}" / f"{i:08}.JPEG")


def pictures_a_second(images: OnDemand, pool: ThreadPoolExecutor) -> float:
    """Random batches, varied as in training; the fastest of several."""
    rng, seconds = np.random.default_rng(1), []
    with pool:
        for _ in range(BATCHES):
            began = time.perf_counter()
            images.begin(pool, rng.integers(len(images), size=BATCH), seed=0)()
            seconds.append(time.perf_counter() - began)
    return BATCH / min(seconds)


def measure(folder: Path, pictures: int) -> dict:
    """Everything."""
    made = write_pictures(folder)
    write_folder(folder / "imagenet", made, {"train": pictures, "val": TESTED})
    (before, _), began = held_by(os.getpid()), time.perf_counter()
    data = load("imagenet", folder)
    seconds = time.perf_counter() - began
    images = data.train.images
    assert isinstance(images, OnDemand)
    return {
        "pictures": {"training": len(images), "validation": len(data.validation), "test": len(data.test)},
        "bytes a picture": sum(path.stat().st_size for path in made) / len(made),
        "cores": os.cpu_count(),
        "load when started": round(os.getloadavg()[0], 1),
        "seconds to open": seconds,
        "bytes held": held_by(os.getpid())[0] - before,
        "pictures a second": {
            "1 thread": pictures_a_second(images, ThreadPoolExecutor(1)),
            "a thread a core": pictures_a_second(images, readers()),
        },
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1_281_167)
    parser.add_argument("--folder", type=Path, help="where the files go; the default is the system's folder for temporary ones")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        found = measure(Path(folder), arguments.pictures)
    write_json(RESULTS, found)
    print(found)


if __name__ == "__main__":
    main()
