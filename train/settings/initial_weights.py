"""Initial weights by name.

| name | convolutions | dense layers |
|---|---|---|
| `torch` | uniform, deviation sqrt(1 / (3 fan_in)) | the same |
| `he` | the same times sqrt(6): He's deviation sqrt(2 / fan_in) | the same |
| `kaiming-fan-out` | normal, deviation sqrt(2 / fan_out) (DSR's code) | as `torch`, bias 0 |
| `kaiming-fan-out-0.01` | the same, bias 0 (DSR's VGG) | normal, deviation 0.01, bias 0 |
| `tssl`, `tssl-5` | as `torch`, times 1 or 5 (TSSL-BP's released code on MNIST, on CIFAR-10) | normal, deviation sqrt(2 / fan_in) |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from math import sqrt
from typing import TypeAlias

import torch
from torch import nn

from spikeport.export.common.errors import InputError

Layer: TypeAlias = "nn.Conv2d | nn.Linear"


def _scaled(layer: Layer, *, factor: float) -> None:
    layer.weight.mul_(factor)


def _fan_out(layer: Layer, *, dense: float | None = None) -> None:
    if layer.bias is not None and (dense is not None or isinstance(layer, nn.Linear)):
        nn.init.zeros_(layer.bias)
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    elif dense is not None:
        nn.init.normal_(layer.weight, std=dense)


def _tssl(layer: Layer, *, factor: float) -> None:
    if isinstance(layer, nn.Conv2d):
        layer.weight.mul_(factor)
    else:
        nn.init.kaiming_normal_(layer.weight)


INITIAL: dict[str, Callable[[Layer], None]] = {
    "torch": partial(_scaled, factor=1.0),
    "he": partial(_scaled, factor=sqrt(6)),
    "kaiming-fan-out": _fan_out,
    "kaiming-fan-out-0.01": partial(_fan_out, dense=0.01),
    "tssl": partial(_tssl, factor=1.0),
    "tssl-5": partial(_tssl, factor=5.0),
}


def check_initial(name: str) -> None:
    """Refuse an unknown name.

    Raises:
        InputError: it is.
    """
    if name not in INITIAL:
        raise InputError(f"initial weights {name!r} are unknown; choose one of {', '.join(INITIAL)}")


@torch.no_grad()
def draw_initial(name: str, layers: Iterable[Layer]) -> None:
    """Give fresh layers, as torch made them, their initial weights."""
    for layer in layers:
        INITIAL[name](layer)
