"""The head of slicing adversarial networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.losses.heads import Sliced


class SlicedHead(nn.Module):
    """Features h (N, C) -> <s h, w / |w|> with s = |w|, once for the features to learn from and once for w.

    Takida et al., "SAN: Inducing Metrizability of GAN with Discriminative Normalized Linear Layer", 2023,
    arXiv:2301.12811, section 5: a discriminator measures a distance only if its last layer's direction is the one along
    which real and generated features differ most, which only the Wasserstein loss teaches it.

    Args:
        classes: each with a direction of its own; 0 takes no labels.
    """

    def __init__(self, features: int, classes: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(max(1, classes), features) / features**0.5)
        self.classes = classes

    def forward(self, h: Tensor, label: Tensor | None) -> Sliced:
        weight = self.weight[label] if self.classes else self.weight  # (N, C) or (1, C)
        direction = F.normalize(weight, dim=1).to(h.dtype)
        scaled = h * weight.norm(dim=1, keepdim=True).to(h.dtype)
        return Sliced((scaled * direction.detach()).sum(1), (scaled.detach() * direction).sum(1))  # (N,) each
