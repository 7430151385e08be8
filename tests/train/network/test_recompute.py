"""Layers that are computed again in the backward pass: the same training to the last bit, and fewer
numbers kept.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from spikeport.export.common.errors import InputError
from spikeport.train.data.registry import load
from spikeport.train.loop.trainer import train
from spikeport.train.network.build import build
from spikeport.train.neurons.stbp import parametric_lif
from spikeport.train.settings.config import TrainConfig, defaults_for
from spikeport.train.settings.named_losses import loss_named

DATA = load("digits", None, 0, 4, defaults_for("digits").events)
CASES = {
    "BatchNorm": {},
    "BatchNorm at each timestep": {"norm_over": "timestep", "tdbn_alpha": 1.0},
    "no BatchNorm": {"batch_norm": False},
    "dropout": {"dropout": 0.3},
    "learned leak": {"neuron": parametric_lif()},
    "recurrent, delays": {"arch": "8C3-P2-20RD3"},
    "max pooling": {"arch": "8C3-MP2-20"},
    "residual": {"arch": "preact-resnet-20"},
    "bfloat16": {"precision": "bfloat16"},
    "rate code": {"input_code": "rate"},
    "tssl-bp": {"method": "tssl-bp", "dropout": 0.2},
}


def after_steps(config: TrainConfig) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Gradients of the second of two steps, and all of the network's state."""
    module = build(config, DATA.task).train()
    optimizer = config.optimizer.build(module.parameters())
    torch.manual_seed(4)
    images, labels = torch.from_numpy(DATA.train.images[:16]), torch.from_numpy(DATA.train.labels[:16])
    for _ in range(2):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
            output = module(images)
        loss_named(config.loss)(output.float(), labels, config.neuron).backward()
        optimizer.step()
    return {name: p.grad for name, p in module.named_parameters()}, module.state_dict()


@pytest.mark.parametrize("case", CASES)
def test_gradients_and_statistics_are_equal_bit_for_bit(case):
    config = defaults_for("digits", **{"arch": "8C3-P2-20", "timesteps": 4, "threads": 1, **CASES[case]})
    (kept, state), (again, repeated) = after_steps(config), after_steps(replace(config, recompute=True))
    assert any(g.abs().max() > 0 for g in kept.values())
    for name, gradient in kept.items():
        assert torch.equal(gradient, again[name]), name
    for name, value in state.items():
        assert torch.equal(value, repeated[name]), name


def test_samples_of_another_process_draw_the_same_again():
    """Those of the second process have numbers from 8 on."""

    def gradients(recompute: bool) -> list[torch.Tensor]:
        module = build(defaults_for("digits", arch="20-20", dropout=0.5, recompute=recompute), DATA.task).train()
        torch.manual_seed(4)
        module(torch.from_numpy(DATA.train.images[8:16]), first=8).square().sum().backward()
        return [p.grad for p in module.parameters()]

    assert all(torch.equal(kept, again) for kept, again in zip(gradients(False), gradients(True)))


def test_a_whole_training_is_the_same(tmp_path):
    config = defaults_for("digits", arch="8C3-P2-20", epochs=2, timesteps=3)
    kept, again = (train(replace(config, recompute=r), DATA, tmp_path / str(r), progress=False) for r in (False, True))
    assert all(torch.equal(value, again.module.state_dict()[name]) for name, value in kept.module.state_dict().items())
    assert kept.metrics["test_accuracy"] == again.metrics["test_accuracy"]


def test_currents_and_potentials_are_not_kept():
    """Outside of the layers that are computed again, nothing of theirs is saved for the backward
    pass.
    """

    def saved(recompute: bool) -> int:
        module = build(defaults_for("digits", arch="8C3-8C3-20", timesteps=6, recompute=recompute), DATA.task).train()
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            module(torch.from_numpy(DATA.train.images[:16]))
        return sum(sizes)

    layer = 6 * 16 * 8 * 64  # T, N, channels, pixels
    assert saved(False) > 4 * layer and saved(True) < layer


def test_methods_that_keep_one_timestep_refuse_it():
    for method in ("dsr", "noise"):
        with pytest.raises(InputError, match="recompute saves nothing"):
            defaults_for("digits", method=method, recompute=True)
