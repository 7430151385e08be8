"""One connection from a chain of NIR's linear nodes, where their product is exactly a connection;
else a reason why not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from spikeport.export.model.synapse import Conv, Dense, Elementwise, Op, Pool, Shape
from spikeport.export.nir.contents import Node
from spikeport.export.nir.foreign.flat import NodeError, integers_of, numbers, unsupported

DELAY_TOLERANCE = 1e-3
"""How far a delay may lie from a whole number of steps, in steps."""

CHANNEL_TOLERANCE = 1e-6
"""Relative difference of factors inside a channel that is float32's rounding of equal ones."""


@dataclass(frozen=True)
class Chain:
    """Delay, then pooling, then op: what stands between a population and the node reached so far.

    shape: of the signal there. biases: what each biased node on the way adds to the signal, by
    node, broadcasting to `shape`.
    """

    shape: Shape
    delay: int = 0
    pool: Pool | None = None
    op: Op | None = None
    biases: Mapping[str, np.ndarray] = field(default_factory=dict)

    def inner(self, source: Shape) -> Shape:
        """Shape that the last op or pooling makes, before any flatten."""
        pooled = self.pool.output_shape(source) if self.pool else source
        return self.op.output_shape(pooled) if self.op else pooled


def extend(chain: Chain, source: Shape, node: Node, name: str, dt: float | None) -> Chain:
    """The chain with one more linear node at its end; source: shape of the population where it
    starts.

    dt None: delays are not counted, since the timestep is not known yet.

    Raises:
        NodeError: the node is malformed, unsupported, or cannot be merged exactly with what comes
            before it.
    """
    kind = node["type"]
    if kind in ("Input", "Output", "Identity"):
        return chain
    if kind == "Delay":
        return _delayed(chain, source, node, name, dt)
    if kind not in MERGES:
        raise NodeError(name, unsupported(kind))
    return MERGES[kind](chain, chain.inner(source), node, name)


