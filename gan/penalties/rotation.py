"""A discriminator that also tells how real images are turned, so that it does not forget what they show.

Chen, Zhai, Ritter, Lucic, Houlsby, "Self-Supervised GANs via Auxiliary Rotation Loss", 2019, arXiv:1811.11212.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.common.errors import UserError
from gan.common.size import pair
from gan.contracts import Step

TURNS = 4


class Rotation(nn.Module):
    """weight * the cross-entropy of telling quarter turns of real images apart: the second term of equation 4.

    A quarter of the batch is taken, in all four turns, by D's last features, and by a linear layer of their means over
    `numbers` parts, which fits every discriminator. Equation 3, by which G draws what can be told, is left out: it is
    features that this is for.

    Args:
        size: (height, width) of the images, which must be alike.
        numbers: that the turn is told by.
        weight: beta.
        every: batches from one evaluation to the next; the module multiplies the term by it.

    Raises:
        UserError: images are not square, or D's features are frozen.
    """

    network = "discriminator"

    def __init__(self, size: int | Sequence[int], numbers: int = 512, weight: float = 1.0, interval: int = 1) -> None:
        super().__init__()
        height, width = pair(size)
        if height != width:
            raise UserError(
                f"penalty rotation: images of {height}x{width} cannot be turned by quarters; square ones can"
            )
        self.numbers = numbers
        self.head = nn.Linear(numbers, TURNS)
        self.weight = weight
        self.interval = interval

    def forward(self, step: Step) -> Tensor:
        some = step.real[: max(1, len(step.real) // TURNS)]  # (n, C, H, W)
        turned = torch.cat([some.rot90(turn, (2, 3)) for turn in range(TURNS)])  # (4 n, C, H, W)
        turns = torch.arange(TURNS, device=some.device).repeat_interleave(len(some))
        return self.weight * F.cross_entropy(self.told(step.discriminator, turned), turns)

    def told(self, discriminator: nn.Module, images: Tensor) -> Tensor:
        """Logits (N, 4)."""
        features: Tensor = discriminator.features(images)[-1]  # type: ignore[operator]
        if torch.is_grad_enabled() and not features.requires_grad:
            raise UserError("penalty rotation: the features of this discriminator are not trained")
        logits: Tensor = self.head(F.adaptive_avg_pool1d(features.flatten(1)[:, None], self.numbers)[:, 0])
        return logits
