"""Losses by name, with numbers in the name where a loss has any: `alpha-0.001`, `count-15-3`,
`distilled-cross-entropy-0.5`.

| name | loss |
|---|---|
| `cross-entropy` | of the mean over time |
| `weighted-cross-entropy` | of DSR's weighted mean over time |
| `rate-mse` | square of mean minus one-hot label |
| `alpha-A` | TIC's, A any number of 0 or more |
| `kernel`, `kernel-once` | TSSL-BP's van Rossum distance, as in the released code, or in that of the paper's time |
| `count-D-U` | TSSL-BP's count loss, D spikes wanted of the right class, U of all others; `count` is `count-4-1` |
| `prefix-NAME` | mean of NAME (one of the first three) over the answers after 1 .. T timesteps |
| `distilled-NAME-W` | `prefix-NAME` plus W times the divergence from the full answer, W = 1 where left out |
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from typing import TypeAlias

import torch

from spikeport.export.common.errors import BY_PLUGIN, InputError, unknown
from spikeport.train.neurons.base import NeuronConfig
from spikeport.train.neurons.dsr import DSRConfig, representation_weights
from spikeport.train.settings import losses

LossFunction: TypeAlias = Callable[[torch.Tensor, torch.Tensor, NeuronConfig], torch.Tensor]
"""The readout's output `(T, N, classes)`, labels `(N,)` and the neurons to a scalar."""
NUMBER = r"-(\d+(?:\.\d+)?(?:e-?\d+)?)"
SUMMED = re.compile(f"kernel(-once)?|count({NUMBER * 2})?")
"""Losses that are sums over a batch; all others are means over it."""
PREFIXED = ("prefix-", "distilled-")
WEIGHTED = "weighted-cross-entropy"


def _weighted_cross_entropy(output: torch.Tensor, labels: torch.Tensor, neuron: NeuronConfig) -> torch.Tensor:
    """Cross-entropy of DSR's weighted rate (Meng et al. 2022, section 3.2)."""
    check_neuron(WEIGHTED, neuron)
    assert isinstance(neuron, DSRConfig)
    return losses.weighted_cross_entropy(output, labels, representation_weights(neuron, len(output)))


def _kernel(output: torch.Tensor, labels: torch.Tensor, neuron: NeuronConfig, *, of_the_paper: bool) -> torch.Tensor:
    return losses.kernel_loss(output, labels, tau_s=neuron.input_filter, of_the_paper=of_the_paper)


ANSWER_LOSSES: dict[str, LossFunction] = {
    "cross-entropy": lambda output, labels, _: losses.accumulated_cross_entropy(output, labels),
    WEIGHTED: _weighted_cross_entropy,
    "rate-mse": lambda output, labels, _: losses.rate_squared_error(output, labels),
}
"""Losses of one answer, that after all timesteps."""
PLAIN: dict[str, LossFunction] = {
    **ANSWER_LOSSES,
    "kernel": partial(_kernel, of_the_paper=False),
    "kernel-once": partial(_kernel, of_the_paper=True),
    "count": lambda output, labels, _: losses.count_loss(output, labels),
}
"""Losses whose name has no number."""
NUMBERED = ("alpha-A", "count-D-U", "prefix-NAME", "distilled-NAME-W")
"""What the other names look like."""


def loss_forms() -> tuple[str, ...]:
    """What names look like, those of one's own among them."""
    return (*PLAIN, *NUMBERED)


def _alpha(alpha: float) -> LossFunction:
    return lambda output, labels, _: losses.alpha_loss(output, labels, alpha)


def _count(desired: float, undesired: float) -> LossFunction:
    if desired <= undesired:
        raise InputError(f"loss count-{desired:g}-{undesired:g} wants no more of the right class than of the others; give the larger first")
    return lambda output, labels, _: losses.count_loss(output, labels, desired=desired, undesired=undesired)


def _prefixes(answer: LossFunction, distilled: float) -> LossFunction:
    def loss(output: torch.Tensor, labels: torch.Tensor, neuron: NeuronConfig) -> torch.Tensor:
        right = losses.over_prefixes(output, lambda part: answer(part, labels, neuron))
        return right + distilled * losses.divergence_from_full(output) if distilled else right

    return loss


def share_of_batch(name: str, parts: int) -> float:
    """What the loss of each of so many equal parts of a batch counts in that of the whole; a loss
    of one's own is taken for a mean over the batch.
    """
    return 1.0 if SUMMED.fullmatch(name) else 1 / parts


@cache
def loss_named(name: str) -> LossFunction:
    """The loss of a name.

    Raises:
        InputError: no such loss, or numbers that it does not take.
    """
    if name in PLAIN:
        return PLAIN[name]
    if match := re.fullmatch(f"alpha{NUMBER}", name):
        return _alpha(float(match[1]))
    if match := re.fullmatch(f"count{NUMBER * 2}", name):
        return _count(float(match[1]), float(match[2]))
    if match := re.fullmatch(f"(prefix|distilled)-({'|'.join(ANSWER_LOSSES)})(?:{NUMBER})?", name):
        kind, answer, weight = match.groups()
        if kind == "distilled" or weight is None:
            return _prefixes(ANSWER_LOSSES[answer], float(weight or 1) if kind == "distilled" else 0.0)
    raise unknown("loss", name, loss_forms(), BY_PLUGIN)


def check_neuron(name: str, neuron: NeuronConfig) -> None:
    """InputError where a loss takes its weights from neurons that have none."""
    if WEIGHTED in name and not isinstance(neuron, DSRConfig):
        raise InputError(f"loss {name} weighs by DSR's neurons; choose cross-entropy for other methods")


def check_training_timesteps(name: str, timesteps: int) -> None:
    """InputError where a loss means nothing in a training with so few timesteps: the first spike
    that the kernel loss wants of the right class is that of the second.
    """
    if name.startswith("kernel") and timesteps < 2:
        raise InputError(
            f"loss {name} wants silence in the first timestep, so training with {timesteps} teaches silence; take more, or the loss count"
        )


def of_every_prefix(name: str) -> bool:
    """Whether a loss looks at the answers after 1 .. T timesteps, not only at the last."""
    return name.startswith(PREFIXED)
