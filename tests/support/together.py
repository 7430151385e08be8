"""Trainings that several processes do together and one does alone; as a program, what torchrun
runs: `python -m torch.distributed.run ... tests/support/together.py DIR`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeport.train.data.registry import Dataset, Split, load
from spikeport.train.loop import trainer
from spikeport.train.neurons.dsr import DSRConfig
from spikeport.train.neurons.noise import NoiseConfig
from spikeport.train.neurons.stbp import LIFConfig, parametric_lif
from spikeport.train.neurons.tsslbp import TSSLConfig
from spikeport.train.ranks.group import Ranks, joined
from spikeport.train.settings.config import TrainConfig
from spikeport.train.settings.methods import METHODS
from spikeport.train.settings.optimization import OptimizerConfig

SMALL = TrainConfig(arch="4C3-P2-12", timesteps=4, epochs=2, batch_size=12, threads=1, optimizer=OptimizerConfig(learning_rate=0.02))
CASES = {
    "stbp": {"tdbn_alpha": 1.0},
    "stbp, a trained leak, no BatchNorm": {"neuron": parametric_lif(), "batch_norm": False},
    "stbp, recurrent": {"arch": "10R", "neuron": LIFConfig(decay=0.7)},
    "stbp, BatchNorm at each timestep": {"norm_over": "timestep"},
    "stbp, a rate code, moved and mirrored": {"input_code": "rate", "shift": 1, "flip": True},
    "stbp, dropout, alpha loss": {"dropout": 0.3, "loss": "alpha-0.5"},
    "stbp, two parts": {"accumulate": 2, "optimizer": OptimizerConfig(learning_rate=0.02, clip_norm=0.5)},
    "dsr": {"method": "dsr"},
    "dsr, no BatchNorm": {"method": "dsr", "batch_norm": False},
    "dsr, lif, two parts": {"method": "dsr", "neuron": DSRConfig(kind="lif", threshold=1.0), "accumulate": 2},
    "dsr, step by step": {"method": "dsr", "dropout": 0.2},
    "tssl-bp": {"method": "tssl-bp", "batch_norm": False},
    "tssl-bp, the paper's rule, two parts": {"method": "tssl-bp", "neuron": TSSLConfig(rule="paper"), "accumulate": 2},
    "noise": {"method": "noise", "batch_norm": False},
    "noise, uniform, BatchNorm": {"method": "noise", "neuron": NoiseConfig(noise="uniform")},
}
"""What each method takes over its batch or draws, by what is changed in `SMALL`."""
MIXED = replace(SMALL, precision="bfloat16", epochs=1)


OF_THE_METHOD = {"loss": "", "readout": "", "initial": "", "neuron": None}


def config_of(case: str) -> TrainConfig:
    """The settings of a case."""
    return replace(SMALL, **(OF_THE_METHOD | CASES[case]))


def config_for(method: str) -> TrainConfig:
    """The small training with a method."""
    return replace(SMALL, **OF_THE_METHOD, method=method)


def digits() -> Dataset:
    """A few of them: four batches, and validation samples that no number of processes divides."""
    whole = load("digits")
    return replace(whole, train=whole.train[:48], validation=whole.validation[:31], test=whole.test[:37])


def epoch_in_double(case: str, ranks: Ranks) -> dict[str, np.ndarray]:
    """All weights and statistics after an epoch in float64, in which no rounding moves a spike, and
    what was measured.
    """
    data = digits()
    doubled = replace(data, train=Split(data.train.images.astype(np.float64), data.train.labels))
    run = trainer._start(config_of(case), doubled, "cpu", None, ranks)
    run.module.double()
    measured = trainer._epoch(run, 0)
    return {**{n: t.numpy() for n, t in run.module.state_dict().items()}, **{f"measured {n}": np.float64(v) for n, v in measured.items()}}


def stopped(out: Path, ranks: Ranks) -> None:
    """A training that is stopped after its first epoch."""
    epoch = trainer._epoch

    def interrupted(run: trainer.Run, number: int) -> dict[str, float]:
        if number:
            raise KeyboardInterrupt
        return epoch(run, number)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer, "_epoch", interrupted)
        trainer.train(SMALL, digits(), out, progress=False, ranks=ranks)


def torchrun(processes: int, words: Sequence[str | Path], **options: object) -> subprocess.CompletedProcess[str]:
    """torchrun of so many processes; words: a program and its arguments."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), *map(str, words)]
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("TORCHELASTIC", "MASTER", "RANK"))}
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**alone, "OMP_NUM_THREADS": "1"}, **options)


def main(out: Path) -> None:
    """All cases; the first process writes."""
    with joined("cpu") as ranks:
        for number, case in enumerate(CASES):
            tensors = epoch_in_double(case, ranks)
            if ranks.first:
                np.savez(out / f"{number}.npz", **tensors)
        for method in METHODS:
            trainer.train(config_for(method), digits(), out / method, progress=False, ranks=ranks)
        trainer.train(MIXED, digits(), out / "mixed", progress=False, ranks=ranks)
        stopped(out / "stopped", ranks)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
