"""A store of generated pictures, so that a discriminator does not forget what the generator did a while ago.

Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2017,
arXiv:1612.07828, section 2.3, as in CycleGAN: until the pool is full each picture goes in and comes back; then with
probability 1/2 it takes the place of a stored one, which comes back instead.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan.errors import at_least


class ImagePool(nn.Module):
    """Up to `size` pictures, which are part of a checkpoint; 0 keeps none and gives back what comes."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = at_least("pool", size, 0)
        self.stored: list[Tensor] = []  # (C, H, W) each

    @torch.no_grad()
    def forward(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """(N, C, H, W) -> as many, each itself or an older one; `generator` decides, a function of the batch."""
        returned = []
        for image in images.detach():
            if len(self.stored) < self.size:
                self.stored.append(image.clone())
            elif self.size:
                swap, place = torch.rand(2, generator=generator, device=generator.device).tolist()
                if swap < 0.5:
                    index = int(place * self.size)
                    image, self.stored[index] = self.stored[index], image.clone()
            returned.append(image)
        return torch.stack(returned)

    def get_extra_state(self) -> Tensor:
        return torch.stack(self.stored) if self.stored else torch.empty(0)

    def set_extra_state(self, state: Tensor) -> None:
        self.stored = list(state)
