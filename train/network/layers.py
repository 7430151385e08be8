"""Synapses: average pooling, weights (a `Skip` has none) and BatchNorm on the way from one
population to the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import prod

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from spikeport.export.model.network import Connection, Conv, Dense, Elementwise, Op
from spikeport.export.quantization.fold import fold_average_pool, fold_batch_norm
from spikeport.train.network.architecture import ConvLayer, DenseLayer, MaxPool, Skip
from spikeport.train.network.batch_norm import normalised, pays, statistics
from spikeport.train.network.convolution import Convolution
from spikeport.train.network.delays import AxonalDelays
from spikeport.train.network.dropout import HeldDropout
from spikeport.train.network.pooling import average_pool
from spikeport.train.network.topology import Projection
from spikeport.train.ranks.draws import numbered_as_here
from spikeport.train.ranks.group import partners
from spikeport.train.settings.config import NormOver


class ScaledBatchNorm(_BatchNorm):
    """gamma * (norm_scale * (x - mu) / sqrt(var + eps)) + beta (Zheng et al. 2020, equations 6 and
    7), for features and for maps.
    """

    def __init__(self, channels: int, norm_scale: float) -> None:
        super().__init__(channels)
        self.norm_scale = norm_scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert self.momentum is not None and self.bias is not None
        if self.training and (pays(x) or partners() > 1):
            mean, variance = statistics(x.detach())
            self.remember(mean, variance, x.numel() // len(mean))
            return normalised(x, self.scale(), self.bias, mean, variance, self.eps)
        return F.batch_norm(x, self.running_mean, self.running_var, self.scale(), self.bias, self.training, self.momentum, self.eps)

    def scale(self) -> torch.Tensor:
        """What multiplies the normalised currents."""
        assert self.weight is not None
        return self.norm_scale * self.weight

    def remember(self, mean: torch.Tensor, variance: torch.Tensor, count: int) -> None:
        """Move the running statistics towards those of a batch of so many numbers per channel, in
        each of the processes that train together.
        """
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        count *= partners()
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum)


def rerun_contexts(norms: Iterable[ScaledBatchNorm]) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What the two forward passes of a layer that is computed again run in: running statistics move
    in the first only, and both draw the same.
    """
    return nullcontext(), _again(list(norms), numbered_as_here())


@contextmanager
def _again(norms: list[ScaledBatchNorm], numbers: AbstractContextManager[None]) -> Iterator[None]:
    kept = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        with numbers:
            yield
    finally:
        for norm, momentum in zip(norms, kept):
            norm.momentum = momentum


