"""Upsampling and downsampling use the filter [1, 3, 3, 1] of the papers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gan.networks.resampling import downsample, upsample

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


def test_both_are_twice_differentiable() -> None:
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: downsample(x).square(), x)
    assert torch.autograd.gradgradcheck(lambda x: upsample(x).square(), x)
