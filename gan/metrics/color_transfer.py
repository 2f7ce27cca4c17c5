"""Color transfer in closed form: baselines for learned color translation.

Each function fits a transfer to two unpaired sets of images, uint8 (N, C, H, W), and returns it. A transfer maps images
uint8 (N, C, H, W) to the same shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gan.metrics.pixels import opaque_pixels

Transfer = Callable[[Tensor], Tensor]
SAMPLED = 4_000_000  # maximum number of pixels of a set for fitting


@dataclass(frozen=True)
class Affine:
    """Maps levels x (C,) to matrix @ x + shift in float64, rounded and clamped to 0..255."""

    matrix: Tensor
    shift: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        return torch.stack([self.one(image) for image in images])

    def one(self, image: Tensor) -> Tensor:
        mapped = torch.einsum("ij,jhw->ihw", self.matrix, image.double()) + self.shift[:, None, None]
        return mapped.round().clamp(0, 255).to(torch.uint8)

    def of_units(self) -> tuple[Tensor, Tensor]:
        """Return matrix and shift of this map for values in [-1, 1]."""
        return self.matrix, self.matrix.sum(1) + self.shift / 127.5 - 1


def between(matrix: Tensor, before: Tensor, after: Tensor) -> Affine:
    """Return the affine map with this matrix that maps the color `before` to `after`."""
    return Affine(matrix, after - matrix @ before)


def channel_statistics(source: Tensor, target: Tensor) -> Affine:
    """Match mean and standard deviation of each channel, in RGB.

    Reinhard et al., "Color Transfer between Images", 2001.
    """
    x, y = values(source), values(target)
    scale = y.std(1) / x.std(1).clamp(min=1e-6)
    return between(torch.diag(scale), x.mean(1), y.mean(1))


def monge_kantorovich(source: Tensor, target: Tensor) -> Affine:
    """Match mean and covariance with the linear map of least transport cost.

    Pitié and Kokaram, "The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer", 2007. A
    variance of one level is added, so that constant colors stay unchanged.
    """
    x, y = values(source), values(target)
    x_cov, y_cov = (torch.atleast_2d(each.cov()) + torch.eye(len(each)) for each in (x, y))
    root, inverse = power(x_cov, 0.5), power(x_cov, -0.5)
    return between(inverse @ power(root @ y_cov @ root, 0.5) @ inverse, x.mean(1), y.mean(1))


def histogram(source: Tensor, target: Tensor) -> Transfer:
    """Match the histogram of each channel."""
    levels = torch.arange(256, dtype=torch.float64)
    curves = []
    for x, y in zip(values(source), values(target), strict=True):
        below_x = torch.bincount(x.long(), minlength=256).double().cumsum(0) / len(x)
        below_y = torch.bincount(y.long(), minlength=256).double().cumsum(0) / len(y)
        curves.append(levels[torch.searchsorted(below_y, below_x).clamp(max=255)])
    table = torch.stack(curves).to(torch.uint8)  # (C, 256)

    def transfer(images: Tensor) -> Tensor:
        return torch.stack([table[c][images[:, c].long()] for c in range(len(table))], 1)

    return transfer


CLOSED_FORMS: dict[str, Callable[[Tensor, Tensor], Transfer]] = {
    "channel statistics": channel_statistics,
    "histograms": histogram,
    "Monge-Kantorovich": monge_kantorovich,
}


def opaque(images: Tensor) -> Tensor:
    """Return the pixels of images (N, C, H, W) as one image, uint8 (1, C, 1, P).

    With premultiplied RGBA, return the straight colors of the pixels that are at least half opaque.
    """
    levels = images.transpose(0, 1).flatten(1)
    levels = levels[:, :: -(-levels.shape[1] // SAMPLED)]
    return opaque_pixels(levels).to(torch.uint8)[None, :, None]


def values(images: Tensor) -> Tensor:
    """Return the pixels of images (N, C, H, W) as float64 (C, pixels), or a regular subset of up to SAMPLED pixels."""
    levels = images.transpose(0, 1).flatten(1)
    return levels[:, :: -(-levels.shape[1] // SAMPLED)].double()


def power(symmetric: Tensor, exponent: float) -> Tensor:
    """Return a power of a positive semidefinite matrix, with eigenvalues clamped above 0."""
    eigenvalues, vectors = torch.linalg.eigh(symmetric)
    return vectors @ torch.diag(eigenvalues.clamp(min=1e-6) ** exponent) @ vectors.mT
