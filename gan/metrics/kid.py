"""The kernel distance (KID): how far two sets of features are apart, unbiased at any count."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.metrics.features import blocks, checked

SUBSET = 1000  # images
WHOLE = 4096  # images up to which the kernel of all pairs is made once for all subsets, 128 MB each of three


def squared_mmd(x: Tensor, y: Tensor, matched: bool = False) -> float:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3; near 0, and maybe below it, for equal sets.

    Binkowski et al., "Demystifying MMD GANs", 2018, arXiv:1801.01401, equation 4, in float64 over all pairs.

    Args:
        x, y: features (N, D) and (M, D).
        matched: row n of y was made of row n of x, and M is N. Pairs of these say nothing of how near two images are
            that have nothing to do with each other, and are left out; else the distance would be far too small.

    Raises:
        UserError: fewer than two rows, features that are not finite, or matched ones of which there are not as many.
    """
    x, y = checked("kernel distance", x, y)
    if matched and len(x) != len(y):
        raise UserError(f"kernel distance: {len(x)} and {len(y)} images; of matched ones there are as many of each")
    within = _sum(x, x) - _own(x), _sum(y, y) - _own(y)
    if matched:
        n = len(x)
        return _estimate(*within, (_sum(x, y) - _own(x, y)) * n / (n - 1), n, n)
    return _estimate(*within, _sum(x, y), len(x), len(y))


def kid_of_subsets(
    x: Tensor, y: Tensor, subsets: int = 100, subset_size: int | None = None, seed: int = 0
) -> tuple[float, float]:
    """Mean and standard deviation of `squared_mmd` over random subsets, which is how KID is published.

    A subset is drawn without repeats from x, then one from y, and so on.

    Args:
        x, y: features (N, D) and (M, D).
        subsets: how many pairs are drawn.
        subset_size: images of each in a pair; None is 1,000, or all of the smaller set if it has fewer.
        seed: of the draws.

    Raises:
        UserError: as `squared_mmd`, or a subset larger than a set.
    """
    x, y = checked("kernel distance", x, y)
    size = min(SUBSET, len(x), len(y)) if subset_size is None else subset_size
    if not 2 <= size <= min(len(x), len(y)):
        raise UserError(
            f"kernel distance: subset_size={size} of {len(x)} and {len(y)} images; 2 to the smaller of them"
        )
    whole = max(len(x), len(y)) <= WHOLE
    if whole:
        xx, yy, xy = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    random = np.random.RandomState(seed)  # as in other programs, so that the same seed draws the same images
    values = []
    for _ in range(subsets):
        i = torch.from_numpy(random.choice(len(x), size, replace=False)).to(x.device)
        j = torch.from_numpy(random.choice(len(y), size, replace=False)).to(x.device)
        if whole:
            within_x, within_y, between = xx[i][:, i], yy[j][:, j], xy[i][:, j]
        else:
            within_x, within_y, between = _kernel(x[i], x[i]), _kernel(y[j], y[j]), _kernel(x[i], y[j])
        sums = within_x.sum() - within_x.trace(), within_y.sum() - within_y.trace(), between.sum()
        values.append(_estimate(*sums, size, size))
    return float(np.mean(values)), float(np.std(values))


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3  # (N, M)


def _estimate(within_x: Tensor, within_y: Tensor, between: Tensor, n: int, m: int) -> float:
    """From sums of the kernel over pairs, those of an image with itself left out."""
    return float(within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m))


def _sum(x: Tensor, y: Tensor) -> Tensor:
    """Of the kernel over all pairs."""
    return torch.stack([_kernel(part, y).sum() for part in blocks(x)]).sum()


def _own(x: Tensor, y: Tensor | None = None) -> Tensor:
    """The sum of the kernel of each image with itself, or with that of its row."""
    return (((x * (x if y is None else y)).sum(1) / x.shape[1] + 1) ** 3).sum()


class KID:
    """The metric `kid` for the Evaluate callback, over all pairs: it needs no draws, and varies least."""

    def compute(self, real_features: Tensor, fake_features: Tensor) -> dict[str, float]:
        return {"kid": squared_mmd(real_features, fake_features)}
