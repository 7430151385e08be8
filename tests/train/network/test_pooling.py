"""Our average pooling against PyTorch's."""

import pytest
import torch
from torch.nn import functional as F

from spikeport.train.network.pooling import average_pool


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("shape", [(2, 3, 6, 6), (2, 3, 7, 8), (1, 1, 5, 11)])
def test_equals_torch_with_gradient(size, shape, order):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).contiguous(memory_format=order).requires_grad_()
    y = x.detach().clone().requires_grad_()
    out, expected = average_pool(x, size), F.avg_pool2d(y, size)
    torch.testing.assert_close(out, expected)
    grad = torch.randn(out.shape, generator=generator, dtype=torch.float64)  # in the order of any tensor, as a dense layer sends it
    out.backward(grad)
    expected.backward(grad)
    torch.testing.assert_close(x.grad, y.grad)
    assert out.is_contiguous(memory_format=order) and x.grad.is_contiguous(memory_format=order)


def test_exact_for_spikes():
    x = (torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    assert torch.equal(average_pool(x, 2) * 4, F.avg_pool2d(x, 2, divisor_override=1))
