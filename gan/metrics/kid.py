"""The kernel distance between two sets of features (KID with Inception features), unbiased for any number of images."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.metrics.features import checked
from gan.metrics.rows import ALL, Rows

KID_SCALE = 1000  # scores contain KID x 1000, as published tables do, and say so in their names
SUBSET = 1000  # images per subset
MARGIN = 0.1  # smallest relative decrease of a KID that is not chance, with
MARGIN_IMAGES = 50  # images or more
NOISE = 1.0  # KIDs times 1,000 up to this value do not differ, if they are those of
NOISE_IMAGES = 200  # images or more
WHOLE = 4096  # up to this many images, the kernel of all pairs is computed once: three matrices of up to 128 MB


def squared_mmd(x: Tensor, y: Tensor, matched: bool = False, rows: Rows = ALL) -> float:
    """Return the squared maximum mean discrepancy with the kernel (x.y / D + 1)^3.

    Binkowski et al., "Demystifying MMD GANs", 2018, arXiv:1801.01401, equation 4, in float64 over all pairs. Equal
    distributions give values around 0, which can be negative.

    Args:
        x, y: features (N, D) and (M, D).
        matched: whether row n of y was made from row n of x, so that M = N. These pairs are omitted, because they are
            not independent and would make the distance far too small.
        rows: rows of x and of y that this process computes. All processes have the same x and y.

    Raises:
        UserError: fewer than two rows, features that are not finite, or matched sets of different size.
    """
    x, y = checked("kernel distance", x, y)
    if matched and len(x) != len(y):
        raise UserError(f"KID: {len(x)} and {len(y)} images; matched sets must have the same size")
    within = _sum_within(x, rows) - _own(x), _sum_within(y, rows) - _own(y)
    between = _sum(x, y, rows)
    if matched:
        n = len(x)
        return _estimate(*within, (between - _own(x, y)) * n / (n - 1), n, n)
    return _estimate(*within, between, len(x), len(y))


def kid_of_subsets(
    x: Tensor, y: Tensor, subsets: int = 100, subset_size: int | None = None, seed: int = 0
) -> tuple[float, float]:
    """Return mean and standard deviation of `squared_mmd` over random subsets, as in published KID values.

    Subsets are sampled without replacement, alternately from x and y.

    Args:
        x, y: features (N, D) and (M, D).
        subsets: number of pairs of subsets.
        subset_size: images per subset; None for 1,000, or the size of the smaller set.
        seed: seed of the subsets.

    Raises:
        UserError: as for `squared_mmd`, or subset_size is larger than a set.
    """
    x, y = checked("kernel distance", x, y)
    size = min(SUBSET, len(x), len(y)) if subset_size is None else subset_size
    if not 2 <= size <= min(len(x), len(y)):
        raise UserError(f"KID: subset_size={size} of {len(x)} and {len(y)} images; use 2 to the size of the smaller")
    whole = max(len(x), len(y)) <= WHOLE
    if whole:
        xx, yy, xy = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    random = np.random.RandomState(seed)  # as in other programs, so that a seed selects the same subsets
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


def noise(n: int) -> float:
    """Return the difference of KIDs times 1,000 of n independent images that may be chance."""
    return NOISE * error_of_few(n, NOISE_IMAGES)


def clearly_below(kid: float, n: int = NOISE_IMAGES) -> float:
    """Return the KID times 1,000 below which a KID of n independent images is lower than `kid` by more than chance.

    That is -inf if it would be 0 or less: real images have a KID of 0, so all below is chance.
    """
    bound = kid - MARGIN * error_of_few(n, MARGIN_IMAGES) * kid - noise(n)
    return bound if bound > 0 else -math.inf


def error_of_few(n: int, enough: int) -> float:
    """Return the error of a score of n independent images, relative to that of `enough`; 1 for more images."""
    return max(1.0, enough / n) ** 0.5


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T).div_(x.shape[1]).add_(1).pow_(3)  # (N, M)


def _estimate(within_x: Tensor, within_y: Tensor, between: Tensor, n: int, m: int) -> float:
    """Return the squared MMD from sums of the kernel over pairs, excluding pairs of an image with itself."""
    return float(within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m))


def _sum(x: Tensor, y: Tensor, rows: Rows) -> Tensor:
    """Return the sum of the kernel over all pairs."""
    total = x.new_zeros(())
    for (part,) in rows.blocks(x):
        total += _kernel(part, y).sum()
    return rows.sum(total)


def _sum_within(x: Tensor, rows: Rows) -> Tensor:
    """Return `_sum` of x and x; the kernel is symmetric, so blocks are paired with themselves and later ones only."""
    total, places = x.new_zeros(()), torch.arange(len(x))
    for part, place in rows.blocks(x, places):
        found = _kernel(part, x[place[0] :])
        total += 2 * found.sum() - found[:, : len(part)].sum()
    return rows.sum(total)


def _own(x: Tensor, y: Tensor | None = None) -> Tensor:
    """Return the sum of the kernel over pairs of an image with itself, or over pairs of row n of x and row n of y."""
    return (((x * (x if y is None else y)).sum(1) / x.shape[1] + 1) ** 3).sum()


class KID:
    """The metric `kid_x1000` for the Evaluate callback, over all pairs: deterministic, with the lowest variance."""

    def compute(self, real_features: Tensor, fake_features: Tensor, rows: Rows = ALL) -> dict[str, float]:
        return {"kid_x1000": KID_SCALE * squared_mmd(real_features, fake_features, rows=rows)}
