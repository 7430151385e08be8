"""Slow, plain-torch forms of neuron dynamics: time unrolled by autograd, one line per equation.

For tests only.
"""

import torch


class SpikeWith(torch.autograd.Function):
    """Heaviside forward, any given derivative backward."""

    @staticmethod
    def forward(ctx, x, derivative, strict):
        ctx.save_for_backward(x)
        ctx.derivative = derivative
        return (x > 0 if strict else x >= 0).to(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * ctx.derivative(x), None, None


def lif(currents, config, derivative):
    """STBP's neuron from `train.neurons.stbp.LIFConfig`; returns spikes, potentials before the
    spike, potentials after it.
    """
    v = torch.zeros_like(currents[0])
    spikes, before, after = [], [], []
    for x in currents:
        h = config.decay * v + config.gain * x
        s = SpikeWith.apply(h - config.threshold, derivative, config.strict)
        r = s.detach() if config.detach_reset else s
        v = h * (1 - r) if config.reset == "zero" else h - config.threshold * r
        spikes.append(s)
        before.append(h)
        after.append(v)
    return torch.stack(spikes), torch.stack(before), torch.stack(after)
