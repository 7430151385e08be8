"""Time to accuracy: noise single-step, trained at T = 1 and run at T = 10, against STBP and DSR at
T = 10 (Jiang and Zhang 2022, section 4.3).

    python benchmarks/time_to_accuracy.py --data-dir DIR [--contenders noise stbp dsr] [--accuracy 0.88 0.89 0.9] [--limit 3000]

All train the noise paper's network on Fashion-MNIST, batch for batch the same images, Adam with one
constant learning rate, which favours nobody's schedule. "noise" has BatchNorm and cross-entropy as
the others have, "noise-mse" BatchNorm and the squared error, "noise-published" the squared error
and no BatchNorm. The clock stands still while the validation images are run for T = 10 steps, noise
neurons calibrated as they would be deployed. An accuracy counts as reached at the first evaluation
that shows it. Writes benchmarks/results/time-to-accuracy.json after every evaluation, and the table
in docs/training-speed.md at the end; contenders that are not named keep their results.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from parts import engine_table, marks

from spikeport.export.common.files import write_text
from spikeport.train.data.augment import Augmentation
from spikeport.train.data.batches import epoch_seed, shuffled_batches
from spikeport.train.data.registry import Dataset, load
from spikeport.train.loop.deployment import prepare_for_deployment
from spikeport.train.loop.evaluation import evaluate
from spikeport.train.loop.memory import keep_freed_memory
from spikeport.train.network.build import build
from spikeport.train.network.spiking import SpikingNetwork
from spikeport.train.settings.config import TrainConfig, defaults_for
from spikeport.train.settings.methods import METHODS
from spikeport.train.settings.named_losses import loss_named
from spikeport.train.settings.optimization import OptimizerConfig, descend

ROOT = Path(__file__).resolve().parents[1]
RESULT, DOCUMENT = ROOT / "benchmarks/results/time-to-accuracy.json", ROOT / "docs/training-speed.md"
TIMESTEPS = 10


class Contender(NamedTuple):
    """What it trains, and steps between evaluations, some 10 to 15 seconds of training."""

    method: str
    loss: str
    every: int
    batch_norm: bool = True


CONTENDERS = {
    "noise": Contender("noise", "cross-entropy", 100),
    "noise-mse": Contender("noise", "rate-mse", 100),
    "noise-published": Contender("noise", "rate-mse", 100, batch_norm=False),
    "stbp": Contender("stbp", "cross-entropy", 25),
    "dsr": Contender("dsr", "cross-entropy", 25),
}


def configuration(contender: Contender, learning_rate: float) -> TrainConfig:
    """What a contender trains."""
    return defaults_for(
        "fashion-mnist",
        method=contender.method,
        batch_norm=contender.batch_norm,
        loss=contender.loss,
        arch="noise-mnist",
        timesteps=TIMESTEPS,
        batch_size=128,
        shift=1,
        flip=True,
        optimizer=OptimizerConfig(kind="adam", learning_rate=learning_rate, weight_decay=0.0),
        precision="bfloat16",
    )


def course(config: TrainConfig, every: int, data: Dataset, samples: int) -> Iterator[dict[str, float]]:
    """Train without end; after every so many steps, the training's seconds so far and the accuracy."""
    module = build(config, data.task)
    optimizer = config.optimizer.build(module.parameters())
    wall = core = 0.0
    torch.manual_seed(config.seed)
    for done, (images, labels) in enumerate(_batches(config, data), start=1):
        at = time.perf_counter(), time.process_time()
        _step(module, optimizer, config, images, labels)
        wall, core = wall + time.perf_counter() - at[0], core + time.process_time() - at[1]
        if done % every == 0:
            prepare_for_deployment(module, data.train.images)
            part = data.validation[:samples]
            accuracy = evaluate(module, part.images, part.labels, TIMESTEPS)[-1]
            module.train()
            yield {"steps": done, "wall": wall, "core": core, "accuracy": float(accuracy)}


def _batches(config: TrainConfig, data: Dataset) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for epoch in range(1000):
        yield from shuffled_batches(data.train, config.batch_size, Augmentation(shift=1, flip=True), seed=epoch_seed(config.seed, epoch))


def _step(
    module: SpikingNetwork, optimizer: torch.optim.Optimizer, config: TrainConfig, images: torch.Tensor, labels: torch.Tensor
) -> None:
    module.train()
    with torch.autocast("cpu", torch.bfloat16):
        output = module(images, METHODS[config.method].training_timesteps)
    descend(optimizer, [loss_named(config.loss)(output.float(), labels, config.neuron)], config.optimizer)


def reached(curve: list[dict[str, float]], accuracy: float, clock: str) -> float | None:
    """Seconds of training until an accuracy, None where it never came."""
    return next((point[clock] for point in curve if point["accuracy"] >= accuracy), None)


def table(results: dict[str, Any]) -> str:
    """Markdown: processor and wall seconds to each accuracy, and the factor to noise."""
    curves = results["curves"]
    lines = ["| validation accuracy at T = 10 | " + " | ".join(curves) + " |", "|---|" + "---:|" * len(curves)]
    for accuracy in results["accuracies"]:
        noise = reached(curves.get("noise", []), accuracy, "core")
        lines.append(f"| {accuracy:.0%} | " + " | ".join(_cell(curve, accuracy, noise) for curve in curves.values()) + " |")
    return "\n".join(lines) + "\n"


def _cell(curve: list[dict[str, float]], accuracy: float, noise: float | None) -> str:
    core, wall = reached(curve, accuracy, "core"), reached(curve, accuracy, "wall")
    if core is None or wall is None:
        return f"not within {curve[-1]['core']:.0f} s"
    return f"{core:.0f} s ({wall:.0f} s)" + (f", {core / noise:.1f} times noise" if noise and noise != core else "")


def into_document(results: dict[str, Any]) -> None:
    """Replace the measured part of the document."""
    m = results["machine"]
    source = f"{m['date']}, {m['cpu']}, one thread, load {m['load']:.1f} when started; {results['samples']} validation images."
    marks.replace(DOCUMENT, "time_to_accuracy.py", f"{table(results)}\n{source}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with Fashion-MNIST's idx files")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--accuracy", type=float, nargs="+", default=[0.88, 0.89, 0.90])
    parser.add_argument("--limit", type=float, default=3000, help="processor seconds of training that a contender may take")
    parser.add_argument("--samples", type=int, default=2000, help="validation images")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    data = load("fashion-mnist", options.data_dir)
    kept = json.loads(RESULT.read_text())["curves"] if RESULT.exists() else {}
    described = {"accuracies": options.accuracy, "samples": options.samples, "learning_rate": options.learning_rate}
    results: dict[str, Any] = {"machine": engine_table.machine(("torch", "numpy")), **described, "curves": kept}
    for name in options.contenders:
        contender, curve = CONTENDERS[name], []
        results["curves"][name] = curve
        for point in course(configuration(contender, options.learning_rate), contender.every, data, options.samples):
            curve.append(point)
            print(f"{name}: {point['steps']} steps, {point['core']:.0f} s, {point['accuracy']:.2%}", flush=True)
            write_text(RESULT, json.dumps(results, indent=1) + "\n")
            if point["accuracy"] >= max(options.accuracy) or point["core"] > options.limit:
                break
    into_document(results)
    print(table(results))


if __name__ == "__main__":
    main()
