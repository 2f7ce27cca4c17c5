"""The fraction of generated images that are copies of training images."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.metrics.distances import ALL, checked, distances, nearest

QUANTILE = 0.05  # fraction of real images that are this close to a training image by chance


def copy_rate(train: Tensor, held_out: Tensor | None, generated: Tensor, views: int = 1) -> float:
    """Return the fraction of generated images that are closer to a training image than 95 % of other real images.

    It is about 0.05 without memorization, and 1 for a generator that only copies. Noise also scores 0, so interpret it
    together with precision.

    Args:
        train: features (N, D) of the training images, followed by those of their mirror images if training uses flips.
        held_out: features (H, D) of real images that are not in the training set; None compares each training image
            with all others.
        generated: features (M, D).
        views: number of times that each image is in `train`: 2 with mirror images, else 1.

    Raises:
        UserError: no rows, or features that are not finite.
    """
    train, generated = checked("copy rate", train, generated, least=1)
    return float((nearest(generated, train)[0] < chance_distance(train, held_out, views)).double().mean())


def chance_distance(train: Tensor, held_out: Tensor | None, views: int = 1) -> Tensor:
    """Return the QUANTILE of the distances of other real images to `train`. Arguments as in `copy_rate`."""
    if held_out is None:
        (train,) = checked("copy rate", train, least=1)
        return torch.quantile(to_others(train, views), QUANTILE)
    train, held_out = checked("copy rate", train, held_out, least=1)
    return torch.quantile(nearest(held_out, train)[0], QUANTILE)


def to_others(train: Tensor, views: int = 1) -> Tensor:
    """Return the distance (N,) of each image to the nearest view of another image. Rows i, i + N, ... show image i."""
    n = len(train) // views
    found = []
    for part, own in ALL.blocks(train[:n], torch.arange(n)):
        between = distances(part, train).reshape(len(part), views, n)
        between[torch.arange(len(part)), :, own] = torch.inf
        found.append(between.flatten(1).min(1).values)
    return torch.cat(found)
