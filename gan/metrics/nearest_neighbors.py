"""Distances to nearest neighbors, in blocks of rows."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.metrics.features import blocks

ROUNDING = 1e-13  # squared distances below this fraction of the squared norms are 0


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Return Euclidean distances: float64 (N, D), (M, D) -> (N, M)."""
    norms = x.square().sum(1)[:, None] + y.square().sum(1)  # (N, M)
    squared = norms - 2 * (x @ y.T)
    return torch.where(squared > ROUNDING * norms, squared, 0.0).sqrt()


def nearest(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance (N,) of each row of x to the nearest row of y, and the index (N,) of that row."""
    found = [distances(part, y).min(1) for part in blocks(x)]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def radii(x: Tensor, k: int) -> Tensor:
    """Return the distance (N,) of each row to the k-th nearest other row."""
    return torch.cat([distances(part, x).kthvalue(k + 1).values for part in blocks(x)])
