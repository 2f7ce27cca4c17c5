"""Clipped density and coverage: density and coverage that outliers do not move, on a scale that means something."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.common.errors import at_least
from gan.metrics.features import blocks, checked
from gan.metrics.nearest_neighbors import distances, radii


def clipped_density_coverage(x: Tensor, y: Tensor, k: int = 5) -> dict[str, float]:
    """Which share of a generated set y would have to be good, and the rest useless, to look like y: both in 0..1.

    - clipped_density: as `prdc`'s density, but no real image's ball is larger than the median one and no generated
      image counts for more than one; divided by what the real images score among themselves.
    - clipped_coverage: how many generated images lie in a real image's ball, as a share of the k that it holds of real
      ones and at most 1; turned into the share of y that would be covered so in expectation, were it as the real ones.

    Salvy, Talbot and Thirion, "Enhanced Generative Model Evaluation with Clipped Density and Coverage", 2026,
    arXiv:2507.01761.

    Args:
        x, y: real features (N, D) and generated ones (M, D).

    Raises:
        UserError: not more than k rows, or features that are not finite.
    """
    x, y = checked("clipped density and coverage", x, y, least=at_least("k", k, 1) + 1)
    whole = radii(x, k)
    clipped = whole.clamp(max=torch.quantile(whole, 0.5))
    generated, real = torch.zeros(len(y)).to(x), torch.zeros(len(x)).to(x)  # in how many clipped balls each is
    covered = torch.zeros(()).to(x)
    for part, reach, limit in zip(blocks(x), blocks(whole), blocks(clipped), strict=True):
        between = distances(part, y)  # (rows, M)
        generated += (between <= limit[:, None]).sum(0)
        real += (distances(part, x) <= limit[:, None]).sum(0)
        covered += (between < reach[:, None]).sum(1).clamp(max=k).sum() / k
    density = (generated / k).clamp(max=1).mean() / ((real - 1) / k).clamp(0, 1).mean()  # 1: each is in its own ball
    coverage = torch.searchsorted(_expected(len(x), len(y), k), covered.cpu() / len(x)) / len(y)
    return {"clipped_density": min(1.0, float(density)), "clipped_coverage": min(1.0, float(coverage))}


def _expected(n: int, m: int, k: int) -> Tensor:
    """Of 0..m images drawn as the n real ones are: the mean over real balls of min(images within, k) / k, rising.

    The mass of a ball up to the k-th of n - 1 others is Beta(k, n - k), so that the number within is beta-binomial.
    """
    good = torch.arange(m + 1, dtype=torch.float64)[:, None]  # (M + 1, 1)
    within = torch.arange(k, dtype=torch.float64)  # (k,): k and more count the same
    others = (good - within).clamp_min(0)
    probability = torch.exp(
        _choose(within + k - 1, within) + _choose(others + n - k - 1, others) - _choose(good + n - 1, good)
    )
    return 1 - (torch.where(within <= good, probability, 0.0) * (k - within)).sum(1) / k


def _choose(n: Tensor, k: Tensor) -> Tensor:
    """log of n over k."""
    return torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
