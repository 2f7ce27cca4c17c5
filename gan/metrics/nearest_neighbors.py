"""Distances to nearest neighbors, in blocks of rows."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.metrics.rows import ALL, Rows

ROUNDING = 1e-13  # squared distances up to this fraction of both squared norms are 0


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Return Euclidean distances: float64 (N, D), (M, D) -> (N, M)."""
    of_x, of_y = x.square().sum(1)[:, None], y.square().sum(1)
    squared = torch.addmm(of_y, x, y.T, alpha=-2).add_(of_x)  # (N, M), in place: the time is that of memory
    return squared.masked_fill_(squared <= 2 * ROUNDING * of_x, 0.0).sqrt_()


def nearest(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance (N,) of each row of x to the nearest row of y, and the index (N,) of that row."""
    found = [distances(part, y).min(1) for (part,) in ALL.blocks(x)]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def radii(x: Tensor, k: int, rows: Rows = ALL) -> Tensor:
    """Return the distance (N,) of each row to the k-th nearest other row."""
    found = x.new_zeros(len(x))
    for part, radius in rows.blocks(x, found):
        radius[:] = distances(part, x).topk(k + 1, largest=False).values[:, -1]  # the nearest row is the row itself
    return rows.sum(found)
