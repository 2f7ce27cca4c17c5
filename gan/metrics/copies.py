"""How many generated images are copies of training images."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.metrics.features import blocks, checked
from gan.metrics.nearest_neighbors import distances, nearest

QUANTILE = 0.05  # of real images are this near to a training image by chance


def copy_rate(train: Tensor, held_out: Tensor | None, generated: Tensor, views: int = 1) -> float:
    """The share of generated images nearer to a training image than all but 5 % of other real images are.

    About .05 for a generator that copies as little as reality does, 1 for one that only copies. Noise is far from
    everything and scores 0, so it says nothing where precision is low.

    Args:
        train: features (N, D) of the images trained on, and after them those of their mirror images if flips are used.
        held_out: features (H, D) of real images of the same kind that were not trained on; None takes each image
            trained on against all others instead.
        generated: features (M, D).
        views: how often each image is in `train`: 2 with its mirror image.

    Raises:
        UserError: no rows, or features that are not finite.
    """
    train, generated = checked("copy rate", train, generated, least=1)
    return float((nearest(generated, train)[0] < chance(train, held_out, views)).double().mean())


def chance(train: Tensor, held_out: Tensor | None, views: int = 1) -> Tensor:
    """The distance to `train` below which 5 % of other real images are; arguments as of `copy_rate`."""
    if held_out is None:
        (train,) = checked("copy rate", train, least=1)
        return torch.quantile(to_others(train, views), QUANTILE)
    train, held_out = checked("copy rate", train, held_out, least=1)
    return torch.quantile(nearest(held_out, train)[0], QUANTILE)


def to_others(train: Tensor, views: int = 1) -> Tensor:
    """Of each image (N,) the distance to the nearest view of another; rows i, i + N, ... show image i."""
    n = len(train) // views
    first, found = 0, []
    for part in blocks(train[:n]):
        between = distances(part, train).reshape(len(part), views, n)
        own = torch.arange(first, first + len(part))
        between[own - first, :, own] = torch.inf
        found.append(between.flatten(1).min(1).values)
        first += len(part)
    return torch.cat(found)
