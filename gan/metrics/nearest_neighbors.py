"""Distances to nearest neighbors, in blocks of rows."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.metrics.features import blocks

ROUNDING = 1e-13  # relative to the squared norms: smaller squared distances are 0


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Return Euclidean distances: float64 (N, D), (M, D) -> (N, M)."""
    norms = x.square().sum(1)[:, None] + y.square().sum(1)  # (N, M)
    squared = norms - 2 * (x @ y.T)
    return torch.where(squared > ROUNDING * norms, squared, 0.0).sqrt()


def nearest(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each row of x the distance to the nearest row of y, and its index: (N,), (N,)."""
    found = [distances(part, y).min(1) for part in blocks(x)]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def radii(x: Tensor, k: int) -> Tensor:
    """Return for each row the distance to the k-th nearest other row, (N,)."""
    return torch.cat([distances(part, x).kthvalue(k + 1).values for part in blocks(x)])
