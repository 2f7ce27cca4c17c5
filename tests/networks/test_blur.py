"""The Gaussian blur: its weights, its borders, and its precision."""

from __future__ import annotations

import math

import pytest
import torch

from gan.networks.resampling import blur, blur_radius, gaussian


def test_weights_are_those_of_a_gaussian() -> None:
    weights = gaussian(1.5, torch.zeros(1))
    assert len(weights) == 2 * blur_radius(1.5) + 1 == 11
    assert float(weights.sum()) == pytest.approx(1)
    assert float(weights[6] / weights[5]) == pytest.approx(math.exp(-0.5 / 1.5**2))


def test_a_constant_image_stays_and_the_mean_is_kept_away_from_borders() -> None:
    assert torch.allclose(blur(torch.full((1, 3, 7, 9), 0.3), 2.0), torch.tensor(0.3))
    point = torch.zeros(1, 1, 41, 41)
    point[..., 20, 20] = 1
    assert float(blur(point, 3.0).sum()) == pytest.approx(1)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_wide_blurs_are_exact_under_autocast_and_return(layout: torch.memory_format) -> None:
    x = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0)).to(memory_format=layout)
    expected = blur(x, 5.0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(blur(x, 5.0), expected)
        half = blur(x.bfloat16(), 5.0)
    assert half.dtype == torch.bfloat16 and torch.allclose(half.float(), expected, atol=0.005)
