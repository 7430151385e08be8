"""Our BatchNorm and convolution in training against PyTorch's."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spikeport.train.network.batch_norm import normalised, statistics
from spikeport.train.network.convolution import Convolution
from spikeport.train.network.layers import ScaledBatchNorm


def both(ours, theirs, x, **tolerance):
    """Outputs and all gradients are equal."""
    theirs.load_state_dict(ours.state_dict())
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    out, expected = ours(mine), theirs(other)
    torch.testing.assert_close(out, expected, **tolerance)
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=out.dtype)
    out.backward(grad)
    expected.backward(grad)
    torch.testing.assert_close(mine.grad, other.grad, **tolerance)
    for parameter, theirs_ in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(parameter.grad, theirs_.grad, **tolerance)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("channels", "stride", "padding"), [(15, 1, 0), (16, 2, 1), (3, 1, 2), (37, 2, 0)])
def test_convolution(channels, stride, padding, bias):
    settings = (channels, 6, 3, stride, padding)
    x = torch.randn(5, channels, 9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    both(Convolution(*settings, bias=bias).double(), nn.Conv2d(*settings, bias=bias).double(), x)


@pytest.mark.parametrize(
    ("channels", "size", "settings"),
    [(15, (9, 8), (6, 3)), (20, (4, 4), (32, 3, 1, 1)), (3, (8, 7), (16, 5, 2, 2)), (16, (9, 9), (8, 3, 2)), (33, (4, 2), (5, 1))],
)
def test_convolution_in_mixed_precision(channels, size, settings):
    """Small maps, whose gradient is a matrix product, and larger ones; channels last in memory."""
    x = torch.randn(5, channels, *size, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(), torch.autocast("cpu", torch.bfloat16):
        torch.manual_seed(0)
        ours, theirs = Convolution(channels, *settings), nn.Conv2d(channels, *settings)
        theirs.load_state_dict(ours.state_dict())
        mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
        out, expected = ours(mine), theirs(other)
        assert ours(x).is_contiguous(memory_format=torch.channels_last)
    if out[0, 0].numel() <= 16:  # our own gradient: against numbers without rounding, as PyTorch's is another on every processor
        theirs, other = theirs.double(), x.bfloat16().double().requires_grad_()
        with torch.no_grad():
            theirs.weight.copy_(ours.weight.bfloat16())
        expected = theirs(other)
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=out.dtype)
    out.backward(grad)
    expected.backward(grad.to(expected.dtype))
    found, correct = ((y, x.grad, *(p.grad for p in m.parameters())) for y, x, m in ((out, mine, ours), (expected, other, theirs)))
    for a, b in zip(found, correct):
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.03, check_dtype=False)


def test_batch_norm_with_running_statistics():
    x = torch.randn(7, 5, 6, 4, generator=torch.Generator().manual_seed(0)) * 3 + 100
    ours, theirs = ScaledBatchNorm(5, 1.0), nn.BatchNorm2d(5)
    both(ours, theirs, x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_normalised_knows_where_its_statistics_come_from():
    generator = torch.Generator().manual_seed(0)
    x, scale, shift = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((4, 3, 2, 5), (3,), (3,)))
    inputs = [t.requires_grad_() for t in (x, scale, shift)]
    assert torch.autograd.gradcheck(lambda x, a, b: normalised(x, a, b, *statistics(x.detach()), 1e-5), inputs)
    mean, variance = statistics(x.detach())
    torch.testing.assert_close(normalised(x, scale, shift, mean, variance, 1e-5), F.batch_norm(x, None, None, scale, shift, True))
