"""What a penalty may look at: one training step's images, logits and networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass
class Step:
    """One batch on its way through the two updates; images are (N, C, H, W) in [-1, 1]."""

    batch: int  # batches before this one: the phase of lazy terms
    real: Tensor
    label: Tensor | None  # (N,) class indices
    z: Tensor  # (N, latent)
    generator: nn.Module
    discriminator: nn.Module
    augmented: Callable[[Tensor], Tensor]  # x -> augment(x), the same draws at each call of this step
    fake: Tensor
    real_logits: Tensor | None = None
    fake_logits: Tensor | None = None

    def critic(self, x: Tensor) -> Tensor:
        """D(augment(x))."""
        logits: Tensor = self.discriminator(self.augmented(x), self.label)
        return logits
