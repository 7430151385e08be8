"""Several processes train what one trains with the whole batch, whatever the method takes over it.

One launch of torchrun does all that is compared here.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from support import together
from support.places import ROOT

from spikeport.train.loop import trainer
from spikeport.train.loop.checkpoint import load
from spikeport.train.loop.resume import STATE
from spikeport.train.ranks.group import ALONE
from spikeport.train.settings.methods import METHODS


def launched(processes, tmp_path_factory):
    out = tmp_path_factory.mktemp(f"of-{processes}")
    done = together.torchrun(processes, [ROOT / "tests/support/together.py", out], timeout=600)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    """Folder of what two processes made."""
    return launched(2, tmp_path_factory)


def same_epoch(out, case):
    alone = together.epoch_in_double(case, ALONE)
    with np.load(out / f"{list(together.CASES).index(case)}.npz") as theirs:
        assert theirs.keys() == alone.keys()
        for name, value in alone.items():
            np.testing.assert_allclose(theirs[name], value, rtol=1e-12, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("case", together.CASES)
def test_two_processes_are_one(case, of_two):
    same_epoch(of_two, case)


@pytest.mark.slow
def test_three_processes_are_one(tmp_path_factory):
    config = [c for c in together.CASES if together.config_of(c).accumulate == 1]
    out = launched(3, tmp_path_factory)
    for case in config:
        same_epoch(out, case)


@pytest.mark.parametrize("method", METHODS)
def test_a_whole_training_is_the_same_to_rounding(method, of_two, tmp_path):
    alone, theirs = trainer.train(together.config_for(method), together.digits(), tmp_path, progress=False), load(of_two / method)
    for name, weight in alone.module.state_dict().items():
        np.testing.assert_allclose(theirs.module.state_dict()[name], weight, rtol=1e-3, atol=1e-4, err_msg=name)
    assert theirs.metrics["test_accuracy"] == alone.metrics["test_accuracy"]
    assert theirs.metrics["validation_accuracy"] == alone.metrics["validation_accuracy"]


def test_mixed_precision_is_the_same_to_its_rounding(of_two, tmp_path):
    alone, theirs = trainer.train(together.MIXED, together.digits(), tmp_path, progress=False), load(of_two / "mixed")
    plain = trainer.train(replace(together.MIXED, precision="float32"), together.digits(), tmp_path / "plain", progress=False)
    weights, shared, exact = (t.module.state_dict() for t in (alone, theirs, plain))
    apart, rounded = (torch.cat([(other[name] - w).abs().float().flatten() for name, w in weights.items()]) for other in (shared, exact))
    # spikes that rounding moves change single weights by more
    assert apart.mean() < 1e-3 and rounded.mean() > 4 * apart.mean(), "precision makes a difference"


def test_one_process_goes_on_with_what_two_began(of_two, tmp_path):
    shutil.copytree(of_two / "stopped", tmp_path / "run")
    assert (tmp_path / "run" / STATE).is_file()
    options = {"progress": False}
    resumed = trainer.train(together.SMALL, together.digits(), tmp_path / "run", resume=True, **options)
    unbroken = trainer.train(together.SMALL, together.digits(), tmp_path / "unbroken", **options)
    for name, weight in unbroken.module.state_dict().items():
        np.testing.assert_allclose(resumed.module.state_dict()[name], weight, rtol=1e-3, atol=1e-4, err_msg=name)
