"""Folding is exact: PyTorch's own layers are the oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spikeport.export.common.errors import InputError
from spikeport.export.floating.layers import SynapseLayer
from spikeport.export.model.synapse import Connection, Conv
from spikeport.export.quantization.fold import fold_average_pool, fold_batch_norm


def trained(layer: nn.Module, generator: torch.Generator) -> nn.Module:
    """Batch norm as after training: nothing at its default."""
    layer = layer.double().eval()
    for tensor in (layer.weight.data, layer.bias.data, layer.running_mean, layer.running_var):
        tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.1)
    return layer


def folded(layer: nn.Module, weight: np.ndarray, bias: np.ndarray | float) -> tuple[torch.Tensor, torch.Tensor]:
    mean, variance, gamma, beta = (t.detach().numpy() for t in (layer.running_mean, layer.running_var, layer.weight, layer.bias))
    made = fold_batch_norm(weight, bias, mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=layer.eps)
    return torch.tensor(made[0]), torch.tensor(made[1])


@pytest.mark.parametrize("seed", range(5))
def test_batch_norm_behind_a_convolution(seed):
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    weight, bias = rng.normal(size=(6, 2, 3, 3)), rng.normal(size=6)
    norm = trained(nn.BatchNorm2d(6), generator)
    x = torch.rand(2, 4, 9, 7, generator=generator, dtype=torch.float64)
    arguments = ((2, 1), (1, 0), (1, 2), 2)
    want = norm(F.conv2d(x, torch.tensor(weight), torch.tensor(bias), *arguments))
    torch.testing.assert_close(F.conv2d(x, *folded(norm, weight, bias), *arguments), want, rtol=1e-12, atol=1e-12)


def test_batch_norm_behind_a_dense_layer_without_bias():
    rng, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    norm = trained(nn.BatchNorm1d(4), generator)
    x = torch.rand(5, 3, generator=generator, dtype=torch.float64)
    weight = rng.normal(size=(4, 3))
    torch.testing.assert_close(F.linear(x, *folded(norm, weight, 0.0)), norm(F.linear(x, torch.tensor(weight))), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [((2, 2), (2, 2), (0, 0)), ((3, 2), (1, 2), (1, 1)), ((6, 5), (6, 5), (0, 0))])
def test_average_pooling_ahead_of_a_convolution(kernel, stride, padding):
    rng, generator = np.random.default_rng(2), torch.Generator().manual_seed(2)
    weight = rng.normal(size=(3, 2, 1, 1))
    x = torch.rand(4, 2, 6, 5, generator=generator, dtype=torch.float64)
    pool, op = fold_average_pool(Conv(weight, (1, 1), (0, 0), (1, 1)), kernel, stride, padding)
    connection = Connection("c", "a", "b", op, pool)
    got = SynapseLayer(connection, (2, 6, 5), connection.output_shape((2, 6, 5)), torch.float64)(x[None])[0]
    want = F.conv2d(F.avg_pool2d(x, kernel, stride, padding), torch.tensor(weight))
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("mean", "variance"), [(0.0, -1.0), (np.nan, 1.0), (0.0, np.inf)])
def test_statistics_that_make_no_sense_are_refused(mean, variance):
    with pytest.raises(InputError, match="variances"):
        fold_batch_norm(np.ones((1, 1)), 0.0, mean=np.array([mean]), variance=np.array([variance]), gamma=1.0, beta=0.0, epsilon=1e-5)
