"""Losses on the readout's output `(T, N, classes)` over time: currents, or what a spiking readout
sends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F


def accumulated_cross_entropy(output: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the mean over time, a scalar.

    The mean and the accumulated sum rank the classes alike (TIC, section 3).
    """
    return F.cross_entropy(output.mean(0), labels)


def weighted_cross_entropy(output: torch.Tensor, labels: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Cross-entropy of the weighted mean over time, a scalar; weights `(T,)` add up to 1."""
    return F.cross_entropy(torch.einsum("t,tnc->nc", output.new_tensor(weights), output), labels)


def rate_squared_error(output: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean square of the mean over time minus the one-hot label (Wu et al. 2018, equation 6; Jiang
    and Zhang 2022, section 3).
    """
    return F.mse_loss(output.mean(0), F.one_hot(labels, output.shape[2]).to(output.dtype))


def alpha_loss(output: torch.Tensor, labels: torch.Tensor, alpha: float) -> torch.Tensor:
    """Mean over t of |L_t - alpha|, L_t the cross-entropy of the mean output up to t (TIC,
    equations 9 and 10).
    """
    sums = output.cumsum(0)
    losses = torch.stack([F.cross_entropy(total / t, labels) for t, total in enumerate(sums, start=1)])
    return (losses - alpha).abs().mean()


def over_prefixes(output: torch.Tensor, answer: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Mean of a loss of the answer after 1 .. T timesteps, a scalar: training for early answers.
    answer: output `(t, N, classes)` to a scalar.

    With cross-entropy, alpha loss at alpha = 0.
    """
    return torch.stack([answer(output[:t]) for t in range(1, len(output) + 1)]).mean()


def divergence_from_full(output: torch.Tensor) -> torch.Tensor:
    """Mean over t < T and samples of KL(p_T || p_t), a scalar; p_t: softmax of the mean output up
    to t, p_T a constant.

    The full answer teaches the early ones (self-distillation over timesteps; Yu et al. 2025, arXiv
    2501.15925, who take logits of single timesteps and an artificial network's answers besides). 0
    at T = 1.
    """
    steps = torch.arange(1, len(output) + 1, device=output.device, dtype=output.dtype)[:, None, None]
    log_p = (output.cumsum(0) / steps).log_softmax(2)
    if len(output) == 1:
        return log_p.sum() * 0
    teacher = log_p[-1:].detach().expand_as(log_p[:-1])
    return F.kl_div(log_p[:-1].flatten(0, 1), teacher.flatten(0, 1), reduction="batchmean", log_target=True)


def desired_train(timesteps: int, device: torch.device | None = None, *, of_the_paper: bool = False) -> torch.Tensor:
    """TSSL-BP's spikes for the right class, at T >= 2: silent first, then always; [0, 1] repeated
    from T = 10 on (released code).

    of_the_paper: the paper-time code's, [0, 1, 0, 1, 1] at T = 5, else the same.
    """
    if of_the_paper and timesteps == 5:
        return torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0], device=device)
    t = torch.arange(timesteps, device=device)
    return (t % 2 if timesteps >= 10 else t > 0).float()


def synaptic_filter(x: torch.Tensor, tau_s: float) -> torch.Tensor:
    """q[t] = q[t-1] + (x[t] - q[t-1]) / tau_s along the first axis."""
    q, out = torch.zeros_like(x[0]), []
    for step in x:
        q = q + (step - q) / tau_s
        out.append(q)
    return torch.stack(out)


def kernel_loss(output: torch.Tensor, labels: torch.Tensor, *, tau_s: float, of_the_paper: bool = False) -> torch.Tensor:
    """TSSL-BP's van Rossum distance: half the squared difference of post-synaptic currents, summed
    over batch, class and time.

    of_the_paper: the desired train is the paper-time code's and filtered once, as there; the
    released code filters its own twice.
    """
    timesteps, _, classes = output.shape
    target = desired_train(timesteps, output.device, of_the_paper=of_the_paper)
    for _ in range(1 if of_the_paper else 2):
        target = synaptic_filter(target, tau_s)
    wanted = target[:, None, None] * F.one_hot(labels, classes)
    return 0.5 * (output - wanted).square().sum()


def count_loss(output: torch.Tensor, labels: torch.Tensor, *, desired: float = 4.0, undesired: float = 1.0) -> torch.Tensor:
    """TSSL-BP's count loss: half the square of how far sums over time miss the wanted count, over
    T, summed over batch and class.

    The right class may have more than `desired`, the others less than `undesired`, at no cost
    (released code).
    """
    count, right = output.sum(0), F.one_hot(labels, output.shape[2]).bool()
    miss = torch.where(right, desired - count, count - undesired).clamp(min=0)
    return 0.5 * miss.square().sum() / len(output)
