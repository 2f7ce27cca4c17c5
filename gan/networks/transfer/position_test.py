"""Does the color of images depend on the position in another way than that of other images? A test of two samples.

The differences between the parts of one image vary far less than the images do, so that a vignette shows in a hundred
images although their contents differ.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import f as f_distribution
from torch import Tensor

from gan.networks.transfer.position import edge_distance, squared_radius

BANDS = ((0.0, 0.02), (0.02, 0.05))  # distances from the edge at which frames are compared with
INSIDE = (0.08, 0.2)  # these distances
RIDGE = 1e-3  # added to variances, in squared levels: images of one color have none


def contrasts(images: Tensor) -> dict[str, np.ndarray]:
    """Return how the channels of images (N, 3, H, W), in levels, vary with the position: (N, 6) for each kind.

    radial: the coefficients of r^2 and r^4, made orthogonal. frame: the means of the BANDS minus that INSIDE.
    """
    height, width = images.shape[2:]
    rows, columns = ((torch.arange(side).double() + 0.5) / side for side in (height, width))
    r2 = squared_radius(rows[:, None], columns[None]).flatten()
    axes = torch.linalg.qr(torch.stack([torch.ones_like(r2), r2, r2**2], 1)).Q[:, 1:]  # (pixels, 2)
    levels = images.flatten(2).double()  # (N, 3, pixels)
    radial = levels @ axes / len(r2) ** 0.5
    distance = edge_distance(rows[:, None], columns[None]).flatten()

    def mean(low: float, high: float) -> Tensor:
        return levels[..., (distance >= low) & (distance < high)].mean(-1)

    frame = torch.stack([mean(*band) - mean(*INSIDE) for band in BANDS], -1)
    return {"radial": radial.flatten(1).numpy(), "frame": frame.flatten(1).numpy()}


def hotelling(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return Hotelling's F statistic of the difference of the means of x (n, p) and y (m, p), and its p-value.

    Hotelling, "The Generalization of Student's Ratio", 1931. It needs n + m > p + 1.
    """
    n, m, p = len(x), len(y), x.shape[1]
    pooled = ((n - 1) * np.cov(x.T) + (m - 1) * np.cov(y.T)) / (n + m - 2) + RIDGE * np.eye(p)
    difference = x.mean(0) - y.mean(0)
    squared = n * m / (n + m) * difference @ np.linalg.solve(pooled, difference)
    statistic = (n + m - p - 1) / (p * (n + m - 2)) * squared
    return float(statistic), float(f_distribution.sf(statistic, p, n + m - p - 1))
