"""Upsampling, downsampling and blur agree with their definitions."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gan.networks.resampling import blur, downsample, upsample

ROW = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)
KERNEL = (ROW[:, None] * ROW / 64)[None, None]


def one_by_one(x: Tensor) -> Tensor:
    return x.reshape(-1, 1, *x.shape[2:])


def test_downsample_equals_filter_and_every_second_pixel() -> None:
    x = torch.randn(2, 3, 16, 24, dtype=torch.float64)
    wanted = F.conv2d(one_by_one(x), KERNEL, stride=2, padding=1).reshape(2, 3, 8, 12)
    torch.testing.assert_close(downsample(x), wanted)


def test_upsample_equals_filtered_zero_insertion_except_at_the_border() -> None:
    x = torch.randn(2, 3, 8, 12, dtype=torch.float64)
    spread = x.new_zeros(2, 3, 16, 24)
    spread[:, :, ::2, ::2] = x
    wanted = F.conv2d(F.pad(one_by_one(spread), (2, 1, 2, 1)), 4 * KERNEL).reshape(2, 3, 16, 24)
    torch.testing.assert_close(upsample(x)[:, :, 1:-1, 1:-1], wanted[:, :, 1:-1, 1:-1])
    torch.testing.assert_close(upsample(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 8, 8))  # no darker rim
    torch.testing.assert_close(upsample(x, "zeros"), wanted)  # also at the border


def test_both_are_twice_differentiable() -> None:
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: downsample(x).square(), x)
    assert torch.autograd.gradgradcheck(lambda x: upsample(x).square(), x)


def test_a_blurred_point_is_a_gaussian_and_constant_images_stay() -> None:
    point = torch.zeros(1, 1, 41, 41)
    point[..., 20, 20] = 1
    blurred = blur(point, 3.0)[0, 0]
    assert float(blurred.sum()) == pytest.approx(1)
    assert float(blurred[20, 21] / blurred[20, 20]) == pytest.approx(math.exp(-0.5 / 3.0**2))
    assert torch.allclose(blur(torch.full((1, 3, 7, 9), 0.3), 2.0), torch.tensor(0.3))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_wide_blurs_are_exact_under_autocast_and_return(layout: torch.memory_format) -> None:
    x = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0)).to(memory_format=layout)
    expected = blur(x, 5.0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(blur(x, 5.0), expected)
        half = blur(x.bfloat16(), 5.0)
    assert half.dtype == torch.bfloat16 and torch.allclose(half.float(), expected, atol=0.005)
