"""Torch functions between two neurons, as links of a chain of synapses.

A rule gets the function's arguments, of which the first is a signal, and returns how each term of
the signal goes on; the bias needs no rule, since the function itself is run on the signal's
constant part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.export.common.errors import InputError
from spikeport.export.model.synapse import Pool, Shape
from spikeport.export.modules.value import Term
from spikeport.export.nir.foreign.compose import then_pool
from spikeport.export.quantization.fold import fold_batch_norm

Link = Callable[[Term, str], Term]
"""One more link at the end of a term; the string names the layer."""


def array(values: Any) -> np.ndarray:
    """A tensor or number as float64."""
    return values.detach().double().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values, np.float64)


def sizes(value: int | tuple[int, ...], axes: int) -> Shape:
    """One integer for all axes, or one each."""
    values = (value,) if isinstance(value, int) else tuple(int(v) for v in value)
    return values * axes if len(values) == 1 else values


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Link:
    return lambda term, label: term.extended({"type": "Linear", "weight": array(weight)}, label)


def _matmul(x: Tensor, other: Tensor) -> Link:
    return _linear(x, other.T)


def _convolution(kind: str) -> Callable[..., Link]:
    def rule(
        x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> Link:
        node = {"type": kind, "weight": array(weight), "stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        return lambda term, label: term.extended(node, label)

    return rule


def _average_pool(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Link:
    axes = x.dim() - 2
    kernel = sizes(kernel_size, axes)
    pool = Pool(kernel, sizes(stride, axes) if stride else kernel, sizes(padding, axes))
    if any(pool.padding) and not count_include_pad:
        raise InputError("average pooling that leaves its padding out of the mean (count_include_pad=False) is no one set of weights")
    factor = 1 / (divisor_override or prod(kernel))
    return lambda term, label: term.changed(label, lambda: then_pool(term.chain, pool, factor, label))


def _adaptive_average_pool(x: Tensor, output_size: Any) -> Link:
    wanted = sizes(output_size, x.dim() - 2)
    have = tuple(x.shape[2:])
    if any(size % out for size, out in zip(have, wanted)):
        raise InputError(f"adaptive average pooling of {have} to {wanted}: windows of unlike size; choose a size that divides evenly")
    return _average_pool(x, tuple(size // out for size, out in zip(have, wanted)))


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Link:
    if training or running_mean is None or running_var is None:
        raise InputError("batch norm takes the statistics of the batch itself; it needs running statistics to become weights")
    ones = np.ones(len(running_mean))
    gamma, beta = (default if t is None else array(t) for t, default in ((weight, 1.0), (bias, 0.0)))
    factor, _ = fold_batch_norm(ones, 0.0, mean=array(running_mean), variance=array(running_var), gamma=gamma, beta=beta, epsilon=eps)
    return scaling(factor.reshape(-1, *(1,) * (x.dim() - 2)))


def scaling(factor: np.ndarray) -> Link:
    """Multiplication by one number, one per channel or one per neuron."""

    def link(term: Term, label: str) -> Term:
        shape = term.chain.shape
        try:
            full = np.broadcast_to(factor.reshape(factor.shape[-len(shape) :] if factor.size > 1 else ()), shape)
        except ValueError:
            raise InputError(f"a factor of shape {factor.shape} does not fit a signal of shape {shape}") from None
        uniform = full.ravel()[:1] if (full == full.flat[0]).all() else full
        return term.extended({"type": "Scale", "scale": uniform}, label)

    return link


def reshaping(shape: Shape) -> Link:
    """The same neurons in the same order under another shape."""
    return lambda term, label: replace(term, chain=replace(term.chain, shape=shape))


RULES: Mapping[str, Callable[..., Link]] = {
    "linear": _linear,
    "matmul": _matmul,
    "__matmul__": _matmul,
    "mm": _matmul,
    "conv1d": _convolution("Conv1d"),
    "conv2d": _convolution("Conv2d"),
    "avg_pool1d": _average_pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool1d": _adaptive_average_pool,
    "adaptive_avg_pool2d": _adaptive_average_pool,
    "batch_norm": _batch_norm,
}
"""Linear layers by the name of the torch function that every module of theirs calls."""

RESHAPES = ("view", "reshape", "flatten", "squeeze", "unsqueeze", "unflatten", "view_as", "reshape_as")
SAME = ("detach", "detach_", "clone", "contiguous", "to", "float", "double", "half", "type", "cpu", "cuda", "requires_grad_", "type_as")
DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout", "feature_alpha_dropout")
SUMS = ("add", "__add__", "__radd__", "__iadd__", "add_", "sub", "__sub__", "__isub__", "sub_")
PRODUCTS = ("mul", "__mul__", "__rmul__", "__imul__", "mul_", "multiply")
QUOTIENTS = ("div", "__truediv__", "__itruediv__", "div_", "true_divide")
MAX_POOLS = ("max_pool1d", "max_pool2d")


def or_pool(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pool:
    """The windows of a max pooling, whose maximum of spikes is their logical or."""
    axes = x.dim() - 2
    if set(sizes(dilation, axes)) != {1}:
        raise InputError("max pooling with a dilation has no counterpart; use dilation 1")
    kernel = sizes(kernel_size, axes)
    return Pool(kernel, sizes(stride, axes) if stride else kernel, sizes(padding, axes))


def as_double(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments of a cast such that it keeps float64, in which the trace runs."""
    return tuple(torch.float64 if isinstance(a, torch.dtype) and a.is_floating_point else a for a in args)
