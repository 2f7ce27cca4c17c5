"""Adaptive pseudo augmentation (APA): the discriminator sees some generated images as real.

Jiang, Dai, Wu, Loy, "Deceive D: Adaptive Pseudo Augmentation for GAN Training with Limited Data", 2021,
arXiv:2111.06849.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn

from gan.contracts import PSEUDO_REAL


class APA(nn.Module):
    """Choose the real images that D's loss replaces by generated images, each with `probability`.

    `gan.augment.ada.Adaptive` adapts it by r_t, lambda_r in the paper, of all images that D sees as real, as in the
    authors' code.

    Args:
        augment: augmentation of all images, with a probability of its own; None: no other augmentation.
    """

    def __init__(self, augment: Any = None) -> None:
        super().__init__()
        self.augment = augment
        self.probability: float | Tensor = 0.0

    def draw(self, n: int, size: tuple[int, int], generator: Generator) -> dict[str, Tensor]:
        others = self.augment.draw(n, size, generator) if self.augment else {}
        return others | {PSEUDO_REAL: torch.rand(n, generator=generator, device=generator.device) < self.probability}

    def forward(self, x: Tensor, draws: dict[str, Tensor]) -> Tensor:
        return self.augment(x, draws) if self.augment else x