def _mapped(chain: Chain, change: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
    """What the biases so far become in the next signal; `change` sees each in the full shape of
    this one.
    """
    return {name: change(np.broadcast_to(bias, chain.shape)) for name, bias in chain.biases.items()}


def _biased(chain: Chain, node: Node, name: str) -> Chain:
    """Note the bias of an Affine or Conv node, one value per channel."""
    if node["type"] == "Linear" or "bias" not in node:
        return chain
    bias = numbers(node, name, "bias")
    if bias.shape != chain.shape[:1]:
        raise NodeError(name, f"bias has shape {bias.shape}; expected {chain.shape[:1]}")
    if not bias.any():
        return chain
    return replace(chain, biases={**chain.biases, name: bias.reshape(-1, *(1,) * (len(chain.shape) - 1))})


def _flattened(chain: Chain, inner: Shape, node: Node, name: str) -> Chain:
    """NIR counts axes without batch; a partial flatten merges axes start..end."""
    (start,) = integers_of(node, name, "start_dim", 1, 0)
    (end,) = integers_of(node, name, "end_dim", 1, -1)
    axes = len(chain.shape)
    start, end = (start % axes, end % axes) if axes > 1 else (0, 0)
    shape = (*chain.shape[:start], prod(chain.shape[start : end + 1]), *chain.shape[end + 1 :])
    return replace(chain, shape=shape, biases=_mapped(chain, lambda bias: bias.reshape(shape)))


def delay_parts(chain: Chain, node: Node, name: str, dt: float | None) -> list[Node]:
    """Nodes to put one after another in parallel ways, in place of a node: itself, or for a Delay
    that differs between neurons one way per delay, each a mask of the neurons that have it.

    Raises:
        NodeError: the Delay does not fit the signal.
    """
    if node["type"] != "Delay" or dt is None:
        return [node]
    delay = numbers(node, name, "delay")
    distinct = np.unique(_whole_steps(delay, name, dt)) if delay.size else []
    if len(distinct) < 2:
        return [node]
    if delay.size != prod(chain.shape):
        raise NodeError(name, f"{delay.size} delays for a signal of shape {chain.shape}")
    steps = _whole_steps(delay.reshape(chain.shape), name, dt)
    return [{**node, "delay": np.array(d * dt), "mask": (steps == d).astype(np.float64)} for d in distinct]


def _whole_steps(delay: np.ndarray, name: str, dt: float) -> np.ndarray:
    steps = delay / dt
    whole = np.rint(steps)
    if (whole < 0).any() or (np.abs(steps - whole) > DELAY_TOLERANCE).any():
        odd = steps.ravel()[np.argmax(np.abs(steps - whole))]
        raise NodeError(name, f"its delay is {odd:g} timesteps of {dt:g}; it must be a whole number, 0 or more")
    return whole.astype(np.int64)


def _delayed(chain: Chain, source: Shape, node: Node, name: str, dt: float | None) -> Chain:
    delay = numbers(node, name, "delay")
    if not delay.size:
        raise NodeError(name, "it holds no delay")
    if chain.biases:
        raise NodeError(name, "a bias ahead of a delay would start late; put the delay first")
    if dt is None:
        return chain
    if "mask" in node:
        chain = _scaled(chain, chain.inner(source), {"type": "Scale", "scale": node["mask"]}, name)
    return replace(chain, delay=chain.delay + int(_whole_steps(delay.ravel()[:1], name, dt)[0]))


def scaled_op(op: Op | None, inner: Shape, factor: np.ndarray) -> Op | None:
    """`factor * op`, factor broadcast to the shape `inner` that the op makes; None where a
    convolution cannot carry it.
    """
    if op is None:
        return Elementwise(np.asarray(factor))
    if isinstance(op, Elementwise):
        return Elementwise(np.asarray(op.weight * factor))
    full = np.broadcast_to(factor, inner)
    if isinstance(op, Dense):
        return Dense(op.weight * full.reshape(-1, 1))
    by_channel = full.reshape(inner[0], -1)
    if not np.allclose(by_channel, by_channel[:, :1], rtol=CHANNEL_TOLERANCE, atol=0):
        return None
    return replace(op, weight=op.weight * by_channel[:, 0].reshape(-1, *(1,) * (op.weight.ndim - 1)))


def _scaled(chain: Chain, inner: Shape, node: Node, name: str) -> Chain:
    factor = numbers(node, name, "scale")
    if factor.size == 1:
        factor = factor.reshape(())
    elif factor.shape == chain.shape:
        factor = factor.reshape(inner)
    elif factor.shape != (inner[0], *(1,) * (len(inner) - 1)):
        raise NodeError(name, f"a scale of shape {factor.shape} does not fit a signal of shape {chain.shape}")
    op = scaled_op(chain.op, inner, factor)
    if op is None:
        raise NodeError(name, "its scale varies inside a channel, after a convolution; put a neuron between them or scale per channel")
    seen = factor if factor.size == 1 else np.broadcast_to(factor, inner).reshape(chain.shape)
    return replace(chain, op=op, biases=_mapped(chain, lambda bias: bias * seen))


def _multiplied(chain: Chain, inner: Shape, node: Node, name: str) -> Chain:
    weight = numbers(node, name, "weight")
    if weight.ndim != 2 or weight.shape[1] != prod(chain.shape):
        raise NodeError(name, f"a weight of shape {weight.shape} cannot read a signal of shape {chain.shape}")
    op, biases = chain.op, _mapped(chain, lambda bias: weight @ bias.ravel())
    if isinstance(op, Conv):
        raise NodeError(name, "a dense layer directly after a convolution; put a neuron between them")
    if isinstance(op, Elementwise):
        merged = weight * (np.broadcast_to(op.weight, inner).ravel() if op.weight.ndim else op.weight)
    else:
        merged = weight @ op.weight if isinstance(op, Dense) else weight
    return _biased(replace(chain, shape=(len(weight),), op=Dense(merged), biases=biases), node, name)


def convolution(node: Node, name: str) -> Conv:
    """The convolution of a Conv1d or Conv2d node; 'same' and 'valid' padding as in PyTorch."""
    weight = numbers(node, name, "weight")
    axes = int(node["type"][4])
    if weight.ndim != axes + 2:
        raise NodeError(name, f"weight has shape {weight.shape}; a {node['type']} has {axes + 2} axes")
    stride, dilation = (integers_of(node, name, key, axes, 1) for key in ("stride", "dilation"))
    (groups,) = integers_of(node, name, "groups", 1, 1)
    padding = node.get("padding", 0)
    if isinstance(padding, (str, bytes)):
        padding = _named_padding(padding, weight.shape[2:], stride, dilation, name)
    else:
        padding = integers_of(node, name, "padding", axes, 0)
    try:
        return Conv(weight, stride, padding, dilation, groups)
    except ValueError as error:
        raise NodeError(name, str(error)) from None


def _named_padding(padding: str | bytes, kernel: Shape, stride: Shape, dilation: Shape, name: str) -> Shape:
    text = padding.decode() if isinstance(padding, bytes) else padding
    if text == "valid":
        return (0,) * len(kernel)
    span = [d * (k - 1) for d, k in zip(dilation, kernel)]
    if text != "same" or any(s % 2 for s in span) or set(stride) != {1}:
        raise NodeError(name, f"padding {text!r} with kernel {kernel} and stride {stride}; 'same' needs odd kernels and stride 1")
    return tuple(s // 2 for s in span)


def _convolved(chain: Chain, inner: Shape, node: Node, name: str) -> Chain:
    conv, op = convolution(node, name), chain.op
    if op is None and chain.pool is None and not np.any(node.get("bias", 0)) and _sums_channels(conv):
        return then_pool(chain, Pool(conv.kernel, conv.stride, conv.padding), 1.0, name)
    if isinstance(op, (Conv, Dense)):
        raise NodeError(name, "a convolution directly after another weighted layer; put a neuron between them")
    if isinstance(op, Elementwise):
        conv = _scaled_inputs(conv, op.weight, chain.shape, name)
    try:
        return _biased(replace(chain, shape=conv.output_shape(chain.shape), op=conv), node, name)
    except ValueError as error:
        raise NodeError(name, str(error)) from None


def _sums_channels(conv: Conv) -> bool:
    """Whether a convolution is sum pooling, which NIR has over two axes only."""
    ones = np.eye(len(conv.weight)) if conv.groups == 1 else np.ones((len(conv.weight), 1))
    pools = ones.shape == conv.weight.shape[:2] and conv.groups in (1, len(conv.weight)) and set(conv.dilation) == {1}
    return pools and bool((conv.weight == ones.reshape(*ones.shape, *(1,) * len(conv.kernel))).all())


def _scaled_inputs(conv: Conv, factor: np.ndarray, shape: Shape, name: str) -> Conv:
    """A convolution that reads `factor * x`."""
    by_channel = np.broadcast_to(factor, shape).reshape(shape[0], -1)
    if (by_channel != by_channel[:, :1]).any():
        raise NodeError(name, "a convolution after a scale that varies inside a channel; scale per channel or put a neuron between them")
    per_group = by_channel[:, 0].reshape(conv.groups, -1)
    factors = np.repeat(per_group, len(conv.weight) // conv.groups, axis=0)
    return replace(conv, weight=conv.weight * factors.reshape(*factors.shape, *(1,) * len(conv.kernel)))


def _pooled(chain: Chain, inner: Shape, node: Node, name: str) -> Chain:
    kernel = integers_of(node, name, "kernel_size", 2)
    stride = integers_of(node, name, "stride", 2) if "stride" in node else kernel
    factor = 1 / prod(kernel) if node["type"] == "AvgPool2d" else 1.0
    padding = integers_of(node, name, "padding", 2, 0)
    try:
        return then_pool(chain, Pool(kernel, stride, padding), factor, name)
    except ValueError as error:
        raise error if isinstance(error, NodeError) else NodeError(name, str(error)) from None


def then_pool(chain: Chain, pool: Pool, factor: float, name: str) -> Chain:
    """The chain with `factor` times a sum pooling at its end."""
    shape = pool.output_shape(chain.shape)
    if isinstance(chain.op, Conv):
        biases = _mapped(chain, lambda bias: bias[:, :1, :1] * (prod(pool.kernel) * factor))
        return replace(chain, shape=shape, op=_times(_conv_then_pool(chain.op, pool, name), factor), biases=biases)
    if chain.pool or isinstance(chain.op, Dense) or (chain.op and chain.op.weight.size != 1):
        raise NodeError(name, "pooling directly after a scale, another pooling or a dense layer; put a neuron between them")
    return replace(chain, shape=shape, pool=pool, op=_times(chain.op, factor))


def _times(op: Op | None, factor: float) -> Op | None:
    if factor == 1.0:
        return op
    return replace(op, weight=np.asarray(op.weight * factor)) if op else Elementwise(np.array(factor))


def _conv_then_pool(conv: Conv, pool: Pool, name: str) -> Conv:
    """Sum pooling of a convolution's output is one convolution with the kernels summed at the
    pool's offsets.
    """
    if any(pool.padding):
        raise NodeError(name, "padded pooling directly after a convolution; put a neuron between them or pool without padding")
    spans = [s * (k - 1) + d * (n - 1) + 1 for s, k, d, n in zip(conv.stride, pool.kernel, conv.dilation, conv.kernel)]
    weight = np.zeros((*conv.weight.shape[:2], *spans))
    for offset in np.ndindex(*pool.kernel):
        begins = [o * s for o, s in zip(offset, conv.stride)]
        taps = (slice(b, b + d * (n - 1) + 1, d) for b, d, n in zip(begins, conv.dilation, conv.kernel))
        at: tuple[Any, ...] = (..., *taps)
        weight[at] += conv.weight
    stride = tuple(a * b for a, b in zip(conv.stride, pool.stride))
    return Conv(weight, stride, conv.padding, (1,) * len(stride), conv.groups)


MERGES: Mapping[str, Callable[[Chain, Shape, Node, str], Chain]] = {
    "Flatten": _flattened,
    "Scale": _scaled,
    "Affine": _multiplied,
    "Linear": _multiplied,
    "Conv1d": _convolved,
    "Conv2d": _convolved,
    "SumPool2d": _pooled,
    "AvgPool2d": _pooled,
}
"""How each linear node joins the chain before it; the shape is that of the chain's op ahead of any
flatten.
"""
