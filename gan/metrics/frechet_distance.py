"""The Fréchet distance (FD; FID with Inception features) between two sets of features."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.metrics.distances import checked_features


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """Return |m - m'|^2 + tr(S + S' - 2 (S S')^1/2) of the normals fitted to features (N, D) and (M, D).

    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017, arXiv:1706.08500, equation 6. For small numbers
    of images it is biased upward, by an amount that depends on the model, so compare only at equal numbers. It is
    computed in float64 on the CPU.
    """
    x, y = (features.cpu() for features in checked_features("Fréchet distance", x, y))
    difference = x.mean(0) - y.mean(0)  # (D,)
    x, y = x - x.mean(0), y - y.mean(0)
    n, m, d = len(x), len(y), x.shape[1]
    spread = x.square().sum() / (n - 1) + y.square().sum() / (m - 1)  # the traces of both covariances
    if min(n, m) < d:
        common = torch.linalg.svdvals(x @ y.T).sum() / ((n - 1) * (m - 1)) ** 0.5  # without a D x D matrix
    else:
        values, vectors = torch.linalg.eigh(x.T @ x / (n - 1))
        root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T  # (D, D)
        product = root @ (y.T @ y / (m - 1)) @ root  # symmetric, with the eigenvalues of S S'
        common = torch.linalg.eigvalsh(product).clamp_min(0).sqrt().sum()
    return max(0.0, float(difference.square().sum() + spread - 2 * common))


class FrechetDistance:
    """The metric `fd` for the Evaluate callback."""

    def compute(self, real_features: Tensor, fake_features: Tensor) -> dict[str, float]:
        return {"fd": frechet_distance(real_features, fake_features)}
