"""The kernel distance (KID): how far two sets of features are apart, unbiased at any count."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.errors import UserError


def kernel_distance(x: Tensor, y: Tensor) -> float:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3; near 0, and maybe below it, for equal sets.

    Binkowski et al., "Demystifying MMD GANs", 2018, arXiv:1801.01401, equation 4, in float64 over all pairs.

    Args:
        x, y: features (N, D) and (M, D).

    Raises:
        UserError: fewer than two rows, or features that are not finite.
    """
    x, y = x.double(), y.double()
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise UserError(f"kernel distance of {n} and {m} images: at least 2 of each are needed")
    if not (torch.isfinite(x).all() and torch.isfinite(y).all()):
        raise UserError("kernel distance: some features are not finite")
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    within_x = (xx.sum() - xx.diagonal().sum()) / (n * (n - 1))  # pairs of an image with itself are left out
    within_y = (yy.sum() - yy.diagonal().sum()) / (m * (m - 1))
    return float(within_x + within_y - 2 * xy.mean())


def kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3  # (N, M)


class KernelDistance:
    """The metric `kid` for the Evaluate callback."""

    def compute(self, real_features: Tensor, fake_features: Tensor) -> dict[str, float]:
        return {"kid": kernel_distance(real_features, fake_features)}
