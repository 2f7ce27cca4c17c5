"""The kernel distance between two sets of features (KID with Inception features), unbiased for any number of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from scipy.special import stdtr
from torch import Tensor
from torch.nn.functional import normalize

from gan.metrics.distances import blocks, checked_features

Files = Sequence[Tensor | None]  # numbers of the files of two sets of images; None: each image is its own file
KID_SCALE = 1000  # scores contain KID x 1000, as published tables do, and say so in their names
LEVEL = 0.05  # probability that one or more comparisons of a run call a difference clear that is chance
SPENT = 0.04  # the same of the comparisons with a start, whose errors are estimated: of 20 to 50 files, 0.05 is chance
DRAWS = 20_000  # random numbers from which the critical values of a run's comparisons are computed


def squared_mmd(x: Tensor, y: Tensor, matched: bool = False) -> float:
    """Return the squared maximum mean discrepancy with the kernel (x.y / D + 1)^3.

    Binkowski et al., "Demystifying MMD GANs", 2018, arXiv:1801.01401, equation 4, in float64 over all pairs. Equal
    distributions give values around 0, which can be negative.

    Args:
        x, y: features (N, D) and (M, D).
        matched: whether row n of y was made from row n of x, so that M = N. These pairs are omitted, because they are
            not independent and would make the distance far too small.

    Raises:
        UserError: fewer than two rows or features that are not finite.
    """
    x, y = checked_features("kernel distance", x, y)
    between = _sums_between(x, y)[0].sum()
    if matched:
        between = (between - _self_kernel(x, y).sum()) * len(x) / (len(x) - 1)
    return float(_estimate(_sums_within(x).sum(), _sums_within(y).sum(), between, len(x), len(y)))


class KIDEstimate(float):
    """A KID times 1,000 with the jackknife estimate of its error, as of Arvesen, "Jackknifing U-Statistics", 1969.

    Images of one file, such as patches, are alike, so files are left out, not images.

    Attributes:
        without: KIDs times 1,000 without each file of the real images (F,), and without each of the others (G,).
    """

    without: tuple[Tensor, ...]

    def __new__(cls, value: float, without: Sequence[Tensor] = ()) -> Self:
        estimate = super().__new__(cls, value)
        estimate.without = tuple(without)
        return estimate

    def minus(self, other: KIDEstimate, factor: float = 1.0) -> KIDEstimate:
        """Return the difference to `factor` times a KID of images made from the same inputs or latents.

        Errors that both KIDs have in common cancel, unless the numbers of files differ.
        """
        its = [factor * values for values in other.without]
        paired = [*map(len, self.without)] == [*map(len, its)]
        without = [a - b for a, b in zip(self.without, its, strict=True)] if paired else [*self.without, *its]
        return KIDEstimate(self - factor * other, without)

    def influences(self) -> Tensor:
        return torch.cat([(values - values.mean()) * (1 - 1 / len(values)) ** 0.5 for values in self.without])

    def degrees_of_freedom(self) -> int:
        return min(map(len, self.without)) - 1

    def p_value(self) -> float:
        """Return the p-value of Student's t test that the true value is at most 0, or 1 if the error is unknown."""
        error = float(self.influences().norm())
        return float(stdtr(self.degrees_of_freedom(), -self / error)) if error > 0 else 1.0


def estimate_kid(x: Tensor, y: Tensor, files: Files = (None, None)) -> KIDEstimate:
    """Return the KID times 1,000 with its error. Except for the files (N,) and (M,), as for `squared_mmd`."""
    x, y = checked_features("kernel distance", x, y)
    within_x, within_y, (of_x, of_y) = _sums_within(x), _sums_within(y), _sums_between(x, y)
    without_x = _without_each_file(x, files[0], within_x, of_x)
    without_y = _without_each_file(y, files[1], within_y, of_y)
    value = _estimate(within_x.sum(), within_y.sum(), of_x.sum(), len(x), len(y))
    less_x = _estimate(without_x[0], within_y.sum(), without_x[1], without_x[2], len(y))
    less_y = _estimate(within_x.sum(), without_y[0], without_y[1], len(x), without_y[2])
    return KIDEstimate(KID_SCALE * float(value), (KID_SCALE * less_x.cpu(), KID_SCALE * less_y.cpu()))