class Synapses(nn.Module):
    """A path's weights, behind trained delays where it has any. forward: `(batch, *source_shape)`
    to currents `(batch, *output_shape)`;
    batch: timesteps times samples, time first.

    norm: BatchNorm behind the weights, instead of a bias. norm_over: what its statistics in
    training are taken over, besides batch and
    space: "time", or "timestep" for each timestep by itself, running statistics shared (a module
    called T times, as in TIC's code).
    bias: whether there is one.
    norm_scale: what BatchNorm multiplies the normalised currents by besides gamma; tdBN's alpha *
    V_th.
    pool_factor: what pooling multiplies the window's mean by. dropout: probability, of what the
    weights see (`train.network.dropout`).
    """

    def __init__(
        self,
        path: Projection,
        *,
        norm: bool,
        bias: bool,
        norm_scale: float = 1.0,
        norm_over: NormOver = "time",
        pool_factor: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        assert not isinstance(path.layer, MaxPool)
        self.path, self.pool_factor = path, pool_factor if path.pool > 1 else 1.0
        self.flatten = isinstance(path.layer, DenseLayer)
        self.weights = None if isinstance(path.layer, Skip) else _weights(path, bias=bias and not norm)
        self.norm = ScaledBatchNorm(path.output_shape[0], norm_scale) if norm else None
        self.norm_over = norm_over
        self.delays = AxonalDelays(path.shape[0], path.delays) if path.delays else None
        self.dropout = HeldDropout(dropout) if dropout and self.weights is not None else None

    def forward(self, x: torch.Tensor, timesteps: int = 1) -> torch.Tensor:
        return self.driven(self.received(x, timesteps), timesteps)

    def received(self, x: torch.Tensor, timesteps: int) -> torch.Tensor:
        """What arrives at the weights, later and pooled: the least of a layer's input that says all
        of it.
        """
        if self.delays is not None:
            x = self.delays(x.unflatten(0, (timesteps, -1))).flatten(0, 1)
        return self.pooled(x)

    def driven(self, x: torch.Tensor, timesteps: int) -> torch.Tensor:
        """The currents that it makes."""
        if self.dropout is not None:
            x = self.dropout(x, timesteps)
        if self.weights is not None:
            x = self.weights(x.flatten(1) if self.flatten else x)
        return x if self.norm is None else self._normed(x, self.norm, timesteps)

    def _normed(self, x: torch.Tensor, norm: ScaledBatchNorm, timesteps: int) -> torch.Tensor:
        if self.norm_over == "time" or not self.training:
            return norm(x)
        return torch.cat([norm(step) for step in x.chunk(timesteps)])

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """What the weights see, of what the source sends `(batch, *source_shape)`, or of its means
        over windows.
        """
        if self.path.pool == 1:
            return x
        x = x if x.shape[1:] == self.path.pooled_shape else average_pool(x, self.path.pool)
        return x if self.pool_factor == 1 else x * self.pool_factor

    def lowered(self, target: str, gain: np.ndarray, height: float | np.ndarray) -> tuple[list[Connection], np.ndarray]:
        """The connection, or one for each delay that differs, and the bias `(C,)` they leave to
        their target; BatchNorm as in evaluation.

        gain: the target's factor on all that enters it, `()` or per channel `(C,)`. height: of a
        message of the source, likewise.
        """
        weight, bias = self.folded()
        weight = gain.reshape(-1, *(1,) * (weight.ndim - 1)) * self._per_weight(height) * self.pool_factor * weight
        name = f"{self.path.source}->{target}"
        if self.delays is None:
            return [self._connection(name, target, weight, self.path.lag)], gain * bias
        steps = self.delays.rounded().cpu().numpy()
        each = [(int(d), weight * self._per_weight((steps == d).astype(np.float64))) for d in np.unique(steps)]
        return [self._connection(f"{name} after {d}", target, part, d) for d, part in each], gain * bias

    def _connection(self, name: str, target: str, weight: np.ndarray, delay: int) -> Connection:
        op, pool, k = self._op(weight), None, (self.path.pool,) * 2
        if self.path.pool > 1:
            pool, op = fold_average_pool(op, k, k, (0, 0))
        return Connection(name, self.path.source, target, op, pool, delay)

    def folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights and bias `(C,)` with BatchNorm inside; a `Skip`'s weights are factors per channel
        `(C,)`.
        """
        n, channels = self.norm, self.path.output_shape[0]
        weight = np.ones(channels) if self.weights is None else _float64(self.weights.weight)
        bias = np.zeros(channels) if self.weights is None or self.weights.bias is None else _float64(self.weights.bias)
        if n is None:
            return weight, bias
        assert n.running_mean is not None and n.running_var is not None
        statistics = {"mean": _float64(n.running_mean), "variance": _float64(n.running_var)}
        return fold_batch_norm(weight, bias, **statistics, gamma=n.norm_scale * _float64(n.weight), beta=_float64(n.bias), epsilon=n.eps)

    def _per_weight(self, height: float | np.ndarray) -> np.ndarray:
        """A factor of each source channel, shaped to broadcast against the weights."""
        by_channel, layer = np.asarray(height), self.path.layer
        if not by_channel.ndim or isinstance(layer, Skip):
            return by_channel
        shape = self.path.pooled_shape
        return by_channel.reshape(-1, 1, 1) if isinstance(layer, ConvLayer) else np.repeat(by_channel, prod(shape[1:]))

    def _op(self, weight: np.ndarray) -> Op:
        layer = self.path.layer
        if isinstance(layer, ConvLayer):
            return Conv(weight, (layer.stride,) * 2, (layer.padding,) * 2, (1, 1))
        if isinstance(layer, Skip):
            return Elementwise(np.array(weight.reshape(-1, *(1,) * (len(self.path.shape) - 1))))
        return Dense(weight)


def _weights(path: Projection, *, bias: bool) -> nn.Conv2d | nn.Linear:
    layer = path.layer
    if isinstance(layer, ConvLayer):
        return Convolution(path.pooled_shape[0], layer.channels, layer.kernel, layer.stride, layer.padding, bias=bias)
    assert isinstance(layer, DenseLayer)
    return nn.Linear(int(np.prod(path.pooled_shape)), layer.features, bias=bias)


def _float64(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().cpu().numpy()
