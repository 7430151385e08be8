"""What every torch function of a forward pass makes of signals: the rules of `layers`, time axes,
sums and products.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from spikeport.export.common.errors import InputError
from spikeport.export.modules.layers import DROPOUTS, PRODUCTS, QUOTIENTS, RESHAPES, RULES, SAME, SUMS, Link, array, reshaping, scaling
from spikeport.export.modules.value import HELD, Derived, RawInput, Term, Tracked, Value, starting

Lookup = Callable[[Any], "Tracked | None"]
"""What an argument stands for; None for constants."""


def signal(tracked: Tracked, tensor: Tensor, source: str, axes: int) -> Value | Derived:
    """The input as a signal where a layer reads it whole: its axes are batch and features, the same
    at every timestep.
    """
    if not isinstance(tracked, RawInput):
        return tracked
    if tracked.axes != tuple(range(axes)):
        return Derived("a function that reorders the sample's axes", None, tensor)
    return starting(source, HELD, tensor)


def linear_result(
    name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Tensor, lookup: Lookup, label: str
) -> Value | None:
    """The signal that a linear function makes of signals; None where the function is not linear in
    them.

    Raises:
        InputError: a layer that no chain of synapses can hold.
    """
    link = _link(name, args, kwargs, out, lookup)
    if link is None:
        return None
    values = [v for v in map(lookup, args) if isinstance(v, Value)]
    at_zero = func(*(v.at_zero.clone() if isinstance(v := lookup(a), Value) else a for a in args), **kwargs)
    terms = tuple(t for first, v in enumerate(values) for t in _linked(v, _sign(name, first, link), label))
    result = Value(terms, at_zero)
    if any(t.chain.shape != result.shape for t in terms):
        raise InputError(f"it makes a signal of shape {tuple(out.shape)}, which is not what its weights, window and padding say")
    return result


def _linked(value: Value, link: Link, label: str) -> list[Term]:
    return [link(term, label) for term in value.terms]


def _sign(name: str, position: int, link: Link) -> Link:
    """The second signal of a difference counts negative."""
    return scaling(array(-1.0)) if "sub" in name and position else link


def _same(term: Term, label: str) -> Term:
    return term


def _link(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Tensor, lookup: Lookup) -> Link | None:
    signals = [isinstance(lookup(a), Value) for a in args]
    if not 1 <= sum(signals) <= (2 if name in SUMS else 1) or any(isinstance(lookup(a), Derived) for a in args):
        return None
    for names, rule in RULES_OF:
        if name in names:
            return rule(name, args, kwargs, out, signals)
    return None


def _layer(name: str, args: Any, kwargs: Any, out: Tensor, signals: list[bool]) -> Link | None:
    return RULES[name](*args, **kwargs) if signals[0] else None


def _reshape(name: str, args: Any, kwargs: Any, out: Tensor, signals: list[bool]) -> Link | None:
    return reshaping(tuple(out.shape[1:])) if out.shape[0] == args[0].shape[0] else None


def _unchanged(name: str, args: Any, kwargs: Any, out: Tensor, signals: list[bool]) -> Link | None:
    return _same


def _dropout(name: str, args: Any, kwargs: Any, out: Tensor, signals: list[bool]) -> Link | None:
    if kwargs.get("training", args[2] if len(args) > 2 else True):
        raise InputError("dropout is active even though the module was set to evaluation; use nn.Dropout or training=self.training")
    return _same


def _sum(name: str, args: Any, kwargs: Any, out: Tensor, signals: list[bool]) -> Link | None:
    whole = all(_shape(a) == _shape(out) for a, s in zip(args, signals) if s)
    return _same if whole and signals[0] and not kwargs else None


def _product(name: str, args: Any, kwargs: Any, out: Tensor, signals: list[bool]) -> Link | None:
    return scaling(array(args[1 - signals.index(True)]))


def _quotient(name: str, args: Any, kwargs: Any, out: Tensor, signals: list[bool]) -> Link | None:
    return scaling(1 / array(args[1])) if signals[0] and not kwargs else None


RULES_OF: tuple[tuple[Collection[str], Callable[..., Link | None]], ...] = (
    (RULES, _layer),
    (RESHAPES, _reshape),
    (SAME, _unchanged),
    (DROPOUTS, _dropout),
    (SUMS, _sum),
    (PRODUCTS, _product),
    (QUOTIENTS, _quotient),
)


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def raw_result(
    name: str, raw: RawInput, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
) -> list[tuple[Tensor, RawInput, int | None]] | None:
    """The sample after a function that only moves or takes axes: tensors, their axes, and for each
    the timestep that it is, if any.

    None where the function does anything else.
    """
    if name in SAME:
        return [(out, raw, None)]
    if name in ("permute", "transpose", "movedim", "swapaxes", "moveaxis", "swapdims"):
        labels = torch.empty(tuple(range(1, len(raw.axes) + 1)))  # sizes name the axes
        moved = getattr(torch.Tensor, name)(labels, *args[1:], **kwargs)
        return [(out, RawInput(tuple(raw.axes[size - 1] for size in moved.shape)), None)]
    if name in ("unbind", "__iter__"):
        axis = kwargs.get("dim", args[1] if len(args) > 1 else 0) % len(raw.axes)
        parts = list(out)
        return [(part, _without(raw, axis), t) for t, part in enumerate(parts)]
    if name in ("__getitem__", "select"):
        taken = _taken(name, args, kwargs, len(raw.axes))
        if taken is None:
            return None
        axis, index = taken
        return [(out, _without(raw, axis), index % args[0].shape[axis])]
    return None


def _without(raw: RawInput, axis: int) -> RawInput:
    return RawInput(raw.axes[:axis] + raw.axes[axis + 1 :])


def _taken(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], axes: int) -> tuple[int, int] | None:
    """Axis and index of `x[..., index, ...]` or `x.select(axis, index)`; None for any other
    indexing.
    """
    if name == "select":
        axis, index = (kwargs.get(key, args[i] if len(args) > i else None) for i, key in ((1, "dim"), (2, "index")))
        return (axis % axes, int(index)) if axis is not None and index is not None else None
    keys = args[1] if isinstance(args[1], tuple) else (args[1],)
    if Ellipsis in [k for k in keys if not isinstance(k, Tensor)]:
        at = keys.index(Ellipsis)
        keys = (*keys[:at], *(slice(None),) * (axes - len(keys) + 1), *keys[at + 1 :])
    numbers = [(i, k) for i, k in enumerate(keys) if isinstance(k, int) and not isinstance(k, bool)]
    whole = all(k == slice(None) for k in keys if not isinstance(k, int))
    return numbers[0] if len(numbers) == 1 and whole else None
