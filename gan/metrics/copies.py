"""How many generated images are copies of training images."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.metrics.features import checked
from gan.metrics.neighbours import nearest

QUANTILE = 0.05  # of held-out images are this near to a training image by chance


def copy_rate(train: Tensor, held_out: Tensor, generated: Tensor) -> float:
    """The share of generated images nearer to a training image than all but 5 % of held-out real images are.

    About .05 for a generator that copies as little as reality does, 1 for one that only copies. Noise is far from
    everything and scores 0, so it says nothing where precision is low.

    Args:
        train: features (N, D) of the images trained on, and of their mirror images if flips are used.
        held_out: features (H, D) of real images of the same kind that were not trained on.
        generated: features (M, D).

    Raises:
        UserError: no rows, or features that are not finite.
    """
    train, held_out, generated = checked("copy rate", train, held_out, generated, least=1)
    limit = torch.quantile(nearest(held_out, train)[0], QUANTILE)
    return float((nearest(generated, train)[0] < limit).double().mean())
