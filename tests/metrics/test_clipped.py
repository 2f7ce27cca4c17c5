"""Clipped density and coverage equal the fraction of real images, and outliers have no effect."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.metrics import clipped
from gan.metrics.clipped import clipped_density_coverage
from gan.metrics.prdc import prdc


@pytest.fixture
def real() -> Tensor:
    return torch.randn(2000, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("share", [1.0, 0.7, 0.4, 0.0])
def test_both_scores_are_the_fraction_of_real_images(real: Tensor, share: float) -> None:
    x, y = real[:1000], real[1000:].clone()
    y[round(share * 1000) :] += 100
    values = clipped_density_coverage(x, y)
    assert values["clipped_density"] == pytest.approx(share, abs=0.08)
    assert values["clipped_coverage"] == pytest.approx(share, abs=0.08)


def test_an_outlier_among_real_images_does_not_raise_the_density(real: Tensor) -> None:
    x, bad = real[:1000].clone(), real[1000:] + 20
    x[:6] = x[:6] + torch.arange(6)[:, None] * 20  # a chain of scans gone wrong, whose balls reach to all
    assert prdc(x, bad)["density"] > 0.5
    assert clipped_density_coverage(x, bad)["clipped_density"] < 0.01


def test_repeated_images_have_low_coverage(real: Tensor) -> None:
    values = clipped_density_coverage(real[:1000], real[:20].repeat(50, 1))
    assert values["clipped_density"] > 0.7
    assert values["clipped_coverage"] < 0.2


def test_the_expected_coverage_agrees_with_simulations() -> None:
    n, m, k = 60, 40, 5
    random = torch.Generator().manual_seed(0)
    found = []
    for _ in range(300):
        x, y = torch.rand(n, 1, generator=random), torch.rand(m, 1, generator=random)
        reach = (x - x.T).abs().kthvalue(k + 1).values
        found.append(float(((x - y.T).abs() < reach[:, None]).sum(1).clamp(max=k).float().mean() / k))
    assert sum(found) / 300 == pytest.approx(float(clipped._expected(n, m, k)[-1]), abs=0.01)
    assert clipped._expected(n, m, k)[0] == 0


def test_too_few_images_are_refused() -> None:
    with pytest.raises(UserError, match="of 5 and 9 images: at least 6"):
        clipped_density_coverage(torch.zeros(5, 3), torch.zeros(9, 3))
