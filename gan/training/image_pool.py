"""A pool of earlier generated images, so that the discriminator does not forget them.

Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2017,
arXiv:1612.07828, section 2.3, as in CycleGAN: until the pool is full, each image is stored and returned. After that,
each image replaces a stored one with probability 1/2, and the stored one is returned instead.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan.common.digest import seed_of
from gan.common.errors import at_least


class ImagePool(nn.Module):
    """Stores up to `size` images. With size 0 it returns its input.

    Checkpoints contain the stored images. The random numbers of a batch depend on the seed and on the number of images
    before it. The caller passes this number, because reading a count from the device would make the host wait.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        super().__init__()
        self.size = at_least("model.pool_size", size, 0)
        self.seed = seed
        self.stored: list[Tensor] = []  # (C, H, W) each
        self.seeded = -1  # value of `seen` for which the generator was last seeded
        self.generator = torch.Generator()

    @torch.no_grad()
    def forward(self, images: Tensor, seen: int) -> Tensor:
        """Return for each image (N, C, H, W) the image itself or an earlier one.

        Args:
            seen: number of images in all earlier batches; the same for all micro-batches of a batch.
        """
        if seen != self.seeded:  # a further micro-batch of the same batch continues the sequence
            self.generator.manual_seed(seed_of(self.seed, "pool", seen))
            self.seeded = seen
        self.stored = [image.to(images.device) for image in self.stored]  # checkpoints are loaded on the CPU
        returned = []
        for image in images.detach():
            if len(self.stored) < self.size:
                self.stored.append(image.clone())
            elif self.size:
                swap, place = torch.rand(2, generator=self.generator).tolist()
                if swap < 0.5:
                    index = int(place * self.size)
                    image, self.stored[index] = self.stored[index], image.clone()
            returned.append(image)
        return torch.stack(returned)

    def get_extra_state(self) -> Tensor:
        return torch.stack(self.stored) if self.stored else torch.empty(0)

    def set_extra_state(self, state: Tensor) -> None:
        self.stored = list(state)
