"""Rotation: the discriminator also classifies rotations of real images, as self-supervision.

Chen, Zhai, Ritter, Lucic, Houlsby, "Self-Supervised GANs via Auxiliary Rotation Loss", 2019, arXiv:1811.11212.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.contracts import Step
from gan.utils.errors import UserError
from gan.utils.option_values import pair

ROTATIONS = 4  # by 0, 90, 180 and 270 degrees


class Rotation(nn.Module):
    """weight * the cross-entropy of classifying rotations of real images: the second term of equation 4.

    It uses a quarter of the batch in all four rotations. The classifier is a linear layer on D's last features, pooled
    to `embedding_dim` values, which works for every discriminator. The paper's term for the generator (equation 3) is
    omitted, because this penalty is for D's features.

    Args:
        size: (height, width) of the images, or one side; images must be square.
        embedding_dim: number of inputs of the linear layer.
    """

    network = "discriminator"

    def __init__(
        self, size: int | Sequence[int], embedding_dim: int = 512, weight: float = 1.0, interval: int = 1
    ) -> None:
        super().__init__()
        height, width = pair(size)
        if height != width:
            raise UserError(f"penalty=rotation: needs square images, but these are {height}x{width}; set data.size=N")
        self.embedding_dim = embedding_dim
        self.head = nn.Linear(embedding_dim, ROTATIONS)
        self.weight = weight
        self.interval = interval

    def forward(self, step: Step) -> Tensor:
        images = step.real[: max(1, len(step.real) // ROTATIONS)]  # (n, C, H, W)
        rotated = torch.cat([images.rot90(k, (2, 3)) for k in range(ROTATIONS)])  # (4 n, C, H, W)
        target = torch.arange(ROTATIONS, device=images.device).repeat_interleave(len(images))
        return self.weight * F.cross_entropy(self.classify(step.discriminator, rotated), target)

    def classify(self, discriminator: nn.Module, images: Tensor) -> Tensor:
        """Return the logits (N, 4) of the four rotations."""
        features: Tensor = discriminator.features(images)[-1]  # type: ignore[operator]
        if torch.is_grad_enabled() and not features.requires_grad:
            raise UserError("penalty=rotation: the features of this discriminator are frozen; use another model")
        return self.head(F.adaptive_avg_pool1d(features.flatten(1)[:, None], self.embedding_dim)[:, 0])