def is_clearly_lower(kid: KIDEstimate, start: KIDEstimate, comparison: int, influences: dict[int, Tensor]) -> bool:
    """Return whether a KID is lower than that of a start by more than chance, in a series of such comparisons.

    Args:
        comparison: its number, which increases from comparison to comparison.
        influences: of files on the differences, by comparison; those of this one are added if the images differ.
    """
    difference = start.minus(kid)
    now = difference.influences()
    if not (error := float(now.norm())) > 0:
        return False
    influences[comparison] = now
    series = [influences[key] for key in sorted(influences) if key <= comparison]
    of_same_files = [each if each.shape == now.shape else torch.zeros_like(now) for each in series]
    return difference / error > critical_values(torch.stack(of_same_files), difference.degrees_of_freedom())[-1]


def critical_values(influences: Tensor, degrees_of_freedom: int) -> list[float]:
    """Return the values that the ratios of differences to their errors must exceed, for K comparisons in order.

    If all true differences are 0, comparison k is the first to exceed its value with probability SPENT / (k (k + 1)).
    These probabilities add up to less than SPENT: Lan and DeMets, "Discrete Sequential Boundaries for Clinical Trials",
    Biometrika 70, 1983. The ratios have a joint Student's t distribution: all comparisons are of the same files, so
    they correlate as their influences (K, files) do.
    """
    random = np.random.default_rng(0)  # the same numbers in each comparison, so that earlier values stay
    scale = (random.chisquare(degrees_of_freedom, DRAWS) / degrees_of_freedom) ** 0.5
    factor = torch.linalg.qr(normalize(influences.double(), dim=1).T, mode="r").R.numpy()
    ratios = factor.T @ random.standard_normal((len(factor), DRAWS)) / scale  # (K, DRAWS)
    first, values = np.ones(DRAWS, bool), list[float]()  # draws that have exceeded no value so far
    for k, ratio in enumerate(ratios, 1):
        count = int(DRAWS * SPENT * k / (k + 1)) - int(DRAWS * SPENT * (k - 1) / k)
        values.append(float(np.partition(np.where(first, ratio, -math.inf), -count - 1)[-count - 1]))
        first &= ratio <= values[-1]
    return values


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T).div_(x.shape[1]).add_(1).pow_(3)  # (N, M)


def _estimate(within_x: Tensor, within_y: Tensor, between: Tensor, n: Any, m: Any) -> Tensor:
    """Return the squared MMD from sums of the kernel over pairs, excluding pairs of an image with itself."""
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m)


def _sums_between(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sums of the kernel of each row of x with all of y, (N,), and of each row of y with all of x, (M,)."""
    of_x, of_y = x.new_zeros(len(x)), y.new_zeros(len(y))
    for part, place in blocks(x, torch.arange(len(x))):
        kernel = _kernel(part, y)
        of_x[place[0] : place[-1] + 1] = kernel.sum(1)
        of_y += kernel.sum(0)
    return of_x, of_y


def _sums_within(x: Tensor) -> Tensor:
    """Return the sum of the kernel of each row with the others, (N,). As it is symmetric, blocks are paired once."""
    sums = x.new_zeros(len(x))
    for part, place in blocks(x, torch.arange(len(x))):
        kernel, end = _kernel(part, x[place[0] :]), place[-1] + 1
        sums[place[0] : end] += kernel.sum(1)
        sums[end:] += kernel[:, len(part) :].sum(0)
    return sums - _self_kernel(x)


def _without_each_file(x: Tensor, files: Tensor | None, within: Tensor, between: Tensor) -> tuple[Tensor, ...]:
    """Return the sums of `within` and `between`, and the number of rows, without each file of x, (F,) each."""
    numbers = (torch.arange(len(x)) if files is None else files).to(x.device)
    _, file, counts = numbers.unique(return_inverse=True, return_counts=True)
    parts = x[file.argsort()].split(counts.tolist())
    own = within.new_tensor([float(_sums_within(part).sum()) if len(part) > 1 else 0.0 for part in parts])
    of_file, cross = (sums.new_zeros(len(counts)).index_add(0, file, sums) for sums in (within, between))
    return within.sum() - 2 * of_file + own, between.sum() - cross, len(x) - counts


def _self_kernel(x: Tensor, y: Tensor | None = None) -> Tensor:
    """Return the kernel of each row of x with itself, or with the same row of y, (N,)."""
    return ((x * (x if y is None else y)).sum(1) / x.shape[1] + 1) ** 3


class KID:
    """The metric `kid_x1000` for the Evaluate callback, over all pairs: deterministic, with the lowest variance."""

    def compute(self, real: Tensor, fake: Tensor, files: Files = (None, None)) -> dict[str, float]:
        return {"kid_x1000": estimate_kid(real, fake, files)}
