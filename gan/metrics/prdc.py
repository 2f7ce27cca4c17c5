"""Precision, recall, density and coverage (PRDC)."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.metrics.distances import blocks, checked_features, distances, radii
from gan.utils.errors import at_least

NEIGHBORS = 5  # as in Naeem et al., 2020


def prdc(x: Tensor, y: Tensor, k: int = NEIGHBORS) -> dict[str, float]:
    """Return precision, recall, density and coverage of generated features y (M, D) and real features x (N, D).

    The ball of an image reaches to its k-th nearest neighbor in the same set; an image on its rim is outside.

    - precision: fraction of y that is in a ball of x (fidelity);
    - recall: fraction of x that is in a ball of y (diversity; Kynkäänniemi et al., 2019, arXiv:1904.06991);
    - density: mean number of balls of x that contain an image of y, divided by k; can be above 1;
    - coverage: fraction of x whose ball contains an image of y (Naeem et al., 2020, arXiv:2002.09797).
    """
    x, y = checked_features("precision and recall", x, y, least=at_least("k", k, 1) + 1)
    of_x, of_y = radii(x, k), radii(y, k)
    balls = torch.zeros(len(y), dtype=torch.int64, device=x.device)  # number of balls of x that contain each image of y
    recalled, covered = torch.zeros(2, dtype=torch.int64, device=x.device)
    for part, radius in blocks(x, of_x):
        between = distances(part, y)  # (rows, M)
        balls += (between < radius[:, None]).sum(0)
        recalled += (between < of_y).any(1).sum()
        covered += (between.min(1).values < radius).sum()
    return {
        "precision": float((balls > 0).double().mean()),
        "recall": float(recalled) / len(x),
        "density": float(balls.double().mean()) / k,
        "coverage": float(covered) / len(x),
    }


class PrecisionRecall:
    """The metrics `precision`, `recall`, `density` and `coverage`, with k nearest neighbors."""

    def __init__(self, k: int = NEIGHBORS) -> None:
        self.k = at_least("metric.precision_recall.k", k, 1)
        self.min_images = self.k + 1

    def compute(self, real_features: Tensor, fake_features: Tensor) -> dict[str, float]:
        return prdc(real_features, fake_features, self.k)
