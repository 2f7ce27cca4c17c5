"""Closed forms that give pictures the colors of others: what a learned translation of colors has to beat.

Each is fitted on two unpaired sets of pictures, uint8 (N, C, H, W), and returns a function of such pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gan.metrics.pixels import opaque_pixels

Transfer = Callable[[Tensor], Tensor]
SAMPLED = 4_000_000  # pixels of a set, at most, that a form is fitted to


@dataclass(frozen=True)
class Affine:
    """Levels x (C,) become matrix @ x + shift, rounded and kept in 0..255; float64."""

    matrix: Tensor
    shift: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        return torch.stack([self.one(image) for image in images])

    def one(self, image: Tensor) -> Tensor:
        moved = torch.einsum("ij,jhw->ihw", self.matrix, image.double()) + self.shift[:, None, None]
        return moved.round().clamp(0, 255).to(torch.uint8)

    def of_units(self) -> tuple[Tensor, Tensor]:
        """Matrix and shift of the same map for values in [-1, 1] in place of levels."""
        return self.matrix, self.matrix.sum(1) + self.shift / 127.5 - 1


def between(matrix: Tensor, before: Tensor, after: Tensor) -> Affine:
    """That which takes the color `before` to `after`."""
    return Affine(matrix, after - matrix @ before)


def statistics(source: Tensor, target: Tensor) -> Affine:
    """Mean and deviation of each channel (Reinhard et al., "Color Transfer between Images", 2001, in RGB)."""
    x, y = values(source), values(target)
    scale = y.std(1) / x.std(1).clamp(min=1e-6)
    return between(torch.diag(scale), x.mean(1), y.mean(1))


def monge_kantorovich(source: Tensor, target: Tensor) -> Affine:
    """The linear map that carries one Gaussian of colors to another at the least cost (Pitié and Kokaram, "The linear
    Monge-Kantorovitch linear color mapping for example-based color transfer", 2007); a level of noise is added, so
    that what does not vary stays as it is."""
    x, y = values(source), values(target)
    x_cov, y_cov = (torch.atleast_2d(each.cov()) + torch.eye(len(each)) for each in (x, y))
    root, inverse = power(x_cov, 0.5), power(x_cov, -0.5)
    return between(inverse @ power(root @ y_cov @ root, 0.5) @ inverse, x.mean(1), y.mean(1))


def histogram(source: Tensor, target: Tensor) -> Transfer:
    """Each channel's quantiles: a level becomes the one below which as large a share of the target lies."""
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
    "channel statistics": statistics,
    "histograms": histogram,
    "Monge-Kantorovich": monge_kantorovich,
}


def opaque(images: Tensor) -> Tensor:
    """The pixels of pictures (N, C, H, W) as one picture, uint8 (1, C, 1, P): of premultiplied RGBA the colors of
    those that are more than half opaque."""
    levels = images.transpose(0, 1).flatten(1)
    levels = levels[:, :: -(-levels.shape[1] // SAMPLED)]
    return opaque_pixels(levels).to(torch.uint8)[None, :, None]


def values(images: Tensor) -> Tensor:
    """(N, C, H, W) -> (C, pixels), float64; of many pictures every so many pixels."""
    levels = images.transpose(0, 1).flatten(1)
    return levels[:, :: -(-levels.shape[1] // SAMPLED)].double()


def power(symmetric: Tensor, exponent: float) -> Tensor:
    """A power of a positive matrix, whose eigenvalues are kept from 0."""
    eigenvalues, vectors = torch.linalg.eigh(symmetric)
    return vectors @ torch.diag(eigenvalues.clamp(min=1e-6) ** exponent) @ vectors.mT
