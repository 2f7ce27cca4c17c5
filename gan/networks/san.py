"""The head of slicing adversarial networks (SAN)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.losses.heads import SANLogits


class SANHead(nn.Module):
    """Map features h (N, C) to <s h, w / |w|> with s = |w|: once with gradients for h, once for the direction of w.

    Takida et al., "SAN: Inducing Metrizability of GAN with Discriminative Normalized Linear Layer", 2023,
    arXiv:2301.12811, section 5: a discriminator measures a distance only if real and generated features differ most
    along the direction of its last layer. Only the Wasserstein loss trains such a direction.

    Args:
        features: C, the number of features.
        classes: number of classes, which each have a direction; 0 for an unconditional discriminator.
    """

    def __init__(self, features: int, classes: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(max(1, classes), features) / features**0.5)
        self.classes = classes

    def forward(self, h: Tensor, label: Tensor | None) -> SANLogits:
        weight = self.weight[label] if self.classes else self.weight  # (N, C) or (1, C)
        direction = F.normalize(weight, dim=1).to(h.dtype)
        scaled = h * weight.norm(dim=1, keepdim=True).to(h.dtype)
        return SANLogits((scaled * direction.detach()).sum(1), (scaled.detach() * direction).sum(1))  # (N,) each
