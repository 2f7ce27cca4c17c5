"""Clipped density and coverage: density and coverage that are robust to outliers and calibrated."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.common.errors import at_least
from gan.metrics.distances import ALL, checked, distances, radii


def clipped_density_coverage(x: Tensor, y: Tensor, k: int = 5) -> dict[str, float]:
    """Return clipped density and coverage in 0..1.

    If a fraction p of the generated set consists of real images and the rest is useless, both are about p.

    - clipped_density: the density of `prdc` with radii clipped at their median and the contribution of each generated
      image clipped at 1, divided by the same score of the real images among themselves.
    - clipped_coverage: the number of generated images in the ball of a real image, divided by k and clipped at 1. The
      mean is calibrated to the fraction of real images that gives this value in expectation.

    Salvy, Talbot and Thirion, "Enhanced Generative Model Evaluation with Clipped Density and Coverage", 2026,
    arXiv:2507.01761.

    Args:
        x, y: real features (N, D) and generated ones (M, D).

    Raises:
        UserError: at most k rows, or features that are not finite.
    """
    x, y = checked("clipped density and coverage", x, y, least=at_least("k", k, 1) + 1)
    whole = radii(x, k)
    clipped = whole.clamp(max=torch.quantile(whole, 0.5))
    generated, real = torch.zeros(len(y)).to(x), torch.zeros(len(x)).to(x)  # number of clipped balls that contain each
    covered = torch.zeros(()).to(x)
    for part, reach, limit in ALL.blocks(x, whole, clipped):
        between = distances(part, y)  # (rows, M)
        generated += (between <= limit[:, None]).sum(0)
        real += (distances(part, x) <= limit[:, None]).sum(0)
        covered += (between < reach[:, None]).sum(1).clamp(max=k).sum() / k
    density = (generated / k).clamp(max=1).mean() / ((real - 1) / k).clamp(0, 1).mean()  # - 1: each is in its own ball
    coverage = torch.searchsorted(_expected(len(x), len(y), k), covered.cpu() / len(x)) / len(y)
    return {"clipped_density": min(1.0, float(density)), "clipped_coverage": min(1.0, float(coverage))}


def _expected(n: int, m: int, k: int) -> Tensor:
    """Return the expected mean over balls of min(images inside, k) / k, for 0..m images from the real distribution.

    The probability mass of a ball with the k-th of n - 1 others on its rim is Beta(k, n - k), so the number of images
    inside is beta-binomial.
    """
    good = torch.arange(m + 1, dtype=torch.float64)[:, None]  # (M + 1, 1)
    within = torch.arange(k, dtype=torch.float64)  # (k,): k and more give 1
    others = (good - within).clamp_min(0)
    probability = torch.exp(
        _choose(within + k - 1, within) + _choose(others + n - k - 1, others) - _choose(good + n - 1, good)
    )
    return 1 - (torch.where(within <= good, probability, 0.0) * (k - within)).sum(1) / k


def _choose(n: Tensor, k: Tensor) -> Tensor:
    """Return the logarithm of the binomial coefficient."""
    return torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
